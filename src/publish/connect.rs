//! How to reach the broker: address, will, password, TLS.

use std::time::Duration;

use anyhow::Context;
use rumqttc::{LastWill, MqttOptions, TlsConfiguration, Transport};

use super::AT_LEAST_ONCE;
use crate::config::Mqtt;

/// Longest packet, bytes.
const PACKET_BYTES_MAX: usize = 256 * 1024;

/// The client's options; secrets are read anew for each connection, so that a changed file needs no restart.
pub fn options(mqtt: &Mqtt, site: &str, will: (String, String)) -> anyhow::Result<MqttOptions> {
    let mut options = MqttOptions::new(format!("pumphouse-{site}"), mqtt.host.clone(), mqtt.port);
    options.set_keep_alive(Duration::from_secs(15));
    // The outbox is the session; the broker keeps none for us.
    options.set_clean_session(true);
    options.set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX);
    options.set_last_will(LastWill::new(will.0, will.1, AT_LEAST_ONCE, true));
    if let Some(username) = &mqtt.username {
        let password = match &mqtt.password_file {
            Some(path) => std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the password file {}", path.display()))?,
            None => String::new(),
        };
        options.set_credentials(username.clone(), password.trim_end_matches(['\r', '\n']));
    }
    if mqtt.tls {
        options.set_transport(Transport::Tls(tls(mqtt)?));
    }
    Ok(options)
}

fn tls(mqtt: &Mqtt) -> anyhow::Result<TlsConfiguration> {
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let Some(ca_file) = &mqtt.ca_file else {
        return Ok(TlsConfiguration::default());
    };
    let client_auth = match &mqtt.client_auth {
        Some((certificate, key)) => Some((read(certificate)?, read(key)?)),
        None => None,
    };
    Ok(TlsConfiguration::Simple {
        ca: read(ca_file)?,
        alpn: None,
        client_auth,
    })
}
