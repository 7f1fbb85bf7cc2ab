//! The retained states, made from the tables at the moment they are sent: the newest row, and each alarm as it stands.
//! Nothing is queued, so whatever the outage, the broker gets the present state and only that.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params, types::ValueRef};
use serde_json::{Map, Value, json};

use super::{
    alert_id,
    journal::{LOGGED, alert_name, logged},
    outbox::{Face, SCHEMA},
};
use crate::{
    calendar::{Minute, utc_text},
    rules::{CATALOGUE, engine::Subject, register::REGISTER},
    tags::{PUMPS, pump_name},
};

/// A retained state: topic and payload.
pub type State = (String, String);

/// All retained states of a station, except `state` itself. `as_of` is the time of an alarm that was never raised.
pub fn states(connection: &Connection, face: &Face, as_of: &str) -> anyhow::Result<Vec<State>> {
    let mut states = Vec::new();
    if let Some(payload) = newest_row(connection, face)? {
        states.push((format!("{}/readings", face.base), payload));
    }
    let holds = holds(connection)?;
    for alarm in alarms() {
        let (rule, subject) = alarm;
        let mut payload = alarm_state(connection, face, rule, subject, &holds)?;
        if payload["ts"].is_null() {
            payload["ts"] = as_of.into();
        }
        states.push((alarm_topic(face, rule, subject), payload.to_string()));
    }
    Ok(states)
}

/// Every alarm there is: rule, and pump for a rule that looks at each.
pub fn alarms() -> impl Iterator<Item = (usize, Subject)> {
    CATALOGUE.iter().enumerate().flat_map(|(index, rule)| {
        let pumps = if rule.is_per_pump() { PUMPS } else { 0 };
        let station = (!rule.is_per_pump()).then_some((index, None));
        station
            .into_iter()
            .chain((0..pumps).map(move |pump| (index, Some(pump))))
    })
}

fn alarm_topic(face: &Face, rule: usize, subject: Subject) -> String {
    let code = CATALOGUE[rule].code;
    match subject {
        Some(pump) => format!("{}/alerts/{code}/{}", face.base, pump_name(pump)),
        None => format!("{}/alerts/{code}", face.base),
    }
}

/// Columns of a row that say when it is in other ways than `ts`.
const PARTS_OF_TIME: [&str; 4] = ["date", "hour", "day_of_week", "is_weekend"];

/// The newest row, raw and derived.
fn newest_row(connection: &Connection, face: &Face) -> anyhow::Result<Option<String>> {
    let mut statement =
        connection.prepare_cached("SELECT * FROM readings_wide ORDER BY ts DESC LIMIT 1")?;
    let columns: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let payload = statement.query_row([], |row| {
        let mut payload = Map::new();
        for (place, column) in columns.iter().enumerate() {
            if PARTS_OF_TIME.contains(&column.as_str()) {
                continue;
            }
            let value = match row.get_ref(place)? {
                ValueRef::Integer(ts) if column == "ts" => utc_text(ts / 60).into(),
                ValueRef::Integer(value) => value.into(),
                ValueRef::Real(value) => value.into(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into(),
                ValueRef::Null | ValueRef::Blob(_) => Value::Null,
            };
            payload.insert(column.clone(), value);
        }
        payload.insert("site".into(), face.site.clone().into());
        payload.insert("schema".into(), SCHEMA.into());
        Ok(Value::Object(payload).to_string())
    });
    Ok(payload.optional()?)
}

/// A hold that an operator has put on an alarm.
#[derive(Clone, Debug)]
pub struct Hold {
    /// `shelved` or `out_of_service`.
    pub kind: String,
    /// Who.
    pub operator: String,
    /// Why.
    pub comment: String,
    /// Until when, UTC seconds; `None` until it is taken back.
    pub until_ts: Option<i64>,
}

/// The holds in force by rule code and pump; out of service counts before shelved.
pub fn holds(connection: &Connection) -> anyhow::Result<HashMap<(String, String), Hold>> {
    let mut statement = connection.prepare_cached(
        "SELECT rule, pump, kind, operator, comment, until_ts FROM alert_holds ORDER BY kind = 'out_of_service'",
    )?;
    let holds = statement.query_map([], |row| {
        let hold = Hold {
            kind: row.get(2)?,
            operator: row.get(3)?,
            comment: row.get(4)?,
            until_ts: row.get(5)?,
        };
        Ok(((row.get(0)?, row.get(1)?), hold))
    })?;
    Ok(holds.collect::<rusqlite::Result<_>>()?)
}

/// An alarm as it stands: the newest alert of the log, who has acknowledged it, and what operators have put on it.
fn alarm_state(
    connection: &Connection,
    face: &Face,
    rule: usize,
    subject: Subject,
    holds: &HashMap<(String, String), Hold>,
) -> anyhow::Result<Value> {
    let code = CATALOGUE[rule].code;
    let pump = subject.map(pump_name);
    let newest = connection
        .prepare_cached(&format!(
            "{LOGGED} WHERE rule = ? AND pump IS ? ORDER BY id DESC LIMIT 1"
        ))?
        .query_row(params![code, pump], logged)
        .optional()?;
    let mut payload = json!({
        "site": face.site,
        "schema": SCHEMA,
        "code": code,
        "name": CATALOGUE[rule].name,
        "pump": pump,
        "state": "resolved",
        "active": false,
        "severity": CATALOGUE[rule].severity.name(),
    });
    if let Some(alert) = newest {
        let resolved = alert.duration_min.map(|min| alert.minute + min);
        let ack = acknowledged(connection, alert_id(alert.minute, rule, subject))?;
        payload["ts"] = utc_text(resolved.unwrap_or(alert.minute)).into();
        payload["state"] = match (resolved, &ack) {
            (Some(_), _) => "resolved",
            (None, Some(_)) => "acknowledged",
            (None, None) => "active",
        }
        .into();
        payload["active"] = resolved.is_none().into();
        payload["severity"] = alert.severity.into();
        payload["message"] = alert.message.into();
        payload["value"] = alert.value.into();
        payload["since"] = utc_text(alert.minute).into();
        payload["resolved_at"] = resolved.map(utc_text).into();
        payload["event_id"] = alert_name(rule, subject, alert.minute).into();
        if resolved.is_none() {
            let record = &REGISTER[rule];
            payload["cause"] = record.cause.into();
            payload["consequence"] = record.consequence.into();
            payload["action"] = record.action.into();
            payload["respond_within_min"] = record.respond_within_min.into();
        }
        if let Some((operator, at_s)) = ack {
            payload["acknowledged_by"] = operator.into();
            payload["acknowledged_at"] = utc_text(minute_of(at_s)).into();
        }
    }
    if let Some(hold) = holds.get(&(code.to_owned(), pump.unwrap_or("").to_owned())) {
        payload["state"] = hold.kind.as_str().into();
        payload["held_by"] = hold.operator.as_str().into();
        payload["held_because"] = hold.comment.as_str().into();
        payload["held_until"] = hold.until_ts.map(|ts| utc_text(minute_of(ts))).into();
    }
    Ok(payload)
}

/// Who has acknowledged an alert, and when, UTC seconds.
pub fn acknowledged(
    connection: &Connection,
    alert_id: i64,
) -> anyhow::Result<Option<(String, i64)>> {
    Ok(connection
        .prepare_cached("SELECT operator, acked_ts FROM alert_acks WHERE alert_id = ?")?
        .query_row([alert_id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?)
}

fn minute_of(ts: i64) -> Minute {
    ts.div_euclid(60)
}
