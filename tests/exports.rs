//! The daemon and what happens to exports: files that leave open what they mean, tag tables that come late, a share that goes away.

mod common;

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::Command,
};

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
    // It is told before it is kept.
    until("status tells why", || {
        let (_, status) = folder.verb(&["status"]);
        status
            .contains("day and month cannot be told apart")
            .then_some(())
    });
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

fn record(minute: u32) -> String {
    format!(
        "2025-11-{:02} {:02}:{:02}:00,S,2,60\n",
        1 + minute / 1440,
        minute / 60 % 24,
        minute % 60
    )
}

#[test]
fn what_may_not_be_read_is_told_once_and_read_when_it_may() {
    let folder = Folder::new("forbidden");
    folder.configure("");
    let permit = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("permissions");
    };
    folder.write("open.csv", record(0).as_bytes());
    folder.write("shut.csv", record(1).as_bytes());
    permit(&folder.exports().join("shut.csv"), 0);
    let mut daemon = folder.run_bound_by_permissions();
    rows(&folder, 1);
    daemon.wait_for_log("Permission denied");
    // Ten more scans, each of which finds the file shut.
    for minute in 2..12 {
        folder.append("open.csv", record(minute).as_bytes());
        rows(&folder, u64::from(minute));
    }
    assert_eq!(daemon.log().matches("Permission denied").count(), 1);
    permit(&folder.exports().join("shut.csv"), 0o600);
    daemon.wait_for_log("can be read again");
    rows(&folder, 12);

    permit(&folder.exports(), 0);
    until("the folder is told", || {
        (daemon.log().matches("Permission denied").count() == 2).then_some(())
    });
    permit(&folder.exports(), 0o700);
    folder.append("shut.csv", record(12).as_bytes());
    rows(&folder, 13);
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn thousands_of_old_files_are_read_once_whatever_they_are_called_later() {
    const FILES: u32 = 3000;
    let folder = Folder::new("thousands");
    folder.configure("");
    for minute in 0..FILES {
        let path = folder.exports().join(format!("{minute}.csv"));
        fs::write(path, record(minute)).expect("written");
    }
    let mut daemon = folder.run();
    rows(&folder, u64::from(FILES));
    assert_eq!(daemon.terminate(), Some(0));
    for minute in 0..FILES / 2 {
        let path = folder.exports().join(format!("{minute}.csv"));
        fs::rename(&path, path.with_file_name(format!("old {minute}.csv"))).expect("renamed");
    }
    let mut daemon = folder.run();
    folder.append("7.csv", record(FILES).as_bytes());
    folder.append(&format!("{}.csv", FILES - 1), record(FILES + 1).as_bytes());
    rows(&folder, u64::from(FILES) + 2);
    until("the renamed ones are known again", || {
        let found = folder.try_query("SELECT count(*), sum(kept) FROM ingest_files")?;
        (found == format!("{}|{}", FILES + 1, FILES + 2)).then_some(())
    });
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_line_of_4_gb_is_rejected_in_little_memory() {
    const HOLE_BYTES: u64 = 4 << 30;
    const MEMORY_BYTES_MAX: u64 = 1 << 30;
    let folder = Folder::new("line");
    folder.configure("");
    let path = folder.exports().join("day.csv");
    let mut file = fs::File::create(&path).expect("a file");
    file.write_all(format!("{}the line", record(0)).as_bytes())
        .expect("written");
    file.seek(SeekFrom::Current(HOLE_BYTES as i64))
        .expect("a hole");
    file.write_all(format!("\n{}", record(1)).as_bytes())
        .expect("written");
    let output = Command::new("prlimit")
        .arg(format!("--as={MEMORY_BYTES_MAX}"))
        .args([
            env!("CARGO_BIN_EXE_pumphouse"),
            "ingest",
            "--json",
            "--config",
        ])
        .args([folder.config(), path])
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    assert_eq!(report["rows_new"], 2, "{report}");
    assert_eq!(report["records_rejected"], 1, "{report}");
}
