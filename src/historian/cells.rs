//! The fields of a record, and the values in them. Pure.

use std::borrow::Cow;

use super::{
    Decimal,
    dbase::{self, Table},
    layout::Quality,
    lines::{Fields, trim},
};

/// The fields of one record.
pub enum Cells<'a> {
    /// Of a line of text.
    Line(&'a Fields),
    /// Of a table's record.
    Table(&'a Table, &'a [u8]),
}

impl Cells<'_> {
    /// A field, without blanks at its ends; empty where there is none.
    pub fn get(&self, place: usize) -> &[u8] {
        match self {
            Self::Line(fields) => fields.get(place),
            Self::Table(table, record) => trim(table.field(record, place)),
        }
    }

    /// A binary number, where the field is one.
    pub fn double(&self, place: usize) -> Option<f64> {
        match self {
            Self::Line(_) => None,
            Self::Table(table, record) => dbase::double(table.field(record, place)),
        }
    }

    /// The fields as one line of text.
    pub fn text(&self, count: usize) -> String {
        let cell = |place| match self.double(place) {
            Some(value) => value.to_string(),
            None => String::from_utf8_lossy(self.get(place)).into_owned(),
        };
        (0..count).map(cell).collect::<Vec<_>>().join(",")
    }
}

/// Why a value is not good; `None` for one that is.
pub fn bad_quality(quality: &Quality, text: &[u8]) -> Option<String> {
    let written = String::from_utf8_lossy(text);
    let good = match quality {
        Quality::Status => {
            let told = match text {
                b"" => return None,
                b"E" => "communication error",
                b"D" => "disabled",
                b"U" => "not initialised",
                b"S" => "stale",
                _ => "unknown",
            };
            return Some(format!("the status is {written}: {told}"));
        }
        Quality::Opc => {
            written.eq_ignore_ascii_case("good")
                || number(text).is_ok_and(|number| (192.0..256.0).contains(&number))
        }
        Quality::Valid => written.eq_ignore_ascii_case("true") || number(text) == Ok(1.0),
        Quality::OneOf(good) => good.iter().any(|good| good.eq_ignore_ascii_case(&written)),
    };
    (!good).then(|| format!("the quality is {written:?}, which is not good"))
}

/// The value with a decimal point, whatever sign the file writes.
pub fn with_point(text: &[u8], decimal: Option<Decimal>) -> Result<Cow<'_, [u8]>, &'static str> {
    match decimal {
        Some(Decimal::Comma) if text.contains(&b'.') => {
            Err("a point stands in the value, and the file writes decimal commas")
        }
        Some(Decimal::Comma) if text.contains(&b',') => {
            let point = |&byte: &u8| if byte == b',' { b'.' } else { byte };
            Ok(Cow::Owned(text.iter().map(point).collect()))
        }
        _ if text.contains(&b',') => {
            Err("a comma stands in the value, and the file writes decimal points")
        }
        _ => Ok(Cow::Borrowed(text)),
    }
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

/// A number that a tag can have; the reason where it is none.
pub fn finite(value: f64) -> Result<f64, &'static str> {
    match value {
        value if value.is_nan() => Err("the value is not a number"),
        value if value.is_infinite() => Err("the value is infinite"),
        value => Ok(value),
    }
}

/// A number as a pump command; the reason where it is none.
pub fn zero_or_one(value: f64) -> Result<f64, &'static str> {
    match value {
        0.0 | 1.0 => Ok(value.abs()),
        _ => Err("the pump command is neither 0 nor 1"),
    }
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
    finite(value.unwrap_or(f64::NAN))
}

/// Reads a pump command; the reason where it is none.
pub fn command(text: &[u8]) -> Result<f64, &'static str> {
    if text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"on") {
        return Ok(1.0);
    }
    if text.eq_ignore_ascii_case(b"false") || text.eq_ignore_ascii_case(b"off") {
        return Ok(0.0);
    }
    zero_or_one(number(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_quality_is_good_as_its_historian_says() {
        for (quality, good, bad) in [
            (Quality::Status, ["", ""], ["E", "S"]),
            (Quality::Opc, ["192", "Good"], ["0", "Bad"]),
            (Quality::Valid, ["1", "true"], ["0", ""]),
            (Quality::OneOf(vec!["OK".into()]), ["ok", "OK"], ["", "192"]),
        ] {
            for text in good {
                assert_eq!(bad_quality(&quality, text.as_bytes()), None, "{text}");
            }
            for text in bad {
                assert!(bad_quality(&quality, text.as_bytes()).is_some(), "{text}");
            }
        }
    }

    #[test]
    fn decimals_are_read_in_the_files_sign_alone() {
        let comma = Some(Decimal::Comma);
        assert_eq!(with_point(b"46,75", comma).as_deref(), Ok(&b"46.75"[..]));
        assert!(with_point(b"46.75", comma).is_err());
        assert!(with_point(b"1,234", Some(Decimal::Point)).is_err());
        assert_eq!(Decimal::shown(b"46,75"), comma);
        assert_eq!(Decimal::shown(b"0,123"), comma);
        assert_eq!(Decimal::shown(b"1,234"), None);
        assert_eq!(Decimal::shown(b"1.234"), Some(Decimal::Point));
        assert_eq!(Decimal::shown(b"01.04.98"), None);
    }
}
