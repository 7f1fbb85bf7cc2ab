//! The real binary.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

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
