//! What the daemon measures of itself, for `/metrics`: how often something was done since the start, and how long it took in all.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

/// A step written into the open transaction.
pub static STEP: Timer = Timer::new();
/// A commit, until it is on the disk.
pub static COMMIT: Timer = Timer::new();
/// A minute's forecasts.
pub static FORECAST: Timer = Timer::new();
/// A schedule.
pub static PLAN: Timer = Timer::new();

/// Counts something and adds up its time.
pub struct Timer {
    count: AtomicU64,
    ns: AtomicU64,
}

impl Timer {
    const fn new() -> Self {
        Self {
            count: AtomicU64::new(0),
            ns: AtomicU64::new(0),
        }
    }

    /// Does something and notes how long that took.
    pub fn time<T>(&self, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = work();
        self.since(began);
        done
    }

    /// Notes something that began then and has ended now.
    pub fn since(&self, began: Instant) {
        let ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.count.fetch_add(1, Ordering::Relaxed);
        self.ns.fetch_add(ns, Ordering::Relaxed);
    }

    /// How often, and how long in all, s.
    pub fn total(&self) -> (u64, f64) {
        let ns = self.ns.load(Ordering::Relaxed);
        (self.count.load(Ordering::Relaxed), ns as f64 / 1e9)
    }
}
