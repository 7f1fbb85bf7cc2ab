//! Finds a schedule and proves how good it is: values from below, a search from above, and both again on a finer grid until the
//! gap is small enough or the effort spent. The same problem gives the same schedule, on any machine.

use std::rc::Rc;

use super::{
    evaluate::evaluate_at,
    problem::{Choice, Combination, Problem},
    search::{Reach, search},
    values::{Step, Values, steps},
};

/// Cells of a grid that tells roughly what water is worth, of the first real one, and of the finest.
const CELLS_ROUGH: usize = 250;
const CELLS: usize = 2000;
const CELLS_MAX: usize = 12_000;
/// Ways followed at once, at first and later.
const WIDTH: usize = 40;
const WIDTH_LATER: usize = 1000;
/// Relative error of the values' arithmetic.
const ROUNDING: f64 = 2e-5;

/// When to be content.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Cells that may be worked on, some 150 million a second; the first answer takes what it takes.
    pub cells_max: u64,
    /// A gap that is small enough, as a share.
    pub gap: f64,
}

impl Effort {
    /// An answer at once: one grid and one search, mostly.
    pub const FIRST: Self = Self {
        cells_max: 80_000_000,
        gap: 0.005,
    };
    /// For what is asked beside a plan.
    pub const BRIEF: Self = Self {
        cells_max: 80_000_000,
        gap: 0.001,
    };
    /// A proof that is worth the wait of a second or two.
    pub const FULL: Self = Self {
        cells_max: 400_000_000,
        gap: 0.001,
    };
}

/// A schedule, and what no schedule undercuts.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// A set for each slot.
    pub schedule: Vec<Combination>,
    /// The speed of each slot's variable-speed pumps, %; `None` at full speed.
    pub speeds_pct: Vec<Option<u8>>,
    /// What it costs, as [`evaluate_at`] prices it.
    pub objective: f64,
    /// No schedule costs less.
    pub bound: f64,
    /// Cells worked on.
    pub effort: u64,
}

impl Answer {
    /// By how much a better schedule could be better at most, as a share of the bound.
    pub fn gap(&self) -> f64 {
        ((self.objective - self.bound) / self.bound.abs().max(1e-9)).max(0.0)
    }
}

/// Schedules whose power is nowhere above `cap_kw` and somewhere above the cap of the next part.
#[derive(Clone, Debug)]
struct Part {
    cap_kw: f64,
    /// The demand charge of each is at least that of this power, kW.
    floor_kw: f64,
    /// The highest power of the cheapest one found, kW.
    peak_kw: f64,
    cells: usize,
    /// What a m³ in the tank is about worth, at the begin of each slot and at the end.
    worth: Vec<f64>,
    /// What each costs at least, without the demand charge.
    bound: f64,
}

struct Solver<'a> {
    problem: &'a Problem,
    steps: Rc<[Vec<Step>]>,
    best: Option<(Vec<Choice>, f64)>,
    effort: u64,
}

/// Solves a problem. There is always an answer: what cannot be kept is broken where that is cheapest.
pub fn solve(problem: &Problem, effort: Effort) -> Answer {
    let mut solver = Solver {
        steps: steps(problem).into(),
        problem,
        best: None,
        effort: 0,
    };
    let mut parts = solver.parts(effort.gap);
    loop {
        let objective = solver.objective();
        let bound_of = |part: &Part| part.bound + solver.charge(part.floor_kw);
        let lowest = parts
            .iter_mut()
            .min_by(|one, other| bound_of(one).total_cmp(&bound_of(other)));
        let part = lowest.expect("there is a part without a cap");
        let (choices, _) = solver.best.as_ref().expect("the first search finds one");
        let (schedule, speeds_pct) = split(problem, choices);
        let answer = Answer {
            schedule,
            speeds_pct,
            objective,
            bound: bound_of(part).min(objective),
            effort: solver.effort,
        };
        let is_enough = answer.gap() <= effort.gap || solver.effort >= effort.cells_max;
        if is_enough {
            return answer;
        }
        let charged = part.floor_kw + 1e-9 < part.peak_kw;
        if charged && problem.demand_charge_per_kw > 0.0 {
            // Those that take less power than the cheapest one are looked at by themselves.
            let mut lower = part.clone();
            part.floor_kw = part.peak_kw;
            lower.cap_kw = solver.power_below(part.peak_kw).unwrap_or_default();
            lower.peak_kw = 0.0;
            solver.work(&mut lower, WIDTH_LATER);
            parts.push(lower);
        } else if part.cells < CELLS_MAX {
            part.cells = (part.cells * 2).min(CELLS_MAX);
            solver.work(part, WIDTH_LATER);
        } else {
            return answer;
        }
    }
}

/// The sets and the speeds of choices.
fn split(problem: &Problem, choices: &[Choice]) -> (Vec<Combination>, Vec<Option<u8>>) {
    let of = |&choice: &Choice| (problem.set(choice), problem.pct(choice));
    choices.iter().map(of).unzip()
}

impl Solver<'_> {
    fn objective(&self) -> f64 {
        self.best
            .as_ref()
            .map_or(f64::INFINITY, |(_, objective)| *objective)
    }

    /// The demand charge for a power.
    fn charge(&self, kw: f64) -> f64 {
        (kw - self.problem.reached_kw).max(0.0) * self.problem.demand_charge_per_kw
    }

    /// All schedules in parts by their highest power, those left out that cannot be the best.
    fn parts(&mut self, gap: f64) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        let mut cap_kw = f64::INFINITY;
        loop {
            // A lower cap never makes it cheaper.
            let bound = parts.last().map_or(f64::NEG_INFINITY, |part| part.bound);
            if !parts.is_empty() && bound >= self.objective() * (1.0 - gap) {
                return parts;
            }
            let end = self.problem.breaches.surplus_worth;
            let mut part = Part {
                cap_kw,
                floor_kw: self.problem.reached_kw,
                peak_kw: 0.0,
                cells: CELLS_ROUGH,
                worth: vec![end; self.problem.slots.len() + 1],
                bound,
            };
            self.work(&mut part, 1);
            part.cells = CELLS;
            let path = self.work(&mut part, WIDTH);
            let peak_kw = self.highest_kw(&path);
            // The values' own way does with its highest power: their bound holds for all caps down to that.
            part.floor_kw = part.floor_kw.max(peak_kw);
            parts.push(part);
            let is_free = self.problem.demand_charge_per_kw <= 0.0;
            match self.power_below(peak_kw) {
                Some(lower) if !is_free && peak_kw > self.problem.reached_kw => cap_kw = lower,
                _ => return parts,
            }
        }
    }

    fn highest_kw(&self, schedule: &[Choice]) -> f64 {
        let powers = schedule.iter().map(|&choice| self.problem.peak_kw(choice));
        powers.fold(0.0, f64::max)
    }

    /// The next lower power that a choice can have, kW.
    fn power_below(&self, kw: f64) -> Option<f64> {
        let choices = 0..self.problem.duties.len();
        let powers = choices.map(|choice| self.problem.peak_kw(choice));
        powers.filter(|&it| it < kw - 1e-9).max_by(f64::total_cmp)
    }

    /// Works a part out on its grid; gives the way that the values would go if pumps could be switched at will.
    fn work(&mut self, part: &mut Part, width: usize) -> Vec<Choice> {
        let (problem, steps) = (self.problem, self.steps.clone());
        let mut values = Values::new(
            problem,
            &steps,
            (part.cap_kw, part.cells),
            part.worth.clone(),
        );
        let reaches = [
            Reach {
                width,
                below: self.objective() - self.charge(part.floor_kw),
                is_timed: true,
            },
            Reach {
                width: 1,
                below: f64::INFINITY,
                is_timed: false,
            },
        ];
        let [(found, bound), (free, _)] = search(problem, &steps, &mut values, reaches);
        self.effort += values.effort;
        part.bound = part.bound.max(bound - bound.abs() * ROUNDING);
        if let Some(schedule) = found {
            part.peak_kw = self.highest_kw(&schedule);
            let (sets, speeds) = split(problem, &schedule);
            let objective = evaluate_at(problem, &sets, &speeds).objective();
            if objective < self.objective() {
                self.best = Some((schedule, objective));
            }
        }
        let Some(free) = free else {
            // What must go on running takes more than the cap.
            part.bound = f64::INFINITY;
            return Vec::new();
        };
        if part.cells == CELLS_ROUGH {
            part.worth = worth(problem, &steps, &values, &free);
        }
        free
    }
}

/// What a m³ is worth along a schedule.
fn worth(problem: &Problem, steps: &[Vec<Step>], values: &Values, schedule: &[Choice]) -> Vec<f64> {
    let mut volume = problem.tank.now_m3;
    let inner = schedule.iter().zip(steps).enumerate();
    let mut worth: Vec<f64> = inner
        .take(schedule.len() - 1)
        .map(|(slot, (&choice, steps))| {
            let step = steps[choice];
            volume = (step.keeps * volume + step.adds).clamp(0.0, problem.tank.volume_m3);
            values.worth_at(slot + 1, problem.set(choice), volume)
        })
        .collect();
    let end = problem.breaches.surplus_worth;
    worth.insert(0, worth.first().copied().unwrap_or(end));
    worth.push(end);
    worth
}
