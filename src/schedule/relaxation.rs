//! The relaxed problem, solved by clarabel: pumps may run for a part of a slot. No schedule costs less than it does, so its cost is
//! a second bound, from another program and other code than the first; and its dual variables are prices: what a m³ in the tank
//! is worth at each time, and what a m³ of room at each limit would save. It finds no schedule.
//!
//! Flows that fall with the level stay linear by a variable for the volume with each set, the set's share times the volume.
//! Shortest and longest runs are left out, which only lowers the bound. The bound is made from the dual variables by weak duality,
//! with every variable between its limits, so it holds however inexactly they were found.

use super::{
    problem::{Choice, Problem, has},
    program::{Program, Volume},
    values::steps,
};
use crate::tags::PUMPS;

/// What the relaxation tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Relaxation {
    /// No schedule costs less.
    pub bound: f64,
    /// What a m³ in the tank is worth at the end of each slot.
    pub water_worth: Vec<f64>,
    /// What a m³ more of room below the lower limit would save at the end of each slot, its margin included.
    pub low_worth: Vec<f64>,
    /// The same above the upper limit.
    pub high_worth: Vec<f64>,
}

/// Solves the relaxation; `None` when clarabel gives up.
pub fn relax(problem: &Problem) -> Option<Relaxation> {
    let allowed = problem.allowed();
    let steps = steps(problem);
    let tank = &problem.tank;
    let mut program = Program::default();
    // The volume at the end of each slot, and the row of its balance.
    let mut volumes: Vec<(Volume, usize)> = Vec::new();
    let choices = 0..problem.duties.len();
    let kw_max = (choices.clone())
        .map(|choice| problem.peak_kw(choice))
        .fold(0.0, f64::max);
    let peak = program.variable(problem.demand_charge_per_kw, kw_max);
    let mut ran: Vec<(usize, Choice)> = Vec::new();
    for slot in 0..problem.slots.len() {
        let choices: Vec<Choice> = (choices.clone())
            .filter(|&choice| allowed[slot][choice])
            .collect();
        let shares: Vec<_> = choices
            .iter()
            .map(|&choice| {
                let step = steps[slot][choice];
                (
                    program.implied(step.cost, 1.0),
                    program.implied(step.cost_per_m3, tank.volume_m3),
                )
            })
            .collect();
        program.equal(shares.iter().map(|&(share, _)| (share, 1.0)), 1.0);
        let parts = shares.iter().map(|&(_, volume)| (volume, 1.0));
        match volumes.last() {
            Some((before, _)) => program.equal(parts.chain([(before.after, -1.0)]), 0.0),
            None => program.equal(parts, tank.now_m3),
        };
        for &(share, volume) in &shares {
            program.at_most([(volume, 1.0), (share, -tank.volume_m3)], 0.0);
        }
        let flow_max = choices
            .iter()
            .map(|&choice| problem.duties[choice].flow_m3h.at_empty)
            .fold(0.0, f64::max);
        let carried = shares
            .iter()
            .zip(&choices)
            .flat_map(|(&(share, volume), &choice)| {
                let step = steps[slot][choice];
                [(share, -step.adds), (volume, -step.keeps)]
            });
        let volume = program.volume(problem);
        let balance = program.balance(problem, slot, flow_max, carried, &volume, 0.0);
        volumes.push((volume, balance));
        for pump in (0..PUMPS).filter(|&pump| problem.pumps[pump].in_service) {
            let start = program.variable(problem.pumps[pump].start_price, 1.0);
            let now = shares
                .iter()
                .zip(&choices)
                .filter(|&(_, &choice)| has(problem.set(choice), pump))
                .map(|(&(share, _), _)| (share, 1.0));
            let was = ran
                .iter()
                .filter(|(_, choice)| has(problem.set(*choice), pump))
                .map(|&(share, _)| (share, -1.0));
            let at_first = f64::from(u8::from(slot == 0 && problem.pumps[pump].on));
            program.at_most(now.chain(was).chain([(start, -1.0)]), at_first);
        }
        if problem.demand_charge_per_kw > 0.0 {
            let power = shares
                .iter()
                .zip(&choices)
                .map(|(&(share, _), &choice)| (share, problem.peak_kw(choice)));
            program.at_most(power.chain([(peak, -1.0)]), problem.reached_kw);
        }
        ran = shares
            .iter()
            .zip(&choices)
            .map(|(&(share, _), &choice)| (share, choice))
            .collect();
    }
    program.end(problem, volumes.last()?.0.after);
    let solution = program.solve()?;
    let price = |of: &[usize; 2]| of.iter().map(|&row| solution.at_most[row]).sum();
    let volumes = volumes.iter();
    Some(Relaxation {
        bound: program.bound(&solution),
        water_worth: (volumes.clone().map(|(_, row)| solution.equal[*row])).collect(),
        low_worth: volumes.clone().map(|(it, _)| price(&it.low)).collect(),
        high_worth: volumes.map(|(it, _)| price(&it.high)).collect(),
    })
}
