//! Periods by their unit: this week, last month, week 10, March, the last three days, two weeks ago.

use super::{
    NotUnderstood,
    dates::{Found, monday_of, month, month_begin, parts, told_month, year},
    periods::Period,
    vocabulary::{number, ordinal},
    when::{Piece, Plain, part_of_day, stretch},
    words::Words,
};
use crate::calendar::DAY_MIN;

/// The longest stretch that a number of units may ask for, days.
const LONGEST_DAYS: f64 = 36_600.0;

/// This week, last month, the weekend, last night, this year.
pub(super) fn named_unit_at(words: &Words, place: usize) -> Plain {
    let word = words.word(place);
    let back = match word {
        "this" | "current" => 0,
        "last" | "past" | "previous" | "prior" => 1,
        _ => return bare_unit_at(words, place),
    };
    let length = 2;
    if back == 0
        && let Some(part) = part_of_day(words.word(place + 1))
    {
        let period = Period::days(words.today(), words.today(), "").within_day(part);
        return Some((Piece::Stretch(period), length));
    }
    match (words.word(place + 1), back) {
        ("night", _) => Some((Piece::Stretch(last_night(words)), length)),
        ("hour", 1) => rolling(words, 60, length),
        ("minute", 1) => rolling(words, 1, length),
        ("fortnight", 1) => back_to_now(words, 14.0, "day", length),
        ("day", 1) => rolling(words, DAY_MIN, length),
        (unit, back) => unit_back(words, unit, back, length),
    }
}

/// The night that ended today, or that has begun.
fn last_night(words: &Words) -> Period {
    let midnight = words.today() * DAY_MIN;
    Period::new(midnight - 120, midnight + 360, "last night")
}

fn rolling(words: &Words, minutes: i64, length: usize) -> Plain {
    let until = words.now() + 1;
    Some((
        Piece::Stretch(Period::new(until - minutes, until, "")),
        length,
    ))
}

/// A calendar week, month, quarter or year, so many back.
pub(super) fn unit_back(words: &Words, unit: &str, back: i64, length: usize) -> Plain {
    let today = words.today();
    let (y, m, _) = parts(today);
    let (first, next) = match unit {
        "week" => (monday_of(today) - 7 * back, monday_of(today) - 7 * back + 7),
        "month" => (month_begin(y, m - back), month_begin(y, m - back + 1)),
        "quarter" => {
            let begin = (m - 1) / 3 * 3 + 1 - 3 * back;
            (month_begin(y, begin), month_begin(y, begin + 3))
        }
        "year" => (month_begin(y - back, 1), month_begin(y - back + 1, 1)),
        "weekend" => {
            let saturday = monday_of(today) + 5;
            let saturday = if today < saturday || back == 1 {
                saturday - 7
            } else {
                saturday
            };
            (saturday, saturday + 2)
        }
        _ => return None,
    };
    let (last, is_open) = (next - 1, next > today);
    let name = match back {
        0 => format!("this {unit}"),
        1 => format!("last {unit}"),
        _ => String::new(),
    };
    let name = if unit == "weekend" {
        "at the weekend".into()
    } else {
        name
    };
    let period = Period {
        is_open,
        ..Period::days(first, last.min(today.max(first)), &name)
    };
    Some((Piece::Stretch(period), length))
}

/// The weekend, week 10, the first quarter, so far.
fn bare_unit_at(words: &Words, place: usize) -> Plain {
    match words.word(place) {
        "weekend" => unit_back(words, "weekend", 0, 1),
        "week" | "month" | "year" | "day" if words.is_at(place + 1, "to date") => {
            unit_back(words, words.word(place), 0, 3)
        }
        "week" | "cw" | "kw" => {
            let week = words
                .raw(place + 1)
                .parse()
                .ok()
                .filter(|week| (1..=53).contains(week))?;
            let unit_follows = words.word(place) == "kw";
            if unit_follows {
                return None;
            }
            iso_week(words, place, week)
        }
        "quarter" => None,
        word => quarter_at(words, place, word),
    }
}

fn iso_week(words: &Words, place: usize, week: i64) -> Plain {
    let gap = usize::from(matches!(words.word(place + 2), "of" | "in"));
    let said = year(words.raw(place + 2 + gap));
    let (this_year, ..) = parts(words.today());
    // The week with 4 January is the first one.
    let monday = |year: i64| monday_of(month_begin(year, 1) + 3) + 7 * (week - 1);
    let ahead = said.is_none() && monday(this_year) > words.today();
    let first = monday(said.unwrap_or(this_year - i64::from(ahead)));
    let length = 2 + if said.is_some() { 1 + gap } else { 0 };
    stretch(first, first + 6, &format!("in week {week}"), length)
}

/// `q1`, `first quarter`, of a year.
fn quarter_at(words: &Words, place: usize, word: &str) -> Plain {
    let (quarter, length) = match word
        .strip_prefix('q')
        .and_then(|number| number.parse().ok())
    {
        Some(quarter) => (quarter, 1),
        None => (
            ordinal(word).filter(|_| words.word(place + 1) == "quarter")?,
            2,
        ),
    };
    if !(1..=4).contains(&quarter) {
        return None;
    }
    let gap = usize::from(matches!(words.word(place + length), "of" | "in"));
    let said = year(words.raw(place + length + gap));
    let (this_year, ..) = parts(words.today());
    let begin = |year: i64| month_begin(year, quarter * 3 - 2);
    let ahead = said.is_none() && begin(this_year) > words.today();
    let year = said.unwrap_or(this_year - i64::from(ahead));
    let length = length + if said.is_some() { 1 + gap } else { 0 };
    stretch(
        begin(year),
        month_begin(year, quarter * 3 + 1) - 1,
        "",
        length,
    )
}

/// `in March`, `March 2025`, `in 2025`, `2025-03`.
pub(super) fn month_at(words: &Words, place: usize) -> Plain {
    let before = words.before(place);
    let raw = words.raw(place);
    let (today, (this_year, this_month, _)) = (words.today(), parts(words.today()));
    if let Some(year) = year(raw).filter(|_| {
        matches!(
            before,
            "in" | "of" | "during" | "year" | "for" | "since" | "from" | "to"
        )
    }) {
        return stretch(
            month_begin(year, 1),
            month_begin(year + 1, 1) - 1,
            &format!("in {year}"),
            1,
        );
    }
    let dashed = raw
        .split_once('-')
        .and_then(|(y, m)| Some((year(y)?, m.parse().ok()?)));
    let (year, month, length) =
        if let Some((year, month)) = dashed.filter(|(_, month)| (1..=12).contains(month)) {
            (year, month, 1)
        } else {
            let month = month(raw)?;
            let certain = matches!(
                before,
                "in" | "of"
                    | "during"
                    | "for"
                    | "since"
                    | "last"
                    | "this"
                    | "from"
                    | "to"
                    | "and"
                    | "until"
                    | "vs"
            );
            let gap = usize::from(words.word(place + 1) == "of");
            let said = year(words.raw(place + 1 + gap));
            // "may" and "mar" are words of other meanings, too.
            if raw == "may" && !certain && said.is_none() {
                return None;
            }
            let latest = this_year - i64::from(month > this_month);
            (
                said.unwrap_or(latest),
                month,
                1 + if said.is_some() { 1 + gap } else { 0 },
            )
        };
    let (first, next) = (month_begin(year, month), month_begin(year, month + 1));
    let name = format!("in {}", told_month(first));
    let period = Period {
        is_open: (first..next).contains(&today),
        ..Period::days(first, (next - 1).min(today.max(first)), &name)
    };
    Some((Piece::Stretch(period), length))
}

/// `last 3 days`, `past two hours`, `3 days ago`.
pub(super) fn counted_at(words: &Words, place: usize) -> Found<Piece> {
    let skip = match words.word(place) {
        "last" | "past" | "previous" => 1,
        _ => 0,
    };
    let count = match words.word(place + skip) {
        "a" | "an" | "one" => 1.0,
        "couple" => 2.0,
        word => number(word)?,
    };
    let gap = usize::from(words.is_at(place + skip, "couple of"));
    let unit = words.word(place + skip + 1 + gap);
    let length = skip + 2 + gap;
    let days_of_unit = match unit {
        "minute" => 1.0 / 1440.0,
        "hour" => 1.0 / 24.0,
        "day" => 1.0,
        "week" => 7.0,
        "month" => 30.0,
        "year" => 365.0,
        _ => return None,
    };
    if count * days_of_unit > LONGEST_DAYS {
        return Some(Err(NotUnderstood::because(
            "no data reach back a hundred years".into(),
        )));
    }
    let found = if words.word(place + length) == "ago" && skip == 0 {
        ago(words, count as i64, unit, length + 1)
    } else if skip == 1 && count > 0.0 {
        back_to_now(words, count, unit, length)
    } else {
        None
    };
    found.map(Ok)
}

fn ago(words: &Words, count: i64, unit: &str, length: usize) -> Plain {
    let (now, today) = (words.now(), words.today());
    match unit {
        "minute" => Some((Piece::Stretch(Period::moment(now - count)), length)),
        "hour" => Some((Piece::Stretch(Period::moment(now - 60 * count)), length)),
        "day" => stretch(today - count, today - count, "", length),
        "week" if count == 1 => stretch(today - 7, today - 7, "", length),
        unit => unit_back(words, unit, count, length),
    }
}

/// So much time up to now: whole dates for days and more.
fn back_to_now(words: &Words, count: f64, unit: &str, length: usize) -> Plain {
    let today = words.today();
    let whole = count as i64;
    let first = match unit {
        "minute" => return rolling(words, whole.max(1), length),
        "hour" => return rolling(words, (count * 60.0) as i64, length),
        "day" => today - whole + 1,
        "week" => today - 7 * whole + 1,
        "month" => {
            let (y, m, d) = parts(today);
            month_begin(y, m - whole) + d - 1
        }
        _ => {
            let (y, m, d) = parts(today);
            month_begin(y - whole, m) + d - 1
        }
    };
    let plural = if whole == 1 { "" } else { "s" };
    let period = Period {
        is_open: true,
        ..Period::days(
            first.min(today),
            today,
            &format!("in the last {count} {unit}{plural}"),
        )
    };
    Some((Piece::Stretch(period), length))
}
