//! The units of systemd: what they expose, as systemd counts it.

mod common;

use std::{fs, path::Path, process::Command};

use common::shipped::{exposure, figure};

/// The most that a service may expose, from 0, nothing, to 10, everything.
const EXPOSURE_MAX: f64 = 1.5;

fn units(extension: &str) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    let entries = fs::read_dir(folder).expect("the units");
    let paths = entries.map(|entry| entry.expect("a unit").path());
    paths
        .filter(|path| path.extension().is_some_and(|it| it == extension))
        .map(|path| path.to_str().expect("a plain name").to_owned())
        .collect()
}

#[test]
fn services_expose_next_to_nothing() {
    let services = units("service");
    assert_eq!(services.len(), 3);
    for service in services {
        let (_, name) = service.rsplit_once('/').expect("a path");
        let exposure = exposure(name);
        assert!(exposure <= EXPOSURE_MAX, "{name}: {exposure}");
        let told = figure(&format!("exposure of `{name}`, 0 to 10"));
        assert!(
            (exposure - told).abs() < 0.15,
            "{name}: {exposure}, in docs/FIGURES.md {told}"
        );
    }
}

#[test]
fn timers_name_times_that_come() {
    for timer in units("timer") {
        let text = fs::read_to_string(&timer).expect("a timer");
        let times = text
            .lines()
            .filter_map(|line| line.strip_prefix("OnCalendar="));
        for time in times {
            let output = Command::new("systemd-analyze")
                .args(["calendar", time])
                .output()
                .expect("systemd-analyze runs");
            assert!(output.status.success(), "{timer}: {time}");
        }
        let service = timer.replace(".timer", ".service");
        assert!(Path::new(&service).exists(), "{timer} starts nothing");
    }
}

#[test]
fn units_have_the_lines_that_a_station_relies_on() {
    for (unit, lines) in [
        (
            "pumphouse.service",
            &[
                "Type=notify",
                "Type=notify-reload",
                "ExecStartPre=-/usr/bin/pumphouse check --config /etc/pumphouse/pumphouse.toml",
                "WatchdogSec=60",
                "Restart=always",
                "RestartPreventExitStatus=78",
                "LimitCORE=0",
                "User=pumphouse",
                "StateDirectory=pumphouse",
                "StateDirectoryMode=0700",
                "NoNewPrivileges=yes",
                "ProtectSystem=strict",
            ][..],
        ),
        (
            "pumphouse-backup.timer",
            &["OnCalendar=03:30", "Persistent=yes"],
        ),
        (
            "pumphouse-retrain.timer",
            &["OnCalendar=Sun 02:00", "Persistent=yes"],
        ),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
        let text = fs::read_to_string(path.join(unit)).expect("a unit");
        for line in lines {
            assert!(text.lines().any(|it| it == *line), "{unit}: {line}");
        }
    }
}
