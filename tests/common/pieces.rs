//! Any bytes, in one piece and in many: the same minutes, rejects and tally, and no panic.
//!
//! The fuzz target, the corpus test and the property test share this check.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use jiff::tz::TimeZone;
use pumphouse::{
    calendar::{Calendar, Minute},
    historian::{
        Format, TagMap,
        fold::{Fold, Tally},
        lines::Reject,
        minutes::MinuteRecords,
        text::sniff,
    },
    tags::TAGS,
};

/// The wall clock, 2025-12-29: after all that the inputs say of 2025.
const NOW: Minute = 29_450_000;

/// A zone with summer time.
static ZONE: LazyLock<TimeZone> =
    LazyLock::new(|| TimeZone::get("Europe/Berlin").expect("a zone of the bundled database"));

/// What a file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    pub minutes: BTreeMap<Minute, String>,
    pub rejects: BTreeMap<u64, Reject>,
    pub tally: Tally,
    pub lines: u64,
}

/// Reads the bytes once in one piece and once cut at `cuts`, each counted from the start and taken modulo the length.
///
/// # Panics
/// When the two differ.
pub fn check(bytes: &[u8], cuts: &[usize]) -> Said {
    let whole = said(bytes, &BTreeSet::new());
    let cuts: BTreeSet<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    let pieces = said(bytes, &cuts);
    assert_eq!(whole, pieces, "one piece = many pieces, cut at {cuts:?}");
    whole
}

fn fold() -> Fold {
    let mut slots = TagMap::default();
    (0..TAGS).for_each(|slot| slots.insert(slot as u64, slot));
    slots.insert(70_000, 2);
    let format = Format {
        kept: Some(vec!["B".into(), "S".into(), String::new()]),
        ..Format::new(slots)
    };
    let tags = format.tags.clone();
    Fold::new(Arc::new(format), tags, Calendar::new(ZONE.clone()))
}

/// What a file says that grows by a piece at each cut. The last line counts also without an end.
fn said(bytes: &[u8], cuts: &BTreeSet<usize>) -> Said {
    let (encoding, mark) = sniff(bytes);
    let mut fold = fold();
    let mut said = Said {
        minutes: BTreeMap::new(),
        rejects: BTreeMap::new(),
        tally: Tally::default(),
        lines: 0,
    };
    let mut minutes: BTreeMap<Minute, MinuteRecords> = BTreeMap::new();
    let mut from = mark.min(bytes.len());
    for (number, cut) in cuts.iter().copied().chain([bytes.len()]).enumerate() {
        if cut < from {
            continue;
        }
        let waiting = &bytes[from..cut];
        let whole = if cut == bytes.len() {
            waiting.len()
        } else {
            encoding.whole_lines(waiting)
        };
        let before = fold.lines();
        fold.read(&encoding.decode(&waiting[..whole]), NOW);
        from += match fold.held() {
            None => whole,
            Some(_) => encoding.bytes_of_lines(waiting, (fold.lines() - before) as usize),
        };
        let taken = fold.take_minutes(number % 2 == 0 && cut < bytes.len());
        assert!(
            taken.is_sorted_by(|a, b| a.minute < b.minute),
            "minutes come oldest first"
        );
        for records in taken {
            match minutes.get_mut(&records.minute) {
                Some(standing) => merge(standing, &records),
                None => drop(minutes.insert(records.minute, records)),
            }
        }
        // A reject replaces an earlier one of its line: counts of unmapped tags grow.
        let rejects = fold.take_rejects();
        said.rejects
            .extend(rejects.into_iter().map(|reject| (reject.line, reject)));
    }
    // NaN is not equal to itself; its text is.
    said.minutes = minutes
        .into_iter()
        .map(|(minute, records)| (minute, format!("{records:?}")))
        .collect();
    said.tally = fold.tally().clone();
    said.lines = fold.lines();
    assert_eq!(
        said.rejects
            .values()
            .map(|reject| reject.count)
            .sum::<u64>(),
        said.tally.rejected,
        "every reject is told"
    );
    said
}

/// A later piece of a file: the later stamp wins, and of two equal ones the later read.
pub fn merge(standing: &mut MinuteRecords, later: &MinuteRecords) {
    for slot in 0..TAGS {
        let known = !later.values[slot].is_nan();
        if known && (standing.values[slot].is_nan() || later.micros[slot] >= standing.micros[slot])
        {
            standing.values[slot] = later.values[slot];
            standing.micros[slot] = later.micros[slot];
        }
    }
    standing.duplicated |= later.duplicated;
    standing.from_b |= later.from_b;
}
