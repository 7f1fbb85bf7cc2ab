//! A year of one-minute exports through `pumphouse ingest`, beside two rivals in the same run:
//!
//! * a vectorised Python pipeline of the same work (`benches/rival`), as it is usually written (row tuples through
//!   `executemany`) and as fast as it goes (Arrow columns through ADBC, two files at once), neither of them durable;
//! * the bare cost: the same rows written into SQLite from Rust in one transaction, beside scanning the same bytes.
//!
//! `cargo bench --bench year` makes the exports with the simulator. Set `RIVAL_PYTHON` to a Python with
//! `benches/rival/requirements.txt` installed; without it one is made below `target/bench`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use pumphouse::simulate::{FaultScript, Simulator, Station, write_days};
use rusqlite::{Connection, types::ValueRef};

const ROUNDS: usize = 3;

fn main() -> anyhow::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench/year");
    let exports = folder.join("exports");
    if !exports.join("2024-12-30.csv").exists() {
        fs::create_dir_all(&folder)?;
        let start = "2024-01-01".parse::<jiff::civil::Date>()?.at(0, 0, 0, 0);
        let mut simulator = Simulator::new(
            Station::default(),
            7,
            start,
            FaultScript::random(7, start, 365),
        );
        write_days(&exports, &mut simulator, 365, |_| {})?;
        let config = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
            .args(["simulate", "--days", "1", "--start", "2024-01-01", "--out"])
            .arg(folder.join("config"))
            .status()?;
        anyhow::ensure!(config.success(), "the config cannot be made");
        fs::copy(
            folder.join("config/pumphouse.toml"),
            folder.join("pumphouse.toml"),
        )?;
    }
    let python = rival_python(&folder)?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    let mut rivals = vec![Vec::new(); RIVALS.len()];
    for round in 1..=ROUNDS {
        remove_store(&folder.join("pumphouse.db"));
        ours.push(timed(
            Command::new(env!("CARGO_BIN_EXE_pumphouse"))
                .args(["ingest", "--config"])
                .args([folder.join("pumphouse.toml"), exports.clone()]),
        )?);
        bare.push(bare_cost(&folder, &exports)?);
        for (runs, (_, arguments)) in rivals.iter_mut().zip(RIVALS) {
            let database = folder.join("rival.db");
            remove_store(&database);
            let mut command = Command::new(&python);
            command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rival/rival.py"));
            command
                .args([&exports, &database])
                .arg("--config")
                .arg(folder.join("pumphouse.toml"))
                .args(*arguments);
            runs.push(timed(&mut command)?);
        }
        println!("round {round} of {ROUNDS} done");
    }
    println!(
        "\n{:<44} {:>8} {:>10} {:>14}",
        "", "median s", "peak MB", "ours / this"
    );
    let mine = median(&ours, |run| run.0);
    print_row(
        "pumphouse ingest, every commit durable",
        mine,
        median(&ours, |run| run.1),
        1.0,
    );
    print_row(
        "bare: one transaction beside scanning",
        median(&bare, |run| run.0),
        f64::NAN,
        mine / median(&bare, |run| run.0),
    );
    for (runs, (name, _)) in rivals.iter().zip(RIVALS) {
        print_row(
            name,
            median(runs, |run| run.0),
            median(runs, |run| run.1),
            mine / median(runs, |run| run.0),
        );
    }
    Ok(())
}

const RIVALS: &[(&str, &[&str])] = &[
    (
        "rival, executemany, no durability",
        &["--writer", "sqlite3", "--parts", "1"],
    ),
    ("rival, ADBC into two files, no durability", &[]),
];

/// Seconds and peak megabytes.
type Run = (f64, f64);

fn print_row(name: &str, seconds: f64, peak_mb: f64, ratio: f64) {
    println!("{name:<44} {seconds:>8.2} {peak_mb:>10.0} {ratio:>14.2}");
}

fn median(runs: &[Run], figure: fn(&Run) -> f64) -> f64 {
    let mut figures: Vec<_> = runs.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Runs a command to its end; its peak memory is read from the kernel's account of it.
fn timed(command: &mut Command) -> anyhow::Result<Run> {
    let started = Instant::now();
    let mut child = command.stdout(std::process::Stdio::null()).spawn()?;
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut peak_mb: f64 = 0.0;
    let ended = loop {
        if let Some(line) = fs::read_to_string(&status).ok().and_then(|text| {
            text.lines()
                .find(|line| line.starts_with("VmHWM"))
                .map(str::to_owned)
        }) {
            let kilobytes = line
                .split_whitespace()
                .nth(1)
                .and_then(|word| word.parse::<f64>().ok());
            peak_mb = peak_mb.max(kilobytes.unwrap_or(0.0) / 1000.0);
        }
        if let Some(ended) = child.try_wait()? {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    };
    anyhow::ensure!(ended.success(), "{command:?} failed");
    Ok((started.elapsed().as_secs_f64(), peak_mb))
}

fn remove_store(path: &Path) {
    for suffix in ["", "-wal", "-shm", ".lock"] {
        // Missing at the first round.
        let _ = fs::remove_file(format!("{}{suffix}", path.display()));
    }
}

fn rival_python(folder: &Path) -> anyhow::Result<PathBuf> {
    if let Some(python) = std::env::var_os("RIVAL_PYTHON") {
        return Ok(python.into());
    }
    let environment = folder.join("python");
    let python = environment.join("bin/python");
    if !python.exists() {
        let requirements =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rival/requirements.txt");
        let made = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment)
            .status()?;
        let installed = Command::new(environment.join("bin/pip"))
            .args(["install", "-q", "-r"])
            .arg(requirements)
            .status()?;
        anyhow::ensure!(
            made.success() && installed.success(),
            "the rival's Python cannot be set up"
        );
    }
    Ok(python)
}

/// The rows of the store that was just filled, written once more by nothing but SQLite, beside a scan of the exports.
fn bare_cost(folder: &Path, exports: &Path) -> anyhow::Result<Run> {
    let source = Connection::open(folder.join("pumphouse.db"))?;
    let schema: String = source.query_row(
        "SELECT sql FROM sqlite_schema WHERE name = 'readings_wide'",
        [],
        |row| row.get(0),
    )?;
    let mut statement = source.prepare("SELECT * FROM readings_wide ORDER BY ts")?;
    let columns = statement.column_count();
    let mut cells: Vec<Cell> = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            cells.push(match row.get_ref(column)? {
                ValueRef::Integer(value) => Cell::Whole(value),
                ValueRef::Real(value) => Cell::Real(value),
                ValueRef::Text(text) => Cell::Text(text.to_vec().into_boxed_slice()),
                _ => Cell::Null,
            });
        }
    }
    let path = folder.join("bare.db");
    remove_store(&path);
    let files: Vec<_> = fs::read_dir(exports)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    let started = Instant::now();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let scan = scope.spawn(|| -> std::io::Result<usize> {
            let mut lines = 0;
            for file in &files {
                lines += memchr::memchr_iter(b'\n', &fs::read(file)?).count();
            }
            Ok(lines)
        });
        let mut target = Connection::open(&path)?;
        target.pragma_update(None, "page_size", 4096)?;
        target.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
        target.pragma_update(None, "synchronous", "FULL")?;
        target.execute_batch(&schema)?;
        let transaction = target.transaction()?;
        {
            let places = vec!["?"; columns].join(", ");
            let mut insert =
                transaction.prepare(&format!("INSERT INTO readings_wide VALUES ({places})"))?;
            for row in cells.chunks_exact(columns) {
                for (place, cell) in row.iter().enumerate() {
                    match cell {
                        Cell::Whole(value) => insert.raw_bind_parameter(place + 1, value)?,
                        Cell::Real(value) => insert.raw_bind_parameter(place + 1, value)?,
                        Cell::Text(text) => {
                            insert.raw_bind_parameter(place + 1, std::str::from_utf8(text)?)?;
                        }
                        Cell::Null => {
                            insert.raw_bind_parameter(place + 1, rusqlite::types::Null)?
                        }
                    }
                }
                insert.raw_execute()?;
            }
        }
        transaction.commit()?;
        let lines = scan
            .join()
            .map_err(|_| anyhow::anyhow!("the scan panicked"))??;
        anyhow::ensure!(lines > 0, "no export was scanned");
        Ok(())
    })?;
    Ok((started.elapsed().as_secs_f64(), f64::NAN))
}

enum Cell {
    Null,
    Whole(i64),
    Real(f64),
    Text(Box<[u8]>),
}
