//! A: the power supply of the station.

use super::{
    Check, Mask, RULE, Rule, Severity, Value, limit,
    scene::{all, at_least, known},
};
use crate::tags::{PUMPS, kw, onoff};

/// The supply failed: everything off and dead while the tank falls, and a moment ago something ran.
pub(super) const POWER_OUTAGE: Rule = Rule {
    code: "A-01",
    name: "Complete Power Outage",
    severity: Severity::Critical,
    condition: "no pump on, all kW zero, level falling, and any kW > 0 within the last 3 min; stays active while no pump is on and all kW are zero",
    limits: &[limit("look_back_min", 3.0, "min")],
    check: Check::Latched {
        raise: |s, &[look_back_min, ..]| {
            let ran = s
                .last_power_before
                .is_some_and(|at| s.minute - at <= look_back_min as i64);
            all([
                s.none_on(),
                s.all_dead(),
                s.level_diff().map(|diff| diff < 0.0),
                Some(ran),
            ])
        },
        stays: |s, _| all([s.none_on(), s.all_dead()]),
    },
    mask: Mask::NormalStop,
    value: Value::Station(|s| s.derived.level_pct),
    message: |t| {
        format!(
            "All pumps lost power at once with the tank at {:.1} % and falling",
            t.value
        )
    },
    ..RULE
};

/// One circuit failed: this pump is dead while another one runs normally.
pub(super) const CIRCUIT_LOST: Rule = Rule {
    code: "A-02",
    name: "Partial Power Failure — Circuit Lost",
    severity: Severity::Critical,
    condition: "pump on with kW zero while another pump is on with 0.4 to 1.3 × its rated kW",
    for_min: 1,
    limits: &[
        limit("load_min", 0.4, "× rated"),
        limit("load_max", 1.3, "× rated"),
    ],
    check: Check::EachPump(|s, pump, &[load_min, load_max, ..]| {
        let others = (0..PUMPS).filter(|&other| other != pump).map(|other| {
            let rated = s.plant.rated_kw[other];
            all([
                s.on(other),
                s.kw(other)
                    .map(|kw| load_min * rated <= kw && kw <= load_max * rated),
            ])
        });
        all([s.on(pump), s.dead(pump), at_least(1, others)])
    }),
    value: Value::Pump(|s, pump| s.row.values[kw(pump)]),
    message: |t| {
        format!(
            "{} is commanded on but draws {:.1} kW while another pump runs normally: its circuit is lost",
            t.pump, t.value
        )
    },
    ..RULE
};

/// Power is back within the hour.
pub(super) const POWER_RESTORED: Rule = Rule {
    code: "A-03",
    name: "Power Restored After Outage",
    severity: Severity::Info,
    condition: "any kW > 0 while A-01 was active, at most 60 min after it was raised",
    limits: &[limit("within_min", 60.0, "min")],
    check: Check::Event(|s, &[within_min, ..]| {
        let outage = s
            .outage_before
            .is_some_and(|since| s.minute - since <= within_min as i64);
        all([Some(outage), s.any_draws()])
    }),
    value: Value::Station(|s| s.derived.total_kw),
    message: |t| {
        format!(
            "Power is back after the outage: the pumps draw {:.1} kW",
            t.value
        )
    },
    ..RULE
};

/// The pump's power jumps although nothing was switched.
pub(super) const POWER_FLUCTUATION: Rule = Rule {
    code: "A-04",
    name: "Power Fluctuation — Unstable Supply",
    severity: Severity::Warning,
    condition: "kW changed by more than 30 % within a minute, pump on and kW > 0 at both minutes, no pump switched",
    limits: &[limit("change_pct", 30.0, "%")],
    check: Check::EachPump(|s, pump, &[change_pct, ..]| {
        let previous = s.previous()?;
        let (kw_now, kw_before) = (s.kw(pump)?, known(previous.values[kw(pump)])?);
        let (on_now, on_before) = (s.on(pump)?, known(previous.values[onoff(pump)])? == 1.0);
        let both_draw = kw_now > s.plant.zero_kw && kw_before > s.plant.zero_kw;
        let jumped = (kw_now - kw_before).abs() > change_pct / 100.0 * kw_before;
        Some(on_now && on_before && both_draw && jumped && !s.switched)
    }),
    mask: Mask::Switching,
    value: Value::Pump(|s, pump| s.row.values[kw(pump)]),
    message: |t| {
        format!(
            "{} jumped to {:.1} kW, a change of more than {} % within a minute",
            t.pump, t.value, t.limits[0]
        )
    },
    ..RULE
};

/// There is power, the tank is low, and nothing is asked to run.
pub(super) const IDLE_WITH_POWER: Rule = Rule {
    code: "A-05",
    name: "Electricity Present — No Pumps Commanded",
    severity: Severity::Info,
    condition: "all six pumps off; now: level < 50 %, A-01 not active, any kW > 0 within 24 h",
    for_min: 30,
    limits: &[
        limit("level_below_pct", 50.0, "%"),
        limit("power_within_h", 24.0, "h"),
    ],
    check: Check::Station(|s, _| all([s.off(0), s.off(1), s.off(2), s.off(3), s.off(4), s.off(5)])),
    now: Some(|s, &[level_below_pct, power_within_h, ..]| {
        let powered = s
            .last_power
            .is_some_and(|at| s.minute - at < (power_within_h * 60.0) as i64);
        all([
            s.level_pct().map(|pct| pct < level_below_pct),
            Some(!s.outage),
            Some(powered),
        ])
    }),
    value: Value::Station(|s| s.derived.level_pct),
    message: |t| {
        format!(
            "No pump has been commanded for more than {} min while the tank stands at {:.1} %, below {} %, and power is present",
            t.for_min, t.value, t.limits[0]
        )
    },
    ..RULE
};
