//! The proxy that other tests put before brokers and databases does what its modes say.

mod common;

use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    time::{Duration, Instant},
};

use common::{
    ports::free_port,
    proxy::{Mode, Proxy, Way},
    waiting::{DEADLINE, until},
};

/// Long enough for something to come that should not.
const NOTHING: Duration = Duration::from_millis(100);

/// A server that says everything back.
fn echo() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a connection");
            std::thread::spawn(move || {
                let mut from = client.try_clone().expect("a socket");
                // It may be reset.
                let _ = std::io::copy(&mut from, &mut client);
            });
        }
    });
    port
}

fn connect(proxy: &Proxy) -> TcpStream {
    let client = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect("connected");
    client.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    client
}

fn hears(client: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    client.read_exact(&mut bytes).expect("an answer");
    bytes
}

#[track_caller]
fn says_back(client: &mut TcpStream, bytes: &[u8]) {
    client.write_all(bytes).expect("said");
    assert_eq!(hears(client, bytes.len()), bytes);
}

#[track_caller]
fn hears_nothing(client: &mut TcpStream) {
    client.set_read_timeout(Some(NOTHING)).expect("a deadline");
    let error = client.read(&mut [0]).expect_err("nothing to hear");
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    client.set_read_timeout(Some(DEADLINE)).expect("a deadline");
}

#[track_caller]
fn is_reset(client: &mut TcpStream) {
    let error = client.read(&mut [0]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
}

#[test]
fn it_passes_everything_on_and_the_end_as_well() {
    let proxy = Proxy::before(echo(), 1);
    let mut clients: Vec<_> = (0..20).map(|_| connect(&proxy)).collect();
    for client in &mut clients {
        says_back(client, b"hello");
    }
    assert_eq!((proxy.connections(), proxy.accepted()), (20, 20));
    let much: Vec<u8> = (0..3_000_000_u32).map(|byte| byte as u8).collect();
    let mut writer = clients[0].try_clone().expect("a socket");
    let said = much.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&said).expect("said");
        writer
            .shutdown(std::net::Shutdown::Write)
            .expect("all said");
    });
    let mut heard = Vec::new();
    clients[0].read_to_end(&mut heard).expect("heard");
    writing.join().expect("said");
    assert!(heard == much, "{} bytes, and the end", heard.len());
    until("closed", || (proxy.connections() == 19).then_some(()));
}

#[test]
fn it_delays_without_slowing() {
    let proxy = Proxy::before(echo(), 1);
    let mut client = connect(&proxy);
    let delay = Duration::from_millis(60);
    proxy.set(Mode::Delay(delay));
    let started = Instant::now();
    for _ in 0..20 {
        client.write_all(b"x").expect("said");
        std::thread::sleep(Duration::from_millis(1));
    }
    hears(&mut client, 20);
    let took = started.elapsed();
    assert!(took >= delay * 2, "both ways: {took:?}");
    assert!(took < delay * 40, "one after the other: {took:?}");
}

#[test]
fn it_stalls_in_one_direction_or_both_and_loses_nothing() {
    let proxy = Proxy::before(echo(), 1);
    let mut client = connect(&proxy);
    says_back(&mut client, b"before");
    for way in [Way::ToServer, Way::ToClient, Way::Both] {
        proxy.set(Mode::Stall(way));
        client.write_all(b"stalled").expect("said");
        let mut late = connect(&proxy);
        late.write_all(b"late").expect("said");
        hears_nothing(&mut client);
        hears_nothing(&mut late);
        proxy.set(Mode::Pass);
        assert_eq!(hears(&mut client, 7), b"stalled");
        assert_eq!(hears(&mut late, 4), b"late");
    }
}

#[test]
fn it_cuts_and_refuses_and_takes_connections_again() {
    let proxy = Proxy::before(echo(), 1);
    let (mut one, mut other) = (connect(&proxy), connect(&proxy));
    says_back(&mut one, b"before");
    says_back(&mut other, b"before");
    proxy.cut_all();
    assert_eq!(proxy.connections(), 0);
    is_reset(&mut one);
    is_reset(&mut other);
    let mut again = connect(&proxy);
    says_back(&mut again, b"again");
    proxy.set(Mode::Cut);
    is_reset(&mut again);
    let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, proxy.port())).expect_err("refused");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    proxy.set(Mode::Pass);
    says_back(&mut connect(&proxy), b"at last");
}

#[test]
fn it_garbles_what_the_server_says_and_only_that() {
    let proxy = Proxy::before(echo(), 1);
    let mut client = connect(&proxy);
    says_back(&mut client, b"before");
    proxy.set(Mode::Garbage);
    hears(&mut client, 1);
    client.write_all(&[7; 1000]).expect("said");
    let mut heard = Vec::new();
    while heard.iter().filter(|&&byte| byte == 7).count() < 1000 {
        let mut bytes = [0; 4096];
        let length = client.read(&mut bytes).expect("heard");
        heard.extend_from_slice(&bytes[..length]);
    }
    assert!(heard.len() > 1000, "more than was said: {}", heard.len());
}

#[test]
fn it_lets_connections_live_as_long_as_the_seed_has_it() {
    let proxy = Proxy::before(echo(), 1);
    let mut before = connect(&proxy);
    says_back(&mut before, b"before");
    proxy.set(Mode::Lifetime(
        Duration::from_millis(10)..Duration::from_millis(60),
    ));
    let started = Instant::now();
    let mut clients: Vec<_> = (0..10).map(|_| connect(&proxy)).collect();
    clients.push(before);
    for client in &mut clients {
        is_reset(client);
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(10), "{took:?}");
    until("all gone", || (proxy.connections() == 0).then_some(()));
}

#[test]
fn it_limits_the_bandwidth() {
    let proxy = Proxy::before(echo(), 1);
    let mut client = connect(&proxy);
    proxy.set(Mode::Bandwidth(100_000));
    let started = Instant::now();
    says_back(&mut client, &[1; 20_000]);
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(180), "{took:?}");
}

#[test]
fn it_resets_clients_while_the_target_is_down() {
    let port = free_port();
    let proxy = Proxy::before(port, 1);
    is_reset(&mut connect(&proxy));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port");
    let mut client = connect(&proxy);
    let (mut server, _) = listener.accept().expect("a connection");
    client.write_all(b"up").expect("said");
    assert_eq!(hears(&mut server, 2), b"up");
    drop(listener);
    proxy.set(Mode::Stall(Way::Both));
    drop(server);
    hears_nothing(&mut client);
    proxy.set(Mode::Pass);
    assert_eq!(client.read(&mut [0]).expect("the end"), 0);
}
