//! What would be if something else held: a pump out or back, more pumps at once, other limits, another demand.

use crate::{
    calendar::Calendar,
    tags::{PUMPS, pump_name, pump_named},
};

use super::{
    evaluate::evaluate_at,
    plan::Plan,
    problem::Problem,
    reasons::broken,
    scene::Scene,
    solve::{Effort, solve},
    speeds::speeds,
};

/// By how much limits are asked to be wider or narrower, % of the level.
const LIMITS_BY_PCT: f64 = 5.0;

/// What would be different if something else held.
#[derive(Clone, Debug, PartialEq)]
pub struct WhatIf {
    /// What.
    pub what: String,
    /// What energy, demand, starts and wear cost then, less what they cost now; a level that is other at the end counts.
    pub cost_more: f64,
    /// Energy then, less what it is now, kWh.
    pub kwh_more: f64,
    /// Limits that are broken then.
    pub broken: Vec<String>,
}

/// A problem with something else in it, as `pumphouse plan --what-if` takes it: `P3 out`, `P3 in`, `5 pumps`, `low 10`, `high 95`,
/// `demand +10`; several with commas between.
pub fn what_if(problem: &Problem, m3_per_pct: f64, text: &str) -> Result<Problem, String> {
    let mut problem = problem.clone();
    for part in text.split(',') {
        let words: Vec<_> = part.split_whitespace().collect();
        let number = |word: &str| {
            word.trim_end_matches('%')
                .parse::<f64>()
                .ok()
                .filter(|it| it.is_finite())
        };

        match words.as_slice() {
            [name, state @ ("out" | "in")] if pump_named(name).is_some() => {
                problem.pumps[pump_named(name).unwrap_or_default()].in_service = *state == "in";
            }
            [many, "pumps"]
                if number(many).is_some_and(|it| (1.0..=PUMPS as f64).contains(&it)) =>
            {
                problem.pumps_on_max = number(many).unwrap_or_default() as usize;
            }
            [limit @ ("low" | "high"), pct]
                if number(pct).is_some_and(|it| (0.0..=100.0).contains(&it)) =>
            {
                let m3 = (number(pct).unwrap_or_default() * m3_per_pct).min(problem.tank.volume_m3);
                let tank = &mut problem.tank;
                *(if *limit == "low" {
                    &mut tank.low_m3
                } else {
                    &mut tank.high_m3
                }) = m3;
            }
            ["demand", more] if number(more).is_some_and(|it| it >= -100.0) => {
                for slot in &mut problem.slots {
                    slot.demand_m3h *= 1.0 + number(more).unwrap_or_default() / 100.0;
                }
            }
            _ => {
                return Err(format!(
                    "cannot ask what if {:?}; ask like \"P3 out\", \"P3 in\", \"5 pumps\", \"low 10\", \"high 95\" or \"demand +10\", with commas between several",
                    part.trim()
                ));
            }
        }
    }
    let tank = &problem.tank;
    if tank.low_m3 + 2.0 * tank.margin_m3 >= tank.high_m3 {
        return Err("the limits leave no room between them".into());
    }
    Ok(problem)
}

/// What is different from a plan if something else held.
pub fn compare(
    plan: &Plan,
    what: &str,
    other: &Problem,
    pct_per_m3: f64,
    calendar: &mut Calendar,
) -> WhatIf {
    let answer = solve(other, Effort::BRIEF);
    let speeds = speeds(other, &answer);
    let done = evaluate_at(other, &answer.schedule, &speeds);
    WhatIf {
        what: what.to_owned(),
        cost_more: done.money(other) - plan.evaluation.money(&plan.problem),
        kwh_more: done.total_kwh() - plan.evaluation.total_kwh(),
        broken: broken(&done, &plan.slots, pct_per_m3, calendar),
    }
}

/// The questions that every plan is asked: each pump that is out back in service, one pump more at once, wider and narrower limits.
pub fn what_ifs(plan: &Plan, scene: &Scene) -> Vec<WhatIf> {
    let mut questions: Vec<String> = plan
        .out
        .iter()
        .map(|(pump, _)| format!("{} in", pump_name(*pump)))
        .collect();
    questions.push(format!("{} pumps", plan.problem.pumps_on_max + 1));
    let settings = &scene.setting.settings;
    let (low_pct, high_pct) = (settings.level_min_pct, settings.level_max_pct);
    for by_pct in [-LIMITS_BY_PCT, LIMITS_BY_PCT] {
        questions.push(format!("low {}", (low_pct + by_pct).max(0.0)));
        questions.push(format!("high {}", (high_pct - by_pct).min(100.0)));
    }
    let m3_per_pct = scene.level.1 / scene.level.0;
    let mut calendar = Calendar::new(scene.setting.plant.zone.clone());
    let asked = questions.iter().filter_map(|question| {
        let other = what_if(&plan.problem, m3_per_pct, question).ok()?;
        Some(compare(
            plan,
            question,
            &other,
            1.0 / m3_per_pct,
            &mut calendar,
        ))
    });
    asked.collect()
}
