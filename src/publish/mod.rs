//! From the outbox to the broker.
//!
//! The outbox is the session: a message leaves it only when the broker has acknowledged it, and after any fault the
//! connection is thrown away and everything unacknowledged goes again, in order. Retained states all go again after each
//! connect, so that a broker that lost its memory shows the truth.

mod connect;
mod window;

use std::{path::PathBuf, sync::Arc, time::Duration};

use rumqttc::{AsyncClient, Event, EventLoop, Outgoing, Packet, QoS};
use serde_json::json;
use tokio::sync::{Notify, mpsc, watch};

use crate::{
    calendar::utc_text,
    clock::Clock,
    config::{Config, Mqtt},
    store::{
        open_read_only,
        outbox::{Face, SCHEMA, events_after, states},
        writer::Acknowledger,
    },
};
use window::{Item, Window};

/// Longest wait between two attempts to connect, s.
const BACKOFF_S_MAX: u64 = 60;
/// An acknowledgement that takes longer than this will not come, s.
const STALLED_S: u64 = 30;
/// How long a stopping daemon waits for the broker, s.
const FAREWELL_S_MAX: u64 = 5;

/// How a station with this config shows itself; `None` without a broker.
pub fn face(config: &Config) -> Option<Face> {
    config.mqtt.as_ref().map(|mqtt| Face {
        site: config.site_id.clone(),
        base: format!("{}/{}", mqtt.prefix, config.site_id),
    })
}

/// Publishes what the store has for the broker.
pub struct Publisher {
    /// The broker.
    pub mqtt: Mqtt,
    /// How the station shows itself.
    pub face: Face,
    /// The store.
    pub store: PathBuf,
    /// Takes acknowledged messages out of the store.
    pub acknowledger: Acknowledger,
    /// Rung after each commit.
    pub committed: Arc<Notify>,
    /// Turns true when the daemon stops.
    pub stopping: watch::Receiver<bool>,
    /// For the time in `state`.
    pub clock: Clock,
}

/// How a connection ended.
enum Ended {
    /// The daemon stops, and the broker knows.
    Stopped,
    /// Something failed; whether the broker had accepted us before.
    Failed {
        connected: bool,
        cause: anyhow::Error,
    },
}

impl Publisher {
    /// Publishes until the daemon stops.
    pub async fn run(mut self) {
        let started_at = utc_text(self.clock.minute());
        let (mut failures, mut backoff_s) = (0u32, 1);
        loop {
            match self.session(&started_at, failures > 0).await {
                Ended::Stopped => return,
                Ended::Failed { connected, cause } => {
                    if connected {
                        (failures, backoff_s) = (0, 1);
                    }
                    failures += 1;
                    // The first failure, then ever fewer: at 2, 4, 8 … in a row.
                    if failures.is_power_of_two() {
                        log::warn!(broker = self.mqtt.host.as_str(), port = self.mqtt.port, failures, cause = format!("{cause:#}"); "the broker cannot be reached; messages wait in the store");
                    }
                }
            }
            let wait =
                Duration::from_millis(backoff_s * 1000 - rand::random_range(0..=backoff_s * 500));
            backoff_s = (backoff_s * 2).min(BACKOFF_S_MAX);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = self.stopping.wait_for(|&stopping| stopping) => return,
            }
        }
    }

    fn state_topic(&self) -> String {
        format!("{}/state", self.face.base)
    }

    fn state(&self, state: &str, started_at: &str) -> String {
        let payload = json!({
            "ts": utc_text(self.clock.minute()),
            "site": self.face.site,
            "schema": SCHEMA,
            "state": state,
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": started_at,
        });
        payload.to_string()
    }

    async fn session(&mut self, started_at: &str, again: bool) -> Ended {
        let failed = |connected| move |cause| Ended::Failed { connected, cause };
        let will = (self.state_topic(), self.state("offline", started_at));
        let options = match connect::options(&self.mqtt, &self.face.site, will) {
            Ok(options) => options,
            Err(cause) => return failed(false)(cause),
        };
        let (client, event_loop) = AsyncClient::new(options, window::CHANNEL);
        // The event loop has a task of its own: dropped halfway through a connect, it would start over.
        let (events, mut incoming) = mpsc::channel(window::CHANNEL * 2);
        let driver = tokio::spawn(drive(event_loop, events));
        let ended = match self.greet(&mut incoming).await {
            Ok(()) => {
                if again {
                    log::info!(broker = self.mqtt.host.as_str(), port = self.mqtt.port; "connected to the broker again");
                }
                match self.publish(&client, &mut incoming, started_at).await {
                    Ok(()) => Ended::Stopped,
                    Err(cause) => failed(true)(cause),
                }
            }
            Err(cause) => failed(false)(cause),
        };
        driver.abort();
        ended
    }

    /// Waits until the broker has accepted us.
    async fn greet(
        &mut self,
        incoming: &mut mpsc::Receiver<anyhow::Result<Event>>,
    ) -> anyhow::Result<()> {
        loop {
            let event = tokio::select! {
                event = incoming.recv() => event,
                _ = self.stopping.wait_for(|&stopping| stopping) => anyhow::bail!("stopping"),
            };
            match event {
                Some(Ok(Event::Incoming(Packet::ConnAck(_)))) => return Ok(()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => anyhow::bail!("the connection ended"),
            }
        }
    }

    /// Publishes what waits and what comes; returns when the daemon stops and the broker knows.
    async fn publish(
        &mut self,
        client: &AsyncClient,
        incoming: &mut mpsc::Receiver<anyhow::Result<Event>>,
        started_at: &str,
    ) -> anyhow::Result<()> {
        let store = open_read_only(&self.store)?;
        let mut window = Window::default();
        window.queue(
            Item::Own,
            self.state_topic(),
            self.state("online", started_at),
            true,
        );
        for (topic, payload, revision) in states(&store, false)? {
            window.queue(Item::State(topic.clone(), revision), topic, payload, true);
        }
        let mut newest_event = 0;
        let mut farewell = false;
        let mut deadline = None;
        let stalled = Duration::from_secs(STALLED_S);
        let mut acknowledged_at = tokio::time::Instant::now();
        loop {
            if window.is_done() {
                acknowledged_at = tokio::time::Instant::now();
            }
            if window.waiting() < window::CHANNEL {
                for (id, topic, payload) in events_after(&store, newest_event, window::CHANNEL)? {
                    newest_event = id;
                    window.queue(Item::Event(id), topic, payload, false);
                }
                for (topic, payload, revision) in states(&store, true)? {
                    if window.is_newer(&topic, revision) {
                        window.queue(Item::State(topic.clone(), revision), topic, payload, true);
                    }
                }
            }
            if *self.stopping.borrow() && !farewell && window.is_done() {
                farewell = true;
                window.queue(
                    Item::Own,
                    self.state_topic(),
                    self.state("offline", started_at),
                    true,
                );
            }
            if *self.stopping.borrow() && deadline.is_none() {
                deadline = Some(tokio::time::Instant::now() + Duration::from_secs(FAREWELL_S_MAX));
            }
            window.send(client)?;
            if farewell && window.is_done() {
                client.try_disconnect()?;
                // The driver has a moment to send the farewell's end before it is dropped.
                while let Ok(Some(Ok(_))) =
                    tokio::time::timeout(Duration::from_millis(500), incoming.recv()).await
                {
                }
                return Ok(());
            }
            let stopping = *self.stopping.borrow();
            let event = tokio::select! {
                event = incoming.recv() => event,
                () = self.committed.notified() => continue,
                _ = self.stopping.changed(), if !stopping => continue,
                () = until(deadline) => {
                    log::warn!("the broker did not take everything in time; the rest waits in the store");
                    return Ok(());
                }
                () = tokio::time::sleep_until(acknowledged_at + stalled), if !window.is_done() => anyhow::bail!("no acknowledgement for {STALLED_S} s"),
            };
            // Acknowledgements come in bunches, and a bunch costs one commit.
            let mut done = Vec::new();
            let mut next = event;
            loop {
                match next {
                    Some(Ok(Event::Outgoing(Outgoing::Publish(packet)))) => window.sent(packet),
                    Some(Ok(Event::Incoming(Packet::PubAck(ack)))) => {
                        done.extend(window.acknowledged(ack.pkid))
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Err(error),
                    None => anyhow::bail!("the connection ended"),
                }
                match incoming.try_recv() {
                    Ok(event) => next = Some(event),
                    Err(_) => break,
                }
            }
            if !done.is_empty() {
                acknowledged_at = tokio::time::Instant::now();
            }
            self.acknowledge(done).await?;
        }
    }

    async fn acknowledge(&self, done: Vec<Item>) -> anyhow::Result<()> {
        let (mut events, mut states) = (Vec::new(), Vec::new());
        for item in done {
            match item {
                Item::Event(id) => events.push(id),
                Item::State(topic, revision) => states.push((topic, revision)),
                Item::Own => {}
            }
        }
        if events.is_empty() && states.is_empty() {
            return Ok(());
        }
        let acknowledger = self.acknowledger.clone();
        tokio::task::spawn_blocking(move || acknowledger.acknowledge(events, states)).await?
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn drive(mut event_loop: EventLoop, events: mpsc::Sender<anyhow::Result<Event>>) {
    loop {
        let event = event_loop.poll().await.map_err(anyhow::Error::from);
        let failed = event.is_err();
        if events.send(event).await.is_err() || failed {
            return;
        }
    }
}

/// Quality of service of everything published.
const AT_LEAST_ONCE: QoS = QoS::AtLeastOnce;
