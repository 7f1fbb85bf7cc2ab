//! `pumphouse password`: a line for the dashboard's password file.

use std::io::{BufRead, IsTerminal, Write};

use anyhow::{Context, ensure};

use super::print_text;
use crate::web::access::{
    Role,
    passwords::{check, line},
};

/// Make a line for the dashboard's password file
///
/// Asks for the password (twice on a terminal; otherwise it is the first line of standard input) and prints `name:role:hash`. Append
/// it to the file that [web] names as password_file; the daemon reads the file again when it changes.
#[derive(clap::Args)]
pub struct Password {
    /// The user's name, which the journal shows beside what is acknowledged
    user: String,
    /// What the user may do: look on, or also acknowledge, shelve and take out of service
    #[arg(long, value_parser = ["viewer", "operator"], default_value = "operator")]
    role: String,
}

impl Password {
    pub fn run(self) -> anyhow::Result<()> {
        let role = Role::named(&self.role).context("no such role")?;
        let password = ask("Password: ")?;
        // What is wrong is told before it is asked for once more.
        check(&self.user, &password)?;
        if std::io::stdin().is_terminal() {
            ensure!(
                ask("Once more: ")? == password,
                "the two passwords differ; nothing is printed"
            );
        }
        print_text(&format!("{}\n", line(&self.user, role, &password)?))
    }
}

/// Reads a line without showing it.
fn ask(what: &str) -> anyhow::Result<String> {
    let input = std::io::stdin();
    let shown = input
        .is_terminal()
        .then(|| rustix::termios::tcgetattr(&input));
    if let Some(Ok(before)) = &shown {
        eprint!("{what}");
        std::io::stderr().flush()?;
        let mut quiet = before.clone();
        quiet.local_modes -= rustix::termios::LocalModes::ECHO;
        rustix::termios::tcsetattr(&input, rustix::termios::OptionalActions::Now, &quiet)?;
    }
    let mut text = String::new();
    let read = input.lock().read_line(&mut text);
    if let Some(Ok(before)) = &shown {
        rustix::termios::tcsetattr(&input, rustix::termios::OptionalActions::Now, before)?;
        eprintln!();
    }
    read.context("cannot read the password")?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
