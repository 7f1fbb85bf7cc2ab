//! Simulated days, as they are and with one instrument spoilt.

use jiff::civil::date;

use super::*;
use crate::{
    config::Config,
    simulate::{FaultScript, Simulator, Station},
};

const DATE: &str = "2025-03-04";

/// The plant of the simulated station.
fn plant() -> Plant {
    let station = Station::default();
    let text = format!(
        "[site]\nid = \"x\"\nrated_kw = {:?}\nhlt_physical_max = {:?}\nhlt_volume_m3 = {:?}\nfit101_physical_max = {:?}\n",
        station.rated_kw,
        station.hlt_physical_max,
        station.tank_volume_m3,
        station.fit101_physical_max,
    );
    let config = Config::parse(&text, std::path::Path::new("."));
    let plant = config.unwrap_or_else(|faults| panic!("{faults:?}")).plant;
    (*plant).clone()
}

/// A day of the simulated station, its second one.
fn day(seed: u64) -> Vec<DayMinute> {
    let start = date(2025, 3, 3).at(0, 0, 0, 0);
    let mut simulator = Simulator::new(Station::default(), seed, start, FaultScript::default());
    let midnight = day_of(DATE).expect("a date") * DAY_MIN;
    let minutes = (0..2 * DAY_MIN).map(|minute| {
        let mut bytes = Vec::new();
        simulator.next_minute(&mut bytes);
        let mut values = crate::tags::NO_VALUES;
        for line in std::str::from_utf8(&bytes).expect("text").lines() {
            let cells: Vec<_> = line.split(',').collect();
            if let (Ok(slot), Ok(value)) = (cells[2].parse::<usize>(), cells[3].parse()) {
                values[slot] = value;
            }
        }
        let local = midnight - DAY_MIN + minute;
        DayMinute { local, values }
    });
    minutes.skip(DAY_MIN as usize).collect()
}

/// A day like those before it.
fn beside(usual_level_per_flow: Option<f64>) -> Beside {
    Beside {
        minutes: DAY_MIN as usize,
        arrival_lag_s: Some(20),
        usual_level_per_flow,
        former_level_per_flow: usual_level_per_flow,
        has_values: [true; TAGS],
    }
}

fn judged(minutes: &[DayMinute], usual_level_per_flow: Option<f64>) -> DayQuality {
    judge(&plant(), DATE, minutes, beside(usual_level_per_flow))
}

#[test]
fn a_good_day_has_good_figures_and_no_finding() {
    for seed in 1..=8 {
        let day = judged(&day(seed), None);
        assert_eq!(day.findings, Vec::<String>::new(), "seed {seed}: {day:?}");
        assert!((day.rows_pct - 100.0).abs() < 1e-9 && (day.values_pct - 100.0).abs() < 1e-9);
        let follows = day.level_per_flow.expect("pumps were switched");
        assert!((follows - 1.0).abs() < 0.15, "seed {seed}: {follows}");
        assert!(day.day_total_pct.expect("water flowed").abs() < 1.0);
        let is_counted = |diff: &Option<i64>| diff.is_some_and(|diff| diff.abs() <= 2);
        assert!(
            day.runtime_diff_min.iter().all(is_counted),
            "seed {seed}: {day:?}"
        );
    }
}

#[test]
fn each_instrument_that_is_spoilt_is_found_and_no_other() {
    type Spoil = fn(&mut Vec<DayMinute>);
    let cases: [(&str, Option<f64>, Spoil); 14] = [
        ("60 of 1440 minutes have no row", None, |day| {
            drop(day.drain(300..360))
        }),
        ("are missing: [PLC]HLT101.OUTPUT in 720 min", None, |day| {
            day[..720]
                .iter_mut()
                .for_each(|it| it.values[LEVEL] = f64::NAN);
        }),
        (
            "for 9 min values were outside what their instruments can mean: ",
            None,
            |day| {
                day[100..109]
                    .iter_mut()
                    .for_each(|it| it.values[FLOW] = 1e9);
            },
        ),
        ("instruments can mean: P3 power", None, |day| {
            day[100..109]
                .iter_mut()
                .for_each(|it| it.values[kw(2)] = -5.0);
        }),
        ("instruments can mean: P4 RHR and RMIN", None, |day| {
            day[100..109]
                .iter_mut()
                .for_each(|it| it.values[runtime_min(3)] = 75.0);
        }),
        ("the level stood still for", None, |day| {
            let level = day[600].values[LEVEL];
            day[600..900]
                .iter_mut()
                .for_each(|it| it.values[LEVEL] = level);
        }),
        ("site.hlt_volume_m3", None, |day| {
            let middle = day[0].values[LEVEL];
            for minute in day {
                minute.values[LEVEL] = middle + 0.6 * (minute.values[LEVEL] - middle);
            }
        }),
        ("drifts", Some(0.92), |day| {
            for minute in day {
                minute.values[FLOW] *= 0.8;
                minute.values[DAY_TOTAL] *= 0.8;
            }
        }),
        ("DAY_TOTAL counts", None, |day| {
            day.iter_mut().for_each(|it| it.values[DAY_TOTAL] *= 1.1);
        }),
        ("reset 60 min after midnight", None, |day| {
            let mut total = 5000.0;
            for (place, minute) in day.iter_mut().enumerate() {
                total = if place == 60 { 0.0 } else { total } + minute.values[FLOW] / 60.0;
                minute.values[DAY_TOTAL] = total;
            }
        }),
        ("reset 60 min before midnight", None, |day| {
            let total = day[1379].values[DAY_TOTAL];
            day[1380..]
                .iter_mut()
                .for_each(|it| it.values[DAY_TOTAL] -= total);
        }),
        ("the running hours of P2 count 90 min more", None, |day| {
            for (place, minute) in day.iter_mut().enumerate() {
                let more = place.min(90) as f64;
                minute.values[runtime_h(1)] +=
                    ((minute.values[runtime_min(1)] + more) / 60.0).floor();
                minute.values[runtime_min(1)] = (minute.values[runtime_min(1)] + more) % 60.0;
            }
        }),
        ("the flow stood still for", None, |day| {
            let flows = |it: &DayMinute| it.values[FLOW] > 0.0;
            let busy = day.windows(62).position(|hour| hour.iter().all(flows));
            let busy = busy.expect("it pumps for an hour");
            let flow = day[busy].values[FLOW];
            for minute in &mut day[busy..busy + 62] {
                minute.values[FLOW] = flow;
            }
        }),
        ("clock is 45 s ahead", None, |_| {}),
    ];
    for (expected, usual, spoil) in cases {
        let mut minutes = day(1);
        spoil(&mut minutes);
        let mut day = judged(&minutes, usual);
        if expected.contains("clock is") {
            let beside = Beside {
                arrival_lag_s: Some(-45),
                ..beside(None)
            };
            day = judge(&plant(), DATE, &minutes, beside);
        }
        let found = &day.findings;
        assert!(
            found.len() == 1 && found[0].contains(expected),
            "{expected}: {day:?}"
        );
    }
}

#[test]
fn a_slow_drift_is_held_against_what_was_long_ago() {
    let mut minutes = day(1);
    for minute in &mut minutes {
        minute.values[FLOW] *= 0.8;
        minute.values[DAY_TOTAL] *= 0.8;
    }
    let ratio = judged(&minutes, None).level_per_flow.expect("it follows");
    let of = |former| Beside {
        former_level_per_flow: Some(former),
        ..beside(Some(ratio))
    };
    assert_eq!(judge(&plant(), DATE, &minutes, of(ratio)).findings, [""; 0]);
    let found = judge(&plant(), DATE, &minutes, of(0.8 * ratio)).findings;
    assert!(
        found.len() == 1 && found[0].contains("months ago by"),
        "{found:?}"
    );
    // A tank that follows wrongly is told of for as long as it does.
    let middle = minutes[0].values[LEVEL];
    for minute in &mut minutes {
        minute.values[LEVEL] = middle + 0.4 * (minute.values[LEVEL] - middle);
    }
    let found = judged(&minutes, judged(&minutes, None).level_per_flow).findings;
    assert!(
        found.len() == 1 && found[0].contains("site.hlt_volume_m3"),
        "{found:?}"
    );
}

#[test]
fn tags_that_a_station_does_not_have_are_not_missed() {
    let mut minutes = day(1);
    for minute in &mut minutes {
        for pump in 4..PUMPS {
            minute.values[runtime_h(pump)] = f64::NAN;
            minute.values[runtime_min(pump)] = f64::NAN;
        }
    }
    let of = |has_values| Beside {
        has_values,
        ..beside(None)
    };
    assert_eq!(
        judge(&plant(), DATE, &minutes, of([false; TAGS])).findings,
        [""; 0]
    );
    let found = judge(&plant(), DATE, &minutes, of([true; TAGS])).findings;
    assert!(
        found.len() == 1 && found[0].contains("5760 values are missing"),
        "{found:?}"
    );
}

#[test]
fn an_empty_day_is_no_panic() {
    let day = judged(&[], None);
    assert_eq!(day.rows, 0);
    assert_eq!(
        day.findings.first().map(String::as_str),
        Some("1440 of 1440 minutes have no row")
    );
}
