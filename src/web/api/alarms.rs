//! Alerts: the list, one of them, what operators do to them, and the rules.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Body, Params, Period, Problem};
use crate::{
    calendar::Calendar,
    rules::{CATALOGUE, register::REGISTER},
    store::{
        look::alarms::Filter,
        operators::{Now, Request, Verb},
    },
    web::{
        Shared,
        access::{Role, Visitor},
    },
};

/// Longest name and comment, characters.
const NAME_MAX: usize = 64;
const COMMENT_MAX: usize = 500;

/// `GET /alerts`.
pub async fn list(State(shared): State<Arc<Shared>>, Params(filter): Params<Filter>) -> Answer {
    Ok(Json(
        shared.looks.ask(move |look| look.alerts(&filter)).await?,
    ))
}

/// `GET /alerts/{event_id}`.
pub async fn one(State(shared): State<Arc<Shared>>, Path(event_id): Path<String>) -> Answer {
    let asked = event_id.clone();
    let found = shared.looks.ask(move |look| look.alert(&asked)).await?;
    let missing = || {
        Problem::NotFound(format!(
            "there is no alert {event_id:?}; late data may have withdrawn it"
        ))
    };
    found.map(Json).ok_or_else(missing)
}

/// `GET /alarms/held`.
pub async fn held(State(shared): State<Arc<Shared>>) -> Answer {
    Ok(Json(
        json!({ "held": shared.looks.ask(|look| look.held()).await? }),
    ))
}

/// `GET /alarms/load`.
pub async fn load(State(shared): State<Arc<Shared>>, Params(period): Params<Period>) -> Answer {
    let stretch = period.stretch()?;
    let found = shared
        .looks
        .ask(move |look| look.alarm_load(stretch))
        .await?;
    Ok(Json(json!({ "days": found })))
}

/// `GET /rules`.
pub async fn rules(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let settings = &shared.config.plant.rules.settings;
    let rules = CATALOGUE.iter().zip(&REGISTER).zip(settings);
    let rules = rules.map(|((rule, record), settings)| {
        json!({
            "code": rule.code,
            "name": rule.name,
            "severity": settings.severity.name(),
            "enabled": settings.enabled,
            "condition": rule.condition,
            "for_min": settings.for_min,
            "cause": record.cause,
            "consequence": record.consequence,
            "action": record.action,
            "respond_within_min": record.respond_within_min,
        })
    });
    Json(json!({ "rules": rules.collect::<Vec<_>>() }))
}

/// What an operator says with it.
#[derive(Deserialize)]
pub struct Said {
    comment: Option<String>,
    until: Option<i64>,
    user: Option<String>,
}

/// `POST /alerts/{event_id}/{verb}`.
pub async fn act(
    State(shared): State<Arc<Shared>>,
    Extension(visitor): Extension<Visitor>,
    Path((event_id, verb)): Path<(String, String)>,
    Body(said): Body<Said>,
) -> Answer {
    if visitor.role < Role::Operator {
        return Err(Problem::Forbidden(
            "a viewer looks on; this needs the role operator".into(),
        ));
    }
    let Some(verb) = Verb::parse(&verb) else {
        return Err(Problem::NotFound(format!(
            "{verb:?} is not done to alerts; ack, shelve, unshelve, out_of_service and in_service are"
        )));
    };
    let plain = |text: String, most: usize| {
        let text: String = text
            .trim()
            .chars()
            .filter(|c| !c.is_control())
            .take(most)
            .collect();
        Some(text).filter(|text| !text.is_empty())
    };
    let name = visitor
        .user
        .or_else(|| said.user.and_then(|user| plain(user, NAME_MAX)));
    let Some(operator) = name else {
        return Err(Problem::Wrong(
            "user is missing: the journal says who did it".into(),
        ));
    };
    let request = Request {
        verb,
        event_id,
        operator,
        comment: said.comment.and_then(|comment| plain(comment, COMMENT_MAX)),
        until_ts: said.until,
    };
    let ts = shared.clock.now_s();
    let mut calendar = Calendar::new(shared.config.plant.zone.clone());
    let local = calendar.local(ts.div_euclid(60)).minute;
    let shelve_max_min = shared.config.shelve_max_min;
    let id = format!("web-{:016x}", rand::random::<u64>());
    let done = shared
        .handle
        .transact_async(move |store| store.act(&request, &id, Now { ts, local }, shelve_max_min))
        .await?;
    done.map_err(Problem::Refused)?;
    Ok(Json(json!({ "result": "done" })))
}
