//! Log-ins to the dashboard that hold over a restart.

use rusqlite::params;

use super::Store;

/// A log-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// SHA-256 of the cookie's token.
    pub token_hash: [u8; 32],
    /// Whose.
    pub user: String,
    /// `viewer` or `operator`.
    pub role: String,
    /// When it began, UTC s.
    pub begun_ts: i64,
    /// When it was last used, UTC s; exact to an hour.
    pub used_ts: i64,
}

impl Store {
    /// The log-ins used since a time, UTC s; older ones go.
    pub fn web_sessions(&mut self, since_s: i64) -> anyhow::Result<Vec<Session>> {
        self.connection
            .execute("DELETE FROM web_sessions WHERE used_ts < ?", [since_s])?;
        let mut statement = self
            .connection
            .prepare("SELECT token_hash, user, role, begun_ts, used_ts FROM web_sessions")?;
        let sessions = statement.query_map([], |row| {
            Ok(Session {
                token_hash: row.get(0)?,
                user: row.get(1)?,
                role: row.get(2)?,
                begun_ts: row.get(3)?,
                used_ts: row.get(4)?,
            })
        })?;
        Ok(sessions.collect::<rusqlite::Result<_>>()?)
    }

    /// Writes a log-in, or when it was last used.
    pub fn save_web_session(&mut self, session: &Session) -> anyhow::Result<()> {
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO web_sessions (token_hash, user, role, begun_ts, used_ts) VALUES (?, ?, ?, ?, ?)")?
            .execute(params![
                session.token_hash,
                session.user,
                session.role,
                session.begun_ts,
                session.used_ts
            ])?;
        Ok(())
    }

    /// Ends a log-in.
    pub fn drop_web_session(&mut self, token_hash: &[u8; 32]) -> anyhow::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM web_sessions WHERE token_hash = ?")?
            .execute([token_hash])?;
        Ok(())
    }
}
