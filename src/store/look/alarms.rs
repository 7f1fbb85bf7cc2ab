//! Alerts as an operator looks at them: the list by filters, one with everything about it, what the alarms ask of people.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, Row, params, types::Value as Sql};
use serde_json::{Value, json};

use super::{Look, Stretch};
use crate::{
    calendar::DAY_MIN,
    rules::{CATALOGUE, Check, engine::Subject, index_of, register::REGISTER},
    store::{
        alert_ids,
        journal::{alarm_name, alert_name},
        kpis::{alarm_day, as_json, newest_minute},
        states::{Hold, holds},
    },
    tags::pump_named,
};

/// Most alerts of one answer.
pub const ALERTS_MAX: usize = 500;

/// How many alerts of a severity are open in a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlarmCount {
    /// `CRITICAL`, `HIGH`, `WARNING` or `INFO`.
    pub severity: String,
    /// `unacknowledged`, `acknowledged`, `shelved` or `out_of_service`.
    pub state: String,
    /// How many.
    pub open: i64,
}

/// Which alerts.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub struct Filter {
    /// `open`, `unacknowledged`, `acknowledged`, `held` or `resolved`; all without it.
    pub state: Option<String>,
    /// `CRITICAL`, `HIGH`, `WARNING` or `INFO`; several with commas.
    pub severity: Option<String>,
    /// Group of rules, A to H; several with commas.
    pub group: Option<String>,
    /// `P1` to `P6`.
    pub pump: Option<String>,
    /// Rule code.
    pub rule: Option<String>,
    /// Raised from here on, UTC s.
    pub from: Option<i64>,
    /// Raised before, UTC s.
    pub until: Option<i64>,
    /// Alerts of a smaller id: the next page.
    pub before: Option<i64>,
    /// Most of them.
    pub limit: Option<usize>,
}

const ALERT: &str = "SELECT l.id, l.ts, l.timestamp, l.severity, l.rule, l.pump, l.message, l.value_at_trigger, l.resolved, \
     l.resolved_at, l.duration_min, a.operator, a.comment, a.acked_ts FROM alerts_log l \
     LEFT JOIN alert_acks a ON a.alert_id = l.id";

impl Look {
    /// Alerts by a filter, the newest first, and whether there are more.
    pub fn alerts(&mut self, filter: &Filter) -> anyhow::Result<Value> {
        let limit = filter.limit.unwrap_or(100).clamp(1, ALERTS_MAX);
        let (wheres, mut values) = conditions(filter);
        values.push(Sql::Integer(limit as i64 + 1));
        let sql = format!("{ALERT} WHERE {wheres} ORDER BY l.id DESC LIMIT ?");
        let holds = holds(&self.connection)?;
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows =
            statement.query_map(rusqlite::params_from_iter(values), |row| alert(row, &holds))?;
        let mut alerts: Vec<Value> = rows.collect::<rusqlite::Result<_>>()?;
        let more = alerts.len() > limit;
        alerts.truncate(limit);
        Ok(json!({ "alerts": alerts, "more": more }))
    }

    /// Open alerts, the most urgent first, that no operator has put away; at most so many.
    pub fn urgent(&self, most: usize) -> anyhow::Result<Vec<Value>> {
        let holds = holds(&self.connection)?;
        let mut statement = self.connection.prepare_cached(&format!(
            "{ALERT} WHERE l.resolved = 0 AND NOT EXISTS (SELECT 1 FROM alert_holds h WHERE h.rule = l.rule AND h.pump = coalesce(l.pump, '')) \
             ORDER BY CASE l.severity WHEN 'CRITICAL' THEN 0 WHEN 'HIGH' THEN 1 WHEN 'WARNING' THEN 2 ELSE 3 END, l.id DESC LIMIT ?"
        ))?;
        let rows = statement.query_map([most as i64], |row| alert(row, &holds))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// One alert by its event id, with its record in the register and all that happened to it; `None` when there is none.
    pub fn alert(&self, event_id: &str) -> anyhow::Result<Option<Value>> {
        let holds = holds(&self.connection)?;
        let Some(id) = self.id_of(event_id)? else {
            return Ok(None);
        };
        let found = self
            .connection
            .prepare_cached(&format!("{ALERT} WHERE l.id = ?"))?
            .query_row([id], |row| alert(row, &holds))
            .optional()?;
        let Some(mut found) = found else {
            return Ok(None);
        };
        if let Some(rule) = found["code"].as_str().and_then(index_of) {
            let (record, rule) = (&REGISTER[rule], &CATALOGUE[rule]);
            found["condition"] = rule.condition.into();
            found["cause"] = record.cause.into();
            found["consequence"] = record.consequence.into();
            found["action"] = record.action.into();
            found["respond_within_min"] = record.respond_within_min.into();
            if let (Check::Gap, Some(ts), Some(silent_min)) =
                (&rule.check, found["ts"].as_i64(), found["value"].as_f64())
            {
                let last_row_s = ts - silent_min as i64 * 60;
                let silence = Stretch {
                    from_s: last_row_s,
                    until_s: ts + 60,
                };
                found["logging_stop"] = self.logging_stop(silence)?;
            }
        }
        found["journal"] = self
            .records(
                "SELECT ts, timestamp, noted_ts, action, message, operator, comment, until_ts, backfilled FROM alert_journal \
                 WHERE alert = ? ORDER BY id",
                [event_id],
            )?
            .into();
        Ok(Some(found))
    }

    /// The id of the alert that an event id names.
    fn id_of(&self, event_id: &str) -> anyhow::Result<Option<i64>> {
        let Some((alarm, stamp)) = event_id.rsplit_once('.') else {
            return Ok(None);
        };
        let (code, pump) = match alarm.split_once('.') {
            Some((code, pump)) => (code, Some(pump)),
            None => (alarm, None),
        };
        // The stamp is RFC 3339 without its separators.
        let found = self
            .connection
            .prepare_cached(
                "SELECT id FROM alerts_log WHERE rule = ?1 AND pump IS ?2 AND strftime('%Y%m%dT%H%M%SZ', ts, 'unixepoch') = ?3",
            )?
            .query_row(params![code, pump, stamp], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// What operators have shelved or taken out of service.
    pub fn held(&self) -> anyhow::Result<Vec<Value>> {
        Ok(self.records(
            "SELECT rule AS code, pump, kind, operator, comment, since_ts, until_ts FROM alert_holds ORDER BY since_ts DESC",
            [],
        )?)
    }

    /// What the alarms of each local date of a stretch ask of an operator, with their targets.
    pub fn alarm_load(&mut self, stretch: Stretch) -> anyhow::Result<Vec<Value>> {
        let Some(newest) = newest_minute(&self.connection)? else {
            return Ok(Vec::new());
        };
        let (first, last) = self.dates(stretch);
        let last = last.min(self.calendar.local(newest).minute.div_euclid(DAY_MIN));
        let mut days = Vec::new();
        for day in first..=last {
            let alarms = alarm_day(&self.connection, &mut self.calendar, day, newest)?;
            let mut told = as_json(&alarms);
            told["date"] = crate::calendar::date_text(day).into();
            told["targets"] = json!(alarms.targets());
            days.push(told);
        }
        Ok(days)
    }

    /// How many alerts are open, by severity and by what operators have done about them.
    pub fn alarms_by_state(&self) -> anyhow::Result<Vec<AlarmCount>> {
        let mut statement = self.connection.prepare_cached(
            // Out of service goes before shelved, where an alarm is both.
            "SELECT l.severity, coalesce((SELECT min(h.kind) FROM alert_holds h WHERE h.rule = l.rule AND h.pump = coalesce(l.pump, '')), \
             iif(a.alert_id IS NULL, 'unacknowledged', 'acknowledged')) AS state, count(*) \
             FROM alerts_log l LEFT JOIN alert_acks a ON a.alert_id = l.id WHERE l.resolved = 0 GROUP BY 1, 2",
        )?;
        let counts = statement.query_map([], |row| {
            Ok(AlarmCount {
                severity: row.get(0)?,
                state: row.get(1)?,
                open: row.get(2)?,
            })
        })?;
        Ok(counts.collect::<rusqlite::Result<_>>()?)
    }

    /// How many alerts are open by severity, those that operators have put away apart.
    pub fn open_counts(&self) -> anyhow::Result<Value> {
        let mut counts = json!({ "CRITICAL": 0, "HIGH": 0, "WARNING": 0, "INFO": 0, "held": 0, "unacknowledged": 0 });
        for AlarmCount {
            severity,
            state,
            open,
        } in self.alarms_by_state()?
        {
            let mut add = |key: &str| {
                counts[key] = (counts[key].as_i64().unwrap_or(0) + open).into();
            };
            if !matches!(state.as_str(), "acknowledged" | "unacknowledged") {
                add("held");
                continue;
            }
            add(&severity);
            // INFO is for the record: nobody acknowledges it.
            if state == "unacknowledged" && severity != "INFO" {
                add("unacknowledged");
            }
        }
        Ok(counts)
    }
}

/// A filter as conditions and their values.
fn conditions(filter: &Filter) -> (String, Vec<Sql>) {
    let mut wheres = vec!["1".to_owned()];
    let mut values = Vec::new();
    let mut one_of = |column: &str, list: &Option<String>| {
        let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else {
            return;
        };
        let items: Vec<_> = list
            .split(',')
            .map(|item| Sql::Text(item.trim().to_owned()))
            .collect();
        wheres.push(format!(
            "{column} IN ({})",
            vec!["?"; items.len()].join(", ")
        ));
        values.extend(items);
    };
    one_of("l.severity", &filter.severity);
    one_of("substr(l.rule, 1, 1)", &filter.group);
    one_of("l.pump", &filter.pump);
    one_of("l.rule", &filter.rule);
    let held = "EXISTS (SELECT 1 FROM alert_holds h WHERE h.rule = l.rule AND h.pump = coalesce(l.pump, ''))";
    match filter.state.as_deref() {
        Some("open") => wheres.push("l.resolved = 0".into()),
        Some("unacknowledged") => wheres.push(format!(
            "l.resolved = 0 AND a.alert_id IS NULL AND l.severity <> 'INFO' AND NOT {held}"
        )),
        Some("acknowledged") => wheres.push("l.resolved = 0 AND a.alert_id IS NOT NULL".into()),
        Some("held") => wheres.push(format!("l.resolved = 0 AND {held}")),
        Some("resolved") => wheres.push("l.resolved = 1".into()),
        _ => {}
    }
    if filter.from.is_some() || filter.until.is_some() {
        let first = filter.from.map_or(0, |ts| ts.div_euclid(60));
        let last = filter
            .until
            .map_or(i64::MAX / 1024, |ts| (ts - 1).div_euclid(60));
        let [from_id, until_id] = alert_ids((first, last));
        wheres.push("l.id BETWEEN ? AND ?".into());
        values.extend([Sql::Integer(from_id), Sql::Integer(until_id)]);
    }
    if let Some(before) = filter.before {
        wheres.push("l.id < ?".into());
        values.push(Sql::Integer(before));
    }
    (wheres.join(" AND "), values)
}

fn alert(row: &Row<'_>, holds: &HashMap<(String, String), Hold>) -> rusqlite::Result<Value> {
    let (code, pump): (String, Option<String>) = (row.get(4)?, row.get(5)?);
    let rule = index_of(&code);
    let subject: Subject = pump.as_deref().and_then(pump_named);
    let ts: i64 = row.get(1)?;
    let (resolved, acked): (bool, Option<String>) = (row.get(8)?, row.get(11)?);
    let hold = holds.get(&(code.clone(), pump.clone().unwrap_or_default()));
    let state = match (resolved, hold, &acked) {
        (true, ..) => "resolved",
        (_, Some(hold), _) => &hold.kind,
        (_, _, Some(_)) => "acknowledged",
        _ => "active",
    };
    let mut told = json!({
        "id": row.get::<_, i64>(0)?,
        "event_id": rule.map(|rule| alert_name(rule, subject, ts.div_euclid(60))),
        "alarm": rule.map(|rule| alarm_name(rule, subject)),
        "code": code,
        "name": rule.map(|rule| CATALOGUE[rule].name),
        "pump": pump,
        "severity": row.get::<_, String>(3)?,
        "state": state,
        "message": row.get::<_, String>(6)?,
        "value": row.get::<_, Option<f64>>(7)?,
        "ts": ts,
        "since": row.get::<_, String>(2)?,
        "resolved_at": row.get::<_, Option<String>>(9)?,
        "duration_min": row.get::<_, Option<i64>>(10)?,
    });
    if acked.is_some() {
        told["acknowledged_by"] = acked.into();
        told["acknowledged_because"] = row.get::<_, Option<String>>(12)?.into();
        told["acknowledged_ts"] = row.get::<_, Option<i64>>(13)?.into();
    }
    if let Some(hold) = hold {
        told["held_by"] = hold.operator.as_str().into();
        told["held_because"] = hold.comment.as_str().into();
        told["held_until_ts"] = hold.until_ts.into();
    }
    Ok(told)
}
