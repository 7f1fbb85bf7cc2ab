//! Water demand: daily, weekly and yearly shape with autocorrelated noise.

use jiff::civil::{DateTime, Weekday};
use rand::Rng;
use rand_distr::StandardNormal;

const MINUTES_PER_DAY: usize = 1440;

/// Seasonal swing around the mean, as a share; highest in late July.
const SEASONAL_SWING: f64 = 0.045;
const SEASONAL_PEAK_DAY: f64 = 205.0;

/// Autocorrelated noise, as shares of the demand: short (behaviour) and long (weather).
const FAST_SPREAD: f64 = 0.05;
const FAST_TIME_MINUTES: f64 = 40.0;
const SLOW_SPREAD: f64 = 0.02;
const SLOW_TIME_MINUTES: f64 = 2000.0;

/// Weekly factor, Monday first; its mean is about 1.
const WEEKDAY_FACTOR: [f64; 7] = [1.02, 1.01, 1.01, 1.02, 1.01, 0.98, 0.95];

/// One hump of the daily shape: hour of the peak, width in hours, height.
type Hump = (f64, f64, f64);

const WORKDAY_BASE: f64 = 0.40;
const WORKDAY_HUMPS: [Hump; 3] = [(7.3, 1.4, 1.50), (12.8, 2.6, 0.65), (19.3, 2.0, 1.40)];
const WEEKEND_BASE: f64 = 0.42;
const WEEKEND_HUMPS: [Hump; 3] = [(9.6, 2.1, 1.15), (14.0, 2.6, 0.60), (19.6, 2.3, 1.05)];

/// Demand model with its noise state.
#[derive(Debug, Clone)]
pub struct Demand {
    mean_m3h: f64,
    workday: Vec<f64>,
    weekend: Vec<f64>,
    fast: Drift,
    slow: Drift,
}

impl Demand {
    /// Demand with the given yearly mean, m³/day.
    pub fn new(mean_m3_per_day: f64) -> Self {
        Self {
            mean_m3h: mean_m3_per_day / 24.0,
            workday: day_shape(WORKDAY_BASE, &WORKDAY_HUMPS),
            weekend: day_shape(WEEKEND_BASE, &WEEKEND_HUMPS),
            fast: Drift::new(FAST_SPREAD, FAST_TIME_MINUTES),
            slow: Drift::new(SLOW_SPREAD, SLOW_TIME_MINUTES),
        }
    }

    /// Demand of the next minute, which begins at `time`, m³/h.
    pub fn next_m3h(&mut self, time: DateTime, rng: &mut impl Rng) -> f64 {
        let minute = time.hour() as usize * 60 + time.minute() as usize;
        let weekday = time.weekday();
        let shape = match weekday {
            Weekday::Saturday | Weekday::Sunday => &self.weekend,
            _ => &self.workday,
        };
        let weekly = WEEKDAY_FACTOR[weekday.to_monday_zero_offset() as usize];
        let noise = 1.0 + self.fast.next(rng) + self.slow.next(rng);
        self.mean_m3h * shape[minute] * weekly * seasonal(time) * noise.max(0.1)
    }
}

fn seasonal(time: DateTime) -> f64 {
    let day = f64::from(time.day_of_year()) + f64::from(time.hour()) / 24.0;
    let angle = (day - SEASONAL_PEAK_DAY) / 365.25 * std::f64::consts::TAU;
    1.0 + SEASONAL_SWING * angle.cos()
}

/// The daily shape per minute, scaled to a mean of 1.
fn day_shape(base: f64, humps: &[Hump]) -> Vec<f64> {
    let mut shape: Vec<f64> = (0..MINUTES_PER_DAY)
        .map(|minute| {
            let hour = minute as f64 / 60.0;
            let humps_sum: f64 = humps
                .iter()
                .map(|&(peak, width, height)| {
                    // Distance around the clock, so that the shape has no step at midnight.
                    let gap = (hour - peak).abs();
                    let distance = gap.min(24.0 - gap) / width;
                    height * (-0.5 * distance * distance).exp()
                })
                .sum();
            base + humps_sum
        })
        .collect();
    let mean = shape.iter().sum::<f64>() / shape.len() as f64;
    for value in &mut shape {
        *value /= mean;
    }
    shape
}

/// First-order autocorrelated noise around zero.
#[derive(Debug, Clone)]
struct Drift {
    value: f64,
    keep: f64,
    kick: f64,
}

impl Drift {
    fn new(spread: f64, time_minutes: f64) -> Self {
        let keep = (-1.0 / time_minutes).exp();
        Self {
            value: 0.0,
            keep,
            kick: spread * (1.0 - keep * keep).sqrt(),
        }
    }

    fn next(&mut self, rng: &mut impl Rng) -> f64 {
        let normal: f64 = rng.sample(StandardNormal);
        self.value = self.keep * self.value + self.kick * normal;
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::ToSpan;
    use jiff::civil::datetime;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_year_has_the_asked_mean() {
        let mut demand = Demand::new(8500.0);
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut time = datetime(2025, 1, 1, 0, 0, 0, 0);
        let mut sum_m3 = 0.0;
        for _ in 0..365 * MINUTES_PER_DAY {
            sum_m3 += demand.next_m3h(time, &mut rng) / 60.0;
            time = time.saturating_add(1.minute());
        }
        let mean = sum_m3 / 365.0;
        assert!((mean - 8500.0).abs() < 150.0, "{mean}");
    }

    #[test]
    fn workdays_have_two_peaks_and_a_quiet_night() {
        let shape = day_shape(WORKDAY_BASE, &WORKDAY_HUMPS);
        let at = |hour: usize| shape[hour * 60];
        assert!(at(7) > 1.4 && at(19) > 1.4);
        assert!(at(10) < at(7) && at(16) < at(19));
        assert!(at(3) < 0.6);
        let mean = shape.iter().sum::<f64>() / shape.len() as f64;
        assert!((mean - 1.0).abs() < 1e-12);
    }
}
