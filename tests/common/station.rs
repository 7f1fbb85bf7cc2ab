//! A folder with config, exports and store, and the daemon that works in it.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use pumphouse::{calendar, clock::Clock, tags::TAG_NAMES};
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use tempfile::TempDir;

use super::{
    shipped::environment,
    waiting::{DEADLINE, until},
};

/// One minute of the test's station.
#[derive(Clone)]
pub struct Row {
    pub on: [u8; 6],
    pub power_kw: [f64; 6],
    pub flow: f64,
    pub level: f64,
}

/// The exports of a station with P1 and P2 running, minute by minute.
pub struct Tape<'a> {
    folder: &'a Folder,
    next_min: i64,
    rows: u64,
}

impl Tape<'_> {
    /// Rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The next minute's lines, not written.
    pub fn skip(&mut self, change: impl Fn(&mut Row)) -> Vec<u8> {
        let wobble = (self.next_min % 7) as f64;
        let mut row = Row {
            on: [1, 1, 0, 0, 0, 0],
            power_kw: [46.0 + wobble / 10.0, 45.0, 0.0, 0.0, 0.0, 0.0],
            flow: 480.0 + wobble,
            level: 80.0 + wobble / 10.0,
        };
        change(&mut row);
        let time = calendar::text(self.next_min);
        let total = (self.next_min % 1440) as f64 * 8.0;
        let mut values = vec![total, row.flow, row.level];
        values.extend(row.on.map(f64::from));
        values.extend(row.power_kw);
        values.extend((0..6).flat_map(|_| [1000.0, (self.next_min % 60) as f64]));
        self.next_min += 1;
        values
            .iter()
            .enumerate()
            .flat_map(|(tag, value)| format!("{time},S,{tag},{value}\n").into_bytes())
            .collect()
    }

    /// Writes minutes to `day.csv`.
    pub fn write(&mut self, minutes: u64, change: impl Fn(&mut Row)) {
        for _ in 0..minutes {
            let lines = self.skip(&change);
            self.folder.append("day.csv", &lines);
        }
        self.rows += minutes;
    }
}

/// A station's folder.
pub struct Folder {
    folder: TempDir,
}

impl Folder {
    pub fn new(name: &str) -> Self {
        let folder = TempDir::with_prefix(format!("pumphouse-{name}-")).expect("a folder");
        fs::create_dir(folder.path().join("exports")).expect("a folder");
        Self { folder }
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("pumphouse.toml")
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("out.db")
    }

    pub fn exports(&self) -> PathBuf {
        self.folder.path().join("exports")
    }

    /// The exports, in the order of their names.
    pub fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.exports()).expect("the exports");
        let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
        files.sort();
        files
    }

    /// Writes a config; `more` are further sections.
    pub fn configure(&self, more: &str) {
        self.configure_site("case", more);
    }

    /// Writes a config of a site.
    pub fn configure_site(&self, site: &str, more: &str) {
        let tags: String = TAG_NAMES
            .iter()
            .enumerate()
            .map(|(index, name)| format!("{index} = \"{name}\"\n"))
            .collect();
        let text = format!(
            "[site]\nid = \"{site}\"\nrated_kw = [55.0, 55.0, 75.0, 75.0, 37.0, 90.0]\nhlt_physical_max = 120.0\n\
             fit101_physical_max = 2000.0\n[storage]\npath = \"out.db\"\n[historian]\nscan_interval_s = 0.1\n\
             [historian.tags]\n{tags}{more}"
        );
        fs::write(self.config(), text).expect("written");
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        // Under another name first, as a careful exporter does.
        let hidden = self.exports().join(format!(".{name}"));
        fs::write(&hidden, bytes).expect("written");
        fs::rename(hidden, self.exports().join(name)).expect("renamed");
    }

    pub fn append(&self, name: &str, bytes: &[u8]) {
        let path = self.exports().join(name);
        let mut file: File = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .expect("opened");
        file.write_all(bytes).expect("written");
    }

    /// A tape whose first `minutes` are written and end now.
    pub fn tape(&self, minutes: u64) -> Tape<'_> {
        self.tape_until(minutes, 0)
    }

    /// A tape whose first `minutes` are written and end `ago_min` ago.
    pub fn tape_until(&self, minutes: u64, ago_min: i64) -> Tape<'_> {
        let next_min = Clock::Wall.minute() - ago_min - minutes as i64 + 1;
        let mut tape = Tape {
            folder: self,
            next_min,
            rows: 0,
        };
        let lines: Vec<u8> = (0..minutes).flat_map(|_| tape.skip(|_| {})).collect();
        self.append("day.csv", &lines);
        tape.rows = minutes;
        tape
    }

    /// Writes days of the simulated station, with faults.
    pub fn simulate(&self, days: u32) {
        self.simulate_seeded(days, 3);
    }

    /// The same by a seed.
    pub fn simulate_seeded(&self, days: u32, seed: u32) {
        let simulated = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
            .args([
                "simulate",
                "--start",
                "2025-03-01",
                "--seed",
                &seed.to_string(),
                "--random-faults",
                "--days",
                &days.to_string(),
            ])
            .arg("--out")
            .arg(self.folder.path().join("simulated"))
            .stdout(Stdio::null())
            .status()
            .expect("the program runs");
        assert!(simulated.success());
        fs::remove_dir(self.exports()).expect("empty");
        fs::rename(self.folder.path().join("simulated/exports"), self.exports()).expect("renamed");
    }

    /// Whether all exports have been read up to their ends.
    pub fn is_read(&self) -> bool {
        let bytes: u64 = fs::read_dir(self.exports())
            .expect("the folder")
            .map(|entry| entry.expect("a file").metadata().expect("its size").len())
            .sum();
        self.try_query("SELECT sum(position) FROM ingest_files") == Some(bytes.to_string())
    }

    pub fn wait_until_read(&self) {
        // A fault script may tear the last line, which then waits for ever: a few bytes may be left.
        until("all exports are read", || self.is_read().then_some(()));
    }

    /// Runs a verb on the config; whether it ended with 0, and what it wrote.
    pub fn verb(&self, arguments: &[&str]) -> (bool, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .output()
            .expect("the program runs");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }

    pub fn run(&self) -> Daemon {
        self.run_under(&[])
    }

    /// Runs the daemon as a user whom a file's permissions bind: root gives up the power to pass them by.
    pub fn run_bound_by_permissions(&self) -> Daemon {
        let binary = env!("CARGO_BIN_EXE_pumphouse");
        let mut command = Command::new(binary);
        if rustix::process::geteuid().is_root() {
            command = Command::new("setpriv");
            command.args(["--bounding-set=-dac_override,-dac_read_search", binary]);
        }
        Daemon::spawn(command, &self.config(), &self.folder.path().join("log"))
    }

    /// Runs the daemon with more in its environment.
    pub fn run_under(&self, environment: &[(&str, &OsStr)]) -> Daemon {
        Daemon::start(&self.config(), &self.folder.path().join("log"), environment)
    }

    #[cfg(feature = "demo-broker")]
    pub fn demo(&self, port: u16) -> Daemon {
        self.demo_with(&[
            "--days",
            "2",
            "--port",
            &port.to_string(),
            "--web-port",
            "0",
        ])
    }

    /// Runs the demo with arguments of the test's own.
    #[cfg(feature = "demo-broker")]
    pub fn demo_with(&self, arguments: &[&str]) -> Daemon {
        let log = File::create(self.folder.path().join("log")).expect("a log");
        let process = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
            .arg("demo")
            .args(arguments)
            .arg("--dir")
            .arg(self.folder.path().join("demo"))
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .expect("the demo starts");
        Daemon {
            process,
            log: self.folder.path().join("log"),
        }
    }

    /// The first value that a query finds; `None` while the store cannot be asked.
    pub fn try_query(&self, sql: &str) -> Option<String> {
        let connection =
            Connection::open_with_flags(self.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        connection.busy_timeout(DEADLINE).ok()?;
        let mut statement = connection.prepare(sql).ok()?;
        let columns = statement.column_count();
        statement
            .query_row([], |row| {
                (0..columns)
                    .map(|column| Ok(cell(row.get_ref(column)?)))
                    .collect::<rusqlite::Result<Vec<_>>>()
            })
            .ok()
            .map(|cells| cells.join("|"))
    }

    /// The first row of a query's answer, cells joined by `|`.
    pub fn query(&self, sql: &str) -> String {
        until(sql, || self.try_query(sql))
    }

    pub fn wait_for_rows(&self, rows: u64) {
        until(&format!("{rows} rows"), || {
            (self.try_query("SELECT count(*) FROM readings_wide") == Some(rows.to_string()))
                .then_some(())
        });
    }
}

/// A cell as text; nothing for none.
pub fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(value) => value.to_string(),
        ValueRef::Real(value) => value.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => format!("{bytes:?}"),
    }
}

/// All rows of the tables that the data decide, by table.
pub fn tables(store: &Path) -> BTreeMap<&'static str, Vec<String>> {
    let connection =
        Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store");
    [
        "readings_wide",
        "pump_sessions",
        "hourly_profile",
        "daily_summary",
        "pump_health",
        "alerts_log",
        "alerts_suppressed",
        "checkpoints",
    ]
    .into_iter()
    .map(|table| {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2"))
            .expect("a table");
        let columns = statement.column_count();
        let rows = statement
            .query_map([], |row| {
                (0..columns)
                    .map(|column| Ok(cell(row.get_ref(column)?)))
                    .collect::<rusqlite::Result<Vec<_>>>()
            })
            .expect("rows");
        (
            table,
            rows.map(|row| row.expect("a row").join("|")).collect(),
        )
    })
    .collect()
}

/// A running daemon; dropped, it is killed.
pub struct Daemon {
    process: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts the daemon; its log goes into a file.
    pub fn start(config: &Path, log: &Path, environment: &[(&str, &OsStr)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pumphouse"));
        command.envs(environment.iter().copied());
        Self::spawn(command, config, log)
    }

    fn spawn(mut command: Command, config: &Path, log: &Path) -> Self {
        let process = command
            .envs(environment())
            .args(["run", "--config"])
            .arg(config)
            .stderr(File::create(log).expect("a log"))
            .stdout(Stdio::null())
            .spawn()
            .expect("the daemon starts");
        Self {
            process,
            log: log.to_path_buf(),
        }
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// How it has ended, if it has: its exit code, none after a signal.
    pub fn ended(&mut self) -> Option<Option<i32>> {
        let status = self.process.try_wait().expect("waited");
        status.map(|status| status.code())
    }
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub fn wait_for_log(&self, text: &str) {
        until(text, || self.log().contains(text).then_some(()));
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let process = rustix::process::Pid::from_child(&self.process);
        // It may have ended by itself; its exit code tells.
        let _ = rustix::process::kill_process(process, signal);
    }

    pub fn hang_up(&self) {
        self.signal(rustix::process::Signal::HUP);
    }

    /// Ends it with SIGTERM; its exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::TERM);
        self.wait()
    }

    /// Ends it as Ctrl-C does; its exit code.
    #[cfg(feature = "demo-broker")]
    pub fn interrupt(&mut self) -> Option<i32> {
        self.signal(rustix::process::Signal::INT);
        self.wait()
    }

    /// Its exit code, when it has ended.
    pub fn wait(&mut self) -> Option<i32> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let ended: Option<ExitStatus> = self.process.try_wait().expect("waited");
            if let Some(status) = ended {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        self.process.wait().expect("ended");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
