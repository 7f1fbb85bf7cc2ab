//! What advice saves, in three figures that are kept apart: *planned*, the plan beside the baseline on the forecast demand;
//! *realised*, what was metered beside the baseline on the demand that there was; and how much of the advice was *followed*. Cost
//! comes first, energy beside it; both are of energy alone, without the demand charge, and as if all had ended with the same
//! level. Pure.

use super::{
    baseline::{Asked, Baseline, Past, Replay, Water},
    evaluate::Evaluation,
    problem::{Combination, Problem, count},
};
use crate::{
    calendar::{Day, Minute},
    tariff::Tariff,
};

/// A day with less of its minutes known is left out, %.
const KNOWN_MIN_PCT: f64 = 95.0;
/// A day with more minutes outside its limits is left out.
const OUTSIDE_MAX_MIN: usize = 15;
/// A day in which pumps were out of service for more pump minutes is left out.
const OUT_MAX_MIN: i64 = 60;
/// A stretch of a day that counts, min.
const STRETCH_MIN: usize = 30;
/// Advice has so many minutes to be followed.
const FOLLOWED_WITHIN_MIN: Minute = 10;

/// The station's own control beside a plan, on the same demand and to the same level.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Saving {
    /// Energy of the baseline, kWh.
    pub baseline_kwh: f64,
    /// What it costs.
    pub baseline_cost: f64,
    /// Energy with advice, kWh.
    pub kwh: f64,
    /// What it costs.
    pub cost: f64,
}

impl Saving {
    /// Share of the baseline's cost that is saved, %.
    pub fn cost_pct(&self) -> f64 {
        (1.0 - self.cost / self.baseline_cost) * 100.0
    }

    /// Share of its energy, %.
    pub fn kwh_pct(&self) -> f64 {
        (1.0 - self.kwh / self.baseline_kwh) * 100.0
    }
}

/// What a plan saves by the forecast.
pub fn planned(
    baseline: &Baseline,
    problem: &Problem,
    done: &Evaluation,
    tariff: &Tariff,
) -> Saving {
    let volume_m3 = problem.tank.volume_m3;
    let stages = baseline.stages(&problem.duties, volume_m3, |pump| {
        problem.pumps[pump].in_service
    });
    let minutes = problem.slots.iter().flat_map(|slot| {
        let asked = Asked {
            demand_m3h: slot.demand_m3h,
            price_per_kwh: slot.price_per_kwh,
        };
        (0..slot.length_min).map(move |_| asked)
    });
    let begin = (problem.tank.now_m3, count(problem.running()));
    let water = Water::of(&problem.duties, volume_m3, tariff);
    let end_m3 = done.volume_m3.last().copied().unwrap_or(begin.0);
    let ran = baseline
        .run(&stages, begin, minutes)
        .ending_with(end_m3, water);
    Saving {
        baseline_kwh: ran.energy_kwh,
        baseline_cost: ran.cost,
        kwh: done.total_kwh(),
        cost: done.energy_cost,
    }
}

/// A closed day in the books.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// The day.
    pub day: Day,
    /// The month whose baseline it is held against.
    pub baseline: Option<String>,
    /// Why nothing realised is told of this day.
    pub left_out: Option<String>,
    /// Share of the advised minutes in which the advised pumps ran, %.
    pub followed_pct: Option<f64>,
    /// What the day's first plan promised.
    pub planned: Option<Saving>,
    /// What came of it.
    pub realised: Option<Saving>,
    /// Highest quarter of an hour, kW: metered, and of the baseline.
    pub peak_kw: Option<(f64, f64)>,
}

/// What a day is accounted from.
pub struct Closed<'a> {
    /// The day.
    pub day: Day,
    /// How long it was, min.
    pub length_min: i64,
    /// Its minutes, as far as there are rows.
    pub past: &'a [Past],
    /// The pumps advised for each of them.
    pub advised: &'a [Option<Combination>],
    /// Energy of the whole day as `daily_summary` has it, kWh.
    pub metered_kwh: f64,
    /// Pumps that were out of service, and for how many minutes.
    pub out: &'a [(usize, i64)],
    /// What the day's first plan promised.
    pub planned: Option<Saving>,
}

/// What a day is held against.
pub struct Yardstick<'a> {
    /// The month of the baseline, and the baseline.
    pub baseline: (&'a str, &'a Baseline),
    /// What the sets of pumps do.
    pub duties: &'a [super::problem::Duty],
    /// What the tank holds, m³.
    pub volume_m3: f64,
    /// Lowest and highest level that is kept, %.
    pub limits_pct: (f64, f64),
    /// What energy costs.
    pub tariff: &'a Tariff,
}

/// Accounts for a closed day.
pub fn account(closed: &Closed, yardstick: &Yardstick) -> Account {
    let (version, baseline) = yardstick.baseline;
    let mut account = Account {
        day: closed.day,
        baseline: Some(version.to_owned()),
        followed_pct: followed_pct(closed.past, closed.advised),
        planned: closed.planned,
        left_out: left_out(closed, yardstick),
        ..Account::default()
    };
    if account.left_out.is_some() {
        return account;
    }
    let stages = baseline.stages(yardstick.duties, yardstick.volume_m3, |_| true);
    let water = Water::of(yardstick.duties, yardstick.volume_m3, yardstick.tariff);
    let Replay {
        metered_kwh,
        metered_cost,
        replayed_kwh,
        replayed_cost,
        metered_peak_kw,
        replayed_peak_kw,
        ..
    } = baseline.replay(closed.past, &stages, water, STRETCH_MIN);
    // Minutes that are not known count on both sides alike.
    let whole = closed.metered_kwh / metered_kwh;
    account.realised = Some(Saving {
        baseline_kwh: replayed_kwh * whole,
        baseline_cost: replayed_cost * whole,
        kwh: closed.metered_kwh,
        cost: metered_cost * whole,
    });
    account.peak_kw = Some((metered_peak_kw, replayed_peak_kw));
    account
}

/// Why a day says nothing of what advice saves.
fn left_out(closed: &Closed, yardstick: &Yardstick) -> Option<String> {
    let known = closed.past.iter().filter(|past| past.is_known()).count();
    if (known as f64) < KNOWN_MIN_PCT / 100.0 * closed.length_min as f64 {
        return Some(format!(
            "level, flow, power and pumps are known in {known} of {} min",
            closed.length_min
        ));
    }
    if let Some((pump, minutes)) = closed.out.iter().max_by_key(|(_, minutes)| *minutes)
        && *minutes > OUT_MAX_MIN
    {
        return Some(format!(
            "{} was out of service for {minutes} min",
            crate::tags::pump_name(*pump)
        ));
    }
    let (low, high) = yardstick.limits_pct;
    let (_, baseline) = yardstick.baseline;
    // The station's own control may fill the tank above the limit of the plans; that is no fault of a day.
    let stops = [&baseline.cheap, &baseline.dear]
        .into_iter()
        .flat_map(|levels| levels.stop_pct.iter().flatten().copied());
    let high = stops.fold(high, f64::max) + 2.0;
    let outside = closed
        .past
        .iter()
        .filter_map(|past| past.fill)
        .filter(|fill| fill * 100.0 < low || fill * 100.0 > high)
        .count();
    (outside > OUTSIDE_MAX_MIN)
        .then(|| format!("the level was outside {low:.0} to {high:.0} % for {outside} min"))
}

fn followed_pct(past: &[Past], advised: &[Option<Combination>]) -> Option<f64> {
    let (mut told, mut followed) = (0.0, 0.0);
    for (at, now) in past.iter().enumerate() {
        let (Some(set), Some(_)) = (now.set, advised[at]) else {
            continue;
        };
        let mut recent = (0..=at)
            .rev()
            .take_while(|&before| past[before].minute >= now.minute - FOLLOWED_WITHIN_MIN)
            .filter_map(|before| advised[before]);
        told += 1.0;
        followed += f64::from(u8::from(recent.any(|advised| advised == set)));
    }
    (told > 0.0).then(|| followed / told * 100.0)
}
