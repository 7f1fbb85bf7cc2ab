//! Why a plan is as it is: each change of pumps with what it costs to wait, the limits that cannot be kept and those that cost something.

use std::collections::BTreeMap;

use crate::{
    calendar::{Calendar, Minute},
    tags::pump_name,
    tariff::Tariff,
};

use super::{
    evaluate::{Evaluation, Limit, evaluate_at},
    plan::{Change, Plan, PlanSlot},
    problem::Combination,
    relaxation::Relaxation,
};

/// Waiting this long is what a change of pumps is held against, min.
const WAIT_MIN: i64 = 60;

/// A limit whose room is worth less than this share of the dearest water is not told of.
const WORTH_TELLING: f64 = 0.05;

fn clock(minute: Minute, calendar: &mut Calendar) -> String {
    crate::calendar::text(calendar.local(minute).minute)[11..16].to_owned()
}

/// Limits that the plan breaks, each with its first and its worst slot; margins are not told of.
pub(super) fn broken(
    evaluation: &Evaluation,
    slots: &[PlanSlot],
    pct_per_m3: f64,
    calendar: &mut Calendar,
) -> Vec<String> {
    let mut told = Vec::new();
    for limit in [
        Limit::Unmet,
        Limit::Spilt,
        Limit::Low,
        Limit::High,
        Limit::End,
    ] {
        let breaches: Vec<_> = evaluation
            .breaches
            .iter()
            .filter(|it| it.limit == limit)
            .collect();
        let worst = breaches
            .iter()
            .max_by(|one, other| one.by_m3.total_cmp(&other.by_m3));
        let (Some(first), Some(worst)) = (breaches.first(), worst) else {
            continue;
        };
        let pct = worst.by_m3 * pct_per_m3;
        // Rounding is no breach; a little less at the end than at the begin is in the price.
        let told_from_pct = if limit == Limit::End { 2.0 } else { 0.05 };
        if pct < told_from_pct {
            continue;
        }
        let from = clock(slots[first.slot].begin, calendar);
        let at = clock(slots[worst.slot].begin, calendar);
        let total: f64 = breaches.iter().map(|it| it.by_m3).sum();
        told.push(match limit {
            Limit::Unmet => format!(
                "from {from} the tank is empty and {total:.0} m³ of the demand cannot be met"
            ),
            Limit::Spilt => format!("from {from} the tank spills, {total:.0} m³ in all"),
            Limit::Low => {
                format!("from {from} the level falls below its limit, by {pct:.1} points at {at}")
            }
            Limit::High => {
                format!("from {from} the level rises above its limit, by {pct:.1} points at {at}")
            }
            _ => format!(
                "at the end the tank has {:.0} m³ less than it should",
                worst.by_m3
            ),
        });
    }
    told
}

/// Each change of pumps and of speeds, with its reason.
pub(super) fn changes(
    plan: &Plan,
    tariff: &Tariff,
    pct_per_m3: f64,
    calendar: &mut Calendar,
) -> Vec<Change> {
    // What the history shows counts as full speed.
    let mut before = (plan.problem.running(), None);
    let mut changes = Vec::new();
    for (at, slot) in plan.slots.iter().enumerate() {
        let (start, stop) = (slot.set & !before.0, before.0 & !slot.set);
        let here = (slot.set, slot.speed_pct);
        let speeds = |(set, pct)| plan.problem.speeds_pct(set, pct);
        let (ran, runs) = (speeds(before), speeds(here));
        let is_new = ran != runs;
        if start | stop != 0 || is_new {
            let unusable = plan
                .out
                .iter()
                .find(|(pump, _)| stop == 1 << pump && start == 0);
            let reason = match unusable {
                Some((pump, why)) => format!("{} cannot be used: {why}", pump_name(*pump)),
                None => {
                    let price = price_text(plan, at, tariff, calendar);
                    let waiting = waiting_text(plan, (at, before), (pct_per_m3, tariff), calendar);
                    format!("{price}; {waiting}")
                }
            };
            changes.push(Change {
                minute: slot.begin,
                start,
                stop,
                speeds_pct: if is_new { runs } else { BTreeMap::new() },
                reason,
            });
        }
        before = here;
    }
    changes
}

/// The price now and the next other one.
fn price_text(plan: &Plan, at: usize, tariff: &Tariff, calendar: &mut Calendar) -> String {
    let now = plan.slots[at].price_per_kwh;
    let currency = &tariff.currency;
    let next = plan.slots[at..]
        .iter()
        .find(|slot| (slot.price_per_kwh - now).abs() > 1e-9);
    match next {
        Some(next) => format!(
            "energy costs {now:.3} {currency}/kWh until {}, then {:.3}",
            clock(next.begin, calendar),
            next.price_per_kwh
        ),
        None => format!("energy costs {now:.3} {currency}/kWh throughout"),
    }
}

/// What it would cost, or break, to leave the pumps and their speed as they are for an hour.
fn waiting_text(
    plan: &Plan,
    (at, before): (usize, (Combination, Option<u8>)),
    (pct_per_m3, tariff): (f64, &Tariff),
    calendar: &mut Calendar,
) -> String {
    let from = plan.slots[at].begin;
    let waits = |slot: &PlanSlot| slot.begin >= from && slot.begin < from + WAIT_MIN;
    let waiting = plan.slots.iter().map(|slot| {
        if waits(slot) {
            before
        } else {
            (slot.set, slot.speed_pct)
        }
    });
    let (schedule, speeds): (Vec<_>, Vec<_>) = waiting.unzip();
    let done = evaluate_at(&plan.problem, &schedule, &speeds);
    let (set, left) = (plan.slots[at].set, before.0);
    let later = if set == left {
        "left as it is for an hour"
    } else if set & !left == 0 {
        "left running for an hour"
    } else {
        "an hour later"
    };
    let limits = [
        (Limit::Unmet, "the tank would run empty"),
        (Limit::Spilt, "the tank would spill"),
        (Limit::Low, "below its lower limit"),
        (Limit::High, "above its upper limit"),
        (
            Limit::LowMargin,
            "so near to its lower limit that the forecast's error counts",
        ),
        (
            Limit::HighMargin,
            "so near to its upper limit that the forecast's error counts",
        ),
    ];
    let told_from_m3 = 0.05 / pct_per_m3;
    for (limit, what) in limits {
        let deeper = done.breaches.iter().find(|it| {
            let planned = plan.evaluation.breaches.iter();
            let mut same = planned.filter(|other| (other.limit, other.slot) == (limit, it.slot));
            it.limit == limit && it.by_m3 > same.next().map_or(0.0, |it| it.by_m3) + told_from_m3
        });
        let Some(breach) = deeper else {
            continue;
        };
        let end = plan.slots[breach.slot].begin + plan.problem.slots[breach.slot].length_min;
        let at = clock(end, calendar);
        return match limit {
            Limit::Unmet | Limit::Spilt => format!("{later}, {what} at {at}"),
            _ => format!(
                "{later}, the level would be at {:.1} % at {at}, {what}",
                done.volume_m3[breach.slot] * pct_per_m3
            ),
        };
    }
    let more = done.money(&plan.problem) - plan.evaluation.money(&plan.problem);
    if more >= 0.005 {
        format!("{later}, it would cost {more:.2} {} more", tariff.currency)
    } else {
        format!("{later}, it would cost as much")
    }
}

/// The limits that cost something, each at the time at which it costs most, by the prices of the relaxation.
pub fn binding(
    plan: &Plan,
    relaxed: &Relaxation,
    currency: &str,
    calendar: &mut Calendar,
) -> Vec<String> {
    let dearest = relaxed
        .water_worth
        .iter()
        .fold(0.0_f64, |most, worth| most.max(*worth));
    let told = [
        ("lower", &relaxed.low_worth),
        ("upper", &relaxed.high_worth),
    ];
    let limits = told.into_iter().filter_map(|(name, worths)| {
        let (at, &worth) = worths.iter().enumerate().max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        let end = plan.slots.get(at)?.begin + plan.problem.slots[at].length_min;
        (worth > dearest * WORTH_TELLING).then(|| {
            format!(
                "the {name} limit binds at {}: a m³ more room there would save {worth:.3} {currency}",
                clock(end, calendar)
            )
        })
    });
    limits.collect()
}
