//! What the dashboard asks of the store, on a connection for reading only: each answer is JSON as a page shows it.
//!
//! Times come twice where a person reads them: `ts`, UTC seconds, and the plant's wall clock as the tables have it.

pub mod advice;
pub mod alarms;
pub mod days;
pub mod forecasts;
pub mod now;
pub mod series;

use std::path::Path;

use jiff::tz::TimeZone;
use rusqlite::{Connection, Params, Row, types::ValueRef};
use serde_json::{Map, Value};

use super::open_read_only;
use crate::calendar::{Calendar, DAY_MIN, Day, Minute};

/// A store, open for the dashboard.
pub struct Look {
    connection: Connection,
    calendar: Calendar,
}

/// A stretch of time, UTC seconds, the end not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Its first second.
    pub from_s: i64,
    /// The second after its last.
    pub until_s: i64,
}

impl Stretch {
    fn minutes(self) -> (Minute, Minute) {
        (
            self.from_s.div_euclid(60),
            (self.until_s - 1).div_euclid(60),
        )
    }
}

impl Look {
    /// Opens a store; `zone` is the plant's.
    pub fn open(path: &Path, zone: TimeZone) -> anyhow::Result<Self> {
        let connection = open_read_only(path)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(Self {
            connection,
            calendar: Calendar::new(zone),
        })
    }

    /// The first and the last local date that a stretch touches.
    fn dates(&mut self, stretch: Stretch) -> (Day, Day) {
        let (first, last) = stretch.minutes();
        let mut day = |minute| self.calendar.local(minute).minute.div_euclid(DAY_MIN);
        (day(first), day(last))
    }

    /// What a query finds, a JSON object a row, its fields named like the columns.
    fn records(&self, sql: &str, params: impl Params) -> rusqlite::Result<Vec<Value>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns: Vec<String> = statement
            .column_names()
            .into_iter()
            .map(str::to_owned)
            .collect();
        statement
            .query_map(params, |row| record(row, &columns))?
            .collect()
    }

    /// What a query for one row finds; null when that is none.
    fn record(&self, sql: &str, params: impl Params) -> rusqlite::Result<Value> {
        Ok(self.records(sql, params)?.pop().unwrap_or(Value::Null))
    }
}

fn record(row: &Row<'_>, columns: &[String]) -> rusqlite::Result<Value> {
    let mut record = Map::new();
    for (place, column) in columns.iter().enumerate() {
        record.insert(column.clone(), json_value(row.get_ref(place)?));
    }
    Ok(Value::Object(record))
}

/// A value of a row as JSON.
pub(super) fn json_value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Integer(value) => value.into(),
        ValueRef::Real(value) => value.into(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
        ValueRef::Null | ValueRef::Blob(_) => Value::Null,
    }
}
