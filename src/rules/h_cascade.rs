//! H: faults that together are worse than each alone.

use super::{Check, RULE, Rule, Severity, Value, limit, scene::all};
use crate::tags::FLOW;

/// H-01. No power, and the tank drains fast.
pub(super) const OUTAGE_AND_DRAINING: Rule = Rule {
    code: "H-01",
    name: "Power Outage AND Tank Draining Fast",
    severity: Severity::Critical,
    condition: "A-01 active, level change within the minute < −1.5 raw units, level < 50 %",
    limits: &[
        limit("change_below", -1.5, "raw units/min"),
        limit("level_below_pct", 50.0, "%"),
    ],
    check: Check::Station(|s, &[change_below, level_below_pct, ..]| {
        all([
            Some(s.outage),
            s.level_diff().map(|diff| diff < change_below),
            s.level_pct().map(|pct| pct < level_below_pct),
        ])
    }),
    off_delay_min: 5,
    value: Value::Station(|s| s.derived.level_pct),
    message: |t| {
        format!(
            "Power is out and the tank drains fast: {:.1} %, below {} %",
            t.value, t.limits[1]
        )
    },
    ..RULE
};

/// H-02. Half the station is tripped and the tank is low.
pub(super) const TRIPPED_AND_LOW: Rule = Rule {
    code: "H-02",
    name: "Multiple Pumps Tripped — HLT Low",
    severity: Severity::Critical,
    condition: "B-01 active on at least 3 pumps, level < 40 %",
    limits: &[
        limit("pumps_min", 3.0, "pumps"),
        limit("level_below_pct", 40.0, "%"),
    ],
    check: Check::Station(|s, &[pumps_min, level_below_pct, ..]| {
        let tripped = s.tripped.iter().filter(|&&tripped| tripped).count();
        all([
            Some(tripped as f64 >= pumps_min),
            s.level_pct().map(|pct| pct < level_below_pct),
        ])
    }),
    value: Value::Station(|s| s.derived.level_pct),
    message: |t| {
        format!(
            "At least {} pumps are tripped and the tank is at {:.1} %, below {} %",
            t.limits[0], t.value, t.limits[1]
        )
    },
    ..RULE
};

/// H-03. Nothing pumps and the tank is nearly out.
pub(super) const ALL_FAULTED_AND_LOW: Rule = Rule {
    code: "H-03",
    name: "All Pumps Faulted — Tank Critical",
    severity: Severity::Critical,
    condition: "all kW zero, level < 25 %",
    limits: &[limit("level_below_pct", 25.0, "%")],
    check: Check::Station(|s, &[level_below_pct, ..]| {
        all([s.all_dead(), s.level_pct().map(|pct| pct < level_below_pct)])
    }),
    value: Value::Station(|s| s.derived.level_pct),
    message: |t| {
        format!(
            "No pump draws power and the tank is at {:.1} %, below {} %",
            t.value, t.limits[0]
        )
    },
    ..RULE
};

/// H-04. Night flow that does not stop.
pub(super) const NIGHT_FLOW_SUSTAINED: Rule = Rule {
    code: "H-04",
    name: "Night Flow — No Pumps — Sustained",
    severity: Severity::High,
    condition: "between 22:00 and 05:59: flow > 0.3 m³/h while no pump is on",
    for_min: 15,
    limits: &[limit("flow_above", 0.3, "m³/h")],
    check: Check::Station(|s, &[flow_above, ..]| {
        all([
            Some(s.is_night()),
            s.flow().map(|flow| flow > flow_above),
            s.none_on(),
        ])
    }),
    value: Value::Station(|s| s.row.values[FLOW]),
    message: |t| {
        format!(
            "The meter has shown {:.1} m³/h at night with no pump on for more than {} min",
            t.value, t.for_min
        )
    },
    ..RULE
};

/// H-05. A pump that never rests and gets worse.
pub(super) const OVERRUN_AND_DECLINING: Rule = Rule {
    code: "H-05",
    name: "Pump Overrun AND Efficiency Dropping",
    severity: Severity::Warning,
    condition: "E-01 active, 7-day efficiency slope of the last closed day < 0",
    check: Check::EachPump(|s, pump, _| {
        all([
            Some(s.overrun[pump]),
            super::scene::known(s.slope[pump]).map(|slope| slope < 0.0),
        ])
    }),
    value: Value::Pump(|s, pump| s.slope[pump]),
    message: |t| {
        format!(
            "{} runs without a stop while its efficiency falls by {:.3} m³/kWh a day",
            t.pump, -t.value
        )
    },
    ..RULE
};
