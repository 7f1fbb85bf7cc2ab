//! From a raw row and the hour before it to the derived columns of `readings_wide`. Pure.

mod recent;

pub use recent::Recent;

use crate::{
    calendar::Local,
    plant::Plant,
    row::{Row, at_least, known},
    tags::{FLOW, LEVEL, PUMPS, kw, onoff},
};

/// Flags of a row, by place.
pub const FLAGS: [&str; 7] = [
    "flag_zero_flow_pump_on",
    "flag_flow_anomaly",
    "flag_hlt_critical_low",
    "flag_hlt_overflow_risk",
    "flag_short_cycle",
    "flag_pump_overrun",
    "flag_peak_hour_waste",
];

/// Starts within an hour above which a pump counts as short-cycling.
const STARTS_MAX: usize = 4;
/// Minutes of running above which a session counts as an overrun.
pub const OVERRUN_MIN: i64 = 1200;

/// The derived columns of one row; NaN where unknown.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// Whether the peak tariff holds.
    pub is_peak_hour: bool,
    /// Pumps commanded on among the known ones; NaN when all six are unknown.
    pub pumps_on_count: f64,
    /// Sum of the known powers, kW.
    pub total_kw: f64,
    /// Flow per commanded pump, m³/h.
    pub flow_per_pump: f64,
    /// Power per flow, kWh/m³.
    pub energy_per_flow: f64,
    /// Level, % of the highest seen so far.
    pub level_pct: f64,
    /// Change of the level within the last minute, raw units.
    pub level_diff: f64,
    /// Change of the flow within the last minute, m³/h.
    pub flow_diff: f64,
    /// Mean flow of the last 60 min, m³/h; for the rules, not stored.
    pub flow_mean_60: f64,
    /// How many standard deviations of the last 60 min the flow lies above their mean.
    pub flow_z_score: f64,
    /// Least-squares slope of the flow over 10 min, m³/h per min.
    pub flow_slope_10: f64,
    /// The flags, in the order of [`FLAGS`].
    pub flags: [bool; 7],
}

/// What the derivation needs beside the row itself.
pub struct Context<'a> {
    /// The station.
    pub plant: &'a Plant,
    /// The row's wall-clock time.
    pub local: Local,
    /// Flow and level of the last hour, this row included.
    pub recent: &'a Recent,
    /// The row of exactly the previous minute.
    pub previous: Option<&'a Row>,
    /// The highest possible level so far, this row included, raw units.
    pub level_max: f64,
    /// The most starts of any pump within the hour.
    pub starts_max: usize,
    /// The longest running session of any pump, min.
    pub running_min: i64,
}

/// Derives a row.
pub fn derive(row: &Row, context: &Context<'_>) -> Derived {
    let Context {
        plant,
        local,
        recent,
        previous,
        level_max,
        ..
    } = *context;
    let (flow, level) = (row.values[FLOW], row.values[LEVEL]);
    let pumps_on_count = sum_known((0..PUMPS).map(|pump| row.values[onoff(pump)]));
    let total_kw = sum_known((0..PUMPS).map(|pump| row.values[kw(pump)]));
    let before = |slot: usize| previous.map_or(f64::NAN, |previous| previous.values[slot]);
    let level_pct = 100.0 * level / level_max;
    let level_diff = level - before(LEVEL);
    let (flow_mean_60, flow_z_score) = recent.flow_mean_and_z(flow);
    let is_peak_hour = plant.peak.contains(local);
    let any_on = at_least(
        1,
        (0..PUMPS).map(|pump| known(row.values[onoff(pump)]).map(|on| on == 1.0)),
    ) == Some(true);
    Derived {
        is_peak_hour,
        pumps_on_count,
        total_kw,
        flow_per_pump: if pumps_on_count == 0.0 {
            f64::NAN
        } else {
            flow / pumps_on_count
        },
        energy_per_flow: if flow == 0.0 {
            f64::NAN
        } else {
            total_kw / flow
        },
        level_pct,
        level_diff,
        flow_diff: flow - before(FLOW),
        flow_mean_60,
        flow_z_score,
        flow_slope_10: recent.flow_slope(row.minute, 10),
        flags: [
            recent.pump_on_without_flow_min(row.minute) > 2,
            flow_z_score.abs() > 3.5,
            level_pct < 15.0,
            level_pct > 90.0 && any_on && level_diff > 0.0,
            context.starts_max > STARTS_MAX,
            context.running_min > OVERRUN_MIN,
            is_peak_hour && level_pct > 80.0 && any_on,
        ],
    }
}

/// Sum of the known values; NaN when none is known.
fn sum_known(values: impl Iterator<Item = f64>) -> f64 {
    values
        .filter(|value| !value.is_nan())
        .fold(
            f64::NAN,
            |sum, value| if sum.is_nan() { value } else { sum + value },
        )
}
