//! Calls to people on duty: planned in the transaction of the raise, so that a crash between alert and call loses none, and
//! called off when somebody acknowledges or the alert resolves in time. Whom a call has told of an alert is told when it is over.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Value, json};

use super::{
    Store, alert_id,
    journal::{Entry, What},
    minute_of,
    outbox::SCHEMA,
    states::acknowledged,
};
use crate::{
    calendar::{Minute, utc_text},
    clock::Clock,
    rules::{CATALOGUE, Severity, register::REGISTER},
    tags::pump_name,
};

/// A call that no hook has taken so long after it was due is given up, s.
const GIVEN_UP_AFTER_S: i64 = 24 * 3600;
/// The farthest time ahead at which a call can be due, s: the longest escalation. One beyond it was planned by a clock that
/// has been set back since.
const AHEAD_S_MAX: i64 = 24 * 3600;

/// Who is called, and when.
#[derive(Clone, Debug)]
pub struct CallPlan {
    /// The site's id and name.
    pub site: (String, String),
    /// The hooks there are: `webhook`, `command`.
    pub hooks: Vec<&'static str>,
    /// A CRITICAL alert is called out at once, and again when not acknowledged after this, s.
    pub critical_escalate_s: i64,
    /// A HIGH alert is called out when not acknowledged after this, s.
    pub high_escalate_s: i64,
    /// Tells when that is.
    pub clock: Clock,
}

/// A call that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its number.
    pub id: i64,
    /// What it is about.
    pub event_id: String,
    /// `raised`, `escalated`, `flood`, `resolved` or `withdrawn`.
    pub reason: String,
    /// What the hook gets, JSON.
    pub payload: String,
    /// Attempts so far.
    pub attempts: u32,
}

/// How an attempt went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The hook has taken the call.
    Taken {
        /// What it answered.
        detail: String,
    },
    /// It has not.
    Failed {
        /// Why.
        detail: String,
        /// When to try again, s.
        retry_in_s: i64,
    },
}

/// What an attempt has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noted {
    /// The call is done.
    Sent,
    /// It is tried again.
    Waiting,
    /// It was called off meanwhile.
    Cancelled,
    /// It is not tried any more.
    GivenUp,
}

impl Store {
    /// Changes who is called.
    pub fn set_call_plan(&mut self, plan: Option<CallPlan>) {
        self.call_plan = plan;
    }

    /// Plans the calls for an alert that was just raised or reopened, or for a flood.
    pub(super) fn plan_calls(&mut self, entry: &Entry) -> anyhow::Result<()> {
        let Some(plan) = self.call_plan.clone() else {
            return Ok(());
        };
        let severity = entry.severity.as_deref().and_then(Severity::parse);
        let stages: &[(&str, i64)] = match (entry.action, severity) {
            ("flood", _) => &[("flood", 0)],
            ("raised" | "reopened", Some(Severity::Critical)) => {
                &[("raised", 0), ("escalated", plan.critical_escalate_s)]
            }
            // In a flood only CRITICAL ones are called out singly.
            ("raised" | "reopened", Some(Severity::High)) if !entry.in_flood => {
                &[("escalated", plan.high_escalate_s)]
            }
            _ => return Ok(()),
        };
        let raised = entry.since.unwrap_or(entry.ts.div_euclid(60));
        let alert = entry
            .rule
            .map_or(0, |rule| alert_id(raised, rule, entry.subject));
        if let Some(rule) = entry.rule
            && self.is_held(rule, entry.subject)?
        {
            return Ok(());
        }
        let is_acknowledged = alert != 0 && acknowledged(&self.connection, alert)?.is_some();
        let now_s = plan.clock.now_s();
        for hook in &plan.hooks {
            let told = match alert {
                0 => None,
                alert => self.newest_sent(alert, hook)?,
            };
            for &(reason, after_s) in stages {
                let is_needed = match (reason, told.as_deref()) {
                    ("escalated", _) => !is_acknowledged,
                    // Late data may raise an alert once more: who believes it over is called, who knows of it is not.
                    (_, Some("raised" | "escalated")) => false,
                    (_, Some(_)) => true,
                    (_, None) => !is_acknowledged,
                };
                if is_needed {
                    let payload = payload(&plan, entry, reason).to_string();
                    let due_ts = now_s + after_s;
                    self.plan_call(alert, &entry.event_id, hook, reason, &payload, due_ts)?;
                }
            }
        }
        Ok(())
    }

    fn plan_call(
        &mut self,
        alert: i64,
        event_id: &str,
        hook: &str,
        reason: &str,
        payload: &str,
        due_ts: i64,
    ) -> anyhow::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT INTO notifications (alert_id, event_id, hook, reason, payload, due_ts, next_ts) \
                 VALUES (?, ?, ?, ?, ?, ?6, ?6)",
            )?
            .execute(params![alert, event_id, hook, reason, payload, due_ts])?;
        Ok(())
    }

    /// The reason of the newest call about an alert that a hook has taken.
    fn newest_sent(&self, alert: i64, hook: &str) -> anyhow::Result<Option<String>> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT reason FROM notifications WHERE alert_id = ? AND hook = ? AND state = 'sent' ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![alert, hook], |row| row.get(0))
            .optional()?)
    }

    /// Calls off what has not gone out yet about an alert that somebody sees to, or that is over.
    pub(super) fn cancel_calls(&mut self, alert: i64, why: &str) -> anyhow::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE notifications SET state = 'cancelled', detail = ? WHERE state = 'waiting' AND alert_id = ? \
                 AND reason IN ('raised', 'escalated')",
            )?
            .execute(params![why, alert])?;
        Ok(())
    }

    /// An alert is open again: nobody needs to hear that it is over.
    pub(super) fn cancel_farewells(&mut self, alert: i64) -> anyhow::Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE notifications SET state = 'cancelled', detail = 'open again' WHERE state = 'waiting' AND alert_id = ? \
                 AND reason IN ('resolved', 'withdrawn')",
            )?
            .execute([alert])?;
        Ok(())
    }

    /// Calls off what waits for hooks that there are no longer.
    pub fn cancel_calls_except(&mut self, hooks: &[&str]) -> anyhow::Result<()> {
        let mut statement = self
            .connection
            .prepare("SELECT DISTINCT hook FROM notifications WHERE state = 'waiting'")?;
        let waiting: Vec<String> = statement
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for gone in waiting
            .iter()
            .filter(|hook| !hooks.contains(&hook.as_str()))
        {
            self.connection.execute(
                "UPDATE notifications SET state = 'cancelled', detail = 'the hook is no longer in the config' \
                 WHERE state = 'waiting' AND hook = ?",
                [gone],
            )?;
        }
        Ok(())
    }

    /// Tells those whom a call has told of an alert that it is over: `what` became of it, at `minute`.
    pub(super) fn plan_farewells(
        &mut self,
        alert: i64,
        what: What,
        minute: Minute,
        now_s: i64,
    ) -> anyhow::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "SELECT hook, payload, reason FROM notifications WHERE id IN \
             (SELECT max(id) FROM notifications WHERE alert_id = ? AND state IN ('waiting', 'sent') GROUP BY hook) AND state = 'sent' \
             ORDER BY id",
        )?;
        let told: Vec<(String, String, String)> = statement
            .query_map([alert], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        drop(statement);
        for (hook, payload, reason) in told {
            if !matches!(reason.as_str(), "raised" | "escalated") {
                continue;
            }
            let payload = farewell(&payload, what, minute)?;
            let event_id = payload["event_id"].as_str().unwrap_or_default();
            self.plan_call(
                alert,
                event_id,
                &hook,
                what.name(),
                &payload.to_string(),
                now_s,
            )?;
        }
        Ok(())
    }

    /// Notes how an attempt went, and what that comes to.
    pub fn note_attempt(
        &mut self,
        id: i64,
        attempt: &Attempt,
        now_s: i64,
    ) -> anyhow::Result<Noted> {
        let (state, due_ts, alert, hook, reason): (String, i64, i64, String, String) = self
            .connection
            .prepare_cached(
                "SELECT state, due_ts, alert_id, hook, reason FROM notifications WHERE id = ?",
            )?
            .query_row([id], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            })?;
        let is_late = now_s - due_ts >= GIVEN_UP_AFTER_S;
        let (noted, detail, next_ts) = match attempt {
            // Also when it was called off while it was under way: it has gone out.
            Attempt::Taken { detail } => (Noted::Sent, detail, now_s),
            Attempt::Failed { detail, .. } if state != "waiting" => {
                log::debug!(id, detail = detail.as_str(); "a call that was called off was not taken");
                return Ok(Noted::Cancelled);
            }
            Attempt::Failed { detail, .. } if is_late => (Noted::GivenUp, detail, now_s),
            Attempt::Failed { detail, retry_in_s } => (Noted::Waiting, detail, now_s + retry_in_s),
        };
        let state = match noted {
            Noted::Sent => "sent",
            Noted::GivenUp => "given_up",
            Noted::Waiting | Noted::Cancelled => "waiting",
        };
        self.connection
            .prepare_cached(
                "UPDATE notifications SET state = ?, detail = ?, attempts = attempts + 1, next_ts = ?, noted_ts = ? WHERE id = ?",
            )?
            .execute(params![state, detail, next_ts, now_s, id])?;
        if noted == Noted::Sent && alert != 0 {
            self.follow_up(alert, &hook, &reason, now_s)?;
        }
        Ok(noted)
    }

    /// What follows from a call that was taken.
    fn follow_up(
        &mut self,
        alert: i64,
        hook: &str,
        reason: &str,
        now_s: i64,
    ) -> anyhow::Result<()> {
        if reason == "escalated" {
            self.connection
                .prepare_cached(
                    "UPDATE notifications SET state = 'cancelled', detail = 'the escalation got through first' \
                     WHERE state = 'waiting' AND alert_id = ? AND hook = ? AND reason = 'raised'",
                )?
                .execute(params![alert, hook])?;
        }
        // The alert may have ended while the call was under way.
        let ended: Option<(i64, Option<i64>)> = self
            .connection
            .prepare_cached("SELECT ts, duration_min FROM alerts_log WHERE id = ?")?
            .query_row([alert], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        match ended {
            Some((_, None)) => Ok(()),
            Some((ts, Some(min))) => {
                self.plan_farewells(alert, What::Resolved, ts / 60 + min, now_s)
            }
            None => self.plan_farewells(alert, What::Withdrawn, minute_of(alert), now_s),
        }
    }

    /// The time by which calls are planned, UTC seconds.
    pub(super) fn calls_now_s(&self) -> i64 {
        let clock = self.call_plan.as_ref().map(|plan| plan.clock);
        clock.unwrap_or(Clock::Wall).now_s()
    }
}

/// What a hook gets.
fn payload(plan: &CallPlan, entry: &Entry, reason: &str) -> Value {
    let record = entry.rule.map(|rule| &REGISTER[rule]);
    let since = entry.since.unwrap_or(entry.ts.div_euclid(60));
    let mut payload = json!({
        "schema": SCHEMA,
        "site": plan.site.0,
        "site_name": plan.site.1,
        "reason": reason,
        "event_id": entry.event_id,
        "alert": entry.alert,
        "code": entry.rule.map(|rule| CATALOGUE[rule].code),
        "pump": entry.subject.map(pump_name),
        "severity": entry.severity,
        "name": entry.rule.map(|rule| CATALOGUE[rule].name),
        "message": entry.message,
        "since": utc_text(since),
        "consequence": record.map(|record| record.consequence),
        "action": record.map(|record| record.action),
        "respond_within_min": record.and_then(|record| record.respond_within_min),
    });
    if !entry.list.is_empty() {
        payload["alerts"] = entry.list.clone().into();
    }
    payload
}

/// What a hook that has told of an alert gets when that is over.
fn farewell(payload: &str, what: What, minute: Minute) -> anyhow::Result<Value> {
    let mut payload: Value = serde_json::from_str(payload)?;
    let told = payload["message"].as_str().unwrap_or_default().to_owned();
    payload["message"] = match what {
        What::Withdrawn => {
            format!("Withdrawn, late data show that it did not happen. It was: {told}")
        }
        _ => format!("Resolved. It was: {told}"),
    }
    .into();
    let alert = payload["alert"].as_str().unwrap_or_default();
    payload["event_id"] = what.event_id(alert, minute).into();
    payload["reason"] = what.name().into();
    payload["until"] = match what {
        What::Resolved => utc_text(minute).into(),
        _ => Value::Null,
    };
    for key in ["consequence", "action", "respond_within_min"] {
        payload[key] = Value::Null;
    }
    Ok(payload)
}

/// The next call of a hook, and how long that may wait, s. New calls go before those that have failed, and those that are
/// `under_way` are passed over.
pub fn next_call(
    connection: &Connection,
    hook: &str,
    now_s: i64,
    under_way: &BTreeSet<i64>,
) -> anyhow::Result<Option<(Call, i64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, event_id, reason, payload, attempts, CASE WHEN next_ts > ?2 + ?3 THEN ?2 ELSE max(next_ts, ?2) END AS next \
         FROM notifications WHERE state = 'waiting' AND hook = ?1 ORDER BY next, attempts > 0, due_ts, id LIMIT ?4",
    )?;
    let most = under_way.len() as i64 + 1;
    let mut rows = statement.query(params![hook, now_s, AHEAD_S_MAX, most])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if under_way.contains(&id) {
            continue;
        }
        let call = Call {
            id,
            event_id: row.get(1)?,
            reason: row.get(2)?,
            payload: row.get(3)?,
            attempts: row.get(4)?,
        };
        return Ok(Some((call, row.get::<_, i64>(5)? - now_s)));
    }
    Ok(None)
}
