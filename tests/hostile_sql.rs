//! The guard of `store::question` against SQL that wants what it may not have, beside questions that must be answered.

mod common;

use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use common::{gateway::Gateway, tape};
use pumphouse::{
    calendar::Minute,
    simulate::FaultScript,
    store::{
        Store,
        question::{Guard, Limits, Refusal, Rows, TABLES},
    },
};
use rusqlite::Connection;
use tempfile::TempDir;
use xxhash_rust::xxh3::xxh3_64;

/// The wall clock, 2025-12-31.
const NOW: Minute = 29_450_000;
/// What must not be seen.
const SECRET: &str = "swordfish";
/// How long a text may take beyond its limit, on a machine that does much else.
const MARGIN: Duration = Duration::from_secs(20);
/// How much memory a text may take, kB.
const GROWTH_KB_MAX: u64 = 64 << 10;

/// One test at a time: they measure the memory of the process.
static ALONE: Mutex<()> = Mutex::new(());

/// A store of three days with something in each table that can be asked about, open as in a running daemon.
struct Station {
    folder: TempDir,
    _store: Store,
}

impl Station {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let config = tape::config(folder.path(), "Europe/Berlin");
        let exports = folder.path().join("exports");
        fs::create_dir(&exports).expect("a folder");
        let start = jiff::civil::date(2025, 3, 1);
        for (name, bytes) in tape::tape(3, start, 3, FaultScript::default()) {
            fs::write(exports.join(name), bytes).expect("a file");
        }
        let mut gateway = Gateway::open(&config, NOW);
        gateway.look();
        gateway.stop();
        let connection = Connection::open(&config.store).expect("the store");
        connection
            .execute_batch(include_str!("hostile_sql/planted.sql"))
            .expect("planted");
        drop(connection);
        Self {
            _store: Store::open(&config.store, None).expect("the store opens"),
            folder,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("out.db")
    }

    /// The names in the folder, and what is in the store's files.
    fn files(&self) -> Vec<(String, u64)> {
        let entries = fs::read_dir(self.folder.path()).expect("the folder");
        let mut files: Vec<(String, u64)> = entries
            .map(|entry| {
                let path = entry.expect("an entry").path();
                let name = path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                // Readers leave their marks in the index of the log.
                let is_data = path.is_file() && !name.ends_with("-shm");
                let bytes = if is_data {
                    fs::read(&path).expect("read")
                } else {
                    Vec::new()
                };
                (name, xxh3_64(&bytes))
            })
            .collect();
        files.sort();
        files
    }
}

/// Rows of all tables.
fn counts(connection: &Connection) -> Vec<(String, i64)> {
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .expect("a query");
    let names = statement
        .query_map([], |row| row.get::<_, String>(0))
        .expect("names");
    names
        .map(|name| {
            let name = name.expect("a name");
            let sql = format!("SELECT count(*) FROM {name}");
            let count = connection
                .query_row(&sql, [], |row| row.get(0))
                .expect("a count");
            (name, count)
        })
        .collect()
}

fn data_version(connection: &Connection) -> i64 {
    connection
        .query_row("PRAGMA data_version", [], |row| row.get(0))
        .expect("a version")
}

/// Texts of a file by the headings that they stand under.
fn texts(file: &str) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/hostile_sql")
        .join(file);
    let text = fs::read_to_string(path).expect("the texts");
    let mut heading = String::new();
    let mut texts = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("## ") {
            Some(new) => new.clone_into(&mut heading),
            None if line.starts_with("# ") => {}
            None => texts.push((heading.clone(), spelt_out(line))),
        }
    }
    texts
}

/// A line with its repetitions and signs spelt out.
fn spelt_out(line: &str) -> String {
    let text = repeated(&repeated(line, '⟨', '⟩'), '{', '}');
    let signs = [
        ("\\n", "\n"),
        ("\\r", "\r"),
        ("\\t", "\t"),
        ("\\0", "\0"),
        ("\\u{1}", "\u{1}"),
    ];
    signs
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}

/// A line with the repetitions between two signs spelt out.
fn repeated(line: &str, open: char, close: char) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(open) {
        let repetition = after.split_once(close).and_then(|(inside, after)| {
            let (times, piece) = inside.split_once('*')?;
            Some((times.parse::<u32>().ok()?, piece, after))
        });
        text.push_str(before);
        rest = match repetition {
            Some((times, piece, after)) => {
                for number in 1..=times {
                    let piece = piece.replace('@', &number.to_string());
                    text.push_str(&piece.replace('^', &(number - 1).to_string()));
                }
                after
            }
            None => {
                text.push(open);
                after
            }
        };
    }
    text.push_str(rest);
    text
}

fn kind(answer: &Result<Rows, Refusal>) -> &'static str {
    match answer {
        Ok(rows) if rows.cut => "bounded",
        Ok(_) => "answered",
        Err(Refusal::NotOneSelect) => "not_select",
        Err(Refusal::Table(_)) => "table",
        Err(Refusal::Function(_)) => "function",
        Err(Refusal::TooComplex) => "complex",
        Err(Refusal::Time(_)) => "time",
        Err(Refusal::Memory) => "memory",
        Err(Refusal::Sql(_)) => "error",
        Err(Refusal::Damaged(_)) => "damaged",
        Err(Refusal::Store(_)) => "store",
    }
}

/// A figure of this process, kB.
fn memory_kb(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the status");
    let line = status
        .lines()
        .find(|line| line.starts_with(name))
        .expect("the figure");
    let figure = line.split_whitespace().nth(1).expect("a number");
    figure.parse().expect("a number")
}

/// Memory that something takes while it runs, kB.
fn growth_kb<T>(run: impl FnOnce() -> T) -> (u64, T) {
    // Sets the high-water mark back.
    fs::write("/proc/self/clear_refs", "5").expect("set back");
    let before = memory_kb("VmRSS:");
    let answer = run();
    (memory_kb("VmHWM:").saturating_sub(before), answer)
}

#[test]
fn hostile_sql_gets_nothing_changes_nothing_and_ends() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let station = Station::new();
    let limits = Limits {
        time: Duration::from_millis(400),
        ..Limits::default()
    };
    let mut hasty = Guard::open(&station.path(), limits).expect("the guard opens");
    // What must not end by the clock has all the time that a slow machine needs.
    let patient_limits = Limits {
        time: MARGIN,
        ..limits
    };
    let mut patient = Guard::open(&station.path(), patient_limits).expect("the guard opens");
    let witness = Connection::open(station.path()).expect("the store");
    let before = (station.files(), counts(&witness), data_version(&witness));
    let texts = texts("hostile.sql");
    assert!(texts.len() > 400, "{}", texts.len());
    let mut faults = Vec::new();
    for (heading, sql) in &texts {
        let kinds = heading.split_once(':').expect("a heading").0;
        let kinds: Vec<&str> = kinds.split(", ").collect();
        let guard = if kinds.contains(&"time") {
            &mut hasty
        } else {
            &mut patient
        };
        let started = Instant::now();
        let (growth, answer) = growth_kb(|| guard.query(sql));
        let took = started.elapsed();
        let shown: String = sql.chars().take(150).collect();
        let mut fault = |what: String| faults.push(format!("{what}: {shown}"));
        if !kinds.contains(&kind(&answer)) {
            fault(format!(
                "{} instead of {kinds:?}, {:?}",
                kind(&answer),
                answer.as_ref().err()
            ));
        }
        let said = match &answer {
            Ok(rows) => serde_json::to_string(rows).expect("JSON"),
            Err(refusal) => refusal.to_string(),
        };
        if said.contains(SECRET) {
            fault("the secret is seen".to_owned());
        }
        if answer.is_err() && said.len() > 1000 {
            fault(format!("a refusal of {} bytes", said.len()));
        }
        if let Ok(rows) = &answer {
            let bytes: usize = rows
                .rows
                .iter()
                .flatten()
                .map(|cell| cell.as_str().map_or(8, str::len))
                .sum();
            if rows.rows.len() > limits.rows || bytes > limits.bytes {
                fault(format!("{} rows, {bytes} bytes", rows.rows.len()));
            }
        }
        if took > limits.time + MARGIN {
            fault(format!("it took {took:?}"));
        }
        if growth > GROWTH_KB_MAX {
            fault(format!("it took {growth} kB"));
        }
        if (station.files(), data_version(&witness)) != (before.0.clone(), before.2) {
            fault("something has changed".to_owned());
        }
    }
    assert_eq!(counts(&witness), before.1);
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn honest_questions_are_answered() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let station = Station::new();
    let mut guard = Guard::open(
        &station.path(),
        Limits {
            time: MARGIN,
            ..Limits::default()
        },
    )
    .expect("the guard opens");
    let texts = texts("honest.sql");
    for table in TABLES {
        assert!(
            texts.iter().any(|(_, sql)| sql.contains(table)),
            "{table} is not asked about"
        );
    }
    let mut faults = Vec::new();
    for (heading, sql) in &texts {
        match guard.query(sql) {
            Ok(found) if heading == "rows" && found.rows.is_empty() => {
                faults.push(format!("nothing: {sql}"))
            }
            Ok(found) => assert!(
                found
                    .rows
                    .iter()
                    .all(|row| row.len() == found.columns.len())
            ),
            Err(refusal) => faults.push(format!("{refusal}: {sql}")),
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

#[test]
fn the_schema_for_a_model_has_all_tables_and_no_other() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let station = Station::new();
    let mut guard = Guard::open(&station.path(), Limits::default()).expect("the guard opens");
    let schema = guard.schema().expect("the schema");
    let lines: Vec<&str> = schema.lines().collect();
    assert_eq!(lines.len(), TABLES.len());
    for (line, table) in lines.iter().zip(TABLES) {
        let columns = line.strip_prefix(&format!("{table}(")).expect(line);
        let (columns, about) = columns.split_once(") -- ").expect(line);
        assert!(!about.is_empty() && columns.contains(", "), "{line}");
        let names = columns
            .split(", ")
            .map(|column| match column.strip_prefix('"') {
                Some(quoted) => format!("\"{}\"", quoted.split('"').next().expect("a name")),
                None => column.split(' ').next().expect("a name").to_owned(),
            });
        let names: Vec<String> = names.collect();
        let answer = guard.query(&format!("SELECT {} FROM {table}", names.join(", ")));
        assert!(answer.is_ok(), "{table}: {answer:?}");
    }
    assert!(
        schema.contains("date text") && schema.contains("\"[PLC]HLT101.OUTPUT\" real"),
        "{schema}"
    );
    // A prompt holds it.
    assert!(schema.len() < 10_000, "{} bytes", schema.len());
}

#[test]
fn a_question_does_not_keep_the_log_from_being_checkpointed() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let station = Station::new();
    let limits = Limits {
        rows: 3,
        ..Limits::default()
    };
    let mut guard = Guard::open(&station.path(), limits).expect("the guard opens");
    let writer = Connection::open(station.path()).expect("the store");
    for sql in [
        "SELECT ts FROM readings_wide",
        "SELECT payload FROM notifications",
        "SELECT abs(-9223372036854775808) FROM readings_wide",
    ] {
        let _ = guard.query(sql);
        writer
            .execute(
                "INSERT INTO alerts_suppressed VALUES (?1, 'B-01', 1)",
                [sql],
            )
            .expect("written");
        let busy: i64 = writer
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
            .expect("a checkpoint");
        assert_eq!(busy, 0, "after {sql}");
    }
    // What is written is seen by the next question.
    let rows = guard.query(
        "SELECT count(*) FROM alerts_suppressed WHERE rule = 'B-01' AND date LIKE 'SELECT%'",
    );
    assert_eq!(rows.expect("an answer").rows, [[3]]);
}
