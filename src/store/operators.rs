//! What operators do to alarms, after ISA-18.2: acknowledge, shelve for a time, take out of service. Each is journalled with
//! who and when; none changes what the rules decide, and re-deriving rows leaves all of it as it is.

use rusqlite::{OptionalExtension, params};
use serde_json::json;

use super::{
    Store, alert_id,
    journal::{Entry, LOGGED, Logged, alarm_name, alert_name, logged, stamp},
    outbox::SCHEMA,
    states::{acknowledged, alarms},
};
use crate::{
    calendar::{LocalMinute, utc_text},
    rules::{CATALOGUE, engine::Subject},
    tags::pump_name,
};

/// Days for which an answered request is known: a broker may bring it again after an outage.
const KNOWN_DAYS: i64 = 366;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// I have seen it.
    Acknowledge,
    /// Leave me alone with it until then.
    Shelve,
    /// Show it again.
    Unshelve,
    /// It is being worked on; ignore it.
    OutOfService,
    /// It counts again.
    InService,
}

impl Verb {
    /// The verb of a topic `cmd/…`.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ack" => Self::Acknowledge,
            "shelve" => Self::Shelve,
            "unshelve" => Self::Unshelve,
            "out_of_service" => Self::OutOfService,
            "in_service" => Self::InService,
            _ => return None,
        })
    }

    /// What the journal says when it is done.
    fn action(self) -> &'static str {
        match self {
            Self::Acknowledge => "acknowledged",
            Self::Shelve => "shelved",
            Self::Unshelve => "unshelved",
            Self::OutOfService => "out_of_service",
            Self::InService => "in_service",
        }
    }
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// What is asked for.
    pub verb: Verb,
    /// The alert (`B-01.P2.20260301T140000Z`), or, to shelve or take out of service, the alarm (`B-01.P2`).
    pub event_id: String,
    /// Who asks.
    pub operator: String,
    /// Why.
    pub comment: Option<String>,
    /// Until when, UTC seconds.
    pub until_ts: Option<i64>,
}

/// What a panel has sent: a request, or the reason why it is none.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Under which it is answered.
    pub id: String,
    /// The topic's last level.
    pub verb: String,
    /// The request.
    pub request: Result<Request, String>,
}

/// The time of an operator's doing.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// UTC seconds.
    pub ts: i64,
    /// The plant's wall clock.
    pub local: LocalMinute,
}

/// An alarm as a request finds it.
struct Alarm {
    rule: usize,
    subject: Subject,
    /// The newest alert of the log.
    newest: Option<Logged>,
    /// What the request calls it.
    called: String,
}

impl Alarm {
    fn code(&self) -> &'static str {
        CATALOGUE[self.rule].code
    }

    fn pump(&self) -> &'static str {
        self.subject.map_or("", pump_name)
    }
}

impl Store {
    /// Answers a request from a panel, once: one that comes again is passed over.
    pub fn answer(
        &mut self,
        asked: &Asked,
        now: Now,
        shelve_max_min: i64,
    ) -> anyhow::Result<Result<(), String>> {
        let answered: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM panel_requests WHERE request_id = ?)")?
            .query_row([&asked.id], |row| row.get(0))?;
        if answered {
            return Ok(Ok(()));
        }
        let done = match &asked.request {
            Ok(request) => self.act(request, &asked.id, now, shelve_max_min)?,
            Err(reason) => Err(reason.clone()),
        };
        let Some(face) = self.face.clone() else {
            return Ok(done);
        };
        let answer = json!({
            "ts": utc_text(now.ts.div_euclid(60)),
            "site": face.site,
            "schema": SCHEMA,
            "request_id": asked.id,
            "request": asked.verb,
            "result": if done.is_ok() { "done" } else { "refused" },
            "reason": done.as_ref().err(),
        })
        .to_string();
        self.connection
            .prepare_cached("INSERT INTO panel_requests (request_id, verb, answered_ts, answer) VALUES (?, ?, ?, ?)")?
            .execute(params![asked.id, asked.verb, now.ts, answer])?;
        self.connection
            .prepare_cached("DELETE FROM panel_requests WHERE answered_ts < ?")?
            .execute([now.ts - KNOWN_DAYS * 86_400])?;
        self.send_out(&format!("{}/cmd/result/{}", face.base, asked.id), &answer)?;
        Ok(done)
    }

    /// Does what is asked for, or says why not.
    pub fn act(
        &mut self,
        request: &Request,
        request_id: &str,
        now: Now,
        shelve_max_min: i64,
    ) -> anyhow::Result<Result<(), String>> {
        let alarm = match self.find(request)? {
            Ok(alarm) => alarm,
            Err(reason) => return Ok(Err(reason)),
        };
        let refusal = match request.verb {
            Verb::Acknowledge => self.acknowledge_alert(&alarm, request, now)?,
            Verb::Shelve => match shelving_fault(request, now, shelve_max_min) {
                Some(reason) => Some(reason),
                None => self.hold(&alarm, "shelved", request, now)?,
            },
            Verb::OutOfService if request.comment.is_none() => {
                Some("comment is missing: out of service needs a reason".into())
            }
            Verb::OutOfService if request.until_ts.is_some_and(|until| until <= now.ts) => {
                Some("until is not in the future".into())
            }
            Verb::OutOfService => self.hold(&alarm, "out_of_service", request, now)?,
            Verb::Unshelve => self.release(&alarm, "shelved")?,
            Verb::InService => self.release(&alarm, "out_of_service")?,
        };
        if let Some(reason) = refusal {
            return Ok(Err(reason));
        }
        let action = request.verb.action();
        let until = request
            .until_ts
            .filter(|_| matches!(request.verb, Verb::Shelve | Verb::OutOfService));
        self.journal(&Entry {
            ts: now.ts,
            local: now.local,
            event_id: format!("{}.{action}.{request_id}", alarm.called),
            alert: alarm.called.clone(),
            action,
            rule: Some(alarm.rule),
            subject: alarm.subject,
            severity: alarm.newest.as_ref().map(|alert| alert.severity.clone()),
            message: format!(
                "{} {} by {}.",
                alarm_name(alarm.rule, alarm.subject),
                action.replace('_', " "),
                request.operator
            ),
            since: alarm.newest.as_ref().map(|alert| alert.minute),
            operator: Some(request.operator.clone()),
            comment: request.comment.clone(),
            until_ts: until,
            request_id: Some(request_id.to_owned()),
            ..Entry::default()
        })?;
        Ok(Ok(()))
    }

    /// The alarm that a request means, unless what it means is past.
    fn find(&self, request: &Request) -> anyhow::Result<Result<Alarm, String>> {
        let called = &request.event_id;
        let mut levels = called.split('.');
        let code = levels.next().unwrap_or_default();
        let mut rest: Vec<&str> = levels.collect();
        let pump = rest
            .first()
            .copied()
            .filter(|level| level.len() == 2 && level.starts_with('P'));
        if pump.is_some() {
            rest.remove(0);
        }
        let alarm = alarms().find(|&(rule, subject)| {
            CATALOGUE[rule].code == code && subject.map(pump_name) == pump
        });
        let Some((rule, subject)) = alarm else {
            return Ok(Err(format!("no alarm is called {called:?}")));
        };
        let newest = self
            .connection
            .prepare_cached(&format!(
                "{LOGGED} WHERE rule = ? AND pump IS ? ORDER BY id DESC LIMIT 1"
            ))?
            .query_row(params![code, pump], logged)
            .optional()?;
        if rest.is_empty() {
            if request.verb == Verb::Acknowledge {
                return Ok(Err(format!(
                    "{called:?} names an alarm; acknowledging needs the event_id of its alert"
                )));
            }
        } else {
            let name = newest
                .as_ref()
                .map(|alert| alert_name(rule, subject, alert.minute));
            let meant = format!("{}.{}", alarm_name(rule, subject), rest[0]);
            if name.as_ref() != Some(&meant) {
                return Ok(Err(match name {
                    Some(name) => format!(
                        "stale: {meant} is not the newest alert of its alarm; that is {name}"
                    ),
                    None => {
                        format!("stale: {meant} is not in the log; late data may have withdrawn it")
                    }
                }));
            }
        }
        let called = newest.as_ref().map_or_else(
            || alarm_name(rule, subject),
            |alert| alert_name(rule, subject, alert.minute),
        );
        Ok(Ok(Alarm {
            rule,
            subject,
            newest,
            called,
        }))
    }

    fn acknowledge_alert(
        &mut self,
        alarm: &Alarm,
        request: &Request,
        now: Now,
    ) -> anyhow::Result<Option<String>> {
        let Some(alert) = &alarm.newest else {
            return Ok(Some("stale: the alert is not in the log".into()));
        };
        let id = alert_id(alert.minute, alarm.rule, alarm.subject);
        if let Some((operator, at_s)) = acknowledged(&self.connection, id)? {
            let at = utc_text(at_s.div_euclid(60));
            return Ok(Some(format!(
                "stale: {operator} has acknowledged it at {at}"
            )));
        }
        self.connection
            .prepare_cached("INSERT INTO alert_acks (alert_id, operator, comment, acked_ts) VALUES (?, ?, ?, ?)")?
            .execute(params![id, request.operator, request.comment, now.ts])?;
        self.cancel_calls(id, &format!("acknowledged by {}", request.operator))?;
        Ok(None)
    }

    fn hold(
        &mut self,
        alarm: &Alarm,
        kind: &str,
        request: &Request,
        now: Now,
    ) -> anyhow::Result<Option<String>> {
        let comment = request.comment.as_deref().unwrap_or_default();
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO alert_holds (rule, pump, kind, operator, comment, since_ts, until_ts) \
                 VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                alarm.code(),
                alarm.pump(),
                kind,
                request.operator,
                comment,
                now.ts,
                request.until_ts
            ])?;
        if let Some(alert) = &alarm.newest {
            let id = alert_id(alert.minute, alarm.rule, alarm.subject);
            self.cancel_calls(
                id,
                &format!("{} by {}", kind.replace('_', " "), request.operator),
            )?;
        }
        Ok(None)
    }

    fn release(&mut self, alarm: &Alarm, kind: &str) -> anyhow::Result<Option<String>> {
        let released = self
            .connection
            .prepare_cached("DELETE FROM alert_holds WHERE rule = ? AND pump = ? AND kind = ?")?
            .execute(params![alarm.code(), alarm.pump(), kind])?;
        Ok((released == 0).then(|| {
            format!(
                "{} is not {}",
                alarm_name(alarm.rule, alarm.subject),
                kind.replace('_', " ")
            )
        }))
    }

    /// Whether an operator has shelved an alarm or taken it out of service.
    pub(super) fn is_held(&self, rule: usize, subject: Subject) -> anyhow::Result<bool> {
        let pump = subject.map_or("", pump_name);
        Ok(self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM alert_holds WHERE rule = ? AND pump = ?)",
            )?
            .query_row([CATALOGUE[rule].code, pump], |row| row.get(0))?)
    }

    /// Ends the holds whose time is up; how many.
    pub fn expire_holds(&mut self, now: Now) -> anyhow::Result<usize> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT rule, pump, kind FROM alert_holds WHERE until_ts <= ?")?;
        let due: Vec<(String, String, String)> = statement
            .query_map([now.ts], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<rusqlite::Result<_>>()?;
        drop(statement);
        for (code, pump, kind) in &due {
            self.connection
                .prepare_cached("DELETE FROM alert_holds WHERE rule = ? AND pump = ? AND kind = ?")?
                .execute([code, pump, kind])?;
            let Some((rule, subject)) = alarms().find(|&(rule, subject)| {
                CATALOGUE[rule].code == code && subject.map_or("", pump_name) == pump
            }) else {
                continue;
            };
            let alert = alarm_name(rule, subject);
            let action = if kind == "shelved" {
                "unshelved"
            } else {
                "in_service"
            };
            self.journal(&Entry {
                ts: now.ts,
                local: now.local,
                event_id: format!("{alert}.{action}.{}", stamp(now.ts.div_euclid(60))),
                message: format!("{alert} {}: the time is up.", action.replace('_', " ")),
                alert,
                action,
                rule: Some(rule),
                subject,
                ..Entry::default()
            })?;
        }
        Ok(due.len())
    }
}

/// What is wrong with a request to shelve.
fn shelving_fault(request: &Request, now: Now, shelve_max_min: i64) -> Option<String> {
    let longest = now.ts + shelve_max_min * 60;
    match request.until_ts {
        _ if request.comment.is_none() => {
            Some("comment is missing: shelving needs a reason".into())
        }
        None => Some("until is missing: shelving is for a time".into()),
        Some(until) if until <= now.ts => Some("until is not in the future".into()),
        Some(until) if until > longest => Some(format!(
            "until is too far away: at most {} h (alerts.shelve_max_h)",
            shelve_max_min / 60
        )),
        Some(_) => None,
    }
}
