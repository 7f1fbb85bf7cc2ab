//! The dynamic programme: from below, what the rest of the horizon costs from each slot, pumps and volume.
//!
//! The tank is cut into cells. For each state of the pumps before a slot and each cell there is a cost that no way from any
//! volume of that cell can undercut: a slot carries a cell onto two neighbouring ones, and the cheaper counts. So the values are a
//! bound, whatever the grid; a finer grid makes it tighter. They are kept with what the water in the tank is worth added, which
//! makes them nearly level and so loses little between neighbours.
//!
//! Shortest and longest runs do not count here, which only lowers the bound; the search keeps to them. What pumps must go on
//! doing because of what they did before the horizon does count.

use crate::tags::PUMPS;

use super::problem::{COMBINATIONS, Choice, Combination, Problem, pumps};

/// More than anything costs.
const NEVER: f32 = f32::INFINITY;
/// What layers may take when all are kept, and when some are worked out twice, bytes.
const ALL_BYTES_MAX: usize = 24 << 20;
const LAYERS_BYTES_MAX: usize = 40 << 20;
/// Parts of the horizon between kept layers, and parts of those that are at hand at once, when layers take more than that.
const PARTS: usize = 4;

/// What water is worth is taken from volumes so far apart, as a share of the tank.
const WORTH_ABOUT: f64 = 0.04;

/// A slot with a choice of pumps as straight lines of the volume before it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Step {
    /// Volume after it is `keeps * volume + adds`, m³.
    pub keeps: f64,
    /// m³.
    pub adds: f64,
    /// What it costs is `cost + cost_per_m3 * volume`, without starts.
    pub cost: f64,
    /// Per m³.
    pub cost_per_m3: f64,
}

/// The steps of each slot, for each choice.
pub fn steps(problem: &Problem) -> Vec<Vec<Step>> {
    let slots = problem.slots.iter().enumerate();
    slots
        .map(|(at, slot)| {
            let choices = problem.duties.iter().enumerate();
            choices
                .map(|(choice, duty)| {
                    let (hours, set) = (slot.hours(), problem.set(choice));
                    let half = hours * duty.flow_m3h.per_m3 / 2.0;
                    let keeps = (1.0 + half) / (1.0 - half);
                    let adds = hours * (duty.flow_m3h.at_empty - slot.demand_m3h) / (1.0 - half);
                    let money = hours * slot.price_per_kwh;
                    let per_mean = money * duty.power_kw.per_m3 / 2.0;
                    let wear: f64 = pumps(set).map(|pump| problem.pumps[pump].wear_per_h).sum();
                    let changed = problem
                        .advised
                        .get(at)
                        .map_or(0, |before| (before ^ set).count_ones());
                    Step {
                        keeps,
                        adds,
                        cost: money * duty.power_kw.at_empty
                            + per_mean * adds
                            + hours * (wear + duty.premium_per_h)
                            + f64::from(changed) * problem.change_price,
                        cost_per_m3: per_mean * (1.0 + keeps),
                    }
                })
                .collect()
        })
        .collect()
}

/// What a volume costs at the end of a slot.
pub fn volume_cost(problem: &Problem, volume_m3: f64) -> f64 {
    let (tank, price) = (&problem.tank, &problem.breaches);
    let below = |limit: f64| (limit - volume_m3).max(0.0);
    let above = |limit: f64| (volume_m3 - limit).max(0.0);
    price.low * below(tank.low_m3)
        + price.high * above(tank.high_m3)
        + price.margin
            * (below(tank.low_m3 + tank.margin_m3) + above(tank.high_m3 - tank.margin_m3))
}

/// What a volume costs at the end of the horizon, less what it is worth.
pub fn end_cost(problem: &Problem, volume_m3: f64) -> f64 {
    let missing = problem.tank.end_m3 - volume_m3;
    if missing > 0.0 {
        missing * problem.breaches.end
    } else {
        missing * problem.breaches.surplus_worth
    }
}

/// The values of a problem on a grid.
pub struct Values<'a> {
    problem: &'a Problem,
    steps: &'a [Vec<Step>],
    /// The choices that each slot may have.
    allowed: Vec<Vec<bool>>,
    /// The choices of each row.
    choices: Vec<Vec<Choice>>,
    /// The sets of pumps in service, one for each row of a layer, so ordered that a pump's bit is a bit of the row's number.
    sets: Vec<Combination>,
    /// The pumps in service.
    usable: Vec<usize>,
    /// The row of each set; pumps out of service do not count.
    rows: [usize; COMBINATIONS],
    cells: usize,
    cell_m3: f64,
    /// What a m³ in the tank is taken to be worth at the begin of each slot and at the end.
    worth: Vec<f64>,
    /// Layers that are kept; the layer of slot `t` has the costs from its begin on.
    layers: Vec<Option<Vec<f32>>>,
    /// Each of so many layers is kept.
    every: usize,
    /// So many layers are at hand at once between those.
    at_hand: usize,
    /// Room for what the cells that a slot can reach cost.
    reached: Vec<f32>,
    /// What each cell costs at the end of a slot.
    limits: Vec<f32>,
    /// Cells worked on so far.
    pub effort: u64,
}

impl<'a> Values<'a> {
    /// Works the values out for schedules whose power stays within `cap_kw`.
    pub fn new(
        problem: &'a Problem,
        steps: &'a [Vec<Step>],
        (cap_kw, cells): (f64, usize),
        worth: Vec<f64>,
    ) -> Self {
        let usable: Vec<_> = (0..PUMPS)
            .filter(|&pump| problem.pumps[pump].in_service)
            .collect();
        let spread = |row: usize| {
            usable
                .iter()
                .enumerate()
                .map(|(bit, &pump)| (row >> bit & 1) << pump)
                .sum()
        };
        let sets: Vec<Combination> = (0..1 << usable.len()).map(spread).collect();
        let in_service = sets[sets.len() - 1];
        let row_of = |set: Combination| sets.iter().position(|&it| it == set & in_service);
        let rows = std::array::from_fn(|set| row_of(set).unwrap_or_default());
        let choices_of = |set: &Combination| {
            let all = 0..problem.duties.len();
            all.filter(|&choice| problem.set(choice) == *set).collect()
        };
        let choices = sets.iter().map(choices_of).collect();
        let mut allowed = problem.allowed();
        for choices in &mut allowed {
            for (choice, allowed) in choices.iter_mut().enumerate() {
                *allowed &= problem.peak_kw(choice) <= cap_kw || choice == 0;
            }
        }
        let horizon = problem.slots.len();
        let cell_m3 = problem.tank.volume_m3 / cells as f64;
        let limits = (0..cells)
            .map(|cell| {
                let tank = &problem.tank;
                let (from, to) = (cell as f64 * cell_m3, (cell + 1) as f64 * cell_m3);
                let free = (tank.low_m3 + tank.margin_m3, tank.high_m3 - tank.margin_m3);
                // The cheapest volume of the cell is the one nearest to where no limit is broken.
                let best = from.max(free.0.min(to)).min(to.min(free.1.max(from)));
                volume_cost(problem, best) as f32
            })
            .collect();
        let layer_bytes = sets.len() * cells * size_of::<f32>();
        let root = (horizon as f64).sqrt().ceil() as usize;
        let (every, at_hand) = if layer_bytes * horizon <= ALL_BYTES_MAX {
            (1, 1)
        } else if layer_bytes * 2 * root <= LAYERS_BYTES_MAX {
            (root, root)
        } else {
            let every = horizon.div_ceil(PARTS);
            (every, every.div_ceil(PARTS))
        };
        let mut values = Self {
            sets,
            usable,
            rows,
            problem,
            steps,
            allowed,
            choices,
            cells,
            cell_m3,
            worth,
            layers: vec![None; horizon + 1],
            every,
            at_hand,
            reached: Vec::new(),
            limits,
            effort: 0,
        };
        values.work_out();
        values
    }

    fn work_out(&mut self) {
        let horizon = self.problem.slots.len();
        let worth = self.worth[horizon];
        let end: Vec<f32> = (0..self.cells)
            .map(|cell| {
                let (from, to) = (cell as f64 * self.cell_m3, (cell + 1) as f64 * self.cell_m3);
                let cost = |volume: f64| end_cost(self.problem, volume) + worth * volume;
                cost(from).min(cost(to)) as f32
            })
            .collect();
        let mut next: Vec<f32> = std::iter::repeat_n(end, self.sets.len())
            .flatten()
            .collect();
        for slot in (1..horizon).rev() {
            let here = self.layer(slot, &next);
            let before = std::mem::replace(&mut next, here);
            if (slot + 1) % self.every == 0 || slot + 1 == horizon {
                self.layers[slot + 1] = Some(before);
            }
        }
        self.layers[1.min(horizon)] = Some(next);
    }

    /// Makes sure that the layer of a slot is at hand; layers are asked for in order.
    pub fn reach(&mut self, slot: usize) {
        if self.layers[slot].is_some() {
            return;
        }
        let kept = (slot..self.layers.len()).find(|&at| self.layers[at].is_some());
        let kept = kept.expect("the last layer is kept");
        // What lies behind is not asked for again.
        self.layers[..slot].fill(None);
        for at in (slot..kept).rev() {
            let next = self.layers[at + 1].take().expect("worked out before");
            self.layers[at] = Some(self.layer(at, &next));
            // What is too far ahead to be at hand is worked out again.
            if at + 1 == kept || at + 1 < slot + self.at_hand {
                self.layers[at + 1] = Some(next);
            }
        }
    }

    /// At least this is still to be paid from the begin of a slot with a volume and the pumps that ran before.
    pub fn at(&self, slot: usize, set: Combination, volume_m3: f64) -> f64 {
        let cell = ((volume_m3 / self.cell_m3) as usize).min(self.cells - 1);
        let layer = self.layers[slot].as_ref().expect("reached before");
        f64::from(layer[self.rows[set] * self.cells + cell]) - self.worth[slot] * volume_m3
    }

    /// What a m³ is worth at the begin of a slot, by the values about a volume.
    pub fn worth_at(&self, slot: usize, set: Combination, volume_m3: f64) -> f64 {
        let about = self.problem.tank.volume_m3 * WORTH_ABOUT;
        let (low, high) = (
            (volume_m3 - about).max(0.0),
            (volume_m3 + about).min(self.problem.tank.volume_m3),
        );
        (self.at(slot, set, low) - self.at(slot, set, high)) / (high - low)
    }

    /// Whether a slot may have a choice.
    pub fn allows(&self, slot: usize, choice: Choice) -> bool {
        self.allowed[slot][choice]
    }

    /// The layer of a slot from the one after it.
    fn layer(&mut self, slot: usize, next: &[f32]) -> Vec<f32> {
        let cells = self.cells;
        let mut layer = vec![NEVER; next.len()];
        for row in 0..self.sets.len() {
            for at in 0..self.choices[row].len() {
                let choice = self.choices[row][at];
                if self.allowed[slot][choice] {
                    let row = row * cells..(row + 1) * cells;
                    self.decide(slot, choice, &next[row.clone()], &mut layer[row]);
                    self.effort += cells as u64;
                }
            }
        }
        for bit in 0..self.usable.len() {
            self.switch(bit, &mut layer);
        }
        layer
    }

    /// What it costs from each cell to run a choice in a slot, where that is less than what is known.
    fn decide(&mut self, slot: usize, choice: Choice, next: &[f32], out: &mut [f32]) {
        let (cells, size) = (self.cells as i64, self.cell_m3);
        let (worth_before, worth) = (self.worth[slot], self.worth[slot + 1]);
        let step = self.steps[slot][choice];
        let adds = step.adds / size;
        let pad = (adds.abs() as usize) + 3;
        let price = &self.problem.breaches;
        // What the cells that a slot can reach cost, beyond an empty and a full tank as well.
        let (reached, limits) = (&mut self.reached, &self.limits);
        reached.clear();
        let end = next.len() - 1;
        let (first, last) = (next[0] + limits[0], next[end] + limits[end]);
        reached.extend(
            (0..pad)
                .map(|at| first + ((price.unmet - worth) * (pad - at - 1) as f64 * size) as f32),
        );
        reached.extend(
            next.iter()
                .zip(limits.iter())
                .map(|(next, limit)| next + limit),
        );
        reached
            .extend((0..=pad).map(|at| last + ((price.spilt + worth) * at as f64 * size) as f32));
        for at in 0..reached.len() - 1 {
            let (here, after) = (reached[at], reached[at + 1]);
            reached[at] = if here < after { here } else { after };
        }
        let cost = step.cost - worth * step.adds;
        let per_cell = (step.cost_per_m3 + worth_before - worth * step.keeps) * size;
        // The end of a cell at which it is cheaper.
        let cost = (cost + per_cell.min(0.0)) as f32;
        let per_cell = per_cell as f32;
        // Cells of a band are carried equally far.
        let shrinks = 1.0 - step.keeps;
        let mut from = 0;
        while from < cells {
            let shift = (step.keeps * from as f64 + adds).floor() as i64 - from;
            let until = if shrinks > 1e-12 {
                let until = ((adds - shift as f64) / shrinks).floor() as i64 + 1;
                until.clamp(from + 1, cells)
            } else {
                cells
            };
            let source = (from + shift + pad as i64)
                .clamp(0, reached.len() as i64 - 1 - (until - from))
                as usize;
            let (from_at, until_at) = (from as usize, until as usize);
            let source = &reached[source..source + (until_at - from_at)];
            for (at, (out, reached)) in out[from_at..until_at].iter_mut().zip(source).enumerate() {
                let here = reached + (cost + per_cell * (from_at + at) as f32);
                *out = if here < *out { here } else { *out };
            }
            from = until;
        }
    }

    /// What it costs before a pump is switched or left as it is.
    fn switch(&self, bit: usize, layer: &mut [f32]) {
        let start = self.problem.pumps[self.usable[bit]].start_price as f32;
        let (cells, other) = (self.cells, 1 << bit);
        for row in (0..self.sets.len()).filter(|row| row & other == 0) {
            let (low, high) = layer.split_at_mut((row + other) * cells);
            let off = &mut low[row * cells..][..cells];
            for (off, on) in off.iter_mut().zip(&mut high[..cells]) {
                let (rests, runs) = (*off, *on);
                // Not `f32::min`, whose care for NaN keeps the loop from being done four at a time.
                *off = if rests < runs + start {
                    rests
                } else {
                    runs + start
                };
                *on = if runs < rests { runs } else { rests };
            }
        }
    }
}
