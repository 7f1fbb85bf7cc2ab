//! What is forecast, what was forecast beside what came, and the models.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Params, Period, Problem};
use crate::{
    forecast::{
        manifest::Target,
        models::{Decisions, Models},
    },
    publish::forecasts::payload,
    web::Shared,
};

/// Decisions about a place that are told, the newest.
const DECISIONS_MAX: usize = 20;
/// Columns of a model whose importance is told.
const IMPORTANT_MAX: usize = 12;
/// Longest stretch of past forecasts, s: a point a minute.
const PAST_S_MAX: i64 = 31 * 86_400;

/// `GET /forecasts`.
pub async fn newest(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let told = shared.forecasts.borrow().clone();
    let forecasts = told.iter().map(|one| {
        let mut forecast = payload(&one.forecast);
        let place = one.forecast.place;
        forecast["target"] = place.target.name().into();
        forecast["unit"] = place.target.unit().into();
        forecast["horizon"] = place.horizon.name().into();
        forecast["first_ts"] = ((one.forecast.made + place.horizon.slot_min()) * 60).into();
        forecast["health"] = one.health.as_deref().into();
        forecast
    });
    Json(json!({ "forecasts": forecasts.collect::<Vec<_>>() }))
}

/// Which past forecasts.
#[derive(Deserialize)]
pub struct Past {
    from: i64,
    until: i64,
    target: String,
    ahead_min: i64,
}

/// `GET /forecasts/past`.
pub async fn past(State(shared): State<Arc<Shared>>, Params(past): Params<Past>) -> Answer {
    let Past {
        from,
        until,
        target,
        ahead_min,
    } = past;
    let stretch = Period { from, until }.stretch()?;
    if Target::named(&target).is_none() {
        return Err(Problem::Wrong(
            "target must be hlt_pct or flow_demand".into(),
        ));
    }
    if until - from > PAST_S_MAX {
        return Err(Problem::Wrong("the period is longer than 31 days".into()));
    }
    if !(1..=1440).contains(&ahead_min) {
        return Err(Problem::Wrong(
            "ahead_min must lie between 1 and 1440".into(),
        ));
    }
    let found = shared
        .looks
        .ask(move |look| look.forecast_and_actual(&target, ahead_min, stretch))
        .await?;
    Ok(Json(json!({ "forecasts": found })))
}

/// `GET /models/performance`.
pub async fn performance(
    State(shared): State<Arc<Shared>>,
    Params(period): Params<Period>,
) -> Answer {
    let stretch = period.stretch()?;
    let found = shared
        .looks
        .ask(move |look| look.performance(stretch))
        .await?;
    Ok(Json(json!({ "performance": found })))
}

/// `GET /models`.
pub async fn models(State(shared): State<Arc<Shared>>) -> Answer {
    let folder = shared.config.models.clone();
    let told = tokio::task::spawn_blocking(move || -> anyhow::Result<Value> {
        let all = Decisions::read(&folder)?;
        let mut models = Models::new(folder);
        models.look();
        let places = all.places().into_iter().map(|place| {
            let in_use = models.at(place);
            let manifest = in_use.as_ref().ok().map(|it| &it.model.manifest);
            let decisions: Vec<_> = all
                .decisions
                .iter()
                .rev()
                .filter(|it| it.place == place)
                .take(DECISIONS_MAX)
                .collect();
            let mut important: Vec<(&String, &f64)> =
                manifest.map(|it| it.importance.iter().collect()).unwrap_or_default();
            important.sort_by(|a, b| b.1.total_cmp(a.1));
            important.truncate(IMPORTANT_MAX);
            json!({
                "place": place,
                "in_use": manifest.map(|it| &it.id),
                "unit": manifest.map(|it| &it.unit),
                "importance": important,
                "scores": manifest.map(|it| &it.scores),
                "trouble": in_use.as_ref().map_or_else(|why| Some(why.clone()), |it| it.instead.clone()),
                "decisions": decisions,
            })
        });
        Ok(json!({ "places": places.collect::<Vec<_>>() }))
    });
    let told = told.await.map_err(anyhow::Error::from)??;
    Ok(Json(told))
}
