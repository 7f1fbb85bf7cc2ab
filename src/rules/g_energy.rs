//! G: energy and tariff.

use super::{Check, RULE, Rule, Severity, Value, above, below};
use crate::row::{all, known};

/// G-01. Expensive water into a full tank.
pub(super) const PEAK_WITH_TANK_FULL: Rule = Rule {
    code: "G-01",
    name: "Pumping During Peak Tariff — Tank Full",
    severity: Severity::Warning,
    condition: "peak tariff, level > 80 %, a pump on, level rising",
    limits: &[above("level_above_pct", 80.0, "%")],
    check: Check::Station(|s, &[level_above_pct, ..]| {
        all([
            Some(s.derived.is_peak_hour),
            s.level_pct().map(|pct| pct > level_above_pct),
            s.on_at_least(1),
            s.level_diff().map(|diff| diff > 0.0),
        ])
    }),
    off_delay_min: 5,
    value: Value::Station(|s| s.derived.level_pct),
    message: |t| {
        format!(
            "Pumping at the peak tariff with the tank at {:.1} %, above {} %",
            t.value, t.limits[0]
        )
    },
    ..RULE
};

/// G-02. Energy is spent and no water moves.
pub(super) const ENERGY_WITHOUT_FLOW: Rule = Rule {
    code: "G-02",
    name: "Energy Consumed With Zero Flow",
    severity: Severity::High,
    condition: "total kW > 0 while the flow is zero",
    for_min: 5,
    check: Check::Station(|s, _| {
        all([
            known(s.derived.total_kw).map(|total| total > s.plant.zero_kw),
            s.flow_zero(),
        ])
    }),
    value: Value::Station(|s| s.derived.total_kw),
    message: |t| {
        format!(
            "The pumps draw {:.1} kW but no water has moved for more than {} min",
            t.value, t.for_min
        )
    },
    ..RULE
};

/// G-03. As E-05, against the days that end with this one.
pub(super) const EFFICIENCY_DROP: Rule = Rule {
    code: "G-03",
    name: "Pump Efficiency Drop — Below Slope Baseline",
    severity: Severity::Info,
    condition: "at midnight: 7-day efficiency slope < 0 and the day's m³/kWh < 80 % of the mean of the 7 days that end with it",
    limits: &[below("below_pct", 80.0, "%")],
    check: Check::DayClose(|c, pump, &[below_pct, ..]| {
        let slope = c.days.slope(pump, c.days.closed_day)?;
        let share = c.days.share_of_week(pump)?;
        Some(slope < 0.0 && share < below_pct)
    }),
    value: Value::Closing(|c, pump| c.days.share_of_week(pump).unwrap_or(f64::NAN)),
    message: |t| {
        format!(
            "{} delivered {:.1} % of its week's average m³ per kWh, below {} %",
            t.pump, t.value, t.limits[0]
        )
    },
    ..RULE
};

/// G-04. The day has taken more energy than planned.
pub(super) const BUDGET_EXCEEDED: Rule = Rule {
    code: "G-04",
    name: "Daily Energy Budget Exceeded",
    severity: Severity::Info,
    condition: "kWh since local midnight > daily_energy_budget_kwh; resolved at midnight",
    check: Check::UntilMidnight(|s, _| Some(s.today_kwh > s.plant.daily_energy_budget_kwh)),
    value: Value::Station(|s| s.today_kwh),
    message: |t| {
        format!(
            "The day's energy has reached {:.1} kWh, above the budget",
            t.value
        )
    },
    ..RULE
};

#[cfg(test)]
mod tests {
    use crate::rules::tape::*;

    /// From 09:30, so that the peak tariff ends at 30: rises from 80 % on, from 10 to `end`.
    fn full(end: i64) -> Tape {
        Tape::starting(9, 30, 60).during(.., |row| {
            row.level(400.0 + 0.1 * (row.at.min(end - 1) - 9).max(0) as f64)
        })
    }

    #[test]
    fn g_01_raises_on_a_rise_above_80_percent_at_the_peak_tariff() {
        // False from 30 on, for more than 5 minutes at 35.
        assert_eq!(check("G-01", full(60), &[(10, "", Some(35))]), [80.02]);
        check("G-01", full(15), &[(10, "", Some(20))]);
    }

    #[test]
    fn g_01_lets_80_percent_and_the_other_hours_pass() {
        check(
            "G-01",
            full(60).during(.., |row| row.level(390.0 + row.at.min(10) as f64)),
            &[],
        );
        check("G-01", full(60).during(..30, |row| row.level(400.0)), &[]);
        check("G-01", full(60).during(.., Line::all_off), &[]);
    }

    #[test]
    fn g_01_starts_again_after_an_unknown_command_on_its_way_in_and_out() {
        let unsure = |row: Line| row.onoff(P1, UNKNOWN);
        let tape = full(60).during(10..12, unsure).at(33, unsure);
        check("G-01", tape, &[(12, "", Some(39))]);
    }

    fn no_flow(end: i64, flow: f64) -> Tape {
        Tape::minutes(60).during(20..end, |row| row.flow(flow))
    }

    #[test]
    fn g_02_raises_after_more_than_5_minutes_of_power_without_flow() {
        assert_eq!(
            check("G-02", no_flow(30, 0.1), &[(25, "", Some(30))]),
            [30.0]
        );
    }

    #[test]
    fn g_02_needs_more_than_5_minutes_of_power_without_flow() {
        check("G-02", no_flow(25, 0.0), &[]);
        check("G-02", no_flow(30, 0.11), &[]);
        check(
            "G-02",
            no_flow(30, 0.0).during(.., |row| row.kw(P1, 0.1)),
            &[],
        );
    }

    #[test]
    fn g_02_starts_again_after_an_unknown_flow_and_resolves_on_known_power_only() {
        let tape = no_flow(40, 0.0)
            .at(24, |row| row.flow(UNKNOWN))
            .during(40..43, Line::no_powers);
        check("G-02", tape, &[(30, "", Some(43))]);
    }

    const DAY: i64 = 1440;

    #[test]
    fn g_03_raises_at_midnight_below_80_percent_of_the_week() {
        // 7 is 75.7 % of the mean of 10, 10, 10 and 7.
        let tape = Tape::days(&[10.0, 10.0, 10.0, 7.0, 10.0]);
        let values = check("G-03", tape, &[(4 * DAY, "P1", Some(5 * DAY))]);
        assert_eq!(values, [75.675676]);
        check(
            "G-03",
            Tape::days(&[10.0, 10.0, 7.0]),
            &[(3 * DAY, "P1", None)],
        );
    }

    #[test]
    fn g_03_lets_80_percent_and_a_rising_week_pass() {
        check("G-03", Tape::days(&[10.0, 10.0, 10.0, 7.5]), &[]);
        // 9 is 74 % of the mean, 12.2.
        check("G-03", Tape::days(&[2.0, 2.0, 20.0, 20.0, 20.0, 9.0]), &[]);
    }

    #[test]
    fn g_03_neither_raises_nor_resolves_on_a_day_without_a_value_or_a_mean() {
        check("G-03", Tape::days(&[10.0, 6.0]), &[]);
        let tape = Tape::days(&[10.0, 10.0, 10.0, 7.0, UNKNOWN, 10.0]);
        check("G-03", tape, &[(4 * DAY, "P1", Some(6 * DAY))]);
    }

    /// Half a kWh a row from 10:00 to `end`, and from midnight, at 840, on.
    fn energy(end: i64) -> Tape {
        Tape::minutes(870)
            .plant(|plant| plant.daily_energy_budget_kwh = 10.0)
            .during(end..840, Line::all_off)
    }

    #[test]
    fn g_04_raises_once_a_day_above_the_budget() {
        let expected = [(20, "", Some(840)), (860, "", None)];
        assert_eq!(check("G-04", energy(840), &expected), [10.5, 10.5]);
    }

    #[test]
    fn g_04_lets_exactly_the_budget_pass() {
        check("G-04", energy(20), &[(860, "", None)]);
    }

    #[test]
    fn g_04_adds_nothing_for_unknown_power_and_keeps_its_alert() {
        let tape = energy(840)
            .during(10..15, Line::no_powers)
            .during(30.., Line::no_powers);
        check("G-04", tape, &[(25, "", Some(840))]);
    }
}
