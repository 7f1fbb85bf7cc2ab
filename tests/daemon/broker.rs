//! A Mosquitto of the test's own, and a panel that listens to everything.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use serde_json::Value;
use tempfile::TempDir;

use crate::station::{DEADLINE, until};

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

/// A running Mosquitto.
pub struct Mosquitto {
    pub port: u16,
    process: Child,
    _folder: TempDir,
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::start_on(free_port())
    }

    pub fn start_on(port: u16) -> Self {
        let folder = TempDir::new().expect("a folder");
        let config = folder.path().join("mosquitto.conf");
        let user = if rustix::process::geteuid().is_root() {
            "user root\n"
        } else {
            ""
        };
        fs::write(
            &config,
            format!("listener {port} 127.0.0.1\nallow_anonymous true\n{user}"),
        )
        .expect("written");
        let program = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
            .into_iter()
            .find(|path| fs::exists(path).unwrap_or(false));
        let process = Command::new(program.unwrap_or("mosquitto"))
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is needed: apt-get install mosquitto");
        until("mosquitto listens", || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
        });
        Self {
            port,
            process,
            _folder: folder,
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A message as received.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: String,
    payload: Vec<u8>,
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).expect("payloads are JSON")
    }
}

/// A subscriber of everything.
pub struct Panel {
    messages: Mutex<std::sync::mpsc::Receiver<Message>>,
    seen: Mutex<Vec<Message>>,
    _client: Client,
}

impl Panel {
    pub fn connect(port: u16) -> Self {
        let mut options = MqttOptions::new(
            format!("panel-{port}-{:?}", Instant::now()),
            "127.0.0.1",
            port,
        );
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut connection) = Client::new(options, 64);
        let (sender, messages) = std::sync::mpsc::channel();
        let subscriber = client.clone();
        let (subscribed, ready) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        subscriber
                            .try_subscribe("pumphouse/#", QoS::AtLeastOnce)
                            .expect("room in the channel");
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => drop(subscribed.send(())),
                    Ok(Event::Incoming(Packet::Publish(message))) => {
                        let message = Message {
                            topic: message.topic,
                            payload: message.payload.to_vec(),
                        };
                        if sender.send(message).is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(20)),
                }
            }
        });
        ready
            .recv_timeout(DEADLINE)
            .expect("the broker takes the subscription");
        Self {
            messages: Mutex::new(messages),
            seen: Mutex::default(),
            _client: client,
        }
    }

    /// The first message, seen already or to come, that `take` takes.
    pub fn wait_for<T>(&self, what: &str, take: impl Fn(&Message) -> Option<T>) -> T {
        let mut seen = self.seen.lock().expect("one at a time");
        if let Some(taken) = seen.iter().find_map(&take) {
            return taken;
        }
        let messages = self.messages.lock().expect("one at a time");
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(message) = messages.recv_timeout(left) else {
                let topics: Vec<_> = seen.iter().map(|message| message.topic.clone()).collect();
                panic!("no message: {what}; seen {topics:?}");
            };
            let taken = take(&message);
            seen.push(message);
            if let Some(taken) = taken {
                return taken;
            }
        }
    }
}
