//! Every case under `tests/cases`: exports in, tables out, held against the tables that the specification makes of them.
//!
//! `four-days` knows all six tables. `rules/<CODE>-…` knows every raise of the code its name begins with. `input/<fault>`
//! knows rows, rejects and duplicates of exports with that fault, and what the report says where `report.json` is there.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{
    binary, csv,
    expected::{differences, open},
};
use tempfile::TempDir;

fn cases(group: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/cases")
        .join(group);
    let entries = fs::read_dir(&folder).expect("the folder of the cases");
    let mut cases: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    cases.sort();
    cases
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .expect("a plain name")
}

/// Runs a copy of the case: its folder, with `out.db` in it, and what `ingest` reported.
fn ingested(case: &Path) -> (TempDir, serde_json::Value) {
    let copy = TempDir::new().expect("a folder");
    let at = |name: &str| copy.path().join(name);
    fs::copy(case.join("pumphouse.toml"), at("pumphouse.toml")).expect("a copy of the config");
    fs::create_dir(at("exports")).expect("a folder");
    let mut files = Vec::new();
    for entry in fs::read_dir(case.join("exports")).expect("exports") {
        let from = entry.expect("an entry").path();
        let to = at("exports").join(name(&from).trim_end_matches(".gz"));
        fs::write(&to, csv::read_bytes(&from)).expect("a copy of the export");
        files.push(to);
    }
    files.sort();
    let report = binary::ingest(copy.path(), &files);
    (copy, report)
}

fn assert_none(case: &Path, differences: &[String]) {
    assert!(
        differences.is_empty(),
        "case {}:\n{}",
        name(case),
        differences.join("\n")
    );
}

#[test]
fn four_days_give_all_six_tables() {
    let case = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/four-days");
    let (copy, _) = ingested(&case);
    let store = open(&copy.path().join("out.db"));
    let mut told = Vec::new();
    for table in [
        "readings_wide.csv.gz",
        "pump_sessions.csv",
        "hourly_profile.csv",
        "daily_summary.csv",
        "pump_health.csv",
        "alerts_log.csv",
    ] {
        let expected = csv::read(&case.join("expected").join(table));
        let table = table.trim_end_matches(".gz").trim_end_matches(".csv");
        told.extend(differences(&store, table, "true", &expected));
    }
    assert_none(&case, &told);
}

#[test]
fn each_rule_raises_when_its_cases_say() {
    let mut codes = std::collections::BTreeSet::new();
    let mut told = Vec::new();
    for case in cases("rules") {
        let code = &name(&case)[..4];
        codes.insert(code.to_owned());
        let (copy, _) = ingested(&case);
        let store = open(&copy.path().join("out.db"));
        let expected = csv::read(&case.join("expected.csv"));
        let of_code = format!("rule = '{code}'");
        let found = differences(&store, "alerts_log", &of_code, &expected);
        told.extend(found.iter().map(|line| format!("{}: {line}", name(&case))));
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
    assert_eq!(codes.len(), 47, "every code has a case");
}

#[test]
fn faults_of_the_input_lose_nothing_unrecorded() {
    let mut told = Vec::new();
    for case in cases("input") {
        let (copy, report) = ingested(&case);
        let store = open(&copy.path().join("out.db"));
        let mut found = Vec::new();
        let expected = |table: &str| csv::read(&case.join("expected").join(table));
        for table in ["readings_wide", "ingest_rejects"] {
            let expected = expected(&format!("{table}.csv"));
            found.extend(differences(&store, table, "true", &expected));
        }
        found.extend(match case.join("expected/alerts_log.csv").exists() {
            true => differences(
                &store,
                "alerts_log",
                "rule = 'F-07'",
                &expected("alerts_log.csv"),
            ),
            false => differences(&store, "alerts_log", "rule = 'F-07'", &no_alerts()),
        });
        found.extend(reason_differences(&case, &store));
        found.extend(report_differences(&case, &report));
        told.extend(found.iter().map(|line| format!("{}: {line}", name(&case))));
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

fn no_alerts() -> csv::Csv {
    csv::Csv {
        columns: ["timestamp", "rule", "pump"].map(String::from).to_vec(),
        rows: Vec::new(),
    }
}

/// Rejects that do not say why, or not in the words of `reason.txt` where the case has it.
fn reason_differences(case: &Path, store: &rusqlite::Connection) -> Vec<String> {
    let words = fs::read_to_string(case.join("expected/reason.txt")).unwrap_or_default();
    let mut statement = store
        .prepare("SELECT file, line, reason FROM ingest_rejects")
        .expect("a query");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let rejects: rusqlite::Result<Vec<(String, i64, String)>> = rows.expect("rows").collect();
    rejects
        .expect("rejects")
        .into_iter()
        .filter(|(_, _, reason)| reason.trim().len() < 5 || !reason.contains(words.trim()))
        .map(|(file, line, reason)| format!("{file} line {line}: the reason is {reason:?}"))
        .collect()
}

/// What the report says, where the case expects something of it.
fn report_differences(case: &Path, report: &serde_json::Value) -> Vec<String> {
    let Ok(text) = fs::read_to_string(case.join("expected/report.json")) else {
        return Vec::new();
    };
    let expected: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&text).expect("report.json is an object");
    expected
        .iter()
        .filter(|(key, value)| report.get(key) != Some(value))
        .map(|(key, value)| format!("report {key}: got {:?}, expected {value}", report.get(key)))
        .collect()
}
