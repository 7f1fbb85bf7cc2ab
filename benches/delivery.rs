//! What delivery costs and holds: rows a second to PostgreSQL beside a raw binary COPY of the same rows, memory while a backlog
//! drains, many sites at one server, bytes written a day, and the size of an outage.
//! `cargo bench --bench delivery -- [rate] [backlog] [sites] [bytes] [outage]`; all without a name.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use common::{
    boxclock::BoxClock,
    mosquitto::Mosquitto,
    postgres::{Postgres, Setup},
    station::{Daemon, Folder},
    waiting::{until, within},
};
use pumphouse::{calendar, clock::Clock, store::changes::Synced};

const DATABASE: &str = "plant";
/// Rounds of which the median counts.
const ROUNDS: usize = 3;
/// How long anything may take.
const LONG: Duration = Duration::from_secs(900);

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let benches: [(&str, fn()); 5] = [
        ("rate", rate),
        ("backlog", backlog),
        ("sites", sites),
        ("bytes", bytes),
        ("outage", outage),
    ];
    for (name, bench) in benches {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            bench();
        }
    }
}

fn server() -> Postgres {
    let server = Postgres::start_with(&Setup {
        settings: "shared_buffers = '512MB'\nmax_wal_size = '4GB'",
        ..Setup::default()
    });
    server.create_database(DATABASE);
    server
}

/// Sets up the office for a site, and the site for the office.
fn join(server: &Postgres, folder: &Folder, site: &str) {
    let home = folder.store().parent().expect("a folder").to_path_buf();
    fs::write(home.join("password"), "of a bench").expect("written");
    server.admit(DATABASE, site, &home, "password");
    folder.configure_site(
        site,
        &format!(
            "[central]\nurl = \"postgres://{site}@127.0.0.1:{}/{DATABASE}\"\npassword_file = \"password\"\n",
            server.port()
        ),
    );
}

/// A store with days of rows, read before anything is measured.
fn filled(name: &str, days: u32) -> Folder {
    let folder = Folder::new(name);
    folder.configure("");
    folder.simulate(days);
    let exports = folder.exports();
    let (done, said) = folder.verb(&["ingest", exports.to_str().expect("a plain name")]);
    assert!(done, "{said}");
    folder
}

fn wait_until_sent(folder: &Folder) {
    let sent = within(LONG, || {
        let waiting = "SELECT count(*) FROM changes WHERE seq > (SELECT acked FROM central_sync)";
        (folder.query(waiting) == "0").then_some(())
    });
    assert!(sent.is_some(), "not sent in time");
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Rows a second of all tables of a year, beside a raw binary COPY of the same rows.
fn rate() {
    let folder = filled("rate", 365);
    fs::remove_dir_all(folder.exports()).expect("removed");
    fs::create_dir(folder.exports()).expect("a folder");
    let server = server();
    join(&server, &folder, "rate");
    let tables = Synced::ALL.map(Synced::name);
    let each = |command: &dyn Fn(&str) -> String| tables.map(command).to_vec();
    let file = |table: &str| folder.store().with_file_name(format!("{table}.bin"));
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let begun = Instant::now();
        let mut daemon = folder.run();
        wait_until_sent(&folder);
        ours.push(begun.elapsed().as_secs_f64());
        daemon.terminate();
        if round == 0 {
            psql(&server, &["CREATE SCHEMA raw".to_owned()]);
            psql(
                &server,
                &each(&|table| {
                    format!("CREATE TABLE raw.{table} (LIKE pumphouse.{table} INCLUDING ALL)")
                }),
            );
            psql(
                &server,
                &each(&|table| {
                    let file = file(table);
                    format!(
                        "\\copy pumphouse.{table} TO '{}' (FORMAT binary)",
                        file.display()
                    )
                }),
            );
        }
        psql(&server, &each(&|table| format!("TRUNCATE raw.{table}")));
        psql(&server, &["CHECKPOINT".to_owned()]);
        let begun = Instant::now();
        psql(
            &server,
            &each(&|table| {
                let file = file(table);
                format!(
                    "\\copy raw.{table} FROM '{}' (FORMAT binary)",
                    file.display()
                )
            }),
        );
        raw.push(begun.elapsed().as_secs_f64());
        psql(
            &server,
            &each(&|table| format!("TRUNCATE pumphouse.{table}")),
        );
        let anew = ["TRUNCATE pumphouse.edge_sync", "CHECKPOINT"];
        psql(&server, &anew.map(str::to_owned));
        forget_sent(&folder.store());
    }
    let counts = tables.map(|table| format!("(SELECT count(*) FROM raw.{table})"));
    let rows: f64 = server
        .sql(DATABASE, &format!("SELECT {}", counts.join(" + ")))
        .trim()
        .parse()
        .expect("a number");
    let (ours, raw) = (rows / median(ours), rows / median(raw));
    println!(
        "rate: {rows} rows; {ours:.0} rows/s, raw binary COPY {raw:.0} rows/s: {:.2} of it",
        ours / raw
    );
}

fn psql(server: &Postgres, commands: &[String]) {
    let mut psql = Command::new("psql");
    psql.args([
        &server.superuser_url(DATABASE),
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
    ]);
    for command in commands {
        psql.args(["-c", command]);
    }
    let done = psql.status().expect("psql runs");
    assert!(done.success(), "{commands:?}");
}

/// The next daemon sends everything once more.
fn forget_sent(store: &Path) {
    let store = rusqlite::Connection::open(store).expect("the store");
    store
        .execute("UPDATE central_sync SET acked = 0, acked_ts = NULL", [])
        .expect("forgotten");
}

/// Peak memory of a daemon that drains 90 days, started anew.
fn backlog() {
    let folder = filled("backlog", 90);
    let server = server();
    join(&server, &folder, "backlog");
    let begun = Instant::now();
    let daemon = folder.run();
    wait_until_sent(&folder);
    let time = begun.elapsed();
    println!(
        "backlog: 90 days drained in {:.1} s, {:.1} MB at the peak",
        time.as_secs_f64(),
        peak_mb(&daemon)
    );
}

fn peak_mb(daemon: &Daemon) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("a process");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("a peak");
    let kilobytes: f64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kilobytes / 1000.0
}

/// Two hundred stations at one server, at once.
fn sites() {
    const SITES: u32 = 200;
    let server = server();
    let folders: Vec<Folder> = (0..SITES)
        .map(|number| {
            let folder = Folder::new("site");
            folder.simulate_seeded(2, number);
            join(&server, &folder, &format!("site-{number}"));
            folder
        })
        .collect();
    let begun = Instant::now();
    let daemons: Vec<Daemon> = folders.iter().map(Folder::run).collect();
    for folder in &folders {
        let read = within(LONG, || folder.is_read().then_some(()));
        assert!(read.is_some(), "not read in time");
        wait_until_sent(folder);
    }
    let time = begun.elapsed();
    drop(daemons);
    let same = folders
        .iter()
        .filter(|folder| folder.verb(&["verify"]).0)
        .count();
    let rows = server.sql(DATABASE, "SELECT count(*) FROM pumphouse.readings_wide");
    println!(
        "sites: {SITES} read and sent {rows} rows in {:.1} s; {same} of {SITES} have equal hashes on both ends",
        time.as_secs_f64()
    );
    assert_eq!(same, SITES as usize);
}

/// Bytes that a live day writes to the disk, with broker and office connected: minute by minute.
fn bytes() {
    const MINUTES: u32 = 1440;
    let folder = Folder::new("bytes");
    let (server, broker) = (server(), Mosquitto::start());
    join(&server, &folder, "bytes");
    let config = fs::read_to_string(folder.config()).expect("read")
        + &format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n", broker.port);
    fs::write(folder.config(), config).expect("written");
    let mut tape = folder.tape(2 * 1440);
    let start = Clock::Wall.minute();
    let clock = BoxClock::new(folder.store().parent().expect("a folder"), start);
    let log = folder.store().with_file_name("log");
    let daemon = Daemon::start(&folder.config(), &log, &clock.environment());
    folder.wait_for_rows(tape.rows());
    wait_until_sent(&folder);
    let written = || -> u64 {
        let io = fs::read_to_string(format!("/proc/{}/io", daemon.pid())).expect("a process");
        let line = io
            .lines()
            .find_map(|line| line.strip_prefix("write_bytes:"));
        line.expect("bytes").trim().parse().expect("a number")
    };
    let before = written();
    for minute in 1..=i64::from(MINUTES) {
        // A pump trips every two hours.
        tape.write(1, |row| {
            if minute % 120 < 5 {
                row.power_kw[1] = 0.0;
            }
        });
        clock.set(start + minute);
        folder.wait_for_rows(tape.rows());
        wait_until_sent(&folder);
        until("the broker has everything", || {
            let waiting = "SELECT count(*) FROM mqtt_outbox WHERE acked_ts IS NULL";
            (folder.query(waiting) == "0").then_some(())
        });
    }
    let a_day = (written() - before) as f64 / f64::from(MINUTES) * 1440.0;
    println!(
        "bytes: {:.1} MB written to the disk a day, measured over {MINUTES} minutes up to {}",
        a_day / 1e6,
        calendar::text(start + i64::from(MINUTES))
    );
}

/// The store after 400 days without broker and office.
fn outage() {
    const DAYS: u32 = 400;
    let folder = Folder::new("outage");
    folder.configure(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\n[central]\nurl = \"postgres://case@127.0.0.1:1/plant\"\n",
    );
    folder.simulate(DAYS);
    let daemon = folder.run();
    let read = within(LONG, || folder.is_read().then_some(()));
    assert!(read.is_some(), "{}", daemon.log());
    let store = folder.store();
    let wal = store.with_file_name("out.db-wal");
    let size = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    println!(
        "outage: {DAYS} days of minutes, {} events and all tables wait in {:.0} MB (write-ahead log {:.0} MB)",
        folder.query("SELECT count(*) FROM mqtt_outbox"),
        size(&store) as f64 / 1e6,
        size(&wal) as f64 / 1e6
    );
}
