//! `pumphouse notify test`: whether a call gets through.

use std::{fmt::Write, time::Instant};

use anyhow::{Context, ensure};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

use super::{ConfigFile, block_on, print_json, print_text};
use crate::{
    calendar::utc_text,
    clock::Clock,
    config::Config,
    notify::{Hook, Message, Refusal, hooks},
    store::outbox::SCHEMA,
};

/// Call people
#[derive(clap::Args)]
pub struct Notify {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Test(Test),
}

/// Send a test call through each hook of the config
///
/// The call is marked: its reason is "test", and its message says that nothing is wrong. Nothing is stored, and the daemon may run
/// meanwhile. Ends with 1 when a hook does not take it, and says why and what to do. Try it as the service's user, who may see
/// other files than you do.
#[derive(clap::Args)]
struct Test {
    #[command(flatten)]
    config: ConfigFile,
    /// Only through this one
    #[arg(long, value_enum)]
    hook: Option<Way>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Way {
    Webhook,
    Command,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Command => "command",
        }
    }
}

/// How a hook did.
struct Outcome {
    hook: &'static str,
    answer: Result<String, Refusal>,
    took_ms: u128,
}

impl Notify {
    pub fn run(self) -> anyhow::Result<()> {
        let Verb::Test(test) = self.verb;
        test.run()
    }
}

impl Test {
    fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let notify = config
            .notify
            .as_ref()
            .context("the config has no [notify] section, so nobody is called")?;
        let mut hooks = hooks(notify);
        if let Some(way) = self.hook {
            hooks.retain(|hook| hook.name() == way.name());
            let key = match way {
                Way::Webhook => "webhook_url",
                Way::Command => "command",
            };
            ensure!(!hooks.is_empty(), "the config has no notify.{key}");
        }
        let message = message(&config);
        let outcomes = block_on(call(&hooks, &message))?;
        let failed = outcomes.iter().filter(|done| done.answer.is_err()).count();
        self.print(&message, &outcomes)?;
        ensure!(
            failed == 0,
            "{failed} of {} hooks did not take the test call",
            outcomes.len()
        );
        Ok(())
    }

    fn print(&self, message: &Message, outcomes: &[Outcome]) -> anyhow::Result<()> {
        if self.json {
            let list = outcomes.iter().map(|done| {
                let refusal = done.answer.as_ref().err();
                json!({
                    "hook": done.hook,
                    "taken": done.answer.is_ok(),
                    "answer": done.answer.as_ref().ok(),
                    "cause": refusal.map(|refusal| &refusal.cause),
                    "advice": refusal.map(|refusal| &refusal.advice),
                    "took_ms": done.took_ms,
                })
            });
            return print_json(
                &json!({ "call_id": message.call_id, "hooks": list.collect::<Vec<_>>() }),
            );
        }
        let mut text = String::new();
        for Outcome {
            hook,
            answer,
            took_ms,
        } in outcomes
        {
            match answer {
                Ok(answer) => writeln!(text, "{hook:<8} taken in {took_ms} ms: {answer}")?,
                Err(Refusal { cause, advice }) => {
                    writeln!(text, "{hook:<8} not taken: {cause}\n         {advice}")?;
                }
            }
        }
        print_text(&text)
    }
}

async fn call(hooks: &[Hook], message: &Message) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for hook in hooks {
        let began = Instant::now();
        outcomes.push(Outcome {
            hook: hook.name(),
            answer: hook.call(message).await,
            took_ms: began.elapsed().as_millis(),
        });
    }
    Ok(outcomes)
}

/// The test call: like one about an alert, and clearly none.
fn message(config: &Config) -> Message {
    let now_s = Clock::Wall.now_s();
    let event_id = format!("TEST.{now_s}");
    let call_id = format!("{}.{event_id}.test", config.site_id);
    let message = format!(
        "Test call from pumphouse at {}: nothing is wrong, and nothing needs to be done.",
        config.site_name
    );
    Message::new(
        call_id,
        json!({
            "schema": SCHEMA,
            "site": config.site_id,
            "site_name": config.site_name,
            "reason": "test",
            "event_id": event_id,
            "alert": null,
            "code": null,
            "pump": null,
            "severity": "INFO",
            "name": "Test call",
            "message": message,
            "since": utc_text(now_s.div_euclid(60)),
            "consequence": null,
            "action": null,
            "respond_within_min": null,
        }),
    )
}
