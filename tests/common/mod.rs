//! What the integration tests share.
#![allow(dead_code, reason = "each test binary uses its own part of it")]

pub mod binary;
pub mod boxclock;
pub mod browser;
pub mod certificates;
pub mod csv;
pub mod cuts;
pub mod disk;
pub mod expected;
pub mod formats;
pub mod gateway;
pub mod hook;
pub mod http;
pub mod killing;
pub mod ledger;
pub mod model_server;
pub mod mosquitto;
pub mod mounting;
pub mod panel;
pub mod parsers;
pub mod pieces;
pub mod plc;
pub mod ports;
pub mod postgres;
pub mod proxy;
pub mod serial_plc;
pub mod shipped;
pub mod sparkplug;
pub mod station;
pub mod tables;
pub mod tampering;
pub mod tape;
pub mod trainer;
pub mod waiting;
