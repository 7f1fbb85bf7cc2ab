//! The service manager's watchdog, fed while every part of the daemon gets on.
//!
//! A part tells when it gets on, when it rests and when it ends. One that is not heard of for longer than its deadline hangs: the service
//! manager is asked to restart the daemon, which loses nothing by that. What fails and is tried again does not hang.

use std::{
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use sd_notify::NotifyState;

/// Reads exports. A scan of a slow share and the step of a large piece take seconds.
pub static INGEST: Part = Part::new("ingest", 120);
/// Evaluates the rules, with each row and by the wall clock.
pub static ALARM: Part = Part::new("alarm", 120);
/// Hands messages to the broker. Its own limit, `silence_s_max`, comes first.
pub static PUBLISH: Part = Part::new("publish", 300);
/// Hands rows to the central office. A transaction over a slow line takes minutes.
pub static SYNC: Part = Part::new("sync", 900);

/// All that is watched.
const PARTS: [&Part; 4] = [&INGEST, &ALARM, &PUBLISH, &SYNC];
/// How often a part that waits for something to happen should say that it is there.
pub const SIGN_OF_LIFE: Duration = Duration::from_secs(30);
/// Of a part that does not run.
const NEVER: u64 = u64::MAX;

/// A part of the daemon that must get on.
pub struct Part {
    name: &'static str,
    deadline_s: u64,
    /// When it must have been heard of, ms since the first one was.
    due_ms: AtomicU64,
}

/// A part runs for as long as this lives.
pub struct Running(&'static Part);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.due_ms.store(NEVER, Ordering::Relaxed);
    }
}

impl Part {
    const fn new(name: &'static str, deadline_s: u64) -> Self {
        Self {
            name,
            deadline_s,
            due_ms: AtomicU64::new(NEVER),
        }
    }

    /// It is watched from now on.
    pub fn begins(&'static self) -> Running {
        self.due_ms
            .store(self.due_ms_after(Duration::ZERO), Ordering::Relaxed);
        Running(self)
    }

    /// It gets on.
    pub fn gets_on(&self) {
        self.rests(Duration::ZERO);
    }

    /// It means to do nothing for a while.
    pub fn rests(&self, wait: Duration) {
        let later = self.due_ms_after(wait);
        // Where it does not run, a command or a test does its work, and nobody watches.
        let _ = self
            .due_ms
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |due_ms| {
                (due_ms != NEVER).then_some(later)
            });
    }

    fn due_ms_after(&self, wait: Duration) -> u64 {
        let due = since_start() + wait + Duration::from_secs(self.deadline_s);
        u64::try_from(due.as_millis()).unwrap_or(NEVER - 1)
    }

    fn hangs_at(&self, time: Duration) -> bool {
        u128::from(self.due_ms.load(Ordering::Relaxed)) < time.as_millis()
    }
}

/// The first part that hangs, if one does.
fn hanging_at(time: Duration) -> Option<&'static Part> {
    PARTS.into_iter().find(|part| part.hangs_at(time))
}

/// The parts that run, and in how many seconds each must be heard of.
pub fn due_s() -> Vec<(&'static str, f64)> {
    let now_ms = since_start().as_millis() as f64;
    let running = PARTS.into_iter().filter_map(|part| {
        let due_ms = part.due_ms.load(Ordering::Relaxed);
        (due_ms != NEVER).then(|| (part.name, (due_ms as f64 - now_ms) / 1e3))
    });
    running.collect()
}

/// On a clock that stands still while the box sleeps.
fn since_start() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Feeds the watchdog, where there is one, until a part hangs.
pub async fn feed() {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return;
    };
    loop {
        if let Some(part) = hanging_at(since_start()) {
            log::error!(part = part.name, deadline_s = part.deadline_s; "a part of the daemon hangs; a restart is asked for");
            notify(&[NotifyState::WatchdogTrigger]);
            return;
        }
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(period / 4).await;
    }
}

/// Tells the service manager, where there is one.
pub fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::debug!(cause = error.to_string(); "the service manager cannot be told");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_watched_by_its_own_deadline() {
        for (part, deadline_s) in [(&INGEST, 120), (&ALARM, 120), (&PUBLISH, 300), (&SYNC, 900)] {
            let _running = part.begins();
            let hanging_in_s = |s: u64| {
                let part = hanging_at(since_start() + Duration::from_secs(s));
                part.map(|part| part.name)
            };
            assert_eq!(hanging_in_s(deadline_s - 5), None);
            assert_eq!(hanging_in_s(deadline_s + 5), Some(part.name));
        }
    }

    #[test]
    fn a_part_hangs_when_it_is_not_heard_of_by_its_deadline_and_only_while_it_runs() {
        static PART: Part = Part::new("part", 10);
        let in_s = |s: u64| since_start() + Duration::from_secs(s);
        PART.gets_on();
        assert!(!PART.hangs_at(in_s(1_000_000)), "it does not run");
        let running = PART.begins();
        assert!(!PART.hangs_at(in_s(9)) && PART.hangs_at(in_s(11)));
        PART.rests(Duration::from_secs(60));
        assert!(!PART.hangs_at(in_s(69)) && PART.hangs_at(in_s(71)));
        PART.gets_on();
        assert!(PART.hangs_at(in_s(11)));
        drop(running);
        assert!(!PART.hangs_at(in_s(1_000_000)));
    }
}
