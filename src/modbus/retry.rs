//! Waits between attempts: doubling, capped, jittered.

use std::time::Duration;

use tokio::time::Instant;

/// How a unit's attempts have gone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retry {
    failures: u32,
    not_before: Option<Instant>,
}

impl Retry {
    /// Attempts that have failed since the last that went well.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the next attempt may be made; `None` for at once.
    pub fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// An attempt went well.
    pub fn went_well(&mut self) {
        *self = Self::default();
    }

    /// An attempt failed: the next one comes after `first`, twice that, four times …, at most `wait_max`, less a random part of up
    /// to a half.
    pub fn failed(&mut self, now: Instant, first: Duration, wait_max: Duration) {
        let whole = first
            .saturating_mul(1 << self.failures.min(16))
            .min(wait_max);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + whole.mul_f64(rand::random_range(0.5..=1.0)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_ever_longer_up_to_the_cap_and_never_alike() {
        let (now, cap) = (Instant::now(), Duration::from_secs(30));
        let mut retry = Retry::default();
        let mut waits = Vec::new();
        for _ in 0..40 {
            retry.failed(now, Duration::from_secs(1), cap);
            waits.push(retry.not_before().expect("a wait") - now);
        }
        for (wait, whole_s) in waits.iter().zip([1, 2, 4, 8, 16, 30, 30, 30]) {
            let whole = Duration::from_secs(whole_s);
            assert!((whole / 2..=whole).contains(wait), "{wait:?} of {whole:?}");
        }
        assert!(waits[20..].windows(2).any(|pair| pair[0] != pair[1]));
        retry.went_well();
        assert_eq!((retry.failures(), retry.not_before()), (0, None));
    }
}
