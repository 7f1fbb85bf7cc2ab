//! H: faults that together are worse than each alone.

use super::{Check, RULE, Rule, Severity, Value, above, below, limit};
use crate::row::all;
use crate::tags::FLOW;

/// H-01. No power, and the tank drains fast.
pub(super) const OUTAGE_AND_DRAINING: Rule = Rule {
    code: "H-01",
    name: "Power Outage AND Tank Draining Fast",
    severity: Severity::Critical,
    condition: "A-01 active, level change within the minute < −1.5 raw units, level < 50 %",
    limits: &[
        limit("change_below", -1.5, "raw units/min"),
        below("level_below_pct", 50.0, "%"),
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
        below("level_below_pct", 40.0, "%"),
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
    limits: &[below("level_below_pct", 25.0, "%")],
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
    limits: &[above("flow_above", 0.3, "m³/h")],
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
            crate::row::known(s.slope[pump]).map(|slope| slope < 0.0),
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

#[cfg(test)]
mod tests {
    use crate::rules::tape::*;

    /// An outage from 20 on; falls by 1 a minute up to `fast` and then by `a_minute` for 10 minutes.
    fn outage(fast: i64, a_minute: f64) -> Tape {
        Tape::minutes(60)
            .during(20.., Line::all_off)
            .during(.., |row| {
                let slowly = (row.at - 19).clamp(0, fast - 20) as f64;
                let quickly = (row.at - fast + 1).clamp(0, 10) as f64;
                row.level(248.0 - slowly - a_minute * quickly)
            })
    }

    #[test]
    fn h_01_raises_with_the_outage_while_the_tank_falls_by_more_than_1_5() {
        // False from 30 on, for more than 5 minutes at 35.
        let values = check("H-01", outage(20, 1.55), &[(20, "", Some(35))]);
        assert_eq!(values, [49.29]);
    }

    #[test]
    fn h_01_lets_a_fall_by_1_5_a_level_of_50_percent_and_a_fall_without_outage_pass() {
        check("H-01", outage(20, 1.5), &[]);
        let half = |row: Line| row.level(if row.at < 20 { 252.0 } else { 250.0 });
        check("H-01", outage(20, 2.0).during(.., half), &[]);
        check(
            "H-01",
            outage(20, 2.0).during(.., |row| row.on(P1, 30.0)),
            &[],
        );
    }

    #[test]
    fn h_01_starts_again_after_an_unknown_level_on_its_way_in_and_out() {
        // The change within the minute is unknown at the row after, too.
        let unsure = |row: Line| row.level(UNKNOWN);
        let tape = outage(25, 2.0).at(25, unsure).at(37, unsure);
        check("H-01", tape, &[(27, "", Some(44))]);
    }

    /// The pumps up to `last` on without power from 20 to `end`.
    fn tripped(last: usize, end: i64, level: f64) -> Tape {
        Tape::minutes(60)
            .during(.., |row| row.level(level))
            .during(20..end, |row| {
                (P1..=last).fold(row, |row, pump| row.on(pump, 0.0))
            })
    }

    #[test]
    fn h_02_raises_with_the_third_tripped_pump_below_40_percent() {
        let values = check("H-02", tripped(P3, 30, 199.0), &[(22, "", Some(30))]);
        assert_eq!(values, [39.8]);
    }

    #[test]
    fn h_02_needs_three_tripped_pumps_and_less_than_40_percent() {
        check("H-02", tripped(P3, 22, 190.0), &[]);
        check("H-02", tripped(P2, 30, 190.0), &[]);
        check("H-02", tripped(P3, 30, 200.0), &[]);
    }

    #[test]
    fn h_02_neither_raises_nor_resolves_on_an_unknown_level() {
        let unsure = |row: Line| row.level(UNKNOWN);
        let tape = tripped(P3, 30, 190.0)
            .during(22..24, unsure)
            .during(30..33, unsure);
        check("H-02", tape, &[(24, "", Some(33))]);
    }

    fn all_dead(level: f64) -> Tape {
        Tape::minutes(60)
            .during(.., |row| row.level(level))
            .during(20..30, |row| row.all_off().on(P2, 0.0))
    }

    #[test]
    fn h_03_raises_when_no_pump_draws_power_below_25_percent() {
        assert_eq!(
            check("H-03", all_dead(120.0), &[(20, "", Some(30))]),
            [24.0]
        );
    }

    #[test]
    fn h_03_lets_25_percent_and_one_pump_with_power_pass() {
        check("H-03", all_dead(125.0), &[]);
        check(
            "H-03",
            all_dead(120.0).during(.., |row| row.kw(P6, 0.2)),
            &[],
        );
    }

    #[test]
    fn h_03_neither_raises_nor_resolves_on_unknown_power() {
        let tape = all_dead(120.0)
            .during(20..22, |row| row.kw(P6, UNKNOWN))
            .during(30..33, Line::no_powers);
        check("H-03", tape, &[(22, "", Some(33))]);
    }

    /// All off from 21:50 on, with flow until `end`; the night starts at 10.
    fn evening(end: i64, flow: f64) -> Tape {
        Tape::starting(21, 50, 80)
            .during(.., |row| row.all_off().flow(flow))
            .during(end.., |row| row.flow(0.3))
    }

    #[test]
    fn h_04_raises_after_more_than_15_minutes_of_night_flow_without_pumps() {
        let values = check("H-04", evening(40, 0.301), &[(25, "", Some(40))]);
        assert_eq!(values, [0.301]);
        let powered = evening(40, 5.0).during(.., |row| row.kw(P2, 5.0));
        check("H-04", powered, &[(25, "", Some(40))]);
    }

    #[test]
    fn h_04_needs_more_than_15_minutes_above_0_3() {
        check("H-04", evening(25, 5.0), &[]);
        check("H-04", evening(40, 0.3), &[]);
        check(
            "H-04",
            evening(40, 5.0).during(.., |row| row.on(P1, 30.0)),
            &[],
        );
    }

    #[test]
    fn h_04_starts_again_after_an_unknown_command_and_resolves_on_a_known_flow_only() {
        let tape = evening(50, 5.0)
            .at(24, |row| row.onoff(P6, UNKNOWN))
            .during(50..53, |row| row.flow(UNKNOWN));
        check("H-04", tape, &[(40, "", Some(53))]);
    }

    const DAY: i64 = 1440;

    #[test]
    fn h_05_raises_while_a_pump_overruns_and_its_efficiency_falls() {
        let tape = Tape::days(&[10.0, 9.5, 9.0, 9.0]).during(4500.., Line::all_off);
        let values = check("H-05", tape, &[(3 * DAY, "P1", Some(4500))]);
        assert_eq!(values, [-0.5]);
    }

    #[test]
    fn h_05_lets_a_steady_efficiency_and_a_pump_that_rests_pass() {
        check("H-05", Tape::days(&[10.0, 10.0, 10.0, 10.0]), &[]);
        let rests = |row: Line| {
            if row.at % DAY < 720 {
                row
            } else {
                row.all_off()
            }
        };
        check(
            "H-05",
            Tape::days(&[10.0, 9.5, 9.0, 9.0]).during(.., rests),
            &[],
        );
    }

    #[test]
    fn h_05_neither_raises_nor_resolves_after_a_day_without_rows() {
        // The day after the gap is better, so the week that ends with it rises.
        let tape = Tape::days(&[10.0, 9.5, 9.0, 9.0, UNKNOWN, 12.0, 12.0]).gap(4 * DAY..5 * DAY);
        check("H-05", tape, &[(3 * DAY, "P1", Some(6 * DAY))]);
        let tape = Tape::days(&[10.0, 9.5, 9.0, UNKNOWN, 8.0]).gap(3 * DAY..4 * DAY);
        check("H-05", tape, &[]);
    }
}
