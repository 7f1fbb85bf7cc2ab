//! Another file in a store's place, whatever comes in between: a power cut, or a disk without room.
//!
//! *Invariant.* The store that was there is set aside with its log, never deleted.

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::Context;
use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    backups::{Sound, free_before, stamp, sync_folder, verify},
    lock::lock,
};

/// Why a store was set aside, in its name: it was damaged, or another was put in its place.
pub(super) const DAMAGED: &str = "damaged";
const REPLACED: &str = "replaced";
/// What to do where the daemon must not be running.
pub(super) const STOP_FIRST: &str = "stop that one first: sudo systemctl stop pumphouse";

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

/// The same, or the backup itself, where there is no room for a copy.
pub(super) fn bring_beside(store: &Path, backup: &Path, room: Room) -> anyhow::Result<PathBuf> {
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
pub(super) fn replace(
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
pub(super) fn take_back(store: &Path) -> anyhow::Result<()> {
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
pub(super) fn left(store: &Path) -> Option<Sound> {
    let left = next(store);
    left.exists().then(|| verify(&left).ok()).flatten()
}

/// Clears away what was to take a sound store's place: half a copy goes, and a whole one is a backup like any other.
pub(super) fn clear_left(store: &Path, backups: &Path, now_s: i64) -> anyhow::Result<()> {
    let next = next(store);
    if left(store).is_some() {
        let made = Timestamp::try_from(next.metadata()?.modified()?)?;
        let name = free_before(backups, made.as_second().min(now_s) + 1)?.1;
        if let Err(error) = fs::rename(&next, &name) {
            // Another disk; there it may stay.
            log::debug!(cause = error.to_string(); "a backup beside the store stays there");
        }
    } else if next.exists() {
        fs::remove_file(&next)?;
    }
    Ok(())
}
