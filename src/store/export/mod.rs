//! A table as a file, for people with spreadsheets and notebooks.

pub mod csv;
pub mod parquet;

use anyhow::ensure;
use rusqlite::{Connection, Rows, Statement};

use super::question::TABLES;

/// Columns with the plant's wall clock, by which a stretch of a table is chosen; the first that the table has.
const TIMES: [&str; 4] = ["timestamp", "start_time", "made_at", "date"];
/// Tables that are exported beside those that questions can be asked of.
const MORE: [&str; 2] = ["data_quality", "ingest_rejects"];

/// What of a table is written.
#[derive(Clone, Debug)]
pub struct Part<'a> {
    /// The table or view.
    pub table: &'a str,
    /// From this local time on, as its columns have it.
    pub from: Option<&'a str>,
    /// Before this local time.
    pub until: Option<&'a str>,
}

/// A part of a table, ready to be read.
pub struct Table<'s> {
    part: Part<'s>,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Chooses the part, behind `FROM`.
    source: String,
    connection: &'s Connection,
    statement: Statement<'s>,
}

impl<'s> Table<'s> {
    /// A part of a table.
    ///
    /// # Errors
    /// There is no such table, or it has no time to choose by.
    pub fn open(connection: &'s Connection, part: Part<'s>) -> anyhow::Result<Self> {
        let name = part.table;
        ensure!(
            TABLES.iter().chain(&MORE).any(|it| *it == name),
            "there is no table {name:?} to export; there are {}, {}",
            TABLES.join(", "),
            MORE.join(", ")
        );
        let all = connection.prepare(&format!("SELECT * FROM {name}"))?;
        let columns: Vec<String> = all.column_names().into_iter().map(str::to_owned).collect();
        drop(all);
        let time = TIMES
            .into_iter()
            .find(|time| columns.iter().any(|column| column == time));
        let is_bound = part.from.is_some() || part.until.is_some();
        let source = match time {
            Some(time) => format!(
                "{name} WHERE (?1 IS NULL OR {time} >= substr(?1, 1, length({time}))) AND (?2 IS NULL OR {time} < ?2)"
            ),
            None => {
                ensure!(!is_bound, "{name} has no time to choose by");
                format!("{name} WHERE ?1 IS NULL AND ?2 IS NULL")
            }
        };
        let statement = connection.prepare(&format!("SELECT * FROM {source}"))?;
        Ok(Self {
            part,
            columns,
            source,
            connection,
            statement,
        })
    }

    /// Its rows.
    pub fn rows(&mut self) -> rusqlite::Result<Rows<'_>> {
        self.statement.query((self.part.from, self.part.until))
    }
}
