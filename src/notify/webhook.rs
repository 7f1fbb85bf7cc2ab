//! The webhook: a POST of the call as JSON.

use std::{
    fmt, fs,
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use ureq::{
    Agent, Body, Error,
    http::{HeaderValue, Request, Response, header},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::{Message, Refusal, one_line};
use crate::config::read_secret;

/// The whole exchange ends within this.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 1024;

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
        let response = agent.run(request).map_err(|error| explain(&error))?;
        let status = response.status();
        let mut said = read_some(response);
        if let Some(token) = token {
            // A server may tell what it was sent; the token stays out of store and log.
            said = said.replace(&token, "…");
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
    ) -> anyhow::Result<(Agent, Request<String>, Option<String>)> {
        let mut request = Request::post(&self.url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", &message.call_id);
        let mut token = None;
        if let Some(path) = &self.token_file {
            let secret = read_secret(path)?;
            ensure!(!secret.is_empty(), "{} is empty", path.display());
            let mut value = HeaderValue::from_str(&format!("Bearer {secret}"))
                .with_context(|| format!("{} holds no bearer token", path.display()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
            token = Some(secret);
        }
        let request = request
            .body(message.body.clone())
            .context("notify.webhook_url is no address")?;
        let mut config = Agent::config_builder()
            .timeout_global(Some(TIME_MAX))
            .http_status_as_error(false)
            .max_redirects(0)
            // Calls go where the config says and nowhere else.
            .proxy(None)
            .user_agent(concat!("pumphouse/", env!("CARGO_PKG_VERSION")));
        if request.uri().scheme_str() == Some("https") {
            let roots = match &self.ca_file {
                Some(path) => authorities(path)?,
                None => system_authorities()?,
            };
            let roots = RootCerts::new_with_certs(&roots);
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok((config.build().new_agent(), request, token))
    }
}

fn authorities(path: &Path) -> anyhow::Result<Vec<Certificate<'static>>> {
    let pem = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        let item = item.with_context(|| format!("cannot read {}", path.display()))?;
        if let PemItem::Certificate(certificate) = item {
            certificates.push(certificate);
        }
    }
    ensure!(
        !certificates.is_empty(),
        "{} holds no certificate",
        path.display()
    );
    Ok(certificates)
}

fn system_authorities() -> anyhow::Result<Vec<Certificate<'static>>> {
    let loaded = rustls_native_certs::load_native_certs();
    ensure!(
        !loaded.certs.is_empty(),
        "the system has no certificates of authorities; install them (ca-certificates), or name a file as notify.webhook_ca_file"
    );
    let certificates = loaded.certs.iter();
    Ok(certificates
        .map(|der| Certificate::from_der(der).to_owned())
        .collect())
}

/// The beginning of an answer; one that breaks off counts as far as it came.
fn read_some(response: Response<Body>) -> String {
    let mut reader = response.into_body().into_reader();
    let mut said = vec![0; ANSWER_BYTES_MAX];
    let mut length = 0;
    while let Ok(more @ 1..) = reader.read(&mut said[length..]) {
        length += more;
    }
    one_line(&said[..length], ANSWER_BYTES_MAX)
}

/// What a failed exchange means and what to do about it.
fn explain(error: &Error) -> Refusal {
    let (cause, advice) = match error {
        Error::Timeout(_) => (
            format!("no answer within {} s", TIME_MAX.as_secs()),
            "look whether the server is up, and whether a firewall drops the connection",
        ),
        Error::HostNotFound => (
            "the host is not found".into(),
            "check the host in notify.webhook_url, and the box's DNS",
        ),
        Error::Rustls(cause) => (cause.to_string(), certificate_advice(cause)),
        Error::Io(cause) => match cause.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(cause) => (rustls::Error::to_string(cause), certificate_advice(cause)),
            None => (cause.to_string(), connection_advice(cause.kind())),
        },
        other => (
            other.to_string(),
            "check that an HTTP server listens at notify.webhook_url",
        ),
    };
    Refusal {
        cause,
        advice: advice.into(),
    }
}

fn connection_advice(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused => {
            "start the server, or correct host and port of notify.webhook_url"
        }
        _ => "check the way to the host of notify.webhook_url",
    }
}

fn certificate_advice(cause: &rustls::Error) -> &'static str {
    use rustls::{CertificateError, Error::InvalidCertificate};
    match cause {
        InvalidCertificate(CertificateError::UnknownIssuer) => {
            "name the file with its authority's certificate as notify.webhook_ca_file"
        }
        InvalidCertificate(_) => {
            "the server needs a certificate that is valid now and for the host of notify.webhook_url"
        }
        _ => "check that the server speaks TLS at this port",
    }
}
