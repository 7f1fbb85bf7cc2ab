//! Speeds of variable-speed pumps: never dearer than full speed, as cheap as any other that is tried, and within limits.

#[path = "common/instances.rs"]
#[allow(dead_code, reason = "small problems are for the optimum's tests")]
mod instances;

use instances::{DAYS, driven_day};
use pumphouse::schedule::{
    evaluate::{Evaluation, Limit, evaluate, evaluate_at},
    problem::{Combination, Problem},
    solve::{Effort, solve},
    speeds::speeds,
};

/// P3 and P6.
const DRIVEN: Combination = 0b100_100;

fn deepest(done: &Evaluation) -> f64 {
    let limits = done
        .breaches
        .iter()
        .filter(|it| !matches!(it.limit, Limit::LowMargin | Limit::HighMargin));
    limits.map(|it| it.by_m3).fold(0.0, f64::max)
}

/// The slots that have one speed: from one with another set, price or speed to the next.
fn runs(problem: &Problem, schedule: &[Combination], speeds: &[Option<u8>]) -> Vec<Vec<usize>> {
    let key = |at: usize| (schedule[at], speeds[at], problem.slots[at].price_per_kwh);
    let mut runs: Vec<Vec<usize>> = Vec::new();
    for at in 0..schedule.len() {
        match runs.last_mut() {
            Some(run) if key(run[0]) == key(at) => run.push(at),
            _ => runs.push(vec![at]),
        }
    }
    runs
}

#[test]
fn speeds_cost_no_more_than_full_speed_and_no_other_speed_of_a_run_is_cheaper() {
    let mut saved = Vec::new();
    for name in DAYS {
        let problem = driven_day(name, DRIVEN);
        let schedule = solve(&problem, Effort::FIRST).schedule;
        let full = evaluate(&problem, &schedule);
        let found = speeds(&problem, &schedule);
        let done = evaluate_at(&problem, &schedule, &found);
        assert!(done.objective() <= full.objective(), "{name}");
        assert!(
            done.faults.is_empty() && done.starts == full.starts,
            "{name}"
        );
        assert!(deepest(&done) <= deepest(&full) + 0.1, "{name}");
        assert_eq!(found, speeds(&problem, &schedule), "the same again");
        saved.push(1.0 - done.energy_cost / full.energy_cost);
        println!(
            "{name}: {:.2} % of the energy's cost",
            100.0 * saved[saved.len() - 1]
        );
        if name == "infeasible" {
            continue;
        }
        for run in runs(&problem, &schedule, &found) {
            for pct in (70..100).map(Some).chain([None]) {
                let mut other = found.clone();
                for &slot in &run {
                    other[slot] = pct;
                }
                let cost = evaluate_at(&problem, &schedule, &other).objective();
                assert!(
                    cost >= done.objective() * 0.9995,
                    "{name}: slots {run:?} at {pct:?} cost {cost}, not {}",
                    done.objective()
                );
            }
        }
    }
    assert!(saved.iter().any(|share| *share > 0.002), "{saved:?}");
}
