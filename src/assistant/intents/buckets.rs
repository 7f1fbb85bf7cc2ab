//! Which day, hour, week or month had the most or the least of something.

use super::{
    Shaped, Understood,
    asked::{Asked, Rank},
    dates::{WEEKDAYS, told, told_month},
    figure::{as_answered, whose},
    measures::{Column, Fold, Measure, measure},
    periods::Period,
    say::{self, Cells},
    sources::{Group, Query, Scope},
};
use crate::{assistant::Show, calendar::day_of};

/// Most buckets of an answer.
const BUCKETS_MAX: usize = 400;

/// Superlatives over stretches of time.
pub(super) fn shape(asked: &Asked) -> Shaped {
    if asked.each_pump {
        return None;
    }
    let measure = measured(asked)?;
    let extreme = matches!(asked.fold, Some(Fold::Max | Fold::Min)) || asked.rank.is_some();
    let adds_up = measure.is_amount() || is_ratio(measure);
    let wanted = match asked.group {
        Some(group) => (asked.which || extreme).then_some(group),
        // The highest consumption is that of a day, unlike the highest level, which is that of a minute.
        None => (extreme && adds_up && measure.column != "run_length_min").then_some(Group::Day),
    };
    let wanted = wanted?;
    let period = asked.period_or(|asked| match wanted {
        Group::Week | Group::Month => asked.all(),
        _ => asked.last_days(30),
    });
    if period.is_moment {
        return None;
    }
    let group = fitting(wanted, &period);
    super_of(asked, measure, group, period).map(Ok)
}

fn measured(asked: &Asked) -> Option<&'static Measure> {
    let busiest = asked.words.any("busiest, quietest, busy, quiet") && asked.pumps.is_empty();
    match asked.measure() {
        Some(found) if found.column == "run_min" && busiest => Some(measure("flow_m3h")),
        None if matches!(asked.group, Some(Group::Hour | Group::HourOfDay)) && asked.which => {
            Some(measure("flow_m3h"))
        }
        None if asked.which && busiest => Some(measure("flow_m3h")),
        found => found,
    }
}

pub(super) fn is_ratio(measure: &Measure) -> bool {
    let all = measure.station.iter().chain(measure.pump);
    all.into_iter()
        .any(|(_, column)| matches!(column, Column::Ratio(..)))
}

/// Hours of one day are told apart; over several days they are hours of the day. A day has no days.
fn fitting(group: Group, period: &Period) -> Group {
    match group {
        Group::Hour if period.length_days() > 1 => Group::HourOfDay,
        Group::Day if period.length_days() == 1 => Group::Hour,
        other => other,
    }
}

fn is_least(asked: &Asked, measure: &Measure) -> bool {
    match asked.rank {
        Some(Rank::Best) => measure.more_is_better == Some(false),
        Some(Rank::Worst) => measure.more_is_better == Some(true),
        Some(Rank::Least) => true,
        _ => asked.fold == Some(Fold::Min) || asked.words.has("quietest"),
    }
}

fn super_of(
    asked: &Asked,
    measure: &'static Measure,
    group: Group,
    mut period: Period,
) -> Option<Understood> {
    let least = is_least(asked, measure);
    // A day that is not over has the least of everything.
    let cut = least
        && measure.is_amount()
        && period.is_open
        && group == Group::Day
        && period.length_days() > 1;
    if cut {
        period.until = asked.words.today() * 1440;
        period.is_open = false;
    }
    let mut query = asked.query(measure, fold(asked, measure), asked.scope(measure), &period);
    query.group = Some(group);
    let order = if least { "ASC" } else { "DESC" };
    let (sql, source) = grouped(
        &query,
        &format!("{} {order}, 1", measure.column),
        BUCKETS_MAX,
    )?;
    let show = Show::Bars {
        x: group.column().into(),
        y: vec![measure.column.into()],
        unit: say::unit(measure, asked.context),
    };
    let (scope, context, fold) = (query.scope.clone(), asked.context.clone(), query.fold);
    let period = as_answered(&period, source);
    let most = asked.words.top();
    Some(Understood::new(sql, show, move |rows| {
        let pairs = rows.pairs(group.column(), measure.column);
        let Some((first, value)) = pairs.first() else {
            return say::nothing(
                &format!("{}{}", measure.name, whose(&scope)),
                &period,
                &context,
            );
        };
        let word = if least { "least" } else { "most" };
        let what = what_of(measure, fold, least, word);
        let told = bucket(group, first);
        let figure = say::figure(measure, *value, &context);
        let tied = pairs.iter().take_while(|(_, other)| other == value).count();
        if tied > 1 && most == 2 {
            let all: Vec<String> = pairs[..tied.min(3)]
                .iter()
                .map(|(key, _)| bucket(group, key))
                .collect();
            let more = if tied > 3 { " and others" } else { "" };
            let joined = if tied > 3 {
                all.join(", ")
            } else {
                say::list(&all)
            };
            return format!(
                "{}{more} had the {what}{}: {figure} each, {}.",
                say::sentence(&joined),
                whose(&scope),
                period.told()
            );
        }
        let others = pairs.iter().take(most).skip(1).map(|(next, value)| {
            let figure = say::figure(measure, *value, &context);
            format!("{} with {figure}", bucket(group, next))
        });
        let others: Vec<String> = others.collect();
        let next = if others.is_empty() {
            String::new()
        } else {
            format!("; then {}", say::list(&others))
        };
        let mean = if group.is_cyclic() && measure.is_amount() {
            " on average"
        } else {
            ""
        };
        let left_out = if cut {
            " Today is left out, as it is not over."
        } else {
            ""
        };
        format!(
            "{} had the {what}{}: {figure}{mean}{next}, {}.{left_out}",
            say::sentence(&told),
            whose(&scope),
            period.told()
        )
    }))
}

/// `most energy`, `lowest tank level`, `highest average flow`.
fn what_of(measure: &Measure, fold: Fold, least: bool, word: &str) -> String {
    if measure.is_count() {
        let fewest = if least { "fewest" } else { word };
        return format!("{fewest} {}", say::many(measure.name));
    }
    if measure.is_amount() {
        return match measure.unit {
            "h" => format!(
                "{} {}",
                if least { "shortest" } else { "longest" },
                measure.name
            ),
            _ => format!(
                "{} {}",
                if least { "lowest" } else { "highest" },
                measure.name
            ),
        };
    }
    let end = if least { "lowest" } else { "highest" };
    match fold {
        Fold::Mean if !is_ratio(measure) => format!("{end} average {}", measure.name),
        _ => format!("{end} {}", measure.name),
    }
}

fn fold(asked: &Asked, measure: &Measure) -> Fold {
    let extreme = asked
        .fold
        .filter(|fold| matches!(fold, Fold::Min | Fold::Max));
    if measure.is_amount() || is_ratio(measure) {
        return measure.usual;
    }
    let cyclic = asked
        .group
        .is_some_and(|group| group.is_cyclic() || group == Group::Hour);
    extreme.filter(|_| !cyclic).unwrap_or(Fold::Mean)
}

/// The SELECT of a group, and the table that it reads.
pub(super) fn grouped(
    query: &Query,
    order: &str,
    most: usize,
) -> Option<(String, super::sources::Source)> {
    let group = query.group?;
    let (source, column) = query.source()?;
    let pump = if matches!(query.scope, Scope::Each(_)) {
        "pump, "
    } else {
        ""
    };
    let sql = format!(
        "SELECT {pump}{} AS {}, {} AS {name} FROM {} WHERE {} GROUP BY {pump}1 HAVING {name} IS NOT NULL ORDER BY {order} LIMIT {most}",
        source.key(group),
        group.column(),
        query.value(source, column),
        query.from(source),
        query.condition(source),
        name = query.measure.column,
    );
    Some((sql, source))
}

/// A bucket as sentences tell it.
pub(super) fn bucket(group: Group, key: &str) -> String {
    let day = key.get(..10).and_then(day_of);
    match (group, day) {
        (Group::Day, Some(day)) => told(day),
        (Group::Week, Some(day)) => format!("the week from {}", told(day)),
        (Group::Hour, Some(day)) => {
            let hour: i64 = key
                .get(11..13)
                .and_then(|hour| hour.parse().ok())
                .unwrap_or(0);
            format!(
                "the hour from {hour:02}:00 to {:02}:00 on {}",
                hour + 1,
                told(day)
            )
        }
        (Group::Month, _) => day_of(&format!("{key}-01")).map_or_else(|| key.into(), told_month),
        (Group::HourOfDay, _) => {
            let hour: i64 = key.parse().unwrap_or(0);
            format!("the hour from {hour:02}:00 to {:02}:00", hour + 1)
        }
        (Group::Weekday, _) => {
            let day: usize = key.parse().unwrap_or(0);
            format!("{}s", WEEKDAYS[day % 7])
        }
        _ => key.into(),
    }
}
