//! `pumphouse simulate`: exports of the simulated station.

use std::path::PathBuf;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget};
use jiff::civil::Date;
use serde_json::json;

use super::{print_json, print_text};
use crate::simulate::{FaultScript, Simulator, Station, write_days};

/// Write historian exports of a simulated station
///
/// One file a day in the long format, with six dissimilar pumps, a tank, consumers with their daily and weekly habits,
/// and sensors with noise. The same seed gives the same bytes. A config for the station is written beside them.
#[derive(clap::Args)]
pub struct Simulate {
    /// Folder to write into, made when missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Days to write
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// First day, YYYY-MM-DD
    #[arg(long, value_name = "DATE")]
    start: Date,
    /// Seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Fault script: JSON, [{"type": "pump_trip", "start": "2025-03-03 06:40", "minutes": 35, "pump": 3}, …]
    #[arg(long, value_name = "FILE", conflicts_with = "random_faults")]
    faults: Option<PathBuf>,
    /// Scatter plausible faults, one or two a day
    #[arg(long)]
    random_faults: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Simulate {
    pub fn run(self) -> anyhow::Result<()> {
        let start = self.start.at(0, 0, 0, 0);
        let faults = match &self.faults {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                FaultScript::parse(&text)
                    .with_context(|| format!("cannot use the fault script {}", path.display()))?
            }
            None if self.random_faults => FaultScript::random(self.seed, start, self.days),
            None => FaultScript::default(),
        };
        let bar =
            ProgressBar::with_draw_target(Some(u64::from(self.days)), ProgressDrawTarget::stderr());
        let mut simulator = Simulator::new(Station::default(), self.seed, start, faults);
        let exports = self.out.join("exports");
        write_days(&exports, &mut simulator, self.days, |_| bar.inc(1))?;
        bar.finish_and_clear();
        let config = self.out.join("pumphouse.toml");
        std::fs::write(&config, config_text(&Station::default()))
            .with_context(|| format!("cannot write {}", config.display()))?;
        if self.json {
            return print_json(&json!({ "days": self.days, "exports": exports, "config": config }));
        }
        print_text(&format!(
            "{} days in {}\nnow: pumphouse ingest --config {} {}\n",
            self.days,
            exports.display(),
            config.display(),
            exports.display()
        ))
    }
}

/// A config for the simulated station, without a broker.
pub fn config_text(station: &Station) -> String {
    let tags: String = crate::tags::TAG_NAMES
        .iter()
        .enumerate()
        .map(|(index, name)| format!("{index} = \"{name}\"\n"))
        .collect();
    format!(
        "[site]\nid = \"demo\"\nname = \"Simulated station\"\ntimezone = \"UTC\"\nrated_kw = {:?}\n\
         hlt_physical_max = {:?}\nfit101_physical_max = {:?}\nhlt_volume_m3 = {:?}\ndaily_energy_budget_kwh = 1800.0\n\n\
         [storage]\npath = \"pumphouse.db\"\n\n[historian]\nwatch = [\"exports\"]\n\n[historian.tags]\n{tags}",
        station.rated_kw,
        station.hlt_physical_max,
        station.fit101_physical_max,
        station.tank_volume_m3
    )
}

/// A config for the simulated station as it is by default.
pub fn simulated_config() -> String {
    config_text(&Station::default())
}
