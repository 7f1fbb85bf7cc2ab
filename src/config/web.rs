//! What people look at and ask: the dashboard and the assistant.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use ureq::http::Uri;

use super::{delivery::Files, section::Section};

/// Where the dashboard listens when the config says nothing.
const LISTEN: &str = "127.0.0.1:8080";
/// Anthropic's own server.
const ANTHROPIC: &str = "https://api.anthropic.com";

/// The dashboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Web {
    /// Where it listens.
    pub listen: SocketAddr,
    /// File with the users and the hashes of their passwords, or the name of a systemd credential; `None` on loopback alone.
    pub password_file: Option<PathBuf>,
    /// Certificate and key; `None` for HTTP without TLS.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// How long a log-in lasts without use.
    pub session: Duration,
}

impl Web {
    /// How browsers speak to it: `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }
}

/// The language model that answers what the built-in questions do not cover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assistant {
    /// How it is spoken to.
    pub dialect: Dialect,
    /// The server: `https://host`, without the path of a request.
    pub url: String,
    /// The model's name.
    pub model: String,
    /// File with the key, or the name of a systemd credential.
    pub key_file: Option<PathBuf>,
    /// File with the certificates of the authorities to trust; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// A question is answered within this, or not at all.
    pub timeout: Duration,
}

/// How a server of language models is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Anthropic's Messages API.
    Anthropic,
    /// Chat completions, which llama.cpp, Ollama, vLLM and others speak.
    OpenAi,
}

impl Dialect {
    /// Its name in the config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anthropic => "anthropic",
            Self::OpenAi => "openai",
        }
    }
}

/// Reads `[web]`.
pub(super) fn web(root: &Section<'_>, folder: &Path, notes: &mut Vec<String>) -> Option<Web> {
    let web = root.section("web");
    if !web.is_present() {
        return None;
    }
    let listen = web.text("listen").unwrap_or_else(|| LISTEN.into());
    let listen: SocketAddr = listen.parse().unwrap_or_else(|_| {
        web.fault(
            "listen",
            format!("{listen:?} is no address and port; write \"127.0.0.1:8080\", or \"0.0.0.0:8443\" for all of this machine's addresses"),
        );
        SocketAddr::from(([127, 0, 0, 1], 0))
    });
    let files = Files {
        section: &web,
        folder,
    };
    let password_file = files.secret("password_file");
    let tls = match (files.file("tls_cert_file"), files.secret("tls_key_file")) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            web.fault(
                "tls_cert_file",
                "needs tls_key_file, and the other way round",
            );
            None
        }
    };
    if !listen.ip().is_loopback() {
        if password_file.is_none() {
            web.fault(
                "listen",
                format!("{listen} can be reached from the network, which needs password_file; `pumphouse password` makes its lines"),
            );
        }
        if tls.is_none() {
            notes.push(
                "web.listen can be reached from the network without TLS: whoever is on the way can read the passwords; tls_cert_file and tls_key_file turn it on"
                    .into(),
            );
        }
    }
    let session_h = web.number_in("session_h", 12.0, 0.1..=8760.0);
    web.finish();
    Some(Web {
        listen,
        password_file,
        tls,
        session: Duration::from_secs_f64(session_h * 3600.0),
    })
}

/// Reads `[assistant]`.
pub(super) fn assistant(root: &Section<'_>, folder: &Path) -> Option<Assistant> {
    let assistant = root.section("assistant");
    let files = Files {
        section: &assistant,
        folder,
    };
    let text = |key: &str, what: &str| {
        assistant.text(key).unwrap_or_else(|| {
            assistant.fault(key, format!("is missing: {what}"));
            String::new()
        })
    };
    let provider = assistant.text("provider");
    let dialect = match provider.as_deref() {
        Some("anthropic") => Some(Dialect::Anthropic),
        Some("openai") => Some(Dialect::OpenAi),
        None => None,
        Some(_) => {
            assistant.fault(
                "provider",
                "must be \"anthropic\", or \"openai\" for any compatible server",
            );
            None
        }
    };
    let rest = ["url", "model", "key_file", "ca_file", "timeout_s"];
    let Some(dialect) = dialect else {
        let keys = assistant.keys();
        if let Some(key) = rest.into_iter().find(|key| keys.iter().any(|it| it == key))
            && provider.is_none()
        {
            assistant.fault(key, "needs provider");
        }
        rest.iter().for_each(|key| assistant.touch(key));
        assistant.finish();
        return None;
    };
    let url = match dialect {
        Dialect::Anthropic => assistant.text("url").unwrap_or_else(|| ANTHROPIC.into()),
        Dialect::OpenAi => text("url", "the server, like \"http://127.0.0.1:8081\""),
    };
    if !url.is_empty()
        && let Some(what) = url_fault(&url)
    {
        assistant.fault("url", what);
    }
    let key_file = files.secret("key_file");
    if dialect == Dialect::Anthropic && key_file.is_none() {
        assistant.fault(
            "key_file",
            "is missing: a file with the key, or the name of a systemd credential",
        );
    }
    let believed = Assistant {
        dialect,
        url: url.trim_end_matches('/').to_owned(),
        model: text("model", "the model's name, as its server calls it"),
        key_file,
        ca_file: files.file("ca_file"),
        timeout: Duration::from_secs_f64(assistant.number_in("timeout_s", 60.0, 1.0..=600.0)),
    };
    assistant.finish();
    Some(believed)
}

fn url_fault(url: &str) -> Option<&'static str> {
    let Ok(uri) = url.parse::<Uri>() else {
        return Some("is no address; write \"https://host\"");
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Some("must begin with http:// or https://");
    }
    uri.authority()
        .is_some_and(|host| host.as_str().contains('@'))
        .then_some("has a login in it; put the key into a file and name that as key_file")
}
