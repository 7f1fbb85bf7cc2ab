//! Servers that take everything and answer nothing, as behind a dead router: the connection is given up after its time and
//! made anew, and everything arrives.

mod common;

use std::collections::HashSet;

use common::{
    mosquitto::Mosquitto,
    panel::Panel,
    postgres::Postgres,
    proxy::{Mode, Proxy, Way},
    station::Folder,
    waiting::{DEADLINE, until, within},
};
use serde_json::Value;

const DATABASE: &str = "plant";

fn stalls(version: &str, way: Way) {
    let broker = Mosquitto::start();
    let proxy = Proxy::before(broker.port, 1);
    let folder = Folder::new("stalled");
    folder.configure(&format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nversion = \"{version}\"\nretry_s_max = 1\nsilence_s_max = 1\n",
        proxy.port()
    ));
    let mut tape = folder.tape(60);
    let panel = Panel::connect(broker.port);
    let daemon = folder.run();
    panel.wait_for("readings", |message| {
        message.topic.ends_with("/readings").then_some(())
    });
    proxy.set(Mode::Stall(way));
    for round in 0..4 {
        tape.write(5, |row| row.power_kw[round % 2] = 0.0);
        tape.write(3, |_| {});
    }
    folder.wait_for_rows(tape.rows());
    daemon.wait_for_log("no acknowledgement for 1 s");
    // Nothing is given up as long as nothing is heard, however often it is tried.
    let waiting = "SELECT count(*) FROM mqtt_outbox WHERE acked_ts IS NULL";
    assert_ne!(folder.query(waiting), "0");
    proxy.set(Mode::Pass);
    until("everything is acknowledged", || {
        (folder.query(waiting) == "0").then_some(())
    });
    assert!(proxy.accepted() > 1, "it connects anew");

    let journal =
        "SELECT group_concat(event_id, ' ') FROM (SELECT event_id FROM alert_journal ORDER BY id)";
    let expected = folder.query(journal);
    assert!(expected.split(' ').count() >= 8, "{expected}");
    let events = panel.wait_for_all("all events", |messages| {
        let events: Vec<Value> = messages
            .iter()
            .filter(|message| message.topic.ends_with("/events"))
            .map(common::panel::Message::json)
            .collect();
        let mut seen = HashSet::new();
        // What comes again says the same.
        let first: Vec<_> = events
            .iter()
            .filter(|event| seen.insert(event["event_id"].clone()))
            .filter_map(|event| event["event_id"].as_str())
            .collect();
        (first.join(" ") == expected).then(|| events.clone())
    });
    for event in &events {
        let same = events
            .iter()
            .all(|other| other["event_id"] != event["event_id"] || other == event);
        assert!(same, "one id, one event: {event}");
    }
}

#[test]
fn a_broker_that_takes_everything_and_acknowledges_nothing_is_given_up_and_gets_all_in_order() {
    stalls("3.1.1", Way::ToClient);
}

#[test]
fn a_connection_to_the_broker_that_swallows_everything_is_given_up_in_version_5_as_well() {
    stalls("5", Way::Both);
}

#[test]
fn a_half_open_connection_to_the_central_office_is_given_up_in_the_middle_of_a_batch() {
    let server = Postgres::start();
    server.create_database(DATABASE);
    let proxy = Proxy::before(server.port(), 2);
    let folder = Folder::new("half-open");
    let home = folder.store();
    let home = home.parent().expect("a folder");
    std::fs::write(home.join("password"), "of the site\n").expect("written");
    server.admit(DATABASE, "case", home, "password");
    folder.configure(&format!(
        "[central]\nurl = \"postgres://case@127.0.0.1:{}/{DATABASE}\"\npassword_file = \"password\"\n\
         batch_rows_max = 2000\nretry_s_max = 1\nsilence_s_max = 2\n",
        proxy.port()
    ));
    folder.simulate(3);
    // Slow enough to be met in the middle of a batch.
    proxy.set(Mode::Bandwidth(200_000));
    let daemon = folder.run();
    let busy = "SELECT count(*) > 0 FROM pg_stat_activity WHERE usename = 'case' AND state = 'active' AND query LIKE 'COPY stage_%'";
    let sent = "SELECT count(*) FROM pumphouse.readings_wide";
    until("the middle of a batch", || {
        (server.sql(DATABASE, busy) == "t").then_some(())
    });
    proxy.set(Mode::Stall(Way::Both));
    assert_eq!(server.sql(DATABASE, busy), "t", "a batch is half there");
    let before = server.sql(DATABASE, sent);
    daemon.wait_for_log("no answer for 2 s");
    folder.wait_until_read();
    assert_eq!(server.sql(DATABASE, sent), before, "nothing of it counts");
    proxy.set(Mode::Pass);
    let mut said = String::new();
    let same = within(DEADLINE, || {
        let (same, text) = folder.verb(&["verify"]);
        said = text;
        same.then_some(())
    });
    assert!(same.is_some(), "{said}\n{}", daemon.log());
}
