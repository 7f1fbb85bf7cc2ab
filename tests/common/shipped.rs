//! What comes with the project.

use std::{fs, path::Path, process::Command};

/// What the unit sets in the daemon's environment.
pub fn environment() -> Vec<(&'static str, &'static str)> {
    let unit = include_str!("../../systemd/pumphouse.service");
    let set: Vec<_> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("Environment="))
        .flat_map(str::split_whitespace)
        .map(|set| set.split_once('=').expect("a name and a value"))
        .collect();
    assert!(!set.is_empty());
    set
}

/// What a service exposes by `systemd-analyze`, from 0, nothing, to 10, everything.
pub fn exposure(service: &str) -> f64 {
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager"])
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("systemd")
                .join(service),
        )
        .output()
        .expect("systemd-analyze runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let exposure = told
        .split_once("Overall exposure level for ")
        .and_then(|(_, rest)| rest.split(": ").nth(1)?.split(' ').next()?.parse().ok());
    exposure.unwrap_or_else(|| panic!("{service}: {told}"))
}

/// A figure of docs/FIGURES.md.
pub fn figure(what: &str) -> f64 {
    let page = include_str!("../../docs/FIGURES.md");
    let figure = page.lines().find_map(|line| {
        line.strip_prefix(&format!("| {what} | "))?
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    figure.unwrap_or_else(|| {
        panic!("docs/FIGURES.md has no {what}; cargo bench --bench figures writes it")
    })
}

/// Copies the models to where a daemon may write beside them.
pub fn copy_models(to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx-models");
    for entry in fs::read_dir(shipped).expect("the models") {
        let file = entry.expect("a file").path();
        if file.is_file() {
            fs::copy(&file, to.join(file.file_name().expect("a name"))).expect("copied");
        }
    }
}
