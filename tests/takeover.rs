//! The PLC feeds the station while the exports stay away, and what they bring later goes before what was polled.

mod common;

use std::fs;

use common::{binary, plc::simulated_plc, station::Daemon, waiting::until};
use pumphouse::calendar::utc_text;
use rusqlite::Connection;

/// A minute before now in an export, with the level as given and what else stands still.
fn export(minutes_ago: i64, level: f64) -> (i64, String) {
    let now = jiff::Timestamp::now().as_second();
    let ts = (now / 60 - minutes_ago) * 60;
    let at = utc_text(ts / 60);
    (ts, format!("{at},S,1,300\n{at},S,2,{level}\n"))
}

#[test]
fn the_plc_takes_over_and_the_exports_go_before_it_when_they_are_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_plc, section) = simulated_plc();
    let section = section.replacen("unit = 1\n", "unit = 1\npoll_interval_s = 2\n", 1);
    let config = folder.path().join("pumphouse.toml");
    let text = pumphouse::cli::simulated_config();
    let text = text.replace("listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:0\"");
    fs::write(&config, format!("{text}\n{section}")).expect("written");
    let exports = folder.path().join("exports");
    fs::create_dir(&exports).expect("a folder");
    let (old_ts, old) = export(60, 240.0);
    fs::write(
        exports.join("a.csv"),
        format!("Timestamp,Marker,TagIndex,Value\n{old}"),
    )
    .expect("written");
    binary::ingest(folder.path(), std::slice::from_ref(&exports));
    let _daemon = Daemon::start(&config, &folder.path().join("log"), &[]);
    let row = |ts: i64| {
        let store = Connection::open(folder.path().join("pumphouse.db")).ok()?;
        let sql = "SELECT source, marker, hlt101_output, p1_onoff FROM readings_wide WHERE ts = ?";
        let row = store.query_row(sql, [ts], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, f64>(2)?,
                row.get::<_, Option<i64>>(3)?,
            ))
        });
        row.ok()
    };
    let polled_ts = until("the PLC takes over", || {
        let (now, _) = export(0, 0.0);
        [now, now - 60].into_iter().find(|&ts| row(ts).is_some())
    });
    let (source, marker, level, command) = row(polled_ts).expect("a row");
    assert_eq!((source.as_str(), marker.as_str()), ("modbus", "M"));
    assert!(level > 0.0 && command.is_some());
    assert_eq!(row(old_ts).expect("the old row").0, "historian");
    let status = binary::run(folder.path(), &["status", "--config", "pumphouse.toml"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("polled from the PLC"), "{status}");

    // The same minute from the historian: its values stand, and what it does not have stays as polled.
    let minutes_ago = (export(0, 0.0).0 - polled_ts) / 60;
    let (ts, late) = export(minutes_ago, 111.0);
    assert_eq!(ts, polled_ts);
    fs::write(
        exports.join("b.csv"),
        format!("Timestamp,Marker,TagIndex,Value\n{late}"),
    )
    .expect("written");
    until("the export goes before it", || {
        row(polled_ts).filter(|row| row.0 == "both" && row.2 == 111.0 && row.3.is_some())
    });
    let store = Connection::open(folder.path().join("pumphouse.db")).expect("a store");
    let duplicates: i64 = store
        .query_row(
            "SELECT count(*) FROM alerts_log WHERE rule = 'F-07'",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    assert_eq!(duplicates, 0, "two sources of one minute are no duplicate");
}
