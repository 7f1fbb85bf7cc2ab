//! The relaxed problem, solved by clarabel: pumps may run for a part of a slot. No schedule costs less than it does, so its cost is
//! a second bound, from another program and other code than the first; and its dual variables are prices: what a m³ in the tank
//! is worth at each time, and what a m³ of room at each limit would save. It finds no schedule.
//!
//! Flows that fall with the level stay linear by a variable for the volume with each set, the set's share times the volume.
//! Shortest and longest runs are left out, which only lowers the bound. The bound is made from the dual variables by weak duality,
//! with every variable between its limits, so it holds however inexactly they were found.

use clarabel::{
    algebra::CscMatrix,
    solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver, SupportedConeT},
};

use super::{
    problem::{COMBINATIONS, Combination, Problem, has},
    values::steps,
};
use crate::tags::PUMPS;

/// What the relaxation tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Relaxation {
    /// No schedule costs less.
    pub bound: f64,
    /// What a m³ in the tank is worth at the end of each slot.
    pub water_worth: Vec<f64>,
    /// What a m³ more of room below the lower limit would save at the end of each slot, its margin included.
    pub low_worth: Vec<f64>,
    /// The same above the upper limit.
    pub high_worth: Vec<f64>,
}

/// A linear program in the making.
#[derive(Default)]
struct Program {
    costs: Vec<f64>,
    highest: Vec<f64>,
    rows: Vec<(usize, usize, f64)>,
    right: Vec<f64>,
    equalities: usize,
}

impl Program {
    /// A variable between 0 and `highest`.
    fn variable(&mut self, cost: f64, highest: f64) -> usize {
        self.costs.push(cost);
        self.highest.push(highest);
        self.costs.len() - 1
    }

    fn row(&mut self, terms: impl IntoIterator<Item = (usize, f64)>, right: f64) -> usize {
        let row = self.right.len();
        self.rows.extend(
            terms
                .into_iter()
                .map(|(variable, factor)| (row, variable, factor)),
        );
        self.right.push(right);
        row
    }
}

/// A slot's variables and rows that are asked for afterwards.
struct Slot {
    after: usize,
    balance: usize,
    low: [usize; 2],
    high: [usize; 2],
}

/// Solves the relaxation; `None` when clarabel gives up.
pub fn relax(problem: &Problem) -> Option<Relaxation> {
    let allowed = problem.allowed();
    let steps = steps(problem);
    let (tank, price) = (&problem.tank, &problem.breaches);
    let mut program = Program::default();
    let mut inequalities: Vec<(Vec<(usize, f64)>, f64)> = Vec::new();
    let mut slots: Vec<Slot> = Vec::new();
    let mut limits = Vec::new();
    let sets_of = |slot: usize| -> Vec<Combination> {
        (0..COMBINATIONS)
            .filter(|&set| allowed[slot][set])
            .collect()
    };
    let kw_max = (0..COMBINATIONS)
        .map(|set| problem.peak_kw(set))
        .fold(0.0, f64::max);
    let peak = program.variable(problem.demand_charge_per_kw, kw_max);
    let mut ran: Vec<(usize, Combination)> = Vec::new();
    for (slot, it) in problem.slots.iter().enumerate() {
        let sets = sets_of(slot);
        let shares: Vec<_> = sets
            .iter()
            .map(|&set| {
                let step = steps[slot][set];
                (
                    program.variable(step.cost, 1.0),
                    program.variable(step.cost_per_m3, tank.volume_m3),
                )
            })
            .collect();
        program.row(shares.iter().map(|&(share, _)| (share, 1.0)), 1.0);
        let volumes = shares.iter().map(|&(_, volume)| (volume, 1.0));
        match slots.last() {
            Some(before) => {
                let before = before.after;
                program.row(volumes.chain([(before, -1.0)]), 0.0)
            }
            None => program.row(volumes, tank.now_m3),
        };
        for &(share, volume) in &shares {
            inequalities.push((vec![(volume, 1.0), (share, -tank.volume_m3)], 0.0));
        }
        let most = |of: f64| of.abs() * it.hours() + tank.volume_m3;
        let flow_max = sets
            .iter()
            .map(|&set| problem.duties[set].flow_m3h.at_empty)
            .fold(0.0, f64::max);
        let after = program.variable(0.0, tank.volume_m3);
        let unmet = program.variable(price.unmet, most(it.demand_m3h));
        let spilt = program.variable(price.spilt, most(flow_max));
        let carried = shares
            .iter()
            .zip(&sets)
            .flat_map(|(&(share, volume), &set)| {
                let step = steps[slot][set];
                [(share, -step.adds), (volume, -step.keeps)]
            });
        let balance = program.row(
            carried.chain([(after, 1.0), (unmet, -1.0), (spilt, 1.0)]),
            0.0,
        );
        let mut limit = |at: f64, cost: f64, is_low: bool| {
            let beyond = program.variable(cost, tank.volume_m3);
            let sign = if is_low { -1.0 } else { 1.0 };
            inequalities.push((vec![(after, sign), (beyond, -1.0)], sign * at));
            inequalities.len() - 1
        };
        let low = [
            limit(tank.low_m3, price.low, true),
            limit(tank.low_m3 + tank.margin_m3, price.margin, true),
        ];
        let high = [
            limit(tank.high_m3, price.high, false),
            limit(tank.high_m3 - tank.margin_m3, price.margin, false),
        ];
        limits.push((low, high));
        for pump in (0..PUMPS).filter(|&pump| problem.pumps[pump].in_service) {
            let start = program.variable(problem.pumps[pump].start_price, 1.0);
            let now = shares
                .iter()
                .zip(&sets)
                .filter(|&(_, &set)| has(set, pump))
                .map(|(&(share, _), _)| (share, 1.0));
            let was = ran
                .iter()
                .filter(|(_, set)| has(*set, pump))
                .map(|&(share, _)| (share, -1.0));
            let at_first = f64::from(u8::from(slot == 0 && problem.pumps[pump].on));
            inequalities.push((now.chain(was).chain([(start, -1.0)]).collect(), at_first));
        }
        if problem.demand_charge_per_kw > 0.0 {
            let power = shares
                .iter()
                .zip(&sets)
                .map(|(&(share, _), &set)| (share, problem.peak_kw(set)));
            inequalities.push((power.chain([(peak, -1.0)]).collect(), problem.reached_kw));
        }
        ran = shares
            .iter()
            .zip(&sets)
            .map(|(&(share, _), &set)| (share, set))
            .collect();
        slots.push(Slot {
            after,
            balance,
            low,
            high,
        });
    }
    // What is there at the end above or below what is asked for; the worth of a surplus never exceeds the price of what is missing.
    let last = slots.last()?.after;
    let missing = program.variable(price.end, tank.volume_m3);
    let over = program.variable(-price.surplus_worth, tank.volume_m3);
    program.row([(last, 1.0), (missing, 1.0), (over, -1.0)], tank.end_m3);
    program.equalities = program.right.len();
    for (terms, right) in inequalities {
        program.row(terms, right);
    }
    let duals = program.duals()?;
    let limit_price = |of: [usize; 2]| of.iter().map(|at| duals[program.equalities + at]).sum();
    Some(Relaxation {
        bound: program.bound(&duals),
        water_worth: slots.iter().map(|slot| duals[slot.balance]).collect(),
        low_worth: slots.iter().map(|slot| limit_price(slot.low)).collect(),
        high_worth: slots.iter().map(|slot| limit_price(slot.high)).collect(),
    })
}

impl Program {
    /// The dual variables of the rows.
    fn duals(&self) -> Option<Vec<f64>> {
        let (rows, variables) = (self.right.len(), self.costs.len());
        let (mut at, mut of, mut factors): (Vec<_>, Vec<_>, Vec<_>) =
            (Vec::new(), Vec::new(), Vec::new());
        let mut right = self.right.clone();
        let mut add = |row: usize, variable: usize, factor: f64| {
            at.push(row);
            of.push(variable);
            factors.push(factor);
        };
        for &(row, variable, factor) in &self.rows {
            add(row, variable, factor);
        }
        for (variable, &highest) in self.highest.iter().enumerate() {
            add(rows + 2 * variable, variable, 1.0);
            add(rows + 2 * variable + 1, variable, -1.0);
            right.extend([highest, 0.0]);
        }
        let matrix = CscMatrix::new_from_triplets(right.len(), variables, at, of, factors);
        let cones = [
            SupportedConeT::ZeroConeT(self.equalities),
            SupportedConeT::NonnegativeConeT(right.len() - self.equalities),
        ];
        let settings = DefaultSettingsBuilder::default()
            .verbose(false)
            .max_threads(1)
            .build()
            .ok()?;
        let nothing = CscMatrix::zeros((variables, variables));
        let mut solver =
            DefaultSolver::new(&nothing, &self.costs, &matrix, &right, &cones, settings).ok()?;
        solver.solve();
        let duals = &solver.solution.z;
        duals
            .iter()
            .all(|dual| dual.is_finite())
            .then(|| duals[..rows].to_vec())
    }

    /// What the cost is at least, whatever the duals are worth.
    fn bound(&self, duals: &[f64]) -> f64 {
        let dual = |row: usize| {
            if row < self.equalities {
                duals[row]
            } else {
                duals[row].max(0.0)
            }
        };
        let mut reduced = self.costs.clone();
        for &(row, variable, factor) in &self.rows {
            reduced[variable] += factor * dual(row);
        }
        let rows: f64 = self
            .right
            .iter()
            .enumerate()
            .map(|(row, right)| right * dual(row))
            .sum();
        let boxes: f64 = reduced
            .iter()
            .zip(&self.highest)
            .map(|(reduced, highest)| reduced.min(0.0) * highest)
            .sum();
        boxes - rows
    }
}
