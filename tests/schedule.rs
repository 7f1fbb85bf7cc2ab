//! The advisory schedule, from exports to the panel: on the command line, in the daemon, and when there is none.

mod common;

use std::{fs, path::Path};

use common::{binary, mosquitto::Mosquitto, panel::Panel, station::Daemon, waiting::until};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

/// Days of history.
const DAYS: &str = "9";

/// A simulated station with nine days of a spring read in.
fn past_station() -> TempDir {
    let folder = TempDir::with_prefix("pumphouse-schedule-").expect("a folder");
    let arguments = [
        "simulate",
        "--out",
        ".",
        "--days",
        DAYS,
        "--start",
        "2025-03-01",
        "--seed",
        "5",
    ];
    assert!(binary::run(folder.path(), &arguments).status.success());
    binary::ingest(folder.path(), &[folder.path().join("exports")]);
    folder
}

/// A simulated station with its history read in up to the present minute, and a fault script.
fn present_station(faults: &Value) -> TempDir {
    let folder = TempDir::with_prefix("pumphouse-schedule-").expect("a folder");
    let now = TimeZone::UTC.to_datetime(Timestamp::now());
    let start = now
        .checked_sub(8.days())
        .expect("a date")
        .date()
        .to_string();
    let script = folder.path().join("faults.json");
    fs::write(script, faults.to_string()).expect("written");
    let arguments = [
        "simulate",
        "--out",
        ".",
        "--days",
        DAYS,
        "--start",
        &start,
        "--seed",
        "5",
        "--faults",
        "faults.json",
    ];
    assert!(binary::run(folder.path(), &arguments).status.success());
    let mut files: Vec<_> = fs::read_dir(folder.path().join("exports"))
        .expect("the exports")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    let last = files.last().expect("a file");
    let now = now.strftime("%Y-%m-%d %H:%M").to_string();
    let text = fs::read_to_string(last).expect("text");
    let is_past =
        |line: &&str| !line.starts_with(|c: char| c.is_ascii_digit()) || line[..16] <= now[..];
    let past: String = text.split_inclusive('\n').filter(is_past).collect();
    fs::write(last, past).expect("written");
    binary::ingest(folder.path(), &files);
    folder
}

/// `pumphouse plan` with more arguments: what it says, or what it complains of.
fn plan(folder: &Path, more: &[&str]) -> Result<String, String> {
    let mut arguments = vec!["plan", "--config", "pumphouse.toml"];
    arguments.extend(more);
    let done = binary::run(folder, &arguments);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    if done.status.success() {
        Ok(text(done.stdout))
    } else {
        Err(text(done.stderr))
    }
}

fn report(folder: &Path, more: &[&str]) -> Value {
    let mut arguments = vec!["--json"];
    arguments.extend(more);
    let said = plan(folder, &arguments).unwrap_or_else(|complaint| panic!("{complaint}"));
    serde_json::from_str(&said).expect("JSON")
}

fn slots(plan: &Value) -> &[Value] {
    plan["slots"].as_array().expect("slots")
}

/// Whether a slot runs a pump.
fn runs(slot: &Value, pump: &str) -> bool {
    slot["pumps"]
        .as_array()
        .expect("pumps")
        .iter()
        .any(|it| it == pump)
}

#[test]
fn a_day_is_planned_within_its_limits_and_each_change_has_its_reason() {
    let folder = past_station();
    let whole = report(folder.path(), &[]);
    assert_eq!(whole["status"], "planned", "{whole}");
    assert!(
        whole["at_most_better_pct"].as_f64().expect("a gap") <= 0.1,
        "{whole}"
    );
    let bound = whole["bound_by_relaxation"]
        .as_f64()
        .expect("clarabel's bound");
    assert!(
        bound > 0.0 && bound <= whole["objective"].as_f64().expect("a cost") + 0.01,
        "{whole}"
    );
    let total: i64 = slots(&whole)
        .iter()
        .map(|slot| slot["length_min"].as_i64().expect("a length"))
        .sum();
    assert!((24 * 60..24 * 60 + 15).contains(&total), "{total} min");
    for slot in slots(&whole) {
        let level = slot["level_pct"].as_f64().expect("a level");
        assert!((15.0..=90.0).contains(&level), "{slot}");
        assert!(
            slot["pumps"].as_array().expect("pumps").len() <= 4,
            "{slot}"
        );
    }
    // More is pumped for each hour off peak than at the peak.
    let mean = |price: f64| {
        let at: Vec<_> = slots(&whole)
            .iter()
            .filter(|slot| slot["price_per_kwh"] == price)
            .collect();
        at.iter()
            .map(|slot| slot["energy_kwh"].as_f64().expect("energy"))
            .sum::<f64>()
            / at.len() as f64
    };
    assert!(mean(0.15) > mean(0.30), "{} / {}", mean(0.15), mean(0.30));
    let changes = whole["changes"].as_array().expect("changes");
    assert!(!changes.is_empty());
    for change in changes {
        let reason = change["reason"].as_str().expect("a reason");
        assert!(
            reason.starts_with("energy costs 0.") && reason.contains(" hour"),
            "{reason}"
        );
    }
    let text = plan(folder.path(), &["--station"]).expect("a plan");
    assert!(
        text.contains("better is possible") && text.contains("m³/kWh"),
        "{text}"
    );
}

#[test]
fn what_if_is_answered_and_a_question_that_makes_no_sense_is_refused() {
    let folder = past_station();
    let asked = |question: &str| report(folder.path(), &["--what-if", question])["asked"].clone();
    let cost = |answer: &Value| answer["cost_more"].as_f64().expect("a cost");
    let more = asked("demand +10");
    assert!(
        cost(&more) > 5.0 && more["energy_more_kwh"].as_f64().expect("energy") > 30.0,
        "{more}"
    );
    assert!(cost(&asked("high 95")) <= 0.0 && cost(&asked("low 20, high 80")) > 0.0);
    let dry = asked("P1 out, P2 out, P3 out, P4 out, P6 out");
    let broken = dry["broken"].as_array().expect("limits");
    assert!(
        broken.iter().any(|limit| limit
            .as_str()
            .is_some_and(|limit| limit.contains("the tank is empty"))),
        "{dry}"
    );
    let refused = plan(folder.path(), &["--what-if", "P9 out"]).expect_err("no such pump");
    assert!(
        refused.contains("cannot ask what if \"P9 out\"; ask like"),
        "{refused}"
    );
}

#[test]
fn a_pump_that_trips_is_not_planned_with_and_panels_are_told_why() {
    let mosquitto = Mosquitto::start();
    let tripped = TimeZone::UTC
        .to_datetime(Timestamp::now())
        .checked_sub(40.minutes())
        .expect("a time");
    let start = tripped.strftime("%Y-%m-%d %H:%M").to_string();
    let fault =
        serde_json::json!([{ "type": "pump_trip", "start": start, "minutes": 120, "pump": 6 }]);
    let folder = present_station(&fault);
    let config = folder.path().join("pumphouse.toml");
    let text = fs::read_to_string(&config).expect("the config");
    let mqtt = format!("\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n", mosquitto.port);
    fs::write(&config, text + &mqtt).expect("written");
    let panel = Panel::connect(mosquitto.port);
    let daemon = Daemon::start(&config, &folder.path().join("log"), &[]);
    let told = panel.wait_for("a plan", |message| {
        let is_plan = message.topic == "pumphouse/v1/demo/schedule";
        is_plan
            .then(|| message.json())
            .filter(|plan| plan["status"] != "refused")
    });
    assert_eq!(told["advisory"], true);
    let out = &told["out_of_service"][0];
    assert_eq!(out["pump"], "P6", "{out}");
    // Which of the two it is depends on whether the pump ran or was called when it tripped.
    let because = out["because"].as_str().expect("a reason");
    assert!(
        because.starts_with("B-01: ") || because.starts_with("A-02: "),
        "{out}"
    );
    assert!(slots(&told).iter().all(|slot| !runs(slot, "P6")));
    let back = told["what_ifs"]
        .as_array()
        .expect("what ifs")
        .iter()
        .find(|it| it["what"] == "P6 in")
        .expect("P6 back in service");
    assert!(
        back["cost_more"].as_f64().expect("a cost") <= 0.01,
        "{back}"
    );
    let store = folder.path().join("pumphouse.db");
    until("the plan is kept", || {
        let store = Connection::open_with_flags(&store, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .expect("the store");
        let sql = "SELECT count(*) FROM optimization_runs WHERE status <> 'refused' AND bound <= objective AND gap_pct < 0.5";
        let kept: i64 = store.query_row(sql, [], |row| row.get(0)).expect("a count");
        (kept > 0).then_some(())
    });
    drop(daemon);
}

#[test]
fn without_enough_history_there_is_no_advice_and_it_says_why() {
    let folder = TempDir::with_prefix("pumphouse-schedule-").expect("a folder");
    let arguments = [
        "simulate",
        "--out",
        ".",
        "--days",
        "1",
        "--start",
        "2025-03-01",
        "--seed",
        "5",
    ];
    assert!(binary::run(folder.path(), &arguments).status.success());
    let file = folder
        .path()
        .join("exports")
        .read_dir()
        .expect("the exports")
        .next()
        .expect("a file")
        .expect("a file")
        .path();
    let text = fs::read_to_string(&file).expect("text");
    let lines: String = text.split_inclusive('\n').take(27 * 300).collect();
    fs::write(&file, lines).expect("written");
    binary::ingest(folder.path(), &[file]);
    let refused = report(folder.path(), &[]);
    assert_eq!(refused["status"], "refused", "{refused}");
    assert!(
        refused["because"]
            .as_str()
            .expect("a reason")
            .contains("min of settled pumping"),
        "{refused}"
    );
    assert!(
        plan(folder.path(), &[])
            .expect("a report")
            .contains("No advice from 2025-03-01")
    );
}
