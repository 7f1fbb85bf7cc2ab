//! The station as an edge node of Sparkplug B 3.0: the same states as on our own topics, for hosts that speak it.
//!
//! *Invariants.* Nothing a host writes changes anything but that it gets a new birth. A birth is the first message after each
//! connect, and its `bdSeq` is that of the death which the broker was given with the connect. Data have only what changed.
//!
//! A host sees the present. What happened while it or the broker was away is not told later (no store and forward):
//! PostgreSQL is the record, and our `events` are the list of what happened.
//!
//! `metrics` says what there is, `session` what a host must be told next, `payload` how that is written; all three are pure.
//! `births` numbers the sessions, and `node` connects, waits and sends.

mod births;
mod metrics;
mod node;
mod payload;
mod session;

pub use node::Node;
