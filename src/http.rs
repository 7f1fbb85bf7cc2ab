//! HTTP to servers that the config names: whom to trust, what to tell them, and what an exchange failed of, in words.
//!
//! *Invariants.* A request goes where the config says and nowhere else: no proxy, no redirect. A secret is in no error, log or
//! `Debug`.

use std::{
    fs,
    io::{ErrorKind, Read},
    path::Path,
    time::Duration,
};

use anyhow::{Context, ensure};
use ureq::{
    Agent, Body, Error,
    config::ConfigBuilder,
    http::{HeaderValue, Response, Uri},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
    typestate::AgentScope,
};

use crate::config::read_secret;

/// The keys of the config that name a server, for what is said about it.
pub(crate) struct Keys {
    /// Its address.
    pub url: &'static str,
    /// File with the authorities to trust.
    pub ca_file: &'static str,
}

/// What goes wrong, and what to do about it.
#[derive(Debug)]
pub(crate) struct Fault {
    pub cause: String,
    pub advice: String,
}

/// A bearer token or key.
pub(crate) struct Secret(String);

impl Secret {
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let secret = read_secret(path)?;
        ensure!(!secret.is_empty(), "{} is empty", path.display());
        Ok(Self(secret))
    }

    /// The value of a header that has it behind a prefix; `None` when no header can have it.
    pub fn header(&self, prefix: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{prefix}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// A text without it: a server may tell what it was sent.
    pub fn blank(&self, text: &str) -> String {
        text.replace(&self.0, "…")
    }

    /// Its length, bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// How an address is spoken to: answers of any status are answers, and authorities are read anew from `ca_file`, or from the
/// system.
pub(crate) fn agent(
    address: &Uri,
    ca_file: Option<&Path>,
    keys: &Keys,
) -> anyhow::Result<ConfigBuilder<AgentScope>> {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("pumphouse/", env!("CARGO_PKG_VERSION")));
    if address.scheme_str() != Some("https") {
        return Ok(config);
    }
    let roots = match ca_file {
        Some(path) => authorities(path)?,
        None => system_authorities(keys)?,
    };
    let roots = RootCerts::new_with_certs(&roots);
    Ok(config.tls_config(TlsConfig::builder().root_certs(roots).build()))
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

fn system_authorities(keys: &Keys) -> anyhow::Result<Vec<Certificate<'static>>> {
    let loaded = rustls_native_certs::load_native_certs();
    ensure!(
        !loaded.certs.is_empty(),
        "the system has no certificates of authorities; install them (ca-certificates), or name a file as {}",
        keys.ca_file
    );
    let certificates = loaded.certs.iter();
    Ok(certificates
        .map(|der| Certificate::from_der(der).to_owned())
        .collect())
}

/// The beginning of an answer; one that breaks off counts as far as it came.
pub(crate) fn read_some(response: Response<Body>, bytes_max: usize) -> Vec<u8> {
    let mut reader = response.into_body().into_reader();
    let mut said = vec![0; bytes_max];
    let mut length = 0;
    while let Ok(more @ 1..) = reader.read(&mut said[length..]) {
        length += more;
    }
    said.truncate(length);
    said
}

/// What a failed exchange means and what to do about it; it had so much time.
pub(crate) fn explain(error: &Error, keys: &Keys, time_max: Duration) -> Fault {
    let url = keys.url;
    let (cause, advice) = match error {
        Error::Timeout(_) => (
            format!("no answer within {} s", time_max.as_secs()),
            "look whether the server is up, and whether a firewall drops the connection".into(),
        ),
        Error::HostNotFound => (
            "the host is not found".into(),
            format!("check the host in {url}, and the box's DNS"),
        ),
        Error::Rustls(cause) => (cause.to_string(), certificate_advice(cause, keys)),
        Error::Io(cause) => match cause.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(cause) => (
                rustls::Error::to_string(cause),
                certificate_advice(cause, keys),
            ),
            None => (cause.to_string(), connection_advice(cause.kind(), url)),
        },
        other => (
            other.to_string(),
            format!("check that an HTTP server listens at {url}"),
        ),
    };
    Fault { cause, advice }
}

fn connection_advice(kind: ErrorKind, url: &str) -> String {
    match kind {
        ErrorKind::ConnectionRefused => {
            format!("start the server, or correct host and port of {url}")
        }
        _ => format!("check the way to the host of {url}"),
    }
}

fn certificate_advice(cause: &rustls::Error, keys: &Keys) -> String {
    use rustls::{CertificateError, Error::InvalidCertificate};
    match cause {
        InvalidCertificate(CertificateError::UnknownIssuer) => format!(
            "name the file with its authority's certificate as {}",
            keys.ca_file
        ),
        InvalidCertificate(_) => format!(
            "the server needs a certificate that is valid now and for the host of {}",
            keys.url
        ),
        _ => "check that the server speaks TLS at this port".into(),
    }
}
