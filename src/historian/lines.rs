//! The long format, line by line: `Timestamp,Marker,TagIndex,Value`. Pure.

use std::borrow::Cow;

use jiff::civil::Date;

use crate::calendar::{DAY_MIN, LocalMinute};

/// Microseconds of a minute.
pub const MINUTE_US: i64 = 60_000_000;
/// Raw text kept of a rejected line, characters.
const RAW_CHARS_MAX: usize = 200;

/// Where the four fields stand in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    timestamp: usize,
    marker: usize,
    tag: usize,
    value: usize,
    /// How many columns there are.
    count: usize,
}

impl Columns {
    /// The order of the format itself, for a file without a header.
    pub const USUAL: Self = Self {
        timestamp: 0,
        marker: 1,
        tag: 2,
        value: 3,
        count: 4,
    };

    /// Reads a header's names, in any order and case; further columns are passed over.
    pub fn from_header(header: &[u8]) -> Result<Self, String> {
        let mut fields = Fields::default();
        fields.split(header);
        let names: Vec<String> = fields
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_ascii_lowercase())
            .collect();
        let place = |name: &str| {
            let found = names
                .iter()
                .position(|known| *known == name.to_ascii_lowercase());
            found.ok_or_else(|| format!("the header names no column {name}"))
        };
        Ok(Self {
            timestamp: place("Timestamp")?,
            marker: place("Marker")?,
            tag: place("TagIndex")?,
            value: place("Value")?,
            count: names.len(),
        })
    }
}

/// Whether a line is a header; it may stand anywhere, and again.
pub fn is_header(line: &[u8]) -> bool {
    let starts_with_letter = line
        .first()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'"');
    starts_with_letter && line.len() < 1000 && {
        let text = String::from_utf8_lossy(line).to_ascii_lowercase();
        text.split(',')
            .any(|name| name.trim().trim_matches('"') == "timestamp")
    }
}

/// A line that does not count, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Line of the file, counted from 1.
    pub line: u64,
    /// The line's text, at most 200 characters of it.
    pub raw: String,
    /// Why it does not count.
    pub reason: Cow<'static, str>,
    /// How many lines of the file share this reject.
    pub count: u64,
}

impl Reject {
    /// A reject of one line.
    pub fn new(line: u64, raw: &[u8], reason: impl Into<Cow<'static, str>>) -> Self {
        let raw = String::from_utf8_lossy(raw)
            .chars()
            .take(RAW_CHARS_MAX)
            .collect();
        Self {
            line,
            raw,
            reason: reason.into(),
            count: 1,
        }
    }
}

/// The four fields of a line as they are written.
pub struct Written<'a> {
    /// When.
    pub timestamp: &'a [u8],
    /// The record's marker.
    pub marker: &'a [u8],
    /// The tag's number.
    pub tag: &'a [u8],
    /// The value.
    pub value: &'a [u8],
}

/// Splits lines into fields, quoted ones included.
pub struct Fields {
    reader: csv_core::Reader,
    buffer: Vec<u8>,
    ends: Vec<usize>,
    open_quote: bool,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            reader: csv_core::Reader::new(),
            buffer: Vec::new(),
            ends: Vec::new(),
            open_quote: false,
        }
    }
}

impl Fields {
    /// Splits a line at its commas.
    fn split(&mut self, line: &[u8]) {
        self.buffer.resize(line.len() + 1, 0);
        self.ends.resize(line.len() + 2, 0);
        // A quote left open ends with its line instead of swallowing the file.
        let reader = &mut self.reader;
        reader.reset();
        let (_, _, written, ends) = reader.read_record(line, &mut self.buffer, &mut self.ends);
        let (mut written, mut ends) = (written, ends);
        let (result, _, more, more_ends) =
            reader.read_record(b"\n", &mut self.buffer[written..], &mut self.ends[ends..]);
        self.open_quote = !matches!(result, csv_core::ReadRecordResult::Record);
        written += more;
        ends += more_ends;
        if self.open_quote {
            self.ends[ends] = written;
            ends += 1;
        }
        self.ends.truncate(ends);
        self.buffer.truncate(written);
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| self.get(index))
    }

    fn get(&self, index: usize) -> &[u8] {
        let from = if index == 0 { 0 } else { self.ends[index - 1] };
        trim(&self.buffer[from..self.ends[index]])
    }

    /// The line's fields; the reason where it has too few or too many. The timestamp comes back in both cases.
    pub fn read(
        &mut self,
        line: &[u8],
        columns: &Columns,
    ) -> (Written<'_>, Result<(), &'static str>) {
        self.split(line);
        let count = self.ends.len();
        let field = |index: usize| {
            if index < count {
                self.get(index)
            } else {
                b"" as &[u8]
            }
        };
        let written = Written {
            timestamp: field(columns.timestamp),
            marker: field(columns.marker),
            tag: field(columns.tag),
            value: field(columns.value),
        };
        let needed = columns
            .timestamp
            .max(columns.marker)
            .max(columns.tag)
            .max(columns.value);
        let verdict = if self.open_quote {
            Err("a quote is not closed")
        } else if count <= needed {
            Err("too few fields")
        } else if (columns.count..count).any(|index| !self.get(index).is_empty()) {
            // A thousands separator or a decimal comma would split a value in two; half of it must not count.
            Err("too many fields")
        } else {
            Ok(())
        };
        (written, verdict)
    }
}

/// Without blanks and NUL padding at the ends.
pub fn trim(bytes: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let from = bytes
        .iter()
        .position(|byte| !is_padding(byte))
        .unwrap_or(bytes.len());
    let to = bytes
        .iter()
        .rposition(|byte| !is_padding(byte))
        .map_or(from, |last| last + 1);
    &bytes[from..to]
}

/// A timestamp as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The wall-clock minute.
    pub local: LocalMinute,
    /// Microseconds into the minute.
    pub micros: u32,
    /// Offset from UTC, min, where the timestamp carries one.
    pub offset_min: Option<i64>,
}

/// Reads `YYYY-MM-DD HH:MM:SS`, optionally with `T`, a fraction, and `Z` or an offset.
pub fn timestamp(text: &[u8]) -> Option<Stamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let (time, rest) = rest.split_at_checked(9)?;
    let (
        [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2],
        [b' ' | b'T' | b't', h1, h2, b':', n1, n2, b':', s1, s2],
    ) = (date, time)
    else {
        return None;
    };
    let two = |tens: &u8, ones: &u8| Some(digit(*tens)? * 10 + digit(*ones)?);
    let (year, month, day) = (
        two(y1, y2)? * 100 + two(y3, y4)?,
        two(m1, m2)?,
        two(d1, d2)?,
    );
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let date = Date::new(year as i16, month as i8, day as i8).ok()?;
    let days = i64::from((date - Date::constant(1970, 1, 1)).get_days());
    let (fraction_us, rest) = fraction(rest)?;
    Some(Stamp {
        local: days * DAY_MIN + hour * 60 + minute,
        micros: (second * 1_000_000) as u32 + fraction_us,
        offset_min: offset(rest)?,
    })
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let [b'.', digits @ ..] = text else {
        return Some((0, text));
    };
    let count = digits
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if count == 0 {
        return None;
    }
    let micros = (0..6).fold(0, |micros, place| {
        micros * 10
            + if place < count {
                u32::from(digits[place] - b'0')
            } else {
                0
            }
    });
    Some((micros, &digits[count..]))
}

#[allow(
    clippy::option_option,
    reason = "outer: readable at all; inner: whether there is an offset"
)]
fn offset(text: &[u8]) -> Option<Option<i64>> {
    let text = trim(text);
    let (sign, digits) = match text {
        [] => return Some(None),
        b"Z" | b"z" => return Some(Some(0)),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits {
        [h1, h2] => (digit(*h1)? * 10 + digit(*h2)?, 0),
        [h1, h2, b':', m1, m2] | [h1, h2, m1, m2] => (
            digit(*h1)? * 10 + digit(*h2)?,
            digit(*m1)? * 10 + digit(*m2)?,
        ),
        _ => return None,
    };
    (hours < 24 && minutes < 60).then_some(Some(sign * (hours * 60 + minutes)))
}

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Reads a plain decimal exactly: where digits and power of ten are both exact in binary, so is their one division.
pub fn plain_decimal(text: &[u8]) -> Option<f64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        _ => (false, text),
    };
    let (mut mantissa, mut places, mut point) = (0u64, 0usize, false);
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    for &byte in digits {
        match byte {
            b'0'..=b'9' => {
                mantissa = mantissa * 10 + u64::from(byte - b'0');
                places += usize::from(point);
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    if mantissa > 1 << 53 || (point && digits.len() == 1) {
        return None;
    }
    let value = mantissa as f64 / POWERS[places];
    Some(if negative { -value } else { value })
}

/// Reads a value; the reason where it is none.
pub fn number(text: &[u8]) -> Result<f64, &'static str> {
    if let Some(value) = plain_decimal(text) {
        return Ok(value);
    }
    if text.is_empty() {
        return Err("the value is empty");
    }
    let value: Option<f64> = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse().ok());
    match value {
        Some(value) if value.is_finite() => Ok(value),
        Some(value) if value.is_infinite() => Err("the value is infinite"),
        _ => Err("the value is not a number"),
    }
}

/// Reads a pump command; the reason where it is none.
pub fn command(text: &[u8]) -> Result<f64, &'static str> {
    if text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"on") {
        return Ok(1.0);
    }
    if text.eq_ignore_ascii_case(b"false") || text.eq_ignore_ascii_case(b"off") {
        return Ok(0.0);
    }
    match number(text)? {
        value if value == 0.0 || value == 1.0 => Ok(value.abs()),
        _ => Err("the pump command is neither 0 nor 1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_timestamps_in_every_allowed_form() {
        let plain = timestamp(b"2025-03-03 10:30:15").expect("plain");
        assert_eq!((plain.micros, plain.offset_min), (15_000_000, None));
        assert_eq!(timestamp(b"2025-03-03T10:30:15"), Some(plain));
        assert_eq!(
            timestamp(b"2025-03-03 10:30:15.123456789").map(|stamp| stamp.micros),
            Some(15_123_456)
        );
        assert_eq!(
            timestamp(b"2025-03-03T10:30:15.5Z").map(|s| (s.micros, s.offset_min)),
            Some((15_500_000, Some(0)))
        );
        assert_eq!(
            timestamp(b"2025-03-03 10:30:15+05:45").and_then(|stamp| stamp.offset_min),
            Some(345)
        );
        assert_eq!(
            timestamp(b"2025-03-03 10:30:15 -0330").and_then(|stamp| stamp.offset_min),
            Some(-210)
        );
        for bad in [
            "2025-02-29 00:00:00",
            "2025-03-03 24:00:00",
            "2025-03-03 10:30",
            "03/03/2025 10:30:15",
            "",
            "2025-03-03 10:30:15.",
            "2025-03-03 10:30:15+5",
            "2025-03-03 10:30:15x",
        ] {
            assert_eq!(timestamp(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn reads_numbers_as_the_standard_library_does() {
        for text in [
            "0",
            "-0",
            "1.",
            ".5",
            "12431",
            "86.26",
            "-9999",
            "1e38",
            "3.4028234663852886e+38",
            "0.1",
            "87.30000305175781",
            "9007199254740993",
            "123456789012345678",
            "+5",
        ] {
            let expected: f64 = text.parse().expect("a number");
            assert_eq!(
                number(text.as_bytes()).map(f64::to_bits),
                Ok(expected.to_bits()),
                "{text}"
            );
        }
        for bad in [
            "",
            "NaN",
            "#N/A",
            "Bad",
            "-1.#IND",
            "inf",
            "-Infinity",
            "0x1F",
            "--",
            "???",
            "null",
            ".",
            "1 2",
        ] {
            assert!(number(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn reads_commands() {
        for on in ["1", "1.0", "true", "ON"] {
            assert_eq!(command(on.as_bytes()), Ok(1.0), "{on}");
        }
        for off in ["0", "-0", "False", "off"] {
            assert_eq!(command(off.as_bytes()).map(f64::to_bits), Ok(0), "{off}");
        }
        assert!(command(b"2").is_err() && command(b"yes").is_err());
    }

    #[test]
    fn splits_quoted_fields_and_refuses_a_split_value() {
        let mut fields = Fields::default();
        let (written, verdict) = fields.read(
            br#""2025-03-03 10:30:00","S" , 9 ,"46.75","#,
            &Columns::USUAL,
        );
        assert_eq!(
            (written.marker, written.tag, written.value, verdict),
            (&b"S"[..], &b"9"[..], &b"46.75"[..], Ok(()))
        );
        assert!(
            fields
                .read(b"2025-03-03 10:00:00,S,9,1,234.5", &Columns::USUAL)
                .1
                .is_err()
        );
        assert!(
            fields
                .read(b"2025-03-03 10:00:00,S,9", &Columns::USUAL)
                .1
                .is_err()
        );
        assert!(
            fields
                .read(b"2025-03-03 10:00:00,S,9,\"1", &Columns::USUAL)
                .1
                .is_err()
        );
    }

    #[test]
    fn follows_the_header() {
        assert!(
            is_header(b"Timestamp,Marker,TagIndex,Value") && is_header(b"\"Value\",\"TIMESTAMP\"")
        );
        assert!(!is_header(b"2025-03-03 10:00:00,S,9,1"));
        let columns = Columns::from_header(b"Value,Quality,tagindex,MARKER,Timestamp")
            .expect("all four names");
        let mut fields = Fields::default();
        let (written, verdict) = fields.read(b"1.5,192,3,S,2025-03-03 10:00:00", &columns);
        assert_eq!(
            (written.value, written.tag, verdict),
            (&b"1.5"[..], &b"3"[..], Ok(()))
        );
        assert!(Columns::from_header(b"Timestamp,Marker,Value").is_err());
    }
}
