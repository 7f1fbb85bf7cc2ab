//! D: the high-level tank.

use super::{
    Check, RULE, Rule, Severity, Value, limit,
    scene::{all, at_least, known},
};
use crate::tags::{LEVEL, PUMPS};

/// D-01. The tank runs out and goes on falling.
pub(super) const LEVEL_CRITICALLY_LOW: Rule = Rule {
    code: "D-01",
    name: "HLT Critically Low — Emergency",
    severity: Severity::Critical,
    condition: "level < 15 %; now: net change over 5 min < 0",
    for_min: 5,
    limits: &[
        limit("level_below_pct", 15.0, "%"),
        limit("net_change_min", 5.0, "min"),
    ],
    check: Check::Station(|s, &[level_below_pct, ..]| {
        s.level_pct().map(|pct| pct < level_below_pct)
    }),
    now: Some(|s, &[_, net_change_min, ..]| {
        s.net_level_change(net_change_min)
            .map(|change| change < 0.0)
    }),
    off_delay_min: 5,
    value: Value::Station(|s| s.derived.level_pct),
    message: |t| {
        format!(
            "The tank is at {:.1} %, below {} % for more than {} min, and falling",
            t.value, t.limits[0], t.for_min
        )
    },
    ..RULE
};

/// D-02. Nothing left to deliver.
pub(super) const TANK_EMPTY: Rule = Rule {
    code: "D-02",
    name: "HLT Empty — Service Disruption",
    severity: Severity::Critical,
    condition: "level < 2 % of its physical maximum",
    for_min: 2,
    limits: &[limit("level_below_pct", 2.0, "% of physical maximum")],
    check: Check::Station(|s, &[level_below_pct, ..]| {
        s.level()
            .map(|level| level < level_below_pct / 100.0 * s.plant.level_physical_max)
    }),
    value: Value::Station(|s| s.row.values[LEVEL]),
    message: |t| {
        format!(
            "The tank is empty: level {:.2}, below {} % of capacity for more than {} min",
            t.value, t.limits[0], t.for_min
        )
    },
    ..RULE
};

/// D-03. Nearly full and still rising under pumps.
pub(super) const OVERFLOW_RISK: Rule = Rule {
    code: "D-03",
    name: "HLT Overflow Risk",
    severity: Severity::High,
    condition: "level > 90 %, a pump on, level rising",
    limits: &[limit("level_above_pct", 90.0, "%")],
    check: Check::Station(|s, &[level_above_pct, ..]| {
        all([
            s.level_pct().map(|pct| pct > level_above_pct),
            s.on_at_least(1),
            s.level_diff().map(|diff| diff > 0.0),
        ])
    }),
    off_delay_min: 5,
    value: Value::Station(|s| s.derived.level_pct),
    message: |t| {
        format!(
            "The tank is at {:.1} %, above {} %, and rising with pumps on",
            t.value, t.limits[0]
        )
    },
    ..RULE
};

/// D-04. A burst main or a demand far beyond the usual.
pub(super) const FALLING_FAST: Rule = Rule {
    code: "D-04",
    name: "HLT Falling Fast — High Drain Rate",
    severity: Severity::High,
    condition: "level change within the minute < −2 raw units while no pump is on",
    limits: &[limit("change_below", -2.0, "raw units/min")],
    check: Check::Station(|s, &[change_below, ..]| {
        all([s.level_diff().map(|diff| diff < change_below), s.none_on()])
    }),
    off_delay_min: 5,
    value: Value::Station(|s| s.derived.level_diff),
    message: |t| {
        format!(
            "The tank fell by {:.2} units within a minute with no pump on (limit {})",
            -t.value, -t.limits[0]
        )
    },
    ..RULE
};

/// D-05. Three pumps do not raise the level: a leak, a bypass, worn pumps.
pub(super) const NOT_RISING: Rule = Rule {
    code: "D-05",
    name: "HLT Not Rising Despite Pumps ON",
    severity: Severity::High,
    condition: "at least 3 pumps on with kW > 0; now: net change over 10 min ≤ 0",
    for_min: 10,
    limits: &[
        limit("pumps_min", 3.0, "pumps"),
        limit("net_change_min", 10.0, "min"),
    ],
    check: Check::Station(|s, &[pumps_min, ..]| {
        at_least(pumps_min as usize, (0..PUMPS).map(|pump| s.works(pump)))
    }),
    now: Some(|s, &[_, net_change_min, ..]| {
        s.net_level_change(net_change_min)
            .map(|change| change <= 0.0)
    }),
    off_delay_min: 5,
    value: Value::Station(|s| s.derived.level_pct),
    message: |t| {
        format!(
            "At least {} pumps have run for more than {} min and the tank has not risen above {:.1} %",
            t.limits[0], t.for_min, t.value
        )
    },
    ..RULE
};

/// D-06. The level transmitter failed.
pub(super) const LEVEL_OUT_OF_RANGE: Rule = Rule {
    code: "D-06",
    name: "HLT Level Sensor Out of Range",
    severity: Severity::High,
    condition: "raw level < 0 or > 1.05 × its physical maximum",
    check: Check::Station(|s, _| known(s.raw[LEVEL]).map(|level| s.plant.level_impossible(level))),
    value: Value::Station(|s| s.raw[LEVEL]),
    message: |t| {
        format!(
            "The level transmitter reads {:.2}, outside its range",
            t.value
        )
    },
    ..RULE
};

/// D-07. The level stands although a pump was switched.
pub(super) const LEVEL_FROZEN: Rule = Rule {
    code: "D-07",
    name: "HLT Level Frozen — Sensor Stuck",
    severity: Severity::Warning,
    condition: "level unchanged, and a pump switched within the unchanged stretch at least 5 min ago",
    for_min: 20,
    limits: &[limit("switch_age_min", 5.0, "min")],
    check: Check::Frozen(|s, l, for_min| s.recent.level_frozen(s.minute, l[0] as i64, for_min)),
    value: Value::Station(|s| s.row.values[LEVEL]),
    message: |t| {
        format!(
            "The level has stood at {:.2} for more than {} min although a pump was switched",
            t.value, t.for_min
        )
    },
    ..RULE
};
