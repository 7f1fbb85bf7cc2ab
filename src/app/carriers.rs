//! The parts that work on what the store has: forecasts, plans, verdicts, and all that goes to the broker, to the central office
//! and to people. And the one that brings in what the PLC says.
//!
//! *Invariant.* A part gets from the config what its place remembers, and nothing else. So a reload starts anew the parts for
//! which something has changed, and the others do not notice: panels see no `offline` because a price has changed.
//!
//! A part that ends though nobody has told it to, which means in a panic, is said to be gone: without it the daemon would look well.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc::Sender},
};

use jiff::tz::TimeZone;
use tokio::{
    sync::{mpsc::UnboundedSender, watch},
    task::JoinHandle,
};

use super::Command;
use crate::{
    calendar::{Calendar, Minute},
    clock::Clock,
    config::{Central, Config, Modbus, Mqtt, Notify},
    forecast::worker::{Forecaster, Told},
    modbus::poll,
    notify::{Caller, hooks},
    plant::Plant,
    publish::{self, HomeAssistant, Publisher, sparkplug::Node},
    quality::worker::Judge,
    schedule::{
        scene::Setting,
        worker::{Advice, Planner},
    },
    store::{outbox::Face, writer::Handle},
    sync::Centre,
    web::Web,
};

/// Turns true when a part is to stop.
type Stopping = watch::Receiver<bool>;
/// The plant, the models' folder, the delay of the exports in minutes, and whether there is a central office.
type ForForecaster = (Arc<Plant>, PathBuf, i64, bool);
/// The broker, how the station shows itself there, and its group.
type ForNode = (Mqtt, Face, String);
/// The broker, how the station shows itself there, the longest shelving in minutes, and what Home Assistant is told.
type ForPublisher = (Mqtt, Face, i64, Option<HomeAssistant>);

/// What the parts share, and no reload changes.
pub(super) struct Ground {
    pub(super) site: String,
    pub(super) zone: TimeZone,
    pub(super) store: PathBuf,
    pub(super) handle: Handle,
    pub(super) committed: watch::Receiver<u64>,
    pub(super) clock: Clock,
    /// When the daemon started.
    pub(super) started: Minute,
    /// To the plant's loop.
    pub(super) commands: Sender<Command>,
    /// The newest forecasts, from one part to the others.
    pub(super) forecasts: watch::Sender<Arc<Vec<Told>>>,
    /// The newest advice, from one part to the others.
    pub(super) advice: watch::Sender<Option<Arc<Advice>>>,
}

/// All parts, each in its place.
pub(super) struct Carriers {
    ground: Ground,
    forecaster: Place<ForForecaster>,
    judge: Place<Arc<Plant>>,
    planner: Place<Setting>,
    node: Place<ForNode>,
    publisher: Place<ForPublisher>,
    poller: Place<Modbus>,
    web: Place<Config>,
    centre: Place<Central>,
    caller: Place<Notify>,
}

impl Carriers {
    /// None of them at work yet. `gone` hears the name of one that has ended by itself.
    pub(super) fn new(ground: Ground, gone: &UnboundedSender<&'static str>) -> Self {
        Self {
            ground,
            forecaster: Place::new("forecast", gone),
            judge: Place::new("quality", gone),
            planner: Place::new("schedule", gone),
            node: Place::new("sparkplug", gone),
            publisher: Place::new("mqtt", gone),
            poller: Place::new("modbus", gone),
            web: Place::new("web", gone),
            centre: Place::new("central", gone),
            caller: Place::new("calls", gone),
        }
    }

    /// Brings every part to where the config wants it.
    pub(super) async fn follow(&mut self, config: &Config) {
        let on = &self.ground;
        // First, since plans are made of forecasts.
        let forecasting = (
            config.plant.clone(),
            config.models.clone(),
            config.historian.delivery_delay_min,
            config.central.is_some(),
        );
        self.forecaster
            .follow(Some(forecasting), |of, stopping| {
                on.forecaster(of, stopping).run()
            })
            .await;
        let broker = config.mqtt.clone().zip(publish::face(config));
        tokio::join!(
            self.judge
                .follow(Some(config.plant.clone()), |of, stopping| {
                    on.judge(of, stopping).run()
                }),
            self.planner
                .follow(Some(Setting::of(config)), |of, stopping| {
                    on.planner(of, stopping).run()
                }),
            self.node.follow(
                broker.clone().and_then(|(mqtt, face)| Some((
                    mqtt.clone(),
                    face,
                    mqtt.sparkplug_group?
                ))),
                |of, stopping| on.node(of, stopping).run(),
            ),
            self.publisher.follow(
                broker.map(|(mqtt, face)| {
                    let home_assistant = HomeAssistant::of(config);
                    (mqtt, face, config.shelve_max_min, home_assistant)
                }),
                |of, stopping| on.publisher(of, stopping).run(),
            ),
            self.poller.follow(config.modbus.clone(), |of, stopping| {
                poll_into(on.commands.clone(), of, on.clock, stopping)
            }),
            self.web.follow(
                config.web.as_ref().map(|_| config.clone()),
                |of, stopping| { on.web(of, stopping).run() }
            ),
            self.centre.follow(config.central.clone(), |of, stopping| {
                on.centre(of, stopping).run()
            }),
            self.caller.follow(config.notify.clone(), |of, stopping| {
                on.caller(&of, stopping).run()
            }),
        );
    }

    /// Stops them all, each with the time it needs to take leave.
    pub(super) async fn stop(mut self) {
        tokio::join!(
            self.forecaster.stop(),
            self.judge.stop(),
            self.planner.stop(),
            self.node.stop(),
            self.publisher.stop(),
            self.poller.stop(),
            self.web.stop(),
            self.centre.stop(),
            self.caller.stop(),
        );
    }
}

impl Ground {
    fn forecaster(&self, of: ForForecaster, stopping: Stopping) -> Forecaster {
        let (plant, models, delivery_delay_min, has_centre) = of;
        // Those of another plant or of other models say nothing any more.
        self.forecasts.send_replace(Arc::default());
        Forecaster {
            plant,
            store: self.store.clone(),
            models,
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping,
            delivery_delay_min,
            has_centre,
            clock: self.clock,
            told: self.forecasts.clone(),
        }
    }

    fn judge(&self, plant: Arc<Plant>, stopping: Stopping) -> Judge {
        Judge {
            plant,
            store: self.store.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping,
            clock: self.clock,
        }
    }

    fn planner(&self, setting: Setting, stopping: Stopping) -> Planner {
        // A plan that was made for something else advises nothing any more.
        self.advice.send_replace(None);
        Planner {
            setting,
            store: self.store.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping,
            forecasts: self.forecasts.subscribe(),
            clock: self.clock,
            told: self.advice.clone(),
        }
    }

    fn node(&self, (mqtt, face, group): ForNode, stopping: Stopping) -> Node {
        Node {
            mqtt,
            group,
            face,
            store: self.store.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping,
            calendar: Calendar::new(self.zone.clone()),
            clock: self.clock,
        }
    }

    fn publisher(&self, of: ForPublisher, stopping: Stopping) -> Publisher {
        let (mqtt, face, shelve_max_min, home_assistant) = of;
        Publisher {
            mqtt,
            face,
            store: self.store.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping,
            calendar: Calendar::new(self.zone.clone()),
            shelve_max_min,
            clock: self.clock,
            started: self.started,
            forecasts: self.forecasts.subscribe(),
            advice: self.advice.subscribe(),
            home_assistant,
        }
    }

    fn web(&self, config: Config, stopping: Stopping) -> Web {
        Web {
            config,
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping,
            forecasts: self.forecasts.subscribe(),
            advice: self.advice.subscribe(),
            clock: self.clock,
        }
    }

    fn centre(&self, central: Central, stopping: Stopping) -> Centre {
        Centre {
            central,
            site: self.site.clone(),
            zone: self.zone.clone(),
            store: self.store.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping,
        }
    }

    fn caller(&self, notify: &Notify, stopping: Stopping) -> Caller {
        Caller {
            hooks: hooks(notify),
            site: self.site.clone(),
            store: self.store.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping,
            clock: self.clock,
        }
    }
}

/// Polls the PLC for the plant's loop.
async fn poll_into(commands: Sender<Command>, modbus: Modbus, clock: Clock, stopping: Stopping) {
    let (polling, mut samples) = poll::start(modbus, clock, stopping);
    while let Some(sample) = samples.recv().await {
        // The plant's loop has ended when it takes none.
        if commands.send(Command::Polled(Box::new(sample))).is_err() {
            break;
        }
    }
    drop(samples);
    if let Err(error) = polling.await {
        log::error!(cause = error.to_string(); "polling ended in a panic");
    }
}

/// Tells when a part ends that nobody has told to.
struct Leaving {
    name: &'static str,
    stopping: Stopping,
    gone: UnboundedSender<&'static str>,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if !*self.stopping.borrow() {
            // The daemon has ended when nobody hears it.
            let _ = self.gone.send(self.name);
        }
    }
}

/// Where a part is at work, or would be.
struct Place<T> {
    name: &'static str,
    gone: UnboundedSender<&'static str>,
    /// What the part got from the config.
    of: Option<T>,
    at_work: Option<(watch::Sender<bool>, JoinHandle<()>)>,
}

impl<T: Clone + PartialEq> Place<T> {
    fn new(name: &'static str, gone: &UnboundedSender<&'static str>) -> Self {
        Self {
            name,
            gone: gone.clone(),
            of: None,
            at_work: None,
        }
    }

    /// Has the part at work with `of`; one that has something else is stopped first, and with `None` there is none.
    async fn follow<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        of: Option<T>,
        start: impl FnOnce(T, Stopping) -> F,
    ) {
        if of == self.of {
            return;
        }
        self.stop().await;
        self.of.clone_from(&of);
        self.at_work = of.map(|of| {
            let (stop, stopping) = watch::channel(false);
            let leaving = Leaving {
                name: self.name,
                stopping: stopping.clone(),
                gone: self.gone.clone(),
            };
            let part = start(of, stopping);
            let at_work = async move {
                let _leaving = leaving;
                part.await;
            };
            (stop, tokio::spawn(at_work))
        });
    }

    async fn stop(&mut self) {
        let Some((stop, task)) = self.at_work.take() else {
            return;
        };
        // A part that has ended by itself does not listen.
        let _ = stop.send(true);
        if let Err(error) = task.await {
            log::error!(task = self.name, cause = error.to_string(); "a task ended in a panic");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[tokio::test]
    async fn a_part_is_started_anew_when_what_it_got_has_changed_and_only_then() {
        let (started, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut place = Place::new("part", &unbounded_channel().0);
        let counts = || {
            (
                started.load(Ordering::Relaxed),
                ended.load(Ordering::Relaxed),
            )
        };
        for (of, expected) in [
            (None, (0, 0)),
            (Some(1), (1, 0)),
            (Some(1), (1, 0)),
            (Some(2), (2, 1)),
            (None, (2, 2)),
            (Some(2), (3, 2)),
        ] {
            let part = |_, mut stopping: Stopping| {
                started.fetch_add(1, Ordering::Relaxed);
                let ended = ended.clone();
                async move {
                    let told = stopping.wait_for(|&stopping| stopping).await.is_ok();
                    ended.fetch_add(usize::from(told), Ordering::Relaxed);
                }
            };
            place.follow(of, part).await;
            assert_eq!(counts(), expected, "{of:?}");
        }
        place.stop().await;
        assert_eq!(counts(), (3, 3));
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_is_told_of_and_one_that_is_stopped_is_not() {
        let (gone, mut told) = unbounded_channel();
        let mut place = Place::new("part", &gone);
        let stopped = |_, mut stopping: Stopping| async move {
            let told = stopping.wait_for(|&stopping| stopping).await;
            assert!(told.is_ok());
        };
        place.follow(Some(1), stopped).await;
        tokio::task::yield_now().await;
        place.follow(None, stopped).await;
        assert!(told.is_empty());
        place
            .follow(Some(2), |_, _| async { panic!("as a test") })
            .await;
        assert_eq!(told.recv().await, Some("part"));
        place.stop().await;
        place.follow(Some(3), |_, _| async {}).await;
        assert_eq!(told.recv().await, Some("part"));
    }
}
