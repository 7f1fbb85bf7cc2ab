//! Dates and times as historians write them. Pure.
//!
//! A date like `03/04/2025` is never guessed: which of its numbers is the day is known from the config, or from another
//! line of the file whose first or second number is above 12.

use jiff::civil::Date;

use super::lines::trim;
use crate::calendar::{DAY_MIN, LocalMinute};

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

/// Which number of a date like `03/04/2025` comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayOrder {
    /// 3 April.
    DayFirst,
    /// March 4.
    MonthFirst,
}

/// Why a timestamp says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is none.
    NoStamp,
    /// Its day and month cannot be told apart, and nothing has said yet which comes first.
    EitherOrder,
    /// Its date does not exist in the order that the file or the config has shown.
    OtherOrder,
}

/// Reads `YYYY-MM-DD HH:MM:SS`, optionally with `T`, a fraction, and `Z` or an offset: the long format's timestamp.
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
    let (fraction_us, rest) = fraction(rest)?;
    Clock {
        hour,
        minute,
        second,
        fraction_us,
        offset_min: offset(rest)?,
    }
    .on(year, month, day)
}

/// Reads a timestamp in any of the orders and writings of the plants' historians; `time` where it stands in a column of
/// its own. Understood are
/// - `YYYY-MM-DD`, `YYYY/MM/DD`, `YYYYMMDD`, `DD.MM.YYYY`, `DD-MMM-YY` with English months, and `DD/MM/YYYY` or
///   `MM/DD/YYYY` by `order`; years of two digits lie between 1970 and 2069;
/// - `HH:MM`, `HH:MM:SS`, with a fraction after a point or a comma, with `AM` and `PM`, with `Z` or an offset;
/// - seconds and milliseconds since 1970, in UTC.
pub fn read(date: &[u8], time: Option<&[u8]>, order: Option<DayOrder>) -> Result<Stamp, Unread> {
    let (date, time) = match time {
        Some(time) => (date, time),
        None => match date
            .iter()
            .position(|byte| matches!(byte, b' ' | b'T' | b't'))
        {
            // The month of `03-Oct-25` has a t of its own.
            Some(at) if !date[..at].ends_with(b"c") && !date[..at].ends_with(b"C") => {
                (&date[..at], &date[at + 1..])
            }
            Some(at) => match date[at + 1..].iter().position(|&byte| byte == b' ') {
                Some(more) => (&date[..at + 1 + more], &date[at + 2 + more..]),
                None => return Err(Unread::NoStamp),
            },
            None => return since_1970(date).ok_or(Unread::NoStamp),
        },
    };
    let clock = clock(trim(time)).ok_or(Unread::NoStamp)?;
    let stamp = |(year, month, day): (i64, i64, i64)| clock.on(year, month, day);
    match day(trim(date)).ok_or(Unread::NoStamp)? {
        Day::Certain(year, month, day) => stamp((year, month, day)).ok_or(Unread::NoStamp),
        Day::Slashed(first, second, year) => {
            let day_first = stamp((year, second, first));
            let month_first = stamp((year, first, second));
            match (order, day_first, month_first) {
                (Some(DayOrder::DayFirst), Some(stamp), _)
                | (Some(DayOrder::MonthFirst), _, Some(stamp))
                | (None, Some(stamp), None)
                | (None, None, Some(stamp)) => Ok(stamp),
                (None, Some(one), Some(other)) if one == other => Ok(one),
                (None, Some(_), Some(_)) => Err(Unread::EitherOrder),
                (Some(_), None, None) | (None, None, None) => Err(Unread::NoStamp),
                (Some(_), ..) => Err(Unread::OtherOrder),
            }
        }
    }
}

/// Which order a date shows by a number above 12; `None` where it could be either, or is no such date.
pub fn order_shown(date: &[u8]) -> Option<DayOrder> {
    let end = date.iter().position(|byte| matches!(byte, b' ' | b'T'));
    match day(trim(&date[..end.unwrap_or(date.len())]))? {
        Day::Slashed(first, second, _) if first > 12 && second <= 12 => Some(DayOrder::DayFirst),
        Day::Slashed(first, second, _) if second > 12 && first <= 12 => Some(DayOrder::MonthFirst),
        _ => None,
    }
}

/// A time of day.
#[derive(Clone, Copy)]
struct Clock {
    hour: i64,
    minute: i64,
    second: i64,
    fraction_us: u32,
    offset_min: Option<i64>,
}

impl Clock {
    fn on(self, year: i64, month: i64, day: i64) -> Option<Stamp> {
        if self.hour > 23 || self.minute > 59 || self.second > 59 {
            return None;
        }
        let date = Date::new(
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
        );
        let days = i64::from((date.ok()? - Date::constant(1970, 1, 1)).get_days());
        Some(Stamp {
            local: days * DAY_MIN + self.hour * 60 + self.minute,
            micros: (self.second * 1_000_000) as u32 + self.fraction_us,
            offset_min: self.offset_min,
        })
    }
}

/// A date as written.
enum Day {
    /// Year, month, day.
    Certain(i64, i64, i64),
    /// Two numbers of which one is the day, and the year.
    Slashed(i64, i64, i64),
}

fn day(text: &[u8]) -> Option<Day> {
    if text.len() == 8 && text.iter().all(u8::is_ascii_digit) {
        return Some(Day::Certain(
            whole(&text[..4])?,
            whole(&text[4..6])?,
            whole(&text[6..])?,
        ));
    }
    let separator = *text
        .iter()
        .find(|byte| matches!(byte, b'-' | b'/' | b'.'))?;
    let mut parts = text.split(|&byte| byte == separator);
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    if first.len() == 4 {
        return Some(Day::Certain(whole(first)?, whole(second)?, whole(third)?));
    }
    let year = match third.len() {
        2 => {
            let year = whole(third)?;
            if year < 70 { 2000 + year } else { 1900 + year }
        }
        4 => whole(third)?,
        _ => return None,
    };
    if second.first()?.is_ascii_alphabetic() {
        return Some(Day::Certain(year, month(second)?, whole(first)?));
    }
    if first.len() > 2 || second.len() > 2 {
        return None;
    }
    let (first, second) = (whole(first)?, whole(second)?);
    Some(match separator {
        // Where dates have points, the day comes first.
        b'.' => Day::Certain(year, second, first),
        _ => Day::Slashed(first, second, year),
    })
}

fn month(name: &[u8]) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let place = MONTHS
        .iter()
        .position(|month| name.eq_ignore_ascii_case(month.as_bytes()))?;
    Some(place as i64 + 1)
}

fn clock(text: &[u8]) -> Option<Clock> {
    let (hour, rest) = number(text)?;
    let (minute, rest) = number(rest.strip_prefix(b":")?)?;
    let (second, rest) = match rest.strip_prefix(b":") {
        Some(rest) => number(rest)?,
        None => (0, rest),
    };
    let (fraction_us, rest) = fraction(rest)?;
    let rest = trim(rest);
    let half = rest.get(..2).map(<[u8]>::to_ascii_uppercase);
    let (hour, rest) = match half.as_deref() {
        Some(half @ (b"AM" | b"PM")) => {
            if !(1..=12).contains(&hour) {
                return None;
            }
            let after_noon = if half == b"PM" { 12 } else { 0 };
            (hour % 12 + after_noon, &rest[2..])
        }
        _ => (hour, rest),
    };
    Some(Clock {
        hour,
        minute,
        second,
        fraction_us,
        offset_min: offset(rest)?,
    })
}

/// One or two digits and what follows them.
fn number(text: &[u8]) -> Option<(i64, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=2)
        .contains(&digits)
        .then(|| Some((whole(&text[..digits])?, &text[digits..])))?
}

/// Seconds or milliseconds since 1970; both lie in this century by their number of digits.
fn since_1970(text: &[u8]) -> Option<Stamp> {
    let since_ms = match text.len() {
        10 => whole(text)? * 1000,
        13 => whole(text)?,
        _ => return None,
    };
    Some(Stamp {
        local: since_ms.div_euclid(60_000),
        micros: (since_ms.rem_euclid(60_000) * 1000) as u32,
        offset_min: Some(0),
    })
}

fn digit(byte: u8) -> Option<i64> {
    byte.is_ascii_digit().then(|| i64::from(byte - b'0'))
}

fn whole(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 15 {
        return None;
    }
    text.iter()
        .try_fold(0, |number, &byte| Some(number * 10 + digit(byte)?))
}

fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let [b'.' | b',', digits @ ..] = text else {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_long_formats_timestamps_in_every_allowed_form() {
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
    fn reads_the_writings_of_other_historians() {
        let at = |text: &str| timestamp(text.as_bytes()).expect("a stamp");
        for (text, same) in [
            ("2018/11/15 22:05", "2018-11-15 22:05:00"),
            ("15.11.2018 22:05:11", "2018-11-15 22:05:11"),
            ("15-Nov-18 22:05:11.250", "2018-11-15 22:05:11.25"),
            ("03-Oct-25 22:05:11", "2025-10-03 22:05:11"),
            ("11/15/2018 10:05:11 PM", "2018-11-15 22:05:11"),
            ("11/15/2018 12:05:11 AM", "2018-11-15 00:05:11"),
            ("15/11/18 12:05 pm", "2018-11-15 12:05:00"),
            ("5/5/2018 1:02:03", "2018-05-05 01:02:03"),
            ("2022-04-28T12:45:55+02:00", "2022-04-28 12:45:55+02:00"),
            ("2019-05-16T00:13:37.661Z", "2019-05-16 00:13:37.661Z"),
            ("1557965617661", "2019-05-16 00:13:37.661Z"),
            ("1557965617", "2019-05-16 00:13:37Z"),
        ] {
            assert_eq!(read(text.as_bytes(), None, None), Ok(at(same)), "{text}");
        }
        assert_eq!(
            read(b"20181115", Some(b"22:05:11"), None),
            Ok(at("2018-11-15 22:05:11"))
        );
        for bad in [
            "",
            "20181115",
            "31.02.2025 10:00:00",
            "2025-13-01 10:00:00",
            "15-Foo-18 10:00:00",
            "13/13/2025 10:00:00",
            "11/15/2018 13:05:11 PM",
            "11/15/2018",
            "1/2/3/4 10:00:00",
        ] {
            assert_eq!(
                read(bad.as_bytes(), None, None),
                Err(Unread::NoStamp),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_order_of_day_and_month_is_never_guessed() {
        let date = b"03/04/2025 10:00:00";
        assert_eq!(read(date, None, None), Err(Unread::EitherOrder));
        let april = read(date, None, Some(DayOrder::DayFirst)).expect("3 April");
        let march = read(date, None, Some(DayOrder::MonthFirst)).expect("March 4");
        assert_eq!(april.local - march.local, 30 * DAY_MIN);
        assert_eq!(
            read(b"13/04/2025 10:00:00", None, Some(DayOrder::MonthFirst)),
            Err(Unread::OtherOrder)
        );
        assert_eq!(order_shown(date), None);
        assert_eq!(
            order_shown(b"13/04/2025 10:00:00"),
            Some(DayOrder::DayFirst)
        );
        assert_eq!(order_shown(b"04/13/25 10:00"), Some(DayOrder::MonthFirst));
        assert_eq!(order_shown(b"2025-04-13"), None);
    }
}
