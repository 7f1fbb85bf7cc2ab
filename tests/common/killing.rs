//! A process that is killed again and again, and started again with the same arguments.

use std::{
    path::Path,
    process::{Child, ExitStatus},
    time::{Duration, Instant},
};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::binary;

/// Longest time a round may take, however slow the machine is.
const ROUND_MAX: Duration = Duration::from_secs(240);
/// Between two looks at the process.
const LOOK: Duration = Duration::from_micros(500);

/// What the killing came to.
#[derive(Debug, Default)]
pub struct Kills {
    /// Rounds that were killed.
    pub killed: u32,
    /// Rounds that ended by themselves first.
    pub survived: u32,
}

/// When a round is killed.
pub enum Moment<'a> {
    /// After a share of a stretch of time.
    After(Duration),
    /// A while after something is first seen to be so.
    Seen(&'a dyn Fn() -> bool, Duration),
}

impl Kills {
    /// Runs the binary once, to be killed at the moment; whether it was.
    pub fn round(&mut self, folder: &Path, arguments: &[&str], moment: &Moment<'_>) -> bool {
        let mut child = binary::start(folder, arguments);
        let reached = match moment {
            Moment::After(time) => wait(&mut child, *time, &|| false).is_none(),
            Moment::Seen(seen, later) => {
                // Seen, or ended before it could be: a look that is never had means the end.
                wait(&mut child, ROUND_MAX, seen).is_none()
                    && wait(&mut child, *later, &|| false).is_none()
            }
        };
        // SIGKILL; it may have ended in this very moment.
        let _ = child.kill();
        let status = child.wait().expect("the process ends");
        let killed = reached && status.code().is_none();
        if !killed {
            assert!(status.success(), "a round ended by itself with {status}");
        }
        self.killed += u32::from(killed);
        self.survived += u32::from(!killed);
        killed
    }
}

/// Runs the binary to its end by itself; how long that took.
pub fn to_its_end(folder: &Path, arguments: &[&str]) -> Duration {
    let started = Instant::now();
    let mut child = binary::start(folder, arguments);
    let status = wait(&mut child, ROUND_MAX, &|| false);
    let _ = child.kill();
    let _ = child.wait();
    let status = status.expect("it ends by itself in time");
    assert!(status.success(), "it ended with {status}");
    started.elapsed()
}

/// A random share of a stretch of time.
pub fn share(of: Duration, rng: &mut ChaCha8Rng) -> Duration {
    of.mul_f64(rng.random_range(0.02..0.98))
}

/// Waits until the process ends, the time is over or something is seen; the status when it has ended.
fn wait(child: &mut Child, time: Duration, seen: &dyn Fn() -> bool) -> Option<ExitStatus> {
    let until = Instant::now() + time;
    loop {
        if let Some(status) = child.try_wait().expect("the process can be asked") {
            return Some(status);
        }
        if Instant::now() >= until || seen() {
            return None;
        }
        std::thread::park_timeout(LOOK);
    }
}
