//! The weekly pipeline on a station at work: what the trainer puts to use is what the running daemon forecasts with, what is
//! worse is not put to use, a person can go back, and a spoilt file changes nothing.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{
    binary, mosquitto::Mosquitto, panel::Panel, shipped::copy_models, station::Daemon, trainer,
    waiting::until,
};
use jiff::{Timestamp, tz::TimeZone};
use pumphouse::forecast::{
    manifest::Place,
    models::{Decisions, Verdict, load},
};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

/// A simulated station whose minutes end now; those of the last two days are not read yet.
struct Station {
    folder: TempDir,
    later: Vec<PathBuf>,
}

impl Station {
    fn new() -> Self {
        let folder = TempDir::with_prefix("pumphouse-models-").expect("a folder");
        let mut files = binary::simulate_until_now(folder.path(), "32", &["--seed", "11"]);
        let later = files.split_off(files.len() - 2);
        binary::ingest(folder.path(), &files);
        Self { folder, later }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("pumphouse.toml")
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn retrain(&self, more: &[&str]) -> String {
        let done = trainer::run(
            trainer::module("pumphouse_trainer")
                .args(["retrain", "--config"])
                .arg(self.config())
                .args(more),
        );
        String::from_utf8(done.stdout).expect("text")
    }

    fn in_use(&self, place: &str) -> String {
        let decisions = Decisions::read(&self.models()).expect("decisions");
        decisions.uses(place)[0].model.clone()
    }

    fn verb(&self, arguments: &[&str]) -> String {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--config", "pumphouse.toml"]);
        let done = binary::run(self.folder.path(), &arguments);
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{arguments:?}: {said}");
        String::from_utf8(done.stdout).expect("text")
    }

    fn query(&self, sql: &str) -> Vec<String> {
        let store = self.folder.path().join("pumphouse.db");
        let store = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .expect("the store");
        let mut statement = store.prepare(sql).expect(sql);
        let rows = statement.query_map([], |row| row.get(0)).expect(sql);
        rows.collect::<rusqlite::Result<_>>().expect(sql)
    }
}

/// What a panel sees forecast for a place by a model, from its newest message on.
fn forecast_by(panel: &Panel, place: Place, model: &str) -> Value {
    let topic = format!("pumphouse/v1/demo/forecast/{}", place.target.name());
    panel.wait_for_all(&format!("a forecast by {model}"), |seen| {
        let newest = seen.iter().rev().find(|message| message.topic == topic)?;
        let payload = newest.json();
        let forecast = &payload["horizons"][place.horizon.name()];
        (forecast["model"] == model).then(|| forecast.clone())
    })
}

#[test]
fn a_better_model_is_put_to_use_a_worse_one_is_not_and_a_person_can_go_back() {
    let mosquitto = Mosquitto::start();
    let station = Station::new();
    let mut config = fs::read_to_string(station.config()).expect("the config");
    config = config.replace("[historian]", "[historian]\nscan_interval_s = 0.1");
    config.push_str(&format!(
        "\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        mosquitto.port
    ));
    fs::write(station.config(), config).expect("written");

    // The first week: without a model the day before is the forecast; then the trainer's are put to use.
    let held_back: Vec<_> = station
        .later
        .iter()
        .map(|file| (file, fs::read(file).expect("read")))
        .collect();
    for (file, _) in &held_back {
        fs::remove_file(file).expect("removed");
    }
    let panel = Panel::connect(mosquitto.port);
    let daemon = Daemon::start(&station.config(), &station.folder.path().join("log"), &[]);
    let place = Place::ALL[1];
    let none = panel.wait_for("no forecast", |message| {
        let payload = (message.topic.ends_with("/forecast/hlt_pct")).then(|| message.json())?;
        Some(payload["horizons"]["24h"].clone())
    });
    assert!(
        none["because"]
            .as_str()
            .expect("a reason")
            .starts_with("the newest row is"),
        "{none}"
    );
    assert_eq!(
        (&none["model"], &none["value"]),
        (&Value::Null, &Value::Null)
    );
    for (file, bytes) in &held_back {
        fs::write(file, bytes).expect("written");
    }
    let naive = forecast_by(&panel, place, "seasonal-naive");
    assert_eq!(
        (&naive["fallback"], &naive["because"]),
        (&true.into(), &"no model is in use".into())
    );
    let said = station.retrain(&[]);
    let first = station.in_use(&place.name());
    assert!(said.contains(&format!("promoted {first}")), "{said}");
    for place in Place::ALL {
        let model = station.in_use(&place.name());
        let forecast = forecast_by(&panel, place, &model);
        assert_eq!(
            (&forecast["fallback"], &forecast["because"]),
            (&false.into(), &Value::Null)
        );
        for key in ["value", "lower", "upper"] {
            let list = forecast[key].as_array().expect("a list");
            assert_eq!(list.len(), place.horizon.slots(), "{key}");
            assert!(list.iter().all(Value::is_f64), "{key}: {list:?}");
        }
        let at = |key: &str| forecast[key][30].as_f64().expect("a number");
        assert!(at("lower") <= at("value") && at("value") <= at("upper"));
    }
    let notes = "SELECT note FROM model_performance WHERE period = 'validation' ORDER BY note";
    until("the decisions are in the table", || {
        (station.query(notes).len() >= 8).then_some(())
    });
    until("predictions are kept", || {
        let kept = "SELECT DISTINCT model FROM predictions WHERE model <> 'seasonal-naive'";
        (station.query(kept).len() == 4).then_some(())
    });
    until("pumps are beside what is expected of them", || {
        let told = station.query("SELECT pump FROM pump_condition WHERE abs(residual_pct) < 10");
        (!told.is_empty()).then_some(())
    });

    // A candidate that has learnt from hardly a day is worse, and stays one.
    let minute = station.query("SELECT cast(max(ts) AS text) FROM readings_wide")[0].clone();
    until("another minute", || {
        let line = next_minute(&station, &minute);
        fs::write(station.folder.path().join("exports/more.csv"), line).expect("written");
        let newest = station.query("SELECT cast(max(ts) AS text) FROM readings_wide");
        (newest[0] != minute).then_some(())
    });
    let said = station.retrain(&["--days", "16"]);
    assert!(said.contains(&format!("{}: kept ", place.name())), "{said}");
    assert!(
        said.contains("it is not better by 1 %") || said.contains("it is no better"),
        "{said}"
    );
    assert_eq!(station.in_use(&place.name()), first);
    let decisions = Decisions::read(&station.models()).expect("decisions");
    let kept = decisions
        .decisions
        .iter()
        .rev()
        .find(|it| it.place == place.name());
    let kept = kept.expect("a decision");
    assert_eq!(kept.decision, Verdict::Kept);
    load(&station.models(), &kept.model, &place.name()).expect("a candidate is kept whole");

    // A person puts it to use in spite of that, and goes back.
    station.verb(&[
        "models",
        "promote",
        &kept.model,
        "--why",
        "to see it at work",
        "--by",
        "shift 2",
    ]);
    forecast_by(&panel, place, &kept.model);
    station.verb(&[
        "models",
        "rollback",
        &place.name(),
        "--why",
        "it is worse",
        "--by",
        "shift 2",
    ]);
    forecast_by(&panel, place, &first);
    let list = station.verb(&["models", "list"]);
    assert!(
        list.contains("rolled back to") && list.contains("by shift 2: it is worse"),
        "{list}"
    );

    // A file that has been spoilt is refused with its reason; the forecasts go on.
    let file = station.models().join(format!("{first}.onnx"));
    let mut bytes = fs::read(&file).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).expect("written");
    let health = panel.wait_for("what is wrong with the model", |message| {
        let payload = (message.topic.ends_with("/forecast/hlt_pct")).then(|| message.json())?;
        let forecast = &payload["horizons"]["24h"];
        let health = forecast["health"].as_str()?.to_owned();
        (forecast["model"] == first.as_str() && health.contains("is refused")).then_some(health)
    });
    assert!(
        health.contains("is refused: the file is not the one that its manifest speaks of"),
        "{health}"
    );
    let status = station.verb(&["status"]);
    assert!(status.contains("instead, because"), "{status}");
    drop(daemon);
    follows_in_mlflow(&station.models(), &place, &first);
}

/// The lines of the newest minute again, for the minute behind it.
fn next_minute(station: &Station, ts: &str) -> String {
    let ts: i64 = ts.parse().expect("seconds");
    let time = |ts: i64| {
        let at = Timestamp::from_second(ts).expect("a time");
        TimeZone::UTC
            .to_datetime(at)
            .strftime("%Y-%m-%d %H:%M")
            .to_string()
    };
    let newest = station.later.last().expect("a file");
    let text = fs::read_to_string(newest).expect("text");
    let (before, after) = (time(ts), time(ts + 60));
    let lines = text.lines().filter(|line| line.starts_with(&before));
    lines
        .map(|line| format!("{}\n", line.replacen(&before, &after, 1)))
        .collect()
}

/// MLflow's alias is what is in use, and its newest version what was tried last; each run has its figures and files.
fn follows_in_mlflow(models: &Path, place: &Place, first: &str) {
    let script = "
import sys, mlflow
from mlflow.tracking import MlflowClient
folder, name, first = sys.argv[1:]
mlflow.set_tracking_uri(f'sqlite:///{folder}/mlflow/mlflow.db')
client = MlflowClient()
champion = client.get_model_version_by_alias(name, 'champion')
candidate = client.get_model_version_by_alias(name, 'candidate')
assert champion.tags['model_id'] == first, champion
assert int(candidate.version) > int(champion.version), candidate
run = client.get_run(champion.run_id)
for key in ('rmse_val', 'mae_val', 'r2_score', 'rmse_naive'):
    assert run.data.metrics[key] > 0, run.data.metrics
assert len(client.get_metric_history(champion.run_id, 'rmse_val_by_ahead_min')) == 12
found = {file.path for file in client.list_artifacts(champion.run_id)}
assert found == {'onnx', 'forecast.png', 'importance.png'}, found
";
    trainer::run(
        trainer::python()
            .args(["-c", script])
            .arg(models)
            .arg(format!("demo.{}", place.name()))
            .arg(first),
    );
}

#[test]
fn a_model_that_stays_worse_than_the_day_before_is_left_in_the_shadow() {
    let mosquitto = Mosquitto::start();
    let station = Station::new();
    copy_models(&station.models());
    binary::ingest(station.folder.path(), &station.later);
    let place = Place::ALL[1];
    let model = station.in_use(&place.name());
    // A week of forecasts that were 40 % off, as a model makes of a station that it does not know.
    let store = Connection::open(station.folder.path().join("pumphouse.db")).expect("the store");
    let kept = store
        .execute(
            "INSERT INTO predictions (ts, made_at, target, for_ts, for_time, value, lower, upper, model)
             SELECT ts - 3600, timestamp, 'hlt_pct', ts, timestamp, max(hlt_pct - 40, 0), 0, 100, ?
             FROM readings_wide WHERE ts % 300 = 0 AND ts > (SELECT max(ts) FROM readings_wide) - 6 * 86400",
            [&model],
        )
        .expect("kept");
    assert!(kept > 1600, "{kept}");
    drop(store);
    let mut config = fs::read_to_string(station.config()).expect("the config");
    config.push_str(&format!(
        "\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        mosquitto.port
    ));
    fs::write(station.config(), config).expect("written");
    let panel = Panel::connect(mosquitto.port);
    let _daemon = Daemon::start(&station.config(), &station.folder.path().join("log"), &[]);
    let naive = forecast_by(&panel, place, "seasonal-naive");
    let because = naive["because"].as_str().expect("a reason");
    assert!(
        because.contains("over a week its error is") && because.contains("times the"),
        "{because}"
    );
    assert_eq!(
        (&naive["fallback"], &naive["health"]),
        (&true.into(), &because.into())
    );
    // The others go on, and so does this one, where nobody sees it.
    forecast_by(
        &panel,
        Place::ALL[3],
        &station.in_use(&Place::ALL[3].name()),
    );
    let shadow = format!(
        "SELECT DISTINCT model FROM predictions WHERE model = '{model}' AND ts = (SELECT max(ts) FROM predictions)"
    );
    until("the model goes on in the shadow", || {
        (station.query(&shadow).len() == 1).then_some(())
    });
    let noted = format!(
        "SELECT note FROM model_performance WHERE model = '{model}' AND period = 'week' AND ahead_min = 0 AND error_ratio > 1.5 AND note IS NOT NULL"
    );
    until("the note is on record", || {
        (!station.query(&noted).is_empty()).then_some(())
    });
}
