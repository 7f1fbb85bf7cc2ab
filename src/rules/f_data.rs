//! F: the quality of the data itself.

use super::{
    Check, RULE, Rule, Severity, Value, c_flow, d_tank, limit,
    scene::{all, known},
};
use crate::tags::{FLOW, LEVEL, kw};

/// F-01. The historian was silent for some minutes.
pub(super) const SHORT_GAP: Rule = Rule {
    code: "F-01",
    name: "Data Gap — Short Comms Dropout",
    severity: Severity::Info,
    condition: "more than 5 and up to 30 min since the last row",
    limits: &[
        limit("silent_above_min", 5.0, "min"),
        limit("silent_up_to_min", 30.0, "min"),
    ],
    check: Check::Gap,
    value: Value::SilentMin,
    message: |t| {
        format!(
            "No data for {} min: a short dropout of the historian or its link",
            t.value
        )
    },
    ..RULE
};

/// F-02. The historian or its link is down.
pub(super) const EXTENDED_GAP: Rule = Rule {
    code: "F-02",
    name: "Data Gap — Extended Outage",
    severity: Severity::High,
    condition: "more than 30 min since the last row",
    limits: &[limit("silent_above_min", 30.0, "min")],
    check: Check::Gap,
    value: Value::SilentMin,
    message: |t| {
        format!(
            "No data for {} min: the historian or its link is down",
            t.value
        )
    },
    ..RULE
};

/// F-03. As C-06, for those who care for the data.
pub(super) const FLOW_STUCK: Rule = Rule {
    code: "F-03",
    name: "Flow Sensor Stuck — Frozen Reading",
    ..c_flow::FLOW_FROZEN
};

/// F-04. As D-07, for those who care for the data.
pub(super) const LEVEL_STUCK: Rule = Rule {
    code: "F-04",
    name: "HLT Sensor Stuck — Frozen Reading",
    ..d_tank::LEVEL_FROZEN
};

/// F-05. A value that the sensor cannot mean.
pub(super) const IMPOSSIBLE_VALUE: Rule = Rule {
    code: "F-05",
    name: "Impossible Sensor Value",
    severity: Severity::High,
    condition: "raw flow < 0 or above the meter's range, or raw level < 0 or > 1.05 × its physical maximum",
    check: Check::Station(|s, _| {
        let flow = known(s.raw[FLOW]).map(|flow| s.plant.flow_impossible(flow));
        let level = known(s.raw[LEVEL]).map(|level| s.plant.level_impossible(level));
        if flow == Some(true) || level == Some(true) {
            Some(true)
        } else {
            all([flow, level])
        }
    }),
    value: Value::Station(|s| {
        if s.plant.flow_impossible(s.raw[FLOW]) {
            s.raw[FLOW]
        } else {
            s.raw[LEVEL]
        }
    }),
    message: |t| format!("A sensor reads {:.2}, which it cannot mean", t.value),
    ..RULE
};

/// F-06. A power reading that the motor cannot mean.
pub(super) const POWER_ANOMALY: Rule = Rule {
    code: "F-06",
    name: "KWH Reading Anomaly",
    severity: Severity::Warning,
    condition: "kW > 2.0 × rated, or pump on with kW < 0",
    limits: &[limit("factor", 2.0, "× rated")],
    check: Check::EachPump(|s, pump, &[factor, ..]| {
        let kw = s.kw(pump)?;
        if kw > s.plant.rated_kw[pump] * factor {
            Some(true)
        } else {
            s.on(pump).map(|on| on && kw < 0.0)
        }
    }),
    value: Value::Pump(|s, pump| s.row.values[kw(pump)]),
    message: |t| {
        format!(
            "{} reports {:.1} kW, which a {} kW motor cannot draw",
            t.pump, t.value, t.rated_kw
        )
    },
    ..RULE
};

/// F-07. Two records of one tag with the same timestamp.
pub(super) const DUPLICATE_TIMESTAMP: Rule = Rule {
    code: "F-07",
    name: "Duplicate Timestamp Detected",
    severity: Severity::Info,
    condition: "two records of a tag with the same full timestamp",
    check: Check::Event(|s, _| Some(s.duplicated_tags > 0)),
    value: Value::Station(|s| f64::from(s.duplicated_tags)),
    message: |t| {
        format!(
            "{} tags were recorded twice with the same timestamp",
            t.value
        )
    },
    ..RULE
};
