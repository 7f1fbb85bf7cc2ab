//! The units behind one connection, and how a poll gets their values out of them.
//!
//! Over TCP each unit has a line of its own; on a serial line they take turns, each with waits of its own.

use std::time::Duration;

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    Place,
    client::{PlcReader, Trouble},
    registers::{Read, decode},
    retry::Retry,
};
use crate::{clock::Clock, config::Modbus};

/// Failed attempts after which a poll goes on without a unit; it may still answer later in the poll.
const SILENT_AFTER: u32 = 2;

/// Refusals in a row after which a read is left out for a poll without another attempt: a first one may be an answer that was
/// garbled on its way.
const REFUSED: u8 = 2;

/// What a line tells during a poll.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A read went well.
    Values {
        /// When, seconds since 1970.
        at_s: i64,
        /// Slot and value; NaN for what is no value.
        values: Vec<(usize, f64)>,
    },
    /// Every read of the unit was made, or refused.
    Done(u8),
    /// The unit does not answer so far.
    Silent(u8),
}

/// One unit.
#[derive(Debug)]
struct Unit {
    id: u8,
    reads: Vec<Read>,
    retry: Retry,
    /// Reads of this poll that are still to be made, by index.
    left: Vec<usize>,
    /// Whether this poll goes on without it.
    is_silent: bool,
    /// How often in a row the unit has refused each read, by index; at most [`REFUSED`].
    refused: Vec<u8>,
}

/// A connection and the units behind it.
pub struct Line {
    place: Place,
    time: Duration,
    wait_max: Duration,
    reader: Option<PlcReader>,
    /// Whether an answer may still be on its way.
    late: bool,
    units: Vec<Unit>,
}

impl Line {
    /// A line for reads of one unit or, on a serial line, of several; they are in order of their units.
    pub fn new(config: &Modbus, reads: &[Read]) -> Self {
        let units = reads.chunk_by(|a, b| a.unit == b.unit).map(|reads| Unit {
            id: reads[0].unit,
            reads: reads.to_vec(),
            retry: Retry::default(),
            left: Vec::new(),
            is_silent: false,
            refused: vec![0; reads.len()],
        });
        Self {
            place: config.place.clone(),
            time: config.timeout,
            wait_max: Duration::from_secs(config.retry_s_max),
            reader: None,
            late: false,
            units: units.collect(),
        }
    }

    /// Reads everything once, trying again until `end`; tells what it gets as it gets it.
    pub async fn poll(&mut self, end: Instant, clock: Clock, tell: &mpsc::Sender<Told>) {
        for unit in &mut self.units {
            unit.left = (0..unit.reads.len()).collect();
            unit.is_silent = false;
            if unit.retry.failures() >= SILENT_AFTER
                && unit.retry.not_before() > Some(Instant::now())
            {
                unit.is_silent = true;
                let _ = tell.send(Told::Silent(unit.id)).await;
            }
        }
        loop {
            // The next in turn: whoever may be tried first.
            let next = self.units.iter_mut().filter(|unit| !unit.left.is_empty());
            let Some(unit) = next.min_by_key(|unit| unit.retry.not_before()) else {
                return;
            };
            let due = unit.retry.not_before();
            if let Some(due) = due.filter(|due| *due > Instant::now()) {
                if due >= end {
                    return;
                }
                sleep_until(due).await;
            }
            if Instant::now() >= end {
                return;
            }
            let wire = Wire {
                place: &self.place,
                time: clock.real(self.time),
                reader: &mut self.reader,
                late: &mut self.late,
            };
            match unit.read(wire, clock, tell).await {
                Ok(()) => unit.answered(),
                Err(trouble) => unit.fails(&trouble, clock.real(self.wait_max), clock),
            }
            let told = match (unit.left.is_empty(), unit.is_silent) {
                (true, _) => Told::Done(unit.id),
                (false, false) if unit.retry.failures() >= SILENT_AFTER => {
                    unit.is_silent = true;
                    Told::Silent(unit.id)
                }
                (false, _) => continue,
            };
            let _ = tell.send(told).await;
        }
    }
}

/// The line's connection, lent to a unit.
struct Wire<'l> {
    place: &'l Place,
    time: Duration,
    reader: &'l mut Option<PlcReader>,
    late: &'l mut bool,
}

impl Wire<'_> {
    /// The connection, made when there is none.
    async fn reader(&mut self) -> Result<&mut PlcReader, Trouble> {
        if self.reader.is_none() {
            let reader = PlcReader::connect(self.place, self.time, *self.late).await?;
            *self.late = false;
            *self.reader = Some(reader);
        }
        self.reader
            .as_mut()
            .ok_or_else(|| Trouble::Broken("there is no connection".into()))
    }
}

impl Unit {
    /// Makes the reads that are left, up to the first trouble.
    async fn read(
        &mut self,
        mut wire: Wire<'_>,
        clock: Clock,
        tell: &mpsc::Sender<Told>,
    ) -> Result<(), Trouble> {
        while let Some(&index) = self.left.first() {
            let read = &self.reads[index];
            let answer = wire.reader().await?.read(read).await;
            match answer {
                Ok(answer) => {
                    self.refused[index] = 0;
                    let told = Told::Values {
                        at_s: clock.now_s(),
                        values: decode(read, &answer),
                    };
                    self.answered();
                    let _ = tell.send(told).await;
                }
                Err(Trouble::Refused(cause)) => {
                    let refusals = &mut self.refused[index];
                    if *refusals < REFUSED {
                        *refusals += 1;
                        if *refusals < REFUSED {
                            return Err(Trouble::Refused(cause));
                        }
                        log::warn!(unit = self.id, table = read.table.name(), address = read.address, count = read.count, cause; "the PLC refuses a read");
                    }
                }
                Err(Trouble::NotReady(cause)) => return Err(Trouble::NotReady(cause)),
                Err(Trouble::Broken(cause)) => {
                    *wire.reader = None;
                    *wire.late = true;
                    return Err(Trouble::Broken(cause));
                }
            }
            self.left.remove(0);
        }
        Ok(())
    }

    /// It is there; whatever fails next is a new trouble.
    fn answered(&mut self) {
        if self.retry.failures() >= SILENT_AFTER {
            log::info!(unit = self.id; "the PLC answers again");
        }
        self.retry.went_well();
    }

    fn fails(&mut self, trouble: &Trouble, wait_max: Duration, clock: Clock) {
        let first = clock.real(Duration::from_secs(1));
        self.retry.failed(Instant::now(), first, wait_max);
        if self.retry.failures() == SILENT_AFTER {
            log::warn!(unit = self.id, cause = trouble.to_string(); "the PLC does not answer; trying again");
        }
    }
}
