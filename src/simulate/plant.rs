//! The wet side: pumps at their operating point, tank balance and wear.

use super::hydraulics::{self, OperatingPoint};
use super::station::{PUMPS, Station};

/// Sub-steps per minute of the tank balance, so that spill and shortage begin close to
/// the moment the tank is full or empty.
const SUB_STEPS: u32 = 4;
const HOURS_PER_SUB_STEP: f64 = 1.0 / 60.0 / SUB_STEPS as f64;
const HOURS_PER_MINUTE: f64 = 1.0 / 60.0;

/// What the plant did in one minute.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PlantMinute {
    /// Operating point of the delivering pumps.
    pub point: OperatingPoint,
    /// Electrical power of the delivering pumps, kW.
    pub power_kw: [f64; PUMPS],
    /// Pumped into the tank, m³.
    pub inflow_m3: f64,
    /// Delivered to the consumers, m³.
    pub supplied_m3: f64,
    /// Lost over the overflow, m³.
    pub spilled_m3: f64,
}

/// State of pumps and tank.
#[derive(Debug, Clone)]
pub struct Plant {
    wear: [f64; PUMPS],
    volume_m3: f64,
    demand_m3h: Option<f64>,
    head_m: f64,
}

impl Plant {
    /// A plant whose tank holds `fill` (0 to 1) of its volume.
    pub fn new(station: &Station, fill: f64) -> Self {
        Self {
            wear: station.initial_wear,
            volume_m3: station.tank_volume_m3 * fill,
            demand_m3h: None,
            head_m: 0.0,
        }
    }

    /// Fill of the tank, 0 to 1.
    pub fn fill(&self, station: &Station) -> f64 {
        self.volume_m3 / station.tank_volume_m3
    }

    /// Runs one minute with the `delivering` pumps; the demand moves linearly from its
    /// last value to `demand_m3h`.
    pub fn step(
        &mut self,
        station: &Station,
        delivering: &[bool; PUMPS],
        demand_m3h: f64,
    ) -> PlantMinute {
        let fill = self.fill(station);
        let point = hydraulics::solve(station, &self.wear, delivering, fill, self.head_m);
        self.head_m = point.head_m;
        let mut minute = PlantMinute {
            point,
            ..PlantMinute::default()
        };
        for (pump, _) in delivering.iter().enumerate().filter(|(_, on)| **on) {
            minute.power_kw[pump] =
                station.curves[pump].power_kw(point.flow_m3h[pump], self.wear[pump]);
            let lost = station.wear_per_1000_h * HOURS_PER_MINUTE / 1000.0;
            self.wear[pump] = (self.wear[pump] - lost).max(0.5);
        }
        let before_m3h = self.demand_m3h.replace(demand_m3h).unwrap_or(demand_m3h);
        for sub_step in 0..SUB_STEPS {
            let share = (f64::from(sub_step) + 0.5) / f64::from(SUB_STEPS);
            let wanted_m3h = before_m3h + (demand_m3h - before_m3h) * share;
            let inflow_m3 = point.total_m3h * HOURS_PER_SUB_STEP;
            let held_m3 = self.volume_m3 + inflow_m3;
            let supplied_m3 = (wanted_m3h * HOURS_PER_SUB_STEP).min(held_m3);
            let spilled_m3 = (held_m3 - supplied_m3 - station.tank_volume_m3).max(0.0);
            self.volume_m3 = held_m3 - supplied_m3 - spilled_m3;
            minute.inflow_m3 += inflow_m3;
            minute.supplied_m3 += supplied_m3;
            minute.spilled_m3 += spilled_m3;
        }
        minute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(delivering: [bool; PUMPS], demand_m3h: f64, fill: f64) -> (f64, PlantMinute) {
        let station = Station::default();
        let mut plant = Plant::new(&station, fill);
        let before_m3 = plant.volume_m3;
        let mut sum = PlantMinute::default();
        for _ in 0..600 {
            let minute = plant.step(&station, &delivering, demand_m3h);
            sum.inflow_m3 += minute.inflow_m3;
            sum.supplied_m3 += minute.supplied_m3;
            sum.spilled_m3 += minute.spilled_m3;
        }
        (plant.volume_m3 - before_m3, sum)
    }

    #[test]
    fn mass_balance_closes_in_normal_running() {
        let (change_m3, sum) = run([true, false, false, false, false, false], 200.0, 0.5);
        assert!((change_m3 - (sum.inflow_m3 - sum.supplied_m3)).abs() < 1e-6);
        assert_eq!(sum.spilled_m3, 0.0);
        assert!((sum.supplied_m3 - 2000.0).abs() < 1e-6);
    }

    #[test]
    fn mass_balance_closes_when_the_tank_overflows_or_runs_empty() {
        let (change_m3, sum) = run([true; PUMPS], 100.0, 0.9);
        assert!(sum.spilled_m3 > 0.0);
        assert!((change_m3 - (sum.inflow_m3 - sum.supplied_m3 - sum.spilled_m3)).abs() < 1e-6);
        assert!((change_m3 - 120.0).abs() < 1e-6);
        let (change_m3, sum) = run([false; PUMPS], 400.0, 0.5);
        assert!((sum.supplied_m3 - 600.0).abs() < 1e-6);
        assert!((change_m3 + 600.0).abs() < 1e-6);
    }

    #[test]
    fn running_wears_a_pump() {
        let station = Station::default();
        let mut plant = Plant::new(&station, 0.5);
        for _ in 0..60_000 {
            plant.step(&station, &[true, false, false, false, false, false], 200.0);
        }
        assert!((plant.wear[0] - (station.initial_wear[0] - 0.008)).abs() < 1e-9);
        assert_eq!(plant.wear[1], station.initial_wear[1]);
    }
}
