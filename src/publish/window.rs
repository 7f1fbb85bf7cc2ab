//! The messages under way: which packet carries which message, and how many at once.

use std::collections::{HashMap, VecDeque};

use super::link::{CHANNEL, Message};
use crate::store::outbox::Waiting;

/// Messages under way at once; fewer than the client's channel holds.
const WINDOW: usize = 32;

/// What becomes of a message when it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// It leaves the outbox.
    Outbox(i64),
    /// Nothing: a state is sent again after each connect in any case.
    State,
}

/// Messages waiting, requested, and sent.
#[derive(Default)]
pub struct Window {
    waiting: VecDeque<(Item, Message)>,
    requested: VecDeque<Item>,
    sent: HashMap<u16, Item>,
    /// The newest message of the outbox that was taken up.
    newest: i64,
}

impl Window {
    /// Appends a message. A state that still waits is replaced by the newer one of its topic.
    pub fn queue(&mut self, item: Item, message: Message) {
        if item == Item::State
            && let Some((_, older)) = self
                .waiting
                .iter_mut()
                .find(|(item, older)| *item == Item::State && older.topic == message.topic)
        {
            *older = message;
        } else {
            self.waiting.push_back((item, message));
        }
    }

    /// Takes up what waits in the outbox behind what was taken up before, while there is room: `waiting_after` gives at most
    /// so many messages behind an id.
    pub fn refill(
        &mut self,
        waiting_after: impl FnOnce(i64, usize) -> anyhow::Result<Vec<Waiting>>,
    ) -> anyhow::Result<()> {
        if self.waiting.len() < CHANNEL {
            for (id, topic, payload) in waiting_after(self.newest, CHANNEL)? {
                self.newest = id;
                self.queue(Item::Outbox(id), Message::event(topic, payload));
            }
        }
        Ok(())
    }

    /// Whether everything is acknowledged.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.requested.is_empty() && self.sent.is_empty()
    }

    /// Hands as much to the client as the window lets through.
    pub fn send(
        &mut self,
        mut publish: impl FnMut(Message) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        while self.requested.len() + self.sent.len() < WINDOW {
            let Some((item, message)) = self.waiting.pop_front() else {
                break;
            };
            publish(message)?;
            self.requested.push_back(item);
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
