//! Two periods beside each other, or some pumps.

use super::{
    Shaped, Understood,
    asked::Asked,
    figure::{as_answered, usual_period, whose},
    measures::{Column, Fold, Measure, measure},
    periods::Period,
    pumps::ranking,
    say::{self, Cells},
    sources::{Group, Scope},
    units::unit_back,
    when::Piece,
};
use crate::{assistant::Show, tags::pump_name};

/// What stands beside each other where a question names no measure.
const OVERVIEW: &[&str] = &[
    "volume_m3",
    "energy_kwh",
    "kwh_per_m3",
    "level_pct",
    "starts",
    "alerts",
];

/// Comparisons.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let compares = asked.words.any(
        "compare, compared, comparison, versus, vs, than, difference, against, change, changed, \
         relative to, increase, increased, decrease, decreased, more or less, differ",
    );
    if asked.pumps.len() > 1 {
        return of_pumps(asked).map(Ok);
    }
    if compares
        && asked.each_pump
        && asked.periods.len() < 2
        && asked.rank.is_none()
        && asked
            .measure()
            .is_none_or(|measure| measure.column == "run_min")
    {
        return of_pumps(asked).map(Ok);
    }
    if let Some(summary) = summary(asked) {
        return Some(Ok(summary));
    }
    let second = match asked.periods.as_slice() {
        [_, second, ..] => second.clone(),
        [only] if compares && !asked.each_pump && !asked.which => counterpart(asked, only)?,
        _ => return None,
    };
    if asked.which || asked.group.is_some_and(|group| group == Group::HourOfDay) {
        return None;
    }
    let first = asked.periods[0].clone();
    // What was before is what the newer one is held against.
    let (newer, older) = if first.from >= second.from {
        (first, second)
    } else {
        (second, first)
    };
    match asked.measure() {
        Some(measure) => of_periods(asked, measure, newer, older).map(Ok),
        None => overview(asked, newer, older).map(Ok),
    }
}

/// The main figures of one period.
fn summary(asked: &Asked) -> Option<Understood> {
    let [period] = asked.periods.as_slice() else {
        return None;
    };
    let words = &asked.words;
    let asks = words.any("happened, happen, summary, overview, report, summarise, summarize, how was, how were, how did");
    let other = asked.rank.is_some()
        || asked.fold.is_some()
        || asked.group.is_some()
        || asked.limit.is_some();
    if !asks || other || !asked.measures.is_empty() || !asked.pumps.is_empty() || period.is_moment {
        return None;
    }
    let values = OVERVIEW.iter().filter_map(|column| {
        let measure = measure(column);
        let (sql, _) = value_of(asked, measure, measure.usual, period)?;
        Some(format!("{sql} AS {column}"))
    });
    let sql = format!("SELECT {}", values.collect::<Vec<_>>().join(", "));
    let (context, period) = (asked.context.clone(), period.clone());
    Some(Understood::new(sql, Show::Table, move |rows| {
        if say::is_outside(&period, &context) {
            return say::nothing("station", &period, &context);
        }
        let told = OVERVIEW.iter().filter_map(|column| {
            let measure = measure(column);
            let figure = say::figure(measure, rows.number(0, column)?, &context);
            Some(if measure.is_count() {
                figure
            } else {
                format!("{} {figure}", measure.name)
            })
        });
        format!(
            "{}: {}.",
            say::sentence(&period.told()),
            told.collect::<Vec<_>>().join(", ")
        )
    }))
}

/// What a single period is compared with: the one before it, or the one that runs.
fn counterpart(asked: &Asked, period: &Period) -> Option<Period> {
    let unit = period.name.split(' ').next_back().unwrap_or_default();
    let back = match period.name.as_str() {
        "today" => return Some(asked.yesterday()),
        "yesterday" => return Some(asked.today()),
        name if name.starts_with("this ") => 1,
        name if name.starts_with("last ") && unit != "night" => 0,
        _ => {
            let length = period.until - period.from;
            return Some(Period::new(period.from - length, period.from, ""));
        }
    };
    match unit_back(&asked.words, unit, back, 0) {
        Some((Piece::Stretch(period), _)) => Some(period),
        _ => None,
    }
}

/// The SELECT of one figure, as a value in another one.
pub(super) fn value_of(
    asked: &Asked,
    measure: &'static Measure,
    fold: Fold,
    period: &Period,
) -> Option<(String, Period)> {
    let query = asked.query(measure, fold, asked.scope(measure), period);
    let (source, column) = query.source()?;
    let zero = measure.is_count();
    let value = query.value(source, column);
    let value = if zero {
        format!("coalesce({value}, 0)")
    } else {
        value
    };
    let sql = format!(
        "(SELECT {value} FROM {} WHERE {})",
        query.from(source),
        query.condition(source)
    );
    Some((sql, as_answered(period, source)))
}

fn of_periods(
    asked: &Asked,
    measure: &'static Measure,
    newer: Period,
    older: Period,
) -> Option<Understood> {
    let fold = match asked.fold {
        Some(fold) if !measure.is_amount() && fold != Fold::Total => fold,
        _ => measure.usual,
    };
    let (first, newer) = value_of(asked, measure, fold, &newer)?;
    let (second, older) = value_of(asked, measure, fold, &older)?;
    let sql = format!("SELECT {first} AS newer, {second} AS older");
    let (context, scope) = (asked.context.clone(), asked.scope(measure));
    let amount = measure.is_amount();
    Some(Understood::new(sql, Show::Table, move |rows| {
        let (Some(new), Some(old)) = (rows.number(0, "newer"), rows.number(0, "older")) else {
            let missing = if rows.number(0, "newer").is_none() {
                &newer
            } else {
                &older
            };
            return say::nothing(
                &format!("{}{}", measure.name, whose(&scope)),
                missing,
                &context,
            );
        };
        let figure = |value: f64| say::figure(measure, value, &context);
        let fold = match fold {
            Fold::Mean if matches!(measure.station.first(), Some((_, Column::Gauge(..)))) => {
                "average "
            }
            Fold::Max => "highest ",
            Fold::Min => "lowest ",
            _ => "",
        };
        let change = change(old, new, measure.unit == "%");
        let unfinished = if amount && newer.is_open {
            " The newer one is not over."
        } else {
            ""
        };
        if measure.is_count() {
            return format!(
                "There were {}{} {}, against {} {}{change}.{unfinished}",
                figure(new),
                whose(&scope),
                newer.told(),
                figure(old),
                older.told()
            );
        }
        let text = format!(
            "the {fold}{}{} was {} {}, against {} {}{change}.{unfinished}",
            measure.name,
            whose(&scope),
            figure(new),
            newer.told(),
            figure(old),
            older.told()
        );
        say::sentence(&text)
    }))
}

/// `, 12.0 % more`.
fn change(old: f64, new: f64, points: bool) -> String {
    let more = if new >= old { "more" } else { "less" };
    if points {
        return format!(": {} points {more}", say::number((new - old).abs(), 1));
    }
    if old == 0.0 {
        return String::new();
    }
    if new == old {
        return ": the same".into();
    }
    format!(
        ": {} % {more}",
        say::number(100.0 * (new / old - 1.0).abs(), 1)
    )
}

/// The main figures of two periods.
fn overview(asked: &Asked, newer: Period, older: Period) -> Option<Understood> {
    if !asked
        .words
        .any("compare, compared, comparison, versus, vs, difference, against, differ")
    {
        return None;
    }
    let mut values = Vec::new();
    for (place, period) in [("newer", &newer), ("older", &older)] {
        for column in OVERVIEW {
            let measure = measure(column);
            let (sql, _) = value_of(asked, measure, measure.usual, period)?;
            values.push(format!("{sql} AS {column}_{place}"));
        }
    }
    let sql = format!("SELECT {}", values.join(", "));
    let context = asked.context.clone();
    Some(Understood::new(sql, Show::Table, move |rows| {
        let told: Vec<String> = OVERVIEW
            .iter()
            .filter_map(|column| {
                let measure = measure(column);
                let new = rows.number(0, &format!("{column}_newer"))?;
                let old = rows.number(0, &format!("{column}_older"))?;
                let (new, old) = (
                    say::figure(measure, new, &context),
                    say::figure(measure, old, &context),
                );
                Some(if measure.is_count() {
                    format!("{new} after {old}")
                } else {
                    format!("{} {new} after {old}", measure.name)
                })
            })
            .collect();
        if told.is_empty() {
            return say::nothing("station", &older, &context);
        }
        format!(
            "{} beside {}: {}.",
            say::sentence(&newer.told()),
            older.told(),
            told.join(", ")
        )
    }))
}

fn of_pumps(asked: &Asked) -> Option<Understood> {
    if let Some(measure) = asked.measure().filter(|measure| !measure.pump.is_empty()) {
        let period = asked.period_or(|asked| usual_period(asked, measure));
        if !period.is_moment {
            return ranking(asked, measure, &period, asked.pumps.clone());
        }
        return None;
    }
    if !asked.measures.is_empty() {
        return None;
    }
    let period = asked.period_or(|asked| asked.last_days(7));
    let query = asked.query(
        measure("starts"),
        Fold::Total,
        Scope::Each(asked.pumps.clone()),
        &period,
    );
    let sql = format!(
        "SELECT pump, sum(total_runtime_min) AS run_min, sum(start_count) AS starts, sum(short_cycle_count) AS short_cycles, \
         round(sum(total_runtime_min * avg_kwh) / 60.0, 1) AS energy_kwh, \
         round(sum(avg_flow_per_kwh * total_runtime_min * avg_kwh) / nullif(sum(CASE WHEN avg_flow_per_kwh IS NOT NULL THEN total_runtime_min * avg_kwh END), 0), 2) AS m3_per_kwh \
         FROM pump_health WHERE {} GROUP BY pump ORDER BY pump",
        query.condition(super::sources::Source::Health)
    );
    let context = asked.context.clone();
    let named: Vec<&str> = asked.pumps.iter().map(|pump| pump_name(*pump)).collect();
    let named = named.join(" and ");
    Some(Understood::new(sql, Show::Table, move |rows| {
        let period = as_answered(&period, super::sources::Source::Health);
        if rows.rows.is_empty() {
            return say::nothing(&format!("pumps {named}"), &period, &context);
        }
        let told = (0..rows.rows.len()).map(|row| {
            let of = |column: &str| {
                rows.number(row, column)
                    .map(|value| say::figure(measure(column), value, &context))
            };
            let parts: Vec<String> = ["run_min", "starts", "energy_kwh", "m3_per_kwh"]
                .into_iter()
                .filter_map(of)
                .collect();
            format!("{} {}", rows.text(row, "pump"), parts.join(", "))
        });
        let told: Vec<String> = told.collect();
        format!(
            "Running time, starts, energy and efficiency {}: {}.",
            period.told(),
            told.join("; ")
        )
    }))
}
