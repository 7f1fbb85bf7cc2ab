//! The search: forward from now, slot by slot, with the real volume and the real age of each pump; of all ways begun so far
//! those go on whose cost so far and least cost to come are lowest.
//!
//! What is dropped on the way is not forgotten: the lowest bound of it says how much better than the schedule found any other
//! can be.

use std::collections::HashSet;

use crate::tags::PUMPS;

use super::{
    problem::{Choice, Combination, Problem, count, has, pumps},
    values::{Step, Values, end_cost, volume_cost},
};

/// A way begun.
#[derive(Clone, Copy, Debug)]
struct Way {
    volume_m3: f64,
    cost: f64,
    set: Combination,
    since_min: [i64; PUMPS],
}

/// A search to be made.
#[derive(Clone, Copy, Debug)]
pub struct Reach {
    /// Ways that are followed at once.
    pub width: usize,
    /// Ways that cost this or more are not looked for.
    pub below: f64,
    /// Whether shortest and longest runs and rests count.
    pub is_timed: bool,
}

/// Ways that have these in common go on alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Key {
    set: Combination,
    volume_ml: u64,
    /// For how long each pump has been as it is, as far as that still counts, min.
    ages: [i16; PUMPS],
}

/// A way's next slot.
struct Candidate {
    bound: f64,
    cost: f64,
    volume_m3: f64,
    from: u32,
    choice: Choice,
    key: Key,
}

/// Where a search is.
struct Front {
    reach: Reach,
    ways: Vec<Way>,
    came: Vec<Vec<(u32, u16)>>,
    dropped: f64,
    candidates: Vec<Candidate>,
    seen: HashSet<Key>,
}

/// Makes searches side by side: for each the schedule that it found, and what none undercuts, the demand charge left out of
/// both. A search finds nothing when every way costs `below` or more; its bound is right all the same.
pub fn search<const N: usize>(
    problem: &Problem,
    steps: &[Vec<Step>],
    values: &mut Values,
    reaches: [Reach; N],
) -> [(Option<Vec<Choice>>, f64); N] {
    let mut fronts = reaches.map(|reach| Front::new(problem, reach));
    for (slot, steps) in steps.iter().enumerate() {
        values.reach(slot + 1);
        for front in &mut fronts {
            front.advance(problem, steps, values, slot);
        }
    }
    fronts.map(Front::finish)
}

impl Front {
    fn new(problem: &Problem, reach: Reach) -> Self {
        let way = Way {
            volume_m3: problem.tank.now_m3,
            cost: 0.0,
            set: problem.running(),
            since_min: problem.pumps.map(|pump| pump.since_min),
        };
        Self {
            reach,
            ways: vec![way],
            came: Vec::with_capacity(problem.slots.len()),
            dropped: f64::INFINITY,
            candidates: Vec::new(),
            seen: HashSet::new(),
        }
    }

    fn advance(&mut self, problem: &Problem, steps: &[Step], values: &Values, slot: usize) {
        self.candidates.clear();
        for (from, way) in self.ways.iter().enumerate() {
            follow(
                problem,
                steps,
                values,
                (slot, from as u32),
                way,
                self.reach.is_timed,
                &mut self.candidates,
            );
        }
        self.candidates.sort_unstable_by(|one, other| {
            one.bound
                .total_cmp(&other.bound)
                .then(one.key.cmp(&other.key))
                .then(one.from.cmp(&other.from))
        });
        self.seen.clear();
        let mut next = Vec::with_capacity(self.reach.width);
        let mut back = Vec::with_capacity(self.reach.width);
        for one in &self.candidates {
            if one.bound >= self.reach.below || next.len() == self.reach.width {
                self.dropped = self.dropped.min(one.bound);
                break;
            }
            if !self.seen.insert(one.key) {
                self.dropped = self.dropped.min(one.bound);
                continue;
            }
            let way = &self.ways[one.from as usize];
            let length_min = problem.slots[slot].length_min;
            let set = one.key.set;
            next.push(Way {
                volume_m3: one.volume_m3,
                cost: one.cost,
                set,
                since_min: std::array::from_fn(|pump| {
                    let before = if has(way.set ^ set, pump) {
                        0
                    } else {
                        way.since_min[pump]
                    };
                    before + length_min
                }),
            });
            back.push((one.from, one.choice as u16));
        }
        self.ways = next;
        self.came.push(back);
    }

    fn finish(self) -> (Option<Vec<Choice>>, f64) {
        let best = self
            .ways
            .iter()
            .enumerate()
            .min_by(|(_, one), (_, other)| one.cost.total_cmp(&other.cost));
        let Some((mut at, way)) = best else {
            return (None, self.dropped);
        };
        let mut schedule: Vec<_> = self
            .came
            .iter()
            .rev()
            .map(|came| {
                let (from, choice) = came[at];
                at = from as usize;
                usize::from(choice)
            })
            .collect();
        schedule.reverse();
        let bound = self.dropped.min(way.cost);
        (Some(schedule), bound)
    }
}

fn follow(
    problem: &Problem,
    steps: &[Step],
    values: &Values,
    (slot, from): (usize, u32),
    way: &Way,
    is_timed: bool,
    into: &mut Vec<Candidate>,
) {
    let (mut must_run, mut must_rest) = (0, 0);
    for (pump, it) in problem.pumps.iter().enumerate() {
        let (on, since) = (has(way.set, pump), way.since_min[pump]);
        let bit = 1 << pump;
        if !it.in_service {
            must_rest |= bit;
        } else if is_timed {
            if on && since < problem.min_up_min {
                must_run |= bit;
            } else if on && since >= problem.run_max_min || !on && since < problem.min_down_min {
                must_rest |= bit;
            }
        }
    }
    // What must go on although it is too much, the values know.
    let most = if is_timed {
        problem.pumps_on_max.max(count(must_run))
    } else {
        PUMPS
    };
    let is_last = slot + 1 == problem.slots.len();
    let length_min = problem.slots[slot].length_min;
    for (choice, step) in steps.iter().enumerate() {
        let set = problem.set(choice);
        let fits = set & must_run == must_run && set & must_rest == 0 && count(set) <= most;
        if !fits || !values.allows(slot, choice) {
            continue;
        }
        let after = step.keeps * way.volume_m3 + step.adds;
        let volume_m3 = after.clamp(0.0, problem.tank.volume_m3);
        let started = set & !way.set;
        let starts: f64 = pumps(started)
            .map(|pump| problem.pumps[pump].start_price)
            .sum();
        let cost = way.cost
            + starts
            + step.cost
            + step.cost_per_m3 * way.volume_m3
            + volume_cost(problem, volume_m3)
            + problem.breaches.unmet * (-after).max(0.0)
            + problem.breaches.spilt * (after - problem.tank.volume_m3).max(0.0);
        let (cost, rest) = if is_last {
            (cost + end_cost(problem, volume_m3), 0.0)
        } else {
            (cost, values.at(slot + 1, set, volume_m3))
        };
        let key = Key {
            set,
            volume_ml: (volume_m3 * 1e6) as u64,
            ages: ages(problem, way, set, length_min),
        };
        into.push(Candidate {
            bound: cost + rest,
            cost,
            volume_m3,
            from,
            choice,
            key,
        });
    }
}

fn ages(problem: &Problem, way: &Way, set: Combination, length_min: i64) -> [i16; PUMPS] {
    std::array::from_fn(|pump| {
        let since = if has(way.set ^ set, pump) {
            0
        } else {
            way.since_min[pump]
        };
        // A run counts up to the longest that is allowed, a rest up to the shortest.
        let counts = if has(set, pump) {
            problem.run_max_min.max(problem.min_up_min)
        } else {
            problem.min_down_min
        };
        (since + length_min).min(counts) as i16
    })
}
