//! From the outbox to the broker.
//!
//! The outbox is the session: a message leaves it only when the broker has acknowledged it, and after any fault the
//! connection is thrown away and everything unacknowledged goes again, in order. Retained states all go again after each
//! connect, so that a broker that lost its memory shows the truth.

pub mod forecasts;
mod home_assistant;
pub(crate) mod link;
mod requests;
pub mod schedule;
pub mod sparkplug;
pub(crate) mod window;

pub use home_assistant::HomeAssistant;

use std::{collections::HashMap, path::PathBuf, sync::Arc, time::Duration};

use serde_json::json;
use tokio::sync::watch;

use crate::{
    attempts::Attempts,
    calendar::{Calendar, Minute, utc_text},
    clock::Clock,
    config::{Config, Mqtt},
    forecast::worker::Told,
    schedule::worker::Advice,
    store::{
        Store, kpis, open_read_only,
        operators::Now,
        outbox::{Face, SCHEMA, has_acknowledged, waiting_after},
        states::states,
        troubles::Part,
        writer::Handle,
    },
    watchdog::{PUBLISH, SIGN_OF_LIFE},
};
use link::{Happening, Link, Message};
use window::{Item, Window};

/// A connection that has held for so long works.
const PROVEN: Duration = Duration::from_secs(10);
/// How long a stopping daemon waits for the broker, s.
const FAREWELL_S_MAX: u64 = 5;

/// How a station with this config shows itself; `None` without a broker.
pub fn face(config: &Config) -> Option<Face> {
    config.mqtt.as_ref().map(|mqtt| Face {
        site: config.site_id.clone(),
        base: format!("{}/{}", mqtt.prefix, config.site_id),
    })
}

/// Publishes what the store has for the broker, and takes the requests of panels.
pub struct Publisher {
    /// The broker.
    pub mqtt: Mqtt,
    /// How the station shows itself.
    pub face: Face,
    /// The store.
    pub store: PathBuf,
    /// Writes acknowledgements and answers.
    pub handle: Handle,
    /// Changes with each commit.
    pub committed: watch::Receiver<u64>,
    /// Turns true when the daemon stops.
    pub stopping: watch::Receiver<bool>,
    /// The plant's wall clock.
    pub calendar: Calendar,
    /// Longest time for which an alarm can be shelved, min.
    pub shelve_max_min: i64,
    /// For the time in `state`.
    pub clock: Clock,
    /// When the daemon started.
    pub started: Minute,
    /// The newest forecasts.
    pub forecasts: watch::Receiver<Arc<Vec<Told>>>,
    /// The newest advice on pumping.
    pub advice: watch::Receiver<Option<Arc<Advice>>>,
    /// What Home Assistant is told, if that face is on.
    pub home_assistant: Option<HomeAssistant>,
}

impl Publisher {
    /// Publishes until the daemon stops.
    pub async fn run(mut self) {
        let _running = PUBLISH.begins();
        let started_at = utc_text(self.started);
        let mut attempts = Attempts::new(
            Part::Broker,
            self.handle.clone(),
            self.clock,
            self.mqtt.retry_s_max,
        );
        loop {
            let Err(error) = self.session(&started_at, &mut attempts).await else {
                return;
            };
            if *self.stopping.borrow() {
                return;
            }
            if let Some(cause) = attempts.fail(&error).await {
                log::warn!(broker = self.mqtt.host.as_str(), port = self.mqtt.port, failures = attempts.failures(), cause; "the broker cannot be reached; messages wait in the store");
            }
            let pause = attempts.pause();
            PUBLISH.rests(pause);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.stopping.wait_for(|&stopping| stopping) => return,
            }
        }
    }

    fn state(&self, state: &str, started_at: &str) -> Message {
        let payload = json!({
            "ts": utc_text(self.clock.minute()),
            "site": self.face.site,
            "schema": SCHEMA,
            "state": state,
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": started_at,
        });
        Message::retained(format!("{}/state", self.face.base), payload.to_string())
    }

    /// One connection; it ends well when the daemon stops and the broker knows.
    async fn session(&mut self, started_at: &str, attempts: &mut Attempts) -> anyhow::Result<()> {
        let will = self.state("offline", started_at);
        let client_id = format!("pumphouse-{}", self.face.site);
        let mut link = Link::open(&self.mqtt, &client_id, will)?;
        let greeted = self.greet(&mut link).await;
        greeted.map_err(|cause| link::explain(cause, &self.mqtt))?;
        if attempts.failures() > 0 {
            log::info!(broker = self.mqtt.host.as_str(), port = self.mqtt.port; "connected to the broker again");
        }
        self.publish(&mut link, started_at, attempts).await?;
        if let Err(error) = link.close().await {
            log::debug!(cause = format!("{error:#}"); "no farewell");
        }
        Ok(())
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

    /// Publishes what waits and what comes; returns when the daemon stops and the broker knows.
    async fn publish(
        &mut self,
        link: &mut Link,
        started_at: &str,
        attempts: &mut Attempts,
    ) -> anyhow::Result<()> {
        let store = open_read_only(&self.store)?;
        if has_acknowledged(&store)? {
            let taking_back = self
                .handle
                .transact_async(Store::take_back_acknowledgements);
            if let Err(error) = taking_back.await {
                log::debug!(cause = format!("{error:#}"); "cannot take back acknowledgements");
            }
        }
        let as_of = utc_text(self.clock.minute());
        link.subscribe(&format!("{}/cmd/+", self.face.base))?;
        let mut window = Window::default();
        window.queue(Item::State, self.state("online", started_at));
        if let Some(home) = &self.home_assistant {
            link.subscribe(&home.status_topic)?;
            introduce(home, &mut window);
        }
        let mut shown: HashMap<String, String> = HashMap::new();
        let (mut farewell, mut deadline) = (false, None);
        let stalled = Duration::from_secs(self.mqtt.silence_s_max);
        let begun = tokio::time::Instant::now();
        let mut acknowledged_at = begun;
        let mut look = true;
        let mut done = Vec::new();
        loop {
            PUBLISH.gets_on();
            if window.is_done() {
                acknowledged_at = tokio::time::Instant::now();
            }
            window.refill(|after, most| waiting_after(&store, after, most))?;
            // Behind the events that brought them about.
            if std::mem::take(&mut look) {
                let kpi = kpis::state(&store, &self.face, &mut self.calendar)?;
                let told = self.forecasts.borrow_and_update().clone();
                let advice = self.advice.borrow_and_update().clone();
                let advice = advice.map(|advice| schedule::state(&self.face, &advice));
                let retained = states(&store, &self.face, &as_of)?.into_iter().chain(kpi);
                for (topic, payload) in retained
                    .chain(forecasts::states(&self.face, &told))
                    .chain(advice)
                {
                    if shown.get(&topic) != Some(&payload) {
                        window.queue(
                            Item::State,
                            Message::retained(topic.clone(), payload.clone()),
                        );
                        shown.insert(topic, payload);
                    }
                }
            }
            let stopping = *self.stopping.borrow();
            if stopping && !farewell && window.is_done() {
                farewell = true;
                window.queue(Item::State, self.state("offline", started_at));
            }
            if stopping && deadline.is_none() {
                deadline = Some(tokio::time::Instant::now() + Duration::from_secs(FAREWELL_S_MAX));
            }
            window.send(|message| link.publish(message))?;
            if farewell && window.is_done() {
                return Ok(());
            }
            let happening = tokio::select! {
                happening = link.next() => happening,
                changed = self.committed.changed(), if !stopping => {
                    if changed.is_err() {
                        // The writer has ended, so the daemon stops.
                        let _ = self.stopping.wait_for(|&stopping| stopping).await;
                    }
                    look = true;
                    continue;
                }
                Ok(()) = self.advice.changed(), if !stopping => {
                    look = true;
                    continue;
                }
                Ok(()) = self.forecasts.changed(), if !stopping => {
                    look = true;
                    continue;
                }
                _ = self.stopping.changed(), if !stopping => continue,
                () = tokio::time::sleep(SIGN_OF_LIFE) => continue,
                () = until(deadline) => {
                    log::warn!("the broker did not take everything in time; the rest waits in the store");
                    return Ok(());
                }
                () = tokio::time::sleep_until(acknowledged_at + stalled), if !window.is_done() => anyhow::bail!("no acknowledgement for {} s", self.mqtt.silence_s_max),
            };
            // Acknowledgements come in bunches, and a bunch costs one commit.
            let mut next = Some(happening);
            let before = acknowledged_at;
            while let Some(happening) = next {
                match happening? {
                    Happening::Sent(packet) => window.sent(packet),
                    Happening::Acknowledged(packet) => {
                        acknowledged_at = tokio::time::Instant::now();
                        if let Some(Item::Outbox(id)) = window.acknowledged(packet) {
                            done.push(id);
                        }
                    }
                    Happening::Message { topic, payload } if self.is_home(&topic) => {
                        if let Some(home) = &self.home_assistant
                            && payload == b"online"
                        {
                            introduce(home, &mut window);
                        }
                    }
                    Happening::Message { topic, payload } => {
                        look |= self.answer(&topic, &payload).await?;
                    }
                    Happening::Connected | Happening::Other => {}
                }
                next = link.next_ready();
            }
            // A broker that lets us in and then refuses messages is still in trouble.
            if acknowledged_at != before && (window.is_done() || begun.elapsed() > PROVEN) {
                attempts.succeed().await;
            }
            if !done.is_empty() {
                let (now_s, ids) = (self.clock.now_s(), done.clone());
                let noting = self
                    .handle
                    .transact_async(move |store| store.acknowledge(&ids, now_s));
                match noting.await {
                    Ok(()) => done.clear(),
                    // They are noted with the next ones; publishing goes on while the disk is full.
                    Err(error) => {
                        log::debug!(cause = format!("{error:#}"); "cannot note acknowledgements yet");
                    }
                }
            }
        }
    }

    /// Whether Home Assistant speaks of itself on the topic.
    fn is_home(&self, topic: &str) -> bool {
        let home = self.home_assistant.as_ref();
        home.is_some_and(|home| home.status_topic == topic)
    }

    /// Answers a request from a panel; whether there was one.
    async fn answer(&mut self, topic: &str, payload: &[u8]) -> anyhow::Result<bool> {
        let verb = topic.rsplit('/').next().unwrap_or_default();
        let Some(asked) = requests::read(verb, payload) else {
            return Ok(false);
        };
        let ts = self.clock.now_s();
        let local = self.calendar.local(ts.div_euclid(60)).minute;
        let now = Now { ts, local };
        let longest_min = self.shelve_max_min;
        let (id, request) = (asked.id.clone(), asked.verb.clone());
        let done = self
            .handle
            .transact_async(move |store| store.answer(&asked, now, longest_min))
            .await?;
        match done {
            Ok(()) => log::info!(request, id; "a panel's request is done"),
            Err(reason) => log::info!(request, id, reason; "a panel's request is refused"),
        }
        Ok(true)
    }
}

/// Queues what Home Assistant must know of us: after a connect, and when it has started anew.
fn introduce(home: &HomeAssistant, window: &mut Window) {
    for (topic, payload) in home.discovery.iter().cloned() {
        window.queue(Item::State, Message::retained(topic, payload));
    }
}

async fn until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
