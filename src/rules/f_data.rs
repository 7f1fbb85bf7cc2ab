//! F: the quality of the data itself.

use super::{Check, RULE, Rule, Severity, Value, above, c_flow, d_tank, limit};
use crate::row::{all, known};
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
    limits: &[above("factor", 2.0, "× rated")],
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

#[cfg(test)]
mod tests {
    use crate::rules::tape::*;

    /// The last row before the gap is that of minute 19.
    fn gap(end: i64) -> Tape {
        Tape::minutes(80).gap(20..end)
    }

    #[test]
    fn f_01_raises_6_minutes_after_the_last_row() {
        assert_eq!(check("F-01", gap(30), &[(25, "", Some(30))]), [6.0]);
        check("F-01", gap(60), &[(25, "", Some(50))]);
    }

    #[test]
    fn f_01_lets_a_row_after_6_minutes_pass() {
        check("F-01", gap(25), &[]);
    }

    #[test]
    fn f_01_takes_a_row_of_unknown_values_for_a_row() {
        check("F-01", Tape::minutes(80).during(20..30, Line::bare), &[]);
        check("F-01", gap(30).at(30, Line::bare), &[(25, "", Some(30))]);
    }

    #[test]
    fn f_02_raises_31_minutes_after_the_last_row() {
        assert_eq!(check("F-02", gap(60), &[(50, "", Some(60))]), [31.0]);
        check("F-02", gap(80), &[(50, "", None)]);
    }

    #[test]
    fn f_02_lets_a_row_after_31_minutes_pass() {
        check("F-02", gap(50), &[]);
    }

    #[test]
    fn f_02_takes_a_row_of_unknown_values_for_a_row() {
        check("F-02", Tape::minutes(80).during(20..60, Line::bare), &[]);
        check("F-02", gap(60).at(60, Line::bare), &[(50, "", Some(60))]);
    }

    #[test]
    fn f_03_raises_after_more_than_15_minutes_unchanged_over_a_pump_start() {
        let values = check("F-03", Tape::flow_stands(20..45, 25), &[(35, "", Some(45))]);
        assert_eq!(values, [150.0]);
    }

    #[test]
    fn f_03_needs_more_than_15_minutes_and_a_start_5_minutes_ago_within_the_run() {
        check("F-03", Tape::flow_stands(20..35, 25), &[]);
        check("F-03", Tape::flow_stands(20..40, 35), &[]);
        check("F-03", Tape::flow_stands(20..45, 20), &[]);
    }

    #[test]
    fn f_03_starts_again_after_an_unknown_flow_and_resolves_on_a_known_one_only() {
        let unsure = |row: Line| row.flow(UNKNOWN);
        check("F-03", Tape::flow_stands(20..45, 25).at(30, unsure), &[]);
        let tape = Tape::flow_stands(20.., 25).during(45..48, unsure);
        check("F-03", tape, &[(35, "", Some(48))]);
    }

    #[test]
    fn f_04_raises_after_more_than_20_minutes_unchanged_over_a_pump_start() {
        let values = check(
            "F-04",
            Tape::level_stands(20..50, 25),
            &[(40, "", Some(50))],
        );
        assert_eq!(values, [250.0]);
    }

    #[test]
    fn f_04_needs_more_than_20_minutes_and_a_start_5_minutes_ago_within_the_run() {
        check("F-04", Tape::level_stands(20..40, 25), &[]);
        check("F-04", Tape::level_stands(20..45, 40), &[]);
        check("F-04", Tape::level_stands(20..50, 20), &[]);
    }

    #[test]
    fn f_04_starts_again_after_an_unknown_level_and_resolves_on_a_known_one_only() {
        let unsure = |row: Line| row.level(UNKNOWN);
        check("F-04", Tape::level_stands(20..50, 25).at(30, unsure), &[]);
        let tape = Tape::level_stands(20.., 25).during(50..53, unsure);
        check("F-04", tape, &[(40, "", Some(53))]);
    }

    fn sensors(flow: f64, level: f64) -> Tape {
        Tape::minutes(60).during(20..30, |row| row.flow(flow).level(level))
    }

    #[test]
    fn f_05_raises_on_a_flow_or_a_level_outside_its_range() {
        for (flow, level, value) in [
            (-1.0, 300.0, -1.0),
            (900.1, 300.0, 900.1),
            (200.0, -2.0, -2.0),
            (200.0, 525.1, 525.1),
            (-1.0, -2.0, -1.0),
        ] {
            let values = check("F-05", sensors(flow, level), &[(20, "", Some(30))]);
            assert_eq!(values, [value]);
        }
    }

    #[test]
    fn f_05_lets_the_limits_themselves_pass() {
        check("F-05", sensors(0.0, 0.0), &[]);
        check("F-05", sensors(900.0, 525.0), &[]);
    }

    #[test]
    fn f_05_neither_raises_nor_resolves_while_an_unknown_sensor_leaves_it_open() {
        let unsure = |row: Line| row.flow(UNKNOWN);
        let tape = sensors(-1.0, 300.0)
            .during(20..22, unsure)
            .during(30..33, unsure);
        check("F-05", tape, &[(22, "", Some(33))]);
        assert_eq!(
            check("F-05", sensors(UNKNOWN, -2.0), &[(20, "", Some(30))]),
            [-2.0]
        );
    }

    fn power(pump: usize, kw: f64) -> Tape {
        Tape::minutes(60).during(20..30, |row| row.kw(pump, kw))
    }

    #[test]
    fn f_06_raises_above_twice_the_rating_and_below_zero_when_on() {
        assert_eq!(
            check("F-06", power(P3, 60.1), &[(20, "P3", Some(30))]),
            [60.1]
        );
        assert_eq!(
            check("F-06", power(P1, -0.1), &[(20, "P1", Some(30))]),
            [-0.1]
        );
    }

    #[test]
    fn f_06_lets_twice_the_rating_and_a_pump_that_is_off_pass() {
        check("F-06", power(P3, 60.0), &[]);
        check("F-06", power(P1, 0.0), &[]);
        check("F-06", power(P3, -0.1), &[]);
    }

    #[test]
    fn f_06_neither_raises_nor_resolves_on_unknown_power_or_an_unknown_command() {
        let tape = power(P3, 60.1)
            .during(20..22, |row| row.kw(P3, UNKNOWN))
            .during(30..33, |row| row.onoff(P3, UNKNOWN));
        check("F-06", tape, &[(22, "P3", Some(33))]);
    }

    #[test]
    fn f_07_tells_of_each_minute_with_duplicates() {
        let tape = Tape::minutes(60).during(20..22, |row| row.duplicated(2));
        let values = check("F-07", tape, &[(20, "", Some(20)), (21, "", Some(21))]);
        assert_eq!(values, [2.0, 2.0]);
    }

    #[test]
    fn f_07_lets_two_equal_rows_pass() {
        let tape = Tape::minutes(60).during(20..22, |row| row.level(250.0).day_total(60.0));
        check("F-07", tape, &[]);
    }

    #[test]
    fn f_07_needs_no_known_value() {
        check("F-07", Tape::minutes(60).at(20, Line::bare), &[]);
        let tape = Tape::minutes(60).at(20, |row| row.bare().duplicated(1));
        assert_eq!(check("F-07", tape, &[(20, "", Some(20))]), [1.0]);
    }
}
