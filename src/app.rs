//! The daemon: wires the parts, owns the loop and the shutdown. The only module that knows all the others.
//!
//! One thread takes the plant's data: scan, read, derive, commit, tick. The async side has the signals, the broker and
//! the watchdog, which is fed only while all parts get on.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};

use crate::{
    calendar::{Calendar, Minute},
    clock::Clock,
    config::Config,
    forecast::worker::Forecaster,
    historian::{
        files::Piece,
        watch::{Hint, Trouble, Watch},
    },
    modbus::{Sample, Takeover, poll},
    notify::{Caller, Hook, hooks},
    pipeline::{Intake, Pipeline},
    publish::{self, HomeAssistant, Publisher, sparkplug::Node},
    quality::worker::Judge,
    schedule::{scene::Setting, worker::Planner},
    store::{
        Store,
        backups::{self, Healed, Lost},
        calls::CallPlan,
        operators::Now,
        reserve::Reserve,
        retention::Kept,
        writer::{Handle, Writer},
    },
    sync::Centre,
    watchdog::{self, ALARM, INGEST, notify},
    web::Web,
};

/// How long the service manager waits for the check of a large store, s.
const CHECK_S_MAX: u32 = 900;
/// What the service manager is told of a daemon at work.
const READY: [NotifyState<'static>; 2] = [
    NotifyState::Ready,
    NotifyState::Status("watching the exports"),
];
/// How long to wait before the store is tried again after a failure, s.
const STORE_RETRY_S: u64 = 5;
/// Between two looks at the room on the disk.
const DISK_LOOK: Duration = Duration::from_secs(10);
/// Rows in one pass from which a word about them is due.
const ROWS_WORTH_A_WORD: u64 = 100;
/// 2026-01-01, before which this version was not made: a clock that says less was not set.
const MADE: Minute = 29_453_760;
/// How far ahead of the newest row a line may lie while the clock cannot be believed, min: a year.
const OFF_MIN_MAX: i64 = 366 * 1440;
/// 2100-01-01: the same where there is no row.
const FAR: Minute = 68_374_080;
/// Keys that a running daemon cannot change: the store depends on them.
const NEED_RESTART: [&str; 4] = [
    "site.id",
    "site.timezone",
    "storage.path",
    "storage.reserve_mb",
];

/// Keys whose values may hold a secret, in a path or an argument: they are not written into the log.
const MAY_BE_SECRET: [&str; 3] = ["notify.webhook_url", "notify.command", "central.url"];

/// What the loop is told.
enum Command {
    /// Something changed in a watched folder.
    Look,
    /// The PLC was polled.
    Polled(Box<Sample>),
    /// The config has changed.
    Reload(Box<Config>),
    /// Finish and end.
    Stop,
}

/// Runs the daemon until SIGTERM or SIGINT. `path` is the config file that SIGHUP reads again.
pub fn run(path: PathBuf, config: Config, clock: Clock) -> anyhow::Result<()> {
    choose_crypto();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let ended = runtime.block_on(async {
        // Before anything else: a stop that comes early must be a clean one, too.
        let signals = Signals::listen()?;
        Daemon::start(path, config, clock)?.serve(signals).await
    });
    // A call that nobody answers does not hold up the stop; it goes again after the next start.
    runtime.shutdown_background();
    ended
}

/// Chooses who does TLS's cryptography.
pub fn choose_crypto() {
    // Only a second provider can be refused, and that is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// What the service manager and the terminal tell a daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

struct Daemon {
    path: PathBuf,
    config: Config,
    clock: Clock,
    committed: watch::Receiver<u64>,
    commands: Sender<Command>,
    plant_loop: std::thread::JoinHandle<()>,
    ended: watch::Receiver<bool>,
    handle: Handle,
}

/// The tasks that carry things out of the store: to the broker, to the central office, to people.
struct Carriers {
    stop: watch::Sender<bool>,
    tasks: Vec<(&'static str, JoinHandle<()>)>,
}

impl Carriers {
    /// Stops them all, each with the time it needs to take leave.
    async fn stop(self) {
        // Without a task nobody listens.
        let _ = self.stop.send(true);
        for (name, task) in self.tasks {
            if let Err(error) = task.await {
                log::error!(task = name, cause = error.to_string(); "a task ended in a panic");
            }
        }
    }
}

impl Daemon {
    fn start(path: PathBuf, config: Config, clock: Clock) -> anyhow::Result<Self> {
        log::info!(version = env!("CARGO_PKG_VERSION"), site = config.site_id.as_str(), store = config.store.display().to_string(); "pumphouse starts");
        for note in &config.notes {
            log::info!(note = note.as_str(); "a note on the config");
        }
        let mut store = open_store(&config, clock)?;
        store.set_call_plan(call_plan(&config, clock));
        let writer = Writer::start(store)?;
        let (handle, committed) = (writer.handle(), writer.commits());
        let pipeline = Pipeline::new(
            config.plant.clone(),
            writer,
            config.historian.delivery_delay_min,
        )?;
        let (commands, queue) = channel();
        let (ending, ended) = watch::channel(false);
        let plant_loop = PlantLoop {
            watch: open_watch(&config, &pipeline)?,
            takeover: takeover(&config, &pipeline, clock)?,
            polled: Vec::new(),
            hint: None,
            config: config.clone(),
            pipeline,
            clock,
            holds_checked: 0,
            disk_checked: Instant::now(),
            kept: Kept::Everything,
            clock_trusted: true,
            commands: commands.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("plant".into())
            .spawn(move || {
                plant_loop.run(&queue);
                // Nobody listens any more when the daemon has gone.
                let _ = ending.send(true);
            });
        let plant_loop = thread.context("cannot start the plant's thread")?;
        Ok(Self {
            path,
            config,
            clock,
            committed,
            commands,
            plant_loop,
            ended,
            handle,
        })
    }

    async fn serve(mut self, mut signals: Signals) -> anyhow::Result<()> {
        let mut ended = self.ended.clone();
        let mut carriers = self.carry();
        let watchdog = tokio::spawn(watchdog::feed());
        notify(&READY);
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => break,
                _ = signals.interrupt.recv() => break,
                _ = ended.wait_for(|&ended| ended) => break,
                _ = signals.hang_up.recv() => {
                    // By the time the service manager tells one reload from the next.
                    if let Ok(now) = NotifyState::monotonic_usec_now() {
                        notify(&[NotifyState::Reloading, now]);
                    }
                    let before = self.config.clone();
                    self.reload();
                    let now = &self.config;
                    let carried = |of: &Config| (of.mqtt.clone(), of.central.clone(), of.notify.clone(), of.models.clone(), of.plant.peak.clone(), of.tariff.clone(), of.schedule.clone(), of.web.clone(), of.assistant.clone(), of.modbus.clone(), of.plant.rules.clone());
                    if carried(now) != carried(&before) {
                        carriers.stop().await;
                        carriers = self.carry();
                    }
                    notify(&READY);
                }
            }
        }
        notify(&[
            NotifyState::Stopping,
            NotifyState::Status("finishing the step and telling the broker"),
        ]);
        log::info!("pumphouse stops");
        let ended_by_itself = *self.ended.borrow();
        // When the loop has gone already, there is nobody to tell.
        let _ = self.commands.send(Command::Stop);
        let _ = self.ended.wait_for(|&ended| ended).await;
        carriers.stop().await;
        watchdog.abort();
        drop(self.handle);
        anyhow::ensure!(
            self.plant_loop.join().is_ok() && !ended_by_itself,
            "the plant's thread ended by itself"
        );
        Ok(())
    }

    fn carry(&self) -> Carriers {
        let (stop, stopping) = watch::channel(false);
        let config = &self.config;
        let mut tasks = Vec::new();
        let (told, forecasts) = watch::channel(Arc::default());
        let forecaster = Forecaster {
            plant: config.plant.clone(),
            store: config.store.clone(),
            models: config.models.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping: stopping.clone(),
            delivery_delay_min: config.historian.delivery_delay_min,
            has_centre: config.central.is_some(),
            clock: self.clock,
            told,
        };
        tasks.push(("forecast", tokio::spawn(forecaster.run())));
        let judge = Judge {
            plant: config.plant.clone(),
            store: config.store.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping: stopping.clone(),
            clock: self.clock,
        };
        tasks.push(("quality", tokio::spawn(judge.run())));
        let (advised, advice) = watch::channel(None);
        let planner = Planner {
            setting: Setting::of(config),
            store: config.store.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping: stopping.clone(),
            forecasts: forecasts.clone(),
            clock: self.clock,
            told: advised,
        };
        tasks.push(("schedule", tokio::spawn(planner.run())));
        if let Some((mqtt, face)) = config.mqtt.clone().zip(publish::face(config)) {
            if let Some(group) = mqtt.sparkplug_group.clone() {
                let node = Node {
                    mqtt: mqtt.clone(),
                    group,
                    face: face.clone(),
                    store: config.store.clone(),
                    handle: self.handle.clone(),
                    committed: self.committed.clone(),
                    stopping: stopping.clone(),
                    calendar: Calendar::new(config.plant.zone.clone()),
                    clock: self.clock,
                };
                tasks.push(("sparkplug", tokio::spawn(node.run())));
            }
            let publisher = Publisher {
                forecasts: forecasts.clone(),
                advice: advice.clone(),
                mqtt,
                face,
                store: config.store.clone(),
                handle: self.handle.clone(),
                committed: self.committed.clone(),
                stopping: stopping.clone(),
                calendar: Calendar::new(config.plant.zone.clone()),
                shelve_max_min: config.shelve_max_min,
                clock: self.clock,
                home_assistant: HomeAssistant::of(config),
            };
            tasks.push(("mqtt", tokio::spawn(publisher.run())));
        }
        if let Some(modbus) = config.modbus.clone() {
            let (polling, mut samples) = poll::start(modbus, self.clock, stopping.clone());
            let commands = self.commands.clone();
            tasks.push(("modbus", polling));
            tasks.push((
                "samples",
                tokio::spawn(async move {
                    while let Some(sample) = samples.recv().await {
                        // The plant's loop has ended when it takes none.
                        if commands.send(Command::Polled(Box::new(sample))).is_err() {
                            break;
                        }
                    }
                }),
            ));
        }
        if config.web.is_some() {
            let web = Web {
                config: config.clone(),
                handle: self.handle.clone(),
                committed: self.committed.clone(),
                stopping: stopping.clone(),
                forecasts: forecasts.clone(),
                advice: advice.clone(),
                clock: self.clock,
            };
            tasks.push(("web", tokio::spawn(web.run())));
        }
        if let Some(central) = config.central.clone() {
            let centre = Centre {
                central,
                site: config.site_id.clone(),
                zone: config.plant.zone.clone(),
                store: config.store.clone(),
                handle: self.handle.clone(),
                committed: self.committed.clone(),
                stopping: stopping.clone(),
            };
            tasks.push(("central", tokio::spawn(centre.run())));
        }
        if let Some(notify) = &config.notify {
            let caller = Caller {
                hooks: hooks(notify),
                site: config.site_id.clone(),
                store: config.store.clone(),
                handle: self.handle.clone(),
                committed: self.committed.clone(),
                stopping: stopping.clone(),
                clock: self.clock,
            };
            tasks.push(("calls", tokio::spawn(caller.run())));
        }
        Carriers { stop, tasks }
    }

    /// Reads the config again and tells what changed; a bad one leaves everything as it is.
    fn reload(&mut self) {
        let path = &self.path;
        let mut config = match Config::load(path) {
            Ok(config) => config,
            Err(faults) => {
                for fault in &faults.faults {
                    log::error!(config = path.display().to_string(), fault = fault.to_string(); "the changed config is not used");
                }
                return;
            }
        };
        let keys: std::collections::BTreeSet<_> = self
            .config
            .written
            .keys()
            .chain(config.written.keys())
            .collect();
        let changed: Vec<_> = keys
            .into_iter()
            .filter(|&key| self.config.written.get(key) != config.written.get(key))
            .cloned()
            .collect();
        for key in &changed {
            let value = |of: &Config| {
                of.written
                    .get(key)
                    .cloned()
                    .unwrap_or_else(|| "(default)".into())
            };
            let (from, to) = (value(&self.config), value(&config));
            if NEED_RESTART.contains(&key.as_str()) {
                log::warn!(key = key.as_str(), from, to; "the change needs a restart");
            } else if MAY_BE_SECRET.contains(&key.as_str()) {
                log::info!(key = key.as_str(); "config changed");
            } else {
                log::info!(key = key.as_str(), from, to; "config changed");
            }
        }
        if changed.is_empty() {
            log::info!("the config is unchanged");
        }
        // What the rows depend on stays as it was.
        let mut plant = (*config.plant).clone();
        plant.zone = self.config.plant.zone.clone();
        config.plant = Arc::new(plant);
        config.site_id.clone_from(&self.config.site_id);
        config.store.clone_from(&self.config.store);
        self.config = config.clone();
        if self
            .commands
            .send(Command::Reload(Box::new(config)))
            .is_err()
        {
            log::error!("the plant's thread has gone");
        }
    }
}

/// Opens the store and its reserve, which is given up when there is no room even to open.
fn open_store(config: &Config, clock: Clock) -> anyhow::Result<Store> {
    heal_store(config, clock)?;
    let mut reserve = Reserve::of(&config.store, config.reserve_bytes);
    let mut opened = Store::open(&config.store, publish::face(config));
    if let Err(error) = &opened
        && reserve.give_up(error, None)
    {
        opened = Store::open(&config.store, publish::face(config));
    }
    let mut store = opened?;
    store.set_reserve(reserve);
    Ok(store)
}

/// Looks at the store as a whole; where it is damaged, the newest good backup takes its place.
fn heal_store(config: &Config, clock: Clock) -> anyhow::Result<()> {
    notify(&[
        NotifyState::Status("checking the store"),
        NotifyState::ExtendTimeoutUsec(CHECK_S_MAX * 1_000_000),
    ]);
    let Some(healed) = backups::heal(&config.store, &config.backups.folder, clock.now_s())? else {
        return Ok(());
    };
    let Healed {
        damage,
        aside,
        backup,
        lost,
    } = healed;
    let (cause, aside) = (damage, aside.display().to_string());
    match backup {
        Some(backup) => {
            let newest = backup.newest_row.unwrap_or_default();
            log::error!(cause, aside, backup = backup.path.display().to_string(), newest; "the store was damaged; the newest good backup is in its place, and what the exports hold since is read again");
        }
        None => {
            log::error!(cause, aside; "the store was damaged and there is no good backup; all exports that are still there are read again");
        }
    }
    let Lost {
        actions,
        polled_rows,
        forecasts,
        plans,
    } = lost;
    let told = |count: Option<i64>| count.map_or_else(|| "unknown".into(), |it| it.to_string());
    log::warn!(operator_actions = told(actions), polled_rows = told(polled_rows), forecasts = told(forecasts), plans = told(plans); "what the damaged store had beyond that");
    Ok(())
}

/// Whom to call, by the config.
fn call_plan(config: &Config, clock: Clock) -> Option<CallPlan> {
    let notify = config.notify.as_ref()?;
    Some(CallPlan {
        site: (config.site_id.clone(), config.site_name.clone()),
        hooks: hooks(notify).iter().map(Hook::name).collect(),
        critical_escalate_s: notify.critical_escalate_s,
        high_escalate_s: notify.high_escalate_s,
        clock,
    })
}

/// What the clock says, and how far to believe it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    /// The clock's minute or, when it is behind, that of the newest row.
    now: Minute,
    /// The minute by which lines of exports are held to lie in the future.
    reading: Minute,
    /// Whether the clock can be believed.
    trusted: bool,
}

impl Time {
    fn believed(clock: Minute, newest: Option<Minute>) -> Self {
        let newest_or_made = newest.unwrap_or(MADE);
        if clock >= newest_or_made {
            return Self {
                now: clock,
                reading: clock,
                trusted: true,
            };
        }
        // How long the box was off is not known; a year is more than exports are kept for.
        Self {
            now: newest_or_made,
            reading: newest.map_or(FAR, |newest| newest + OFF_MIN_MAX),
            trusted: false,
        }
    }
}

/// Takes the plant's data.
struct PlantLoop {
    config: Config,
    pipeline: Pipeline,
    watch: Watch,
    hint: Option<Hint>,
    clock: Clock,
    /// The minute in which the ends of shelvings were looked at.
    holds_checked: i64,
    /// When the room on the disk was looked at.
    disk_checked: Instant,
    /// What the budget of the disk came to then.
    kept: Kept,
    clock_trusted: bool,
    /// Who feeds the station; `None` without a PLC in the config.
    takeover: Option<Takeover>,
    /// Minutes polled that are for the station and not committed yet.
    polled: Vec<Sample>,
    commands: Sender<Command>,
}

/// The standing of the exports and the PLC, from where the store stands.
fn takeover(
    config: &Config,
    pipeline: &Pipeline,
    clock: Clock,
) -> anyhow::Result<Option<Takeover>> {
    let Some(modbus) = &config.modbus else {
        return Ok(None);
    };
    let newest = pipeline
        .writer()
        .call(|store| store.newest_exported_row())?;
    let takeover = Takeover::new(modbus.takeover_after_min, newest, clock.minute());
    Ok(Some(takeover))
}

fn open_watch(config: &Config, pipeline: &Pipeline) -> anyhow::Result<Watch> {
    let records = pipeline.writer().call(|store| store.files())?;
    let calendar = Calendar::new(config.plant.zone.clone());
    Ok(Watch::new(
        config.historian.format.clone(),
        calendar,
        config.historian.watch.clone(),
        records,
    ))
}

impl PlantLoop {
    fn run(mut self, queue: &Receiver<Command>) {
        let _running = (INGEST.begins(), ALARM.begins());
        self.listen();
        let mut failing = false;
        loop {
            match self.pass() {
                Ok(intake) => {
                    if intake.rows + intake.late >= ROWS_WORTH_A_WORD {
                        let Intake {
                            rows, late, alerts, ..
                        } = intake;
                        log::info!(rows, late, alerts; "exports read");
                    }
                    if intake.gone > 0 {
                        log::warn!(minutes = intake.gone; "minutes are older than what is kept, and passed over");
                    }
                    if std::mem::take(&mut failing) {
                        log::info!("the store can be written again");
                    }
                }
                Err(error) => {
                    if backups::is_damage(&error) {
                        log::error!(cause = format!("{error:#}"); "the store is damaged; the next start mends it");
                        break;
                    }
                    if !std::mem::replace(&mut failing, true) {
                        log::error!(cause = format!("{error:#}"); "what was read cannot be stored; trying again");
                    }
                    // What cannot be stored is tried again; nothing hangs.
                    ALARM.gets_on();
                    if !self.has_made_room() {
                        std::thread::sleep(Duration::from_secs(STORE_RETRY_S));
                    }
                    if let Err(error) = self.recover() {
                        log::debug!(cause = format!("{error:#}"); "not yet");
                    }
                }
            }
            let pause = Duration::from_secs_f64(self.config.historian.scan_interval_s);
            match queue.recv_timeout(pause) {
                Ok(Command::Look) => {
                    // One write shows as several changes; let them come together.
                    std::thread::sleep(Duration::from_millis(50));
                    if !self.follow(queue.try_iter()) {
                        break;
                    }
                }
                Ok(command) => {
                    if !self.follow(std::iter::once(command)) {
                        break;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.pipeline.stop();
    }

    /// Does what it is told; false when that is to stop.
    fn follow(&mut self, commands: impl Iterator<Item = Command>) -> bool {
        for command in commands {
            match command {
                Command::Look => {}
                Command::Polled(sample) => self.polled(*sample),
                Command::Stop => return false,
                Command::Reload(config) => {
                    if let Err(error) = self.reload(*config) {
                        log::error!(cause = format!("{error:#}"); "the changed config cannot be used");
                    }
                }
            }
        }
        true
    }

    fn reload(&mut self, config: Config) -> anyhow::Result<()> {
        let face = publish::face(&config);
        let calls = call_plan(&config, self.clock);
        self.pipeline.writer().call(move |store| {
            store.set_face(face);
            store.set_call_plan(calls);
            Ok(())
        })?;
        self.pipeline
            .set_plant(config.plant.clone(), config.historian.delivery_delay_min);
        self.watch = open_watch(&config, &self.pipeline)?;
        if config.modbus != self.config.modbus {
            self.takeover = takeover(&config, &self.pipeline, self.clock)?;
        }
        self.config = config;
        self.listen();
        Ok(())
    }

    /// After a failure to store: back to where the store stands.
    fn recover(&mut self) -> anyhow::Result<()> {
        self.pipeline.recover()?;
        self.watch = open_watch(&self.config, &self.pipeline)?;
        Ok(())
    }

    /// Whether the reserve was given up for what just failed.
    fn has_made_room(&self) -> bool {
        let asking = self
            .pipeline
            .writer()
            .call(|store| Ok(store.take_made_room()));
        asking.unwrap_or(false)
    }

    /// Lets the kernel's change reports wake the loop, where there are any.
    fn listen(&mut self) {
        let commands = self.commands.clone();
        self.hint = Some(Hint::new(&self.config.historian.watch, move || {
            // The loop has ended when it cannot be woken.
            let _ = commands.send(Command::Look);
        }));
    }

    /// Reads what is new, lets the clock pass, commits.
    fn pass(&mut self) -> anyhow::Result<Intake> {
        INGEST.gets_on();
        let mut intake = Intake::default();
        let mut exported = None;
        let (files, troubles) = self.watch.scan();
        troubles.iter().for_each(tell);
        for path in files {
            let time = self.time();
            let Self {
                watch, pipeline, ..
            } = self;
            let mut warned = false;
            let troubles = watch.read(&path, time.reading, |piece| {
                INGEST.gets_on();
                exported = exported.max(piece.minutes.last().map(|records| records.minute));
                if let Some(warning) = piece.record.tally.marker_warning(&piece.record.path)
                    && !std::mem::replace(&mut warned, true)
                {
                    log::warn!(warning; "many records are passed over for their marker");
                }
                tell_file(&piece);
                intake += pipeline.feed(piece, time.now)?;
                ALARM.gets_on();
                Ok(())
            })?;
            troubles.iter().for_each(tell);
        }
        let Time { now, trusted, .. } = self.time();
        self.exported(exported, now);
        for sample in &self.polled {
            intake += self.pipeline.poll(sample.records(), now)?;
        }
        if trusted {
            self.pipeline
                .tick(now - self.config.historian.delivery_delay_min, now)?;
        }
        self.pipeline.commit()?;
        ALARM.gets_on();
        self.polled.clear();
        if self.disk_checked.elapsed() >= DISK_LOOK {
            self.disk_checked = Instant::now();
            self.keep_disk()?;
        }
        if now != self.holds_checked && trusted {
            self.holds_checked = now;
            self.end_holds()?;
        }
        Ok(intake)
    }

    /// Makes the reserve again where it was given up, and purges what the disk has no room for.
    fn keep_disk(&mut self) -> anyhow::Result<()> {
        let (budget, has_office) = (self.config.budget, self.config.central.is_some());
        let kept = self.pipeline.writer().call(move |store| {
            store.keep_reserve();
            store.keep_budget(&budget, has_office)
        })?;
        let has_changed = std::mem::replace(&mut self.kept, kept) != kept;
        match kept {
            Kept::Purged(minutes) => {
                log::info!(minutes; "the oldest raw minutes are gone, to keep the disk's budget");
            }
            Kept::Newest if has_changed => {
                log::warn!(
                    "the disk's budget is exceeded, and the minutes that are left stay: make room on this disk"
                );
            }
            Kept::Unsent if has_changed => {
                log::warn!(
                    "the disk's budget is exceeded, and the central office does not have the oldest minutes, so they stay"
                );
            }
            _ => {}
        }
        Ok(())
    }

    /// Hears how new the exports are: when they are back, the PLC steps back.
    fn exported(&mut self, minute: Option<Minute>, now: Minute) {
        if let (Some(takeover), Some(minute)) = (&mut self.takeover, minute)
            && takeover.exported(minute, now)
        {
            log::info!("the exports are back; the PLC stands by");
        }
    }

    /// Takes what was polled, as far as it is for the station.
    fn polled(&mut self, sample: Sample) {
        let now = self.time().now;
        let Some(takeover) = &mut self.takeover else {
            return;
        };
        let before = takeover.state();
        self.polled.extend(takeover.polled(sample, now));
        if takeover.state() != before {
            log::warn!("the exports stay away; the PLC feeds the station");
        }
    }

    /// The time as far as it can be believed: a clock below the newest row was not set yet, and nothing that depends on it happens.
    fn time(&mut self) -> Time {
        let time = Time::believed(self.clock.minute(), self.pipeline.clock());
        if self.clock_trusted != time.trusted {
            self.clock_trusted = time.trusted;
            if time.trusted {
                log::info!("the clock can be believed again");
            } else {
                log::warn!(
                    "the clock is behind the newest row: it is not synchronised, and what depends on it waits"
                );
            }
        }
        time
    }

    /// Ends shelvings whose time is up.
    fn end_holds(&mut self) -> anyhow::Result<()> {
        let ts = self.clock.now_s();
        let mut calendar = Calendar::new(self.config.plant.zone.clone());
        let local = calendar.local(ts.div_euclid(60)).minute;
        let ended = self
            .pipeline
            .writer()
            .handle()
            .transact(move |store| store.expire_holds(Now { ts, local }))?;
        if ended > 0 {
            log::info!(ended; "shelved alarms are shown again");
        }
        Ok(())
    }
}

/// Tells what a file is, once it begins, and what keeps it from being read.
fn tell_file(piece: &Piece) {
    let path = piece.record.path.display().to_string();
    if piece.from_line == 1 && !piece.record.layout.is_empty() {
        log::info!(path, format = piece.record.layout.as_str(); "export begins");
    }
    if let Some(moved) = &piece.moved_tags {
        log::warn!(path, cause = moved.as_str(); "tag table has changed");
    }
    if let Some(refusal) = &piece.refusal {
        log::warn!(path, line = refusal.line, cause = refusal.reason.as_ref(); "export is not read on");
    }
}

fn tell(trouble: &Trouble) {
    match trouble {
        Trouble::Began(path, cause) => {
            log::warn!(path = path.display().to_string(), cause = cause.as_str(); "cannot be read; it is tried again at each scan");
        }
        Trouble::Over(path) => log::info!(path = path.display().to_string(); "can be read again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::utc_text;

    #[test]
    fn a_clock_below_the_newest_row_is_not_believed() {
        assert_eq!(utc_text(MADE), "2026-01-01T00:00:00Z");
        assert_eq!(utc_text(FAR), "2100-01-01T00:00:00Z");
        let newest = MADE + 1000;
        let set = Time::believed(newest + 3, Some(newest));
        assert!(set.trusted && set.now == newest + 3 && set.reading == set.now);
        for clock in [0, newest - 1] {
            let unset = Time::believed(clock, Some(newest));
            assert_eq!((unset.trusted, unset.now), (false, newest));
            assert!(unset.reading > newest + 100_000);
        }
        assert!(!Time::believed(0, None).trusted);
        assert!(Time::believed(MADE, None).trusted);
    }
}
