//! Messages for the broker that must not be lost: written in the transaction of what they tell of, and taken out a while after
//! the broker has acknowledged them. Until then they go again after each connect: a broker that is killed loses what it has
//! acknowledged and not yet passed on.

use rusqlite::{Connection, params};

use super::Store;

/// Version of the payloads.
pub const SCHEMA: u32 = 1;

/// How long an acknowledged message is kept, s: longer than a broker needs to pass it on, or to save it.
const KEPT_S: i64 = 60;

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
            .prepare_cached(
                "INSERT INTO mqtt_outbox (topic, payload, queued_ts) VALUES (?, ?, unixepoch())",
            )?
            .execute(params![topic, payload])?;
        Ok(())
    }

    /// Takes back the acknowledgement of what is still kept: after a connect it goes again, and counts once the broker has it
    /// once more. Otherwise the first acknowledgements after a long outage would take out what has not gone again yet.
    pub fn take_back_acknowledgements(&mut self) -> anyhow::Result<()> {
        self.connection
            .prepare_cached("UPDATE mqtt_outbox SET acked_ts = NULL WHERE acked_ts IS NOT NULL")?
            .execute([])?;
        Ok(())
    }

    /// Notes what the broker has acknowledged, and takes out what it has had for a while.
    pub fn acknowledge(&mut self, ids: &[i64], now_s: i64) -> anyhow::Result<()> {
        let mut statement = self
            .connection
            .prepare_cached("UPDATE mqtt_outbox SET acked_ts = ? WHERE id = ?")?;
        for id in ids {
            statement.execute([now_s, *id])?;
        }
        // A clock that was set back must not keep them for ever.
        self.connection
            .prepare_cached(
                "DELETE FROM mqtt_outbox WHERE acked_ts NOT BETWEEN ?1 - ?2 AND ?1 + ?2",
            )?
            .execute([now_s, KEPT_S])?;
        Ok(())
    }
}

/// Whether anything is still kept that the broker has acknowledged.
pub fn has_acknowledged(connection: &Connection) -> anyhow::Result<bool> {
    let mut statement = connection
        .prepare_cached("SELECT 1 FROM mqtt_outbox WHERE acked_ts IS NOT NULL LIMIT 1")?;
    Ok(statement.exists([])?)
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
