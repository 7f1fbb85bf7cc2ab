//! The servers that other tests rest on do what those tests take for granted.

mod common;

use std::{fs, path::Path};

use common::{
    certificates::{Authority, ClientCertificate, ServerCertificate},
    mosquitto::{self, Mosquitto, Persistence, Tls},
    panel::Panel,
    postgres::{Postgres, psql},
    waiting::DEADLINE,
};
use rumqttc::{Client, MqttOptions, TlsConfiguration, Transport};

#[test]
fn a_killed_postgres_starts_again_with_everything_it_had_committed() {
    let mut server = Postgres::start();
    server.create_database("central");
    server.sql("central", "CREATE TABLE minutes (ts int PRIMARY KEY)");
    for minute in 0..5 {
        let count = minute + 1;
        server.sql("central", &format!("INSERT INTO minutes VALUES ({minute})"));
        let port = server.port();
        server.kill();
        assert!(server.try_sql("central", "SELECT 1").is_err(), "it is down");
        server.restart();
        assert_eq!(server.port(), port);
        let rows = server.sql("central", "SELECT count(*) FROM minutes");
        assert_eq!(rows, count.to_string());
    }
    assert_eq!(
        server.sql("central", "SHOW fsync; SHOW max_connections"),
        "on\n300"
    );
    assert_eq!(server.sql("central", "SHOW server_encoding"), "UTF8");
}

#[test]
fn a_restored_postgres_knows_what_the_backup_knew() {
    let mut server = Postgres::start_for_bulk();
    server.sql("postgres", "CREATE TABLE minutes AS SELECT 1 AS ts");
    let backup = server.backup();
    server.sql("postgres", "INSERT INTO minutes VALUES (2), (3)");
    server.restore(&backup);
    assert_eq!(server.sql("postgres", "SELECT * FROM minutes"), "1");
    server.stop();
    server.restore(&backup);
    assert!(
        server.try_sql("postgres", "SELECT 1").is_err(),
        "it stays stopped"
    );
    server.restart();
    assert_eq!(server.sql("postgres", "SELECT * FROM minutes"), "1");
}

#[test]
fn postgres_takes_users_by_password_and_over_tls_only_when_it_has_a_certificate() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let server = Postgres::start_with_tls(&authority.server(&["127.0.0.1", "localhost"]));
    server.sql("postgres", "CREATE ROLE site LOGIN PASSWORD 'p/ss:w@rd'");
    let ask = |password: &str, options: &str| {
        let url = server.url("site", password, "postgres");
        psql(
            &format!("{url}?{options}"),
            "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        )
    };
    let trusting = |authority: &Authority| {
        format!(
            "sslmode=verify-full&sslrootcert={}",
            authority.file().display()
        )
    };
    assert_eq!(ask("p/ss:w@rd", &trusting(&authority)), Ok("t".into()));
    let refused = |answer: Result<String, String>, why: &str| {
        let told = answer.expect_err("refused");
        assert!(told.contains(why), "{told}");
    };
    refused(
        ask("wrong", &trusting(&authority)),
        "password authentication failed",
    );
    refused(ask("p/ss:w@rd", "sslmode=disable"), "no pg_hba.conf entry");
    refused(
        ask("p/ss:w@rd", &trusting(&stranger)),
        "certificate verify failed",
    );
    let old = Postgres::start_with_tls(&authority.expired_server(&["127.0.0.1"]));
    let url = format!("{}?{}", old.superuser_url("postgres"), trusting(&authority));
    refused(psql(&url, "SELECT 1"), "certificate verify failed");
}

#[test]
fn a_persistent_panel_hears_after_a_restart_what_was_said_while_it_was_away() {
    let mut broker = Mosquitto::start_with(&mosquitto::Setup {
        persistence: Persistence::EveryChange,
        ..mosquitto::Setup::default()
    });
    let panel = Panel::connect_persistent(broker.port);
    panel.publish("pumphouse/said", "before", false);
    panel.wait_for("the first", |message| {
        (message.payload == b"before").then_some(())
    });
    for round in 0..3 {
        broker.kill();
        let port = broker.port;
        panel.publish("pumphouse/said", format!("{round}"), true);
        broker.restart();
        assert_eq!(broker.port, port);
        panel.wait_for("the next", |message| {
            (message.payload == round.to_string().as_bytes() && !message.retained).then_some(())
        });
    }
    let late = Panel::connect(broker.port);
    late.wait_for("the retained", |message| {
        (message.payload == b"2" && message.retained).then_some(())
    });
    assert_eq!(late.messages().len(), 1);
    broker.restart();
    late.wait_for_all("once more", |all| {
        (all.len() == 2 && all[1] == all[0]).then_some(())
    });

    let mut forgetful = Mosquitto::start();
    let panel = Panel::connect_persistent(forgetful.port);
    panel.publish("pumphouse/said", "kept", true);
    panel.wait_for("the echo", |_| Some(()));
    forgetful.kill();
    forgetful.restart();
    let late = Panel::connect(forgetful.port);
    late.publish("pumphouse/said", "new", false);
    late.wait_for("the echo", |_| Some(()));
    assert_eq!(late.messages()[0].payload, b"new", "nothing was retained");
}

#[test]
fn mosquitto_asks_for_a_certificate_on_its_second_port() {
    // It may be the default already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let connect = |server: &ServerCertificate, trusted: &Authority, client: &ClientCertificate| {
        let broker = Mosquitto::start_with(&mosquitto::Setup {
            tls: Some(Tls {
                server,
                clients: Some(&authority),
            }),
            ..mosquitto::Setup::default()
        });
        let read = |path: &Path| fs::read(path).expect("a PEM file");
        let mut options = MqttOptions::new("site", "127.0.0.1", broker.tls_port());
        options.set_transport(Transport::Tls(TlsConfiguration::Simple {
            ca: read(&trusted.file()),
            alpn: None,
            client_auth: Some((read(&client.certificate), read(&client.key))),
        }));
        let (_client, mut connection) = Client::new(options, 1);
        let first = connection
            .recv_timeout(DEADLINE)
            .expect("an answer in time");
        first.map_err(|error| format!("{error:?}"))
    };
    let (server, client) = (authority.server(&["127.0.0.1"]), authority.client("site"));
    connect(&server, &authority, &client).expect("all is in order");
    let refused = [
        (connect(&server, &stranger, &client), "UnknownIssuer"),
        (
            connect(&authority.server(&["elsewhere"]), &authority, &client),
            "NotValidForName",
        ),
        (
            connect(
                &authority.expired_server(&["127.0.0.1"]),
                &authority,
                &client,
            ),
            "Expired",
        ),
        (
            connect(&server, &authority, &stranger.client("site")),
            "UnknownCA",
        ),
    ];
    for (answer, why) in refused {
        let told = answer.expect_err(why);
        assert!(told.contains(why), "{told}, not {why}");
    }
}
