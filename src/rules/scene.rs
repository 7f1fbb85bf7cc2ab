//! What a rule may look at: one minute with its surroundings, and the closed hours and days.

use crate::{
    calendar::{Local, Minute},
    derive::{Derived, Recent},
    plant::Plant,
    rollups::{days::DayHistory, hours::HourHistory, sessions::PumpTrack},
    row::{Row, Truth, all, at_least, known},
    tags::{DAY_TOTAL, FLOW, LEVEL, PUMPS, Values, kw, onoff},
};

/// One minute, for the rules.
pub struct Scene<'a> {
    /// The station.
    pub plant: &'a Plant,
    /// `t`.
    pub minute: Minute,
    /// `t` on the plant's wall clock.
    pub local: Local,
    /// The row at `t`.
    pub row: &'a Row,
    /// The row as recorded, impossible values included.
    pub raw: &'a Values,
    /// The row before this one, whatever its age.
    pub last: Option<&'a Row>,
    /// The row's derived columns.
    pub derived: &'a Derived,
    /// Flow and level of the last hour.
    pub recent: &'a Recent,
    /// Sessions and starts of each pump.
    pub pumps: &'a [PumpTrack; PUMPS],
    /// Whether a pump's known command differs from its previous known one.
    pub switched: bool,
    /// The newest minute with such a change, `t` included.
    pub last_switch: Option<Minute>,
    /// The newest minute with any pump drawing power, `t` included.
    pub last_power: Option<Minute>,
    /// The newest such minute before `t`.
    pub last_power_before: Option<Minute>,
    /// How many pumps drew power in that minute before `t`.
    pub pumps_drawing_before: u32,
    /// The level at that minute before `t`, %; NaN unknown.
    pub level_pct_before: f64,
    /// Tags with two records of one timestamp in this minute.
    pub duplicated_tags: u32,
    /// Energy since local midnight, this row included, kWh.
    pub today_kwh: f64,
    /// `efficiency_slope_7d` of the calendar day before `t`'s, m³/kWh per day; NaN unknown.
    pub slope: [f64; PUMPS],
    /// Since when A-01 was active before this minute.
    pub outage_before: Option<Minute>,
    /// Whether A-01 is active, after its evaluation at `t`.
    pub outage: bool,
    /// Whether B-01 is active, by pump, after its evaluation at `t`.
    pub tripped: [bool; PUMPS],
    /// Whether E-01 is active, by pump, after its evaluation at `t`.
    pub overrun: [bool; PUMPS],
}

/// The closed hours and days, for the rules that look at them.
pub struct Closing<'a> {
    /// The tick's minute.
    pub minute: Minute,
    /// Closed hours.
    pub hours: &'a HourHistory,
    /// Closed days.
    pub days: &'a DayHistory,
}

impl Scene<'_> {
    /// Whether the pump is commanded on.
    pub fn on(&self, pump: usize) -> Truth {
        known(self.row.values[onoff(pump)]).map(|on| on == 1.0)
    }

    /// Whether the pump is commanded off.
    pub fn off(&self, pump: usize) -> Truth {
        self.on(pump).map(|on| !on)
    }

    /// The pump's power, kW.
    pub fn kw(&self, pump: usize) -> Option<f64> {
        known(self.row.values[kw(pump)])
    }

    /// The station's flow, m³/h.
    pub fn flow(&self) -> Option<f64> {
        known(self.row.values[FLOW])
    }

    /// The tank's level, raw units.
    pub fn level(&self) -> Option<f64> {
        known(self.row.values[LEVEL])
    }

    /// The day's pumped volume, m³.
    pub fn day_total(&self) -> Option<f64> {
        known(self.row.values[DAY_TOTAL])
    }

    /// The tank's level, % of the highest seen.
    pub fn level_pct(&self) -> Option<f64> {
        known(self.derived.level_pct)
    }

    /// Change of the level within the last minute, raw units.
    pub fn level_diff(&self) -> Option<f64> {
        known(self.derived.level_diff)
    }

    /// kW > 0.
    pub fn draws(&self, pump: usize) -> Truth {
        self.kw(pump).map(|kw| kw > self.plant.zero_kw)
    }

    /// kW zero.
    pub fn dead(&self, pump: usize) -> Truth {
        self.kw(pump).map(|kw| kw.abs() <= self.plant.zero_kw)
    }

    /// All kW zero; unknown while one of them is.
    pub fn all_dead(&self) -> Truth {
        (0..PUMPS).try_fold(true, |so_far, pump| {
            self.dead(pump).map(|dead| so_far && dead)
        })
    }

    /// Any kW > 0.
    pub fn any_draws(&self) -> Truth {
        at_least(1, (0..PUMPS).map(|pump| self.draws(pump)))
    }

    /// On and drawing power.
    pub fn works(&self, pump: usize) -> Truth {
        all([self.on(pump), self.draws(pump)])
    }

    /// Flow zero.
    pub fn flow_zero(&self) -> Truth {
        self.flow().map(|flow| flow.abs() <= self.plant.zero_flow)
    }

    /// Flow > 0.
    pub fn flows(&self) -> Truth {
        self.flow().map(|flow| flow > self.plant.zero_flow)
    }

    /// n ≥ k, as far as the known commands decide it.
    pub fn on_at_least(&self, least: usize) -> Truth {
        at_least(least, (0..PUMPS).map(|pump| self.on(pump)))
    }

    /// n = 0.
    pub fn none_on(&self) -> Truth {
        self.on_at_least(1).map(|any| !any)
    }

    /// n as far as it is known.
    pub fn on_count(&self) -> f64 {
        (0..PUMPS)
            .filter(|&pump| self.on(pump) == Some(true))
            .count() as f64
    }

    /// Net change of the level over `k` minutes: level(t) minus the earliest known level in `[t − k, t − 1]`.
    pub fn net_level_change(&self, k: f64) -> Option<f64> {
        let level = self.level()?;
        let earliest = self.recent.earliest_level(self.minute, k as i64)?;
        Some(level - earliest)
    }

    /// The row of exactly the previous minute.
    pub fn previous(&self) -> Option<&Row> {
        self.last.filter(|last| last.minute == self.minute - 1)
    }

    /// hour ≥ 22 or ≤ 5.
    pub fn is_night(&self) -> bool {
        let hour = self.local.hour();
        hour >= 22 || hour <= 5
    }
}
