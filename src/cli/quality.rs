//! `pumphouse quality`: what the data of each day are worth.

use std::fmt::Write;

use super::{ConfigFile, print_json, print_text};
use crate::{
    quality::DayQuality,
    store::{open_read_only, quality::verdicts},
};

/// Show what the data of each day are worth
///
/// The daemon judges each day half an hour after its end, and again when late rows have come: how complete it is, and whether
/// instruments that must agree do. follows: by how many m³ the tank rises for each that the flow meter counts more; total: what
/// DAY_TOTAL counts more than the flow adds up to.
#[derive(clap::Args)]
pub struct Quality {
    #[command(flatten)]
    config: ConfigFile,
    /// Days up to the last one judged
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Quality {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let store = open_read_only(&config.store)?;
        let days = verdicts(&store, usize::from(self.days))?;
        if self.json {
            return print_json(&serde_json::to_value(&days)?);
        }
        if days.is_empty() {
            return print_text(
                "no day has been judged yet; the daemon does it half an hour after the day's end\n",
            );
        }
        print_text(&text(&config.site_id, &days)?)
    }
}

fn text(site: &str, days: &[DayQuality]) -> anyhow::Result<String> {
    let mut text = format!(
        "data of {site}\n\ndate         minutes   values  impossible  level still  flow still  follows    total  findings\n"
    );
    for day in days {
        let follows = day
            .level_per_flow
            .map_or("-".into(), |it| format!("{it:.2}"));
        let total = day
            .day_total_pct
            .map_or("-".into(), |it| format!("{it:+.1} %"));
        writeln!(
            text,
            "{}  {:>6.1} %  {:>5.1} %  {:>6} min  {:>7} min  {:>6} min  {follows:>7}  {total:>7}  {:>8}",
            day.date,
            day.rows_pct,
            day.values_pct,
            day.impossible_min,
            day.level_frozen_min,
            day.flow_frozen_min,
            day.findings.len(),
        )?;
    }
    let mut heading = "\nto be looked at\n";
    for day in days {
        for finding in &day.findings {
            text.push_str(std::mem::take(&mut heading));
            writeln!(text, "  {}  {finding}", day.date)?;
        }
    }
    Ok(text)
}
