//! `pumphouse demo`: everything at work, nothing installed.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context;
use jiff::{ToSpan, civil::DateTime, tz::TimeZone};
use rumqttc::{Client, Event, MqttOptions, Packet, QoS};

use super::{demo_models, simulate::config_text};
use crate::{
    app,
    calendar::DAY_MIN,
    clock::Clock,
    config::Config,
    logging,
    simulate::{Fault, FaultKind, FaultScript, HEADER, Simulator, Station, file_name, write_days},
};

/// Minutes of the demo's clock after which the round of faults begins again.
const ROUND_MIN: i64 = 150;
/// Rounds prepared: weeks of the demo's clock.
const ROUNDS: i64 = 1000;

/// See everything at work, nothing installed
///
/// A simulated station writes historian exports into a folder: some days of history at once, then live, sped up. The
/// real daemon reads them into SQLite, evaluates the alert rules and publishes through an MQTT broker of its own. Faults
/// arise, so that alerts show. Ctrl-C ends it.
#[derive(clap::Args)]
pub struct Demo {
    /// Port of the demo's MQTT broker on this machine; another free one is taken when it is in use
    #[arg(long, default_value_t = 1883)]
    port: u16,
    /// Port of the dashboard on this machine; another free one is taken when it is in use
    #[arg(long, default_value_t = 8080)]
    web_port: u16,
    /// Days of history to load first
    #[arg(long, default_value_t = 21, value_parser = clap::value_parser!(u32).range(1..=730))]
    days: u32,
    /// How many times as fast as real time the station runs
    #[arg(long, default_value_t = 60.0)]
    speed: f64,
    /// Folder for exports, config and store, kept afterwards; without it a temporary one is removed at the end
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Seed of the simulated station
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Demo {
    pub fn run(self) -> anyhow::Result<()> {
        anyhow::ensure!(
            (1.0..=600.0).contains(&self.speed),
            "--speed must lie between 1 and 600"
        );
        logging::start(log::LevelFilter::Warn);
        let folder = Folder::new(self.dir.as_deref())?;
        let exports = folder.path.join("exports");
        let port = start_broker(self.port)?;

        // The demo's clock starts on the full minute of now.
        let now_min = Clock::Wall.minute();
        let today = now_min.div_euclid(DAY_MIN);
        let first_day = civil((today - i64::from(self.days)) * DAY_MIN);
        say(&format!("Simulating {} days of history …", self.days))?;
        let faults = FaultScript::random(self.seed, first_day, self.days)
            .with(rounds_of_faults(civil(now_min)));
        let mut simulator = Simulator::new(Station::default(), self.seed, first_day, faults);
        write_days(&exports, &mut simulator, self.days, |_| {})?;

        demo_models::write(&folder.path.join("models"))?;
        let config_path = folder.path.join("pumphouse.toml");
        let mut config = config_text(&Station::default());
        config = config.replace(
            "watch = [\"exports\"]",
            "watch = [\"exports\"]\nscan_interval_s = 0.5\ndelivery_delay_min = 3",
        );
        let web_port = free_port(self.web_port, "the dashboard")?;
        config.push_str(&format!(
            "\n[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n\n[web]\nlisten = \"127.0.0.1:{web_port}\"\n"
        ));
        std::fs::write(&config_path, &config)?;
        let config = Config::load(&config_path)?;
        self.introduce(&folder.path, port, web_port)?;

        let clock = Clock::fast(now_min * 60, self.speed);
        let stop = Arc::new(AtomicBool::new(false));
        let teller = tell_events(port, config.site_name.clone());
        let writer = write_live(simulator, exports, clock, stop.clone())?;
        let ended = app::run(config_path, config, clock);
        stop.store(true, Ordering::Relaxed);
        if writer.join().is_err() {
            log::error!("the simulated station ended in a panic");
        }
        drop(teller);
        say(&match &self.dir {
            Some(dir) => format!(
                "\nStopped. Exports, config and store stay in {}",
                dir.display()
            ),
            None => "\nStopped.".to_owned(),
        })?;
        ended
    }

    fn introduce(&self, folder: &Path, port: u16, web_port: u16) -> anyhow::Result<()> {
        let folder = folder.display();
        let program = std::env::args()
            .next()
            .unwrap_or_else(|| "pumphouse".into());
        say(&format!(
            "A simulated pump station runs {} times as fast as real time; its historian writes into\n  {folder}/exports\n\
             The daemon reads it into {folder}/pumphouse.db and publishes on mqtt://127.0.0.1:{port}\n\n\
             The dashboard:\n  http://127.0.0.1:{web_port}\n\n\
             Try, in another terminal:\n  \
             mosquitto_sub -p {port} -v -t 'pumphouse/v1/demo/alerts/#'    the state of each alert\n  \
             mosquitto_sub -p {port} -v -t 'pumphouse/v1/demo/events'      every change, as it happens\n  \
             mosquitto_sub -p {port} -v -t 'pumphouse/v1/demo/readings'    the newest minute, raw and derived\n  \
             mosquitto_sub -p {port} -v -t 'pumphouse/v1/demo/forecast/#'  tank level and demand for the next hour and day\n  \
             {program} forecast --config {folder}/pumphouse.toml\n  \
             {program} plan --config {folder}/pumphouse.toml    which pumps to run when, and why\n  \
             {program} status --config {folder}/pumphouse.toml\n  \
             {program} rules\n\n\
             A pump trips in a few seconds; a round of faults follows. Ctrl-C ends the demo.\n\n\
             station's time       severity  rule",
            self.speed
        ))
    }
}

fn say(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    Ok(out.flush()?)
}

fn civil(local_min: i64) -> DateTime {
    let at = jiff::Timestamp::from_second(local_min * 60).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    TimeZone::UTC.to_datetime(at)
}

/// The demo's folder; a temporary one goes with it.
struct Folder {
    path: PathBuf,
    temporary: bool,
}

impl Folder {
    fn new(dir: Option<&Path>) -> anyhow::Result<Self> {
        let path = match dir {
            Some(dir) => std::path::absolute(dir)?,
            None => std::env::temp_dir().join(format!("pumphouse-demo-{}", std::process::id())),
        };
        let holds_store = path.join("pumphouse.db").exists();
        anyhow::ensure!(
            !holds_store,
            "{} holds an earlier demo; remove it or name another folder",
            path.display()
        );
        std::fs::create_dir_all(path.join("exports"))
            .with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self {
            path,
            temporary: dir.is_none(),
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            log::warn!(path = self.path.display().to_string(), cause = error.to_string(); "the demo's folder stays");
        }
    }
}

/// The port wished, or a free one.
fn free_port(wished: u16, what: &str) -> anyhow::Result<u16> {
    let free = |port: u16| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|listener| listener.local_addr())
    };
    let port = free(wished)
        .or_else(|_| free(0))
        .with_context(|| format!("no free port for {what}"))?
        .port();
    if port != wished && wished != 0 {
        say(&format!("Port {wished} is in use; {what} takes {port}."))?;
    }
    Ok(port)
}

/// Starts the broker on the port wished, or on a free one.
fn start_broker(wished: u16) -> anyhow::Result<u16> {
    let port = free_port(wished, "the broker")?;
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let config: rumqttd::Config = toml::from_str(&format!(
        "id = 0\n\
         [router]\nid = 0\nmax_connections = 64\nmax_outgoing_packet_count = 200\nmax_segment_size = 1048576\nmax_segment_count = 10\n\
         [v4.1]\nname = \"v4\"\nlisten = \"{listen}\"\nnext_connection_delay_ms = 1\n\
         [v4.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = 262144\nmax_inflight_count = 100\ndynamic_filters = true\n"
    ))
    .context("the broker's settings")?;
    std::thread::Builder::new()
        .name("broker".into())
        .spawn(move || {
            if let Err(error) = rumqttd::Broker::new(config).start() {
                log::error!(cause = error.to_string(); "the demo's broker ended");
            }
        })?;
    Ok(port)
}

/// Prints the events as a panel would see them.
fn tell_events(port: u16, site: String) -> JoinHandle<()> {
    let mut options = MqttOptions::new(format!("panel-{site}"), "127.0.0.1", port);
    options.set_keep_alive(Duration::from_secs(10));
    let (client, mut connection) = Client::new(options, 16);
    std::thread::spawn(move || {
        for event in connection.iter() {
            match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    if client
                        .try_subscribe("pumphouse/v1/demo/events", QoS::AtLeastOnce)
                        .is_err()
                    {
                        return;
                    }
                }
                Ok(Event::Incoming(Packet::Publish(message))) => {
                    if let Ok(event) = serde_json::from_slice::<serde_json::Value>(&message.payload)
                        && event["backfilled"] == false
                        && say(&line(&event)).is_err()
                    {
                        return;
                    }
                }
                Ok(_) => {}
                Err(_) => std::thread::sleep(Duration::from_millis(200)),
            }
        }
    })
}

fn line(event: &serde_json::Value) -> String {
    let text = |key: &str| event[key].as_str().unwrap_or("").to_owned();
    let time = text("ts").replace(['T', 'Z'], " ");
    format!(
        "{time} {:<8}  {} {:<2} {:<9} {}",
        text("severity"),
        text("code"),
        text("pump"),
        text("transition"),
        text(if event["transition"] == "raised" {
            "message"
        } else {
            "name"
        })
    )
}

/// Writes the station's minutes as the demo's clock reaches them.
fn write_live(
    mut simulator: Simulator,
    exports: PathBuf,
    clock: Clock,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("station".into()).spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            if let Err(error) = write_until(&mut simulator, &exports, civil(clock.minute())) {
                log::error!(cause = format!("{error:#}"); "the simulated historian cannot write");
                return;
            }
            std::thread::sleep(clock.real(Duration::from_secs(15)).min(Duration::from_secs(1)));
        }
    });
    thread.context("cannot start the simulated station")
}

fn write_until(simulator: &mut Simulator, exports: &Path, now: DateTime) -> anyhow::Result<()> {
    while simulator.next_time() < now {
        let day = simulator.next_time().date();
        let path = exports.join(file_name(day));
        let mut lines = if path.exists() {
            Vec::new()
        } else {
            HEADER.as_bytes().to_vec()
        };
        while simulator.next_time() < now && simulator.next_time().date() == day {
            simulator.next_minute(&mut lines);
        }
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)?;
        file.write_all(&lines)?;
    }
    Ok(())
}

/// Rounds of faults of several groups, the first from a few minutes after `from`.
fn rounds_of_faults(from: DateTime) -> impl Iterator<Item = Fault> {
    let faults = [
        (3, 14, FaultKind::PumpTrip, &[3][..]),
        (22, 14, FaultKind::Overcurrent, &[1]),
        (42, 8, FaultKind::LevelRange, &[]),
        (54, 12, FaultKind::DryRun, &[1, 2]),
        (72, 9, FaultKind::Gap, &[]),
        (88, 10, FaultKind::PowerOutage, &[]),
        (104, 3, FaultKind::Duplicates, &[]),
        (112, 8, FaultKind::FlowRange, &[]),
        (126, 12, FaultKind::MultiTrip, &[2, 4, 5]),
    ];
    (0..ROUNDS).flat_map(move |round| {
        faults
            .into_iter()
            .filter_map(move |(after_min, minutes, kind, pumps)| {
                let start = from
                    .checked_add((round * ROUND_MIN + after_min).minutes())
                    .ok()?;
                // Twice the usual power lies beyond every rating.
                let factor = (kind == FaultKind::Overcurrent).then_some(2.0);
                Some(Fault {
                    factor,
                    ..Fault::new(kind, start, minutes).on_pumps(pumps)
                })
            })
    })
}
