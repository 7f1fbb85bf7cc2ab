//! Late rows: the tables are those of one batch, and only what a late row touches is written again.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use common::{
    expected::open,
    gateway::Gateway,
    tables::{Tables, assert_same},
    tape::{self, File},
};
use jiff::civil::{Date, date};
use pumphouse::{calendar::Minute, config::Config, simulate::FaultScript, store::troubles::Part};
use tempfile::TempDir;

const START: Date = date(2025, 3, 3);

/// A folder with the config of one store.
struct Place {
    folder: TempDir,
    config: Config,
}

impl Place {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let config = tape::config(folder.path(), "UTC");
        Self { folder, config }
    }

    fn ingest(&self, folder: &str, files: &[File], now: Minute) {
        let paths = tape::write(&self.folder.path().join(folder), files);
        let mut gateway = Gateway::open(&self.config, now);
        gateway.ingest(&paths);
        gateway.stop();
    }

    fn tables(&self) -> Tables {
        Tables::of(&self.config.store)
    }

    fn count(&self, sql: &str) -> i64 {
        let count = open(&self.config.store).query_row(sql, [], |row| row.get(0));
        count.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }
}

fn one_batch(files: &[File], now: Minute) -> Tables {
    let place = Place::new();
    place.ingest("exports", files, now);
    place.tables()
}

/// Takes the lines out of a tape that `is_late` names; both come back, the late ones as a file of their own.
fn apart(files: &[File], is_late: impl Fn(&str) -> bool) -> (Vec<File>, Vec<File>) {
    let mut late = Vec::new();
    let on_time = files.iter().map(|(name, bytes)| {
        let (mut kept, mut taken) = (Vec::new(), Vec::new());
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            let is_late = is_late(std::str::from_utf8(line).expect("tapes are UTF-8"));
            if is_late { &mut taken } else { &mut kept }.extend_from_slice(line);
        }
        if !taken.is_empty() {
            late.push((format!("late-{name}"), taken));
        }
        (name.clone(), kept)
    });
    (on_time.collect(), late)
}

/// The keys written since [`count_writes`], by table.
type Written = BTreeMap<String, BTreeSet<String>>;

/// Makes the store note each row that is written from now on.
fn count_writes(store: &Path) {
    let store = open(store);
    let sql: String = KEYS
        .iter()
        .flat_map(|(table, key)| {
            [("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")].map(|(event, row)| {
                let key: Vec<String> = key.iter().map(|column| format!("{row}.{column}")).collect();
                format!(
                    "CREATE TRIGGER note_{table}_{event} AFTER {event} ON {table} BEGIN \
                     INSERT INTO written VALUES ('{table}', concat_ws(' ', {})); END;\n",
                    key.join(", ")
                )
            })
        })
        .collect();
    store
        .execute_batch(&format!(
            "CREATE TABLE written (name TEXT, key TEXT);\n{sql}"
        ))
        .expect("triggers");
}

const KEYS: [(&str, &[&str]); 6] = [
    ("readings_wide", &["ts"]),
    ("alerts_log", &["id"]),
    ("pump_sessions", &["id"]),
    ("hourly_profile", &["date", "hour"]),
    ("daily_summary", &["date"]),
    ("pump_health", &["date", "pump"]),
];

fn written(store: &Path) -> Written {
    let store = open(store);
    let mut statement = store
        .prepare("SELECT name, key FROM written")
        .expect("a query");
    let rows = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .expect("rows");
    let mut written = Written::new();
    for row in rows {
        let (table, key): (String, String) = row.expect("a row");
        written.entry(table).or_default().insert(key);
    }
    written
}

/// The keys of the rows that differ between two states of a store.
fn changed(before: &Tables, after: &Tables, table: &str) -> BTreeSet<String> {
    let (before, after) = (&before.0[table].rows, &after.0[table].rows);
    let keys = before.keys().chain(after.keys());
    keys.filter(|key| before.get(*key) != after.get(*key))
        .cloned()
        .collect()
}

/// What a late delivery did.
struct Late {
    place: Place,
    before: Tables,
    after: Tables,
    written: Written,
}

/// Delivers the lines `is_late` names after all others, and holds the tables against one batch.
fn deliver_late(files: &[File], now: Minute, is_late: impl Fn(&str) -> bool) -> Late {
    let (on_time, late) = apart(files, is_late);
    assert!(!late.is_empty(), "the tape has late lines");
    let place = Place::new();
    place.ingest("exports", &on_time, now);
    let before = place.tables();
    count_writes(&place.config.store);
    place.ingest("late", &late, now);
    let (after, written) = (place.tables(), written(&place.config.store));
    assert_same("late", &after, &one_batch(files, now));
    Late {
        place,
        before,
        after,
        written,
    }
}

impl Late {
    fn written(&self, table: &str) -> BTreeSet<String> {
        self.written.get(table).cloned().unwrap_or_default()
    }

    fn changed(&self, table: &str) -> BTreeSet<String> {
        changed(&self.before, &self.after, table)
    }

    /// Rows and alerts that come out as they stood are left alone; figures are written for a few checkpoints at most.
    #[track_caller]
    fn assert_little_was_written(&self, dates_max: usize) {
        for table in ["readings_wide", "alerts_log"] {
            assert_eq!(
                self.written(table),
                self.changed(table),
                "{table} written and changed"
            );
        }
        for (table, rows_a_day) in [
            ("hourly_profile", 24),
            ("daily_summary", 1),
            ("pump_health", 6),
        ] {
            let written = self.written(table).len();
            assert!(
                written <= dates_max * rows_a_day,
                "{table}: {written} rows written for {} changed",
                self.changed(table).len()
            );
        }
    }
}

fn ts(time: &str) -> i64 {
    tape::minute_of(time.as_bytes()).expect("a time") * 60
}

#[test]
fn a_late_row_of_yesterday_touches_an_hour_of_a_month() {
    let days = 30;
    let files = tape::faulty_tape(11, START, days);
    let now = tape::after(START, days);
    let late = deliver_late(&files, now, |line| line.starts_with("2025-03-31 10:17"));
    assert!(late.after.count("readings_wide") > 40_000);
    let at = ts("2025-03-31 10:17");
    let touched = late.written("readings_wide");
    assert!(touched.contains(&at.to_string()) && touched.len() > 1);
    for key in &touched {
        let after_s = key.parse::<i64>().expect("a ts") - at;
        assert!(
            (0..3600).contains(&after_s),
            "a row {after_s} s after the late one was written"
        );
    }
    late.assert_little_was_written(2);
}

#[test]
fn a_late_day_in_the_middle_fills_its_hole() {
    let files = tape::faulty_tape(12, START, 5);
    let now = tape::after(START, 5);
    let late = deliver_late(&files, now, |line| line.starts_with("2025-03-05"));
    assert!(late.changed("readings_wide").len() > 1300);
    let withdrawn = |key: &String| {
        late.before.0["alerts_log"].rows.contains_key(key)
            && !late.after.0["alerts_log"].rows.contains_key(key)
    };
    assert!(
        late.changed("alerts_log").iter().any(withdrawn),
        "the long gap's F-02 is withdrawn"
    );
    late.assert_little_was_written(5);
}

/// A tape by hand: the first pump's command, its power, flow and level of each minute from 2025-03-03 10:00 on.
fn by_hand(minutes: impl IntoIterator<Item = (u8, f64, f64, f64)>) -> Vec<File> {
    let mut text = String::from("Timestamp,Marker,TagIndex,Value\n");
    for (minute, (on, kw, flow, level)) in minutes.into_iter().enumerate() {
        let at = format!("2025-03-03 {:02}:{:02}:00", 10 + minute / 60, minute % 60);
        for (tag, value) in [(1, flow), (2, level), (3, on.into()), (9, kw)] {
            text.push_str(&format!("{at},S,{tag},{value}\n"));
        }
        for tag in [4, 5, 6, 7, 8, 10, 11, 12, 13, 14] {
            text.push_str(&format!("{at},S,{tag},0\n"));
        }
    }
    vec![("2025-03-03.csv".into(), text.into_bytes())]
}

fn sessions(place: &Place) -> Vec<(String, Option<i64>)> {
    let store = open(&place.config.store);
    let sql = "SELECT substr(start_time, 12, 5), duration_min FROM pump_sessions ORDER BY id";
    let mut statement = store.prepare(sql).expect("a query");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
    rows.expect("rows").map(|row| row.expect("a row")).collect()
}

#[test]
fn a_late_off_row_splits_a_session() {
    let now = tape::after(START, 1);
    let files = by_hand((0..120).map(|minute| match minute {
        10..60 if minute != 30 => (1, 30.0, 100.0, 50.0),
        _ => (0, 0.0, 0.0, 50.0),
    }));
    let (on_time, _) = apart(&files, |line| line.starts_with("2025-03-03 10:30"));
    let place = Place::new();
    place.ingest("exports", &on_time, now);
    assert_eq!(sessions(&place), [("10:10".into(), Some(50))]);
    let late = deliver_late(&files, now, |line| line.starts_with("2025-03-03 10:30"));
    let split = [("10:10".into(), Some(20)), ("10:31".into(), Some(29))];
    assert_eq!(sessions(&late.place), split);
}

#[test]
fn a_late_on_command_merges_two_sessions() {
    let now = tape::after(START, 1);
    // At 10:30 a first record says off, a later one of the same minute says on; the later one is late.
    let mut files = by_hand((0..120).map(|minute| match minute {
        10..60 if minute != 30 => (1, 30.0, 100.0, 50.0),
        _ => (0, 0.0, 0.0, 50.0),
    }));
    let off = place_of(&files[0].1, "2025-03-03 10:31:00,S,1,");
    files[0].1.splice(off..off, *b"2025-03-03 10:30:40,S,3,1\n");
    let late = deliver_late(&files, now, |line| line.starts_with("2025-03-03 10:30:40"));
    assert_eq!(late.before.count("pump_sessions"), 2);
    assert_eq!(sessions(&late.place), [("10:10".into(), Some(50))]);
}

fn place_of(bytes: &[u8], text: &str) -> usize {
    let text = text.as_bytes();
    let place = bytes.windows(text.len()).position(|window| window == text);
    place.expect("the tape has the line")
}

#[test]
fn a_late_row_withdraws_an_alert_and_raises_another() {
    let now = tape::after(START, 1);
    // P1 on without power from 10:20 to 10:29. Without 10:20 … 10:22 the trip shows at 10:25, with them at 10:22.
    let files = by_hand((0..60).map(|minute| match minute {
        20..30 => (1, 0.0, 0.0, 50.0),
        _ => (0, 0.0, 0.0, 50.0),
    }));
    let late = deliver_late(&files, now, |line| {
        ["10:20", "10:21", "10:22"]
            .iter()
            .any(|at| line.starts_with(&format!("2025-03-03 {at}")))
    });
    let raised = |tables: &Tables| -> Vec<String> {
        let alerts = &tables.0["alerts_log"];
        let place = |name: &str| {
            alerts
                .columns
                .iter()
                .position(|column| column == name)
                .expect("a column")
        };
        let (at, rule) = (place("timestamp"), place("rule"));
        let trips = alerts.rows.values().filter(|row| row[rule] == "B-01");
        trips.map(|row| row[at].clone()).collect()
    };
    assert_eq!(raised(&late.before), ["2025-03-03 10:25:00"]);
    assert_eq!(raised(&late.after), ["2025-03-03 10:22:00"]);
    assert_eq!(late.place.count("SELECT count(*) FROM alerts_log WHERE rule = 'B-01' AND resolved_at = '2025-03-03 10:30:00' AND duration_min = 8"), 1);
}

#[test]
fn late_rows_that_fail_half_way_leave_nothing_behind_whatever_else_is_written() {
    let now = tape::after(START, 1);
    let files = by_hand((0..60).map(|minute| (1, 30.0, 100.0 + f64::from(minute), 50.0)));
    let (on_time, late) = apart(&files, |line| line.starts_with("2025-03-03 10:20"));
    let place = Place::new();
    place.ingest("exports", &on_time, now);
    let before = place.tables();
    let store = open(&place.config.store);
    // As on a full disk: the row itself goes in, what follows from it does not.
    let trouble = format!(
        "CREATE TRIGGER no_room BEFORE UPDATE ON readings_wide WHEN NEW.ts = {} BEGIN SELECT RAISE (FAIL, 'no room'); END",
        ts("2025-03-03 10:21")
    );
    store.execute_batch(&trouble).expect("a trigger");

    let paths = tape::write(&place.folder.path().join("late"), &late);
    let mut gateway = Gateway::open(&place.config, now);
    let refused = gateway.feed(&paths).expect_err("no room");
    assert!(format!("{refused:#}").contains("no room"), "{refused:#}");
    // Another task notes something meanwhile, and commits.
    let noting = gateway
        .writer()
        .handle()
        .transact(|store| store.note_trouble(Part::Central, "away", 1));
    noting.expect("noted");
    gateway.stop();
    assert_same("half way", &place.tables(), &before);

    store
        .execute_batch("DROP TRIGGER no_room")
        .expect("dropped");
    place.ingest("late", &late, now);
    assert_same("again", &place.tables(), &one_batch(&files, now));
}

#[test]
fn late_rows_just_before_a_checkpoint_are_in_what_a_restart_goes_on_from() {
    let now = tape::after(START, 1);
    let files = by_hand((0..140).map(|minute| (1, 30.0, 100.0 + f64::from(minute), 50.0)));
    // The wall clock passes to the last minute before a checkpoint without the newest rows; they come, and a restart.
    let (rest, first) = apart(&files, |line| !line.starts_with("2025-03-03 12:"));
    let (first, late) = apart(&first, |line| {
        ["11:57", "11:58", "11:59"]
            .iter()
            .any(|at| line.starts_with(&format!("2025-03-03 {at}")))
    });
    let place = Place::new();
    let mut gateway = Gateway::open(&place.config, now);
    let written = |folder: &str, files| tape::write(&place.folder.path().join(folder), files);
    gateway.ingest(&written("first", &first));
    gateway.tick(ts("2025-03-03 11:59") / 60);
    gateway.ingest(&written("late", &late));
    let mut gateway = gateway.restart();
    gateway.ingest(&written("rest", &rest));
    gateway.stop();
    assert_same("restarted", &place.tables(), &one_batch(&files, now));
}

#[test]
fn a_late_row_takes_back_what_was_suppressed() {
    let now = tape::after(START, 1);
    // P1 stops at 10:20 with a full tank. A first record shows the level falling, which would be an outage but for the
    // mask; a later one of the same minute, which is late, shows it steady.
    let mut files = by_hand((0..60).map(|minute| match minute {
        0..20 => (1, 30.0, 100.0, 90.0),
        20 => (0, 0.0, 0.0, 89.0),
        _ => (0, 0.0, 0.0, 90.0),
    }));
    let steady = place_of(&files[0].1, "2025-03-03 10:21:00,S,1,");
    files[0]
        .1
        .splice(steady..steady, *b"2025-03-03 10:20:30,S,2,90\n");
    let (on_time, _) = apart(&files, |line| line.starts_with("2025-03-03 10:20:30"));
    assert_eq!(one_batch(&on_time, now).count("alerts_suppressed"), 1);
    assert_eq!(one_batch(&files, now).count("alerts_suppressed"), 0);
    deliver_late(&files, now, |line| line.starts_with("2025-03-03 10:20:30"));
}

#[test]
fn a_late_level_above_all_others_moves_100_percent_for_every_later_row() {
    let days = 3;
    // The config's historical maximum is 90 % of the physical one: the tank goes above it only in the late row.
    let files = tape::tape(13, START, days, FaultScript::default());
    let top = tape::config(Path::new(""), "UTC").plant.level_physical_max * 1.04;
    let files: Vec<File> = files
        .into_iter()
        .map(|(name, bytes)| {
            let text = String::from_utf8(bytes).expect("UTF-8");
            let lines = text.lines().map(|line| match line.split_once(",S,2,") {
                Some(("2025-03-03 12:00:00", _)) => format!("2025-03-03 12:00:00,S,2,{top}\n"),
                _ => format!("{line}\n"),
            });
            (name, lines.collect::<String>().into_bytes())
        })
        .collect();
    let now = tape::after(START, days);
    let late = deliver_late(&files, now, |line| {
        line.starts_with("2025-03-03 12:00:00,S,2,")
    });
    let at = ts("2025-03-03 12:00");
    let later = late.place.count(&format!(
        "SELECT count(*) FROM readings_wide WHERE ts >= {at} AND hlt_pct IS NOT NULL"
    ));
    assert!(later > 3000);
    assert_eq!(
        late.changed("readings_wide").len() as i64,
        later,
        "every later row has another hlt_pct"
    );
    let wrong = format!(
        "SELECT count(*) FROM readings_wide WHERE ts >= {at} AND abs(hlt_pct - 100.0 * hlt101_output / {top}) > 1e-9"
    );
    assert_eq!(late.place.count(&wrong), 0);
    late.assert_little_was_written(3);
}

#[test]
fn a_tape_delivered_backwards_hour_by_hour_gives_the_same_tables() {
    let files = tape::faulty_tape(14, START, 2);
    let now = tape::after(START, 2);
    let place = Place::new();
    let exports: PathBuf = place.folder.path().join("hours");
    fs::create_dir(&exports).expect("a folder");
    let mut gateway = Gateway::open(&place.config, now);
    for (name, bytes) in files.iter().rev() {
        let date = &name[..10];
        for hour in (0..24).rev() {
            let of_hour = format!("{date} {hour:02}:");
            let lines = bytes.split_inclusive(|&byte| byte == b'\n');
            let hour_bytes: Vec<u8> = lines
                .filter(|line| line.starts_with(of_hour.as_bytes()))
                .flatten()
                .copied()
                .collect();
            let path = exports.join(format!("{date}-{hour:02}.csv"));
            fs::write(&path, hour_bytes).expect("a file");
            gateway.ingest(&[path]);
        }
    }
    gateway.stop();
    let expected = one_batch(&files, now).with_rejects_by_text();
    assert_same(
        "backwards",
        &place.tables().with_rejects_by_text(),
        &expected,
    );
}
