//! A year of one-minute exports in each format through `pumphouse ingest`: the time for a record, as a ratio to the long format's.
//!
//! `cargo bench --bench formats [-- --days N]`. The simulator's year is rewritten below `target/bench/formats`; the exports of each
//! day are one file, as a historian rotates them.

#[path = "../tests/common/formats.rs"]
mod formats;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use formats::{FORMATS, Format, records};
use pumphouse::simulate::{FaultScript, Simulator, Station, write_days};

const ROUNDS: usize = 3;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let days = arguments
        .iter()
        .position(|it| it == "--days")
        .map_or(365, |at| arguments[at + 1].parse().expect("a number"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/bench/formats-{days}"));
    let long = folder.join("long");
    if !folder.join("ready").exists() {
        fs::create_dir_all(&folder)?;
        let start = "2024-01-01".parse::<jiff::civil::Date>()?.at(0, 0, 0, 0);
        let faults = FaultScript::default();
        let mut simulator = Simulator::new(Station::default(), 7, start, faults);
        write_days(&long, &mut simulator, days, |_| {})?;
        for format in &FORMATS {
            rewrite(&long, &folder.join(format.name), format)?;
        }
        fs::write(folder.join("ready"), "")?;
    }
    let config = folder.join("pumphouse.toml");
    let sample = include_str!("../config/pumphouse.toml");
    fs::write(
        &config,
        sample.replace("listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:0\""),
    )?;
    let names = ["long"]
        .into_iter()
        .chain(FORMATS.iter().map(|format| format.name));
    let mut best: Vec<(&str, f64, u64)> = names.map(|name| (name, f64::INFINITY, 0)).collect();
    for _ in 0..ROUNDS {
        for (name, seconds, records) in &mut best {
            let (took, kept) = ingest(&config, &folder.join(*name))?;
            *seconds = seconds.min(took);
            *records = kept;
        }
    }
    let long_ns = best[0].1 / best[0].2 as f64 * 1e9;
    println!(
        "{:<28} {:>10} {:>8} {:>10} {:>6}",
        "format", "records", "s", "ns/record", "ratio"
    );
    for (name, seconds, records) in best {
        let ns = seconds / records as f64 * 1e9;
        println!(
            "{name:<28} {records:>10} {seconds:>8.1} {ns:>10.0} {:>6.2}",
            ns / long_ns
        );
    }
    Ok(())
}

/// Loads a folder into a store of its own; the seconds, and the records kept.
fn ingest(config: &Path, exports: &Path) -> anyhow::Result<(f64, u64)> {
    let store = config.with_file_name("pumphouse.db");
    for ending in ["db", "db-wal", "db-shm", "db.lock", "db.reserve"] {
        let _ = fs::remove_file(store.with_extension(ending));
    }
    let begun = Instant::now();
    let done = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
        .args(["ingest", "--json", "--config"])
        .args([config, exports])
        .output()?;
    let took = begun.elapsed().as_secs_f64();
    anyhow::ensure!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&done.stdout)?;
    anyhow::ensure!(report["records_rejected"] == 0, "{report}");
    Ok((took, report["records_kept"].as_u64().unwrap_or(0)))
}

fn rewrite(long: &Path, into: &Path, format: &Format) -> anyhow::Result<()> {
    fs::create_dir_all(into)?;
    let mut files: Vec<PathBuf> = fs::read_dir(long)?
        .map(|entry| entry.map(|it| it.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|it| it == "csv"));
    for path in files {
        let text = fs::read_to_string(&path)?;
        let stem = path.file_stem().expect("a name").to_string_lossy();
        for (name, bytes) in format.files(&stem, &records(&text)) {
            fs::write(into.join(name), bytes)?;
        }
    }
    Ok(())
}
