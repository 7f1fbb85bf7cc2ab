//! The historian's long format: lines of one minute and whole day files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use jiff::civil::{Date, DateTime};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::Simulator;
use super::station::PUMPS;

/// Number of tags in the export.
pub const TAGS: usize = 27;
/// First line of every file, with its line end.
pub const HEADER: &str = "Timestamp,Marker,TagIndex,Value\n";

/// Tag indices of the first tag of each group.
pub(super) const TAG_DAY_TOTAL: usize = 0;
pub(super) const TAG_FLOW: usize = 1;
pub(super) const TAG_LEVEL: usize = 2;
pub(super) const TAG_ON: usize = 3;
pub(super) const TAG_POWER: usize = TAG_ON + PUMPS;
pub(super) const TAG_RUNTIME: usize = TAG_POWER + PUMPS;

/// Bytes of a `YYYY-MM-DD HH:MM:SS` timestamp.
const TIME_LEN: usize = 19;

/// Texts written in place of values, in turn.
const BAD_VALUES: [&str; 15] = [
    "NaN",
    "",
    "#N/A",
    "Bad",
    "-1.#IND",
    "1.#INF",
    "1e38",
    "-9999",
    "???",
    "\"1,234.5\"",
    "null",
    "3.4028234663852886e+38",
    "0x1F",
    "inf",
    "--",
];
/// Tag indices no station has; the quotes are written too.
const UNKNOWN_TAGS: [&str; 7] = ["27", "99", "-1", "abc", "1.0", "\"1.0\"", ""];

/// What goes wrong with the lines of a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineFaults {
    /// No lines are written.
    pub gap: bool,
    /// Each line is written twice.
    pub twice: bool,
    /// Values are replaced by unusable texts.
    pub bad_values: bool,
    /// The power tags are left out.
    pub without_power: bool,
    /// Lines are kept back and written in random order.
    pub shuffled: bool,
    /// The next minute is shuffled too, so that the lines wait for it.
    pub shuffle_goes_on: bool,
    /// A line with marker E precedes each line.
    pub e_markers: bool,
    /// Lines with unknown tags follow.
    pub unknown_tags: bool,
    /// The last line is cut.
    pub torn: bool,
}

/// Scaled integer readings of one minute, in tag order.
pub type Readings = [i64; TAGS];

/// Decimals of a tag, 0 to 2; its reading is scaled by that power of ten.
pub(super) fn decimals(tag: usize) -> u32 {
    match tag {
        TAG_DAY_TOTAL | TAG_FLOW => 1,
        TAG_LEVEL => 2,
        TAG_POWER..TAG_RUNTIME => 2,
        _ => 0,
    }
}

/// Turns readings into lines.
#[derive(Debug, Clone)]
pub struct LineWriter {
    rng: ChaCha8Rng,
    /// Last minute written; a fresh block begins where the next one does not follow it.
    last: Option<DateTime>,
    next_bad: usize,
    /// Lines waiting to be shuffled.
    held: Vec<u8>,
}

impl LineWriter {
    /// A writer that shuffles with `rng`.
    pub fn new(rng: ChaCha8Rng) -> Self {
        Self {
            rng,
            last: None,
            next_bad: 0,
            held: Vec::new(),
        }
    }

    /// Appends the lines of the minute `time`, which is followed by `next`, to `out`.
    pub fn write(
        &mut self,
        out: &mut Vec<u8>,
        time: DateTime,
        next: DateTime,
        readings: &Readings,
        faults: LineFaults,
    ) {
        let begin = out.len();
        if !faults.gap {
            if faults.shuffled {
                let mut held = std::mem::take(&mut self.held);
                self.write_lines(&mut held, time, readings, faults);
                self.held = held;
            } else {
                self.write_lines(out, time, readings, faults);
            }
            self.last = Some(next);
        }
        let waits = faults.shuffle_goes_on && next.date() == time.date();
        if !self.held.is_empty() && !waits {
            self.release_shuffled(out);
        }
        if faults.torn && out.len() > begin {
            tear_last_line(out, begin);
        }
    }

    fn write_lines(
        &mut self,
        out: &mut Vec<u8>,
        time: DateTime,
        readings: &Readings,
        faults: LineFaults,
    ) {
        let midnight = time.hour() == 0 && time.minute() == 0;
        let fresh = midnight || self.last != Some(time);
        let stamp = timestamp(time);
        let marker = if fresh { b'B' } else { b'S' };
        for (tag, &reading) in readings.iter().enumerate() {
            if faults.without_power && (TAG_POWER..TAG_RUNTIME).contains(&tag) {
                continue;
            }
            if faults.e_markers {
                push_lead(out, &stamp, b'E');
                push_scaled(out, tag as i64, 0);
                out.extend_from_slice(b",0\n");
            }
            let line = out.len();
            push_lead(out, &stamp, marker);
            push_scaled(out, tag as i64, 0);
            out.push(b',');
            if faults.bad_values {
                out.extend_from_slice(BAD_VALUES[self.next_bad].as_bytes());
                self.next_bad = (self.next_bad + 1) % BAD_VALUES.len();
            } else {
                push_scaled(out, reading, decimals(tag));
            }
            out.push(b'\n');
            if faults.twice {
                out.extend_from_within(line..);
            }
        }
        if faults.unknown_tags {
            for tag in UNKNOWN_TAGS {
                push_lead(out, &stamp, marker);
                out.extend_from_slice(tag.as_bytes());
                out.extend_from_slice(b",0\n");
            }
        }
    }

    fn release_shuffled(&mut self, out: &mut Vec<u8>) {
        let mut lines: Vec<&[u8]> = self.held.split_inclusive(|byte| *byte == b'\n').collect();
        lines.shuffle(&mut self.rng);
        for line in lines {
            out.extend_from_slice(line);
        }
        self.held.clear();
    }
}

/// Cuts the last line written after `begin` in its middle.
fn tear_last_line(out: &mut Vec<u8>, begin: usize) {
    let body = &out[begin..out.len() - 1];
    let line = body
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(begin, |at| begin + at + 1);
    let middle = line + (out.len() - line) / 2;
    out.truncate(middle);
}

fn push_lead(out: &mut Vec<u8>, stamp: &[u8; TIME_LEN], marker: u8) {
    out.extend_from_slice(stamp);
    out.extend_from_slice(&[b',', marker, b',']);
}

/// Local time as `YYYY-MM-DD HH:MM:00`.
fn timestamp(time: DateTime) -> [u8; TIME_LEN] {
    let mut stamp = *b"0000-00-00 00:00:00";
    let two = |stamp: &mut [u8; TIME_LEN], at: usize, value: i8| {
        let value = value.unsigned_abs();
        stamp[at] = b'0' + value / 10;
        stamp[at + 1] = b'0' + value % 10;
    };
    let year = time.year().unsigned_abs();
    two(&mut stamp, 0, (year / 100) as i8);
    two(&mut stamp, 2, (year % 100) as i8);
    two(&mut stamp, 5, time.month());
    two(&mut stamp, 8, time.day());
    two(&mut stamp, 11, time.hour());
    two(&mut stamp, 14, time.minute());
    stamp
}

/// Appends `scaled / 10^decimals` with exactly that many decimals.
fn push_scaled(out: &mut Vec<u8>, scaled: i64, decimals: u32) {
    // 19 digits, a point and a sign at most.
    let mut text = [0_u8; 24];
    let mut at = text.len();
    let mut rest = scaled.unsigned_abs();
    let mut digits = 0;
    loop {
        if digits == decimals && decimals > 0 {
            at -= 1;
            text[at] = b'.';
        }
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        digits += 1;
        if rest == 0 && digits > decimals {
            break;
        }
    }
    if scaled < 0 {
        at -= 1;
        text[at] = b'-';
    }
    out.extend_from_slice(&text[at..]);
}

/// Name of the file of a local day, such as `2025-03-03.csv`.
pub fn file_name(date: Date) -> String {
    format!(
        "{:04}-{:02}-{:02}.csv",
        date.year(),
        date.month(),
        date.day()
    )
}

/// Writes whole day files into `dir` and calls `progress` with the index of each day
/// (from 0) after its file is in place.
///
/// The first file begins at the simulator's next minute, the others at midnight. A file
/// appears under its name only when complete. The same seed gives the same bytes.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write_days(
    dir: &Path,
    sim: &mut Simulator,
    days: u32,
    mut progress: impl FnMut(u32),
) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let mut bytes = Vec::new();
    for day in 0..days {
        let date = sim.next_time().date();
        bytes.clear();
        bytes.extend_from_slice(HEADER.as_bytes());
        while sim.next_time().date() == date {
            sim.next_minute(&mut bytes);
        }
        let name = file_name(date);
        let path = dir.join(&name);
        let temporary = dir.join(format!(".{name}.tmp"));
        fs::write(&temporary, &bytes)
            .with_context(|| format!("cannot write {}", temporary.display()))?;
        fs::rename(&temporary, &path)
            .with_context(|| format!("cannot rename to {}", path.display()))?;
        progress(day);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    fn scaled_text(scaled: i64, decimals: u32) -> String {
        let mut out = Vec::new();
        push_scaled(&mut out, scaled, decimals);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_have_their_fixed_decimals() {
        assert_eq!(scaled_text(0, 0), "0");
        assert_eq!(scaled_text(0, 2), "0.00");
        assert_eq!(scaled_text(7, 2), "0.07");
        assert_eq!(scaled_text(24, 1), "2.4");
        assert_eq!(scaled_text(-1465, 1), "-146.5");
        assert_eq!(scaled_text(12_000, 2), "120.00");
        assert_eq!(scaled_text(i64::MIN, 2), "-92233720368547758.08");
    }

    #[test]
    fn timestamps_and_names_are_padded() {
        let time = datetime(2025, 3, 3, 4, 5, 0, 0);
        assert_eq!(&timestamp(time), b"2025-03-03 04:05:00");
        assert_eq!(file_name(time.date()), "2025-03-03.csv");
    }

    #[test]
    fn a_torn_line_keeps_the_lines_before() {
        let mut out = b"old\nfirst\nsecond,1\n".to_vec();
        tear_last_line(&mut out, 4);
        assert_eq!(out, b"old\nfirst\nseco");
    }
}
