//! The other faces over a real broker: the station as a Sparkplug B node, and as a device of Home Assistant.

mod common;

use std::collections::{BTreeSet, HashMap};

use common::{
    mosquitto::Mosquitto,
    panel::Panel,
    proxy::{Mode, Proxy, Way},
    sparkplug::{Host, REBIRTH, command},
    station::{Daemon, Folder},
    waiting::until,
};
use pumphouse::{config::Config, publish::HomeAssistant};
use serde_json::Value;

const SPARKPLUG: &str = "spBv1.0/#";
const HOME: &str = "homeassistant/#";
const BASE: &str = "pumphouse/v1/case";
const NCMD: &str = "spBv1.0/water/NCMD/case";

/// Writes a config with a broker and keys of `[mqtt]`.
fn configure(folder: &Folder, port: u16, keys: &str) {
    folder.configure(&format!(
        "[mqtt]\nretry_s_max = 1\nurl = \"mqtt://127.0.0.1:{port}\"\n{keys}\n"
    ));
}

fn station(keys: &str) -> (Mosquitto, Folder) {
    let mosquitto = Mosquitto::start();
    let folder = Folder::new("faces");
    configure(&folder, mosquitto.port, keys);
    (mosquitto, folder)
}

fn born(host: &mut Host, panel: &Panel) -> u64 {
    host.follow(panel, "a birth", |host| host.alive);
    host.bd_seq.expect("a number")
}

fn shows_the_station(version: &str) {
    let (mosquitto, folder) = station(&format!(
        "sparkplug_group = \"water\"\nversion = \"{version}\""
    ));
    let mut tape = folder.tape(60);
    let panel = Panel::hearing(mosquitto.port, SPARKPLUG);
    let mut host = Host::default();
    let daemon = folder.run();
    folder.wait_for_rows(60);
    let newest = |column: &str| {
        folder.query(&format!(
            "SELECT {column} FROM readings_wide ORDER BY ts DESC LIMIT 1"
        ))
    };
    let minute_ms = |host: &Host| host.times.get("Flow/FIT101").map(u64::to_string);
    // A birth before the first row tells no value; in the first second of a minute it has the time of the row to come.
    let is_newest = |host: &Host| {
        let flow = host.values.get("Flow/FIT101");
        flow.is_some_and(Option::is_some) && minute_ms(host) == Some(newest("ts * 1000"))
    };
    host.follow(&panel, "the newest row", is_newest);
    for (name, column) in [
        ("Flow/FIT101", "fit101_per_hr"),
        ("Tank/Level", "hlt101_output"),
        ("Tank/LevelPercent", "hlt_pct"),
        ("Pumps/P1/Power", "p1_kwh"),
        ("Pumps/OnCount", "pumps_on_count"),
        ("Power/Total", "total_kw"),
        ("Energy/PerFlow", "energy_per_flow"),
    ] {
        let told: f64 = host.value(name).expect(name).parse().expect("a number");
        let stored: f64 = newest(column).parse().expect("a number");
        assert!((told - stored).abs() < 1e-9, "{name}: {told}, not {stored}");
    }
    assert_eq!(host.value("Pumps/P1/On"), Some("true"));
    assert_eq!(host.value("Pumps/P3/On"), Some("false"));
    assert_eq!(host.value("Alarms/B-01/P2/Active"), Some("false"));
    assert_eq!(host.value("Alarms/Open/CRITICAL"), Some("0"));
    let kwh = folder.query("SELECT total_kwh FROM daily_summary ORDER BY date DESC LIMIT 1");
    assert_eq!(
        host.value("KPI/Energy").map(|kwh| kwh.parse::<f64>()),
        Some(kwh.parse())
    );
    let flow = host.birth.items.iter();
    let flow = flow
        .clone()
        .find(|it| it.name.as_deref() == Some("Flow/FIT101"));
    let unit = &flow.expect("there").properties;
    assert!(
        unit.contains("key=\"engUnit\"") && unit.contains("/h\""),
        "{unit}"
    );

    // Data by exception: of a minute like the one before, nothing is told but what differs.
    let (births, before) = (host.births, host.data);
    tape.write(5, |row| row.power_kw[1] = 0.0);
    host.follow(&panel, "the alarm", |host| {
        host.value("Alarms/B-01/P2/Active") == Some("true") && is_newest(host)
    });
    assert_eq!(host.births, births, "no birth in between");
    assert!(host.data > before);
    assert_eq!(host.value("Alarms/B-01/P2/State"), Some("active"));
    assert_eq!(host.value("Pumps/P2/Power"), Some("0"));
    let open = folder
        .query("SELECT count(*) FROM alerts_log WHERE resolved = 0 AND severity = 'CRITICAL'");
    assert_eq!(host.value("Alarms/Open/CRITICAL"), Some(open.as_str()));

    // Nothing but a birth can be had by writing.
    let values = host.values.clone();
    let writes = command(&[("Pumps/P1/On", false), ("Alarms/B-01/P2/Active", false)]);
    panel.publish(NCMD, writes, false);
    panel.publish(NCMD, "no protobuf", false);
    daemon.wait_for_log("nothing here can be written");
    panel.publish(NCMD, command(&[(REBIRTH, true)]), false);
    let (session, data) = (host.bd_seq, host.data);
    host.follow(&panel, "a birth anew", |host| host.births == births + 1);
    assert_eq!((host.bd_seq, host.data), (session, data));
    assert_eq!(host.values, values);
    assert!(daemon.log().contains("Pumps/P1/On, Alarms/B-01/P2/Active"));

    // Nothing is retained.
    let late = Panel::hearing(mosquitto.port, SPARKPLUG);
    late.publish("spBv1.0/water/STATE/marker", "", false);
    late.wait_for("the marker", |message| {
        message.topic.ends_with("marker").then_some(())
    });
    assert_eq!(late.messages().len(), 1);
}

#[test]
fn a_host_sees_the_station_over_mqtt_3() {
    shows_the_station("3.1.1");
}

#[test]
fn a_host_sees_the_station_over_mqtt_5() {
    shows_the_station("5");
}

#[test]
fn every_session_ends_with_its_own_death() {
    let (mosquitto, folder) = station("sparkplug_group = \"water\"");
    folder.tape(10);
    let panel = Panel::hearing(mosquitto.port, SPARKPLUG);
    let mut host = Host::default();
    let mut deaths = Vec::new();
    let mut last = None;
    for end in [Daemon::kill, |daemon: &mut Daemon| {
        assert_eq!(daemon.terminate(), Some(0), "{}", daemon.log());
    }] {
        let mut daemon = folder.run();
        let session = born(&mut host, &panel);
        if let Some(last) = last.replace(session) {
            assert_eq!(session, (last + 1) % 256);
        }
        end(&mut daemon);
        deaths.push(session);
        host.follow(&panel, "the death", |host| !host.alive);
    }
    // A third life, so that a death too many would have been seen.
    let _daemon = folder.run();
    let session = born(&mut host, &panel);
    assert_eq!(host.deaths, deaths);
    assert!(!deaths.contains(&session));
}

#[test]
fn after_a_broker_was_killed_the_next_session_is_born() {
    let (mut mosquitto, folder) = station("sparkplug_group = \"water\"");
    folder.tape(10);
    let panel = Panel::hearing(mosquitto.port, SPARKPLUG);
    let mut host = Host::default();
    let daemon = folder.run();
    let session = born(&mut host, &panel);
    mosquitto.kill();
    // Attempts that no broker heard of take no numbers.
    until("two attempts", || {
        let log = daemon.log();
        let failed = log
            .lines()
            .filter(|line| line.contains("the sparkplug node has no broker"));
        (failed.count() >= 2).then_some(())
    });
    mosquitto.restart();
    // The birth may come before the host is back; then it asks for one.
    panel.publish(NCMD, command(&[(REBIRTH, true)]), false);
    let next = (session + 1) % 256;
    panel.wait_for_all("the next session's birth", |messages| {
        let mut births = messages.iter().filter(|it| it.topic.contains("/NBIRTH/"));
        let newest = births.next_back().map(born_as)?;
        assert!(
            [session, next].contains(&newest),
            "{newest} after {session}"
        );
        (newest == next).then_some(())
    });
}

fn born_as(birth: &common::panel::Message) -> u64 {
    let told = common::sparkplug::decode(&birth.payload);
    let item = told
        .items
        .into_iter()
        .find(|it| it.name.as_deref() == Some("bdSeq"));
    let (_, value) = item.expect("a bdSeq").value.expect("a value");
    value.parse().expect("a number")
}

#[test]
fn a_broker_that_stops_answering_is_noticed() {
    let mosquitto = Mosquitto::start();
    let proxy = Proxy::before(mosquitto.port, 1);
    let folder = Folder::new("faces");
    configure(&folder, proxy.port(), "sparkplug_group = \"water\"");
    folder.tape(10);
    let panel = Panel::hearing(mosquitto.port, SPARKPLUG);
    let mut host = Host::default();
    let daemon = folder.run();
    let session = born(&mut host, &panel);
    proxy.set(Mode::Stall(Way::Both));
    daemon.wait_for_log("the sparkplug node has no broker");
    proxy.set(Mode::Pass);
    host.follow(&panel, "another session", |host| {
        host.alive && host.bd_seq != Some(session)
    });
    assert!(
        host.deaths.contains(&session),
        "the broker has told the death"
    );
}

#[test]
fn the_node_is_born_only_while_its_primary_host_is_online() {
    let (mosquitto, folder) =
        station("sparkplug_group = \"water\"\nsparkplug_primary_host = \"scada\"");
    folder.tape(10);
    let panel = Panel::hearing(mosquitto.port, SPARKPLUG);
    let state = |online: bool, at: u64| {
        let said = format!("{{\"online\":{online},\"timestamp\":{at}}}");
        panel.publish("spBv1.0/STATE/scada", said, true);
    };
    state(false, 1);
    let mut host = Host::default();
    let daemon = folder.run();
    folder.wait_for_rows(10);
    // A command is heard, and brings no birth.
    let asks = command(&[(REBIRTH, true), ("x", true)]);
    until("a command is heard", || {
        panel.publish(NCMD, asks.clone(), false);
        let heard = daemon.log().contains("nothing here can be written");
        heard.then_some(())
    });
    assert!(
        panel
            .messages()
            .iter()
            .all(|it| !it.topic.contains("BIRTH"))
    );
    state(true, 2);
    let session = born(&mut host, &panel);
    state(false, 3);
    host.follow(&panel, "the death", |host| !host.alive);
    assert_eq!(host.deaths.last(), Some(&session));
    state(true, 4);
    assert_eq!(born(&mut host, &panel), (session + 1) % 256);
}

/// The field of a template like `{{ value_json.a.b }}` in a payload.
fn evaluate<'a>(template: &str, payload: &'a Value) -> Option<&'a Value> {
    let path = template
        .strip_prefix("{{ value_json.")
        .and_then(|rest| rest.strip_suffix(" }}"))
        .unwrap_or_else(|| panic!("{template:?} is more than a path"));
    path.split('.')
        .try_fold(payload, |value, key| value.get(key))
}

/// What Home Assistant makes of a value, as text.
fn rendered(value: &Value) -> String {
    match value {
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Null => "None".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn home_assistant_finds_every_sensor_in_a_message_that_is_there() {
    let (mosquitto, folder) = station("home_assistant_prefix = \"homeassistant\"");
    let mut tape = folder.tape(60);
    let _daemon = folder.run();
    let panel = Panel::connect(mosquitto.port);
    tape.write(5, |row| row.power_kw[1] = 0.0);
    panel.wait_for("the alarm", |message| {
        (message.topic == format!("{BASE}/alerts/B-01/P2") && message.json()["active"] == true)
            .then_some(())
    });
    let newest = folder.query("SELECT max(ts) FROM readings_wide");
    until("the newest row", || {
        let ts = pumphouse::calendar::utc_text(newest.parse::<i64>().expect("a time") / 60);
        let messages = panel.messages();
        let has = |topic: &str| {
            messages
                .iter()
                .any(|it| it.topic == format!("{BASE}/{topic}") && it.json()["ts"] == ts.as_str())
        };
        (has("readings") && has("kpi")).then_some(())
    });
    let states: HashMap<String, Value> = panel
        .messages()
        .into_iter()
        .filter(|message| !message.topic.contains("/events"))
        .map(|message| (message.topic.clone(), message.json()))
        .collect();

    // They are retained: who comes later finds them, too.
    let config = Config::load(&folder.config()).expect("a config");
    let expected = HomeAssistant::of(&config).expect("on").discovery.len();
    let home = Panel::hearing(mosquitto.port, HOME);
    let all = home.wait_for_all("the discovery", |messages| {
        (messages.len() >= expected).then(|| messages.to_vec())
    });
    let (mut ids, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for message in &all {
        assert!(message.retained, "{}", message.topic);
        let told = message.json();
        let text = |key: &str| {
            told[key]
                .as_str()
                .unwrap_or_else(|| panic!("{key}: {told}"))
        };
        assert!(ids.insert(text("unique_id").to_owned()), "{told}");
        let levels: Vec<_> = message.topic.split('/').collect();
        assert_eq!((levels[0], levels[4]), ("homeassistant", "config"));
        let state = states.get(text("state_topic"));
        let state = state.unwrap_or_else(|| panic!("nothing is published there: {told}"));
        let value = evaluate(text("value_template"), state);
        let value = value.unwrap_or_else(|| panic!("not in {state}: {told}"));
        let class = told["device_class"].as_str();
        match levels[1] {
            "binary_sensor" => {
                assert!(matches!(class, Some("running" | "problem")), "{told}");
                let known = [text("payload_on"), text("payload_off"), "None"];
                assert!(known.contains(&rendered(value).as_str()), "{value}: {told}");
            }
            "sensor" => {
                assert!(value.is_number() || value.is_null(), "{value}: {told}");
                let unit = told["unit_of_measurement"].as_str();
                // The units that Home Assistant takes for the classes.
                let units: &[&str] = match class {
                    Some("power") => &["W", "kW", "MW"],
                    Some("energy") => &["Wh", "kWh", "MWh"],
                    Some("water") => &["L", "m³"],
                    Some("volume_flow_rate") => &["m³/h", "L/min"],
                    Some(other) => panic!("an unexpected class: {other}"),
                    None => &[],
                };
                assert!(class.is_none() || unit.is_some_and(|unit| units.contains(&unit)));
                let grows = matches!(class, Some("energy" | "water"));
                let expected = if grows {
                    "total_increasing"
                } else {
                    "measurement"
                };
                assert_eq!(told["state_class"], expected, "{told}");
            }
            other => panic!("an unexpected component: {other}"),
        }
        kinds.insert(class.unwrap_or("none").to_owned());
        let available = &states[text("availability_topic")];
        let available = evaluate(text("availability_template"), available);
        assert_eq!(available.map(rendered).as_deref(), Some("online"));
        assert_eq!(text("payload_available"), "online");
        assert_eq!(told["device"]["name"], "case");
        assert_eq!(told["device"]["identifiers"][0], "pumphouse_case");
        assert_eq!(told["origin"]["name"], "pumphouse");
    }
    for kind in [
        "energy",
        "power",
        "problem",
        "running",
        "volume_flow_rate",
        "water",
    ] {
        assert!(kinds.contains(kind), "{kind}");
    }

    // Home Assistant has started anew: everything is told once more.
    let once = all.len();
    home.publish("homeassistant/status", "offline", false);
    home.publish("homeassistant/status", "online", false);
    home.wait_for_all("the discovery once more", |messages| {
        let again = messages
            .iter()
            .filter(|it| it.topic.ends_with("/config") && !it.retained);
        (again.count() >= once).then_some(())
    });
}

#[test]
fn without_the_keys_there_are_no_other_faces() {
    let (mosquitto, folder) = station("");
    folder.tape(10);
    let panel = Panel::connect(mosquitto.port);
    let sparkplug = Panel::hearing(mosquitto.port, SPARKPLUG);
    let home = Panel::hearing(mosquitto.port, HOME);
    let mut daemon = folder.run();
    panel.wait_for("a row", |message| {
        message.topic.ends_with("/readings").then_some(())
    });
    panel.wait_for("the figures", |message| {
        message.topic.ends_with("/kpi").then_some(())
    });
    home.publish("homeassistant/status", "online", false);
    home.wait_for("its own word", |_| Some(()));
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(sparkplug.messages(), []);
    assert_eq!(home.messages().len(), 1);
    assert!(!folder.store().with_extension("db.sparkplug").exists());
}
