//! The dashboard on five years of minutes: how long its answers take, what ten pages that look on cost, how soon Overview is painted.
//!
//! `cargo bench --bench web [-- --years N]`. The store is made once, below `target/bench-web`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use common::{
    browser::Browser,
    http::{Client, Listener},
    ports::free_port,
    station::Daemon,
    waiting::until,
};
use serde_json::json;

const DAY_S: i64 = 86_400;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let years = arguments
        .iter()
        .position(|it| it == "--years")
        .map_or(5, |at| arguments[at + 1].parse().expect("a number"));
    let folder = store_of(years);
    let config = folder.join("pumphouse.toml");
    let port = free_port();
    let text = fs::read_to_string(&config).expect("a config");
    let served = folder.join("served.toml");
    fs::write(
        &served,
        format!("{text}\n[web]\nlisten = \"127.0.0.1:{port}\"\n"),
    )
    .expect("written");
    let daemon = Daemon::start(&served, &folder.join("log"), &[]);
    let client = Client::new(port).wait();
    let newest = until("the picture is made", || {
        client.get("/api/v1/now").json()["row"]["ts"].as_i64()
    });
    latencies(&client, newest);
    memory(&daemon, port);
    paint(port, newest);
}

/// A store with so many years of a simulated station; the days repeat after one of them, which changes nothing in what is measured.
fn store_of(years: u32) -> PathBuf {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name(format!("bench-web-{years}"));
    if folder.join("ready").exists() {
        return folder;
    }
    println!("making a store of {years} years …");
    fs::create_dir_all(&folder).expect("a folder");
    let days = (years * 365).to_string();
    let start = "2021-11-01";
    let run = |arguments: &[&str]| {
        let done = std::process::Command::new(env!("CARGO_BIN_EXE_pumphouse"))
            .args(arguments)
            .status()
            .expect("it starts");
        assert!(done.success());
    };
    let out = folder.to_str().expect("a plain name");
    run(&[
        "simulate", "--out", out, "--days", &days, "--start", start, "--seed", "5",
    ]);
    let config = folder.join("pumphouse.toml");
    run(&[
        "ingest",
        "--config",
        config.to_str().expect("a plain name"),
        folder.join("exports").to_str().expect("a plain name"),
    ]);
    fs::remove_dir_all(folder.join("exports")).expect("removed");
    fs::create_dir_all(folder.join("exports")).expect("a folder");
    fs::write(folder.join("ready"), "").expect("written");
    folder
}

/// The time of the middle one and of the slowest of some answers.
fn latencies(client: &Client, newest: i64) {
    let until_ts = newest + 60;
    let period = |days: i64| format!("from={}&until={until_ts}", until_ts - days * DAY_S);
    let plot = "columns=hlt_pct,fit101_per_hr,total_kw&points=1000";
    let asked = [
        ("the picture of the moment", "/now".to_owned()),
        ("a day of minutes", format!("/series?{}&{plot}", period(1))),
        ("a week", format!("/series?{}&{plot}", period(7))),
        (
            "45 days, from minutes",
            format!("/series?{}&{plot}", period(45)),
        ),
        ("a year", format!("/series?{}&{plot}", period(365))),
        ("five years", format!("/series?{}&{plot}", period(5 * 365))),
        ("sessions of 30 days", format!("/sessions?{}", period(30))),
        ("days of a year", format!("/days?{}", period(365))),
        ("hours over a year", format!("/hours?{}", period(365))),
        ("totals of a year", format!("/totals?{}", period(365))),
        ("the newest 100 alerts", "/alerts?limit=100".to_owned()),
        (
            "critical alerts of a pump in 5 years",
            "/alerts?severity=CRITICAL&pump=P3&limit=500".to_owned(),
        ),
        (
            "a week's alarm figures",
            format!("/alarms/load?{}", period(7)),
        ),
    ];
    println!(
        "{:<40} {:>10} {:>10} {:>10}",
        "answer", "median ms", "slowest", "kB"
    );
    for (name, path) in asked {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..9 {
            let begun = Instant::now();
            let answer = client.get(&format!("/api/v1{path}"));
            times.push(begun.elapsed());
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
            bytes = answer.body.len();
        }
        times.sort();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!(
            "{name:<40} {:>10.1} {:>10.1} {:>10.0}",
            ms(times[4]),
            ms(times[8]),
            bytes as f64 / 1e3
        );
    }
}

fn status_kb(pid: u32, key: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status
        .lines()
        .find(|line| line.starts_with(key))
        .expect("the line");
    line.split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse().ok())
        .expect("a number")
}

fn cpu_s(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let after = stat.rsplit_once(')').expect("a name").1;
    let ticks: Vec<f64> = after
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|it| it.parse().ok())
        .collect();
    (ticks[0] + ticks[1]) / 100.0
}

/// What ten pages that look on cost.
fn memory(daemon: &Daemon, port: u16) {
    let pid = daemon.pid();
    let before = status_kb(pid, "VmRSS");
    let mut pages: Vec<_> = (0..10).map(|_| Listener::connect(port)).collect();
    for page in &mut pages {
        page.next("picture");
    }
    let cpu = cpu_s(pid);
    std::thread::sleep(Duration::from_secs(20));
    println!(
        "resident: {:.1} MB without pages, {:.1} MB with ten, {:.1} MB at the highest; processor {:.2} % of a core with ten",
        before / 1e3,
        status_kb(pid, "VmRSS") / 1e3,
        status_kb(pid, "VmHWM") / 1e3,
        (cpu_s(pid) - cpu) / 20.0 * 100.0
    );
}

/// How soon a page shows something, and how much it takes, in a real Chromium.
fn paint(port: u16, newest: i64) {
    let browser = Browser::start();
    browser.resize((1440, 900));
    for (name, path, whole) in [
        ("Overview", "/".to_owned(), ".station .value"),
        (
            "Analytics, a year",
            format!("/analytics?period=365d&x={newest}"),
            ".plot .main-svg",
        ),
    ] {
        browser.requests();
        let begun = Instant::now();
        browser.go(&format!("http://127.0.0.1:{port}{path}"));
        browser.wait_for(&format!("document.querySelector({whole:?})"));
        let whole_ms = begun.elapsed().as_secs_f64() * 1e3;
        let painted = browser.run(
            "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null;",
            vec![json!(null)],
        );
        let (requests, bytes) = browser.requests();
        println!(
            "{name}: first paint after {:.0} ms, whole after {whole_ms:.0} ms, {} requests, {:.0} kB",
            painted.as_f64().unwrap_or(f64::NAN),
            requests.len(),
            bytes as f64 / 1e3
        );
    }
}
