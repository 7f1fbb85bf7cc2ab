//! E: run times, starts and efficiency of the pumps.

use super::{Check, RULE, Rule, Severity, Value, above, below, limit};
use crate::row::all;

/// E-01. A pump never rests.
pub(super) const PUMP_OVERRUN: Rule = Rule {
    code: "E-01",
    name: "Pump Overrun — Continuous Run Exceeded",
    severity: Severity::Warning,
    condition: "the pump's running session is longer than 1200 min",
    limits: &[limit("run_above_min", 1200.0, "min")],
    check: Check::EachPump(|s, pump, &[run_above_min, ..]| {
        Some(
            s.pumps[pump]
                .running_min(s.minute)
                .is_some_and(|min| min as f64 > run_above_min),
        )
    }),
    value: Value::Pump(|s, pump| {
        s.pumps[pump]
            .running_min(s.minute)
            .map_or(f64::NAN, |min| min as f64)
    }),
    message: |t| {
        format!(
            "{} has run for {} min without a stop, more than {} min",
            t.pump, t.value, t.limits[0]
        )
    },
    ..RULE
};

/// E-02. Everything runs for hours and the tank does not rise.
pub(super) const ALL_ON: Rule = Rule {
    code: "E-02",
    name: "All Pumps ON Simultaneously — Extended",
    severity: Severity::Warning,
    condition: "all six pumps on; now: net level change over 10 min ≤ 0",
    for_min: 120,
    limits: &[limit("net_change_min", 10.0, "min")],
    check: Check::Station(|s, _| s.on_at_least(6)),
    now: Some(|s, &[net_change_min, ..]| {
        s.net_level_change(net_change_min)
            .map(|change| change <= 0.0)
    }),
    off_delay_min: 5,
    value: Value::HeldMin,
    message: |t| {
        format!(
            "All six pumps have been on for {} min and the tank does not rise",
            t.value
        )
    },
    ..RULE
};

/// E-03. A level switch that chatters, a tank that is too small, a leaking check valve.
pub(super) const SHORT_CYCLING: Rule = Rule {
    code: "E-03",
    name: "Short Cycling — Single Pump",
    severity: Severity::Warning,
    condition: "more than 4 starts within 60 min, and the sessions ended in that time shorter than 5 min on average",
    limits: &[
        above("starts_above", 4.0, "starts"),
        limit("run_below_min", 5.0, "min"),
    ],
    check: Check::EachPump(|s, pump, &[starts_above, run_below_min, ..]| {
        let track = &s.pumps[pump];
        let many = track.starts_within_hour() as f64 > starts_above;
        all([
            Some(many),
            track.mean_ended_min().map(|mean| mean < run_below_min),
        ])
    }),
    value: Value::Pump(|s, pump| s.pumps[pump].starts_within_hour() as f64),
    message: |t| {
        format!(
            "{} started {} times within the hour and ran less than {} min on average",
            t.pump, t.value, t.limits[1]
        )
    },
    ..RULE
};

/// E-04. So many starts that windings and contactor are at risk.
pub(super) const RAPID_SHORT_CYCLING: Rule = Rule {
    code: "E-04",
    name: "Rapid Short Cycling — Imminent Failure",
    severity: Severity::High,
    condition: "more than 10 starts within 60 min, and the sessions ended in that time shorter than 3 min on average",
    limits: &[
        above("starts_above", 10.0, "starts"),
        limit("run_below_min", 3.0, "min"),
    ],
    check: SHORT_CYCLING.check,
    value: SHORT_CYCLING.value,
    message: SHORT_CYCLING.message,
    ..RULE
};

/// E-05. The pump delivers less per kWh than in the days before.
pub(super) const EFFICIENCY_DEGRADING: Rule = Rule {
    code: "E-05",
    name: "Pump Efficiency Degrading — Maintenance Due",
    severity: Severity::Info,
    condition: "at midnight: 7-day efficiency slope < 0 and the day's m³/kWh < 80 % of the mean of the 7 days before it",
    limits: &[below("below_pct", 80.0, "%")],
    check: Check::DayClose(|c, pump, &[below_pct, ..]| {
        let slope = c.days.slope(pump, c.days.closed_day)?;
        let share = c.days.share_of_days_before(pump)?;
        Some(slope < 0.0 && share < below_pct)
    }),
    value: Value::Closing(|c, pump| c.days.share_of_days_before(pump).unwrap_or(f64::NAN)),
    message: |t| {
        format!(
            "{} delivered {:.1} % of its usual m³ per kWh, below {} %: maintenance is due",
            t.pump, t.value, t.limits[0]
        )
    },
    ..RULE
};

#[cfg(test)]
mod tests {
    use crate::rules::tape::*;

    /// P1 on from the start to `end`.
    fn run(end: i64) -> Tape {
        Tape::minutes(1320).during(end.., Line::all_off)
    }

    #[test]
    fn e_01_raises_after_more_than_1200_minutes_holes_included() {
        assert_eq!(
            check("E-01", run(1300), &[(1201, "P1", Some(1300))]),
            [1201.0]
        );
        check("E-01", run(1300).gap(600..700), &[(1201, "P1", Some(1300))]);
    }

    #[test]
    fn e_01_lets_a_session_of_1200_minutes_pass() {
        check("E-01", run(1201), &[]);
    }

    #[test]
    fn e_01_goes_by_the_session_while_the_command_is_unknown() {
        let unsure = |row: Line| row.onoff(P1, UNKNOWN);
        let tape = run(1300)
            .during(1195..1205, unsure)
            .during(1300..1303, unsure);
        check("E-01", tape, &[(1201, "P1", Some(1303))]);
    }

    /// All on from 20 to `end` at a steady level.
    fn all_on(end: i64) -> Tape {
        Tape::minutes(300)
            .during(.., |row| row.level(300.0))
            .during(20..end, Line::all_on)
    }

    #[test]
    fn e_02_raises_after_more_than_120_minutes_with_all_on_and_no_rise() {
        // False from 160 on, for more than 5 minutes at 165.
        assert_eq!(check("E-02", all_on(160), &[(140, "", Some(165))]), [121.0]);
    }

    #[test]
    fn e_02_needs_more_than_120_minutes_all_six_and_no_rise() {
        check("E-02", all_on(140), &[]);
        check(
            "E-02",
            all_on(160).during(.., |row| row.onoff(P6, 0.0)),
            &[],
        );
        let rising = |row: Line| row.level(300.0 + 0.1 * row.at as f64);
        check("E-02", all_on(160).during(.., rising), &[]);
    }

    #[test]
    fn e_02_waits_until_a_rise_is_10_minutes_old() {
        let risen = |row: Line| row.level(301.0);
        let tape = all_on(160).during(135.., risen);
        check("E-02", tape, &[(145, "", Some(165))]);
    }

    #[test]
    fn e_02_starts_again_after_unknown_commands_on_its_way_in_and_out() {
        let tape = all_on(270)
            .at(139, |row| row.onoff(P6, UNKNOWN))
            .at(273, Line::no_commands);
        check("E-02", tape, &[(260, "", Some(279))]);
    }

    /// Starts of P2, 7 minutes apart.
    const FIVE: [i64; 5] = [5, 12, 19, 26, 33];

    #[test]
    fn e_03_raises_at_the_fifth_short_run_within_60_minutes() {
        // At 65 the start at 5 has left the 60 minutes.
        let values = check("E-03", Tape::cycles(&FIVE, 4), &[(33, "P2", Some(65))]);
        assert_eq!(values, [5.0]);
    }

    #[test]
    fn e_03_lets_four_starts_and_runs_of_5_minutes_pass() {
        check("E-03", Tape::cycles(&FIVE[..4], 2), &[]);
        check("E-03", Tape::cycles(&FIVE, 5), &[]);
        check("E-03", Tape::cycles(&[5, 20, 35, 50, 65], 2), &[]);
    }

    #[test]
    fn e_03_neither_raises_nor_resolves_without_a_known_end_of_a_run() {
        let unsure = |row: Line| row.onoff(P2, if row.at < 33 { UNKNOWN } else { 1.0 });
        check("E-03", Tape::cycles(&FIVE, 2).during(5..35, unsure), &[]);
        // After the hole no run has ended within 60 minutes until 112.
        let tape = Tape::cycles(&[5, 12, 19, 26, 33, 110], 2).gap(40..100);
        check("E-03", tape, &[(33, "P2", Some(112))]);
    }

    /// Starts of P2, 5 minutes apart.
    const ELEVEN: [i64; 11] = [2, 7, 12, 17, 22, 27, 32, 37, 42, 47, 52];

    #[test]
    fn e_04_raises_at_the_eleventh_run_within_60_minutes() {
        // At 62 the start at 2 has left the 60 minutes.
        let values = check("E-04", Tape::cycles(&ELEVEN, 2), &[(52, "P2", Some(62))]);
        assert_eq!(values, [11.0]);
    }

    #[test]
    fn e_04_lets_ten_starts_and_runs_of_3_minutes_pass() {
        check("E-04", Tape::cycles(&ELEVEN[..10], 2), &[]);
        check("E-04", Tape::cycles(&ELEVEN, 3), &[]);
    }

    #[test]
    fn e_04_neither_raises_nor_resolves_without_a_known_end_of_a_run() {
        let unsure = |row: Line| row.onoff(P2, if row.at < 52 { UNKNOWN } else { 1.0 });
        check("E-04", Tape::cycles(&ELEVEN, 2).during(2..54, unsure), &[]);
        let starts: Vec<_> = ELEVEN.into_iter().chain([130]).collect();
        let tape = Tape::cycles(&starts, 2).gap(56..120);
        check("E-04", tape, &[(52, "P2", Some(132))]);
    }

    const DAY: i64 = 1440;

    #[test]
    fn e_05_raises_at_midnight_below_80_percent_of_the_days_before() {
        let tape = Tape::days(&[10.0, 10.0, 10.0, 7.9, 10.0]);
        let values = check("E-05", tape, &[(4 * DAY, "P1", Some(5 * DAY))]);
        assert_eq!(values, [79.0]);
    }

    #[test]
    fn e_05_lets_80_percent_and_a_rising_week_pass() {
        check("E-05", Tape::days(&[10.0, 10.0, 10.0, 8.0]), &[]);
        // 10 is 78 % of the mean before, 12.8.
        check("E-05", Tape::days(&[2.0, 2.0, 20.0, 20.0, 20.0, 10.0]), &[]);
    }

    #[test]
    fn e_05_neither_raises_nor_resolves_on_a_day_without_a_value_or_a_mean() {
        check("E-05", Tape::days(&[10.0, 10.0, 7.9]), &[]);
        let tape = Tape::days(&[10.0, 10.0, 10.0, 7.9, UNKNOWN, 10.0]);
        check("E-05", tape, &[(4 * DAY, "P1", Some(6 * DAY))]);
    }
}
