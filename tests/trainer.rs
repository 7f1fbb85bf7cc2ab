//! The trainer over a store of the simulated station: what is not fit to learn from stops it with figures, and what it fits is
//! taken by the daemon's loader, better than seasonal-naive and the same each time.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use common::{binary, trainer};
use pumphouse::forecast::{
    features::{COLUMNS, PUMP_COLUMNS},
    guard::load,
    manifest::{Place, Role},
};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

/// Simulated days in a store; the last of them is 2025-03-30.
fn station(days: i64) -> TempDir {
    let folder = TempDir::with_prefix("pumphouse-trainer-").expect("a folder");
    let simulated = binary::run(
        folder.path(),
        &[
            "simulate",
            "--out",
            ".",
            "--days",
            &days.to_string(),
            "--start",
            &format!("2025-03-{:02}", 31 - days),
            "--seed",
            "5",
        ],
    );
    assert!(simulated.status.success());
    binary::ingest(folder.path(), &["exports".into()]);
    folder
}

/// Exit code, the report or what was said instead.
fn validate(folder: &Path) -> (i32, Value, String) {
    let done = trainer::module("pumphouse_trainer")
        .args(["validate", "--json", "--config"])
        .arg(folder.join("pumphouse.toml"))
        .output()
        .expect("it starts");
    let said = String::from_utf8(done.stderr).expect("text");
    let report = serde_json::from_slice(&done.stdout).unwrap_or(Value::Null);
    (done.status.code().expect("it ends by itself"), report, said)
}

fn failed(report: &Value) -> Vec<&str> {
    let checks = report["checks"].as_array().expect("the checks");
    let failed = checks.iter().filter(|check| check["passed"] == false);
    failed
        .map(|check| check["name"].as_str().expect("a name"))
        .collect()
}

#[test]
fn a_failed_check_stops_with_its_figures() {
    let folder = station(20);
    let store = Connection::open(folder.path().join("pumphouse.db")).expect("the store");
    let (code, report, said) = validate(folder.path());
    assert_eq!((code, said.as_str()), (0, ""), "{report:#}");
    assert_eq!(report["passed"], true);
    assert_eq!(report["from"], "2025-03-11T00:00Z");
    assert_eq!(report["to"], "2025-03-30T23:59Z");

    let hours_before_end = |hours: i64| 1_743_379_200 - hours * 3600;
    let broken: [(&str, i64, &[&str]); 6] = [
        (
            "UPDATE readings_wide SET hlt_pct = 900 WHERE ts >= ?",
            hours_before_end(1),
            &["level: range"],
        ),
        (
            "UPDATE readings_wide SET hlt_pct = 50 WHERE ts >= ?",
            hours_before_end(13),
            &["level: moves"],
        ),
        (
            "UPDATE readings_wide SET fit101_per_hr = NULL WHERE ts >= ?",
            hours_before_end(60),
            &["flow: known", "flow: longest hole"],
        ),
        (
            "UPDATE readings_wide SET total_kw = -5 WHERE ts >= ?",
            hours_before_end(1),
            &["power: range"],
        ),
        (
            "DELETE FROM readings_wide WHERE ts % 1800 < ?",
            300,
            &[
                "level: known",
                "flow: known",
                "power: known",
                "pumps on: known",
            ],
        ),
        (
            "DELETE FROM readings_wide WHERE ts < ?",
            hours_before_end(13 * 24),
            &["span"],
        ),
    ];
    for (sql, bound, wanted) in broken {
        let copy = TempDir::with_prefix("pumphouse-trainer-").expect("a folder");
        fs::copy(
            folder.path().join("pumphouse.toml"),
            copy.path().join("pumphouse.toml"),
        )
        .expect("copied");
        let place = copy.path().join("pumphouse.db");
        store
            .execute("VACUUM INTO ?", [place.to_str().expect("a plain name")])
            .expect("copied");
        let copied = Connection::open(place).expect("the store");
        assert!(copied.execute(sql, [bound]).expect(sql) > 0);
        let (code, report, said) = validate(copy.path());
        assert_eq!((code, said.as_str()), (1, ""), "{sql}");
        assert_eq!(failed(&report), wanted, "{sql}: {report:#}");
        let models = copy.path().join("models");
        let trained = train(copy.path(), &models).output().expect("it starts");
        assert_eq!(trained.status.code(), Some(1), "{sql}");
        assert!(!models.exists(), "{sql}: nothing is learnt from it");
    }
}

#[test]
fn models_are_better_than_seasonal_naive_and_the_same_each_time() {
    let folder = station(30);
    let [models, again] = ["models", "again"].map(|name| folder.path().join(name));
    for out in [&models, &again] {
        trainer::run(&mut train(folder.path(), out));
    }
    let written = contents(&models);
    assert!(written == contents(&again), "equal minutes, equal models");
    let mut skills = BTreeMap::new();
    let mut pumps = 0;
    let manifests = written
        .iter()
        .filter(|(name, _)| name.ends_with(".json") && *name != "decisions.json");
    for (name, manifest) in manifests {
        let model = load(&models.join(name)).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        if matches!(Role::of(&model.manifest), Some(Role::Pump(_))) {
            assert_eq!(model.manifest.features, PUMP_COLUMNS);
            pumps += 1;
            continue;
        }
        if model.manifest.inputs[0].name == "features" {
            assert_eq!(model.manifest.features, COLUMNS);
        }
        let manifest: Value = serde_json::from_slice(manifest).expect("JSON");
        let (scores, slots) = (&manifest["scores"], &manifest["slots"]);
        for key in ["rmse_val", "mae_val", "r2_score"] {
            assert!(scores[key].is_f64(), "{name}: {key}");
        }
        assert_eq!(
            scores["by_ahead_min"].as_object().expect("scores").len(),
            12
        );
        let band = manifest["band"].as_array().expect("the band");
        assert_eq!(band.len() as u64, slots.as_u64().expect("steps"));
        assert!(
            band.iter()
                .all(|bounds| bounds[0].as_f64() < Some(0.0) && bounds[1].as_f64() > Some(0.0)),
            "{name}: {band:?}"
        );
        let role = Role::of(&model.manifest).expect("a place");
        skills.insert(role.name(), scores["skill"].as_f64().expect("the skill"));
    }
    assert_eq!(
        skills.keys().cloned().collect::<BTreeSet<_>>(),
        Place::ALL.map(Place::name).into()
    );
    assert!(pumps >= 4, "{pumps} pumps ran enough to learn from");
    assert!(skills.values().all(|&skill| skill >= 0.2), "{skills:?}");
}

fn train(folder: &Path, out: &Path) -> Command {
    let mut command = trainer::module("pumphouse_trainer");
    command
        .args(["train", "--config"])
        .arg(folder.join("pumphouse.toml"))
        .arg("--out")
        .arg(out);
    command
}

/// The files of a folder by name.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(folder).expect("the folder");
    files
        .map(|file| {
            let file = file.expect("a file");
            let bytes = fs::read(file.path()).expect("read");
            (file.file_name().into_string().expect("a plain name"), bytes)
        })
        .collect()
}

#[test]
fn what_cannot_be_used_is_told_in_a_line() {
    let folder = station(20);
    let (store, config) = (
        folder.path().join("pumphouse.db"),
        folder.path().join("pumphouse.toml"),
    );
    let refused = |wanted: &str| {
        let (code, report, said) = validate(folder.path());
        assert_eq!((code, &report), (2, &Value::Null), "{said}");
        assert!(said.contains(wanted) && said.lines().count() == 1, "{said}");
    };
    let open = || Connection::open(&store).expect("the store");
    open()
        .execute("DELETE FROM readings_wide", [])
        .expect("deleted");
    refused("pumphouse.db: no row yet");
    open()
        .execute_batch("ALTER TABLE readings_wide RENAME TO gone")
        .expect("renamed");
    refused(
        "readings_wide lacks fit101_per_hr, hlt101_output, hlt_pct, pumps_on_count, total_kw, ts",
    );
    fs::write(&store, [7; 8192]).expect("written");
    refused("file is not a database");
    fs::remove_file(&store).expect("removed");
    refused("unable to open database file");
    fs::write(&config, "[site]\nid = \"a\"\n").expect("written");
    refused("'rated_kw' is missing");
    fs::write(&config, "[site\n").expect("written");
    refused("pumphouse.toml: ");
}

#[test]
fn a_key_that_is_left_out_has_the_daemons_default() {
    let folder = TempDir::new().expect("a folder");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sample = fs::read_to_string(root.join("config/pumphouse.toml")).expect("the sample");
    let defaulted = [
        "timezone",
        "hlt_volume_m3",
        "zero_kw",
        "peak_windows",
        "path",
        "models",
    ];
    let is_defaulted = |line: &str| {
        let key = line.split_once(" = ").map(|(key, _)| key);
        key.is_some_and(|key| defaulted.contains(&key))
    };
    let short: Vec<&str> = sample.lines().filter(|line| !is_defaulted(line)).collect();
    assert_eq!(
        sample.lines().count() - short.len(),
        defaulted.len(),
        "each is in the sample once"
    );
    for (name, text) in [("sample", &sample), ("short", &short.join("\n"))] {
        fs::write(folder.path().join(name), text).expect("written");
    }
    let same = "import sys; from pumphouse_trainer.settings import read; \
                sample, short = map(read, sys.argv[1:]); assert sample == short, (sample, short)";
    trainer::run(
        trainer::python()
            .args(["-c", same])
            .args(["sample", "short"].map(|name| folder.path().join(name))),
    );
}

#[test]
fn the_models_that_come_along_are_made_again_byte_by_byte() {
    let folder = TempDir::new().expect("a folder");
    let out = folder.path().join("models");
    trainer::run(
        trainer::module("pumphouse_trainer")
            .args([
                "train",
                "--from-demo",
                "--pumphouse",
                env!("CARGO_BIN_EXE_pumphouse"),
            ])
            .arg("--out")
            .arg(&out),
    );
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx-models");
    let mut made = contents(&out);
    made.remove(".lock");
    assert_eq!(made.len(), 31, "{:?}", made.keys());
    for (name, bytes) in made {
        let here = fs::read(shipped.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            here == bytes,
            "{name} is another; `train --from-demo --out onnx-models` makes them again"
        );
    }
}
