//! From the store to people on duty: through a webhook, a command, or both.
//!
//! *Invariants.* A call is in the store before it goes out and stays until a hook has taken it, somebody sees to the alert, or a
//! day has passed; a crash loses none. A call that may have gone out already goes again under the same id, by which the hook can
//! tell. Each hook works alone: one that hangs or fails holds up nothing but itself.

pub mod command;
pub mod webhook;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;
use tokio::{sync::watch, task::JoinSet, time::timeout};

use crate::{
    attempts::with_jitter,
    clock::Clock,
    config::Notify,
    store::{
        calls::{Attempt, Call, Noted, next_call},
        open_read_only,
        writer::Handle,
    },
};
use command::Program;
use webhook::Webhook;

/// The first retry of a call comes after this, s; each further one after twice the time.
const RETRY_S_MIN: u64 = 5;
/// Longest wait between two attempts, s.
const RETRY_S_MAX: u64 = 300;
/// A call under way when the daemon stops gets this long to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// The store is looked at this often even when nothing is due: the clock may have been set.
const LOOK: Duration = Duration::from_secs(60);
/// How long to wait before the store is tried again after a failure.
const STORE_RETRY: Duration = Duration::from_secs(5);

/// A way to people.
#[derive(Clone, Debug)]
pub enum Hook {
    /// An HTTP server.
    Webhook(Webhook),
    /// A program on the box.
    Command(Program),
}

/// The hooks of a config.
pub fn hooks(notify: &Notify) -> Vec<Hook> {
    let webhook = notify.webhook_url.clone().map(|url| {
        Hook::Webhook(Webhook {
            url,
            token_file: notify.webhook_token_file.clone(),
            ca_file: notify.webhook_ca_file.clone(),
        })
    });
    let command = notify.command.split_first().map(|(program, arguments)| {
        Hook::Command(Program {
            program: program.clone(),
            arguments: arguments.to_vec(),
        })
    });
    webhook.into_iter().chain(command).collect()
}

/// What a hook gets.
#[derive(Clone, Debug)]
pub struct Message {
    /// Names the call: the same id again is the same call again.
    pub call_id: String,
    /// `raised`, `escalated`, `flood`, `resolved`, `withdrawn` or `test`.
    pub reason: String,
    /// What it is about.
    pub event_id: String,
    /// The alert's severity; empty for a flood.
    pub severity: String,
    /// One sentence for people.
    pub text: String,
    /// All of it, JSON.
    pub body: String,
}

impl Message {
    /// The message of a call, from its payload.
    pub fn new(call_id: String, mut payload: Value) -> Self {
        payload["call_id"] = call_id.as_str().into();
        let text = |key: &str| payload[key].as_str().unwrap_or_default().to_owned();
        Self {
            call_id,
            reason: text("reason"),
            event_id: text("event_id"),
            severity: text("severity"),
            text: text("message"),
            body: payload.to_string(),
        }
    }
}

/// Why a hook has not taken a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What happened.
    pub cause: String,
    /// What to do about it.
    pub advice: String,
}

impl Hook {
    /// Its name in the store.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Command(_) => "command",
        }
    }

    /// Hands a call over; what the hook answers.
    pub async fn call(&self, message: &Message) -> Result<String, Refusal> {
        match self {
            Self::Webhook(webhook) => webhook.call(message).await,
            Self::Command(program) => program.call(message).await,
        }
    }
}

/// Text from outside, fit for a line of a log: no control characters, at most so many characters.
fn one_line(bytes: &[u8], chars_max: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(chars_max).collect()
}

/// Calls people.
pub struct Caller {
    /// The ways to them.
    pub hooks: Vec<Hook>,
    /// The site's id.
    pub site: String,
    /// The store.
    pub store: PathBuf,
    /// Writes how calls went.
    pub handle: Handle,
    /// Changes with each commit.
    pub committed: watch::Receiver<u64>,
    /// Turns true when the daemon stops.
    pub stopping: watch::Receiver<bool>,
    /// Tells when a call is due.
    pub clock: Clock,
}

impl Caller {
    /// Calls until the daemon stops.
    pub async fn run(self) {
        let names: Vec<_> = self.hooks.iter().map(Hook::name).collect();
        let cancelling = self
            .handle
            .transact_async(move |store| store.cancel_calls_except(&names));
        if let Err(error) = cancelling.await {
            log::warn!(cause = format!("{error:#}"); "cannot call off what waits for hooks of an earlier config");
        }
        let lines = self.hooks.into_iter().map(|hook| Line {
            hook,
            site: self.site.clone(),
            handle: self.handle.clone(),
            committed: self.committed.clone(),
            stopping: self.stopping.clone(),
            clock: self.clock,
            unnoted: BTreeMap::new(),
            failures: 0,
        });
        let mut lines: JoinSet<()> = lines.map(|line| line.run(self.store.clone())).collect();
        while let Some(ended) = lines.join_next().await {
            if let Err(error) = ended {
                log::error!(cause = error.to_string(); "a hook's task ended in a panic");
                return;
            }
        }
    }
}

/// One hook at work.
struct Line {
    hook: Hook,
    site: String,
    handle: Handle,
    committed: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
    clock: Clock,
    /// How calls went that the store could not note yet; they must not go out again for that.
    unnoted: BTreeMap<i64, (Call, Attempt)>,
    /// Attempts in a row that failed.
    failures: u32,
}

impl Line {
    async fn run(mut self, store: PathBuf) {
        while !*self.stopping.borrow() {
            self.note().await;
            let wait = match self.next(&store) {
                Ok(Some((call, wait_s))) if wait_s <= 0 => {
                    self.attempt(call).await;
                    continue;
                }
                Ok(Some((_, wait_s))) => {
                    let wait = Duration::from_secs(wait_s.unsigned_abs());
                    self.clock.real(wait).min(LOOK)
                }
                Ok(None) => LOOK,
                Err(error) => {
                    log::warn!(hook = self.hook.name(), cause = format!("{error:#}"); "cannot read which calls are due");
                    self.handle.report_async(&error).await;
                    STORE_RETRY
                }
            };
            let wait = match self.unnoted.is_empty() {
                true => wait,
                false => wait.min(STORE_RETRY),
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = self.stopping.wait_for(|&stopping| stopping) => return,
                changed = self.committed.changed() => if changed.is_err() {
                    // Without a writer the daemon has ended.
                    return;
                },
            }
        }
    }

    fn next(&self, store: &Path) -> anyhow::Result<Option<(Call, i64)>> {
        let under_way = self.unnoted.keys().copied().collect();
        let store = open_read_only(store)?;
        next_call(&store, self.hook.name(), self.clock.now_s(), &under_way)
    }

    /// Tries to hand a call over.
    async fn attempt(&mut self, call: Call) {
        let Some(answer) = self.hand_over(&self.message(&call)).await else {
            log::info!(hook = self.hook.name(), event_id = call.event_id.as_str(); "a call under way is broken off; it goes again after the next start");
            return;
        };
        let (hook, event_id, reason) = (
            self.hook.name(),
            call.event_id.as_str(),
            call.reason.as_str(),
        );
        let attempt = match answer {
            Ok(detail) => {
                log::info!(hook, event_id, reason; "a call is taken");
                self.failures = 0;
                Attempt::Taken { detail }
            }
            Err(Refusal { cause, .. }) => {
                self.failures += 1;
                // The first failure, then ever fewer: at 2, 4, 8 … in a row.
                if self.failures.is_power_of_two() {
                    log::warn!(hook, failures = self.failures, event_id, reason, cause = cause.as_str(); "a call is not taken; it is tried again");
                }
                Attempt::Failed {
                    detail: cause,
                    retry_in_s: retry_in_s(call.attempts),
                }
            }
        };
        self.unnoted.insert(call.id, (call, attempt));
        self.note().await;
    }

    /// What the hook answers; `None` when the daemon stops before it does.
    async fn hand_over(&self, message: &Message) -> Option<Result<String, Refusal>> {
        let mut stopping = self.stopping.clone();
        let under_way = self.hook.call(message);
        tokio::pin!(under_way);
        tokio::select! {
            answer = &mut under_way => return Some(answer),
            _ = stopping.wait_for(|&stopping| stopping) => {}
        }
        timeout(FAREWELL, under_way).await.ok()
    }

    fn message(&self, call: &Call) -> Message {
        // What the store planned is JSON; were it not, the hook still gets what there is.
        let payload = serde_json::from_str(&call.payload)
            .unwrap_or_else(|_| serde_json::json!({ "message": call.payload }));
        let call_id = format!(
            "{}.{}.{}.{}",
            self.site, call.event_id, call.reason, call.id
        );
        Message::new(call_id, payload)
    }

    /// Notes how calls went.
    async fn note(&mut self) {
        for (id, (call, attempt)) in std::mem::take(&mut self.unnoted) {
            let now_s = self.clock.now_s();
            let noting = attempt.clone();
            let noted = self
                .handle
                .transact_async(move |store| store.note_attempt(id, &noting, now_s))
                .await;
            match noted {
                Ok(Noted::GivenUp) => {
                    log::error!(hook = self.hook.name(), event_id = call.event_id.as_str(), reason = call.reason.as_str(); "a call is given up: nobody has been told for a day");
                }
                Ok(_) => {}
                Err(error) => {
                    log::warn!(hook = self.hook.name(), event_id = call.event_id.as_str(), cause = format!("{error:#}"); "cannot note how a call went");
                    self.unnoted.insert(id, (call, attempt));
                }
            }
        }
    }
}

/// The wait before the next attempt, s: longer after each failure.
fn retry_in_s(attempts: u32) -> i64 {
    let longest = RETRY_S_MIN
        .saturating_mul(1 << attempts.min(16))
        .min(RETRY_S_MAX);
    with_jitter(longest).as_secs_f64().ceil() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_come_ever_later_up_to_five_minutes() {
        for (attempts, longest) in [(0, 5), (1, 10), (3, 40), (6, 300), (200, 300)] {
            let wait = retry_in_s(attempts);
            assert!(
                (longest / 2..=longest).contains(&wait),
                "{attempts}: {wait}"
            );
        }
    }

    #[test]
    fn text_from_outside_becomes_one_line() {
        assert_eq!(
            one_line(b"no\r\n\x1b[31m modem \xff\tfound", 300),
            "no [31m modem \u{fffd} found"
        );
        assert_eq!(one_line("äöü".as_bytes(), 2), "äö");
    }
}
