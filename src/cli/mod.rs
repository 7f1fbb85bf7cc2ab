//! The command line: one file a verb.
//!
//! Exit codes: 0 fine; 1 failed at run time; 2 wrong usage; 78 bad config.

mod check;
mod ingest;
mod rules;
mod simulate;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::config::{Config, Faults};

/// Exit code for a bad config (`EX_CONFIG`): a restart would not help.
const EXIT_BAD_CONFIG: u8 = 78;

/// Edge gateway for a PLC-controlled pump station: historian exports in, derived tables and 47 alert rules in SQLite,
/// alerts out over MQTT. It only reads; the PLC keeps all control.
#[derive(Parser)]
#[command(
    name = "pumphouse",
    version,
    about,
    max_term_width = 110,
    after_help = "\
First steps:
  pumphouse demo                                   see everything at work, nothing installed
  pumphouse check --config pumphouse.toml          what is wrong with a config
  pumphouse ingest --config pumphouse.toml exports load what the historian has written so far
  pumphouse run --config pumphouse.toml            the daemon

Exit codes: 0 fine, 1 failed at run time, 2 wrong usage, 78 bad config."
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Ingest(ingest::Ingest),
    Check(check::Check),
    Rules(rules::Rules),
    Simulate(simulate::Simulate),
}

/// The config file a verb works with.
#[derive(clap::Args)]
struct ConfigFile {
    /// The config file; `config/pumphouse.toml` is sample and documentation
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Faults> {
        Config::load(&self.config)
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.verb {
        Verb::Ingest(verb) => verb.run(),
        Verb::Check(verb) => verb.run(),
        Verb::Rules(verb) => verb.run(),
        Verb::Simulate(verb) => verb.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Faults>() => {
            eprintln!("pumphouse: {error}");
            ExitCode::from(EXIT_BAD_CONFIG)
        }
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pumphouse: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the reader of our output has gone, as `head` does.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Log to the journal where there is one, otherwise to standard error.
fn start_log() {
    struct Stderr;
    impl log::Log for Stderr {
        fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
            metadata.level() <= log::max_level()
        }

        fn log(&self, record: &log::Record<'_>) {
            struct Keys(String);
            impl<'kvs> log::kv::VisitSource<'kvs> for Keys {
                fn visit_pair(
                    &mut self,
                    key: log::kv::Key<'kvs>,
                    value: log::kv::Value<'kvs>,
                ) -> Result<(), log::kv::Error> {
                    self.0.push_str(&format!(" {key}={value}"));
                    Ok(())
                }
            }
            if self.enabled(record.metadata()) {
                let mut keys = Keys(String::new());
                if record.key_values().visit(&mut keys).is_ok() {
                    eprintln!("{:5} {}{}", record.level(), record.args(), keys.0);
                }
            }
        }

        fn flush(&self) {}
    }
    let in_journal = systemd_journal_logger::connected_to_journal()
        && systemd_journal_logger::JournalLog::new()
            .and_then(|journal| Ok(journal.install().is_ok()))
            .unwrap_or(false);
    if !in_journal {
        // Only a second logger can be refused, and there is none.
        let _ = log::set_logger(&Stderr);
    }
    log::set_max_level(log::LevelFilter::Info);
}

/// Prints a report as JSON.
fn print_json(value: &serde_json::Value) -> anyhow::Result<()> {
    use std::io::Write;
    writeln!(
        std::io::stdout().lock(),
        "{}",
        serde_json::to_string_pretty(value)?
    )?;
    Ok(())
}

/// Prints a report's text.
fn print_text(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(())
}
