//! Which periods a question names. Weeks begin on Mondays; a day without a year is the newest one that is not ahead.

use super::{
    NotUnderstood,
    dates::{Found, date_at, weekday},
    periods::{Days, Period},
    units,
    words::Words,
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
        .or_else(|| units::counted_at(words, place))
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
        .or_else(|| units::named_unit_at(words, place))
        .or_else(|| units::month_at(words, place))
        .or_else(|| part_at(words, place));
    plain.map(Ok).or_else(|| time_at(words, place))
}

/// A piece that cannot be wrong, and of how many words it is.
pub(super) type Plain = Option<(Piece, usize)>;

/// Whole days.
pub(super) fn stretch(first: i64, last: i64, name: &str, length: usize) -> Plain {
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

/// A part of the day by its name.
pub(super) fn part_of_day(word: &str) -> Option<(i64, i64)> {
    PARTS
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, part)| *part)
}

fn part_at(words: &Words, place: usize) -> Plain {
    let word = words.word(place);
    // "Night flow" is an alert.
    if word == "night" && words.word(place + 1) == "flow" && words.has("alert") {
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
