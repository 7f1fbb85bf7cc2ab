//! The JSON behind the pages: `/api/v1`. `openapi.rs` documents it; the two are held together by a test.

mod alarms;
mod analytics;
mod ask;
mod forecasts;
pub mod now;
pub mod openapi;
mod schedule;

use std::sync::Arc;

use axum::{
    Extension, Json, Router,
    extract::{FromRequest, FromRequestParts, Query, Request, State},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Shared, access::Visitor};
use crate::store::look::Stretch;

/// Longest period that can be asked for, s: ten years and some.
const PERIOD_S_MAX: i64 = 11 * 366 * 86_400;

/// Why a request has no answer.
#[derive(Debug)]
pub enum Problem {
    /// It cannot be understood.
    Wrong(String),
    /// Nobody is logged in.
    Unknown,
    /// It may not be done, or not by this visitor.
    Forbidden(String),
    /// There is no such thing.
    NotFound(String),
    /// It is asked for under a name that is not this machine's.
    NotHere,
    /// It cannot be done as things stand.
    Refused(String),
    /// Too many attempts; the next one may come after so many seconds.
    TooMany(u64),
    /// Something here does not work.
    Broken(anyhow::Error),
}

impl From<anyhow::Error> for Problem {
    fn from(error: anyhow::Error) -> Self {
        Self::Broken(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Wrong(what) => (StatusCode::BAD_REQUEST, what),
            Self::Unknown => (StatusCode::UNAUTHORIZED, "log in first".to_owned()),
            Self::Forbidden(what) => (StatusCode::FORBIDDEN, what),
            Self::NotFound(what) => (StatusCode::NOT_FOUND, what),
            Self::NotHere => (
                StatusCode::MISDIRECTED_REQUEST,
                "without passwords only this machine is served, as localhost or 127.0.0.1"
                    .to_owned(),
            ),
            Self::Refused(what) => (StatusCode::CONFLICT, what),
            Self::TooMany(wait_s) => {
                let error = format!("too many attempts; try again in {wait_s} s");
                let wait = [(header::RETRY_AFTER, wait_s.to_string())];
                let body = Json(json!({ "error": error }));
                return (StatusCode::TOO_MANY_REQUESTS, wait, body).into_response();
            }
            Self::Broken(error) => {
                log::warn!(cause = format!("{error:#}"); "a request to the dashboard failed");
                let error = "this cannot be answered at the moment; the daemon's log says why";
                (StatusCode::INTERNAL_SERVER_ERROR, error.to_owned())
            }
        };
        (status, Json(json!({ "error": error }))).into_response()
    }
}

/// A request's parameters; what is wrong with them is told like any other problem.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(params)) => Ok(Self(params)),
            Err(wrong) => Err(Problem::Wrong(wrong.body_text())),
        }
    }
}

/// A request's body.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            Err(wrong) => Err(Problem::Wrong(wrong.body_text())),
        }
    }
}

/// An answer.
pub type Answer = Result<Json<Value>, Problem>;

/// A period as a request names it, UTC s.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Period {
    from: i64,
    until: i64,
}

impl Period {
    fn stretch(self) -> Result<Stretch, Problem> {
        let Self { from, until } = self;
        // Years 1970 to 9999: what the calendar can tell.
        let is_time = |ts: i64| (0..253_402_300_800).contains(&ts);
        if !is_time(from) || !is_time(until) || until <= from {
            return Err(Problem::Wrong(
                "from and until must be UTC seconds, until after from".into(),
            ));
        }
        if until - from > PERIOD_S_MAX {
            return Err(Problem::Wrong(
                "the period is longer than eleven years".into(),
            ));
        }
        Ok(Stretch {
            from_s: from,
            until_s: until,
        })
    }
}

/// Everything below `/api/v1`.
pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/openapi.json", get(openapi::document))
        .route("/session", get(session))
        .route("/now", get(now::now))
        .route("/series", get(analytics::series))
        .route("/sessions", get(analytics::sessions))
        .route("/days", get(analytics::days))
        .route("/hours", get(analytics::hours))
        .route("/totals", get(analytics::totals))
        .route("/health", get(analytics::health))
        .route("/range", get(analytics::range))
        .route("/alerts", get(alarms::list))
        .route("/alerts/{event_id}", get(alarms::one))
        .route("/alerts/{event_id}/{verb}", post(alarms::act))
        .route("/alarms/held", get(alarms::held))
        .route("/alarms/load", get(alarms::load))
        .route("/rules", get(alarms::rules))
        .route("/forecasts", get(forecasts::newest))
        .route("/forecasts/past", get(forecasts::past))
        .route("/models", get(forecasts::models))
        .route("/models/performance", get(forecasts::performance))
        .route("/schedule", get(schedule::newest))
        .route("/plans", get(schedule::plans))
        .route("/savings", get(schedule::savings))
        .route("/assistant", get(ask::assistant))
        .route("/ask", post(ask::ask))
        .method_not_allowed_fallback(async || {
            (
                StatusCode::METHOD_NOT_ALLOWED,
                Json(json!({ "error": "this is not done with that method" })),
            )
        })
}

/// Who asks, and what a request that changes something must show.
async fn session(
    State(shared): State<Arc<Shared>>,
    Extension(visitor): Extension<Visitor>,
) -> Json<Value> {
    let shelve_max_h = shared.config.shelve_max_min as f64 / 60.0;
    Json(json!({
        "user": visitor.user,
        "role": visitor.role,
        "csrf": visitor.csrf,
        "shelve_max_h": shelve_max_h,
    }))
}
