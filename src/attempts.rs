//! How a part tries again after a failure: with pauses that grow, a word in the log at ever fewer failures, and the cause in the
//! store, where `status` and `doctor` find it.

use std::time::Duration;

use crate::{
    clock::Clock,
    logging::causes,
    store::{troubles::Part, writer::Handle},
};

/// A pause before the next attempt, between half of the given seconds and all of them: boxes that lost a server together do not
/// come back together.
pub fn with_jitter(seconds: u64) -> Duration {
    Duration::from_millis(seconds * 1000 - rand::random_range(0..=seconds * 500))
}

/// What the store has of a part's trouble.
#[derive(PartialEq, Eq)]
enum Noted {
    /// Whatever was before the start, or before the disk was full.
    Unknown,
    Nothing,
    Cause(String),
}

/// A part's attempts at what may fail for long.
pub struct Attempts {
    part: Part,
    handle: Handle,
    clock: Clock,
    pause_s_max: u64,
    failures: u32,
    pause_s: u64,
    noted: Noted,
}

impl Attempts {
    /// None yet; pauses grow up to `pause_s_max` seconds.
    pub fn new(part: Part, handle: Handle, clock: Clock, pause_s_max: u64) -> Self {
        Self {
            part,
            handle,
            clock,
            pause_s_max,
            failures: 0,
            pause_s: 1,
            noted: Noted::Unknown,
        }
    }

    /// How many have failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// It works; whatever fails next is a new trouble.
    pub async fn succeed(&mut self) {
        (self.failures, self.pause_s) = (0, 1);
        if self.noted == Noted::Nothing {
            return;
        }
        let part = self.part;
        let ending = self
            .handle
            .transact_async(move |store| store.end_trouble(part));
        self.noted = match ending.await {
            Ok(()) => Noted::Nothing,
            Err(error) => {
                log::debug!(part = part.name(), cause = format!("{error:#}"); "cannot note that a trouble is over");
                Noted::Unknown
            }
        };
    }

    /// It has worked since the last failure, and somebody else has noted that.
    pub fn begin_anew(&mut self) {
        (self.failures, self.pause_s) = (0, 1);
        self.noted = Noted::Unknown;
    }

    /// It failed. The causes when that is worth a word: the first time, then ever more seldom, at 2, 4, 8 … in a row.
    pub async fn fail(&mut self, error: &anyhow::Error) -> Option<String> {
        self.failures += 1;
        let cause = causes(error);
        let noted = Noted::Cause(cause.clone());
        self.handle.report_async(error).await;
        if self.noted != noted {
            let (part, cause, now_s) = (self.part, cause.clone(), self.clock.now_s());
            let noting = self
                .handle
                .transact_async(move |store| store.note_trouble(part, &cause, now_s));
            self.noted = match noting.await {
                Ok(()) => noted,
                Err(error) => {
                    log::debug!(part = part.name(), cause = format!("{error:#}"); "cannot note a trouble");
                    Noted::Unknown
                }
            };
        }
        self.failures.is_power_of_two().then_some(cause)
    }

    /// How long to wait before the next one.
    pub fn pause(&mut self) -> Duration {
        let pause = with_jitter(self.pause_s);
        self.pause_s = (self.pause_s * 2).min(self.pause_s_max);
        pause
    }
}
