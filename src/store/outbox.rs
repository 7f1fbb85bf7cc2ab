//! What panels are told: events in an outbox until the broker acknowledges them, and the present state of each retained
//! topic. Both are written in the transaction of what they tell of.

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};

use super::{NewRow, Store, alert_id, tables::known};
use crate::{
    calendar::{Minute, utc_text},
    derive::FLAGS,
    rules::{
        CATALOGUE,
        engine::{Kind, Subject, Transition},
    },
    tags::{COLUMNS, pump_name},
};

/// Version of the payloads.
pub const SCHEMA: u32 = 1;

/// How the station shows itself over MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Face {
    /// The site's id.
    pub site: String,
    /// `<prefix>/<site>`, without a slash at the end.
    pub base: String,
}

/// A change of an alert as panels are told.
#[derive(Debug)]
pub struct Told {
    minute: Minute,
    rule: usize,
    subject: Subject,
    raised: Minute,
    what: What,
    backfilled: bool,
}

/// What happened to an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was raised.
    Raised,
    /// It resolved.
    Resolved,
    /// Late data show that it has not resolved when it was said to.
    Reopened,
    /// Late data show that it did not happen.
    Withdrawn,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
            Self::Withdrawn => "withdrawn",
        }
    }
}

impl Told {
    /// What a transition of the engine tells.
    pub fn transition(transition: &Transition, backfilled: bool) -> Self {
        let (what, raised) = match transition.kind {
            Kind::Raised { .. } => (What::Raised, transition.minute),
            Kind::Resolved { raised } => (What::Resolved, raised),
        };
        Self {
            minute: transition.minute,
            rule: transition.rule,
            subject: transition.subject,
            raised,
            what,
            backfilled,
        }
    }

    /// What a re-run found to be otherwise.
    pub fn correction(
        what: What,
        minute: Minute,
        rule: usize,
        subject: Subject,
        raised: Minute,
        backfilled: bool,
    ) -> Self {
        Self {
            minute,
            rule,
            subject,
            raised,
            what,
            backfilled,
        }
    }
}

/// The stable name of an alert: rule, pump, minute of the raise.
fn alert_name(rule: usize, subject: Subject, raised: Minute) -> String {
    let stamp: String = utc_text(raised)
        .chars()
        .filter(|c| !matches!(c, '-' | ':'))
        .collect();
    match subject {
        Some(pump) => format!("{}.{}.{stamp}", CATALOGUE[rule].code, pump_name(pump)),
        None => format!("{}.{stamp}", CATALOGUE[rule].code),
    }
}

fn alert_topic(face: &Face, rule: usize, subject: Subject) -> String {
    let code = CATALOGUE[rule].code;
    match subject {
        Some(pump) => format!("{}/alerts/{code}/{}", face.base, pump_name(pump)),
        None => format!("{}/alerts/{code}", face.base),
    }
}

/// An alert as the log has it.
struct Logged {
    minute: Minute,
    severity: String,
    message: String,
    value: Option<f64>,
    duration_min: Option<i64>,
}

fn logged(row: &rusqlite::Row<'_>) -> rusqlite::Result<Logged> {
    Ok(Logged {
        minute: row.get::<_, i64>(0)? / 60,
        severity: row.get(1)?,
        message: row.get(2)?,
        value: row.get(3)?,
        duration_min: row.get(4)?,
    })
}

const LOGGED: &str = "SELECT ts, severity, message, value_at_trigger, duration_min FROM alerts_log";

impl Store {
    /// Puts an event into the outbox and brings the alert's retained state up to date. The alert itself is already
    /// written, or, when it is withdrawn, still there.
    pub(super) fn announce(&mut self, told: &Told) -> anyhow::Result<()> {
        let Some(face) = &self.site else {
            return Ok(());
        };
        let id = alert_id(told.raised, told.rule, told.subject);
        let alert = self
            .connection
            .prepare_cached(&format!("{LOGGED} WHERE id = ?"))?
            .query_row([id], logged)
            .optional()?;
        let Some(alert) = alert else { return Ok(()) };
        let rule = &CATALOGUE[told.rule];
        let name = alert_name(told.rule, told.subject, told.raised);
        let event_id = match told.what {
            What::Raised => name.clone(),
            what => {
                let at: String = utc_text(told.minute)
                    .chars()
                    .filter(|c| !matches!(c, '-' | ':'))
                    .collect();
                format!("{name}.{}.{at}", what.name())
            }
        };
        let payload = json!({
            "ts": utc_text(told.minute),
            "site": face.site,
            "schema": SCHEMA,
            "event_id": event_id,
            "alert": name,
            "transition": told.what.name(),
            "code": rule.code,
            "name": rule.name,
            "pump": told.subject.map(pump_name),
            "severity": alert.severity,
            "message": alert.message,
            "value": alert.value,
            "since": utc_text(told.raised),
            "backfilled": told.backfilled,
        });
        let topic = format!("{}/events", face.base);
        self.connection
            .prepare_cached("INSERT INTO mqtt_outbox (topic, payload) VALUES (?, ?)")?
            .execute(params![topic, payload.to_string()])?;
        if told.what == What::Withdrawn {
            Ok(())
        } else {
            self.show_alert(told.rule, told.subject)
        }
    }

    /// Brings the retained state of a rule and its subject up to date with the newest alert in the log.
    pub(super) fn show_alert(&mut self, rule: usize, subject: Subject) -> anyhow::Result<()> {
        let Some(face) = &self.site else {
            return Ok(());
        };
        let newest = self
            .connection
            .prepare_cached(&format!(
                "{LOGGED} WHERE rule = ? AND pump IS ? ORDER BY id DESC LIMIT 1"
            ))?
            .query_row(
                params![CATALOGUE[rule].code, subject.map(pump_name)],
                logged,
            )
            .optional()?;
        let mut payload = json!({
            "site": face.site,
            "schema": SCHEMA,
            "code": CATALOGUE[rule].code,
            "name": CATALOGUE[rule].name,
            "pump": subject.map(pump_name),
            "state": "resolved",
        });
        if let Some(alert) = newest {
            let resolved = alert.duration_min.map(|min| alert.minute + min);
            payload["ts"] = utc_text(resolved.unwrap_or(alert.minute)).into();
            payload["state"] = if resolved.is_some() {
                "resolved"
            } else {
                "active"
            }
            .into();
            payload["severity"] = alert.severity.into();
            payload["message"] = alert.message.into();
            payload["value"] = alert.value.into();
            payload["since"] = utc_text(alert.minute).into();
            payload["resolved_at"] = resolved.map(utc_text).into();
            payload["event_id"] = alert_name(rule, subject, alert.minute).into();
        }
        let topic = alert_topic(face, rule, subject);
        show(&self.connection, &topic, &payload.to_string())
    }

    /// Shows the newest row, raw and derived.
    pub(super) fn show_newest(&mut self, row: &NewRow) -> anyhow::Result<()> {
        let Some(face) = &self.site else {
            return Ok(());
        };
        let NewRow {
            records,
            local,
            derived,
        } = row;
        let mut payload = Map::new();
        payload.insert("ts".into(), utc_text(records.minute).into());
        payload.insert("site".into(), face.site.clone().into());
        payload.insert("schema".into(), SCHEMA.into());
        payload.insert("timestamp".into(), self.texts.local(*local).into());
        let values = COLUMNS
            .iter()
            .zip(&records.values)
            .map(|(&column, &value)| (column, value));
        let derived_values = [
            ("pumps_on_count", derived.pumps_on_count),
            ("total_kw", derived.total_kw),
            ("flow_per_pump", derived.flow_per_pump),
            ("energy_per_flow", derived.energy_per_flow),
            ("hlt_pct", derived.level_pct),
            ("hlt_diff", derived.level_diff),
            ("flow_diff", derived.flow_diff),
            ("flow_z_score", derived.flow_z_score),
            ("flow_slope_10", derived.flow_slope_10),
        ];
        for (column, value) in values.chain(derived_values) {
            payload.insert(column.into(), known(value).map_or(Value::Null, Value::from));
        }
        let flags = FLAGS
            .into_iter()
            .zip(derived.flags)
            .chain([("is_peak_hour", derived.is_peak_hour)]);
        payload.extend(flags.map(|(column, set)| (column.to_owned(), i64::from(set).into())));
        let topic = format!("{}/readings", face.base);
        show(
            &self.connection,
            &topic,
            &Value::Object(payload).to_string(),
        )
    }

    /// Takes out what the broker has acknowledged: events by id, states by topic and revision.
    pub fn acknowledge(&mut self, events: &[i64], states: &[(String, i64)]) -> anyhow::Result<()> {
        self.begin()?;
        for id in events {
            self.connection
                .prepare_cached("DELETE FROM mqtt_outbox WHERE id = ?")?
                .execute([id])?;
        }
        for (topic, revision) in states {
            self.connection
                .prepare_cached("UPDATE mqtt_states SET sent = max(sent, ?) WHERE topic = ?")?
                .execute(params![revision, topic])?;
        }
        Ok(())
    }
}

fn show(connection: &Connection, topic: &str, payload: &str) -> anyhow::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO mqtt_states (topic, payload, revision) VALUES (?, ?, 1) ON CONFLICT (topic) DO UPDATE \
             SET payload = excluded.payload, revision = revision + 1 WHERE payload <> excluded.payload",
        )?
        .execute(params![topic, payload])?;
    Ok(())
}

/// A retained state: topic, payload, revision.
pub type State = (String, String, i64);
/// A waiting event: id, topic, payload.
pub type Event = (i64, String, String);

/// Events waiting behind `after`, oldest first.
pub fn events_after(
    connection: &Connection,
    after: i64,
    most: usize,
) -> anyhow::Result<Vec<Event>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, topic, payload FROM mqtt_outbox WHERE id > ? ORDER BY id LIMIT ?",
    )?;
    let events = statement.query_map(params![after, most as i64], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(events.collect::<rusqlite::Result<_>>()?)
}

/// Retained states; with `unsent_only`, those whose revision has not been acknowledged.
pub fn states(connection: &Connection, unsent_only: bool) -> anyhow::Result<Vec<State>> {
    let mut statement = connection
        .prepare_cached("SELECT topic, payload, revision FROM mqtt_states WHERE NOT ? OR sent < revision ORDER BY topic")?;
    let states = statement.query_map([unsent_only], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(states.collect::<rusqlite::Result<_>>()?)
}
