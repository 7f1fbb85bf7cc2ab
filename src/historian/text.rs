//! Encodings of export files: UTF-8 with and without a byte order mark, UTF-16 in both byte orders. Pure.

use std::borrow::Cow;

/// How a file's characters are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, or any encoding that agrees with it in digits and commas.
    #[default]
    Utf8,
    /// UTF-16, low byte first, as Windows tools write it.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
}

/// The encoding a file's first bytes tell of, and the length of its byte order mark.
pub fn sniff(head: &[u8]) -> (Encoding, usize) {
    match head {
        [0xEF, 0xBB, 0xBF, ..] => (Encoding::Utf8, 3),
        [0xFF, 0xFE, ..] => (Encoding::Utf16Le, 2),
        [0xFE, 0xFF, ..] => (Encoding::Utf16Be, 2),
        // Without a mark: text in ASCII shows UTF-16 by a zero in every other byte.
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => (Encoding::Utf16Le, 0),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => (Encoding::Utf16Be, 0),
        _ => (Encoding::Utf8, 0),
    }
}

impl Encoding {
    /// How many of the bytes make whole lines; what follows the last line end is torn, and waits.
    pub fn whole_lines(self, bytes: &[u8]) -> usize {
        let last_unit = |unit: [u8; 2]| {
            bytes
                .chunks_exact(2)
                .rposition(|pair| pair == unit)
                .map_or(0, |position| (position + 1) * 2)
        };
        match self {
            Self::Utf8 => memchr::memrchr(b'\n', bytes).map_or(0, |position| position + 1),
            Self::Utf16Le => last_unit([b'\n', 0]),
            Self::Utf16Be => last_unit([0, b'\n']),
        }
    }

    /// How many bytes the first lines take.
    pub fn bytes_of_lines(self, bytes: &[u8], lines: usize) -> usize {
        let Some(last) = lines.checked_sub(1) else {
            return 0;
        };
        let nth_unit = |unit: [u8; 2]| {
            let units = bytes.chunks_exact(2).enumerate();
            let mut ends = units.filter(|(_, pair)| *pair == unit);
            ends.nth(last)
                .map_or(bytes.len(), |(place, _)| (place + 1) * 2)
        };
        match self {
            Self::Utf8 => memchr::memchr_iter(b'\n', bytes)
                .nth(last)
                .map_or(bytes.len(), |place| place + 1),
            Self::Utf16Le => nth_unit([b'\n', 0]),
            Self::Utf16Be => nth_unit([0, b'\n']),
        }
    }

    /// The bytes as UTF-8; a code unit that is no character becomes U+FFFD.
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, [u8]> {
        let unit: fn([u8; 2]) -> u16 = match self {
            Self::Utf8 => return Cow::Borrowed(bytes),
            Self::Utf16Le => u16::from_le_bytes,
            Self::Utf16Be => u16::from_be_bytes,
        };
        let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text: String = char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        Cow::Owned(text.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn sniffs_marks_and_their_absence() {
        assert_eq!(sniff(b"\xEF\xBB\xBFTimestamp"), (Encoding::Utf8, 3));
        assert_eq!(sniff(b"2025"), (Encoding::Utf8, 0));
        assert_eq!(
            sniff(&utf16("\u{FEFF}20", u16::to_le_bytes)),
            (Encoding::Utf16Le, 2)
        );
        assert_eq!(
            sniff(&utf16("\u{FEFF}20", u16::to_be_bytes)),
            (Encoding::Utf16Be, 2)
        );
        assert_eq!(
            sniff(&utf16("2025", u16::to_le_bytes)),
            (Encoding::Utf16Le, 0)
        );
        assert_eq!(
            sniff(&utf16("2025", u16::to_be_bytes)),
            (Encoding::Utf16Be, 0)
        );
        assert_eq!(sniff(b""), (Encoding::Utf8, 0));
        assert_eq!(sniff(&[0, 0, 0, 0]), (Encoding::Utf8, 0));
    }

    #[test]
    fn a_torn_line_waits_in_every_encoding() {
        for (encoding, bytes) in [
            (Encoding::Utf8, b"one\ntwo\nthr".to_vec()),
            (Encoding::Utf16Le, utf16("one\ntwo\nthr", u16::to_le_bytes)),
            (Encoding::Utf16Be, utf16("one\ntwo\nthr", u16::to_be_bytes)),
        ] {
            let whole = encoding.whole_lines(&bytes);
            assert_eq!(&*encoding.decode(&bytes[..whole]), b"one\ntwo\n");
        }
    }
}
