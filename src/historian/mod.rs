//! From historian exports to minutes: encodings, lines, and the fold of one file's records into minutes.
//!
//! [`text`] and [`lines`] are pure; [`fold`] keeps what must be known of a file to judge its next line; [`files`] reads.
//! Nothing disappears: what is not kept is counted by its marker, or recorded as a [`lines::Reject`] with line and
//! reason.

pub mod files;
pub mod fold;
pub mod lines;
pub mod text;
pub mod watch;

use std::collections::BTreeMap;

use crate::tags::TAGS;

/// How a plant writes its exports.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    /// Tag index → slot.
    pub slots: TagMap,
    /// Markers of the records that count.
    pub kept: Vec<String>,
}

/// Which slot each tag index means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TagMap {
    /// Slot by index, [`UNMAPPED`] where there is none; indexes are small in practice.
    small: Vec<u8>,
    /// The others.
    large: BTreeMap<u64, u8>,
}

const UNMAPPED: u8 = u8::MAX;
const SMALL_INDEXES: u64 = 4096;

impl TagMap {
    /// Maps an index; the slot must be below [`TAGS`].
    pub fn insert(&mut self, index: u64, slot: usize) {
        debug_assert!(slot < TAGS);
        if index >= SMALL_INDEXES {
            self.large.insert(index, slot as u8);
            return;
        }
        if self.small.len() <= index as usize {
            self.small.resize(index as usize + 1, UNMAPPED);
        }
        self.small[index as usize] = slot as u8;
    }

    /// The slot of an index.
    pub fn slot(&self, index: u64) -> Option<usize> {
        let slot = match self.small.get(index as usize) {
            Some(&slot) if index < SMALL_INDEXES => slot,
            _ => *self.large.get(&index)?,
        };
        (slot != UNMAPPED).then_some(slot as usize)
    }

    /// How many tags have an index.
    pub fn mapped(&self) -> usize {
        self.small.iter().filter(|&&slot| slot != UNMAPPED).count() + self.large.len()
    }
}
