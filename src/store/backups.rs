//! Copies of the store: made while it is in use, proven before they count.
//!
//! *Invariants.* A backup carries its name only once it is whole, on the disk and found sound. Names are in the order in which backups
//! were made, whatever the clock was.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, bail, ensure};
use jiff::{SignedDuration, Timestamp, civil::DateTime};
use rusqlite::Connection;
use serde::Serialize;

use super::{
    APPLICATION_ID, MIGRATIONS,
    lock::refuse_root,
    make_private, open_read_only,
    reserve::{free_bytes, outlook},
};

/// What the files are called, about the time they were made.
const NAME: (&str, &str) = ("pumphouse-", ".db");
/// That time, UTC.
const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// Room that a backup leaves on its disk: it must not be what stops the daemon, bytes.
const ROOM_LEFT_BYTES: u64 = 256 << 20;

/// A store that was found sound.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sound {
    /// Its file.
    pub path: PathBuf,
    /// Its size, bytes.
    pub bytes: u64,
    /// Rows of `readings_wide`.
    pub rows: i64,
    /// Local time of the newest row.
    pub newest_row: Option<String>,
}

/// The file that a backup is written to before it carries its name.
pub fn part(folder: &Path) -> PathBuf {
    folder.join(format!("{}new.part", NAME.0))
}

/// Makes a backup of a store that may be in use, in a folder that is made when missing.
pub fn make(store: &Path, folder: &Path, now_s: i64) -> anyhow::Result<Sound> {
    let connection = open_read_only(store)?;
    let part = part(folder);
    fs::create_dir_all(folder)
        .map_err(anyhow::Error::from)
        .and_then(|()| {
            refuse_root(&part)?;
            // Whatever an interrupted run left.
            if part.exists() {
                fs::remove_file(&part)?;
            }
            Ok(make_private(&part)?)
        })
        .map_err(|error| not_in(folder, error))?;
    let room = Needed::of(store, folder)?;
    if !room.is_enough() {
        fs::remove_file(&part)?;
        bail!(
            "a backup may need {} MB and leave {} free, and the disk of {} has {} MB: make room, or choose another folder",
            room.needed_bytes >> 20,
            ROOM_LEFT_BYTES >> 20,
            folder.display(),
            room.free_bytes >> 20
        );
    }
    let made = copy(&connection, &part).and_then(|()| verify(&part));
    let sound = match made {
        Ok(sound) => sound,
        Err(error) => {
            // The cause matters more than what is left of the copy.
            let _ = fs::remove_file(&part);
            return Err(error);
        }
    };
    date_back(folder, now_s)?;
    let path = folder.join(name(now_s)?);
    fs::rename(&part, &path)?;
    sync_folder(folder)?;
    Ok(Sound { path, ..sound })
}

/// Gives the backups of a folder that are of the future, since a clock was wrong or is, names of just before now: what is made now is
/// the newest.
fn date_back(folder: &Path, now_s: i64) -> anyhow::Result<()> {
    let now = folder.join(name(now_s)?);
    let later = list(folder).into_iter().filter(|it| *it > now);
    let mut before_s = now_s;
    for backup in later {
        let free = free_before(folder, before_s)?;
        let (of, is) = (backup.display().to_string(), free.1.display().to_string());
        fs::rename(backup, &free.1)?;
        log::warn!(of, is; "a backup is of the future; it gets a name of just before now");
        before_s = free.0;
    }
    Ok(())
}

/// The last second before a time that no backup in a folder has for a name, and that name.
pub(super) fn free_before(folder: &Path, at_s: i64) -> anyhow::Result<(i64, PathBuf)> {
    let mut before_s = at_s - 1;
    loop {
        let path = folder.join(name(before_s)?);
        if !path.exists() {
            return Ok((before_s, path));
        }
        before_s -= 1;
    }
}

/// What a backup made at a time is called.
fn name(at_s: i64) -> anyhow::Result<String> {
    Ok(format!("{}{}{}", NAME.0, stamp(at_s)?, NAME.1))
}

/// What a backup takes at most, and what there is.
struct Needed {
    needed_bytes: u64,
    free_bytes: u64,
}

impl Needed {
    fn of(store: &Path, folder: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            needed_bytes: outlook(store, None)?.store_bytes,
            free_bytes: free_bytes(&part(folder))?,
        })
    }

    fn is_enough(&self) -> bool {
        self.free_bytes >= self.needed_bytes + ROOM_LEFT_BYTES
    }
}

/// Removes the oldest backups where the disk has no room for another, as many as that takes, and none if the newest would have to go,
/// too; which went.
pub fn make_room(store: &Path, folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut old: Vec<PathBuf> = list(folder).into_iter().skip(1).collect();
    if old.is_empty() {
        return Ok(old);
    }
    // What an interrupted run left takes room, too.
    if part(folder).exists() {
        fs::remove_file(part(folder))?;
    }
    let mut room = Needed::of(store, folder)?;
    let mut going = Vec::new();
    while !room.is_enough() {
        let Some(oldest) = old.pop() else {
            return Ok(Vec::new());
        };
        room.free_bytes += oldest.metadata()?.len();
        going.push(oldest);
    }
    going.into_iter().map(remove).collect()
}

/// Removes a backup, and gives its name back.
pub(super) fn remove(path: PathBuf) -> anyhow::Result<PathBuf> {
    fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    Ok(path)
}

/// How old a backup is; negative where a clock was, or is, wrong.
pub fn age(path: &Path) -> anyhow::Result<SignedDuration> {
    Ok(SignedDuration::system_until(
        path.metadata()?.modified()?,
        SystemTime::now(),
    )?)
}

/// Says what a folder lacks that cannot be written into.
fn not_in(folder: &Path, error: anyhow::Error) -> anyhow::Error {
    let folder = folder.display();
    let kind = error.downcast_ref().map(io::Error::kind);
    error.context(match kind {
        Some(ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => format!(
            "cannot write into {folder}: is its disk mounted (findmnt {folder})? If it is, the user pumphouse must own the folder, and \
             pumphouse-backup.service must name it in a drop-in (sudo systemctl edit pumphouse-backup: [Service], ReadWritePaths=-{folder})"
        ),
        _ => format!("cannot write into {folder}"),
    })
}

/// One consistent state, without the store's gaps; whoever writes to the store is not held up.
fn copy(connection: &Connection, part: &Path) -> anyhow::Result<()> {
    // To SQLite, filling another file is writing.
    connection.pragma_update(None, "query_only", "OFF")?;
    let into = part.to_str().context("the folder's name is not UTF-8")?;
    connection
        .execute("VACUUM INTO ?", [into])
        .context("cannot write the backup")?;
    File::open(part)?
        .sync_all()
        .context("cannot bring the backup to the disk")
}

/// Backups in a folder, the newest first.
pub fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut backups: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            let stamp = name.and_then(|name| name.strip_prefix(NAME.0)?.strip_suffix(NAME.1));
            stamp.is_some_and(|stamp| DateTime::strptime(STAMP, stamp).is_ok())
        })
        .collect();
    backups.sort();
    backups.reverse();
    backups
}

/// Removes all but the newest `kept` backups; which went.
pub fn prune(folder: &Path, kept: usize) -> anyhow::Result<Vec<PathBuf>> {
    list(folder).into_iter().skip(kept).map(remove).collect()
}

/// Reads a whole store, or a backup of one, and tells what is in it; an error when it is not sound.
pub fn verify(path: &Path) -> anyhow::Result<Sound> {
    let not_sound = || format!("{} is not sound", path.display());
    let connection = open_read_only(path)?;
    let pragma = |name: &str| -> rusqlite::Result<i64> {
        connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
    };
    ensure!(
        pragma("application_id").with_context(not_sound)? == i64::from(APPLICATION_ID),
        "{} is not a store of pumphouse",
        path.display()
    );
    ensure!(
        pragma("user_version")? <= MIGRATIONS.len() as i64,
        "{} was made by a newer pumphouse",
        path.display()
    );
    if let Some(damage) = check(&connection).with_context(not_sound)? {
        bail!("{}: {damage}", not_sound());
    }
    let (rows, newest_row) = connection.query_row(
        "SELECT count(*), (SELECT timestamp FROM readings_wide ORDER BY ts DESC LIMIT 1) FROM readings_wide",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(Sound {
        path: path.to_path_buf(),
        bytes: fs::metadata(path)?.len(),
        rows,
        newest_row,
    })
}

/// The first thing that SQLite finds wrong with a store, its indexes held against its tables.
pub(super) fn check(connection: &Connection) -> anyhow::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

pub(super) fn stamp(now_s: i64) -> anyhow::Result<String> {
    Ok(Timestamp::from_second(now_s)?.strftime(STAMP).to_string())
}

pub(super) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    let folder = if folder == Path::new("") {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)?.sync_all()
}
