//! The servers that other tests rest on do what those tests take for granted.

mod common;

use common::{
    certificates::Authority,
    postgres::{Postgres, psql},
};

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
