//! How something went over time.

use super::{
    Shaped, Understood,
    asked::Asked,
    buckets::{bucket, grouped},
    figure::{as_answered, mean_of_buckets, usual_period, whose},
    measures::{Column, Fold, Measure},
    periods::Period,
    say::{self, Cells},
    sources::{Group, Query, Scope, Source},
};
use crate::assistant::Show;

/// Most points of a series.
const POINTS_MAX: usize = 400;
/// The longest line of single minutes.
const MINUTE_BY_MINUTE: i64 = 360;

/// Series.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let words = &asked.words;
    let measure = asked.measure()?;
    // A trend of efficiency is its slope, which is one figure.
    let is_slope = measure.column == "efficiency_slope";
    let drawn = words.any("plot, chart, graph, curve, profile, history, over time, development")
        || !is_slope && words.any("trend, series, develop");
    let shown =
        words.any("show, display, list, give") && asked.fold.is_none() && asked.rank.is_none();
    let each = asked.group.is_some() && !asked.which;
    let is_mean = asked.fold == Some(Fold::Mean) && measure.is_amount();
    let period = asked.period_or(|asked| match asked.group {
        Some(Group::Day | Group::Weekday) => asked.last_days(30),
        Some(Group::Week | Group::Month) => asked.all(),
        _ if words.has("profile") => asked.last_days(7),
        _ if is_slope || measure.column == "health_score" => asked.last_days(30),
        _ => usual_period(asked, measure),
    });
    if period.is_moment {
        return None;
    }
    let query = asked.query(
        measure,
        fold(asked, measure),
        scope(asked, measure),
        &period,
    );
    if is_mean && each {
        return mean_of_buckets(asked, query, Group::Day).map(Ok);
    }
    if !(drawn || each || shown && !asked.each_pump) {
        return None;
    }
    let profile = words.has("profile") && period.length_days() > 1;
    let group = match asked.group {
        Some(Group::Hour) | None if profile => Some(Group::HourOfDay),
        group => group.or(usual_group(&query)),
    };
    match group {
        Some(group) => in_groups(asked, query, group).map(Ok),
        None => Some(Ok(line(asked, &query))),
    }
}

fn scope(asked: &Asked, measure: &Measure) -> Scope {
    if asked.each_pump && !measure.pump.is_empty() {
        return Scope::Each(Vec::new());
    }
    asked.scope(measure)
}

fn fold(asked: &Asked, measure: &Measure) -> Fold {
    match asked.fold {
        Some(fold) if !measure.is_amount() && fold != Fold::Total => fold,
        _ => measure.usual,
    }
}

/// By what a series is put together where the question does not say; `None` for a line of minutes.
fn usual_group(query: &Query) -> Option<Group> {
    let days = query.period.length_days();
    let has_minutes = query.source().is_some_and(|(source, column)| {
        source == Source::Minutes && matches!(column, Column::Gauge(..))
    });
    match days {
        ..=4 if has_minutes && !query.period.is_long() => None,
        1 if query
            .source()
            .is_some_and(|(source, _)| source.is_daily() && !matches!(source, Source::Days))
            && !query.measure.is_amount() =>
        {
            Some(Group::Day)
        }
        1 => Some(Group::Hour),
        ..=16 if has_minutes => Some(Group::Hour),
        ..=400 => Some(Group::Day),
        _ => Some(Group::Month),
    }
}

fn in_groups(asked: &Asked, mut query: Query, group: Group) -> Option<Understood> {
    query.group = Some(group);
    let each = matches!(query.scope, Scope::Each(_));
    let most = if each { POINTS_MAX * 2 } else { POINTS_MAX };
    let (sql, source) = grouped(&query, if each { "2, 1" } else { "1" }, most)?;
    let (measure, context) = (query.measure, asked.context.clone());
    let (x, y, unit) = (
        group.column().to_owned(),
        vec![measure.column.to_owned()],
        say::unit(measure, &context),
    );
    let show = match (each, measure.is_amount() || group.is_cyclic()) {
        (true, _) => Show::Table,
        (_, true) => Show::Bars { x, y, unit },
        _ => Show::Line { x, y, unit },
    };
    let (scope, fold, period) = (
        query.scope.clone(),
        query.fold,
        as_answered(&query.period, source),
    );
    Some(Understood::new(sql, show, move |rows| {
        let pairs = rows.pairs(group.column(), measure.column);
        if pairs.is_empty() {
            return say::nothing(
                &format!("{}{}", measure.name, whose(&scope)),
                &period,
                &context,
            );
        }
        let by = match group {
            Group::HourOfDay => "hour of the day",
            Group::Weekday => "day of the week",
            other => other.column(),
        };
        let name = if measure.is_count() {
            say::many(measure.name)
        } else {
            measure.name.into()
        };
        let head = format!(
            "{}{} by {by} {}",
            say::sentence(&name),
            whose(&scope),
            period.told()
        );
        if each {
            return format!("{head}, for each pump.");
        }
        let figure = |value: f64| say::figure(measure, value, &context);
        let (low, high) = ends(&pairs);
        let total: f64 = pairs.iter().map(|(_, value)| value).sum();
        let sum = match (measure.is_amount() && !group.is_cyclic(), fold) {
            (true, _) => format!("; {} in all", figure(total)),
            _ => String::new(),
        };
        format!(
            "{head}: from {} ({}) to {} ({}){sum}.",
            figure(low.1),
            bucket(group, &low.0),
            figure(high.1),
            bucket(group, &high.0)
        )
    }))
}

fn ends(pairs: &[(String, f64)]) -> ((String, f64), (String, f64)) {
    let (mut low, mut high) = (0, 0);
    for (place, (_, value)) in pairs.iter().enumerate() {
        if *value < pairs[low].1 {
            low = place;
        }
        if *value > pairs[high].1 {
            high = place;
        }
    }
    (pairs[low].clone(), pairs[high].clone())
}

/// Means of so many minutes that a line has not too many points.
fn step_min(period: &Period) -> i64 {
    match period.until - period.from {
        minutes if minutes <= MINUTE_BY_MINUTE => 1,
        minutes if minutes <= 1800 => 5,
        _ => 15,
    }
}

fn line(asked: &Asked, query: &Query) -> Understood {
    let (measure, context) = (query.measure, asked.context.clone());
    let source = Source::Minutes;
    let row = query.source().map_or_else(String::new, |(source, column)| {
        query.row(source, query.part(column))
    });
    let each = matches!(query.scope, Scope::Each(_));
    // Six lines have six times the points.
    let step = step_min(&query.period) * if each { 6 } else { 1 };
    let pump = if each { "pump, " } else { "" };
    let fold = match query.fold {
        Fold::Min => "min",
        Fold::Max => "max",
        Fold::Mean | Fold::Total => "avg",
    };
    let sql = format!(
        "SELECT {pump}min(timestamp) AS time, round({fold}({row}), 3) AS {} FROM {} WHERE {} GROUP BY {pump}ts / {} ORDER BY {pump}ts LIMIT {}",
        measure.column,
        query.from(source),
        query.condition(source),
        step * 60,
        if each { POINTS_MAX * 2 } else { POINTS_MAX },
    );
    let unit = say::unit(measure, &context);
    let show = if each {
        Show::Table
    } else {
        Show::Line {
            x: "time".into(),
            y: vec![measure.column.into()],
            unit,
        }
    };
    let (scope, period) = (query.scope.clone(), query.period.clone());
    Understood::new(sql, show, move |rows| {
        let pairs = rows.pairs("time", measure.column);
        if pairs.is_empty() {
            return say::nothing(
                &format!("{}{}", measure.name, whose(&scope)),
                &period,
                &context,
            );
        }
        let (low, high) = ends(&pairs);
        let mean = pairs.iter().map(|(_, value)| value).sum::<f64>() / pairs.len() as f64;
        let figure = |value: f64| say::figure(measure, value, &context);
        let every = if step == 1 {
            "each minute".into()
        } else {
            format!("as means of {step} minutes")
        };
        format!(
            "{}{} {}, {every}: from {} to {}, {} on average.",
            say::sentence(measure.name),
            whose(&scope),
            period.told(),
            figure(low.1),
            figure(high.1),
            figure(mean)
        )
    })
}
