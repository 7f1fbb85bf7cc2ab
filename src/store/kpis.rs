//! The figures of a day: what the station is judged by, and how much its alarms ask of an operator.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};

use super::{outbox::SCHEMA, states::State};
use crate::{
    calendar::{Calendar, Day, Minute, date_text, utc_text},
    rules::{
        Severity, index_of,
        load::{Alarm, AlarmDay, Raise, STRETCH_MIN},
    },
    store::{journal::alarm_name, outbox::Face},
    tags::pump_named,
};

/// The minute of the newest row or alert: a historian that has gone silent is told of after its last row.
pub fn newest_minute(connection: &Connection) -> anyhow::Result<Option<Minute>> {
    let newest: Option<i64> = connection
        .prepare_cached(
            "SELECT max(ts) FROM (SELECT max(ts) AS ts FROM readings_wide UNION ALL \
             SELECT ts FROM (SELECT ts FROM alerts_log ORDER BY id DESC LIMIT 1))",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(newest.map(|ts| ts / 60))
}

/// The alarms of a local date, up to and with the newest minute.
pub fn alarm_day(
    connection: &Connection,
    calendar: &mut Calendar,
    day: Day,
    newest: Minute,
) -> anyhow::Result<AlarmDay> {
    let minutes = calendar.minutes_of(day);
    let end = minutes.end.min(newest + 1).max(minutes.start);
    let mut statement = connection.prepare_cached(
        "SELECT ts, rule, pump, severity, duration_min FROM alerts_log WHERE ts < ?2 AND \
         (ts > ?1 OR resolved = 0 OR ts + duration_min * 60 > ?1) ORDER BY id",
    )?;
    let from_s = (minutes.start - STRETCH_MIN) * 60;
    let mut rows = statement.query([from_s, end * 60])?;
    let mut raises = Vec::new();
    while let Some(row) = rows.next()? {
        let minute = row.get::<_, i64>(0)? / 60;
        let pump: Option<String> = row.get(2)?;
        let Some(rule) = index_of(row.get_ref(1)?.as_str()?) else {
            continue;
        };
        raises.push(Raise {
            minute,
            alarm: (rule, pump.as_deref().and_then(pump_named)),
            severity: Severity::parse(row.get_ref(3)?.as_str()?).unwrap_or(Severity::Info),
            resolved: row.get::<_, Option<i64>>(4)?.map(|min| minute + min),
        });
    }
    Ok(AlarmDay::assess(&raises, minutes.start, end))
}

/// The alarms of a day as JSON.
pub fn as_json(day: &AlarmDay) -> Value {
    let names = |alarms: &[Alarm]| -> Vec<String> {
        alarms
            .iter()
            .map(|&(rule, pump)| alarm_name(rule, pump))
            .collect()
    };
    let top: Vec<_> = day
        .top
        .iter()
        .map(|&((rule, pump), raised)| json!({ "alarm": alarm_name(rule, pump), "raised": raised }))
        .collect();
    let missed: Vec<_> = day
        .targets()
        .into_iter()
        .filter(|target| !target.is_met())
        .map(|target| target.name)
        .collect();
    let [warning, high, critical] = day.by_severity;
    json!({
        "raised": day.raised,
        "raised_by_severity": { "CRITICAL": critical, "HIGH": high, "WARNING": warning },
        "events": day.events,
        "raised_per_10_min": day.per_10_min(),
        "raised_peak_10_min": day.peak,
        "peak_at": day.peak_at.map(utc_text),
        "flood_pct": day.flood_pct(),
        "chattering": names(&day.chattering),
        "stale": names(&day.stale),
        "standing": day.standing,
        "top": top,
        "targets_missed": missed,
    })
}

/// The retained state `kpi`: the figures of the newest minute's day so far.
pub fn state(
    connection: &Connection,
    face: &Face,
    calendar: &mut Calendar,
) -> anyhow::Result<Option<State>> {
    let Some(newest) = newest_minute(connection)? else {
        return Ok(None);
    };
    let day = calendar.local(newest).day();
    let date = date_text(day);
    let mut statement = connection.prepare_cached(
        "SELECT k.*, d.total_flow, d.total_kwh FROM kpi_daily k JOIN daily_summary d ON d.date = k.date WHERE k.date = ?",
    )?;
    let columns: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(str::to_owned)
        .collect();
    let figures = statement
        .query_row(params![date], |row| {
            let mut figures = Map::new();
            for (place, column) in columns.iter().enumerate() {
                let value = match row.get::<_, rusqlite::types::Value>(place)? {
                    rusqlite::types::Value::Integer(value) => value.into(),
                    rusqlite::types::Value::Real(value) => value.into(),
                    rusqlite::types::Value::Text(text) => text.into(),
                    _ => Value::Null,
                };
                figures.insert(column.clone(), value);
            }
            Ok(figures)
        })
        .optional()?;
    let mut payload = figures.unwrap_or_default();
    payload.insert("ts".into(), utc_text(newest).into());
    payload.insert("site".into(), face.site.clone().into());
    payload.insert("schema".into(), SCHEMA.into());
    payload.insert("date".into(), date.into());
    let alarms = alarm_day(connection, calendar, day, newest)?;
    payload.insert("alarms".into(), as_json(&alarms));
    payload.insert("open_by_severity".into(), open_by_severity(connection)?);
    payload.insert("savings".into(), savings(connection)?);
    let topic = format!("{}/kpi", face.base);
    Ok(Some((topic, Value::Object(payload).to_string())))
}

/// What advice saved on the newest closed day that counts, beside the target; null before there is one.
fn savings(connection: &Connection) -> anyhow::Result<Value> {
    let newest = connection
        .prepare_cached(
            "SELECT date, savings_pct, savings_kwh_pct, savings_kwh_target_pct, planned_savings_pct, planned_savings_kwh_pct, followed_pct \
             FROM savings_kpi_daily WHERE savings_pct IS NOT NULL ORDER BY date DESC LIMIT 1",
        )?
        .query_row([], |row| {
            Ok(json!({
                "date": row.get::<_, String>(0)?,
                "savings_pct": row.get::<_, f64>(1)?,
                "savings_kwh_pct": row.get::<_, Option<f64>>(2)?,
                "savings_kwh_target_pct": row.get::<_, f64>(3)?,
                "planned_savings_pct": row.get::<_, Option<f64>>(4)?,
                "planned_savings_kwh_pct": row.get::<_, Option<f64>>(5)?,
                "followed_pct": row.get::<_, Option<f64>>(6)?,
            }))
        })
        .optional()?;
    Ok(newest.unwrap_or(Value::Null))
}

/// How many alerts are open, by the severity they were raised with.
fn open_by_severity(connection: &Connection) -> anyhow::Result<Value> {
    let mut open = json!({ "INFO": 0, "WARNING": 0, "HIGH": 0, "CRITICAL": 0 });
    let mut statement = connection.prepare_cached(
        "SELECT severity, count(*) FROM alerts_log WHERE resolved = 0 GROUP BY severity",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        open[row.get_ref(0)?.as_str()?] = row.get::<_, i64>(1)?.into();
    }
    Ok(open)
}
