//! The real binary.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use jiff::{Timestamp, ToSpan, tz::TimeZone};

/// The binary, with arguments, in a folder; its output is kept.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pumphouse"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the binary to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments)
        .output()
        .expect("the binary starts")
}

/// Simulates a station whose minutes end now (UTC) into a folder: its config, and its exports, which are given in order.
pub fn simulate_until_now(folder: &Path, days: &str, more: &[&str]) -> Vec<PathBuf> {
    let now = TimeZone::UTC.to_datetime(Timestamp::now());
    let before: i64 = days.parse().expect("a number");
    let start = now.checked_sub((before - 1).days());
    let start = start.expect("a date").date().to_string();
    let span = ["simulate", "--out", ".", "--days", days, "--start", &start];
    let arguments = [&span[..], more].concat();
    assert!(run(folder, &arguments).status.success());
    let mut files: Vec<PathBuf> = fs::read_dir(folder.join("exports"))
        .expect("the exports")
        .map(|file| file.expect("a file").path())
        .collect();
    files.sort();
    let last = files.last().expect("a file");
    let now = now.strftime("%Y-%m-%d %H:%M").to_string();
    let text = fs::read_to_string(last).expect("text");
    let past: String = text
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(|c: char| c.is_ascii_digit()) || line[..16] <= now[..])
        .collect();
    fs::write(last, past).expect("written");
    files
}

/// A line of the dashboard's password file, which the binary makes.
pub fn password_line(folder: &Path, user: &str, role: &str, password: &str) -> String {
    let mut child = command(folder, &["password", user, "--role", role])
        .stdin(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = child.stdin.take().expect("an input");
    writeln!(input, "{password}").expect("written");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("a text")
}

/// Starts the binary; nobody reads what it prints.
pub fn start(folder: &Path, arguments: &[&str]) -> Child {
    command(folder, arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts")
}

/// Runs `ingest` over files, which must go well, and gives its report.
pub fn ingest(folder: &Path, files: &[PathBuf]) -> serde_json::Value {
    let mut arguments = vec!["ingest", "--json", "--config", "pumphouse.toml"];
    arguments.extend(
        files
            .iter()
            .map(|file| file.to_str().expect("a plain name")),
    );
    let output = run(folder, &arguments);
    assert!(
        output.status.success(),
        "{}: ingest failed: {}",
        folder.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("the report is JSON")
}
