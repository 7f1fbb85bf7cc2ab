//! Log-ins that hold, over restarts of the daemon, too. Only the hash of a cookie's token is kept.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use sha2::{Digest, Sha256};

use super::Role;
use crate::store::{sessions::Session, writer::Handle};

/// How exactly the last use of a session is known after a restart, s: each note of it is written to the disk.
const NOTED_EVERY_S: i64 = 3600;
/// Most log-ins at a time; the one that was used longest ago goes first.
const SESSIONS_MAX: usize = 200;

type Hash = [u8; 32];

/// A token that nobody can guess.
pub fn token() -> String {
    let bytes: Hash = rand::random();
    hex(&bytes)
}

/// What a request of a session must show besides its cookie: known to our page only.
pub fn csrf(token: &str) -> String {
    hex(&hash(&format!("csrf {token}")))
}

fn hash(text: &str) -> Hash {
    Sha256::digest(text.as_bytes()).into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The log-ins.
pub struct Sessions {
    handle: Handle,
    lasts: Duration,
    held: Mutex<HashMap<Hash, Held>>,
}

struct Held {
    session: Session,
    role: Role,
    noted_s: i64,
}

impl Sessions {
    /// The log-ins that the store has.
    pub async fn load(handle: Handle, lasts: Duration, now_s: i64) -> anyhow::Result<Self> {
        let since_s = now_s - lasts.as_secs() as i64;
        let stored = handle
            .transact_async(move |store| store.web_sessions(since_s))
            .await?;
        let held = stored.into_iter().filter_map(|session| {
            let (hash, role) = (session.token_hash, Role::named(&session.role)?);
            let noted_s = session.used_ts;
            Some((
                hash,
                Held {
                    session,
                    role,
                    noted_s,
                },
            ))
        });
        Ok(Self {
            lasts,
            held: Mutex::new(held.collect()),
            handle,
        })
    }

    /// How long one lasts without use.
    pub fn lasts(&self) -> Duration {
        self.lasts
    }

    /// Whose session a token is.
    pub fn find(&self, token: &str, now_s: i64) -> Option<(String, Role)> {
        let mut held = self.lock();
        let hash = hash(token);
        let one = held.get_mut(&hash)?;
        if now_s - one.session.used_ts > self.lasts.as_secs() as i64 {
            held.remove(&hash);
            return None;
        }
        one.session.used_ts = now_s;
        if now_s - one.noted_s > NOTED_EVERY_S {
            one.noted_s = now_s;
            let (handle, session) = (self.handle.clone(), one.session.clone());
            // When it cannot be written, the session ends earlier after a restart; that is all.
            tokio::spawn(async move {
                handle
                    .transact_async(move |store| store.save_web_session(&session))
                    .await
            });
        }
        Some((one.session.user.clone(), one.role))
    }

    /// Begins a session.
    pub async fn begin(
        &self,
        token: &str,
        user: &str,
        role: Role,
        now_s: i64,
    ) -> anyhow::Result<()> {
        let session = Session {
            token_hash: hash(token),
            user: user.to_owned(),
            role: role.name().to_owned(),
            begun_ts: now_s,
            used_ts: now_s,
        };
        let oldest = {
            let mut held = self.lock();
            held.insert(
                session.token_hash,
                Held {
                    session: session.clone(),
                    role,
                    noted_s: now_s,
                },
            );
            let oldest = held.iter().min_by_key(|(_, one)| one.session.used_ts);
            let oldest = oldest
                .map(|(hash, _)| *hash)
                .filter(|_| held.len() > SESSIONS_MAX);
            oldest.inspect(|hash| drop(held.remove(hash)))
        };
        self.handle
            .transact_async(move |store| {
                if let Some(oldest) = oldest {
                    store.drop_web_session(&oldest)?;
                }
                store.save_web_session(&session)
            })
            .await
    }

    /// Ends the session of a token.
    pub async fn end(&self, token: &str) -> anyhow::Result<()> {
        let hash = hash(token);
        self.lock().remove(&hash);
        self.handle
            .transact_async(move |store| store.drop_web_session(&hash))
            .await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Hash, Held>> {
        self.held
            .lock()
            .unwrap_or_else(|broken| broken.into_inner())
    }
}
