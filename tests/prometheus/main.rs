//! A real Prometheus reads a station as the install guide says, and the example's alerting rules fire when they should.

#[path = "../common/mod.rs"]
mod common;

use std::{
    fs::{self, File},
    path::Path,
    process::{Child, Command, Stdio},
};

use common::{
    binary,
    certificates::{Authority, ServerCertificate},
    http::Client,
    ports::free_port,
    station::Folder,
    waiting::until,
};
use serde_json::Value;

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/prometheus-alerts.yml");
const GUIDE: &str = include_str!("../../docs/INSTALL.md");
const PASSWORD: &str = "looking glass";

/// A Prometheus that ends with the test.
struct Prometheus {
    child: Child,
    client: Client,
}

impl Prometheus {
    /// One with a config and its data in a folder.
    fn start(folder: &Path, config: &Path) -> Self {
        let port = free_port();
        let log = File::create(folder.join("prometheus.log")).expect("a log");
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        let prometheus = Self {
            child: child.expect("prometheus starts"),
            client: Client::new(port).wait(),
        };
        until("it is ready", || {
            (prometheus.client.get("/-/ready").status == 200).then_some(())
        });
        prometheus
    }

    /// A list of the API.
    fn list(&self, path: &str, list: &str) -> Vec<Value> {
        let answer = self.client.get(&format!("/api/v1/{path}")).json();
        answer["data"][list].as_array().expect("a list").clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn promtool(arguments: &[&str]) {
    let output = Command::new("promtool")
        .args(arguments)
        .output()
        .expect("promtool runs");
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
}

#[test]
fn rules_fire_when_they_should_and_not_before() {
    let cases = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prometheus/alerts.yml");
    promtool(&["check", "rules", "--lint-fatal", RULES]);
    promtool(&["test", "rules", cases]);
    let [rules, cases] = [RULES, cases].map(|file| fs::read_to_string(file).expect("a text"));
    for rule in rules
        .lines()
        .filter_map(|line| line.split_once("- alert: "))
    {
        assert!(
            cases.contains(&format!("alertname: {}\n", rule.1)),
            "{}",
            rule.1
        );
    }
}

#[test]
fn a_station_is_read_as_the_guide_says() {
    let folder = Folder::new("prometheus");
    let (place, port) = (folder.config().with_file_name(""), free_port());
    let authority = Authority::new();
    let ServerCertificate { certificate, key } = authority.server(&["127.0.0.1"]);
    folder.configure(&format!(
        "[web]\nlisten = \"127.0.0.1:{port}\"\npassword_file = \"passwords\"\ntls_cert_file = {certificate:?}\ntls_key_file = {key:?}\n"
    ));
    fs::write(
        place.join("passwords"),
        binary::password_line(&folder.exports(), "prometheus", "viewer", PASSWORD),
    )
    .expect("written");
    // A pump trips, and then the historian has been silent for an hour.
    let mut tape = folder.tape_until(30, 60);
    tape.write(5, |row| row.power_kw[1] = 0.0);
    let _daemon = folder.run();

    let secret = place.join("secret");
    fs::write(&secret, PASSWORD).expect("written");
    let told = GUIDE.split("```yaml\n").nth(1).expect("the guide's lines");
    let told = told.split("```").next().expect("their end");
    let mut config = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{RULES:?}]\n{told}"
    );
    for (theirs, ours) in [
        (
            "/etc/prometheus/pumphouse-password",
            secret.display().to_string(),
        ),
        (
            "/etc/prometheus/plant-ca.pem",
            authority.file().display().to_string(),
        ),
        ("stp-01.plant.example:8443", format!("127.0.0.1:{port}")),
    ] {
        assert_eq!(config.matches(theirs).count(), 1, "{theirs}: {told}");
        config = config.replace(theirs, &ours);
    }
    let file = place.join("prometheus.yml");
    fs::write(&file, config).expect("written");
    promtool(&[
        "check",
        "config",
        "--lint-fatal",
        file.to_str().expect("a plain name"),
    ]);

    let prometheus = Prometheus::start(&place, &file);
    until("the station is read", || {
        let targets = prometheus.list("targets", "activeTargets");
        targets.into_iter().find(|it| it["health"] == "up")
    });
    // Each rule waits for a time of its own; these two have begun to.
    let alert = |name: &str| {
        until(name, || {
            let alerts = prometheus.list("alerts", "alerts");
            alerts
                .into_iter()
                .find(|it| it["labels"]["alertname"] == name)
        })
    };
    assert_eq!(alert("AlarmsUnacknowledged")["state"], "pending");
    let silent = alert("StationSilent");
    let age_s: f64 = silent["value"]
        .as_str()
        .and_then(|it| it.parse().ok())
        .expect("an age");
    assert!((3000.0..3900.0).contains(&age_s), "{silent}");
    let groups = prometheus.list("rules", "groups");
    let rules = groups[0]["rules"].as_array().expect("the rules");
    assert!(rules.len() > 5);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}
