//! `pumphouse plan`: when to run which pumps, and why.

use std::fmt::Write;

use anyhow::Context;

use serde_json::{Value, json};

use super::{ConfigFile, print_json, print_text};
use crate::{
    calendar::{Calendar, date_text, text},
    clock::Clock,
    forecast::{models::Models, predict::STALE_MIN, worker::forecasts_now},
    publish::schedule::{payload, saving as saving_json, what_if as as_json},
    schedule::{
        baseline::Levels,
        books::{InForce, in_force},
        plan::{Change, Plan, names},
        problem::{Combination, pumps},
        savings::{Account, Saving},
        scene::Setting,
        solve::Effort,
        station::StationModel,
        what_if::{WhatIf, compare, what_if},
        worker::{Advice, Known, advise, learn},
    },
    store::{open_read_only, predictions::newest_row, runs::standing, savings::accounts},
    tags::{PUMPS, pump_name},
};

/// Days of the books that are shown.
const BOOKS_DAYS: i64 = 31;

/// Show the advisory pump schedule with its reasons
///
/// Planned from the store's newest minutes, the forecast of the demand and the tariff, as the daemon plans it every few minutes; it
/// can run beside the daemon and without it. It is advice: the PLC keeps all control.
#[derive(clap::Args)]
pub struct PlanVerb {
    #[command(flatten)]
    config: ConfigFile,
    /// Ask what else would be: "P3 out", "P3 in", "5 pumps", "low 10", "high 95", "demand +10"; with commas between several
    #[arg(long, value_name = "CHANGE")]
    what_if: Option<String>,
    /// Tell what was learnt of the pumps, too
    #[arg(long)]
    station: bool,
    /// Tell what advice has saved, day by day, and the control that it is held against, too
    #[arg(long)]
    savings: bool,
    /// Print the whole plan as JSON
    #[arg(long)]
    json: bool,
}

impl PlanVerb {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let connection = open_read_only(&config.store)?;
        let newest = newest_row(&connection)?.context("no row yet, so nothing to plan from")?;
        let mut models = Models::new(config.models.clone());
        let forecasts = forecasts_now(&connection, &config.plant, &mut models)?;
        let model = learn(&connection, &config.plant, newest)?;
        let setting = Setting::of(&config);
        let baseline = match &model {
            Ok(model) => in_force(&connection, &setting, model, newest)?,
            Err(why) => Err(why.clone()),
        };
        let mut calendar = Calendar::new(config.plant.zone.clone());
        let (advice, asked) = advise(
            &connection,
            &setting,
            Known {
                newest,
                now: newest,
                standing: standing(&connection, &config.plant, newest)?,
                model: model.as_ref().map_err(Clone::clone),
                baseline: baseline
                    .as_ref()
                    .map(|it| &it.baseline)
                    .map_err(Clone::clone),
                forecasts: &forecasts,
                before: None,
            },
            Effort::FULL,
            |scene, planned| {
                let m3_per_pct = scene.level.1 / scene.level.0;
                let asked =
                    self.what_if
                        .as_ref()
                        .zip(planned.as_ref().ok())
                        .map(|(question, plan)| {
                            let other = what_if(&plan.problem, m3_per_pct, question)?;
                            Ok::<_, String>(compare(
                                plan,
                                question,
                                &other,
                                1.0 / m3_per_pct,
                                &mut calendar,
                            ))
                        });
                (Advice::new(planned, scene), asked)
            },
        )?;
        let asked = asked.transpose().map_err(anyhow::Error::msg)?;
        let age_min = Clock::Wall.minute() - newest;
        if self.json {
            let mut report = payload(&advice);
            report["data_age_min"] = age_min.into();
            if let Some(asked) = &asked {
                report["asked"] = as_json(asked);
            }
            if self.savings {
                report["control"] = match &baseline {
                    Ok(it) => json!({ "month": it.month, "learnt": it.baseline }),
                    Err(why) => json!({ "unknown_because": why }),
                };
                let days = accounts(&connection, BOOKS_DAYS)?;
                report["days"] = days.iter().map(account_json).collect();
            }
            return print_json(&report);
        }
        let mut whole = String::new();
        if age_min > config.historian.delivery_delay_min + STALE_MIN {
            writeln!(
                whole,
                "The newest row is {age_min} min old: this is what would have been advised then, not now."
            )?;
        }
        let made = text(calendar.local(newest).minute);
        match &advice.planned {
            Err(why) => writeln!(whole, "No advice from {made}, because {why}")?,
            Ok(plan) => describe(plan, &advice, &made, &mut calendar, &mut whole)?,
        }
        if let Some(asked) = &asked {
            writeln!(whole, "\nIf {}", difference(asked, &advice.currency))?;
        }
        if let (true, Ok(model)) = (self.station, &model) {
            station(model, &mut whole)?;
        }
        if self.savings {
            control(&baseline, &advice.currency, &mut whole)?;
            books(
                &accounts(&connection, BOOKS_DAYS)?,
                &advice.currency,
                &mut whole,
            )?;
        }
        print_text(&whole)
    }
}

fn describe(
    plan: &Plan,
    advice: &Advice,
    made: &str,
    calendar: &mut Calendar,
    out: &mut String,
) -> anyhow::Result<()> {
    let done = &plan.evaluation;
    let currency = &advice.currency;
    writeln!(
        out,
        "Advice from {made}: {:.2} {currency} for {:.0} kWh in {:.0} h; at most {:.2} % better is possible",
        done.energy_cost,
        done.total_kwh(),
        plan.problem
            .slots
            .iter()
            .map(|slot| slot.hours())
            .sum::<f64>(),
        plan.gap * 100.0
    )?;
    if done.demand_cost > 0.0 {
        let cost = done.demand_cost;
        writeln!(
            out,
            "The month's demand charge rises by {cost:.2} {currency}"
        )?;
    }
    if let Some(full_speed) = plan.full_speed {
        let saves = full_speed - done.objective();
        writeln!(
            out,
            "Variable speed saves {saves:.2} {currency}, wear and starts included; by the affinity laws, since the history does not tell speeds"
        )?;
    }
    match &plan.saving {
        Ok(saving) => writeln!(
            out,
            "The station's own control would take {:.2} {currency} and {:.0} kWh: advice saves {:.1} % of the cost, {:.1} % of the energy",
            saving.baseline_cost,
            saving.baseline_kwh,
            saving.cost_pct(),
            saving.kwh_pct()
        )?,
        Err(why) => writeln!(out, "What advice saves cannot be told: {why}")?,
    }
    for broken in &plan.broken {
        writeln!(out, "Cannot be kept: {broken}")?;
    }
    for (pump, why) in &plan.out {
        writeln!(out, "Not planned with {}: {why}", pump_name(*pump))?;
    }
    let running = plan.problem.running();
    writeln!(
        out,
        "Now: {}",
        if running == 0 {
            "no pump runs".into()
        } else {
            format!("{} run", names(running))
        }
    )?;
    for change in &plan.changes {
        let time = &text(calendar.local(change.minute).minute)[..16];
        let what = told(change);
        writeln!(out, "{time}  {}: {}", what.join(", "), change.reason)?;
    }
    let levels = || plan.slots.iter().map(|slot| slot.level_pct);
    writeln!(
        out,
        "Level between {:.1} and {:.1} %, {:.1} % at the end",
        levels().fold(f64::INFINITY, f64::min),
        levels().fold(0.0, f64::max),
        levels().next_back().unwrap_or_default()
    )?;
    for &set in &plan.extrapolated {
        writeln!(
            out,
            "{} were never seen to run together: their flow is extrapolated",
            names(set)
        )?;
    }
    for binding in &advice.binding {
        writeln!(out, "{}", capital(binding))?;
    }
    for answer in &advice.what_ifs {
        writeln!(out, "If {}", difference(answer, currency))?;
    }
    Ok(())
}

/// What to do: start, stop, set speeds.
fn told(change: &Change) -> Vec<String> {
    let at = |pump: &str| {
        let pct = change.speeds_pct.get(pump);
        pct.map_or_else(String::new, |pct| format!(" at {pct} % speed"))
    };
    let list = |set: Combination| {
        let named = pumps(set).map(|pump| pump_name(pump).to_owned() + &at(pump_name(pump)));
        named.collect::<Vec<_>>().join(", ")
    };
    let goes_on = |pump: &&&str| !pumps(change.start).any(|started| pump_name(started) == **pump);
    let speeds = change.speeds_pct.keys().filter(goes_on);
    let started = (change.start != 0).then(|| format!("start {}", list(change.start)));
    let stopped = (change.stop != 0).then(|| format!("stop {}", names(change.stop)));
    (started.into_iter().chain(stopped))
        .chain(speeds.map(|pump| format!("{pump}{}", at(pump))))
        .collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

fn difference(answer: &WhatIf, currency: &str) -> String {
    let more = |value: f64| if value < 0.0 { "less" } else { "more" };
    if answer.cost_more.abs() < 0.01 && answer.broken.is_empty() {
        return format!("{}: no difference", answer.what);
    }
    let mut told = format!(
        "{}: {:.2} {currency} {}, {:.0} kWh {}",
        answer.what,
        answer.cost_more.abs(),
        more(answer.cost_more),
        answer.kwh_more.abs(),
        more(answer.kwh_more)
    );
    for broken in &answer.broken {
        told += "; ";
        told += broken;
    }
    told
}

fn station(model: &StationModel, out: &mut String) -> anyhow::Result<()> {
    writeln!(
        out,
        "\nLearnt of the pumps, with a half-full tank; the curves are off by {:.2} % in flow and {:.2} % in power",
        model.flow_error_pct, model.power_error_pct
    )?;
    for pump in (0..PUMPS).filter(|&pump| model.knows(pump)) {
        let (flow, power) = model.at(1 << pump, 0.5);
        let alone = if model.is_extrapolated(1 << pump) {
            ", never seen alone"
        } else {
            ""
        };
        writeln!(
            out,
            "  {} alone: {flow:.0} m³/h, {power:.1} kW, {:.2} m³/kWh{alone}",
            pump_name(pump),
            flow / power
        )?;
    }
    Ok(())
}

/// The control that savings are held against.
fn control(
    in_force: &Result<InForce, String>,
    currency: &str,
    out: &mut String,
) -> anyhow::Result<()> {
    let it = match in_force {
        Ok(it) => it,
        Err(why) => {
            writeln!(out, "\nThe station's own control is not known: {why}")?;
            return Ok(());
        }
    };
    let (baseline, replay) = (&it.baseline, &it.baseline.replay);
    writeln!(
        out,
        "\nThe station's own control, learnt for {}: replayed over {:.0} days it takes {:.0} kWh and {:.2} {currency}; metered were {:.0} kWh and {:.2} ({:+.1} % and {:+.1} %)",
        it.month,
        replay.days,
        replay.replayed_kwh,
        replay.replayed_cost,
        replay.metered_kwh,
        replay.metered_cost,
        replay.kwh_error_pct(),
        replay.cost_error_pct()
    )?;
    let levels = |name: &str, levels: &Levels, out: &mut String| -> anyhow::Result<()> {
        let stages = levels.start_pct.iter().zip(&levels.stop_pct).enumerate();
        for (stage, (start, stop)) in stages {
            if let Some((start, stop)) = start.zip(*stop) {
                let pump = stage + 1;
                writeln!(
                    out,
                    "  {name}pump {pump} starts below {start:.1} % and stops above {stop:.1} %"
                )?;
            }
        }
        Ok(())
    };
    if baseline.cheap == baseline.dear {
        levels("", &baseline.cheap, out)?;
    } else {
        levels("off peak, ", &baseline.cheap, out)?;
        levels("at the peak, ", &baseline.dear, out)?;
    }
    let ran: f64 = baseline.order_min.iter().skip(1).sum();
    let mut sets: Vec<_> = baseline.order_min.iter().enumerate().skip(1).collect();
    sets.sort_by(|(_, one), (_, other)| other.total_cmp(one));
    let shown: Vec<_> = sets
        .iter()
        .take_while(|(_, minutes)| **minutes >= 0.01 * ran)
        .map(|(set, minutes)| format!("{} {:.0} %", names(*set), *minutes / ran * 100.0))
        .collect();
    writeln!(
        out,
        "  pumps that run, of the time of pumping: {}",
        shown.join("; ")
    )?;
    Ok(())
}

/// The closed days, the newest first.
fn books(accounts: &[Account], currency: &str, out: &mut String) -> anyhow::Result<()> {
    if accounts.is_empty() {
        writeln!(out, "\nNo day with advice has closed yet")?;
        return Ok(());
    }
    writeln!(
        out,
        "\nDay by day: cost and energy, beside the station's own control on the same demand"
    )?;
    for account in accounts {
        let figures = |saving: &Saving| {
            format!(
                "{:.2} {currency} ({:+.1} %), {:.0} kWh ({:+.1} %)",
                saving.cost,
                -saving.cost_pct(),
                saving.kwh,
                -saving.kwh_pct()
            )
        };
        let realised = match (&account.left_out, &account.realised) {
            (Some(why), _) => format!("left out, because {why}"),
            (None, Some(saving)) => format!("metered {}", figures(saving)),
            (None, None) => "nothing was metered".to_owned(),
        };
        let planned = account.planned.as_ref().map_or_else(String::new, |saving| {
            format!("; planned {}", figures(saving))
        });
        let followed = account.followed_pct.map_or_else(String::new, |pct| {
            format!("; advice followed in {pct:.0} % of the time")
        });
        let date = date_text(account.day);
        writeln!(out, "  {date}: {realised}{planned}{followed}")?;
    }
    Ok(())
}

fn account_json(account: &Account) -> Value {
    let metered = |saving: Saving| {
        let mut baseline = saving_json(&saving);
        baseline["with_advice_cost"] = saving.cost.into();
        baseline["with_advice_energy_kwh"] = saving.kwh.into();
        baseline
    };
    json!({
        "date": date_text(account.day),
        "baseline": account.baseline,
        "left_out": account.left_out,
        "followed_pct": account.followed_pct,
        "planned": account.planned.map(metered),
        "realised": account.realised.map(metered),
        "peak_kw": account.peak_kw.map(|it| it.0),
        "baseline_peak_kw": account.peak_kw.map(|it| it.1),
    })
}
