//! Calls to people: the real daemon calls a real server and real programs.

mod common;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::Command,
};

use common::{
    certificates::Authority,
    hook::{Answer, Receiver},
    mosquitto::Mosquitto,
    panel::Panel,
    ports::free_port,
    station::{Daemon, Folder, Tape},
    waiting::until,
};
use serde_json::{Value, json};

const TOKEN: &str = "s3cret-t0ken";

/// B-01 of a pump, CRITICAL: on, and without power for more than two minutes.
fn trip(tape: &mut Tape<'_>, pump: usize) {
    tape.write(4, |row| row.power_kw[pump] = 0.0);
}

/// B-04 of P2, HIGH: more than 1.3 × its 55 kW for more than five minutes.
fn overload(tape: &mut Tape<'_>) {
    tape.write(8, |row| row.power_kw[1] = 80.0);
}

/// A program in the folder.
fn script(folder: &Folder, name: &str, text: &str) -> PathBuf {
    let path = folder.exports().with_file_name(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("made executable");
    path
}

fn beside(folder: &Folder, name: &str) -> PathBuf {
    folder.exports().with_file_name(name)
}

/// A pump that trips alone is also a lost circuit; that alert would only double the calls.
const ONE_ALERT_A_TRIP: &str = "[alerts.rules.A-02]\nenabled = false\n";

fn configure(folder: &Folder, receiver: &Receiver, more: &str) {
    folder.configure(&format!(
        "{ONE_ALERT_A_TRIP}[notify]\nwebhook_url = \"{}\"\n{more}",
        receiver.url()
    ));
}

/// A station whose alerts panels can acknowledge.
fn with_panels(keys: &str) -> (Folder, Receiver, Mosquitto) {
    let (folder, receiver, mosquitto) =
        (Folder::new("calls"), Receiver::start(), Mosquitto::start());
    let mqtt = format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n", mosquitto.port);
    configure(&folder, &receiver, &format!("{keys}{mqtt}"));
    (folder, receiver, mosquitto)
}

fn states(folder: &Folder) -> String {
    folder.query(
        "SELECT coalesce(group_concat(hook || ' ' || reason || ' ' || state, ', '), '') \
         FROM (SELECT * FROM notifications ORDER BY id)",
    )
}

fn wait_for_states(folder: &Folder, daemon: &Daemon, wanted: &str) {
    let found = common::waiting::within(common::waiting::DEADLINE, || {
        (states(folder) == wanted).then_some(())
    });
    assert!(found.is_some(), "{}\n{}", states(folder), daemon.log());
}

/// `pumphouse notify test` with further arguments: its exit code, and what it wrote.
fn test_call(folder: &Folder, more: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
        .args(["notify", "test", "--config"])
        .arg(folder.config())
        .args(more)
        .output()
        .expect("it runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn a_critical_alert_calls_at_once_through_both_hooks_and_tells_when_it_is_over() {
    let (folder, receiver) = (Folder::new("calls"), Receiver::start());
    script(
        &folder,
        "call.sh",
        "cat > \"$(dirname \"$0\")/$PUMPHOUSE_REASON.json\"\n\
         echo \"$PUMPHOUSE_EVENT_ID|$PUMPHOUSE_SEVERITY|$PUMPHOUSE_MESSAGE|$1\" >> \"$(dirname \"$0\")/said\"",
    );
    fs::write(beside(&folder, "token"), format!("{TOKEN}\n")).expect("written");
    configure(
        &folder,
        &receiver,
        "webhook_token_file = \"token\"\ncommand = [\"./call.sh\", \"a b; echo\"]\n",
    );
    let mut tape = folder.tape(60);
    let daemon = folder.run();
    trip(&mut tape, 1);
    let call = receiver.wait_for("raised", "B-01");
    assert_eq!(call.line, "POST /calls HTTP/1.1");
    assert_eq!(call.headers["content-type"], "application/json");
    assert_eq!(call.headers["authorization"], format!("Bearer {TOKEN}"));
    assert_eq!(
        call.headers["user-agent"],
        concat!("pumphouse/", env!("CARGO_PKG_VERSION"))
    );
    assert!(call.key().starts_with("case.B-01.P2.") && call.key().contains(".raised."));
    assert_eq!(call.key(), call.text("call_id"));
    assert_eq!(
        (call.text("severity"), call.text("pump"), call.text("site")),
        ("CRITICAL", "P2", "case")
    );
    for key in ["message", "consequence", "action", "since", "name"] {
        assert!(!call.text(key).is_empty(), "{key}: {}", call.body);
    }
    the_readme_shows(&call.body);

    let said = until("the command", || {
        let said = fs::read_to_string(beside(&folder, "said")).ok();
        said.filter(|said| said.ends_with('\n'))
    });
    let expected = format!(
        "{}|CRITICAL|{}|a b; echo\n",
        call.text("event_id"),
        call.text("message")
    );
    assert_eq!(said, expected);
    let told: Value = serde_json::from_slice(&fs::read(beside(&folder, "raised.json")).unwrap())
        .expect("the command gets JSON");
    assert_eq!(told["message"], call.body["message"]);

    // Over: who was told hears of it, and nobody is called once more.
    wait_for_states(
        &folder,
        &daemon,
        "webhook raised sent, webhook escalated waiting, command raised sent, command escalated waiting",
    );
    tape.write(3, |_| {});
    let over = receiver.wait_for("resolved", "B-01");
    assert!(
        over.text("message").starts_with("Resolved."),
        "{}",
        over.body
    );
    assert_eq!(over.body["alert"], call.body["event_id"]);
    assert!(over.body["action"].is_null() && !over.text("until").is_empty());
    wait_for_states(
        &folder,
        &daemon,
        "webhook raised sent, webhook escalated cancelled, command raised sent, command escalated cancelled, \
         webhook resolved sent, command resolved sent",
    );

    // Raised anew it is a new call.
    trip(&mut tape, 1);
    let again = until("a new call", || {
        let received = receiver.received();
        let mut raised = received
            .into_iter()
            .filter(|call| call.what().0 == "raised");
        raised.nth(1)
    });
    assert_ne!(again.key(), call.key());
    assert!(!daemon.log().contains(TOKEN), "{}", daemon.log());
    let (done, text) = folder.verb(&["status"]);
    assert!(
        done && text.contains("calls    ") && text.contains("last one taken"),
        "{text}"
    );
}

/// The example in docs/delivery.md has the keys of a real call, and what does not depend on the time.
fn the_readme_shows(body: &Value) {
    let readme = include_str!("../docs/delivery.md");
    let section = readme
        .split("## Calls to people")
        .nth(1)
        .expect("a section");
    let example = section.split("```json").nth(1).expect("an example");
    let example = example.split("```").next().expect("its end");
    let example: Value = serde_json::from_str(example).expect("JSON");
    let keys = |value: &Value| -> Vec<String> {
        value
            .as_object()
            .expect("an object")
            .keys()
            .cloned()
            .collect()
    };
    assert_eq!(keys(&example), keys(body));
    for (key, value) in example.as_object().expect("an object") {
        if !["site", "site_name", "event_id", "alert", "call_id", "since"].contains(&key.as_str()) {
            assert_eq!(value, &body[key], "{key}");
        }
    }
}

/// A station with a broker, on which alerts can be acknowledged.
fn acknowledge(panel: &Panel, alert: &str) {
    let request = json!({"request_id": alert, "event_id": alert, "user": "op"});
    panel.publish("pumphouse/v1/case/cmd/ack", request.to_string(), false);
    let topic = format!("pumphouse/v1/case/cmd/result/{alert}");
    let answer = panel.wait_for(&topic, |message| {
        (message.topic == topic).then(|| message.json())
    });
    assert_eq!(answer["result"], "done", "{answer}");
}

#[test]
fn a_critical_alert_calls_again_when_nobody_acknowledges_it() {
    let (folder, receiver, mosquitto) = with_panels("critical_escalate_min = 0.1\n");
    let mut tape = folder.tape(60);
    let panel = Panel::connect(mosquitto.port);
    let daemon = folder.run();
    trip(&mut tape, 0);
    let seen = receiver.wait_for("raised", "B-01");
    acknowledge(&panel, seen.text("event_id"));
    tape.write(4, |row| {
        row.on[2] = 1;
        row.power_kw[0] = 0.0;
    });
    // P3's alert comes later and escalates; had P1's not been acknowledged, it would have escalated before.
    let escalated = until("an escalation", || {
        let mut received = receiver.received().into_iter();
        received.find(|call| call.text("reason") == "escalated")
    });
    assert_eq!(escalated.text("pump"), "P3", "{}", daemon.log());
    let first = folder.query(
        "SELECT state || ' ' || detail FROM notifications WHERE reason = 'escalated' ORDER BY id LIMIT 1",
    );
    assert_eq!(first, "cancelled acknowledged by op");
}

#[test]
fn a_high_alert_calls_only_when_it_is_not_acknowledged_in_time() {
    let (folder, receiver, mosquitto) = with_panels("high_escalate_min = 0.1\n");
    let mut tape = folder.tape(60);
    let panel = Panel::connect(mosquitto.port);
    let daemon = folder.run();
    overload(&mut tape);
    let call = receiver.wait_for("escalated", "B-04");
    assert_eq!(call.text("severity"), "HIGH");
    let due = "SELECT due_ts - (SELECT noted_ts FROM alert_journal WHERE rule = 'B-04' AND action = 'raised') FROM notifications";
    assert_eq!(folder.query(due), "6", "not before its time");

    // Another one is acknowledged before its time has come.
    tape.write(3, |_| {});
    receiver.wait_for("resolved", "B-04");
    overload(&mut tape);
    let alert = panel.wait_for_all("the second alert", |messages| {
        let raised = messages.iter().map(|message| (&message.topic, message));
        let mut raised = raised
            .filter(|(topic, _)| topic.ends_with("/events"))
            .map(|(_, message)| message.json())
            .filter(|event| event["code"] == "B-04" && event["transition"] == "raised");
        Some(raised.nth(1)?["event_id"].as_str()?.to_owned())
    });
    acknowledge(&panel, &alert);
    wait_for_states(
        &folder,
        &daemon,
        "webhook escalated sent, webhook resolved sent, webhook escalated cancelled",
    );
}

#[test]
fn a_hook_that_is_down_or_fails_is_tried_again_with_the_same_key() {
    let folder = Folder::new("calls");
    let port = free_port();
    folder.configure(&format!(
        "{ONE_ALERT_A_TRIP}[notify]\nwebhook_url = \"http://127.0.0.1:{port}/calls\"\n"
    ));
    let mut tape = folder.tape(60);
    let daemon = folder.run();
    trip(&mut tape, 1);
    daemon.wait_for_log("a call is not taken");
    until("the trouble in the status", || {
        let (_, text) = folder.verb(&["status"]);
        (text.contains("1 waiting") && text.contains("webhook: Connection refused")).then_some(())
    });
    let receiver = Receiver::start_at(port);
    receiver.answer(Answer::Status(500, "no credit"));
    let failed = receiver.wait_for("raised", "B-01");
    receiver.answer(Answer::Redirect(receiver.url()));
    let redirected = receiver.wait_for_count(2).swap_remove(1);
    receiver.answer(Answer::Status(200, ""));
    wait_for_states(
        &folder,
        &daemon,
        "webhook raised sent, webhook escalated waiting",
    );
    let taken = receiver.received().pop().expect("a call");
    assert_eq!([failed.key(), redirected.key()], [taken.key(); 2]);
    assert_eq!(failed.body, taken.body);
    let attempts = "SELECT attempts >= 4 FROM notifications WHERE reason = 'raised'";
    assert_eq!(folder.query(attempts), "1", "{}", daemon.log());
}

#[test]
fn a_daemon_killed_before_it_noted_a_call_makes_the_same_call_again() {
    let (folder, receiver) = (Folder::new("calls"), Receiver::start());
    configure(&folder, &receiver, "");
    let mut tape = folder.tape(60);
    let mut daemon = folder.run();
    receiver.answer(Answer::Silence);
    trip(&mut tape, 1);
    let first = receiver.wait_for("raised", "B-01");
    daemon.kill();
    receiver.answer(Answer::Status(200, ""));
    let daemon = folder.run();
    let second = receiver.wait_for_count(2).swap_remove(1);
    assert_eq!((first.key(), &first.body), (second.key(), &second.body));
    wait_for_states(
        &folder,
        &daemon,
        "webhook raised sent, webhook escalated waiting",
    );
}

#[test]
fn a_hanging_command_is_killed_with_its_children_and_holds_up_nothing_else() {
    let (folder, receiver) = (Folder::new("calls"), Receiver::start());
    // It reads nothing, and its child is in a group of their own.
    script(
        &folder,
        "call.sh",
        "sleep 987 & echo $! > \"$(dirname \"$0\")/child\"\nwait",
    );
    configure(&folder, &receiver, "command = [\"./call.sh\"]\n");
    let mut tape = folder.tape(60);
    let daemon = folder.run();
    trip(&mut tape, 1);
    receiver.wait_for("raised", "B-01");
    let child = until("the child", || {
        let text = fs::read_to_string(beside(&folder, "child")).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    });
    let is_alive = || {
        fs::read_to_string(format!("/proc/{child}/cmdline")).is_ok_and(|line| line.contains("987"))
    };
    // Its number is written before it is a `sleep`.
    until("the child's start", || is_alive().then_some(()));
    wait_for_states(
        &folder,
        &daemon,
        "webhook raised sent, webhook escalated waiting, command raised waiting, command escalated waiting",
    );
    daemon.wait_for_log("killed after 30 s");
    until("the child's end", || (!is_alive()).then_some(()));
}

#[test]
fn an_https_webhook_must_prove_its_name() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let folder = Folder::new("calls");
    let configure = |receiver: &Receiver| {
        let ca = ours.file();
        let more = format!("webhook_ca_file = \"{}\"\n", ca.display());
        configure(&folder, receiver, &more);
    };
    for (certificate, why, what_to_do) in [
        (
            theirs.server(&["127.0.0.1"]),
            "UnknownIssuer",
            "notify.webhook_ca_file",
        ),
        (
            ours.server(&["elsewhere.example"]),
            "not valid for name",
            "for the host of",
        ),
        (ours.expired_server(&["127.0.0.1"]), "expired", "valid now"),
    ] {
        let receiver = Receiver::start_tls(&certificate);
        configure(&receiver);
        let (code, told, _) = test_call(&folder, &[]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(why) && told.contains(what_to_do), "{told}");
        assert!(
            receiver.received().is_empty(),
            "nothing is told to a stranger"
        );
    }
    let receiver = Receiver::start_tls(&ours.server(&["127.0.0.1"]));
    configure(&receiver);
    let mut tape = folder.tape(60);
    let _daemon = folder.run();
    trip(&mut tape, 1);
    receiver.wait_for("raised", "B-01");
}

#[test]
fn a_flood_calls_once_and_critical_alerts_singly() {
    let (folder, receiver) = (Folder::new("calls"), Receiver::start());
    folder.configure(&format!("[notify]\nwebhook_url = \"{}\"\n", receiver.url()));
    let mut tape = folder.tape(60);
    let daemon = folder.run();
    tape.write(8, |row| {
        row.on = [1; 6];
        row.power_kw = [46.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        row.flow = -5.0;
        row.level = 500.0;
    });
    let flood = receiver.wait_for("flood", "");
    assert!(
        flood.body["alerts"]
            .as_array()
            .is_some_and(|alerts| alerts.len() > 10)
    );
    until("all calls are out", || {
        let waiting =
            "SELECT count(*) FROM notifications WHERE state = 'waiting' AND reason <> 'escalated'";
        (folder.query(waiting) == "0").then_some(())
    });
    let critical = folder.query("SELECT count(*) FROM alerts_log WHERE severity = 'CRITICAL'");
    let planned = folder.query("SELECT count(*) FROM notifications WHERE reason = 'raised'");
    assert_eq!(planned, critical, "{}", daemon.log());
    let received = receiver.received();
    let count = |reason: &str| {
        let calls = received.iter().filter(|call| call.text("reason") == reason);
        calls.count()
    };
    assert_eq!((count("flood"), count("escalated")), (1, 0));
    let sent = folder
        .query("SELECT count(*) FROM notifications WHERE reason = 'raised' AND state = 'sent'");
    assert_eq!(count("raised").to_string(), sent);
    let single = received
        .iter()
        .filter(|call| call.text("reason") == "raised");
    assert!(
        count("raised") > 0
            && single
                .clone()
                .all(|call| call.text("severity") == "CRITICAL")
    );
}

#[test]
fn late_rows_take_a_call_back_and_history_never_pages() {
    let (folder, receiver) = (Folder::new("calls"), Receiver::start());
    configure(&folder, &receiver, "");
    // What the daemon finds was an hour ago when it starts.
    let mut tape = folder.tape_until(30, 60);
    trip(&mut tape, 1);
    tape.write(56, |_| {});
    let daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    // One that is news, and which a later record of its minutes then denies.
    let lines: Vec<Vec<u8>> = (0..4)
        .map(|_| {
            let lines = tape.skip(|row| row.power_kw[0] = 0.0);
            folder.append("day.csv", &lines);
            lines
        })
        .collect();
    let call = receiver.wait_for("raised", "B-01");
    assert_eq!(call.text("pump"), "P1", "{}", daemon.log());
    let denied = String::from_utf8(lines[1].clone()).expect("text");
    let denied = denied
        .replace(":00,S,9,0\n", ":30,S,9,46\n")
        .replace(":00,", ":30,");
    folder.write("late.csv", denied.as_bytes());
    let taken_back = receiver.wait_for("withdrawn", "B-01");
    assert_eq!(taken_back.body["alert"], call.body["event_id"]);
    assert!(taken_back.text("message").starts_with("Withdrawn"));
}

#[test]
fn the_test_verb_says_what_happened_and_what_to_do() {
    let (folder, receiver) = (Folder::new("calls"), Receiver::start());
    folder.configure("");
    let (code, _, error) = test_call(&folder, &[]);
    assert_eq!(code, Some(1));
    assert!(error.contains("no [notify] section"), "{error}");

    script(&folder, "good.sh", "exit 0");
    script(&folder, "bad.sh", "echo 'no modem' >&2; exit 3");
    fs::write(beside(&folder, "token"), TOKEN).expect("written");
    configure(
        &folder,
        &receiver,
        "webhook_token_file = \"token\"\ncommand = [\"./good.sh\"]\n",
    );
    let (code, told, error) = test_call(&folder, &[]);
    assert_eq!(code, Some(0), "{told}{error}");
    assert!(
        told.contains("webhook  taken") && told.contains("202") && told.contains("command  taken"),
        "{told}"
    );
    let call = receiver.received().pop().expect("a call");
    assert_eq!(call.text("reason"), "test");
    assert!(
        call.text("message").contains("nothing is wrong"),
        "{}",
        call.body
    );

    receiver.answer(Answer::Echo(401));
    let (code, told, error) = test_call(&folder, &["--hook", "webhook"]);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("401") && told.contains("webhook_token_file") && !told.contains("command"),
        "{told}"
    );
    assert!(!format!("{told}{error}").contains(TOKEN), "{told}{error}");

    configure(&folder, &receiver, "command = [\"./bad.sh\"]\n");
    let (code, told, _) = test_call(&folder, &["--hook", "command", "--json"]);
    assert_eq!(code, Some(1));
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["hooks"][0]["taken"], false);
    assert_eq!(told["hooks"][0]["cause"], "exit status: 3: no modem");

    configure(&folder, &receiver, "command = [\"./none.sh\"]\n");
    let (code, told, _) = test_call(&folder, &["--hook", "command"]);
    assert_eq!(code, Some(1));
    assert!(
        told.contains("cannot start") && told.contains("correct notify.command"),
        "{told}"
    );
    let (done, text) = folder.verb(&["check"]);
    assert!(
        done && text.contains("none.sh") && text.contains("note"),
        "{text}"
    );
}
