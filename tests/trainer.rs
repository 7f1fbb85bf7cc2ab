//! The trainer's own checks: what is not fit to learn from is told with its figures, and training stops.

mod common;

use std::{fs, path::Path};

use common::{binary, trainer};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

/// Twenty simulated days in a store.
fn station() -> TempDir {
    let folder = TempDir::with_prefix("pumphouse-trainer-").expect("a folder");
    let simulated = binary::run(
        folder.path(),
        &[
            "simulate",
            "--out",
            ".",
            "--days",
            "20",
            "--start",
            "2025-03-01",
            "--seed",
            "5",
        ],
    );
    assert!(simulated.status.success());
    binary::ingest(folder.path(), &["exports".into()]);
    folder
}

/// Exit code, the report or what was said instead.
fn validate(folder: &Path, more: &[&str]) -> (i32, Value, String) {
    let done = trainer::module("pumphouse_trainer")
        .args(["validate", "--json", "--config"])
        .arg(folder.join("pumphouse.toml"))
        .args(more)
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
    let folder = station();
    let store = Connection::open(folder.path().join("pumphouse.db")).expect("the store");
    let (code, report, said) = validate(folder.path(), &[]);
    assert_eq!((code, said.as_str()), (0, ""), "{report:#}");
    assert_eq!(report["passed"], true);
    assert_eq!(report["from"], "2025-03-01T00:00Z");
    assert_eq!(report["to"], "2025-03-20T23:59Z");

    let hours_before_end = |hours: i64| 1_742_515_200 - hours * 3600;
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
        let (code, report, said) = validate(copy.path(), &[]);
        assert_eq!((code, said.as_str()), (1, ""), "{sql}");
        assert_eq!(failed(&report), wanted, "{sql}: {report:#}");
    }
}

#[test]
fn what_cannot_be_used_is_told_in_a_line() {
    let folder = station();
    let (store, config) = (
        folder.path().join("pumphouse.db"),
        folder.path().join("pumphouse.toml"),
    );
    let refused = |wanted: &str| {
        let (code, report, said) = validate(folder.path(), &[]);
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
    refused("readings_wide lacks fit101_per_hr, hlt_pct, pumps_on_count, total_kw, ts");
    fs::write(&store, [7; 8192]).expect("written");
    refused("file is not a database");
    fs::remove_file(&store).expect("removed");
    refused("unable to open database file");
    fs::write(&config, "[site]\nid = \"a\"\n").expect("written");
    refused("'rated_kw' is missing");
    fs::write(&config, "[site\n").expect("written");
    refused("pumphouse.toml: ");
}
