//! The SQLite store: the only module that speaks SQLite, and one writer.
//!
//! *Invariants.* A step's rows, alerts, read positions and messages are committed together or not at all. A commit is
//! on the disk when it returns (`synchronous = FULL`). Positions move only with the rows that were read up to them.

pub mod backups;
#[cfg(test)]
mod call_tests;
pub mod calls;
pub mod changes;
#[cfg(test)]
mod cursor_model;
pub mod export;
mod files;
pub mod healing;
pub mod journal;
pub mod kpis;
pub mod lock;
pub mod look;
pub mod operators;
pub mod outbox;
#[cfg(test)]
mod outbox_model;
pub mod outgoing;
pub mod predictions;
pub mod quality;
pub mod question;
pub mod ranges;
mod readings;
pub mod replacing;
mod rerun;
pub mod reserve;
pub mod retention;
pub mod runs;
pub mod savings;
pub mod sessions;
pub mod states;
mod tables;
pub mod troubles;
pub mod view;
pub mod writer;

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::ErrorKind,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

pub use readings::reading;

use anyhow::{Context, anyhow, ensure};
use changes::{Changes, Synced};
use lock::lock;
use reserve::Reserve;
use rusqlite::{Connection, OpenFlags};
use rusqlite_migration::{M, Migrations};
use rustix::{
    fs::{Access, access},
    io::Errno,
};
use tokio::sync::watch;

use crate::{
    calendar::{Day, LocalMinute, Minute, date_text},
    derive::Derived,
    historian::{files::FileRecord, fold::Logging, lines::Reject, minutes::MinuteRecords},
    measured::COMMIT,
    rules::engine::Subject,
    station::Effects,
};

/// Marks the file as ours (`PUMP`).
const APPLICATION_ID: i32 = 0x5055_4D50;
/// The first SQLite without the WAL-reset bug.
const SQLITE_VERSION_MIN: i32 = 3_051_003;
/// The schema, by version.
const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("../../migrations/sqlite/0001_station.sql")),
    M::up(include_str!("../../migrations/sqlite/0002_delivery.sql")),
    M::up(include_str!("../../migrations/sqlite/0003_forecasts.sql")),
    M::up(include_str!("../../migrations/sqlite/0004_schedule.sql")),
    M::up(include_str!("../../migrations/sqlite/0005_savings.sql")),
    M::up(include_str!("../../migrations/sqlite/0006_dashboard.sql")),
    M::up(include_str!("../../migrations/sqlite/0007_sources.sql")),
    M::up(include_str!("../../migrations/sqlite/0008_retention.sql")),
    M::up(include_str!("../../migrations/sqlite/0009_quality.sql")),
    M::up(include_str!("../../migrations/sqlite/0010_troubles.sql")),
    M::up(include_str!(
        "../../migrations/sqlite/0011_acknowledged.sql"
    )),
];

/// The store, open for writing.
pub struct Store {
    connection: Connection,
    texts: Texts,
    face: Option<outbox::Face>,
    call_plan: Option<calls::CallPlan>,
    changes: Changes,
    commits: watch::Sender<u64>,
    /// Rows changed since the store was opened, up to the last commit.
    changes_before: u64,
    failure: Option<anyhow::Error>,
    reserve: Option<Reserve>,
    /// The reserve was given up, and nobody has been told yet.
    has_made_room: bool,
    _lock: File,
}

/// A row on its way into `readings_wide`.
#[derive(Debug)]
pub struct NewRow {
    /// The minute's records.
    pub records: MinuteRecords,
    /// Its wall-clock minute.
    pub local: LocalMinute,
    /// Its derived columns.
    pub derived: Derived,
}

/// What one step writes.
#[derive(Debug, Default)]
pub struct Step {
    /// New rows, each later than all rows in the store.
    pub rows: Vec<NewRow>,
    /// What they brought about.
    pub effects: Effects,
    /// The file as it stands after the step, if the step comes from one.
    pub file: Option<FileRecord>,
    /// Rejects of the file's lines.
    pub rejects: Vec<Reject>,
    /// When the historian ended and began logging.
    pub logging: BTreeSet<(Minute, Logging)>,
    /// First line read in the step; 0 when none was.
    pub from_line: u64,
    /// Whether the gap alerts among the effects were raised by the wall clock.
    pub by_wall_clock: bool,
    /// The newest minute the step looked at, and the same on the plant's wall clock.
    pub now: Option<(Minute, LocalMinute)>,
    /// Transitions before this minute are history: announced as `backfilled`.
    pub news_from: Minute,
}

/// An alert's id: the same data gives the same id.
pub fn alert_id(minute: Minute, rule: usize, subject: Subject) -> i64 {
    minute * 512 + rule as i64 * 8 + subject.map_or(0, |pump| pump as i64 + 1)
}

/// The minute of the raise in an alert's id.
fn minute_of(alert_id: i64) -> Minute {
    alert_id.div_euclid(512)
}

/// The first and the last id that alerts raised in a range of minutes can have.
fn alert_ids((first, last): (Minute, Minute)) -> [i64; 2] {
    [first * 512, last.saturating_mul(512).saturating_add(511)]
}

/// A session's id: the same data gives the same id.
pub fn session_id(start: Minute, pump: usize) -> i64 {
    start * 8 + pump as i64 + 1
}

/// The first and the last id that sessions begun in a range of minutes can have.
fn session_ids((first, last): (Minute, Minute)) -> [i64; 2] {
    [first * 8, last.saturating_mul(8).saturating_add(7)]
}

/// Makes an empty file for a store, for its owner alone. One that is there stays as it is, and is not even opened: closing it
/// again would drop the locks that others of this process hold.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// A store that an older program cannot use.
#[derive(Debug)]
pub struct Newer(PathBuf);

impl std::fmt::Display for Newer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.0.display();
        write!(
            f,
            "{path} was made by a newer pumphouse; install that again, or restore a backup made before"
        )
    }
}

impl std::error::Error for Newer {}

impl Store {
    /// Opens the store, made when missing, and brings its schema up to date. `face` is how the station shows itself over MQTT, if it does.
    pub fn open(path: &Path, face: Option<outbox::Face>) -> anyhow::Result<Self> {
        ensure!(
            rusqlite::version_number() >= SQLITE_VERSION_MIN,
            "SQLite {} has the WAL-reset bug; 3.51.3 or newer is needed",
            rusqlite::version()
        );
        let lock = lock(
            path,
            "while the daemon runs, put files into a watched folder instead",
        )?;
        let cannot_open = || format!("cannot open the store {}", path.display());
        make_private(path).with_context(cannot_open)?;
        let mut connection = Connection::open(path).with_context(cannot_open)?;
        // A live minute changes a few bytes in each of ten tables, and each time a whole page goes to the log.
        connection.pragma_update(None, "page_size", 2048)?;
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        let mode: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        ensure!(
            mode == "wal",
            "cannot switch {} to write-ahead logging (it answers {mode:?})",
            path.display()
        );
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", "ON")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cache_size", -8000)?;
        connection.pragma_update(None, "trusted_schema", "OFF")?;
        connection.pragma_update(None, "journal_size_limit", 64 << 20)?;
        connection.pragma_update(None, "wal_autocheckpoint", 8000)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(64);
        let id: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        let tables: i64 =
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        ensure!(
            id == APPLICATION_ID || tables == 0,
            "{} is a database, but not one of pumphouse",
            path.display()
        );
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if version > MIGRATIONS.len() as i64 {
            return Err(Newer(path.to_owned()).into());
        }
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        Migrations::from_slice(MIGRATIONS)
            .to_latest(&mut connection)
            .with_context(|| format!("cannot bring {} up to date", path.display()))?;
        Ok(Self {
            call_plan: None,
            changes: Changes::load(&connection)?,
            commits: watch::Sender::new(0),
            connection,
            texts: Texts::default(),
            face,
            changes_before: 0,
            failure: None,
            reserve: None,
            has_made_room: false,
            _lock: lock,
        })
    }

    /// Begins a transaction unless one is open.
    pub fn begin(&mut self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            self.connection.execute_batch("BEGIN IMMEDIATE")
        } else {
            Ok(())
        }
    }

    /// Commits what is open; when it returns, it is on the disk.
    pub fn commit(&mut self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            Ok(())
        } else {
            self.changes.flush(&self.connection)?;
            let changed = self.connection.total_changes() != self.changes_before;
            COMMIT.time(|| self.connection.execute_batch("COMMIT"))?;
            if changed {
                self.changes_before = self.connection.total_changes();
                self.commits.send_modify(|commits| *commits += 1);
            }
            Ok(())
        }
    }

    /// Takes back what is open.
    pub fn roll_back(&mut self) {
        self.changes.forget();
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            log::error!(cause = error.to_string(); "cannot take back a failed step");
        }
    }

    /// Keeps a reserve on the disk from now on.
    pub fn set_reserve(&mut self, reserve: Reserve) {
        self.reserve = Some(reserve);
        self.keep_reserve();
    }

    /// Makes the reserve again where it was given up and there is room.
    pub fn keep_reserve(&mut self) {
        if let Some(reserve) = &mut self.reserve {
            reserve.keep();
        }
    }

    /// Gives the reserve up when that helps against an error.
    fn make_room(&mut self, error: &anyhow::Error) {
        if let Some(reserve) = &mut self.reserve {
            self.has_made_room |= reserve.give_up(error, Some(&self.connection));
        }
    }

    /// Whether the reserve was given up since this was last asked: it is worth trying again at once.
    pub fn take_made_room(&mut self) -> bool {
        std::mem::take(&mut self.has_made_room)
    }

    /// Changes the MQTT face.
    pub fn set_face(&mut self, face: Option<outbox::Face>) {
        self.face = face;
    }

    /// Writes a step into the open transaction.
    pub fn write(&mut self, step: &Step) -> anyhow::Result<()> {
        self.insert_rows(&step.rows)?;
        self.write_transitions(step)?;
        self.write_figures(&step.effects)?;
        if let Some(now) = step.now.filter(|(minute, _)| *minute >= step.news_from) {
            self.settle_flood(now.0, now.1)?;
        }
        self.write_checkpoints(&step.effects.checkpoints)?;
        self.save_logging(&step.logging)?;
        if let Some(record) = &step.file {
            self.save_file(record)?;
            if step.from_line > 0 {
                self.forget_rejects(&record.path, step.from_line)?;
            }
            for reject in &step.rejects {
                self.save_reject(&record.path, reject)?;
            }
        }
        Ok(())
    }
}

/// Opens a store for reading only.
pub fn open_read_only(path: &Path) -> anyhow::Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| {
            match why_closed(path) {
                Some(why) => anyhow!("cannot open the store {}: {why}", path.display()),
                None => anyhow::Error::from(error)
                    .context(format!("cannot open the store {}", path.display())),
            }
        })?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

/// Why a store cannot be opened, where SQLite itself tells no more than a number.
fn why_closed(path: &Path) -> Option<&'static str> {
    // Its file must not be opened for that: closing it again would drop the locks that others of this process hold.
    match access(path, Access::READ_OK) {
        Err(Errno::NOENT) => Some("it is not there yet; the daemon makes it at its first start"),
        Err(Errno::ACCESS) => Some("it is for its owner and for root: run this with sudo"),
        _ => None,
    }
}

/// Writes local times, remembering the date: a day's rows share it.
#[derive(Debug, Default)]
struct Texts {
    day: Option<Day>,
    text: [u8; 19],
}

impl Texts {
    /// `YYYY-MM-DD HH:MM:SS` of a local minute.
    fn local(&mut self, local: LocalMinute) -> &str {
        let at = crate::calendar::Local { minute: local };
        if self.day != Some(at.day()) {
            let date = date_text(at.day());
            self.text[..10].copy_from_slice(&date.as_bytes()[..10]);
            self.text[10..].copy_from_slice(b" 00:00:00");
            self.day = Some(at.day());
        }
        let (hour, minute) = (at.hour() as u8, (at.minute_of_day() % 60) as u8);
        self.text[11..13].copy_from_slice(&[b'0' + hour / 10, b'0' + hour % 10]);
        self.text[14..16].copy_from_slice(&[b'0' + minute / 10, b'0' + minute % 10]);
        std::str::from_utf8(&self.text).expect("digits and separators")
    }
}

/// How often the model tests try: seldom in the test command, as often as `PROPTEST_CASES` says where that is set.
#[cfg(test)]
fn model_config() -> proptest::prelude::ProptestConfig {
    use proptest::prelude::ProptestConfig;
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(24),
    }
}
