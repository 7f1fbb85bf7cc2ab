//! Speeds of variable-speed pumps: never dearer than full speed, as cheap as any other that is tried, and within limits.

#[path = "common/instances.rs"]
#[allow(dead_code, reason = "small problems are for the optimum's tests")]
mod instances;

use instances::{DAYS, day, with_drives};
use pumphouse::schedule::{
    evaluate::{Evaluation, Limit, evaluate_at},
    problem::{Combination, Problem},
    solve::{Effort, solve},
    speeds::speeds,
};

/// P3 and P6.
const DRIVEN: Combination = 0b100_100;

/// How far a level limit is broken.
fn deepest(done: &Evaluation) -> f64 {
    let limits = done
        .breaches
        .iter()
        .filter(|it| !matches!(it.limit, Limit::LowMargin | Limit::HighMargin | Limit::End));
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
        let problem = with_drives(day(name, false), DRIVEN, 5);
        let full = solve(&day(name, false), Effort::BRIEF).objective;
        let answer = solve(&problem, Effort::BRIEF);
        let schedule = answer.schedule.clone();
        let found = speeds(&problem, &answer);
        let done = evaluate_at(&problem, &schedule, &found);
        println!(
            "{name}: {full:.3} at full speed, {:.3} searched ({:.3} % gap), {:.3} in the end",
            answer.objective,
            answer.gap() * 100.0,
            done.objective()
        );
        let searched = evaluate_at(&problem, &schedule, &answer.speeds_pct);
        assert!((searched.objective() - answer.objective).abs() < 1e-9);
        assert!(done.objective() <= answer.objective, "{name}");
        assert!(
            answer.bound <= full * 1.0001,
            "more choices cost no more: {name}"
        );
        assert!(done.faults.is_empty(), "{name}");
        assert!(deepest(&done) <= deepest(&searched) + 0.1, "{name}");
        assert_eq!(found, speeds(&problem, &answer), "the same again");
        saved.push(1.0 - done.objective() / full);
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

#[test]
fn a_speed_that_was_told_stays_unless_another_saves_more_than_a_change_is_worth() {
    let mut problem = with_drives(day("base", false), DRIVEN, 5);
    let answer = solve(&problem, Effort::FIRST);
    let found = speeds(&problem, &answer);
    let driven = answer.schedule.iter().position(|set| set & DRIVEN != 0);
    let first = driven.expect("a slot with a choice");
    // A point off what is best.
    let told = |pct: Option<u8>| match pct {
        Some(pct) => Some(pct - 1),
        None => Some(99),
    };
    problem.advised = answer.schedule[..=first].to_vec();
    problem.advised_pct = vec![None; first];
    problem.advised_pct.push(told(found[first]));
    let again = speeds(&problem, &answer);
    assert_eq!(again[first], found[first], "a change is worth nothing");
    problem.change_price = 5.0;
    let kept = speeds(&problem, &answer);
    assert_eq!(kept[first], told(found[first]), "a change is worth 5");
}
