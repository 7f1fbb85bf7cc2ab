//! Problems for the planner: a fixed set of whole days, and small ones drawn at random.

use pumphouse::{
    schedule::problem::{
        Breaches, COMBINATIONS, Combination, Duty, Line, Problem, Pump, Slot, Speed, Tank, has,
    },
    simulate::Station,
    tags::PUMPS,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Head that the pumps lift from the well to the tank's floor, m, and depth of the tank, m.
pub const STATIC_HEAD_M: f64 = 44.0;
pub const DEPTH_M: f64 = 6.0;
/// Friction of a rising main that many pumps share, m/(m³/h)².
pub const FRICTION: f64 = 6e-5;

/// Names of the whole days.
pub const DAYS: [&str; 8] = [
    "easy",
    "base",
    "tight",
    "mid",
    "demand-charge",
    "out",
    "infeasible",
    "up60",
];

/// Head, flow and power of a set of pumps at a fill of the tank, 0 to 1; additive without friction.
fn operating_point(
    station: &Station,
    set: Combination,
    fill: f64,
    friction: f64,
) -> (f64, f64, f64) {
    let pumps = || (0..PUMPS).filter(|&pump| has(set, pump));
    let (mut low, mut high) = (STATIC_HEAD_M, 90.0);
    for _ in 0..100 {
        let head = f64::midpoint(low, high);
        let total: f64 = pumps()
            .map(|pump| station.curves[pump].flow_m3h(head, 1.0))
            .sum();
        if STATIC_HEAD_M + DEPTH_M * fill + friction * total * total > head {
            low = head;
        } else {
            high = head;
        }
    }
    pumps().fold((low, 0.0, 0.0), |(head, flow, power), pump| {
        let own = station.curves[pump].flow_m3h(low, 1.0);
        let drawn = station.curves[pump].power_kw(own, 1.0);
        (head, flow + own, power + drawn)
    })
}

fn duty(station: &Station, set: Combination, volume_m3: f64, friction: f64) -> Duty {
    let [empty, full] = [0.0, 1.0].map(|fill| operating_point(station, set, fill, friction));
    let line = |empty: f64, full: f64| Line {
        at_empty: empty,
        per_m3: (full - empty) / volume_m3,
    };
    Duty {
        flow_m3h: line(empty.1, full.1),
        power_kw: line(empty.2, full.2),
        premium_per_h: 0.0,
    }
}

fn duties(volume_m3: f64, friction: f64) -> Vec<Duty> {
    let station = Station::default();
    let of = |set| duty(&station, set, volume_m3, friction);
    (0..COMBINATIONS).map(of).collect()
}

/// The simulated station with the pumps of a set at a share of full speed, by the affinity laws.
fn slowed(driven: Combination, speed: f64) -> Station {
    let mut station = Station::default();
    for (pump, curve) in station.curves.iter_mut().enumerate() {
        if has(driven, pump) {
            curve.shutoff_head_m *= speed * speed;
            curve.best_flow_m3h *= speed;
        }
    }
    station
}

/// A problem in which the pumps of a set have variable-speed drives, of which the search knows the speeds that `searched_pct` divides;
/// its pumps share a rising main.
pub fn with_drives(mut problem: Problem, driven: Combination, searched_pct: u8) -> Problem {
    let volume_m3 = problem.tank.volume_m3;
    problem.duties = duties(volume_m3, FRICTION);
    let speed = |pct: u8| {
        let station = slowed(driven, f64::from(pct) / 100.0);
        // Nothing runs against a head that it hardly reaches.
        let lifts = |set: Combination| {
            let (head, _, _) = operating_point(&station, set, 1.0, FRICTION);
            let on = |pump: &usize| has(set & driven, *pump);
            (0..PUMPS).filter(on).all(|pump| {
                station.curves[pump].flow_m3h(head, 1.0) > 0.4 * station.curves[pump].best_flow_m3h
            })
        };
        let of = |set: Combination| {
            let is_slower = set & driven != 0 && lifts(set);
            is_slower.then(|| duty(&station, set, volume_m3, FRICTION))
        };
        Speed {
            pct,
            duties: (0..COMBINATIONS).map(of).collect(),
        }
    };
    problem.driven = driven;
    problem.speeds = (70..100).map(speed).collect();
    problem.search_speeds(searched_pct);
    problem
}

fn breaches() -> Breaches {
    let dear = 0.05;
    Breaches {
        unmet: 500.0 * dear,
        spilt: 200.0 * dear,
        low: 40.0 * dear,
        high: 20.0 * dear,
        end: 2.0 * dear,
        margin: 1.5 * dear,
        surplus_worth: 0.015,
    }
}

/// A day of 96 slots.
pub fn day(name: &str, is_additive: bool) -> Problem {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let volume_m3 = match name {
        "tight" | "infeasible" => 700.0,
        "easy" => 3000.0,
        _ => 1500.0,
    };
    let mean_m3h = match name {
        "tight" => 300.0,
        "infeasible" if is_additive => 560.0,
        "infeasible" => 430.0,
        _ => 270.0,
    };
    let first_h = if name == "mid" { 14.5 } else { 0.0 };
    let mut error = 0.0;
    let slots = (0..96).map(|slot| {
        let hour = (first_h + f64::from(slot) / 4.0) % 24.0;
        let noise: f64 = rng.sample(StandardNormal);
        error = 0.9 * error + 0.03 * noise;
        let bell = |height: f64, at: f64, wide: f64| height * (-((hour - at) / wide).powi(2)).exp();
        let shape = 0.55 + bell(0.55, 8.0, 2.2) + bell(0.6, 19.0, 2.5) + bell(0.25, 13.0, 3.0);
        let is_peak = (6.0..10.0).contains(&hour) || (17.0..21.0).contains(&hour);
        Slot {
            length_min: 15,
            demand_m3h: mean_m3h * 1.15 * shape * (1.0 + error),
            price_per_kwh: if is_peak { 0.22 } else { 0.09 },
        }
    });
    let mut pumps: [Pump; PUMPS] = std::array::from_fn(|pump| Pump {
        in_service: true,
        on: pump == 0,
        since_min: 600,
        start_price: 0.48 + 0.05 * pump as f64,
        wear_per_h: 0.05 + 0.02 * ((pump * 7) % 5) as f64,
    });
    if name == "mid" {
        for (pump, since_min) in [(1, 10), (2, 5), (5, 0)] {
            pumps[pump].on = true;
            pumps[pump].since_min = since_min;
        }
    }
    pumps[5].in_service = !matches!(name, "out" | "infeasible");
    pumps[2].in_service = name != "infeasible";
    let now_m3 = if name == "mid" { 0.55 } else { 0.6 } * volume_m3;
    let least_min = if name == "up60" { 60 } else { 30 };
    Problem {
        slots: slots.collect(),
        slot_min: 15,
        tank: Tank {
            volume_m3,
            now_m3,
            low_m3: 0.15 * volume_m3,
            high_m3: 0.9 * volume_m3,
            margin_m3: 0.02 * volume_m3,
            end_m3: now_m3,
        },
        duties: duties(volume_m3, if is_additive { 0.0 } else { FRICTION }),
        pumps,
        pumps_on_max: 4,
        min_up_min: least_min,
        min_down_min: least_min,
        run_max_min: 1200,
        demand_charge_per_kw: if name == "demand-charge" { 0.15 } else { 0.0 },
        reached_kw: 0.0,
        advised: Vec::new(),
        advised_pct: Vec::new(),
        slower: Vec::new(),
        driven: 0,
        speeds: Vec::new(),
        change_price: 0.0,
        breaches: breaches(),
    }
}

/// A small problem with three pumps in service; flows depend on the level when `is_sloped`.
pub fn small(seed: u64, slots: usize, is_sloped: bool) -> Problem {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let volume_m3 = rng.random_range(200.0..900.0);
    let mut problem = day("base", rng.random());
    problem.duties = duties(volume_m3, if rng.random() { 0.0 } else { FRICTION });
    if !is_sloped {
        for duty in &mut problem.duties {
            for line in [&mut duty.flow_m3h, &mut duty.power_kw] {
                *line = Line::flat(line.at(volume_m3 / 2.0));
            }
        }
    }
    let mut out: Vec<usize> = (0..PUMPS).collect();
    for (pump, it) in problem.pumps.iter_mut().enumerate() {
        it.on = rng.random_ratio(1, 3);
        it.since_min = [0, 15, 30, 600, 1170][rng.random_range(0..5)];
        it.start_price = rng.random_range(0.1..2.0);
        it.wear_per_h = rng.random_range(0.0..0.3);
        debug_assert_eq!(out[pump], pump);
    }
    while out.len() > 3 {
        out.remove(rng.random_range(0..out.len()));
    }
    for pump in out {
        problem.pumps[pump].in_service = false;
        problem.pumps[pump].on = false;
    }
    problem.slots = (0..slots)
        .map(|_| Slot {
            length_min: 30,
            demand_m3h: rng.random_range(0.0..700.0),
            price_per_kwh: rng.random_range(0.05..0.4),
        })
        .collect();
    problem.slot_min = 30;
    problem.pumps_on_max = rng.random_range(1..=3);
    problem.min_up_min = [0, 30, 60][rng.random_range(0..3)];
    problem.min_down_min = [0, 30, 60][rng.random_range(0..3)];
    problem.tank = Tank {
        volume_m3,
        now_m3: volume_m3 * rng.random_range(0.1..0.95),
        low_m3: 0.15 * volume_m3,
        high_m3: 0.9 * volume_m3,
        margin_m3: 0.02 * volume_m3,
        end_m3: volume_m3 * rng.random_range(0.2..0.8),
    };
    if rng.random_ratio(1, 4) {
        problem.demand_charge_per_kw = rng.random_range(0.01..0.3);
        problem.reached_kw = rng.random_range(0.0..60.0);
    }
    if rng.random_ratio(1, 4) {
        problem.advised = (0..3).map(|_| rng.random_range(0..COMBINATIONS)).collect();
        problem.change_price = 0.2;
    }
    problem
}
