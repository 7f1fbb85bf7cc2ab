//! What a box is asked for, in one table: size, exposure, memory, bytes written, and how soon there is an alert.
//! `cargo bench --bench figures` writes docs/FIGURES.md. It makes the package of a release first, which takes some minutes.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use common::{
    binary,
    mosquitto::Mosquitto,
    panel::Panel,
    shipped::{copy_models, exposure},
    station::{Daemon, Folder},
    waiting::within,
};

/// Minutes that are written one by one while the daemon is looked at.
const LIVE_MIN: u64 = 120;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut table = String::from(
        "# Figures\n\nWhat a box is asked for. Written by `cargo bench --bench figures`; anew on each machine, so of the size that it has, not to the last digit.\n\n\
         | what | figure |\n|---|---|\n",
    );
    let mut row = |what: &str, figure: String| {
        println!("{what}: {figure}");
        writeln!(table, "| {what} | {figure} |").expect("a text");
    };
    row("machine", machine());

    let package = package(root);
    let megabytes = |path: &Path| path.metadata().expect("a file").len() as f64 / 1e6;
    row("package, amd64", format!("{:.1} MB", megabytes(&package)));
    row(
        "program",
        format!(
            "{:.1} MB",
            megabytes(&root.join("target/release/pumphouse"))
        ),
    );
    for unit in ["pumphouse", "pumphouse-backup", "pumphouse-retrain"] {
        row(
            &format!("exposure of `{unit}.service`, 0 to 10"),
            exposure(&format!("{unit}.service")).to_string(),
        );
    }

    let (to_alert, _) = first_alert();
    row(
        "from the start to the first alert at a panel, empty store",
        format!("{:.0} ms", to_alert * 1e3),
    );

    let broker = Mosquitto::start();
    let folder = Folder::new("figures");
    configure(&folder, broker.port);
    let year = Instant::now();
    let mut tape = folder.tape_until(365 * 1440, LIVE_MIN as i64 + 5);
    let told = binary::ingest(
        folder.exports().parent().expect("a folder"),
        &[folder.exports()],
    );
    row(
        "a year of exports, read in",
        format!(
            "{:.0} s",
            told["seconds"]
                .as_f64()
                .unwrap_or_else(|| year.elapsed().as_secs_f64())
        ),
    );
    row(
        "a year in the store",
        format!("{:.0} MB", megabytes(&folder.store())),
    );

    let began = Instant::now();
    let mut minute = newest(&folder) + 1;
    let daemon = folder.run();
    tape.write(1, |_| {});
    wait_for(&folder, minute);
    row(
        "from the start to the next row, a year in the store",
        format!("{:.1} s", began.elapsed().as_secs_f64()),
    );
    // Forecasts and the first plan.
    std::thread::sleep(Duration::from_secs(20));
    let before = Taken::of(&daemon);
    for _ in 0..LIVE_MIN {
        minute += 1;
        tape.write(1, |_| {});
        wait_for(&folder, minute);
        // Room for what a minute brings about beside the row.
        std::thread::sleep(Duration::from_millis(250));
    }
    let after = Taken::of(&daemon);
    let a_day = |part: f64| part / LIVE_MIN as f64 * 1440.0;
    row(
        "memory, with broker, dashboard, models and a year in the store",
        format!("{:.0} MB", after.rss_mb),
    );
    row(
        "the most memory since the start",
        format!("{:.0} MB", after.peak_mb),
    );
    row(
        "written to the disk a day by the daemon",
        format!("{:.0} MB", a_day(after.written_mb - before.written_mb)),
    );
    let (made, told) = folder.verb(&["backup", "--json"]);
    assert!(made, "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    row(
        "written by the nightly backup, a year in the store",
        format!(
            "{:.0} MB",
            told["backup"]["bytes"].as_f64().expect("its size") / 1e6
        ),
    );
    row(
        "processor, per minute of data",
        format!(
            "{:.0} ms",
            1e3 * (after.cpu_s - before.cpu_s) / LIVE_MIN as f64
        ),
    );
    fs::write(root.join("docs/FIGURES.md"), table).expect("written");
}

fn configure(folder: &Folder, broker: u16) {
    let models = folder.store().with_file_name("models");
    copy_models(&models);
    folder.configure(&format!(
        "[forecast]\nmodels = {models:?}\n[mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\n[web]\nlisten = \"127.0.0.1:0\"\n",
    ));
}

fn machine() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = name.map_or("unknown", |name| name.trim_start_matches(['\t', ' ', ':']));
    let cores = text.matches("processor\t").count();
    format!("{cores} × {name}")
}

fn package(root: &Path) -> PathBuf {
    let output = Command::new(root.join("systemd/package"))
        .output()
        .expect("the script runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    told.lines().last().expect("the package's name").into()
}

/// Seconds from the start of the program to an alert at a panel.
fn first_alert() -> (f64, Daemon) {
    let broker = Mosquitto::start();
    let panel = Panel::connect(broker.port);
    let folder = Folder::new("figures-alert");
    folder.configure(&format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        broker.port
    ));
    let mut tape = folder.tape_until(60, 5);
    tape.write(5, |row| row.power_kw[1] = 0.0);
    let began = Instant::now();
    let daemon = folder.run();
    panel.wait_for("an alert", |message| {
        message.topic.ends_with("/alerts/B-01/P2").then_some(())
    });
    (began.elapsed().as_secs_f64(), daemon)
}

/// The newest minute in the store.
fn newest(folder: &Folder) -> i64 {
    let newest = within(PATIENCE, || {
        folder
            .try_query("SELECT max(ts) / 60 FROM readings_wide")?
            .parse()
            .ok()
    });
    newest.expect("a row")
}

fn wait_for(folder: &Folder, minute: i64) {
    let arrived = within(PATIENCE, || (newest(folder) == minute).then_some(()));
    assert!(arrived.is_some(), "minute {minute} does not come");
}

/// What a daemon has taken so far.
struct Taken {
    rss_mb: f64,
    peak_mb: f64,
    written_mb: f64,
    cpu_s: f64,
}

impl Taken {
    fn of(daemon: &Daemon) -> Self {
        let read = |name: &str| {
            fs::read_to_string(format!("/proc/{}/{name}", daemon.pid())).expect("it runs")
        };
        let number = |text: &str, name: &str| -> f64 {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .expect("a line");
            line.split_whitespace()
                .next()
                .expect("a number")
                .parse()
                .expect("a number")
        };
        let (status, io, stat) = (read("status"), read("io"), read("stat"));
        // Behind the name, which may hold anything.
        let (_, fields) = stat.rsplit_once(") ").expect("fields");
        let ticks: f64 = fields
            .split(' ')
            .skip(11)
            .take(2)
            .map(|it| it.parse::<f64>().expect("ticks"))
            .sum();
        Self {
            rss_mb: number(&status, "VmRSS:") * 1.024 / 1e3,
            peak_mb: number(&status, "VmHWM:") * 1.024 / 1e3,
            written_mb: number(&io, "write_bytes:") / 1e6,
            // USER_HZ, which is 100 on all of Linux.
            cpu_s: ticks / 100.0,
        }
    }
}
