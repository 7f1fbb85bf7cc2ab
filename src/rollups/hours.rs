//! `hourly_profile`, and the closed hours that C-04 looks at.

use serde::{Deserialize, Serialize};

use super::Mean;
use crate::{
    calendar::{DAY_MIN, Local, Minute},
    derive::Derived,
    plant::PeakWindows,
    row::Row,
    tags::{FLOW, LEVEL, PUMPS, onoff},
};

/// The local hour that is running.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Hour {
    /// Local minute / 60.
    pub key: i64,
    start: Minute,
    rows: u32,
    flow: Mean,
    level: Mean,
    pumps_on: Mean,
    total_kw: Mean,
    on_min: [u32; PUMPS],
    alert_count: u32,
}

/// A row of `hourly_profile`.
#[derive(Clone, Debug, PartialEq)]
pub struct HourRow {
    /// Local minute / 60.
    pub key: i64,
    /// Mean flow, m³/h.
    pub avg_flow: f64,
    /// Volume, m³.
    pub total_flow: f64,
    /// Mean level, raw units.
    pub avg_level: f64,
    /// Mean number of pumps on.
    pub avg_pumps_on: f64,
    /// Energy, kWh.
    pub total_kwh: f64,
    /// Rows with the pump on.
    pub on_min: [u32; PUMPS],
    /// Alerts raised in the hour.
    pub alert_count: u32,
    /// Whether its first minute is in the peak tariff.
    pub is_peak_hour: bool,
}

impl Hour {
    /// An hour without rows; `start` is its first minute.
    pub fn new(key: i64, start: Minute) -> Self {
        Self {
            key,
            start,
            rows: 0,
            flow: Mean::default(),
            level: Mean::default(),
            pumps_on: Mean::default(),
            total_kw: Mean::default(),
            on_min: [0; PUMPS],
            alert_count: 0,
        }
    }

    /// Adds a row.
    pub fn add(&mut self, row: &Row, derived: &Derived) {
        self.rows += 1;
        self.flow.add(row.values[FLOW]);
        self.level.add(row.values[LEVEL]);
        self.pumps_on.add(derived.pumps_on_count);
        self.total_kw.add(derived.total_kw);
        for (pump, minutes) in self.on_min.iter_mut().enumerate() {
            *minutes += u32::from(row.values[onoff(pump)] == 1.0);
        }
    }

    /// Counts a raised alert.
    pub fn count_alert(&mut self) {
        self.alert_count += 1;
    }

    /// The hour as a table row; `None` for one without readings.
    pub fn row(&self, peak: &PeakWindows) -> Option<HourRow> {
        (self.rows > 0).then(|| HourRow {
            key: self.key,
            avg_flow: self.flow.mean(),
            total_flow: self.flow.sum() / 60.0,
            avg_level: self.level.mean(),
            avg_pumps_on: self.pumps_on.mean(),
            total_kwh: self.total_kw.sum() / 60.0,
            on_min: self.on_min,
            alert_count: self.alert_count,
            is_peak_hour: peak.contains(Local {
                minute: self.key * 60,
            }),
        })
    }
}

/// The closed hours of the last two days.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HourHistory {
    closed: Vec<Closed>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Closed {
    start: Minute,
    avg_flow: f64,
    total_kwh: f64,
}

/// Flow and energy of the last 24 h and of the 24 h before.
#[derive(Clone, Copy, Debug)]
pub struct DayMeans {
    /// Mean of `avg_flow`, last 24 h, m³/h.
    pub flow_now: f64,
    /// Mean of `avg_flow`, 24 h before, m³/h.
    pub flow_before: f64,
    /// Mean of `total_kwh`, last 24 h, kWh.
    pub kwh_now: f64,
    /// Mean of `total_kwh`, 24 h before, kWh.
    pub kwh_before: f64,
}

impl HourHistory {
    /// Takes an hour that has closed.
    pub fn close(&mut self, hour: &Hour) {
        let oldest = hour.start - 3 * DAY_MIN;
        self.closed.retain(|closed| closed.start >= oldest);
        if hour.rows > 0 {
            self.closed.push(Closed {
                start: hour.start,
                avg_flow: hour.flow.mean(),
                total_kwh: hour.total_kw.sum() / 60.0,
            });
        }
    }

    /// The means before a tick; `None` with fewer than `hours_min` known hours in either day.
    pub fn day_means(&self, tick: Minute, hours_min: usize) -> Option<DayMeans> {
        let mean = |from: Minute, figure: fn(&Closed) -> f64| {
            let mut sum = Mean::default();
            let hours = self
                .closed
                .iter()
                .filter(|closed| closed.start >= from && closed.start < from + DAY_MIN);
            hours.map(figure).for_each(|value| sum.add(value));
            (sum.count as usize >= hours_min).then(|| sum.mean())
        };
        Some(DayMeans {
            flow_now: mean(tick - DAY_MIN, |closed| closed.avg_flow)?,
            flow_before: mean(tick - 2 * DAY_MIN, |closed| closed.avg_flow)?,
            kwh_now: mean(tick - DAY_MIN, |closed| closed.total_kwh)?,
            kwh_before: mean(tick - 2 * DAY_MIN, |closed| closed.total_kwh)?,
        })
    }
}
