//! Where things are delivered: the broker, the central office, the people on call.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::ensure;
use sqlx::postgres::PgConnectOptions;
use ureq::http::Uri;

use super::section::Section;
use crate::tls::is_local;

/// The broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mqtt {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS, with `mqtts://`.
    pub tls: bool,
    /// Version of the protocol.
    pub version: MqttVersion,
    /// Topic prefix.
    pub prefix: String,
    /// User.
    pub username: Option<String>,
    /// File with the password, or the name of a systemd credential.
    pub password_file: Option<PathBuf>,
    /// File with the certificates of the authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Client certificate and key.
    pub client_auth: Option<(PathBuf, PathBuf)>,
    /// Longest wait between two attempts to connect, s.
    pub retry_s_max: u64,
    /// Longest time for which the broker may leave everything unacknowledged, s.
    pub silence_s_max: u64,
    /// Sparkplug B group; `None` leaves that face off.
    pub sparkplug_group: Option<String>,
    /// The Sparkplug host that must be online before the station shows itself there; `None` waits for nobody.
    pub sparkplug_primary_host: Option<String>,
    /// Home Assistant's discovery prefix; `None` leaves that face off.
    pub home_assistant_prefix: Option<String>,
}

/// Version of the MQTT protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MqttVersion {
    /// 3.1.1, which every broker speaks.
    V3,
    /// 5, whose acknowledgements carry a reason.
    V5,
}

/// The central office's PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Central {
    /// `postgres://user@host:port/database`, without a password.
    pub url: String,
    /// File with the password, or the name of a systemd credential.
    pub password_file: Option<PathBuf>,
    /// File with the certificates of the authorities to trust.
    pub ca_file: Option<PathBuf>,
    /// Client certificate and key.
    pub client_auth: Option<(PathBuf, PathBuf)>,
    /// Most rows in one transaction.
    pub batch_rows_max: usize,
    /// Longest wait between two attempts, s.
    pub retry_s_max: u64,
    /// Longest time for which the server may leave a request unanswered, s.
    pub silence_s_max: u64,
}

impl Central {
    /// An office that is named on the command line.
    pub fn at(url: String, password_file: Option<PathBuf>, ca_file: Option<PathBuf>) -> Self {
        Self {
            url,
            password_file,
            ca_file,
            client_auth: None,
            batch_rows_max: 1,
            retry_s_max: 1,
            silence_s_max: CENTRAL_SILENCE_S_MAX as u64,
        }
    }
}

/// Longest wait between two attempts where the config says nothing, s.
const RETRY_S_MAX: i64 = 60;
/// Longest silence of a broker where the config says nothing, s.
const BROKER_SILENCE_S_MAX: i64 = 30;
/// Longest silence of a central office where the config says nothing, s: a batch is a statement.
pub(crate) const CENTRAL_SILENCE_S_MAX: i64 = 60;

/// Who is called about alerts, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// Gets a POST with the alert as JSON.
    pub webhook_url: Option<String>,
    /// File with the webhook's bearer token, or the name of a systemd credential.
    pub webhook_token_file: Option<PathBuf>,
    /// File with the certificates of the authorities to trust for the webhook.
    pub webhook_ca_file: Option<PathBuf>,
    /// Program and arguments; gets the alert as JSON on its standard input.
    pub command: Vec<String>,
    /// A CRITICAL alert is called out at once, and once more when it is not acknowledged after this, s.
    pub critical_escalate_s: i64,
    /// A HIGH alert is called out when it is not acknowledged after this, s.
    pub high_escalate_s: i64,
}

/// Paths of a section: a plain file, and a secret, whose bare name may be that of a systemd credential.
pub(super) struct Files<'s, 'a> {
    pub(super) section: &'s Section<'a>,
    pub(super) folder: &'s Path,
}

impl Files<'_, '_> {
    pub(super) fn file(&self, key: &str) -> Option<PathBuf> {
        self.section.text(key).map(|path| self.folder.join(path))
    }

    pub(super) fn secret(&self, key: &str) -> Option<PathBuf> {
        self.section
            .text(key)
            .map(|path| credential(&path).unwrap_or_else(|| self.folder.join(path)))
    }

    fn client_auth(&self, ca_file: Option<&PathBuf>) -> Option<(PathBuf, PathBuf)> {
        let auth = match (
            self.file("client_cert_file"),
            self.secret("client_key_file"),
        ) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => return None,
            _ => {
                self.section.fault(
                    "client_cert_file",
                    "needs client_key_file, and the other way round",
                );
                return None;
            }
        };
        if ca_file.is_none() {
            self.section.fault(
                "client_cert_file",
                "needs ca_file: the authority that signed the server's certificate",
            );
        }
        Some(auth)
    }
}

/// Reads `[mqtt]`.
pub(super) fn mqtt(root: &Section<'_>, folder: &Path, notes: &mut Vec<String>) -> Option<Mqtt> {
    let mqtt = root.section("mqtt");
    if !mqtt.is_present() {
        return None;
    }
    let url = mqtt
        .text("url")
        .unwrap_or_else(|| "mqtt://127.0.0.1:1883".into());
    let (host, port, tls) = broker(&url).unwrap_or_else(|| {
        // It is not told itself: it may have a password in it.
        mqtt.fault(
            "url",
            match url.contains('@') {
                true => "has a login in it; put the name into username, the password into a file, and name that as password_file",
                false => "is no broker's address; write \"mqtt://host:1883\" or \"mqtts://host:8883\"",
            },
        );
        (String::new(), 0, false)
    });
    let topic = |key: &str| {
        let topic = mqtt.text(key);
        if let Some(topic) = &topic
            && (topic.is_empty()
                || topic.contains(['+', '#', '\0'])
                || topic.starts_with('/')
                || topic.ends_with('/'))
        {
            mqtt.fault(
                key,
                "must be a topic without wildcards and without a slash at either end",
            );
        }
        topic
    };
    let version = match mqtt.text("version").as_deref() {
        None | Some("3.1.1") => MqttVersion::V3,
        Some("5") => MqttVersion::V5,
        Some(_) => {
            mqtt.fault("version", "must be \"3.1.1\" or \"5\"");
            MqttVersion::V3
        }
    };
    let files = Files {
        section: &mqtt,
        folder,
    };
    let ca_file = files.file("ca_file");
    let client_auth = files.client_auth(ca_file.as_ref());
    let level = |key: &str| {
        let level = topic(key);
        if level.as_ref().is_some_and(|level| level.contains('/')) {
            mqtt.fault(key, "must be one topic level, without a slash");
        }
        level
    };
    let sparkplug_group = level("sparkplug_group");
    let sparkplug_primary_host = level("sparkplug_primary_host");
    if sparkplug_primary_host.is_some() && sparkplug_group.is_none() {
        mqtt.fault("sparkplug_primary_host", "needs sparkplug_group");
    }
    let believed = Mqtt {
        host,
        port,
        tls,
        version,
        prefix: topic("prefix").unwrap_or_else(|| "pumphouse/v1".into()),
        username: mqtt.text("username"),
        password_file: files.secret("password_file"),
        ca_file,
        client_auth,
        retry_s_max: mqtt.whole_in("retry_s_max", RETRY_S_MAX, 1..=3600) as u64,
        silence_s_max: mqtt.whole_in("silence_s_max", BROKER_SILENCE_S_MAX, 1..=3600) as u64,
        sparkplug_group,
        sparkplug_primary_host,
        home_assistant_prefix: topic("home_assistant_prefix"),
    };
    if !tls && (believed.ca_file.is_some() || believed.client_auth.is_some()) {
        mqtt.fault("url", "has certificates but no TLS; write mqtts://");
    }
    if !tls && !believed.host.is_empty() && !is_local(&believed.host) {
        notes.push(format!(
            "mqtt.url has no TLS: whoever is on the way to {} can read all of it, passwords too, and can answer in its place",
            believed.host
        ));
    }
    mqtt.finish();
    Some(believed)
}

fn broker(url: &str) -> Option<(String, u16, bool)> {
    let (scheme, rest) = url.split_once("://")?;
    let (tls, usual) = match scheme {
        "mqtt" | "tcp" => (false, 1883),
        "mqtts" | "ssl" => (true, 8883),
        _ => return None,
    };
    let rest = rest.trim_end_matches('/');
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (rest, usual),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty() && !host.contains(['/', '@'])).then(|| (host.to_owned(), port, tls))
}

/// Reads `[central]`.
pub(super) fn central(
    root: &Section<'_>,
    folder: &Path,
    notes: &mut Vec<String>,
) -> Option<Central> {
    let central = root.section("central");
    if !central.is_present() {
        return None;
    }
    let url = central.text("url").unwrap_or_else(|| {
        central.fault(
            "url",
            "is missing: \"postgres://stp-01@central.example:5432/pumphouse\"",
        );
        String::new()
    });
    let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let login = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'))
        .map_or("", |(login, _)| login);
    let is_valid = is_postgres && PgConnectOptions::from_str(&url).is_ok();
    if !url.is_empty() && !is_valid {
        central.fault(
            "url",
            // It is not told itself: it may have a password in it.
            "is no address of a PostgreSQL database; write \"postgres://user@host:5432/database\"",
        );
    } else if login.contains(':') || url.contains("?password=") || url.contains("&password=") {
        central.fault(
            "url",
            "has a password in it; put it into a file and name that as password_file",
        );
    } else if !url.is_empty() && login.is_empty() {
        central.fault(
            "url",
            "names no user; the writer of a site has the site's id as its name",
        );
    }
    for mode in ["disable", "allow", "prefer", "require", "verify-ca"] {
        if url.contains(&format!("sslmode={mode}")) {
            notes.push(format!(
                "central.url has sslmode={mode}: the server's name is not verified"
            ));
        }
    }
    let files = Files {
        section: &central,
        folder,
    };
    let ca_file = files.file("ca_file");
    let believed = Central {
        url,
        password_file: files.secret("password_file"),
        client_auth: files.client_auth(ca_file.as_ref()),
        ca_file,
        batch_rows_max: central.whole_in("batch_rows_max", 50_000, 100..=1_000_000) as usize,
        retry_s_max: central.whole_in("retry_s_max", RETRY_S_MAX, 1..=3600) as u64,
        silence_s_max: central.whole_in("silence_s_max", CENTRAL_SILENCE_S_MAX, 1..=3600) as u64,
    };
    central.finish();
    Some(believed)
}

/// Reads `[notify]`.
pub(super) fn notify(root: &Section<'_>, folder: &Path, notes: &mut Vec<String>) -> Option<Notify> {
    let notify = root.section("notify");
    if !notify.is_present() {
        return None;
    }
    let files = Files {
        section: &notify,
        folder,
    };
    let seconds = |key: &str, default_min: f64| {
        let min = notify.number_in(key, default_min, 0.01..=1440.0);
        (min * 60.0).ceil() as i64
    };
    let mut command = notify.texts("command").unwrap_or_default();
    if let Some(program) = command.first_mut() {
        if program.is_empty() {
            notify.fault("command", "names no program");
        } else if program.contains('/') {
            // A bare name is looked up in PATH; a path counts from the config's folder, like all others.
            *program = folder.join(&*program).to_string_lossy().into_owned();
        }
    }
    let believed = Notify {
        webhook_url: notify.text("webhook_url"),
        webhook_token_file: files.secret("webhook_token_file"),
        webhook_ca_file: files.file("webhook_ca_file"),
        command,
        critical_escalate_s: seconds("critical_escalate_min", 5.0),
        high_escalate_s: seconds("high_escalate_min", 30.0),
    };
    if let Some(url) = &believed.webhook_url {
        match webhook_fault(url) {
            Some(what) => notify.fault("webhook_url", what),
            None => notes.extend(webhook_note(url)),
        }
    }
    if believed.webhook_url.is_none() && believed.command.is_empty() {
        notify.fault(
            "command",
            "is missing, and so is webhook_url: at least one of them must be there to call anybody",
        );
    }
    notify.finish();
    Some(believed)
}

/// What is wrong with a webhook's address. It is not told itself: it may be a secret.
fn webhook_fault(url: &str) -> Option<&'static str> {
    let Ok(uri) = url.parse::<Uri>() else {
        return Some("is no address; write \"https://host/path\"");
    };
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Some("must begin with http:// or https://");
    }
    if uri
        .authority()
        .is_some_and(|host| host.as_str().contains('@'))
    {
        return Some(
            "has a login in it; put a bearer token into a file and name that as webhook_token_file",
        );
    }
    None
}

fn webhook_note(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let host = uri.host()?;
    let is_local = is_local(host.trim_start_matches('[').trim_end_matches(']'));
    (uri.scheme_str() == Some("http") && !is_local).then(|| {
        "notify.webhook_url is http:// to another machine: whoever is on the way can read the calls and their token".into()
    })
}

/// A systemd credential of this name, if there is one.
fn credential(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    let path = Path::new(&folder).join(name);
    (!name.contains('/') && path.exists()).then_some(path)
}

/// Reads a secret from its file, without the line's end.
pub fn read_secret(path: &Path) -> anyhow::Result<String> {
    let secret = std::fs::read_to_string(path).map_err(|error| {
        let shown = path.display();
        let denied = error.kind() == ErrorKind::PermissionDenied;
        let name = path.file_name().unwrap_or_default().display();
        anyhow::Error::from(error).context(match denied {
            // As files of root alone are for the service.
            true => format!(
                "cannot read the secret in {shown}: a person does with sudo, the service as a credential \
                 (systemctl edit pumphouse: [Service], LoadCredential={name}:{shown}; then a restart)"
            ),
            false => format!("cannot read the secret in {shown}"),
        })
    })?;
    let secret = secret.trim_end_matches(['\r', '\n']);
    let of_service = std::env::var_os("CREDENTIALS_DIRECTORY");
    ensure!(
        !secret.is_empty(),
        "the secret in {} is empty{}",
        path.display(),
        match of_service.is_some_and(|folder| path.starts_with(folder)) {
            true =>
                ", as what LoadCredential names was when the service started: fill that, and restart",
            false => "",
        }
    );
    Ok(secret.to_owned())
}
