//! What planning costs and brings: `cargo bench --bench schedule`, or one part of it:
//!
//! - `-- days`: the fixed days, the gap and the time of the first answer and of the proof, and the memory that it took;
//! - `-- weeks`: four weeks run by advice and by three level controls, with demand that is not as forecast;
//! - `-- product`: four weeks of the simulated station with the whole product: exports read in, the models' own forecasts, plans, which
//!   an operator follows; beside it the same weeks under the simulated PLC and three level controls;
//! - `-- rivals`: OR-Tools' CP-SAT and HiGHS on the same days, with flows that do not depend on the level: time to 1 % and the cost
//!   reached (Python, in an environment of its own below `target`);
//! - `-- epanet`: a day's schedule, at once and planned anew each hour, on EPANET's hydraulics.

#[path = "../tests/common/binary.rs"]
#[allow(dead_code, reason = "only runs to their end are of use here")]
mod binary;
#[path = "../tests/common/followed.rs"]
mod followed;
#[path = "../tests/common/instances.rs"]
#[allow(dead_code, reason = "the tests take small problems, too")]
mod instances;
#[path = "../tests/common/rolling.rs"]
mod rolling;
#[path = "../tests/common/trainer.rs"]
#[allow(dead_code, reason = "only its Python environments are of use here")]
mod trainer;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use followed::{By, Followed};
use instances::{DAYS, DEPTH_M, FRICTION, STATIC_HEAD_M, day, with_drives};
use pumphouse::{
    schedule::{
        evaluate::evaluate,
        problem::{COMBINATIONS, Combination, Line, Problem},
        relaxation::relax,
        solve::{Effort, solve},
    },
    simulate::Station,
};
use rolling::{Control, Outcome, run};
use serde_json::{Value, json};

/// What a rival may take for a day, s.
const RIVAL_S: &str = "20";
/// The rivals' costs are looked at after so long, too.
const SOON_S: f64 = 2.0;
/// Days of a run.
const WEEKS_DAYS: usize = 28;
/// Days of a run with the whole product.
const PRODUCT_DAYS: usize = 28;

fn main() {
    let parts: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| !it.starts_with("--"))
        .collect();
    let wants = |part: &str| parts.is_empty() || parts.iter().any(|it| it == part);
    if wants("days") {
        days();
    }
    if wants("weeks") {
        weeks();
    }
    if wants("product") {
        product();
    }
    if wants("rivals") {
        rivals();
    }
    if wants("epanet") {
        epanet();
    }
}

fn days() {
    println!(
        "{:<16} {:>10} {:>9} {:>9} {:>9} {:>9} {:>11}",
        "day", "cost", "first ms", "gap %", "full ms", "gap %", "relaxed %"
    );
    for name in DAYS {
        let plain = day(name, false);
        let kinds = [
            ("", plain.clone()),
            (" =", flat(plain.clone())),
            (" +", day(name, true)),
            // P3 and P6 on variable-speed drives.
            (" ~", with_drives(plain, 0b100_100, 5)),
        ];
        for (kind, problem) in kinds {
            let timed = |effort| {
                let began = Instant::now();
                let answer = solve(&problem, effort);
                (answer, began.elapsed().as_secs_f64() * 1e3)
            };
            let (first, first_ms) = timed(Effort::FIRST);
            let (full, full_ms) = timed(Effort::FULL);
            let gap = |bound: f64| (full.objective / bound - 1.0) * 100.0;
            let relaxed = relax(&problem).map_or(f64::NAN, |relaxed| gap(relaxed.bound));
            println!(
                "{:<16} {:>10.3} {first_ms:>9.0} {:>9.3} {full_ms:>9.0} {:>9.3} {relaxed:>11.2}",
                format!("{name}{kind}"),
                full.objective,
                first.gap() * 100.0,
                full.gap() * 100.0
            );
        }
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or("VmHWM unknown");
    println!("memory with clarabel: {peak}");
}

fn weeks() {
    let of = |control| run(control, WEEKS_DAYS, 0.08, 1);
    let controls = [Control::Level, Control::TariffAware, Control::BestFirst];
    let others = controls.map(|control| (format!("{control:?}"), of(control)));
    compare(&of(Control::Advice), &others, WEEKS_DAYS);
}

fn product() {
    let station = Followed::new();
    let of = |by: By| station.run(by, PRODUCT_DAYS);
    let controls = [Control::Level, Control::TariffAware, Control::BestFirst];
    let others = controls.map(|control| (format!("{control:?}"), of(By::Control(control))));
    let others: Vec<_> = std::iter::once(("Plc".to_owned(), of(By::Plc)))
        .chain(others)
        .collect();
    compare(&of(By::Control(Control::Advice)), &others, PRODUCT_DAYS);
}

/// What advice brings beside other controls.
fn compare(advice: &Outcome, others: &[(String, Outcome)], days: usize) {
    println!(
        "{:<12} {:>9} {:>9} {:>10} {:>14} {:>8} {:>7} {:>8}",
        "control", "cost", "kWh", "starts/d", "level %", "faults", "saving", "of kWh"
    );
    let row = |name: &str, it: &Outcome| {
        println!(
            "{name:<12} {:>9.1} {:>9.0} {:>10.1} {:>6.1}–{:<6.1} {:>8} {:>5.1} % {:>6.1} %",
            it.cost,
            it.energy_kwh,
            it.starts as f64 / days as f64,
            it.level_pct.0,
            it.level_pct.1,
            it.faults.len(),
            (1.0 - advice.cost / it.cost) * 100.0,
            (1.0 - advice.energy_kwh / it.energy_kwh) * 100.0
        );
    };
    row("advice", advice);
    for (name, it) in others {
        row(name, it);
    }
}

/// Runs one of the rivals' scripts on what it is told.
fn script(name: &str, arguments: &[&str], told: &Value) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rival");
    let python: PathBuf =
        trainer::environment("schedule", &folder.join("schedule-requirements.txt"));
    let mut running = Command::new(python)
        .args(["-W", "ignore"])
        .arg(folder.join(name))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut stdin = running.stdin.take().expect("a pipe");
    stdin
        .write_all(told.to_string().as_bytes())
        .expect("it listens");
    drop(stdin);
    let done = running.wait_with_output().expect("it ends");
    assert!(done.status.success(), "{name} {arguments:?} failed");
    // What a library has to say of itself comes before it.
    let said = String::from_utf8(done.stdout).expect("text");
    serde_json::from_str(said.lines().last().unwrap_or_default()).expect("JSON")
}

/// A problem as the rivals' script takes it.
fn told(problem: &Problem, optimum: f64) -> Value {
    let (tank, price) = (&problem.tank, &problem.breaches);
    let of = |line: fn(&Problem, Combination) -> f64| -> Vec<f64> {
        (0..COMBINATIONS).map(|set| line(problem, set)).collect()
    };
    json!({
        "optimum": optimum,
        "slot_min": problem.slot_min,
        "slots": problem.slots.iter().map(|slot| json!({
            "length_min": slot.length_min, "demand_m3h": slot.demand_m3h, "price_per_kwh": slot.price_per_kwh,
        })).collect::<Vec<_>>(),
        "tank": {
            "volume_m3": tank.volume_m3, "now_m3": tank.now_m3, "low_m3": tank.low_m3, "high_m3": tank.high_m3,
            "margin_m3": tank.margin_m3, "end_m3": tank.end_m3,
        },
        "flow_m3h": of(|problem, set| problem.duties[set].flow_m3h.at_empty),
        "power_kw": of(|problem, set| problem.duties[set].power_kw.at_empty),
        "peak_kw": of(Problem::peak_kw),
        "pumps": problem.pumps.iter().map(|pump| json!({
            "in_service": pump.in_service, "on": pump.on, "since_min": pump.since_min, "start_price": pump.start_price,
            "wear_per_h": pump.wear_per_h,
        })).collect::<Vec<_>>(),
        "pumps_on_max": problem.pumps_on_max,
        "min_up_min": problem.min_up_min,
        "min_down_min": problem.min_down_min,
        "demand_charge_per_kw": problem.demand_charge_per_kw,
        "reached_kw": problem.reached_kw,
        "breaches": {
            "unmet": price.unmet, "spilt": price.spilt, "low": price.low, "high": price.high, "end": price.end,
            "margin": price.margin, "surplus_worth": price.surplus_worth,
        },
    })
}

/// A day as the rivals' program knows it: flows do not depend on the level, and no run is too long.
fn flat(mut problem: Problem) -> Problem {
    for duty in &mut problem.duties {
        for line in [&mut duty.flow_m3h, &mut duty.power_kw] {
            *line = Line::flat(line.at(problem.tank.volume_m3 / 2.0));
        }
    }
    problem.run_max_min = 100_000;
    problem
}

fn rivals() {
    println!(
        "{:<16} {:<8} {:>10} {:>10} {:>9} {:>12} {:>9}",
        "day", "solver", "cost", "bound", "gap %", "after 2 s", "to 1 % s"
    );
    for name in ["easy", "base", "tight", "mid", "demand-charge", "out"] {
        let problem = flat(day(name, false));
        let began = Instant::now();
        let first = solve(&problem, Effort::FIRST);
        let first_s = began.elapsed().as_secs_f64();
        let full = solve(&problem, Effort::FULL);
        let near = first.objective <= 1.01 * full.bound;
        let full_s = began.elapsed().as_secs_f64();
        let row = |solver: &str, (cost, bound): (f64, f64), soon: Option<f64>, first_s| {
            let shown = |it: Option<f64>| it.map_or("-".to_owned(), |it| format!("{it:.2}"));
            println!(
                "{name:<16} {solver:<8} {cost:>10.3} {bound:>10.3} {:>9.2} {:>12} {:>9}",
                (cost / bound - 1.0) * 100.0,
                shown(soon),
                shown(first_s)
            );
        };
        let soon = if full_s <= SOON_S { &full } else { &first };
        row(
            "ours",
            (full.objective, full.bound),
            Some(soon.objective),
            near.then_some(first_s),
        );
        let told = told(&problem, full.objective);
        for rival in ["highs", "cp-sat"] {
            let done = script("schedule.py", &[rival, RIVAL_S], &told);
            let number = |key: &str| done[key].as_f64();
            let or_unknown = |key: &str| number(key).unwrap_or(f64::NAN);
            row(
                rival,
                (or_unknown("cost"), or_unknown("bound")),
                number("cost_after_2_s"),
                number("first_within_1_pct_s"),
            );
        }
    }
}

/// The station of the days as EPANET's script takes it, run by a schedule.
fn hydraulics(problem: &Problem, schedule: &[Combination]) -> (Vec<f64>, f64, f64) {
    let curves: Vec<Value> = Station::default()
        .curves
        .iter()
        .map(|curve| {
            json!({
                "shutoff_head_m": curve.shutoff_head_m, "droop": curve.droop_m_per_m3h2, "best_flow_m3h": curve.best_flow_m3h,
                "peak_efficiency": curve.peak_efficiency, "motor_efficiency": curve.motor_efficiency,
            })
        })
        .collect();
    let demand: Vec<f64> = problem
        .slots
        .iter()
        .take(schedule.len())
        .map(|slot| slot.demand_m3h)
        .collect();
    let done = script(
        "epanet.py",
        &[],
        &json!({
            "slot_min": problem.slot_min, "volume_m3": problem.tank.volume_m3, "depth_m": DEPTH_M, "static_m": STATIC_HEAD_M,
            "friction_m_per_m3h2": FRICTION, "begin_m3": problem.tank.now_m3, "curves": curves, "demand_m3h": demand, "sets": schedule,
        }),
    );
    let list = |key: &str| -> Vec<f64> {
        done[key]
            .as_array()
            .expect("a list")
            .iter()
            .map(|it| it.as_f64().expect("a number"))
            .collect()
    };
    let energies = list("energy_kwh");
    let cost = energies
        .iter()
        .zip(&problem.slots)
        .map(|(kwh, slot)| kwh * slot.price_per_kwh)
        .sum();
    (list("volume_m3"), energies.iter().sum(), cost)
}

fn epanet() {
    println!(
        "{:<8} {:<8} {:>9} {:>9} {:>9} {:>9} {:>13}",
        "day", "planned", "kWh", "EPANET", "cost", "EPANET", "level %"
    );
    for name in ["base", "tight", "easy"] {
        let problem = day(name, false);
        let answer = solve(&problem, Effort::FULL);
        let row = |how: &str, schedule: &[Combination], priced: &Problem| {
            let plan = evaluate(priced, schedule);
            let (volumes, energy_kwh, cost) = hydraulics(priced, schedule);
            let levels = || {
                volumes
                    .iter()
                    .map(|volume| 100.0 * volume / priced.tank.volume_m3)
            };
            println!(
                "{name:<8} {how:<8} {:>9.1} {energy_kwh:>9.1} {:>9.2} {cost:>9.2} {:>6.1}–{:<6.1}",
                plan.total_kwh(),
                plan.energy_cost,
                levels().fold(f64::INFINITY, f64::min),
                levels().fold(0.0, f64::max)
            );
        };
        row("once", &answer.schedule, &problem);
        // Each hour from the level that EPANET has come to.
        let mut run: Vec<Combination> = Vec::new();
        let mut now = problem.clone();
        while run.len() < problem.slots.len() {
            let answer = solve(&now, Effort::FIRST);
            run.extend(answer.schedule.iter().take(4));
            let (volumes, _, _) = hydraulics(&problem, &run);
            now.slots.drain(..4.min(now.slots.len()));
            now.tank.now_m3 = *volumes.last().expect("a slot");
            let set = *run.last().expect("a slot");
            for (pump, it) in now.pumps.iter_mut().enumerate() {
                let on = set >> pump & 1 == 1;
                let same = run
                    .iter()
                    .rev()
                    .take_while(|&&set| (set >> pump & 1 == 1) == on)
                    .count();
                let begun = if same == run.len() && problem.pumps[pump].on == on {
                    problem.pumps[pump].since_min
                } else {
                    0
                };
                (it.on, it.since_min) = (on, begun + same as i64 * problem.slot_min);
            }
        }
        row("hourly", &run, &problem);
    }
}
