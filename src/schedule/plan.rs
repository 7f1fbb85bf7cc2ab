//! A plan: what to run when, why, what it costs and saves, and how good it is at least. Data only.

use std::collections::BTreeMap;

use crate::{calendar::Minute, tags::pump_name};

use super::{
    evaluate::Evaluation,
    problem::{Combination, Problem, pumps},
    savings::Saving,
};

/// A slot of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanSlot {
    /// Its first minute.
    pub begin: Minute,
    /// The pumps to run.
    pub set: Combination,
    /// The speed of its variable-speed pumps, % of full speed; `None` for full speed and where there is none.
    pub speed_pct: Option<u8>,
    /// Expected level at its end, %.
    pub level_pct: f64,
    /// Forecast demand, m³/h.
    pub demand_m3h: f64,
    /// Expected energy, kWh.
    pub energy_kwh: f64,
    /// Price of energy, per kWh.
    pub price_per_kwh: f64,
}

/// A change of pumps, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// When.
    pub minute: Minute,
    /// Pumps to start.
    pub start: Combination,
    /// Pumps to stop.
    pub stop: Combination,
    /// The speed from then on of each variable-speed pump that runs then, % of full speed; empty where it stays as it is.
    pub speeds_pct: BTreeMap<&'static str, u8>,
    /// Why now.
    pub reason: String,
}

/// A plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The newest minute that it knows.
    pub made: Minute,
    /// The slots.
    pub slots: Vec<PlanSlot>,
    /// Each change of pumps.
    pub changes: Vec<Change>,
    /// Limits that cannot be kept: which, when, how far.
    pub broken: Vec<String>,
    /// Pumps that cannot be used, and why.
    pub out: Vec<(usize, String)>,
    /// What no schedule undercuts.
    pub bound: f64,
    /// What a better schedule could save at most, as a share.
    pub gap: f64,
    /// What the search found, by which `bound` and `gap` go; with variable-speed pumps `evaluation` is cheaper by what lies between the
    /// speeds that it knows.
    pub objective: f64,
    /// What the best schedule at full speed costs; `None` without variable-speed pumps.
    pub full_speed: Option<f64>,
    /// What is priced.
    pub evaluation: Evaluation,
    /// What it saves beside the station's own control, or why that cannot be told.
    pub saving: Result<Saving, String>,
    /// What it was planned for.
    pub problem: Problem,
    /// Sets in it that were never seen to run.
    pub extrapolated: Vec<Combination>,
}

impl Plan {
    /// `planned`, or `limits` when a limit cannot be kept.
    pub fn status(&self) -> &'static str {
        if self.broken.is_empty() {
            "planned"
        } else {
            "limits"
        }
    }
}

/// A plan, or why there is none.
pub type Planned = Result<Box<Plan>, String>;

/// Names of a set's pumps.
pub fn names(set: Combination) -> String {
    pumps(set).map(pump_name).collect::<Vec<_>>().join(", ")
}
