//! Values under or over a limit: for how long, how often, since when, on which days.

use super::{
    Shaped, Understood,
    asked::Asked,
    dates::told_text,
    measures::{Column, Fold, Measure, measure},
    periods::Period,
    say::{self, Cells},
    sources::{Group, Scope, Source},
    words::Words,
};
use crate::assistant::Show;

/// Most moments or days that an answer lists.
const LISTED_MAX: usize = 100;

/// On which side of which value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    /// Over it.
    Above(f64),
    /// Under it.
    Below(f64),
    /// From the first to the second.
    Between(f64, f64),
    /// Not from the first to the second.
    Outside(f64, f64),
}

/// A value to be under or over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    /// On which side of which value; minutes where it is a time.
    pub(super) side: Side,
    /// The measure that its unit means.
    pub(super) measure: Option<&'static str>,
    /// It is a time.
    pub(super) is_time: bool,
}

impl Limit {
    fn sql(&self, value: &str) -> String {
        match self.side {
            Side::Above(limit) => format!("{value} > {limit}"),
            Side::Below(limit) => format!("{value} < {limit}"),
            Side::Between(low, high) => format!("{value} BETWEEN {low} AND {high}"),
            Side::Outside(low, high) => format!("{value} NOT BETWEEN {low} AND {high}"),
        }
    }

    fn told(&self, told: impl Fn(f64) -> String) -> String {
        match self.side {
            Side::Above(limit) => format!("above {}", told(limit)),
            Side::Below(limit) => format!("below {}", told(limit)),
            Side::Between(low, high) => format!("between {} and {}", told(low), told(high)),
            Side::Outside(low, high) => format!("outside {} to {}", told(low), told(high)),
        }
    }

    /// The condition of an alert's or a session's length.
    pub(super) fn of_minutes(&self) -> Option<(String, String)> {
        self.is_time
            .then(|| (self.sql("duration_min"), self.told(say::span)))
    }
}

/// Takes a limit out of a question.
pub(super) fn limit(words: &mut Words) -> Option<Limit> {
    const ABOVE: &[&str] = &[
        "more than",
        "greater than",
        "higher than",
        "larger than",
        "longer than",
        "bigger than",
        "in excess of",
        "above",
        "over",
        "exceed",
        "exceeded",
        "exceeding",
        ">",
        "at least",
        "reach",
        "reached",
        "rise to",
        "rose to",
    ];
    const BELOW: &[&str] = &[
        "less than",
        "lower than",
        "smaller than",
        "fewer than",
        "shorter than",
        "below",
        "under",
        "beneath",
        "<",
        "at most",
        "drop to",
        "dropped to",
        "fell to",
        "fall to",
        "down to",
    ];
    let place_of =
        |words: &Words, phrase: &str| (0..words.len()).find(|place| words.is_at(*place, phrase));
    for (phrases, above) in [(ABOVE, true), (BELOW, false)] {
        for phrase in phrases {
            let Some(place) = place_of(words, phrase) else {
                continue;
            };
            let after = place + phrase.split(' ').count();
            let gap = usize::from(matches!(
                words.word(after),
                "a" | "the" | "about" | "of" | "value"
            ));
            if let Some((value, unit, length)) = amount(words, after + gap) {
                let side = if above {
                    Side::Above(value)
                } else {
                    Side::Below(value)
                };
                words.take(place, after + gap + length - place);
                return Some(of(side, unit));
            }
        }
    }
    range(words)
}

/// `between 20 and 85 %`, `outside 20 to 85 %`.
fn range(words: &mut Words) -> Option<Limit> {
    let is_joint = |word: &str| matches!(word, "between" | "outside" | "within" | "inside");
    let place = (0..words.len()).find(|place| is_joint(words.word(*place)))?;
    let low = words.number(place + 1)?;
    let percent = usize::from(words.word(place + 2) == "%");
    let joint = place + 2 + percent;
    if !matches!(words.word(joint), "and" | "to" | "-") {
        return None;
    }
    let (high, unit, length) = amount(words, joint + 1)?;
    if matches!(unit, Unit::None | Unit::Time) {
        return None;
    }
    let outside = words.word(place) == "outside";
    words.take(place, joint + 1 + length - place);
    let side = if outside {
        Side::Outside(low, high)
    } else {
        Side::Between(low, high)
    };
    Some(of(side, unit))
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    None,
    Time,
    Of(&'static str),
}

fn of(side: Side, unit: Unit) -> Limit {
    Limit {
        side,
        measure: match unit {
            Unit::Of(measure) => Some(measure),
            Unit::None | Unit::Time => None,
        },
        is_time: unit == Unit::Time,
    }
}

/// A number with its unit, and how many words they are.
fn amount(words: &Words, place: usize) -> Option<(f64, Unit, usize)> {
    let value = words.number(place)?;
    let per_hour = words.is_at(place + 2, "per hour") || words.is_at(place + 2, "an hour");
    let cubic = words.is_at(place + 1, "m3 m3");
    let found = match words.word(place + 1) {
        "%" | "percent" => (Unit::Of("level_pct"), 2),
        "m3/h" | "m3/hour" => (Unit::Of("flow_m3h"), 2),
        "m3" if cubic && words.is_at(place + 3, "per hour") => (Unit::Of("flow_m3h"), 5),
        "m3" if per_hour => (Unit::Of("flow_m3h"), 4),
        "m3" => (Unit::Of("volume_m3"), 2 + usize::from(cubic)),
        "kw" => (Unit::Of("power_kw"), 2),
        "kwh" => (Unit::Of("energy_kwh"), 2),
        "pump" => (Unit::Of("pumps_on"), 2),
        "minute" if words.word(place + 2) != "ago" => return Some((value, Unit::Time, 2)),
        "hour" if words.word(place + 2) != "ago" => return Some((value * 60.0, Unit::Time, 2)),
        "minute" | "hour" | "day" | "week" | "month" | "year" => return None,
        _ => (Unit::None, 1),
    };
    Some((value, found.0, found.1))
}

/// Questions with a limit.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let limit = asked.limit?;
    let measure = if limit.is_time {
        measure("run_length_min")
    } else {
        threshold_measure(asked, &limit)?
    };
    let now = asked.periods.is_empty() && asked.words.begins(&["is", "are"]);
    if limit.is_time {
        return Some(Ok(sessions(asked, limit)));
    }
    if asked.group.is_some() || measure.is_amount() || measure.usual == Fold::Total {
        return days(asked, measure, limit).map(Ok);
    }
    if now {
        return super::state::held_now(
            asked,
            measure,
            limit.sql("value"),
            limit.told(|limit| told_limit(measure, limit, asked)),
        )
        .map(Ok);
    }
    let when = asked
        .words
        .any(&["when", "what time", "list", "which time", "at which"]);
    Some(Ok(if when {
        moments(asked, measure, limit)
    } else {
        minutes(asked, measure, limit)
    }))
}

fn threshold_measure(asked: &Asked, limit: &Limit) -> Option<&'static Measure> {
    limit
        .measure
        .filter(|unit| *unit != "level_pct" || asked.measures.is_empty())
        .map(measure)
        .or(asked.measure())
}

fn told_limit(measure: &Measure, limit: f64, asked: &Asked) -> String {
    let decimals = usize::from(limit.fract() != 0.0);
    let unit = say::unit(measure, asked.context);
    if unit.is_empty() {
        say::number(limit, decimals)
    } else {
        format!("{} {unit}", say::number(limit, decimals))
    }
}

/// The rows of minutes, with the value, that a measure is read from.
fn known(asked: &Asked, measure: &'static Measure, period: &Period) -> Option<(String, String)> {
    let query = asked.query(measure, measure.usual, asked.scope(measure), period);
    let columns = if matches!(query.scope, Scope::One(_)) {
        measure.pump
    } else {
        measure.station
    };
    let (source, column) = columns
        .iter()
        .find(|(source, _)| *source == Source::Minutes)?;
    let row = match column {
        Column::Ratio(part, by) => format!(
            "{} / nullif({}, 0)",
            query.row(*source, part),
            query.row(*source, by)
        ),
        _ => query.row(*source, query.part(*column)),
    };
    let rows = format!(
        "SELECT ts, timestamp, {row} AS value FROM readings_wide WHERE {}",
        query.condition(*source)
    );
    Some((rows, "value".into()))
}

/// For how many minutes, and how many times.
fn minutes(asked: &Asked, measure: &'static Measure, limit: Limit) -> Understood {
    let period = asked.period_or(Asked::today);
    let (rows, value) = known(asked, measure, &period).unwrap_or_default();
    let held = limit.sql(&value);
    let sql = format!(
        "SELECT count(*) AS known_minutes, coalesce(sum(held), 0) AS minutes, coalesce(sum(held = 1 AND before = 0), 0) AS times FROM \
         (SELECT held, lag(held, 1, 0) OVER (ORDER BY ts) AS before FROM \
         (SELECT ts, {held} AS held FROM ({rows}) WHERE value IS NOT NULL))"
    );
    let condition = limit.told(|limit| told_limit(measure, limit, asked));
    let whose = asked.one_pump().map_or(String::new(), |pump| {
        format!(" of {}", crate::tags::pump_name(pump))
    });
    let what = format!("{}{whose}", measure.name);
    let (context, asks_whether) = (
        asked.context.clone(),
        asked.words.begins(&["did", "was", "were", "has", "have"]),
    );
    let how_often =
        asked
            .words
            .any(&["how often", "many time", "number of time", "how frequently"]);
    Understood::sentence(sql, move |rows| {
        let told = period.told();
        if rows.number(0, "known_minutes").unwrap_or(0.0) == 0.0 {
            return say::nothing(&what, &period, &context);
        }
        let minutes = rows.number(0, "minutes").unwrap_or(0.0);
        let times = rows.number(0, "times").unwrap_or(0.0);
        if minutes == 0.0 {
            let no = if asks_whether { "No: the" } else { "The" };
            return format!("{no} {what} was never {condition} {told}: 0 minutes.");
        }
        let yes = if asks_whether { "Yes: the" } else { "The" };
        let long = if minutes >= 60.0 {
            format!(" ({})", say::span(minutes))
        } else {
            String::new()
        };
        let minutes = format!("{}{long}", say::plural(minutes, "minute"));
        let times = say::plural(times, "time");
        if how_often {
            return format!(
                "{yes} {what} went {condition} {times} {told}, for {minutes} together."
            );
        }
        format!("{yes} {what} was {condition} for {minutes} {told}, {times}.")
    })
}

/// The moments at which it began.
fn moments(asked: &Asked, measure: &'static Measure, limit: Limit) -> Understood {
    let period = asked.period_or(|asked| asked.last_days(7));
    let (rows, value) = known(asked, measure, &period).unwrap_or_default();
    let held = limit.sql(&value);
    let newest = asked.words.any(&["last", "latest", "most recent"]);
    let order = if newest { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT timestamp AS at, round(value, 1) AS value, count(*) OVER () AS times FROM \
         (SELECT ts, timestamp, value, held, lag(held, 1, 0) OVER (ORDER BY ts) AS before FROM \
         (SELECT ts, timestamp, value, {held} AS held FROM ({rows}) WHERE value IS NOT NULL)) \
         WHERE held = 1 AND before = 0 ORDER BY ts {order} LIMIT {LISTED_MAX}"
    );
    let condition = limit.told(|limit| told_limit(measure, limit, asked));
    let context = asked.context.clone();
    Understood::new(sql, Show::Table, move |rows| {
        let told = period.told();
        if say::is_outside(&period, &context) {
            return say::nothing(measure.name, &period, &context);
        }
        let Some(times) = rows.number(0, "times") else {
            return format!("The {} was never {condition} {told}.", measure.name);
        };
        let which = if newest { "last" } else { "first" };
        let at = told_text(rows.text(0, "at"));
        if times == 1.0 {
            return format!(
                "The {} went {condition} once {told}: at {at}.",
                measure.name
            );
        }
        format!(
            "The {} went {condition} {} {told}, {which} at {at}.",
            measure.name,
            say::plural(times, "time")
        )
    })
}

/// Days, or other stretches, whose figure is under or over it.
fn days(asked: &Asked, measure: &'static Measure, limit: Limit) -> Option<Understood> {
    let group = asked.group.unwrap_or(Group::Day);
    let period = asked.period_or(|asked| asked.last_days(31));
    let scope = asked.one_pump().map_or(Scope::Station, Scope::One);
    let mut query = asked.query(measure, measure.usual, scope, &period);
    query.group = Some(group);
    query.fold = asked.fold.unwrap_or(measure.usual);
    let (source, column) = query.source()?;
    let (key, name) = (source.key(group), group.column());
    let sql = format!(
        "SELECT {name}, value AS {column}, count(*) OVER () AS found FROM (SELECT {key} AS {name}, {} AS value FROM {} WHERE {} GROUP BY 1) \
         WHERE {} ORDER BY {name} LIMIT {LISTED_MAX}",
        query.value(source, column),
        query.from(source),
        query.condition(source),
        limit.sql("value"),
        column = measure.column,
    );
    let condition = limit.told(|limit| told_limit(measure, limit, asked));
    let what = if measure.is_count() {
        say::many(measure.name)
    } else {
        measure.name.into()
    };
    let unit = match group {
        Group::HourOfDay => "hour of the day",
        Group::Weekday => "weekday",
        other => other.column(),
    };
    Some(Understood::new(sql, Show::Table, move |rows| {
        let told = period.told();
        let found = rows.number(0, "found").unwrap_or(0.0);
        if found == 0.0 {
            return format!(
                "There were 0 {} with {what} {condition} {told}.",
                say::many(unit)
            );
        }
        let first: Vec<String> = rows
            .pairs(name, measure.column)
            .iter()
            .take(3)
            .map(|(day, _)| super::buckets::bucket(group, day))
            .collect();
        let more = if found as usize > first.len() {
            format!("{} and others", first.join(", "))
        } else {
            say::list(&first)
        };
        let verb = if found == 1.0 {
            "There was"
        } else {
            "There were"
        };
        format!(
            "{verb} {} with {what} {condition} {told}: {more}.",
            say::plural(found, unit)
        )
    }))
}

/// Runs of pumps that were longer or shorter than a time.
fn sessions(asked: &Asked, limit: Limit) -> Understood {
    let period = asked.period_or(|asked| asked.last_days(7));
    let scope = asked.one_pump().map_or(Scope::Station, Scope::One);
    let query = asked.query(measure("starts"), Fold::Total, scope, &period);
    let sql = format!(
        "SELECT pump, start_time, end_time, duration_min, count(*) OVER () AS found FROM pump_sessions WHERE {} AND {} ORDER BY id LIMIT {LISTED_MAX}",
        query.condition(Source::Sessions),
        limit.sql("duration_min"),
    );
    let condition = limit
        .told(say::span)
        .replace("above", "longer than")
        .replace("below", "shorter than");
    let whose = asked.one_pump().map_or(String::new(), |pump| {
        format!(" of {}", crate::tags::pump_name(pump))
    });
    Understood::new(sql, Show::Table, move |rows| {
        let found = rows.number(0, "found").unwrap_or(0.0);
        let verb = if found == 1.0 { "was" } else { "were" };
        let named = rows.text(0, "pump");
        let first = told_text(rows.text(0, "start_time"));
        let first = if found == 0.0 {
            String::new()
        } else {
            format!(", the first of {named} from {first}")
        };
        format!(
            "There {verb} {}{whose} {condition} {}{first}.",
            say::plural(found, "run"),
            period.told()
        )
    })
}
