//! C: the flow meter, and what the flow says of the station.

use super::{Check, Mask, RULE, Rule, Severity, Value, above, below, limit, scene::Scene};
use crate::row::{Truth, all, known};
use crate::tags::{DAY_TOTAL, FLOW, PUMPS};

/// C-01. Water moves while nothing pumps: a passing check valve, a siphon, or a meter that drifts.
pub(super) const FLOW_WITHOUT_PUMPS: Rule = Rule {
    code: "C-01",
    name: "Flow Detected — No Pumps Running",
    severity: Severity::High,
    condition: "flow > 0.1 m³/h while no pump is on and all kW are zero",
    for_min: 3,
    limits: &[above("flow_above", 0.1, "m³/h")],
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
        above("z_above", 3.5, "σ"),
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
        below("z_below", -3.5, "σ"),
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
        below("flow_factor", 0.85, "× before"),
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
    limits: &[above("flow_above", 0.2, "m³/h")],
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

#[cfg(test)]
mod tests {
    use crate::rules::tape::*;

    fn flow_alone(end: i64, flow: f64) -> Tape {
        Tape::minutes(60).during(20..end, |row| row.all_off().flow(flow))
    }

    #[test]
    fn c_01_raises_after_more_than_3_minutes_of_flow_without_pumps() {
        let values = check("C-01", flow_alone(30, 0.101), &[(23, "", Some(30))]);
        assert_eq!(values, [0.101]);
    }

    #[test]
    fn c_01_needs_more_than_3_minutes_above_0_1() {
        check("C-01", flow_alone(23, 5.0), &[]);
        check("C-01", flow_alone(30, 0.1), &[]);
    }

    #[test]
    fn c_01_starts_again_after_an_unknown_flow_and_resolves_on_known_pumps_only() {
        let tape = flow_alone(30, 5.0)
            .at(22, |row| row.flow(UNKNOWN))
            .during(30..33, |row| row.onoff(P1, UNKNOWN).kw(P1, UNKNOWN));
        check("C-01", tape, &[(26, "", Some(33))]);
    }

    /// From 200 m³/h to another flow. One odd value among n has z = (n − 1) / √n: 3.47 at 14, 3.61 at 15, 4.36 at 21.
    fn step(minute: i64, flow: f64) -> Tape {
        Tape::minutes(60).during(minute.., |row| row.flow(flow))
    }

    #[test]
    fn c_02_raises_on_a_sudden_rise_by_more_than_half_the_mean() {
        // The mean of 21 values is 200 + 103 / 21 = 204.9.
        assert_eq!(
            check("C-02", step(20, 303.0), &[(20, "", Some(21))]),
            [303.0]
        );
        check("C-02", step(14, 400.0), &[(14, "", Some(15))]);
    }

    #[test]
    fn c_02_lets_a_rise_by_half_the_mean_or_3_5_deviations_pass() {
        check("C-02", step(20, 302.0), &[]);
        check("C-02", step(13, 400.0), &[]);
    }

    #[test]
    fn c_02_neither_raises_nor_resolves_without_the_flow_a_minute_before() {
        check("C-02", step(20, 400.0).gap(19..20), &[]);
        let tape = step(20, 400.0).at(21, |row| row.flow(UNKNOWN));
        check("C-02", tape, &[(20, "", Some(23))]);
    }

    #[test]
    fn c_03_raises_on_a_sudden_fall_at_normal_load() {
        // k odd values among n have z = √((n − k)(n − 1) / kn): 6.2, 4.4, 3.6, 3.1 from 40 on.
        assert_eq!(
            check("C-03", step(40, 100.0), &[(40, "", Some(43))]),
            [100.0]
        );
        check("C-03", step(14, 100.0), &[(14, "", Some(15))]);
    }

    #[test]
    fn c_03_lets_a_fall_by_3_5_deviations_or_to_0_8_of_the_mean_pass() {
        check("C-03", step(13, 100.0), &[]);
        // The mean of 41 values is 200 − 40 / 41 = 199.0, of which 0.8 is 159.2.
        check("C-03", step(40, 160.0), &[]);
        check("C-03", step(40, 159.0), &[(40, "", Some(41))]);
    }

    #[test]
    fn c_03_needs_0_4_to_1_3_times_rated_on_every_pump() {
        let loaded = |p3_kw| step(40, 100.0).during(.., |row| row.on(P3, p3_kw));
        check("C-03", loaded(11.9), &[]);
        check("C-03", loaded(12.0), &[(40, "", Some(43))]);
        check("C-03", loaded(39.0), &[(40, "", Some(43))]);
        check("C-03", loaded(39.1), &[]);
    }

    #[test]
    fn c_03_neither_raises_nor_resolves_on_unknown_power_or_flow() {
        let tape = step(40, 100.0)
            .at(40, |row| row.kw(P1, UNKNOWN))
            .during(43..45, |row| row.flow(UNKNOWN));
        check("C-03", tape, &[(41, "", Some(45))]);
    }

    /// Three days and an hour of hourly rows, the flow lower from the second day on.
    fn decline(flow: f64) -> Tape {
        Tape::starting(0, 0, 73 * 60 + 1)
            .every(60)
            .during(24 * 60.., |row| row.flow(flow))
    }

    #[test]
    fn c_04_raises_when_a_day_has_less_than_0_85_of_the_flow_before() {
        // 21 hours of 165 and 3 of 200 make 169.4 < 0.85 × 200; 19 of 200 and 5 of 165 before make 0.85 × 192.7 < 165.
        let expected = [(45 * 60, "", Some(53 * 60))];
        assert_eq!(check("C-04", decline(165.0), &expected), [84.6875]);
    }

    #[test]
    fn c_04_lets_a_flow_at_0_85_or_less_energy_pass() {
        check("C-04", decline(170.0), &[]);
        let saving = |kw| decline(165.0).during(24 * 60.., |row| row.kw(P1, kw));
        check("C-04", saving(28.0), &[]);
        check("C-04", saving(28.6), &[(45 * 60, "", Some(53 * 60))]);
    }

    #[test]
    fn c_04_neither_raises_nor_resolves_with_fewer_than_20_hours() {
        check("C-04", decline(165.0).gap(4 * 60..9 * 60), &[]);
        // Of the hours 47 to 51 the first leaves the last 24 at 72.
        let tape = decline(165.0).gap(47 * 60..52 * 60);
        check("C-04", tape, &[(45 * 60, "", Some(72 * 60))]);
    }

    /// All off, with flow until 30; the night starts at 10.
    fn evening(flow: f64) -> Tape {
        Tape::starting(21, 50, 60)
            .during(.., |row| row.all_off().flow(flow))
            .during(30.., |row| row.flow(0.2))
    }

    #[test]
    fn c_05_raises_on_flow_without_pumps_between_22_and_6() {
        let values = check("C-05", evening(0.201), &[(10, "", Some(30))]);
        assert_eq!(values, [0.201]);
        let morning = Tape::starting(5, 50, 60).during(.., |row| row.all_off().flow(5.0));
        check("C-05", morning, &[(0, "", Some(10))]);
    }

    #[test]
    fn c_05_lets_a_flow_of_0_2_and_a_pump_with_power_pass() {
        check("C-05", evening(0.2), &[]);
        check("C-05", evening(5.0).during(.., |row| row.kw(P2, 0.2)), &[]);
    }

    #[test]
    fn c_05_neither_raises_nor_resolves_on_unknown_commands_or_flow() {
        let tape = evening(5.0)
            .during(10..12, |row| row.onoff(P1, UNKNOWN))
            .during(30..33, |row| row.flow(UNKNOWN));
        check("C-05", tape, &[(12, "", Some(33))]);
    }

    #[test]
    fn c_06_raises_after_more_than_15_minutes_unchanged_over_a_pump_start() {
        let values = check("C-06", Tape::flow_stands(20..45, 25), &[(35, "", Some(45))]);
        assert_eq!(values, [150.0]);
        check("C-06", Tape::flow_stands(20..45, 35), &[(40, "", Some(45))]);
    }

    #[test]
    fn c_06_needs_more_than_15_minutes_and_a_start_5_minutes_ago_within_the_run() {
        check("C-06", Tape::flow_stands(20..35, 25), &[]);
        check("C-06", Tape::flow_stands(20..40, 35), &[]);
        check("C-06", Tape::flow_stands(20..45, 20), &[]);
    }

    #[test]
    fn c_06_starts_again_after_an_unknown_flow_and_resolves_on_a_known_one_only() {
        let unsure = |row: Line| row.flow(UNKNOWN);
        check("C-06", Tape::flow_stands(20..45, 25).at(30, unsure), &[]);
        let tape = Tape::flow_stands(20.., 25).during(45..48, unsure);
        check("C-06", tape, &[(35, "", Some(48))]);
    }

    /// The total stands at that of minute 20.
    fn total_stands(end: i64) -> Tape {
        Tape::minutes(100).during(20..end, |row| row.day_total(100.0))
    }

    #[test]
    fn c_07_raises_after_more_than_30_minutes_at_one_total() {
        let values = check("C-07", total_stands(60), &[(51, "", Some(60))]);
        assert_eq!(values, [100.0]);
    }

    #[test]
    fn c_07_needs_more_than_30_minutes_and_a_flow() {
        check("C-07", total_stands(51), &[]);
        check(
            "C-07",
            total_stands(60).during(.., |row| row.flow(0.1)),
            &[],
        );
    }

    #[test]
    fn c_07_starts_again_after_an_unknown_total_and_resolves_on_known_values_only() {
        // At 41 the total before is unknown, so the run starts at 42.
        let tape = total_stands(83)
            .at(40, |row| row.day_total(UNKNOWN))
            .during(80..83, |row| row.flow(UNKNOWN));
        check("C-07", tape, &[(72, "", Some(83))]);
    }
}
