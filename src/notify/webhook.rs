//! The webhook: a POST of the call as JSON.

use std::{fmt, path::PathBuf, time::Duration};

use anyhow::Context;
use ureq::{
    Agent,
    http::{Request, header},
};

use super::{Message, Refusal, one_line};
use crate::http::{self, Fault, Keys, Secret};

/// The whole exchange ends within this.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 1024;
/// Where the config has what is needed for it.
const KEYS: Keys = Keys {
    url: "notify.webhook_url",
    ca_file: "notify.webhook_ca_file",
};

/// An HTTP server that calls people.
#[derive(Clone)]
pub struct Webhook {
    /// Its address.
    pub url: String,
    /// File with the bearer token.
    pub token_file: Option<PathBuf>,
    /// File with the certificates of the authorities to trust; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
}

impl fmt::Debug for Webhook {
    /// Without the address, whose path may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Webhook {
    /// Hands a call over: taken when the server answers 2xx.
    pub async fn call(&self, message: &Message) -> Result<String, Refusal> {
        let (webhook, message) = (self.clone(), message.clone());
        let posting = tokio::task::spawn_blocking(move || webhook.post(&message));
        posting.await.unwrap_or_else(|error| {
            Err(Refusal {
                cause: format!("the call broke off: {error}"),
                advice: "it is tried again".into(),
            })
        })
    }

    fn post(&self, message: &Message) -> Result<String, Refusal> {
        let (agent, request, token) = self.prepare(message).map_err(|error| Refusal {
            cause: format!("{error:#}"),
            advice: "correct the file, or the key of [notify] that names it".into(),
        })?;
        let response = agent.run(request).map_err(|error| {
            let Fault { cause, advice } = http::explain(&error, &KEYS, TIME_MAX);
            Refusal { cause, advice }
        })?;
        let status = response.status();
        let said = http::read_some(response, ANSWER_BYTES_MAX);
        let mut said = one_line(&said, ANSWER_BYTES_MAX);
        if let Some(token) = token {
            said = token.blank(&said);
        }
        let answer = match said.as_str() {
            "" => status.to_string(),
            said => format!("{status}: {said}"),
        };
        if status.is_success() {
            return Ok(answer);
        }
        let advice = match status.as_u16() {
            300..=399 => {
                "redirects are not followed; write the address it has moved to as notify.webhook_url"
            }
            401 | 403 => "check the token in notify.webhook_token_file",
            404 | 405 | 410 => "check the path of notify.webhook_url",
            500.. => "look into the server's own log",
            _ => "the server does not like the call; its answer may say why",
        };
        Err(Refusal {
            cause: format!("the server answers {answer}"),
            advice: advice.into(),
        })
    }

    /// Token and authorities are read anew each time, so that a changed file needs no restart.
    fn prepare(
        &self,
        message: &Message,
    ) -> anyhow::Result<(Agent, Request<String>, Option<Secret>)> {
        let mut request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", &message.call_id);
        let mut token = None;
        if let Some(path) = &self.token_file {
            let secret = Secret::read(path)?;
            let value = secret
                .header("Bearer ")
                .with_context(|| format!("{} holds no bearer token", path.display()))?;
            request = request.header(header::AUTHORIZATION, value);
            token = Some(secret);
        }
        let request = request
            .body(message.body.clone())
            .context("notify.webhook_url is no address")?;
        let config = http::agent(request.uri(), self.ca_file.as_deref(), &KEYS)?
            .timeout_global(Some(TIME_MAX));
        Ok((config.build().new_agent(), request, token))
    }
}
