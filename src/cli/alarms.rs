//! `pumphouse alarms`: what the alarms of each day ask of an operator.

use std::{collections::BTreeMap, fmt::Write};

use anyhow::Context;
use serde_json::{Value, json};

use super::{ConfigFile, print_json, print_text};
use crate::{
    calendar::{Calendar, Day, date_text},
    rules::{
        CATALOGUE,
        load::{Alarm, AlarmDay, TOP, Target},
    },
    store::{
        journal::alarm_name,
        kpis::{alarm_day, as_json, newest_minute},
        open_read_only,
    },
};

/// Show how much the alarms ask of the operator, day by day
///
/// The figures are those of EEMUA 191 and ISA-18.2, with their targets: raises in 10 minutes on average and at most, time in a
/// flood, alarms that chatter or stand for more than a day, the most frequent ones. INFO is for the record and does not count.
#[derive(clap::Args)]
pub struct Alarms {
    #[command(flatten)]
    config: ConfigFile,
    /// Days up to the newest row's
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Alarms {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let store = open_read_only(&config.store)?;
        let newest = newest_minute(&store)?.context("the store has no row yet")?;
        let mut calendar = Calendar::new(config.plant.zone.clone());
        let last = calendar.local(newest).day();
        let days: Vec<(Day, AlarmDay)> = (last - i64::from(self.days) + 1..=last)
            .map(|day| Ok((day, alarm_day(&store, &mut calendar, day, newest)?)))
            .collect::<anyhow::Result<_>>()?;
        if self.json {
            return print_json(&report(&days));
        }
        print_text(&text(&config.site_id, &days)?)
    }
}

fn report(days: &[(Day, AlarmDay)]) -> Value {
    let days = days.iter().map(|(day, alarms)| {
        let mut report = as_json(alarms);
        report["date"] = date_text(*day).into();
        report["targets"] = json!(alarms.targets());
        report
    });
    days.collect()
}

fn text(site: &str, days: &[(Day, AlarmDay)]) -> anyhow::Result<String> {
    let mut text = format!("alarms of {site}; targets of EEMUA 191 and ISA-18.2\n\n");
    writeln!(
        text,
        "date        raised  in 10 min  most in 10 min  in a flood  chattering  stale  standing  targets"
    )?;
    let mut raises: BTreeMap<Alarm, usize> = BTreeMap::new();
    for (day, alarms) in days {
        let missed = alarms.targets().iter().filter(|t| !t.is_met()).count();
        writeln!(
            text,
            "{}  {:>6}  {:>9.2}  {:>14}  {:>8.1} %  {:>10}  {:>5}  {:>8}  {}",
            date_text(*day),
            alarms.raised,
            alarms.per_10_min(),
            alarms.peak,
            alarms.flood_pct(),
            alarms.chattering.len(),
            alarms.stale.len(),
            alarms.standing,
            if missed == 0 {
                "met".to_owned()
            } else {
                format!("{missed} missed")
            }
        )?;
        for &(alarm, count) in &alarms.top {
            *raises.entry(alarm).or_default() += count;
        }
    }
    let mut top: Vec<_> = raises.into_iter().collect();
    top.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    if !top.is_empty() {
        writeln!(text, "\nmost frequent")?;
    }
    for &((rule, pump), count) in top.iter().take(TOP) {
        let (alarm, name) = (alarm_name(rule, pump), CATALOGUE[rule].name);
        writeln!(text, "  {count:>5} × {alarm:<8} {name}")?;
    }
    let mut heading = "\nmissed\n";
    for (day, alarms) in days {
        for target in alarms.targets().iter().filter(|target| !target.is_met()) {
            text.push_str(std::mem::take(&mut heading));
            writeln!(text, "  {}  {}", date_text(*day), sentence(target, alarms))?;
        }
    }
    Ok(text)
}

/// A target that was missed, with its figure and whom it is about.
fn sentence(target: &Target, alarms: &AlarmDay) -> String {
    let Target {
        name,
        value,
        at_most,
        unit,
    } = target;
    let about: &[Alarm] = match *name {
        "chattering alarms" => &alarms.chattering,
        "stale alarms" => &alarms.stale,
        _ => &[],
    };
    let about: Vec<_> = about
        .iter()
        .map(|&(rule, pump)| alarm_name(rule, pump))
        .collect();
    let about = if about.is_empty() {
        String::new()
    } else {
        format!(": {}", about.join(", "))
    };
    let value = value.unwrap_or(f64::NAN);
    let unit = if unit.is_empty() {
        String::new()
    } else {
        format!(" {unit}")
    };
    let value = (value * 100.0).round() / 100.0;
    format!("{name} {value}{unit}, target at most {at_most}{unit}{about}")
}
