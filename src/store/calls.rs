//! Calls to people on duty: planned in the transaction of the raise, so that a crash between alert and call loses none, and
//! called off when somebody acknowledges or the alert resolves in time.

use rusqlite::{Connection, params};
use serde_json::json;

use super::{Store, alert_id, journal::Entry};
use crate::rules::{CATALOGUE, Severity, register::REGISTER};

/// Who is called, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPlan {
    /// The site's id and name.
    pub site: (String, String),
    /// The hooks there are: `webhook`, `command`.
    pub hooks: Vec<&'static str>,
    /// A CRITICAL alert is called out at once, and again when not acknowledged after this, min.
    pub critical_escalate_min: i64,
    /// A HIGH alert is called out when not acknowledged after this, min.
    pub high_escalate_min: i64,
}

/// A call that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub id: i64,
    /// `webhook` or `command`.
    pub hook: String,
    /// What the hook gets, JSON.
    pub payload: String,
    /// Attempts so far.
    pub attempts: u32,
}

impl Store {
    /// Changes who is called.
    pub fn set_call_plan(&mut self, plan: Option<CallPlan>) {
        self.call_plan = plan;
    }

    /// Plans the calls for an alert that was just raised, or for a flood.
    pub(super) fn plan_calls(&mut self, entry: &Entry) -> anyhow::Result<()> {
        let Some(plan) = self.call_plan.clone() else {
            return Ok(());
        };
        let severity = entry.severity.as_deref().and_then(Severity::parse);
        let stages: &[(&str, i64)] = match (entry.action, severity) {
            ("flood", _) => &[("flood", 0)],
            ("raised", Some(Severity::Critical)) => {
                &[("raised", 0), ("escalated", plan.critical_escalate_min)]
            }
            // In a flood only CRITICAL ones are called out singly.
            ("raised", Some(Severity::High)) if !entry.in_flood => {
                &[("escalated", plan.high_escalate_min)]
            }
            _ => return Ok(()),
        };
        let alert = entry
            .rule
            .map_or(0, |rule| alert_id(entry.ts / 60, rule, entry.subject));
        if let Some(rule) = entry.rule
            && self.is_held(rule, entry.subject)?
        {
            return Ok(());
        }
        let record = entry.rule.map(|rule| &REGISTER[rule]);
        for hook in plan.hooks {
            for &(reason, after_min) in stages {
                let payload = json!({
                    "site": plan.site.0,
                    "site_name": plan.site.1,
                    "reason": reason,
                    "event_id": entry.event_id,
                    "severity": entry.severity,
                    "name": entry.rule.map(|rule| CATALOGUE[rule].name),
                    "message": entry.message,
                    "since": crate::calendar::utc_text(entry.ts / 60),
                    "alerts": entry.list,
                    "consequence": record.map(|record| record.consequence),
                    "action": record.map(|record| record.action),
                    "respond_within_min": record.and_then(|record| record.respond_within_min),
                });
                self.connection
                    .prepare_cached(
                        "INSERT INTO notifications (alert_id, event_id, hook, reason, payload, due_ts) \
                         VALUES (?, ?, ?, ?, ?, unixepoch() + ?)",
                    )?
                    .execute(params![alert, entry.event_id, hook, reason, payload.to_string(), after_min * 60])?;
            }
        }
        Ok(())
    }

    /// Calls off what has not gone out yet.
    pub(super) fn cancel_calls(&mut self, alert: i64, why: &str) -> anyhow::Result<()> {
        self.connection
            .prepare_cached("UPDATE notifications SET state = 'cancelled', detail = ? WHERE state = 'waiting' AND alert_id = ?")?
            .execute(params![why, alert])?;
        Ok(())
    }

    /// Notes how a call went: `sent`, `given_up`, or still waiting until a later attempt.
    pub fn note_call(
        &mut self,
        id: i64,
        state: &str,
        detail: &str,
        retry_in_s: i64,
    ) -> anyhow::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE notifications SET state = ?, detail = ?, attempts = attempts + 1, due_ts = unixepoch() + ? WHERE id = ?",
            )?
            .execute(params![state, detail, retry_in_s, id])?;
        Ok(())
    }
}

/// The calls that are due, oldest first.
pub fn due(connection: &Connection, most: usize) -> anyhow::Result<Vec<Call>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, hook, payload, attempts FROM notifications WHERE state = 'waiting' AND due_ts <= unixepoch() \
         ORDER BY due_ts, id LIMIT ?",
    )?;
    let calls = statement.query_map([most as i64], |row| {
        Ok(Call {
            id: row.get(0)?,
            hook: row.get(1)?,
            payload: row.get(2)?,
            attempts: row.get(3)?,
        })
    })?;
    Ok(calls.collect::<rusqlite::Result<_>>()?)
}
