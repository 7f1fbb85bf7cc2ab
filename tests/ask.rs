//! The assistant as a whole: on the command line and on the page, by its own engine and by a language model whose SQL meets the guard.

mod common;

use std::fs;

use common::{
    http::Client,
    model_server::{ModelServer, Step, turn},
    ports::free_port,
    station::Folder,
    waiting::until,
};
use pumphouse::config::Dialect;
use serde_json::{Value, json};

const KEY: &str = "sk-s3cret-k3y-0123456789";
/// What only a model understands.
const BEYOND: &str = "Does the station feel lonely when the moon is full?";

fn ask_by_hand(folder: &Folder, arguments: &[&str]) -> (bool, String) {
    let all: Vec<_> = ["ask"]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    folder.verb(&all)
}

#[test]
fn the_command_line_answers_without_a_model() {
    let folder = Folder::new("ask");
    folder.configure("");
    let (done, said) = ask_by_hand(&folder, &["What is the level?"]);
    assert!(
        !done && said.contains("it is not there yet; the daemon makes it at its first start"),
        "{said}"
    );
    let mut tape = folder.tape(300);
    tape.write(0, |_| {});
    let daemon = folder.run();
    folder.wait_for_rows(300);
    drop(daemon);
    let (done, said) = ask_by_hand(&folder, &["Which", "pumps", "are", "running?"]);
    assert!(
        done && said.contains("P1") && said.contains("P2") && !said.contains("P3"),
        "{said}"
    );
    let (done, said) = ask_by_hand(&folder, &["--json", "What is the tank level now?"]);
    let answer: Value = serde_json::from_str(&said).expect("JSON");
    assert!(
        done && answer["engine"] == "built-in" && answer["refused"] == false,
        "{answer}"
    );
    assert!(
        answer["sql"]
            .as_str()
            .is_some_and(|sql| sql.starts_with("SELECT") || sql.starts_with("WITH")),
        "{answer}"
    );
    for (question, word) in [
        (BEYOND, "You can ask"),
        ("Start pump 3", "only reads"),
        ("How long did P9 run?", "P1 to P6"),
    ] {
        let (_, said) = ask_by_hand(&folder, &["--json", question]);
        let answer: Value = serde_json::from_str(&said).expect("JSON");
        assert_eq!(answer["refused"], true, "{answer}");
        assert!(
            answer["text"]
                .as_str()
                .is_some_and(|text| text.contains(word)),
            "{answer}"
        );
    }
}

fn hostile_model(dialect: Dialect) -> Vec<Step> {
    let query = |sql: &str| turn(dialect, "", &[("query", json!({ "sql": sql }))]);
    vec![
        query("DROP TABLE alerts_log"),
        query("SELECT payload FROM mqtt_outbox"),
        query(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n",
        ),
        query("SELECT count(*) AS minutes FROM readings_wide"),
        turn(dialect, "There are 300 minutes in the store.", &[]),
    ]
}

fn on_the_page(dialect: Dialect) {
    let server = ModelServer::start(dialect, Some(KEY), hostile_model(dialect));
    let folder = Folder::new("ask-page");
    let port = free_port();
    folder.configure(&format!(
        "[web]\nlisten = \"127.0.0.1:{port}\"\n[assistant]\nprovider = \"{}\"\nurl = \"{}\"\nmodel = \"m-1\"\nkey_file = \"key\"\n",
        dialect.name(),
        server.url()
    ));
    fs::write(folder.config().with_file_name("key"), KEY).expect("written");
    let _tape = folder.tape(300);
    let daemon = folder.run();
    folder.wait_for_rows(300);
    let mut client = Client::new(port).wait();
    until("the picture has a row", || {
        client.get("/api/v1/now").json()["row"]
            .is_object()
            .then_some(())
    });
    client.take_token();
    assert_eq!(client.get("/api/v1/assistant").json()["engine"], "m-1");

    let built_in = client
        .post(
            "/api/v1/ask",
            &json!({ "question": "What is the tank level now?" }),
        )
        .json();
    assert_eq!(built_in["engine"], "built-in", "{built_in}");
    let order = client
        .post("/api/v1/ask", &json!({ "question": "Stop pump 2" }))
        .json();
    assert_eq!(
        (&order["engine"], &order["refused"]),
        (&"built-in".into(), &true.into())
    );
    assert!(
        server.asked().is_empty(),
        "no question that is answered here leaves the box"
    );

    let answer = client
        .post("/api/v1/ask", &json!({ "question": BEYOND }))
        .json();
    assert_eq!(
        (&answer["engine"], &answer["refused"]),
        (&"m-1".into(), &false.into()),
        "{answer}"
    );
    assert_eq!(answer["text"], "There are 300 minutes in the store.");
    assert_eq!(answer["rows"]["rows"][0][0], 300);
    assert_eq!(
        answer["sql"],
        "SELECT count(*) AS minutes FROM readings_wide"
    );
    let refusals: Vec<_> = server
        .asked()
        .iter()
        .skip(1)
        .map(|asked| asked.results().last().cloned().expect("a result"))
        .collect();
    for ((told, _), word) in refusals.iter().zip(["SELECT", "mqtt_outbox", "time"]) {
        assert!(told.contains(word), "{told} has no {word}");
    }
    assert_eq!(folder.query("SELECT count(*) FROM alerts_log WHERE 0"), "0");
    assert!(!daemon.log().contains(KEY));
    assert_eq!(
        client
            .post("/api/v1/ask", &json!({ "question": "  " }))
            .status,
        400
    );
    assert_eq!(
        client.post("/api/v1/ask", &json!({ "query": "x" })).status,
        400
    );
}

#[test]
fn a_model_of_anthropic_meets_the_guard() {
    on_the_page(Dialect::Anthropic);
}

#[test]
fn a_model_of_any_other_server_meets_the_guard() {
    on_the_page(Dialect::OpenAi);
}
