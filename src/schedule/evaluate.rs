//! What a schedule costs and what it breaks. It shares no code with the solver, so that each proves the other.

use super::problem::{Combination, Problem, count, has};

/// A limit that a schedule breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// The demand is not met.
    Unmet,
    /// The tank spills.
    Spilt,
    /// Below the lower limit.
    Low,
    /// Above the upper limit.
    High,
    /// Too little at the end.
    End,
    /// Nearer to the lower limit than the margin.
    LowMargin,
    /// Nearer to the upper limit than the margin.
    HighMargin,
}

/// A limit, where and how far it is broken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breach {
    /// The limit.
    pub limit: Limit,
    /// The slot, at whose end it shows.
    pub slot: usize,
    /// How far, m³.
    pub by_m3: f64,
}

/// What a schedule costs and does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Volume at the end of each slot, m³.
    pub volume_m3: Vec<f64>,
    /// Energy of each slot, kWh.
    pub energy_kwh: Vec<f64>,
    /// Lifted in each slot, m³.
    pub lifted_m3: Vec<f64>,
    /// Cost of the energy.
    pub energy_cost: f64,
    /// Cost of the demand charge beyond what has been reached.
    pub demand_cost: f64,
    /// Price of wear.
    pub wear_cost: f64,
    /// Price of starts.
    pub start_cost: f64,
    /// Price of sets not seen before.
    pub premium: f64,
    /// Price of changed advice.
    pub change_cost: f64,
    /// Price of what is broken.
    pub breach_cost: f64,
    /// Worth of the water beyond what the end asks for.
    pub surplus_worth: f64,
    /// Starts of pumps.
    pub starts: usize,
    /// What is broken; margins as well.
    pub breaches: Vec<Breach>,
    /// Pumps switched before their time, too many pumps, pumps out of service: slot and reason. Empty for what the solver makes.
    pub faults: Vec<(usize, String)>,
}

impl Evaluation {
    /// What the solver minimises.
    pub fn objective(&self) -> f64 {
        self.energy_cost
            + self.demand_cost
            + self.wear_cost
            + self.start_cost
            + self.premium
            + self.change_cost
            + self.breach_cost
            - self.surplus_worth
    }

    /// What it costs without the prices of what is broken, which are no money; water missing at the end counts as lifted when that is
    /// dear, of which its price is twice.
    pub fn money(&self, problem: &Problem) -> f64 {
        let missing = self.breaches.iter().filter(|it| it.limit == Limit::End);
        let missing_m3: f64 = missing.map(|it| it.by_m3).sum();
        self.objective() - self.breach_cost + missing_m3 * problem.breaches.end / 2.0
    }

    /// Energy of the horizon, kWh.
    pub fn total_kwh(&self) -> f64 {
        self.energy_kwh.iter().sum()
    }
}

/// Prices a schedule, a set of pumps for each slot, at full speed.
pub fn evaluate(problem: &Problem, schedule: &[Combination]) -> Evaluation {
    evaluate_at(problem, schedule, &[])
}

/// Prices a schedule with a speed for each slot, % of full speed; full speed where there is none.
pub fn evaluate_at(
    problem: &Problem,
    schedule: &[Combination],
    speeds_pct: &[Option<u8>],
) -> Evaluation {
    let mut done = Evaluation::default();
    let mut volume = problem.tank.now_m3;
    let mut pumps: Vec<(bool, i64)> = problem
        .pumps
        .iter()
        .map(|pump| (pump.on, pump.since_min))
        .collect();
    let mut peak_kw = problem.reached_kw;
    for (at, (slot, &set)) in problem.slots.iter().zip(schedule).enumerate() {
        let hours = slot.hours();
        let duty = problem.duty(set, speeds_pct.get(at).copied().flatten());
        switch(problem, at, set, &mut pumps, &mut done);
        // The flow is the one at the mean of the volumes before and after.
        let (flow, demand) = (duty.flow_m3h, slot.demand_m3h);
        let after = (volume + hours * (flow.at_empty + flow.per_m3 * volume / 2.0 - demand))
            / (1.0 - hours * flow.per_m3 / 2.0);
        let mean = f64::midpoint(volume, after);
        let energy = hours * duty.power_kw.at(mean);
        done.energy_kwh.push(energy);
        done.lifted_m3.push(hours * flow.at(mean));
        done.energy_cost += energy * slot.price_per_kwh;
        done.premium += hours * duty.premium_per_h;
        for (pump, it) in problem.pumps.iter().enumerate() {
            if has(set, pump) {
                done.wear_cost += hours * it.wear_per_h;
            }
        }
        peak_kw = peak_kw.max(duty.power_kw.at(problem.tank.volume_m3 / 2.0));
        if let Some(&before) = problem.advised.get(at) {
            done.change_cost += count(before ^ set) as f64 * problem.change_price;
        }
        volume = after.clamp(0.0, problem.tank.volume_m3);
        hold_against_limits(problem, at, after, volume, &mut done);
        done.volume_m3.push(volume);
        for pump in &mut pumps {
            pump.1 += slot.length_min;
        }
    }
    done.demand_cost = (peak_kw - problem.reached_kw) * problem.demand_charge_per_kw;
    let over = volume - problem.tank.end_m3;
    if over >= 0.0 {
        done.surplus_worth = over * problem.breaches.surplus_worth;
    } else {
        breach(
            &mut done,
            Limit::End,
            problem.slots.len().saturating_sub(1),
            -over,
            problem.breaches.end,
        );
    }
    done
}

fn switch(
    problem: &Problem,
    at: usize,
    set: Combination,
    pumps: &mut [(bool, i64)],
    done: &mut Evaluation,
) {
    let mut held = 0;
    for (pump, state) in pumps.iter_mut().enumerate() {
        let (is, on) = (state.0, has(set, pump));
        let in_service = problem.pumps[pump].in_service;
        let mut fault = |what: &str| done.faults.push((at, format!("P{} {what}", pump + 1)));
        if on && !in_service {
            fault("is out of service");
        }
        if is && in_service && state.1 < problem.min_up_min {
            held += 1;
        }
        if is != on {
            let least = if is {
                problem.min_up_min
            } else {
                problem.min_down_min
            };
            if state.1 < least && (in_service || on) {
                fault("is switched before its time");
            }
            if on {
                done.starts += 1;
                done.start_cost += problem.pumps[pump].start_price;
            }
            *state = (on, 0);
        } else if on && state.1 >= problem.run_max_min {
            fault("runs for too long");
        }
    }
    if count(set) > problem.pumps_on_max.max(held) {
        done.faults.push((at, format!("{} pumps run", count(set))));
    }
}

fn hold_against_limits(
    problem: &Problem,
    at: usize,
    wanted: f64,
    volume: f64,
    done: &mut Evaluation,
) {
    let (tank, price) = (&problem.tank, &problem.breaches);
    let beyond = [
        (Limit::Unmet, -wanted, price.unmet),
        (Limit::Spilt, wanted - tank.volume_m3, price.spilt),
        (Limit::Low, tank.low_m3 - volume, price.low),
        (Limit::High, volume - tank.high_m3, price.high),
        (
            Limit::LowMargin,
            tank.low_m3 + tank.margin_m3 - volume,
            price.margin,
        ),
        (
            Limit::HighMargin,
            volume - (tank.high_m3 - tank.margin_m3),
            price.margin,
        ),
    ];
    for (limit, by_m3, price) in beyond {
        if by_m3 > 0.0 {
            breach(done, limit, at, by_m3, price);
        }
    }
}

fn breach(done: &mut Evaluation, limit: Limit, slot: usize, by_m3: f64, price: f64) {
    done.breach_cost += by_m3 * price;
    done.breaches.push(Breach { limit, slot, by_m3 });
}
