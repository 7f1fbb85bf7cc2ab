//! E: run times, starts and efficiency of the pumps.

use super::{Check, RULE, Rule, Severity, Value, limit, scene::all};

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
        limit("starts_above", 4.0, "starts"),
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
        limit("starts_above", 10.0, "starts"),
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
    limits: &[limit("below_pct", 80.0, "%")],
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
