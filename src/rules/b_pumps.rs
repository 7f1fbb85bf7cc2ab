//! B: pumps that do not do what they are told.

use super::{
    Check, RULE, Rule, Severity, Value, limit,
    scene::{all, at_least},
};
use crate::tags::{FLOW, PUMPS, kw};

/// B-01. The motor protection tripped, or the contactor did not close.
pub(super) const PUMP_TRIPPED: Rule = Rule {
    code: "B-01",
    name: "Pump Tripped — No Power Despite Command",
    severity: Severity::Critical,
    condition: "pump on with kW zero",
    for_min: 2,
    check: Check::EachPump(|s, pump, _| all([s.on(pump), s.dead(pump)])),
    value: Value::Pump(|s, pump| s.row.values[kw(pump)]),
    message: |t| {
        format!(
            "{} is commanded on but has drawn no power ({:.1} kW) for more than {} min",
            t.pump, t.value, t.for_min
        )
    },
    ..RULE
};

/// B-02. Dry run, closed valve or broken coupling: the motor works and no water moves.
pub(super) const RUNNING_NO_FLOW: Rule = Rule {
    code: "B-02",
    name: "Pump Running — No Flow Output",
    severity: Severity::High,
    condition: "pump on with kW > 0 while the station's flow is zero",
    for_min: 5,
    check: Check::EachPump(|s, pump, _| all([s.works(pump), s.flow_zero()])),
    value: Value::Station(|s| s.row.values[FLOW]),
    message: |t| {
        format!(
            "{} draws power but the meter has shown {:.1} m³/h for more than {} min",
            t.pump, t.value, t.for_min
        )
    },
    ..RULE
};

/// B-03. Several pumps work into nothing: a closed discharge valve, a burst main before the meter, or an empty sump.
pub(super) const SEVERAL_RUNNING_NO_FLOW: Rule = Rule {
    code: "B-03",
    name: "Multiple Pumps Running — Still No Flow",
    severity: Severity::Critical,
    condition: "at least 2 pumps on with kW > 0 while the flow is zero",
    for_min: 3,
    limits: &[limit("pumps_min", 2.0, "pumps")],
    check: Check::Station(|s, &[pumps_min, ..]| {
        all([
            at_least(pumps_min as usize, (0..PUMPS).map(|pump| s.works(pump))),
            s.flow_zero(),
        ])
    }),
    value: Value::Station(|s| s.row.values[FLOW]),
    message: |t| {
        format!(
            "At least {} pumps run but the meter has shown {:.1} m³/h for more than {} min",
            t.limits[0], t.value, t.for_min
        )
    },
    ..RULE
};

/// B-04. A blocked impeller, a failing bearing or a lost phase.
pub(super) const OVERCURRENT: Rule = Rule {
    code: "B-04",
    name: "Pump Overcurrent — Excessive Power Draw",
    severity: Severity::High,
    condition: "kW > 1.3 × rated",
    for_min: 5,
    limits: &[limit("factor", 1.3, "× rated")],
    check: Check::EachPump(|s, pump, &[factor, ..]| {
        s.kw(pump).map(|kw| kw > s.plant.rated_kw[pump] * factor)
    }),
    value: Value::Pump(|s, pump| s.row.values[kw(pump)]),
    message: |t| {
        format!(
            "{} draws {:.1} kW, more than {} × its rated {} kW, for more than {} min",
            t.pump, t.value, t.limits[0], t.rated_kw, t.for_min
        )
    },
    ..RULE
};

/// B-05. Air in the pump, a worn impeller or a throttled suction.
pub(super) const UNDER_LOADED: Rule = Rule {
    code: "B-05",
    name: "Pump Under-Loaded — Abnormally Low Power",
    severity: Severity::Warning,
    condition: "pump on, flow > 0, kW > 0 and kW < 0.4 × rated",
    for_min: 10,
    limits: &[limit("factor", 0.4, "× rated")],
    check: Check::EachPump(|s, pump, &[factor, ..]| {
        all([
            s.works(pump),
            s.flows(),
            s.kw(pump).map(|kw| kw < s.plant.rated_kw[pump] * factor),
        ])
    }),
    value: Value::Pump(|s, pump| s.row.values[kw(pump)]),
    message: |t| {
        format!(
            "{} draws only {:.1} kW, less than {} × its rated {} kW, for more than {} min",
            t.pump, t.value, t.limits[0], t.rated_kw, t.for_min
        )
    },
    ..RULE
};

/// B-06. A welded contactor, or a pump switched by hand.
pub(super) const POWER_WITHOUT_COMMAND: Rule = Rule {
    code: "B-06",
    name: "Pump Drawing Power Without Command",
    severity: Severity::High,
    condition: "pump off with kW > 0",
    for_min: 2,
    check: Check::EachPump(|s, pump, _| all([s.off(pump), s.draws(pump)])),
    value: Value::Pump(|s, pump| s.row.values[kw(pump)]),
    message: |t| {
        format!(
            "{} draws {:.1} kW without a command for more than {} min",
            t.pump, t.value, t.for_min
        )
    },
    ..RULE
};

/// B-07. Everything that is commanded is dead: a common supply or an emergency stop.
pub(super) const ALL_TRIPPED: Rule = Rule {
    code: "B-07",
    name: "All Pumps Simultaneously Tripped",
    severity: Severity::Critical,
    condition: "at least 2 pumps on while all kW are zero",
    for_min: 1,
    limits: &[limit("pumps_min", 2.0, "pumps")],
    check: Check::Station(|s, &[pumps_min, ..]| {
        all([s.on_at_least(pumps_min as usize), s.all_dead()])
    }),
    value: Value::Station(|s| s.on_count()),
    message: |t| {
        format!(
            "All {} commanded pumps have drawn no power for more than {} min",
            t.value, t.for_min
        )
    },
    ..RULE
};
