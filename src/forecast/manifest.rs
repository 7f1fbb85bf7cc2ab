//! What a model says of itself: the file beside it, written by the trainer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::tags::{PUMPS, pump_name};

/// The contract that this version knows.
pub const CONTRACT: u32 = 1;
/// The target of a model that tells what a healthy pump lifts for its energy, m³/kWh.
pub const PUMP_EFFICIENCY: &str = "pump_efficiency";

/// What a model forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// Tank level, % of the physical maximum.
    HltPct,
    /// What the consumers draw, m³/h.
    FlowDemand,
}

/// How a model works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Gradient-boosted trees, a row for each step ahead.
    Xgboost,
    /// Seasonal ARIMA with exogenous columns, as one affine map.
    Sarimax,
    /// Both, weighted, in one graph.
    Combined,
}

/// A target and how far ahead: one model is in use for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// What is forecast.
    pub target: Target,
    /// How far.
    pub horizon: Horizon,
}

/// How far ahead a model looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Horizon {
    /// The next 60 minutes, a step a minute.
    Hour,
    /// The next 24 hours, a step a quarter of an hour.
    Day,
}

impl Horizon {
    /// Minutes of a step.
    pub fn slot_min(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => 15,
        }
    }

    /// Steps.
    pub fn slots(self) -> usize {
        match self {
            Self::Hour => 60,
            Self::Day => 96,
        }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "60min",
            Self::Day => "24h",
        }
    }
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::new(Target::HltPct, Horizon::Hour),
        Self::new(Target::HltPct, Horizon::Day),
        Self::new(Target::FlowDemand, Horizon::Hour),
        Self::new(Target::FlowDemand, Horizon::Day),
    ];

    const fn new(target: Target, horizon: Horizon) -> Self {
        Self { target, horizon }
    }

    /// As it is written: `hlt_pct-24h`.
    pub fn name(self) -> String {
        format!("{}-{}", self.target.name(), self.horizon.name())
    }

    /// The place of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|place| place.name() == name)
    }
}

impl Target {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::HltPct => "hlt_pct",
            Self::FlowDemand => "flow_demand",
        }
    }

    /// The target of this name.
    pub fn named(name: &str) -> Option<Self> {
        let mut all = [Self::HltPct, Self::FlowDemand].into_iter();
        all.find(|target| target.name() == name)
    }

    /// For people.
    pub fn title(self) -> &'static str {
        match self {
            Self::HltPct => "tank level",
            Self::FlowDemand => "demand",
        }
    }

    /// Its unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::HltPct => "%",
            Self::FlowDemand => "m³/h",
        }
    }

    /// The nearest value that it can have.
    pub fn possible(self, value: f64) -> f64 {
        match self {
            Self::HltPct => value.clamp(0.0, 100.0),
            Self::FlowDemand => value.max(0.0),
        }
    }
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A forecast.
    Forecast(Place),
    /// What a healthy pump would do for its energy.
    Pump(usize),
}

impl Role {
    /// What a manifest says that its model is for; `None` when that is nothing that is asked for.
    pub fn of(manifest: &Manifest) -> Option<Self> {
        if manifest.target == PUMP_EFFICIENCY {
            let pump = manifest.pump.as_deref()?;
            return (0..PUMPS).find(|&at| pump_name(at) == pump).map(Self::Pump);
        }
        let place = Place::ALL.into_iter().find(|place| {
            place.target.name() == manifest.target
                && place.horizon.slot_min() == i64::from(manifest.slot_min)
                && place.horizon.slots() == manifest.slots as usize
        });
        place.map(Self::Forecast)
    }

    /// As it is written: `hlt_pct-24h`, `pump_efficiency-P1`.
    pub fn name(self) -> String {
        match self {
            Self::Forecast(place) => place.name(),
            Self::Pump(pump) => format!("{}-{}", PUMP_EFFICIENCY, pump_name(pump)),
        }
    }
}

/// What a model got on days that it had not seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scores {
    /// Root of the mean squared error, in the forecast's unit.
    pub rmse_val: Option<f64>,
    /// Mean absolute error, in the forecast's unit.
    pub mae_val: Option<f64>,
    /// Share of the variance that is explained.
    pub r2_score: Option<f64>,
    /// What seasonal-naive got on the same days.
    pub rmse_naive: Option<f64>,
}

/// How a column was spread over the rows that the model learnt from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Between the classes, ascending: each holds a tenth of the rows, or more where values repeat.
    pub edges: Vec<f64>,
    /// Share of the rows in each class, one more than edges.
    pub shares: Vec<f64>,
}

/// An input of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its name in the file.
    pub name: String,
    /// Its shape; -1 is a dimension that may be any number of rows.
    pub shape: Vec<i64>,
}

/// Inputs, and what comes out of them: tried before a model is believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// The values of each input, row by row; null is an unknown value.
    pub inputs: Vec<Vec<Option<f32>>>,
    /// The shape of each input.
    pub shapes: Vec<Vec<usize>>,
    /// The values of the first output.
    pub output: Vec<f32>,
}

/// What a model says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this contract.
    pub contract: u32,
    /// The model's id: target, horizon, kind and when it was trained.
    pub id: String,
    /// What it tells: the name of a [`Target`], or [`PUMP_EFFICIENCY`].
    pub target: String,
    /// How it works.
    pub kind: Kind,
    /// Unit of the forecast.
    pub unit: String,
    /// Minutes of a step.
    pub slot_min: u32,
    /// Steps ahead.
    pub slots: u32,
    /// The columns of the features, in order.
    pub features: Vec<String>,
    /// The file's name, beside this one.
    pub file: String,
    /// The file's length, bytes.
    pub bytes: u64,
    /// The file's SHA-256, hexadecimal.
    pub sha256: String,
    /// The model's inputs, in order.
    pub inputs: Vec<Input>,
    /// Cases to try.
    pub golden: Vec<Golden>,
    /// How far the output of a case may be off, in the forecast's unit.
    pub golden_tolerance: f32,
    /// Share of each feature in the gain of the splits.
    #[serde(default)]
    pub importance: BTreeMap<String, f64>,
    /// What is added to each step for the bounds that hold 95 % of what comes.
    #[serde(default)]
    pub band: Vec<[Option<f64>; 2]>,
    /// What it got on held-out days.
    #[serde(default)]
    pub scores: Scores,
    /// How the columns were spread in training.
    #[serde(default)]
    pub spread: BTreeMap<String, Spread>,
    /// Minutes of a step of `y_hist`, for a model that has that input.
    #[serde(default)]
    pub history_slot_min: Option<u32>,
    /// The pump, for a model of one.
    #[serde(default)]
    pub pump: Option<String>,
    /// Columns of `exog_hist` and `exog_future`, in order.
    #[serde(default)]
    pub exog: Vec<String>,
}
