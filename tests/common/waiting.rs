//! Waiting: looking again and again until there is an answer or the time is over.

use std::time::{Duration, Instant};

/// How long anything may take, however slow the machine is.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Looks again and again until there is an answer.
///
/// # Panics
/// When there is none within [`DEADLINE`].
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    within(DEADLINE, look).unwrap_or_else(|| panic!("in vain: {what}"))
}

/// Looks again and again until there is an answer; `None` when there is none in time.
pub fn within<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + time;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}
