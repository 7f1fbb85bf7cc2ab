//! Which periods a question names. Weeks begin on Mondays; a day without a year is the newest one that is not ahead.

use super::{
    NotUnderstood,
    dates::{Found, date_at, monday_of, month, month_begin, parts, told_month, weekday, year},
    periods::{Days, Period},
    words::{Words, number, ordinal},
};
use crate::calendar::{DAY_MIN, LocalMinute, day_of_week};

/// Parts of the day, minutes of the day.
const PARTS: &[(&str, (i64, i64))] = &[
    ("morning", (6 * 60, 12 * 60)),
    ("afternoon", (12 * 60, 18 * 60)),
    ("evening", (18 * 60, 22 * 60)),
    ("night", (22 * 60, 6 * 60)),
    ("overnight", (22 * 60, 6 * 60)),
    ("nighttime", (22 * 60, 6 * 60)),
    ("daytime", (6 * 60, 22 * 60)),
];
/// The longest stretch that a number of units may ask for, days.
const LONGEST_DAYS: f64 = 36_600.0;

/// Something about time that a question says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Piece {
    /// A stretch.
    Stretch(Period),
    /// A part of the day.
    Clock(i64, i64),
    /// A time of the day.
    At(i64),
    /// Which days.
    Filter(Days),
    /// The peak tariff, or the rest.
    Peak(bool),
}

/// Takes the periods out of a question, in their order. `first` is the oldest minute there is.
pub(super) fn periods(words: &mut Words, first: LocalMinute) -> Result<Vec<Period>, NotUnderstood> {
    let mut pieces: Vec<(usize, Piece)> = Vec::new();
    let mut place = 0;
    while place < words.len() {
        match piece_at(words, place, first) {
            Some(found) => {
                let (piece, length) = found?;
                words.take(place, length);
                pieces.push((place, piece));
                place += length.max(1);
            }
            None => place += 1,
        }
    }
    Ok(joined(pieces, words.now(), first))
}

/// What stands at a place.
pub(super) fn piece_at(words: &Words, place: usize, first: LocalMinute) -> Found<Piece> {
    super::bounds::range_at(words, place, first)
        .or_else(|| counted_at(words, place))
        .or_else(|| single_at(words, place))
}

/// Everything but what has two ends.
pub(super) fn single_at(words: &Words, place: usize) -> Found<Piece> {
    if let Some(found) = date_at(words, place) {
        let stretch = |(day, length)| (Piece::Stretch(Period::days(day, day, "")), length);
        return Some(found.map(stretch));
    }
    let plain = filter_at(words, place)
        .or_else(|| day_at(words, place))
        .or_else(|| named_unit_at(words, place))
        .or_else(|| month_at(words, place))
        .or_else(|| part_at(words, place));
    plain.map(Ok).or_else(|| time_at(words, place))
}

type Plain = Option<(Piece, usize)>;

fn stretch(first: i64, last: i64, name: &str, length: usize) -> Plain {
    Some((Piece::Stretch(Period::days(first, last, name)), length))
}

/// Weekends, weekdays, Mondays, peak hours.
fn filter_at(words: &Words, place: usize) -> Plain {
    let (raw, word) = (words.raw(place), words.word(place));
    let every = matches!(words.before(place), "every" | "each");
    match word {
        "weekend" if raw == "weekends" || every => return Some((Piece::Filter(Days::Weekends), 1)),
        "weekday" | "workday" if raw.ends_with('s') || every => {
            return Some((Piece::Filter(Days::Weekdays), 1));
        }
        "working" if words.word(place + 1) == "day" => {
            return Some((Piece::Filter(Days::Weekdays), 2));
        }
        _ => (),
    }
    if let Some(day) = weekday(word).filter(|_| every || raw.len() > 5 && raw.ends_with("days")) {
        return Some((Piece::Filter(Days::Only(day)), 1));
    }
    let is_peak_time = |place: usize| {
        words.raw(place) == "hours"
            || matches!(words.word(place), "tariff" | "time" | "period" | "window")
    };
    match word {
        "off" | "outside" if words.word(place + 1) == "peak" => {
            let length = 2 + usize::from(is_peak_time(place + 2));
            Some((Piece::Peak(false), length))
        }
        "peak" if is_peak_time(place + 1) => Some((Piece::Peak(true), 2)),
        "on" if words.word(place + 1) == "peak" && is_peak_time(place + 2) => {
            Some((Piece::Peak(true), 3))
        }
        _ => None,
    }
}

/// Today, yesterday, a day of the week.
fn day_at(words: &Words, place: usize) -> Plain {
    let today = words.today();
    let open = |length| {
        let period = Period {
            is_open: true,
            ..Period::days(today, today, "today")
        };
        Some((Piece::Stretch(period), length))
    };
    match words.word(place) {
        "today" => return open(1),
        "yesterday" => return stretch(today - 1, today - 1, "yesterday", 1),
        "day" if words.is_at(place, "day before yesterday") => {
            return stretch(today - 2, today - 2, "the day before yesterday", 3);
        }
        "tonight" => {
            let night = Period::new(
                today * DAY_MIN + 22 * 60,
                (today + 1) * DAY_MIN + 6 * 60,
                "tonight",
            );
            return Some((Piece::Stretch(night), 1));
        }
        _ => (),
    }
    let (gap, last) = match words.word(place) {
        "last" | "past" | "previous" => (1, true),
        "this" => (1, false),
        _ => (0, false),
    };
    let wanted = weekday(words.raw(place + gap))?;
    let back = (day_of_week(today) - wanted).rem_euclid(7);
    let back = if last && back == 0 { 7 } else { back };
    // "Tuesday 4 March" is the date.
    if let Some(Ok((day, length))) = date_at(words, place + gap + 1) {
        return stretch(day, day, "", gap + 1 + length);
    }
    stretch(today - back, today - back, "", gap + 1)
}

/// This week, last month, the weekend, last night, this year.
fn named_unit_at(words: &Words, place: usize) -> Plain {
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
fn month_at(words: &Words, place: usize) -> Plain {
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

fn part_of_day(word: &str) -> Option<(i64, i64)> {
    PARTS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, part)| *part)
}

fn part_at(words: &Words, place: usize) -> Plain {
    let word = words.word(place);
    // "Night flow" is an alert.
    if word == "night" && words.word(place + 1) == "flow" {
        return None;
    }
    part_of_day(word).map(|(from, until)| (Piece::Clock(from, until), 1))
}

/// A time of the day: `14:30`, `at 14`, `noon`.
fn time_at(words: &Words, place: usize) -> Found<Piece> {
    match words.word(place) {
        "noon" | "midday" => return Some(Ok((Piece::At(12 * 60), 1))),
        "midnight" => return Some(Ok((Piece::At(0), 1))),
        _ => (),
    }
    if let Some(time) = clock_time(words.raw(place)) {
        return Some(time.map(|minute| (Piece::At(minute), 1)));
    }
    let hour: i64 = words
        .raw(place)
        .parse()
        .ok()
        .filter(|hour| (0..=24).contains(hour))?;
    let (before, after) = (words.before(place), words.word(place + 1));
    if after == "o" || after == "oclock" || words.is_at(place + 1, "o clock") {
        return Some(Ok((
            Piece::At(hour % 24 * 60),
            if after == "o" { 3 } else { 2 },
        )));
    }
    let is_time = before == "at" && !super::bounds::is_unit(after);
    is_time.then_some(Ok((Piece::At(hour % 24 * 60), 1)))
}

/// `14:30` as a minute of the day.
pub(super) fn clock_time(raw: &str) -> Option<Result<i64, NotUnderstood>> {
    let (hour, minute) = raw.split_once(':')?;
    let minute = minute.get(..2)?;
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    let valid = (0..24).contains(&hour) && (0..60).contains(&minute) || (hour, minute) == (24, 0);
    Some(
        valid
            .then_some(hour * 60 + minute)
            .ok_or_else(|| NotUnderstood::because(format!("{raw} is no time of the day"))),
    )
}

/// `last 3 days`, `past two hours`, `3 days ago`.
fn counted_at(words: &Words, place: usize) -> Found<Piece> {
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

/// Stretches with the parts of the day that belong to them.
fn joined(pieces: Vec<(usize, Piece)>, now: LocalMinute, first: LocalMinute) -> Vec<Period> {
    let (mut stretches, mut parts) = (Vec::new(), Vec::new());
    for (place, piece) in pieces {
        match piece {
            Piece::Stretch(period) => stretches.push((place, period)),
            part => parts.push((place, part)),
        }
    }
    if stretches.is_empty() {
        return parts_alone(parts, now, first);
    }
    if let Some((one, other)) = alternatives(&parts) {
        let both = |(_, period): (usize, Period)| {
            [narrowed(period.clone(), &one), narrowed(period, &other)]
        };
        return stretches.into_iter().flat_map(both).collect();
    }
    let alone = parts.len() == 1;
    for (place, part) in parts {
        let nearest = stretches
            .iter()
            .enumerate()
            .min_by_key(|(_, (at, _))| at.abs_diff(place));
        let nearest = nearest.map_or(0, |(nearest, _)| nearest);
        for (index, (_, period)) in stretches.iter_mut().enumerate() {
            if alone || index == nearest {
                *period = narrowed(period.clone(), &part);
            }
        }
    }
    stretches.into_iter().map(|(_, period)| period).collect()
}

/// Two kinds of days, or of tariff, that exclude each other: they are compared.
fn alternatives(parts: &[(usize, Piece)]) -> Option<(Piece, Piece)> {
    let kinds: Vec<&Piece> = parts
        .iter()
        .map(|(_, part)| part)
        .filter(|part| matches!(part, Piece::Filter(_) | Piece::Peak(_)))
        .collect();
    match kinds.as_slice() {
        [one, other] => Some(((*one).clone(), (*other).clone())),
        _ => None,
    }
}

fn narrowed(period: Period, part: &Piece) -> Period {
    match part {
        Piece::Clock(from, until) => period.within_day((*from, *until)),
        Piece::At(minute) if period.length_days() == 1 => {
            Period::moment(period.first_day() * DAY_MIN + minute)
        }
        Piece::At(minute) => period.within_day((*minute, minute + 1)),
        Piece::Filter(days) => Period {
            days: *days,
            ..period
        },
        Piece::Peak(peak) => Period {
            peak: Some(*peak),
            ..period
        },
        Piece::Stretch(_) => period,
    }
}

/// Parts of the day without a day: the newest that has begun; kinds of days: all there are.
fn parts_alone(parts: Vec<(usize, Piece)>, now: LocalMinute, first: LocalMinute) -> Vec<Period> {
    let today = now.div_euclid(DAY_MIN);
    let time = now.rem_euclid(DAY_MIN);
    if let Some((one, other)) = alternatives(&parts) {
        let all = Period::all(first, now);
        return vec![narrowed(all.clone(), &one), narrowed(all, &other)];
    }
    let has_filter = parts
        .iter()
        .any(|(_, part)| matches!(part, Piece::Filter(_)));
    let mut periods: Vec<Period> = Vec::new();
    for (_, part) in parts {
        let begun = |from: i64| if from <= time { today } else { today - 1 };
        let base = match &part {
            Piece::Clock(from, _) | Piece::At(from) if !has_filter => begun(*from),
            _ => today,
        };
        let mut day = Period::days(base, base, if base == today { "today" } else { "" });
        day.is_open = base == today;
        match periods.last_mut() {
            Some(last) if !matches!(part, Piece::At(_)) || has_filter => {
                *last = narrowed(last.clone(), &part)
            }
            _ => {
                let start = if has_filter {
                    Period::all(first, now)
                } else {
                    day
                };
                periods.push(narrowed(start, &part));
            }
        }
    }
    for period in &mut periods {
        if period.clock.is_none() && !period.is_whole_days() && period.peak.is_none() {
            period.name = String::new();
        }
    }
    periods
}
