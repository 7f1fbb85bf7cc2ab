//! The minutes of one file: in each, the winning record of every tag. Pure.
//!
//! Within a file the record with the latest full timestamp wins its minute, and of two with the same one the later read; that
//! there were two is kept.

use std::collections::BTreeMap;

use crate::{
    calendar::Minute,
    tags::{NO_VALUES, TAGS, Values},
};

/// One minute's records of one file: the winner of each tag.
#[derive(Clone, Debug, PartialEq)]
pub struct MinuteRecords {
    /// The minute.
    pub minute: Minute,
    /// The winning values by slot, NaN where the file has none.
    pub values: Values,
    /// Microseconds into the minute of each winner.
    pub micros: [u32; TAGS],
    /// Slots with two records of one full timestamp, a bit each.
    pub duplicated: u32,
    /// Slots whose record replaces one that was read when its line was still torn, a bit each.
    pub corrected: u32,
    /// Slots whose value was polled from the PLC instead of logged by the historian, a bit each.
    pub polled: u32,
    /// Whether a record carries the marker B.
    pub from_b: bool,
}

/// Where a minute's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The historian's exports.
    Historian,
    /// The PLC itself.
    Modbus,
    /// Some from there, some from here.
    Both,
}

impl MinuteRecords {
    /// A minute of which nothing is known.
    pub fn empty(minute: Minute) -> Self {
        Self {
            minute,
            values: NO_VALUES,
            micros: [0; TAGS],
            duplicated: 0,
            corrected: 0,
            polled: 0,
            from_b: false,
        }
    }

    /// Where its values come from.
    pub fn origin(&self) -> Origin {
        let known = |slot: &usize| !self.values[*slot].is_nan();
        let (known, polled) = (0..TAGS)
            .filter(known)
            .fold((0, 0), |(known, polled), slot| {
                (known + 1, polled + (self.polled >> slot & 1))
            });
        match polled {
            0 => Origin::Historian,
            polled if polled == known => Origin::Modbus,
            _ => Origin::Both,
        }
    }
}

/// A minute that is being filled.
struct Slot {
    records: MinuteRecords,
    /// Slots with a value in this piece of the file, a bit each.
    have: u32,
    stamps: Stamps,
}

/// Full timestamps a minute's tags have had in the file.
#[derive(Clone)]
struct Stamps {
    seen: u32,
    first: [u32; TAGS],
    more: Vec<(u8, u32)>,
}

impl Default for Stamps {
    fn default() -> Self {
        Self {
            seen: 0,
            first: [0; TAGS],
            more: Vec::new(),
        }
    }
}

impl Stamps {
    /// Notes a stamp; whether the tag has had it before.
    fn note(&mut self, slot: usize, micros: u32) -> bool {
        let bit = 1 << slot;
        if self.seen & bit == 0 {
            self.seen |= bit;
            self.first[slot] = micros;
            return false;
        }
        let known = (slot as u8, micros);
        if self.first[slot] == micros || self.more.contains(&known) {
            return true;
        }
        self.more.push(known);
        false
    }

    /// Packs the common case, every record on the full minute, into a mask.
    fn pack(&self) -> Packed {
        let on_the_minute = self.more.is_empty() && self.first.iter().all(|&micros| micros == 0);
        if on_the_minute {
            Packed::OnTheMinute(self.seen)
        } else {
            Packed::Any(Box::new(self.clone()))
        }
    }
}

enum Packed {
    OnTheMinute(u32),
    Any(Box<Stamps>),
}

impl Packed {
    fn unpack(self) -> Stamps {
        match self {
            Self::OnTheMinute(seen) => Stamps {
                seen,
                ..Stamps::default()
            },
            Self::Any(stamps) => *stamps,
        }
    }
}

/// The minutes of a file as they fill.
#[derive(Default)]
pub struct Minutes {
    slots: Vec<Slot>,
    current: usize,
    shown: BTreeMap<Minute, Packed>,
}

/// A record that counts.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// Its minute.
    pub minute: Minute,
    /// Microseconds into it.
    pub micros: u32,
    /// Whether its marker is B.
    pub from_b: bool,
    /// Whether it replaces one that was read when its line was still torn.
    pub corrects: bool,
}

impl Minutes {
    /// Takes a record's value for a slot.
    pub fn keep(&mut self, record: Kept, slot: usize, value: f64) {
        let Kept {
            minute,
            micros,
            from_b,
            corrects,
        } = record;
        if self
            .slots
            .get(self.current)
            .is_none_or(|current| current.records.minute != minute)
        {
            self.current = self.slot_of(minute);
        }
        let Slot {
            records,
            have,
            stamps,
        } = &mut self.slots[self.current];
        let bit = 1 << slot;
        if stamps.note(slot, micros) {
            records.duplicated |= bit;
        }
        if *have & bit == 0 || micros >= records.micros[slot] {
            records.values[slot] = value;
            records.micros[slot] = micros;
            *have |= bit;
        }
        if corrects {
            records.corrected |= bit;
        }
        records.from_b |= from_b;
    }

    /// The place of a minute among the slots, made when missing.
    fn slot_of(&mut self, minute: Minute) -> usize {
        let place = match self.slots.last() {
            Some(last) if last.records.minute < minute => Err(self.slots.len()),
            None => Err(0),
            Some(_) => self
                .slots
                .binary_search_by_key(&minute, |slot| slot.records.minute),
        };
        place.unwrap_or_else(|place| {
            let stamps = self
                .shown
                .remove(&minute)
                .map_or_else(Stamps::default, Packed::unpack);
            self.slots.insert(
                place,
                Slot {
                    records: MinuteRecords::empty(minute),
                    have: 0,
                    stamps,
                },
            );
            place
        })
    }

    /// Hands over the minutes folded so far, oldest first; with `hold_newest` the newest stays, to be completed by the
    /// next piece.
    pub fn take(&mut self, hold_newest: bool) -> Vec<MinuteRecords> {
        let held = if hold_newest { self.slots.pop() } else { None };
        let taken = std::mem::take(&mut self.slots);
        self.slots.extend(held);
        self.current = 0;
        taken
            .into_iter()
            .map(|slot| {
                self.shown.insert(slot.records.minute, slot.stamps.pack());
                slot.records
            })
            .collect()
    }
}
