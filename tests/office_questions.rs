//! Questions to the central office: as a reader, within bounds, against a real PostgreSQL.

mod common;

use std::{fs, time::Instant};

use common::{
    model_server::{ModelServer, turn},
    postgres::Postgres,
    station::Folder,
    waiting::{DEADLINE, until},
};
use pumphouse::{
    config::{Central, Dialect},
    store::question::Limits,
    sync::question::Office,
};
use serde_json::json;

const DATABASE: &str = "plant";
const KEY: &str = "sk-s3cret-k3y-0123456789";

/// An office with some minutes of a station, and a reader of it.
fn office(name: &str, more: &str) -> (Postgres, Folder, Central) {
    let server = Postgres::start();
    server.create_database(DATABASE);
    let folder = Folder::new(name);
    let home = folder.config().parent().expect("a folder").to_owned();
    fs::write(home.join("case-password"), "secret of case\n").expect("written");
    server.admit(DATABASE, "case", &home, "case-password");
    let password = home.join("reader-password");
    fs::write(&password, "secret of rita\n").expect("written");
    let admin = server.superuser_url(DATABASE);
    let made = common::binary::run(
        &home,
        &[
            "central",
            "init",
            "--url",
            &admin,
            "--reader",
            "rita",
            "--reader-password-file",
            "reader-password",
        ],
    );
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    folder.configure(&format!(
        "[central]\nurl = \"postgres://case@127.0.0.1:{}/{DATABASE}\"\npassword_file = \"case-password\"\n{more}",
        server.port()
    ));
    let _tape = folder.tape(120);
    let daemon = folder.run();
    until("the office has the minutes", || {
        (server.sql(DATABASE, "SELECT count(*) FROM pumphouse.readings_wide") == "120")
            .then_some(())
    });
    drop(daemon);
    let url = format!("postgres://rita@127.0.0.1:{}/{DATABASE}", server.port());
    (server, folder, Central::at(url, Some(password), None))
}

#[test]
fn a_reader_reads_within_bounds_and_nothing_else() {
    let (server, _folder, central) = office("office-questions", "");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let limits = Limits::default();
    let mut office = runtime
        .block_on(Office::open(central, limits))
        .expect("connected");
    let schema = runtime.block_on(office.schema()).expect("a schema");
    assert!(
        schema.contains("readings_wide(")
            && schema.contains("hlt_pct")
            && !schema.contains("central_refused"),
        "{schema}"
    );
    let mut ask = |sql: &str| {
        let begun = Instant::now();
        let answer = runtime.block_on(office.query(sql));
        assert!(
            begun.elapsed() < limits.time + DEADLINE / 4,
            "{sql} took {:?}",
            begun.elapsed()
        );
        answer
    };
    let found = ask(
        "SELECT site_id, count(*) AS minutes, NULL AS nothing FROM readings_wide GROUP BY site_id",
    )
    .expect("an answer");
    assert_eq!(found.columns, ["site_id", "minutes", "nothing"]);
    assert_eq!(found.rows, [[json!("case"), json!(120), json!(null)]]);
    let many = ask("SELECT r.ts FROM readings_wide r, readings_wide s").expect("an answer");
    assert!(many.cut && many.rows.len() == limits.rows);
    let before = server.sql(
        DATABASE,
        "SELECT md5(string_agg(r::text, ',' ORDER BY ts)) FROM pumphouse.readings_wide r",
    );
    for (sql, word) in [
        ("DELETE FROM readings_wide", "only one SELECT"),
        ("UPDATE readings_wide SET hlt_pct = 0", "only one SELECT"),
        ("SELECT 1; DROP TABLE readings_wide", "only one SELECT"),
        (
            "WITH gone AS (DELETE FROM readings_wide RETURNING 1) SELECT * FROM gone",
            "only one SELECT",
        ),
        ("SELECT * INTO copy FROM readings_wide", ""),
        ("SELECT rolpassword FROM pg_authid", "cannot be asked about"),
        (
            "SELECT * FROM pg_catalog.pg_shadow",
            "cannot be asked about",
        ),
        ("SELECT pg_sleep(60)", "cannot be used"),
        ("SELECT pg_read_file('/etc/hostname')", "cannot be used"),
        ("SELECT lo_import('/etc/hostname')", "cannot be used"),
        (
            "SELECT set_config('transaction_read_only', 'off', true)",
            "cannot be used",
        ),
        (
            "SELECT query_to_xml('SELECT 1', true, true, '')",
            "cannot be used",
        ),
        ("COPY readings_wide TO '/tmp/x'", "only one SELECT"),
        ("SELECT * FROM readings_wide FOR UPDATE", "locked"),
        ("SELECT nothing FROM readings_wide", "nothing"),
        ("SELECT 1 AS a, 2 AS a FROM readings_wide", "two columns"),
        (
            "SELECT sum(i) FROM generate_series(1, 1000000000000) AS n(i)",
            "",
        ),
        (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
            "timeout",
        ),
        (
            "SELECT count(*) FROM readings_wide a, readings_wide b, readings_wide c, readings_wide d, readings_wide e",
            "timeout",
        ),
        (
            "SELECT repeat('x', 3000000) AS x FROM readings_wide",
            "longer than",
        ),
        ("SELECT repeat('x', 300000000) AS x FROM readings_wide", ""),
    ] {
        let refused = ask(sql).expect_err(sql);
        assert!(refused.contains(word), "{sql}: {refused}");
    }
    let after = server.sql(
        DATABASE,
        "SELECT md5(string_agg(r::text, ',' ORDER BY ts)) FROM pumphouse.readings_wide r",
    );
    assert_eq!(before, after);
    assert_eq!(
        ask("SELECT count(*) AS n FROM daily_summary")
            .expect("it goes on")
            .columns,
        ["n"]
    );
}

#[test]
fn the_command_line_asks_the_office_by_a_model() {
    let query = |sql: &str| turn(Dialect::OpenAi, "", &[("query", json!({ "sql": sql }))]);
    let steps = vec![
        query("TRUNCATE readings_wide"),
        query("SELECT count(*) AS minutes FROM readings_wide"),
        turn(Dialect::OpenAi, "The office has 120 minutes.", &[]),
    ];
    let model = ModelServer::start(Dialect::OpenAi, Some(KEY), steps);
    let assistant = format!(
        "[assistant]\nprovider = \"openai\"\nurl = \"{}\"\nmodel = \"m-1\"\nkey_file = \"key\"\n",
        model.url()
    );
    let (_server, folder, central) = office("office-ask", &assistant);
    fs::write(folder.config().with_file_name("key"), KEY).expect("written");
    let password = central.password_file.expect("a file");
    let (done, said) = folder.verb(&[
        "ask",
        "--office",
        &central.url,
        "--office-password-file",
        password.to_str().expect("a name"),
        "--sql",
        "How many minutes are there?",
    ]);
    assert!(
        done && said.contains("The office has 120 minutes.") && said.contains("SELECT count(*)"),
        "{said}"
    );
    let told = model.asked()[1]
        .results()
        .last()
        .cloned()
        .expect("a result");
    assert!(told.0.contains("only one SELECT"), "{told:?}");
}
