//! `pumphouse support-bundle`: all that somebody elsewhere needs to understand what is wrong, and no secret.

use std::{
    collections::{BTreeSet, VecDeque},
    fmt::Write as _,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::Context;
use flate2::{Compression, write::GzEncoder};
use toml::{Table, Value};

use super::{ConfigFile, print_text};
use crate::{
    calendar::{date_text, utc_text},
    clock::Clock,
    config::{Config, Fault},
};

/// The most that one file of the bundle holds, bytes; of more, the end.
const PART_BYTES_MAX: usize = 4 << 20;
/// Lines of the log.
const LOG_LINES: &str = "20000";
/// Days of alerts.
const DAYS: i64 = 30;
/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";
/// Settings in an address that are no secrets: of a database's connection and of a serial line.
const HARMLESS: [&str; 6] = [
    "sslmode",
    "application_name",
    "options",
    "baud",
    "parity",
    "stop",
];
/// The shortest text that is looked for and taken out: a shorter one stands everywhere.
const SECRET_BYTES_MIN: usize = 4;

/// Gather what somebody elsewhere needs to understand what is wrong
///
/// A .tar.gz with the config, the reports of check, status, doctor, quality, alarms, models and rules, the log, recent alerts, what was
/// rejected, and facts about the machine. It has no measured values beyond those in alerts and rejects, and no secret: passwords and
/// tokens are taken out of the config, and what stands in the files of secrets is looked for in everything else. Run it as root, who
/// may read the log and those files.
#[derive(clap::Args)]
pub struct SupportBundle {
    #[command(flatten)]
    config: ConfigFile,
    /// The file, which must not be there yet; default: pumphouse-support-<time>.tar.gz in this folder
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl SupportBundle {
    pub fn run(self) -> anyhow::Result<()> {
        // Not the config as it is believed: one that cannot be believed is what the bundle may be about.
        let path = &self.config.config;
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let now = Clock::Wall.minute();
        let name = format!("pumphouse-support-{}", utc_text(now).replace(':', ""));
        let out = self
            .out
            .clone()
            .unwrap_or_else(|| format!("{name}.tar.gz").into());
        let file =
            File::create_new(&out).with_context(|| format!("cannot create {}", out.display()))?;

        let mut bundle = Bundle {
            archive: tar::Builder::new(GzEncoder::new(file, Compression::default())),
            name,
            secrets: Secrets::default(),
            told: String::new(),
        };
        let written = bundle.fill(path, &text, now).and_then(|()| {
            let told = std::mem::take(&mut bundle.told);
            bundle.archive.into_inner()?.finish()?.sync_all()?;
            Ok(told)
        });
        match written {
            Ok(told) => print_text(&format!(
                "{told}\n{} is written. Look through it before you send it.\n",
                out.display()
            )),
            Err(error) => {
                // Half a bundle is none.
                let _ = fs::remove_file(&out);
                Err(error)
            }
        }
    }
}

struct Bundle {
    archive: tar::Builder<GzEncoder<File>>,
    name: String,
    secrets: Secrets,
    told: String,
}

impl Bundle {
    fn fill(&mut self, path: &Path, text: &str, now: i64) -> anyhow::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let config = match text.parse::<Table>() {
            Ok(mut table) => {
                let unknown = unknown_keys(text, folder);
                self.secrets.take_from(&mut table, folder, "", &unknown);
                toml::to_string(&table)?
            }
            // Nothing of it is safe to show but where it is wrong; check says so.
            Err(_) => "# It is no TOML; check.txt says where.\n".to_owned(),
        };
        self.add("config.toml", config)?;
        let from = date_text((now - DAYS * 1440).div_euclid(1440));
        let config = path.to_string_lossy();
        let verbs: [(&str, &[&str]); 10] = [
            ("check.txt", &["check"]),
            ("status.json", &["status", "--json"]),
            ("doctor.txt", &["doctor"]),
            ("quality.txt", &["quality", "--days", "90"]),
            ("alarms.txt", &["alarms", "--days", "30"]),
            ("models.txt", &["models", "list"]),
            ("rules.txt", &["rules"]),
            (
                "alerts.csv",
                &["export", "--table", "alerts_log", "--from", &from],
            ),
            ("data_quality.csv", &["export", "--table", "data_quality"]),
            ("rejects.csv", &["export", "--table", "ingest_rejects"]),
        ];
        let itself = std::env::current_exe()?;
        for (name, verb) in verbs {
            let mut command = Command::new(&itself);
            self.add_output(name, command.args(verb).args(["--config", &config]))?;
        }
        let mut log = Command::new("journalctl");
        log.args([
            "--no-pager",
            "--quiet",
            "--output=short-iso",
            "--lines",
            LOG_LINES,
        ]);
        for unit in ["pumphouse", "pumphouse-backup", "pumphouse-retrain"] {
            log.args(["--unit", unit]);
        }
        self.add_output("log.txt", &mut log)?;
        let mut unit = Command::new("systemctl");
        let unit = said(unit.args(["--no-pager", "cat", "pumphouse"]));
        self.add("unit.txt", without_values(&unit))?;
        self.add("machine.txt", machine())?;
        self.add("files.txt", files(folder))
    }

    fn add_output(&mut self, name: &str, command: &mut Command) -> anyhow::Result<()> {
        self.add(name, said(command))
    }

    fn add(&mut self, name: &str, text: String) -> anyhow::Result<()> {
        let text = self.secrets.hide(text);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(Clock::Wall.now_s().max(0) as u64);
        let place = format!("{}/{name}", self.name);
        self.archive
            .append_data(&mut header, place, text.as_bytes())?;
        writeln!(self.told, "{:>9}  {name}", text.len())?;
        Ok(())
    }
}

/// The end of what a program says, or why it cannot be asked.
fn said(command: &mut Command) -> String {
    output(command).unwrap_or_else(|error| {
        let program = command.get_program().display();
        format!("{program} cannot be run: {error}\n")
    })
}

/// A unit without the values that somebody may have put into it.
fn without_values(unit: &str) -> String {
    let mut shown = String::new();
    // A value goes on behind a backslash, whatever comments lie in between.
    let mut is_value = false;
    for line in unit.lines() {
        let is_comment = line.trim_start().starts_with(['#', ';']);
        let goes_on = line.ends_with('\\');
        if is_value && !is_comment {
            is_value = goes_on;
            continue;
        }
        match line.split_once('=').map(|(key, _)| key.trim()) {
            Some(key @ ("Environment" | "SetCredential" | "SetCredentialEncrypted")) => {
                shown += &format!("{key}={HIDDEN}\n");
                is_value = goes_on;
            }
            _ => {
                shown += line;
                shown.push('\n');
            }
        }
    }
    shown
}

fn output(command: &mut Command) -> std::io::Result<String> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let errors = child.stderr.take();
    let errors = std::thread::spawn(move || errors.map(end).transpose());
    let said = child
        .stdout
        .take()
        .map(end)
        .transpose()?
        .unwrap_or_default();
    let complained = errors.join().ok().and_then(Result::ok).flatten();
    child.wait()?;
    Ok(said + &complained.unwrap_or_default())
}

fn end(mut from: impl Read) -> std::io::Result<String> {
    let mut kept: VecDeque<u8> = VecDeque::new();
    let mut piece = [0; 1 << 16];
    loop {
        let length = from.read(&mut piece)?;
        if length == 0 {
            break;
        }
        kept.extend(&piece[..length]);
        let more = kept.len().saturating_sub(PART_BYTES_MAX);
        kept.drain(..more);
    }
    Ok(String::from_utf8_lossy(kept.make_contiguous()).into_owned())
}

/// Facts about the machine.
fn machine() -> String {
    let mut text = format!(
        "pumphouse {}, SQLite {}\n",
        env!("CARGO_PKG_VERSION"),
        rusqlite::version()
    );
    for place in [
        "/proc/version",
        "/etc/os-release",
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/meminfo",
        "/proc/mounts",
        "/etc/timezone",
    ] {
        let found = fs::read_to_string(place).unwrap_or_else(|error| format!("{error}\n"));
        let _ = write!(text, "\n== {place}\n{found}");
    }
    let mut clock = Command::new("timedatectl");
    let _ = write!(text, "\n== timedatectl\n{}", said(&mut clock));
    text
}

/// Names, owners, permissions and sizes of what lies beside the config and where a packaged service writes.
fn files(folder: &Path) -> String {
    let mut list = Command::new("ls");
    list.args(["-lnR", "--time-style=full-iso"]).arg(folder);
    let state = Path::new("/var/lib/pumphouse");
    if state.exists() && !state.starts_with(folder) {
        list.arg(state);
    }
    said(&mut list)
}

/// The places of keys that a config should not have: misspelt ones, whose values may be anything.
fn unknown_keys(text: &str, folder: &Path) -> BTreeSet<String> {
    let faults = Config::parse(text, folder).err().unwrap_or_default();
    let unknown = faults.into_iter().filter(Fault::is_unknown_key);
    unknown.map(|fault| fault.place).collect()
}

/// What must not be seen.
#[derive(Default)]
struct Secrets(Vec<String>);

impl Secrets {
    /// Takes the secrets out of a config's section at a place, and knows from then on what stands in the files that it names. Of
    /// `unknown` keys nobody knows what they hold.
    fn take_from(
        &mut self,
        table: &mut Table,
        folder: &Path,
        place: &str,
        unknown: &BTreeSet<String>,
    ) {
        for (key, value) in table.iter_mut() {
            let place = match place {
                "" => key.clone(),
                place => format!("{place}.{key}"),
            };
            match value {
                value if unknown.contains(&place) => self.take_value(value),
                Value::Table(section) => self.take_from(section, folder, &place, unknown),
                Value::String(text) if key.ends_with("_file") => self.read(&folder.join(&*text)),
                Value::String(text) if key.ends_with("url") => {
                    *text = self.without_secrets(text, key.contains("webhook"));
                }
                Value::Array(values) if key == "command" => {
                    for argument in values.iter_mut().skip(1) {
                        self.take_value(argument);
                    }
                }
                value if key == "command" || is_secret(key) => self.take_value(value),
                Value::Array(values) => {
                    for (index, value) in values.iter_mut().enumerate() {
                        if let Value::Table(section) = value {
                            let place = format!("{place}[{index}]");
                            self.take_from(section, folder, &place, unknown);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn take_value(&mut self, value: &mut Value) {
        match value {
            Value::Array(values) => values.iter_mut().for_each(|value| self.take_value(value)),
            Value::Table(table) => table
                .iter_mut()
                .for_each(|(_, value)| self.take_value(value)),
            Value::String(text) => self.know(text),
            _ => self.know(&value.to_string()),
        }
        *value = HIDDEN.into();
    }

    fn know(&mut self, secret: &str) {
        let secret = secret.trim();
        if secret.len() >= SECRET_BYTES_MIN {
            self.0.push(secret.to_owned());
            // The longest first: one may be the beginning of another.
            self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        }
    }

    /// Each line of a file may be a secret by itself, or the user and the hash of one.
    fn read(&mut self, path: &Path) {
        let Ok(text) = fs::read_to_string(path) else {
            return;
        };
        // A certificate is for everybody.
        let is_key = !text.contains("-----BEGIN") || text.contains("PRIVATE KEY");
        for line in text.lines().filter(|_| is_key) {
            self.know(line);
            if let Some((_, secret)) = line.split_once([':', '=']) {
                self.know(secret);
            }
        }
    }

    /// An address without passwords; of a webhook, whose path can be the secret, host and user alone.
    fn without_secrets(&mut self, url: &str, is_webhook: bool) -> String {
        let Some((scheme, rest)) = url.split_once("://") else {
            return url.to_owned();
        };
        let cut = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(cut);
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = user.split_once(':').unwrap_or((user, ""));
        self.know(password);
        let mut shown = format!("{scheme}://");
        if !user.is_empty() {
            let _ = write!(shown, "{user}@");
        }
        shown.push_str(host);
        if is_webhook && path.len() > 1 {
            self.know(path);
            let _ = write!(shown, "/{HIDDEN}");
            return shown;
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        shown.push_str(path);
        for (place, pair) in query
            .split('&')
            .enumerate()
            .filter(|(_, pair)| !pair.is_empty())
        {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            shown.push(if place == 0 { '?' } else { '&' });
            if HARMLESS.contains(&name) {
                shown.push_str(pair);
            } else {
                self.know(value);
                let _ = write!(shown, "{name}={HIDDEN}");
            }
        }
        shown
    }

    /// The text without any of them.
    fn hide(&self, mut text: String) -> String {
        for secret in &self.0 {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), HIDDEN);
            }
        }
        text
    }
}

/// Whether a key's own value is a secret, also one that no config of ours has.
fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    [
        "password",
        "passwd",
        "secret",
        "token",
        "api_key",
        "apikey",
        "credential",
    ]
    .iter()
    .any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_who_and_where() {
        for (url, is_webhook, shown) in [
            ("mqtt://127.0.0.1:1883", false, "mqtt://127.0.0.1:1883"),
            (
                "postgres://stp-01:pass-word@db.example:5432/pumphouse?password=pass-word&sslmode=require",
                false,
                "postgres://stp-01@db.example:5432/pumphouse?password=(hidden)&sslmode=require",
            ),
            (
                "https://hooks.example/T0/B0/xyz?a=b",
                true,
                "https://hooks.example/(hidden)",
            ),
            (
                "https://user:pa@ss@hooks.example/",
                true,
                "https://user@hooks.example/",
            ),
            (
                "rtu:///dev/ttyUSB0?baud=19200",
                false,
                "rtu:///dev/ttyUSB0?baud=19200",
            ),
            (
                "http://127.0.0.1:8081/v1",
                false,
                "http://127.0.0.1:8081/v1",
            ),
            ("nonsense", false, "nonsense"),
        ] {
            assert_eq!(
                Secrets::default().without_secrets(url, is_webhook),
                shown,
                "{url}"
            );
        }
    }

    #[test]
    fn values_of_a_unit_are_hidden_on_all_their_lines() {
        let unit = "[Service]\nEnvironment=\"USER=x\" \\\n  # a word\n  \"TOKEN=hunter-1\" \\\n  \"MORE=hunter-2\"\nNice=5\n\
                    Environment = hunter-3\nSetCredential=a:hunter-4\nExecStart=/usr/bin/true \\\n  --quiet\n";
        let shown = without_values(unit);
        assert!(!shown.contains("hunter"), "{shown}");
        assert!(
            shown.contains("\nNice=5\n") && shown.contains("\n  --quiet\n"),
            "{shown}"
        );
    }

    #[test]
    fn what_nobody_knows_is_not_shown() {
        let text = "[site]\nid = \"stp-01\"\n[mqtt]\npasword = \"hunter-2\"\npass = [\"hunter-3\"]\n[notify]\ncommand = \"call --key hunter-4\"\n\
                    token = [\"hunter-5\"]\n[storrage]\npath = \"hunter-6\"\n[[modbus.registers]]\nkey = \"hunter-7\"\n\
                    [assistant]\nurl = \"https://host/v1?key=hunter-8\"\n";
        let mut table: Table = text.parse().expect("TOML");
        let unknown = unknown_keys(text, Path::new("."));
        let mut secrets = Secrets::default();
        secrets.take_from(&mut table, Path::new("."), "", &unknown);
        let shown = toml::to_string(&table).expect("TOML");
        assert!(
            !shown.contains("hunter") && shown.contains("stp-01"),
            "{shown}"
        );
        let log =
            "took hunter-2, hunter-3, call --key hunter-4, hunter-5, hunter-6, hunter-7, hunter-8";
        assert!(!secrets.hide(log.into()).contains("hunter"));
    }

    #[test]
    fn what_was_taken_out_is_found_elsewhere_too() {
        let mut secrets = Secrets::default();
        let mut table: Table = "[a]\npassword = \"long secret\"\ncommand = [\"call\", \"--key\", \"long secret and more\"]\n"
            .parse()
            .expect("TOML");
        secrets.take_from(&mut table, Path::new("."), "", &BTreeSet::new());
        let shown = toml::to_string(&table).expect("TOML");
        assert!(!shown.contains("long") && shown.contains("call"), "{shown}");
        let log = "asked with long secret and more, then with long secret".to_owned();
        assert_eq!(secrets.hide(log), "asked with (hidden), then with (hidden)");
    }
}
