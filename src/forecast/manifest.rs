//! What a model says of itself: the file beside it, written by the trainer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The contract that this version knows.
pub const CONTRACT: u32 = 1;

/// What a model forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// What it forecasts.
    pub target: Target,
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
}
