//! From the station as it stands and what is forecast to a plan with its reasons, or to the reason why there is none. Pure.

use std::sync::Arc;

use crate::{
    calendar::{Calendar, Minute},
    config::{Config, Drives, Schedule},
    forecast::predict::STALE_MIN,
    plant::Plant,
    tags::PUMPS,
    tariff::Tariff,
};

use super::{
    baseline::Baseline,
    evaluate::evaluate_at,
    plan::{Plan, PlanSlot, Planned},
    problem::{
        Breaches, COMBINATIONS, Combination, Duty, FULL_PCT, Problem, Pump, Slot, Speed, Tank,
        count,
    },
    reasons::{broken, changes},
    savings::planned,
    solve::{Effort, solve},
    speeds::speeds,
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
/// The search knows the speeds that this divides, %.
const SEARCHED_PCT: u8 = 5;

/// The margins of a forecast that is far off take this share of the room between the limits each, at most.
const MARGIN_SHARE_MAX: f64 = 0.2;

/// What does not change between two plans.
#[derive(Clone, PartialEq)]
pub struct Setting {
    /// The station.
    pub plant: Arc<Plant>,
    /// What energy costs.
    pub tariff: Arc<Tariff>,
    /// How it is planned.
    pub settings: Schedule,
    /// How late the exports may normally be, min.
    pub delivery_delay_min: i64,
}

impl Setting {
    /// As the config has it.
    pub fn of(config: &Config) -> Self {
        Self {
            plant: config.plant.clone(),
            tariff: config.tariff.clone(),
            settings: config.schedule.clone(),
            delivery_delay_min: config.historian.delivery_delay_min,
        }
    }
}

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
    /// The station, its tariff and how it is planned.
    pub setting: &'a Setting,
    /// What the pumps do, or why that is not known.
    pub model: Result<&'a StationModel, String>,
    /// The newest row's minute.
    pub newest: Minute,
    /// The present minute.
    pub now: Minute,
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

/// Makes a plan.
pub fn plan(scene: &Scene, effort: Effort) -> Planned {
    let out = out(scene);
    let problem = problem(scene, &out)?;
    let answer = solve(&problem, effort);
    let speeds = speeds(&problem, &answer);
    let full_speed = (!problem.slower.is_empty())
        .then(|| solve(&at_full_speed(&problem), Effort::BRIEF).objective);
    let evaluation = evaluate_at(&problem, &answer.schedule, &speeds);
    let mut calendar = Calendar::new(scene.setting.plant.zone.clone());
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
                speed_pct: speeds[at],
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
        out,
        bound: answer.bound,
        gap: answer.gap(),
        objective: answer.objective,
        full_speed,
        saving: (scene.baseline.clone())
            .map(|baseline| planned(baseline, &problem, &evaluation, &scene.setting.tariff)),
        evaluation,
        problem,
        extrapolated,
    };
    plan.changes = changes(&plan, &scene.setting.tariff, pct, &mut calendar);
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
        let configured = scene.setting.settings.out_of_service[pump]
            .then(|| "out_of_service in the config".to_owned());
        it.out.clone().or(configured).or(unknown).or_else(unseen)
    };
    (0..PUMPS)
        .filter_map(|pump| Some((pump, why(pump)?)))
        .collect()
}

/// What is to be planned, or why that cannot be told.
fn problem(scene: &Scene, out: &[(usize, String)]) -> Result<Problem, String> {
    let (plant, settings) = (&scene.setting.plant, &scene.setting.settings);
    let age_min = scene.now - scene.newest;
    if age_min > scene.setting.delivery_delay_min + STALE_MIN {
        return Err(format!("the newest row is {age_min} min old"));
    }
    let (level_pct, level_m3) = scene.level;
    if !(level_pct > 0.0 && level_m3 > 0.0) {
        return Err("the tank level is not known".into());
    }
    let model = scene.model.clone()?;
    let demand = scene.demand.clone()?;
    let mut calendar = Calendar::new(plant.zone.clone());
    let slots = slots(scene, demand, &mut calendar);
    let m3_per_pct = level_m3 / level_pct;
    let (cheap, dear) = scene.setting.tariff.range();
    let price = f64::midpoint(cheap, dear);
    let duties = model.duties(plant.volume_m3, PREMIUM, price);
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
    let (advised, advised_pct) = scene
        .before
        .map(|before| advised(before, &slots, scene.newest + 1))
        .unwrap_or_default();
    let drives = settings.drives.as_ref();
    let speeds = drives.map(|drives| slower(model, drives, plant.volume_m3, price));
    let mut problem = Problem {
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
        demand_charge_per_kw: scene.setting.tariff.demand_charge,
        reached_kw: scene.reached_kw,
        advised,
        advised_pct,
        driven: drives.map_or(0, Drives::set),
        slower: Vec::new(),
        speeds: speeds.unwrap_or_default(),
        change_price: settings.start_cost * CHANGE_SHARE,
        breaches,
        slots,
    };
    problem.search_speeds(SEARCHED_PCT);
    Ok(problem)
}

/// What sets with variable-speed pumps do below full speed, where they lift enough.
fn slower(model: &StationModel, drives: &Drives, volume_m3: f64, price_per_kwh: f64) -> Vec<Speed> {
    let speed = |pct: u8| {
        let slower = model.at_speed(f64::from(pct) / 100.0, drives);
        let duties = slower.duties(volume_m3, PREMIUM, price_per_kwh);
        let driven = drives.set();
        let bears = |set| set & driven != 0 && model.bears(set, &slower, drives);
        let duties = duties.into_iter().enumerate();
        let duties = duties
            .map(|(set, duty)| bears(set).then_some(duty))
            .collect();
        Speed { pct, duties }
    };
    (drives.speed_min_pct..FULL_PCT).map(speed).collect()
}

/// The same problem as if no pump had a variable-speed drive.
fn at_full_speed(problem: &Problem) -> Problem {
    let mut full = problem.clone();
    full.duties.truncate(COMBINATIONS);
    full.slower.clear();
    full.speeds.clear();
    full
}

/// The slots: of the clock, the first one from the next minute to the end of its slot.
fn slots(scene: &Scene, demand: &dyn Fn(Minute) -> f64, calendar: &mut Calendar) -> Vec<Slot> {
    let slot_min = scene.setting.settings.slot_min;
    let first = scene.newest + 1;
    let end = first + scene.setting.settings.horizon_h * 60;
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
            price_per_kwh: (mean(&mut |minute| scene.setting.tariff.price(calendar.local(minute)))
                * 1e9)
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
        margin: 1.5 * m3,
        surplus_worth: SURPLUS_SHARE * least * cheap,
    }
}

/// What the plan before advised for these slots, as far as it counts as given.
fn advised(before: &Plan, slots: &[Slot], first: Minute) -> (Vec<Combination>, Vec<Option<u8>>) {
    let mut begin = first;
    let mut advised = Vec::new();
    for slot in slots {
        let middle = begin + slot.length_min / 2;
        let told = before.slots.iter().rev().find(|it| it.begin <= middle);
        match told {
            Some(told) if begin < before.made + 1 + ADVISED_MIN => {
                advised.push((told.set, told.speed_pct))
            }
            _ => break,
        }
        begin += slot.length_min;
    }
    advised.into_iter().unzip()
}
