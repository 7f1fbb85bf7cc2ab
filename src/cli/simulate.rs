//! `pumphouse simulate`: exports of the simulated station, or its PLC.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget};
use jiff::civil::Date;
use serde_json::json;

use super::{block_on, print_json, print_text};
use crate::{
    clock::Clock,
    simulate::{FaultScript, Simulator, Station, modbus, write_days},
};

/// Write historian exports of a simulated station, or serve its values like a PLC
///
/// One file a day in the long format, with six dissimilar pumps, a tank, consumers with their daily and weekly habits,
/// and sensors with noise. The same seed gives the same bytes. A config for the station is written beside them.
///
/// With --modbus it is the station's PLC instead: a Modbus TCP server with the running minute's values, until Ctrl-C. The
/// [modbus] section to read it with is printed first.
#[derive(clap::Args)]
pub struct Simulate {
    /// Folder to write into, made when missing
    #[arg(long, value_name = "DIR", required_unless_present = "modbus")]
    out: Option<PathBuf>,
    /// Days to write
    #[arg(long, value_name = "N", required_unless_present = "modbus", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: Option<u32>,
    /// First day, YYYY-MM-DD
    #[arg(long, value_name = "DATE", required_unless_present = "modbus")]
    start: Option<Date>,
    /// Seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Fault script: JSON, [{"type": "pump_trip", "start": "2025-03-03 06:40", "minutes": 35, "pump": 3}, …]
    #[arg(long, value_name = "FILE", conflicts_with = "random_faults")]
    faults: Option<PathBuf>,
    /// Scatter plausible faults, one or two a day
    #[arg(long)]
    random_faults: bool,
    /// Serve the running minute's values over Modbus TCP here, like 127.0.0.1:1502; writes nothing
    #[arg(long, value_name = "LISTEN", conflicts_with_all = ["out", "days", "start", "random_faults", "json"])]
    modbus: Option<SocketAddr>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Simulate {
    pub fn run(self) -> anyhow::Result<()> {
        if let Some(listen) = self.modbus {
            return self.serve(listen);
        }
        let (Some(out), Some(days), Some(start)) = (&self.out, self.days, self.start) else {
            anyhow::bail!("--out, --days and --start are needed");
        };
        let start = start.at(0, 0, 0, 0);
        let faults = match self.fault_script()? {
            None if self.random_faults => FaultScript::random(self.seed, start, days),
            script => script.unwrap_or_default(),
        };
        let bar =
            ProgressBar::with_draw_target(Some(u64::from(days)), ProgressDrawTarget::stderr());
        let mut simulator = Simulator::new(Station::default(), self.seed, start, faults);
        let exports = out.join("exports");
        write_days(&exports, &mut simulator, days, |_| bar.inc(1))?;
        bar.finish_and_clear();
        let config = out.join("pumphouse.toml");
        std::fs::write(&config, config_text(&Station::default()))
            .with_context(|| format!("cannot write {}", config.display()))?;
        if self.json {
            return print_json(&json!({ "days": days, "exports": exports, "config": config }));
        }
        print_text(&format!(
            "{days} days in {}\nnow: pumphouse ingest --config {} {}\n",
            exports.display(),
            config.display(),
            exports.display()
        ))
    }
}

impl Simulate {
    fn fault_script(&self) -> anyhow::Result<Option<FaultScript>> {
        let Some(path) = &self.faults else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let script = FaultScript::parse(&text);
        let script =
            script.with_context(|| format!("cannot use the fault script {}", path.display()))?;
        Ok(Some(script))
    }

    /// The PLC, until Ctrl-C; its station's time is UTC.
    fn serve(&self, listen: SocketAddr) -> anyhow::Result<()> {
        let faults = self.fault_script()?.unwrap_or_default();
        let now = jiff::Timestamp::from_second(Clock::Wall.minute() * 60)?;
        let start = jiff::tz::TimeZone::UTC.to_datetime(now);
        let mut simulator = Simulator::new(Station::default(), self.seed, start, faults);
        let mut lines = Vec::new();
        simulator.next_minute(&mut lines);
        block_on(async move {
            let listener = tokio::net::TcpListener::bind(listen).await;
            let listener = listener.with_context(|| format!("listen on {listen}"))?;
            let section = modbus::config_section(&format!("tcp://{}", listener.local_addr()?));
            print_text(&format!(
                "# The simulated PLC runs until Ctrl-C. To read it:\n{section}"
            ))?;
            let (show, values) = tokio::sync::watch::channel(simulator.values());
            let passing = async {
                let mut minute = Clock::Wall.minute();
                loop {
                    let wait_s = 60 - Clock::Wall.now_s().rem_euclid(60);
                    tokio::time::sleep(std::time::Duration::from_secs(wait_s.unsigned_abs())).await;
                    while minute < Clock::Wall.minute() {
                        minute += 1;
                        lines.clear();
                        simulator.next_minute(&mut lines);
                    }
                    show.send_replace(simulator.values());
                }
            };
            tokio::select! {
                served = modbus::serve(listener, values) => served.context("serve the simulated PLC"),
                () = passing => Ok(()),
                _ = tokio::signal::ctrl_c() => Ok(()),
            }
        })
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
