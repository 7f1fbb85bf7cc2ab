//! `doctor`: a station in order, and one where everything that it can see is wrong.

mod common;

use std::fs;

use common::{
    mosquitto::{Mosquitto, Setup},
    ports::free_port,
    station::{Folder, Row},
    waiting::until,
};
use serde_json::Value;

fn examine(folder: &Folder) -> (bool, Vec<Value>) {
    let (is_well, told) = folder.verb(&["doctor", "--json"]);
    // What is wrong is counted on standard error, too.
    let report = serde_json::Deserializer::from_str(&told)
        .into_iter::<Value>()
        .next();
    let report = report
        .expect("a report")
        .unwrap_or_else(|error| panic!("{error}: {told}"));
    let findings = report["findings"].as_array().expect("a list").clone();
    (is_well, findings)
}

#[test]
fn a_station_in_order_needs_nobody() {
    let folder = Folder::new("well");
    folder.configure("");
    let tape = folder.tape(60);
    let mut daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    let (made, told) = folder.verb(&["backup"]);
    assert!(made, "{told}");
    let (is_well, findings) = examine(&folder);
    assert!(is_well, "{findings:#?}");
    let looked_at: Vec<_> = findings.iter().filter_map(|it| it["of"].as_str()).collect();
    for of in [
        "config", "daemon", "exports", "store", "data", "disk", "backup",
    ] {
        assert!(looked_at.contains(&of), "{of}: {looked_at:?}");
    }
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn each_trouble_is_told_with_what_to_do() {
    let folder = Folder::new("ill");
    let port = free_port();
    folder.configure(&format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n"));
    let mut tape = folder.tape_until(60, 100);
    tape.write(5, |row: &mut Row| row.power_kw[1] = 0.0);
    folder.write(
        "undecided.csv",
        b"Date;Time;TagIndex;Value\n03/04/2025;08:00:00;2;60\n",
    );
    let mut daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    daemon.wait_for_log("export is not read on");
    assert_eq!(daemon.terminate(), Some(0));
    // As where a share is not mounted: nothing, or an empty mount point.
    fs::rename(folder.exports(), folder.exports().with_file_name("away")).expect("renamed");
    fs::create_dir(folder.exports()).expect("made");
    let (_, text) = folder.verb(&["doctor"]);
    assert!(text.contains("nothing lies there"), "{text}");
    // Nobody can do anything about a file that is no more.
    assert!(!text.contains("day and month"), "{text}");
    fs::remove_dir(folder.exports()).expect("removed");

    let (is_well, findings) = examine(&folder);
    assert!(!is_well);
    let wrong = findings.iter().filter(|it| it["is_fine"] == false);
    let wrong: Vec<(&str, &str)> = wrong
        .map(|it| {
            let remedy = it["remedy"].as_str().expect("what to do");
            assert!(remedy.len() > 10, "{it}");
            (
                it["of"].as_str().expect("a name"),
                it["found"].as_str().expect("a text"),
            )
        })
        .collect();
    for (of, word) in [
        ("daemon", "does not run"),
        ("exports", "No such file"),
        ("exports", "day and month"),
        ("data", "min old"),
        ("broker", "Connection refused (os error 111) (for "),
        ("broker", "refused"),
        ("backup", "there is none"),
    ] {
        let is_told = wrong
            .iter()
            .any(|(name, found)| *name == of && found.contains(word));
        assert!(is_told, "{of}, {word}: {wrong:#?}");
    }
    assert_eq!(wrong.len(), 7, "{wrong:#?}");
    let (_, text) = folder.verb(&["doctor"]);
    assert!(
        text.contains("→ ") && text.contains("need a person"),
        "{text}"
    );
}

/// What `doctor` finds wrong with one thing.
fn wrong_with(folder: &Folder, of: &str) -> Option<String> {
    let (_, findings) = examine(folder);
    let finding = findings
        .iter()
        .find(|it| it["of"] == of && it["is_fine"] == false)?;
    Some(finding["found"].as_str().expect("a text").to_owned())
}

#[test]
fn a_broker_that_lets_nobody_in_is_told_until_it_does() {
    let broker = Mosquitto::start_with(&Setup {
        user: Some(("case", "the right one")),
        ..Setup::default()
    });
    let folder = Folder::new("shut-out");
    let password = folder.config().with_file_name("password");
    fs::write(&password, "").expect("written");
    folder.configure(&format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nusername = \"case\"\npassword_file = {password:?}\nretry_s_max = 1\n\
         sparkplug_group = \"plant\"\n",
        broker.port
    ));
    let tape = folder.tape(5);
    let mut daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    for (secret, word) in [("", "is empty"), ("a wrong one", "does not accept user")] {
        fs::write(&password, secret).expect("written");
        for of in ["broker", "sparkplug"] {
            until(word, || {
                wrong_with(&folder, of).filter(|found| found.contains(word))
            });
        }
        let (_, told) = folder.verb(&["status"]);
        assert_eq!(told.matches(word).count(), 2, "{told}");
    }
    fs::write(&password, "the right one\n").expect("written");
    for of in ["broker", "sparkplug"] {
        until("it is let in", || {
            wrong_with(&folder, of).is_none().then_some(())
        });
    }
    let (_, told) = folder.verb(&["status"]);
    assert!(!told.contains("does not accept"), "{told}");
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn every_file_that_is_missing_or_wrong_is_told_at_once() {
    let folder = Folder::new("files");
    folder.configure(
        "[mqtt]\nurl = \"mqtts://127.0.0.1:1\"\nusername = \"case\"\npassword_file = \"secret\"\nca_file = \"notes.pem\"\n\
         [central]\nurl = \"postgres://owner@127.0.0.1:1/plant\"\npassword_file = \"pg\"\n",
    );
    let beside = |name| folder.config().with_file_name(name);
    fs::write(beside("notes.pem"), "not a certificate\n").expect("written");
    let (is_fine, told) = folder.verb(&["check"]);
    assert!(!is_fine);
    for fault in [
        "that [mqtt] names",
        "the authorities of [mqtt]",
        "holds no certificate",
        "that [central] names",
    ] {
        assert!(told.contains(fault), "{fault}: {told}");
    }
    fs::remove_file(beside("notes.pem")).expect("removed");
    folder.configure("[central]\nurl = \"postgres://owner@127.0.0.1:1/plant\"\n");
    let (is_fine, told) = folder.verb(&["check"]);
    assert!(
        is_fine && told.contains("does not name the site's writer"),
        "{told}"
    );
    for (section, word) in [
        (
            "[central]\nurl = \"postgres://owner@127.0.0.1:1/plant\"\n",
            "writer",
        ),
        ("[notify]\ncommand = [\"./nobody\"]\n", "not executable"),
    ] {
        folder.configure(section);
        let found = wrong_with(&folder, "config").expect("something for a person");
        assert!(found.contains(word), "{found}");
    }
}
