//! The command line: one file a verb.
//!
//! Exit codes: 0 fine; 1 failed at run time; 2 wrong usage; 78 bad config, or a store of a newer version.

mod alarms;
mod ask;
mod backup;
mod central;
mod check;
#[cfg(feature = "demo-broker")]
mod demo;
#[cfg(feature = "demo-broker")]
mod demo_models;
mod doctor;
mod export;
mod forecast;
mod ingest;
mod init;
mod manual;
mod modbus;
mod models;
mod notify;
mod password;
mod plan;
mod quality;
pub use simulate::simulated_config;
mod rules;
mod run;
mod simulate;
mod status;
mod support;
mod verify;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    config::{Config, Faults},
    logging::causes,
    store::{Newer, healing::is_damage},
};

/// Exit code for a bad config (`EX_CONFIG`): a restart would not help.
const EXIT_BAD_CONFIG: u8 = 78;
/// What to do about a damaged store.
const MENDS: &str = "restart the daemon (sudo systemctl restart pumphouse): it sets the damaged file aside and mends the store from the newest \
                     good backup and the exports";

/// Edge gateway for a PLC-controlled pump station: historian exports in, derived tables and 47 alert rules in SQLite,
/// alerts out over MQTT. It only reads; the PLC keeps all control.
#[derive(Parser)]
#[command(
    name = "pumphouse",
    version,
    about,
    max_term_width = 110,
    after_help = after_help()
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    #[cfg(feature = "demo-broker")]
    Demo(demo::Demo),
    Init(init::Init),
    Run(run::Run),
    Ingest(ingest::Ingest),
    Check(check::Check),
    Status(status::Status),
    Doctor(doctor::Doctor),
    SupportBundle(support::SupportBundle),
    Forecast(forecast::ForecastVerb),
    Plan(plan::PlanVerb),
    Ask(ask::Ask),
    Export(export::Export),
    Models(models::ModelsVerb),
    Modbus(modbus::ModbusVerb),
    Rules(rules::Rules),
    Alarms(alarms::Alarms),
    Quality(quality::Quality),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Notify(notify::Notify),
    Password(password::Password),
    Verify(verify::Verify),
    Resync(verify::Resync),
    Central(central::CentralOffice),
    Simulate(simulate::Simulate),
    Manual(manual::Manual),
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

fn after_help() -> String {
    // The program of a package has no broker of its own to show it with.
    let demo = match cfg!(feature = "demo-broker") {
        true => {
            "  pumphouse demo                                   see everything at work, nothing installed\n"
        }
        false => "",
    };
    format!(
        "First steps:\n{demo}\
         \x20 pumphouse init --exports DIR                     a config from what the exports show\n\
         \x20 pumphouse check --config pumphouse.toml          what is wrong with a config\n\
         \x20 pumphouse ingest --config pumphouse.toml exports load what the historian has written so far\n\
         \x20 pumphouse run --config pumphouse.toml            the daemon\n\n\
         Exit codes: 0 fine, 1 failed at run time, 2 wrong usage, 78 bad config, or a store of a newer version."
    )
}

/// Runs the program.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A damaged backup says nothing of the store.
    let restores = matches!(arguments.verb, Verb::Restore(_));
    let done = match arguments.verb {
        #[cfg(feature = "demo-broker")]
        Verb::Demo(verb) => verb.run(),
        Verb::Init(verb) => verb.run(),
        Verb::Run(verb) => verb.run(),
        Verb::Ingest(verb) => verb.run(),
        Verb::Check(verb) => verb.run(),
        Verb::Status(verb) => verb.run(),
        Verb::Doctor(verb) => verb.run(),
        Verb::SupportBundle(verb) => verb.run(),
        Verb::Forecast(verb) => verb.run(),
        Verb::Plan(verb) => verb.run(),
        Verb::Ask(verb) => verb.run(),
        Verb::Export(verb) => verb.run(),
        Verb::Models(verb) => verb.run(),
        Verb::Modbus(verb) => verb.run(),
        Verb::Rules(verb) => verb.run(),
        Verb::Alarms(verb) => verb.run(),
        Verb::Quality(verb) => verb.run(),
        Verb::Backup(verb) => verb.run(),
        Verb::Restore(verb) => verb.run(),
        Verb::Notify(verb) => verb.run(),
        Verb::Password(verb) => verb.run(),
        Verb::Verify(verb) => verb.run(),
        Verb::Resync(verb) => verb.run(),
        Verb::Central(verb) => verb.run(),
        Verb::Simulate(verb) => verb.run(),
        Verb::Manual(verb) => verb.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Neither gets better by another start.
        Err(error) if error.is::<Faults>() || error.is::<Newer>() => {
            eprintln!("pumphouse: {error}");
            ExitCode::from(EXIT_BAD_CONFIG)
        }
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pumphouse: {}", causes(&error));
            if is_damage(&error) && !restores {
                eprintln!("  → {MENDS}");
            }
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

/// Runs a verb that talks to a server.
fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    crate::app::choose_crypto();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(work)
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
