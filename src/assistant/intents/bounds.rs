//! Periods with ends: between, from … to, since, before.

use super::{
    dates::Found,
    periods::Period,
    when::{Piece, clock_time, single_at},
    words::Words,
};
use crate::calendar::{DAY_MIN, Day, LocalMinute};

/// An end of a period.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// Dates: the first and the last one.
    Days(Day, Day),
    /// A time of the day.
    Time(i64),
    /// A minute.
    Minute(LocalMinute),
}

/// Whether a word makes the number before it an amount rather than an hour.
pub(super) fn is_unit(word: &str) -> bool {
    matches!(
        word,
        "%" | "percent"
            | "m3"
            | "m3/h"
            | "kw"
            | "kwh"
            | "minute"
            | "hour"
            | "day"
            | "week"
            | "month"
            | "pump"
            | "time"
            | "point"
            | "start"
            | "unit"
            | "kwh/m3"
            | "m3/kwh"
            | "alert"
    )
}

/// A period with one end or two, which begins at a place with its preposition, or with a bound before a dash.
pub(super) fn range_at(words: &Words, place: usize, first: LocalMinute) -> Found<Piece> {
    let now_end = words.now() + 1;
    match words.word(place) {
        // "The difference between today and yesterday" is a comparison.
        "between" if compares(words, place) => None,
        "between" | "from" => two_ends(words, place, 1).or_else(|| {
            (words.word(place) == "from")
                .then(|| open_end(words, place))
                .flatten()
        }),
        "since" => since(words, place),
        "after" => after(words, place),
        "before" | "until" | "till" => one_end(words, place).map(|found| {
            found.map(|(bound, length)| {
                let piece = match bound {
                    Bound::Time(minute) => Piece::Clock(0, minute),
                    Bound::Minute(minute) => {
                        let midnight = (minute - 1).div_euclid(DAY_MIN) * DAY_MIN;
                        Piece::Stretch(Period::new(midnight, minute, ""))
                    }
                    Bound::Days(day, _) if words.word(place) == "before" => {
                        Piece::Stretch(Period::new(first.min(day * DAY_MIN - 1), day * DAY_MIN, ""))
                    }
                    Bound::Days(_, day) => {
                        Piece::Stretch(Period::new(first, ((day + 1) * DAY_MIN).min(now_end), ""))
                    }
                };
                (piece, length)
            })
        }),
        _ => two_ends(words, place, 0),
    }
}

fn compares(words: &Words, place: usize) -> bool {
    let compares = |word: &str| matches!(word, "difference" | "compare" | "comparison" | "change");
    (0..place).any(|place| compares(words.word(place)))
}

/// `from 1 March` alone: up to now.
fn open_end(words: &Words, place: usize) -> Found<Piece> {
    let (bound, _) = match one_end(words, place)? {
        Ok(found) => found,
        Err(refused) => return Some(Err(refused)),
    };
    let onwards = match bound {
        Bound::Days(..) | Bound::Minute(_) => {
            (1..6).any(|gap| words.word(place + gap).starts_with("onward"))
        }
        Bound::Time(_) => false,
    };
    onwards.then(|| since(words, place)).flatten()
}

fn since(words: &Words, place: usize) -> Found<Piece> {
    let end = words.now() + 1;
    let today = words.today() * DAY_MIN;
    let found = one_end(words, place)?;
    Some(found.map(|(bound, length)| {
        let from = match bound {
            Bound::Days(day, _) => day * DAY_MIN,
            Bound::Minute(minute) => minute,
            Bound::Time(minute) if today + minute < end => today + minute,
            Bound::Time(minute) => today + minute - DAY_MIN,
        };
        // Up to the end of today, which tables of days have.
        let whole = from % DAY_MIN == 0;
        let until = if whole { today + DAY_MIN } else { end };
        let period = Period {
            is_open: true,
            ..Period::new(from.min(until - 1), until, "")
        };
        (Piece::Stretch(period), length)
    }))
}

fn after(words: &Words, place: usize) -> Found<Piece> {
    let today = words.today();
    let found = one_end(words, place)?;
    Some(found.map(|(bound, length)| {
        let piece = match bound {
            Bound::Time(minute) => Piece::Clock(minute, DAY_MIN),
            Bound::Days(_, day) => Piece::Stretch(Period::days((day + 1).min(today), today, "")),
            Bound::Minute(minute) => {
                // "After 18:00 yesterday" is of that day.
                let midnight = (minute.div_euclid(DAY_MIN) + 1) * DAY_MIN;
                let until = midnight.min(words.now() + 1).max(minute + 1);
                Piece::Stretch(Period::new(minute, until, ""))
            }
        };
        (piece, length)
    }))
}

/// The bound after a preposition, with the length of both.
fn one_end(words: &Words, place: usize) -> Found<Bound> {
    let gap = 1 + usize::from(matches!(words.word(place + 1), "the" | "about" | "around"));
    let found = bound_at(words, place + gap)?;
    Some(found.map(|(bound, length)| (bound, length + gap)))
}

/// Two bounds with a word between them.
fn two_ends(words: &Words, place: usize, skip: usize) -> Found<Piece> {
    let begin = place + skip;
    if words.is_at(begin, "now") {
        return None;
    }
    let found = bound_at(words, begin).or_else(|| bare_at(words, begin, skip));
    let (first, length) = match found {
        Some(Ok((bound, length))) => (Some(bound), length),
        Some(Err(refused)) if skip == 1 => return Some(Err(refused)),
        Some(Err(_)) => return None,
        // "3 to 5 March": the month comes with the second one.
        None if whole_day(words, begin).is_some() => (None, 1),
        None => return None,
    };
    let joint = words.word(begin + length);
    let joins = match joint {
        "to" | "until" | "till" | "-" | "through" => true,
        "and" => words.word(place) == "between",
        _ => false,
    };
    if !joins {
        return None;
    }
    let gap = 1 + usize::from(words.word(begin + length + 1) == "the");
    let second = begin + length + gap;
    let (last, last_length) = match bound_at(words, second).or_else(|| bare_at(words, second, skip))
    {
        Some(Ok(found)) => found,
        Some(Err(refused)) => return Some(Err(refused)),
        None => return None,
    };
    let first = match first {
        None | Some(Bound::Time(_)) => day_of_the_month(words, begin, last).or(first)?,
        Some(first) => first,
    };
    let piece = between(first, last, words.now())?;
    Some(Ok((piece, skip + length + gap + last_length)))
}

/// `1 to 5 March`: the first number is a day of the second one's month.
fn day_of_the_month(words: &Words, place: usize, last: Bound) -> Option<Bound> {
    let Bound::Days(_, end) = last else {
        return None;
    };
    let number = whole_day(words, place)?;
    let (year, month, _) = super::dates::parts(end);
    super::dates::day(year, month, number)
        .filter(|day| *day <= end)
        .map(|day| Bound::Days(day, day))
}

/// A bare number, or `3rd`, that can be a day of a month.
fn whole_day(words: &Words, place: usize) -> Option<i64> {
    let raw = words.raw(place);
    let digits = raw.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let number: i64 = digits.parse().ok()?;
    let day = raw == digits || super::vocabulary::ordinal(raw).is_some();
    (day && (1..=31).contains(&number)).then_some(number)
}

fn between(first: Bound, last: Bound, now: LocalMinute) -> Option<Piece> {
    let midnight = |minute: i64| minute.div_euclid(DAY_MIN) * DAY_MIN;
    let (from, until) = match (first, last) {
        (Bound::Time(from), Bound::Time(until)) => {
            return (from != until).then_some(Piece::Clock(from, until));
        }
        (Bound::Time(from), Bound::Minute(until)) => {
            let begin = midnight(until) + from;
            // "From 22:00 to 06:00 on 4 March" begins on that day.
            (
                begin,
                if begin >= until {
                    until + DAY_MIN
                } else {
                    until
                },
            )
        }
        (Bound::Minute(from), Bound::Time(until)) => {
            let end = midnight(from) + until;
            (from, if end <= from { end + DAY_MIN } else { end })
        }
        (Bound::Days(from, _), Bound::Time(until)) => (from * DAY_MIN, from * DAY_MIN + until),
        (Bound::Time(from), Bound::Days(day, _)) => (day * DAY_MIN + from, (day + 1) * DAY_MIN),
        (Bound::Days(from, _), Bound::Days(_, until)) => {
            // "Monday to Friday" are days of one week.
            let from = if from > until { from - 7 } else { from };
            (from * DAY_MIN, (until + 1) * DAY_MIN)
        }
        (Bound::Days(from, _), Bound::Minute(until)) => (from * DAY_MIN, until),
        (Bound::Minute(from), Bound::Days(_, until)) => (from, (until + 1) * DAY_MIN),
        (Bound::Minute(from), Bound::Minute(until)) => (from, until),
    };
    (from < until).then(|| {
        let period = Period {
            is_open: until > now,
            ..Period::new(from, until, "")
        };
        Piece::Stretch(period)
    })
}

/// A bare number as an hour, where it can be none else.
fn bare_at(words: &Words, place: usize, skip: usize) -> Found<Bound> {
    let raw = words.raw(place);
    let cut = raw.trim_end_matches(|c: char| c.is_ascii_lowercase());
    let hour: i64 = cut.parse().ok().filter(|hour| (0..=24).contains(hour))?;
    let after = words.word(place + 1);
    let is_day = super::dates::month(words.raw(place + 1)).is_some();
    let joint = matches!(after, "to" | "-" | "and" | "until" | "till" | "through");
    // Both of "8 and 12" must be hours: what follows the second says whether they are.
    let later = words.word(place + 3);
    if skip == 0 || is_day || is_unit(after) || joint && is_unit(later) {
        return None;
    }
    let length = if words.is_at(place + 1, "o clock") {
        3
    } else {
        1
    };
    Some(Ok((Bound::Time(hour * 60), length)))
}

/// One bound: a date, a time of the day, or both.
fn bound_at(words: &Words, place: usize) -> Found<Bound> {
    if words.word(place) == "now" {
        return Some(Ok((Bound::Minute(words.now() + 1), 1)));
    }
    let (piece, length) = match single_at(words, place)? {
        Ok(found) => found,
        Err(refused) => return Some(Err(refused)),
    };
    let bound = match piece {
        Piece::Stretch(period) if period.is_moment => Bound::Minute(period.from),
        Piece::Stretch(period) if period.from % DAY_MIN == 0 && period.until % DAY_MIN == 0 => {
            return Some(Ok(with_time(words, place, &period, length)));
        }
        Piece::Stretch(period) => Bound::Minute(period.from),
        Piece::At(minute) => return Some(Ok(with_date(words, place, minute, length))),
        Piece::Clock(..) | Piece::Filter(_) | Piece::Peak(_) => return None,
    };
    Some(Ok((bound, length)))
}

fn with_time(words: &Words, place: usize, period: &Period, length: usize) -> (Bound, usize) {
    let gap = usize::from(words.word(place + length) == "at");
    let time = clock_time(words.raw(place + length + gap)).and_then(Result::ok);
    match time.filter(|_| period.length_days() == 1) {
        Some(minute) => (Bound::Minute(period.from + minute), length + gap + 1),
        None => (Bound::Days(period.first_day(), period.last_day()), length),
    }
}

fn with_date(words: &Words, place: usize, minute: i64, length: usize) -> (Bound, usize) {
    let gap = usize::from(words.word(place + length) == "on");
    match single_at(words, place + length + gap) {
        Some(Ok((Piece::Stretch(period), more))) if period.length_days() == 1 => {
            let minute = period.first_day() * DAY_MIN + minute;
            (Bound::Minute(minute), length + gap + more)
        }
        _ => (Bound::Time(minute), length),
    }
}
