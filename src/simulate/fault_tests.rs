//! Each kind of fault as it shows in the exported bytes.

use super::export::{TAG_DAY_TOTAL, TAG_FLOW, TAG_LEVEL, TAG_ON, TAG_POWER, TAG_RUNTIME};
use super::tests::{rows, run, simulator};
use super::*;

/// First minute of the fault and its length; the runs end an hour after it.
const BEGIN: usize = 10 * 60;
const LENGTH: usize = 30;
const RATED_KW: [f64; PUMPS] = [55.0, 55.0, 75.0, 75.0, 37.0, 90.0];

fn script(kind: &str, minutes: usize, rest: &str) -> String {
    format!(r#"[{{"type":"{kind}","start":"2025-03-03 10:00","minutes":{minutes}{rest}}}]"#)
}

/// Rows of a run with the fault in its middle and the rows of the fault alone.
fn disturbed(kind: &str, rest: &str) -> (Vec<[f64; TAGS]>, Vec<[f64; TAGS]>) {
    let mut sim = simulator(1, &script(kind, LENGTH, rest));
    let all = rows(&run(&mut sim, (BEGIN + LENGTH + 60) as u32));
    let fault = all[BEGIN..BEGIN + LENGTH].to_vec();
    (all, fault)
}

fn undisturbed() -> Vec<[f64; TAGS]> {
    let mut sim = simulator(1, "[]");
    rows(&run(&mut sim, (BEGIN + LENGTH + 60) as u32))
}

/// Lines of `minutes` minutes from the fault's first.
fn fault_text(kind: &str, minutes: usize) -> String {
    let mut sim = simulator(1, &script(kind, minutes, ""));
    run(&mut sim, BEGIN as u32);
    run(&mut sim, minutes as u32)
}

fn running(row: &[f64; TAGS]) -> usize {
    row[TAG_ON..TAG_POWER]
        .iter()
        .filter(|on| **on == 1.0)
        .count()
}

fn assert_all_off(rows: &[[f64; TAGS]]) {
    for row in rows {
        assert_eq!(row[TAG_ON..TAG_RUNTIME], [0.0; 2 * PUMPS]);
    }
    assert!(rows[LENGTH - 1][TAG_LEVEL] < rows[0][TAG_LEVEL]);
}

#[test]
fn pump_trip() {
    let (all, fault) = disturbed("pump_trip", r#","pump":3"#);
    for row in &fault {
        assert_eq!((row[TAG_ON + 2], row[TAG_POWER + 2]), (1.0, 0.0));
        if running(row) == 1 {
            assert_eq!(row[TAG_FLOW], 0.0);
        }
    }
    assert!(
        all[..BEGIN]
            .iter()
            .all(|row| row[TAG_ON + 2] == 0.0 || row[TAG_POWER + 2] > 0.0)
    );
    let (_, fault) = disturbed("pump_trip", "");
    let tripped = |row: &[f64; TAGS]| {
        (0..PUMPS).any(|pump| row[TAG_ON + pump] == 1.0 && row[TAG_POWER + pump] == 0.0)
    };
    assert!(fault.iter().all(tripped));
}

#[test]
fn multi_trip() {
    let (_, fault) = disturbed("multi_trip", r#","pumps":[2,5]"#);
    for row in &fault {
        for pump in [1, 4] {
            assert_eq!((row[TAG_ON + pump], row[TAG_POWER + pump]), (1.0, 0.0));
        }
    }
}

#[test]
fn overcurrent_and_under_load() {
    for (kind, rest, low, high) in [
        ("overcurrent", r#","pump":4"#, 1.05, 1.4),
        ("overcurrent", r#","pump":4,"factor":2.0"#, 1.4, 1.9),
        ("under_load", r#","pump":4"#, 0.15, 0.3),
    ] {
        let (all, fault) = disturbed(kind, rest);
        let loads = |rows: &[[f64; TAGS]]| -> Vec<f64> {
            rows.iter()
                .filter(|row| row[TAG_ON + 3] == 1.0)
                .map(|row| row[TAG_POWER + 3] / RATED_KW[3])
                .collect()
        };
        assert!(loads(&fault).len() >= 12);
        assert!(loads(&fault).iter().all(|load| (low..high).contains(load)));
        assert!(
            loads(&all[..BEGIN])
                .iter()
                .all(|load| (0.5..1.0).contains(load))
        );
    }
}

#[test]
fn power_outage_and_lockout() {
    for kind in ["power_outage", "lockout"] {
        let (all, fault) = disturbed(kind, "");
        assert_all_off(&fault);
        assert!(fault.iter().all(|row| row[TAG_FLOW] == 0.0));
        assert!(all[BEGIN + LENGTH..].iter().any(|row| running(row) > 0));
    }
}

#[test]
fn night_flow() {
    let (_, fault) = disturbed("night_flow", r#","m3h":42.5"#);
    assert_all_off(&fault);
    assert!(fault.iter().all(|row| row[TAG_FLOW] == 42.5));
    let counted_m3 = fault[LENGTH - 1][TAG_DAY_TOTAL] - fault[0][TAG_DAY_TOTAL];
    assert!((counted_m3 - 42.5 * 29.0 / 60.0).abs() < 0.2);
}

#[test]
fn dry_run() {
    let (_, fault) = disturbed("dry_run", r#","pumps":[1,6]"#);
    for row in &fault {
        assert_eq!(row[TAG_FLOW], 0.0);
        assert_eq!(row[TAG_ON..TAG_POWER], [1.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert!(row[TAG_POWER] > 20.0 && row[TAG_POWER + 5] > 40.0);
    }
    assert!(fault[LENGTH - 1][TAG_LEVEL] < fault[0][TAG_LEVEL]);
}

#[test]
fn frozen_level_and_stuck_flow() {
    let clean = undisturbed();
    for (kind, tag) in [("frozen_level", TAG_LEVEL), ("stuck_flow", TAG_FLOW)] {
        let (all, fault) = disturbed(kind, "");
        assert!(fault.iter().all(|row| row[tag] == all[BEGIN - 1][tag]));
        for (row, clean) in all.iter().zip(&clean) {
            for other in (0..TAGS).filter(|other| *other != tag) {
                assert_eq!(row[other], clean[other]);
            }
        }
        assert_eq!(all[BEGIN + LENGTH..], clean[BEGIN + LENGTH..]);
    }
}

#[test]
fn level_range_and_flow_range() {
    for (kind, rest, tag, value) in [
        ("level_range", r#","value":-12.25"#, TAG_LEVEL, -12.25),
        ("level_range", "", TAG_LEVEL, 150.0),
        ("flow_range", r#","value":9999"#, TAG_FLOW, 9999.0),
        ("flow_range", "", TAG_FLOW, 2500.0),
    ] {
        let (all, fault) = disturbed(kind, rest);
        assert!(fault.iter().all(|row| row[tag] == value));
        assert!(all[BEGIN - 1][tag] != value && all[BEGIN + LENGTH][tag] != value);
    }
}

#[test]
fn short_cycling() {
    let (_, fault) = disturbed("short_cycling", r#","pump":5"#);
    for (minute, row) in fault.iter().enumerate() {
        assert_eq!(row[TAG_ON + 4] == 1.0, minute % 9 < 3, "minute {minute}");
    }
}

#[test]
fn counter_stuck() {
    let (all, fault) = disturbed("counter_stuck", "");
    let stuck = all[BEGIN - 1][TAG_DAY_TOTAL];
    assert!(fault.iter().all(|row| row[TAG_DAY_TOTAL] == stuck));
    assert!(fault.iter().any(|row| row[TAG_FLOW] > 0.0));
    assert!(all[BEGIN + LENGTH + 59][TAG_DAY_TOTAL] > stuck);
}

#[test]
fn overfill_all_on_and_overrun() {
    let mut sim = simulator(1, &script("overfill", 120, ""));
    let all = rows(&run(&mut sim, (BEGIN + 120) as u32));
    assert!(all[BEGIN..].iter().all(|row| running(row) >= 3));
    assert!(
        all[BEGIN + 60..]
            .iter()
            .all(|row| row[TAG_LEVEL] > 0.85 * 120.0)
    );
    assert!(all[BEGIN + 119][TAG_LEVEL] > 119.0);
    let (_, fault) = disturbed("all_on", "");
    assert!(fault.iter().all(|row| running(row) == PUMPS));
    let mut sim = simulator(1, &script("overrun", 1300, r#","pump":2"#));
    let all = rows(&run(&mut sim, (BEGIN + 1300) as u32));
    assert!(all[BEGIN..].iter().all(|row| row[TAG_ON + 1] == 1.0));
}

#[test]
fn spill_high_demand() {
    let clean = undisturbed();
    let (all, _) = disturbed("spill_high_demand", r#","factor":3.5"#);
    let drop = |rows: &[[f64; TAGS]]| rows[BEGIN - 1][TAG_LEVEL] - rows[BEGIN + 15][TAG_LEVEL];
    assert!(drop(&all) > drop(&clean) + 10.0);
}

#[test]
fn gap() {
    let mut sim = simulator(1, &script("gap", LENGTH, ""));
    run(&mut sim, BEGIN as u32);
    assert_eq!(run(&mut sim, LENGTH as u32), "");
    let after = run(&mut sim, 2);
    assert!(after.starts_with("2025-03-03 10:30:00,B,0,"));
    assert!(after.contains("2025-03-03 10:31:00,S,0,"));
    assert_eq!(
        rows(&after),
        undisturbed()[BEGIN + LENGTH..BEGIN + LENGTH + 2]
    );
}

#[test]
fn duplicates() {
    let text = fault_text("duplicates", 2);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4 * TAGS);
    assert!(lines.chunks(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn bad_values() {
    let text = fault_text("bad_values", 2);
    assert_eq!(text.lines().count(), 2 * TAGS);
    for (index, line) in text.lines().enumerate() {
        assert!(line.contains(&format!(",S,{},", index % TAGS)));
    }
    for bad in [
        ",NaN\n",
        ",\n",
        ",#N/A\n",
        ",Bad\n",
        ",-1.#IND\n",
        ",1.#INF\n",
        ",1e38\n",
        ",-9999\n",
        ",???\n",
        ",\"1,234.5\"\n",
        ",null\n",
        ",3.4028234663852886e+38\n",
        ",0x1F\n",
        ",inf\n",
        ",--\n",
    ] {
        assert!(text.contains(bad), "{bad:?}");
    }
}

#[test]
fn partial_minute() {
    let text = fault_text("partial_minute", 1);
    let tags: Vec<usize> = text
        .lines()
        .map(|line| line.split(',').nth(2).unwrap().parse().unwrap())
        .collect();
    assert_eq!(tags, (0..9).chain(15..27).collect::<Vec<_>>());
}

#[test]
fn out_of_order() {
    let mut clean = simulator(1, "[]");
    run(&mut clean, BEGIN as u32);
    let clean = run(&mut clean, 5);
    let text = fault_text("out_of_order", 5);
    assert_ne!(text, clean);
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(String::from).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&text), sorted(&clean));
    assert!(
        !text
            .lines()
            .take(TAGS)
            .all(|line| line.contains("10:00:00"))
    );
}

#[test]
fn out_of_order_lines_stay_in_their_day() {
    let text = r#"[{"type":"out_of_order","start":"2025-03-03 23:58","minutes":4}]"#;
    let mut sim = simulator(1, text);
    run(&mut sim, 1438);
    assert_eq!(run(&mut sim, 2).matches("2025-03-03 ").count(), 2 * TAGS);
    assert_eq!(run(&mut sim, 2).matches("2025-03-04 ").count(), 2 * TAGS);
}

#[test]
fn e_markers() {
    let text = fault_text("e_markers", 2);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4 * TAGS);
    for pair in lines.chunks(2) {
        let tag = pair[1].split(',').nth(2).unwrap();
        assert_eq!(pair[0], format!("{},E,{tag},0", &pair[1][..19]));
        assert_eq!(&pair[1][19..22], ",S,");
    }
}

#[test]
fn unknown_tag() {
    let text = fault_text("unknown_tag", 1);
    let tags: Vec<&str> = text
        .lines()
        .skip(TAGS)
        .map(|line| line.split(',').nth(2).unwrap())
        .collect();
    assert_eq!(tags, ["27", "99", "-1", "abc", "1.0", "\"1.0\"", ""]);
}

#[test]
fn torn_last_line() {
    let mut clean = simulator(1, "[]");
    run(&mut clean, BEGIN as u32);
    let (clean, next) = (run(&mut clean, 1), run(&mut clean, 1));
    let mut sim = simulator(1, &script("torn_last_line", 1, ""));
    run(&mut sim, BEGIN as u32);
    let text = run(&mut sim, 1);
    assert!(clean.starts_with(&text) && !text.ends_with('\n'));
    assert_eq!(text.lines().count(), TAGS);
    assert!(text.len() + 10 < clean.len());
    assert_eq!(run(&mut sim, 1), next);
}

#[test]
fn without_pump_numbers_the_pumps_in_duty_are_hit() {
    for (kind, name) in FaultKind::ALL {
        if kind.usual_pumps() > 0 {
            let mut sim = simulator(1, &script(name, 20, ""));
            run(&mut sim, BEGIN as u32);
            let text = run(&mut sim, 20);
            assert!(rows(&text).iter().any(|row| running(row) > 0), "{name}");
        }
    }
}
