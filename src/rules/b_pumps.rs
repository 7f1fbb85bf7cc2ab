//! B: pumps that do not do what they are told.

use super::{Check, RULE, Rule, Severity, Value, above, below, limit};
use crate::row::{all, at_least};
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
    limits: &[above("factor", 1.3, "× rated")],
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
    limits: &[below("factor", 0.4, "× rated")],
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

#[cfg(test)]
mod tests {
    use crate::rules::tape::*;

    /// Bent from 20 to `end`.
    fn fault(end: i64, bend: impl Fn(Line) -> Line) -> Tape {
        Tape::minutes(80).during(20..end, bend)
    }

    #[test]
    fn b_01_raises_after_more_than_2_minutes_without_power() {
        let tape = fault(30, |row| row.kw(P1, 0.1));
        assert_eq!(check("B-01", tape, &[(22, "P1", Some(30))]), [0.1]);
    }

    #[test]
    fn b_01_needs_more_than_2_minutes_at_zero() {
        check("B-01", fault(22, |row| row.kw(P1, 0.0)), &[]);
        check("B-01", fault(30, |row| row.kw(P1, 0.11)), &[]);
    }

    #[test]
    fn b_01_starts_again_after_unknown_power_and_resolves_on_a_known_command_only() {
        let tape = fault(30, |row| row.kw(P1, 0.0))
            .at(21, |row| row.kw(P1, UNKNOWN))
            .during(30..33, |row| row.onoff(P1, UNKNOWN));
        check("B-01", tape, &[(24, "P1", Some(33))]);
    }

    #[test]
    fn b_02_raises_after_more_than_5_minutes_without_flow() {
        let tape = fault(30, |row| row.flow(0.1));
        assert_eq!(check("B-02", tape, &[(25, "P1", Some(30))]), [0.1]);
    }

    #[test]
    fn b_02_needs_more_than_5_minutes_at_zero() {
        check("B-02", fault(25, |row| row.flow(0.0)), &[]);
        check("B-02", fault(30, |row| row.flow(0.11)), &[]);
    }

    #[test]
    fn b_02_starts_again_after_an_unknown_flow_and_resolves_on_a_known_one_only() {
        let tape = fault(40, |row| row.flow(0.0))
            .at(24, |row| row.flow(UNKNOWN))
            .during(40..43, |row| row.flow(UNKNOWN));
        check("B-02", tape, &[(30, "P1", Some(43))]);
    }

    fn two_on_without_flow(end: i64) -> Tape {
        fault(end, |row| row.on(P2, 30.0).flow(0.0))
    }

    #[test]
    fn b_03_raises_after_more_than_3_minutes_with_two_pumps_and_no_flow() {
        let values = check("B-03", two_on_without_flow(30), &[(23, "", Some(30))]);
        assert_eq!(values, [0.0]);
    }

    #[test]
    fn b_03_needs_more_than_3_minutes_and_two_pumps() {
        check("B-03", two_on_without_flow(23), &[]);
        check("B-03", fault(30, |row| row.flow(0.0)), &[]);
    }

    #[test]
    fn b_03_starts_again_when_unknown_values_leave_it_open() {
        let tape = two_on_without_flow(30)
            .at(22, |row| row.kw(P2, UNKNOWN))
            .during(30..33, |row| row.onoff(P2, UNKNOWN).flow(UNKNOWN));
        check("B-03", tape, &[(26, "", Some(33))]);
        let decided = two_on_without_flow(30).during(20..30, |row| row.onoff(P3, UNKNOWN));
        check("B-03", decided, &[(23, "", Some(30))]);
    }

    #[test]
    fn b_04_raises_after_more_than_5_minutes_above_1_3_times_rated() {
        let tape = fault(30, |row| row.on(P3, 39.1));
        assert_eq!(check("B-04", tape, &[(25, "P3", Some(30))]), [39.1]);
    }

    #[test]
    fn b_04_needs_more_than_5_minutes_above_1_3_times_rated() {
        check("B-04", fault(25, |row| row.on(P3, 39.1)), &[]);
        check("B-04", fault(30, |row| row.on(P3, 39.0)), &[]);
    }

    #[test]
    fn b_04_starts_again_after_unknown_power_and_resolves_on_a_known_one_only() {
        let tape = fault(40, |row| row.on(P3, 39.1))
            .at(24, |row| row.kw(P3, UNKNOWN))
            .during(40..43, |row| row.kw(P3, UNKNOWN));
        check("B-04", tape, &[(30, "P3", Some(43))]);
    }

    #[test]
    fn b_05_raises_after_more_than_10_minutes_below_0_4_times_rated() {
        let tape = fault(40, |row| row.on(P3, 11.9));
        assert_eq!(check("B-05", tape, &[(30, "P3", Some(40))]), [11.9]);
    }

    #[test]
    fn b_05_needs_more_than_10_minutes_below_0_4_times_rated_with_flow() {
        check("B-05", fault(30, |row| row.on(P3, 11.9)), &[]);
        check("B-05", fault(40, |row| row.on(P3, 12.0)), &[]);
        check("B-05", fault(40, |row| row.on(P3, 11.9).flow(0.1)), &[]);
    }

    #[test]
    fn b_05_starts_again_after_an_unknown_flow_and_resolves_on_known_power_only() {
        let tape = fault(50, |row| row.on(P3, 11.9))
            .at(29, |row| row.flow(UNKNOWN))
            .during(50..53, |row| row.on(P3, UNKNOWN));
        check("B-05", tape, &[(40, "P3", Some(53))]);
    }

    #[test]
    fn b_06_raises_after_more_than_2_minutes_of_power_without_a_command() {
        let tape = fault(30, |row| row.kw(P2, 5.0));
        assert_eq!(check("B-06", tape, &[(22, "P2", Some(30))]), [5.0]);
    }

    #[test]
    fn b_06_needs_more_than_2_minutes_above_zero() {
        check("B-06", fault(22, |row| row.kw(P2, 5.0)), &[]);
        check("B-06", fault(30, |row| row.kw(P2, 0.1)), &[]);
    }

    #[test]
    fn b_06_starts_again_after_an_unknown_command_and_resolves_on_known_power_only() {
        let tape = fault(30, |row| row.kw(P2, 5.0))
            .at(21, |row| row.onoff(P2, UNKNOWN))
            .during(30..33, |row| row.kw(P2, UNKNOWN));
        check("B-06", tape, &[(24, "P2", Some(33))]);
    }

    fn both_dead(end: i64) -> Tape {
        fault(end, |row| row.on(P1, 0.0).on(P2, 0.0))
    }

    #[test]
    fn b_07_raises_after_more_than_1_minute_with_all_commanded_pumps_dead() {
        assert_eq!(check("B-07", both_dead(30), &[(21, "", Some(30))]), [2.0]);
    }

    #[test]
    fn b_07_needs_more_than_1_minute_and_two_pumps() {
        check("B-07", both_dead(21), &[]);
        check("B-07", fault(30, |row| row.on(P1, 0.0)), &[]);
        check(
            "B-07",
            both_dead(30).during(.., |row| row.on(P3, 30.0)),
            &[],
        );
    }

    #[test]
    fn b_07_starts_again_after_unknown_power_and_resolves_on_known_values_only() {
        let tape = both_dead(30)
            .at(21, |row| row.kw(P6, UNKNOWN))
            .during(30..33, |row| row.on(P1, UNKNOWN).onoff(P2, UNKNOWN));
        check("B-07", tape, &[(23, "", Some(33))]);
    }
}
