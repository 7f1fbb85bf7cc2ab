//! Operating point of the running pumps on the common system curve.

use super::station::{PUMPS, Station};

/// Head residual at which the solution is taken, m.
const TOLERANCE_M: f64 = 1e-9;
/// Bisection alone would need about 40 steps; the mixed search ends well before this.
const MAX_STEPS: usize = 60;

/// Where the running pumps and the system meet.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OperatingPoint {
    /// Common head at the manifold, m.
    pub head_m: f64,
    /// Flow of each pump, m³/h.
    pub flow_m3h: [f64; PUMPS],
    /// Sum of the flows, m³/h.
    pub total_m3h: f64,
}

/// Head the system asks for at `total_m3h`, m; `fill` is the tank's fill, 0 to 1.
pub fn system_head_m(station: &Station, fill: f64, total_m3h: f64) -> f64 {
    station.static_head_m
        + station.tank_depth_m * fill
        + station.friction_m_per_m3h2 * total_m3h * total_m3h
}

/// Solves for the common head of the `running` pumps, starting the search at `guess_m`.
///
/// The residual `system head − head` falls strictly with the head, so a Newton search
/// kept inside a shrinking bracket always ends.
pub fn solve(
    station: &Station,
    wear: &[f64; PUMPS],
    running: &[bool; PUMPS],
    fill: f64,
    guess_m: f64,
) -> OperatingPoint {
    let mut low_m = system_head_m(station, fill, 0.0);
    let mut high_m = low_m;
    for pump in 0..PUMPS {
        if running[pump] {
            high_m = high_m.max(station.curves[pump].shutoff_head_m * wear[pump]);
        }
    }
    if high_m <= low_m {
        return OperatingPoint {
            head_m: low_m,
            ..OperatingPoint::default()
        };
    }
    let mut head_m = if guess_m > low_m && guess_m < high_m {
        guess_m
    } else {
        0.5 * (low_m + high_m)
    };
    for _ in 0..MAX_STEPS {
        let (total_m3h, slope) = flow_and_slope(station, wear, running, head_m);
        let residual_m = system_head_m(station, fill, total_m3h) - head_m;
        if residual_m.abs() < TOLERANCE_M {
            break;
        }
        if residual_m > 0.0 {
            low_m = head_m;
        } else {
            high_m = head_m;
        }
        let newton_m =
            head_m - residual_m / (2.0 * station.friction_m_per_m3h2 * total_m3h * slope - 1.0);
        head_m = if newton_m > low_m && newton_m < high_m {
            newton_m
        } else {
            0.5 * (low_m + high_m)
        };
    }
    let mut point = OperatingPoint {
        head_m,
        ..OperatingPoint::default()
    };
    for pump in 0..PUMPS {
        if running[pump] {
            point.flow_m3h[pump] = station.curves[pump].flow_m3h(head_m, wear[pump]);
            point.total_m3h += point.flow_m3h[pump];
        }
    }
    point
}

/// Total flow of the running pumps at a head and its derivative by the head.
fn flow_and_slope(
    station: &Station,
    wear: &[f64; PUMPS],
    running: &[bool; PUMPS],
    head_m: f64,
) -> (f64, f64) {
    let (mut total_m3h, mut slope) = (0.0, 0.0);
    for pump in 0..PUMPS {
        if running[pump] {
            let curve = &station.curves[pump];
            let flow_m3h = curve.flow_m3h(head_m, wear[pump]);
            total_m3h += flow_m3h;
            if flow_m3h > 0.0 {
                slope -= 0.5 / (curve.droop_m_per_m3h2 * flow_m3h);
            }
        }
    }
    (total_m3h, slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn point_lies_on_pump_and_system_curves_for_every_combination() {
        let station = Station::default();
        let wear = station.initial_wear;
        for mask in 1_u32..64 {
            let running = std::array::from_fn(|pump| mask >> pump & 1 == 1);
            for fill in [0.0, 0.5, 1.0] {
                for guess_m in [0.0, 55.0, 74.0] {
                    let point = solve(&station, &wear, &running, fill, guess_m);
                    let system_m = system_head_m(&station, fill, point.total_m3h);
                    assert!((system_m - point.head_m).abs() < 1e-6, "mask {mask}");
                    for pump in (0..PUMPS).filter(|&pump| running[pump]) {
                        let flow_m3h = point.flow_m3h[pump];
                        assert!(flow_m3h > 0.0);
                        let head_m = station.curves[pump].head_m(flow_m3h, wear[pump]);
                        assert!((head_m - point.head_m).abs() < 1e-6);
                    }
                }
            }
        }
    }

    #[test]
    fn a_weak_pump_is_shut_off_by_its_check_valve() {
        let mut station = Station::default();
        station.curves[4].shutoff_head_m = 46.0;
        let running = [true, false, false, false, true, true];
        let point = solve(&station, &station.initial_wear, &running, 0.8, 50.0);
        assert_eq!(point.flow_m3h[4], 0.0);
        assert!(point.total_m3h > 400.0);
    }

    #[test]
    fn no_pump_no_flow() {
        let station = Station::default();
        let point = solve(&station, &station.initial_wear, &[false; PUMPS], 0.5, 50.0);
        assert_eq!(point.total_m3h, 0.0);
        assert_eq!(point.head_m, 47.0);
    }
}
