//! A table of a store against the table that is expected, cell by cell.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::{Connection, types::ValueRef};

use super::csv::Csv;

/// Numbers may differ by this share of the larger one.
const RELATIVE: f64 = 1e-6;
/// Differences told of a table.
const TOLD_MAX: usize = 20;

/// The columns that name a row of a table.
pub fn key_columns(table: &str) -> &'static [&'static str] {
    match table {
        "readings_wide" => &["ts"],
        "pump_sessions" => &["pump", "start_time"],
        "hourly_profile" => &["date", "hour"],
        "daily_summary" => &["date"],
        "pump_health" => &["date", "pump"],
        "alerts_log" => &["timestamp", "rule", "pump"],
        "ingest_rejects" => &["file", "line"],
        _ => panic!("no table {table:?}"),
    }
}

/// Opens a store for a look.
pub fn open(path: &Path) -> Connection {
    Connection::open(path).unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()))
}

/// A cell as text; NULL is empty.
fn text_of(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => format!("{value:?}"),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{bytes:?}"),
    }
}

fn same(got: &str, expected: &str) -> bool {
    if got == expected {
        return true;
    }
    match (got.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(got), Ok(expected)) => {
            (got - expected).abs() <= RELATIVE * got.abs().max(expected.abs()).max(1e-9)
        }
        _ => false,
    }
}

/// The rows of a table by their key, in the columns given.
fn rows(
    store: &Connection,
    table: &str,
    columns: &[String],
    condition: &str,
) -> BTreeMap<Vec<String>, Vec<String>> {
    // Files are known by their whole path; expectations name them by the last part of it.
    let select = |column: &str| match column {
        "file" => "replace(file, rtrim(file, replace(file, '/', '')), '')".to_owned(),
        column => column.to_owned(),
    };
    let keys = key_columns(table);
    let selected: Vec<String> = keys
        .iter()
        .copied()
        .chain(columns.iter().map(String::as_str))
        .map(select)
        .collect();
    let sql = format!(
        "SELECT {} FROM {table} WHERE {condition}",
        selected.join(", ")
    );
    let mut statement = store
        .prepare(&sql)
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut found = BTreeMap::new();
    let mut rows = statement.query([]).expect("a query");
    while let Some(row) = rows.next().expect("a row") {
        let cell = |place| text_of(row.get_ref(place).expect("a cell"));
        let key = (0..keys.len()).map(cell).collect();
        let cells = (keys.len()..selected.len()).map(cell).collect();
        let twice = found.insert(key, cells);
        assert!(
            twice.is_none(),
            "{table} has two rows of one key: {twice:?}"
        );
    }
    found
}

/// The differences between a table of the store, as far as `condition` chooses its rows, and the expected one.
pub fn differences(
    store: &Connection,
    table: &str,
    condition: &str,
    expected: &Csv,
) -> Vec<String> {
    let got = rows(store, table, &expected.columns, condition);
    let key_places: Vec<usize> = key_columns(table)
        .iter()
        .map(|key| {
            let place = expected.columns.iter().position(|column| column == key);
            place.unwrap_or_else(|| panic!("the expected {table} names no {key}"))
        })
        .collect();
    let mut wanted = BTreeMap::new();
    for row in &expected.rows {
        let key: Vec<String> = key_places.iter().map(|&place| row[place].clone()).collect();
        let twice = wanted.insert(key, row);
        assert!(
            twice.is_none(),
            "{table} is expected to have {twice:?} twice"
        );
    }
    let mut told = Vec::new();
    for key in got.keys().chain(wanted.keys()).collect::<BTreeSet<_>>() {
        match (got.get(key), wanted.get(key)) {
            (Some(cells), None) => told.push(format!(
                "{table} {key:?}: got {cells:?}, expected no such row"
            )),
            (None, Some(row)) => told.push(format!(
                "{table} {key:?}: got no such row, expected {row:?}"
            )),
            (Some(cells), Some(row)) => {
                let pairs = expected.columns.iter().zip(cells.iter().zip(*row));
                told.extend(
                    pairs
                        .filter(|(_, (got, expected))| !same(got, expected))
                        .map(|(column, (got, expected))| {
                            format!("{table} {key:?} {column}: got {got:?}, expected {expected:?}")
                        }),
                );
            }
            (None, None) => {}
        }
    }
    let more = told.len().saturating_sub(TOLD_MAX);
    told.truncate(TOLD_MAX);
    if more > 0 {
        told.push(format!("{table}: and {more} more"));
    }
    told
}
