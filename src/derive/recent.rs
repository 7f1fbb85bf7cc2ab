//! The last hour of flow and level, and the stretches in which something has not changed.

use serde::{Deserialize, Serialize};

use crate::{calendar::Minute, row::Truth};

/// Minutes kept: the longest window is 60.
const KEPT: usize = 64;
/// The window of mean, deviation and z-score, min.
const WINDOW_MIN: i64 = 60;
/// Fewest values from which a z-score is made.
const Z_VALUES_MIN: f64 = 10.0;

/// Flow and level of the last hour by minute, and since when each has stood still.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recent {
    newest: Option<Minute>,
    flow: Vec<f64>,
    level: Vec<f64>,
    flow_still: Still,
    level_still: Still,
    pump_on_without_flow_since: Option<Minute>,
}

impl Default for Recent {
    fn default() -> Self {
        Self {
            newest: None,
            flow: vec![f64::NAN; KEPT],
            level: vec![f64::NAN; KEPT],
            flow_still: Still::default(),
            level_still: Still::default(),
            pump_on_without_flow_since: None,
        }
    }
}

/// A stretch of rows with one unchanged value.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Still {
    /// The row where the value first appeared, and the value.
    first: Option<(Minute, f64)>,
    /// The first switched pump after that row.
    switched: Option<Minute>,
}

impl Still {
    fn observe(&mut self, minute: Minute, value: f64, hole: bool, switched: bool) {
        match self.first {
            _ if value.is_nan() => *self = Self::default(),
            Some((_, standing)) if !hole && standing == value => {
                if switched && self.switched.is_none() {
                    self.switched = Some(minute);
                }
            }
            _ => {
                *self = Self {
                    first: Some((minute, value)),
                    switched: None,
                }
            }
        }
    }

    fn frozen(&self, minute: Minute, switch_age_min: i64, for_min: i64) -> Truth {
        let (first, _) = self.first?;
        let switched = self
            .switched
            .is_some_and(|at| minute - at >= switch_age_min);
        Some(first != minute && minute - first + 1 > for_min && switched)
    }
}

fn place(minute: Minute) -> usize {
    minute.rem_euclid(KEPT as i64) as usize
}

impl Recent {
    /// Takes the next row's flow and level; `hole` when 6 min or more lie before it, `switched` when a pump's command
    /// changed at it, `pump_on` whether any pump is on.
    pub fn observe(&mut self, minute: Minute, flow: f64, level: f64, hole: bool, switched: bool) {
        let from = self.newest.map_or(minute - KEPT as i64, |newest| {
            newest.max(minute - KEPT as i64)
        }) + 1;
        for missing in from..minute {
            self.flow[place(missing)] = f64::NAN;
            self.level[place(missing)] = f64::NAN;
        }
        self.newest = Some(minute);
        self.flow[place(minute)] = flow;
        self.level[place(minute)] = level;
        self.flow_still.observe(minute, flow, hole, switched);
        self.level_still.observe(minute, level, hole, switched);
    }

    /// Follows the stretch in which a pump is on and no water flows.
    pub fn observe_pump_on_without_flow(&mut self, minute: Minute, truth: Truth, hole: bool) {
        if hole || truth != Some(true) {
            self.pump_on_without_flow_since = None;
        }
        if truth == Some(true) {
            self.pump_on_without_flow_since.get_or_insert(minute);
        }
    }

    /// For how long a pump has been on without flow, min; 0 when it is not so now.
    pub fn pump_on_without_flow_min(&self, minute: Minute) -> i64 {
        self.pump_on_without_flow_since
            .map_or(0, |since| minute - since + 1)
    }

    /// Mean flow of the 60 min that end with the newest row, and the z-score of `flow` among them.
    pub fn flow_mean_and_z(&self, flow: f64) -> (f64, f64) {
        let newest = self.newest.unwrap_or(0);
        // The four oldest of the 64 kept minutes lie before the window.
        let mut window = [f64::NAN; KEPT];
        window.copy_from_slice(&self.flow);
        for before in newest - KEPT as i64 + 1..=newest - WINDOW_MIN {
            window[place(before)] = f64::NAN;
        }
        let (mut sum, mut count) = ([0.0; 4], [0.0; 4]);
        for four in window.chunks_exact(4) {
            for (lane, &value) in four.iter().enumerate() {
                let known = !value.is_nan();
                sum[lane] += if known { value } else { 0.0 };
                count[lane] += if known { 1.0 } else { 0.0 };
            }
        }
        let count = count[0] + count[1] + count[2] + count[3];
        if count == 0.0 {
            return (f64::NAN, f64::NAN);
        }
        let mean = (sum[0] + sum[1] + sum[2] + sum[3]) / count;
        let mut squares = [0.0; 4];
        for four in window.chunks_exact(4) {
            for (lane, &value) in four.iter().enumerate() {
                let off = if value.is_nan() { 0.0 } else { value - mean };
                squares[lane] += off * off;
            }
        }
        let deviation =
            ((squares[0] + squares[1] + squares[2] + squares[3]) / (count - 1.0)).sqrt();
        // A deviation of NaN (a single value) fails the comparison, too.
        let meaningful = count >= Z_VALUES_MIN && deviation >= 1e-9 * mean.abs().max(1.0);
        (
            mean,
            if meaningful {
                (flow - mean) / deviation
            } else {
                f64::NAN
            },
        )
    }

    /// Least-squares slope of the flow over the last `window_min` minutes, m³/h per min; NaN with fewer than 3 values.
    pub fn flow_slope(&self, minute: Minute, window_min: i64) -> f64 {
        let points = (0..window_min)
            .map(|ago| (-(ago as f64), self.flow[place(minute - ago)]))
            .filter(|(_, flow)| !flow.is_nan());
        crate::rollups::slope(points, 3)
    }

    /// The earliest known level in `[minute − k, minute − 1]`.
    pub fn earliest_level(&self, minute: Minute, k: i64) -> Option<f64> {
        (1..=k.min(KEPT as i64 - 1))
            .rev()
            .map(|ago| self.level[place(minute - ago)])
            .find(|level| !level.is_nan())
    }

    /// Whether the flow stands although a pump was switched; unknown without a flow.
    pub fn flow_frozen(&self, minute: Minute, switch_age_min: i64, for_min: i64) -> Truth {
        self.flow_still.frozen(minute, switch_age_min, for_min)
    }

    /// Whether the level stands although a pump was switched; unknown without a level.
    pub fn level_frozen(&self, minute: Minute, switch_age_min: i64, for_min: i64) -> Truth {
        self.level_still.frozen(minute, switch_age_min, for_min)
    }
}
