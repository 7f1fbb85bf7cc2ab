//! What a model is told: the minutes up to now as a row of figures. Pure; `onnx-models/trainer` builds the same rows, and a
//! fixture holds the two together.
//!
//! *Invariant.* A row for an origin and a time ahead uses nothing of later minutes than the origin.

use crate::{
    calendar::{Calendar, DAY_MIN, Minute},
    plant::PeakWindows,
};

use super::manifest::Target;

/// Minutes of history that a row can look back to: a week and an hour before the first minute forecast.
pub const HISTORY_MIN: usize = 7 * 1440 + 60;
/// Longest gap in the level that is bridged by a straight line, minutes.
pub const BRIDGED_MIN: usize = 5;
/// Over how long the demand is averaged: a minute's change of level is lost in the transmitter's noise.
const DEMAND_MIN: usize = 15;
/// Share of a window that must be known for a figure over it.
const KNOWN_SHARE: f64 = 0.5;

/// The columns, in order; a model names those it was trained on, and refuses others.
pub const COLUMNS: [&str; 22] = [
    "ahead_min",
    "hour_sin",
    "hour_cos",
    "day_of_week",
    "is_weekend",
    "is_peak",
    "last",
    "change_15",
    "change_60",
    "mean_60",
    "std_60",
    "mean_1440",
    "flow_mean_15",
    "flow_mean_60",
    "power_mean_15",
    "pumps_on",
    "pumps_on_mean_60",
    "level",
    "day_before",
    "two_days_before",
    "week_before",
    "day_before_change",
];

/// What a pump's model is told, in order.
pub const PUMP_COLUMNS: [&str; 3] = ["level_pct", "pumps_on", "flow_m3h"];

/// Raw minutes, oldest first and without holes; NaN is unknown.
#[derive(Clone, Debug, Default)]
pub struct Minutes {
    /// The first one.
    pub first: Minute,
    /// Tank level, %.
    pub level_pct: Vec<f64>,
    /// What the tank holds, m³. Not a share of the level, whose 100 % follows the highest level seen.
    pub stored_m3: Vec<f64>,
    /// Flow of the station, m³/h.
    pub flow_m3h: Vec<f64>,
    /// Power of all pumps, kW.
    pub power_kw: Vec<f64>,
    /// Pumps on.
    pub pumps_on: Vec<f64>,
}

/// Minutes ready to build rows from.
#[derive(Clone, Debug)]
pub struct History {
    first: Minute,
    level: Vec<f64>,
    demand: Vec<f64>,
    flow: Sums,
    power: Sums,
    pumps: Sums,
    pumps_on: Vec<f64>,
    level_sums: Sums,
    demand_sums: Sums,
}

impl History {
    /// Bridges short gaps of the level and works out the demand.
    pub fn new(minutes: &Minutes) -> Self {
        let level = bridged(&minutes.level_pct, BRIDGED_MIN);
        let stored_m3 = bridged(&minutes.stored_m3, BRIDGED_MIN);
        let flow = Sums::new(&minutes.flow_m3h);
        let demand: Vec<f64> = (0..level.len())
            .map(|at| {
                let Some(before) = at.checked_sub(DEMAND_MIN) else {
                    return f64::NAN;
                };
                let risen_m3 = stored_m3[at] - stored_m3[before];
                flow.mean(at, DEMAND_MIN) - risen_m3 * 60.0 / DEMAND_MIN as f64
            })
            .collect();
        Self {
            first: minutes.first,
            level_sums: Sums::new(&level),
            demand_sums: Sums::new(&demand),
            level,
            demand,
            flow,
            power: Sums::new(&minutes.power_kw),
            pumps: Sums::new(&minutes.pumps_on),
            pumps_on: minutes.pumps_on.clone(),
        }
    }

    /// What is forecast, at a minute: the level, %, or the demand over the 15 minutes up to it, m³/h. NaN is unknown.
    pub fn value(&self, target: Target, minute: Minute) -> f64 {
        let at = usize::try_from(minute - self.first);
        let at = at.ok().and_then(|at| self.series(target).get(at));
        at.copied().unwrap_or(f64::NAN)
    }

    fn series(&self, target: Target) -> &[f64] {
        match target {
            Target::HltPct => &self.level,
            Target::FlowDemand => &self.demand,
        }
    }

    /// The row for a forecast made at `origin`, the newest minute used, of the minute `ahead_min` later; in the order of
    /// [`COLUMNS`], NaN where something is unknown.
    pub fn row(
        &self,
        target: Target,
        origin: Minute,
        ahead_min: i64,
        calendar: &mut Calendar,
        peak: &PeakWindows,
    ) -> [f64; COLUMNS.len()] {
        let time = origin + ahead_min;
        let local = calendar.local(time);
        let hour = local.minute_of_day() as f64 / DAY_MIN as f64 * std::f64::consts::TAU;
        let weekday = local.day_of_week();
        let value = |minute| self.value(target, minute);
        // A forecast of the next minute looks back to it, so nothing behind the origin is asked for.
        let at = (origin - self.first) as usize;
        let sums = match target {
            Target::HltPct => &self.level_sums,
            Target::FlowDemand => &self.demand_sums,
        };
        [
            ahead_min as f64,
            hour.sin(),
            hour.cos(),
            weekday as f64,
            f64::from(u8::from(matches!(weekday, 0 | 6))),
            f64::from(u8::from(peak.contains(local))),
            value(origin),
            value(origin) - value(origin - 15),
            value(origin) - value(origin - 60),
            sums.mean(at, 60),
            sums.deviation(at, 60),
            sums.mean(at, 1440),
            self.flow.mean(at, 15),
            self.flow.mean(at, 60),
            self.power.mean(at, 15),
            self.pumps_on.get(at).copied().unwrap_or(f64::NAN),
            self.pumps.mean(at, 60),
            self.value(Target::HltPct, origin),
            value(time - DAY_MIN),
            value(time - 2 * DAY_MIN),
            value(time - 7 * DAY_MIN),
            value(time - DAY_MIN) - value(origin - DAY_MIN),
        ]
    }
}

/// Fills gaps of at most so many values between two known ones by a straight line.
pub(super) fn bridged(values: &[f64], longest: usize) -> Vec<f64> {
    let mut filled = values.to_vec();
    let mut known: Option<usize> = None;
    for at in 0..values.len() {
        if values[at].is_nan() {
            continue;
        }
        if let Some(before) = known.filter(|before| (2..=longest + 1).contains(&(at - before))) {
            let step = (values[at] - values[before]) / (at - before) as f64;
            for (place, value) in filled[before + 1..at].iter_mut().enumerate() {
                *value = values[before] + step * (place + 1) as f64;
            }
        }
        known = Some(at);
    }
    filled
}

/// Sums up to each minute, so that a window's figures cost two look-ups.
#[derive(Clone, Debug)]
struct Sums {
    count: Vec<f64>,
    sum: Vec<f64>,
    squares: Vec<f64>,
}

impl Sums {
    fn new(values: &[f64]) -> Self {
        let run = |of: &dyn Fn(f64) -> f64| {
            let mut total = 0.0;
            let totals = values.iter().map(|&value| {
                total += if value.is_nan() { 0.0 } else { of(value) };
                total
            });
            std::iter::once(0.0)
                .chain(totals.collect::<Vec<_>>())
                .collect()
        };
        Self {
            count: run(&|_| 1.0),
            sum: run(&|value| value),
            squares: run(&|value| value * value),
        }
    }

    /// Count, sum and sum of squares of the known values among the `length` up to and with the one at a place.
    fn window(&self, at: usize, length: usize) -> Option<[f64; 3]> {
        let (to, from) = (at + 1, (at + 1).checked_sub(length)?);
        let between = |totals: &[f64]| Some(totals.get(to)? - totals[from]);
        let count = between(&self.count)?;
        let enough = count >= KNOWN_SHARE * length as f64;
        Some([count, between(&self.sum)?, between(&self.squares)?]).filter(|_| enough)
    }

    fn mean(&self, at: usize, length: usize) -> f64 {
        let window = self.window(at, length);
        window.map_or(f64::NAN, |[count, sum, _]| sum / count)
    }

    fn deviation(&self, at: usize, length: usize) -> f64 {
        let window = self.window(at, length);
        window.map_or(f64::NAN, |[count, sum, squares]| {
            let mean = sum / count;
            (squares / count - mean * mean).max(0.0).sqrt()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    fn history(level: &[f64], flow: f64) -> History {
        let minutes = Minutes {
            first: 28_000_000,
            level_pct: level.to_vec(),
            stored_m3: level.iter().map(|level| level * 12.0).collect(),
            flow_m3h: vec![flow; level.len()],
            power_kw: vec![40.0; level.len()],
            pumps_on: vec![1.0; level.len()],
        };
        History::new(&minutes)
    }

    #[test]
    fn short_gaps_are_bridged_and_long_ones_stay() {
        let unknown = f64::NAN;
        let filled = bridged(
            &[
                1.0, unknown, 3.0, unknown, unknown, unknown, unknown, unknown, unknown, 4.0,
                unknown,
            ],
            BRIDGED_MIN,
        );
        assert_eq!(filled[..3], [1.0, 2.0, 3.0]);
        assert!(filled[3..9].iter().all(|value| value.is_nan()));
        assert!(filled[10].is_nan());
        let five = [[1.0].as_slice(), &[unknown; 5], &[7.0]].concat();
        assert_eq!(
            bridged(&five, BRIDGED_MIN),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
        );
    }

    #[test]
    fn demand_is_what_does_not_stay_in_the_tank() {
        // 1 % of 1200 m³ in 15 min is 48 m³/h into the tank.
        let rising: Vec<f64> = (0..60)
            .map(|minute| 50.0 + f64::from(minute) / 15.0)
            .collect();
        let demand = history(&rising, 300.0).value(Target::FlowDemand, 28_000_040);
        assert!((demand - 252.0).abs() < 1e-9, "{demand}");
        let unknown = history(&rising, 300.0).value(Target::FlowDemand, 28_000_010);
        assert!(unknown.is_nan());
    }

    #[test]
    fn nothing_behind_the_origin_counts() {
        let level: Vec<f64> = (0..HISTORY_MIN)
            .map(|minute| (minute % 97) as f64)
            .collect();
        let mut calendar = Calendar::new(TimeZone::UTC);
        let peak = PeakWindows::default();
        let cut = 7 * 1440 + 20;
        let origin = 28_000_000 + cut as i64;
        for ahead_min in [1, 60, 1440] {
            for target in [Target::HltPct, Target::FlowDemand] {
                let mut row = |level: &[f64]| {
                    history(level, 300.0).row(target, origin, ahead_min, &mut calendar, &peak)
                };
                let (whole, known) = (row(&level), row(&level[..=cut]));
                for (column, (a, b)) in COLUMNS.iter().zip(whole.iter().zip(&known)) {
                    assert!(a == b || a.is_nan() && b.is_nan(), "{column}: {a} {b}");
                }
            }
        }
    }
}
