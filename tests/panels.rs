//! Operators at panels: acknowledge, shelve, take out of service, over a real broker in both versions of the protocol.

mod common;

use common::{
    mosquitto::Mosquitto,
    panel::Panel,
    station::{Folder, Tape},
    waiting::until,
};
use pumphouse::{calendar::utc_text, clock::Clock};
use serde_json::{Value, json};

const BASE: &str = "pumphouse/v1/case";

/// Asks for something and gives the answer.
fn ask(panel: &Panel, verb: &str, request: &Value) -> Value {
    panel.publish(&format!("{BASE}/cmd/{verb}"), request.to_string(), false);
    let id = request["request_id"].as_str().expect("an id");
    let topic = format!("{BASE}/cmd/result/{id}");
    panel.wait_for(&topic, |message| {
        (message.topic == topic).then(|| message.json())
    })
}

fn wait_for_state(panel: &Panel, alarm: &str, state: &str) -> Value {
    let topic = format!("{BASE}/alerts/{alarm}");
    panel.wait_for_all(&format!("{alarm} {state}"), |messages| {
        let newest = messages
            .iter()
            .rev()
            .find(|message| message.topic == topic)?;
        let newest = newest.json();
        (newest["state"] == state).then_some(newest)
    })
}

fn raise_b01(panel: &Panel, tape: &mut Tape<'_>) -> String {
    tape.write(5, |row| row.power_kw[1] = 0.0);
    let state = wait_for_state(panel, "B-01/P2", "active");
    state["event_id"].as_str().expect("an id").to_owned()
}

fn later(min: i64) -> String {
    utc_text(Clock::Wall.minute() + min)
}

fn station(version: &str) -> (Mosquitto, Folder) {
    let mosquitto = Mosquitto::start();
    let folder = Folder::new("panels");
    folder.configure(&format!(
        "[alerts]\nshelve_max_h = 2\n[mqtt]\nversion = \"{version}\"\nurl = \"mqtt://127.0.0.1:{}\"\n",
        mosquitto.port
    ));
    (mosquitto, folder)
}

fn acknowledges(version: &str) {
    let (mosquitto, folder) = station(version);
    let mut tape = folder.tape(60);
    let panel = Panel::connect(mosquitto.port);
    let daemon = folder.run();
    let alert = raise_b01(&panel, &mut tape);
    let answer = ask(
        &panel,
        "ack",
        &json!({"request_id": "r1", "event_id": alert, "user": "op", "comment": "on my way"}),
    );
    assert_eq!(
        (&answer["result"], &answer["reason"]),
        (&"done".into(), &Value::Null),
        "{}",
        daemon.log()
    );
    let state = wait_for_state(&panel, "B-01/P2", "acknowledged");
    assert_eq!(state["acknowledged_by"], "op");
    let again = ask(
        &panel,
        "ack",
        &json!({"request_id": "r2", "event_id": alert, "user": "other"}),
    );
    assert_eq!(again["result"], "refused");
    assert!(
        again["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("op has acknowledged")),
        "{again}"
    );
    // The same request again is not answered again: the next answer is that of another one.
    panel.publish(
        &format!("{BASE}/cmd/ack"),
        json!({"request_id": "r1", "event_id": alert, "user": "op"}).to_string(),
        false,
    );
    for bad in ["no json", "{}", "[1]"] {
        panel.publish(&format!("{BASE}/cmd/ack"), bad, false);
    }
    let stale = ask(
        &panel,
        "ack",
        &json!({"request_id": "r3", "event_id": "B-01.P2.20200101T000000Z", "user": "op"}),
    );
    assert!(
        stale["reason"]
            .as_str()
            .is_some_and(|reason| reason.starts_with("stale")),
        "{stale}"
    );
    let unknown = ask(
        &panel,
        "ack",
        &json!({"request_id": "r4", "event_id": "Z-99", "user": "op"}),
    );
    assert_eq!(unknown["result"], "refused");
    let answers = panel.messages();
    let first: Vec<_> = answers
        .iter()
        .filter(|message| message.topic.ends_with("/result/r1"))
        .collect();
    assert_eq!(first.len(), 1, "answered once");

    // The alert resolves and comes again: the old acknowledgement does not count for the new one.
    tape.write(3, |_| {});
    wait_for_state(&panel, "B-01/P2", "resolved");
    let newer = raise_b01(&panel, &mut tape);
    assert_ne!(newer, alert);
    assert_eq!(
        folder.query("SELECT group_concat(action, ' ') FROM (SELECT action FROM alert_journal WHERE rule = 'B-01' ORDER BY id)"),
        "raised acknowledged resolved raised"
    );
}

#[test]
fn acknowledges_over_mqtt_3_once_and_refuses_what_is_stale() {
    acknowledges("3.1.1");
}

#[test]
fn acknowledges_over_mqtt_5_once_and_refuses_what_is_stale() {
    acknowledges("5");
}

#[test]
fn shelves_for_a_time_with_a_reason_and_takes_out_of_service() {
    let (mosquitto, folder) = station("3.1.1");
    let mut tape = folder.tape(60);
    let panel = Panel::connect(mosquitto.port);
    let mut daemon = folder.run();
    let alert = raise_b01(&panel, &mut tape);
    for (id, request, reason) in [
        (
            "s1",
            json!({"event_id": alert, "user": "op", "until": later(30)}),
            "comment is missing",
        ),
        (
            "s2",
            json!({"event_id": alert, "user": "op", "comment": "relay"}),
            "until is missing",
        ),
        (
            "s3",
            json!({"event_id": alert, "user": "op", "comment": "relay", "until": later(-1)}),
            "not in the future",
        ),
        (
            "s4",
            json!({"event_id": alert, "user": "op", "comment": "relay", "until": later(300)}),
            "at most 2 h",
        ),
        (
            "s5",
            json!({"event_id": alert, "comment": "relay", "until": later(30)}),
            "user is missing",
        ),
    ] {
        let mut request = request;
        request["request_id"] = id.into();
        let answer = ask(&panel, "shelve", &request);
        assert!(
            answer["reason"]
                .as_str()
                .is_some_and(|told| told.contains(reason)),
            "{answer}"
        );
    }
    let answer = ask(
        &panel,
        "shelve",
        &json!({"request_id": "s6", "event_id": alert, "user": "op", "comment": "relay", "until": later(30)}),
    );
    assert_eq!(answer["result"], "done");
    let state = wait_for_state(&panel, "B-01/P2", "shelved");
    assert_eq!(
        (&state["held_by"], &state["held_because"], &state["active"]),
        (&"op".into(), &"relay".into(), &true.into())
    );
    // What the engine decides stays as it is: the alert resolves below the shelf.
    tape.write(3, |_| {});
    until("resolved in the log", || {
        (folder.query("SELECT resolved FROM alerts_log WHERE rule = 'B-01'") == "1").then_some(())
    });
    // A crash forgets nothing of it.
    daemon.kill();
    let daemon = folder.run();
    // What is asked of a box that is away is lost.
    panel.wait_for_all("online again", |messages| {
        let states = messages
            .iter()
            .filter(|message| message.topic == format!("{BASE}/state"));
        let online = states.filter(|message| message.json()["state"] == "online");
        (online.count() == 2).then_some(())
    });
    let answer = ask(
        &panel,
        "unshelve",
        &json!({"request_id": "s7", "event_id": "B-01.P2", "user": "op"}),
    );
    assert_eq!(answer["result"], "done", "{}", daemon.log());
    wait_for_state(&panel, "B-01/P2", "resolved");
    let answer = ask(
        &panel,
        "unshelve",
        &json!({"request_id": "s8", "event_id": "B-01.P2", "user": "op"}),
    );
    assert!(
        answer["reason"]
            .as_str()
            .is_some_and(|told| told.contains("is not shelved")),
        "{answer}"
    );

    let answer = ask(
        &panel,
        "out_of_service",
        &json!({"request_id": "o1", "event_id": "B-01.P3", "user": "op", "comment": "overhaul"}),
    );
    assert_eq!(answer["result"], "done");
    wait_for_state(&panel, "B-01/P3", "out_of_service");
    let answer = ask(
        &panel,
        "in_service",
        &json!({"request_id": "o2", "event_id": "B-01.P3", "user": "op"}),
    );
    assert_eq!(answer["result"], "done");
    wait_for_state(&panel, "B-01/P3", "resolved");
}

#[test]
fn what_operators_did_survives_late_rows() {
    let (mosquitto, folder) = station("3.1.1");
    let mut tape = folder.tape(60);
    let held_back = tape.skip(|_| {});
    let panel = Panel::connect(mosquitto.port);
    let _daemon = folder.run();
    let alert = raise_b01(&panel, &mut tape);
    ask(
        &panel,
        "ack",
        &json!({"request_id": "r1", "event_id": alert, "user": "op"}),
    );
    let journal = "SELECT count(*) FROM alert_journal WHERE action = 'acknowledged'";
    assert_eq!(folder.query(journal), "1");
    folder.write("late.csv", &held_back);
    folder.wait_for_rows(tape.rows() + 1);
    assert_eq!(folder.query(journal), "1");
    assert_eq!(
        wait_for_state(&panel, "B-01/P2", "acknowledged")["event_id"],
        alert.as_str()
    );
}

#[test]
fn a_flood_is_told_once_and_the_first_of_a_group_is_marked() {
    let (mosquitto, folder) = station("3.1.1");
    let mut tape = folder.tape(60);
    let panel = Panel::connect(mosquitto.port);
    let _daemon = folder.run();
    // All six pumps run without power but one, and the level is impossible: A, B, D and F rules in a few minutes.
    tape.write(8, |row| {
        row.on = [1; 6];
        row.power_kw = [46.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        row.flow = -5.0;
        row.level = 500.0;
    });
    let flood = panel.wait_for("the flood", |message| {
        let event = message.json();
        (message.topic.ends_with("/events") && event["transition"] == "flood").then_some(event)
    });
    let listed = flood["alerts"].as_array().expect("a list").len();
    assert!(listed > 10, "{flood}");
    let first = panel.wait_for("the first of group B", |message| {
        let event = message.json();
        (event["transition"] == "raised" && event["code"].as_str()?.starts_with("B-"))
            .then_some(event)
    });
    assert_eq!(first["first_out"], true);
    tape.write(25, |_| {});
    let over = panel.wait_for("its end", |message| {
        let event = message.json();
        (event["transition"] == "flood_over").then_some(event)
    });
    assert_eq!(over["alert"], flood["alert"]);
    let floods = "SELECT count(*) FROM alert_journal WHERE action = 'flood'";
    assert_eq!(folder.query(floods), "1");
}
