//! The speeds of variable-speed pumps, once it is known which pumps run when. The search knows a speed each 5 %; this is what lies
//! between.
//!
//! Slots that follow each other with the same pumps at the same price make a *run*, for two hours at most, which has one speed for its
//! variable-speed pumps: nobody wants to set it anew each quarter of an hour. What a run lifts costs as the slowest speeds
//! and the next ones say, on the lower hull of power over flow; clarabel finds the flow of every run at once, so that the tank
//! stays within its limits and energy costs least. What it finds becomes whole percents, tried one up and one down on the
//! evaluator; where the search's speeds are as cheap, they stay. Then what hardly differs is made alike.

use super::{
    evaluate::evaluate_at,
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

/// Slots with one speed; the search has one for them, too.
#[derive(Clone, Debug, PartialEq)]
struct Run {
    slots: std::ops::Range<usize>,
    /// The speeds that it may have, % with `None` for full speed, the slowest first.
    speeds: Vec<Option<u8>>,
}

/// What a run lifts.
struct Lift {
    /// The flow at each speed that it may have.
    flows_m3h: Vec<(f64, Option<u8>)>,
    /// The least flow.
    least_m3h: f64,
    /// The variable for what it lifts above that.
    more: usize,
}

/// Speeds that are tried.
#[derive(Clone)]
struct Trial<'a> {
    problem: &'a Problem,
    schedule: &'a [Combination],
    runs: &'a [Run],
    /// The speed of each slot.
    speeds: Vec<Option<u8>>,
    /// What the schedule costs with them.
    cost: f64,
}

/// The speed of each slot, % of full speed, better than those of an answer; `None` at full speed and where no variable-speed pump runs.
pub fn speeds(problem: &Problem, answer: &Answer) -> Vec<Option<u8>> {
    let mut best = Trial {
        problem,
        schedule: &answer.schedule,
        runs: &runs(problem, answer),
        speeds: answer.speeds_pct.clone(),
        cost: answer.objective,
    };
    if best.runs.is_empty() {
        return best.speeds;
    }
    best.settle();
    for _ in 0..ROUNDS {
        let Some(mut other) = best.relaxed() else {
            break;
        };
        other.settle();
        if other.cost >= best.cost - WORTH_IT {
            break;
        }
        best = other;
    }
    best.calm();
    best.keep_told();
    best.speeds
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

impl Trial<'_> {
    /// Takes other speeds if they cost less, or not more by as much as `price`.
    fn take(&mut self, speeds: Vec<Option<u8>>, price: f64) -> bool {
        let cost = evaluate_at(self.problem, self.schedule, &speeds).objective();
        let is_better = cost < self.cost + price;
        if is_better {
            (self.speeds, self.cost) = (speeds, cost);
        }
        is_better
    }

    /// The speeds whose flows clarabel finds cheapest, about the volumes that the present ones lead to; `None` when it gives up.
    fn relaxed(&self) -> Option<Self> {
        let problem = self.problem;
        let about = evaluate_at(problem, self.schedule, &self.speeds);
        let mut program = Program::default();
        let peak = program.variable(problem.demand_charge_per_kw, self.most_kw());
        let lifts = self.runs.iter().map(|run| {
            let volume_m3 = about.volume_m3[(run.slots.start + run.slots.end - 1) / 2];
            self.lift(run, volume_m3, peak, &mut program)
        });
        let lifts: Vec<Lift> = lifts.collect();
        self.balance(&lifts, peak, &mut program);
        let found = program.solve()?.values;
        let mut speeds = self.speeds.clone();
        for (run, lift) in self.runs.iter().zip(&lifts) {
            let wanted_m3h = lift.least_m3h + found[lift.more];
            let off = |(flow, _): &(f64, Option<u8>)| (flow - wanted_m3h).abs();
            let nearest =
                (lift.flows_m3h.iter()).min_by(|one, other| off(one).total_cmp(&off(other)));
            speeds[run.slots.clone()].fill(nearest.expect("it has full speed").1);
        }
        Some(Self {
            cost: evaluate_at(problem, self.schedule, &speeds).objective(),
            speeds,
            ..self.clone()
        })
    }

    /// More than the pumps ever draw, kW.
    fn most_kw(&self) -> f64 {
        let powers = self.problem.duties.iter().map(|it| it.power_kw.at_empty);
        2.0 * powers.fold(0.0, f64::max)
    }

    /// What a run lifts and draws, as variables.
    fn lift(&self, run: &Run, volume_m3: f64, peak: usize, program: &mut Program) -> Lift {
        let (problem, first) = (self.problem, run.slots.start);
        let duty = |pct: Option<u8>| problem.duty(self.schedule[first], pct);
        let point = |&pct: &Option<u8>| {
            let duty = duty(pct);
            (duty.flow_m3h.at(volume_m3), duty.power_kw.at(volume_m3))
        };
        let hull = hull(run.speeds.iter().map(point).collect());
        let (least, most) = (hull[0].0, hull[hull.len() - 1].0);
        let hours = problem.slots[run.slots.clone()].iter().map(|it| it.hours());
        let money = hours.sum::<f64>() * problem.slots[first].price_per_kwh;
        let power = program.variable(money, self.most_kw());
        let more = program.variable(0.0, most - least);
        for pair in hull.windows(2) {
            let ((flow, kw), (next_flow, next_kw)) = (pair[0], pair[1]);
            let slope = (next_kw - kw) / (next_flow - flow).max(1e-9);
            program.at_most([(more, slope), (power, -1.0)], slope * (flow - least) - kw);
        }
        program.at_most([(power, 1.0), (peak, -1.0)], problem.reached_kw);
        let flow = |&pct: &Option<u8>| (duty(pct).flow_m3h.at(volume_m3), pct);
        Lift {
            flows_m3h: run.speeds.iter().map(flow).collect(),
            least_m3h: least,
            more,
        }
    }

    /// The tank over all slots.
    fn balance(&self, lifts: &[Lift], peak: usize, program: &mut Program) {
        let problem = self.problem;
        let steps = steps(problem);
        let flows = problem.duties.iter().map(|it| it.flow_m3h.at_empty);
        let flow_max = flows.fold(0.0, f64::max);
        let mut before: Option<Volume> = None;
        for (slot, it) in problem.slots.iter().enumerate() {
            let volume = program.volume(problem);
            let run = self.runs.iter().position(|run| run.slots.contains(&slot));
            let (keeps, adds, lifted) = match run {
                Some(run) => {
                    let adds = it.hours() * (lifts[run].least_m3h - it.demand_m3h);
                    (1.0, adds, Some((lifts[run].more, -it.hours())))
                }
                None => {
                    let set = self.schedule[slot];
                    program.at_most([(peak, -1.0)], problem.reached_kw - problem.peak_kw(set));
                    (steps[slot][set].keeps, steps[slot][set].adds, None)
                }
            };
            let (carried, right) = match &before {
                Some(before) => (Some((before.after, -keeps)), adds),
                None => (None, adds + keeps * problem.tank.now_m3),
            };
            let terms = carried.into_iter().chain(lifted);
            program.balance(problem, slot, flow_max, terms, &volume, right);
            before = Some(volume);
        }
        if let Some(last) = before {
            program.end(problem, last.after);
        }
    }

    /// Moves the speeds of single runs, and of two runs against each other, a step at a time until nothing is gained.
    fn settle(&mut self) {
        for _ in 0..TRIES {
            let before = self.cost;
            for run in self.runs {
                for up in [true, false] {
                    let Some(alone) = run.moved(&self.speeds, up) else {
                        continue;
                    };
                    let others = self.runs.iter().filter(|other| *other != run);
                    let both = others.filter_map(|other| other.moved(&alone, !up));
                    let tried: Vec<_> = std::iter::once(alone.clone()).chain(both).collect();
                    for speeds in tried {
                        if self.take(speeds, -WORTH_IT) {
                            break;
                        }
                    }
                }
            }
            if self.cost >= before - WORTH_IT {
                break;
            }
        }
    }

    /// Runs with the same pumps that follow each other get one speed where that costs less than a change of advice.
    fn calm(&mut self) {
        for pair in self.runs.windows(2) {
            let (one, other) = (pair[0].slots.clone(), pair[1].slots.clone());
            let is_same = self.schedule[one.start] == self.schedule[other.start];
            let (speed, next) = (self.speeds[one.start], self.speeds[other.start]);
            if one.end != other.start || !is_same || speed == next {
                continue;
            }
            let mut price = self.problem.change_price;
            for pct in [speed, next] {
                let mut alike = self.speeds.clone();
                alike[one.start..other.end].fill(pct);
                if self.take(alike, price) {
                    // The other one only if it is cheaper still.
                    price = 0.0;
                }
            }
        }
    }

    /// A speed that was told before stays where a new one would save less than what a change of advice is priced at.
    fn keep_told(&mut self) {
        for run in self.runs {
            let (first, problem) = (run.slots.start, self.problem);
            let told = problem
                .advised
                .get(first)
                .zip(problem.advised_pct.get(first));
            let Some((_, &pct)) = told.filter(|(set, _)| **set == self.schedule[first]) else {
                continue;
            };
            if run.speeds.contains(&pct) && self.speeds[first] != pct {
                let mut kept = self.speeds.clone();
                kept[run.slots.clone()].fill(pct);
                self.take(kept, problem.change_price);
            }
        }
    }
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
