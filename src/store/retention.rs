//! How long raw minutes stay: for as long as the disk's budget allows. Beyond it the oldest go, a day at a time; alerts, sessions,
//! hours, days and plans that were made of them stay for ever. Where the disk is full, old backups on it go first.
//!
//! *Invariants.* No minute goes that the central office has yet to take, has refused, or would lack again were it restored from a
//! backup: as long as the change log has it. And none of the newest [`KEPT_MIN`]. What stays begins at a checkpoint, so that every
//! minute of it can be derived once more. A minute from before that is not taken in again: with its neighbours gone it would be
//! derived otherwise than it was.

use std::{
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, backups, changes::Synced, reserve::disk};
use crate::{
    calendar::{DAY_MIN, Minute},
    plant::Plant,
    station::{Effects, Station},
};

/// The newest minutes, which never go: a season of what forecasts, advice and savings are learnt from.
pub const KEPT_MIN: i64 = 90 * DAY_MIN;
/// How far back anything reaches that is derived from minutes, with room: a day's health looks at the weeks before it.
const REACH_MIN: i64 = 35 * DAY_MIN;
/// Backups on the store's disk that do not go for want of room there.
const BACKUPS_KEPT_MIN: usize = 2;
/// Pages given back to the disk at once: some milliseconds.
const PAGES_AT_ONCE: u32 = 2000;
/// Rows read at once.
const PAGE_ROWS: usize = 512;

/// How much of the disk the store may take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// The most that the store may take, bytes; `None` where only the disk's size limits it.
    pub store_bytes: Option<u64>,
    /// The most of the disk that may be in use, whoever uses it, %.
    pub disk_used_max_pct: f64,
}

/// Where the store stands with its budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// Within.
    Everything,
    /// So many of the oldest minutes went.
    Purged(u64),
    /// The oldest of the backups on the same disk went.
    Backup,
    /// Beyond, and nothing may go: the rest is too new.
    Newest,
    /// Beyond, and nothing goes: others fill the disk, by more than all of the store.
    Others,
    /// Beyond, and nothing may go: the central office does not have the oldest minutes, or not for long.
    Unsent,
}

/// What has gone so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settled {
    /// From this minute on, everything is there and can be derived once more.
    pub from: Minute,
    /// Minutes that went.
    pub purged_rows: u64,
    level_max: Option<f64>,
}

/// What has gone so far; `None` for nothing.
pub fn settled(connection: &Connection) -> rusqlite::Result<Option<Settled>> {
    connection
        .prepare_cached("SELECT settled_ts, purged_rows, level_max FROM retention")?
        .query_row([], |row| {
            Ok(Settled {
                from: row.get::<_, i64>(0)? / 60,
                purged_rows: row.get::<_, i64>(1)? as u64,
                level_max: row.get(2)?,
            })
        })
        .optional()
}

/// How much of a disk is in use, as `df` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// In use, bytes.
    pub bytes: f64,
    /// In use or free for us, bytes.
    pub of_bytes: f64,
}

impl Used {
    /// Of the disk that a store is on.
    pub(super) fn of(store: &Path) -> io::Result<Self> {
        let disk = disk(store)?;
        let block = disk.f_frsize as f64;
        let bytes = (disk.f_blocks - disk.f_bfree) as f64 * block;
        Ok(Self {
            bytes,
            of_bytes: (bytes + disk.f_bavail as f64 * block).max(1.0),
        })
    }

    /// The same, %.
    pub fn pct(&self) -> f64 {
        100.0 * self.bytes / self.of_bytes
    }

    /// How much more that is than a share of the disk, bytes.
    fn beyond(&self, most_pct: f64) -> f64 {
        self.bytes - self.of_bytes * most_pct / 100.0
    }
}

impl Budget {
    /// Whether a store of so many bytes on such a disk is beyond it; what is so: [`Kept::Everything`] when it is not, `None` when
    /// minutes have to go. Where others fill the disk by more than the store takes, it would not help if they all went.
    pub(super) fn looked_at(&self, store_bytes: u64, used: Used) -> Option<Kept> {
        if self.store_bytes.is_some_and(|most| store_bytes > most) {
            return None;
        }
        let beyond = used.beyond(self.disk_used_max_pct);
        if beyond <= 0.0 {
            Some(Kept::Everything)
        } else if beyond > store_bytes as f64 {
            Some(Kept::Others)
        } else {
            None
        }
    }
}

/// What the pages of a store take, and what of it holds anything: this is what the budget counts, bytes.
pub(super) fn pages_bytes(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let number = |pragma: &str| -> rusqlite::Result<i64> {
        connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
    };
    let (pages, free, bytes) = (
        number("page_count")?,
        number("freelist_count")?,
        number("page_size")?,
    );
    Ok(((pages * bytes) as u64, ((pages - free) * bytes) as u64))
}

impl Store {
    /// Looks whether the store keeps its budget; if not, the oldest day of minutes goes, and its room back to the disk, or where the
    /// disk is full the oldest backup in a folder beside the store. Nothing may be waiting for a commit. `has_office` says whether there
    /// is a central office to wait for.
    pub fn keep_budget(
        &mut self,
        budget: &Budget,
        backups: Option<&Path>,
        has_office: bool,
    ) -> anyhow::Result<Kept> {
        let (kept, used) = self.look_at(budget)?;
        let beyond = used.beyond(budget.disk_used_max_pct);
        if let Some(backups) = backups
            && beyond > 0.0
        {
            match self.gives_up_a_backup(backups, beyond) {
                Ok(true) => return Ok(Kept::Backup),
                Ok(false) => {}
                // Then minutes have to.
                Err(error) => {
                    log::debug!(cause = format!("{error:#}"); "an old backup cannot go");
                }
            }
        }
        if let Some(kept) = kept {
            return Ok(kept);
        }
        self.begin()?;
        let kept = self.purge_oldest(has_office)?;
        let mut vacuum = self
            .connection
            .prepare(&format!("PRAGMA incremental_vacuum({PAGES_AT_ONCE})"))?;
        let mut pages = vacuum.query([])?;
        while pages.next()?.is_some() {}
        drop(pages);
        drop(vacuum);
        self.commit()?;
        self.give_back()?;
        Ok(kept)
    }

    /// Gives room back to the disk: the file shrinks only by this. It waits for nobody, and where somebody still reads, the next
    /// look does it.
    fn give_back(&self) -> rusqlite::Result<()> {
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
    }

    /// The store's file.
    fn path(&self) -> &Path {
        Path::new(self.connection.path().unwrap_or_default())
    }

    /// Removes the oldest of more backups than a full disk keeps; whether there was one, and it helps that they go: as with minutes, not
    /// where others fill the disk by more.
    fn gives_up_a_backup(&self, folder: &Path, beyond: f64) -> anyhow::Result<bool> {
        let path = self.path();
        let mut old: Vec<PathBuf> = backups::list(folder)
            .into_iter()
            .skip(BACKUPS_KEPT_MIN)
            .collect();
        let bytes = |path: &PathBuf| path.metadata().map_or(0, |metadata| metadata.len());
        let given_back = old.iter().map(bytes).sum::<u64>() + path.metadata()?.len();
        let Some(oldest) = old.pop() else {
            return Ok(false);
        };
        if folder.metadata()?.dev() != path.metadata()?.dev() || beyond > given_back as f64 {
            return Ok(false);
        }
        let backup = backups::remove(oldest)?.display().to_string();
        log::warn!(backup; "the disk is full: the oldest backup is gone");
        Ok(true)
    }

    /// How it stands with the budget, as [`Budget::looked_at`] has it, and the disk.
    fn look_at(&self, budget: &Budget) -> anyhow::Result<(Option<Kept>, Used)> {
        let (pages_bytes, store_bytes) = pages_bytes(&self.connection)?;
        let path = self.path();
        let mut used = Used::of(path)?;
        // What has gone already, and the file gives back when nobody reads any more.
        let given_back = path.metadata()?.len() as f64 - pages_bytes as f64;
        if given_back > 0.0 {
            used.bytes -= given_back;
            self.give_back()?;
        }
        Ok((budget.looked_at(store_bytes, used), used))
    }

    fn purge_oldest(&mut self, has_office: bool) -> anyhow::Result<Kept> {
        let ends: (Option<i64>, Option<i64>) = self.connection.query_row(
            "SELECT (SELECT min(ts) FROM readings_wide), (SELECT max(ts) FROM readings_wide)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let (Some(oldest), Some(newest)) = ends else {
            return Ok(Kept::Newest);
        };
        let end: Option<i64> = self.connection.query_row(
            "SELECT min(before_ts) FROM checkpoints WHERE before_ts >= ?",
            [oldest + DAY_MIN * 60],
            |row| row.get(0),
        )?;
        let Some(end) = end.filter(|end| *end <= newest - KEPT_MIN * 60) else {
            return Ok(Kept::Newest);
        };
        if has_office {
            self.changes.flush(&self.connection)?;
            let is_unsent: bool = self.connection.query_row(
                "SELECT EXISTS (SELECT 1 FROM changes WHERE tbl = ?1 AND first < ?2) \
                 OR EXISTS (SELECT 1 FROM central_refused WHERE tbl = ?1 AND range_key < ?2)",
                params![Synced::Readings.name(), end],
                |row| row.get(0),
            )?;
            if is_unsent {
                return Ok(Kept::Unsent);
            }
        }
        let level_max: Option<f64> = self.connection.query_row(
            "SELECT max(hlt101_output) FROM readings_wide WHERE ts < ? AND hlt_pct IS NOT NULL",
            [end],
            |row| row.get(0),
        )?;
        let rows = self
            .connection
            .execute("DELETE FROM readings_wide WHERE ts < ?", [end])? as u64;
        self.connection
            .execute("DELETE FROM reading_stamps WHERE ts < ?", [end])?;
        self.connection
            .execute("DELETE FROM checkpoints WHERE before_ts < ?", [end])?;
        let before = settled(&self.connection)?;
        let settled_from = before.map_or(end, |before| end.max(before.from * 60));
        self.connection.execute(
            "INSERT OR REPLACE INTO retention (id, settled_ts, purged_rows, level_max) VALUES (1, ?, ?, ?)",
            params![
                settled_from,
                (before.map_or(0, |before| before.purged_rows) + rows) as i64,
                before
                    .and_then(|before| before.level_max)
                    .into_iter()
                    .chain(level_max)
                    .reduce(f64::max)
            ],
        )?;
        Ok(Kept::Purged(rows))
    }

    /// The station as what is left of the minutes makes it, and the minute from which it can be believed as much as if all were
    /// there; what lies before that stands as it is. Without anything purged that is the beginning.
    pub(super) fn start_over(&mut self, plant: &Plant) -> anyhow::Result<(Minute, Station)> {
        let Some(settled) = settled(&self.connection)? else {
            return Ok((Minute::MIN, Station::new(plant)));
        };
        let mut station = Station::reaching(plant, settled.level_max.unwrap_or(0.0));
        let mut effects = Effects::default();
        let mut from = settled.from;
        loop {
            let page = self.page(from, PAGE_ROWS)?;
            for stored in &page {
                station.row(plant, &stored.reading, &mut effects);
                let checkpoint = effects
                    .checkpoints
                    .iter()
                    .find(|checkpoint| checkpoint.before >= settled.from + REACH_MIN);
                if let Some(checkpoint) = checkpoint {
                    let before = checkpoint.before;
                    let restored = Station::restore(plant, &checkpoint.state);
                    self.write_checkpoints(std::slice::from_ref(checkpoint))?;
                    self.settle_from(before)?;
                    return Ok((before, restored.unwrap_or(station)));
                }
                effects = Effects::default();
            }
            match page.last() {
                Some(last) => from = last.reading.minute + 1,
                None => break,
            }
        }
        self.settle_from(from)?;
        Ok((from, station))
    }

    fn settle_from(&self, minute: Minute) -> anyhow::Result<()> {
        self.connection
            .execute("UPDATE retention SET settled_ts = ?", [minute * 60])?;
        Ok(())
    }

    /// The minute before which none is taken in again.
    pub(super) fn settled_from(&self) -> anyhow::Result<Minute> {
        Ok(settled(&self.connection)?.map_or(Minute::MIN, |settled| settled.from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::reserve::outlook;

    #[test]
    fn minutes_go_only_where_that_helps() {
        let budget = Budget {
            store_bytes: Some(500),
            disk_used_max_pct: 95.0,
        };
        let looked_at = |store_bytes, bytes| {
            let of_bytes = 10_000.0;
            budget.looked_at(store_bytes, Used { bytes, of_bytes })
        };
        assert_eq!(looked_at(400, 9_500.0), Some(Kept::Everything));
        assert_eq!(looked_at(400, 9_501.0), None);
        assert_eq!(looked_at(400, 9_900.0), None);
        assert_eq!(looked_at(400, 9_901.0), Some(Kept::Others));
        assert_eq!(looked_at(501, 9_901.0), None, "its own limit is its own");
    }

    /// Whatever has gone, the minute that waits for a commit waits for one piece.
    #[test]
    fn room_goes_back_to_the_disk_piece_by_piece() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let mut store = Store::open(&path, None).expect("a store");
        store
            .connection
            .execute_batch(
                "CREATE TABLE heap (bytes); INSERT INTO heap VALUES (zeroblob(20000000)); DROP TABLE heap",
            )
            .expect("room that has gone");
        let budget = |store_bytes| Budget {
            store_bytes: Some(store_bytes),
            disk_used_max_pct: 100.0,
        };
        // What has gone already is not what the budget counts, nor is the log.
        let outlook = outlook(&path, Some(&store.connection)).expect("a disk");
        assert!(outlook.store_bytes > 20_000_000 && !outlook.is_beyond(&budget(5_000_000)));
        let mut free = Vec::new();
        while free.last() != Some(&0) {
            let sql = "PRAGMA freelist_count";
            let pages = store.connection.query_row(sql, [], |row| row.get(0));
            free.push(pages.expect("counted"));
            let kept = store.keep_budget(&budget(0), None, false);
            kept.expect("looked at");
        }
        assert!(free.len() > 3, "{free:?}");
        let pieces: Vec<u32> = free.windows(2).map(|pair| pair[0] - pair[1]).collect();
        assert!(
            pieces.iter().all(|&pages| pages <= PAGES_AT_ONCE),
            "{free:?}"
        );
    }
}
