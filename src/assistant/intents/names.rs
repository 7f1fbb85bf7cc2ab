//! What a question names: pumps, stretches to put together by, measures, topics of alerts.

use super::{
    NotUnderstood,
    limits::Limit,
    measures::{MEASURES, Measure, measure},
    sources::Group,
    topics::{TOPICS, Topic},
    vocabulary::{number, ordinal, stem},
    words::Words,
};
use crate::tags::PUMPS;

/// Words that name a measure only where nothing else does.
const WEAK: &[&str] = &[
    "use",
    "used",
    "work",
    "worked",
    "working",
    "active",
    "idle",
    "busy",
    "busiest",
    "water",
    "tank",
    "run",
    "ran",
    "running",
    "storage",
    "duty",
    "operation",
    "full",
    "begin",
    "moved",
    "warning",
    "fault",
    "problem",
    "failure",
    "issue",
    "trouble",
    "output",
    "m3",
    "kwh",
    "kw",
    "m3/h",
    "load",
    "stop",
    "start",
    "started",
    "money",
    "pay",
    "perform",
    "performing",
    "performance",
    "power",
    "score",
    "session",
    "shape",
    "wear",
    "counter",
    "draw",
    "drew",
    "drawing",
    "switching",
    "switch",
    "operating",
    "laziest",
    "stopped",
    "save",
    "saved",
    "utilised",
];

/// Pumps by name, number or place: `P3`, `pump 3`, `pumps 1 and 2`, `third pump`, `P01C`.
pub(super) fn pumps(words: &mut Words) -> Result<Vec<usize>, NotUnderstood> {
    let mut found = Vec::new();
    let mut place = 0;
    while place < words.len() {
        let (numbers, length) = pumps_at(words, place);
        for number in numbers {
            if !(1..=PUMPS as i64).contains(&number) {
                return Err(NotUnderstood::because(format!(
                    "there is no pump P{number}; the station has P1 to P{PUMPS}"
                )));
            }
            let pump = (number - 1) as usize;
            if !found.contains(&pump) {
                found.push(pump);
            }
        }
        words.take(place, length);
        place += length.max(1);
    }
    Ok(found)
}

fn pumps_at(words: &Words, place: usize) -> (Vec<i64>, usize) {
    let raw = words.raw(place);
    let named = raw.strip_prefix('p').or_else(|| raw.strip_prefix("pump"));
    if let Some(number) = named.and_then(|number| number.parse().ok()) {
        return (vec![number], 1);
    }
    let of_tag = raw.strip_prefix("p01").and_then(|letter| {
        ["a", "b", "c", "d", "e", "f"]
            .iter()
            .position(|it| *it == letter)
    });
    if let Some(pump) = of_tag {
        return (vec![pump as i64 + 1], 1);
    }
    if words.word(place + 1) == "pump"
        && let Some(number) = ordinal(raw)
    {
        return (vec![number], 2);
    }
    if !matches!(words.word(place), "pump" | "p") {
        return (Vec::new(), 0);
    }
    let mut next = place + 1;
    if matches!(words.word(next), "number" | "no" | "nr") {
        next += 1;
    }
    let mut numbers = Vec::new();
    while let Some(number) = whole(words, next) {
        if super::bounds::is_unit(words.word(next + 1))
            && words.raw(place) != "pumps"
            && words.word(next + 1) != "start"
        {
            break;
        }
        numbers.push(number);
        next += 1;
        let joint = usize::from(matches!(
            words.word(next),
            "and" | "or" | "vs" | "versus" | "&" | "to" | "with" | "than"
        ));
        // "Pump 3 and 4", yet not "pump 3 and level".
        if whole(words, next + joint).is_none() {
            break;
        }
        next += joint;
    }
    let length = if numbers.is_empty() { 0 } else { next - place };
    (numbers, length)
}

fn whole(words: &Words, place: usize) -> Option<i64> {
    let word = words.word(place);
    let number = number(word).filter(|_| word != "hundred")?;
    (number.fract() == 0.0 && number < 1000.0 && !words.raw(place).contains('.'))
        .then_some(number as i64)
}

/// By what rows are to be put together, and whether it asks which.
pub(super) fn group(words: &mut Words) -> (Option<Group>, bool) {
    const WHICH: &[(Group, &str)] = &[
        (
            Group::Weekday,
            "which weekday, what weekday, which day of the week, what day of the week, \
                 day of the week, days of the week, which day of week, by weekday, per weekday, \
                 day of week",
        ),
        (
            Group::HourOfDay,
            "which hour of the day, what hour of the day, hour of the day, hour of day, \
                 which time of day, time of day, what time of day, what time of the day, \
                 time of the day, busiest hour, quietest hour, peak hour is, which hour of day",
        ),
        (
            Group::Day,
            "which day, what day, which date, what date, on which day, day with, date with, \
                 day when, best day, worst day, busiest day, quietest day, day had, day has, \
                 which of the day, most expensive day, how many day, number of day, day of the month, \
                 highest day, lowest day, top day",
        ),
        (
            Group::Hour,
            "which hour, what hour, hour with, hour had, best hour, worst hour, peak hour, \
                 highest hour, lowest hour",
        ),
        (
            Group::Week,
            "which week, what week, week with, best week, worst week, busiest week, week had",
        ),
        (
            Group::Month,
            "which month, what month, month with, best month, worst month, busiest month, month had",
        ),
    ];
    const EACH: &[(Group, &str)] = &[
        (
            Group::Day,
            "daily, per day, by day, each day, every day, day by day, for each day, a day",
        ),
        (
            Group::Hour,
            "hourly, per hour, by hour, each hour, every hour, hour by hour, for each hour, an hour",
        ),
        (
            Group::Week,
            "weekly, per week, by week, each week, every week, week by week, a week",
        ),
        (
            Group::Month,
            "monthly, per month, by month, each month, every month, month by month, a month",
        ),
    ];
    for (table, which) in [(WHICH, true), (EACH, false)] {
        for (group, phrases) in table {
            let found = phrases
                .split(", ")
                .find(|phrase| takes(words, phrase, *group));
            if let Some(phrase) = found {
                words.take_phrase(phrase);
                return (Some(*group), which);
            }
        }
    }
    (None, false)
}

/// Whether a phrase stands for a group: not "a week ago", "from 8 to 12 each day" is a part of the day.
fn takes(words: &Words, phrase: &str, group: Group) -> bool {
    let Some(place) = words.find(phrase) else {
        return false;
    };
    let end = place + phrase.split(' ').count();
    let ago = words.word(end) == "ago";
    // "This week with last week" is a comparison.
    let named = matches!(
        words.before(place),
        "this" | "last" | "past" | "previous" | "current" | "next"
    );
    let hours = group == Group::Hour && words.raw(end - 1) == "hours" && phrase == "peak hour";
    !ago && !hours && !named
}

/// The measures that a question names: longer phrases first, and what they cover names nothing else.
pub(super) fn measures(words: &Words, limit: Option<&Limit>) -> (Vec<&'static Measure>, usize) {
    let mut found: Vec<(usize, usize, &'static str, &'static Measure)> = Vec::new();
    for measure in MEASURES {
        for phrase in measure.words.split(", ") {
            let length = phrase.split(' ').count();
            let places = (0..words.len()).filter(|place| words.is_at(*place, phrase));
            found.extend(places.map(|place| (place, length, phrase, measure)));
        }
    }
    found.sort_by_key(|(place, length, ..)| (std::cmp::Reverse(*length), *place));
    let mut covered = vec![false; words.len()];
    let mut sure: Vec<(usize, &'static Measure)> = Vec::new();
    let mut weak: Vec<(usize, &'static Measure)> = Vec::new();
    for (place, length, phrase, measure) in found {
        if covered[place..place + length].contains(&true) {
            continue;
        }
        covered[place..place + length].fill(true);
        let list = if WEAK.iter().any(|word| stem(word) == stem(phrase)) {
            &mut weak
        } else {
            &mut sure
        };
        list.push((place, measure));
    }
    sure.sort_by_key(|(place, _)| *place);
    weak.sort_by_key(|(place, measure)| (WEAK_LAST.contains(&measure.column), *place));
    let mut measures: Vec<&'static Measure> = Vec::new();
    let certain: Vec<&str> = sure.iter().map(|(_, measure)| measure.column).collect();
    let of_unit = limit
        .and_then(|limit| limit.measure)
        .filter(|_| sure.is_empty())
        .map(measure);
    let all = sure.into_iter().chain(weak).map(|(_, measure)| measure);
    for measure in of_unit.into_iter().chain(all) {
        if !measures.iter().any(|known| known.column == measure.column) {
            measures.push(measure);
        }
    }
    let count = measures
        .iter()
        .filter(|measure| certain.contains(&measure.column))
        .count();
    (measures, count)
}

/// Of two weak words these count for less.
const WEAK_LAST: &[&str] = &["run_min", "volume_m3", "alerts"];

/// The topic of alerts that a question names, and whether its words mean alerts by themselves.
pub(super) fn topic(words: &Words, says_alerts: bool) -> Option<&'static Topic> {
    let mut best: Option<(usize, &'static Topic)> = None;
    for topic in TOPICS.iter().filter(|topic| topic.is_plain || says_alerts) {
        for phrase in topic.words.split(", ").filter(|phrase| words.has(phrase)) {
            let length = phrase.split(' ').count();
            if best.is_none_or(|(longest, _)| length > longest) {
                best = Some((length, topic));
            }
        }
    }
    best.map(|(_, topic)| topic)
}
