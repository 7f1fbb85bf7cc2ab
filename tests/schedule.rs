//! The advisory schedule, from exports to the panel: on the command line, in the daemon, and when there is none.

mod common;

use std::{collections::BTreeMap, fs, path::Path};

use common::{binary, mosquitto::Mosquitto, panel::Panel, station::Daemon, waiting::until};
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use pumphouse::{
    calendar::{Calendar, day_of},
    config::Config,
    schedule::{
        books::{accounts, in_force},
        savings::Saving,
        scene::Setting,
        worker::learn,
    },
    store::{
        Store, kpis, open_read_only,
        outbox::Face,
        predictions::newest_row,
        runs::{Run, Stretch},
    },
};
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
    let script = folder.path().join("faults.json");
    fs::write(script, faults.to_string()).expect("written");
    let options = ["--seed", "5", "--faults", "faults.json"];
    let files = binary::simulate_until_now(folder.path(), DAYS, &options);
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
    // 2 % of the tank's 1,200 m³ at least.
    let margin = whole["margin_m3"].as_f64().expect("a margin");
    assert!((23.0..200.0).contains(&margin), "{margin}");
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
    let asked = whole["what_ifs"].as_array().expect("what ifs");
    let more = |what: &str| {
        let answer = asked.iter().find(|it| it["what"] == what);
        answer.and_then(|it| it["cost_more"].as_f64()).expect(what)
    };
    // Wider limits never cost, narrower ones never save, but for what is not proven.
    assert!(more("low 10") < 0.5 && more("high 95") < 0.5, "{whole}");
    assert!(more("low 20") > -0.5 && more("high 85") > -0.5, "{whole}");
    let text = plan(folder.path(), &["--station"]).expect("a plan");
    assert!(
        text.contains("better is possible") && text.contains("m³/kWh"),
        "{text}"
    );
}

#[test]
fn savings_are_told_beside_the_control_that_the_history_shows() {
    let folder = past_station();
    let whole = report(folder.path(), &["--savings"]);
    let number = |value: &Value| value.as_f64().expect("a number");
    let learnt = &whole["control"]["learnt"];
    // The simulated PLC calls its first pump below 84 % and releases it above 92 %, the second at 71 and 77 %.
    for (stage, (start, stop)) in [(84.0, 92.0), (71.0, 77.0)].into_iter().enumerate() {
        let levels = &learnt["cheap"];
        assert!(
            (number(&levels["start_pct"][stage]) - start).abs() < 1.0,
            "{levels}"
        );
        assert!(
            (number(&levels["stop_pct"][stage]) - stop).abs() < 1.0,
            "{levels}"
        );
    }
    let replay = &learnt["replay"];
    let error = number(&replay["replayed_kwh"]) / number(&replay["metered_kwh"]) - 1.0;
    assert!(error.abs() < 0.03, "{replay}");
    let baseline = &whole["baseline"];
    let saved = 100.0 * (1.0 - number(&whole["cost"]) / number(&baseline["cost"]));
    assert!(
        (saved - number(&baseline["savings_pct"])).abs() < 0.1 && saved > 5.0,
        "{baseline}"
    );
    assert_eq!(whole["days"], serde_json::json!([]));
    let text = plan(folder.path(), &["--savings"]).expect("a plan");
    assert!(
        text.contains("advice saves") && text.contains("pump 1 starts below 8"),
        "{text}"
    );
}

#[test]
fn closed_days_are_accounted_for_and_again_when_their_rows_change() {
    let folder = past_station();
    let config = Config::load(&folder.path().join("pumphouse.toml")).expect("the config");
    let setting = Setting::of(&config);
    let mut store = Store::open(&config.store, None).expect("the store");
    let connection = open_read_only(&config.store).expect("the store");
    let mut calendar = Calendar::new(config.plant.zone.clone());
    let day = |date: &str| day_of(date).expect("a date");
    let begin = calendar.minutes_of(day("2025-03-06")).start;
    let newest = newest_row(&connection).expect("rows").expect("a row");
    let model = learn(&connection, &config.plant, newest)
        .expect("the store")
        .expect("a station");
    let in_force = in_force(&connection, &setting, &model, newest)
        .expect("the store")
        .expect("a control");
    assert!(
        in_force.is_new && in_force.month == "2025-03",
        "{in_force:?}"
    );
    store
        .save_baseline("2025-03", &in_force.baseline, newest, &mut calendar)
        .expect("kept");
    let promised = Saving {
        baseline_kwh: 1000.0,
        baseline_cost: 200.0,
        kwh: 950.0,
        cost: 150.0,
    };
    // Two hours of advice on the 6th, and none afterwards.
    let run = Run {
        made: begin - 1,
        status: "planned",
        planned_kwh: Some(promised.kwh),
        planned_cost: Some(promised.cost),
        saving: Some(Ok(promised)),
        schedule: vec![Stretch::new(begin, 0b100, BTreeMap::new())],
        ..Run::default()
    };
    store.save_run(&run, &mut calendar).expect("kept");
    store.commit().expect("committed");
    let due = || accounts(&connection, &setting, &model, newest).expect("the store");
    let closed = due();
    let days: Vec<_> = closed.iter().map(|(account, _)| account.day).collect();
    assert_eq!(
        days,
        [
            day("2025-03-05"),
            day("2025-03-06"),
            day("2025-03-07"),
            day("2025-03-08")
        ]
    );
    for (account, kwh) in &closed {
        println!("{account:?}");
        let realised = account.realised.expect("a whole day");
        assert_eq!(realised.kwh, *kwh);
        // Nobody followed: what is left is how far a day is off the control learnt.
        assert!(
            realised.cost_pct().abs() < 10.0 && realised.kwh_pct().abs() < 10.0,
            "{account:?}"
        );
        store.save_account(account, *kwh).expect("kept");
    }
    let advised = &closed[1].0;
    assert_eq!(advised.planned, Some(promised));
    assert!(
        advised
            .followed_pct
            .is_some_and(|pct| (0.0..100.0).contains(&pct)),
        "{advised:?}"
    );
    assert_eq!(
        (closed[2].0.planned, closed[2].0.followed_pct),
        (None, None)
    );
    store.commit().expect("committed");
    assert!(due().is_empty(), "each day is accounted for once");
    let face = Face {
        site: "demo".to_owned(),
        base: "pumphouse/v1/demo".to_owned(),
    };
    let kpis = kpis::state(&connection, &face, &mut calendar).expect("the store");
    let kpis: Value = serde_json::from_str(&kpis.expect("a day").1).expect("JSON");
    assert_eq!(kpis["savings"]["date"], "2025-03-08", "{kpis}");
    assert_eq!(kpis["savings"]["savings_kwh_target_pct"], 10.0, "{kpis}");
    let status = binary::run(folder.path(), &["status", "--config", "pumphouse.toml"]);
    let status = String::from_utf8(status.stdout).expect("text");
    let advice = "advice   of 2025-03-05 23:59:00; saves 25.0 % of the cost";
    assert!(status.contains(advice), "{status}");
    let changed = "UPDATE daily_summary SET total_kwh = total_kwh + 1 WHERE date = '2025-03-07'";
    drop(store);
    let writer = Connection::open(&config.store).expect("the store");
    assert_eq!(writer.execute(changed, []).expect("changed"), 1);
    assert_eq!(due().len(), 1, "what changed is accounted for again");
}

#[test]
fn the_speed_of_pumps_on_drives_is_advised_where_it_saves() {
    let folder = past_station();
    let without = report(folder.path(), &[]);
    assert!(without.get("speeds_save").is_none(), "{without}");
    let config = folder.path().join("pumphouse.toml");
    let text = fs::read_to_string(&config).expect("the config");
    let drives = "\n[schedule.variable_speed]\nshut_off_head_m = { P3 = 78.0, P6 = 80.5 }\nstatic_head_m = 44\n";
    fs::write(&config, text + drives).expect("written");
    let whole = report(folder.path(), &["--what-if", "P6 out"]);
    let saved = whole["speeds_save"].as_f64().expect("a saving");
    assert!(saved >= 0.0, "{whole}");
    let speeds: Vec<_> = slots(&whole)
        .iter()
        .filter_map(|slot| Some((slot, slot.get("speeds_pct")?.as_object()?)))
        .collect();
    assert!(!speeds.is_empty(), "{whole}");
    for (slot, speeds) in &speeds {
        for (pump, pct) in *speeds {
            assert!(
                runs(slot, pump) && ["P3", "P6"].contains(&&pump[..]),
                "{slot}"
            );
            assert!(
                (70..=100).contains(&pct.as_u64().expect("a share")),
                "{slot}"
            );
        }
    }
    let is_slower = |(_, speeds): &(&Value, &serde_json::Map<String, Value>)| {
        speeds.values().any(|pct| pct.as_u64() < Some(100))
    };
    assert!(saved < 0.005 || speeds.iter().any(is_slower), "{whole}");
    let text = plan(folder.path(), &[]).expect("a plan");
    assert!(text.contains("Variable speed saves"), "{text}");
    assert!(
        saved < 0.005 || text.contains(" % speed: energy costs"),
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
    let saves = told["baseline"]["savings_pct"].is_number();
    assert!(saves != told["no_savings_because"].is_string(), "{told}");
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
