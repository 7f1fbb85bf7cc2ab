//! Edge gateway for PLC-controlled pump stations: historian exports in, six tables and 47 alerts out, live.
//!
//! ```text
//!  exports ─► historian ─► derive ─► rules ─► rollups ─► store ─┬► sync ────► the central office's PostgreSQL
//!             lines,       columns   raise,   sessions,  SQLite, ├► publish ─► panels, over MQTT
//!             minutes      of a row  resolve  hours, …   outbox  ├► notify ──► people, through a webhook or a command
//!                         └──────── station ────────┘            └► web ─────► people's browsers, with the assistant
//! ```
//!
//! The picture has the modules in the order in which a minute of data goes through them; `pipeline` feeds the station and
//! hands what comes of it to the store, and `app` starts and stops it all.
//!
//! *Invariants.*
//! - `derive`, `rules`, `rollups`, `station`, `row`, `plant`, `tariff`, `assistant::intents`, and `quality` and `schedule` but their workers are pure: no I/O, no clock, no randomness.
//! - A row is stored before anything about it leaves the box, and its file's position is stored with it.
//! - Evaluating a minute twice changes nothing: the tables are a function of the set of records.
//! - Only `store` speaks SQLite, only `sync` PostgreSQL, only `publish` MQTT, only `modbus` Modbus, only `notify` calls people, only `web` serves them.
//! - Nothing here can write to a PLC: what `modbus` names has reads only, and its wire lets nothing else leave.

#![warn(missing_docs)]
#![forbid(unsafe_code)]

// The station as the core sees it.
pub mod calendar;
pub mod plant;
pub mod row;
pub mod tags;
pub mod tariff;

// The path of the data.
pub mod derive;
pub mod forecast;
pub mod historian;
pub mod modbus;
pub mod notify;
pub mod pipeline;
pub mod publish;
pub mod quality;
pub mod rollups;
pub mod rules;
pub mod schedule;
pub mod station;
pub mod store;
pub mod sync;

// What people look at and ask.
pub mod assistant;
pub mod web;

// The program around it.
pub mod app;
mod attempts;
pub mod cli;
pub mod clock;
pub mod config;
mod http;
pub mod logging;
mod measured;
pub mod simulate;
mod steps;
pub mod tls;
mod watchdog;
