//! The wall clock, passed in where it is needed: the demo's runs faster.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::calendar::Minute;

/// Tells the time.
#[derive(Clone, Copy, Debug)]
pub enum Clock {
    /// The box's own clock.
    Wall,
    /// A clock that started at a time of its own and runs faster.
    Fast {
        /// Seconds since 1970 when it started.
        started_at_s: i64,
        /// When that was.
        started: Instant,
        /// Seconds a second.
        speed: f64,
    },
}

impl Clock {
    /// A clock that starts at `started_at_s` and runs `speed` times as fast.
    pub fn fast(started_at_s: i64, speed: f64) -> Self {
        Self::Fast {
            started_at_s,
            started: Instant::now(),
            speed,
        }
    }

    /// Seconds since 1970-01-01 00:00 UTC.
    pub fn now_s(&self) -> i64 {
        match self {
            Self::Wall => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| since.as_secs() as i64),
            Self::Fast {
                started_at_s,
                started,
                speed,
            } => started_at_s + (started.elapsed().as_secs_f64() * speed) as i64,
        }
    }

    /// Seconds of this clock in a real one.
    pub fn speed(&self) -> f64 {
        match self {
            Self::Wall => 1.0,
            Self::Fast { speed, .. } => *speed,
        }
    }

    /// The running minute.
    pub fn minute(&self) -> Minute {
        self.now_s().div_euclid(60)
    }

    /// How long a stretch of this clock's time really takes.
    pub fn real(&self, stretch: Duration) -> Duration {
        match self {
            Self::Wall => stretch,
            Self::Fast { speed, .. } => stretch.div_f64(*speed),
        }
    }
}
