//! An operator panel: it listens to everything of the product and can say something itself.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use rumqttc::{Client, Connection, Event, MqttOptions, Packet, QoS};
use serde_json::Value;

use super::waiting::DEADLINE;

/// Everything of the product.
const EVERYTHING: &str = "pumphouse/#";
/// Between two tries to reach the broker.
const AGAIN: Duration = Duration::from_millis(20);
/// The longest message, bytes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// A message as received.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
    /// Whether it came because the broker had kept it.
    pub retained: bool,
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.payload).expect("payloads are JSON")
    }
}

/// A subscriber of everything. Where the broker goes away, it comes back by itself.
pub struct Panel {
    shared: Arc<Shared>,
    client: Client,
}

#[derive(Default)]
struct Shared {
    seen: Mutex<Vec<Message>>,
    news: Condvar,
    gone: AtomicBool,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Vec<Message>> {
        // A test that has failed while it looked leaves the messages as they were.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Panel {
    /// A panel that hears what is said while it is connected, and what is retained whenever it connects.
    pub fn connect(port: u16) -> Self {
        Self::connect_as(port, true, EVERYTHING)
    }

    /// A panel that hears other topics than those of the product.
    pub fn hearing(port: u16, filter: &'static str) -> Self {
        Self::connect_as(port, true, filter)
    }

    /// A panel whose session the broker keeps: what is said while it is away comes later.
    pub fn connect_persistent(port: u16) -> Self {
        Self::connect_as(port, false, EVERYTHING)
    }

    fn connect_as(port: u16, clean_session: bool, filter: &'static str) -> Self {
        static PANELS: AtomicU32 = AtomicU32::new(0);
        let number = PANELS.fetch_add(1, Ordering::Relaxed);
        let id = format!("panel-{}-{number}", std::process::id());
        let mut options = MqttOptions::new(id, Ipv4Addr::LOCALHOST.to_string(), port);
        options.set_max_packet_size(MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX);
        options.set_clean_session(clean_session);
        let (client, connection) = Client::new(options, 64);
        let (subscribed, ready) = mpsc::channel();
        let shared = Arc::new(Shared::default());
        let panel = Self {
            shared: shared.clone(),
            client: client.clone(),
        };
        std::thread::spawn(move || listen(connection, &client, filter, &shared, &subscribed));
        ready
            .recv_timeout(DEADLINE)
            .expect("the broker takes the subscription");
        panel
    }

    /// Says something, as soon as the broker can be reached.
    pub fn publish(&self, topic: &str, payload: impl Into<Vec<u8>>, retain: bool) {
        self.client
            .publish(topic, QoS::AtLeastOnce, retain, payload)
            .expect("room in the channel");
    }

    /// All messages so far, in the order in which they came.
    pub fn messages(&self) -> Vec<Message> {
        self.shared.seen().clone()
    }

    /// The first message, seen already or to come, that `take` takes.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, take: impl Fn(&Message) -> Option<T>) -> T {
        let mut looked_at = 0;
        self.wait_for_all(what, |seen| {
            let new = &seen[std::mem::replace(&mut looked_at, seen.len())..];
            new.iter().find_map(&take)
        })
    }

    /// Waits until `take` takes all messages seen so far, in their order.
    #[track_caller]
    pub fn wait_for_all<T>(&self, what: &str, mut take: impl FnMut(&[Message]) -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        let mut seen = self.shared.seen();
        loop {
            if let Some(taken) = take(&seen) {
                return taken;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let topics: Vec<_> = seen.iter().map(|message| &message.topic).collect();
                panic!("no message: {what}; seen {topics:?}");
            }
            let waited = self.shared.news.wait_timeout(seen, left);
            seen = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Drop for Panel {
    fn drop(&mut self) {
        self.shared.gone.store(true, Ordering::Relaxed);
        // When there is no room, the thread finds out by itself.
        let _ = self.client.try_disconnect();
    }
}

fn listen(
    mut connection: Connection,
    client: &Client,
    filter: &str,
    shared: &Shared,
    subscribed: &mpsc::Sender<()>,
) {
    for event in connection.iter() {
        if shared.gone.load(Ordering::Relaxed) {
            return;
        }
        match event {
            Ok(Event::Incoming(Packet::ConnAck(_))) => client
                .try_subscribe(filter, QoS::AtLeastOnce)
                .expect("room in the channel"),
            // Nobody waits for any but the first.
            Ok(Event::Incoming(Packet::SubAck(_))) => drop(subscribed.send(())),
            Ok(Event::Incoming(Packet::Publish(message))) => {
                shared.seen().push(Message {
                    topic: message.topic,
                    payload: message.payload.to_vec(),
                    retained: message.retain,
                });
                shared.news.notify_all();
            }
            Ok(_) => {}
            Err(_) => std::thread::sleep(AGAIN),
        }
    }
}
