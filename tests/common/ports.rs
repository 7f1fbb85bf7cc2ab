//! Ports for servers that a test starts, stops and starts again.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
};

use rand::Rng;

/// The lowest port that is given away.
const LOWEST: u16 = 10_000;

/// A port of 127.0.0.1 that was free a moment ago. It lies below those the kernel gives to outgoing connections, so it
/// stays free while its server is down.
pub fn free_port() -> u16 {
    let mut rng = rand::rng();
    let end = outgoing_from().max(LOWEST + 1000);
    let port = std::iter::repeat_with(|| rng.random_range(LOWEST..end))
        .take(1000)
        .find(|&port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    port.expect("a free port")
}

/// The first port for outgoing connections.
fn outgoing_from() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768)
}
