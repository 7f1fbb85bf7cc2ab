//! The fold of one file's lines or records into minutes. Pure.
//!
//! What a file has shown so far (its columns, its local time in the repeated hour, the order of day and month, the sign of its
//! decimals, the stamps of its records) decides how its next line is read, so a file may come in any number of pieces. Where the
//! file has not shown enough, the fold looks ahead; where that does not tell either, it stops before the line, and the file waits.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

mod values;
mod when;

use values::COMMA_AND_COMMA;
use when::{Cached, Repeated};

use super::{
    Decimal, Format,
    cells::{Cells, plain_decimal},
    dbase::Table,
    layout::{Body, Dialect, Layout, Split},
    lines::{Fields, Reject, trim},
    minutes::{Kept, MinuteRecords, Minutes},
    stamps::DayOrder,
    tagnames::TagNames,
};
use crate::{
    calendar::{Calendar, Minute},
    tags::is_command,
};

/// Share of a file's records lost to the marker rule above which it is worth a word.
const DISCARDED_SHARE_MAX: f64 = 0.05;

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

/// What a marker tells of the historian itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Logging {
    /// It ended logging: marker E.
    Ended,
    /// It began: marker B.
    Began,
}

/// A line before which the file waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Line of the file, counted from 1.
    pub line: u64,
    /// What cannot be told, and what to do.
    pub reason: Cow<'static, str>,
}

/// Why a line does not count.
enum Fault {
    /// It never will.
    Reject(Cow<'static, str>),
    /// Not before the file or the config tells more.
    Hold(&'static str),
}

impl From<&'static str> for Fault {
    fn from(reason: &'static str) -> Self {
        Self::Reject(reason.into())
    }
}

impl From<String> for Fault {
    fn from(reason: String) -> Self {
        Self::Reject(reason.into())
    }
}

/// The fold of one file.
pub struct Fold {
    format: Arc<Format>,
    calendar: Calendar,
    tags: TagNames,
    /// The file's columns; `None` before its first line.
    layout: Option<Arc<Layout>>,
    /// Whether the fast path may be tried.
    is_usual: bool,
    /// One-letter markers that are kept.
    markers: [bool; 128],
    order: Option<DayOrder>,
    decimal: Option<Decimal>,
    line: u64,
    tally: Tally,
    repeated: Option<Repeated>,
    cached: Cached,
    minutes: Minutes,
    unmapped: BTreeMap<String, Reject>,
    rejects: Vec<Reject>,
    logging: BTreeSet<(Minute, Logging)>,
    /// The header is unusable: nothing in the file can be read.
    refused: bool,
    held: Option<Held>,
    /// The line that was read before when it was still torn.
    again: Option<u64>,
}

impl Fold {
    /// The fold of a file of which nothing has been read; `tags` is what indexes mean in it.
    pub fn new(format: Arc<Format>, tags: TagNames, calendar: Calendar) -> Self {
        let (order, decimal) = (format.day_order, format.decimal);
        Self {
            format,
            calendar,
            tags,
            layout: None,
            is_usual: false,
            markers: [false; 128],
            order,
            decimal,
            line: 0,
            tally: Tally::default(),
            repeated: None,
            cached: Cached::default(),
            minutes: Minutes::default(),
            unmapped: BTreeMap::new(),
            rejects: Vec::new(),
            logging: BTreeSet::new(),
            refused: false,
            held: None,
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

    /// What the file's indexes mean.
    pub fn tags(&self) -> &TagNames {
        &self.tags
    }

    /// What the file's layout is called; empty before its first line.
    pub fn layout_name(&self) -> &str {
        self.layout.as_ref().map_or("", |layout| &layout.name)
    }

    /// The line before which the fold has stopped.
    pub fn held(&self) -> Option<&Held> {
        self.held.as_ref()
    }

    /// Folds whole lines of UTF-8 text; `now` is the wall clock's minute. Returns how many bytes of it were read: all, unless the
    /// fold is [`Fold::held`].
    pub fn read(&mut self, text: &[u8], now: Minute) -> usize {
        self.held = None;
        let mut fields = Fields::default();
        let mut rest = text;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = &rest[..end];
            let after = &rest[(end + 1).min(rest.len())..];
            self.line += 1;
            if !self.read_usual(line)
                && let Err(reason) = self.read_any(line, &mut fields, after, now)
            {
                self.hold(reason);
                return text.len() - rest.len();
            }
            rest = after;
        }
        text.len()
    }

    fn hold(&mut self, reason: &'static str) {
        let line = self.line;
        self.held = Some(Held {
            line,
            reason: reason.into(),
        });
        self.line -= 1;
    }

    /// Folds whole records of a table, of which the fold knows by [`Fold::begin_table`].
    pub fn read_records(&mut self, bytes: &[u8], now: Minute) -> usize {
        self.held = None;
        let Some(layout) = self.layout.clone() else {
            return 0;
        };
        let Split::Table(table) = &layout.split else {
            return 0;
        };
        for (number, record) in bytes.chunks_exact(table.record_bytes).enumerate() {
            self.line += 1;
            if record[0] == b'*' {
                continue;
            }
            match self.read_cells(&layout, &Cells::Table(table, record), Ok(()), &[], now) {
                Ok(()) => {}
                Err(Fault::Reject(reason)) => {
                    let raw = Cells::Table(table, record).text(layout.count);
                    self.reject(raw.as_bytes(), reason);
                }
                Err(Fault::Hold(reason)) => {
                    self.hold(reason);
                    return number * table.record_bytes;
                }
            }
        }
        bytes.len()
    }

    /// Tells the fields of the table whose records follow.
    pub fn begin_table(&mut self, table: Table) -> Result<(), String> {
        let names: Vec<String> = table.fields.iter().map(|(name, _)| name.clone()).collect();
        self.begin(&names, Split::Table(table), b"")
    }

    /// Takes the names of the columns as the layout from here on.
    fn begin(&mut self, names: &[String], split: Split, raw: &[u8]) -> Result<(), String> {
        let (layout, unmapped) = self.format.layout(names, split, &self.tags)?;
        self.set_layout(layout);
        if !unmapped.is_empty() {
            let names: Vec<_> = unmapped.into_iter().map(|column| column.0).collect();
            let reason = format!(
                "no tag of the station is in the columns {}",
                names.join(", ")
            );
            self.reject(raw, reason.chars().take(300).collect::<String>());
        }
        Ok(())
    }

    fn set_layout(&mut self, layout: Layout) {
        self.markers = [false; 128];
        for kept in self.format.kept_by(layout.dialect) {
            if let [byte] = kept.as_bytes()
                && byte.is_ascii()
            {
                self.markers[usize::from(*byte)] = true;
            }
        }
        self.is_usual = layout.is_long();
        self.cached.text.clear();
        self.layout = Some(Arc::new(layout));
    }

    /// The common case: four plain fields, the line before's timestamp, a one-letter marker, a mapped tag, a decimal.
    fn read_usual(&mut self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !self.is_usual || line.len() < 24 || line[19] != b',' || line[21] != b',' {
            return false;
        }
        if self.cached.text[..] != line[..19] {
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
        let Some(slot) = self.tags.slot_of_index(index) else {
            return false;
        };
        let Some(value) = plain_decimal(&line[at + 1..]) else {
            return false;
        };
        if is_command(slot) && value != 0.0 && value != 1.0 {
            return false;
        }
        let value = if is_command(slot) { value.abs() } else { value };
        let (minute, micros) = (self.cached.minute, self.cached.micros);
        if marker == b'B' {
            self.logging.insert((minute, Logging::Began));
        }
        self.keep(self.record(minute, micros, marker == b'B'), slot, value);
        true
    }

    /// Reads a line of any kind; the reason where the file must wait before it.
    fn read_any(
        &mut self,
        raw: &[u8],
        fields: &mut Fields,
        after: &[u8],
        now: Minute,
    ) -> Result<(), &'static str> {
        let line = trim(raw.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(raw));
        if line.is_empty() {
            return Ok(());
        }
        if self.format.is_header(line, self.layout.is_none()) {
            let (names, split) = self.format.names(line);
            let begun = self.begin(&names, split, line);
            self.refused = begun.is_err();
            self.is_usual &= !self.refused;
            if let Err(reason) = begun {
                self.reject(line, reason);
            }
            return Ok(());
        }
        if self.refused {
            self.reject(line, "the file's header cannot be read");
            return Ok(());
        }
        if self.is_comment(line) {
            return Ok(());
        }
        let layout = match &self.layout {
            Some(layout) => layout.clone(),
            None => match self.format.layout_of_record(line, &self.tags) {
                Ok(layout) => {
                    self.set_layout(layout);
                    self.layout.clone().expect("set just now")
                }
                Err(reason) => {
                    self.refused = true;
                    self.reject(line, reason);
                    return Ok(());
                }
            },
        };
        let Split::At(sign) = layout.split else {
            return Ok(());
        };
        let verdict = fields.read(line, sign, &layout);
        let cells = Cells::Line(fields);
        match self.read_cells(&layout, &cells, verdict, after, now) {
            Ok(()) => Ok(()),
            Err(Fault::Reject(reason)) => {
                self.reject(line, reason);
                Ok(())
            }
            Err(Fault::Hold(reason)) => Err(reason),
        }
    }

    /// Lines that are no records: what stands before a header, and between the records of historians that comment.
    fn is_comment(&self, line: &[u8]) -> bool {
        let marks: &[u8] = match self.layout.as_ref().map(|layout| layout.dialect) {
            Some(Dialect::Long) => return false,
            None => b";@*[",
            Some(_) => b";@*",
        };
        marks.contains(&line[0]) || line.starts_with(b"\"$RT_")
    }

    fn read_cells(
        &mut self,
        layout: &Layout,
        cells: &Cells<'_>,
        verdict: Result<(), &'static str>,
        after: &[u8],
        now: Minute,
    ) -> Result<(), Fault> {
        if let Body::TagTable { name, index } = layout.body {
            verdict?;
            return self.read_tag(cells.get(name), cells.get(index));
        }
        let (minute, micros) = match self.when(layout, cells, after, now) {
            Ok(when) => when,
            Err(fault) => {
                verdict?;
                return Err(fault);
            }
        };
        if verdict == Err(Fields::TOO_MANY) && self.is_comma_and_comma(layout, cells) {
            return Err(Fault::Hold(COMMA_AND_COMMA));
        }
        verdict?;
        let marker = layout.marker.map_or(&b"S"[..], |place| cells.get(place));
        self.note_logging(marker, minute);
        if layout.marker.is_some() && !self.is_kept(layout.dialect, marker) {
            let marker = String::from_utf8_lossy(marker).into_owned();
            *self.tally.discarded.entry(marker).or_default() += 1;
            return Ok(());
        }
        let minute = minute.map_err(Fault::from)?;
        let record = self.record(minute, micros, marker == b"B");
        match &layout.body {
            Body::Wide(_) => self.read_wide(layout, cells, record, after),
            _ => self.read_narrow(layout, cells, record, after),
        }
    }

    fn note_logging(&mut self, marker: &[u8], minute: Result<Minute, &'static str>) {
        if let (b"B" | b"E", Ok(minute)) = (marker, minute) {
            let event = if marker == b"B" {
                Logging::Began
            } else {
                Logging::Ended
            };
            self.logging.insert((minute, event));
        }
    }

    fn is_kept(&self, dialect: Dialect, marker: &[u8]) -> bool {
        match marker {
            [byte] if byte.is_ascii() => self.markers[usize::from(*byte)],
            _ => self
                .format
                .kept_by(dialect)
                .any(|kept| kept.as_bytes() == marker),
        }
    }

    fn reject(&mut self, line: &[u8], reason: impl Into<Cow<'static, str>>) {
        self.tally.rejected += 1;
        self.rejects.push(Reject::new(self.line, line, reason));
    }

    /// The record of the line that is read.
    fn record(&self, minute: Minute, micros: u32, from_b: bool) -> Kept {
        Kept {
            minute,
            micros,
            from_b,
            corrects: self.again == Some(self.line),
        }
    }

    fn keep(&mut self, record: Kept, slot: usize, value: f64) {
        self.tally.kept += 1;
        self.minutes.keep(record, slot, value);
    }

    /// Hands over the minutes folded so far, oldest first; with `hold_newest` the newest stays, to be completed by the
    /// next piece.
    pub fn take_minutes(&mut self, hold_newest: bool) -> Vec<MinuteRecords> {
        self.minutes.take(hold_newest)
    }

    /// Hands over when the historian ended and began logging.
    pub fn take_logging(&mut self) -> BTreeSet<(Minute, Logging)> {
        std::mem::take(&mut self.logging)
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
    use crate::{
        historian::TagMap,
        tags::{LEVEL, TAGS},
    };

    const NOW: Minute = 30_000_000;

    fn new_fold(zone_name: &str) -> Fold {
        let mut slots = TagMap::default();
        (0..TAGS).for_each(|slot| slots.insert(slot as u64, slot));
        let format = Format::new(slots);
        let tags = format.tags.clone();
        Fold::new(Arc::new(format), tags, zone(zone_name))
    }

    fn zone(name: &str) -> Calendar {
        Calendar::new(jiff::tz::TimeZone::get(name).expect("a zone of the bundled database"))
    }

    fn fold(text: &str, zone_name: &str) -> (Vec<MinuteRecords>, Vec<Reject>, Tally) {
        let mut fold = new_fold(zone_name);
        fold.read(text.as_bytes(), NOW);
        (
            fold.take_minutes(false),
            fold.take_rejects(),
            fold.tally().clone(),
        )
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
        let mut fold = new_fold("UTC");
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
