//! Questions in plain language.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Body, Problem};
use crate::{
    assistant::desk::{Desk, Engine},
    web::Shared,
};

/// `GET /assistant`.
pub async fn assistant(State(shared): State<Arc<Shared>>) -> Answer {
    let engine = shared.config.assistant.as_ref().map(|it| &it.model);
    Ok(Json(
        json!({ "examples": Desk::examples(), "engine": engine }),
    ))
}

/// What is asked.
#[derive(Deserialize)]
pub struct Question {
    question: String,
}

/// `POST /ask`.
pub async fn ask(State(shared): State<Arc<Shared>>, Body(asked): Body<Question>) -> Answer {
    if asked.question.trim().is_empty() {
        return Err(Problem::Wrong("the question is empty".into()));
    }
    // One at a time: a model on a small server has no more breath, and whoever asks is a person.
    let _turn = shared
        .questions
        .acquire()
        .await
        .map_err(anyhow::Error::from)?;
    let desk = Desk::new(&shared.config);
    let answering =
        tokio::task::spawn_blocking(move || desk.answer(&asked.question, Engine::Either));
    let answer = answering.await.map_err(anyhow::Error::from)?;
    if let Err(error) = &answer {
        shared.handle.report_async(error).await;
    }
    Ok(Json(json!(answer?)))
}
