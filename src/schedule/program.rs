//! A linear program in the making, with what the programs of a schedule have in common: the tank and its limits. Solved by
//! clarabel.

use clarabel::{
    algebra::CscMatrix,
    solver::{DefaultSettingsBuilder, DefaultSolver, IPSolver, SupportedConeT},
};

use super::problem::Problem;

/// A program: variables between 0 and a highest value, each with a cost, and rows that hold.
#[derive(Default)]
pub struct Program {
    costs: Vec<f64>,
    highest: Vec<f64>,
    /// Variables whose highest value the rows do not imply.
    bounded: Vec<usize>,
    equal: Rows,
    at_most: Rows,
}

/// Sums of variables times factors, each with its right side.
#[derive(Default)]
struct Rows {
    terms: Vec<(usize, usize, f64)>,
    right: Vec<f64>,
}

impl Rows {
    fn add(&mut self, terms: impl IntoIterator<Item = (usize, f64)>, right: f64) -> usize {
        let row = self.right.len();
        let terms = terms.into_iter();
        (self.terms).extend(terms.map(|(variable, factor)| (row, variable, factor)));
        self.right.push(right);
        row
    }
}

/// The tank at the end of a slot: its volume, and the rows of its limits, the margins' behind them.
pub struct Volume {
    /// The variable.
    pub after: usize,
    /// Rows of [`Program::at_most`].
    pub low: [usize; 2],
    /// Rows of [`Program::at_most`].
    pub high: [usize; 2],
}

/// What clarabel found.
pub struct Solution {
    /// Of each variable.
    pub values: Vec<f64>,
    /// What a unit more on the right of each row of [`Program::equal`] would save.
    pub equal: Vec<f64>,
    /// The same of [`Program::at_most`].
    pub at_most: Vec<f64>,
}

impl Program {
    /// A variable between 0 and `highest`.
    pub fn variable(&mut self, cost: f64, highest: f64) -> usize {
        self.bounded.push(self.costs.len());
        self.implied(cost, highest)
    }

    /// A variable that the rows keep from exceeding `highest`.
    pub fn implied(&mut self, cost: f64, highest: f64) -> usize {
        self.costs.push(cost);
        self.highest.push(highest);
        self.costs.len() - 1
    }

    /// The terms come to what is on the right.
    pub fn equal(&mut self, terms: impl IntoIterator<Item = (usize, f64)>, right: f64) -> usize {
        self.equal.add(terms, right)
    }

    /// The terms come to what is on the right at most.
    pub fn at_most(&mut self, terms: impl IntoIterator<Item = (usize, f64)>, right: f64) -> usize {
        self.at_most.add(terms, right)
    }

    /// The volume at the end of a slot, which may lie beyond its limits at their prices.
    pub fn volume(&mut self, problem: &Problem) -> Volume {
        let (tank, price) = (&problem.tank, &problem.breaches);
        let after = self.variable(0.0, tank.volume_m3);
        let mut limit = |at: f64, cost: f64, is_low: bool| {
            let beyond = self.variable(cost, tank.volume_m3);
            let sign = if is_low { -1.0 } else { 1.0 };
            self.at_most([(after, sign), (beyond, -1.0)], sign * at)
        };
        let low = [
            limit(tank.low_m3, price.low, true),
            limit(tank.low_m3 + tank.margin_m3, price.margin, true),
        ];
        let high = [
            limit(tank.high_m3, price.high, false),
            limit(tank.high_m3 - tank.margin_m3, price.margin, false),
        ];
        Volume { after, low, high }
    }

    /// What flows in and out of the tank in a slot comes to the volume after it; what cannot be met or kept has its price. `flow_max_m3h`
    /// is more than all pumps lift.
    pub fn balance(
        &mut self,
        problem: &Problem,
        slot: usize,
        flow_max_m3h: f64,
        carried: impl IntoIterator<Item = (usize, f64)>,
        volume: &Volume,
        right: f64,
    ) -> usize {
        let (it, tank, price) = (&problem.slots[slot], &problem.tank, &problem.breaches);
        let unmet = self.variable(price.unmet, it.demand_m3h * it.hours() + tank.volume_m3);
        let spilt = self.variable(price.spilt, flow_max_m3h * it.hours() + tank.volume_m3);
        let carried = carried.into_iter();
        self.equal(
            carried.chain([(volume.after, 1.0), (unmet, -1.0), (spilt, 1.0)]),
            right,
        )
    }

    /// What is in the tank at the end, above or below what is asked for; the worth of a surplus never exceeds the price of what is missing.
    pub fn end(&mut self, problem: &Problem, last: usize) {
        let (tank, price) = (&problem.tank, &problem.breaches);
        let missing = self.variable(price.end, tank.volume_m3);
        let over = self.variable(-price.surplus_worth, tank.volume_m3);
        self.equal([(last, 1.0), (missing, 1.0), (over, -1.0)], tank.end_m3);
    }

    /// Solves it; `None` when clarabel gives up.
    pub fn solve(&self) -> Option<Solution> {
        let (equal, at_most) = (self.equal.right.len(), self.at_most.right.len());
        let (rows, variables) = (equal + at_most, self.costs.len());
        let (mut at, mut of, mut factors): (Vec<_>, Vec<_>, Vec<_>) =
            (Vec::new(), Vec::new(), Vec::new());
        let mut right: Vec<f64> = (self.equal.right.iter().chain(&self.at_most.right))
            .copied()
            .collect();
        let mut add = |row: usize, variable: usize, factor: f64| {
            at.push(row);
            of.push(variable);
            factors.push(factor);
        };
        for &(row, variable, factor) in &self.equal.terms {
            add(row, variable, factor);
        }
        for &(row, variable, factor) in &self.at_most.terms {
            add(equal + row, variable, factor);
        }
        for variable in 0..variables {
            add(rows + variable, variable, -1.0);
        }
        for (at, &variable) in self.bounded.iter().enumerate() {
            add(rows + variables + at, variable, 1.0);
        }
        right.extend(std::iter::repeat_n(0.0, variables));
        right.extend(self.bounded.iter().map(|&variable| self.highest[variable]));
        let matrix = CscMatrix::new_from_triplets(right.len(), variables, at, of, factors);
        let cones = [
            SupportedConeT::ZeroConeT(equal),
            SupportedConeT::NonnegativeConeT(right.len() - equal),
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
        let found = solver.solution;
        let is_finite = found.x.iter().chain(&found.z).all(|it| it.is_finite());
        is_finite.then(|| Solution {
            values: found.x,
            equal: found.z[..equal].to_vec(),
            at_most: found.z[equal..rows].to_vec(),
        })
    }

    /// What the cost is at least, whatever the solution's prices are worth.
    pub fn bound(&self, solution: &Solution) -> f64 {
        let mut reduced = self.costs.clone();
        for &(row, variable, factor) in &self.equal.terms {
            reduced[variable] += factor * solution.equal[row];
        }
        for &(row, variable, factor) in &self.at_most.terms {
            reduced[variable] += factor * solution.at_most[row].max(0.0);
        }
        let equal = self.equal.right.iter().zip(&solution.equal);
        let at_most = self.at_most.right.iter().zip(&solution.at_most);
        let rows: f64 = equal.map(|(right, price)| right * price).sum::<f64>()
            + at_most
                .map(|(right, price)| right * price.max(0.0))
                .sum::<f64>();
        let boxes: f64 = reduced
            .iter()
            .zip(&self.highest)
            .map(|(reduced, highest)| reduced.min(0.0) * highest)
            .sum();
        boxes - rows
    }
}
