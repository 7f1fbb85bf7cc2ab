//! A store's tables as a whole, for holding two stores against each other, to the bit.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::{Connection, types::ValueRef};

use super::expected::open;

/// The tables that are a pure function of the records, and the columns that name their rows.
const TABLES: [(&str, &str); 8] = [
    ("readings_wide", "ts"),
    ("pump_sessions", "id"),
    ("hourly_profile", "date, hour"),
    ("daily_summary", "date"),
    ("pump_health", "date, pump"),
    ("alerts_log", "id"),
    ("ingest_rejects", "file, line"),
    ("alerts_suppressed", "date, rule"),
];
/// Differences told of a table.
const TOLD_MAX: usize = 6;

/// Rows by key, each a list of cells under the table's columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: BTreeMap<String, Vec<String>>,
}

/// All tables of a store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tables(pub BTreeMap<&'static str, Table>);

/// The events of a store's journal, in its order.
pub fn journal(store: &Connection) -> Vec<String> {
    let mut statement = store
        .prepare("SELECT event_id FROM alert_journal ORDER BY id")
        .expect("a journal");
    let events = statement.query_map([], |row| row.get(0)).expect("lines");
    events.collect::<rusqlite::Result<_>>().expect("lines")
}

impl Tables {
    /// Reads a store.
    pub fn of(path: &Path) -> Self {
        let store = open(path);
        Self(
            TABLES
                .into_iter()
                .map(|(table, key)| {
                    // The number and the time of a reject are not of the data.
                    let columns = match table {
                        "ingest_rejects" => "file, line, raw, reason, count",
                        _ => "*",
                    };
                    let sql = format!("SELECT concat_ws(' ', {key}), {columns} FROM {table}");
                    (table, read(&store, &sql))
                })
                .collect(),
        )
    }

    /// How many rows a table has.
    pub fn count(&self, table: &str) -> usize {
        self.0[table].rows.len()
    }

    /// The same with the rejects as a count for each text: what they are when lines have moved between files.
    #[must_use]
    pub fn with_rejects_by_text(mut self) -> Self {
        let rejects = self.0.remove("ingest_rejects").unwrap_or_default();
        let place = |name: &str| {
            let place = rejects.columns.iter().position(|column| column == name);
            place.expect("a column of ingest_rejects")
        };
        let (raw, reason, count) = (place("raw"), place("reason"), place("count"));
        let mut by_text: BTreeMap<String, u64> = BTreeMap::new();
        for row in rejects.rows.values() {
            // Unmapped tags are told once a file, with the raw text of the first line.
            let text = match row[reason].contains("not mapped") {
                true => row[reason].clone(),
                false => format!("{} {}", row[raw], row[reason]),
            };
            *by_text.entry(text).or_default() += row[count].parse::<u64>().expect("a count");
        }
        let rows = by_text
            .into_iter()
            .map(|(text, count)| (text, vec![count.to_string()]));
        let table = Table {
            columns: vec!["count".into()],
            rows: rows.collect(),
        };
        self.0.insert("ingest_rejects", table);
        self
    }

    /// The same without a column that may rightly differ.
    #[must_use]
    pub fn without(mut self, table: &str, column: &str) -> Self {
        let table = self.0.get_mut(table).expect("one of the tables");
        let place = table.columns.iter().position(|name| name == column);
        let place = place.expect("a column of the table");
        table.columns.remove(place);
        for row in table.rows.values_mut() {
            row.remove(place);
        }
        self
    }

    /// What differs from the other.
    pub fn differences(&self, expected: &Self) -> Vec<String> {
        let mut told = Vec::new();
        for (name, got) in &self.0 {
            let wanted = &expected.0[name];
            let keys: BTreeSet<_> = got.rows.keys().chain(wanted.rows.keys()).collect();
            let all: Vec<String> = keys
                .into_iter()
                .filter(|key| got.rows.get(*key) != wanted.rows.get(*key))
                .map(|key| {
                    let cells = cells(&got.columns, got.rows.get(key), wanted.rows.get(key));
                    format!("{name} {key}: {cells}")
                })
                .collect();
            let more = all.len().saturating_sub(TOLD_MAX);
            told.extend(all.into_iter().take(TOLD_MAX));
            if more > 0 {
                told.push(format!("{name}: and {more} more"));
            }
        }
        told
    }
}

/// Fails with what differs.
#[track_caller]
pub fn assert_same(what: &str, got: &Tables, expected: &Tables) {
    let differences = got.differences(expected);
    assert!(
        differences.is_empty(),
        "{what}: the tables differ (got / expected):\n{}",
        differences.join("\n")
    );
}

fn cells(columns: &[String], got: Option<&Vec<String>>, expected: Option<&Vec<String>>) -> String {
    match (got, expected) {
        (Some(got), Some(expected)) => columns
            .iter()
            .zip(got.iter().zip(expected))
            .filter(|(_, (got, expected))| got != expected)
            .map(|(column, (got, expected))| format!("{column} {got} / {expected}"))
            .collect::<Vec<_>>()
            .join(", "),
        (got, expected) => format!("{got:?} / {expected:?}"),
    }
}

fn read(store: &rusqlite::Connection, sql: &str) -> Table {
    let mut statement = store
        .prepare(sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let names = statement.column_names();
    let columns: Vec<String> = names.iter().skip(1).map(|&name| name.into()).collect();
    let count = columns.len();
    let file = columns.iter().position(|column| column == "file");
    let mut table = Table {
        columns,
        ..Table::default()
    };
    let mut rows = statement.query([]).expect("a query");
    while let Some(row) = rows.next().expect("a row") {
        let mut key: String = row.get(0).expect("a key");
        let mut cells: Vec<String> = (1..=count)
            .map(|place| text_of(row.get_ref(place).expect("a cell")))
            .collect();
        // The folder of a file may differ between two stores; its name does not.
        if let Some(place) = file {
            key = key.rsplit('/').next().unwrap_or(&key).to_owned();
            let name = cells[place].rsplit('/').next().map(str::to_owned);
            cells[place] = name.unwrap_or_default();
        }
        table.rows.insert(key, cells);
    }
    table
}

fn text_of(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(value) => value.to_string(),
        // The shortest text that reads back to the same number, so equal texts are equal bits.
        ValueRef::Real(value) => format!("{value:?}"),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{bytes:?}"),
    }
}
