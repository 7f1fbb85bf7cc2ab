//! The daemon: wires the parts, owns the signals and the shutdown. With the modules below the only one that knows all the others.
//!
//! One thread takes the plant's data (`plant_loop`). The async side has the signals, the parts that work on what the store has
//! (`carriers`) and the watchdog, which is fed only while all of them get on.

mod carriers;
mod plant_loop;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use sd_notify::NotifyState;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc::unbounded_channel, watch},
};

use crate::{
    clock::Clock,
    config::{self, Config},
    modbus::Sample,
    notify::{Hook, hooks},
    pipeline::Pipeline,
    publish,
    store::{
        Store,
        calls::CallPlan,
        healing::{self, Action, Exported, Healed, Lost},
        replacing::{self, Room},
        reserve::Reserve,
        writer::{Handle, Writer},
    },
    watchdog::{self, notify},
    web::look_at_files_aside,
};
use carriers::{Carriers, Ground};
use plant_loop::PlantLoop;

/// How long the files of the dashboard may take to be read: a share that hangs must hold up nobody.
const FILES_READ_MAX: Duration = Duration::from_secs(10);
/// How long the service manager waits for the check of a large store, s.
const CHECK_S_MAX: u32 = 900;
/// What the service manager is told of a daemon at work.
const READY: [NotifyState<'static>; 2] = [
    NotifyState::Ready,
    NotifyState::Status("watching the exports"),
];
/// Keys that a running daemon cannot change: the store depends on them.
const NEED_RESTART: [&str; 4] = [
    "site.id",
    "site.timezone",
    "storage.path",
    "storage.reserve_mb",
];

/// Keys whose values may hold a secret, in a path or an argument: they are not written into the log.
const MAY_BE_SECRET: [&str; 5] = [
    "notify.webhook_url",
    "notify.command",
    "central.url",
    "mqtt.url",
    "assistant.url",
];

/// What the plant's loop is told.
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

impl Daemon {
    fn start(path: PathBuf, config: Config, clock: Clock) -> anyhow::Result<Self> {
        log::info!(version = env!("CARGO_PKG_VERSION"), site = config.site_id.as_str(), store = config.store.display().to_string(); "pumphouse starts");
        for note in &config.notes {
            log::info!(note = note.as_str(); "a note on the config");
        }
        let (mut store, owed) = open_store(&config, clock)?;
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
        let plant_loop = PlantLoop::new(config.clone(), pipeline, clock, commands.clone(), owed)?;
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
        let (gone, mut part_gone) = unbounded_channel();
        let mut carriers = Carriers::new(self.ground(), &gone);
        carriers.follow(&self.config).await;
        let watchdog = tokio::spawn(watchdog::feed());
        notify(&READY);
        let ended_by_itself = loop {
            tokio::select! {
                _ = signals.terminate.recv() => break None,
                _ = signals.interrupt.recv() => break None,
                _ = ended.wait_for(|&ended| ended) => break Some("plant"),
                // Without the store all parts end, and the plant's thread has said why.
                part = part_gone.recv() => break part.filter(|_| self.committed.has_changed().is_ok()).or(Some("plant")),
                _ = signals.hang_up.recv() => {
                    // By the time the service manager tells one reload from the next.
                    if let Ok(now) = NotifyState::monotonic_usec_now() {
                        notify(&[NotifyState::Reloading, now]);
                    }
                    self.reload().await;
                    carriers.follow(&self.config).await;
                    notify(&READY);
                }
            }
        };
        notify(&[
            NotifyState::Stopping,
            NotifyState::Status("finishing the step and telling the broker"),
        ]);
        log::info!("pumphouse stops");
        // When the loop has gone already, there is nobody to tell.
        let _ = self.commands.send(Command::Stop);
        let _ = self.ended.wait_for(|&ended| ended).await;
        carriers.stop().await;
        watchdog.abort();
        drop(self.handle);
        let ended_well = self.plant_loop.join().is_ok();
        if let Some(part) = ended_by_itself.or((!ended_well).then_some("plant")) {
            bail!(
                "the part {part} has ended by itself; nothing is lost, and the next start goes on"
            );
        }
        Ok(())
    }

    /// What the parts share.
    fn ground(&self) -> Ground {
        Ground {
            site: self.config.site_id.clone(),
            zone: self.config.plant.zone.clone(),
            store: self.config.store.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            clock: self.clock,
            started: self.clock.minute(),
            commands: self.commands.clone(),
            forecasts: watch::Sender::default(),
            advice: watch::Sender::default(),
        }
    }

    /// Reads the config again and tells what changed; a bad one leaves everything as it is.
    async fn reload(&mut self) {
        let path = &self.path;
        let refuse = |fault: &str| log::error!(config = path.display().to_string(), fault; "the changed config is not used");
        let mut config = match Config::load(path) {
            Ok(config) => config,
            Err(faults) => {
                for fault in &faults.faults {
                    refuse(&fault.to_string());
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
        // The dashboard begins anew with any change; files that it cannot use would take away the one that there is.
        if let Some(web) = config.web.clone().filter(|_| !changed.is_empty())
            && let Err(error) = look_at(web).await
        {
            return refuse(&format!("the dashboard could not be served: {error:#}"));
        }
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

/// Looks whether a dashboard could be served.
async fn look_at(web: config::Web) -> anyhow::Result<()> {
    tokio::time::timeout(FILES_READ_MAX, look_at_files_aside(web))
        .await
        .context("its files cannot be read")?
}

/// Opens the store and its reserve, which is given up when there is no room even to open. Where the store had to be mended, also what
/// the exports owe it.
fn open_store(config: &Config, clock: Clock) -> anyhow::Result<(Store, Option<Exported>)> {
    let mut reserve = Reserve::of(&config.store, config.reserve_bytes);
    let heal = |room| heal_store(config, clock, room);
    let mut healed = heal(Room::ForACopy);
    if let Err(error) = &healed
        && reserve.give_up(error, None)
    {
        healed = heal(Room::ForACopy);
    }
    if let Err(error) = &healed
        && replacing::is_no_room(error)
    {
        healed = heal(Room::ForNothing);
    }
    let owed = healed?;
    let mut opened = Store::open(&config.store, publish::face(config));
    if let Err(error) = &opened
        && reserve.give_up(error, None)
    {
        opened = Store::open(&config.store, publish::face(config));
    }
    let mut store = opened?;
    store.set_reserve(reserve);
    Ok((store, owed))
}

/// Looks at the store as a whole; where it is damaged, the newest good backup takes its place, and the minutes that the exports have
/// to give again are told.
fn heal_store(config: &Config, clock: Clock, room: Room) -> anyhow::Result<Option<Exported>> {
    notify(&[
        NotifyState::Status("checking the store"),
        NotifyState::ExtendTimeoutUsec(CHECK_S_MAX * 1_000_000),
    ]);
    let healed = healing::heal(&config.store, &config.backups.folder, room, clock.now_s())?;
    let Some(healed) = healed else {
        return Ok(None);
    };
    let Healed {
        damage,
        aside,
        backup,
        lost,
    } = healed;
    let aside = aside.map_or_else(|| "nothing".into(), |aside| aside.display().to_string());
    let cause = damage;
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
        exported,
        polled_rows,
        forecasts,
        plans,
    } = lost;
    for action in actions.iter().flatten() {
        let Action {
            timestamp,
            operator,
            action,
            alert,
        } = action;
        log::warn!(timestamp, operator, action, alert; "lost with the damaged store: what an operator did");
    }
    let actions = actions.map(|actions| actions.len() as i64);
    let told = |count: Option<i64>| count.map_or_else(|| "unknown".into(), |it| it.to_string());
    let exported_rows = exported.map(|exported| exported.rows);
    log::warn!(operator_actions = told(actions), exported_rows = told(exported_rows), polled_rows = told(polled_rows), forecasts = told(forecasts), plans = told(plans); "what the damaged store had beyond that; what was exported is read again");
    Ok(exported)
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
