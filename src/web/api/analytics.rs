//! Any period: values over time, sessions of the pumps, days, hours of the day, sums.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Params, Period, Problem};
use crate::{
    store::look::series::{POINTS, is_series},
    web::Shared,
};

/// Points of a series when the request says nothing.
const POINTS_USUAL: i64 = 1000;

/// Which series.
#[derive(Deserialize)]
pub struct SeriesOf {
    from: i64,
    until: i64,
    columns: String,
    points: Option<i64>,
}

/// `GET /series`.
pub async fn series(State(shared): State<Arc<Shared>>, Params(of): Params<SeriesOf>) -> Answer {
    let SeriesOf {
        from,
        until,
        columns,
        points,
    } = of;
    let stretch = Period { from, until }.stretch()?;
    let points = points.unwrap_or(POINTS_USUAL);
    if !POINTS.contains(&points) {
        return Err(Problem::Wrong(format!(
            "points must lie between {} and {}",
            POINTS.start(),
            POINTS.end()
        )));
    }
    if let Some(unknown) = columns.split(',').find(|column| !is_series(column)) {
        return Err(Problem::Wrong(format!(
            "{unknown:?} is no column that can be plotted"
        )));
    }
    let found = shared
        .looks
        .ask(move |look| {
            let mut columns: Vec<_> = columns.split(',').collect();
            columns.dedup();
            look.series(&columns, stretch, points)
        })
        .await?;
    found.map(Json).map_err(Problem::Wrong)
}

/// `GET /sessions`.
pub async fn sessions(State(shared): State<Arc<Shared>>, Params(period): Params<Period>) -> Answer {
    let stretch = period.stretch()?;
    let found = shared.looks.ask(move |look| look.sessions(stretch)).await?;
    Ok(Json(json!({ "sessions": found })))
}

/// `GET /days`.
pub async fn days(State(shared): State<Arc<Shared>>, Params(period): Params<Period>) -> Answer {
    let stretch = period.stretch()?;
    let found = shared.looks.ask(move |look| look.days(stretch)).await?;
    Ok(Json(json!({ "days": found })))
}

/// `GET /hours`.
pub async fn hours(State(shared): State<Arc<Shared>>, Params(period): Params<Period>) -> Answer {
    let stretch = period.stretch()?;
    let found = shared.looks.ask(move |look| look.hours(stretch)).await?;
    Ok(Json(json!({ "hours": found })))
}

/// `GET /totals`.
pub async fn totals(State(shared): State<Arc<Shared>>, Params(period): Params<Period>) -> Answer {
    let stretch = period.stretch()?;
    Ok(Json(
        shared.looks.ask(move |look| look.totals(stretch)).await?,
    ))
}

/// `GET /health`.
pub async fn health(State(shared): State<Arc<Shared>>, Params(period): Params<Period>) -> Answer {
    let stretch = period.stretch()?;
    let found = shared.looks.ask(move |look| look.health(stretch)).await?;
    Ok(Json(json!({ "health": found })))
}

/// `GET /range`.
pub async fn range(State(shared): State<Arc<Shared>>) -> Answer {
    Ok(Json(shared.looks.ask(|look| look.range()).await?))
}
