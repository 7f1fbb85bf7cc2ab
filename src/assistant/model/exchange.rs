//! Requests to a model's server: within the time, of bounded size, and without a word of the key.

use std::{
    fmt::Display,
    io::{self, ErrorKind},
    time::{Duration, Instant},
};

use anyhow::Context;
use serde_json::Value;
use ureq::{
    Agent, Body, Error, Timeout,
    http::{HeaderValue, Request, Response, StatusCode, Uri, header},
};

use super::{Trouble, texts};
use crate::{
    config::Assistant,
    http::{self, Fault, Keys, Secret},
};

/// A connection stands within this, or there is none.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of a refusal that are read.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;
/// Characters of what a server says that go into an error.
const SAID_CHARS_MAX: usize = 200;
/// A shorter key is a stand-in for servers that want any; blanking it out would tear words.
const KEY_BYTES_MIN: usize = 6;
/// Where the config has what is needed for it.
const KEYS: Keys = Keys {
    url: "assistant.url",
    ca_file: "assistant.ca_file",
};

/// How the requests of a dialect go out.
pub(super) struct Wire {
    /// Behind the address.
    pub path: &'static str,
    /// Header with the key.
    pub key_header: &'static str,
    /// What stands before the key there.
    pub key_prefix: &'static str,
    /// Further headers.
    pub headers: &'static [(&'static str, &'static str)],
}

/// A server for the time of one question.
pub(super) struct Server<'a> {
    config: &'a Assistant,
    wire: &'a Wire,
    address: Uri,
    agent: Agent,
    key: Option<(Secret, HeaderValue)>,
    deadline: Instant,
}

impl<'a> Server<'a> {
    /// Nothing is sent yet. Key and authorities are read anew each time, so that a changed file needs no restart.
    pub fn open(config: &'a Assistant, wire: &'a Wire) -> Result<Self, Trouble> {
        let deadline = Instant::now() + config.timeout;
        Self::prepare(config, wire, deadline).map_err(|error| Trouble::Setup {
            cause: format!("{error:#}"),
        })
    }

    fn prepare(config: &'a Assistant, wire: &'a Wire, deadline: Instant) -> anyhow::Result<Self> {
        let address: Uri = format!("{}{}", config.url, wire.path)
            .parse()
            .context("assistant.url is no address")?;
        let mut key = None;
        if let Some(path) = &config.key_file {
            let secret = Secret::read(path)?;
            let value = secret
                .header(wire.key_prefix)
                .with_context(|| format!("{} holds no key", path.display()))?;
            key = Some((secret, value));
        }
        let agent = http::agent(&address, config.ca_file.as_deref(), &KEYS)?
            // A server may close what it has left open in the very moment in which it is used again.
            .max_idle_connections(0)
            .build()
            .new_agent();
        Ok(Self {
            config,
            wire,
            address,
            agent,
            key,
            deadline,
        })
    }

    /// The model's name.
    pub fn model(&self) -> &str {
        &self.config.model
    }

    /// What is left of the time.
    pub fn time_left(&self) -> Result<Duration, Trouble> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(self.slow()),
            false => Ok(left),
        }
    }

    /// A text without the key.
    pub fn blank(&self, text: &str) -> String {
        match &self.key {
            Some((key, _)) if key.len() >= KEY_BYTES_MIN => key.blank(text),
            _ => text.to_owned(),
        }
    }

    /// Sends a request and reads the answer, JSON.
    pub fn post(&self, body: &Value) -> Result<Value, Trouble> {
        let request = self.request(body)?;
        let left = self.time_left()?;
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(left))
            .timeout_resolve(Some(CONNECT_MAX))
            .timeout_connect(Some(CONNECT_MAX))
            .build();
        let response = self
            .agent
            .run(request)
            .map_err(|error| self.failed(&error))?;
        match response.status() {
            status if status.is_success() => self.read(response),
            status => {
                let said = http::read_some(response, REFUSAL_BYTES_MAX);
                Err(self.refused(status, &said))
            }
        }
    }

    fn request(&self, body: &Value) -> Result<Request<String>, Trouble> {
        let mut request =
            Request::post(&self.address).header(header::CONTENT_TYPE, "application/json");
        for &(name, value) in self.wire.headers {
            request = request.header(name, value);
        }
        if let Some((_, value)) = &self.key {
            request = request.header(self.wire.key_header, value);
        }
        request.body(body.to_string()).map_err(|_| Trouble::Setup {
            cause: "assistant.url is no address".into(),
        })
    }

    fn read(&self, response: Response<Body>) -> Result<Value, Trouble> {
        let mut body = response.into_body();
        let bytes = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let bytes = bytes.map_err(|error| match error {
            Error::Timeout(_) => self.slow(),
            Error::BodyExceedsLimit(_) => self.nonsense("it is longer than 1 MB"),
            Error::Protocol(cause) => self.nonsense(&format!("it is no HTTP ({cause})")),
            Error::Io(cause) => self.broke_off(&cause),
            other => self.broke_off(&other),
        })?;
        serde_json::from_slice(&bytes).map_err(|_| {
            self.nonsense(match bytes.trim_ascii_start().first() {
                None => "it is empty",
                Some(b'<') => "it is a page for browsers, not JSON",
                Some(_) => "it is not JSON",
            })
        })
    }

    /// What kept an answer from beginning.
    fn failed(&self, error: &Error) -> Trouble {
        let Fault { cause, advice } = match error {
            Error::Timeout(Timeout::Connect | Timeout::Resolve) => {
                http::explain(error, &KEYS, CONNECT_MAX)
            }
            Error::Timeout(_) => return self.slow(),
            Error::Protocol(_) | Error::LargeResponseHeader(..) | Error::Http(_) => {
                return self.nonsense(&format!("it is no HTTP ({error})"));
            }
            Error::Io(cause) if is_end(cause) => return self.broke_off(cause),
            other => http::explain(other, &KEYS, self.config.timeout),
        };
        Trouble::Unreachable {
            server: self.name(),
            cause,
            advice,
        }
    }

    fn refused(&self, status: StatusCode, said: &[u8]) -> Trouble {
        let mut answer = match status.canonical_reason() {
            Some(reason) => format!("{} {reason}", status.as_u16()),
            None => status.as_u16().to_string(),
        };
        let said = self.said(&message_of(said));
        if !said.is_empty() {
            answer = format!("{answer}: {said}");
        }
        let server = self.name();
        let advice = match status.as_u16() {
            429 | 503 | 529 => return Trouble::Busy { server, answer },
            300..=399 => {
                "redirects are not followed; write the address it has moved to as assistant.url"
            }
            401 | 403 if self.key.is_none() => "name a file with a key as assistant.key_file",
            401 | 403 => "check the key in assistant.key_file",
            404 | 405 | 410 => {
                "check assistant.url, most often with nothing behind host and port, and assistant.model"
            }
            500.. => "look into the server's own log",
            _ => "check assistant.model and assistant.provider; the server's answer may say more",
        };
        Trouble::Refused {
            server,
            status: status.as_u16(),
            answer,
            advice: advice.into(),
        }
    }

    /// An answer that is none.
    pub fn nonsense(&self, what: &str) -> Trouble {
        Trouble::Nonsense {
            server: self.name(),
            what: self.said(what),
        }
    }

    fn slow(&self) -> Trouble {
        Trouble::Slow {
            server: self.name(),
            timeout_s: self.config.timeout.as_secs_f64(),
        }
    }

    fn broke_off(&self, cause: &dyn Display) -> Trouble {
        Trouble::BrokeOff {
            server: self.name(),
            cause: self.said(&cause.to_string()),
        }
    }

    /// What a server says, fit for an error.
    fn said(&self, text: &str) -> String {
        texts::cut(self.blank(&texts::plain(text)), SAID_CHARS_MAX)
    }

    /// Scheme, host and port of the address: what is behind them may be a secret.
    fn name(&self) -> String {
        let scheme = self.address.scheme_str().unwrap_or_default();
        let host = self.address.authority().map_or("", |all| {
            let all = all.as_str();
            all.rsplit_once('@').map_or(all, |(_, host)| host)
        });
        format!("{scheme}://{host}")
    }
}

/// Whether an error is that the other end is gone.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
    )
}

/// What a server says about a refusal: as JSON in one of the usual ways, or as text; a page for browsers says nothing.
fn message_of(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    if text.trim_start().starts_with('<') {
        return String::new();
    }
    let Ok(told) = serde_json::from_str::<Value>(&text) else {
        return text.into_owned();
    };
    let usual = [
        &told["error"]["message"],
        &told["error"],
        &told["message"],
        &told["detail"],
    ];
    let message = usual.into_iter().find_map(Value::as_str);
    message.map_or_else(String::new, str::to_owned)
}
