//! The planner's schedules are the cheapest there are: against every schedule there is, against a solver of mixed-integer programs,
//! and on whole days against their own proof.

#[path = "common/instances.rs"]
mod instances;

use instances::{DAYS, day, small, with_drives};
use microlp::{ComparisonOp, OptimizationDirection, Problem as Program, SolveOutcome, Variable};
use pumphouse::{
    schedule::{
        evaluate::{Breach, Limit, evaluate, evaluate_at},
        problem::{COMBINATIONS, Choice, Combination, Problem, count, has},
        relaxation::relax,
        solve::{Effort, solve},
    },
    tags::PUMPS,
};

/// Small problems for each solver to compare with; `PUMPHOUSE_CASES` asks for more.
fn cases(usual: u64) -> u64 {
    let asked = std::env::var("PUMPHOUSE_CASES").ok();
    asked.map_or(usual, |asked| asked.parse().expect("a number of cases"))
}

/// The cost of the cheapest schedule that breaks no rule, of all there are.
fn cheapest(problem: &Problem) -> f64 {
    type Begun = (Vec<Combination>, Vec<Option<u8>>);
    fn go(problem: &Problem, begun: &mut Begun, choices: &[Choice], least: &mut f64) {
        if begun.0.len() == problem.slots.len() {
            let done = evaluate_at(problem, &begun.0, &begun.1);
            if done.faults.is_empty() {
                *least = least.min(done.objective());
            }
            return;
        }
        for &choice in choices {
            begun.0.push(problem.set(choice));
            begun.1.push(problem.pct(choice));
            go(problem, begun, choices, least);
            begun.0.pop();
            begun.1.pop();
        }
    }
    let usable = |choice: &Choice| {
        let set = problem.set(*choice);
        (0..PUMPS).all(|pump| !has(set, pump) || problem.pumps[pump].in_service)
    };
    let choices: Vec<_> = (0..problem.duties.len()).filter(usable).collect();
    let mut least = f64::INFINITY;
    go(problem, &mut Begun::default(), &choices, &mut least);
    least
}

/// Holds the solver's answer against every schedule there is.
fn hold(problem: &Problem, name: &str) {
    let effort = Effort {
        cells_max: u64::MAX,
        gap: 1e-4,
    };
    let answer = solve(problem, effort);
    let done = evaluate_at(problem, &answer.schedule, &answer.speeds_pct);
    assert!(done.faults.is_empty(), "{name}: {:?}", done.faults);
    let (found, bound, least) = (answer.objective, answer.bound, cheapest(problem));
    assert!(
        (found - least).abs() <= 1e-4 * least.abs().max(1.0),
        "{name}: {found} / {least}"
    );
    assert!(
        bound <= least + 1e-6,
        "{name}: the bound {bound} lies above {least}"
    );
}

#[test]
fn no_schedule_of_all_is_cheaper() {
    for seed in 0..cases(60) {
        hold(&small(seed, 4, true), &format!("seed {seed}"));
    }
}

#[test]
fn no_schedule_of_all_with_all_speeds_is_cheaper() {
    for seed in 0..cases(20) {
        // At 80 and 90 % of full speed, where a pump lifts enough then.
        let problem = with_drives(small(seed, 3, true), COMBINATIONS - 1, 10);
        hold(&problem, &format!("seed {seed}"));
    }
}

/// The same problem as a mixed-integer program; flows must not depend on the level.
fn program(problem: &Problem) -> f64 {
    let mut program = Program::new(OptimizationDirection::Minimize);
    let unlimited = (0.0, f64::INFINITY);
    let (tank, price) = (&problem.tank, &problem.breaches);
    let peak = program.add_var(problem.demand_charge_per_kw, unlimited);
    let sets: Vec<Combination> = (0..COMBINATIONS)
        .filter(|&set| (0..PUMPS).all(|pump| !has(set, pump) || problem.pumps[pump].in_service))
        .collect();
    let mut before: Option<Variable> = None;
    let mut begin_min = 0;
    let mut runs: Vec<[Option<Variable>; PUMPS]> = Vec::new();
    let mut starts: Vec<[Option<Variable>; PUMPS]> = Vec::new();
    let mut stops: Vec<[Option<Variable>; PUMPS]> = Vec::new();
    for (slot, it) in problem.slots.iter().enumerate() {
        let hours = it.hours();
        let choice: Vec<Variable> = sets
            .iter()
            .map(|&set| {
                let wear: f64 = (0..PUMPS)
                    .filter(|&pump| has(set, pump))
                    .map(|pump| problem.pumps[pump].wear_per_h)
                    .sum();
                let changed = problem
                    .advised
                    .get(slot)
                    .map_or(0, |before| count(before ^ set));
                let cost = hours
                    * (problem.duties[set].power_kw.at_empty * it.price_per_kwh + wear)
                    + changed as f64 * problem.change_price;
                program.add_binary_var(cost)
            })
            .collect();
        program.add_constraint(
            choice.iter().map(|&one| (one, 1.0)).collect::<Vec<_>>(),
            ComparisonOp::Eq,
            1.0,
        );
        let mut power: Vec<_> = choice
            .iter()
            .zip(&sets)
            .map(|(&one, &set)| (one, problem.peak_kw(set)))
            .collect();
        power.push((peak, -1.0));
        program.add_constraint(power, ComparisonOp::Le, problem.reached_kw);
        // Volume, and how far it is out of bounds.
        let volume = program.add_var(0.0, (0.0, tank.volume_m3));
        let (unmet, spilt) = (
            program.add_var(price.unmet, unlimited),
            program.add_var(price.spilt, unlimited),
        );
        let mut balance: Vec<_> = choice
            .iter()
            .zip(&sets)
            .map(|(&one, &set)| (one, -hours * problem.duties[set].flow_m3h.at_empty))
            .collect();
        balance.extend([(volume, 1.0), (unmet, -1.0), (spilt, 1.0)]);
        let given = match before {
            Some(before) => {
                balance.push((before, -1.0));
                0.0
            }
            None => tank.now_m3,
        };
        program.add_constraint(balance, ComparisonOp::Eq, given - hours * it.demand_m3h);
        for (limit, is_low, cost) in [
            (tank.low_m3, true, price.low),
            (tank.low_m3 + tank.margin_m3, true, price.margin),
            (tank.high_m3, false, price.high),
            (tank.high_m3 - tank.margin_m3, false, price.margin),
        ] {
            let beyond = program.add_var(cost, unlimited);
            let (sign, operator) = if is_low {
                (1.0, ComparisonOp::Ge)
            } else {
                (-1.0, ComparisonOp::Le)
            };
            program.add_constraint([(volume, 1.0), (beyond, sign)], operator, limit);
        }
        before = Some(volume);
        // Starts and stops, and what must go on after them.
        let (mut run, mut start, mut stop) = ([None; PUMPS], [None; PUMPS], [None; PUMPS]);
        for pump in (0..PUMPS).filter(|&pump| problem.pumps[pump].in_service) {
            let own = &problem.pumps[pump];
            let on = program.add_binary_var(0.0);
            let (started, stopped) = (
                program.add_var(own.start_price, (0.0, 1.0)),
                program.add_var(0.0, (0.0, 1.0)),
            );
            let mut is: Vec<_> = choice
                .iter()
                .zip(&sets)
                .filter(|&(_, &set)| has(set, pump))
                .map(|(&one, _)| (one, 1.0))
                .collect();
            is.push((on, -1.0));
            program.add_constraint(is, ComparisonOp::Eq, 0.0);
            let mut switched = vec![(on, 1.0), (started, -1.0), (stopped, 1.0)];
            let was = match runs.last().and_then(|runs| runs[pump]) {
                Some(was) => {
                    switched.push((was, -1.0));
                    0.0
                }
                None => f64::from(u8::from(own.on)),
            };
            program.add_constraint(switched, ComparisonOp::Eq, was);
            (run[pump], start[pump], stop[pump]) = (Some(on), Some(started), Some(stopped));
        }
        runs.push(run);
        starts.push(start);
        stops.push(stop);
        for pump in (0..PUMPS).filter(|&pump| problem.pumps[pump].in_service) {
            let own = &problem.pumps[pump];
            let on = runs[slot][pump].expect("in service");
            let slots = |min: i64| (min as usize).div_ceil(problem.slot_min as usize).max(1);
            let since =
                |events: &[[Option<Variable>; PUMPS]], slots: usize| -> Vec<(Variable, f64)> {
                    events[(slot + 1).saturating_sub(slots)..]
                        .iter()
                        .filter_map(|at| Some((at[pump]?, 1.0)))
                        .collect()
                };
            let mut up = since(&starts, slots(problem.min_up_min));
            up.push((on, -1.0));
            program.add_constraint(up, ComparisonOp::Le, 0.0);
            let mut down = since(&stops, slots(problem.min_down_min));
            down.push((on, 1.0));
            program.add_constraint(down, ComparisonOp::Le, 1.0);
            if own.on && own.since_min + begin_min < problem.min_up_min {
                program.add_constraint([(on, 1.0)], ComparisonOp::Eq, 1.0);
            }
            if !own.on && own.since_min + begin_min < problem.min_down_min {
                program.add_constraint([(on, 1.0)], ComparisonOp::Eq, 0.0);
            }
        }
        let held = (0..PUMPS).filter(|&pump| {
            let own = &problem.pumps[pump];
            own.in_service && own.on && own.since_min + begin_min < problem.min_up_min
        });
        let most = problem.pumps_on_max.max(held.count());
        let many: Vec<_> = choice
            .iter()
            .zip(&sets)
            .map(|(&one, &set)| (one, count(set) as f64))
            .collect();
        program.add_constraint(many, ComparisonOp::Le, most as f64);
        begin_min += it.length_min;
    }
    let last = before.expect("there is a slot");
    let (missing, over) = (
        program.add_var(price.end, unlimited),
        program.add_var(-price.surplus_worth, unlimited),
    );
    program.add_constraint(
        [(last, 1.0), (missing, 1.0), (over, -1.0)],
        ComparisonOp::Eq,
        tank.end_m3,
    );
    match program.solve() {
        Ok(SolveOutcome::Solution(solution)) => solution.objective(),
        other => panic!("every problem has a schedule: {other:?}"),
    }
}

#[test]
fn a_mixed_integer_program_proves_the_same_optimum() {
    let mut compared = 0;
    for seed in 1000..1000 + cases(200) {
        let mut problem = small(seed, 5, false);
        // The program does not know the longest run.
        problem.run_max_min = 100_000;
        let answer = solve(
            &problem,
            Effort {
                cells_max: u64::MAX,
                gap: 1e-4,
            },
        );
        let optimum = program(&problem);
        let near = 2e-4 * optimum.abs().max(1.0);
        assert!(
            answer.objective >= optimum - near,
            "seed {seed}: {} / {optimum}",
            answer.objective
        );
        // The program may ration or spill before it must.
        let done = evaluate(&problem, &answer.schedule);
        let wastes = |breach: &Breach| matches!(breach.limit, Limit::Unmet | Limit::Spilt);
        if !done.breaches.iter().any(wastes) {
            assert!(
                answer.objective <= optimum + near,
                "seed {seed}: {} / {optimum}",
                answer.objective
            );
            compared += 1;
        }
    }
    assert!(compared * 3 >= cases(200), "{compared} compared");
}

#[test]
fn whole_days_are_planned_to_a_thousandth_of_the_optimum() {
    for name in DAYS {
        for is_additive in [false, true] {
            let problem = day(name, is_additive);
            let first = solve(&problem, Effort::FIRST);
            assert!(first.gap() <= 0.005, "{name}: {first:?}");
            let full = solve(&problem, Effort::FULL);
            assert!(full.gap() <= 0.001, "{name}: {full:?}");
            assert!(full.objective <= first.objective && full.bound >= first.bound);
            let done = evaluate(&problem, &full.schedule);
            assert!(done.faults.is_empty(), "{name}: {:?}", done.faults);
            assert_eq!(done.objective(), full.objective);
            assert_eq!(
                full,
                solve(&problem, Effort::FULL),
                "the same problem gives the same schedule"
            );
        }
    }
}

#[test]
fn the_relaxation_bounds_the_same_days_with_other_code() {
    for name in DAYS {
        for is_additive in [false, true] {
            let problem = day(name, is_additive);
            let found = solve(&problem, Effort::FIRST);
            let relaxed = relax(&problem).expect("clarabel finds prices");
            assert!(
                relaxed.bound <= found.objective,
                "{name}: {} > {}",
                relaxed.bound,
                found.objective
            );
            // A part of a slot is too good to be true, most of all with a demand charge.
            let near = if name == "demand-charge" { 0.85 } else { 0.92 };
            assert!(
                relaxed.bound >= near * found.objective,
                "{name}: {} of {}",
                relaxed.bound,
                found.objective
            );
            assert!(
                relaxed
                    .water_worth
                    .iter()
                    .all(|worth| (-0.01..30.0).contains(worth))
            );
        }
    }
}
