//! Messages for the broker that must not be lost: written in the transaction of what they tell of, and taken out when the
//! broker has acknowledged them.

use rusqlite::{Connection, params};

use super::Store;

/// Version of the payloads.
pub const SCHEMA: u32 = 1;

/// How the station shows itself over MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face {
    /// The site's id.
    pub site: String,
    /// `<prefix>/<site>`, without a slash at the end.
    pub base: String,
}

impl Store {
    /// Puts a message into the outbox.
    pub(super) fn send_out(&mut self, topic: &str, payload: &str) -> rusqlite::Result<()> {
        self.connection
            .prepare_cached("INSERT INTO mqtt_outbox (topic, payload) VALUES (?, ?)")?
            .execute(params![topic, payload])?;
        Ok(())
    }

    /// Takes out what the broker has acknowledged.
    pub fn acknowledge(&mut self, ids: &[i64]) -> anyhow::Result<()> {
        let mut statement = self
            .connection
            .prepare_cached("DELETE FROM mqtt_outbox WHERE id = ?")?;
        for id in ids {
            statement.execute([id])?;
        }
        Ok(())
    }
}

/// A waiting message: id, topic, payload.
pub type Waiting = (i64, String, String);

/// Messages waiting behind `after`, oldest first.
pub fn waiting_after(
    connection: &Connection,
    after: i64,
    most: usize,
) -> anyhow::Result<Vec<Waiting>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, topic, payload FROM mqtt_outbox WHERE id > ? ORDER BY id LIMIT ?",
    )?;
    let messages = statement.query_map(params![after, most as i64], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(messages.collect::<rusqlite::Result<_>>()?)
}
