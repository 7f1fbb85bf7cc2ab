//! What is remembered of export files: positions and rejects.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use anyhow::Context;
use rusqlite::params;

use super::{Store, Synced};
use crate::{
    calendar::Minute,
    historian::{
        files::{FileRecord, Outside},
        fold::{Logging, Tally},
        lines::Reject,
    },
};

impl Store {
    /// Saves a file as it stands.
    pub(super) fn save_file(&mut self, record: &FileRecord) -> anyhow::Result<()> {
        let Outside {
            size,
            mtime_ns,
            inode,
        } = record.outside;
        let discarded = serde_json::to_string(&record.tally.discarded)?;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO ingest_files (id, path, detached, size, mtime_ns, device, inode, position, \
                 lines, hash, head_len, head_hash, kept, discarded, rejected, unended, layout) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                record.id,
                record.path.to_string_lossy(),
                record.detached,
                size as i64,
                mtime_ns,
                inode.0 as i64,
                inode.1 as i64,
                record.offset as i64,
                record.lines as i64,
                record.hash.to_le_bytes(),
                record.head.0 as i64,
                record.head.1.to_le_bytes(),
                record.tally.kept as i64,
                discarded,
                record.tally.rejected as i64,
                record.unended,
                record.layout,
            ])?;
        Ok(())
    }

    /// Saves when the historian ended and began logging.
    pub(super) fn save_logging(
        &mut self,
        events: &BTreeSet<(Minute, Logging)>,
    ) -> anyhow::Result<()> {
        for (minute, event) in events {
            let event = match event {
                Logging::Began => "began",
                Logging::Ended => "ended",
            };
            self.connection
                .prepare_cached("INSERT OR IGNORE INTO logging_events (ts, event) VALUES (?, ?)")?
                .execute((minute * 60, event))?;
        }
        Ok(())
    }

    /// Forgets the rejects of lines that are read again, from a line on.
    pub(super) fn forget_rejects(&mut self, path: &Path, from_line: u64) -> anyhow::Result<()> {
        let path = path.to_string_lossy();
        let ends: (Option<i64>, Option<i64>) = self
            .connection
            .prepare_cached(
                "SELECT min(id), max(id) FROM ingest_rejects WHERE file = ? AND line >= ?",
            )?
            .query_row(params![path, from_line as i64], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let Some((first, last)) = ends.0.zip(ends.1) else {
            return Ok(());
        };
        self.connection
            .prepare_cached("DELETE FROM ingest_rejects WHERE file = ? AND line >= ?")?
            .execute(params![path, from_line as i64])?;
        self.changes.note_range(Synced::Rejects, first, last);
        Ok(())
    }

    /// Saves a reject; reading the same line again replaces it.
    pub(super) fn save_reject(&mut self, path: &Path, reject: &Reject) -> anyhow::Result<()> {
        let id: i64 = self
            .connection
            .prepare_cached(
                "INSERT INTO ingest_rejects (id, file, line, raw, reason, count) \
                 VALUES (coalesce((SELECT max(id) + 1 FROM ingest_rejects), unixepoch()), ?, ?, ?, ?, ?) ON CONFLICT (file, line) \
                 DO UPDATE SET (raw, reason, count) = (excluded.raw, excluded.reason, excluded.count) RETURNING id",
            )?
            .query_row(
                params![path.to_string_lossy(), reject.line as i64, reject.raw, reject.reason, reject.count as i64],
                |row| row.get(0),
            )?;
        self.changes.note(Synced::Rejects, id);
        Ok(())
    }

    /// All files ever read.
    pub fn files(&self) -> anyhow::Result<Vec<FileRecord>> {
        let mut statement = self.connection.prepare(
            "SELECT id, path, detached, size, mtime_ns, device, inode, position, lines, hash, head_len, head_hash, \
             kept, discarded, rejected, unended, layout FROM ingest_files ORDER BY id",
        )?;
        let unsigned = |row: &rusqlite::Row<'_>, column: usize| {
            row.get::<_, i64>(column).map(|value| value as u64)
        };
        let records = statement.query_map([], |row| {
            let discarded: String = row.get(13)?;
            Ok(FileRecord {
                id: row.get(0)?,
                path: PathBuf::from(row.get::<_, String>(1)?),
                detached: row.get(2)?,
                outside: Outside {
                    size: unsigned(row, 3)?,
                    mtime_ns: row.get(4)?,
                    inode: (unsigned(row, 5)?, unsigned(row, 6)?),
                },
                offset: unsigned(row, 7)?,
                lines: unsigned(row, 8)?,
                hash: u128::from_le_bytes(row.get(9)?),
                head: (unsigned(row, 10)?, u128::from_le_bytes(row.get(11)?)),
                tally: Tally {
                    kept: unsigned(row, 12)?,
                    discarded: serde_json::from_str(&discarded).unwrap_or_default(),
                    rejected: unsigned(row, 14)?,
                },
                unended: row.get(15)?,
                layout: row.get(16)?,
            })
        })?;
        records
            .collect::<rusqlite::Result<_>>()
            .context("cannot read which files were read before")
    }
}
