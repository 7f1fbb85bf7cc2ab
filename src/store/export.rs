//! A table as CSV, for people with spreadsheets.

use std::{io::Write, path::Path};

use anyhow::{Context, ensure};
use rusqlite::types::ValueRef;

use super::{open_read_only, question::TABLES};

/// Columns with the plant's wall clock, by which a stretch of a table is chosen; the first that the table has.
const TIMES: [&str; 4] = ["timestamp", "start_time", "made_at", "date"];

/// What of a table is written.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The table or view.
    pub table: &'a str,
    /// From this local time on, as its columns have it.
    pub from: Option<&'a str>,
    /// Before this local time.
    pub until: Option<&'a str>,
    /// What stands between two columns.
    pub delimiter: u8,
}

/// Writes a part of a table, the names of the columns first; how many rows. `told` hears of each.
pub fn write(
    store: &Path,
    part: &Part<'_>,
    out: &mut impl Write,
    mut told: impl FnMut(),
) -> anyhow::Result<u64> {
    ensure!(
        TABLES.contains(&part.table),
        "there is no table {:?} to export; there are {}",
        part.table,
        TABLES.join(", ")
    );
    let connection = open_read_only(store)
        .context("is the daemon set up? it makes the store at its first start")?;
    let all = connection.prepare(&format!("SELECT * FROM {}", part.table))?;
    let columns: Vec<String> = all.column_names().into_iter().map(str::to_owned).collect();
    drop(all);
    let time = TIMES
        .into_iter()
        .find(|time| columns.iter().any(|column| column == time));
    let is_bound = part.from.is_some() || part.until.is_some();
    let sql = match time {
        Some(time) => format!(
            "SELECT * FROM {} WHERE (?1 IS NULL OR {time} >= substr(?1, 1, length({time}))) AND (?2 IS NULL OR {time} < ?2)",
            part.table
        ),
        None => {
            ensure!(!is_bound, "{} has no time to choose by", part.table);
            format!(
                "SELECT * FROM {} WHERE ?1 IS NULL AND ?2 IS NULL",
                part.table
            )
        }
    };
    let mut line = Line::new(part.delimiter);
    for name in &columns {
        line.cell(name.as_bytes());
    }
    line.end(out)?;
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query((part.from, part.until))?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        for column in 0..columns.len() {
            match row.get_ref(column)? {
                ValueRef::Null | ValueRef::Blob(_) => line.cell(b""),
                ValueRef::Integer(value) => line.cell(value.to_string().as_bytes()),
                ValueRef::Real(value) => line.cell(value.to_string().as_bytes()),
                ValueRef::Text(text) => line.cell(text),
            }
        }
        line.end(out)?;
        count += 1;
        told();
    }
    out.flush()?;
    Ok(count)
}

/// A line that is being put together.
struct Line {
    delimiter: u8,
    bytes: Vec<u8>,
}

impl Line {
    fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            bytes: Vec::new(),
        }
    }

    fn cell(&mut self, value: &[u8]) {
        let is_special = |byte: &u8| [self.delimiter, b'"', b'\r', b'\n'].contains(byte);
        if value.iter().any(is_special) {
            self.bytes.push(b'"');
            for &byte in value {
                if byte == b'"' {
                    self.bytes.push(b'"');
                }
                self.bytes.push(byte);
            }
            self.bytes.push(b'"');
        } else {
            self.bytes.extend_from_slice(value);
        }
        self.bytes.push(self.delimiter);
    }

    fn end(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        self.bytes.pop();
        self.bytes.extend(b"\r\n");
        out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}
