//! A PostgreSQL server of the test's own, which can be killed, stopped, started again and set back to a backup.
//!
//! The superuser `postgres` needs no password; everybody else does (scram-sha-256). PostgreSQL refuses to run as root,
//! so for root it runs as Debian's user `postgres`.

use std::{
    fs::{self, File, Permissions},
    io::ErrorKind,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
    time::Duration,
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::{
    binary,
    certificates::ServerCertificate,
    ports::free_port,
    waiting::{DEADLINE, until, within},
};

/// Connections at once, of all databases.
const CONNECTIONS_MAX: u32 = 300;
/// How long an immediate shutdown may take before the server is killed.
const IMMEDIATE_MAX: Duration = Duration::from_secs(10);
/// Ports tried until one is still free when the server takes it.
const PORTS_TRIED_MAX: u32 = 5;
/// The data folder in the folder of a server.
const DATA: &str = "data";

/// A server. Dropped, it ends at once and its folder goes.
pub struct Postgres {
    folder: TempDir,
    port: u16,
    postmaster: Option<Child>,
}

/// How a server is set up.
pub struct Setup<'a> {
    /// Whether a commit is on the disk when it returns. Without, bulk loads are faster, and a server that is killed
    /// still loses nothing that the kernel has.
    pub fsync: bool,
    /// The certificate to answer with. With one, users other than the superuser get in over TLS only.
    pub tls: Option<&'a ServerCertificate>,
    /// Further lines of `postgresql.conf`.
    pub settings: &'a str,
}

impl Default for Setup<'_> {
    fn default() -> Self {
        Self {
            fsync: true,
            tls: None,
            settings: "",
        }
    }
}

/// A copy of a data folder.
pub struct Backup {
    folder: TempDir,
}

impl Postgres {
    /// A server as a plant's central one is set up.
    pub fn start() -> Self {
        Self::start_with(&Setup::default())
    }

    /// A server that takes users over TLS only.
    pub fn start_with_tls(certificate: &ServerCertificate) -> Self {
        Self::start_with(&Setup {
            tls: Some(certificate),
            ..Setup::default()
        })
    }

    /// A server for much data that need not survive a power cut.
    pub fn start_for_bulk() -> Self {
        Self::start_with(&Setup {
            fsync: false,
            ..Setup::default()
        })
    }

    /// A server.
    pub fn start_with(setup: &Setup<'_>) -> Self {
        let folder = reachable_folder();
        copy(template(), &folder.path().join(DATA));
        let mut server = Self {
            folder,
            port: 0,
            postmaster: None,
        };
        for _ in 0..PORTS_TRIED_MAX {
            server.port = free_port();
            server.configure(setup);
            match server.launch() {
                Ok(()) => return server,
                // Somebody was faster.
                Err(log) if log.contains("Address already in use") => {}
                Err(log) => panic!("PostgreSQL does not start: {log}"),
            }
        }
        panic!("no port stays free");
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where a user reaches a database.
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!(
            "postgres://{}:{}@127.0.0.1:{}/{}",
            escaped(user),
            escaped(password),
            self.port,
            escaped(database)
        )
    }

    /// Where the superuser reaches a database.
    pub fn superuser_url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{}",
            self.port,
            escaped(database)
        )
    }

    /// Sets up the schema and a site's login as docs/delivery.md says; the file with its password counts from the folder.
    #[track_caller]
    pub fn admit(&self, database: &str, site: &str, folder: &Path, password_file: &str) {
        let url = self.superuser_url(database);
        let site = ["--site", site, "--site-password-file", password_file];
        let arguments = [&["central", "init", "--url", &url], &site[..]].concat();
        let done = binary::run(folder, &arguments);
        assert!(done.status.success(), "{done:?}");
    }

    /// Runs statements as the superuser; the rows, cells joined by `|`.
    ///
    /// # Panics
    /// When the server refuses one.
    #[track_caller]
    pub fn sql(&self, database: &str, statement: &str) -> String {
        self.try_sql(database, statement)
            .unwrap_or_else(|error| panic!("{statement}: {error}"))
    }

    /// Runs statements as the superuser; the rows, or what the server says against it.
    pub fn try_sql(&self, database: &str, statement: &str) -> Result<String, String> {
        psql(&self.superuser_url(database), statement)
    }

    /// Creates a database.
    pub fn create_database(&self, name: &str) {
        let quoted = name.replace('"', "\"\"");
        self.sql("postgres", &format!("CREATE DATABASE \"{quoted}\""));
    }

    /// What the server has written to its log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Kills the postmaster and all its children at once, as the kernel does when memory is short.
    pub fn kill(&mut self) {
        if let Some(postmaster) = self.postmaster.take() {
            let children = kill_all(postmaster);
            until("the server's processes are gone", || {
                children.iter().all(|&child| is_gone(child)).then_some(())
            });
        }
    }

    /// Ends the server as an operator does: sessions are cut, everything is written, the files are closed.
    pub fn stop(&mut self) {
        let Some(mut postmaster) = self.postmaster.take() else {
            return;
        };
        kill_process(Pid::from_child(&postmaster), Signal::INT).expect("signalled");
        let ended = within(DEADLINE, || postmaster.try_wait().expect("waited"));
        let Some(status) = ended else {
            kill_all(postmaster);
            panic!("PostgreSQL does not stop: {}", self.log());
        };
        assert!(status.success(), "it stopped with {status}: {}", self.log());
    }

    /// Starts the server again on the same port and folder, and waits until it answers. One that runs is stopped first.
    pub fn restart(&mut self) {
        self.stop();
        if let Err(log) = self.launch() {
            panic!("PostgreSQL does not start again: {log}");
        }
    }

    /// Copies the data folder. A server that runs is stopped for it and started again.
    pub fn backup(&mut self) -> Backup {
        let runs = self.postmaster.is_some();
        self.stop();
        let folder = TempDir::with_prefix("pumphouse-backup-").expect("a folder");
        copy(&self.data(), &folder.path().join(DATA));
        if runs {
            self.restart();
        }
        Backup { folder }
    }

    /// Sets the server back to a backup: it forgets everything since. One that runs is killed for it and started again.
    pub fn restore(&mut self, backup: &Backup) {
        let runs = self.postmaster.is_some();
        self.kill();
        self.forget_memory();
        fs::remove_dir_all(self.data()).expect("the data folder goes");
        copy(&backup.folder.path().join(DATA), &self.data());
        if runs {
            self.restart();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join(DATA)
    }

    fn configure(&self, setup: &Setup<'_>) {
        let data = self.data();
        let secure = if setup.tls.is_some() {
            "hostssl"
        } else {
            "host"
        };
        write_owned(
            &data.join("pg_hba.conf"),
            format!(
                "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\n\
                 {secure} all all 127.0.0.1/32 scram-sha-256\n"
            )
            .as_bytes(),
        );
        if let Some(certificate) = setup.tls {
            for (from, to) in [
                (&certificate.certificate, "server.crt"),
                (&certificate.key, "server.key"),
            ] {
                let bytes = fs::read(from).expect("a certificate and its key");
                write_owned(&data.join(to), &bytes);
            }
        }
        let on_or_off = |on| if on { "on" } else { "off" };
        write_owned(
            &data.join("postgresql.conf"),
            format!(
                "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n\
                 max_connections = {CONNECTIONS_MAX}\npassword_encryption = 'scram-sha-256'\nfsync = {}\nssl = {}\n\
                 shared_buffers = '32MB'\nhuge_pages = off\ndynamic_shared_memory_type = 'mmap'\n\
                 timezone = 'UTC'\nlog_timezone = 'UTC'\nlog_line_prefix = '%m [%p] %u@%d '\n{}\n",
                self.port,
                data.display(),
                on_or_off(setup.fsync),
                on_or_off(setup.tls.is_some()),
                setup.settings
            )
            .as_bytes(),
        );
    }

    /// Starts the postmaster and waits until it answers; its log when it ends instead.
    fn launch(&mut self) -> Result<(), String> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .expect("a log");
        let mut postmaster = unprivileged(&program("postgres"))
            .arg("-D")
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("setpriv or postgres starts");
        let pid = postmaster.id().to_string();
        let answers = within(DEADLINE, || {
            if postmaster.try_wait().expect("waited").is_some() {
                return Some(false);
            }
            let status = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
            let mut lines = status.lines();
            // Its process in the first line, how far it is in the eighth.
            (lines.next() == Some(&pid) && lines.nth(6)?.trim() == "ready").then_some(true)
        });
        match answers {
            Some(true) => {
                self.postmaster = Some(postmaster);
                Ok(())
            }
            Some(false) => Err(self.log()),
            None => {
                kill_all(postmaster);
                Err(format!("no answer in time: {}", self.log()))
            }
        }
    }

    /// Gives back the shared memory that a killed server has left, as its next start would.
    fn forget_memory(&self) {
        let status = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        // Key and id in the seventh line.
        let memory = status
            .lines()
            .nth(6)
            .and_then(|line| line.split_whitespace().nth(1));
        if let Some(id) = memory {
            // It may be gone.
            let _ = Command::new("ipcrm")
                .args(["-m", id])
                .stderr(Stdio::null())
                .status();
        }
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut postmaster) = self.postmaster.take() {
            // Immediate: it writes nothing more, and gives back its memory.
            let _ = kill_process(Pid::from_child(&postmaster), Signal::QUIT);
            if within(IMMEDIATE_MAX, || postmaster.try_wait().ok().flatten()).is_none() {
                kill_all(postmaster);
            }
        }
        self.forget_memory();
    }
}

/// Runs statements as whoever the URL names; the rows, cells joined by `|`, or what the server says against it.
pub fn psql(url: &str, statement: &str) -> Result<String, String> {
    let mut command = plain(&program("psql"));
    command
        .args(["-X", "-v", "ON_ERROR_STOP=1", "-Atqc", statement, url])
        .env("PGCONNECT_TIMEOUT", "10");
    let output = command.output().expect("psql starts");
    if output.status.success() {
        let rows = String::from_utf8(output.stdout).expect("UTF-8");
        Ok(rows.trim_end_matches('\n').to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Kills a postmaster and its children; their ids.
fn kill_all(mut postmaster: Child) -> Vec<Pid> {
    let pid = Pid::from_child(&postmaster);
    // Stopped, it neither starts children nor sees them die, so all end as if at once.
    let _ = kill_process(pid, Signal::STOP);
    within(DEADLINE, || {
        state(pid)
            .is_none_or(|(state, _)| matches!(state, 'T' | 'Z'))
            .then_some(())
    });
    let children: Vec<Pid> = fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .filter(|&child| {
            state(child).is_some_and(|(_, parent)| parent == pid.as_raw_nonzero().get())
        })
        .collect();
    for &process in children.iter().chain([&pid]) {
        // It may have ended by itself.
        let _ = kill_process(process, Signal::KILL);
    }
    let _ = postmaster.wait();
    children
}

/// Whether a process has ended; nobody may have asked for its status yet.
fn is_gone(process: Pid) -> bool {
    state(process).is_none_or(|(state, _)| state == 'Z')
}

/// A process's state and parent.
fn state(process: Pid) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.as_raw_nonzero())).ok()?;
    // The name before may hold anything but ends with the last parenthesis.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// A data folder fresh from `initdb`, made once for all tests: copying it takes a tenth of the time.
fn template() -> &'static Path {
    static TEMPLATE: OnceLock<PathBuf> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let output = plain(&program("postgres")).arg("--version").output();
        let output = output.expect("postgres starts");
        let version: String = String::from_utf8_lossy(&output.stdout)
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let name = format!("{}-{}", version.trim_matches('-'), geteuid().as_raw());
        let template = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        if !template.exists() {
            let folder = reachable_folder();
            let data = folder.path().join(DATA);
            let mut initdb = unprivileged(&program("initdb"));
            initdb.args(["--encoding=UTF8", "--locale=C", "--auth=trust"]);
            initdb.args(["--username=postgres", "--no-sync", "-D"]);
            succeed(initdb.arg(&data));
            // Copied beside and renamed, so that it is there as a whole or not at all.
            let beside = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
            copy(&data, &beside.path().join(DATA));
            match fs::rename(beside.path().join(DATA), &template) {
                Ok(()) => {}
                // Another test binary was faster.
                Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {}
                Err(error) => panic!("cannot keep {}: {error}", template.display()),
            }
        }
        template
    })
}

/// A folder that the server's user owns and can reach.
fn reachable_folder() -> TempDir {
    let folder = TempDir::with_prefix("pumphouse-postgres-").expect("a folder");
    if geteuid().is_root() {
        succeed(Command::new("chown").arg("postgres:").arg(folder.path()));
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("made reachable");
    }
    folder
}

/// Writes a file that belongs to the owner of its folder.
fn write_owned(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
    fs::set_permissions(path, Permissions::from_mode(0o600)).expect("made private");
    let owner = fs::metadata(path.parent().expect("a folder")).expect("an owner");
    chown(path, Some(owner.uid()), Some(owner.gid())).expect("given to its owner");
}

fn copy(from: &Path, to: &Path) {
    succeed(
        Command::new("cp")
            .args(["-a", "--reflink=auto"])
            .args([from, to]),
    );
}

#[track_caller]
fn succeed(command: &mut Command) {
    let output: Output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A program of PostgreSQL, run as whoever may run a server.
fn unprivileged(program: &Path) -> Command {
    if !geteuid().is_root() {
        return plain(program);
    }
    let mut command = plain(Path::new("setpriv"));
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups"])
        .arg(program);
    command
}

/// A program that hears nothing of what the environment says to PostgreSQL's programs.
fn plain(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// Where a program of PostgreSQL lies.
fn program(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(program_folder).join(name)
}

/// The folder of the programs: as the environment says, the newest of Debian's, or on the path.
fn program_folder() -> PathBuf {
    if let Some(folder) = std::env::var_os("PUMPHOUSE_TEST_PG_BIN") {
        return folder.into();
    }
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let version = path.file_name()?.to_str()?.parse().ok()?;
            Some((version, path.join("bin")))
        })
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    versions
        .into_iter()
        .rev()
        .map(|(_, folder)| folder)
        .chain(std::env::split_paths(&path))
        .find(|folder| {
            ["postgres", "initdb", "psql"]
                .iter()
                .all(|name| folder.join(name).exists())
        })
        .expect("PostgreSQL is needed: apt-get install postgresql, or name its folder in PUMPHOUSE_TEST_PG_BIN")
}

/// A part of a URL.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
