//! The alert journal: everything that happened to an alert, in order, never changed. What is written here is told to panels.

use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::{Store, Synced, alert_id, alert_ids, outbox::SCHEMA};
use crate::{
    calendar::{LocalMinute, Minute, utc_text},
    rules::{
        CATALOGUE,
        engine::{Kind, Subject, Transition},
    },
    tags::pump_name,
};

/// More raises than this within [`FLOOD_WINDOW_MIN`] are a flood: more than an operator can take in (EEMUA 191).
pub const FLOOD_RAISES: i64 = 10;
/// The stretch in which raises are counted, min.
pub const FLOOD_WINDOW_MIN: i64 = 10;
/// A flood is over when fewer raises than this come within the stretch.
pub const FLOOD_OVER_RAISES: i64 = 5;

/// A change of an alert as panels are told.
#[derive(Debug)]
pub struct Told {
    /// When it happened.
    pub minute: Minute,
    /// The same on the plant's wall clock.
    pub local: LocalMinute,
    /// The rule.
    pub rule: usize,
    /// The pump, for a rule that looks at each.
    pub subject: Subject,
    /// When the alert was raised.
    pub raised: Minute,
    /// What happened.
    pub what: What,
    /// Whether it is history: recorded, and nothing to page anybody for.
    pub backfilled: bool,
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
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Resolved => "resolved",
            Self::Reopened => "reopened",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The id of this event of an alert, given the alert's name.
    pub(super) fn event_id(self, alert: &str, minute: Minute) -> String {
        match self {
            Self::Raised => alert.to_owned(),
            what => format!("{alert}.{}.{}", what.name(), stamp(minute)),
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
            local: transition.local,
            rule: transition.rule,
            subject: transition.subject,
            raised,
            what,
            backfilled,
        }
    }
}

/// A line of the journal.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// What it is about, UTC seconds.
    pub ts: i64,
    /// The same on the plant's wall clock.
    pub local: LocalMinute,
    pub event_id: String,
    pub alert: String,
    pub action: &'static str,
    pub rule: Option<usize>,
    pub subject: Subject,
    pub severity: Option<String>,
    pub message: String,
    pub value: Option<f64>,
    pub since: Option<Minute>,
    pub operator: Option<String>,
    pub comment: Option<String>,
    pub until_ts: Option<i64>,
    pub request_id: Option<String>,
    pub backfilled: bool,
    pub first_out: bool,
    pub in_flood: bool,
    /// The alerts of a flood.
    pub list: Vec<String>,
}

/// A time as it stands in event ids.
pub(super) fn stamp(minute: Minute) -> String {
    utc_text(minute)
        .chars()
        .filter(|c| !matches!(c, '-' | ':'))
        .collect()
}

/// The alarm of a rule and its subject: `B-01.P3`.
pub fn alarm_name(rule: usize, subject: Subject) -> String {
    let code = CATALOGUE[rule].code;
    subject.map_or_else(
        || code.to_owned(),
        |pump| format!("{code}.{}", pump_name(pump)),
    )
}

/// The stable name of an alert: rule, pump, minute of the raise.
pub(super) fn alert_name(rule: usize, subject: Subject, raised: Minute) -> String {
    format!("{}.{}", alarm_name(rule, subject), stamp(raised))
}

/// An alert as the log has it.
pub(super) struct Logged {
    pub minute: Minute,
    pub severity: String,
    pub message: String,
    pub value: Option<f64>,
    pub duration_min: Option<i64>,
}

pub(super) fn logged(row: &rusqlite::Row<'_>) -> rusqlite::Result<Logged> {
    Ok(Logged {
        minute: row.get::<_, i64>(0)? / 60,
        severity: row.get(1)?,
        message: row.get(2)?,
        value: row.get(3)?,
        duration_min: row.get(4)?,
    })
}

/// Selects what [`logged`] reads.
pub(super) const LOGGED: &str =
    "SELECT ts, severity, message, value_at_trigger, duration_min FROM alerts_log";

impl Store {
    /// Journals what happened to an alert and tells the panels. The alert itself is already written, or, when it is
    /// withdrawn, still there.
    pub(super) fn announce(&mut self, told: &Told) -> anyhow::Result<()> {
        let id = alert_id(told.raised, told.rule, told.subject);
        let alert = self
            .connection
            .prepare_cached(&format!("{LOGGED} WHERE id = ?"))?
            .query_row([id], logged)
            .optional()?;
        let Some(alert) = alert else { return Ok(()) };
        let name = alert_name(told.rule, told.subject, told.raised);
        let event_id = told.what.event_id(&name, told.minute);
        let is_news = told.what == What::Raised && !told.backfilled;
        let raises = if is_news {
            self.raises_until(told.minute)?
        } else {
            0
        };
        let entry = Entry {
            ts: told.minute * 60,
            local: told.local,
            event_id,
            alert: name,
            action: told.what.name(),
            rule: Some(told.rule),
            subject: told.subject,
            severity: Some(alert.severity),
            message: alert.message,
            value: alert.value,
            since: Some(told.raised),
            backfilled: told.backfilled,
            first_out: is_news && self.is_first_out(id, told.rule)?,
            in_flood: is_news && (raises > FLOOD_RAISES || self.flood_since()?.is_some()),
            ..Entry::default()
        };
        self.journal(&entry)?;
        match told.what {
            What::Raised | What::Reopened => {
                self.cancel_farewells(id)?;
                if !told.backfilled {
                    self.plan_calls(&entry)?;
                }
            }
            // Also when that is history: who was called is waiting to hear it.
            What::Resolved | What::Withdrawn => {
                self.cancel_calls(id, told.what.name())?;
                self.plan_farewells(id, told.what, told.minute, self.calls_now_s())?;
            }
        }
        if is_news && raises > FLOOD_RAISES && self.flood_since()?.is_none() {
            self.announce_flood(told, raises)?;
        }
        Ok(())
    }

    /// Writes a line of the journal, and an event for the panels.
    pub(super) fn journal(&mut self, entry: &Entry) -> anyhow::Result<i64> {
        let code = entry.rule.map(|rule| CATALOGUE[rule].code);
        let pump = entry.subject.map(pump_name);
        self.connection
            .prepare_cached(
                "INSERT INTO alert_journal (id, ts, timestamp, noted_ts, event_id, alert, action, rule, pump, severity, message, \
                 value, operator, comment, until_ts, request_id, backfilled, first_out, in_flood) \
                 VALUES (coalesce((SELECT max(id) + 1 FROM alert_journal), unixepoch()), ?, ?, unixepoch(), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                entry.ts,
                self.texts.local(entry.local),
                entry.event_id,
                entry.alert,
                entry.action,
                code,
                pump,
                entry.severity,
                entry.message,
                entry.value,
                entry.operator,
                entry.comment,
                entry.until_ts,
                entry.request_id,
                entry.backfilled,
                entry.first_out,
                entry.in_flood,
            ])?;
        let id = self.connection.last_insert_rowid();
        self.changes.note(Synced::Journal, id);
        let Some(face) = &self.face else {
            return Ok(id);
        };
        let mut payload = json!({
            "ts": utc_text(entry.ts.div_euclid(60)),
            "site": face.site,
            "schema": SCHEMA,
            "event_id": entry.event_id,
            "alert": entry.alert,
            "transition": entry.action,
            "code": code,
            "name": entry.rule.map(|rule| CATALOGUE[rule].name),
            "pump": pump,
            "severity": entry.severity,
            "message": entry.message,
            "value": entry.value,
            "since": entry.since.map(utc_text),
            "backfilled": entry.backfilled,
        });
        let is_held = match entry.rule {
            Some(rule) => self.is_held(rule, entry.subject)?,
            None => false,
        };
        for (key, is_so) in [
            ("first_out", entry.first_out),
            ("in_flood", entry.in_flood),
            ("held", is_held),
        ] {
            if is_so {
                payload[key] = true.into();
            }
        }
        if let Some(operator) = &entry.operator {
            payload["operator"] = operator.as_str().into();
            payload["comment"] = entry.comment.as_deref().into();
            payload["until"] = entry.until_ts.map(|ts| utc_text(ts.div_euclid(60))).into();
        }
        if !entry.list.is_empty() {
            payload["alerts"] = entry.list.clone().into();
        }
        let topic = format!("{}/events", face.base);
        self.send_out(&topic, &payload.to_string())?;
        Ok(id)
    }

    /// Whether an alert that was just raised is the first of its group: no other one of the group is open. What follows is
    /// often its consequence.
    fn is_first_out(&self, id: i64, rule: usize) -> anyhow::Result<bool> {
        let group = &CATALOGUE[rule].code[..1];
        let others: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM alerts_log WHERE resolved = 0 AND id <> ? AND substr(rule, 1, 1) = ?)")?
            .query_row(params![id, group], |row| row.get(0))?;
        Ok(!others)
    }

    /// Raises within the stretch that ends with a minute.
    fn raises_until(&self, minute: Minute) -> anyhow::Result<i64> {
        let ids = alert_ids((minute - FLOOD_WINDOW_MIN + 1, minute));
        Ok(self
            .connection
            .prepare_cached("SELECT count(*) FROM alerts_log WHERE id BETWEEN ? AND ?")?
            .query_row(ids, |row| row.get(0))?)
    }

    /// Since when a flood goes on.
    fn flood_since(&self) -> anyhow::Result<Option<Minute>> {
        let newest = self
            .connection
            .prepare_cached(
                "SELECT action, ts FROM alert_journal WHERE action IN ('flood', 'flood_over') ORDER BY id DESC LIMIT 1",
            )?
            .query_row([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        Ok(newest.and_then(|(action, ts)| (action == "flood").then_some(ts / 60)))
    }

    /// One notice for many alerts.
    fn announce_flood(&mut self, told: &Told, raises: i64) -> anyhow::Result<()> {
        let list = self.alerts_between(told.minute - FLOOD_WINDOW_MIN + 1, told.minute)?;
        let name = format!("FLOOD.{}", stamp(told.minute));
        let notice = Entry {
            ts: told.minute * 60,
            local: told.local,
            event_id: name.clone(),
            alert: name,
            action: "flood",
            message: format!(
                "Alarm flood: {raises} alerts within {FLOOD_WINDOW_MIN} min; further ones are listed when it is over, CRITICAL ones singly."
            ),
            value: Some(raises as f64),
            in_flood: true,
            list,
            ..Entry::default()
        };
        self.journal(&notice)?;
        self.plan_calls(&notice)
    }

    /// Ends a flood once few alerts are raised.
    pub(super) fn settle_flood(
        &mut self,
        minute: Minute,
        local: LocalMinute,
    ) -> anyhow::Result<()> {
        let Some(since) = self.flood_since()? else {
            return Ok(());
        };
        if self.raises_until(minute)? >= FLOOD_OVER_RAISES {
            return Ok(());
        }
        let list = self.alerts_between(since - FLOOD_WINDOW_MIN + 1, minute)?;
        let alert = format!("FLOOD.{}", stamp(since));
        let min = minute - since;
        self.journal(&Entry {
            ts: minute * 60,
            local,
            event_id: format!("{alert}.over.{}", stamp(minute)),
            alert,
            action: "flood_over",
            message: format!("Alarm flood over after {min} min: {} alerts.", list.len()),
            value: Some(list.len() as f64),
            list,
            ..Entry::default()
        })?;
        Ok(())
    }

    fn alerts_between(&self, first: Minute, last: Minute) -> anyhow::Result<Vec<String>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT event_id FROM alert_journal WHERE action = 'raised' AND NOT backfilled AND ts BETWEEN ? AND ? \
             AND id > (SELECT max(id) FROM alert_journal) - 5000 ORDER BY id",
        )?;
        let names = statement.query_map([first * 60, last * 60], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }
}
