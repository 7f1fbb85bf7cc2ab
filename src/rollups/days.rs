//! `daily_summary` and `pump_health`, and the closed days that E-05, G-03 and H-05 look at.

use serde::{Deserialize, Serialize};

use super::{
    Mean, larger, ratio,
    sessions::{PumpTrack, SHORT_CYCLE_MIN},
    slope, smaller,
    volume::DayVolume,
};
use crate::{
    calendar::{Day, Local, Minute},
    derive::{Derived, OVERRUN_MIN},
    row::Row,
    tags::{DAY_TOTAL, FLOW, LEVEL, PUMPS, kw, onoff},
};

/// Days of the efficiency slope.
const WEEK: Day = 7;
/// Fewest known days for a slope or a mean.
const DAYS_MIN: usize = 3;
/// Loss of efficiency a day, as a share of the week's mean, that costs the whole 40 points.
const SLOPE_SHARE_MAX: f64 = 0.05;
/// Short cycles a day that cost the whole 30 points.
const SHORT_CYCLES_MAX: f64 = 10.0;

/// The local day that is running.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Today {
    /// Its date.
    pub day: Day,
    rows: u32,
    volume: DayVolume,
    flow: Mean,
    peak_flow: f64,
    peak_flow_hour: i64,
    level: Mean,
    level_min: f64,
    level_max: f64,
    total_kw: Mean,
    pumps_on: Mean,
    peak_pumps_on: f64,
    alerts: u32,
    critical_alerts: u32,
    /// Each pump's share of the day.
    pub pumps: [PumpDay; PUMPS],
}

/// A row of `daily_summary`; NaN where unknown.
#[derive(Clone, Debug)]
pub struct DayRow {
    /// Local date.
    pub day: Day,
    /// Pumped by `DAY_TOTAL`, m³.
    pub total_flow: f64,
    /// Mean flow, m³/h.
    pub avg_flow_per_hr: f64,
    /// Highest flow, m³/h.
    pub peak_flow: f64,
    /// Hour of its first occurrence.
    pub peak_flow_hour: Option<i64>,
    /// Mean level, raw units.
    pub avg_level: f64,
    /// Lowest level, raw units.
    pub min_level: f64,
    /// Highest level, raw units.
    pub max_level: f64,
    /// Energy, kWh.
    pub total_kwh: f64,
    /// Energy per volume, kWh/m³.
    pub energy_per_m3: f64,
    /// Rows with the pump on.
    pub on_min: [u32; PUMPS],
    /// Sessions started.
    pub starts: [u32; PUMPS],
    /// Mean power while on, kW.
    pub avg_kw: [f64; PUMPS],
    /// Alerts raised.
    pub total_alerts: u32,
    /// Critical ones among them.
    pub critical_alerts: u32,
    /// Most pumps on at once.
    pub peak_pumps_on: f64,
    /// Mean number of pumps on.
    pub avg_pumps_on: f64,
}

/// One pump's day.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PumpDay {
    on_min: u32,
    starts: u32,
    stops: u32,
    short_cycles: u32,
    longest_run_min: i64,
    run_min: i64,
    runs: u32,
    kw: Mean,
    flow_share: Mean,
    overrun: bool,
}

/// A row of `pump_health`; NaN where unknown.
#[derive(Clone, Debug)]
pub struct HealthRow {
    /// Local date.
    pub day: Day,
    /// Pump, counted from 0.
    pub pump: usize,
    /// Rows with the pump on.
    pub total_runtime_min: u32,
    /// Sessions started.
    pub start_count: u32,
    /// Sessions ended.
    pub stop_count: u32,
    /// Sessions started that ended within 5 min.
    pub short_cycle_count: u32,
    /// Longest session started, min.
    pub longest_run_min: Option<i64>,
    /// Mean length of the sessions started, min.
    pub avg_run_min: f64,
    /// Mean power while on, kW.
    pub avg_kw: f64,
    /// Water per energy, m³/kWh.
    pub avg_flow_per_kwh: f64,
    /// Its slope over the 7 days that end with this one, m³/kWh per day.
    pub efficiency_slope_7d: f64,
    /// Whether a session was longer than 1200 min.
    pub overrun: bool,
    /// 0–100.
    pub health_score: f64,
}

impl PumpDay {
    /// Counts a session that started today.
    pub fn count_start(&mut self) {
        self.starts += 1;
    }

    /// Counts a session that ended today.
    pub fn count_stop(&mut self, length_min: i64) {
        self.stops += 1;
        self.note_length(length_min);
    }

    /// Marks the day when a session has become too long; whether that is new.
    pub fn note_length(&mut self, length_min: i64) -> bool {
        let is_new = length_min > OVERRUN_MIN && !self.overrun;
        self.overrun |= is_new;
        is_new
    }

    /// Takes the final length of a session that started on this day.
    pub fn finish_run(&mut self, length_min: i64) {
        self.short_cycles += u32::from(length_min < SHORT_CYCLE_MIN);
        self.runs += 1;
        self.run_min += length_min;
        self.longest_run_min = self.longest_run_min.max(length_min);
    }

    fn add(&mut self, pump: usize, row: &Row, derived: &Derived) {
        if row.values[onoff(pump)] == 1.0 {
            self.on_min += 1;
            self.kw.add(row.values[kw(pump)]);
            self.flow_share.add(derived.flow_per_pump);
        }
    }

    /// Water per energy, m³/kWh; NaN unknown.
    pub fn flow_per_kwh(&self) -> f64 {
        ratio(self.flow_share.sum(), self.kw.sum())
    }

    /// The day as a table row. `running_min` is the length so far of a session that started on this day and still
    /// runs, `week` the efficiencies of the seven days that end with this one.
    pub fn row(&self, day: Day, pump: usize, running_min: Option<i64>, week: &Week) -> HealthRow {
        let runs = self.runs + u32::from(running_min.is_some());
        let total_run_min = self.run_min + running_min.unwrap_or(0);
        let loss = (-week.slope / (SLOPE_SHARE_MAX * week.mean)).clamp(0.0, 1.0);
        let loss = if loss.is_nan() { 0.0 } else { loss };
        let short_share = (f64::from(self.short_cycles) / SHORT_CYCLES_MAX).min(1.0);
        HealthRow {
            day,
            pump,
            total_runtime_min: self.on_min,
            start_count: self.starts,
            stop_count: self.stops,
            short_cycle_count: self.short_cycles,
            longest_run_min: (runs > 0).then(|| self.longest_run_min.max(running_min.unwrap_or(0))),
            avg_run_min: ratio(total_run_min as f64, f64::from(runs)),
            avg_kw: self.kw.mean(),
            avg_flow_per_kwh: self.flow_per_kwh(),
            efficiency_slope_7d: week.slope,
            overrun: self.overrun,
            health_score: 100.0
                - 40.0 * loss
                - 30.0 * short_share
                - if self.overrun { 30.0 } else { 0.0 },
        }
    }
}

impl Today {
    /// A day without rows, after another.
    pub fn new(day: Day, before: Option<&Self>) -> Self {
        Self {
            day,
            rows: 0,
            volume: DayVolume::after(before.map(|before| &before.volume)),
            flow: Mean::default(),
            peak_flow: f64::NAN,
            peak_flow_hour: 0,
            level: Mean::default(),
            level_min: f64::NAN,
            level_max: f64::NAN,
            total_kw: Mean::default(),
            pumps_on: Mean::default(),
            peak_pumps_on: f64::NAN,
            alerts: 0,
            critical_alerts: 0,
            pumps: Default::default(),
        }
    }

    /// Adds a row.
    pub fn add(&mut self, row: &Row, local: Local, derived: &Derived) {
        let (flow, level) = (row.values[FLOW], row.values[LEVEL]);
        self.rows += 1;
        self.volume.add(row.minute, row.values[DAY_TOTAL]);
        self.flow.add(flow);
        if larger(self.peak_flow, flow) != self.peak_flow && !flow.is_nan() {
            (self.peak_flow, self.peak_flow_hour) = (flow, local.hour());
        }
        self.level.add(level);
        self.level_min = smaller(self.level_min, level);
        self.level_max = larger(self.level_max, level);
        self.total_kw.add(derived.total_kw);
        self.pumps_on.add(derived.pumps_on_count);
        self.peak_pumps_on = larger(self.peak_pumps_on, derived.pumps_on_count);
        for (pump, day) in self.pumps.iter_mut().enumerate() {
            day.add(pump, row, derived);
        }
    }

    /// Energy since midnight, kWh.
    pub fn kwh(&self) -> f64 {
        let kwh = self.total_kw.sum() / 60.0;
        if kwh.is_nan() { 0.0 } else { kwh }
    }

    /// Counts a raised alert.
    pub fn count_alert(&mut self, is_critical: bool) {
        self.alerts += 1;
        self.critical_alerts += u32::from(is_critical);
    }

    /// Whether the day has a row.
    pub fn has_rows(&self) -> bool {
        self.rows > 0
    }

    /// The day as a table row; `None` for one without readings.
    pub fn row(&self) -> Option<DayRow> {
        let total_kwh = self.total_kw.sum() / 60.0;
        let total_flow = self.volume.m3();
        self.has_rows().then(|| DayRow {
            day: self.day,
            total_flow,
            avg_flow_per_hr: self.flow.mean(),
            peak_flow: self.peak_flow,
            peak_flow_hour: (!self.peak_flow.is_nan()).then_some(self.peak_flow_hour),
            avg_level: self.level.mean(),
            min_level: self.level_min,
            max_level: self.level_max,
            total_kwh,
            energy_per_m3: ratio(total_kwh, total_flow),
            on_min: self.pumps.each_ref().map(|pump| pump.on_min),
            starts: self.pumps.each_ref().map(|pump| pump.starts),
            avg_kw: self.pumps.each_ref().map(|pump| pump.kw.mean()),
            total_alerts: self.alerts,
            critical_alerts: self.critical_alerts,
            peak_pumps_on: self.peak_pumps_on,
            avg_pumps_on: self.pumps_on.mean(),
        })
    }

    /// The pumps' health so far, a row for each pump; nothing for a day without readings.
    pub fn health<'a>(
        &'a self,
        history: &'a DayHistory,
        tracks: &'a [PumpTrack; PUMPS],
        last_row: Minute,
    ) -> impl Iterator<Item = HealthRow> + 'a {
        self.pumps
            .iter()
            .enumerate()
            .filter(|_| self.has_rows())
            .map(move |(pump, day)| {
                let running_min = tracks[pump]
                    .running()
                    .filter(|running| {
                        Local {
                            minute: running.start_local,
                        }
                        .day()
                            == self.day
                    })
                    .map(|running| last_row - running.start);
                day.row(
                    self.day,
                    pump,
                    running_min,
                    &history.week(pump, self.day, day.flow_per_kwh()),
                )
            })
    }
}

/// Slope and mean of a pump's efficiency over seven days; NaN unknown.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Week {
    /// Least-squares slope, m³/kWh per day.
    pub slope: f64,
    /// Mean, m³/kWh.
    pub mean: f64,
}

/// The day on which a still running session started, already closed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Carried {
    /// Its date.
    pub day: Day,
    /// The pump's share of it.
    pub pump_day: PumpDay,
    /// Its week.
    pub week: Week,
}

/// The efficiencies of the closed days.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DayHistory {
    /// The newest closed day.
    pub closed_day: Day,
    /// Slope of the newest closed day, by pump; NaN unknown.
    pub closed_slope: [f64; PUMPS],
    /// Known efficiencies by date, oldest first.
    efficiency: [Vec<(Day, f64)>; PUMPS],
}

impl Default for DayHistory {
    fn default() -> Self {
        Self {
            closed_day: Day::MIN,
            closed_slope: [f64::NAN; PUMPS],
            efficiency: Default::default(),
        }
    }
}

impl DayHistory {
    /// Takes a day that has closed.
    pub fn close(&mut self, today: &Today) {
        self.closed_day = today.day;
        for (pump, known) in self.efficiency.iter_mut().enumerate() {
            known.retain(|&(day, _)| day >= today.day - WEEK);
            let value = today.pumps[pump].flow_per_kwh();
            if !value.is_nan() {
                known.push((today.day, value));
            }
        }
        for pump in 0..PUMPS {
            let slope = self.week(pump, today.day, f64::NAN).slope;
            self.closed_slope[pump] = if today.has_rows() { slope } else { f64::NAN };
        }
    }

    /// Slope and mean of the seven days that end with `day`, whose own value may still be `open` (NaN when it is
    /// among the closed ones).
    pub fn week(&self, pump: usize, day: Day, open: f64) -> Week {
        let open = (!open.is_nan()).then_some((day, open));
        let values = self.efficiency[pump]
            .iter()
            .copied()
            .filter(move |&(at, _)| at > day - WEEK && at <= day);
        let points = values
            .chain(open)
            .map(|(at, value)| ((at - day) as f64, value));
        let mut mean = Mean::default();
        points.clone().for_each(|(_, value)| mean.add(value));
        Week {
            slope: slope(points, DAYS_MIN),
            mean: mean.mean(),
        }
    }

    /// Slope of a closed day's week; `None` unknown.
    pub fn slope(&self, pump: usize, day: Day) -> Option<f64> {
        Some(self.week(pump, day, f64::NAN).slope).filter(|slope| !slope.is_nan())
    }

    /// The newest closed day's efficiency, % of the mean of the seven days before it.
    pub fn share_of_days_before(&self, pump: usize) -> Option<f64> {
        self.share(pump, self.closed_day - WEEK, self.closed_day - 1)
    }

    /// The newest closed day's efficiency, % of the mean of the seven days that end with it.
    pub fn share_of_week(&self, pump: usize) -> Option<f64> {
        self.share(pump, self.closed_day - WEEK + 1, self.closed_day)
    }

    fn share(&self, pump: usize, from: Day, to: Day) -> Option<f64> {
        let known = &self.efficiency[pump];
        let (_, own) = known.iter().find(|&&(day, _)| day == self.closed_day)?;
        let mut mean = Mean::default();
        known
            .iter()
            .filter(|&&(day, _)| day >= from && day <= to)
            .for_each(|&(_, value)| mean.add(value));
        (mean.count as usize >= DAYS_MIN).then(|| own / mean.mean() * 100.0)
    }
}
