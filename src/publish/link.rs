//! A connection to the broker, in either version of the protocol.
//!
//! The client's event loop has a task of its own: dropped halfway through a connect, it would start over. The client keeps
//! nothing that matters: whatever it loses, the outbox sends again.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use rumqttc::{Outgoing, TlsConfiguration, Transport, v5};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::config::{Mqtt, MqttVersion};

/// Capacity of the client's request channel; more than any window, so that a publish never blocks.
pub const CHANNEL: usize = 64;
/// Longest packet, bytes.
const PACKET_BYTES_MAX: u32 = 256 * 1024;
/// A silent connection is asked for a sign of life after this, s.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What happens on the connection.
#[derive(Debug)]
pub enum Happening {
    /// The broker has accepted us.
    Connected,
    /// The publish requested next has left under this packet number; 0 for one that is not acknowledged.
    Sent(u16),
    /// The broker has the packet of this number.
    Acknowledged(u16),
    /// A message for us.
    Message {
        /// Its topic.
        topic: String,
        /// Its content.
        payload: Vec<u8>,
    },
    /// Nothing that matters here.
    Other,
}

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where to.
    pub topic: String,
    /// What.
    pub payload: Vec<u8>,
    /// Whether the broker keeps it for those who come later.
    pub retain: bool,
    /// Whether the broker acknowledges it.
    pub acknowledged: bool,
}

impl Message {
    /// A state, which the broker keeps.
    pub fn retained(topic: String, payload: String) -> Self {
        Self {
            topic,
            payload: payload.into_bytes(),
            retain: true,
            acknowledged: true,
        }
    }

    /// An event, which is told once.
    pub fn event(topic: String, payload: String) -> Self {
        Self {
            retain: false,
            ..Self::retained(topic, payload)
        }
    }
}

/// The client's side of a connection.
pub struct Link {
    client: Client,
    happenings: mpsc::Receiver<anyhow::Result<Happening>>,
    driver: JoinHandle<()>,
}

enum Client {
    V3(rumqttc::AsyncClient),
    V5(v5::AsyncClient),
}

impl Link {
    /// Opens a connection; secrets are read anew for each, so that a changed file needs no restart.
    pub fn open(mqtt: &Mqtt, client_id: &str, will: Message) -> anyhow::Result<Self> {
        let login = login(mqtt)?;
        let transport = if mqtt.tls {
            Some(Transport::Tls(tls(mqtt)?))
        } else {
            None
        };
        let (sender, happenings) = mpsc::channel(CHANNEL * 2);
        let (client, driver) = match mqtt.version {
            MqttVersion::V3 => {
                let mut options =
                    rumqttc::MqttOptions::new(client_id, mqtt.host.clone(), mqtt.port);
                options.set_keep_alive(KEEP_ALIVE);
                // The outbox is the session; the broker keeps none for us.
                options.set_clean_session(true);
                options.set_max_packet_size(PACKET_BYTES_MAX as usize, PACKET_BYTES_MAX as usize);
                let qos = qos3(will.acknowledged);
                options.set_last_will(rumqttc::LastWill::new(
                    will.topic,
                    will.payload,
                    qos,
                    will.retain,
                ));
                if let Some((user, password)) = login {
                    options.set_credentials(user, password);
                }
                if let Some(transport) = transport {
                    options.set_transport(transport);
                }
                let (client, mut events) = rumqttc::AsyncClient::new(options, CHANNEL);
                let driver = tokio::spawn(async move {
                    loop {
                        let happening = events
                            .poll()
                            .await
                            .map(happening3)
                            .map_err(anyhow::Error::from);
                        let failed = happening.is_err();
                        if sender.send(happening).await.is_err() || failed {
                            return;
                        }
                    }
                });
                (Client::V3(client), driver)
            }
            MqttVersion::V5 => {
                let mut options = v5::MqttOptions::new(client_id, mqtt.host.clone(), mqtt.port);
                options.set_keep_alive(KEEP_ALIVE);
                options.set_clean_start(true);
                options.set_max_packet_size(Some(PACKET_BYTES_MAX));
                let qos = qos5(will.acknowledged);
                options.set_last_will(v5::mqttbytes::v5::LastWill::new(
                    will.topic,
                    will.payload,
                    qos,
                    will.retain,
                    None,
                ));
                if let Some((user, password)) = login {
                    options.set_credentials(user, password);
                }
                if let Some(transport) = transport {
                    options.set_transport(transport);
                }
                let (client, mut events) = v5::AsyncClient::new(options, CHANNEL);
                let driver = tokio::spawn(async move {
                    loop {
                        let happening = events
                            .poll()
                            .await
                            .map_err(anyhow::Error::from)
                            .and_then(happening5);
                        let failed = happening.is_err();
                        if sender.send(happening).await.is_err() || failed {
                            return;
                        }
                    }
                });
                (Client::V5(client), driver)
            }
        };
        Ok(Self {
            client,
            happenings,
            driver,
        })
    }

    /// Hands a message to the client; it leaves in the order in which it was handed over.
    pub fn publish(&self, message: Message) -> anyhow::Result<()> {
        let Message {
            topic,
            payload,
            retain,
            acknowledged,
        } = message;
        match &self.client {
            Client::V3(client) => {
                client.try_publish(topic, qos3(acknowledged), retain, payload)?;
            }
            Client::V5(client) => {
                client.try_publish(topic, qos5(acknowledged), retain, payload)?;
            }
        }
        Ok(())
    }

    /// Asks for the messages of a topic filter.
    pub fn subscribe(&self, filter: &str) -> anyhow::Result<()> {
        match &self.client {
            Client::V3(client) => client.try_subscribe(filter, qos3(true))?,
            Client::V5(client) => client.try_subscribe(filter, qos5(true))?,
        }
        Ok(())
    }

    /// What happens next; an error ends the connection.
    pub async fn next(&mut self) -> anyhow::Result<Happening> {
        self.happenings
            .recv()
            .await
            .context("the connection ended")?
    }

    /// What has happened already.
    pub fn next_ready(&mut self) -> Option<anyhow::Result<Happening>> {
        self.happenings.try_recv().ok()
    }

    /// Takes leave, so that the broker does not publish the will.
    pub async fn close(mut self) -> anyhow::Result<()> {
        match &self.client {
            Client::V3(client) => client.try_disconnect()?,
            Client::V5(client) => client.try_disconnect()?,
        }
        // The event loop has a moment to send it before it is dropped.
        while let Ok(Ok(_)) = tokio::time::timeout(Duration::from_millis(500), self.next()).await {}
        Ok(())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn qos3(acknowledged: bool) -> rumqttc::QoS {
    if acknowledged {
        rumqttc::QoS::AtLeastOnce
    } else {
        rumqttc::QoS::AtMostOnce
    }
}

fn qos5(acknowledged: bool) -> v5::mqttbytes::QoS {
    if acknowledged {
        v5::mqttbytes::QoS::AtLeastOnce
    } else {
        v5::mqttbytes::QoS::AtMostOnce
    }
}

fn happening3(event: rumqttc::Event) -> Happening {
    use rumqttc::{Event, Packet};
    match event {
        Event::Incoming(Packet::ConnAck(_)) => Happening::Connected,
        Event::Outgoing(Outgoing::Publish(packet)) => Happening::Sent(packet),
        Event::Incoming(Packet::PubAck(ack)) => Happening::Acknowledged(ack.pkid),
        Event::Incoming(Packet::Publish(message)) => Happening::Message {
            topic: message.topic,
            payload: message.payload.to_vec(),
        },
        _ => Happening::Other,
    }
}

fn happening5(event: v5::Event) -> anyhow::Result<Happening> {
    use v5::{
        Event,
        mqttbytes::v5::{Packet, PubAckReason},
    };
    Ok(match event {
        Event::Incoming(Packet::ConnAck(_)) => Happening::Connected,
        Event::Outgoing(Outgoing::Publish(packet)) => Happening::Sent(packet),
        Event::Incoming(Packet::PubAck(ack)) => match ack.reason {
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => {
                Happening::Acknowledged(ack.pkid)
            }
            // It stays in the outbox.
            reason => anyhow::bail!("the broker refuses a message: {reason:?}"),
        },
        Event::Incoming(Packet::Publish(message)) => Happening::Message {
            topic: String::from_utf8_lossy(&message.topic).into_owned(),
            payload: message.payload.to_vec(),
        },
        _ => Happening::Other,
    })
}

/// Says what a failed connect means.
pub fn explain(error: anyhow::Error, mqtt: &Mqtt) -> anyhow::Error {
    let refused = error.downcast_ref().is_some_and(|error| {
        use rumqttc::{ConnectReturnCode::*, ConnectionError};
        matches!(
            error,
            ConnectionError::ConnectionRefused(BadUserNamePassword | NotAuthorized)
        )
    }) || error.downcast_ref().is_some_and(|error| {
        use v5::{ConnectionError, mqttbytes::v5::ConnectReturnCode::*};
        matches!(
            error,
            ConnectionError::ConnectionRefused(BadUserNamePassword | NotAuthorized)
        )
    });
    let meaning = match &mqtt.username {
        Some(user) if refused => Some(format!(
            "the broker does not accept user {user:?} with the password in password_file"
        )),
        None if refused => Some("the broker demands username and password_file".into()),
        _ => crate::tls::explain(error.as_ref(), &mqtt.host, mqtt.ca_file.is_some()),
    };
    match meaning {
        Some(meaning) => error.context(meaning),
        None => error,
    }
}

fn login(mqtt: &Mqtt) -> anyhow::Result<Option<(String, String)>> {
    let Some(user) = &mqtt.username else {
        return Ok(None);
    };
    let password = match &mqtt.password_file {
        Some(path) => crate::config::read_secret(path)?,
        None => String::new(),
    };
    Ok(Some((user.clone(), password)))
}

/// The authorities that the system trusts.
fn system_trust() -> anyhow::Result<rumqttc::tokio_rustls::rustls::ClientConfig> {
    use rumqttc::tokio_rustls::rustls::{ClientConfig, RootCertStore};
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(loaded.certs);
    anyhow::ensure!(
        !roots.is_empty(),
        "the system has no certificates of authorities; install ca-certificates or name mqtt.ca_file"
    );
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn tls(mqtt: &Mqtt) -> anyhow::Result<TlsConfiguration> {
    let read = |path: &std::path::PathBuf| {
        std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
    };
    let Some(ca_file) = &mqtt.ca_file else {
        return Ok(TlsConfiguration::Rustls(Arc::new(system_trust()?)));
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
