//! The relaxed problem, solved by clarabel: pumps may run for a part of a slot. No schedule costs less than it does, so its cost is
//! a second bound, from another program and other code than the first; and its dual variables are prices: what a m³ in the tank
//! is worth at each time, and what a m³ of room at each limit would save. It finds no schedule.
//!
//! Flows that fall with the level stay linear by a variable for the volume with each set, the set's share times the volume.
//! Shortest and longest runs are left out, which only lowers the bound. The bound is made from the dual variables by weak duality,
//! with every variable between its limits, so it holds however inexactly they were found.

use super::{
    problem::{COMBINATIONS, Combination, Problem, has},
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
    let kw_max = (0..COMBINATIONS)
        .map(|set| problem.peak_kw(set))
        .fold(0.0, f64::max);
    let peak = program.variable(problem.demand_charge_per_kw, kw_max);
    let mut ran: Vec<(usize, Combination)> = Vec::new();
    for slot in 0..problem.slots.len() {
        let sets: Vec<Combination> = (0..COMBINATIONS)
            .filter(|&set| allowed[slot][set])
            .collect();
        let shares: Vec<_> = sets
            .iter()
            .map(|&set| {
                let step = steps[slot][set];
                (
                    program.variable(step.cost, 1.0),
                    program.variable(step.cost_per_m3, tank.volume_m3),
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
        let flow_max = sets
            .iter()
            .map(|&set| problem.duties[set].flow_m3h.at_empty)
            .fold(0.0, f64::max);
        let carried = shares
            .iter()
            .zip(&sets)
            .flat_map(|(&(share, volume), &set)| {
                let step = steps[slot][set];
                [(share, -step.adds), (volume, -step.keeps)]
            });
        let volume = program.volume(problem);
        let balance = program.balance(problem, slot, flow_max, carried, &volume, 0.0);
        volumes.push((volume, balance));
        for pump in (0..PUMPS).filter(|&pump| problem.pumps[pump].in_service) {
            let start = program.variable(problem.pumps[pump].start_price, 1.0);
            let now = shares
                .iter()
                .zip(&sets)
                .filter(|&(_, &set)| has(set, pump))
                .map(|(&(share, _), _)| (share, 1.0));
            let was = ran
                .iter()
                .filter(|(_, set)| has(*set, pump))
                .map(|&(share, _)| (share, -1.0));
            let at_first = f64::from(u8::from(slot == 0 && problem.pumps[pump].on));
            program.at_most(now.chain(was).chain([(start, -1.0)]), at_first);
        }
        if problem.demand_charge_per_kw > 0.0 {
            let power = shares
                .iter()
                .zip(&sets)
                .map(|(&(share, _), &set)| (share, problem.peak_kw(set)));
            program.at_most(power.chain([(peak, -1.0)]), problem.reached_kw);
        }
        ran = shares
            .iter()
            .zip(&sets)
            .map(|(&(share, _), &set)| (share, set))
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
