//! D: the high-level tank.

use super::{Check, RULE, Rule, Severity, Value, above, below, limit};
use crate::row::{all, at_least, known};
use crate::tags::{LEVEL, PUMPS};

/// D-01. The tank runs out and goes on falling.
pub(super) const LEVEL_CRITICALLY_LOW: Rule = Rule {
    code: "D-01",
    name: "HLT Critically Low — Emergency",
    severity: Severity::Critical,
    condition: "level < 15 %; now: net change over 5 min < 0",
    for_min: 5,
    limits: &[
        below("level_below_pct", 15.0, "%"),
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
    limits: &[below("level_below_pct", 2.0, "% of physical maximum")],
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
    limits: &[above("level_above_pct", 90.0, "%")],
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
    limits: &[below("change_below", -2.0, "raw units/min")],
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

#[cfg(test)]
mod tests {
    use crate::rules::tape::*;

    /// Falls by half a unit a minute from 80 to `bottom`; 15 % are 75, reached at 10.
    fn emptying(bottom: f64) -> Tape {
        Tape::minutes(70).during(.., |row| {
            row.level((80.0 - 0.5 * row.at as f64).max(bottom))
        })
    }

    #[test]
    fn d_01_raises_after_more_than_5_minutes_below_15_percent_and_falling() {
        // Steady from 40 on, the net change over 5 min is 0 from 45 on, for more than 5 minutes at 50.
        assert_eq!(check("D-01", emptying(60.0), &[(16, "", Some(50))]), [14.4]);
    }

    #[test]
    fn d_01_needs_more_than_5_minutes_below_15_percent_and_a_fall() {
        check("D-01", emptying(75.0), &[]);
        check(
            "D-01",
            emptying(60.0).during(16.., |row| row.level(75.0)),
            &[],
        );
        // Below from 15 on; at 20 the fall at 15 is 5 minutes old.
        let steady = |row: Line| row.level(if row.at < 15 { 80.0 } else { 70.0 });
        check("D-01", emptying(60.0).during(.., steady), &[]);
    }

    #[test]
    fn d_01_starts_again_after_an_unknown_level_on_its_way_in_and_out() {
        let unsure = |row: Line| row.level(UNKNOWN);
        let tape = emptying(60.0).at(14, unsure).at(47, unsure);
        check("D-01", tape, &[(20, "", Some(53))]);
    }

    fn level(end: i64, level: f64) -> Tape {
        Tape::minutes(60).during(20..end, |row| row.level(level))
    }

    #[test]
    fn d_02_raises_after_more_than_2_minutes_below_2_percent() {
        assert_eq!(check("D-02", level(30, 9.9), &[(22, "", Some(30))]), [9.9]);
    }

    #[test]
    fn d_02_needs_more_than_2_minutes_below_2_percent() {
        check("D-02", level(22, 9.9), &[]);
        check("D-02", level(30, 10.0), &[]);
    }

    #[test]
    fn d_02_starts_again_after_an_unknown_level_and_resolves_on_a_known_one_only() {
        let unsure = |row: Line| row.level(UNKNOWN);
        let tape = level(30, 9.9).at(21, unsure).during(30..33, unsure);
        check("D-02", tape, &[(24, "", Some(33))]);
    }

    /// Rises above 90 % from 20 to 30 and stands below it otherwise.
    fn filling() -> Tape {
        Tape::minutes(60)
            .during(.., |row| row.level(440.0))
            .during(20..30, |row| row.level(450.0 + 0.5 * (row.at - 19) as f64))
    }

    #[test]
    fn d_03_raises_above_90_percent_and_rising_with_a_pump_on() {
        // False from 30 on, for more than 5 minutes at 35.
        assert_eq!(check("D-03", filling(), &[(20, "", Some(35))]), [90.1]);
    }

    #[test]
    fn d_03_lets_90_percent_and_a_rise_without_pumps_pass() {
        check(
            "D-03",
            filling().during(20..30, |row| row.level(450.0)),
            &[],
        );
        check("D-03", filling().during(.., |row| row.level(455.0)), &[]);
        check("D-03", filling().during(.., Line::all_off), &[]);
    }

    #[test]
    fn d_03_starts_again_after_an_unknown_level_on_its_way_in_and_out() {
        // The change within the minute is unknown at the row after, too.
        let unsure = |row: Line| row.level(UNKNOWN);
        let tape = filling().during(20..22, unsure).at(33, unsure);
        check("D-03", tape, &[(23, "", Some(40))]);
    }

    /// Falls from 20 to 30 with all pumps off.
    fn draining(a_minute: f64) -> Tape {
        Tape::minutes(60).during(.., |row| {
            let minutes = (row.at - 19).clamp(0, 10) as f64;
            row.all_off().level(300.0 - a_minute * minutes)
        })
    }

    #[test]
    fn d_04_raises_on_a_fall_by_more_than_2_with_no_pump_on() {
        assert_eq!(check("D-04", draining(2.5), &[(20, "", Some(35))]), [-2.5]);
    }

    #[test]
    fn d_04_lets_a_fall_by_2_and_a_fall_with_a_pump_on_pass() {
        check("D-04", draining(2.0), &[]);
        check(
            "D-04",
            draining(2.5).during(.., |row| row.on(P1, 30.0)),
            &[],
        );
    }

    #[test]
    fn d_04_starts_again_after_an_unknown_command_on_its_way_in_and_out() {
        let unsure = |row: Line| row.onoff(P1, UNKNOWN);
        let tape = draining(2.5).during(20..22, unsure).at(33, unsure);
        check("D-04", tape, &[(22, "", Some(39))]);
    }

    /// P1 to P3 on from 20 to `end` at a steady level.
    fn three_on(end: i64) -> Tape {
        Tape::minutes(60)
            .during(.., |row| row.level(300.0))
            .during(20..end, |row| row.on(P2, 30.0).on(P3, 30.0))
    }

    #[test]
    fn d_05_raises_after_more_than_10_minutes_of_three_pumps_without_a_rise() {
        assert_eq!(check("D-05", three_on(40), &[(30, "", Some(45))]), [60.0]);
    }

    #[test]
    fn d_05_needs_more_than_10_minutes_three_pumps_and_no_rise() {
        check("D-05", three_on(30), &[]);
        check("D-05", three_on(40).during(.., |row| row.kw(P3, 0.1)), &[]);
        let rising = |row: Line| row.level(300.0 + 0.1 * row.at as f64);
        check("D-05", three_on(40).during(.., rising), &[]);
    }

    #[test]
    fn d_05_starts_again_after_unknown_power_or_commands_on_its_way_in_and_out() {
        let unsure = |row: Line| row.on(P2, UNKNOWN).on(P3, UNKNOWN);
        let tape = three_on(45)
            .at(29, |row| row.kw(P3, UNKNOWN))
            .at(48, unsure);
        check("D-05", tape, &[(40, "", Some(54))]);
    }

    #[test]
    fn d_06_raises_on_a_level_outside_the_range() {
        assert_eq!(
            check("D-06", level(30, -0.1), &[(20, "", Some(30))]),
            [-0.1]
        );
        assert_eq!(
            check("D-06", level(30, 525.1), &[(20, "", Some(30))]),
            [525.1]
        );
    }

    #[test]
    fn d_06_lets_the_limits_themselves_pass() {
        check("D-06", level(30, 0.0), &[]);
        check("D-06", level(30, 525.0), &[]);
    }

    #[test]
    fn d_06_neither_raises_nor_resolves_on_an_unknown_level() {
        let unsure = |row: Line| row.level(UNKNOWN);
        let tape = level(30, -0.1)
            .during(20..22, unsure)
            .during(30..33, unsure);
        check("D-06", tape, &[(22, "", Some(33))]);
    }

    #[test]
    fn d_07_raises_after_more_than_20_minutes_unchanged_over_a_pump_start() {
        let values = check(
            "D-07",
            Tape::level_stands(20..50, 25),
            &[(40, "", Some(50))],
        );
        assert_eq!(values, [250.0]);
        check(
            "D-07",
            Tape::level_stands(20..50, 40),
            &[(45, "", Some(50))],
        );
    }

    #[test]
    fn d_07_needs_more_than_20_minutes_and_a_start_5_minutes_ago_within_the_run() {
        check("D-07", Tape::level_stands(20..40, 25), &[]);
        check("D-07", Tape::level_stands(20..45, 40), &[]);
        check("D-07", Tape::level_stands(20..50, 20), &[]);
    }

    #[test]
    fn d_07_starts_again_after_an_unknown_level_and_resolves_on_a_known_one_only() {
        let unsure = |row: Line| row.level(UNKNOWN);
        check("D-07", Tape::level_stands(20..50, 25).at(30, unsure), &[]);
        let tape = Tape::level_stands(20.., 25).during(50..53, unsure);
        check("D-07", tape, &[(40, "", Some(53))]);
    }
}
