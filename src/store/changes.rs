//! The change log: which rows the central office has yet to take, written in the transaction that changes them.
//!
//! An entry is a range of one table's keys. A day of minutes is one entry, a row that was deleted lies in a range like any
//! other, and sending an entry twice, late or merged with its neighbours ends in the same rows: the central office is given
//! the range as it now stands. *Invariant.* Sequence numbers are never used twice, so that what the central office has
//! confirmed cannot be confused with what came after.

use std::collections::HashMap;

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, ranges::Ranges};

/// Ranges of a table that one transaction may leave; more are joined.
const RANGES_MAX: usize = 16;
/// How long confirmed entries are kept, s: a central office restored from a backup as old as this gets exactly what it lacks.
const KEPT_S: i64 = 35 * 86_400;

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
    pub const ALL: [Self; 9] = [
        Self::Readings,
        Self::Sessions,
        Self::Hours,
        Self::Days,
        Self::Health,
        Self::Alerts,
        Self::Suppressed,
        Self::Journal,
        Self::Rejects,
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
        }
    }

    /// The table of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// What its keys are.
    pub fn keyed(self) -> Keyed {
        match self {
            Self::Readings | Self::Alerts => Keyed::Minute("ts"),
            Self::Sessions => Keyed::Minute("start_ts"),
            Self::Hours | Self::Days | Self::Health | Self::Suppressed => Keyed::Day,
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

    /// Whether rows of it may go: a re-run finds that they did not happen.
    pub fn loses_rows(self) -> bool {
        !matches!(self, Self::Readings | Self::Journal)
    }

    /// The keys that a row can ever have.
    fn keys(self) -> (i64, i64) {
        match self.keyed() {
            // Up to the year 8814, which both ends can write.
            Keyed::Minute(_) => (0, 2_500_000 * 86_400),
            Keyed::Day => (0, 2_500_000),
            Keyed::Id => (0, 1 << 40),
        }
    }

    /// The longest range of one entry, so that a batch can be cut between entries.
    fn span_max(self) -> i64 {
        match self.keyed() {
            Keyed::Minute(_) => 7 * 86_400,
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
}

/// What the open transaction has changed so far.
#[derive(Default)]
pub struct Changes {
    noted: HashMap<Synced, Ranges>,
    /// The newest entry of each table that the central office has not taken: a change beside it extends it.
    newest: HashMap<Synced, Change>,
    next_seq: i64,
    acked: i64,
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
            acked,
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
                let mut from = first;
                while from <= last {
                    let until = last.min(from + table.span_max() - table.unit());
                    self.append(connection, table, from, until)?;
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
        mut first: i64,
        mut last: i64,
    ) -> rusqlite::Result<()> {
        let neighbour = self.newest.get(&table).filter(|entry| {
            let (start, end) = (entry.first.min(first), entry.last.max(last));
            entry.seq > self.acked
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
            .prepare_cached("INSERT INTO changes (seq, tbl, first, last, at_ts) VALUES (?, ?, ?, ?, unixepoch())")?
            .execute(params![seq, table.name(), first, last])?;
        let entry = Change {
            seq,
            table,
            first,
            last,
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
    /// Notes that the central office has everything up to `seq`, and drops what it has had for long.
    pub fn note_acked(&mut self, seq: i64, now_s: i64) -> anyhow::Result<()> {
        self.changes.acked = seq;
        self.connection
            .prepare_cached("UPDATE central_sync SET acked = ?, acked_ts = ?, trouble = NULL, trouble_ts = NULL")?
            .execute([seq, now_s])?;
        let pruned: Option<i64> = self
            .connection
            .prepare_cached("SELECT max(seq) FROM changes WHERE seq < ? AND at_ts < ?")?
            .query_row([seq, now_s - KEPT_S], |row| row.get(0))?;
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

    /// Notes that a batch up to `seq` is about to be committed at the central office.
    pub fn note_sent(&mut self, seq: i64) -> anyhow::Result<()> {
        self.connection
            .prepare_cached("UPDATE central_sync SET sent = max(sent, ?)")?
            .execute([seq])?;
        Ok(())
    }

    /// Notes why the central office does not take anything.
    pub fn note_trouble(&mut self, trouble: &str, now_s: i64) -> anyhow::Result<()> {
        self.connection
            .prepare_cached("UPDATE central_sync SET trouble = ?, trouble_ts = ?")?
            .execute(params![trouble, now_s])?;
        Ok(())
    }

    /// Puts every row of every table into the change log once more, oldest first, behind `after`; the newest entry's
    /// number. Where rows may go, all keys there can be are in it: the central office may have rows that this store never had.
    pub fn change_everything(&mut self, after: i64) -> anyhow::Result<i64> {
        self.changes.flush(&self.connection)?;
        self.changes.next_seq = self.changes.next_seq.max(after + 1);
        self.changes.newest.clear();
        for table in Synced::ALL {
            let (least, most) = table.keys();
            let (first, last) = match held(&self.connection, table)? {
                Some((first, last)) => {
                    self.changes.note_range(table, first, last);
                    self.changes.flush(&self.connection)?;
                    (first, last)
                }
                None => (most, least - table.unit()),
            };
            if table.loses_rows() {
                for (first, last) in [(least, first - table.unit()), (last + table.unit(), most)] {
                    if first <= last {
                        self.changes.append(&self.connection, table, first, last)?;
                    }
                }
            }
        }
        Ok(self.changes.next_seq - 1)
    }
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
    /// Batches up to here were ever sent.
    pub sent: i64,
}

/// Where this store and the central office stand.
pub fn standing(connection: &Connection) -> anyhow::Result<Standing> {
    connection
        .query_row(
            "SELECT epoch, acked, (SELECT max(seq) FROM changes), pruned, sent FROM central_sync",
            [],
            |row| {
                let acked = row.get(1)?;
                Ok(Standing {
                    epoch: row.get(0)?,
                    acked,
                    newest: row.get::<_, Option<i64>>(2)?.unwrap_or(acked),
                    pruned: row.get(3)?,
                    sent: row.get(4)?,
                })
            },
        )
        .context("cannot read how far the central office is")
}

/// Entries behind `after`, oldest first.
pub fn after(connection: &Connection, after: i64, most: usize) -> anyhow::Result<Vec<Change>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, tbl, first, last FROM changes WHERE seq > ? ORDER BY seq LIMIT ?",
    )?;
    let entries = statement.query_map(params![after, most as i64], |row| {
        let (seq, first, last) = (row.get(0)?, row.get(2)?, row.get(3)?);
        Ok(
            Synced::named(row.get_ref(1)?.as_str()?).map(|table| Change {
                seq,
                table,
                first,
                last,
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
