//! The speeds of variable-speed pumps, once it is known which pumps run when. The search knows a speed each 5 %; this is what lies
//! between.
//!
//! Slots that follow each other with the same pumps at the same price make a *run*, for two hours at most, which has one speed for its
//! variable-speed pumps: nobody wants to set it anew each quarter of an hour. What a run lifts costs as the slowest speeds
//! and the next ones say, on the lower hull of power over flow; clarabel finds the flow of every run at once, so that the tank
//! stays within its limits and energy costs least. What it finds becomes whole percents, tried one up and one down on the
//! evaluator; where the search's speeds are as cheap, they stay.

use super::{
    evaluate::{Evaluation, evaluate_at},
    problem::{Combination, Problem},
    program::{Program, Volume},
    solve::Answer,
    values::steps,
};

/// A speed is kept for so long at most, min.
const RUN_MAX_MIN: i64 = 120;
/// The flow is found anew about the volumes that the first answer leads to.
const ROUNDS: usize = 2;
/// Times that each run's speed is tried a percent up and down.
const TRIES: usize = 20;
/// What is saved below this is rounding.
const WORTH_IT: f64 = 1e-6;

/// Slots with one speed.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    slots: std::ops::Range<usize>,
    /// The speeds that it may have, % with `None` for full speed, the slowest first.
    speeds: Vec<Option<u8>>,
}

/// The speed of each slot, % of full speed, better than those of an answer; `None` at full speed and where no variable-speed pump runs.
pub fn speeds(problem: &Problem, answer: &Answer) -> Vec<Option<u8>> {
    let schedule = &answer.schedule[..];
    let runs = runs(problem, answer);
    if runs.is_empty() {
        return answer.speeds_pct.clone();
    }
    let cost = |speeds: &[Option<u8>]| evaluate_at(problem, schedule, speeds).objective();
    // One speed for a run, rather than one for each slot, is worth a change of advice.
    let begun = answer.objective + problem.change_price;
    let mut best = (begun, answer.speeds_pct.clone());
    for _ in 0..ROUNDS {
        let about = evaluate_at(problem, schedule, &best.1);
        let Some(mut speeds) = relaxed(problem, schedule, &runs, &about) else {
            break;
        };

        let least = settle(&mut speeds, &runs, &cost);
        if least < best.0 - WORTH_IT {
            best = (least, speeds);
        }
    }
    calm(problem, schedule, &runs, &mut best, &cost);
    keep_told(problem, schedule, &runs, &mut best, &cost);
    best.1
}

fn runs(problem: &Problem, answer: &Answer) -> Vec<Run> {
    let (schedule, told) = (&answer.schedule, &answer.speeds_pct);
    let mut runs: Vec<Run> = Vec::new();
    let mut length_min = 0;
    for (at, (slot, &set)) in problem.slots.iter().zip(schedule).enumerate() {
        let slower = problem.speeds.iter().filter(|it| it.duties[set].is_some());
        let speeds: Vec<_> = slower.map(|it| Some(it.pct)).chain([None]).collect();
        if speeds.len() == 1 {
            continue;
        }
        length_min += slot.length_min;
        let goes_on = at > 0
            && (schedule[at - 1], told[at - 1]) == (set, told[at])
            && (problem.slots[at - 1].price_per_kwh - slot.price_per_kwh).abs() < 1e-9
            && length_min <= RUN_MAX_MIN;
        match runs.last_mut() {
            Some(run) if goes_on && run.slots.end == at => run.slots.end += 1,
            _ => {
                let slots = at..at + 1;
                runs.push(Run { slots, speeds });
                length_min = slot.length_min;
            }
        }
    }
    runs
}

/// Corners of the lower hull of power over flow.
fn hull(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut hull: Vec<(f64, f64)> = Vec::new();
    for point in points {
        while let [.., before, last] = hull[..] {
            let rises = (last.1 - before.1) * (point.0 - before.0);
            if rises < (point.1 - before.1) * (last.0 - before.0) {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

/// The speeds whose flows clarabel finds cheapest, about the volumes of `about`.
fn relaxed(
    problem: &Problem,
    schedule: &[Combination],
    runs: &[Run],
    about: &Evaluation,
) -> Option<Vec<Option<u8>>> {
    let steps = steps(problem);
    let mut program = Program::default();
    let has_charge = problem.demand_charge_per_kw > 0.0;
    let kw_max = problem.duties.iter().map(|it| it.power_kw.at_empty);
    let kw_max = 2.0 * kw_max.fold(0.0, f64::max);
    let peak = program.variable(problem.demand_charge_per_kw, kw_max);
    let flow_max = problem.duties.iter().map(|it| it.flow_m3h.at_empty);
    let flow_max = flow_max.fold(0.0, f64::max);
    let volume_of = |run: &Run| about.volume_m3[(run.slots.start + run.slots.end - 1) / 2];
    // Of each run the least flow and what it lifts above that.
    let mut lifts = Vec::with_capacity(runs.len());
    for run in runs {
        let set = schedule[run.slots.start];
        let point = |pct: &Option<u8>| {
            let duty = problem.duty(set, *pct);
            (
                duty.flow_m3h.at(volume_of(run)),
                duty.power_kw.at(volume_of(run)),
            )
        };
        let hull = hull(run.speeds.iter().map(point).collect());
        let (least, most) = (hull[0].0, hull[hull.len() - 1].0);
        let hours = problem.slots[run.slots.clone()].iter().map(|it| it.hours());
        let money = hours.sum::<f64>() * problem.slots[run.slots.start].price_per_kwh;
        let power = program.variable(money, kw_max);
        let more = program.variable(0.0, most - least);
        for pair in hull.windows(2) {
            let ((flow, kw), (next_flow, next_kw)) = (pair[0], pair[1]);
            let slope = (next_kw - kw) / (next_flow - flow).max(1e-9);
            program.at_most([(more, slope), (power, -1.0)], slope * (flow - least) - kw);
        }
        if has_charge {
            program.at_most([(power, 1.0), (peak, -1.0)], problem.reached_kw);
        }
        lifts.push((least, more));
    }
    let mut before: Option<Volume> = None;
    for (slot, it) in problem.slots.iter().enumerate() {
        let volume = program.volume(problem);
        let run = runs.iter().position(|run| run.slots.contains(&slot));
        let (keeps, adds, lifted) = match run {
            Some(run) => {
                let (least, more) = lifts[run];
                let adds = it.hours() * (least - it.demand_m3h);
                (1.0, adds, Some((more, -it.hours())))
            }
            None => {
                let step = steps[slot][schedule[slot]];
                (step.keeps, step.adds, None)
            }
        };
        if run.is_none() && has_charge {
            let spare = problem.reached_kw - problem.peak_kw(schedule[slot]);
            program.at_most([(peak, -1.0)], spare);
        }
        let (carried, right) = match &before {
            Some(before) => (Some((before.after, -keeps)), adds),
            None => (None, adds + keeps * problem.tank.now_m3),
        };
        let terms = carried.into_iter().chain(lifted);
        program.balance(problem, slot, flow_max, terms, &volume, right);
        before = Some(volume);
    }
    program.end(problem, before?.after);
    let found = program.solve()?.values;
    let mut speeds = vec![None; schedule.len()];
    for (run, (least, more)) in runs.iter().zip(lifts) {
        let set = schedule[run.slots.start];
        let off = |pct: &Option<u8>| {
            let flow = problem.duty(set, *pct).flow_m3h.at(volume_of(run));
            (flow - least - found[more]).abs()
        };
        let nearest = (run.speeds.iter()).min_by(|one, other| off(one).total_cmp(&off(other)));
        speeds[run.slots.clone()].fill(*nearest.expect("it has full speed"));
    }
    Some(speeds)
}

/// Moves the speeds of single runs, and of two runs against each other, a step at a time until nothing is gained; what it costs then.
fn settle(speeds: &mut [Option<u8>], runs: &[Run], cost: &impl Fn(&[Option<u8>]) -> f64) -> f64 {
    let mut least = cost(speeds);
    for _ in 0..TRIES {
        let before = least;
        for (at, run) in runs.iter().enumerate() {
            for up in [true, false] {
                let alone = run.moved(speeds, up);
                let with_another = runs.iter().enumerate().filter(|(other, _)| *other != at);
                let with_another = with_another.map(|(_, other)| Some((other, !up)));
                for other in std::iter::once(None).chain(with_another) {
                    let Some(mut moved) = alone.clone() else {
                        break;
                    };
                    if let Some((other, up)) = other {
                        let Some(both) = other.moved(&moved, up) else {
                            continue;
                        };
                        moved = both;
                    }
                    let then = cost(&moved);
                    if then < least - WORTH_IT {
                        least = then;
                        speeds.copy_from_slice(&moved);
                        break;
                    }
                }
            }
        }
        if least >= before - WORTH_IT {
            break;
        }
    }
    least
}

impl Run {
    /// All speeds with this run's a step up or down; `None` where there is no such step.
    fn moved(&self, speeds: &[Option<u8>], up: bool) -> Option<Vec<Option<u8>>> {
        let now = speeds[self.slots.start];
        let at = self.speeds.iter().position(|it| *it == now)?;
        let at = if up { at + 1 } else { at.checked_sub(1)? };
        let mut moved = speeds.to_vec();
        moved[self.slots.clone()].fill(*self.speeds.get(at)?);
        Some(moved)
    }
}

/// Runs with the same pumps that follow each other get one speed where that costs less than a change of advice.
fn calm(
    problem: &Problem,
    schedule: &[Combination],
    runs: &[Run],
    (least, speeds): &mut (f64, Vec<Option<u8>>),
    cost: &impl Fn(&[Option<u8>]) -> f64,
) {
    for pair in runs.windows(2) {
        let (one, other) = (pair[0].slots.clone(), pair[1].slots.clone());
        if one.end != other.start || schedule[one.start] != schedule[other.start] {
            continue;
        }
        let alike = [speeds[one.start], speeds[other.start]].map(|pct| {
            let mut alike = speeds.clone();
            alike[one.start..other.end].fill(pct);
            (cost(&alike), alike)
        });
        let [first, second] = alike;
        let cheaper = if first.0 <= second.0 { first } else { second };
        if cheaper.0 < *least + problem.change_price {
            (*least, *speeds) = cheaper;
        }
    }
}

/// A speed that was told before stays where a new one would save less than what a change of advice is priced at.
fn keep_told(
    problem: &Problem,
    schedule: &[Combination],
    runs: &[Run],
    (least, speeds): &mut (f64, Vec<Option<u8>>),
    cost: &impl Fn(&[Option<u8>]) -> f64,
) {
    for run in runs {
        let first = run.slots.start;
        let (set, told) = (problem.advised.get(first), problem.advised_pct.get(first));
        let (Some(set), Some(&told)) = (set, told) else {
            continue;
        };
        let is_new = speeds[run.slots.clone()].iter().any(|it| *it != told);
        if *set != schedule[first] || !is_new || !run.speeds.contains(&told) {
            continue;
        }
        let mut kept = speeds.clone();
        kept[run.slots.clone()].fill(told);
        let then = cost(&kept);
        if then < *least + problem.change_price {
            (*least, *speeds) = (then, kept);
        }
    }
}
