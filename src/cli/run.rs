//! `pumphouse run`: the daemon.

use super::ConfigFile;
use crate::{app, clock::Clock, logging};

/// Run the daemon
///
/// Watches the historian's exports, derives a row a minute, evaluates the alert rules and publishes over MQTT. SIGTERM
/// finishes the step and ends; SIGHUP reads the config again and tells what changed. Under systemd it reports readiness
/// and feeds the watchdog; the log goes to the journal, elsewhere to standard error.
#[derive(clap::Args)]
pub struct Run {
    #[command(flatten)]
    config: ConfigFile,
}

impl Run {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        logging::start(log::LevelFilter::Info);
        app::run(self.config.config, config, Clock::Wall)
    }
}
