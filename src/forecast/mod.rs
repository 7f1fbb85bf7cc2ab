//! Forecasts: minutes become rows of figures, and models from outside, checked before they are run, answer them.
//!
//! ```text
//!  minutes ─────────► features ─► a row a time ahead ─┐
//!  manifest + file ─► guard ────► Model ──────────────┴─► forecast, contributions
//!                     hash, operators, shapes, cases
//! ```
//!
//! *Invariant.* No file can crash, hang or starve the daemon: what [`guard`] refuses, it refuses with its reason, in bounded time
//! and memory.

mod ensemble;
pub mod features;
pub mod guard;
pub mod manifest;
pub mod models;
pub mod predict;
pub mod quality;
pub mod trees;
pub mod worker;

#[cfg(test)]
mod hostile_tests;
