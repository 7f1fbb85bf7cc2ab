//! The advice on pumping and what it saves.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Params};
use crate::{publish::schedule::payload, web::Shared};

/// Most rows of a list.
const ROWS_MAX: i64 = 400;

/// `GET /schedule`.
pub async fn newest(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let advice = shared.advice.borrow().clone();
    let mut told = advice
        .as_ref()
        .map_or(Value::Null, |advice| payload(advice));
    if let Some(Ok(plan)) = advice.as_ref().map(|advice| &advice.planned) {
        let settings = &shared.config.schedule;
        for (at, slot) in plan.slots.iter().enumerate() {
            told["slots"][at]["ts"] = (slot.begin * 60).into();
        }
        for (at, change) in plan.changes.iter().enumerate() {
            told["changes"][at]["ts"] = (change.minute * 60).into();
        }
        told["level_min_pct"] = settings.level_min_pct.into();
        told["level_max_pct"] = settings.level_max_pct.into();
    }
    Json(json!({ "schedule": told }))
}

/// How many.
#[derive(Deserialize)]
pub struct Most {
    most: Option<i64>,
}

impl Most {
    fn or(&self, usual: i64) -> i64 {
        self.most.unwrap_or(usual).clamp(1, ROWS_MAX)
    }
}

/// `GET /plans`.
pub async fn plans(State(shared): State<Arc<Shared>>, Params(most): Params<Most>) -> Answer {
    let most = most.or(50);
    Ok(Json(
        json!({ "plans": shared.looks.ask(move |look| look.plans(most)).await? }),
    ))
}

/// `GET /savings`.
pub async fn savings(State(shared): State<Arc<Shared>>, Params(most): Params<Most>) -> Answer {
    let most = most.or(60);
    Ok(Json(
        json!({ "days": shared.looks.ask(move |look| look.savings(most)).await? }),
    ))
}
