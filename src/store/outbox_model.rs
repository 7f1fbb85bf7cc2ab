//! The outbox and the publisher's window against a plain list, under random operations: whatever is queued is delivered, in
//! order, however often connection, process and broker fail in between.

use std::collections::{BTreeSet, VecDeque};

use proptest::prelude::*;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{Store, open_read_only, outbox::waiting_after};
use crate::publish::{
    link::Message,
    window::{Item, Window},
};

/// Shorter than the outbox keeps what was acknowledged, s.
const BROKER_FORGETS_S: i64 = 30;

#[derive(Clone, Debug)]
enum Operation {
    /// Messages in one transaction, which is committed or taken back.
    Queue { messages: u8, committed: bool },
    /// The publisher takes up and hands over what it may.
    HandOver,
    /// The client sends so many of the messages it was given.
    Leave(u8),
    /// The broker gets so many of them.
    Arrive(u8),
    /// The broker's acknowledgement of one of those it has comes, whichever.
    Acknowledge(prop::sample::Index),
    /// What was acknowledged is noted in the store.
    Note,
    /// The connection is lost; so many messages have still got through.
    Lose(u8),
    /// The process is killed and started again.
    Crash,
    /// The broker is killed and has forgotten the newest.
    BrokerForgets,
    /// Time passes, s.
    Pass(u8),
    /// Somebody sets the clock, by so many s.
    SetClock(i32),
}

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    prop_oneof![
        4 => (1..6u8, prop::bool::weighted(0.8)).prop_map(|(messages, committed)| Queue { messages, committed }),
        6 => Just(HandOver),
        6 => (1..50u8).prop_map(Leave),
        6 => (1..50u8).prop_map(Arrive),
        10 => any::<prop::sample::Index>().prop_map(Acknowledge),
        4 => Just(Note),
        1 => (0..20u8).prop_map(Lose),
        1 => Just(Crash),
        1 => Just(BrokerForgets),
        3 => (0..90u8).prop_map(Pass),
        1 => (-4000..4000i32).prop_map(SetClock),
    ]
}

/// A message that the broker has acknowledged: when, in time that nobody sets, and whether it is beyond losing.
struct Held {
    payload: String,
    at_s: i64,
    is_safe: bool,
}

struct Model {
    folder: TempDir,
    store: Option<Store>,
    reader: Option<Connection>,
    window: Window,
    is_connected: bool,
    /// The plain list: what was queued and committed.
    queued: Vec<String>,
    /// Handed to the client, sent, and at the broker without an acknowledgement.
    handed: VecDeque<Message>,
    sent: VecDeque<(u16, Message)>,
    arrived: Vec<(u16, Message)>,
    next_packet: u16,
    acknowledged: Vec<i64>,
    /// What was ever delivered, in the order of the first time.
    delivered: Vec<String>,
    held: Vec<Held>,
    now_s: i64,
    clock_offset_s: i64,
    numbered: u32,
}

impl Model {
    fn new() -> Self {
        let mut model = Self {
            folder: TempDir::new().expect("a folder"),
            store: None,
            reader: None,
            window: Window::default(),
            is_connected: false,
            queued: Vec::new(),
            handed: VecDeque::new(),
            sent: VecDeque::new(),
            arrived: Vec::new(),
            next_packet: 0,
            acknowledged: Vec::new(),
            delivered: Vec::new(),
            held: Vec::new(),
            now_s: 1_740_000_000,
            clock_offset_s: 0,
            numbered: 0,
        };
        model.open();
        model
    }

    fn open(&mut self) {
        let path = self.folder.path().join("store.db");
        let store = Store::open(&path, None).expect("the store opens");
        // Durability is not what is tried here, and costs most of the time.
        let relaxed = store.connection.pragma_update(None, "synchronous", "OFF");
        relaxed.expect("a pragma");
        self.store = Some(store);
        self.reader = Some(open_read_only(&path).expect("the store opens"));
    }

    fn store(&mut self) -> &mut Store {
        self.store.as_mut().expect("the process runs")
    }

    fn clock_s(&self) -> i64 {
        self.now_s + self.clock_offset_s
    }

    fn run(&mut self, operation: Operation) {
        match operation {
            Operation::Queue {
                messages,
                committed,
            } => self.queue(messages, committed),
            Operation::HandOver => self.hand_over(),
            Operation::Leave(count) => self.leave(count),
            Operation::Arrive(count) => self.arrive(count),
            Operation::Acknowledge(which) => {
                if !self.arrived.is_empty() {
                    self.acknowledge(which.index(self.arrived.len()));
                }
            }
            Operation::Note => self.note(),
            Operation::Lose(count) => self.lose(count),
            Operation::Crash => {
                self.lose(0);
                self.reader = None;
                self.store = None;
                self.open();
            }
            Operation::BrokerForgets => {
                let from_s = self.now_s - BROKER_FORGETS_S;
                self.held.retain(|held| held.is_safe || held.at_s < from_s);
                self.lose(0);
            }
            Operation::Pass(seconds) => self.now_s += i64::from(seconds),
            Operation::SetClock(seconds) => {
                self.clock_offset_s += i64::from(seconds);
                // Nothing is promised of what a set clock makes look old.
                self.held.iter_mut().for_each(|held| held.is_safe = true);
            }
        }
    }

    fn queue(&mut self, messages: u8, committed: bool) {
        let mut payloads = Vec::new();
        self.store().begin().expect("begun");
        for _ in 0..messages {
            self.numbered += 1;
            let payload = format!("{}", self.numbered);
            let topic = format!("topic/{}", self.numbered % 3);
            self.store().send_out(&topic, &payload).expect("queued");
            payloads.push(payload);
        }
        if committed {
            self.store().commit().expect("committed");
            self.queued.extend(payloads);
        } else {
            self.store().roll_back();
        }
    }

    fn hand_over(&mut self) {
        if !std::mem::replace(&mut self.is_connected, true) {
            self.store().begin().expect("begun");
            let taken_back = self.store().take_back_acknowledgements();
            taken_back.expect("taken back");
            self.store().commit().expect("committed");
        }
        let reader = self.reader.as_ref().expect("the process runs");
        let refilled = self
            .window
            .refill(|after, most| waiting_after(reader, after, most));
        refilled.expect("the outbox can be read");
        let handed = &mut self.handed;
        let sending = self.window.send(|message| {
            handed.push_back(message);
            Ok(())
        });
        sending.expect("the client takes it");
    }

    fn leave(&mut self, count: u8) {
        for _ in 0..count {
            let Some(message) = self.handed.pop_front() else {
                break;
            };
            self.next_packet = self.next_packet % 1000 + 1;
            self.window.sent(self.next_packet);
            self.sent.push_back((self.next_packet, message));
        }
    }

    fn arrive(&mut self, count: u8) {
        for _ in 0..count {
            let Some((packet, message)) = self.sent.pop_front() else {
                break;
            };
            let payload = String::from_utf8(message.payload.clone()).expect("text");
            if !self.delivered.contains(&payload) {
                self.delivered.push(payload);
            }
            self.arrived.push((packet, message));
        }
    }

    fn acknowledge(&mut self, which: usize) {
        let (packet, message) = self.arrived.remove(which);
        if let Some(Item::Outbox(id)) = self.window.acknowledged(packet) {
            self.acknowledged.push(id);
        }
        self.held.push(Held {
            payload: String::from_utf8(message.payload).expect("text"),
            at_s: self.now_s,
            is_safe: false,
        });
    }

    fn note(&mut self) {
        let (ids, now_s) = (std::mem::take(&mut self.acknowledged), self.clock_s());
        if ids.is_empty() {
            return;
        }
        self.store().begin().expect("begun");
        self.store().acknowledge(&ids, now_s).expect("noted");
        self.store().commit().expect("committed");
    }

    /// The connection ends. What the broker has got stays there.
    fn lose(&mut self, count: u8) {
        self.arrive(count);
        self.window = Window::default();
        self.is_connected = false;
        self.handed.clear();
        self.sent.clear();
        self.arrived.clear();
        self.acknowledged.clear();
    }

    /// Everything works until all is done.
    fn settle(&mut self) {
        self.lose(0);
        loop {
            self.hand_over();
            self.leave(u8::MAX);
            self.arrive(u8::MAX);
            while !self.arrived.is_empty() {
                self.acknowledge(0);
            }
            self.note();
            self.hand_over();
            if self.window.is_done() {
                return;
            }
        }
    }

    fn check(&self) {
        let known = &self.delivered[..];
        assert_eq!(
            known,
            &self.queued[..known.len().min(self.queued.len())],
            "what is delivered was queued, in this order"
        );
    }
}

proptest! {
    #![proptest_config(super::model_config())]

    #[test]
    fn whatever_is_queued_is_delivered_in_order_and_nothing_else(
        operations in prop::collection::vec(operation(), 1..200)
    ) {
        let mut model = Model::new();
        for operation in operations {
            model.run(operation);
            model.check();
        }
        model.settle();
        assert_eq!(model.delivered, model.queued);
        let held: BTreeSet<_> = model.held.iter().map(|held| &held.payload).collect();
        let lacking: Vec<_> = model.queued.iter().filter(|payload| !held.contains(payload)).collect();
        assert!(lacking.is_empty(), "a broker that forgot gets it again: {lacking:?}");
        // Long afterwards the outbox has let go of them.
        model.now_s += 3600;
        model.queue(1, true);
        model.settle();
        model.now_s += 3600;
        model.queue(1, true);
        model.hand_over();
        model.leave(1);
        model.arrive(1);
        model.acknowledge(0);
        model.note();
        let reader = model.reader.as_ref().expect("the process runs");
        assert_eq!(waiting_after(reader, 0, 10).expect("read").len(), 1);
    }
}
