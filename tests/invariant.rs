//! The tables are a pure function of the set of records: any order of files, any split into chunks, any number of
//! re-reads, late rows included, and any restart in between end in the same tables, row for row.

mod common;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use common::{
    expected::open,
    formats::{self, Record},
    gateway::Gateway,
    tables::{Tables, assert_same},
    tampering::{split, tamper},
    tape::{self, File},
};
use jiff::civil::{Date, date};
use proptest::prelude::*;
use pumphouse::{
    calendar::Minute, config::Config, historian::minutes::MinuteRecords, simulate::FaultScript,
    tags::TAGS,
};
use rand::{
    Rng, SeedableRng,
    seq::{IndexedRandom, SliceRandom},
};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

const START: Date = date(2025, 3, 3);

/// A folder with the config of one store.
struct Place {
    folder: TempDir,
    config: Config,
}

impl Place {
    fn new(zone: &str) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::create_dir(folder.path().join("exports")).expect("a folder");
        let config = tape::config(folder.path(), zone);
        Self { folder, config }
    }

    fn exports(&self) -> PathBuf {
        self.folder.path().join("exports")
    }

    fn tables(&self) -> Tables {
        Tables::of(&self.config.store)
    }
}

/// The tables that one batch of all files gives.
fn one_batch(zone: &str, files: &[File], now: Minute) -> Tables {
    let place = Place::new(zone);
    let paths = tape::write(&place.exports(), files);
    let mut gateway = Gateway::open(&place.config, now);
    gateway.ingest(&paths);
    gateway.stop();
    place.tables()
}

/// A tape with random faults and random tampering.
fn tampered_tape(seed: u64, start: Date, days: u32) -> (Vec<File>, ChaCha8Rng) {
    let mut files = tape::faulty_tape(seed, start, days);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for (_, bytes) in &mut files {
        let count = rng.random_range(0..80);
        tamper(bytes, count, &mut rng);
    }
    (files, rng)
}

fn append(path: &Path, bytes: &[u8]) {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(bytes))
        .expect("the file grows");
}

/// Where a growing file is looked at: at line ends and within lines, some minutes one by one.
fn looks(bytes: &[u8], rng: &mut ChaCha8Rng) -> Vec<usize> {
    let mut cuts = Vec::new();
    let slowly_from = rng.random_range(0..bytes.len());
    let mut at = 0;
    let mut minute = None;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let new_minute = tape::minute_of(line);
        if (slowly_from..slowly_from + 60_000).contains(&at) && new_minute != minute {
            cuts.push(at);
        }
        (at, minute) = (at + line.len(), new_minute);
    }
    cuts.extend((0..25).map(|_| rng.random_range(0..bytes.len())));
    cuts.sort_unstable();
    cuts.dedup();
    cuts.push(bytes.len());
    cuts
}

/// The newest minute to which the wall clock may pass once the lines before `from` were read: everything that is still
/// to come is later.
fn ticks_until(bytes: &[u8], from: usize) -> Option<Minute> {
    let rest = bytes[from..].split(|&byte| byte == b'\n');
    let first_to_come = rest.filter_map(tape::minute_of).min()?;
    Some(first_to_come - 1)
}

/// What may happen between two looks.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Between {
    Nothing,
    Restarts,
    Ticks,
}

/// The tables of files that grow under the watch.
fn watched(
    zone: &str,
    files: &[File],
    now: Minute,
    between: Between,
    rng: &mut ChaCha8Rng,
) -> Tables {
    let place = Place::new(zone);
    let mut gateway = Gateway::open(&place.config, now);
    for (name, bytes) in files {
        let path = place.exports().join(name);
        let mut from = 0;
        for cut in looks(bytes, rng) {
            append(&path, &bytes[from..cut]);
            from = cut;
            if between == Between::Restarts && rng.random_ratio(1, 8) {
                // A crash between the reading and the commit: what was read is taken back.
                gateway.read();
                gateway = gateway.restart();
            }
            gateway.look();
            if between == Between::Restarts && rng.random_ratio(1, 8) {
                gateway = gateway.restart();
            }
            if between == Between::Ticks
                && let Some(until) = ticks_until(
                    bytes,
                    bytes[..cut]
                        .iter()
                        .rposition(|&b| b == b'\n')
                        .map_or(0, |end| end + 1),
                )
            {
                gateway.tick(until - rng.random_range(0..3));
                gateway.commit();
            }
        }
    }
    gateway.stop();
    place.tables()
}

/// The tables of files cut in several and fed in any order, some of them twice.
fn shuffled(files: &[File], now: Minute, rng: &mut ChaCha8Rng) -> Tables {
    let place = Place::new("UTC");
    let mut parts = Vec::new();
    for (name, bytes) in files {
        let header = bytes.split_inclusive(|&byte| byte == b'\n').next();
        for (number, mut part) in split(bytes, rng.random_range(2..6), rng)
            .into_iter()
            .enumerate()
        {
            if number > 0 && rng.random() {
                part.splice(0..0, header.unwrap_or_default().iter().copied());
            }
            parts.push((format!("{number}-{name}"), part));
        }
    }
    let mut paths = tape::write(&place.exports(), &parts);
    paths.shuffle(rng);
    let again: Vec<_> = paths
        .iter()
        .filter(|_| rng.random_ratio(1, 3))
        .cloned()
        .collect();
    let mut gateway = Gateway::open(&place.config, now);
    let (first, rest) = paths.split_at(paths.len() / 2);
    gateway.ingest(first);
    if rng.random() {
        gateway = gateway.restart();
    }
    gateway.ingest(rest);
    gateway.ingest(&again);
    gateway.stop();
    place.tables().with_rejects_by_text()
}

/// A tape that every format can hold: without faults but gaps, and without the marker B.
fn plain_tape(seed: u64, days: u32, rng: &mut ChaCha8Rng) -> Vec<File> {
    let mut files = tape::tape(seed, START, days, FaultScript::default());
    for (_, bytes) in &mut files {
        let text = String::from_utf8(std::mem::take(bytes)).expect("a text");
        let from = rng.random_range(1..1300) * TAGS;
        let gap = from..from + rng.random_range(1..60) * TAGS;
        let lines = text.replace(",B,", ",S,");
        let lines = lines.split_inclusive('\n').enumerate();
        let kept = lines.filter(|(line, _)| !gap.contains(&(line.saturating_sub(1))));
        *bytes = kept.flat_map(|(_, line)| line.bytes()).collect();
    }
    files
}

/// A day's records, cut between minutes.
fn in_parts<'r, 'a>(all: &'r [Record<'a>], rng: &mut ChaCha8Rng) -> Vec<&'r [Record<'a>]> {
    let mut cuts: Vec<usize> = (0..4)
        .map(|_| rng.random_range(1..all.len() / TAGS) * TAGS)
        .chain([0, all.len()])
        .collect();
    cuts.sort_unstable();
    cuts.dedup();
    cuts.windows(2).map(|cut| &all[cut[0]..cut[1]]).collect()
}

/// A minute as the PLC might have shown it, which the historian's values replace.
fn polled(minute: Minute, rng: &mut ChaCha8Rng) -> MinuteRecords {
    MinuteRecords {
        values: std::array::from_fn(|_| rng.random_range(0.0..100.0)),
        micros: [rng.random_range(0..60_000_000); TAGS],
        polled: (1 << TAGS) - 1,
        ..MinuteRecords::empty(minute)
    }
}

/// Few cases: each derives days several times over; `PROPTEST_CASES` asks for more. A failure names the seed and the
/// days, which are all there is to it.
fn few(cases: u32) -> ProptestConfig {
    let asked = std::env::var("PROPTEST_CASES").ok();
    ProptestConfig {
        cases: asked.map_or(cases, |asked| asked.parse().expect("a number of cases")),
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(few(8))]

    #[test]
    fn files_that_grow_give_the_tables_of_one_batch(seed: u64, days in 1u32..=2) {
        let (files, mut rng) = tampered_tape(seed, START, days);
        let now = tape::after(START, days);
        let expected = one_batch("UTC", &files, now);
        let got = watched("UTC", &files, now, Between::Nothing, &mut rng);
        assert_same("grown", &got, &expected);
    }

    #[test]
    fn what_the_wall_clock_told_stays_on_record_and_changes_nothing_else(seed: u64) {
        let files = tape::tape(seed, START, 1, FaultScript::default());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let now = tape::after(START, 1);
        let expected = one_batch("UTC", &files, now);

        let place = Place::new("UTC");
        let path = place.exports().join(&files[0].0);
        let mut gateway = Gateway::open(&place.config, now);
        let lines: Vec<&[u8]> = files[0].1.split_inclusive(|&byte| byte == b'\n').collect();
        let read = 27 * rng.random_range(200..1000) + 1;
        append(&path, &lines[..read].concat());
        gateway.look();
        let last = tape::minute_of(lines[read - 1]).expect("a line with its time");
        for minute in last..last + 40 {
            gateway.tick(minute);
        }
        gateway.commit();
        if rng.random() {
            gateway = gateway.restart();
        }
        append(&path, &lines[read..].concat());
        gateway.look();
        gateway = gateway.restart();
        gateway.ingest(&[path]);
        gateway.stop();

        let got = place.tables();
        let alerts = open(&place.config.store);
        let told: Vec<(i64, String)> = alerts
            .prepare("SELECT ts / 60, rule FROM alerts_log WHERE told = 1 ORDER BY id")
            .and_then(|mut told| told.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .expect("what was told");
        prop_assert_eq!(told, [(last + 6, "F-01".to_owned()), (last + 31, "F-02".to_owned())]);
        for (table, expected) in &expected.0 {
            let counts_alerts = ["hourly_profile", "daily_summary"].contains(table);
            let mut got = got.0[table].clone();
            if *table == "alerts_log" {
                got.rows.retain(|_, row| row.last().is_some_and(|told| told == "0"));
            }
            prop_assert!(counts_alerts || got == *expected, "{} differs", table);
        }
    }

    #[test]
    fn files_in_pieces_and_in_any_order_give_the_same_tables(seed: u64, days in 1u32..=3) {
        let (files, mut rng) = tampered_tape(seed, START, days);
        let now = tape::after(START, days);
        let expected = one_batch("UTC", &files, now).with_rejects_by_text();
        assert_same("shuffled", &shuffled(&files, now, &mut rng), &expected);
    }

    #[test]
    fn reading_everything_again_changes_nothing(seed: u64, days in 1u32..=2) {
        let (files, _) = tampered_tape(seed, START, days);
        let now = tape::after(START, days);
        let place = Place::new("UTC");
        let mut paths = tape::write(&place.exports(), &files);
        let mut gateway = Gateway::open(&place.config, now);
        gateway.ingest(&paths);
        let expected = place.tables();
        gateway.ingest(&paths);
        paths.reverse();
        let mut gateway = gateway.restart();
        gateway.ingest(&paths);
        gateway.look();
        gateway.stop();
        assert_same("again", &place.tables(), &expected);
    }

    #[test]
    fn the_figures_of_all_tables_agree(seed: u64, days in 1u32..=3) {
        let (files, _) = tampered_tape(seed, START, days);
        let place = Place::new("UTC");
        let paths = tape::write(&place.exports(), &files);
        let mut gateway = Gateway::open(&place.config, tape::after(START, days));
        gateway.ingest(&paths);
        gateway.stop();
        assert_figures_agree(&place.config.store);
    }
}

proptest! {
    #![proptest_config(few(6))]

    #[test]
    fn formats_and_polls_mix(seed: u64, days in 1u32..=2) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let now = tape::after(START, days);
        let long = plain_tape(seed, days, &mut rng);
        // Not every format has a marker.
        let expected = one_batch("UTC", &long, now).without("readings_wide", "marker");

        let place = Place::new("UTC");
        let mut paths = Vec::new();
        for (day, (_, bytes)) in long.iter().enumerate() {
            let text = std::str::from_utf8(bytes).expect("a text");
            let all = formats::records(text);
            for (part, records) in in_parts(&all, &mut rng).into_iter().enumerate() {
                // Some records are exported a second time, by another tool.
                for copy in 0..rng.random_range(1..=2) {
                    let format = formats::FORMATS.choose(&mut rng).expect("a format");
                    let stem = format!("day {day} part {part} {copy}");
                    let files = format.files(&stem, records);
                    paths.push(tape::write(&place.exports(), &files).remove(0));
                }
            }
        }
        paths.shuffle(&mut rng);
        let mut minutes: Vec<Minute> = expected.0["readings_wide"].rows.keys()
            .map(|ts_s| ts_s.parse::<i64>().expect("a time") / 60)
            .collect();
        minutes.shuffle(&mut rng);
        let mut gateway = Gateway::open(&place.config, now);
        for path in &paths {
            for minute in minutes.drain(..minutes.len().min(20)) {
                gateway.poll(polled(minute, &mut rng));
            }
            gateway.ingest(std::slice::from_ref(path));
            if rng.random_ratio(1, 4) {
                gateway = gateway.restart();
            }
        }
        gateway.stop();
        let got = place.tables().without("readings_wide", "marker");
        assert_same("mixed", &got, &expected);
    }
}

// These take the longest: hundreds of looks, restarts or ticks each.
proptest! {
    #![proptest_config(few(4))]

    #[test]
    fn restarts_and_crashes_change_nothing(seed: u64, days in 1u32..=2) {
        let (files, mut rng) = tampered_tape(seed, START, days);
        let now = tape::after(START, days);
        let expected = one_batch("UTC", &files, now);
        let got = watched("UTC", &files, now, Between::Restarts, &mut rng);
        assert_same("restarted", &got, &expected);
    }

    #[test]
    fn the_wall_clock_behind_the_rows_changes_nothing_but_what_was_told(seed: u64) {
        let (files, mut rng) = tampered_tape(seed, START, 1);
        let now = tape::after(START, 1);
        let expected = one_batch("UTC", &files, now).without("alerts_log", "told");
        let got = watched("UTC", &files, now, Between::Ticks, &mut rng);
        assert_same("ticked", &got.without("alerts_log", "told"), &expected);
    }

    #[test]
    fn the_repeated_hour_and_the_skipped_one_survive_growth_and_restarts(seed: u64, autumn: bool) {
        let start = if autumn { date(2025, 10, 26) } else { date(2025, 3, 30) };
        let (files, mut rng) = tampered_tape(seed, start, 1);
        let now = tape::after(start, 1);
        let expected = one_batch("Europe/Berlin", &files, now);
        let got = watched("Europe/Berlin", &files, now, Between::Restarts, &mut rng);
        assert_same("summer time", &got, &expected);
    }
}

/// Sums of the same thing in different tables.
fn assert_figures_agree(store: &Path) {
    let store = open(store);
    let number = |sql: &str| -> f64 {
        let value = store.query_row(sql, [], |row| row.get::<_, Option<f64>>(0));
        value
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
            .unwrap_or(0.0)
    };
    let assert_close = |what: &str, a: f64, b: f64| {
        assert!(
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
            "{what}: {a} and {b}"
        );
    };
    for pump in 1..=6 {
        let on = number(&format!("SELECT sum(p{pump}_onoff = 1) FROM readings_wide"));
        for (what, sql) in [
            (
                "hours",
                format!("SELECT sum(p{pump}_on_minutes) FROM hourly_profile"),
            ),
            (
                "days",
                format!("SELECT sum(p{pump}_hours_on) * 60 FROM daily_summary"),
            ),
            (
                "health",
                format!("SELECT sum(total_runtime_min) FROM pump_health WHERE pump = 'P{pump}'"),
            ),
            (
                "sessions",
                format!(
                    "SELECT sum((SELECT count(*) FROM readings_wide r WHERE p{pump}_onoff = 1 AND r.ts >= s.start_ts \
                     AND (s.duration_min IS NULL OR r.ts < s.start_ts + 60 * s.duration_min))) \
                     FROM pump_sessions s WHERE s.pump = 'P{pump}'"
                ),
            ),
        ] {
            assert_close(&format!("P{pump} ON rows by {what}"), number(&sql), on);
        }
        let starts = number(&format!(
            "SELECT count(*) FROM pump_sessions WHERE pump = 'P{pump}'"
        ));
        assert_close(
            "starts",
            number(&format!("SELECT sum(p{pump}_starts) FROM daily_summary")),
            starts,
        );
        assert_close(
            "kWh by sessions",
            number(&format!(
                "SELECT sum(kwh_consumed) FROM pump_sessions WHERE pump = 'P{pump}'"
            )),
            number(&format!(
                "SELECT sum(p{pump}_kwh) / 60 FROM readings_wide WHERE p{pump}_onoff = 1"
            )),
        );
    }
    let kwh = number("SELECT sum(total_kw) / 60 FROM readings_wide");
    assert_close(
        "kWh by hours",
        number("SELECT sum(total_kwh) FROM hourly_profile"),
        kwh,
    );
    assert_close(
        "kWh by days",
        number("SELECT sum(total_kwh) FROM daily_summary"),
        kwh,
    );
    // An hour or a day without a row has no figures, although a gap may be noticed in it.
    for (what, sql) in [
        (
            "hours that miscount their alerts",
            "SELECT count(*) FROM hourly_profile h WHERE alert_count != \
             (SELECT count(*) FROM alerts_log a WHERE a.date = h.date AND a.hour = h.hour)",
        ),
        (
            "days that miscount their alerts",
            "SELECT count(*) FROM daily_summary d WHERE total_alerts != \
             (SELECT count(*) FROM alerts_log a WHERE a.date = d.date) OR critical_alerts != \
             (SELECT count(*) FROM alerts_log a WHERE a.date = d.date AND severity = 'CRITICAL')",
        ),
    ] {
        assert_close(what, number(sql), 0.0);
    }
    let wrong = number(
        "SELECT count(*) FROM alerts_log WHERE duration_min < 0 OR resolved_at < timestamp \
         OR resolved != (resolved_at IS NOT NULL) OR resolved != (duration_min IS NOT NULL)",
    );
    assert_close("alerts that end before they begin", wrong, 0.0);
}

/// A day was derived again up to midnight only, while a pump ran on: its longest run stood as it was at midnight.
#[test]
fn a_day_that_is_derived_again_has_the_health_of_pumps_that_ran_on() {
    let (files, mut rng) = tampered_tape(3_399_232_069_662_547_283, START, 3);
    let now = tape::after(START, 3);
    let expected = one_batch("UTC", &files, now).with_rejects_by_text();
    assert_same("shuffled", &shuffled(&files, now, &mut rng), &expected);
}
