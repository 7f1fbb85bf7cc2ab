//! The package on a Debian of its own, booted: what systemd makes of the units, and what is left after each step of a box's life.

mod common;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use common::{
    binary,
    mosquitto::{Mosquitto, Setup},
    mounting::{not_tried, privileged},
    panel::Panel,
    station::{Folder, Tape},
    trainer,
    waiting::{DEADLINE, until, within},
};
use rustix::process::geteuid;
use tempfile::TempDir;

/// The most that the package may weigh, bytes.
const PACKAGE_BYTES_MAX: u64 = 25_000_000;
/// The guide that the box is installed by.
const GUIDE: &str = include_str!("../docs/INSTALL.md");
/// Names the package when it is made already.
const MADE: &str = "PUMPHOUSE_PACKAGE";
/// The password that the broker asks the station for.
const PASSWORD: &str = "a-secret-of-the-broker";
/// The releases that the package is for; the second has a systemd that knows Type=notify-reload.
const RELEASES: [&str; 2] = ["bookworm", "trixie"];
/// What a fresh Debian needs to boot and to take the package.
const DEBIAN: &str = "systemd,systemd-sysv,dbus,libnss-systemd,adduser,python3-venv";
/// The unit without its slower habits; nothing that binds it is touched.
const DROP_IN: &str = "[Service]\nWatchdogSec=4\nRestartSec=1\nLoadCredential=mqtt-password:/etc/pumphouse/mqtt-password\n";
/// Mounts the historian's share as `mount.cifs` would, once the historian answers.
const SHARE: &str = r#"#!/bin/sh
[ -e /srv/historian-answers ] || { echo "could not connect" >&2; exit 32; }
exec mount --rbind /srv/historian "$2"
"#;
/// What is called for a CRITICAL alert: it tries what the daemon's own restrictions must not let it do.
const INTRUDER: &str = r#"#!/bin/sh
exec > /var/lib/pumphouse/intruder.tmp 2> /dev/null
for place in /etc/pumphouse /etc/systemd/system /usr/bin /opt /srv /home /root /boot /dev /mnt/historian/exports; do
    touch "$place/intruder" && echo "wrote into $place"
done
[ -e /proc/1/cmdline ] && echo "sees other processes"
cat /etc/pumphouse/mqtt-password && echo "reads the secret's file"
unshare --user true && echo "made a namespace"
perl -e 'socket(my $s, 16, 3, 0) && print "opened a netlink socket\n"'
perl -e 'socket(my $s, 17, 3, 0) && print "opened a packet socket\n"'
perl -e 'chmod(04755, "/tmp") && print "made something set-uid\n"'
date -s 2000-01-01 > /dev/null && echo "set the clock"
hostname intruded && echo "renamed the box"
: > /tmp/mine && : > /var/lib/pumphouse/mine && echo "writes where it may"
grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\t'
mv /var/lib/pumphouse/intruder.tmp /var/lib/pumphouse/intruder
"#;
/// What it tells of that.
const REFUSED: [&str; 4] = [
    "writes where it may",
    "CapEff:0000000000000000",
    "NoNewPrivs:1",
    "Seccomp:2",
];

/// A Debian in a folder.
struct Debian {
    release: &'static str,
    folder: TempDir,
    boot: Option<Child>,
}

impl Debian {
    /// A minimal one of a release, from where this machine has its packages.
    fn new(release: &'static str) -> Self {
        let folder = TempDir::with_prefix("pumphouse-debian-").expect("a folder");
        let own = fs::read_to_string("/etc/os-release").expect("the machine's release");
        let own = own
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
            .expect("a Debian");
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--quiet", "--variant=minbase"])
            .arg(format!("--include={DEBIAN}"))
            .arg(release)
            .arg(folder.path().join("root"));
        let sources = [
            "/etc/apt/sources.list.d/debian.sources",
            "/etc/apt/sources.list",
        ];
        if let Some(file) = sources.into_iter().find(|file| Path::new(file).exists()) {
            let text = fs::read_to_string(file).expect("the machine's sources");
            let sources = folder
                .path()
                .join(Path::new(file).file_name().expect("a name"));
            fs::write(&sources, text.replace(own, release)).expect("written");
            command.arg(sources);
        }
        run(&mut command);
        Self {
            release,
            folder,
            boot: None,
        }
    }

    /// Where something lies, as this machine sees it.
    fn path(&self, inside: &str) -> PathBuf {
        self.folder
            .path()
            .join("root")
            .join(inside.trim_start_matches('/'))
    }

    /// Switches it on; the exports lie in a folder that is of another machine, and is to be read only.
    fn boot(&mut self, exports: &Path, folder: &str) {
        let console = File::create(self.folder.path().join("console.log")).expect("a log");
        let child = Command::new("systemd-nspawn")
            .args(["--quiet", "--register=no", "--keep-unit", "--boot"])
            .arg("--directory")
            .arg(self.path(""))
            .arg("--bind=/dev/autofs")
            .arg(format!("--bind-ro={}:{folder}", exports.display()))
            .stdin(Stdio::null())
            .stdout(console.try_clone().expect("the log"))
            .stderr(console)
            .spawn();
        self.boot = Some(child.expect("systemd-nspawn starts"));
        until("it has booted", || {
            let (_, state) = self.attempt("systemctl is-system-running");
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
    }

    /// The first of its processes, as this machine sees it.
    fn init(&self) -> Option<String> {
        let outer = self.boot.as_ref()?.id();
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
        children.split_whitespace().next().map(str::to_owned)
    }

    /// A line of shell inside; whether it ended with 0, and all that it said.
    fn attempt(&self, line: &str) -> (bool, String) {
        let Some(init) = self.init() else {
            return (false, String::new());
        };
        let output = Command::new("nsenter")
            .args(["--target", &init, "--all", "--", "/bin/sh", "-c", line])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .stdin(Stdio::null())
            .output()
            .expect("nsenter runs");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }

    /// A line of shell that must go well.
    #[track_caller]
    fn sh(&self, line: &str) -> String {
        let (is_fine, text) = self.attempt(line);
        assert!(is_fine, "{line}: {text}\n{}", self.journal());
        text.trim().to_owned()
    }

    fn journal(&self) -> String {
        self.attempt("journalctl --sync; journalctl --no-pager -o short-monotonic -u pumphouse")
            .1
    }

    /// A property of the service.
    fn service(&self, property: &str) -> String {
        self.sh(&format!("systemctl show --value -p {property} pumphouse"))
    }

    #[track_caller]
    fn wait_for_service(&self, what: &str, is_so: impl Fn() -> bool) {
        let waited = within(DEADLINE, || is_so().then_some(()));
        assert!(waited.is_some(), "in vain: {what}\n{}", self.journal());
    }

    /// Rows of the store that a query counts.
    fn count(&self, sql: &str) -> i64 {
        let store = rusqlite::Connection::open_with_flags(
            self.path("/var/lib/pumphouse/pumphouse.db"),
            rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
        );
        store
            .and_then(|store| store.query_row(sql, [], |row| row.get(0)))
            .unwrap_or(-1)
    }

    /// Rows of minutes.
    fn rows(&self) -> i64 {
        self.count("SELECT count(*) FROM readings_wide")
    }

    /// Switches it off.
    fn shut_down(&mut self) {
        self.attempt("systemctl poweroff");
        let mut boot = self.boot.take().expect("it runs");
        until("it is off", || boot.try_wait().ok().flatten());
    }
}

impl Drop for Debian {
    fn drop(&mut self) {
        let init = self.init();
        if let Some(mut boot) = self.boot.take() {
            if let Some(init) = init {
                let _ = Command::new("kill").args(["-KILL", &init]).status();
            }
            let _ = boot.kill();
            let _ = boot.wait();
        }
    }
}

#[track_caller]
fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// The package of the program that the tests run.
fn package() -> PathBuf {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/package"));
    command.args(["--profile", "dev", "--no-build"]);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG")
            || text.starts_with("CARGO_BIN")
            || text == "CARGO_MANIFEST_DIR"
        {
            command.env_remove(&name);
        }
    }
    let told = run(&mut command);
    PathBuf::from(told.lines().last().expect("the package's name"))
}

/// The same package under another version.
fn as_version(package: &Path, version: &str, folder: &Path) -> PathBuf {
    let (tree, made) = (
        folder.join(version),
        folder.join(format!("pumphouse_{version}.deb")),
    );
    run(Command::new("dpkg-deb")
        .arg("--raw-extract")
        .arg(package)
        .arg(&tree));
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).expect("the control file");
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some(("Version", _)) => format!("Version: {version}\n"),
        _ => format!("{line}\n"),
    });
    fs::write(&control, lines.collect::<String>()).expect("written");
    // What is new in it: a line of the sample config.
    let config = tree.join("etc/pumphouse/pumphouse.toml");
    let mut sample = fs::read_to_string(&config).expect("the sample");
    sample.push_str(&format!("# of {version}\n"));
    fs::write(&config, sample).expect("written");
    run(Command::new("dpkg-deb")
        .args(["--build", "-Zgzip", "-z1"])
        .arg(&tree)
        .arg(&made));
    made
}

/// A config of the box: like the sample of the package, with a broker that wants a password and somebody to call.
fn config(folder: &Folder, broker: u16) -> String {
    folder.configure(&format!(
        "[notify]\ncommand = [\"/usr/local/bin/intruder\"]\n[mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\n\
         username = \"case\"\npassword_file = \"mqtt-password\"\n"
    ));
    let text = fs::read_to_string(folder.config()).expect("the config");
    text.replace("\"out.db\"", "\"/var/lib/pumphouse/pumphouse.db\"")
        .replace(
            "scan_interval_s = 0.1",
            "scan_interval_s = 0.2\nwatch = [\"/mnt/historian/exports\"]",
        )
}

fn wait_for_alert(panel: &Panel, alarm: &str, state: &str) {
    let topic = format!("pumphouse/v1/case/alerts/{alarm}");
    panel.wait_for(&format!("{alarm} {state}"), |message| {
        (message.topic == topic && message.json()["state"] == state).then_some(())
    });
}

#[test]
fn a_box_lives_from_install_to_purge() {
    let made = std::env::var_os(MADE).map_or_else(package, PathBuf::from);
    if !geteuid().is_root() {
        return again_as_root("a_box_lives_from_install_to_purge", &made);
    }
    assert!(made.metadata().expect("its size").len() <= PACKAGE_BYTES_MAX);
    run(Command::new("lintian")
        .args(["--fail-on", "error", "--allow-root"])
        .arg(&made));

    for release in RELEASES {
        println!("on Debian's {release}");
        lives(release, &made);
    }
}

fn lives(release: &'static str, made: &Path) {
    let mosquitto = Mosquitto::start_with(&Setup {
        user: Some(("case", PASSWORD)),
        ..Setup::default()
    });
    let panel = Panel::connect(mosquitto.port);
    let station = Folder::new("package");
    let mut debian = Debian::new(release);
    let config = config(&station, mosquitto.port);
    fs::copy(made, debian.path("/root/pumphouse.deb")).expect("copied");

    let mut tape = station.tape_until(120, 8);
    installs_without_a_network(&mut debian, &station);
    learns_without_a_network(&debian);
    starts(&debian, &config);
    runs_under_its_restrictions(&debian, &panel, &mut tape);
    a_call_is_tried_under_the_same_restrictions(&debian);
    a_hang_is_ended_by_the_watchdog(&debian, &mut tape);
    backs_up_elsewhere(&debian, &config);
    a_bad_config_is_not_tried_again(&debian, &config);

    // A second boot has what the first one had.
    let rows = debian.rows();
    debian.shut_down();
    tape.write(1, |_| {});
    starts_before_the_historian(&mut debian, &station);
    debian.wait_for_service("the rows of both boots", || debian.rows() == rows + 1);
    wait_for_alert(&panel, "B-01/P2", "resolved");

    upgrades_and_goes_back(&debian, made, &config);
    removes_and_purges(&debian);
    debian.shut_down();
}

/// Runs a test of this file once more, with the rights to boot something.
fn again_as_root(test: &str, package: &Path) {
    let Some(mut command) = privileged("env") else {
        return not_tried("the package on a booted Debian", "it needs root");
    };
    let itself = std::env::current_exe().expect("this program");
    command
        .arg(format!("{MADE}={}", package.display()))
        .arg(itself);
    println!("{}", run(command.args(["--exact", test, "--nocapture"])));
}

/// As the install guide has it.
fn installs_without_a_network(debian: &mut Debian, station: &Folder) {
    debian.boot(&station.exports(), "/mnt/historian/exports");
    debian.sh("unshare --net dpkg -i /root/pumphouse.deb");
    assert_eq!(
        debian.attempt("systemctl is-active pumphouse").1.trim(),
        "inactive"
    );
    for unit in [
        "pumphouse.service",
        "pumphouse-backup.timer",
        "pumphouse-retrain.timer",
    ] {
        assert_eq!(
            debian.sh(&format!("systemctl is-enabled {unit}")),
            "enabled"
        );
    }
    let timers = "systemctl is-active pumphouse-backup.timer pumphouse-retrain.timer";
    assert_eq!(debian.sh(timers), "active\nactive");
    let check = "pumphouse check --config /etc/pumphouse/pumphouse.toml";
    let told = debian.sh(&format!(
        "pumphouse init --yes --exports /mnt/historian/exports --out /etc/pumphouse/pumphouse.toml --force && {check}"
    ));
    assert!(
        told.contains("\n  sudo systemctl start pumphouse"),
        "{told}"
    );
    debian.sh("man -w pumphouse 2> /dev/null || ls /usr/share/man/man1/pumphouse.1.gz");
}

/// The weekly training's environment from a stick, as the guide has it, and a training by its unit, from a month of a simulated
/// station.
fn learns_without_a_network(debian: &Debian) {
    let (history, stick) = (debian.path("/srv/history"), debian.path("/srv/wheels"));
    let version = debian.sh("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2])'");
    run(Command::new("cp")
        .arg("-r")
        .arg(trainer::wheels(&version))
        .arg(&stick));
    fs::create_dir(&history).expect("made");
    // Always the same month, and so always the same models.
    let month = ["--days", "31", "--start", "2025-03-01", "--seed", "5"];
    let simulated = binary::run(
        &history,
        &[&["simulate", "--out", "."], &month[..]].concat(),
    );
    assert!(simulated.status.success());
    let config = "--config /etc/pumphouse/pumphouse.toml";
    debian.sh("pumphouse init --yes --exports /srv/history/exports --out /etc/pumphouse/pumphouse.toml --force");
    debian.sh(&format!(
        "runuser -u pumphouse -- pumphouse ingest {config} /srv/history/exports"
    ));
    debian.sh(
        "cd /usr/lib/pumphouse/trainer && unshare --net sh -c 'python3 -m venv venv && venv/bin/pip install --quiet --no-index \
         --find-links /srv/wheels -r requirements.txt'",
    );
    let (is_learnt, _) = debian.attempt("systemctl start pumphouse-retrain");
    let told = debian.sh("journalctl --sync; journalctl --no-pager -o cat -u pumphouse-retrain");
    assert!(is_learnt, "{told}");
    // Four forecasts, and what is expected of six pumps; each says by how much it is better.
    assert_eq!(told.matches(": promoted ").count(), 10, "{told}");
    assert!(!told.contains("WARNING"), "{told}");
    let models = debian.sh(&format!("pumphouse models list {config}"));
    assert!(
        models.contains("pump_efficiency-P6: pump_efficiency-P6-"),
        "{models}"
    );
    debian.sh(
        "rm -rf /srv/history /srv/wheels /var/lib/pumphouse/backups /var/lib/pumphouse/pumphouse.db* /var/lib/pumphouse/models",
    );
}

/// The station's own config, a hook, a password, what the historian has written so far, and the service.
fn starts(debian: &Debian, config: &str) {
    let check = "pumphouse check --config /etc/pumphouse/pumphouse.toml";
    fs::write(debian.path("/etc/pumphouse/pumphouse.toml"), config).expect("written");
    fs::write(debian.path("/usr/local/bin/intruder"), INTRUDER).expect("written");
    fs::write(
        debian.path("/etc/pumphouse/mqtt-password"),
        format!("{PASSWORD}\n"),
    )
    .expect("written");
    debian.sh("chmod 0755 /usr/local/bin/intruder && chmod 0600 /etc/pumphouse/mqtt-password");
    fs::create_dir_all(debian.path("/etc/systemd/system/pumphouse.service.d")).expect("made");
    fs::write(
        debian.path("/etc/systemd/system/pumphouse.service.d/test.conf"),
        DROP_IN,
    )
    .expect("written");
    debian.sh(&format!("systemctl daemon-reload && {check}"));
    let ingest = "pumphouse ingest --config /etc/pumphouse/pumphouse.toml /mnt/historian/exports";
    let (is_done, told) = debian.attempt(ingest);
    assert!(
        !is_done && told.contains("sudo -u pumphouse pumphouse"),
        "{told}"
    );
    assert_eq!(debian.sh("ls -A /var/lib/pumphouse"), "");
    debian.sh(&format!("runuser -u pumphouse -- {ingest}"));
    debian.sh("systemctl start pumphouse");
}

fn runs_under_its_restrictions(debian: &Debian, panel: &Panel, tape: &mut Tape<'_>) {
    debian.wait_for_service("rows", || debian.rows() == tape.rows() as i64);
    assert_eq!(debian.service("ActiveState"), "active");
    assert_eq!(debian.service("StatusText"), "watching the exports");
    let expected = match debian.release {
        "bookworm" => "notify",
        _ => "notify-reload",
    };
    assert_eq!(debian.service("Type"), expected);
    let exposure = debian.sh("systemd-analyze security --no-pager pumphouse | tail -n 1");
    println!("{exposure}");

    tape.write(4, |row| row.power_kw[1] = 0.0);
    wait_for_alert(panel, "B-01/P2", "active");
    let report = debian.path("/var/lib/pumphouse/intruder");
    let report = until("somebody is called", || fs::read_to_string(&report).ok());
    assert_eq!(report.lines().collect::<Vec<_>>(), REFUSED);
    // What the daemon itself has cannot be had from its environment, its command line, or a core.
    let pid = debian.service("MainPID");
    debian.sh(&format!(
        "! grep -qz '{PASSWORD}' /proc/{pid}/environ /proc/{pid}/cmdline"
    ));
    debian.sh(&format!(
        "grep -q '^Max core file size *0 *0 ' /proc/{pid}/limits"
    ));
    assert!(!debian.journal().contains(PASSWORD));
}

/// The call that the guide has somebody try goes as the service's own calls go.
fn a_call_is_tried_under_the_same_restrictions(debian: &Debian) {
    let report = debian.path("/var/lib/pumphouse/intruder");
    fs::remove_file(&report).expect("removed");
    debian.sh(&typed("notify test"));
    let report = fs::read_to_string(report).expect("somebody was called");
    assert_eq!(report.lines().collect::<Vec<_>>(), REFUSED);
}

fn a_hang_is_ended_by_the_watchdog(debian: &Debian, tape: &mut Tape<'_>) {
    let before = debian.service("MainPID");
    debian.sh(&format!("kill -STOP {before}"));
    tape.write(1, |_| {});
    debian.wait_for_service("the watchdog restarts it", || {
        debian.service("NRestarts") == "1"
    });
    assert!(
        debian.journal().contains("Watchdog timeout"),
        "{}",
        debian.journal()
    );
    debian.wait_for_service("it goes on", || debian.rows() == tape.rows() as i64);
    assert_ne!(debian.service("MainPID"), before);
    debian.sh("systemctl reload pumphouse");
    assert_eq!(debian.service("ActiveState"), "active");
}

/// On another disk, as the guide has it: without the drop-in the journal names it.
fn backs_up_elsewhere(debian: &Debian, config: &str) {
    let file = debian.path("/etc/pumphouse/pumphouse.toml");
    let elsewhere = config.replace("[storage]\n", "[storage]\nbackups = \"/mnt/backups\"\n");
    fs::write(&file, elsewhere).expect("written");
    debian.sh("install -d -o pumphouse -m 0700 /mnt/backups");
    let (is_made, _) = debian.attempt("systemctl start pumphouse-backup");
    let told = debian.sh("journalctl --sync; journalctl --no-pager -u pumphouse-backup");
    assert!(
        !is_made && told.contains("ReadWritePaths=-/mnt/backups"),
        "{told}"
    );
    debian.sh(
        "mkdir -p /etc/systemd/system/pumphouse-backup.service.d && cd /etc/systemd/system/pumphouse-backup.service.d \
         && printf '[Service]\\nReadWritePaths=-/mnt/backups\\n' > disk.conf && systemctl daemon-reload \
         && systemctl start pumphouse-backup && ls /mnt/backups/pumphouse-*.db && rm -r /mnt/backups",
    );
    // The disk is away.
    let (is_made, _) = debian.attempt("systemctl start pumphouse-backup");
    let told = debian.sh("journalctl --sync; journalctl --no-pager -u pumphouse-backup -o cat");
    assert!(
        !is_made && told.matches("cannot write into /mnt/backups").count() == 2,
        "{told}"
    );
    let (is_done, told) = debian.attempt(
        "runuser -u pumphouse -- pumphouse restore --config /etc/pumphouse/pumphouse.toml",
    );
    assert!(
        !is_done && told.contains("there is no backup in /mnt/backups"),
        "{told}"
    );
    fs::write(&file, config).expect("written");
}

fn a_bad_config_is_not_tried_again(debian: &Debian, config: &str) {
    let file = debian.path("/etc/pumphouse/pumphouse.toml");
    fs::write(&file, config.replace("id = \"case\"", "id = \"Case 1\"")).expect("written");
    let running = debian.service("MainPID");
    let (is_fine, _) = debian.attempt("systemctl reload pumphouse");
    assert!(!is_fine && debian.service("MainPID") == running);
    assert!(
        debian.journal().contains("site.id: must be"),
        "{}",
        debian.journal()
    );
    let (is_fine, _) = debian.attempt("systemctl restart pumphouse");
    assert!(!is_fine);
    debian.wait_for_service("it has failed", || {
        debian.service("ActiveState") == "failed"
    });
    assert_eq!(debian.service("ExecMainStatus"), "78");
    let restarts = debian.service("NRestarts");
    // Longer than RestartSec.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(debian.service("ActiveState"), "failed");
    assert_eq!(debian.service("NRestarts"), restarts);
    fs::write(&file, config).expect("written");
    debian.sh("systemctl restart pumphouse");
}

/// The power comes back, and the box is up before the historian. The share is mounted as the guide has it, but for its kind.
fn starts_before_the_historian(debian: &mut Debian, station: &Folder) {
    let line = GUIDE
        .lines()
        .find(|line| line.contains("x-systemd.automount") && line.starts_with("//"));
    let line = line.expect("the guide's line");
    let line = line.replace("  cifs  ", "  plantshare  ");
    fs::write(debian.path("/etc/fstab"), line + "\n").expect("written");
    fs::write(debian.path("/sbin/mount.plantshare"), SHARE).expect("written");
    run(Command::new("chmod")
        .arg("0755")
        .arg(debian.path("/sbin/mount.plantshare")));
    debian.boot(&station.exports(), "/srv/historian/exports");
    debian.sh(&typed("mnt-historian.mount.d"));
    debian.wait_for_service("the share is missed", || {
        debian.journal().contains("/mnt/historian/exports")
    });
    // More attempts than systemd makes by itself.
    for _ in 0..8 {
        assert!(!debian.attempt("ls /mnt/historian/exports").0);
    }
    debian.sh("touch /srv/historian-answers");
}

/// Commands of the guide's, by a word in them.
fn typed(word: &str) -> String {
    const BEGINS: &str = "```sh\n";
    let mut blocks = GUIDE.split(BEGINS).skip(1);
    let block = blocks.find_map(|text| text.split("```").next().filter(|it| it.contains(word)));
    block.expect("commands of the guide").replace("sudo ", "")
}

fn upgrades_and_goes_back(debian: &Debian, made: &Path, config: &str) {
    let folder = TempDir::with_prefix("pumphouse-packages-").expect("a folder");
    let rows = debian.rows();
    let first = debian.sh("dpkg-query -W -f '${Version}' pumphouse");
    for (version, file) in [
        ("99.0-1", as_version(made, "99.0-1", folder.path())),
        (first.as_str(), made.to_owned()),
    ] {
        fs::copy(&file, debian.path("/root/next.deb")).expect("copied");
        let before = debian.service("MainPID");
        debian.sh("rm -rf /var/lib/pumphouse/backups");
        debian.sh(
            "DEBIAN_FRONTEND=noninteractive unshare --net dpkg -i --force-confold /root/next.deb",
        );
        assert_eq!(
            debian.sh("dpkg-query -W -f '${Version}' pumphouse"),
            version
        );
        debian.wait_for_service("it runs again", || {
            debian.service("ActiveState") == "active"
        });
        assert_ne!(debian.service("MainPID"), before);
        let kept =
            fs::read_to_string(debian.path("/etc/pumphouse/pumphouse.toml")).expect("the config");
        assert_eq!(kept, config);
        assert_eq!(debian.rows(), rows);
        debian.sh("pumphouse status --config /etc/pumphouse/pumphouse.toml");
        debian.sh("ls /var/lib/pumphouse/backups/pumphouse-*.db");
    }
}

/// What is mounted below the station's folder is somebody else's.
fn removes_and_purges(debian: &Debian) {
    let rows = debian.rows();
    debian.sh("dpkg -r pumphouse");
    assert!(!debian.path("/usr/bin/pumphouse").exists());
    debian.sh("! cat /proc/[0-9]*/comm 2> /dev/null | grep -qx pumphouse");
    assert_eq!(debian.rows(), rows);
    assert!(debian.path("/etc/pumphouse/pumphouse.toml").exists());

    let share = "/var/lib/pumphouse/exports";
    debian.sh(&format!(
        "mkdir -p {share} && mount -t tmpfs tmpfs {share} && touch {share}/day.csv && mkdir -p /etc/systemd/system/pumphouse-backup.timer.d"
    ));
    let (is_fine, told) = debian.attempt("dpkg -P pumphouse < /dev/null");
    assert!(is_fine, "{told}");
    assert!(!told.contains("not empty"), "{told}");
    assert!(told.contains("is left as it is"), "{told}");
    debian.sh(&format!(
        "ls {share}/day.csv && umount {share} && {{ rmdir -p {share} || true; }}"
    ));
    let left = debian.sh(
        "find / -xdev \\( -path /proc -o -path /sys -o -path /var/log -o -path /run/log -o -path /root \\) -prune \
         -o -name '*pumphouse*' -print",
    );
    assert_eq!(left, "");
    debian.sh("! getent passwd pumphouse && ! getent group pumphouse");
}
