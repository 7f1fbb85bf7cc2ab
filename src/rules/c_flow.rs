//! C: the flow meter, and what the flow says of the station.

use super::{
    Check, Mask, RULE, Rule, Severity, Truth, Value, limit,
    scene::{Scene, all, known},
};
use crate::tags::{DAY_TOTAL, FLOW, PUMPS};

/// C-01. Water moves while nothing pumps: a passing check valve, a siphon, or a meter that drifts.
pub(super) const FLOW_WITHOUT_PUMPS: Rule = Rule {
    code: "C-01",
    name: "Flow Detected — No Pumps Running",
    severity: Severity::High,
    condition: "flow > 0.1 m³/h while no pump is on and all kW are zero",
    for_min: 3,
    limits: &[limit("flow_above", 0.1, "m³/h")],
    check: Check::Station(|s, &[flow_above, ..]| idle_with_flow_above(s, flow_above)),
    value: Value::Station(|s| s.row.values[FLOW]),
    message: |t| {
        format!(
            "The meter shows {:.1} m³/h although no pump has run for more than {} min",
            t.value, t.for_min
        )
    },
    ..RULE
};

fn idle_with_flow_above(s: &Scene<'_>, flow_above: f64) -> Truth {
    all([
        s.flow().map(|flow| flow > flow_above),
        s.none_on(),
        s.all_dead(),
    ])
}

/// C-02. A burst, or a valve that opened.
pub(super) const FLOW_SPIKE: Rule = Rule {
    code: "C-02",
    name: "Flow Spike — Sudden Large Increase",
    severity: Severity::Warning,
    condition: "flow z-score over 60 min > 3.5 and a rise within the minute of more than 0.5 × the 60-minute mean",
    limits: &[
        limit("z_above", 3.5, "σ"),
        limit("rise_factor", 0.5, "× mean"),
    ],
    check: Check::Station(|s, &[z_above, rise_factor, ..]| {
        let (z, diff) = (known(s.derived.flow_z_score)?, known(s.derived.flow_diff)?);
        Some(z > z_above && diff > rise_factor * known(s.derived.flow_mean_60)?)
    }),
    mask: Mask::Switching,
    value: Value::Station(|s| s.row.values[FLOW]),
    message: |t| {
        format!(
            "Flow jumped to {:.1} m³/h, more than {} standard deviations above the last hour",
            t.value, t.limits[0]
        )
    },
    ..RULE
};

/// C-03. The flow collapses although the running pumps draw what they should.
pub(super) const FLOW_CRASH: Rule = Rule {
    code: "C-03",
    name: "Flow Crash — Sudden Large Decrease",
    severity: Severity::High,
    condition: "flow z-score over 60 min < −3.5, flow < 0.8 × the 60-minute mean, a pump on, and every pump that is on at 0.4 to 1.3 × rated",
    limits: &[
        limit("z_below", -3.5, "σ"),
        limit("mean_factor", 0.8, "× mean"),
        limit("load_min", 0.4, "× rated"),
        limit("load_max", 1.3, "× rated"),
    ],
    check: Check::Station(|s, &[z_below, mean_factor, load_min, load_max]| {
        let (z, flow, mean) = (
            known(s.derived.flow_z_score)?,
            s.flow()?,
            known(s.derived.flow_mean_60)?,
        );
        let loaded = (0..PUMPS).try_fold(true, |so_far, pump| {
            let rated = s.plant.rated_kw[pump];
            let normal = if s.on(pump)? {
                s.kw(pump)
                    .map(|kw| load_min * rated <= kw && kw <= load_max * rated)?
            } else {
                true
            };
            Some(so_far && normal)
        });
        all([
            Some(z < z_below && flow < mean_factor * mean),
            s.on_at_least(1),
            loaded,
        ])
    }),
    mask: Mask::Switching,
    value: Value::Station(|s| s.row.values[FLOW]),
    message: |t| {
        format!(
            "Flow fell to {:.1} m³/h, below {} × the last hour's mean, while the pumps draw normal power",
            t.value, t.limits[1]
        )
    },
    ..RULE
};

/// C-04. A day-long loss of flow at the same energy: clogging, wear, a throttled valve.
pub(super) const FLOW_DECLINE: Rule = Rule {
    code: "C-04",
    name: "Gradual Flow Decline — Clogging Trend",
    severity: Severity::Warning,
    condition: "at each full hour: mean flow of the last 24 h < 0.85 × that of the 24 h before, at 0.95 × its energy or more",
    limits: &[
        limit("flow_factor", 0.85, "× before"),
        limit("energy_factor", 0.95, "× before"),
        limit("hours_min", 20.0, "h"),
    ],
    check: Check::HourClose(|c, &[flow_factor, energy_factor, hours_min, ..]| {
        let means = c.hours.day_means(c.minute, hours_min as usize)?;
        Some(
            means.flow_now < flow_factor * means.flow_before
                && means.kwh_now >= energy_factor * means.kwh_before,
        )
    }),
    value: Value::Closing(|c, _| {
        c.hours
            .day_means(c.minute, 1)
            .map_or(f64::NAN, |means| means.flow_now / means.flow_before * 100.0)
    }),
    message: |t| {
        format!(
            "Flow over 24 h is down to {:.1} % of the day before at the same energy: clogging trend",
            t.value
        )
    },
    ..RULE
};

/// C-05. Water moves at night with everything off.
pub(super) const NIGHT_FLOW: Rule = Rule {
    code: "C-05",
    name: "Night Flow — No Pumps Commanded",
    severity: Severity::Warning,
    condition: "between 22:00 and 05:59: flow > 0.2 m³/h while no pump is on and all kW are zero",
    limits: &[limit("flow_above", 0.2, "m³/h")],
    check: Check::Station(|s, &[flow_above, ..]| {
        all([Some(s.is_night()), idle_with_flow_above(s, flow_above)])
    }),
    value: Value::Station(|s| s.row.values[FLOW]),
    message: |t| {
        format!(
            "The meter shows {:.1} m³/h at night with no pump commanded",
            t.value
        )
    },
    ..RULE
};

/// C-06. The meter stands although a pump was switched.
pub(super) const FLOW_FROZEN: Rule = Rule {
    code: "C-06",
    name: "Flow Sensor Frozen — Stuck Reading",
    severity: Severity::Warning,
    condition: "flow unchanged, and a pump switched within the unchanged stretch at least 5 min ago",
    for_min: 15,
    limits: &[limit("switch_age_min", 5.0, "min")],
    check: Check::Frozen(|s, l, for_min| s.recent.flow_frozen(s.minute, l[0] as i64, for_min)),
    value: Value::Station(|s| s.row.values[FLOW]),
    message: |t| {
        format!(
            "The flow has stood at {:.1} m³/h for more than {} min although a pump was switched",
            t.value, t.for_min
        )
    },
    ..RULE
};

/// C-07. The totaliser stands while water flows.
pub(super) const DAY_TOTAL_STANDS: Rule = Rule {
    code: "C-07",
    name: "Daily Flow Total Not Advancing",
    severity: Severity::Warning,
    condition: "DAY_TOTAL equal to the previous row's while flow > 0",
    for_min: 30,
    check: Check::Station(|s, _| {
        let before = known(s.last?.values[DAY_TOTAL])?;
        all([s.day_total().map(|total| total == before), s.flows()])
    }),
    value: Value::Station(|s| s.row.values[DAY_TOTAL]),
    message: |t| {
        format!(
            "The daily total has stood at {:.1} m³ for more than {} min while water flows",
            t.value, t.for_min
        )
    },
    ..RULE
};
