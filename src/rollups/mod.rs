//! From rows to the tables built on them: sessions, hours, days, pump health. Pure.

pub mod days;
pub mod hours;
pub mod sessions;
pub mod volume;

use serde::{Deserialize, Serialize};

/// Sum and count of known values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    sum: f64,
    count: u32,
}

impl Mean {
    /// Takes a value; an unknown one (NaN) adds nothing.
    pub fn add(&mut self, value: f64) {
        if !value.is_nan() {
            self.sum += value;
            self.count += 1;
        }
    }

    /// Mean of the known values; NaN without one.
    pub fn mean(&self) -> f64 {
        self.sum() / f64::from(self.count)
    }

    /// Sum of the known values; NaN without one.
    pub fn sum(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.sum }
    }
}

/// `amount / divisor`, NaN (unknown) where the divisor is 0.
pub fn ratio(amount: f64, divisor: f64) -> f64 {
    if divisor == 0.0 {
        f64::NAN
    } else {
        amount / divisor
    }
}

/// The larger of two values, an unknown one (NaN) giving way.
fn larger(a: f64, b: f64) -> f64 {
    if a.is_nan() || b > a { b } else { a }
}

/// The smaller of two values, an unknown one (NaN) giving way.
fn smaller(a: f64, b: f64) -> f64 {
    if a.is_nan() || b < a { b } else { a }
}

/// Least-squares slope of points `(x, y)`; NaN with fewer than `fewest` points.
pub fn slope(points: impl Iterator<Item = (f64, f64)> + Clone, fewest: usize) -> f64 {
    let (mut count, mut sum_x, mut sum_y) = (0.0, 0.0, 0.0);
    for (x, y) in points.clone() {
        count += 1.0;
        sum_x += x;
        sum_y += y;
    }
    if count < fewest as f64 {
        return f64::NAN;
    }
    let (mean_x, mean_y) = (sum_x / count, sum_y / count);
    let (mut xy, mut xx) = (0.0, 0.0);
    for (x, y) in points {
        xy += (x - mean_x) * (y - mean_y);
        xx += (x - mean_x) * (x - mean_x);
    }
    xy / xx
}
