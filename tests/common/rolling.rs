//! A station run for days by the planner's advice or by a level control, minute by minute, with demand that is not as forecast.

use pumphouse::{
    schedule::{
        problem::{COMBINATIONS, Combination, Problem, Pump, Slot, count, has},
        solve::{Effort, solve},
        station::{Seen, StationModel},
    },
    simulate::{Station, operating_point},
    tags::PUMPS,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

use super::instances;

/// Length of a slot, min.
const SLOT_MIN: usize = 15;
/// Scale of the demand, m³/h: 250 on the mean, 360 at its peaks.
const DEMAND_M3H: f64 = 310.0;
/// How the error of the demand goes on from slot to slot.
const CARRIED: f64 = 0.95;
/// What a m³ more or less in the tank at the end is worth.
const WATER_WORTH: f64 = 0.02;

/// Who runs the pumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Planned anew each slot.
    Advice,
    /// By the level alone, another pump first each day.
    Level,
    /// By the level, low at the peak and full before it.
    TariffAware,
    /// By the level alone, the most efficient pump first.
    BestFirst,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Cost of the energy, a level that is other at the end counted.
    pub cost: f64,
    /// Energy, kWh.
    pub energy_kwh: f64,
    /// Lowest and highest level of all minutes, %.
    pub level_pct: (f64, f64),
    /// Starts of pumps.
    pub starts: usize,
    /// Pumps switched before their time, too many at once.
    pub faults: Vec<String>,
}

/// The true station.
struct Truth {
    station: Station,
    flows: Vec<[(f64, f64); 2]>,
}

impl Truth {
    fn new() -> Self {
        let station = Station::default();
        let flows = (0..COMBINATIONS)
            .map(|set| {
                [0.0, 1.0].map(|fill| {
                    let (flow, power) = operating_point(&station, set, fill);
                    (flow, power.iter().sum())
                })
            })
            .collect();
        Self { station, flows }
    }

    /// Flow, m³/h, and power, kW.
    fn at(&self, set: Combination, fill: f64) -> (f64, f64) {
        let [empty, full] = self.flows[set];
        let between = |empty: f64, full: f64| empty + (full - empty) * fill;
        (between(empty.0, full.0), between(empty.1, full.1))
    }

    /// What a historian has seen: single pumps and a few sets.
    fn model(&self) -> StationModel {
        let sets = (0..PUMPS)
            .map(|pump| 1 << pump)
            .chain([0b000_011, 0b001_100, 0b100_001, 0b110_000, 0b001_011]);
        let seen: Vec<Seen> = sets
            .flat_map(|set| {
                [0.4, 0.6, 0.8].map(|fill| {
                    let (flow_m3h, power_kw) = operating_point(&self.station, set, fill);
                    Seen {
                        set,
                        minutes: 200.0,
                        fill,
                        flow_m3h,
                        power_kw,
                    }
                })
            })
            .collect();
        StationModel::fit(&seen).expect("enough was seen")
    }
}

fn demand_m3h(slot: usize) -> f64 {
    let hour = slot as f64 / 4.0 % 24.0;
    let bell = |height: f64, at: f64, wide: f64| height * (-((hour - at) / wide).powi(2)).exp();
    DEMAND_M3H * (0.55 + bell(0.55, 8.0, 2.2) + bell(0.6, 19.0, 2.5) + bell(0.25, 13.0, 3.0))
}

fn price_per_kwh(slot: usize) -> f64 {
    let hour = slot / 4 % 24;
    if (6..10).contains(&hour) || (17..21).contains(&hour) {
        0.30
    } else {
        0.15
    }
}

/// Runs the station for some days; `spread` is how far the demand is from its forecast (standard deviation, as a share).
pub fn run(control: Control, days: usize, spread: f64, seed: u64) -> Outcome {
    let truth = Truth::new();
    let volume_m3 = 1500.0;
    let model = truth.model();
    let mut problem = instances::day("base", false);
    problem.duties = model.duties(volume_m3, 0.05, 0.2);
    problem.change_price = 0.12;
    // As the planner does: what 95 % of the errors come to until pumps can answer, if that is more.
    let answer_h = (problem.min_up_min.max(problem.min_down_min) + SLOT_MIN as i64) as f64 / 60.0;
    problem.tank.margin_m3 = f64::max(
        problem.tank.margin_m3,
        1.96 * spread * DEMAND_M3H * answer_h,
    );
    for pump in &mut problem.pumps {
        (pump.on, pump.since_min, pump.start_price) = (false, 600, 0.5);
    }
    let limits = Limits {
        pumps_on_max: problem.pumps_on_max,
        min_up_min: problem.min_up_min,
        min_down_min: problem.min_down_min,
        run_max_min: problem.run_max_min,
    };
    let order = best_first(|pump| truth.at(1 << pump, 0.6));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut volume = 0.6 * volume_m3;
    let (begun, mut error, mut set) = (volume, 0.0, 0);
    let mut done = Outcome {
        level_pct: (100.0, 0.0),
        ..Outcome::default()
    };
    for slot in 0..days * 96 {
        set = match control {
            Control::Advice => advised(&mut problem, slot, volume, error),
            _ => {
                let when = (slot / 96, price_per_kwh(slot) > 0.2);
                let level_pct = 100.0 * volume / volume_m3;
                controlled(control, when, set, level_pct, &order)
            }
        };
        switch(&mut problem.pumps, &limits, set, &mut done);
        let noise: f64 = rng.sample(StandardNormal);
        error = CARRIED * error + (1.0 - CARRIED * CARRIED).sqrt() * spread * noise;
        for _ in 0..SLOT_MIN {
            let (flow, power) = truth.at(set, volume / volume_m3);
            volume =
                (volume + (flow - demand_m3h(slot) * (1.0 + error)) / 60.0).clamp(0.0, volume_m3);
            done.energy_kwh += power / 60.0;
            done.cost += power / 60.0 * price_per_kwh(slot);
            let level = 100.0 * volume / volume_m3;
            done.level_pct = (done.level_pct.0.min(level), done.level_pct.1.max(level));
        }
        for pump in &mut problem.pumps {
            pump.since_min += SLOT_MIN as i64;
        }
    }
    done.cost -= (volume - begun) * WATER_WORTH;
    done
}

/// The first slot of a plan for the day ahead, which knows the error of the slot before only.
fn advised(problem: &mut Problem, first: usize, volume: f64, error: f64) -> Combination {
    problem.slots = (0..96)
        .map(|ahead| Slot {
            length_min: SLOT_MIN as i64,
            demand_m3h: demand_m3h(first + ahead) * (1.0 + error * CARRIED.powi(ahead as i32 + 1)),
            price_per_kwh: price_per_kwh(first + ahead),
        })
        .collect();
    problem.tank.now_m3 = volume;
    let room = (
        problem.tank.low_m3 + problem.tank.margin_m3,
        problem.tank.high_m3 - problem.tank.margin_m3,
    );
    problem.tank.end_m3 = volume.clamp(room.0, room.1);
    let answer = solve(problem, Effort::FIRST);
    problem.advised = answer.schedule[1..9].to_vec();
    answer.schedule[0]
}

/// The pumps, the most efficient one first, by the flow and the power of each.
pub fn best_first(of: impl Fn(usize) -> (f64, f64)) -> [usize; PUMPS] {
    let worth = |pump: usize| {
        let (flow, power) = of(pump);
        flow / power
    };
    let mut order = std::array::from_fn(|pump| pump);
    order.sort_by(|&one, &other| worth(other).total_cmp(&worth(one)));
    order
}

/// A pump more below each level, one less above each; `order` is the most efficient pump first.
pub fn controlled(
    control: Control,
    (day, is_dear): (usize, bool),
    running: Combination,
    level_pct: f64,
    order: &[usize; PUMPS],
) -> Combination {
    let (start, stop) = match control {
        Control::TariffAware if is_dear => ([35.0, 28.0, 22.0, 18.0], [45.0, 40.0, 35.0, 30.0]),
        Control::TariffAware => ([80.0, 70.0, 55.0, 40.0], [87.0, 85.0, 80.0, 70.0]),
        _ => ([70.0, 60.0, 50.0, 40.0], [85.0, 80.0, 75.0, 70.0]),
    };
    let mut order = *order;
    if control != Control::BestFirst {
        order = std::array::from_fn(|at| (at + day) % PUMPS);
    }
    let many = count(running);
    if many < 4 && level_pct < start[many] {
        let next = order.into_iter().find(|&pump| !has(running, pump));
        running | next.map_or(0, |pump| 1 << pump)
    } else if many > 0 && level_pct > stop[many - 1] {
        let last = order.into_iter().rev().find(|&pump| has(running, pump));
        running & !last.map_or(0, |pump| 1 << pump)
    } else {
        running
    }
}

/// What is to be kept of the pumps' times and number.
pub struct Limits {
    /// Most pumps at once.
    pub pumps_on_max: usize,
    /// Shortest run, min.
    pub min_up_min: i64,
    /// Shortest rest, min.
    pub min_down_min: i64,
    /// Longest run, min.
    pub run_max_min: i64,
}

/// Switches pumps to a set; what is not kept is noted.
pub fn switch(pumps: &mut [Pump; PUMPS], limits: &Limits, set: Combination, done: &mut Outcome) {
    if count(set) > limits.pumps_on_max {
        done.faults.push(format!("{} pumps", count(set)));
    }
    for (pump, it) in pumps.iter_mut().enumerate() {
        if has(set, pump) != it.on {
            let least = if it.on {
                limits.min_up_min
            } else {
                limits.min_down_min
            };
            if it.since_min < least {
                done.faults
                    .push(format!("P{} switched after {} min", pump + 1, it.since_min));
            }
            done.starts += usize::from(!it.on);
            (it.on, it.since_min) = (!it.on, 0);
        } else if it.on && it.since_min > limits.run_max_min {
            done.faults
                .push(format!("P{} has run for {} min", pump + 1, it.since_min));
        }
    }
}
