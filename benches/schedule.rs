//! What planning costs and brings: `cargo bench --bench schedule`, or one part of it:
//!
//! - `-- days`: the fixed days, the gap and the time of the first answer and of the proof, and the memory that it took;
//! - `-- weeks`: four weeks run by advice and by three level controls, with demand that is not as forecast.

#[path = "../tests/common/instances.rs"]
#[allow(dead_code, reason = "the tests take small problems, too")]
mod instances;
#[path = "../tests/common/rolling.rs"]
mod rolling;

use std::time::Instant;

use instances::{DAYS, day};
use pumphouse::schedule::{
    relaxation::relax,
    solve::{Effort, solve},
};
use rolling::{Control, run};

/// Days of a run.
const WEEKS_DAYS: usize = 28;

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
}

fn days() {
    println!(
        "{:<16} {:>10} {:>9} {:>9} {:>9} {:>9} {:>11}",
        "day", "cost", "first ms", "gap %", "full ms", "gap %", "relaxed %"
    );
    for name in DAYS {
        for is_additive in [false, true] {
            let problem = day(name, is_additive);
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
                format!("{name}{}", if is_additive { " +" } else { "" }),
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
    let advice = run(Control::Advice, WEEKS_DAYS, 0.08, 1);
    println!(
        "{:<12} {:>9} {:>9} {:>10} {:>14} {:>8} {:>7}",
        "control", "cost", "kWh", "starts/d", "level %", "faults", "saving"
    );
    let row = |name: &str, it: &rolling::Outcome| {
        println!(
            "{name:<12} {:>9.1} {:>9.0} {:>10.1} {:>6.1}–{:<6.1} {:>8} {:>5.1} %",
            it.cost,
            it.energy_kwh,
            it.starts as f64 / WEEKS_DAYS as f64,
            it.level_pct.0,
            it.level_pct.1,
            it.faults.len(),
            (1.0 - advice.cost / it.cost) * 100.0
        );
    };
    row("advice", &advice);
    for control in [Control::Level, Control::TariffAware, Control::BestFirst] {
        row(&format!("{control:?}"), &run(control, WEEKS_DAYS, 0.08, 1));
    }
}
