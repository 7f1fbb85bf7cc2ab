//! Rows on their way to the central office: what the change log asks for, read from one snapshot.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::Context;
use rusqlite::{
    Connection, params, params_from_iter,
    types::{Value as Sql, ValueRef},
};
use serde_json::{Map, Value};

use super::{
    Store, alert_ids,
    changes::{self, Keyed, Synced},
    open_read_only,
    ranges::Ranges,
    retention::settled,
    session_ids,
};
use crate::calendar::{Day, Minute, date_text, day_of};

/// Entries of the change log read at once.
const ENTRIES_READ: usize = 500;
/// Ranges of a table in a batch; more are joined, which only sends some rows once more.
const RANGES_MAX: usize = 64;

const DAY_S: i64 = 86_400;

/// What one transaction of the central office takes.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// The newest entry of the change log in it.
    pub upto: i64,
    /// What is sent, by table.
    pub ranges: BTreeMap<Synced, Ranges>,
    /// Tables of which rows that are not here go at the office, although they lose none otherwise.
    pub whole: BTreeSet<Synced>,
}

/// A value of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Unknown.
    Null,
    /// An INTEGER.
    Integer(i64),
    /// A REAL.
    Real(f64),
    /// A TEXT, as it is stored.
    Text(&'a [u8]),
}

/// A row, by the place of its columns.
pub struct Cells<'r>(&'r rusqlite::Row<'r>);

impl Cells<'_> {
    /// The value of a column.
    pub fn cell(&self, place: usize) -> anyhow::Result<Cell<'_>> {
        Ok(match self.0.get_ref(place)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(value) => Cell::Integer(value),
            ValueRef::Real(value) => Cell::Real(value),
            ValueRef::Text(text) | ValueRef::Blob(text) => Cell::Text(text),
        })
    }
}

/// A row that the central office, or the type of one of its columns, refused: a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The table.
    pub table: Synced,
    /// The row's key, JSON.
    pub row_key: String,
    /// The key by which the change log has it.
    pub range_key: i64,
    /// The row, JSON.
    pub row: String,
    /// Why.
    pub reason: String,
}

impl Refused {
    /// A row that was not sent, because it does not fit a column there.
    pub fn unsent(
        table: Synced,
        columns: &[String],
        cells: &Cells<'_>,
        reason: String,
    ) -> anyhow::Result<Self> {
        let mut whole = Map::new();
        for (place, column) in columns.iter().enumerate() {
            let value = match cells.cell(place)? {
                Cell::Null => Value::Null,
                Cell::Integer(value) => value.into(),
                Cell::Real(value) => value.into(),
                Cell::Text(text) => String::from_utf8_lossy(text).into(),
            };
            whole.insert(column.clone(), value);
        }
        let mut key = whole.clone();
        key.retain(|column, _| NATURAL_KEYS.contains(&column.as_str()));
        let range_key = match table.keyed() {
            Keyed::Minute(column) => whole[column].as_i64(),
            Keyed::Day => whole["date"].as_str().and_then(day_of),
            Keyed::Id => whole["id"].as_i64(),
        };
        Ok(Self {
            table,
            row_key: Value::Object(key).to_string(),
            range_key: range_key.unwrap_or_default(),
            row: Value::Object(whole).to_string(),
            reason,
        })
    }
}

/// Columns that name a row.
const NATURAL_KEYS: [&str; 12] = [
    "ts",
    "start_ts",
    "date",
    "hour",
    "pump",
    "rule",
    "id",
    "target",
    "for_ts",
    "model",
    "period",
    "ahead_min",
];

impl Store {
    /// Keeps the rows of ranges that were refused, instead of those of these ranges that were refused before.
    pub fn replace_refused(
        &mut self,
        ranges: &BTreeMap<Synced, Ranges>,
        refused: &[Refused],
        now_s: i64,
    ) -> anyhow::Result<()> {
        for (table, ranges) in ranges {
            for (first, last) in ranges.iter() {
                self.connection
                    .prepare_cached(
                        "DELETE FROM central_refused WHERE tbl = ? AND range_key BETWEEN ? AND ?",
                    )?
                    .execute(params![table.name(), first, last])?;
            }
        }
        for row in refused {
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO central_refused (tbl, row_key, range_key, row, reason, refused_ts) \
                     VALUES (?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    row.table.name(),
                    row.row_key,
                    row.range_key,
                    row.row,
                    row.reason,
                    now_s
                ])?;
        }
        Ok(())
    }
}

/// What a store keeps of a table.
pub enum Held {
    /// All that there ever was.
    All,
    /// From the oldest minute on that is here.
    From(Minute),
    /// Nothing any more, or not yet.
    Nothing,
}

/// The store, read from one snapshot.
pub struct Snapshot(Connection);

impl Snapshot {
    /// Opens a store and holds what it has at this moment.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let connection = open_read_only(path)?;
        connection.execute_batch("BEGIN")?;
        // The snapshot is taken by the first read.
        connection.query_row("SELECT count(*) FROM central_sync", [], |_| Ok(()))?;
        Ok(Self(connection))
    }

    /// The columns of a table, in its order.
    pub fn columns(&self, table: Synced) -> anyhow::Result<Vec<String>> {
        let mut statement = self
            .0
            .prepare("SELECT name FROM pragma_table_xinfo(?) ORDER BY cid")?;
        let names = statement.query_map([table.name()], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }

    /// Calls `take` with the rows of a table whose keys lie in the range, oldest first.
    pub fn rows(
        &self,
        table: Synced,
        columns: &[String],
        range: (i64, i64),
        mut take: impl FnMut(&Cells<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (name, columns) = (table.name(), columns.join(", "));
        let (column, range) = index_range(table, range);
        let order = ordered_by(table);
        let mut statement = self.0.prepare_cached(&format!(
            "SELECT {columns} FROM {name} WHERE {column} BETWEEN ? AND ? ORDER BY {order}"
        ))?;
        let mut rows = statement.query(range)?;
        while let Some(row) = rows.next()? {
            take(&Cells(row))?;
        }
        Ok(())
    }

    /// Rows of a table by date, for dates in the range: date and count.
    pub fn dates(
        &self,
        table: Synced,
        (first, last): (Day, Day),
    ) -> anyhow::Result<BTreeMap<String, u64>> {
        let date = date_sql(table);
        let mut statement = self.0.prepare(&format!(
            "SELECT {date}, count(*) FROM {} WHERE {date} BETWEEN ? AND ? GROUP BY 1",
            table.name()
        ))?;
        let dates = statement.query_map([date_text(first), date_text(last)], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)? as u64))
        })?;
        Ok(dates.collect::<rusqlite::Result<_>>()?)
    }

    /// What is kept of a table here: minutes go to keep the disk's budget, predictions when nobody looks at them any more. The office
    /// has all of them.
    pub fn held(&self, table: Synced) -> anyhow::Result<Held> {
        let some_go = match table {
            Synced::Readings => settled(&self.0)?.is_some(),
            Synced::Predictions => true,
            _ => false,
        };
        if !some_go {
            return Ok(Held::All);
        }
        let held = changes::held(&self.0, table)?;
        Ok(held.map_or(Held::Nothing, |(first, _)| Held::From(first / 60)))
    }

    /// Calls `take` with the rows of a table of one date, in the order of their natural keys.
    pub fn rows_of(
        &self,
        table: Synced,
        columns: &[String],
        date: &str,
        mut take: impl FnMut(&Cells<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let (name, by_date, order) = (table.name(), date_sql(table), ordered_by(table));
        let columns = columns.join(", ");
        // Where there is no index by date, the minutes of the day and of its neighbours are enough to look through.
        let (mut near, mut values) = (String::new(), vec![Sql::from(date.to_owned())]);
        if let Keyed::Minute(_) = table.keyed() {
            let day = day_of(date).context("a date that is none")? * DAY_S;
            let (column, range) = index_range(table, (day - DAY_S, day + 2 * DAY_S));
            near = format!(" AND {column} BETWEEN ?2 AND ?3");
            values.extend(range);
        }
        let mut statement = self.0.prepare_cached(&format!(
            "SELECT {columns} FROM {name} WHERE {by_date} = ?1{near} ORDER BY {order}"
        ))?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            take(&Cells(row))?;
        }
        Ok(())
    }

    /// Rows of a table whose keys lie in the range.
    fn count(&self, table: Synced, range: (i64, i64)) -> anyhow::Result<usize> {
        let (name, (column, range)) = (table.name(), index_range(table, range));
        let sql = format!("SELECT count(*) FROM {name} WHERE {column} BETWEEN ? AND ?");
        let mut statement = self.0.prepare_cached(&sql)?;
        let rows: i64 = statement.query_row(range, |row| row.get(0))?;
        Ok(rows as usize)
    }

    /// The next batch behind an entry of the change log and up to another one, oldest first; `None` when nothing waits.
    pub fn batch(
        &self,
        (after, upto): (i64, i64),
        rows_max: usize,
    ) -> anyhow::Result<Option<Batch>> {
        let mut batch = Batch {
            upto: after,
            ..Batch::default()
        };
        let mut rows = 0;
        'entries: loop {
            let entries = changes::between(&self.0, (batch.upto, upto), ENTRIES_READ)?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                let held = self.count(entry.table, (entry.first, entry.last))?;
                if batch.upto > after && rows + held > rows_max {
                    break 'entries;
                }
                rows += held;
                batch.upto = entry.seq;
                if entry.whole {
                    batch.whole.insert(entry.table);
                }
                let ranges = batch.ranges.entry(entry.table).or_default();
                ranges.add(entry.first, entry.last, entry.table.unit());
            }
        }
        for ranges in batch.ranges.values_mut() {
            ranges.coarsen(RANGES_MAX);
        }
        Ok((batch.upto > after).then_some(batch))
    }

    /// Adds what is newest to a batch that leaves a backlog behind it: while that drains, the office sees the present, too.
    /// The mark does not move for it, so it goes once more in its turn. Nothing is added that was already in the change log
    /// as far as `sent`.
    pub fn add_newest(&self, batch: &mut Batch, sent: i64) -> anyhow::Result<()> {
        for table in Synced::ALL {
            if let Some((first, last)) = changes::newest_keys(&self.0, table, batch.upto.max(sent))?
            {
                let ranges = batch.ranges.entry(table).or_default();
                ranges.add(first, last, table.unit());
            }
        }
        Ok(())
    }

    /// Rows in the store whose changes the central office lacks.
    pub fn rows_waiting(&self) -> anyhow::Result<u64> {
        let standing = changes::standing(&self.0)?;
        let Some(batch) = self.batch((standing.acked, i64::MAX), usize::MAX)? else {
            return Ok(0);
        };
        let mut waiting = 0;
        for (table, ranges) in &batch.ranges {
            for range in ranges.iter() {
                waiting += self.count(*table, range)? as u64;
            }
        }
        Ok(waiting)
    }

    /// The nonce of an entry of the change log; `None` when there is no such entry.
    pub fn nonce(&self, seq: i64) -> anyhow::Result<Option<i64>> {
        changes::nonce(&self.0, seq)
    }

    /// Where this store and the central office stand.
    pub fn standing(&self) -> anyhow::Result<changes::Standing> {
        changes::standing(&self.0)
    }

    /// The dead letters: table, key of the row, reason.
    pub fn refused(&self) -> anyhow::Result<Vec<(String, String, String)>> {
        let mut statement = self.0.prepare(
            "SELECT tbl, row_key, reason FROM central_refused ORDER BY refused_ts, tbl, row_key",
        )?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect::<rusqlite::Result<_>>()
            .context("cannot read the rows that were refused")
    }
}

/// A range of a table's keys as one of a column that has an index.
fn index_range(table: Synced, (first, last): (i64, i64)) -> (&'static str, [Sql; 2]) {
    let minutes = (first.div_euclid(60), last.div_euclid(60));
    match table {
        Synced::Readings | Synced::Predictions | Synced::Runs => {
            ("ts", [Sql::from(first), Sql::from(last)])
        }
        Synced::Sessions => ("id", session_ids(minutes).map(Sql::from)),
        Synced::Alerts => ("id", alert_ids(minutes).map(Sql::from)),
        Synced::Hours
        | Synced::Days
        | Synced::Health
        | Synced::Suppressed
        | Synced::Performance
        | Synced::Expectation
        | Synced::Savings => ("date", [first, last].map(|day| Sql::from(date_text(day)))),
        Synced::Journal | Synced::Rejects => ("id", [first, last].map(Sql::from)),
    }
}

/// The date a row counts to, in SQL.
fn date_sql(table: Synced) -> &'static str {
    match table {
        Synced::Rejects => "date(ts, 'unixepoch')",
        _ => "date",
    }
}

/// The order of a table's rows within a date, the same as at the central office.
pub fn ordered_by(table: Synced) -> &'static str {
    match table {
        Synced::Readings | Synced::Runs => "ts",
        Synced::Sessions | Synced::Alerts | Synced::Journal | Synced::Rejects => "id",
        Synced::Hours => "date, hour",
        Synced::Days | Synced::Savings => "date",
        Synced::Health | Synced::Expectation => "date, pump",
        Synced::Predictions => "ts, target, model, for_ts",
        Synced::Performance => "date, model, period, ahead_min",
        Synced::Suppressed => "date, rule",
    }
}
