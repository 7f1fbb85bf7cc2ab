//! Values under or over a limit: for how long, how often, since when, on which days.

use super::{
    Shaped, Understood,
    asked::Asked,
    dates::told_text,
    limits::Limit,
    measures::{Column, Fold, Measure, measure},
    periods::Period,
    say::{self, Cells},
    sources::{Group, Scope, Source},
};
use crate::assistant::Show;

/// Most moments or days that an answer lists.
const LISTED_MAX: usize = 100;

/// Questions with a limit.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let limit = asked.limit?;
    if asked.each_pump
        && asked
            .measure()
            .is_some_and(|measure| !measure.pump.is_empty())
    {
        return super::pumps::shape(asked);
    }
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
        .any("when, what time, list, which time, at which");
    let by_minutes = if when {
        moments(asked, measure, limit)
    } else {
        minutes(asked, measure, limit)
    };
    // What minutes do not have, days may.
    by_minutes.or_else(|| days(asked, measure, limit)).map(Ok)
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
fn minutes(asked: &Asked, measure: &'static Measure, limit: Limit) -> Option<Understood> {
    let period = asked.period_or(Asked::today);
    let (rows, value) = known(asked, measure, &period)?;
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
    let how_often = asked
        .words
        .any("how often, many time, number of time, how frequently");
    Some(Understood::sentence(sql, move |rows| {
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
    }))
}

/// The moments at which it began.
fn moments(asked: &Asked, measure: &'static Measure, limit: Limit) -> Option<Understood> {
    let period = asked.period_or(|asked| asked.last_days(7));
    let (rows, value) = known(asked, measure, &period)?;
    let held = limit.sql(&value);
    let newest = asked.words.any("last, latest, most recent");
    let order = if newest { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT timestamp AS at, round(value, 1) AS value, count(*) OVER () AS times FROM \
         (SELECT ts, timestamp, value, held, lag(held, 1, 0) OVER (ORDER BY ts) AS before FROM \
         (SELECT ts, timestamp, value, {held} AS held FROM ({rows}) WHERE value IS NOT NULL)) \
         WHERE held = 1 AND before = 0 ORDER BY ts {order} LIMIT {LISTED_MAX}"
    );
    let condition = limit.told(|limit| told_limit(measure, limit, asked));
    let context = asked.context.clone();
    Some(Understood::new(sql, Show::Table, move |rows| {
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
    }))
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
