//! The ledger: what went in is held against what came out, after a seeded run of faults over simulated weeks.
//!
//! The station's exports grow while the daemon, the central office, the broker, the lines between them, the disk and the
//! clock fail. In a soak the daemon does all that it can beside: it keeps a budget of the disk, serves its dashboard, runs the models,
//! calls somebody. It is seldom ended, but reloaded with other configs and upgraded, and what it takes is noted. Afterwards: every row
//! that the exports hold is in the store or was purged from it; every row is at the central office or refused with a reason; every line
//! of the journal has reached the panel, in order.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use pumphouse::{calendar::DAY_MIN, store::retention::KEPT_MIN, tags::TAG_NAMES};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    binary,
    boxclock::BoxClock,
    disk::Disk,
    mosquitto::{self, Mosquitto, Persistence},
    panel::Panel,
    ports::free_port,
    postgres::{Backup, Postgres},
    proxy::{Mode, Proxy, Way},
    shipped::copy_models,
    station::{Daemon, tables},
    tables::journal,
    tampering::make_of_another_version,
    waiting::{until, within},
};

/// The database and the site.
const DATABASE: &str = "plant";
const SITE: &str = "ledger";
/// First day of the simulated weeks.
const START: &str = "2025-03-01";
/// 2025-03-01 00:00 UTC, the same in minutes since 1970.
const START_MIN: i64 = 20_148 * 1440;
/// The disk under the store, bytes: so much, and so much more for each day.
const DISK_BYTES: u64 = 256 << 20;
const DISK_BYTES_A_DAY: u64 = 3 << 19;
/// A daemon that still starts has fewer threads.
const THREADS_AT_WORK_MIN: usize = 4;
/// Measures taken in a run.
const MEASURES: u32 = 60;
/// Furthest step of the box's clock, min.
const CLOCK_STEP_MIN: i64 = 600;
/// What waits for the broker, and for the central office.
const UNACKED: &str = "SELECT count(*) FROM mqtt_outbox WHERE acked_ts IS NULL";
const UNSENT: &str = "SELECT count(*) FROM changes WHERE seq > (SELECT acked FROM central_sync)";
/// How long nothing may move before all has arrived, once nothing fails any more.
const SETTLE: Duration = Duration::from_secs(240);
/// How long both ends may differ by what has just been made.
const VERIFIED: Duration = Duration::from_secs(60);
/// The central office refuses one minute in this many; in a soak only from this day on: what is refused is not purged.
const REFUSED_EVERY: u32 = 500;
const REFUSED_FROM_DAY: i64 = 300;
/// How old a backup may be that the central office is set back to, days: within the 35 for which the change log is kept.
const BACKUP_DAYS_MAX: i64 = 30;
/// The budget of a soak's store, GB: some 200 days.
pub const BUDGET_GB: f64 = 0.08;

/// What a run is made of; the seed decides everything that is random in it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub days: u32,
    pub faults: u32,
    /// Whether the daemon does all that it can, and is reloaded instead of being killed all the time.
    pub is_soak: bool,
}

/// What the daemon takes at a moment.
#[derive(Clone, Copy, Debug)]
pub struct Measure {
    pub day: i64,
    pub rss_mb: f64,
    pub files: usize,
    pub threads: usize,
    pub store_mb: f64,
    /// What waits for the broker, and entries of the change log that wait for the central office.
    pub messages: u64,
    pub changes: u64,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Account {
    pub faults: BTreeMap<&'static str, u32>,
    pub rows: u64,
    pub purged: u64,
    pub refused: u64,
    /// Times that somebody was called, and looks at the dashboard that were answered.
    pub calls: u64,
    pub looks: u32,
    pub journal: usize,
    /// Messages that the panel got more than once.
    pub repeats: usize,
    pub floods: u64,
    pub restarts: u32,
    /// The store's size in the end.
    pub store_mb: f64,
    pub measures: Vec<Measure>,
}

/// Minutes of exports that have not come yet.
struct Exports {
    folder: PathBuf,
    /// File by file, what is still to be written, in order.
    waiting: Vec<(String, Vec<u8>)>,
    /// Pieces that were held back: they come late, in files of their own.
    held: Vec<(u32, Vec<u8>)>,
    header: Vec<u8>,
    bytes_a_step: usize,
    late: u32,
}

impl Exports {
    fn new(folder: &Path, plan: &Plan) -> Self {
        let simulated = folder.join("simulated");
        let (seed, days) = (plan.seed.to_string(), plan.days.to_string());
        let out = simulated.to_str().expect("a plain name");
        let done = binary::run(
            folder,
            &[
                "simulate",
                "--out",
                out,
                "--days",
                &days,
                "--start",
                START,
                "--seed",
                &seed,
                "--random-faults",
            ],
        );
        assert!(done.status.success());
        let mut files: Vec<_> = fs::read_dir(simulated.join("exports"))
            .expect("the exports")
            .map(|entry| entry.expect("a file").path())
            .collect();
        files.sort();
        let waiting: Vec<_> = files
            .iter()
            .map(|path| {
                let name = path.file_name().expect("a name").to_string_lossy();
                (name.into_owned(), fs::read(path).expect("read"))
            })
            .collect();
        let bytes: usize = waiting.iter().map(|(_, bytes)| bytes.len()).sum();
        let first = &waiting[0].1;
        let header_end = first
            .iter()
            .position(|&byte| byte == b'\n')
            .expect("a header");
        let exports = folder.join("exports");
        fs::create_dir(&exports).expect("a folder");
        Self {
            folder: exports,
            header: first[..=header_end].to_vec(),
            bytes_a_step: bytes / plan.faults as usize + 1,
            waiting,
            held: Vec::new(),
            late: 0,
        }
    }

    fn append(&self, name: &str, bytes: &[u8]) {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(name))
            .expect("opened");
        file.write_all(bytes).expect("written");
    }

    /// Writes the next piece, cut anywhere, or holds it back.
    fn step(&mut self, step: u32, hold: bool) {
        let mut bytes = self.bytes_a_step;
        while bytes > 0 && !self.waiting.is_empty() {
            let (name, rest) = &mut self.waiting[0];
            let name = name.clone();
            let mut piece: Vec<u8> = rest.drain(..bytes.min(rest.len())).collect();
            if rest.is_empty() {
                self.waiting.remove(0);
            } else if hold {
                // Up to the end of a line, and behind the line that is half written.
                let whole = rest
                    .iter()
                    .position(|&byte| byte == b'\n')
                    .map_or(rest.len(), |end| end + 1);
                piece.extend(rest.drain(..whole));
            }
            bytes -= bytes.min(piece.len());
            if hold {
                let begin = piece
                    .iter()
                    .position(|&byte| byte == b'\n')
                    .map_or(piece.len(), |end| end + 1);
                let late = piece.split_off(begin);
                self.append(&name, &piece);
                if !late.is_empty() {
                    self.held.push((step + 7, late));
                }
            } else {
                self.append(&name, &piece);
            }
        }
        self.release(step);
    }

    /// Writes what was held back for long enough.
    fn release(&mut self, step: u32) {
        for (_, bytes) in self
            .held
            .extract_if(.., |(due, _)| *due <= step)
            .collect::<Vec<_>>()
        {
            self.late += 1;
            let whole = [&self.header[..], &bytes].concat();
            self.append(&format!("late-{:04}.csv", self.late), &whole);
        }
    }

    /// Bytes that a reader has to get through.
    fn bytes(&self) -> u64 {
        fs::read_dir(&self.folder)
            .expect("the folder")
            .map(|entry| entry.expect("a file").metadata().expect("its size").len())
            .sum()
    }
}

/// Everything that can fail.
struct World {
    rng: ChaCha8Rng,
    folder: TempDir,
    disk: Disk,
    may_mount: bool,
    clock: BoxClock,
    exports: Exports,
    daemon: Option<Daemon>,
    office: Postgres,
    office_line: Proxy,
    broker: Mosquitto,
    broker_line: Proxy,
    panel: Panel,
    /// Taken on a day.
    backup: Option<(i64, Backup)>,
    /// What is down or disturbed, and the step at which it ends.
    ends: Vec<(u32, Disturbance)>,
    account: Account,
    requests: u32,
    web_port: u16,
    /// Reloads with another config.
    reloads: u32,
    minutes_a_step: i64,
    end_min: i64,
    is_soak: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Disturbance {
    Office,
    OfficeLine,
    Broker,
    BrokerLine,
    Full,
    ReadOnly,
    Clock,
}

/// Runs a plan; panics where the books do not balance.
pub fn run(plan: Plan) -> Account {
    let mut world = World::new(&plan);
    for step in 0..plan.faults {
        world.step(step);
        if step % (plan.faults / MEASURES).max(1) == 0 {
            let measure = world.measure(step);
            world.account.measures.extend(measure);
        }
    }
    world.settle();
    world.close_the_books()
}

impl World {
    fn new(plan: &Plan) -> Self {
        let folder = TempDir::with_prefix("pumphouse-ledger-").expect("a folder");
        let (disk, may_mount) = Disk::new(DISK_BYTES + u64::from(plan.days) * DISK_BYTES_A_DAY);
        if !may_mount {
            eprintln!(
                "ledger: without root, no disk can be mounted: the disk is neither full nor read-only in this run"
            );
        }
        let office = Postgres::start();
        office.create_database(DATABASE);
        fs::write(folder.path().join("password"), "of the ledger\n").expect("written");
        office.admit(DATABASE, SITE, folder.path(), "password");
        office.sql(
            DATABASE,
            &format!(
                "ALTER TABLE pumphouse.readings_wide ADD CONSTRAINT ledger CHECK \
                 (extract(epoch FROM ts)::bigint / 60 % {REFUSED_EVERY} <> 0 OR ts < to_timestamp({}))",
                refused_from(plan.is_soak)
            ),
        );
        let broker = Mosquitto::start_with(&mosquitto::Setup {
            persistence: Persistence::EverySeconds(1),
            ..mosquitto::Setup::default()
        });
        let world = Self {
            rng: ChaCha8Rng::seed_from_u64(plan.seed),
            clock: BoxClock::new(folder.path(), START_MIN),
            exports: Exports::new(folder.path(), plan),
            office_line: Proxy::before(office.port(), plan.seed),
            broker_line: Proxy::before(broker.port, plan.seed + 1),
            panel: Panel::connect_persistent(broker.port),
            daemon: None,
            backup: None,
            ends: Vec::new(),
            account: Account::default(),
            requests: 0,
            web_port: free_port(),
            reloads: 0,
            minutes_a_step: i64::from(plan.days) * 1440 / i64::from(plan.faults),
            end_min: START_MIN + i64::from(plan.days) * 1440,
            is_soak: plan.is_soak,
            folder,
            disk,
            may_mount,
            office,
            broker,
        };
        world.configure();
        world
    }

    fn store(&self) -> PathBuf {
        self.disk.path().join("out.db")
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("pumphouse.toml")
    }

    fn configure(&self) {
        let tags: String = TAG_NAMES
            .iter()
            .enumerate()
            .map(|(index, name)| format!("{index} = \"{name}\"\n"))
            .collect();
        let (store, broker, office) = (
            self.store(),
            self.broker_line.port(),
            self.office_line.port(),
        );
        let (more_storage, more) = if self.is_soak {
            self.all_else()
        } else {
            Default::default()
        };
        let text = format!(
            "[site]\nid = \"{SITE}\"\nrated_kw = [37.0, 37.0, 30.0, 30.0, 22.0, 22.0]\nhlt_physical_max = 500.0\n\
             fit101_physical_max = 900.0\n[storage]\npath = {store:?}\ndisk_used_max_pct = 100\n{more_storage}[historian]\nscan_interval_s = 0.1\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\nretry_s_max = 1\n\
             [central]\nurl = \"postgres://{SITE}@127.0.0.1:{office}/{DATABASE}\"\npassword_file = \"password\"\n\
             batch_rows_max = 400\nretry_s_max = 1\n{more}[historian.tags]\n{tags}"
        );
        fs::write(self.config(), text).expect("written");
    }

    /// What a soak has beside, for `[storage]` and behind it; a bit different after each reload.
    fn all_else(&self) -> (String, String) {
        let models = self.folder.path().join("models");
        if !models.exists() {
            copy_models(&models);
        }
        let (calls, turn, port) = (self.calls(), self.reloads % 3, self.web_port);
        (
            format!("budget_gb = {BUDGET_GB}\n"),
            format!(
                "[forecast]\nmodels = {models:?}\n[web]\nlisten = \"127.0.0.1:{port}\"\nsession_h = 1{turn}.0\n\
                 [schedule]\nmargin_pct = {turn}\n\
                 [notify]\ncommand = [\"/bin/sh\", \"-c\", \"cat >> {calls}; echo >> {calls}\"]\ncritical_escalate_min = {}\n",
                5 + turn,
                calls = calls.display(),
            ),
        )
    }

    /// Where the one who is called writes down what he hears.
    fn calls(&self) -> PathBuf {
        self.folder.path().join("calls")
    }

    /// Looks at the dashboard, which may not be served just now.
    fn look(&mut self) {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(5)))
            .build()
            .into();
        let is_answered = ["metrics", "api/v1/now"].iter().all(|page| {
            let url = format!("http://127.0.0.1:{}/{page}", self.web_port);
            let answer = agent.get(url).call();
            answer.is_ok_and(|mut it| it.body_mut().read_to_string().is_ok())
        });
        self.account.looks += u32::from(is_answered);
    }

    /// Starts the daemon where it does not run, as the service manager does.
    fn keep_running(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            let Some(code) = daemon.ended() else { return };
            assert_eq!(code, Some(1), "{}", daemon.log());
            self.account.restarts += 1;
        }
        let log = self.folder.path().join("log");
        self.daemon = Some(Daemon::start(
            &self.config(),
            &log,
            &self.clock.environment(),
        ));
    }

    fn now(&self, step: u32) -> i64 {
        START_MIN + (i64::from(step) + 1) * self.minutes_a_step
    }

    fn step(&mut self, step: u32) {
        let hold = self.rng.random_bool(0.04);
        self.exports.step(step, hold);
        if !self.is_disturbed(Disturbance::Clock) {
            self.clock.set(self.now(step));
        }
        let over: Vec<_> = self.ends.extract_if(.., |(end, _)| *end <= step).collect();
        for (_, what) in over {
            self.end(what);
        }
        self.fail(step);
        self.keep_running();
        if self.rng.random_bool(0.1) {
            self.ask();
        }
        if self.is_soak && self.rng.random_bool(0.2) {
            self.look();
        }
        let pause = self.rng.random_range(0..60);
        std::thread::sleep(Duration::from_millis(pause));
    }

    fn is_disturbed(&self, what: Disturbance) -> bool {
        self.ends.iter().any(|(_, disturbed)| *disturbed == what)
    }

    /// Lets something fail for some steps, unless it does already.
    fn disturb(&mut self, step: u32, what: Disturbance) -> bool {
        if self.is_disturbed(what) {
            return false;
        }
        let steps = self.rng.random_range(1..=6);
        self.ends.push((step + steps, what));
        true
    }

    fn fail(&mut self, step: u32) {
        let mut dice = self.rng.random_range(0..100);
        if self.is_soak && dice < 29 {
            dice = match self.rng.random_range(0..100) {
                0..2 => 0,
                2..3 => 28,
                _ => 29,
            };
        }
        let name = match dice {
            0..25 => {
                if let Some(mut daemon) = self.daemon.take() {
                    daemon.kill();
                }
                "daemon killed"
            }
            25..28 => {
                if let Some(mut daemon) = self.daemon.take() {
                    daemon.terminate();
                }
                "daemon stopped"
            }
            28..29
                if !self.is_disturbed(Disturbance::Full)
                    && !self.is_disturbed(Disturbance::ReadOnly) =>
            {
                if let Some(mut daemon) = self.daemon.take() {
                    daemon.terminate();
                }
                // Before its first start there is nothing to upgrade.
                let _ = make_of_another_version(&self.store());
                "daemon upgraded"
            }
            29..30 => {
                // Before it is ready no service manager asks for it.
                let ready = self.daemon.as_ref();
                if ready.is_some_and(|it| it.log().contains("pumphouse starts")) {
                    self.reloads += 1;
                    self.configure();
                    let daemon = self.daemon.as_ref().expect("it runs");
                    daemon.hang_up();
                }
                "daemon reloaded"
            }
            30..40 if self.disturb(step, Disturbance::Office) => {
                self.office.kill();
                "central office killed"
            }
            40..42 if !self.is_disturbed(Disturbance::Office) => {
                let day = self.day(step);
                match self.backup.take() {
                    Some((taken, backup)) if day - taken <= BACKUP_DAYS_MAX => {
                        self.office.restore(&backup);
                        "central office restored"
                    }
                    _ => {
                        self.backup = Some((day, self.office.backup()));
                        "central office backed up"
                    }
                }
            }
            42..57 if self.disturb(step, Disturbance::OfficeLine) => {
                let mode = self.line_fault();
                self.office_line.set(mode);
                "line to the central office"
            }
            57..67 if self.disturb(step, Disturbance::Broker) => {
                self.broker.kill();
                "broker killed"
            }
            67..82 if self.disturb(step, Disturbance::BrokerLine) => {
                let mode = self.line_fault();
                self.broker_line.set(mode);
                "line to the broker"
            }
            82..90 if self.may_mount && !self.is_disturbed(Disturbance::ReadOnly) => {
                if self.disturb(step, Disturbance::Full) {
                    self.disk.fill();
                }
                "disk full"
            }
            // It ends the daemon, which in a soak should get old.
            90..93
                if self.may_mount
                    && !self.is_disturbed(Disturbance::Full)
                    && (!self.is_soak || self.rng.random_bool(0.1)) =>
            {
                if self.disturb(step, Disturbance::ReadOnly) {
                    if let Some(mut daemon) = self.daemon.take() {
                        daemon.kill();
                    }
                    self.disk.set_read_only(true);
                }
                "disk read-only"
            }
            93..97 if self.disturb(step, Disturbance::Clock) => {
                let by_min = self.rng.random_range(-CLOCK_STEP_MIN..CLOCK_STEP_MIN);
                self.clock.set(self.now(step) + by_min);
                "clock stepped"
            }
            _ => {
                self.office_line.cut_all();
                self.broker_line.cut_all();
                "connections cut"
            }
        };
        *self.account.faults.entry(name).or_default() += 1;
    }

    fn day(&self, step: u32) -> i64 {
        (self.now(step) - START_MIN) / 1440
    }

    /// What the daemon takes, if it is at work and its store can be asked.
    fn measure(&self, step: u32) -> Option<Measure> {
        let pid = self.daemon.as_ref()?.pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        let threads = number("Threads:")? as usize;
        if threads < THREADS_AT_WORK_MIN {
            return None;
        }
        Some(Measure {
            day: self.day(step),
            rss_mb: number("VmRSS:")? / 1024.0,
            files: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count(),
            threads,
            store_mb: fs::metadata(self.store()).ok()?.len() as f64 / 1e6,
            messages: self.ask_store(UNACKED)?.parse().ok()?,
            changes: self.ask_store(UNSENT)?.parse().ok()?,
        })
    }

    fn line_fault(&mut self) -> Mode {
        match self.rng.random_range(0..6) {
            0 => Mode::Cut,
            1 => Mode::Stall(Way::Both),
            2 => Mode::Stall(Way::ToClient),
            3 => Mode::Delay(Duration::from_millis(80)),
            4 => Mode::Lifetime(Duration::from_millis(20)..Duration::from_millis(200)),
            _ => Mode::Bandwidth(100_000),
        }
    }

    fn end(&mut self, what: Disturbance) {
        match what {
            Disturbance::Office => self.office.restart(),
            Disturbance::OfficeLine => {
                // A half-open connection may lose what it held.
                self.office_line.cut_all();
                self.office_line.set(Mode::Pass);
            }
            Disturbance::Broker => self.broker.restart(),
            Disturbance::BrokerLine => {
                self.broker_line.cut_all();
                self.broker_line.set(Mode::Pass);
            }
            Disturbance::Full => self.disk.free(),
            Disturbance::ReadOnly => self.disk.set_read_only(false),
            Disturbance::Clock => {}
        }
    }

    /// An operator asks for something; whether it fits does not matter here.
    fn ask(&mut self) {
        self.requests += 1;
        let alert = self.panel.messages().iter().rev().find_map(|message| {
            let is_event = message.topic.ends_with("/events");
            is_event.then(|| message.json()["alert"].as_str().map(str::to_owned))?
        });
        let Some(alert) = alert else { return };
        let id = format!("r{}", self.requests);
        let request = json!({"request_id": id, "event_id": alert, "user": "op"});
        self.panel.publish(
            &format!("pumphouse/v1/{SITE}/cmd/ack"),
            request.to_string(),
            false,
        );
    }

    /// Lets everything work again, and waits until nothing waits any more.
    fn settle(&mut self) {
        for (_, what) in std::mem::take(&mut self.ends) {
            self.end(what);
        }
        self.exports.step(u32::MAX, false);
        // Behind everything that the clock was ever set to.
        self.clock.set(self.end_min + 2 * CLOCK_STEP_MIN);
        let end = self.exports.bytes();
        for (what, figure, at_the_end) in [
            (
                "all exports are read",
                "SELECT sum(position) FROM ingest_files",
                end,
            ),
            ("the broker has everything", UNACKED, 0),
            ("the central office has everything", UNSENT, 0),
        ] {
            let at_the_end = at_the_end.to_string();
            let mut known = None;
            while known.as_ref() != Some(&at_the_end) {
                known = Some(self.wait(what, |world| {
                    let now = world.ask_store(figure);
                    now.filter(|now| known.as_ref() != Some(now))
                }));
            }
        }
    }

    /// Once the central office has had everything for as long as it may be set back, the store is within its budget, or no more
    /// minutes are left than always stay. Forecasts go with new minutes only, and there are none.
    fn keep_the_budget(&mut self) {
        // In steps, with a reject in each for the office to confirm: a long silence counts as a week.
        for day in (5..=45).step_by(5) {
            let now_min = self.end_min + day * 1440;
            self.clock.set(now_min);
            let name = format!("spoilt-{day}.csv");
            let spoilt = [&self.exports.header[..], name.as_bytes(), b"\n"].concat();
            self.exports.append(&name, &spoilt);
            let is_confirmed = format!("SELECT acked_ts >= {} FROM central_sync", now_min * 60);
            self.wait("the central office confirms something", |world| {
                (world.ask_store(&is_confirmed)? == "1").then_some(())
            });
        }
        let is_kept = format!(
            "SELECT (page_count - freelist_count) * page_size <= {} \
             OR (SELECT max(ts) - min(ts) FROM readings_wide) <= {} \
             FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
            BUDGET_GB * 1e9,
            (KEPT_MIN + DAY_MIN) * 60
        );
        self.wait("the store is within its budget", |world| {
            (world.ask_store(&is_kept)? == "1").then_some(())
        });
        let bytes = fs::metadata(self.store()).expect("its size").len();
        self.account.store_mb = bytes as f64 / 1e6;
    }

    fn wait<T>(&mut self, what: &str, done: impl Fn(&Self) -> Option<T>) -> T {
        let arrived = within(SETTLE, || {
            self.keep_running();
            done(self)
        });
        let log = self.daemon.as_ref().map_or(String::new(), Daemon::log);
        let last: Vec<_> = log.lines().rev().take(20).collect();
        arrived.unwrap_or_else(|| panic!("in vain: {what}\n{last:#?}"))
    }

    fn ask_store(&self, sql: &str) -> Option<String> {
        ask(&self.store(), sql)
    }

    fn count(&self, sql: &str) -> u64 {
        let text = until(sql, || self.ask_store(sql));
        text.parse().expect("a number")
    }

    fn close_the_books(mut self) -> Account {
        self.rows_balance();
        self.messages_balance();
        self.tables_are_those_of_an_undisturbed_run();
        if self.is_soak {
            self.keep_the_budget();
        }
        self.account
    }

    /// Accepted = at the centre + refused with a reason, and after the reason is gone, the same on both ends.
    fn rows_balance(&mut self) {
        for table in [
            "readings_wide",
            "pump_sessions",
            "hourly_profile",
            "daily_summary",
            "pump_health",
            "alerts_log",
            "alerts_suppressed",
            "alert_journal",
            "ingest_rejects",
            "predictions",
            "model_performance",
            "optimization_runs",
            "savings_daily",
        ] {
            let mut here = self.count(&format!("SELECT count(*) FROM {table}"));
            if table == "readings_wide" {
                self.account.purged =
                    self.count("SELECT coalesce(max(purged_rows), 0) FROM retention");
                here += self.account.purged;
            }
            let refused = self.count(&format!(
                "SELECT count(*) FROM central_refused WHERE tbl = '{table}' AND reason LIKE '%ledger%'"
            ));
            // What is too old to be of use here is kept there.
            let from = match table {
                "predictions" => self.count("SELECT coalesce(min(ts), 0) FROM predictions"),
                _ => 0,
            };
            let there = self.office.sql(
                DATABASE,
                &format!(
                    "SELECT count(*) FROM pumphouse.{table} WHERE site_id = '{SITE}' AND ({from} = 0 OR ts >= to_timestamp({from}))"
                ),
            );
            let there: u64 = there.parse().expect("a number");
            assert_eq!(
                here,
                there + refused,
                "{table}: accepted = at the centre + refused"
            );
            if table == "readings_wide" {
                self.account.rows = here;
                self.account.refused = refused;
                let due = self.count(&format!(
                    "SELECT count(*) FROM readings_wide WHERE ts / 60 % {REFUSED_EVERY} = 0 AND ts >= {}",
                    refused_from(self.is_soak)
                ));
                assert_eq!(refused, due, "exactly those are refused that must be");
            }
        }
        self.office.sql(
            DATABASE,
            "ALTER TABLE pumphouse.readings_wide DROP CONSTRAINT ledger",
        );
        let config = self.config();
        let config = config.to_str().expect("a plain name");
        let verb = |verb: &str| {
            let done = binary::run(self.folder.path(), &[verb, "--config", config]);
            let told = String::from_utf8_lossy(&done.stderr).into_owned()
                + &String::from_utf8_lossy(&done.stdout);
            (done.status.success(), told)
        };
        let (is_sent, told) = verb("resync");
        assert!(is_sent, "{told}");
        // Meanwhile the daemon may send a plan that it has just made.
        let mut told = String::new();
        let are_same = within(VERIFIED, || {
            let (are_same, now) = verb("verify");
            told = now;
            are_same.then_some(())
        });
        assert!(are_same.is_some(), "{told}");
        let sql = format!("SELECT count(*) FROM pumphouse.readings_wide WHERE site_id = '{SITE}'");
        let there = self.office.sql(DATABASE, &sql);
        assert_eq!(
            there,
            self.account.rows.to_string(),
            "every minute that was ever taken"
        );
    }

    /// The panel has every line of the journal, first heard in its order, and nothing else.
    fn messages_balance(&mut self) {
        let store = Connection::open_with_flags(self.store(), OpenFlags::SQLITE_OPEN_READ_ONLY)
            .expect("the store");
        let journal = journal(&store);
        let heard = |world: &Self| -> Vec<String> {
            let messages = world.panel.messages();
            let events = messages
                .iter()
                .filter(|message| message.topic.ends_with("/events"));
            events
                .map(|message| {
                    message.json()["event_id"]
                        .as_str()
                        .expect("an id")
                        .to_owned()
                })
                .collect()
        };
        self.wait("the panel has everything", |world| {
            let heard: HashSet<String> = heard(world).into_iter().collect();
            let is_all = journal.iter().all(|id| heard.contains(id));
            is_all.then_some(())
        });
        let heard = heard(self);
        let mut seen = HashSet::new();
        let first: Vec<&String> = heard.iter().filter(|id| seen.insert(id.as_str())).collect();
        let known: HashSet<&String> = journal.iter().collect();
        let strangers: Vec<_> = first.iter().filter(|id| !known.contains(*id)).collect();
        assert!(
            strangers.is_empty(),
            "heard and not journalled: {strangers:?}"
        );
        // An alert that is withdrawn and raised again by late data has the same id again.
        let mut once = HashSet::new();
        let in_order: Vec<&String> = journal
            .iter()
            .filter(|id| once.insert(id.as_str()))
            .collect();
        assert!(
            first == in_order,
            "the order of the journal is the order of the events"
        );
        self.account.journal = journal.len();
        self.account.repeats = heard.len() - first.len();
        if let Ok(calls) = fs::read_to_string(self.calls()) {
            self.account.calls = calls.lines().filter(|line| !line.is_empty()).count() as u64;
        }
        self.account.floods =
            self.count("SELECT count(*) FROM alert_journal WHERE action = 'flood'");
        let answers: Vec<Value> = self
            .panel
            .messages()
            .iter()
            .filter(|message| message.topic.contains("/cmd/result/"))
            .map(super::panel::Message::json)
            .collect();
        let mut by_id: BTreeMap<String, Value> = BTreeMap::new();
        for answer in answers {
            let id = answer["request_id"].as_str().expect("an id").to_owned();
            let first = by_id.entry(id).or_insert_with(|| answer.clone());
            assert_eq!(*first, answer, "a request is answered once, and in one way");
        }
    }

    /// The tables are those that the same exports give when nothing fails. What the wall clock told stays, so gap alerts and
    /// what counts them are left out; so is F-07, which depends on the order in which files are read.
    fn tables_are_those_of_an_undisturbed_run(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            daemon.terminate();
        }
        let undisturbed = self.undisturbed();
        let (ours, theirs) = (tables(&self.store()), tables(&undisturbed));
        // Those before it were purged.
        let oldest = &ours["readings_wide"][0];
        for table in [
            "readings_wide",
            "pump_sessions",
            "pump_health",
            "alerts_log",
        ] {
            let rows = |of: &BTreeMap<&'static str, Vec<String>>| -> Vec<String> {
                let told = ["|F-01|", "|F-02|", "|F-07|"];
                of[table]
                    .iter()
                    .filter(|row| table != "readings_wide" || *row >= oldest)
                    .filter(|row| {
                        table != "alerts_log" || !told.iter().any(|rule| row.contains(rule))
                    })
                    .cloned()
                    .collect()
            };
            let (ours, theirs) = (rows(&ours), rows(&theirs));
            let only = |these: &[String], those: &[String]| -> Vec<String> {
                these
                    .iter()
                    .filter(|row| !those.contains(row))
                    .take(5)
                    .cloned()
                    .collect()
            };
            assert!(
                ours == theirs,
                "{table}: {} rows, {} undisturbed\nonly here: {:#?}\nonly undisturbed: {:#?}",
                ours.len(),
                theirs.len(),
                only(&ours, &theirs),
                only(&theirs, &ours),
            );
        }
    }

    /// The store of a daemon that reads the same exports by the same clock, with nobody to deliver to.
    fn undisturbed(&self) -> PathBuf {
        let plain = self.folder.path().join("plain");
        fs::create_dir(&plain).expect("a folder");
        let store = plain.join("out.db");
        let config = fs::read_to_string(self.config()).expect("read");
        let (before, rest) = config.split_once("[mqtt]").expect("the broker");
        let (_, tags) = rest.split_once("[historian.tags]").expect("the tags");
        let config = plain.join("pumphouse.toml");
        let ours = format!("{:?}", self.store());
        let before = before
            .replace(&ours, &format!("{store:?}"))
            .replace(&format!("budget_gb = {BUDGET_GB}\n"), "")
            .replace(
                "[historian]\n",
                &format!("[historian]\nwatch = [{:?}]\n", self.exports.folder),
            );
        fs::write(&config, format!("{before}[historian.tags]{tags}")).expect("written");
        let mut daemon = Daemon::start(&config, &plain.join("log"), &self.clock.environment());
        // The silence after the last row is told once everything is read.
        let through = within(SETTLE, || {
            let read = ask(&store, "SELECT sum(position) FROM ingest_files")?;
            let told = format!(
                "SELECT count(*) FROM alerts_log WHERE told = 1 AND ts >= {}",
                self.end_min * 60
            );
            (read == self.exports.bytes().to_string() && ask(&store, &told)? != "0").then_some(())
        });
        assert!(through.is_some(), "the undisturbed run is not through");
        daemon.terminate();
        store
    }
}

/// The second from which on the central office refuses minutes.
fn refused_from(is_soak: bool) -> i64 {
    let days = if is_soak { REFUSED_FROM_DAY } else { 0 };
    (START_MIN + days * 1440) * 60
}

/// What a query over a store says, as text; `None` while there is no answer.
fn ask(store: &Path, sql: &str) -> Option<String> {
    let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    store.busy_timeout(Duration::from_secs(5)).ok()?;
    store
        .query_row(&format!("SELECT CAST(({sql}) AS TEXT)"), [], |row| {
            row.get(0)
        })
        .ok()
}
