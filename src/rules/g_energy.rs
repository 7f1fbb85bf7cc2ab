//! G: energy and tariff.

use super::{
    Check, RULE, Rule, Severity, Value, limit,
    scene::{all, known},
};

/// G-01. Expensive water into a full tank.
pub(super) const PEAK_WITH_TANK_FULL: Rule = Rule {
    code: "G-01",
    name: "Pumping During Peak Tariff — Tank Full",
    severity: Severity::Warning,
    condition: "peak tariff, level > 80 %, a pump on, level rising",
    limits: &[limit("level_above_pct", 80.0, "%")],
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
    limits: &[limit("below_pct", 80.0, "%")],
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
