//! The station's fixed data: pump and system curves, tank, instruments, demand and
//! level-control settings.

/// Number of pumps in the station.
pub const PUMPS: usize = 6;

/// Converts m³/h times metres of water into kW: 1000 kg/m³ · 9.81 m/s² / 3.6e6.
const KW_PER_M3H_M: f64 = 9.81 / 3600.0;

/// Above this share of the best-efficiency flow the efficiency no longer falls, which
/// keeps the power finite for a pump that runs far out on its curve.
const MAX_RELATIVE_FLOW: f64 = 1.6;

/// Characteristic curves of one pump with its motor.
///
/// Head: `H = shutoff_head_m − droop·q²`. Pump efficiency: a parabola through zero flow
/// with its peak at `best_flow_m3h`. A wear factor (1 = new) scales both.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PumpCurve {
    /// Head at zero flow, m (60 to 90 here).
    pub shutoff_head_m: f64,
    /// Head lost per flow squared, m/(m³/h)².
    pub droop_m_per_m3h2: f64,
    /// Flow at the best-efficiency point, m³/h.
    pub best_flow_m3h: f64,
    /// Pump efficiency at that point when new, 0 to 1.
    pub peak_efficiency: f64,
    /// Motor efficiency, 0 to 1, taken as constant over the load.
    pub motor_efficiency: f64,
}

impl PumpCurve {
    /// Head in m at `flow_m3h` for a pump with the given wear factor (0 to 1).
    pub fn head_m(&self, flow_m3h: f64, wear: f64) -> f64 {
        self.shutoff_head_m * wear - self.droop_m_per_m3h2 * flow_m3h * flow_m3h
    }

    /// Flow in m³/h against `head_m`; 0 where the check valve stays closed.
    pub fn flow_m3h(&self, head_m: f64, wear: f64) -> f64 {
        let spare_m = self.shutoff_head_m * wear - head_m;
        (spare_m.max(0.0) / self.droop_m_per_m3h2).sqrt()
    }

    /// Pump efficiency at `flow_m3h`, 0 to 1.
    pub fn efficiency(&self, flow_m3h: f64, wear: f64) -> f64 {
        let relative = (flow_m3h / self.best_flow_m3h).clamp(0.0, MAX_RELATIVE_FLOW);
        self.peak_efficiency * wear * relative * (2.0 - relative)
    }

    /// Electrical power in kW drawn at `flow_m3h`.
    ///
    /// `ρ·g·q·H / (η_pump·η_motor)` with the flow cancelled out of `q/η_pump`, so that a
    /// pump against a closed valve still draws its shut-off power.
    pub fn power_kw(&self, flow_m3h: f64, wear: f64) -> f64 {
        let relative = (flow_m3h / self.best_flow_m3h).clamp(0.0, MAX_RELATIVE_FLOW);
        let over_cap = (flow_m3h / self.best_flow_m3h / MAX_RELATIVE_FLOW).max(1.0);
        let flow_per_efficiency =
            self.best_flow_m3h * over_cap / (self.peak_efficiency * wear * (2.0 - relative));
        KW_PER_M3H_M * self.head_m(flow_m3h, wear).max(0.0) * flow_per_efficiency
            / self.motor_efficiency
    }
}

/// Settings of the level control.
#[derive(Debug, Clone, PartialEq)]
pub struct ControlSettings {
    /// Tank level below which stage n (n pumps) is called, percent of the full tank,
    /// falling from stage to stage.
    pub start_level_percent: [f64; PUMPS],
    /// Tank level above which stage n is left again, percent of the full tank.
    pub stop_level_percent: [f64; PUMPS],
    /// Shortest time between two stage changes, minutes; lets the level answer first.
    pub stage_delay_minutes: u32,
    /// Shortest run of a pump, minutes.
    pub min_run_minutes: u32,
    /// Shortest rest of a pump before it starts again, minutes.
    pub min_rest_minutes: u32,
    /// Run after which a rested pump takes over, minutes.
    pub duty_change_minutes: u32,
}

impl Default for ControlSettings {
    fn default() -> Self {
        Self {
            start_level_percent: [84.0, 71.0, 64.0, 63.0, 54.0, 45.0],
            stop_level_percent: [92.0, 77.0, 72.0, 69.0, 66.0, 58.0],
            stage_delay_minutes: 4,
            min_run_minutes: 12,
            min_rest_minutes: 15,
            duty_change_minutes: 120,
        }
    }
}

/// Everything fixed about the simulated station.
#[derive(Debug, Clone, PartialEq)]
pub struct Station {
    /// Nameplate power of the motors, kW. The running power follows from the curves and
    /// stays within 0.5 to 1.0 of this for the default station.
    pub rated_kw: [f64; PUMPS],
    /// Characteristic curves.
    pub curves: [PumpCurve; PUMPS],
    /// Wear factor of each pump at the start, 0.5 to 1 (1 = new).
    pub initial_wear: [f64; PUMPS],
    /// Wear factor lost per 1000 running hours, 0 to 0.1.
    pub wear_per_1000_h: f64,
    /// Reading of the level sensor HLT101 at the full tank, raw units (reads 0 when empty).
    pub hlt_physical_max: f64,
    /// Usable tank volume at `hlt_physical_max`, m³.
    pub tank_volume_m3: f64,
    /// Depth of water in the full tank, m; adds to the static head.
    pub tank_depth_m: f64,
    /// Static head up to the tank floor, m.
    pub static_head_m: f64,
    /// Friction of the common rising main, m/(m³/h)².
    pub friction_m_per_m3h2: f64,
    /// End of the range of the flow meter FIT101, m³/h.
    pub fit101_physical_max: f64,
    /// Mean demand over the year, m³/day.
    pub demand_m3_per_day: f64,
    /// Level control.
    pub control: ControlSettings,
}

impl Default for Station {
    fn default() -> Self {
        // Heads and flows are set so that one pump alone lifts about 150 to 400 m³/h
        // against 50 m, at roughly 5 m³ per kWh.
        let curve = |head_m, droop, best_m3h, pump_eta, motor_eta| PumpCurve {
            shutoff_head_m: head_m,
            droop_m_per_m3h2: droop,
            best_flow_m3h: best_m3h,
            peak_efficiency: pump_eta,
            motor_efficiency: motor_eta,
        };
        Self {
            rated_kw: [55.0, 55.0, 75.0, 75.0, 37.0, 90.0],
            curves: [
                curve(75.0, 4.84e-4, 215.0, 0.770, 0.930),
                curve(75.5, 4.95e-4, 212.0, 0.765, 0.930),
                curve(78.0, 2.64e-4, 305.0, 0.790, 0.940),
                curve(77.0, 2.78e-4, 295.0, 0.780, 0.940),
                curve(74.5, 9.00e-4, 152.0, 0.735, 0.920),
                curve(80.5, 1.88e-4, 385.0, 0.800, 0.945),
            ],
            initial_wear: [0.99, 0.96, 0.985, 0.97, 0.98, 0.995],
            wear_per_1000_h: 0.008,
            hlt_physical_max: 120.0,
            tank_volume_m3: 1200.0,
            tank_depth_m: 6.0,
            static_head_m: 44.0,
            friction_m_per_m3h2: 1.2e-5,
            fit101_physical_max: 2000.0,
            demand_m3_per_day: 8350.0,
            control: ControlSettings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_flow_are_inverse() {
        for curve in Station::default().curves {
            let flow_m3h = curve.flow_m3h(52.0, 0.97);
            assert!((curve.head_m(flow_m3h, 0.97) - 52.0).abs() < 1e-9);
        }
    }

    #[test]
    fn efficiency_peaks_at_the_best_flow() {
        let curve = Station::default().curves[2];
        let best = curve.efficiency(curve.best_flow_m3h, 1.0);
        assert!((best - curve.peak_efficiency).abs() < 1e-12);
        assert!(curve.efficiency(curve.best_flow_m3h * 0.8, 1.0) < best);
        assert!(curve.efficiency(curve.best_flow_m3h * 1.2, 1.0) < best);
    }

    #[test]
    fn power_is_hydraulic_power_over_efficiencies() {
        for curve in Station::default().curves {
            for flow_m3h in [100.0, 250.0, 1.9 * curve.best_flow_m3h] {
                let hydraulic_kw =
                    1000.0 * 9.81 * (flow_m3h / 3600.0) * curve.head_m(flow_m3h, 1.0).max(0.0)
                        / 1000.0;
                let expected =
                    hydraulic_kw / (curve.efficiency(flow_m3h, 1.0) * curve.motor_efficiency);
                assert!((curve.power_kw(flow_m3h, 1.0) - expected).abs() < 1e-9);
            }
            assert!(curve.power_kw(0.0, 1.0) > 0.0);
        }
    }

    #[test]
    fn single_pumps_lift_the_expected_flow() {
        let station = Station::default();
        for (curve, wear) in station.curves.iter().zip(station.initial_wear) {
            let flow_m3h = curve.flow_m3h(50.0, wear);
            assert!((145.0..=450.0).contains(&flow_m3h), "{flow_m3h}");
        }
    }
}
