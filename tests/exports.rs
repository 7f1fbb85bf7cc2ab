//! The daemon and what happens to exports: files that leave open what they mean, tag tables that come late, a share that goes away.

mod common;

use std::{fs, path::Path};

use common::{station::Folder, waiting::until};

/// The rows of the store, once there are so many.
fn rows(folder: &Folder, count: u64) {
    until("the rows are there", || {
        let found = folder.try_query("SELECT count(*) FROM readings_wide")?;
        (found == count.to_string()).then_some(())
    });
}

fn corpus(file: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(file);
    fs::read(path).expect("a case")
}

#[test]
fn a_file_that_waits_for_the_config_is_read_once_that_tells() {
    let folder = Folder::new("held");
    folder.configure("");
    folder.write(
        "day.csv",
        &corpus("dates_with_slashes_undecided/export.csv"),
    );
    let mut daemon = folder.run();
    daemon.wait_for_log("export is not read on");
    let (_, status) = folder.verb(&["status"]);
    assert!(
        status.contains("day and month cannot be told apart"),
        "{status}"
    );
    let text = fs::read_to_string(folder.config()).expect("the config");
    let told = text.replace("[historian]\n", "[historian]\ndate_order = \"day_first\"\n");
    fs::write(folder.config(), told).expect("written");
    daemon.hang_up();
    rows(&folder, 2);
    until("the reject is gone", || {
        (folder.try_query("SELECT count(*) FROM ingest_rejects")? == "0").then_some(())
    });
    let (_, status) = folder.verb(&["status"]);
    assert!(!status.contains("cannot be told apart"), "{status}");
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_tag_table_that_comes_late_is_waited_for() {
    let folder = Folder::new("table");
    folder.configure("");
    let text = fs::read_to_string(folder.config()).expect("the config");
    let without_tags = text.split("[historian.tags]").next().expect("the rest");
    fs::write(folder.config(), without_tags).expect("written");
    let set = "2025 11 03 0000 Level ";
    folder.write(
        &format!("{set}(Float).DAT"),
        &corpus(&format!("dat_set/{set}(Float).DAT")),
    );
    let mut daemon = folder.run();
    daemon.wait_for_log("its tag table");
    folder.write(
        &format!("{set}(Tagname).DAT"),
        &corpus(&format!("dat_set/{set}(Tagname).DAT")),
    );
    daemon.wait_for_log("can be read again");
    daemon.wait_for_log("format=\"FactoryTalk table\"");
    rows(&folder, 3);
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_share_that_goes_away_and_comes_back_is_told_and_read_on() {
    let folder = Folder::new("share");
    folder.configure("");
    let line = |minute: u8| format!("2025-11-03 08:{minute:02}:00,S,2,60\n");
    folder.write(
        "day.csv",
        format!("Timestamp,Marker,TagIndex,Value\n{}", line(0)).as_bytes(),
    );
    let mut daemon = folder.run();
    rows(&folder, 1);
    let away = folder.exports().with_file_name("away");
    fs::rename(folder.exports(), &away).expect("renamed");
    daemon.wait_for_log("cannot be read; it is tried again");
    fs::rename(&away, folder.exports()).expect("renamed");
    daemon.wait_for_log("can be read again");
    folder.append("day.csv", line(1).as_bytes());
    rows(&folder, 2);
    assert_eq!(daemon.terminate(), Some(0));
}
