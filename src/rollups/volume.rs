//! What a local day has pumped, by the PLC's day counter. The PLC sets the counter to nothing at its own midnight, and that need
//! not be the wall's: its clock is slow, stands on UTC, or knows no summer time.
//!
//! Where the two agree, the volume is the counter's highest value. Where the counter runs on over the wall's midnight, the day
//! begins with what it showed then, and goes on from nothing once it has been reset.

use serde::{Deserialize, Serialize};

use super::larger;
use crate::calendar::Minute;

/// More than any station pumps in a day, m³: a counter that shows it is broken, and tells nothing of midnight.
const VOLUME_MAX_M3: f64 = 1e7;

/// Minutes that a value before midnight may be from the first one after it to be what the counter showed at midnight.
const SEEN_MIN: i64 = 5;

/// The volume of a day so far.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DayVolume {
    /// The counter's newest value, m³, and its minute.
    newest: Option<(Minute, f64)>,
    /// What the counter showed at the wall's midnight and has run on from, m³; NaN where it began anew.
    begun_at: f64,
    /// Pumped from the wall's midnight to the PLC's, m³.
    until_reset: f64,
    /// Highest value since then, m³; NaN before the day's first.
    max: f64,
}

impl DayVolume {
    /// A day that follows another.
    pub fn after(before: Option<&Self>) -> Self {
        Self {
            newest: before.and_then(|before| before.newest),
            begun_at: f64::NAN,
            until_reset: 0.0,
            max: f64::NAN,
        }
    }

    /// Takes the counter's value, m³; NaN unknown.
    pub fn add(&mut self, minute: Minute, counter: f64) {
        if counter.is_nan() {
            return;
        }
        if self.max.is_nan() {
            let midnight = self.newest.filter(|&(at, shown)| {
                minute - at <= SEEN_MIN && (0.0..=counter.min(VOLUME_MAX_M3)).contains(&shown)
            });
            self.begun_at = midnight.map_or(f64::NAN, |(_, shown)| shown);
        } else if (0.0..self.begun_at).contains(&counter) {
            self.until_reset = self.max - self.begun_at;
            (self.begun_at, self.max) = (f64::NAN, counter);
        }
        self.max = larger(self.max, counter);
        self.newest = Some((minute, counter));
    }

    /// The volume, m³; NaN unknown.
    pub fn m3(&self) -> f64 {
        let begun_at = if self.begun_at.is_nan() {
            0.0
        } else {
            self.begun_at
        };
        self.until_reset + (self.max - begun_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::DAY_MIN;

    /// Volumes of three days of 600 m³/h, the counter reset so many minutes after midnight and changed as told.
    fn volumes(reset_min: i64, shown: impl Fn(Minute, f64) -> f64) -> Vec<f64> {
        let mut volumes = Vec::new();
        let mut volume = DayVolume::after(None);
        for minute in 0..3 * DAY_MIN {
            if minute % DAY_MIN == 0 && minute > 0 {
                volumes.push(volume.m3());
                volume = DayVolume::after(Some(&volume));
            }
            let counted_min = (minute - reset_min).rem_euclid(DAY_MIN);
            volume.add(minute, shown(minute, counted_min as f64 * 10.0));
        }
        volumes.push(volume.m3());
        volumes
    }

    #[test]
    fn a_counter_that_is_reset_at_midnight_tells_by_its_highest_value() {
        assert_eq!(volumes(0, |_, counter| counter), [14_390.0; 3]);
    }

    #[test]
    fn a_plc_whose_midnight_is_another_counts_each_day_as_it_was() {
        for reset_min in [1, 7, 330, 1200, DAY_MIN - 7] {
            let days = volumes(reset_min, |_, counter| counter);
            // The minute in which the counter is reset is not seen, as where the midnights agree.
            assert_eq!(days[1..], [14_390.0; 2], "{reset_min} min after midnight");
        }
    }

    #[test]
    fn nothing_is_made_of_a_midnight_that_was_not_seen() {
        let gap = |minute: Minute, counter| {
            let unseen = (DAY_MIN - 5..DAY_MIN + 3).contains(&minute);
            if unseen { f64::NAN } else { counter }
        };
        assert_eq!(volumes(2, gap)[1], 14_370.0);
        for broken in [-9999.0, 1e38, f64::MAX] {
            let at_midnight = |minute: Minute, counter| {
                if minute == DAY_MIN - 1 {
                    broken
                } else {
                    counter
                }
            };
            assert_eq!(volumes(0, at_midnight)[1], 14_390.0, "{broken}");
        }
    }

    #[test]
    fn a_counter_that_is_never_reset_is_counted_from_midnight() {
        let days = volumes(0, |minute, _| minute as f64 * 10.0);
        assert_eq!(days, [14_390.0, 14_400.0, 14_400.0]);
    }
}
