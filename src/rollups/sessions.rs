//! Pump sessions: from the row where a pump comes on to the row where it is known off.

use serde::{Deserialize, Serialize};

use super::{Mean, ratio};
use crate::{
    calendar::{Local, LocalMinute, Minute},
    derive::Derived,
    row::Row,
    tags::{FLOW, kw, onoff},
};

/// A session shorter than this is a short cycle, min.
pub const SHORT_CYCLE_MIN: i64 = 5;
/// The window of starts, min.
const STARTS_WINDOW_MIN: i64 = 60;

/// One pump's running state and its starts within the hour.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PumpTrack {
    /// The last known command.
    command: Option<bool>,
    running: Option<Running>,
    /// Minutes of the starts within the hour.
    starts: Vec<Minute>,
    /// Sessions ended within the hour: minute and length.
    ended: Vec<(Minute, i64)>,
}

/// A session that has not ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// The row where it started.
    pub start: Minute,
    /// The same on the plant's wall clock.
    pub start_local: LocalMinute,
    kw: Mean,
    flow: Mean,
    flow_share: Mean,
}

/// A row of `pump_sessions`.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionRow {
    /// Pump, counted from 0.
    pub pump: usize,
    /// Start.
    pub start: Minute,
    /// Start on the plant's wall clock.
    pub start_local: LocalMinute,
    /// End, also on the plant's wall clock; `None` while running.
    pub end: Option<(Minute, LocalMinute)>,
    /// Energy, kWh.
    pub kwh_consumed: f64,
    /// Mean station flow, m³/h.
    pub flow_during_run: f64,
    /// Water per energy, m³/kWh.
    pub m3_per_kwh: f64,
}

impl SessionRow {
    /// Length, min; `None` while running.
    pub fn duration_min(&self) -> Option<i64> {
        self.end.map(|(end, _)| end - self.start)
    }
}

/// What a row changed.
#[derive(Debug, Default)]
pub struct Change {
    /// Whether the command differs from the previous known one.
    pub switched: bool,
    /// Whether a session started.
    pub started: bool,
    /// The session that ended.
    pub ended: Option<SessionRow>,
}

impl PumpTrack {
    /// Takes the next row's command: starts and ends sessions.
    pub fn observe(&mut self, pump: usize, row: &Row, local: Local) -> Change {
        let minute = row.minute;
        self.starts
            .retain(|&start| start > minute - STARTS_WINDOW_MIN);
        self.ended
            .retain(|&(end, _)| end > minute - STARTS_WINDOW_MIN);
        let value = row.values[onoff(pump)];
        let mut change = Change::default();
        if value.is_nan() {
            return change;
        }
        let on = value == 1.0;
        change.switched = self.command.is_some_and(|before| before != on);
        self.command = Some(on);
        if on && self.running.is_none() {
            self.running = Some(Running {
                start: minute,
                start_local: local.minute,
                kw: Mean::default(),
                flow: Mean::default(),
                flow_share: Mean::default(),
            });
            self.starts.push(minute);
            change.started = true;
        }
        if !on && let Some(running) = self.running.take() {
            self.ended.push((minute, minute - running.start));
            change.ended = Some(running.row(pump, Some((minute, local.minute))));
        }
        change
    }

    /// Adds the energy and water of a row with the pump known on to the running session.
    pub fn add(&mut self, pump: usize, row: &Row, derived: &Derived) {
        if row.values[onoff(pump)] != 1.0 {
            return;
        }
        if let Some(running) = &mut self.running {
            running.kw.add(row.values[kw(pump)]);
            running.flow.add(row.values[FLOW]);
            running.flow_share.add(derived.flow_per_pump);
        }
    }

    /// The running session.
    pub fn running(&self) -> Option<&Running> {
        self.running.as_ref()
    }

    /// For how long the pump has been running, min.
    pub fn running_min(&self, minute: Minute) -> Option<i64> {
        self.running.as_ref().map(|running| minute - running.start)
    }

    /// Starts in the 60 min that end with the newest row.
    pub fn starts_within_hour(&self) -> usize {
        self.starts.len()
    }

    /// Mean length of the sessions that ended in these 60 min; `None` without one.
    pub fn mean_ended_min(&self) -> Option<f64> {
        let total: i64 = self.ended.iter().map(|&(_, length_min)| length_min).sum();
        (!self.ended.is_empty()).then(|| total as f64 / self.ended.len() as f64)
    }
}

impl Running {
    /// The session as a table row.
    pub fn row(&self, pump: usize, end: Option<(Minute, LocalMinute)>) -> SessionRow {
        let kwh_consumed = self.kw.sum() / 60.0;
        SessionRow {
            pump,
            start: self.start,
            start_local: self.start_local,
            end,
            kwh_consumed,
            flow_during_run: self.flow.mean(),
            m3_per_kwh: ratio(self.flow_share.sum() / 60.0, kwh_consumed),
        }
    }
}
