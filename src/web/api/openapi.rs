//! `/api/v1/openapi.json`: what there is to ask, from one table.

use axum::{Json, extract::State};
use serde_json::{Map, Value, json};
use std::sync::Arc;

use crate::web::Shared;

/// A parameter: name, kind (`integer` or `string`), whether it is needed, what it is.
type Parameter = (&'static str, &'static str, bool, &'static str);

/// Something that can be asked for.
struct Route {
    path: &'static str,
    does: &'static str,
    answers: &'static str,
    parameters: &'static [Parameter],
}

const FROM: Parameter = ("from", "integer", true, "begin of the period, UTC s");
const UNTIL: Parameter = (
    "until",
    "integer",
    true,
    "end of the period (not in it), UTC s",
);
const MOST: Parameter = ("most", "integer", false, "most rows, 1 to 400");

const ROUTES: &[Route] = &[
    Route {
        path: "/openapi.json",
        does: "This document",
        answers: "OpenAPI 3.1.",
        parameters: &[],
    },
    Route {
        path: "/session",
        does: "Who asks",
        answers: "user (null without passwords), role, csrf: what a POST must show as x-csrf-token, and shelve_max_h: for how long an \
                  alarm can be shelved.",
        parameters: &[],
    },
    Route {
        path: "/now",
        does: "The picture of this moment",
        answers: "row: the newest row of readings_wide; pumps: on, kW, rated kW, hours run, running session, condition; alerts: open \
                  by severity, the most urgent, journal_id; figures of today and yesterday; tariff; advice; forecast; limits; now_ts; \
                  logging_stop: when the historian stopped logging after that row, null unless it did.",
        parameters: &[],
    },
    Route {
        path: "/live",
        does: "The same, pushed",
        answers: "Server-sent events: picture (as /now) whenever something has changed, time (UTC s of the station's clock) every 5 s.",
        parameters: &[],
    },
    Route {
        path: "/series",
        does: "Values over time, thinned so that no peak is lost",
        answers: "step_s; lists ts (UTC s) and, for each column, min, mean and max of each step; null where nothing is known.",
        parameters: &[
            FROM,
            UNTIL,
            (
                "columns",
                "string",
                true,
                "with commas: hlt_pct (%), fit101_per_hr (m³/h), total_kw (kW) over any period; p1_kwh to p6_kwh (kW), \
              flow_per_pump (m³/h), energy_per_flow (kW per m³/h), flow_z_score, pumps_on_count over 45 days at most",
            ),
            (
                "points",
                "integer",
                false,
                "about so many points, 10 to 5000; 1000 without it",
            ),
        ],
    },
    Route {
        path: "/sessions",
        does: "When which pump ran",
        answers: "sessions: pump, start_ts, end_ts (null while running), kWh, mean m³/h, m³ per kWh, is_short_cycle.",
        parameters: &[FROM, UNTIL],
    },
    Route {
        path: "/days",
        does: "The days of a period",
        answers: "days: rows of daily_summary with starts and health_score.",
        parameters: &[FROM, UNTIL],
    },
    Route {
        path: "/hours",
        does: "What an hour of the day is like on average",
        answers: "hours: hour, is_weekend, mean flow (m³/h), level (%), kWh, pumps on.",
        parameters: &[FROM, UNTIL],
    },
    Route {
        path: "/totals",
        does: "A period's days as a whole",
        answers: "Sums, means and KPIs over all days that the period touches.",
        parameters: &[FROM, UNTIL],
    },
    Route {
        path: "/health",
        does: "The pumps' health day by day",
        answers: "health: rows of pump_condition.",
        parameters: &[FROM, UNTIL],
    },
    Route {
        path: "/range",
        does: "What the store holds",
        answers: "first_ts and last_ts, UTC s; null before there is a row.",
        parameters: &[],
    },
    Route {
        path: "/alerts",
        does: "Alerts by a filter, the newest first",
        answers: "alerts, and whether there are more; ask again with before = the last id.",
        parameters: &[
            (
                "state",
                "string",
                false,
                "open, unacknowledged, acknowledged, held or resolved",
            ),
            (
                "severity",
                "string",
                false,
                "CRITICAL, HIGH, WARNING, INFO, with commas",
            ),
            ("group", "string", false, "A to H, with commas"),
            ("pump", "string", false, "P1 to P6, with commas"),
            ("rule", "string", false, "rule codes, with commas"),
            ("from", "integer", false, "raised from here on, UTC s"),
            ("until", "integer", false, "raised before, UTC s"),
            ("before", "integer", false, "alerts of a smaller id"),
            (
                "limit",
                "integer",
                false,
                "most alerts, 1 to 500; 100 without it",
            ),
        ],
    },
    Route {
        path: "/alerts/{event_id}",
        does: "One alert",
        answers: "The alert with condition, cause, consequence, action, its journal, and for a gap logging_stop: when the historian stopped and began.",
        parameters: &[],
    },
    Route {
        path: "/alarms/held",
        does: "What is shelved or out of service",
        answers: "held: code, pump, kind, operator, comment, since_ts, until_ts.",
        parameters: &[],
    },
    Route {
        path: "/alarms/load",
        does: "What the alarms ask of an operator, day by day",
        answers: "days: the figures of EEMUA 191 and ISA-18.2 with their targets.",
        parameters: &[FROM, UNTIL],
    },
    Route {
        path: "/rules",
        does: "The alert rules",
        answers: "rules: code, name, severity and state in force, condition, cause, consequence, action.",
        parameters: &[],
    },
    Route {
        path: "/forecasts",
        does: "The newest forecasts",
        answers: "forecasts: target, horizon, first_ts, slot_min, lists value, lower, upper, model, because, health.",
        parameters: &[],
    },
    Route {
        path: "/forecasts/past",
        does: "What was forecast beside what came",
        answers: "forecasts: ts, value, lower, upper, model, actual.",
        parameters: &[
            FROM,
            UNTIL,
            (
                "target",
                "string",
                true,
                "hlt_pct (%) or flow_demand (m³/h)",
            ),
            (
                "ahead_min",
                "integer",
                true,
                "how far ahead it was made, min: 15 and 60 are kept of each minute, all quarters of an hour to 1440 of each hour",
            ),
        ],
    },
    Route {
        path: "/models",
        does: "The models in use and the decisions about them",
        answers: "places: in_use, importance of its columns, scores, trouble, decisions.",
        parameters: &[],
    },
    Route {
        path: "/models/performance",
        does: "How good the models were",
        answers: "performance: rows of model_performance.",
        parameters: &[FROM, UNTIL],
    },
    Route {
        path: "/schedule",
        does: "The newest advice",
        answers: "schedule: as the MQTT topic `schedule`, with ts (UTC s) in slots and changes; null before there is one.",
        parameters: &[],
    },
    Route {
        path: "/plans",
        does: "The newest plans",
        answers: "plans: rows of optimization_runs without their schedules.",
        parameters: &[MOST],
    },
    Route {
        path: "/assistant",
        does: "Who answers questions",
        answers: "examples, and engine: the language model behind the built-in questions, null without one.",
        parameters: &[],
    },
    Route {
        path: "/savings",
        does: "What advice saved, day by day",
        answers: "days: rows of savings_daily.",
        parameters: &[MOST],
    },
];

/// What can be done to an alert, by path.
const VERBS: [(&str, &str); 5] = [
    ("ack", "I have seen it"),
    ("shelve", "Not again until then: needs comment and until"),
    ("unshelve", "Show it again"),
    ("out_of_service", "It is being worked on: needs comment"),
    ("in_service", "It counts again"),
];

/// `GET /openapi.json`.
pub async fn document(State(shared): State<Arc<Shared>>) -> Json<Value> {
    let mut paths = Map::new();
    for route in ROUTES {
        paths.insert(route.path.into(), json!({ "get": operation(route) }));
    }
    for (verb, does) in VERBS {
        paths.insert(
            format!("/alerts/{{event_id}}/{verb}"),
            json!({ "post": action(does) }),
        );
    }
    paths.insert("/ask".into(), json!({ "post": question() }));
    Json(json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("pumphouse of {}", shared.config.site_name),
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Reading is open to every role, what changes something to operators. Times are UTC seconds unless a name says otherwise.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/api/v1" }],
        "paths": paths,
        "components": {
            "schemas": { "Error": {
                "type": "object",
                "required": ["error"],
                "properties": { "error": { "type": "string", "description": "what is wrong, in a sentence" } },
            } },
            "securitySchemes": { "session": { "type": "apiKey", "in": "cookie", "name": "pumphouse" } },
        },
        "security": [{}, { "session": [] }],
    }))
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = route
        .parameters
        .iter()
        .map(|(name, kind, needed, what)| {
            json!({ "name": name, "in": "query", "required": needed, "description": what, "schema": { "type": kind } })
        })
        .collect();
    if route.path.contains("{event_id}") {
        parameters.push(event_id());
    }
    let kind = if route.path == "/live" {
        "text/event-stream"
    } else {
        "application/json"
    };
    json!({
        "summary": route.does,
        "parameters": parameters,
        "responses": responses(route.answers, kind),
    })
}

fn action(does: &str) -> Value {
    json!({
        "summary": does,
        "parameters": [event_id(), csrf()],
        "requestBody": { "required": true, "content": { "application/json": { "schema": {
            "type": "object",
            "properties": {
                "comment": { "type": "string", "description": "why" },
                "until": { "type": "integer", "description": "until when, UTC s" },
                "user": { "type": "string", "description": "who, where there are no passwords" },
            },
        } } } },
        "responses": responses("It is done, and in the journal.", "application/json"),
    })
}

fn question() -> Value {
    json!({
        "summary": "A question in plain language",
        "parameters": [csrf()],
        "requestBody": { "required": true, "content": { "application/json": { "schema": {
            "type": "object",
            "required": ["question"],
            "properties": { "question": { "type": "string", "maxLength": 500 } },
        } } } },
        "responses": responses("text, refused, sql, rows (columns, rows, cut), show (how the rows are best shown), engine.", "application/json"),
    })
}

fn csrf() -> Value {
    json!({
        "name": "x-csrf-token", "in": "header", "required": true, "description": "csrf of /session", "schema": { "type": "string" },
    })
}

fn event_id() -> Value {
    json!({ "name": "event_id", "in": "path", "required": true, "description": "B-01.P2.20260301T140000Z", "schema": { "type": "string" } })
}

fn responses(answers: &str, kind: &str) -> Value {
    let error = json!({
        "description": "What is wrong",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    });
    json!({
        "200": { "description": answers, "content": { kind: { "schema": { "type": if kind.ends_with("json") { "object" } else { "string" } } } } },
        "4XX": error,
        "5XX": error,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn documents_every_route_and_nothing_else() {
        let router = include_str!("mod.rs");
        let routes: BTreeSet<&str> = router
            .split(".route(")
            .skip(1)
            .filter_map(|rest| rest.split('"').nth(1))
            .filter(|path| !path.contains("{verb}") && *path != "/ask")
            .chain(["/live"])
            .collect();
        let documented: BTreeSet<&str> = ROUTES.iter().map(|route| route.path).collect();
        assert_eq!(routes, documented);
    }
}
