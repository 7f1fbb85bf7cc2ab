//! The fold of one file's records into minutes.
//!
//! Within a file the record with the latest full timestamp wins its minute, and of two with the same one the later
//! read; that there were two is kept. What a file has shown so far (its local time in the repeated hour, the stamps of
//! its records) decides how its next line is read, so a file may come in any number of pieces.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    Format,
    lines::{
        Columns, Fields, MINUTE_US, Reject, Stamp, Written, command, is_header, number,
        plain_decimal, timestamp, trim,
    },
};
use crate::{
    calendar::{Calendar, LocalMinute, Meaning, Minute},
    tags::{NO_VALUES, TAGS, Values, is_command},
};

/// 2000-01-01 00:00 on the plant's clock: nothing a historian wrote is older.
const EARLIEST: LocalMinute = 15_778_080;
/// How far ahead of the clock a timestamp may lie, min.
const AHEAD_MIN: i64 = 1440;
/// Share of a file's records lost to the marker rule above which it is worth a word.
const DISCARDED_SHARE_MAX: f64 = 0.05;
/// Going back by this much in the repeated hour means that the clocks have been put back, µs.
const PUT_BACK_US: i64 = 30 * MINUTE_US;

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
    /// Whether a record carries the marker B.
    pub from_b: bool,
}

/// What became of the lines so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that count.
    pub kept: u64,
    /// Records passed over for their marker, by marker.
    pub discarded: BTreeMap<String, u64>,
    /// Records and lines rejected.
    pub rejected: u64,
}

impl Tally {
    /// Records passed over for their marker.
    pub fn discarded_total(&self) -> u64 {
        self.discarded.values().sum()
    }

    /// A word about a file that loses much to the marker rule.
    pub fn marker_warning(&self, path: &Path) -> Option<String> {
        let discarded = self.discarded_total();
        let share = discarded as f64 / (discarded + self.kept).max(1) as f64;
        (share > DISCARDED_SHARE_MAX).then(|| {
            let markers: Vec<_> = self.discarded.keys().map(|marker| format!("{marker:?}")).collect();
            format!(
                "{}: {:.0} % of its records carry markers that are not kept ({}); see historian.keep_markers",
                path.display(),
                share * 100.0,
                markers.join(", ")
            )
        })
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

/// The repeated hour as the file has shown it.
struct Repeated {
    /// Local date of the hour.
    day: i64,
    /// Latest local time shown in it, µs.
    latest_us: i64,
    /// Whether the file has gone back in it.
    put_back: bool,
}

/// The timestamp of the line before: most lines share theirs.
struct Cached {
    text: [u8; 19],
    minute: Minute,
    micros: u32,
}

/// The fold of one file.
pub struct Fold {
    format: Arc<Format>,
    calendar: Calendar,
    markers: [bool; 128],
    columns: Columns,
    line: u64,
    tally: Tally,
    repeated: Option<Repeated>,
    cached: Cached,
    slots: Vec<Slot>,
    current: usize,
    shown: BTreeMap<Minute, Packed>,
    unmapped: BTreeMap<i64, Reject>,
    rejects: Vec<Reject>,
    /// The header is unusable: nothing in the file can be read.
    refused: bool,
    /// The line that was read before when it was still torn.
    again: Option<u64>,
}

impl Fold {
    /// The fold of a file of which nothing has been read.
    pub fn new(format: Arc<Format>, calendar: Calendar) -> Self {
        let mut markers = [false; 128];
        for kept in &format.kept {
            if let [byte] = kept.as_bytes()
                && byte.is_ascii()
            {
                markers[usize::from(*byte)] = true;
            }
        }
        Self {
            format,
            calendar,
            markers,
            columns: Columns::USUAL,
            line: 0,
            tally: Tally::default(),
            repeated: None,
            cached: Cached {
                text: [0; 19],
                minute: 0,
                micros: 0,
            },
            slots: Vec::new(),
            current: 0,
            shown: BTreeMap::new(),
            unmapped: BTreeMap::new(),
            rejects: Vec::new(),
            refused: false,
            again: None,
        }
    }

    /// Says that a line was read before, when it may still have been torn: what it says now replaces that.
    pub fn expect_again(&mut self, line: u64) {
        self.again = Some(line);
    }

    /// Lines read so far.
    pub fn lines(&self) -> u64 {
        self.line
    }

    /// What became of them.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Folds whole lines of UTF-8 text; `now` is the wall clock's minute.
    pub fn read(&mut self, text: &[u8], now: Minute) {
        let mut fields = Fields::default();
        let mut rest = text;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            rest = &rest[(end + 1).min(rest.len())..];
            self.line += 1;
            if !self.read_usual(line) {
                self.read_any(line, &mut fields, now);
            }
        }
    }

    /// The common case: four plain fields, the line before's timestamp, a one-letter marker, a mapped tag, a decimal.
    fn read_usual(&mut self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() < 24 || line[..19] != self.cached.text || line[19] != b',' || line[21] != b','
        {
            return false;
        }
        if self.columns != Columns::USUAL || self.refused {
            return false;
        }
        let marker = line[20];
        if !marker.is_ascii() || !self.markers[usize::from(marker)] {
            return false;
        }
        let (mut index, mut at) = (0u64, 22);
        while at < line.len() && line[at].is_ascii_digit() {
            index = index * 10 + u64::from(line[at] - b'0');
            at += 1;
            if at > 28 {
                return false;
            }
        }
        if at == 22 || line.get(at) != Some(&b',') {
            return false;
        }
        let Some(slot) = self.format.slots.slot(index) else {
            return false;
        };
        let Some(value) = plain_decimal(&line[at + 1..]) else {
            return false;
        };
        if is_command(slot) && value != 0.0 && value != 1.0 {
            return false;
        }
        let value = if is_command(slot) { value.abs() } else { value };
        self.keep(
            self.cached.minute,
            self.cached.micros,
            slot,
            value,
            marker == b'B',
        );
        true
    }

    fn read_any(&mut self, raw: &[u8], fields: &mut Fields, now: Minute) {
        let line = trim(raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw));
        if line.is_empty() {
            return;
        }
        if is_header(line) {
            match Columns::from_header(line) {
                Ok(columns) => (self.columns, self.refused) = (columns, false),
                Err(reason) => {
                    self.refused = true;
                    self.reject(line, reason);
                }
            }
            return;
        }
        if self.refused {
            self.reject(line, "the file's header cannot be read");
            return;
        }
        let (written, verdict) = fields.read(line, &self.columns);
        if let Err(reason) = self.read_fields(&written, verdict, now) {
            self.reject(line, reason);
        }
    }

    fn read_fields(
        &mut self,
        written: &Written<'_>,
        verdict: Result<(), &'static str>,
        now: Minute,
    ) -> Result<(), &'static str> {
        let Some(stamp) = timestamp(written.timestamp) else {
            verdict?;
            return Err("the timestamp cannot be read");
        };
        let minute = self.minute_of(stamp);
        verdict?;
        if !self
            .format
            .kept
            .iter()
            .any(|kept| kept.as_bytes() == written.marker)
        {
            *self
                .tally
                .discarded
                .entry(String::from_utf8_lossy(written.marker).into_owned())
                .or_default() += 1;
            return Ok(());
        }
        let minute =
            minute.ok_or("the local time does not exist: the clocks went forward over it")?;
        if self.calendar.local(minute).minute < EARLIEST {
            return Err("the timestamp lies before 2000-01-01");
        }
        if minute > now + AHEAD_MIN {
            return Err("the timestamp lies more than 24 h ahead of the clock");
        }
        let index = std::str::from_utf8(written.tag)
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        let index = index.ok_or("the tag index is not a whole number")?;
        let Some(slot) = u64::try_from(index)
            .ok()
            .and_then(|index| self.format.slots.slot(index))
        else {
            self.count_unmapped(index, written);
            return Ok(());
        };
        let value = if is_command(slot) {
            command(written.value)?
        } else {
            number(written.value)?
        };
        if written.timestamp.len() == 19 && stamp.offset_min.is_none() && self.is_plain(stamp) {
            self.cached.text.copy_from_slice(written.timestamp);
            (self.cached.minute, self.cached.micros) = (minute, stamp.micros);
        }
        self.keep(minute, stamp.micros, slot, value, written.marker == b"B");
        Ok(())
    }

    /// Whether a local time means one minute of UTC whatever the file has shown before.
    fn is_plain(&mut self, stamp: Stamp) -> bool {
        matches!(self.calendar.meaning(stamp.local), Meaning::One(_))
    }

    /// The minute of UTC a stamp means; `None` for a local time that never was.
    fn minute_of(&mut self, stamp: Stamp) -> Option<Minute> {
        if let Some(offset_min) = stamp.offset_min {
            return Some(stamp.local - offset_min);
        }
        match self.calendar.meaning(stamp.local) {
            Meaning::One(minute) => Some(minute),
            Meaning::Never => None,
            Meaning::Either(early, late) => {
                let day = stamp.local.div_euclid(crate::calendar::DAY_MIN);
                let at_us = stamp.local * MINUTE_US + i64::from(stamp.micros);
                let shown = match &mut self.repeated {
                    Some(shown) if shown.day == day => shown,
                    other => other.insert(Repeated {
                        day,
                        latest_us: at_us,
                        put_back: false,
                    }),
                };
                shown.put_back |= at_us <= shown.latest_us - PUT_BACK_US;
                shown.latest_us = shown.latest_us.max(at_us);
                Some(if shown.put_back { late } else { early })
            }
        }
    }

    fn count_unmapped(&mut self, index: i64, written: &Written<'_>) {
        let line = self.line;
        self.tally.rejected += 1;
        let reject = self.unmapped.entry(index).or_insert_with(|| {
            let raw = [
                written.timestamp,
                written.marker,
                written.tag,
                written.value,
            ]
            .join(&b',');
            Reject {
                count: 0,
                ..Reject::new(
                    line,
                    &raw,
                    format!("tag index {index} is not mapped to a tag"),
                )
            }
        });
        reject.count += 1;
        let reject = reject.clone();
        self.rejects.push(reject);
    }

    fn reject(&mut self, line: &[u8], reason: impl Into<std::borrow::Cow<'static, str>>) {
        self.tally.rejected += 1;
        self.rejects.push(Reject::new(self.line, line, reason));
    }

    fn keep(&mut self, minute: Minute, micros: u32, slot: usize, value: f64, from_b: bool) {
        self.tally.kept += 1;
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
        if self.again == Some(self.line) {
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
            let records = MinuteRecords {
                minute,
                values: NO_VALUES,
                micros: [0; TAGS],
                duplicated: 0,
                corrected: 0,
                from_b: false,
            };
            self.slots.insert(
                place,
                Slot {
                    records,
                    have: 0,
                    stamps,
                },
            );
            place
        })
    }

    /// Hands over the minutes folded so far, oldest first; with `hold_newest` the newest stays, to be completed by the
    /// next piece.
    pub fn take_minutes(&mut self, hold_newest: bool) -> Vec<MinuteRecords> {
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

    /// Hands over the rejects so far.
    pub fn take_rejects(&mut self) -> Vec<Reject> {
        std::mem::take(&mut self.rejects)
    }

    /// Puts rejects back, to be handed over later.
    pub fn put_rejects(&mut self, rejects: impl Iterator<Item = Reject>) {
        self.rejects.extend(rejects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{historian::TagMap, tags::LEVEL};

    const NOW: Minute = 30_000_000;

    fn format() -> Format {
        let mut slots = TagMap::default();
        (0..TAGS).for_each(|slot| slots.insert(slot as u64, slot));
        Format {
            slots,
            kept: vec!["B".into(), "S".into()],
        }
    }

    fn zone(name: &str) -> Calendar {
        Calendar::new(jiff::tz::TimeZone::get(name).expect("a zone of the bundled database"))
    }

    fn fold(text: &str, zone_name: &str) -> (Vec<MinuteRecords>, Vec<Reject>, Tally) {
        let mut fold = Fold::new(Arc::new(format()), zone(zone_name));
        fold.read(text.as_bytes(), NOW);
        (
            fold.take_minutes(false),
            fold.take_rejects(),
            fold.tally().clone(),
        )
    }

    #[test]
    fn the_earliest_minute_is_the_year_2000() {
        assert_eq!(crate::calendar::utc_text(EARLIEST), "2000-01-01T00:00:00Z");
    }

    #[test]
    fn the_latest_full_timestamp_wins_its_minute() {
        let (minutes, rejects, tally) = fold(
            "Timestamp,Marker,TagIndex,Value\n2025-03-03 10:00:05.130,S,2,1\n2025-03-03 10:00:40,B,2,3\n2025-03-03 10:00:20,S,2,2\n",
            "UTC",
        );
        assert_eq!(
            (minutes.len(), minutes[0].values[LEVEL], minutes[0].from_b),
            (1, 3.0, true)
        );
        assert_eq!(
            (minutes[0].duplicated, rejects.len(), tally.kept),
            (0, 0, 3)
        );
    }

    #[test]
    fn two_records_of_one_stamp_are_a_duplicate_also_behind_a_later_one_and_across_pieces() {
        let mut fold = Fold::new(Arc::new(format()), zone("UTC"));
        fold.read(
            b"2025-03-03 10:00:10,S,2,1\n2025-03-03 10:00:20,S,2,2\n",
            NOW,
        );
        assert_eq!(fold.take_minutes(false)[0].duplicated, 0);
        fold.read(b"2025-03-03 10:00:10,S,2,1\n", NOW);
        assert_eq!(fold.take_minutes(false)[0].duplicated, 1 << LEVEL);
        fold.read(b"2025-03-03 10:00:20,S,2,7\n", NOW);
        assert_eq!(fold.take_minutes(false)[0].duplicated, 1 << LEVEL);
    }

    #[test]
    fn a_rejected_value_is_no_record() {
        let (minutes, rejects, _) = fold(
            "2025-03-03 10:00:00,S,2,5\n2025-03-03 10:00:00,S,2,Bad\n",
            "UTC",
        );
        assert_eq!((minutes[0].values[LEVEL], minutes[0].duplicated), (5.0, 0));
        assert_eq!(
            (rejects[0].line, rejects[0].reason.as_ref()),
            (2, "the value is not a number")
        );
    }

    #[test]
    fn markers_discard_and_unmapped_tags_are_counted_once() {
        let (minutes, rejects, tally) = fold(
            "2025-03-03 10:00:00,E,2,5\n2025-03-03 10:00:00,,2,5\n2025-03-03 10:00:00,S,27,5\n2025-03-03 10:01:00,S,27,5\n",
            "UTC",
        );
        assert!(minutes.is_empty());
        assert_eq!(
            tally.discarded,
            BTreeMap::from([("E".into(), 1), (String::new(), 1)])
        );
        let last = rejects.last().expect("a reject");
        assert_eq!((last.line, last.count), (3, 2));
    }

    #[test]
    fn the_repeated_hour_is_early_until_the_file_goes_back() {
        let (minutes, ..) = fold(
            "2025-10-26 02:59:00,S,2,1\n2025-10-26 02:30:00,S,2,2\n2025-10-26 02:29:00,S,2,3\n2025-10-26 02:40:00,S,2,4\n",
            "Europe/Berlin",
        );
        let first = minutes[0].minute;
        let seen: Vec<_> = minutes
            .iter()
            .map(|minute| (minute.minute - first, minute.values[LEVEL]))
            .collect();
        // 02:30 is 29 min back: still the first pass; 02:29 is 30 min back: the second pass, as all that follows.
        assert_eq!(seen, [(0, 2.0), (29, 1.0), (59, 3.0), (70, 4.0)]);
    }

    #[test]
    fn a_time_that_never_was_is_rejected() {
        let (minutes, rejects, _) = fold("2025-03-30 02:30:00,S,2,1\n", "Europe/Berlin");
        assert!(minutes.is_empty() && rejects[0].reason.contains("does not exist"));
        let (minutes, ..) = fold("2025-03-30 02:30:00Z,S,2,1\n", "Europe/Berlin");
        assert_eq!(minutes.len(), 1);
    }

    #[test]
    fn times_out_of_range_are_rejected() {
        let (minutes, rejects, _) = fold(
            "1999-12-31 23:59:00,S,2,1\n2100-01-01 00:00:00,S,2,1\n",
            "UTC",
        );
        assert!(minutes.is_empty());
        assert_eq!(rejects.len(), 2);
    }
}
