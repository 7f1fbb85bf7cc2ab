//! `[schedule]`: how pumping is planned.

use super::section::Section;
use crate::{
    schedule::problem::Combination,
    tags::{PUMPS, pump_name, pump_named},
};

/// How pumping is planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// Length of a slot, min.
    pub slot_min: i64,
    /// How far ahead, h.
    pub horizon_h: i64,
    /// Between two plans, min.
    pub replan_min: i64,
    /// Lowest level, %.
    pub level_min_pct: f64,
    /// Highest level, %.
    pub level_max_pct: f64,
    /// Kept from both at least, for the forecast's error, %.
    pub margin_pct: f64,
    /// Most pumps at once.
    pub pumps_on_max: usize,
    /// Shortest run, min.
    pub min_up_min: i64,
    /// Shortest rest, min.
    pub min_down_min: i64,
    /// Longest run, h.
    pub run_hours_max: f64,
    /// Pumps that cannot be used, whatever their alarms say.
    pub out_of_service: [bool; PUMPS],
    /// Price of a start, in the tariff's currency.
    pub start_cost: f64,
    /// Price of an hour's wear of a pump that has run as much as the others lately.
    pub wear_cost_per_h: f64,
    /// Pumps on variable-speed drives, if there are any.
    pub drives: Option<Drives>,
}

/// Pumps on variable-speed drives: what the affinity laws need besides what the history shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Drives {
    /// Head of each such pump without flow at full speed, m.
    pub shut_off_head_m: [Option<f64>; PUMPS],
    /// From the water on the suction side to the bottom of the tank, m.
    pub static_head_m: f64,
    /// The slowest that is advised, % of full speed.
    pub speed_min_pct: u8,
}

impl Schedule {
    /// How long it takes at most until pumps can answer to what was not foreseen, min: a pump just switched, and a slot.
    pub fn reaction_min(&self) -> i64 {
        self.min_up_min.max(self.min_down_min) + self.slot_min
    }
}

impl Drives {
    /// The pumps that have one.
    pub fn set(&self) -> Combination {
        let has_one = |pump: &usize| self.shut_off_head_m[*pump].is_some();
        (0..PUMPS).filter(has_one).map(|pump| 1 << pump).sum()
    }
}

/// The settings.
pub fn schedule(root: &Section<'_>) -> Schedule {
    let section = root.section("schedule");
    let slot_min = section.whole_in("slot_min", 15, 5..=60);
    if 60 % slot_min != 0 {
        section.fault(
            "slot_min",
            "must divide an hour: 5, 6, 10, 12, 15, 20, 30 or 60",
        );
    }
    let mut out_of_service = [false; PUMPS];
    for name in section.texts("out_of_service").unwrap_or_default() {
        match pump_named(&name) {
            Some(pump) => out_of_service[pump] = true,
            None => section.fault("out_of_service", format!("{name:?} is none of P1 … P6")),
        }
    }
    let schedule = Schedule {
        slot_min,
        horizon_h: section.whole_in("horizon_h", 24, 2..=24),
        replan_min: section.whole_in("replan_min", 5, 1..=60),
        level_min_pct: section.number_in("level_min_pct", 15.0, 0.0..=100.0),
        level_max_pct: section.number_in("level_max_pct", 90.0, 0.0..=100.0),
        margin_pct: section.number_in("margin_pct", 2.0, 0.0..=25.0),
        pumps_on_max: section.whole_in("pumps_on_max", 4, 1..=PUMPS as i64) as usize,
        min_up_min: section.whole_in("min_up_min", 30, 0..=720),
        min_down_min: section.whole_in("min_down_min", 30, 0..=720),
        run_hours_max: section.number_in("run_hours_max", 20.0, 1.0..=500.0),
        out_of_service,
        start_cost: section.number_in("start_cost", 0.5, 0.0..=1e6),
        wear_cost_per_h: section.number_in("wear_cost_per_h", 0.1, 0.0..=1e6),
        drives: drives(&section),
    };
    if schedule.level_min_pct + 2.0 * schedule.margin_pct >= schedule.level_max_pct {
        section.fault(
            "level_max_pct",
            "must lie above level_min_pct by more than two margins",
        );
    }
    section.finish();
    schedule
}

fn drives(schedule: &Section<'_>) -> Option<Drives> {
    let section = schedule.section("variable_speed");
    if !section.is_present() {
        return None;
    }
    let heads = section.section("shut_off_head_m");
    let drives = Drives {
        static_head_m: section.number_in("static_head_m", 0.0, 0.0..=1000.0),
        shut_off_head_m: std::array::from_fn(|pump| heads.number(pump_name(pump))),
        speed_min_pct: section.whole_in("speed_min_pct", 70, 20..=99) as u8,
    };
    for key in ["shut_off_head_m", "static_head_m"] {
        if !section.keys().iter().any(|it| it == key) {
            section.fault(key, "is missing: speeds cannot be told without it");
        }
    }
    for (pump, head_m) in drives.shut_off_head_m.iter().enumerate() {
        if head_m.is_some_and(|head_m| head_m <= drives.static_head_m) {
            let what = "must be more than static_head_m, or the pump lifts nothing";
            heads.fault(pump_name(pump), what);
        }
    }
    heads.finish();
    section.finish();
    Some(drives)
}
