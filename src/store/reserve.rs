//! A file beside the store that keeps room on its disk. When the disk is full it is given up at once, so that alerts are
//! still raised and kept while somebody makes room; when there is room again, it is made again.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, ErrorCode};
use rustix::{
    fs::{FallocateFlags, StatVfs, fallocate, statvfs},
    io::Errno,
};

use super::{
    lock::folder_of,
    retention::{Budget, Kept, Settled, Used, pages_bytes, settled},
};

/// The reserve is made when the disk has room for it so many times over: it must not be what fills the disk.
const ROOM_TIMES: u64 = 4;
/// Below this, an I/O error counts as one of a full disk, bytes.
const FULL_BYTES: u64 = 1 << 20;
/// A day of minutes with its tables, bytes: what a store of a year takes a day.
const USUAL_BYTES_A_DAY: f64 = 0.7e6;

/// The reserve of a store.
pub struct Reserve {
    store: PathBuf,
    path: PathBuf,
    bytes: u64,
    /// Given up since it was last made.
    is_used_up: bool,
    /// Why it cannot be made, once that is told.
    trouble: Option<io::ErrorKind>,
}

impl Reserve {
    /// The reserve beside a store, as it stands; of 0 bytes for none.
    pub fn of(store: &Path, bytes: u64) -> Self {
        Self {
            store: store.to_path_buf(),
            path: path(store),
            bytes,
            is_used_up: false,
            trouble: None,
        }
    }

    /// Makes the reserve where it is not there as it should be and there is room. To be called now and then.
    pub fn keep(&mut self) {
        let held = fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        if held == self.bytes {
            return;
        }
        match self.make(held) {
            Ok(false) => {}
            Ok(true) => {
                let reserve_mb = self.bytes >> 20;
                if std::mem::take(&mut self.is_used_up) {
                    log::info!(reserve_mb; "the disk has room again; the reserve is made again");
                }
                self.trouble = None;
            }
            Err(error) => {
                if self.trouble.replace(error.kind()) != Some(error.kind()) {
                    log::warn!(path = self.path.display().to_string(), cause = error.to_string(); "cannot keep a reserve on the disk");
                }
            }
        }
    }

    /// Whether it was made; it is not where the disk has too little room.
    fn make(&self, held: u64) -> io::Result<bool> {
        if held > 0 {
            // Its size in the config has changed, or it was never finished.
            fs::remove_file(&self.path)?;
        }
        if self.bytes == 0 || free_bytes(&self.store)? < self.bytes * ROOM_TIMES {
            return Ok(false);
        }
        let file = File::create(&self.path)?;
        let made = fallocate(&file, FallocateFlags::empty(), 0, self.bytes);
        if let Err(error) = made {
            // Half of it would be taken for the whole.
            fs::remove_file(&self.path)?;
            return match error {
                Errno::NOSPC => Ok(false),
                error => Err(error.into()),
            };
        }
        file.sync_all()?;
        Ok(true)
    }

    /// Gives the reserve up when an error is that of a full disk; whether there is room now that was not there before.
    pub fn give_up(&mut self, error: &anyhow::Error, connection: Option<&Connection>) -> bool {
        if !self.is_of_full_disk(error) || fs::remove_file(&self.path).is_err() {
            return false;
        }
        self.is_used_up = true;
        let outlook = outlook(&self.store, connection).unwrap_or_default();
        log::error!(
            free_mb = outlook.free_bytes >> 20,
            days_left = outlook.days_left;
            "the disk is full; the reserve is given up and lasts for so many days: make room on this disk"
        );
        true
    }

    fn is_of_full_disk(&self, error: &anyhow::Error) -> bool {
        error.chain().any(|cause| {
            let sqlite = cause
                .downcast_ref::<rusqlite::Error>()
                .and_then(rusqlite::Error::sqlite_error_code);
            match sqlite {
                Some(ErrorCode::DiskFull) => true,
                // Where the shared memory beside the store cannot grow, SQLite says no more than this.
                Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
                    free_bytes(&self.store).is_ok_and(|free| free < FULL_BYTES)
                }
                _ => cause
                    .downcast_ref::<io::Error>()
                    .is_some_and(|error| error.kind() == io::ErrorKind::StorageFull),
            }
        })
    }
}

fn path(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(".reserve");
    name.into()
}

/// How long the disk still holds what comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outlook {
    /// Room on the store's disk, without the reserve.
    pub free_bytes: u64,
    /// Days until it is full. What a day takes is taken from the store, or, with less than a day of rows, from the usual.
    pub days_left: u64,
    /// The reserve, bytes; 0 when it is used up, and before the daemon's first start.
    pub reserve_bytes: u64,
    /// The store with its write-ahead log, bytes.
    pub store_bytes: u64,
    /// What of it the budget counts: neither the log nor room that comes free, bytes.
    pub counted_bytes: u64,
    /// What has gone to keep the budget.
    pub settled: Option<Settled>,
    /// How much of the disk is in use, by whomever.
    pub used: Used,
}

impl Outlook {
    /// Whether the disk has no room for the reserve that is asked for: it is used up, or was never made.
    pub fn lacks_reserve(&self, bytes: u64) -> bool {
        self.reserve_bytes < bytes && self.free_bytes < bytes * ROOM_TIMES
    }

    /// Whether the store or its disk is beyond the budget, so that minutes go or should.
    pub fn is_beyond(&self, budget: &Budget) -> bool {
        budget.looked_at(self.counted_bytes, self.used) != Some(Kept::Everything)
    }
}

/// How long the disk of a store still holds what comes.
pub fn outlook(store: &Path, connection: Option<&Connection>) -> anyhow::Result<Outlook> {
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let days: f64 = match connection {
        Some(connection) => {
            // From the first row to the last: counting them all would take as long as reading them.
            let sql = "SELECT coalesce(((SELECT max(ts) FROM readings_wide) - (SELECT min(ts) FROM readings_wide)) / 86400.0, 0.0)";
            connection.query_row(sql, [], |row| row.get(0))?
        }
        None => 0.0,
    };
    let log = PathBuf::from(format!("{}-wal", store.display()));
    let store_bytes = size(store) + size(&log);
    let bytes_a_day = if days >= 1.0 {
        store_bytes as f64 / days
    } else {
        USUAL_BYTES_A_DAY
    };
    let free_bytes = free_bytes(store)?;
    Ok(Outlook {
        free_bytes,
        days_left: (free_bytes as f64 / bytes_a_day.max(1.0)) as u64,
        reserve_bytes: size(&path(store)),
        store_bytes,
        counted_bytes: match connection {
            Some(connection) => pages_bytes(connection)?.1,
            None => store_bytes,
        },
        settled: connection.and_then(|connection| settled(connection).ok().flatten()),
        used: Used::of(store)?,
    })
}

pub(super) fn free_bytes(store: &Path) -> io::Result<u64> {
    let disk = disk(store)?;
    Ok(disk.f_bavail * disk.f_frsize)
}

/// The disk of a store.
pub(super) fn disk(store: &Path) -> io::Result<StatVfs> {
    Ok(statvfs(folder_of(store))?)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    fn full() -> anyhow::Error {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        anyhow::Error::from(full).context("cannot store what was read")
    }

    #[test]
    fn is_made_given_up_once_for_a_full_disk_only_and_made_again() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = folder.path().join("store.db");
        let held = || outlook(&store, None).expect("a disk").reserve_bytes;
        let mut reserve = Reserve::of(&store, 1 << 20);
        reserve.keep();
        assert_eq!(held(), 1 << 20);
        assert!(!reserve.give_up(&anyhow!("a constraint"), None));
        assert!(reserve.give_up(&full(), None));
        assert_eq!(held(), 0);
        assert!(!reserve.give_up(&full(), None));
        reserve.keep();
        assert_eq!(held(), 1 << 20);
        // Another size, and none.
        Reserve::of(&store, 2 << 20).keep();
        assert_eq!(held(), 2 << 20);
        Reserve::of(&store, 0).keep();
        assert_eq!(held(), 0);
    }

    #[test]
    fn is_not_made_where_it_would_fill_the_disk() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = folder.path().join("store.db");
        let free = free_bytes(&store).expect("a disk");
        Reserve::of(&store, free / 2).keep();
        assert_eq!(outlook(&store, None).expect("a disk").reserve_bytes, 0);
    }
}
