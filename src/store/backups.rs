//! Copies of the store: made while it is in use, proven before they count, put back where the store is damaged.
//!
//! *Invariants.* A backup carries its name only once it is whole, on the disk and found sound. Names are in the order in which backups
//! were made, whatever the clock was. A damaged store is set aside, never
//! deleted. What a backup lacks of the exports is read again by itself, since positions and rows lie in the same file.

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context, bail, ensure};
use jiff::{SignedDuration, Timestamp, civil::DateTime};
use rusqlite::{Connection, ErrorCode, ffi};
use serde::Serialize;

use super::{
    APPLICATION_ID, MIGRATIONS, Store,
    lock::{lock, refuse_root},
    make_private, open_read_only,
    reserve::{free_bytes, outlook},
};

/// What the files are called, about the time they were made.
const NAME: (&str, &str) = ("pumphouse-", ".db");
/// That time, UTC.
const STAMP: &str = "%Y%m%dT%H%M%SZ";
/// Room that a backup leaves on its disk: it must not be what stops the daemon, bytes.
const ROOM_LEFT_BYTES: u64 = 256 << 20;
/// Why a store was set aside, in its name: it was damaged, or another was put in its place.
const DAMAGED: &str = "damaged";
const REPLACED: &str = "replaced";
/// What to do where the daemon must not be running.
const STOP_FIRST: &str = "stop that one first: sudo systemctl stop pumphouse";
/// Bytes read at once.
const READ_BYTES: usize = 1 << 20;

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

/// What a damaged store had beyond the backup in its place. `None`: it cannot be read any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// What operators did to alarms, in order.
    pub actions: Option<Vec<Action>>,
    /// Minutes of exports, which come back as far as the exports are still there.
    pub exported: Option<Exported>,
    /// Minutes polled from the PLC.
    pub polled_rows: Option<i64>,
    /// Forecasts made.
    pub forecasts: Option<i64>,
    /// Schedules advised.
    pub plans: Option<i64>,
}

/// Minutes of exports that a store had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Behind this time, UTC seconds.
    pub after_s: i64,
    /// Up to this one.
    pub upto_s: i64,
    /// How many.
    pub rows: i64,
}

impl Exported {
    /// Those that a store has behind a time.
    fn behind(connection: &Connection, after_s: i64) -> rusqlite::Result<Self> {
        let upto_s: Option<i64> =
            connection.query_row("SELECT max(ts) FROM readings_wide", [], |row| row.get(0))?;
        let all = Self {
            after_s,
            upto_s: upto_s.unwrap_or(after_s),
            rows: 0,
        };
        Ok(Self {
            rows: all.rows_in(connection)?,
            ..all
        })
    }

    /// How many minutes of this time a store has.
    fn rows_in(&self, connection: &Connection) -> rusqlite::Result<i64> {
        let sql =
            "SELECT count(*) FROM readings_wide WHERE ts > ? AND ts <= ? AND source = 'historian'";
        connection.query_row(sql, [self.after_s, self.upto_s], |row| row.get(0))
    }
}

impl Store {
    /// How many of these minutes are not here.
    pub fn lacks_of(&mut self, exported: &Exported) -> anyhow::Result<i64> {
        Ok(exported.rows - exported.rows_in(&self.connection)?)
    }
}

/// What an operator did to an alarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Action {
    /// The minute it is about, on the plant's wall clock.
    pub timestamp: String,
    /// Who.
    pub operator: String,
    /// What: `acknowledged`, `shelved` and so on.
    pub action: String,
    /// The occurrence.
    pub alert: String,
}

/// A store that was damaged and is usable again.
#[derive(Clone, Debug)]
pub struct Healed {
    /// What was wrong.
    pub damage: String,
    /// Where the damaged store is now; `None` where there was none.
    pub aside: Option<PathBuf>,
    /// The backup in its place; without one the store begins anew.
    pub backup: Option<Sound>,
    /// What is gone.
    pub lost: Lost,
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
        fs::rename(backup, &free.1)?;
        before_s = free.0;
    }
    Ok(())
}

/// The last second before a time that no backup in a folder has for a name, and that name.
fn free_before(folder: &Path, at_s: i64) -> anyhow::Result<(i64, PathBuf)> {
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
            "cannot write into {folder}, which the user pumphouse must own, and which pumphouse-backup.service must name in a drop-in \
             (sudo systemctl edit pumphouse-backup: [Service], ReadWritePaths=-{folder})"
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

/// Puts a copy of a sound store in a store's place; where the store that was there is now. Nobody may be writing to it.
pub fn put_back(store: &Path, backup: &Sound, now_s: i64) -> anyhow::Result<Option<PathBuf>> {
    let _lock = lock(store, STOP_FIRST)?;
    // All of it in one file, so that it can be put back, too. A damaged store cannot do that.
    if let Ok(connection) = Connection::open(store) {
        let _ = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
    }
    let next = copy_beside(store, &backup.path)?;
    replace(store, Some(&next), REPLACED, now_s)
}

fn beside(store: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", store.display()))
}

/// The file that is to take a store's place.
fn next(store: &Path) -> PathBuf {
    beside(store, ".part")
}

/// Copies a backup to where it can take a store's place.
fn copy_beside(store: &Path, backup: &Path) -> anyhow::Result<PathBuf> {
    let next = next(store);
    let copy = || -> io::Result<()> {
        fs::copy(backup, &next)?;
        fs::set_permissions(&next, Permissions::from_mode(0o600))?;
        let copy = File::options().write(true).open(&next)?;
        // As old as it is: were this interrupted, it would be a backup of that time again.
        copy.set_modified(backup.metadata()?.modified()?)?;
        copy.sync_all()
    };
    copy()
        .inspect_err(|_| {
            // Half a copy would only take room; it may not even have been begun.
            let _ = fs::remove_file(&next);
        })
        .with_context(|| format!("cannot copy {}", backup.display()))?;
    Ok(next)
}

/// What a disk has room for when a store is mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// A copy of the backup; without it nothing is mended.
    ForACopy,
    /// Perhaps not that: then the backup itself becomes the store.
    ForNothing,
}

/// Whether an error says that a file did not fit on its disk.
pub fn is_no_room(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref().map(io::Error::kind);
    matches!(
        kind,
        Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
    )
}

/// The same, or the backup itself, where there is no room for a copy.
fn bring_beside(store: &Path, backup: &Path, room: Room) -> anyhow::Result<PathBuf> {
    if backup == next(store) {
        return Ok(backup.to_path_buf());
    }
    copy_beside(store, backup).or_else(|error| {
        if room == Room::ForACopy || !is_no_room(&error) {
            return Err(error);
        }
        let next = next(store);
        fs::rename(backup, &next).map_err(|_| error)?;
        log::warn!(backup = backup.display().to_string(); "the disk has no room for a copy of the backup, so the backup itself becomes the store");
        Ok(next)
    })
}

/// Sets a store aside and puts another beside it in its place, or none.
fn replace(
    store: &Path,
    by: Option<&Path>,
    why: &str,
    now_s: i64,
) -> anyhow::Result<Option<PathBuf>> {
    let aside = free_name(&beside(store, &format!(".{why}-{}", stamp(now_s)?)));
    let had_store = store.exists();
    // The store has both names until the end, so that [`take_back`] knows it after a power cut in between. A disk without links
    // cannot do that.
    let has_both = had_store && fs::hard_link(store, &aside).is_ok();
    // Left beside another store, the log would be taken for that one's.
    move_log(store, &aside)?;
    if had_store && !has_both {
        fs::rename(store, &aside)
            .with_context(|| format!("cannot set {} aside", store.display()))?;
    }
    if let Some(by) = by {
        fs::rename(by, store)?;
    } else if has_both {
        fs::remove_file(store)?;
    }
    sync_folder(store.parent().unwrap_or(Path::new("")))?;
    Ok(had_store.then_some(aside))
}

/// A name that nothing has: a clock that starts at the same time again and again gives the same twice.
fn free_name(name: &Path) -> PathBuf {
    let (mut free, mut number) = (name.to_path_buf(), 1);
    while free.exists() {
        number += 1;
        free = PathBuf::from(format!("{}-{number}", name.display()));
    }
    free
}

/// Undoes a [`replace`] that a power cut ended half way: what was set aside is the store, with its log.
fn take_back(store: &Path) -> anyhow::Result<()> {
    let is = fs::metadata(store)?;
    if is.nlink() == 1 {
        return Ok(());
    }
    let folder = store.parent().filter(|folder| *folder != Path::new(""));
    for entry in fs::read_dir(folder.unwrap_or(Path::new(".")))? {
        let aside = store.with_file_name(entry?.file_name());
        let was_set_aside = [DAMAGED, REPLACED].iter().any(|why| {
            let begins = format!("{}.{why}-", store.display());
            aside.display().to_string().starts_with(&begins)
        });
        let is_store = fs::symlink_metadata(&aside)
            .is_ok_and(|it| (it.dev(), it.ino()) == (is.dev(), is.ino()));
        if was_set_aside && is_store {
            move_log(&aside, store)?;
            fs::remove_file(&aside)?;
        }
    }
    Ok(())
}

/// Gives a store's log to the store by another name.
fn move_log(store: &Path, to: &Path) -> anyhow::Result<()> {
    for ending in ["-wal", "-shm"] {
        let log = beside(store, ending);
        if log.exists() {
            fs::rename(&log, beside(to, ending))
                .with_context(|| format!("cannot move {}", log.display()))?;
        }
    }
    Ok(())
}

/// What was to take a store's place when a power cut came, if that is sound.
fn left(store: &Path) -> Option<Sound> {
    let left = next(store);
    left.exists().then(|| verify(&left).ok()).flatten()
}

/// Clears away what was to take a sound store's place: half a copy goes, and a whole one is a backup like any other.
fn clear_left(store: &Path, backups: &Path, now_s: i64) -> anyhow::Result<()> {
    let next = next(store);
    if left(store).is_some() {
        let made_s = now_s - age(&next)?.as_secs();
        let name = free_before(backups, made_s + 1)?.1;
        if let Err(error) = fs::rename(&next, &name) {
            // Another disk; there it may stay.
            log::debug!(cause = error.to_string(); "a backup beside the store stays there");
        }
    } else if next.exists() {
        fs::remove_file(&next)?;
    }
    Ok(())
}

/// Looks at a store as a whole before it is used; a damaged one is replaced by the newest sound backup, and so is one that is gone or
/// empty though there are backups of it. `None` when it is sound, or new.
pub fn heal(
    store: &Path,
    backups: &Path,
    room: Room,
    now_s: i64,
) -> anyhow::Result<Option<Healed>> {
    let is_there = store.exists();
    let left_over = left(store);
    if !is_there && left_over.is_none() && list(backups).is_empty() {
        return Ok(None);
    }
    let lock = lock(store, STOP_FIRST)?;
    if let (false, Some(left)) = (is_there, &left_over) {
        // On a disk without links a power cut can come between the two.
        fs::rename(&left.path, store)?;
        log::warn!(newest = left.newest_row.clone().unwrap_or_default(); "the replacement of a store that was interrupted is finished");
        return Ok(None);
    }
    if is_there {
        take_back(store)?;
    }
    let damage = damage_of(store, !list(backups).is_empty())?;
    let Some(damage) = damage else {
        clear_left(store, backups, now_s)?;
        return Ok(None);
    };
    let backup = list(backups).iter().find_map(|path| match verify(path) {
        Ok(sound) => Some(sound),
        Err(error) => {
            log::warn!(backup = path.display().to_string(), cause = format!("{error:#}"); "a backup cannot be used");
            None
        }
    });
    // After a power cut in the midst of this, the newest backup may lie where it was going.
    let backup = left_over.into_iter().chain(backup).reduce(|left, backup| {
        if left.newest_row >= backup.newest_row {
            left
        } else {
            backup
        }
    });
    let by = backup.as_ref().map(|backup| backup.path.as_path());
    // Before it is replaced, so that a power cut between that and the word of it is next to impossible.
    let lost = lost(store, by);
    let next = by.map(|by| bring_beside(store, by, room)).transpose()?;
    let aside = replace(store, next.as_deref(), DAMAGED, now_s)?;
    drop(lock);
    Ok(Some(Healed {
        damage,
        aside,
        backup,
        lost,
    }))
}

/// What is wrong with a store's file, if anything is. Where it had a backup it cannot be new.
fn damage_of(store: &Path, had_backup: bool) -> anyhow::Result<Option<String>> {
    if !store.exists() {
        return Ok(Some("it is gone".into()));
    }
    // The check goes through the file in the order of its trees; read once from front to back, it is at hand.
    let mut file = std::io::BufReader::with_capacity(READ_BYTES, File::open(store)?);
    if let Err(error) = std::io::copy(&mut file, &mut std::io::sink()) {
        return Ok(Some(format!("it cannot be read: {error}")));
    }
    let looked = Connection::open(store)
        .map_err(anyhow::Error::from)
        .and_then(|connection| {
            if had_backup && is_empty(&connection)? {
                return Ok(Some("it is empty".into()));
            }
            check(&connection)
        });
    match looked {
        Err(error) if is_damage(&error) => Ok(Some(format!("{error:#}"))),
        looked => looked.with_context(|| format!("cannot check the store {}", store.display())),
    }
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) = 0 FROM sqlite_schema";
    connection.query_row(sql, [], |row| row.get(0))
}

/// The first thing that SQLite finds wrong with a store, its indexes held against its tables.
fn check(connection: &Connection) -> anyhow::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Whether an error says that the store's file is damaged, or that its disk cannot read it any more.
pub fn is_damage(error: &anyhow::Error) -> bool {
    const UNREADABLE: [i32; 3] = [
        ffi::SQLITE_IOERR_READ,
        ffi::SQLITE_IOERR_DATA,
        ffi::SQLITE_IOERR_CORRUPTFS,
    ];
    error.chain().any(|cause| {
        let failure = cause
            .downcast_ref::<rusqlite::Error>()
            .and_then(rusqlite::Error::sqlite_error);
        failure.is_some_and(|it| {
            UNREADABLE.contains(&it.extended_code)
                || matches!(
                    it.code,
                    ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
                )
        })
    })
}

/// The same damage, to be told of a second time.
pub(crate) fn damage(error: &anyhow::Error) -> anyhow::Error {
    let code = ffi::Error::new(ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, Some(format!("{error:#}"))).into()
}

/// What a damaged store shows beyond a backup.
fn lost(store: &Path, backup: Option<&Path>) -> Lost {
    let damaged = open_read_only(store).ok();
    // Rows are only ever added to these, in the order of time. What lies before is not looked at: the damage may be there.
    let newest = |table: &str, key: &str| -> Option<i64> {
        let Some(backup) = backup else {
            return Some(0);
        };
        let sql = format!("SELECT coalesce(max({key}), 0) FROM {table}");
        let connection = open_read_only(backup).ok()?;
        connection.query_row(&sql, [], |row| row.get(0)).ok()
    };
    let beyond = |table: &str, which: &str| -> Option<i64> {
        let sql = format!("SELECT count(*) FROM {table} WHERE ts > ? AND {which}");
        let connection = damaged.as_ref()?;
        connection
            .query_row(&sql, [newest(table, "ts")?], |row| row.get(0))
            .ok()
    };
    let actions = || -> Option<Vec<Action>> {
        let mut statement = damaged
            .as_ref()?
            .prepare(
                "SELECT timestamp, operator, action, alert FROM alert_journal \
                 WHERE id > ? AND operator IS NOT NULL ORDER BY id",
            )
            .ok()?;
        let actions = statement.query_map([newest("alert_journal", "id")?], |row| {
            Ok(Action {
                timestamp: row.get(0)?,
                operator: row.get(1)?,
                action: row.get(2)?,
                alert: row.get(3)?,
            })
        });
        actions.ok()?.collect::<rusqlite::Result<_>>().ok()
    };
    let exported = || Exported::behind(damaged.as_ref()?, newest("readings_wide", "ts")?).ok();
    Lost {
        actions: actions(),
        exported: exported(),
        polled_rows: beyond("readings_wide", "source <> 'historian'"),
        forecasts: beyond("predictions", "1"),
        plans: beyond("optimization_runs", "1"),
    }
}

fn stamp(now_s: i64) -> anyhow::Result<String> {
    Ok(Timestamp::from_second(now_s)?.strftime(STAMP).to_string())
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    let folder = if folder == Path::new("") {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full disk is no damage, and neither is one that cannot be written to; what cannot be read any more is.
    #[test]
    fn what_the_disk_cannot_read_is_damage() {
        let is_damage = |code| {
            let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            is_damage(&anyhow::Error::from(failure).context("cannot store what was read"))
        };
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_IOERR_READ,
            ffi::SQLITE_IOERR_CORRUPTFS,
        ] {
            assert!(is_damage(code), "{code}");
        }
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_FSYNC,
        ] {
            assert!(!is_damage(code), "{code}");
        }
    }
}
