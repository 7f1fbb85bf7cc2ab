//! What each set of pumps does, learnt from what the historian saw.
//!
//! Pumps work against a common rising main: a pump alone lifts more than its share of many. A pump's flow against a head `h` is
//! `gain · √(shut_off − h)`; the head is `rise · fill + friction · Q²`, with `Q` the station's flow and everything else that is
//! constant left out. These figures are fitted to the mean flow of each set at each level (Levenberg–Marquardt, held towards
//! what is usual where the historian saw too little), and each pump's power is a straight line of its own flow. A set that was
//! seen is corrected by what was seen of it; one that never was is *extrapolated* and costs a premium.

use crate::{config::Drives, tags::PUMPS};

use super::problem::{COMBINATIONS, Combination, Duty, Line, count, has, pumps};

/// Minutes from which a set counts as seen.
const SEEN_MIN: f64 = 30.0;
/// Minutes of the whole station below which nothing is fitted: half a day.
const FITTED_MIN: f64 = 720.0;
/// Steps of the fit, at most.
const STEPS_MAX: usize = 60;
/// How strongly figures are held towards what is usual, in relative errors of the flow.
const HELD: f64 = 0.002;

/// A variable-speed pump lifts this share of its flow at full speed at least.
const FLOW_SHARE_MIN: f64 = 0.4;

/// Minutes in which a set of pumps ran with the tank about equally full: their number and means.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// The set.
    pub set: Combination,
    /// Minutes.
    pub minutes: f64,
    /// Fill of the tank, 0 to 1.
    pub fill: f64,
    /// Flow of the station, m³/h.
    pub flow_m3h: f64,
    /// Power of each pump, kW.
    pub power_kw: [f64; PUMPS],
}

/// A pump as fitted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PumpFit {
    gain: f64,
    shut_off: f64,
    power_kw: f64,
    power_per_m3h: f64,
    /// Minutes in which it ran.
    pub minutes: f64,
}

/// What the station does.
#[derive(Clone, Debug, PartialEq)]
pub struct StationModel {
    /// The pumps.
    pub pumps: [PumpFit; PUMPS],
    rise: f64,
    friction: f64,
    /// What each set was seen to lift and draw, as a share of what the curves say.
    corrections: Vec<(f64, f64)>,
    /// Minutes in which each set was seen.
    pub seen_min: Vec<f64>,
    /// Root mean square error of the curves' flow, before sets are corrected, %.
    pub flow_error_pct: f64,
    /// The same of the power.
    pub power_error_pct: f64,
}

impl StationModel {
    /// Fits the station; the error says what is missing.
    pub fn fit(seen: &[Seen]) -> Result<Self, String> {
        let seen: Vec<Seen> = seen
            .iter()
            .filter(|it| it.set != 0 && it.minutes > 0.0 && it.flow_m3h > 0.0)
            .copied()
            .collect();
        let minutes: f64 = seen.iter().map(|it| it.minutes).sum();
        if minutes < FITTED_MIN {
            return Err(format!(
                "the history has {minutes:.0} min of settled pumping; {FITTED_MIN:.0} are needed to learn what the pumps do"
            ));
        }
        let mut model = Self::curves(&seen);
        model.power(&seen);
        model.measure(&seen);
        model.correct(&seen);
        Ok(model)
    }

    /// Whether a pump was ever seen running.
    pub fn knows(&self, pump: usize) -> bool {
        self.pumps[pump].minutes >= SEEN_MIN
    }

    /// Whether a set was never seen running for long enough.
    pub fn is_extrapolated(&self, set: Combination) -> bool {
        set != 0 && self.seen_min[set] < SEEN_MIN
    }

    /// What each set does over a tank of this volume. `premium` is what an extrapolated set costs more, as a share of its energy
    /// at `price_per_kwh`.
    pub fn duties(&self, volume_m3: f64, premium: f64, price_per_kwh: f64) -> Vec<Duty> {
        (0..COMBINATIONS)
            .map(|set| {
                let ends = [0.0, 1.0].map(|fill| self.at(set, fill));
                let line = |empty: f64, full: f64| Line {
                    at_empty: empty,
                    per_m3: (full - empty) / volume_m3,
                };
                let power_kw = line(ends[0].1, ends[1].1);
                let share = if self.is_extrapolated(set) {
                    premium
                } else {
                    0.0
                };
                Duty {
                    flow_m3h: line(ends[0].0, ends[1].0),
                    power_kw,
                    premium_per_h: share * power_kw.at(volume_m3 / 2.0) * price_per_kwh,
                }
            })
            .collect()
    }

    /// The station with its variable-speed pumps at a share of full speed, by the affinity laws: flow goes with the speed, head with
    /// its square, power with its cube.
    pub fn at_speed(&self, speed: f64, drives: &Drives) -> Self {
        let mut slower = self.clone();
        for (pump, full_m) in slower.pumps.iter_mut().zip(drives.shut_off_head_m) {
            if let Some(full_m) = full_m {
                let spare_m = full_m - drives.static_head_m;
                pump.shut_off *= (full_m * speed * speed - drives.static_head_m) / spare_m;
                pump.power_kw *= speed.powi(3);
                pump.power_per_m3h *= speed.powi(2);
            }
        }
        slower
    }

    /// Whether each variable-speed pump of a set still lifts enough in this slower station, with the tank full: pumps do not bear
    /// little flow for long.
    pub fn bears(&self, set: Combination, slower: &Self, drives: &Drives) -> bool {
        let (usual, _) = self.flows(set, 1.0);
        let (flows, _) = slower.flows(set, 1.0);
        let mut driven = pumps(set & drives.set());
        driven.all(|pump| flows[pump] >= FLOW_SHARE_MIN * usual[pump])
    }

    /// Flow, m³/h, and power, kW, of a set at a fill of the tank.
    pub fn at(&self, set: Combination, fill: f64) -> (f64, f64) {
        let (flows, total) = self.flows(set, fill);
        let power: f64 = pumps(set)
            .map(|pump| self.pumps[pump].power(flows[pump]))
            .sum();
        let (flow, drawn) = self.corrections[set];
        (total * flow, power * drawn)
    }

    /// The flow of each pump of a set, and of all.
    fn flows(&self, set: Combination, fill: f64) -> ([f64; PUMPS], f64) {
        let flows = |head: f64| {
            let flows: [f64; PUMPS] = std::array::from_fn(|pump| {
                if has(set, pump) {
                    self.pumps[pump].flow(head)
                } else {
                    0.0
                }
            });
            (flows, flows.iter().sum::<f64>())
        };
        // The more head, the less flow, the less head is needed: one place fits.
        let (mut low, mut high) = (self.rise * fill, self.rise * fill + 4.0);
        for _ in 0..50 {
            let head = f64::midpoint(low, high);
            let (_, total) = flows(head);
            if self.rise * fill + self.friction * total * total > head {
                low = head;
            } else {
                high = head;
            }
        }
        flows(low)
    }

    fn curves(seen: &[Seen]) -> Self {
        let mut minutes = [0.0; PUMPS];
        let mut seen_min = vec![0.0; COMBINATIONS];
        for it in seen {
            seen_min[it.set] += it.minutes;
            for (pump, minutes) in minutes.iter_mut().enumerate() {
                *minutes += if has(it.set, pump) { it.minutes } else { 0.0 };
            }
        }
        // A first guess: pumps of equal head whose flows add up.
        let mean = |pump: usize| {
            let of = seen.iter().filter(|it| has(it.set, pump));
            let (flow, all) = of.fold((0.0, 0.0), |(flow, all), it| {
                (
                    flow + it.flow_m3h / count(it.set) as f64 * it.minutes,
                    all + it.minutes,
                )
            });
            if all > 0.0 { flow / all } else { 1.0 }
        };
        let guess: [f64; PUMPS] = std::array::from_fn(mean);
        let typical = guess.iter().sum::<f64>() / PUMPS as f64;
        let usual: Vec<f64> = guess
            .iter()
            .map(|flow| (flow * 1.1_f64).ln())
            .chain([0.0; PUMPS])
            .chain([0.15_f64.ln(), (0.05 / (typical * typical)).ln()])
            .collect();
        let model = |figures: &[f64]| Self {
            pumps: std::array::from_fn(|pump| PumpFit {
                gain: figures[pump].exp(),
                shut_off: figures[PUMPS + pump].exp(),
                minutes: minutes[pump],
                ..PumpFit::default()
            }),
            rise: figures[2 * PUMPS].exp(),
            friction: figures[2 * PUMPS + 1].exp(),
            corrections: vec![(1.0, 1.0); COMBINATIONS],
            seen_min: seen_min.clone(),
            flow_error_pct: 0.0,
            power_error_pct: 0.0,
        };
        let total: f64 = seen.iter().map(|it| it.minutes).sum();
        let errors = |figures: &[f64]| -> Vec<f64> {
            let model = model(figures);
            let flows = seen.iter().map(|it| {
                let (_, flow) = model.flows(it.set, it.fill);
                (flow / it.flow_m3h - 1.0) * (it.minutes / total).sqrt()
            });
            let held = figures
                .iter()
                .zip(&usual)
                .map(|(figure, usual)| (figure - usual) * HELD);
            flows.chain(held).collect()
        };
        model(&least_squares(usual.clone(), errors))
    }

    /// Each pump's power as a straight line of its flow.
    fn power(&mut self, seen: &[Seen]) {
        for pump in 0..PUMPS {
            let points: Vec<(f64, f64, f64)> = seen
                .iter()
                .filter(|it| has(it.set, pump))
                .map(|it| {
                    (
                        self.flows(it.set, it.fill).0[pump],
                        it.power_kw[pump],
                        it.minutes,
                    )
                })
                .collect();
            let weight: f64 = points.iter().map(|(_, _, minutes)| minutes).sum();
            if weight <= 0.0 {
                continue;
            }
            let mean = |of: &dyn Fn(&(f64, f64, f64)) -> f64| {
                points.iter().map(|it| of(it) * it.2).sum::<f64>() / weight
            };
            let (flow, power) = (mean(&|it| it.0), mean(&|it| it.1));
            let spread = mean(&|it| (it.0 - flow).powi(2));
            // Held towards a power that does not change, where flows hardly did.
            let slope = mean(&|it| (it.0 - flow) * (it.1 - power))
                / (spread + (0.01 * flow).powi(2) + 1e-9);
            self.pumps[pump].power_per_m3h = slope;
            self.pumps[pump].power_kw = power - slope * flow;
        }
    }

    /// What was seen of each set beside what the curves say.
    fn correct(&mut self, seen: &[Seen]) {
        let mut sums = vec![[0.0; 4]; COMBINATIONS];
        for it in seen {
            let (flow, power) = self.at(it.set, it.fill);
            let drawn: f64 = it.power_kw.iter().sum();
            for (sum, value) in sums[it.set]
                .iter_mut()
                .zip([it.flow_m3h, flow, drawn, power])
            {
                *sum += value * it.minutes;
            }
        }
        for (set, [flow, modelled, drawn, power]) in sums.into_iter().enumerate() {
            // A set seen for half an hour counts half, one seen for days counts whole.
            let share = self.seen_min[set] / (self.seen_min[set] + SEEN_MIN);
            let towards = |seen: f64, model: f64| {
                if model > 0.0 {
                    1.0 + (seen / model - 1.0) * share
                } else {
                    1.0
                }
            };
            self.corrections[set] = (towards(flow, modelled), towards(drawn, power));
        }
    }

    /// How far the curves are from what was seen.
    fn measure(&mut self, seen: &[Seen]) {
        let total: f64 = seen.iter().map(|it| it.minutes).sum();
        let (mut flow_error, mut power_error) = (0.0, 0.0);
        for it in seen {
            let (flow, power) = self.at(it.set, it.fill);
            let drawn: f64 = it.power_kw.iter().sum();
            flow_error += it.minutes * (flow / it.flow_m3h - 1.0).powi(2);
            power_error += if drawn > 0.0 {
                it.minutes * (power / drawn - 1.0).powi(2)
            } else {
                0.0
            };
        }
        self.flow_error_pct = (flow_error / total).sqrt() * 100.0;
        self.power_error_pct = (power_error / total).sqrt() * 100.0;
    }
}

impl PumpFit {
    fn flow(&self, head: f64) -> f64 {
        self.gain * (self.shut_off - head).max(0.0).sqrt()
    }

    fn power(&self, flow_m3h: f64) -> f64 {
        (self.power_kw + self.power_per_m3h * flow_m3h).max(0.0)
    }
}

/// The figures with the smallest sum of squared errors near the given ones (Levenberg–Marquardt).
fn least_squares(mut figures: Vec<f64>, errors: impl Fn(&[f64]) -> Vec<f64>) -> Vec<f64> {
    let sum = |errors: &[f64]| errors.iter().map(|error| error * error).sum::<f64>();
    let mut now = errors(&figures);
    let mut damping = 1e-3;
    for _ in 0..STEPS_MAX {
        let size = figures.len();
        let columns: Vec<Vec<f64>> = (0..size)
            .map(|at| {
                let mut moved = figures.clone();
                moved[at] += 1e-5;
                errors(&moved)
                    .iter()
                    .zip(&now)
                    .map(|(there, here)| (there - here) / 1e-5)
                    .collect()
            })
            .collect();
        let dot =
            |one: &[f64], other: &[f64]| one.iter().zip(other).map(|(a, b)| a * b).sum::<f64>();
        let before = sum(&now);
        let mut is_better = false;
        while damping < 1e9 {
            let mut matrix: Vec<Vec<f64>> = (0..size)
                .map(|row| {
                    let mut line: Vec<f64> = (0..size)
                        .map(|column| dot(&columns[row], &columns[column]))
                        .collect();
                    line[row] += damping * (line[row] + 1e-12);
                    line.push(-dot(&columns[row], &now));
                    line
                })
                .collect();
            let step = eliminate(&mut matrix);
            let moved: Vec<f64> = figures
                .iter()
                .zip(&step)
                .map(|(figure, step)| figure + step.clamp(-1.0, 1.0))
                .collect();
            let there = errors(&moved);
            if sum(&there) < before {
                (figures, now) = (moved, there);
                damping = (damping / 3.0).max(1e-9);
                is_better = true;
                break;
            }
            damping *= 4.0;
        }
        if !is_better || before - sum(&now) < before * 1e-9 {
            break;
        }
    }
    figures
}

/// Solves a symmetric system, right side last in each row.
fn eliminate(matrix: &mut [Vec<f64>]) -> Vec<f64> {
    let size = matrix.len();
    for at in 0..size {
        let (above, below) = matrix.split_at_mut(at + 1);
        let pivot = &above[at];
        for row in below {
            let factor = row[at] / pivot[at];
            for (value, pivot) in row.iter_mut().zip(pivot).skip(at) {
                *value -= factor * pivot;
            }
        }
    }
    let mut solution = vec![0.0; size];
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size)
            .map(|column| matrix[at][column] * solution[column])
            .sum();
        solution[at] = (matrix[at][size] - known) / matrix[at][at];
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Station, operating_point};

    /// What a historian sees of the simulated station in some sets, with the tank between half and nearly full.
    fn seen(sets: &[Combination]) -> Vec<Seen> {
        let station = Station::default();
        let fills = [0.5, 0.6, 0.7, 0.8, 0.9];
        let at = |set: Combination, fill: f64| {
            let (flow_m3h, power_kw) = operating_point(&station, set, fill);
            Seen {
                set,
                minutes: 100.0,
                fill,
                flow_m3h,
                power_kw,
            }
        };
        let all = sets.iter().flat_map(|&set| fills.map(|fill| at(set, fill)));
        all.collect()
    }

    #[test]
    fn sets_that_were_seen_are_met_and_those_never_seen_are_near() {
        let shown = [
            0b000_001, 0b000_010, 0b000_100, 0b001_010, 0b000_101, 0b100_000, 0b110_000, 0b101_001,
            0b010_110,
        ];
        let model = StationModel::fit(&seen(&shown)).expect("enough was seen");
        assert!(
            model.flow_error_pct < 0.5 && model.power_error_pct < 0.5,
            "{model:?}"
        );
        let station = Station::default();
        for set in 1..COMBINATIONS {
            let (flow, power) = operating_point(&station, set, 0.4);
            let (fitted, drawn) = model.at(set, 0.4);
            let power: f64 = power.iter().sum();
            let is_shown = shown.contains(&set);
            assert_eq!(model.is_extrapolated(set), !is_shown);
            let far = if is_shown { 0.01 } else { 0.04 };
            assert!(
                (fitted / flow - 1.0).abs() < far,
                "{set:06b}: {fitted} / {flow} m³/h"
            );
            assert!(
                (drawn / power - 1.0).abs() < far,
                "{set:06b}: {drawn} / {power} kW"
            );
        }
        for duty in model.duties(1200.0, 0.05, 0.2) {
            assert!(
                duty.flow_m3h.per_m3 <= 0.0,
                "the flow does not rise with the level"
            );
        }
    }

    /// The simulated station with P6 at a share of full speed, and what the model needs to know of it.
    fn slowed(speed: f64) -> (Station, Drives) {
        let mut station = Station::default();
        let mut shut_off_head_m = [None; PUMPS];
        shut_off_head_m[5] = Some(station.curves[5].shutoff_head_m);
        let drives = Drives {
            shut_off_head_m,
            static_head_m: station.static_head_m,
            speed_min_pct: 70,
        };
        station.curves[5].shutoff_head_m *= speed * speed;
        station.curves[5].best_flow_m3h *= speed;
        (station, drives)
    }

    #[test]
    fn slower_pumps_are_told_by_the_affinity_laws() {
        let shown = [
            0b000_001, 0b000_100, 0b001_010, 0b100_000, 0b110_000, 0b101_001, 0b100_011,
        ];
        let model = StationModel::fit(&seen(&shown)).expect("enough was seen");
        for speed in [0.95, 0.9, 0.85] {
            let (station, drives) = slowed(speed);
            let slower = model.at_speed(speed, &drives);
            for set in [0b100_000, 0b101_001, 0b100_011] {
                let (flow, power) = operating_point(&station, set, 0.6);
                let (told, drawn) = slower.at(set, 0.6);
                let power: f64 = power.iter().sum();
                println!(
                    "{speed} {set:06b}: {told:.1} / {flow:.1} m³/h, {drawn:.2} / {power:.2} kW, bears {}",
                    model.bears(set, &slower, &drives)
                );
                assert!((told / flow - 1.0).abs() < 0.05, "{set:06b} at {speed}");
                assert!((drawn / power - 1.0).abs() < 0.05, "{set:06b} at {speed}");
            }
        }
        // At 70 % the pump does not reach the head of an empty tank.
        let (_, drives) = slowed(1.0);
        assert!(!model.bears(0b100_000, &model.at_speed(0.7, &drives), &drives));
        assert!(model.bears(0b100_000, &model.at_speed(0.9, &drives), &drives));
    }

    #[test]
    fn too_little_history_and_a_pump_that_never_ran_are_told() {
        let few = StationModel::fit(&seen(&[0b1])[..3]);
        assert!(few.expect_err("300 min").contains("300 min"));
        let model = StationModel::fit(&seen(&[0b1, 0b10, 0b11])).expect("enough was seen");
        assert!(model.knows(0) && model.knows(1) && !model.knows(2));
    }
}
