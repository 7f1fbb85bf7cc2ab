//! Mounting, for which one must be root; on a CI machine, sudo without a password will do.

use std::{io::Write, path::Path, process::Command};

use rustix::process::{getegid, geteuid};

/// A program with the rights to mount; `None` where this user has no way to them.
pub fn privileged(program: &str) -> Option<Command> {
    if geteuid().is_root() {
        return Some(Command::new(program));
    }
    let sudo = is_ci() && succeeds(Command::new("sudo").args(["-n", "true"])).is_ok();
    sudo.then(|| {
        let mut command = Command::new("sudo");
        command.args(["-n", program]);
        command
    })
}

/// Runs a program with arguments and the rights to mount; why it did not go well.
pub fn do_privileged(program: &str, arguments: &[&str]) -> Result<(), String> {
    let Some(mut command) = privileged(program) else {
        return Err("it needs root".into());
    };
    succeeds(command.args(arguments))
}

/// Gives a folder to this user.
pub fn own(folder: &Path) -> Result<(), String> {
    let owner = format!("{}:{}", geteuid().as_raw(), getegid().as_raw());
    do_privileged("chown", &[&owner, &folder.to_string_lossy()])
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Says loudly that something could not be tried here.
///
/// # Panics
/// On a CI machine (`CI=true`): there everything must be tried.
#[track_caller]
pub fn not_tried(what: &str, why: &str) {
    assert!(!is_ci(), "{what} must be tried in CI: {why}");
    // Not by `eprintln!`, which a test that passes keeps to itself.
    let _ = writeln!(std::io::stderr(), "\n*** NOT TRIED: {what}: {why}\n");
}

fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}
