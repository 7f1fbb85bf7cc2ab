//! One figure of one measure in one period.

use super::{
    Context, NotUnderstood, Shaped, Understood,
    asked::{Asked, Rank},
    dates::{told_minute, told_text},
    figures::{low_and_high, several, while_it_runs, while_running},
    measures::{Column, Fold, Measure},
    periods::Period,
    say::{self, Cells},
    sources::{Group, Query, Scope, Source},
};
use crate::tags::pump_name;

/// A figure.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let measure = asked.measure()?;
    let period = asked.period_or(|asked| usual_period(asked, measure));
    let fold = fold(asked, measure);
    let scope = asked.scope(measure);
    if asked.words.has("switching frequency") && asked.fold.is_none() {
        let period = asked.period_or(|asked| asked.last_days(7));
        let query = asked.query(measure, Fold::Total, scope, &period);
        return mean_of_buckets(asked, query, Group::Day).map(Ok);
    }
    if measure.column == "running_pct" && scope == Scope::Station {
        return super::pumps::ranking(asked, measure, &period, Vec::new()).map(Ok);
    }
    if measure.station.is_empty() && measure.column == "counter_h" && scope == Scope::Station {
        return Some(Err(NotUnderstood::because(
            "the running hours on the counter are those of one pump; name it".into(),
        )));
    }
    if let Some(pump) = asked.one_pump().filter(|_| while_it_runs(asked)) {
        return while_running(asked, measure, fold, &period, pump).map(Ok);
    }
    if asked.one_pump().is_some() && measure.pump.is_empty() {
        let name = measure.name;
        return Some(Err(NotUnderstood::because(format!(
            "the {name} is the station's and not known of a single pump"
        ))));
    }
    if let Some(ends) = low_and_high(asked, measure, &period) {
        return Some(Ok(ends));
    }
    if asked.sure > 1
        && !period.is_moment
        && let Some(several) = several(asked, &period)
    {
        return Some(Ok(several));
    }
    let query = asked.query(measure, fold, scope, &period);
    if period.is_moment {
        return Some(at_moment(asked, query));
    }
    let (source, column) = query.source()?;
    Some(Ok(match (column, fold) {
        (Column::Gauge(..), Fold::Min | Fold::Max) => extreme(asked, &query, source, column),
        (Column::Amount(_), Fold::Mean) => mean_of_buckets(asked, query, Group::Day)?,
        _ => folded(asked, &query, source, column),
    }))
}

/// What is meant where a question names no period.
pub(super) fn usual_period(asked: &Asked, measure: &Measure) -> Period {
    match measure.column {
        "run_length_min" | "m3_per_kwh" | "rmse" => asked.last_days(7),
        "savings_kwh_pct" | "saved_cost" | "metered_cost" => asked.last_days(30),
        "tank_stability_pct" => asked.yesterday(),
        "counter_h" => asked.all(),
        _ => asked.today(),
    }
}

/// How the values become one.
pub(super) fn fold(asked: &Asked, measure: &Measure) -> Fold {
    let longest = measure.column == "run_length_min";
    match (asked.fold, asked.rank) {
        (Some(Fold::Total), _) if !measure.is_amount() => measure.usual,
        (Some(fold), _) if measure.usual != Fold::Max => fold,
        (None, Some(Rank::Most)) if longest => Fold::Max,
        (None, Some(Rank::Least)) if longest => Fold::Min,
        _ => measure.usual,
    }
}

/// Whose figure a sentence tells of: ` of P3`.
pub(super) fn whose(scope: &Scope) -> String {
    match scope {
        Scope::One(pump) => format!(" of {}", pump_name(*pump)),
        _ => String::new(),
    }
}

/// The plain figure.
pub(super) fn folded(asked: &Asked, query: &Query, source: Source, column: Column) -> Understood {
    let (measure, name) = (query.measure, query.measure.column);
    let sql = format!(
        "SELECT {} AS {name} FROM {} WHERE {}",
        query.value(source, column),
        query.from(source),
        query.condition(source)
    );
    let (scope, fold, context) = (query.scope.clone(), query.fold, asked.context.clone());
    let period = as_answered(&query.period, source);
    let name_of = measure.name;
    Understood::sentence(sql, move |rows| {
        let known = rows.number(0, name);
        // Where nothing was counted there is no row, which is none of them.
        let none = measure.is_count() && !say::is_outside(&period, &context);
        let Some(value) = known.or(none.then_some(0.0)) else {
            return say::nothing(&format!("{name_of}{}", whose(&scope)), &period, &context);
        };
        let rating = of_rating(measure, &scope, value, &context);
        let figure = format!("{}{rating}", say::figure(measure, value, &context));
        let told = period.told();
        let target = say::against_target(measure, value);
        let text = match (measure.column, &scope) {
            ("run_min", Scope::One(pump)) => {
                format!("{} ran for {figure} {told}", pump_name(*pump))
            }
            ("run_min", _) => format!("the pumps ran for {figure} in all {told}"),
            ("starts" | "stops" | "short_cycles", Scope::One(pump)) => {
                format!("{} had {figure} {told}", pump_name(*pump))
            }
            ("starts" | "stops" | "short_cycles", _) => format!("the pumps had {figure} {told}"),
            ("alerts", _) => format!("there were {figure} {told}"),
            (_, Scope::One(pump)) if measure.column == "volume_m3" => {
                format!("the {name_of} by {} was {figure} {told}", pump_name(*pump))
            }
            _ if fold == Fold::Mean && says_average(measure) => {
                format!("the average {name_of}{} was {figure} {told}", whose(&scope))
            }
            _ => format!("the {name_of}{} was {figure} {told}", whose(&scope)),
        };
        format!("{}{target}.", say::sentence(&text))
    })
}

/// A ratio and a score are told without the word.
pub(super) fn says_average(measure: &Measure) -> bool {
    let ratio = measure
        .station
        .iter()
        .chain(measure.pump)
        .any(|(_, column)| matches!(column, Column::Ratio(..)));
    !ratio
        && !matches!(
            measure.column,
            "tank_stability_pct" | "efficiency_slope" | "health_score" | "running_pct"
        )
}

/// How much of its rating a pump's power is: ` (79 % of its rating)`.
pub(super) fn of_rating(measure: &Measure, scope: &Scope, value: f64, context: &Context) -> String {
    match scope {
        Scope::One(pump) if measure.column == "power_kw" && context.rated_kw[*pump] > 0.0 => {
            let share = 100.0 * value / context.rated_kw[*pump];
            format!(" ({} % of its rating)", say::number(share, 0))
        }
        _ => String::new(),
    }
}

/// The period as the table answers it: whole dates where it has nothing finer.
pub(super) fn as_answered(period: &Period, source: Source) -> Period {
    if !source.is_daily() || period.is_whole_days() {
        return period.clone();
    }
    let whole = Period::days(period.first_day(), period.last_day(), "");
    Period {
        days: period.days,
        ..whole
    }
}

/// The highest or lowest value, and when it was.
fn extreme(asked: &Asked, query: &Query, source: Source, column: Column) -> Understood {
    let (measure, fold) = (query.measure, query.fold);
    let row = query.row(source, query.part(column));
    let order = if fold == Fold::Max { "DESC" } else { "ASC" };
    let stamp = source.stamp();
    let pump = if source.has_pumps() { ", pump" } else { "" };
    let sql = format!(
        "SELECT {row} AS {name}, {stamp} AS at{pump} FROM {} WHERE {} AND {row} IS NOT NULL ORDER BY 1 {order}, 2 LIMIT 1",
        query.from(source),
        query.condition(source),
        name = measure.column,
    );
    let (scope, context) = (query.scope.clone(), asked.context.clone());
    let period = as_answered(&query.period, source);
    Understood::sentence(sql, move |rows| {
        let Some(value) = rows.number(0, measure.column) else {
            return say::nothing(
                &format!("{}{}", measure.name, whose(&scope)),
                &period,
                &context,
            );
        };
        let rating = of_rating(measure, &scope, value, &context);
        let figure = format!("{}{rating}", say::figure(measure, value, &context));
        let (told, at) = (period.told(), told_text(rows.text(0, "at")));
        let on = if rows.text(0, "at").len() > 10 {
            "at"
        } else {
            "on"
        };
        let target = say::against_target(measure, value);
        if measure.column == "run_length_min" {
            let which = if fold == Fold::Max {
                "longest"
            } else {
                "shortest"
            };
            return format!(
                "The {which} run {told} was {figure}, of {} from {at}.",
                rows.text(0, "pump")
            );
        }
        if measure.column == "counter_h" {
            return format!(
                "The counter{} stands at {figure} ({on} {at}).",
                whose(&scope)
            );
        }
        let which = if fold == Fold::Max {
            "highest"
        } else {
            "lowest"
        };
        format!(
            "The {which} {}{} {told} was {figure}, {on} {at}{target}.",
            measure.name,
            whose(&scope)
        )
    })
}

/// What an amount is on the average day, hour, …
pub(super) fn mean_of_buckets(asked: &Asked, mut query: Query, group: Group) -> Option<Understood> {
    let group = asked
        .group
        .filter(|group| !group.is_cyclic())
        .unwrap_or(group);
    query.group = Some(group);
    let (source, column) = query.source()?;
    let measure = query.measure;
    let sql = format!(
        "SELECT avg(value) AS {}, count(value) AS buckets FROM (SELECT {} AS value FROM {} WHERE {} GROUP BY {})",
        measure.column,
        query.value(source, column),
        query.from(source),
        query.condition(source),
        source.key(group),
    );
    let (scope, context, period) = (
        query.scope.clone(),
        asked.context.clone(),
        query.period.clone(),
    );
    Some(Understood::sentence(sql, move |rows| {
        let Some(value) = rows.number(0, measure.column) else {
            return say::nothing(
                &format!("{}{}", measure.name, whose(&scope)),
                &period,
                &context,
            );
        };
        let figure = say::figure(measure, value, &context);
        let buckets = say::plural(rows.number(0, "buckets").unwrap_or(0.0), group.column());
        let (each, told) = (group.column(), period.told());
        if measure.is_count() {
            return format!(
                "There were {figure}{} a {each} on average {told}, over {buckets}.",
                whose(&scope)
            );
        }
        format!(
            "The average {}{} was {figure} a {each} {told}, over {buckets}.",
            measure.name,
            whose(&scope)
        )
    }))
}

/// The value of one minute.
fn at_moment(asked: &Asked, query: Query) -> Result<Understood, NotUnderstood> {
    let (measure, at) = (query.measure, query.period.from);
    let columns = if matches!(query.scope, Scope::One(_)) {
        measure.pump
    } else {
        measure.station
    };
    let of_minutes = columns
        .iter()
        .find(|(source, _)| *source == Source::Minutes);
    let row = match of_minutes {
        Some((source, Column::Gauge(mean, ..))) => query.row(*source, mean),
        Some((source, Column::Ratio(part, by))) => {
            format!(
                "1.0 * {} / nullif({}, 0)",
                query.row(*source, part),
                query.row(*source, by)
            )
        }
        _ => {
            return Err(NotUnderstood::because(format!(
                "{} adds up over time; ask for a day, an hour or another stretch instead of one moment",
                if measure.is_count() {
                    format!("the number of {}", say::many(measure.name))
                } else {
                    format!("the {}", measure.name)
                }
            )));
        }
    };
    let sql = format!(
        "SELECT timestamp AS at, {row} AS {} FROM readings_wide WHERE {} ORDER BY ts LIMIT 1",
        measure.column,
        query.condition(Source::Minutes)
    );
    let (scope, context, period) = (
        query.scope.clone(),
        asked.context.clone(),
        query.period.clone(),
    );
    Ok(Understood::sentence(sql, move |rows| {
        match rows.number(0, measure.column) {
            Some(value) => {
                let figure = say::figure(measure, value, &context);
                format!(
                    "The {}{} was {figure} at {}.",
                    measure.name,
                    whose(&scope),
                    told_minute(at)
                )
            }
            None if rows.rows.is_empty() && !say::is_outside(&period, &context) => {
                format!("There is no row for {}.", told_minute(at))
            }
            None => say::nothing(
                &format!("{}{}", measure.name, whose(&scope)),
                &period,
                &context,
            ),
        }
    }))
}
