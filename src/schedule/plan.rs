//! From the station as it stands and what is forecast to a plan with its reasons, or to the reason why there is none. Pure.

use crate::{
    calendar::{Calendar, Minute},
    config::Schedule,
    forecast::predict::STALE_MIN,
    plant::Plant,
    tags::{PUMPS, pump_name, pump_named},
    tariff::Tariff,
};

use super::{
    baseline::Baseline,
    evaluate::{Evaluation, Limit, evaluate},
    problem::{Breaches, COMBINATIONS, Combination, Duty, Problem, Pump, Slot, Tank, count, pumps},
    relaxation::Relaxation,
    savings::{Saving, planned},
    solve::{Effort, solve},
    station::StationModel,
};

/// What a set never seen costs more, as a share of its energy.
const PREMIUM: f64 = 0.05;
/// Changed advice costs this share of a start, per slot and pump.
const CHANGE_SHARE: f64 = 0.25;
/// So far ahead advice counts as given, min.
const ADVISED_MIN: i64 = 120;
/// Of the cheapest way to lift a m³, water left over is worth this share: never enough to lift it for that.
const SURPLUS_SHARE: f64 = 0.9;
/// Waiting this long is what a change of pumps is held against, min.
const WAIT_MIN: i64 = 60;

/// The margins of a forecast that is far off take this share of the room between the limits each, at most.
const MARGIN_SHARE_MAX: f64 = 0.2;

/// A limit whose room is worth less than this share of the dearest water is not told of.
const WORTH_TELLING: f64 = 0.05;

/// A pump as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Standing {
    /// Whether it runs; `None` when that is not known.
    pub on: Option<bool>,
    /// For how long it has run or rested, min.
    pub since_min: i64,
    /// Why it cannot be used, if it cannot.
    pub out: Option<String>,
    /// Hours it ran in the last 30 days.
    pub hours: f64,
}

/// What a plan is made from.
pub struct Scene<'a> {
    /// The station.
    pub plant: &'a Plant,
    /// What energy costs.
    pub tariff: &'a Tariff,
    /// How it is planned.
    pub settings: &'a Schedule,
    /// What the pumps do, or why that is not known.
    pub model: Result<&'a StationModel, String>,
    /// The newest row's minute.
    pub newest: Minute,
    /// The present minute.
    pub now: Minute,
    /// How late the exports may normally be, min.
    pub delivery_delay_min: i64,
    /// Level in the newest row, % and m³; NaN when unknown.
    pub level: (f64, f64),
    /// The pumps.
    pub pumps: [Standing; PUMPS],
    /// The demand of a minute ahead, m³/h, or why it is not known.
    pub demand: Result<&'a dyn Fn(Minute) -> f64, String>,
    /// By how much the demand may be off its forecast until pumps can answer, m³.
    pub demand_error_m3: f64,
    /// The month's highest quarter hour so far, kW.
    pub reached_kw: f64,
    /// The station's own control, or why what advice saves cannot be told.
    pub baseline: Result<&'a Baseline, String>,
    /// The plan before this one.
    pub before: Option<&'a Plan>,
}

/// A slot of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSlot {
    /// Its first minute.
    pub begin: Minute,
    /// The pumps to run.
    pub set: Combination,
    /// Expected level at its end, %.
    pub level_pct: f64,
    /// Forecast demand, m³/h.
    pub demand_m3h: f64,
    /// Expected energy, kWh.
    pub energy_kwh: f64,
    /// Price of energy, per kWh.
    pub price_per_kwh: f64,
}

/// A change of pumps, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When.
    pub minute: Minute,
    /// Pumps to start.
    pub start: Combination,
    /// Pumps to stop.
    pub stop: Combination,
    /// Why now.
    pub reason: String,
}

/// What would be different if something else held.
#[derive(Clone, Debug, PartialEq)]
pub struct WhatIf {
    /// What.
    pub what: String,
    /// What energy, demand, starts and wear cost then, less what they cost now; a level that is other at the end counts.
    pub cost_more: f64,
    /// Energy then, less what it is now, kWh.
    pub kwh_more: f64,
    /// Limits that are broken then.
    pub broken: Vec<String>,
}

/// A plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The newest minute that it knows.
    pub made: Minute,
    /// The slots.
    pub slots: Vec<PlanSlot>,
    /// Each change of pumps.
    pub changes: Vec<Change>,
    /// Limits that cannot be kept: which, when, how far.
    pub broken: Vec<String>,
    /// Pumps that cannot be used, and why.
    pub out: Vec<(usize, String)>,
    /// What no schedule undercuts.
    pub bound: f64,
    /// What a better schedule could save at most, as a share.
    pub gap: f64,
    /// What is priced.
    pub evaluation: Evaluation,
    /// What it saves beside the station's own control, or why that cannot be told.
    pub saving: Result<Saving, String>,
    /// What it was planned for.
    pub problem: Problem,
    /// Sets in it that were never seen to run.
    pub extrapolated: Vec<Combination>,
}

impl Plan {
    /// `planned`, or `limits` when a limit cannot be kept.
    pub fn status(&self) -> &'static str {
        if self.broken.is_empty() {
            "planned"
        } else {
            "limits"
        }
    }
}

/// A plan, or why there is none.
pub type Planned = Result<Box<Plan>, String>;

/// Names of a set's pumps.
pub fn names(set: Combination) -> String {
    pumps(set).map(pump_name).collect::<Vec<_>>().join(", ")
}

/// Makes a plan.
pub fn plan(scene: &Scene, effort: Effort) -> Planned {
    let problem = problem(scene)?;
    let answer = solve(&problem, effort);
    let evaluation = evaluate(&problem, &answer.schedule);
    let mut calendar = Calendar::new(scene.plant.zone.clone());
    let pct = scene.level.0 / scene.level.1;
    let mut begin = scene.newest + 1;
    let slots: Vec<PlanSlot> = problem
        .slots
        .iter()
        .enumerate()
        .map(|(at, slot)| {
            let planned = PlanSlot {
                begin,
                set: answer.schedule[at],
                level_pct: evaluation.volume_m3[at] * pct,
                demand_m3h: slot.demand_m3h,
                energy_kwh: evaluation.energy_kwh[at],
                price_per_kwh: slot.price_per_kwh,
            };
            begin += slot.length_min;
            planned
        })
        .collect();
    let model = scene.model.clone()?;
    let mut extrapolated: Vec<_> = answer
        .schedule
        .iter()
        .copied()
        .filter(|&set| model.is_extrapolated(set))
        .collect();
    extrapolated.sort_unstable();
    extrapolated.dedup();
    let mut plan = Plan {
        made: scene.newest,
        broken: broken(&evaluation, &slots, pct, &mut calendar),
        changes: Vec::new(),
        slots,
        out: out(scene),
        bound: answer.bound,
        gap: answer.gap(),
        saving: (scene.baseline.clone())
            .map(|baseline| planned(baseline, &problem, &evaluation, scene.tariff)),
        evaluation,
        problem,
        extrapolated,
    };
    plan.changes = changes(&plan, scene.tariff, pct, &mut calendar);
    Ok(Box::new(plan))
}

/// The pumps that cannot be used, and why.
fn out(scene: &Scene) -> Vec<(usize, String)> {
    let why = |pump: usize| {
        let it = &scene.pumps[pump];
        let unknown = it
            .on
            .is_none()
            .then(|| "whether it runs is not known".to_owned());
        let unseen = || {
            let is_unseen = scene.model.as_ref().is_ok_and(|model| !model.knows(pump));
            is_unseen.then(|| "what it does was never seen".to_owned())
        };
        let configured =
            scene.settings.out_of_service[pump].then(|| "out_of_service in the config".to_owned());
        it.out.clone().or(configured).or(unknown).or_else(unseen)
    };
    (0..PUMPS)
        .filter_map(|pump| Some((pump, why(pump)?)))
        .collect()
}

/// What is to be planned, or why that cannot be told.
fn problem(scene: &Scene) -> Result<Problem, String> {
    let (plant, settings) = (scene.plant, scene.settings);
    let age_min = scene.now - scene.newest;
    if age_min > scene.delivery_delay_min + STALE_MIN {
        return Err(format!("the newest row is {age_min} min old"));
    }
    let (level_pct, level_m3) = scene.level;
    if !(level_pct > 0.0 && level_m3 > 0.0) {
        return Err("the tank level is not known".into());
    }
    let model = scene.model.clone()?;
    let demand = scene.demand.clone()?;
    let out = out(scene);
    let mut calendar = Calendar::new(plant.zone.clone());
    let slots = slots(scene, demand, &mut calendar);
    let m3_per_pct = level_m3 / level_pct;
    let (cheap, dear) = scene.tariff.range();
    let duties = model.duties(plant.volume_m3, PREMIUM, f64::midpoint(cheap, dear));
    let hours = scene.pumps.iter().map(|pump| pump.hours).sum::<f64>() / PUMPS as f64;
    let pumps = std::array::from_fn(|pump| {
        let it = &scene.pumps[pump];
        let more = if hours > 0.0 {
            (it.hours / hours).clamp(0.0, 2.0)
        } else {
            1.0
        };
        Pump {
            in_service: !out.iter().any(|(at, _)| *at == pump),
            on: it.on == Some(true),
            since_min: it.since_min,
            start_price: settings.start_cost,
            wear_per_h: settings.wear_cost_per_h * more,
        }
    });
    let usable = |set: Combination| super::problem::pumps(set).all(|pump| pumps[pump].in_service);
    let sets = (1..COMBINATIONS).filter(|&set| usable(set) && count(set) <= settings.pumps_on_max);
    let breaches = breaches(sets.map(|set| &duties[set]), plant.volume_m3, (cheap, dear));
    let low_m3 = settings.level_min_pct * m3_per_pct;
    let high_m3 = (settings.level_max_pct * m3_per_pct).min(plant.volume_m3);
    let margin_m3 = (settings.margin_pct * m3_per_pct).max(scene.demand_error_m3);
    let tank = Tank {
        volume_m3: plant.volume_m3,
        now_m3: level_m3.min(plant.volume_m3),
        low_m3,
        high_m3,
        margin_m3: margin_m3.min((high_m3 - low_m3) * MARGIN_SHARE_MAX),
        end_m3: 0.0,
    };
    let room = (tank.low_m3 + tank.margin_m3, tank.high_m3 - tank.margin_m3);
    let advised = scene
        .before
        .map_or_else(Vec::new, |before| advised(before, &slots, scene.newest + 1));
    Ok(Problem {
        slot_min: settings.slot_min,
        tank: Tank {
            end_m3: tank.now_m3.clamp(room.0, room.1.max(room.0)),
            ..tank
        },
        duties,
        pumps,
        pumps_on_max: settings.pumps_on_max,
        min_up_min: settings.min_up_min,
        min_down_min: settings.min_down_min,
        run_max_min: (settings.run_hours_max * 60.0) as i64,
        demand_charge_per_kw: scene.tariff.demand_charge,
        reached_kw: scene.reached_kw,
        advised,
        change_price: settings.start_cost * CHANGE_SHARE,
        breaches,
        slots,
    })
}

/// The slots: of the clock, the first one from the next minute to the end of its slot.
fn slots(scene: &Scene, demand: &dyn Fn(Minute) -> f64, calendar: &mut Calendar) -> Vec<Slot> {
    let slot_min = scene.settings.slot_min;
    let first = scene.newest + 1;
    let end = first + scene.settings.horizon_h * 60;
    let mut slots = Vec::new();
    let mut begin = first;
    while begin < end {
        let length_min = slot_min - calendar.local(begin).minute_of_day().rem_euclid(slot_min);
        let minutes = begin..begin + length_min;
        let mean = |of: &mut dyn FnMut(Minute) -> f64| {
            minutes.clone().map(of).sum::<f64>() / length_min as f64
        };
        slots.push(Slot {
            length_min,
            demand_m3h: mean(&mut |minute| demand(minute)).max(0.0),
            // As it was written, where it is the same throughout.
            price_per_kwh: (mean(&mut |minute| scene.tariff.price(calendar.local(minute))) * 1e9)
                .round()
                / 1e9,
        });
        begin += length_min;
    }
    slots
}

/// The price of what is broken, from what lifting a m³ costs when that is dear.
fn breaches<'a>(
    duties: impl Iterator<Item = &'a Duty>,
    volume_m3: f64,
    (cheap, dear): (f64, f64),
) -> Breaches {
    let energies = duties.filter_map(|duty| duty.kwh_per_m3(volume_m3));
    let (least, most) = energies.fold((f64::INFINITY, 0.0_f64), |(least, most), it| {
        (least.min(it), most.max(it))
    });
    let (least, most) = if most > 0.0 {
        (least, most)
    } else {
        (0.0, 1.0)
    };
    // With energy for nothing, breaches still have a price.
    let m3 = (most * dear).max(0.001);
    Breaches {
        unmet: 500.0 * m3,
        spilt: 200.0 * m3,
        low: 40.0 * m3,
        high: 20.0 * m3,
        end: 2.0 * m3,
        margin: 0.5 * m3,
        surplus_worth: SURPLUS_SHARE * least * cheap,
    }
}

/// What the plan before advised for these slots, as far as it counts as given.
fn advised(before: &Plan, slots: &[Slot], first: Minute) -> Vec<Combination> {
    let mut begin = first;
    let mut advised = Vec::new();
    for slot in slots {
        let middle = begin + slot.length_min / 2;
        let told = before.slots.iter().rev().find(|it| it.begin <= middle);
        match told {
            Some(told) if begin < before.made + 1 + ADVISED_MIN => advised.push(told.set),
            _ => break,
        }
        begin += slot.length_min;
    }
    advised
}

fn clock(minute: Minute, calendar: &mut Calendar) -> String {
    crate::calendar::text(calendar.local(minute).minute)[11..16].to_owned()
}

/// Limits that the plan breaks, each with its first and its worst slot; margins are not told of.
fn broken(
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

fn changes(plan: &Plan, tariff: &Tariff, pct_per_m3: f64, calendar: &mut Calendar) -> Vec<Change> {
    let schedule: Vec<_> = plan.slots.iter().map(|slot| slot.set).collect();
    let mut before = plan.problem.running();
    let mut changes = Vec::new();
    for (at, slot) in plan.slots.iter().enumerate() {
        let (start, stop) = (slot.set & !before, before & !slot.set);
        if start | stop != 0 {
            let unusable = plan
                .out
                .iter()
                .find(|(pump, _)| stop == 1 << pump && start == 0);
            let reason = match unusable {
                Some((pump, why)) => format!("{} cannot be used: {why}", pump_name(*pump)),
                None => {
                    let price = price_text(plan, at, tariff, calendar);
                    let others = (at, before);
                    let waiting =
                        waiting_text(plan, &schedule, others, (pct_per_m3, tariff), calendar);
                    format!("{price}; {waiting}")
                }
            };
            changes.push(Change {
                minute: slot.begin,
                start,
                stop,
                reason,
            });
        }
        before = slot.set;
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

/// What it would cost, or break, to leave the pumps as they are for an hour.
fn waiting_text(
    plan: &Plan,
    schedule: &[Combination],
    (at, before): (usize, Combination),
    (pct_per_m3, tariff): (f64, &Tariff),
    calendar: &mut Calendar,
) -> String {
    let mut waiting = schedule.to_vec();
    let from = plan.slots[at].begin;
    for (slot, set) in plan.slots.iter().zip(&mut waiting).skip(at) {
        if slot.begin < from + WAIT_MIN {
            *set = before;
        }
    }
    let done = evaluate(&plan.problem, &waiting);
    let later = if schedule[at] & !before == 0 {
        "left running for an hour"
    } else {
        "an hour later"
    };
    let limits = [
        (Limit::Unmet, "the tank would run empty"),
        (Limit::Spilt, "the tank would spill"),
        (Limit::Low, "below its lower limit"),
        (Limit::High, "above its upper limit"),
    ];
    for (limit, what) in limits {
        let depth = |evaluation: &Evaluation| {
            let by = evaluation
                .breaches
                .iter()
                .filter(|it| it.limit == limit)
                .map(|it| it.by_m3);
            by.fold(0.0, f64::max)
        };
        if depth(&done) * pct_per_m3 > depth(&plan.evaluation) * pct_per_m3 + 0.05 {
            let breach = done
                .breaches
                .iter()
                .find(|it| it.limit == limit)
                .expect("it is deeper than before");
            let slot = &plan.slots[breach.slot];
            let at = clock(
                slot.begin + plan.problem.slots[breach.slot].length_min,
                calendar,
            );
            return match limit {
                Limit::Unmet | Limit::Spilt => format!("{later}, {what} at {at}"),
                _ => format!(
                    "{later}, the level would be at {:.1} % at {at}, {what}",
                    done.volume_m3[breach.slot] * pct_per_m3
                ),
            };
        }
    }
    let more = done.objective() - plan.evaluation.objective();
    if more >= 0.005 {
        format!("{later}, it would cost {more:.2} {} more", tariff.currency)
    } else {
        format!("{later}, it would cost as much")
    }
}

/// A problem with something else in it, as `pumphouse plan --what-if` takes it: `P3 out`, `P3 in`, `5 pumps`, `low 10`, `high 95`,
/// `demand +10`; several with commas between.
pub fn what_if(problem: &Problem, m3_per_pct: f64, text: &str) -> Result<Problem, String> {
    let mut problem = problem.clone();
    for part in text.split(',') {
        let words: Vec<_> = part.split_whitespace().collect();
        let number = |word: &str| {
            word.trim_end_matches('%')
                .parse::<f64>()
                .ok()
                .filter(|it| it.is_finite())
        };

        match words.as_slice() {
            [name, state @ ("out" | "in")] if pump_named(name).is_some() => {
                problem.pumps[pump_named(name).unwrap_or_default()].in_service = *state == "in";
            }
            [many, "pumps"]
                if number(many).is_some_and(|it| (1.0..=PUMPS as f64).contains(&it)) =>
            {
                problem.pumps_on_max = number(many).unwrap_or_default() as usize;
            }
            [limit @ ("low" | "high"), pct]
                if number(pct).is_some_and(|it| (0.0..=100.0).contains(&it)) =>
            {
                let m3 = (number(pct).unwrap_or_default() * m3_per_pct).min(problem.tank.volume_m3);
                let tank = &mut problem.tank;
                *(if *limit == "low" {
                    &mut tank.low_m3
                } else {
                    &mut tank.high_m3
                }) = m3;
            }
            ["demand", more] if number(more).is_some_and(|it| it >= -100.0) => {
                for slot in &mut problem.slots {
                    slot.demand_m3h *= 1.0 + number(more).unwrap_or_default() / 100.0;
                }
            }
            _ => {
                return Err(format!(
                    "cannot ask what if {:?}; ask like \"P3 out\", \"P3 in\", \"5 pumps\", \"low 10\", \"high 95\" or \"demand +10\", with commas between several",
                    part.trim()
                ));
            }
        }
    }
    let tank = &problem.tank;
    if tank.low_m3 + 2.0 * tank.margin_m3 >= tank.high_m3 {
        return Err("the limits leave no room between them".into());
    }
    Ok(problem)
}

/// What is different from a plan if something else held.
pub fn compare(
    plan: &Plan,
    what: &str,
    other: &Problem,
    pct_per_m3: f64,
    calendar: &mut Calendar,
) -> WhatIf {
    let answer = solve(other, Effort::BRIEF);
    let done = evaluate(other, &answer.schedule);
    // Margins count; what is broken is told of beside the cost.
    let margins = |of: &Evaluation| -> f64 {
        let near = of
            .breaches
            .iter()
            .filter(|it| matches!(it.limit, Limit::LowMargin | Limit::HighMargin));
        near.map(|it| it.by_m3).sum::<f64>() * other.breaches.margin
    };
    let cost = |of: &Evaluation| of.objective() - of.breach_cost + margins(of);
    WhatIf {
        what: what.to_owned(),
        cost_more: cost(&done) - cost(&plan.evaluation),
        kwh_more: done.total_kwh() - plan.evaluation.total_kwh(),
        broken: broken(&done, &plan.slots, pct_per_m3, calendar),
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

/// The questions that every plan is asked: each pump that is out back in service, one pump more at once, wider limits.
pub fn what_ifs(plan: &Plan, scene: &Scene) -> Vec<WhatIf> {
    let mut questions: Vec<String> = plan
        .out
        .iter()
        .map(|(pump, _)| format!("{} in", pump_name(*pump)))
        .collect();
    questions.push(format!("{} pumps", plan.problem.pumps_on_max + 1));
    questions.push(format!(
        "low {}",
        (scene.settings.level_min_pct - 5.0).max(0.0)
    ));
    questions.push(format!(
        "high {}",
        (scene.settings.level_max_pct + 5.0).min(100.0)
    ));
    let m3_per_pct = scene.level.1 / scene.level.0;
    let mut calendar = Calendar::new(scene.plant.zone.clone());
    let asked = questions.iter().filter_map(|question| {
        let other = what_if(&plan.problem, m3_per_pct, question).ok()?;
        Some(compare(
            plan,
            question,
            &other,
            1.0 / m3_per_pct,
            &mut calendar,
        ))
    });
    asked.collect()
}
