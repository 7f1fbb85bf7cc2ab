//! The change log: which rows the central office has yet to take, written in the transaction that changes them.
//!
//! An entry is a range of one table's keys. A day of minutes is one entry, a row that was deleted lies in a range like any
//! other, and sending an entry twice, late or merged with its neighbours ends in the same rows: the central office is given
//! the range as it now stands. *Invariant.* Sequence numbers are never used twice, so that what the central office has
//! confirmed cannot be confused with what came after.

use std::collections::HashMap;

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, look::series::sum_up, ranges::Ranges, troubles::Part};

/// Ranges of a table that one transaction may leave; more are joined.
const RANGES_MAX: usize = 16;
/// How long entries are kept once the central office has taken them, s: restored from a backup as old as this, it gets exactly what
/// it lacks.
const KEPT_S: i64 = 35 * 86_400;
/// As how long a silence of the central office counts at most, s: without one, a clock that is far ahead for one confirmation would
/// take everything that is kept.
const SILENCE_MAX_S: i64 = 7 * 86_400;

/// A table that the central office takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Synced {
    /// `readings_wide`
    Readings,
    /// `pump_sessions`
    Sessions,
    /// `hourly_profile`
    Hours,
    /// `daily_summary`
    Days,
    /// `pump_health`
    Health,
    /// `alerts_log`
    Alerts,
    /// `alerts_suppressed`
    Suppressed,
    /// `alert_journal`
    Journal,
    /// `ingest_rejects`
    Rejects,
    /// `predictions`
    Predictions,
    /// `model_performance`
    Performance,
    /// `pump_expectation`
    Expectation,
    /// `optimization_runs`
    Runs,
    /// `savings_daily`
    Savings,
}

/// What a table's change log keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// UTC seconds on the full minute, in this column.
    Minute(&'static str),
    /// Days since 1970 of the column `date`.
    Day,
    /// The column `id`.
    Id,
}

impl Synced {
    /// All of them, in the order in which they are sent.
    pub const ALL: [Self; 14] = [
        Self::Readings,
        Self::Sessions,
        Self::Hours,
        Self::Days,
        Self::Health,
        Self::Alerts,
        Self::Suppressed,
        Self::Journal,
        Self::Rejects,
        Self::Predictions,
        Self::Performance,
        Self::Expectation,
        Self::Runs,
        Self::Savings,
    ];

    /// Its name, on the box and at the central office.
    pub fn name(self) -> &'static str {
        match self {
            Self::Readings => "readings_wide",
            Self::Sessions => "pump_sessions",
            Self::Hours => "hourly_profile",
            Self::Days => "daily_summary",
            Self::Health => "pump_health",
            Self::Alerts => "alerts_log",
            Self::Suppressed => "alerts_suppressed",
            Self::Journal => "alert_journal",
            Self::Rejects => "ingest_rejects",
            Self::Predictions => "predictions",
            Self::Performance => "model_performance",
            Self::Expectation => "pump_expectation",
            Self::Runs => "optimization_runs",
            Self::Savings => "savings_daily",
        }
    }

    /// The table of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// What its keys are.
    pub fn keyed(self) -> Keyed {
        match self {
            Self::Readings | Self::Alerts | Self::Predictions | Self::Runs => Keyed::Minute("ts"),
            Self::Sessions => Keyed::Minute("start_ts"),
            Self::Hours
            | Self::Days
            | Self::Health
            | Self::Suppressed
            | Self::Performance
            | Self::Expectation
            | Self::Savings => Keyed::Day,
            Self::Journal | Self::Rejects => Keyed::Id,
        }
    }

    /// The distance of two neighbouring keys.
    pub fn unit(self) -> i64 {
        match self.keyed() {
            Keyed::Minute(_) => 60,
            Keyed::Day | Keyed::Id => 1,
        }
    }

    /// Whether rows of it may go: a re-run finds that they did not happen. Rows of the others are only ever added, or purged
    /// here and kept at the office.
    pub fn loses_rows(self) -> bool {
        !matches!(
            self,
            Self::Readings | Self::Journal | Self::Predictions | Self::Runs | Self::Savings
        )
    }

    /// The keys up to one that people at the office look at: the last hour, this day and the one before.
    fn newest_part(self, last: i64) -> (i64, i64) {
        let keys = match self.keyed() {
            Keyed::Minute(_) => 60,
            Keyed::Day => 2,
            Keyed::Id => 100,
        };
        (last - (keys - 1) * self.unit(), last)
    }

    /// A key behind all that it can have: the year 2200, or more ids than there will be.
    fn key_max(self) -> i64 {
        match self.keyed() {
            Keyed::Minute(_) => 84_006 * 86_400,
            Keyed::Day => 84_006,
            Keyed::Id => 1 << 53,
        }
    }

    /// The longest range of one entry, so that a batch can be cut between entries.
    fn span_max(self) -> i64 {
        match self.keyed() {
            Keyed::Minute(_) => 86_400,
            Keyed::Day => 400,
            Keyed::Id => 10_000,
        }
    }
}

/// An entry of the change log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its place in the order of changes.
    pub seq: i64,
    /// The table.
    pub table: Synced,
    /// First key.
    pub first: i64,
    /// Last key.
    pub last: i64,
    /// Whether rows that are not here go at the office whatever the table.
    pub whole: bool,
}

/// What the open transaction has changed so far.
#[derive(Default)]
pub struct Changes {
    noted: HashMap<Synced, Ranges>,
    /// The newest entry of each table that the central office has not taken: a change beside it extends it.
    newest: HashMap<Synced, Change>,
    next_seq: i64,
    /// Entries up to here may be on their way, or have arrived: they stay as they are.
    frozen: i64,
}

impl Changes {
    /// Goes on behind the newest entry of a store.
    pub fn load(connection: &Connection) -> anyhow::Result<Self> {
        let (acked, newest): (i64, i64) = connection.query_row(
            "SELECT acked, (SELECT coalesce(max(seq), 0) FROM changes) FROM central_sync",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        Ok(Self {
            next_seq: acked.max(newest) + 1,
            frozen: acked,
            ..Self::default()
        })
    }

    /// Notes that the row with this key was written or deleted.
    pub fn note(&mut self, table: Synced, key: i64) {
        self.note_range(table, key, key);
    }

    /// Notes that rows in a range of keys were written or deleted.
    pub fn note_range(&mut self, table: Synced, first: i64, last: i64) {
        self.noted
            .entry(table)
            .or_default()
            .add(first, last, table.unit());
    }

    /// Writes what was noted into the open transaction.
    pub fn flush(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        for table in Synced::ALL {
            let Some(mut ranges) = self.noted.get_mut(&table).map(Ranges::take) else {
                continue;
            };
            ranges.coarsen(RANGES_MAX);
            for (first, last) in ranges.iter() {
                if table == Synced::Readings {
                    sum_up(connection, first, last)?;
                }
                let mut from = first;
                while from <= last {
                    let until = last.min(from + table.span_max() - table.unit());
                    self.append(connection, table, (from, until), false)?;
                    from = until + table.unit();
                }
            }
        }
        Ok(())
    }

    fn append(
        &mut self,
        connection: &Connection,
        table: Synced,
        (mut first, mut last): (i64, i64),
        whole: bool,
    ) -> rusqlite::Result<()> {
        let neighbour = self.newest.get(&table).filter(|entry| {
            let (start, end) = (entry.first.min(first), entry.last.max(last));
            entry.seq > self.frozen
                && entry.whole == whole
                && first <= entry.last + table.unit()
                && last >= entry.first - table.unit()
                && end - start < table.span_max()
        });
        if let Some(entry) = neighbour {
            (first, last) = (entry.first.min(first), entry.last.max(last));
            connection
                .prepare_cached("DELETE FROM changes WHERE seq = ?")?
                .execute([entry.seq])?;
        }
        let seq = self.next_seq;
        self.next_seq += 1;
        connection
            .prepare_cached(
                "INSERT INTO changes (seq, tbl, first, last, at_ts, nonce, whole) VALUES (?, ?, ?, ?, unixepoch(), random(), ?)",
            )?
            .execute(params![seq, table.name(), first, last, whole])?;
        let entry = Change {
            seq,
            table,
            first,
            last,
            whole,
        };
        self.newest.insert(table, entry);
        Ok(())
    }

    /// Forgets what a transaction that was taken back has noted. Its sequence numbers are not used again.
    pub fn forget(&mut self) {
        self.noted.clear();
        self.newest.clear();
    }
}

impl Store {
    /// Closes the entries that there are: from now on they stay as they are, so that they can be sent and named. The newest.
    pub fn freeze_changes(&mut self) -> anyhow::Result<i64> {
        self.changes.flush(&self.connection)?;
        self.changes.frozen = self.changes.next_seq - 1;
        Ok(self.changes.frozen)
    }

    /// Notes that the central office has everything up to `seq`, and drops what it has had for long.
    pub fn note_acked(&mut self, seq: i64, now_s: i64) -> anyhow::Result<()> {
        self.changes.frozen = self.changes.frozen.max(seq);
        let last_acked_ts: Option<i64> = self
            .connection
            .prepare_cached("SELECT acked_ts FROM central_sync")?
            .query_row([], |row| row.get(0))?;
        let silent_s = last_acked_ts.map_or(0, |last| now_s - last);
        if silent_s > SILENCE_MAX_S {
            self.connection
                .prepare_cached("UPDATE changes SET acked_ts = acked_ts + ?")?
                .execute([silent_s - SILENCE_MAX_S])?;
        }
        self.connection
            .prepare_cached(
                "UPDATE changes SET acked_ts = ?2 WHERE seq > (SELECT acked FROM central_sync) AND seq <= ?1",
            )?
            .execute([seq, now_s])?;
        self.connection
            .prepare_cached("UPDATE central_sync SET acked = ?, acked_ts = ?")?
            .execute([seq, now_s])?;
        self.end_trouble(Part::Central)?;
        // The newest one stays: the office's mark names it.
        let kept: Option<(i64, Option<i64>)> = self
            .connection
            .prepare_cached(
                "SELECT seq, acked_ts FROM changes WHERE seq >= ? OR acked_ts IS NULL OR acked_ts >= ? ORDER BY seq LIMIT 1",
            )?
            .query_row([seq, now_s - KEPT_S], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((kept, kept_acked_ts)) = kept else {
            return Ok(());
        };
        if kept_acked_ts.is_some_and(|acked_ts| acked_ts > now_s) {
            // Taken while the clock was ahead: it would stay until then, and all behind it.
            self.connection
                .prepare_cached("UPDATE changes SET acked_ts = ?1 WHERE acked_ts > ?1")?
                .execute([now_s])?;
        }
        let pruned: Option<i64> = self
            .connection
            .prepare_cached("SELECT max(seq) FROM changes WHERE seq < ?")?
            .query_row([kept], |row| row.get(0))?;
        if let Some(pruned) = pruned {
            self.connection
                .prepare_cached("DELETE FROM changes WHERE seq <= ?")?
                .execute([pruned])?;
            self.connection
                .prepare_cached("UPDATE central_sync SET pruned = ?")?
                .execute([pruned])?;
        }
        Ok(())
    }

    /// Notes that the central office was set back: what lies behind `seq` it lacks once more, and from now on it waits like
    /// anything else.
    pub fn note_set_back(&mut self, seq: i64) -> rusqlite::Result<()> {
        self.connection.execute(
            "UPDATE changes SET acked_ts = NULL, at_ts = unixepoch() WHERE seq > ? AND acked_ts IS NOT NULL",
            [seq],
        )?;
        self.connection
            .execute("UPDATE central_sync SET acked = ?", [seq])?;
        Ok(())
    }

    /// Puts everything into the change log once more, oldest first, behind `after`: every row there is, and the keys from the
    /// first one on at which there is none, so that what is gone goes at the office too. What the log held before is thereby in
    /// it. What is older than all that a table holds was purged here, or is a former store's; the office keeps it, unless the log
    /// speaks of it: purging leaves no entry.
    pub fn change_everything(&mut self, after: i64) -> anyhow::Result<()> {
        self.changes.flush(&self.connection)?;
        let logged = logged(&self.connection)?;
        let before = self.changes.next_seq - 1;
        self.changes.next_seq = self.changes.next_seq.max(after + 1);
        self.changes.newest.clear();
        self.connection.execute("DELETE FROM changes", [])?;
        // Nothing waits among what is no longer there. Were `acked` to stay behind, an office that took the first of the new entries, and
        // whose confirmation was lost, would be sent everything again, and would then stand at an entry that is gone.
        self.connection.execute(
            "UPDATE central_sync SET pruned = max(pruned, ?1), acked = max(acked, ?1)",
            [before],
        )?;
        for table in Synced::ALL {
            let unit = table.unit();
            let held = held(&self.connection, table)?;
            let older = held.map_or(i64::MAX, |(first, _)| first) - unit;
            for (first, last) in logged.get(&table).into_iter().flat_map(Ranges::iter) {
                let last = last.min(older);
                if first <= last {
                    self.append_alone(table, (first, last), false)?;
                }
            }
            let Some((first, last)) = held else {
                continue;
            };
            let mut from = first;
            while from <= last {
                let until = last.min(from + table.span_max() - unit);
                self.append_alone(table, (from, until), true)?;
                from = until + unit;
            }
            // One entry, however many keys: they hold no row.
            self.append_alone(table, (last + unit, table.key_max()), true)?;
        }
        Ok(())
    }
}

impl Store {
    fn append_alone(
        &mut self,
        table: Synced,
        keys: (i64, i64),
        whole: bool,
    ) -> rusqlite::Result<()> {
        // Each by itself: a batch can be cut between entries.
        self.changes.newest.clear();
        self.changes.append(&self.connection, table, keys, whole)
    }
}

/// The nonce of an entry; `None` when there is no such entry.
pub fn nonce(connection: &Connection, seq: i64) -> anyhow::Result<Option<i64>> {
    let nonce = connection
        .prepare_cached("SELECT nonce FROM changes WHERE seq = ?")?
        .query_row([seq], |row| row.get(0));
    Ok(nonce.optional()?)
}

/// The keys that the change log speaks of, by table.
fn logged(connection: &Connection) -> anyhow::Result<HashMap<Synced, Ranges>> {
    let mut logged: HashMap<Synced, Ranges> = HashMap::new();
    for entry in between(connection, (0, i64::MAX), usize::MAX)? {
        let ranges = logged.entry(entry.table).or_default();
        ranges.add(entry.first, entry.last, entry.table.unit());
    }
    Ok(logged)
}

/// The first and the last key that a table holds.
pub fn held(connection: &Connection, table: Synced) -> anyhow::Result<Option<(i64, i64)>> {
    let (name, key) = (table.name(), key_sql(table));
    let column = match table.keyed() {
        Keyed::Minute(column) => column,
        Keyed::Day => "date",
        Keyed::Id => "id",
    };
    let sql = format!(
        "SELECT {} FROM {name}",
        ["min", "max"]
            .map(|end| key.replace(column, &format!("{end}({column})")))
            .join(", ")
    );
    let ends: (Option<i64>, Option<i64>) =
        connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(ends.0.zip(ends.1))
}

/// The first and the last id that a table keyed by ids holds between two times, UTC seconds.
pub fn held_between(
    connection: &Connection,
    table: Synced,
    (from, until): (i64, i64),
) -> anyhow::Result<Option<(i64, i64)>> {
    let sql = format!(
        "SELECT min(id), max(id) FROM {} WHERE ts BETWEEN ? AND ?",
        table.name()
    );
    let ends: (Option<i64>, Option<i64>) =
        connection.query_row(&sql, [from, until], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(ends.0.zip(ends.1))
}

/// A row's change log key in SQL.
pub fn key_sql(table: Synced) -> String {
    match table.keyed() {
        Keyed::Minute(column) => column.into(),
        Keyed::Day => "unixepoch(date) / 86400".into(),
        Keyed::Id => "id".into(),
    }
}

/// Where this store and the central office stand, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Names this store.
    pub epoch: String,
    /// The central office has everything up to here.
    pub acked: i64,
    /// The newest entry.
    pub newest: i64,
    /// Entries up to here are no longer kept.
    pub pruned: i64,
}

/// Where this store and the central office stand.
pub fn standing(connection: &Connection) -> anyhow::Result<Standing> {
    connection
        .query_row(
            "SELECT epoch, acked, (SELECT max(seq) FROM changes), pruned FROM central_sync",
            [],
            |row| {
                let acked = row.get(1)?;
                Ok(Standing {
                    epoch: row.get(0)?,
                    acked,
                    newest: row.get::<_, Option<i64>>(2)?.unwrap_or(acked),
                    pruned: row.get(3)?,
                })
            },
        )
        .context("cannot read how far the central office is")
}

/// The newest keys of a table that entries behind `after` speak of; `None` without such an entry.
pub fn newest_keys(
    connection: &Connection,
    table: Synced,
    after: i64,
) -> anyhow::Result<Option<(i64, i64)>> {
    let mut statement = connection
        .prepare_cached("SELECT max(last) FROM changes WHERE seq > ? AND tbl = ? AND last < ?")?;
    let last: Option<i64> = statement
        .query_row(params![after, table.name(), table.key_max()], |row| {
            row.get(0)
        })?;
    Ok(last.map(|last| table.newest_part(last)))
}

/// Entries behind `after` up to `upto`, oldest first.
pub fn between(
    connection: &Connection,
    (after, upto): (i64, i64),
    most: usize,
) -> anyhow::Result<Vec<Change>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, tbl, first, last, whole FROM changes WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
    )?;
    let entries = statement.query_map(params![after, upto, most as i64], |row| {
        let (seq, first, last, whole) = (row.get(0)?, row.get(2)?, row.get(3)?, row.get(4)?);
        Ok(
            Synced::named(row.get_ref(1)?.as_str()?).map(|table| Change {
                seq,
                table,
                first,
                last,
                whole,
            }),
        )
    })?;
    let entries: rusqlite::Result<Vec<_>> = entries.collect();
    Ok(entries?.into_iter().flatten().collect())
}

/// When the oldest entry that the central office lacks was written, UTC seconds.
pub fn waiting_since(connection: &Connection) -> anyhow::Result<Option<i64>> {
    let sql = "SELECT at_ts FROM changes WHERE seq > (SELECT acked FROM central_sync) ORDER BY seq LIMIT 1";
    Ok(connection.query_row(sql, [], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        store::outgoing::Snapshot,
        sync::meet::{Mark, Meeting, meet},
    };

    /// A store of the first version, with rows that no change log has seen.
    #[test]
    fn what_a_store_of_the_first_version_holds_is_sent() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("old.db");
        let old = Connection::open(&path).expect("a database");
        old.execute_batch(include_str!("../../migrations/sqlite/0001_station.sql"))
            .expect("the first schema");
        old.execute_batch(
            "PRAGMA user_version = 1; PRAGMA application_id = 1347767632; \
             INSERT INTO daily_summary (date, p1_hours_on, p2_hours_on, p3_hours_on, p4_hours_on, p5_hours_on, p6_hours_on, \
             p1_starts, p2_starts, p3_starts, p4_starts, p5_starts, p6_starts, total_alerts, critical_alerts, is_weekend) \
             SELECT date('2025-03-01', value || ' days'), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 FROM json_each('[0, 1, 7]'); \
             INSERT INTO ingest_rejects (file, line, raw, reason, count) VALUES ('a.csv', 3, 'x', 'y', 1);",
        )
        .expect("rows");
        drop(old);
        drop(Store::open(&path, None).expect("brought up to date"));
        let snapshot = Snapshot::open(&path).expect("a store");
        let batch = snapshot
            .batch((0, i64::MAX), 1000)
            .expect("read")
            .expect("something waits");
        let days: Vec<_> = batch.ranges[&Synced::Days].iter().collect();
        let first = crate::calendar::day_of("2025-03-01").expect("a date");
        assert_eq!(days, [(first, first + 7)]);
        assert!(batch.ranges.contains_key(&Synced::Rejects));
        assert_eq!(snapshot.rows_waiting().expect("counted"), 4);
    }

    /// A store whose change log has so many entries.
    fn with_entries(folder: &Path, entries: i64) -> Store {
        let mut store = Store::open(&folder.join("a.db"), None).expect("a store");
        store.begin().expect("begun");
        for seq in 1..=entries {
            store.changes.note(Synced::Days, 1000 * seq);
            assert_eq!(store.freeze_changes().expect("frozen"), seq);
        }
        store
    }

    /// What is left of the log once the central office has confirmed everything up to `seq` on each of these days.
    fn kept_after(store: &mut Store, seq: i64, days: impl IntoIterator<Item = i64>) -> Vec<i64> {
        for day in days {
            store.note_acked(seq, day * 86_400).expect("noted");
        }
        let entries = between(&store.connection, (0, i64::MAX), 10).expect("entries");
        entries.iter().map(|entry| entry.seq).collect()
    }

    #[test]
    fn an_entry_is_kept_for_35_days_from_when_the_office_took_it_last() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = with_entries(folder.path(), 3);
        let kept = kept_after(&mut store, 3, [100]);
        assert_eq!(kept, [1, 2, 3], "however long they waited");
        store.note_set_back(0).expect("noted");
        let waiting = waiting_since(&store.connection).expect("known");
        assert!(waiting.is_some(), "what it lacks waits");
        kept_after(&mut store, 2, [110]);
        let kept = kept_after(&mut store, 3, 111..=136);
        assert_eq!(kept, [1, 2, 3], "36 days after it took them first");
        let kept = kept_after(&mut store, 3, 137..=146);
        assert_eq!(kept, [3], "its mark names the newest");
        assert_eq!(standing(&store.connection).expect("known").pruned, 2);
    }

    #[test]
    fn a_clock_that_is_ahead_takes_and_pins_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = with_entries(folder.path(), 5);
        kept_after(&mut store, 2, [100]);
        kept_after(&mut store, 3, 101..=110);
        let kept = kept_after(&mut store, 4, [4000]);
        assert_eq!(kept, [1, 2, 3, 4, 5], "one confirmation, ten years ahead");
        let kept = kept_after(&mut store, 5, 111..=145);
        assert_eq!(kept, [1, 2, 3, 4, 5], "they count from then on");
        assert_eq!(kept_after(&mut store, 5, [147]), [5]);
    }

    #[test]
    fn a_long_silence_counts_as_a_week() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut store = with_entries(folder.path(), 3);
        kept_after(&mut store, 1, [100]);
        kept_after(&mut store, 2, [110]);
        assert_eq!(kept_after(&mut store, 3, [210]), [1, 2, 3]);
        let kept = kept_after(&mut store, 3, 211..=231);
        assert_eq!(kept, [1, 2, 3], "7 days, 7, and 21");
        assert_eq!(kept_after(&mut store, 3, [232]), [2, 3]);
    }

    #[test]
    fn everything_once_more_covers_what_is_gone_and_replaces_what_waited() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let mut store = Store::open(&path, None).expect("a store");
        for again in 0..3 {
            store.begin().expect("begun");
            let insert = "INSERT OR REPLACE INTO alerts_suppressed (date, rule, minutes) VALUES (?, 'A-04', 1)";
            for date in ["2025-03-01", "2025-03-05"] {
                store.connection.execute(insert, [date]).expect("a row");
            }
            store.changes.note_range(Synced::Alerts, 600, 1200);
            store.change_everything(100).expect("noted");
            store.commit().expect("committed");
            let standing = standing(&store.connection).expect("known");
            assert!(
                standing.newest > 100 && standing.pruned > 0,
                "{again}: {standing:?}"
            );
            // Taken and not confirmed: it goes on, and the entry stays.
            let mark = Mark {
                epoch: standing.epoch.clone(),
                last_rev: standing.newest,
                nonce: 7,
            };
            assert_eq!(
                meet(&standing, Some(&mark), Some(7)),
                Meeting::GoOn(standing.pruned),
                "{again}"
            );
            let entries = between(&store.connection, (0, i64::MAX), 1000).expect("entries");
            let entries: Vec<_> = entries
                .into_iter()
                .map(|entry| (entry.table, entry.first, entry.last, entry.whole))
                .collect();
            let first = crate::calendar::day_of("2025-03-01").expect("a date");
            let table = Synced::Suppressed;
            let behind = (table, first + 5, table.key_max(), true);
            // Alerts that are gone, in a table that holds none: only the log knows.
            let gone = (Synced::Alerts, 600, 1200, false);
            assert_eq!(
                entries,
                [gone, (table, first, first + 4, true), behind],
                "{again}"
            );
        }
    }
}
