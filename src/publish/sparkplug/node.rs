//! The node's connection. It is one of its own, for its will is the node's death.
//!
//! Births and data are not acknowledged (QoS 0, as Sparkplug wants it), so a broker that stops answering is noticed by the
//! client's keep-alive: a ping without an answer ends the connection.

use std::{
    io::{self, ErrorKind},
    path::PathBuf,
    time::Duration,
};

use rusqlite::Connection;
use serde_json::Value as Json;
use tokio::sync::watch;

use super::{
    super::{
        PROVEN,
        link::{self, Happening, Link, Message},
        until,
    },
    births::Births,
    metrics::{Reading, States, readings},
    session::{Session, asked},
};
use crate::{
    attempts::Attempts,
    calendar::Calendar,
    clock::Clock,
    config::Mqtt,
    store::{kpis, open_read_only, outbox::Face, states::states, troubles::Part, writer::Handle},
};

/// How long a death that we tell ourselves may take to be acknowledged, s.
const FAREWELL_S_MAX: u64 = 5;

/// Shows the station to Sparkplug hosts.
pub struct Node {
    /// The broker.
    pub mqtt: Mqtt,
    /// Sparkplug's group; the node's id is the site's.
    pub group: String,
    /// How the station shows itself on our own topics.
    pub face: Face,
    /// The store.
    pub store: PathBuf,
    /// Notes what keeps it from its work.
    pub handle: Handle,
    /// Changes with each commit.
    pub committed: watch::Receiver<u64>,
    /// Turns true when the daemon stops.
    pub stopping: watch::Receiver<bool>,
    /// The plant's wall clock.
    pub calendar: Calendar,
    /// For the time of the messages.
    pub clock: Clock,
}

/// Why a session ended.
enum Ended {
    /// The daemon stops, and the hosts know.
    Stopped,
    /// The primary host is offline: the next session waits for it.
    HostGone,
}

/// The host without which nothing is told.
struct PrimaryHost {
    topic: String,
    online: bool,
    /// When it last said something, ms since 1970.
    said_at_ms: i64,
}

impl PrimaryHost {
    fn new(id: &str) -> Self {
        Self {
            topic: format!("spBv1.0/STATE/{id}"),
            online: false,
            said_at_ms: i64::MIN,
        }
    }

    /// Takes in what the host says of itself; what is older than what it said before does not count.
    fn heard(&mut self, payload: &[u8]) {
        let said: Json = serde_json::from_slice(payload).unwrap_or_default();
        if let (Some(online), Some(at_ms)) = (said["online"].as_bool(), said["timestamp"].as_i64())
            && at_ms >= self.said_at_ms
        {
            self.online = online;
            self.said_at_ms = at_ms;
        }
    }
}

impl Node {
    /// Shows the station until the daemon stops.
    pub async fn run(mut self) {
        let mut births = Births::beside(&self.store, self.clock.now_s());
        let mut attempts = Attempts::new(
            Part::Sparkplug,
            self.handle.clone(),
            self.clock,
            self.mqtt.retry_s_max,
        );
        loop {
            match self.live(&mut births, &mut attempts).await {
                Ok(Ended::Stopped) => return,
                Ok(Ended::HostGone) => {
                    log::info!("the primary host is offline; the sparkplug node waits for it");
                }
                Err(_) if *self.stopping.borrow() => return,
                Err(error) => {
                    if let Some(cause) = attempts.fail(&error).await {
                        log::warn!(broker = self.mqtt.host.as_str(), port = self.mqtt.port, failures = attempts.failures(), cause; "the sparkplug node has no broker");
                    }
                }
            }
            let pause = attempts.pause();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.stopping.wait_for(|&stopping| stopping) => return,
            }
        }
    }

    /// Lives through one session.
    async fn live(
        &mut self,
        births: &mut Births,
        attempts: &mut Attempts,
    ) -> anyhow::Result<Ended> {
        let mut session = Session::new(births.next());
        let death = self.death(&session);
        let client_id = format!("pumphouse-{}-sparkplug", self.face.site);
        let mut link =
            Link::open(&self.mqtt, &client_id, death).inspect_err(|_| births.give_back())?;
        if let Err(cause) = self.greet(&mut link).await {
            if was_not_heard(&cause) {
                births.give_back();
            }
            return Err(link::explain(cause, &self.mqtt));
        }
        if attempts.failures() > 0 {
            log::info!(broker = self.mqtt.host.as_str(), port = self.mqtt.port; "the sparkplug node is connected again");
        }
        let ended = self.tell(&mut link, &mut session, attempts).await?;
        self.take_leave(link, &session).await?;
        Ok(ended)
    }

    /// Waits until the broker has accepted us.
    async fn greet(&mut self, link: &mut Link) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                happening = link.next() => if matches!(happening?, Happening::Connected) {
                    return Ok(());
                },
                _ = self.stopping.wait_for(|&stopping| stopping) => anyhow::bail!("stopping"),
            }
        }
    }

    /// Tells what is, and then what changes, until the session must end.
    async fn tell(
        &mut self,
        link: &mut Link,
        session: &mut Session,
        attempts: &mut Attempts,
    ) -> anyhow::Result<Ended> {
        // Nothing of what is told is acknowledged.
        let mut proven_at = Some(tokio::time::Instant::now() + PROVEN);
        let store = open_read_only(&self.store)?;
        let commands = self.topic("NCMD");
        link.subscribe(&commands)?;
        let mut host = self
            .mqtt
            .sparkplug_primary_host
            .as_deref()
            .map(PrimaryHost::new);
        if let Some(host) = &host {
            link.subscribe(&host.topic)?;
        }
        let (mut birth_due, mut look) = (true, true);
        // Messages that have not left yet: while a slow line is busy, changes come together.
        let mut unsent = 0usize;
        let mut refusals = 0u64;
        loop {
            let stopping = *self.stopping.borrow();
            let welcome = host.as_ref().is_none_or(|host| host.online);
            if welcome && unsent == 0 && (birth_due || look) {
                let now_ms = self.now_ms();
                let readings = self.readings(&store, session, now_ms)?;
                let news = if std::mem::take(&mut birth_due) {
                    Some(("NBIRTH", session.birth(readings, now_ms)))
                } else {
                    session.data(readings, now_ms).map(|data| ("NDATA", data))
                };
                look = false;
                if let Some((verb, payload)) = news {
                    link.publish(message(self.topic(verb), payload))?;
                    unsent += 1;
                }
            }
            if stopping {
                return Ok(Ended::Stopped);
            }
            let happening = tokio::select! {
                happening = link.next() => happening?,
                changed = self.committed.changed() => {
                    if changed.is_err() {
                        // The writer has ended, so the daemon stops.
                        let _ = self.stopping.wait_for(|&stopping| stopping).await;
                    }
                    look = true;
                    continue;
                }
                _ = self.stopping.changed() => {
                    look = true;
                    continue;
                }
                () = until(proven_at) => {
                    proven_at = None;
                    attempts.succeed().await;
                    continue;
                }
            };
            match happening {
                Happening::Sent(_) => unsent = unsent.saturating_sub(1),
                Happening::Message { topic, payload } if topic == commands => {
                    birth_due |= rebirth_asked(&payload, &mut refusals);
                }
                Happening::Message { topic, payload } => {
                    if let Some(host) = host.as_mut().filter(|host| host.topic == topic) {
                        let was_online = host.online;
                        host.heard(&payload);
                        if was_online && !host.online {
                            return Ok(Ended::HostGone);
                        }
                    }
                }
                Happening::Connected | Happening::Acknowledged(_) | Happening::Other => {}
            }
        }
    }

    /// What each metric is now.
    fn readings(
        &mut self,
        store: &Connection,
        session: &Session,
        now_ms: u64,
    ) -> anyhow::Result<Vec<Reading>> {
        let kpi = kpis::state(store, &self.face, &mut self.calendar)?;
        // An alarm that was never raised is as old as the newest row.
        let states = states(store, &self.face, "")?;
        let below = self.face.base.len() + 1;
        let states: States = states
            .into_iter()
            .chain(kpi)
            .map(|(topic, payload)| {
                Ok((topic[below..].to_owned(), serde_json::from_str(&payload)?))
            })
            .collect::<serde_json::Result<_>>()?;
        Ok(readings(session.definitions(), &states, now_ms))
    }

    /// Tells the death, so that hosts need not wait for the broker to notice, and disconnects.
    async fn take_leave(&self, mut link: Link, session: &Session) -> anyhow::Result<()> {
        link.publish(self.death(session))?;
        let acknowledged = async {
            while !matches!(link.next().await?, Happening::Acknowledged(_)) {}
            anyhow::Ok(())
        };
        match tokio::time::timeout(Duration::from_secs(FAREWELL_S_MAX), acknowledged).await {
            Ok(done) => done?,
            // Without a farewell the broker tells the death.
            Err(_) => return Ok(()),
        }
        link.close().await
    }

    fn death(&self, session: &Session) -> Message {
        Message {
            acknowledged: true,
            ..message(self.topic("NDEATH"), session.death(self.now_ms()))
        }
    }

    fn topic(&self, verb: &str) -> String {
        format!("spBv1.0/{}/{verb}/{}", self.group, self.face.site)
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_s().unsigned_abs() * 1000
    }
}

fn message(topic: String, payload: Vec<u8>) -> Message {
    Message {
        topic,
        payload,
        retain: false,
        acknowledged: false,
    }
}

/// Whether a command asks for a birth; anything else it asks for is refused with a word in the log.
fn rebirth_asked(command: &[u8], refusals: &mut u64) -> bool {
    let (rebirth, why) = match asked(command) {
        Ok(asked) if asked.refused.is_empty() => (asked.rebirth, None),
        Ok(asked) => (asked.rebirth, Some(asked.refused.join(", "))),
        Err(error) => (false, Some(format!("{error:#}"))),
    };
    if let Some(what) = why {
        *refusals += 1;
        if refusals.is_power_of_two() {
            let what: String = what.chars().take(200).collect();
            log::warn!(what, refusals = *refusals; "a sparkplug command is ignored: nothing here can be written");
        }
    }
    rebirth
}

/// Whether a connect failed before a broker can have heard of it.
fn was_not_heard(cause: &anyhow::Error) -> bool {
    let refused = |error: &io::Error| {
        matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
        )
    };
    cause
        .chain()
        .any(|cause| cause.downcast_ref().is_some_and(refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_host_is_believed_unless_it_says_something_older() {
        let mut host = PrimaryHost::new("scada");
        assert!(!host.online, "it has to say so");
        for (said, online) in [
            ("ONLINE", false),
            (r#"{"online":true}"#, false),
            (r#"{"online":true,"timestamp":10}"#, true),
            // The will of a connection before.
            (r#"{"online":false,"timestamp":9}"#, true),
            ("", true),
            (r#"{"online":false,"timestamp":10}"#, false),
        ] {
            host.heard(said.as_bytes());
            assert_eq!(host.online, online, "{said}");
        }
    }

    #[test]
    fn only_a_refused_connect_was_not_heard() {
        let of = |kind: ErrorKind| {
            anyhow::Error::from(rumqttc::ConnectionError::Io(kind.into())).context("greeting")
        };
        assert!(was_not_heard(&of(ErrorKind::ConnectionRefused)));
        assert!(!was_not_heard(&of(ErrorKind::ConnectionReset)));
        let v5 = rumqttc::v5::ConnectionError::Io(ErrorKind::ConnectionRefused.into());
        assert!(was_not_heard(&v5.into()));
        assert!(!was_not_heard(&anyhow::anyhow!("stopping")));
    }
}
