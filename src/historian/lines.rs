//! Lines of text: their fields, and those that do not count. Pure.

use std::borrow::Cow;

use super::layout::Layout;

/// Microseconds of a minute.
pub const MINUTE_US: i64 = 60_000_000;
/// Raw text kept of a rejected line, characters.
const RAW_CHARS_MAX: usize = 200;

/// How the reason of a reject begins that stands for all of a file: it cannot be read.
pub const UNREAD: &str = "the file cannot be read: ";
/// How it begins where the file cannot be read from a line on.
pub const NOT_READ_ON: &str = "the file is not read from here on: ";

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

/// Splits lines into fields, quoted ones included.
pub struct Fields {
    reader: csv_core::Reader,
    sign: u8,
    buffer: Vec<u8>,
    /// Where each field ends in the buffer.
    ends: Vec<usize>,
    /// Bytes between two fields there: the signs, where the line was taken as it is.
    between: usize,
    open_quote: bool,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            reader: csv_core::Reader::new(),
            sign: b',',
            buffer: Vec::new(),
            ends: Vec::new(),
            between: 1,
            open_quote: false,
        }
    }
}

impl Fields {
    /// Splits a line at a sign.
    pub fn split(&mut self, line: &[u8], sign: u8) {
        if memchr::memchr(b'"', line).is_some() {
            self.split_quoted(line, sign);
            return;
        }
        (self.between, self.open_quote) = (1, false);
        self.buffer.clear();
        self.buffer.extend_from_slice(line);
        self.ends.clear();
        // Fields are short: looking at each byte is quicker than to search for the next sign.
        for (at, &byte) in line.iter().enumerate() {
            if byte == sign {
                self.ends.push(at);
            }
        }
        self.ends.push(line.len());
    }

    fn split_quoted(&mut self, line: &[u8], sign: u8) {
        if sign != self.sign {
            self.reader = csv_core::ReaderBuilder::new().delimiter(sign).build();
            self.sign = sign;
        }
        self.between = 0;
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

    /// The fields, without blanks at their ends.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).map(|index| self.get(index))
    }

    /// How many fields there are.
    pub fn count(&self) -> usize {
        self.ends.len()
    }

    /// A field, without blanks at its ends; empty where there is none.
    pub fn get(&self, index: usize) -> &[u8] {
        if index >= self.ends.len() {
            return b"";
        }
        let from = if index == 0 {
            0
        } else {
            self.ends[index - 1] + self.between
        };
        trim(&self.buffer[from..self.ends[index]])
    }

    /// A verdict: more fields than columns.
    pub const TOO_MANY: &'static str = "too many fields";

    /// Takes a line apart; the reason where it has too few fields or too many.
    pub fn read(&mut self, line: &[u8], sign: u8, layout: &Layout) -> Result<(), &'static str> {
        self.split(line, sign);
        let count = self.count();
        if self.open_quote {
            Err("a quote is not closed")
        } else if count <= layout.needed() {
            Err("too few fields")
        } else if (layout.count..count).any(|index| !self.get(index).is_empty()) {
            // A thousands separator or a decimal comma would split a value in two; half of it must not count.
            Err(Self::TOO_MANY)
        } else {
            Ok(())
        }
    }
}

/// Without blanks and NUL padding at the ends.
pub fn trim(bytes: &[u8]) -> &[u8] {
    let is_padding = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
    let mut rest = bytes;
    while let [first, inner @ ..] = rest
        && is_padding(first)
    {
        rest = inner;
    }
    while let [inner @ .., last] = rest
        && is_padding(last)
    {
        rest = inner;
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_quoted_fields_and_refuses_a_split_value() {
        let mut fields = Fields::default();
        let mut read = |line: &[u8]| {
            let verdict = fields.read(line, b',', &Layout::LONG);
            (fields.get(1).to_vec(), fields.get(3).to_vec(), verdict)
        };
        let (marker, value, verdict) = read(br#""2025-03-03 10:30:00","S" , 9 ,"46.75","#);
        assert_eq!(
            (&marker[..], &value[..], verdict),
            (&b"S"[..], &b"46.75"[..], Ok(()))
        );
        for bad in [
            &b"2025-03-03 10:00:00,S,9,1,234.5"[..],
            b"2025-03-03 10:00:00,S,9",
            b"2025-03-03 10:00:00,S,9,\"1",
        ] {
            assert!(read(bad).2.is_err());
        }
    }
}
