//! `doctor`: a station in order, and one where everything that it can see is wrong.

mod common;

use std::fs;

use common::{
    ports::free_port,
    station::{Folder, Row},
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
    for of in ["config", "exports", "store", "data", "disk", "backup"] {
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
        ("exports", "No such file"),
        ("exports", "day and month"),
        ("data", "min old"),
        ("broker", "messages have been waiting"),
        ("broker", "refused"),
        ("backup", "there is none"),
    ] {
        let is_told = wrong
            .iter()
            .any(|(name, found)| *name == of && found.contains(word));
        assert!(is_told, "{of}, {word}: {wrong:#?}");
    }
    assert_eq!(wrong.len(), 6, "{wrong:#?}");
    let (_, text) = folder.verb(&["doctor"]);
    assert!(
        text.contains("→ ") && text.contains("need a person"),
        "{text}"
    );
}
