//! TLS and passwords against real servers: what is right works, and what is wrong is refused by name before anything is said.

mod common;

use std::{fs, path::Path};

use common::{
    certificates::{Authority, ClientCertificate, ServerCertificate},
    mosquitto::{Mosquitto, Setup, Tls},
    panel::Panel,
    postgres::Postgres,
    station::{Daemon, Folder},
    waiting::until,
};

const BASE: &str = "pumphouse/v1/case";
const DATABASE: &str = "plant";
/// How both servers are reached.
const HOST: &str = "127.0.0.1";
/// A name under which nobody reaches them.
const OTHER: &str = "elsewhere.example";

/// Certificates that do not fit, and why.
fn misfits(ours: &Authority, theirs: &Authority) -> [(ServerCertificate, &'static str); 3] {
    [
        (
            theirs.server(&[HOST]),
            "the certificate of 127.0.0.1 is signed by an authority that ca_file does not have",
        ),
        (
            ours.server(&[OTHER]),
            "the certificate of 127.0.0.1 is for another name: elsewhere.example",
        ),
        (
            ours.expired_server(&[HOST]),
            "the certificate of 127.0.0.1 has expired on 2021-01-01",
        ),
    ]
}

fn broker(server: &ServerCertificate, clients: Option<&Authority>) -> Mosquitto {
    Mosquitto::start_with(&Setup {
        tls: Some(Tls { server, clients }),
        ..Setup::default()
    })
}

/// `[mqtt]` for a broker's port with TLS.
fn mqtt(port: u16, version: &str, ca_file: &Path, client: Option<&ClientCertificate>) -> String {
    let mut text = format!(
        "[mqtt]\nurl = \"mqtts://{HOST}:{port}\"\nversion = \"{version}\"\nretry_s_max = 1\nca_file = {ca_file:?}\n"
    );
    if let Some(ClientCertificate { certificate, key }) = client {
        text.push_str(&format!(
            "client_cert_file = {certificate:?}\nclient_key_file = {key:?}\n"
        ));
    }
    text
}

/// Rows of [`daemon`].
const ROWS: u64 = 35;

/// A daemon with something to say: in the last minutes a pump has tripped.
fn daemon(name: &str, more: &str) -> (Folder, Daemon) {
    let folder = Folder::new(name);
    folder.configure(more);
    write_exports(&folder);
    let daemon = folder.run();
    (folder, daemon)
}

fn write_exports(folder: &Folder) {
    folder.tape(ROWS - 5).write(5, |row| row.power_kw[1] = 0.0);
}

/// Waits until the daemon has said why it does not connect, and tried again; then the broker must have nothing of it.
fn refused(name: &str, broker: &Mosquitto, config: &str, because: &str) {
    let panel = Panel::connect(broker.port);
    let (folder, daemon) = daemon(name, config);
    folder.wait_for_rows(ROWS);
    daemon.wait_for_log(because);
    daemon.wait_for_log("failures=2");
    assert_eq!(panel.messages(), [], "{}", daemon.log());
    let (_, status) = folder.verb(&["status"]);
    assert!(
        status.contains(" messages waiting") && !status.contains(" 0 messages waiting"),
        "{status}"
    );
}

fn takes(name: &str, broker: &Mosquitto, config: &str) {
    let panel = Panel::connect(broker.port);
    let (_folder, daemon) = daemon(name, config);
    panel.wait_for(&daemon.log(), |message| {
        (message.topic == format!("{BASE}/readings")).then_some(())
    });
}

#[test]
fn publishes_to_a_broker_that_proves_its_name_in_both_versions_with_and_without_a_client_certificate()
 {
    let authority = Authority::new();
    let server = authority.server(&[HOST]);
    let open = broker(&server, None);
    let strict = broker(&server, Some(&authority));
    let client = authority.client("case");
    for version in ["3.1.1", "5"] {
        let config = mqtt(open.tls_port(), version, &authority.file(), None);
        takes("tls", &open, &config);
        let config = mqtt(strict.tls_port(), version, &authority.file(), Some(&client));
        takes("tls-client", &strict, &config);
    }
}

#[test]
fn a_brokers_certificate_that_does_not_fit_is_refused_by_name() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for version in ["3.1.1", "5"] {
        for (server, because) in misfits(&ours, &theirs) {
            let broker = broker(&server, None);
            let config = mqtt(broker.tls_port(), version, &ours.file(), None);
            refused("tls-refused", &broker, &config, because);
        }
    }
}

#[test]
fn a_broker_that_demands_a_client_certificate_is_told_of() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let broker = broker(&ours.server(&[HOST]), Some(&ours));
    let without = mqtt(broker.tls_port(), "3.1.1", &ours.file(), None);
    let demands = "127.0.0.1 demands a certificate from its clients: name client_cert_file";
    refused("tls-without", &broker, &without, demands);
    let strange = theirs.client("case");
    let strange = mqtt(broker.tls_port(), "3.1.1", &ours.file(), Some(&strange));
    let refuses = "127.0.0.1 does not accept the certificate in client_cert_file";
    refused("tls-strange", &broker, &strange, refuses);
}

#[test]
fn a_brokers_password_is_needed_named_when_wrong_and_never_told() {
    let authority = Authority::new();
    let server = authority.server(&[HOST]);
    for version in ["3.1.1", "5"] {
        let broker = Mosquitto::start_with(&Setup {
            tls: Some(Tls {
                server: &server,
                clients: None,
            }),
            user: Some(("case", "right and secret")),
            ..Setup::default()
        });
        let panel = Panel::connect(broker.port);
        let folder = Folder::new("password");
        let secret = folder.store().with_file_name("mqtt-password");
        fs::write(&secret, "wrong but secret\n").expect("written");
        let config = mqtt(broker.tls_port(), version, &authority.file(), None)
            + "username = \"case\"\npassword_file = \"mqtt-password\"\n";
        folder.configure(&config);
        write_exports(&folder);
        let daemon = folder.run();
        daemon.wait_for_log("does not accept user \\\"case\\\" with the password in password_file");
        daemon.wait_for_log("failures=2");
        assert_eq!(panel.messages().len(), 0);
        // The file is read anew for each attempt.
        fs::write(&secret, "right and secret\n").expect("written");
        daemon.wait_for_log("connected to the broker again");
        until("a message", || (!panel.messages().is_empty()).then_some(()));
        assert!(!daemon.log().contains("secret"), "{}", daemon.log());
    }
}

/// A central office with TLS and its schema; the station's folder has its password.
fn office(name: &str, certificate: &ServerCertificate) -> (Postgres, Folder) {
    let server = Postgres::start_with_tls(certificate);
    server.create_database(DATABASE);
    let folder = Folder::new(name);
    let secret = folder.store().with_file_name("pg-password");
    fs::write(&secret, "right and secret\n").expect("written");
    let home = secret.parent().expect("a folder");
    server.admit(DATABASE, "case", home, "pg-password");
    (server, folder)
}

fn central(server: &Postgres, ca_file: &Path) -> String {
    format!(
        "[central]\nurl = \"postgres://case@{HOST}:{}/{DATABASE}\"\nretry_s_max = 1\nca_file = {ca_file:?}\n\
         password_file = \"pg-password\"\n",
        server.port()
    )
}

/// Waits until log and status say why nothing is sent; then the office must have nothing.
fn nothing_sent(server: &Postgres, folder: &Folder, daemon: &Daemon, because: &str) {
    folder.wait_for_rows(ROWS);
    daemon.wait_for_log(because);
    daemon.wait_for_log("failures=2");
    until("the status says it, too", || {
        let (_, status) = folder.verb(&["status"]);
        status.contains(&because.replace('\\', "")).then_some(())
    });
    for table in ["readings_wide", "edge_sync"] {
        let count = format!("SELECT count(*) FROM pumphouse.{table}");
        assert_eq!(server.sql(DATABASE, &count), "0", "{}", daemon.log());
    }
}

#[test]
fn sends_to_a_central_office_that_proves_its_name_and_names_a_wrong_password() {
    let authority = Authority::new();
    let (server, folder) = office("office", &authority.server(&[HOST]));
    let secret = folder.store().with_file_name("pg-password");
    fs::write(&secret, "wrong but secret\n").expect("written");
    folder.configure(&central(&server, &authority.file()));
    write_exports(&folder);
    let daemon = folder.run();
    let because = "password authentication failed for user \\\"case\\\"";
    nothing_sent(&server, &folder, &daemon, because);
    fs::write(&secret, "right and secret\n").expect("written");
    until("all rows", || {
        let rows = server.sql(DATABASE, "SELECT count(*) FROM pumphouse.readings_wide");
        (rows == ROWS.to_string()).then_some(())
    });
    let encrypted = "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'case'";
    assert_eq!(server.sql(DATABASE, encrypted), "t");
    assert!(!daemon.log().contains("secret"), "{}", daemon.log());
}

#[test]
fn a_central_offices_certificate_that_does_not_fit_is_refused_by_name() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for (server, because) in misfits(&ours, &theirs) {
        let (server, folder) = office("office-refused", &server);
        folder.configure(&central(&server, &ours.file()));
        write_exports(&folder);
        let daemon = folder.run();
        nothing_sent(&server, &folder, &daemon, because);
    }
}
