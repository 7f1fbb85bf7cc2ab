//! What keeps a part of the daemon from its work. A part notes it, `status` and `doctor` tell it.

use rusqlite::{Connection, OptionalExtension};

use super::Store;
use crate::calendar::span_text;

/// A part that may be kept from its work for long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// What publishes to the broker.
    Broker,
    /// The Sparkplug node, which has a connection of its own.
    Sparkplug,
    /// What sends to the central office.
    Central,
    /// The dashboard.
    Dashboard,
}

impl Part {
    /// Its name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Sparkplug => "sparkplug",
            Self::Central => "central",
            Self::Dashboard => "dashboard",
        }
    }
}

/// What keeps a part from its work.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Trouble {
    /// Since when, UTC s.
    pub since_ts: i64,
    /// The newest cause.
    pub cause: String,
}

impl Trouble {
    /// The cause, and for how long it has been so.
    pub fn told(&self, now_s: i64) -> String {
        let min = (now_s - self.since_ts).max(0) / 60;
        format!("{} (for {})", self.cause, span_text(min))
    }
}

impl Store {
    /// Notes what keeps a part from its work; a trouble that goes on keeps its beginning.
    pub fn note_trouble(&mut self, part: Part, cause: &str, now_s: i64) -> anyhow::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO troubles (part, since_ts, cause) VALUES (?, ?, ?) \
                 ON CONFLICT DO UPDATE SET cause = excluded.cause",
            )?
            .execute((part.name(), now_s, cause))?;
        Ok(())
    }

    /// Notes that a part works.
    pub fn end_trouble(&mut self, part: Part) -> anyhow::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM troubles WHERE part = ?")?
            .execute([part.name()])?;
        Ok(())
    }
}

/// What keeps a part from its work, if anything does.
pub(super) fn trouble(connection: &Connection, part: Part) -> anyhow::Result<Option<Trouble>> {
    let sql = "SELECT since_ts, cause FROM troubles WHERE part = ?";
    let trouble = connection.query_row(sql, [part.name()], |row| {
        Ok(Trouble {
            since_ts: row.get(0)?,
            cause: row.get(1)?,
        })
    });
    Ok(trouble.optional()?)
}
