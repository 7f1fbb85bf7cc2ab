//! Whole-station tests on the exported bytes.

use super::export::{TAG_FLOW, TAG_LEVEL, TAG_ON, TAG_POWER, TAG_RUNTIME};
use super::*;
use jiff::civil::datetime;

pub(super) const START: DateTime = datetime(2025, 3, 3, 0, 0, 0, 0);

pub(super) fn simulator(seed: u64, script: &str) -> Simulator {
    Simulator::new(
        Station::default(),
        seed,
        START,
        FaultScript::parse(script).unwrap(),
    )
}

pub(super) fn run(sim: &mut Simulator, minutes: u32) -> String {
    let mut out = Vec::new();
    for _ in 0..minutes {
        sim.next_minute(&mut out);
    }
    String::from_utf8(out).unwrap()
}

/// Rows of complete, undisturbed minutes.
pub(super) fn rows(text: &str) -> Vec<[f64; TAGS]> {
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len() % TAGS, 0);
    lines
        .chunks(TAGS)
        .map(|chunk| {
            std::array::from_fn(|tag| {
                let fields: Vec<&str> = chunk[tag].split(',').collect();
                assert_eq!(fields[0], &chunk[0][..19]);
                assert_eq!(fields[2], tag.to_string());
                fields[3].parse().unwrap()
            })
        })
        .collect()
}

#[derive(Debug)]
struct Month {
    m3_per_day: (f64, f64),
    kwh_per_day: (f64, f64),
    starts_per_pump_day: [f64; PUMPS],
    level_percent: (f64, f64),
    level_in_band: f64,
    running_share: [f64; PUMPS + 1],
    most_starts_in_an_hour: usize,
    longest_run_minutes: u32,
    load: (f64, f64),
    single_flow_m3h: (f64, f64),
    m3_per_kwh: f64,
}

fn widen(range: &mut (f64, f64), value: f64) {
    *range = (range.0.min(value), range.1.max(value));
}

fn measure(rows: &[[f64; TAGS]]) -> Month {
    const NONE: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);
    let rated_kw = Station::default().rated_kw;
    let days = rows.len() as f64 / 1440.0;
    let mut month = Month {
        m3_per_day: NONE,
        kwh_per_day: NONE,
        starts_per_pump_day: [0.0; PUMPS],
        level_percent: NONE,
        level_in_band: 0.0,
        running_share: [0.0; PUMPS + 1],
        most_starts_in_an_hour: 0,
        longest_run_minutes: 0,
        load: NONE,
        single_flow_m3h: NONE,
        m3_per_kwh: 0.0,
    };
    let (mut all_m3, mut all_kwh) = (0.0, 0.0);
    for day in rows.chunks(1440) {
        let m3 = day[1439][0];
        let kwh = day
            .iter()
            .flat_map(|row| &row[TAG_POWER..TAG_RUNTIME])
            .sum::<f64>()
            / 60.0;
        widen(&mut month.m3_per_day, m3);
        widen(&mut month.kwh_per_day, kwh);
        all_m3 += m3;
        all_kwh += kwh;
    }
    month.m3_per_kwh = all_m3 / all_kwh;
    let mut starts: [Vec<usize>; PUMPS] = Default::default();
    let mut runs = [0_u32; PUMPS];
    for (at, row) in rows.iter().enumerate() {
        let percent = row[TAG_LEVEL] / 1.2;
        widen(&mut month.level_percent, percent);
        month.level_in_band += f64::from(u8::from((55.0..=95.0).contains(&percent)));
        let running = row[TAG_ON..TAG_POWER]
            .iter()
            .filter(|on| **on == 1.0)
            .count();
        month.running_share[running] += 1.0 / rows.len() as f64;
        if running == 1 {
            widen(&mut month.single_flow_m3h, row[TAG_FLOW]);
        }
        for pump in 0..PUMPS {
            let power_kw = row[TAG_POWER + pump];
            if row[TAG_ON + pump] == 1.0 {
                widen(&mut month.load, power_kw / rated_kw[pump]);
                runs[pump] += 1;
                if at > 0 && rows[at - 1][TAG_ON + pump] == 0.0 {
                    starts[pump].push(at);
                }
            } else {
                assert_eq!(power_kw, 0.0);
                runs[pump] = 0;
            }
            month.longest_run_minutes = month.longest_run_minutes.max(runs[pump]);
        }
    }
    month.level_in_band /= rows.len() as f64;
    for (pump, times) in starts.iter().enumerate() {
        month.starts_per_pump_day[pump] = times.len() as f64 / days;
        for (index, time) in times.iter().enumerate() {
            let within = times[index..]
                .iter()
                .take_while(|later| **later < time + 60)
                .count();
            month.most_starts_in_an_hour = month.most_starts_in_an_hour.max(within);
        }
    }
    month
}

#[test]
fn a_month_without_faults_is_plausible() {
    for seed in [1, 7, 42] {
        let mut sim = simulator(seed, "[]");
        let month = measure(&rows(&run(&mut sim, 30 * 1440)));
        println!("seed {seed}: {month:?}");
        let inside = |range: (f64, f64), low: f64, high: f64| low <= range.0 && range.1 <= high;
        assert!(inside(month.m3_per_day, 7000.0, 10_500.0));
        assert!(inside(month.kwh_per_day, 1300.0, 1900.0));
        assert!(
            month
                .starts_per_pump_day
                .iter()
                .all(|starts| (2.0..=5.0).contains(starts))
        );
        assert!(inside(month.level_percent, 45.0, 97.0));
        assert!(month.level_in_band > 0.97);
        assert_eq!(month.running_share[5..], [0.0; 2]);
        assert!(month.most_starts_in_an_hour <= 4);
        assert!(month.longest_run_minutes <= 1200);
        assert!(inside(month.load, 0.5, 1.0));
        assert!(inside(month.single_flow_m3h, 145.0, 450.0));
        assert!((4.5..=5.6).contains(&month.m3_per_kwh));
    }
}

#[test]
fn the_tank_balance_closes_over_a_disturbed_month() {
    let station = Station::default();
    let faults = FaultScript::random(3, START, 30);
    let mut sim = Simulator::new(station.clone(), 11, START, faults);
    let begin_m3 = sim.plant.fill(&station) * station.tank_volume_m3;
    let (mut change_m3, mut out) = (0.0, Vec::new());
    for _ in 0..30 * 1440 {
        sim.next_minute(&mut out);
        out.clear();
        let minute = sim.last_minute;
        change_m3 += minute.inflow_m3 - minute.supplied_m3 - minute.spilled_m3;
    }
    let end_m3 = sim.plant.fill(&station) * station.tank_volume_m3;
    assert!((end_m3 - begin_m3 - change_m3).abs() < 1e-6);
}

#[test]
fn exported_level_follows_flow_less_demand() {
    let mut sim = simulator(5, "[]");
    let mut out = Vec::new();
    let mut balance_m3 = sim.plant.fill(&sim.station) * 1200.0;
    for _ in 0..1440 {
        out.clear();
        sim.next_minute(&mut out);
        let row = rows(std::str::from_utf8(&out).unwrap())[0];
        balance_m3 += row[TAG_FLOW] / 60.0 - sim.last_minute.supplied_m3;
        assert!((row[TAG_LEVEL] * 10.0 - balance_m3).abs() < 8.0);
    }
}

#[test]
fn same_seed_same_bytes() {
    let script = || FaultScript::random(9, START, 4);
    let bytes = |seed| {
        let mut sim = Simulator::new(Station::default(), seed, START, script());
        run(&mut sim, 4 * 1440)
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn lines_have_the_agreed_form() {
    let mut sim = simulator(1, "[]");
    let text = run(&mut sim, 1441);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1441 * TAGS);
    for (index, line) in lines.iter().enumerate() {
        let minute = index / TAGS;
        let stamp = format!(
            "2025-03-{:02} {:02}:{:02}:00",
            3 + minute / 1440,
            minute / 60 % 24,
            minute % 60
        );
        let marker = if minute.is_multiple_of(1440) {
            "B"
        } else {
            "S"
        };
        let lead = format!("{stamp},{marker},{},", index % TAGS);
        let value = line.strip_prefix(lead.as_str()).unwrap();
        let decimals = value.split_once('.').map_or(0, |(_, digits)| digits.len());
        assert_eq!(decimals as u32, export::decimals(index % TAGS));
    }
}

#[test]
fn counters_follow_flow_and_running() {
    let mut sim = simulator(2, "[]");
    let rows = rows(&run(&mut sim, 2 * 1440));
    for at in 1..rows.len() {
        let (before, row) = (&rows[at - 1], &rows[at]);
        let base_m3 = if at == 1440 { 0.0 } else { before[0] };
        assert!((row[0] - base_m3 - row[TAG_FLOW] / 60.0).abs() < 0.11);
        for pump in 0..PUMPS {
            let minutes = |row: &[f64; TAGS]| {
                assert!((0.0..60.0).contains(&row[TAG_RUNTIME + 2 * pump + 1]));
                row[TAG_RUNTIME + 2 * pump] * 60.0 + row[TAG_RUNTIME + 2 * pump + 1]
            };
            assert_eq!(minutes(row) - minutes(before), row[TAG_ON + pump]);
        }
    }
}

#[test]
fn day_files_are_whole_and_named_by_their_day() {
    let dir = std::env::temp_dir().join(format!("simulate-days-{}", std::process::id()));
    let start = datetime(2025, 12, 31, 22, 30, 30, 0);
    let new = || Simulator::new(Station::default(), 4, start, FaultScript::default());
    let (mut sim, mut seen) = (new(), Vec::new());
    write_days(&dir, &mut sim, 3, |day| seen.push(day)).unwrap();
    assert_eq!(seen, [0, 1, 2]);
    let mut names: Vec<String> = std::fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["2025-12-31.csv", "2026-01-01.csv", "2026-01-02.csv"]
    );
    let mut again = new();
    for (name, minutes) in names.iter().zip([90, 1440, 1440]) {
        let text = std::fs::read_to_string(dir.join(name)).unwrap();
        let lines = text.strip_prefix(HEADER).unwrap();
        assert_eq!(lines.lines().count(), minutes as usize * TAGS);
        assert_eq!(
            &lines[10..21],
            if minutes == 90 {
                " 22:30:00,B"
            } else {
                " 00:00:00,B"
            }
        );
        assert_eq!(lines, run(&mut again, minutes));
    }
    std::fs::remove_dir_all(&dir).unwrap();
}
