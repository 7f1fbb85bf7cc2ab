//! Figures beside the plain one: while a pump ran, lowest and highest together, several measures at once.

use super::{
    Understood,
    asked::Asked,
    compare::value_of,
    figure::{fold, folded, says_average, whose},
    measures::{Column, Fold, Measure},
    periods::Period,
    say::{self, Cells},
    sources::Scope,
};
use crate::{assistant::Show, tags::pump_name};

/// Whether only the minutes count in which a pump runs.
pub(super) fn while_it_runs(asked: &Asked) -> bool {
    let words = &asked.words;
    let joined = words.has("while") || words.has("when") && !words.begins(&["when"]);
    joined && words.any("running, ran, run, runs, on, operating")
}

/// A figure over the minutes in which a pump runs.
pub(super) fn while_running(
    asked: &Asked,
    measure: &'static Measure,
    fold: Fold,
    period: &Period,
    pump: usize,
) -> Option<Understood> {
    let mut query = asked.query(measure, fold, Scope::Station, period);
    query.only = Some(format!("p{}_onoff = 1", pump + 1));
    let (source, column) = query.source()?;
    let mut understood = folded(asked, &query, source, column);
    let said = understood.say;
    understood.say = Box::new(move |rows| format!("While {} ran: {}", pump_name(pump), said(rows)));
    Some(understood)
}

/// Lowest, mean and highest value, where both ends are asked for.
pub(super) fn low_and_high(
    asked: &Asked,
    measure: &'static Measure,
    period: &Period,
) -> Option<Understood> {
    let words = &asked.words;
    let both = words.any("min, minimum, lowest") && words.any("max, maximum, highest, peak");
    if !both && !words.any("range of") || period.is_moment {
        return None;
    }
    let gauge = |fold| {
        let query = asked.query(measure, fold, asked.scope(measure), period);
        let (source, column) = query
            .source()
            .filter(|(_, column)| matches!(column, Column::Gauge(..)))?;
        Some(format!(
            "(SELECT {} FROM {} WHERE {})",
            query.value(source, column),
            query.from(source),
            query.condition(source)
        ))
    };
    let sql = format!(
        "SELECT {} AS lowest, {} AS average, {} AS highest",
        gauge(Fold::Min)?,
        gauge(Fold::Mean)?,
        gauge(Fold::Max)?
    );
    let (context, period, scope) = (asked.context.clone(), period.clone(), asked.scope(measure));
    Some(Understood::new(sql, Show::Table, move |rows| {
        let what = format!("{}{}", measure.name, whose(&scope));
        let of = |column: &str| {
            rows.number(0, column)
                .map(|value| say::figure(measure, value, &context))
        };
        match (of("lowest"), of("average"), of("highest")) {
            (Some(low), Some(mean), Some(high)) => {
                format!(
                    "The {what} was between {low} and {high} {}, {mean} on average.",
                    period.told()
                )
            }
            _ => say::nothing(&what, &period, &context),
        }
    }))
}

/// Several measures of one period.
pub(super) fn several(asked: &Asked, period: &Period) -> Option<Understood> {
    let mut values = Vec::new();
    let measures: Vec<&'static Measure> = asked.measures.iter().take(asked.sure).copied().collect();
    for measure in &measures {
        let (value, _) = value_of(asked, measure, fold(asked, measure), period)?;
        values.push(format!("{value} AS {}", measure.column));
    }
    let folds: Vec<Fold> = measures
        .iter()
        .map(|measure| fold(asked, measure))
        .collect();
    let sql = format!("SELECT {}", values.join(", "));
    let (context, period) = (asked.context.clone(), period.clone());
    Some(Understood::new(sql, Show::Table, move |rows| {
        let told = measures.iter().zip(&folds).map(|(measure, fold)| {
            let which = match fold {
                Fold::Max => "highest ",
                Fold::Min => "lowest ",
                Fold::Mean if says_average(measure) => "average ",
                _ => "",
            };
            let figure = rows
                .number(0, measure.column)
                .map(|value| say::figure(measure, value, &context));
            format!(
                "{which}{} {}",
                measure.name,
                figure.unwrap_or_else(|| "unknown".into())
            )
        });
        let told: Vec<String> = told.collect();
        format!("{}: {}.", say::sentence(&period.told()), told.join("; "))
    }))
}
