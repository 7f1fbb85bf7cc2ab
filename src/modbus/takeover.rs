//! Who feeds the station: the exports, or the PLC while they stay away. Pure.
//!
//! The PLC is polled all the time, and the minutes that the exports have not brought yet are kept meanwhile, so that taking
//! over loses none of them.

use std::collections::BTreeMap;

use super::Sample;
use crate::calendar::Minute;

/// Who feeds the station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// The exports; the PLC stands by.
    Standby,
    /// The PLC.
    Active,
}

/// The state and what it depends on.
#[derive(Debug)]
pub struct Takeover {
    after_min: i64,
    state: State,
    /// Newest minute of the exports or, before there is any, the minute of the start.
    newest_export: Minute,
    /// Samples of minutes that the exports have not brought yet, while standing by.
    kept: BTreeMap<Minute, Sample>,
}

impl Takeover {
    /// Standing by. `newest_export` is the newest minute that came from an export, `None` before there is any: then the time
    /// counts from `now`.
    pub fn new(after_min: i64, newest_export: Option<Minute>, now: Minute) -> Self {
        Self {
            after_min,
            state: State::Standby,
            newest_export: newest_export.unwrap_or(now),
            kept: BTreeMap::new(),
        }
    }

    /// Who feeds the station.
    pub fn state(&self) -> State {
        self.state
    }

    /// An export has brought rows, the newest of `minute`; minutes before the newest one change nothing. Steps back when the
    /// exports are no longer away; whether that happened.
    pub fn exported(&mut self, minute: Minute, now: Minute) -> bool {
        // A minute ahead of the clock would keep the PLC waiting for it.
        self.newest_export = self.newest_export.max(minute.min(now));
        self.kept = self.kept.split_off(&(self.newest_export + 1));
        let steps_back = self.state == State::Active && !self.are_away(now);
        if steps_back {
            self.state = State::Standby;
        }
        steps_back
    }

    /// The PLC was read. Gives what the station is to take, in the order of time: nothing while the exports come, everything
    /// since their newest minute when the PLC takes over, and then every sample as it comes.
    pub fn polled(&mut self, sample: Sample, now: Minute) -> Vec<Sample> {
        if self.state == State::Active {
            // A minute that an export has brought already stands as it was exported.
            return Vec::from_iter((sample.minute() > self.newest_export).then_some(sample));
        }
        let minute = sample.minute();
        if minute > self.newest_export {
            match self.kept.get_mut(&minute) {
                Some(kept) => kept.add(&sample),
                None => drop(self.kept.insert(minute, sample)),
            }
        }
        if !self.are_away(now) {
            return Vec::new();
        }
        self.state = State::Active;
        std::mem::take(&mut self.kept).into_values().collect()
    }

    fn are_away(&self, now: Minute) -> bool {
        now - self.newest_export > self.after_min
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::{FLOW, LEVEL};

    const NONE: [Minute; 0] = [];

    fn sample(minute: Minute, level: f64) -> Sample {
        let mut sample = Sample::empty(minute * 60 + 1);
        sample.values[LEVEL] = level;
        sample
    }

    fn minutes(samples: &[Sample]) -> Vec<Minute> {
        samples.iter().map(Sample::minute).collect()
    }

    #[test]
    fn takes_over_with_every_minute_since_the_newest_export_and_steps_back() {
        let mut takeover = Takeover::new(10, Some(97), 100);
        for now in 98..=107 {
            assert_eq!(minutes(&takeover.polled(sample(now, 1.0), now)), NONE);
            assert_eq!(takeover.state(), State::Standby);
        }
        let taken = takeover.polled(sample(108, 1.0), 108);
        assert_eq!(minutes(&taken), (98..=108).collect::<Vec<_>>());
        assert_eq!(takeover.state(), State::Active);
        assert_eq!(minutes(&takeover.polled(sample(109, 1.0), 109)), [109]);
        assert!(!takeover.exported(98, 110), "an old minute is no return");
        assert_eq!(takeover.state(), State::Active);
        assert!(takeover.exported(109, 110));
        assert_eq!(takeover.state(), State::Standby);
        assert_eq!(minutes(&takeover.polled(sample(110, 1.0), 110)), NONE);
        assert!(!takeover.exported(110, 111), "it has stepped back already");
    }

    #[test]
    fn keeps_nothing_that_the_exports_have_brought() {
        let mut takeover = Takeover::new(10, Some(99), 100);
        for now in 100..1000 {
            assert_eq!(minutes(&takeover.polled(sample(now, 1.0), now)), NONE);
            takeover.exported(now - 3, now);
            assert!(takeover.kept.len() <= 3);
        }
    }

    #[test]
    fn before_any_export_the_time_counts_from_the_start() {
        let mut takeover = Takeover::new(10, None, 100);
        assert_eq!(minutes(&takeover.polled(sample(101, 1.0), 101)), NONE);
        assert_eq!(minutes(&takeover.polled(sample(111, 1.0), 111)), [101, 111]);
        let mut restarted = Takeover::new(10, Some(80), 100);
        assert_eq!(
            minutes(&restarted.polled(sample(100, 1.0), 100)),
            [100],
            "away for long already"
        );
    }

    #[test]
    fn an_export_from_the_future_does_not_hold_the_plc_back() {
        let mut takeover = Takeover::new(10, Some(99), 100);
        takeover.exported(5000, 100);
        assert_eq!(minutes(&takeover.polled(sample(111, 1.0), 111)), [111]);
    }

    #[test]
    fn two_samples_of_a_minute_become_one() {
        let mut takeover = Takeover::new(1, Some(99), 100);
        takeover.polled(sample(100, 1.0), 100);
        let mut second = Sample::empty(100 * 60 + 30);
        second.values[FLOW] = 7.0;
        takeover.polled(second, 100);
        let taken = takeover.polled(sample(101, 2.0), 101);
        assert_eq!(minutes(&taken), [100, 101]);
        assert_eq!((taken[0].values[LEVEL], taken[0].values[FLOW]), (1.0, 7.0));
    }
}
