//! Dates as people write them, and dates as sentences tell them.

use jiff::civil::{self, Date};

use super::{NotUnderstood, vocabulary::ordinal, words::Words};
use crate::calendar::{DAY_MIN, Day, LocalMinute};

/// The months, by the names that sentences use.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// The days of the week; 0 is Sunday.
pub(super) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];
/// How far back a date without a year is looked for: 29 February comes every fourth year, with one exception.
const YEARS_BACK: i16 = 8;

/// A date that stands in a question, and of how many words it is.
pub(super) type Found<T> = Option<Result<(T, usize), NotUnderstood>>;

/// A date as days since 1970.
pub(super) fn day(year: i64, month: i64, day_of_month: i64) -> Option<Day> {
    let year = i16::try_from(year)
        .ok()
        .filter(|year| (1970..=2200).contains(year))?;
    let date = Date::new(
        year,
        i8::try_from(month).ok()?,
        i8::try_from(day_of_month).ok()?,
    )
    .ok()?;
    let since = date.since(civil::date(1970, 1, 1)).ok()?;
    Some(i64::from(since.get_days()))
}

/// Year, month and day of the month.
pub(super) fn parts(day: Day) -> (i64, i64, i64) {
    let days = i32::try_from(day.clamp(-700_000, 2_900_000)).unwrap_or(0);
    let date = civil::date(1970, 1, 1).saturating_add(jiff::Span::new().days(days));
    (date.year().into(), date.month().into(), date.day().into())
}

/// The first day of a month, where `month` may run over the year on both sides.
pub(super) fn month_begin(year: i64, month: i64) -> Day {
    let (year, month) = (
        year + (month - 1).div_euclid(12),
        (month - 1).rem_euclid(12) + 1,
    );
    day(year, month, 1).unwrap_or(0)
}

/// The Monday of a day's week.
pub(super) fn monday_of(day: Day) -> Day {
    day - (day + 3).rem_euclid(7)
}

/// `4 March 2025`.
pub(super) fn told(day: Day) -> String {
    let (year, month, day) = parts(day);
    format!("{day} {} {year}", MONTHS[(month - 1) as usize])
}

/// `March 2025`.
pub(super) fn told_month(day: Day) -> String {
    let (year, month, _) = parts(day);
    format!("{} {year}", MONTHS[(month - 1) as usize])
}

/// `3 to 9 March 2025`, with what both ends share once.
pub(super) fn told_range(first: Day, last: Day) -> String {
    if first == last {
        return told(first);
    }
    let ((year, month, day), end) = (parts(first), parts(last));
    let name = MONTHS[(month - 1) as usize];
    match (year == end.0, month == end.1) {
        (true, true) => format!("{day} to {}", told(last)),
        (true, false) => format!("{day} {name} to {}", told(last)),
        _ => format!("{} to {}", told(first), told(last)),
    }
}

/// `14:30`.
pub(super) fn told_time(minute_of_day: i64) -> String {
    format!("{:02}:{:02}", minute_of_day / 60, minute_of_day % 60)
}

/// `14:30 on 4 March 2025`.
pub(super) fn told_minute(minute: LocalMinute) -> String {
    let at = told_time(minute.rem_euclid(DAY_MIN));
    format!("{at} on {}", told(minute.div_euclid(DAY_MIN)))
}

/// A time of a table, `2025-03-04 14:30:00`, as a sentence tells it; one that cannot be read as it stands.
pub(super) fn told_text(text: &str) -> String {
    let Some(day) = text.get(..10).and_then(crate::calendar::day_of) else {
        return text.into();
    };
    match text.get(11..16) {
        Some(time) => format!("{time} on {}", told(day)),
        None => told(day),
    }
}

/// A month by its name or its first three letters: 1–12.
pub(super) fn month(word: &str) -> Option<i64> {
    let word = if word == "sept" { "sep" } else { word };
    let is = |name: &str| {
        word.len() >= 3 && (word.eq_ignore_ascii_case(name) || name[..3].eq_ignore_ascii_case(word))
    };
    MONTHS
        .iter()
        .position(|name| is(name))
        .map(|place| place as i64 + 1)
}

/// A day of the week by its name or a usual short form.
pub(super) fn weekday(word: &str) -> Option<i64> {
    let short = match word {
        "tues" => "tue",
        "thur" | "thurs" => "thu",
        "wednes" => "wed",
        other => other,
    };
    let is = |name: &str| {
        short.len() >= 3
            && (short.eq_ignore_ascii_case(name) || name[..3].eq_ignore_ascii_case(short))
    };
    WEEKDAYS
        .iter()
        .position(|name| is(name))
        .map(|place| place as i64)
}

/// A year, where a word can be one.
pub(super) fn year(word: &str) -> Option<i64> {
    word.parse()
        .ok()
        .filter(|year| word.len() == 4 && (1990..2100).contains(year))
}

fn no_date(what: &str) -> NotUnderstood {
    NotUnderstood::because(format!("{what} is no date"))
}

/// A date at a place, in any form that means one day.
pub(super) fn date_at(words: &Words, place: usize) -> Found<Day> {
    digits_at(words, place).or_else(|| named_at(words, place))
}

/// `2025-03-04`, `2025/3/4`, `4.3.2025`, and `3/4`, which can be two dates.
fn digits_at(words: &Words, place: usize) -> Found<Day> {
    let raw = words.raw(place);
    let sign = ['-', '/', '.']
        .into_iter()
        .find(|sign| raw.contains(*sign))?;
    let numbers: Option<Vec<i64>> = raw.split(sign).map(|part| part.parse().ok()).collect();
    let found = match (sign, numbers?.as_slice()) {
        ('-' | '/', &[y, m, d]) if y > 1900 => day(y, m, d),
        ('.', &[d, m, y]) if y > 1900 => day(y, m, d),
        ('/', &[a, b, ref rest @ ..]) if rest.len() <= 1 => {
            let year = rest
                .first()
                .map(|year| if *year < 100 { 2000 + year } else { *year });
            return Some(slashed(raw, a, b, year, words).map(|day| (day, 1)));
        }
        _ => return None,
    };
    Some(found.map(|day| (day, 1)).ok_or_else(|| no_date(raw)))
}

/// Day and month, or month and day: whichever can be meant, and neither when both can.
fn slashed(
    raw: &str,
    a: i64,
    b: i64,
    year: Option<i64>,
    words: &Words,
) -> Result<Day, NotUnderstood> {
    let (month, day_of_month) = match (a, b) {
        (1..=12, 1..=12) if a != b => {
            return Err(NotUnderstood::because(format!(
                "{raw} can be two dates; write 2025-03-04, 4 March or 4.3.2025"
            )));
        }
        (_, 1..=12) => (b, a),
        _ => (a, b),
    };
    let found = match year {
        Some(year) => day(year, month, day_of_month),
        None => newest(words.today(), |year| day(year, month, day_of_month)),
    };
    found.ok_or_else(|| no_date(raw))
}

/// The newest of a date of each year that does not lie ahead.
fn newest(today: Day, of: impl Fn(i64) -> Option<Day>) -> Option<Day> {
    let this_year = parts(today).0;
    let years = (0..YEARS_BACK).map(|back| this_year - i64::from(back));
    years.filter_map(of).find(|day| *day <= today)
}

/// `4 March`, `4th of March 2025`, `March 4th`, `the 4th`.
fn named_at(words: &Words, place: usize) -> Found<Day> {
    let day_of_month = |place: usize| {
        let word = words.raw(place);
        let number = ordinal(word).or_else(|| word.parse().ok().filter(|_| word.len() <= 2));
        number.filter(|day| (0..=99).contains(day))
    };
    let (month_place, number, mut length) = if let Some(number) = day_of_month(place) {
        let gap = usize::from(words.word(place + 1) == "of");
        (place + 1 + gap, number, 2 + gap)
    } else {
        let gap = usize::from(words.word(place + 1) == "the");
        (place, day_of_month(place + 1 + gap)?, 2 + gap)
    };
    let Some(month) = month(words.raw(month_place)) else {
        return the_fourth(words, place);
    };
    let year_gap = usize::from(matches!(words.word(place + length), "of" | "in"));
    let year = year(words.raw(place + length + year_gap));
    let found = match year {
        Some(year) => day(year, month, number),
        None => newest(words.today(), |year| day(year, month, number)),
    };
    if year.is_some() {
        length += 1 + year_gap;
    }
    let said = format!("{number} {}", MONTHS[(month - 1) as usize]);
    let said = year.map_or(said.clone(), |year| format!("{said} {year}"));
    Some(found.map(|day| (day, length)).ok_or_else(|| no_date(&said)))
}

/// `the 4th`: of this month, or of the one before.
fn the_fourth(words: &Words, place: usize) -> Found<Day> {
    let number = ordinal(words.raw(place))
        .filter(|_| words.raw(place).starts_with(|c: char| c.is_ascii_digit()))?;
    if words.before(place) != "the"
        || matches!(
            words.word(place + 1),
            "pump" | "week" | "quarter" | "hour" | "place"
        )
    {
        return None;
    }
    let today = words.today();
    let (year, month, _) = parts(today);
    let months = [
        (year, month),
        (year - i64::from(month == 1), (month + 10) % 12 + 1),
    ];
    let mut days = months
        .into_iter()
        .filter_map(|(year, month)| day(year, month, number));
    let found = days.find(|day| *day <= today);
    Some(
        found
            .map(|day| (day, 1))
            .ok_or_else(|| no_date(words.raw(place))),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::date_text;

    fn found(text: &str) -> String {
        let today = day(2025, 4, 4).expect("a date");
        let words = Words::read(text, today * DAY_MIN);
        match (0..words.len()).find_map(|place| date_at(&words, place)) {
            Some(Ok((day, _))) => date_text(day),
            Some(Err(refused)) => refused.reason,
            None => "none".into(),
        }
    }

    #[test]
    fn reads_dates_in_all_their_forms() {
        for (text, date) in [
            ("on 2025-03-04", "2025-03-04"),
            ("on 2025/3/4", "2025-03-04"),
            ("am 4.3.2025", "2025-03-04"),
            ("4 March", "2025-03-04"),
            ("4th of March 2025", "2025-03-04"),
            ("March 4th, 2024", "2024-03-04"),
            ("mar 4", "2025-03-04"),
            ("5 April", "2024-04-05"),
            ("29 February", "2024-02-29"),
            ("on the 28th", "2025-03-28"),
            ("13/3", "2025-03-13"),
            ("3/13/2025", "2025-03-13"),
            ("4/4", "2025-04-04"),
        ] {
            assert_eq!(found(text), date, "{text}");
        }
    }

    #[test]
    fn says_what_is_no_date() {
        for (text, said) in [
            ("31 February", "31 February is no date"),
            ("2025-02-30", "2025-02-30 is no date"),
            ("2025-13-01", "2025-13-01 is no date"),
            ("on the 32nd", "32nd is no date"),
            (
                "3/4",
                "3/4 can be two dates; write 2025-03-04, 4 March or 4.3.2025",
            ),
            ("pump 3", "none"),
        ] {
            assert_eq!(found(text), said, "{text}");
        }
    }

    #[test]
    fn tells_ranges_with_what_is_shared_once() {
        let of = |y, m, d| day(y, m, d).expect("a date");
        assert_eq!(
            told_range(of(2025, 3, 3), of(2025, 3, 9)),
            "3 to 9 March 2025"
        );
        assert_eq!(
            told_range(of(2025, 2, 24), of(2025, 3, 2)),
            "24 February to 2 March 2025"
        );
        assert_eq!(
            told_range(of(2024, 12, 30), of(2025, 1, 5)),
            "30 December 2024 to 5 January 2025"
        );
        assert_eq!(told_text("2025-03-04 14:30:00"), "14:30 on 4 March 2025");
    }
}
