//! The messages under way: which packet carries which message, and how many at once.

use std::collections::{HashMap, VecDeque};

use rumqttc::AsyncClient;

use super::AT_LEAST_ONCE;

/// Capacity of the client's request channel; more than the window, so that a publish never blocks.
pub const CHANNEL: usize = 64;
/// Messages under way at once.
const WINDOW: usize = 32;

/// A message, by what becomes of it when it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// An event of the outbox.
    Event(i64),
    /// A retained state: topic and revision.
    State(String, i64),
    /// The connection's own.
    Own,
}

struct Message {
    item: Item,
    topic: String,
    payload: String,
    retain: bool,
}

/// Messages waiting, requested, and sent.
#[derive(Default)]
pub struct Window {
    waiting: VecDeque<Message>,
    requested: VecDeque<Item>,
    sent: HashMap<u16, Item>,
    /// The newest revision handed on, by topic.
    revisions: HashMap<String, i64>,
}

impl Window {
    /// Appends a message.
    pub fn queue(&mut self, item: Item, topic: String, payload: String, retain: bool) {
        if let Item::State(topic, revision) = &item {
            self.revisions.insert(topic.clone(), *revision);
        }
        self.waiting.push_back(Message {
            item,
            topic,
            payload,
            retain,
        });
    }

    /// Messages that have not been handed to the client.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a topic's revision is newer than the one handed on.
    pub fn is_newer(&self, topic: &str, revision: i64) -> bool {
        self.revisions
            .get(topic)
            .is_none_or(|&known| revision > known)
    }

    /// Whether everything is acknowledged.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.requested.is_empty() && self.sent.is_empty()
    }

    /// Hands as much to the client as the window lets through.
    pub fn send(&mut self, client: &AsyncClient) -> anyhow::Result<()> {
        while self.requested.len() + self.sent.len() < WINDOW {
            let Some(message) = self.waiting.pop_front() else {
                break;
            };
            client.try_publish(
                message.topic,
                AT_LEAST_ONCE,
                message.retain,
                message.payload,
            )?;
            self.requested.push_back(message.item);
        }
        Ok(())
    }

    /// A publish has left under this packet number; publishes leave in the order in which they were requested.
    pub fn sent(&mut self, packet: u16) {
        if let Some(item) = self.requested.pop_front() {
            self.sent.insert(packet, item);
        }
    }

    /// The broker has the packet.
    pub fn acknowledged(&mut self, packet: u16) -> Option<Item> {
        self.sent.remove(&packet)
    }
}
