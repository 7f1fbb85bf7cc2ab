//! Polls: when everything is read, and what of it is handed over.
//!
//! A poll begins just after the start of a minute (or of another interval) and goes on until the next: a unit that fails is
//! tried again meanwhile. What was read is handed over as soon as every unit has answered or has turned out to be silent, and
//! once more when a silent one answers after all.

use std::{collections::BTreeSet, time::Duration};

use tokio::{
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep},
};

use super::{
    Place, Sample,
    line::{Line, Told},
    registers::{Read, plan},
};
use crate::{clock::Clock, config::Modbus, tags::TAGS};

/// Seconds after an interval's start at which it is polled, for intervals that have room for it.
const AFTER_S: i64 = 1;
/// Shortest interval with room for it, s.
const ROOMY_S: i64 = 10;
/// Samples that may wait to be taken: two hours of minutes, should the store be slow.
const SAMPLES_MAX: usize = 240;
/// What lines may tell before it is looked at.
const TOLD_MAX: usize = 64;

/// Reads the PLC poll by poll.
pub struct Poller {
    config: Modbus,
    /// The reads of each line.
    reads: Vec<Vec<Read>>,
    lines: Vec<Line>,
    latest: Latest,
}

impl Poller {
    /// A poller that has read nothing yet and is not connected.
    pub fn new(config: Modbus) -> Self {
        let reads = plan(&config.registers, config.registers_max);
        let reads: Vec<Vec<Read>> = match config.place {
            Place::Tcp { .. } => reads
                .chunk_by(|a, b| a.unit == b.unit)
                .map(<[Read]>::to_vec)
                .collect(),
            Place::Rtu { .. } => vec![reads],
        };
        Self {
            lines: reads
                .iter()
                .map(|reads| Line::new(&config, reads))
                .collect(),
            latest: Latest::new(config.stale_after_s),
            reads,
            config,
        }
    }

    /// One poll, from now to the end of the interval at most: hands over what it reads, at most one sample for each unit and
    /// one at the end, each with everything read in its minute.
    pub async fn poll(&mut self, clock: Clock, out: &mpsc::Sender<Sample>) {
        let interval_s = self.config.poll_interval_s;
        let left_s = interval_s - clock.now_s().rem_euclid(interval_s);
        let end = Instant::now() + clock.real(Duration::from_secs(left_s.unsigned_abs()));
        let (tell, mut told) = mpsc::channel(TOLD_MAX);
        let mut lines = JoinSet::new();
        for mut line in self.lines.drain(..) {
            let tell = tell.clone();
            lines.spawn(async move {
                line.poll(end, clock, &tell).await;
                line
            });
        }
        drop(tell);
        let mut waited_for: BTreeSet<u8> =
            self.reads.iter().flatten().map(|read| read.unit).collect();
        let mut is_new = false;
        while let Some(told) = told.recv().await {
            match told {
                Told::Values { at_s, values } => {
                    self.latest.put(at_s, &values);
                    is_new = true;
                    continue;
                }
                Told::Done(unit) | Told::Silent(unit) => waited_for.remove(&unit),
            };
            if waited_for.is_empty() && std::mem::take(&mut is_new) {
                self.hand_over(clock, out).await;
            }
        }
        if is_new {
            self.hand_over(clock, out).await;
        }
        self.lines = lines_back(lines).await.unwrap_or_else(|| {
            let fresh = self
                .reads
                .iter()
                .map(|reads| Line::new(&self.config, reads));
            fresh.collect()
        });
    }

    async fn hand_over(&mut self, clock: Clock, out: &mpsc::Sender<Sample>) {
        let sample = self.latest.sample(clock.now_s());
        if sample.has_values() {
            // Nobody takes it when the program ends.
            let _ = out.send(sample).await;
        }
    }
}

/// The lines after a poll; `None` when one ended in a panic.
async fn lines_back(mut lines: JoinSet<Line>) -> Option<Vec<Line>> {
    let mut back = Vec::new();
    let mut are_whole = true;
    while let Some(ended) = lines.join_next().await {
        match ended {
            Ok(line) => back.push(line),
            Err(error) => {
                log::error!(task = "modbus", cause = error.to_string(); "a task has ended in a panic");
                are_whole = false;
            }
        }
    }
    are_whole.then_some(back)
}

/// Starts [`run`] as a task of the running runtime; its samples come out of the receiver. The task ends when `stopping` says so or
/// the receiver is dropped. Polls wait while 240 samples wait to be taken.
pub fn start(
    config: Modbus,
    clock: Clock,
    stopping: watch::Receiver<bool>,
) -> (JoinHandle<()>, mpsc::Receiver<Sample>) {
    let (out, samples) = mpsc::channel(SAMPLES_MAX);
    (tokio::spawn(run(config, clock, out, stopping)), samples)
}

/// Polls until told to stop: at once, and then just after the start of every interval of the clock.
pub async fn run(
    config: Modbus,
    clock: Clock,
    out: mpsc::Sender<Sample>,
    mut stopping: watch::Receiver<bool>,
) {
    let interval_s = config.poll_interval_s;
    let mut poller = Poller::new(config);
    let polling = async {
        let mut polled = None;
        while !out.is_closed() {
            let now_s = clock.now_s();
            let (interval, wait_s) = next_poll(now_s, interval_s, polled);
            if wait_s > 0 {
                sleep(clock.real(Duration::from_secs(wait_s.unsigned_abs()))).await;
            }
            poller.poll(clock, &out).await;
            polled = Some(interval);
        }
    };
    tokio::select! {
        () = polling => {}
        _ = stopping.wait_for(|stop| *stop) => {}
    }
}

/// The interval to poll next, counted from 1970, and how long to wait for it, s; `polled` is the last one polled.
fn next_poll(now_s: i64, interval_s: i64, polled: Option<i64>) -> (i64, i64) {
    let now = now_s.div_euclid(interval_s);
    // A clock that was set back does not stop the polls.
    let next = match polled {
        Some(polled) if (now - 1..=now).contains(&polled) => polled + 1,
        _ => return (now, 0),
    };
    let after_s = if interval_s >= ROOMY_S { AFTER_S } else { 0 };
    (next, (next * interval_s + after_s - now_s).max(0))
}

/// The newest value of each tag and when it was read.
#[derive(Debug)]
struct Latest {
    values: [Option<(i64, f64)>; TAGS],
    stale_after_s: f64,
}

impl Latest {
    fn new(stale_after_s: f64) -> Self {
        Self {
            values: [None; TAGS],
            stale_after_s,
        }
    }

    fn put(&mut self, at_s: i64, values: &[(usize, f64)]) {
        for &(slot, value) in values {
            self.values[slot] = Some((at_s, value));
        }
    }

    /// What was read in the minute of the newest value and is not stale.
    fn sample(&self, now_s: i64) -> Sample {
        // The clock may have been set back since.
        let times = self.values.iter().flatten().map(|(at_s, _)| *at_s);
        let newest_s = times.filter(|at_s| *at_s <= now_s).max();
        let mut sample = Sample::empty(newest_s.unwrap_or(now_s));
        for (value, latest) in sample.values.iter_mut().zip(&self.values) {
            if let Some((at_s, latest)) = latest
                && *at_s <= now_s
                && at_s.div_euclid(60) == sample.at_s.div_euclid(60)
                && (now_s - at_s) as f64 <= self.stale_after_s
            {
                *value = *latest;
            }
        }
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polls_at_once_and_then_once_in_every_interval() {
        assert_eq!(next_poll(6025, 60, None), (100, 0));
        assert_eq!(next_poll(6025, 60, Some(100)), (101, 36));
        // The poll before took its whole interval.
        assert_eq!(next_poll(6060, 60, Some(100)), (101, 1));
        assert_eq!(next_poll(6075, 60, Some(100)), (101, 0));
        // The box slept, or its clock was set.
        assert_eq!(next_poll(9000, 60, Some(100)), (150, 0));
        assert_eq!(next_poll(600, 60, Some(100)), (10, 0));
        assert_eq!(next_poll(6002, 5, Some(1200)), (1201, 3));
    }

    #[test]
    fn a_value_stands_in_its_minute_only_and_until_it_is_stale() {
        let mut latest = Latest::new(15.0);
        assert!(!latest.sample(6000).has_values());
        latest.put(6001, &[(0, 1.0), (1, 2.0)]);
        latest.put(6011, &[(1, 3.0)]);
        let sample = latest.sample(6011);
        assert_eq!(
            (sample.at_s, sample.values[0], sample.values[1]),
            (6011, 1.0, 3.0)
        );
        let sample = latest.sample(6017);
        assert!(sample.values[0].is_nan(), "stale");
        assert_eq!(sample.values[1], 3.0);
        assert!(!latest.sample(6027).has_values(), "both stale");
        latest.put(6058, &[(0, 4.0)]);
        latest.put(6060, &[(1, 5.0)]);
        let sample = latest.sample(6060);
        assert!(sample.values[0].is_nan(), "read in the minute before");
        assert_eq!((sample.minute(), sample.values[1]), (101, 5.0));
        latest.put(5400, &[(2, 6.0)]);
        let sample = latest.sample(5400);
        assert_eq!(
            (sample.at_s, sample.values[2]),
            (5400, 6.0),
            "the clock was set back"
        );
        latest.put(6061, &[(1, f64::NAN)]);
        assert!(
            !latest.sample(6061).has_values(),
            "what it has become is no value"
        );
    }
}
