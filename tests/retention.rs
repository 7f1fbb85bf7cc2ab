//! Raw minutes that go to keep the disk's budget: what was made of them stays, here and at a real central office, and what comes
//! late or is derived once more comes out as if they were still there.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use common::{
    disk::Disk,
    expected::open,
    gateway::Gateway,
    mounting::not_tried,
    postgres::Postgres,
    station::Daemon,
    tables::{Tables, assert_same},
    tampering::make_of_another_version,
    tape::{self, File},
    waiting::{DEADLINE, until, within},
};
use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
};
use pumphouse::{
    calendar::DAY_MIN,
    config::Config,
    store::{
        Store,
        retention::{Budget, KEPT_MIN, Kept},
    },
};
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// A small disk, and what is still free on it when somebody else has filled it a bit too much.
const DISK_BYTES: u64 = 128 << 20;
const LEFT_BYTES: u64 = DISK_BYTES / 20 - (1 << 19);
const START: Date = date(2025, 1, 6);
/// Some days more than what always stays.
const DAYS: u32 = (KEPT_MIN / DAY_MIN) as u32 + 6;
const DATABASE: &str = "plant";
/// Less than any store takes.
const NOTHING: Budget = Budget {
    store_bytes: Some(1),
    disk_used_max_pct: 100.0,
};

/// A station's folder, with its config and its exports.
struct Place {
    folder: TempDir,
    config: Config,
}

impl Place {
    fn new(files: &[File], more: &str) -> Self {
        let folder = TempDir::with_prefix("pumphouse-retention-").expect("a folder");
        let text = format!("{}{more}", tape::config_text("Europe/Berlin"));
        fs::write(folder.path().join("pumphouse.toml"), text).expect("written");
        let config = Config::load(&folder.path().join("pumphouse.toml"));
        let config = config.unwrap_or_else(|faults| panic!("the config has faults: {faults}"));
        tape::write(&folder.path().join("exports"), files);
        Self { folder, config }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn gateway(&self) -> Gateway<'_> {
        Gateway::open(&self.config, tape::after(START, DAYS))
    }

    fn ingest(&self, files: &[File]) {
        let paths = tape::write(&self.path("given"), files);
        let mut gateway = self.gateway();
        gateway.ingest(&paths);
        gateway.stop();
    }

    /// Purges for as long as anything goes; how many minutes went, and why no more.
    fn purge(&self, has_office: bool) -> (u64, Kept) {
        let mut store = Store::open(&self.config.store, None).expect("the store opens");
        let (mut gone, mut longest) = (0, Duration::ZERO);
        loop {
            let began = Instant::now();
            let kept = store.keep_budget(&NOTHING, None, has_office);
            longest = longest.max(began.elapsed());
            match kept.expect("it is kept") {
                Kept::Purged(minutes) => gone += minutes,
                kept => {
                    println!("a day takes up to {longest:?}");
                    return (gone, kept);
                }
            }
        }
    }

    /// Waits for all minutes of the first days; the clocks go forward once on the way.
    fn wait_until_read(&self, days: u32) {
        let given = i64::from(days) * DAY_MIN - 60;
        until("all is read", || {
            let store = &self.config.store;
            let store =
                Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
            let rows = store.query_row("SELECT count(*) FROM readings_wide", [], |row| row.get(0));
            rows.is_ok_and(|rows: i64| rows == given).then_some(())
        });
    }

    fn number(&self, sql: &str) -> i64 {
        let number = open(&self.config.store).query_row(sql, [], |row| row.get(0));
        number.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The tables, without raw minutes from before `from_ts`.
    fn tables(&self, from_ts: i64) -> Tables {
        let mut tables = Tables::of(&self.config.store);
        let readings = tables.0.get_mut("readings_wide").expect("the minutes");
        readings
            .rows
            .retain(|ts, _| ts.parse::<i64>().expect("a time") >= from_ts);
        tables.0.remove("ingest_rejects");
        tables
    }

    fn bytes(&self) -> u64 {
        fs::metadata(&self.config.store).expect("the store").len()
    }
}

/// Takes the minutes between ten and eleven out of a day; the file without, and the minutes by themselves.
fn hour_apart((name, bytes): &File) -> (File, File) {
    let is_late = |line: &&[u8]| line.get(11..13) == Some(b"10");
    let lines = || bytes.split_inclusive(|&byte| byte == b'\n');
    let late: Vec<u8> = lines()
        .take(1)
        .chain(lines().filter(is_late))
        .flatten()
        .copied()
        .collect();
    let rest: Vec<u8> = lines()
        .filter(|line| !is_late(line))
        .flatten()
        .copied()
        .collect();
    ((name.clone(), rest), (format!("late-{name}"), late))
}

#[test]
fn what_was_made_of_minutes_that_went_stays_and_the_rest_is_derived_as_before() {
    let mut files = tape::faulty_tape(11, START, DAYS);
    let (early, kept) = (2, DAYS as usize - 3);
    let (without, gone_late) = hour_apart(&files[early]);
    files[early] = without;
    let (without, late) = hour_apart(&files[kept]);
    files[kept] = without;

    let whole = Place::new(&[], "");
    whole.ingest(&files);
    let purged = Place::new(&[], "");
    fs::copy(&whole.config.store, &purged.config.store).expect("copied");
    let rows = purged.number("SELECT count(*) FROM readings_wide");

    assert_eq!(purged.purge(true), (0, Kept::Unsent), "no office has them");
    let before = purged.bytes();
    let (gone, kept) = purged.purge(false);
    assert_eq!(kept, Kept::Newest);
    let days_gone = gone as i64 / DAY_MIN;
    assert!((5..=6).contains(&days_gone), "{gone} minutes went");
    assert_eq!(
        purged.number("SELECT count(*) FROM readings_wide"),
        rows - gone as i64
    );
    assert_eq!(purged.number("PRAGMA freelist_count"), 0);
    assert!(
        purged.bytes() < before - gone * 200,
        "{} of {before}",
        purged.bytes()
    );
    let from = purged.number("SELECT min(ts) FROM readings_wide");
    assert_same("after the purge", &purged.tables(from), &whole.tables(from));

    // One comes that is gone, one that is kept.
    whole.ingest(std::slice::from_ref(&late));
    purged.ingest(&[gone_late, late]);
    assert_eq!(purged.number("SELECT min(ts) FROM readings_wide"), from);
    assert_same(
        "after late minutes",
        &purged.tables(from),
        &whole.tables(from),
    );

    // Another version reads the store: all is derived once more, as far as that can be.
    for place in [&whole, &purged] {
        make_of_another_version(&place.config.store).expect("written");
        let gateway = place.gateway();
        gateway.commit();
        gateway.stop();
    }
    assert_same(
        "after another version",
        &purged.tables(from),
        &whole.tables(from),
    );
    assert!(purged.number("SELECT count(*) FROM checkpoints") > 100);
    assert_eq!(
        open(&purged.config.store).query_row("PRAGMA integrity_check", [], |row| row.get(0)),
        Ok("ok".to_owned())
    );
}

#[test]
fn the_central_office_keeps_what_goes_here() {
    let server = Postgres::start_for_bulk();
    server.create_database(DATABASE);
    let files = tape::tape(5, START, DAYS, pumphouse::simulate::FaultScript::default());
    let place = Place::new(
        &files,
        &format!(
            "[central]\nurl = \"postgres://tape@127.0.0.1:{}/{DATABASE}\"\npassword_file = \"password\"\n",
            server.port()
        ),
    );
    fs::write(place.path("password"), "secret of the tape\n").expect("written");
    server.admit(DATABASE, "tape", place.folder.path(), "password");
    let verb = |arguments: &[&str]| {
        let config = place.path("pumphouse.toml");
        let arguments = [arguments, &["--config", config.to_str().expect("plain")]].concat();
        let output = common::binary::run(place.folder.path(), &arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.success(),
            text + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let there = || server.sql(DATABASE, "SELECT count(*) FROM pumphouse.readings_wide");
    let (first, last) = (
        "2025-01-06",
        START.saturating_add(i64::from(DAYS - 1).days()).to_string(),
    );

    let log = place.path("daemon.log");
    let mut daemon = Daemon::start(&place.path("pumphouse.toml"), Path::new(&log), &[]);
    until("the newest minute is there", || {
        let sql = format!(
            "SELECT count(*) FROM pumphouse.readings_wide WHERE timestamp = '{last} 23:59:00'"
        );
        (server.sql(DATABASE, &sql) == "1").then_some(())
    });
    until("both ends are the same", || {
        verb(&["verify"]).0.then_some(())
    });
    let rows = there();
    daemon.terminate();

    assert_eq!(
        place.purge(true),
        (0, Kept::Unsent),
        "a backup of the office may be without them"
    );
    let change = |sql: &str| {
        let store = Connection::open(&place.config.store).expect("the store");
        store.execute(sql, []).expect("written");
    };
    let acknowledge = |days_later: i64| {
        let acked = place.number("SELECT acked FROM central_sync");
        let now_s = Timestamp::now().as_second() + days_later * 86_400;
        let mut store = Store::open(&place.config.store, None).expect("the store opens");
        store.begin().expect("begun");
        store.note_acked(acked, now_s).expect("noted");
        store.commit().expect("committed");
    };
    // However long it waited, the office has had it for 34 days only.
    change("UPDATE changes SET at_ts = at_ts - 100 * 86400");
    for days_later in [7, 14, 21, 28, 34] {
        acknowledge(days_later);
    }
    assert_eq!(place.purge(true), (0, Kept::Unsent));
    acknowledge(36);
    change(
        "INSERT INTO central_refused SELECT 'readings_wide', '{}', min(ts), '{}', 'a reason', 0 FROM readings_wide",
    );
    assert_eq!(
        place.purge(true),
        (0, Kept::Unsent),
        "a refused minute is here alone"
    );
    change("DELETE FROM central_refused");
    let (gone, kept) = place.purge(true);
    assert_eq!(kept, Kept::Newest);
    assert!(gone > 0);
    // A forecast that is too old to be kept here, with none and with newer ones.
    server.sql(
        DATABASE,
        "INSERT INTO pumphouse.predictions SELECT site_id, ts, timestamp, date, 'hlt_pct', ts, timestamp, 50, 40, 60, 'a model' \
         FROM pumphouse.readings_wide ORDER BY ts LIMIT 1",
    );
    let forecasts = || server.sql(DATABASE, "SELECT count(*) FROM pumphouse.predictions");
    assert_eq!(forecasts(), "1");
    let (is_same, told) = verb(&["verify"]);
    assert!(is_same, "{told}");
    Connection::open(&place.config.store)
        .expect("the store")
        .execute(
            "INSERT INTO predictions SELECT ts, timestamp, 'hlt_pct', ts, timestamp, 50, 40, 60, 'a model' \
             FROM readings_wide ORDER BY ts DESC LIMIT 1",
            [],
        )
        .expect("kept");
    let (is_same, told) = verb(&["verify"]);
    assert!(is_same, "{told}");
    let (is_fine, told) = verb(&["resync", "--from", first, "--to", "2025-01-20"]);
    assert!(is_fine, "{told}");
    assert_eq!(there(), rows);
    assert_eq!(forecasts(), "1");
    let (_, status) = verb(&["status"]);
    let expected = format!("{gone} raw minutes from before ");
    assert!(status.contains(&expected), "{status}");
}

#[test]
fn a_daemon_keeps_the_budget_that_a_reload_brings_and_goes_on_reading() {
    let files = tape::tape(5, START, DAYS, pumphouse::simulate::FaultScript::default());
    let (last, files) = files.split_last().expect("days");
    let place = Place::new(files, "");
    let (config, log) = (place.path("pumphouse.toml"), place.path("daemon.log"));
    let mut daemon = Daemon::start(&config, &log, &[]);
    place.wait_until_read(DAYS - 1);
    let oldest = "SELECT min(ts) FROM readings_wide";
    let (began, days) = (place.number(oldest), "SELECT count(*) FROM daily_summary");
    let judged = place.number(days);

    let text = fs::read_to_string(&config).expect("the config");
    let path = "path = \"out.db\"\n";
    fs::write(
        &config,
        text.replace(path, &format!("{path}budget_gb = 0.01\n")),
    )
    .expect("written");
    daemon.hang_up();
    daemon.wait_for_log("the oldest raw minutes are gone, to keep the disk's budget");
    until("a day has gone", || {
        (place.number(oldest) >= began + 86_400 / 2).then_some(())
    });
    assert_eq!(place.number(days), judged, "what was made of it stays");

    let before = "SELECT max(ts) FROM readings_wide";
    let newest = place.number(before);
    tape::write(&place.path("exports"), std::slice::from_ref(last));
    until("it goes on reading", || {
        (place.number(before) > newest).then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(
        open(&place.config.store).query_row("PRAGMA integrity_check", [], |row| row.get(0)),
        Ok("ok".to_owned())
    );
}

#[test]
fn a_disk_that_others_fill_gets_room_from_the_oldest_minutes_and_no_more_than_it_needs() {
    let (disk, is_mounted) = Disk::new(DISK_BYTES);
    if !is_mounted {
        return not_tried("a disk at 95 %", "no tmpfs can be mounted without root");
    }
    let days = DAYS + 6;
    let files = tape::tape(5, START, days, pumphouse::simulate::FaultScript::default());
    let mut place = Place::new(&files, "");
    let (config, log) = (place.path("pumphouse.toml"), place.path("daemon.log"));
    let store = disk.path().join("out.db");
    let text = fs::read_to_string(&config).expect("the config");
    let there = format!("path = {store:?}\nreserve_mb = 1\n");
    fs::write(&config, text.replace("path = \"out.db\"\n", &there)).expect("written");
    place.config = Config::load(&config).expect("a config");
    let mut daemon = Daemon::start(&config, &log, &[]);
    place.wait_until_read(days);
    assert_eq!(daemon.terminate(), Some(0));
    let backups = disk.path().join("backups");
    fs::create_dir(&backups).expect("made");
    let backup = |day: u32| backups.join(format!("pumphouse-202001{day}T000000Z.db"));
    for day in 10..14 {
        fs::write(backup(day), vec![1; 10_000]).expect("written");
    }
    let mut daemon = Daemon::start(&config, &log, &[]);
    let used_pct = || {
        let it = rustix::fs::statvfs(disk.path()).expect("the disk");
        let used = (it.f_blocks - it.f_bfree) as f64;
        100.0 * used / (used + it.f_bavail as f64)
    };
    assert!(used_pct() < 90.0);
    let gone = "the oldest raw minutes are gone, to keep the disk's budget";
    assert!(!daemon.log().contains(gone));

    // Once more when its start has made room: it brings the log of the last one into the store.
    until(gone, || {
        let is_gone = daemon.log().contains(gone);
        if !is_gone && used_pct() <= 95.0 {
            disk.fill_up_to(LEFT_BYTES);
        }
        is_gone.then_some(())
    });
    let is_kept = within(DEADLINE, || (used_pct() <= 95.0).then_some(()));
    assert!(is_kept.is_some(), "{} %: {}", used_pct(), daemon.log());
    let gone = place.number("SELECT purged_rows FROM retention");
    assert!(
        (DAY_MIN..=9 * DAY_MIN).contains(&gone),
        "{gone} minutes went, of the twelve days that may"
    );
    // Backups on that disk have gone before them, but for two.
    let log = daemon.log();
    let at = |word: &str| log.find(word).unwrap_or_else(|| panic!("{word}: {log}"));
    assert!(at("the oldest backup is gone") < at("the oldest raw minutes are gone"));
    assert_eq!(
        [10, 11, 12, 13].map(|day| backup(day).exists()),
        [false, false, true, true]
    );
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(
        open(&store).query_row("PRAGMA integrity_check", [], |row| row.get(0)),
        Ok("ok".to_owned())
    );
}
