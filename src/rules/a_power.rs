//! A: the power supply of the station.

use super::{Check, Mask, RULE, Rule, Severity, Value, above, below, limit};
use crate::row::{all, at_least, known};
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
    limits: &[above("change_pct", 30.0, "%")],
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
        below("level_below_pct", 50.0, "%"),
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

#[cfg(test)]
mod tests {
    use crate::rules::tape::*;

    /// Everything dead from 20 to 35 while the tank falls.
    fn outage() -> Tape {
        outage_until(35)
    }

    fn outage_until(end: i64) -> Tape {
        Tape::minutes(100)
            .during(.., |row| row.level(300.0 - 0.5 * row.at as f64))
            .during(20..end, Line::all_off)
    }

    #[test]
    fn a_01_raises_when_everything_dies_while_the_tank_falls() {
        assert_eq!(check("A-01", outage(), &[(20, "", Some(35))]), [58.0]);
    }

    #[test]
    fn a_01_looks_back_for_power_3_minutes_and_not_4() {
        let falls_from = |start: i64| {
            Tape::minutes(60)
                .during(20..35, Line::all_off)
                .during(.., |row| {
                    row.level(300.0 - (row.at - start + 1).max(0) as f64)
                })
        };
        check("A-01", falls_from(22), &[(22, "", Some(35))]);
        check("A-01", falls_from(23), &[]);
    }

    #[test]
    fn a_01_neither_raises_nor_resolves_on_unknown_power() {
        let unsure = |row: Line| row.kw(P6, UNKNOWN);
        check("A-01", outage().during(20..23, unsure), &[]);
        let unsure = |row: Line| row.onoff(P1, UNKNOWN).kw(P1, UNKNOWN);
        let tape = outage().during(35..40, unsure);
        check("A-01", tape, &[(20, "", Some(40))]);
    }

    /// P2 dead from 20 to 30 while P3 alone runs beside it.
    fn circuit(end: i64, p3_kw: f64) -> Tape {
        Tape::minutes(60)
            .during(.., |row| row.all_off().on(P3, p3_kw))
            .during(20..end, |row| row.on(P2, 0.0))
    }

    #[test]
    fn a_02_raises_after_more_than_1_minute_beside_a_pump_at_normal_load() {
        for normal_kw in [12.0, 39.0] {
            let values = check("A-02", circuit(30, normal_kw), &[(21, "P2", Some(30))]);
            assert_eq!(values, [0.0]);
        }
    }

    #[test]
    fn a_02_needs_more_than_1_minute_and_a_normal_load_beside_it() {
        check("A-02", circuit(21, 30.0), &[]);
        check("A-02", circuit(30, 11.9), &[]);
        check("A-02", circuit(30, 39.1), &[]);
    }

    #[test]
    fn a_02_starts_again_after_unknown_power_and_resolves_on_a_known_command_only() {
        let tape = circuit(30, 30.0)
            .at(21, |row| row.kw(P3, UNKNOWN))
            .during(30..35, |row| row.onoff(P2, UNKNOWN));
        check("A-02", tape, &[(23, "P2", Some(35))]);
    }

    #[test]
    fn a_03_tells_of_power_back_after_an_outage() {
        assert_eq!(check("A-03", outage(), &[(35, "", Some(35))]), [30.0]);
    }

    #[test]
    fn a_03_waits_60_minutes_and_not_61() {
        check("A-03", outage_until(80), &[(80, "", Some(80))]);
        check("A-03", outage_until(81), &[]);
    }

    #[test]
    fn a_03_waits_for_a_known_power() {
        let unsure = |row: Line| row.onoff(P1, UNKNOWN).kw(P1, UNKNOWN);
        check("A-03", outage().at(35, unsure), &[(36, "", Some(36))]);
    }

    fn jump(to_kw: f64) -> Tape {
        Tape::minutes(40).during(20.., |row| row.kw(P1, to_kw))
    }

    #[test]
    fn a_04_raises_on_a_jump_by_more_than_30_percent_up_or_down() {
        assert_eq!(check("A-04", jump(39.1), &[(20, "P1", Some(21))]), [39.1]);
        assert_eq!(check("A-04", jump(20.9), &[(20, "P1", Some(21))]), [20.9]);
    }

    #[test]
    fn a_04_lets_a_jump_by_30_percent_and_from_or_to_zero_pass() {
        check("A-04", jump(39.0), &[]);
        check("A-04", jump(0.1), &[]);
        check("A-04", jump(40.0).during(..20, |row| row.kw(P1, 0.1)), &[]);
    }

    #[test]
    fn a_04_neither_raises_nor_resolves_without_the_minute_before() {
        check("A-04", jump(40.0).gap(19..20), &[]);
        check("A-04", jump(40.0).gap(21..22), &[(20, "P1", Some(23))]);
    }

    /// All off from 20 to `end` with a low and steady tank.
    fn idle(end: i64, level: f64) -> Tape {
        Tape::minutes(1500)
            .during(.., |row| row.level(level))
            .during(20..end, Line::all_off)
    }

    #[test]
    fn a_05_raises_after_more_than_30_minutes_without_a_command() {
        let values = check("A-05", idle(60, 240.0), &[(50, "", Some(60))]);
        assert_eq!(values, [48.0]);
        // The last power, at 19, leaves the 24 hours.
        check("A-05", idle(1500, 240.0), &[(50, "", Some(1459))]);
    }

    #[test]
    fn a_05_needs_more_than_30_minutes_and_less_than_50_percent() {
        check("A-05", idle(50, 240.0), &[]);
        check("A-05", idle(60, 250.0), &[]);
    }

    #[test]
    fn a_05_starts_again_after_an_unknown_command() {
        let tape = idle(75, 240.0)
            .at(40, |row| row.onoff(P6, UNKNOWN))
            .during(75..80, |row| row.onoff(P1, UNKNOWN));
        check("A-05", tape, &[(71, "", Some(80))]);
    }
}
