//! The central office: real PostgreSQL servers, killed, cut off, restored, changed, and what arrives there.

mod common;

use std::{fs, time::Duration};

use common::{
    postgres::Postgres,
    proxy::{Mode, Proxy},
    station::{Daemon, Folder},
    waiting::until,
};

/// The database.
const DATABASE: &str = "plant";
/// The site of [`Folder::configure`].
const SITE: &str = "case";

/// Sets up schema and writers, as docs/delivery.md says.
fn init(server: &Postgres, folder: &Folder, sites: &[&str]) {
    for site in sites {
        let secret = folder.store().with_file_name(format!("{site}-password"));
        fs::write(&secret, format!("secret of {site}\n")).expect("written");
        let home = secret.parent().expect("a folder");
        server.admit(DATABASE, site, home, &format!("{site}-password"));
    }
}

fn central(port: u16) -> String {
    format!(
        "[central]\nurl = \"postgres://{SITE}@127.0.0.1:{port}/{DATABASE}\"\npassword_file = \"{SITE}-password\"\n"
    )
}

/// A server with the schema, and a station that sends to it.
fn office(name: &str) -> (Postgres, Folder) {
    let server = Postgres::start();
    server.create_database(DATABASE);
    let folder = Folder::new(name);
    init(&server, &folder, &[SITE]);
    folder.configure(&central(server.port()));
    (server, folder)
}

/// Waits until `verify` finds both ends the same.
fn wait_until_same(folder: &Folder, daemon: &Daemon) {
    let text = std::cell::RefCell::new(String::new());
    let same = common::waiting::within(common::waiting::DEADLINE, || {
        let (same, said) = folder.verb(&["verify"]);
        *text.borrow_mut() = said;
        same.then_some(())
    });
    assert!(same.is_some(), "{}\n{}", text.borrow(), daemon.log());
}

#[test]
fn every_table_arrives_as_it_stands_and_late_rows_change_it_there_too() {
    let (server, folder) = office("arrives");
    folder.simulate(4);
    // A day that comes late makes alerts and sessions vanish and others appear.
    let files = folder.files();
    let late = folder.store().with_file_name("late.csv");
    fs::rename(&files[1], &late).expect("moved");
    let daemon = folder.run();
    folder.wait_until_read();
    wait_until_same(&folder, &daemon);
    for table in [
        "readings_wide",
        "pump_sessions",
        "alerts_log",
        "alert_journal",
        "pump_health",
    ] {
        let here = folder.query(&format!("SELECT count(*) FROM {table}"));
        let there = server.sql(DATABASE, &format!("SELECT count(*) FROM pumphouse.{table}"));
        assert_eq!(here, there, "{table}");
        assert_ne!(here, "0", "{table}");
    }
    let gaps = "SELECT count(*) FROM pumphouse.alerts_log WHERE rule = 'F-02'";
    let before = server.sql(DATABASE, gaps);
    fs::rename(&late, &files[1]).expect("moved");
    folder.wait_until_read();
    wait_until_same(&folder, &daemon);
    assert_ne!(
        server.sql(DATABASE, gaps),
        before,
        "a gap that was filled has gone there, too"
    );
    let (_, status) = folder.verb(&["status"]);
    assert!(status.contains("central  up to date"), "{status}");
    // The day's alarms are the same figures on both ends.
    let (_, report) = folder.verb(&["alarms", "--days", "5", "--json"]);
    let days: Vec<serde_json::Value> = serde_json::from_str(&report).expect("a report");
    let office: Vec<String> = days
        .iter()
        .filter(|day| day["raised"] != 0)
        .map(|day| {
            format!(
                "{}|{}|{}|{}",
                day["date"].as_str().expect("a date"),
                day["raised"],
                day["raised_by_severity"]["CRITICAL"],
                day["raised_peak_10_min"]
            )
        })
        .collect();
    assert!(!office.is_empty(), "{report}");
    let view = "SELECT date, raised, raised_critical, raised_peak_10_min FROM pumphouse.alarm_kpi_daily ORDER BY date";
    assert_eq!(server.sql(DATABASE, view), office.join("\n"));
}

#[test]
fn a_site_sees_and_writes_its_own_rows_only_and_readers_write_nothing() {
    let (server, folder) = office("roles");
    init(&server, &folder, &["other"]);
    let reader = folder.store().with_file_name("reader-password");
    fs::write(&reader, "secret of reader").expect("written");
    let url = server.superuser_url(DATABASE);
    let output = common::binary::run(
        folder.store().parent().expect("a folder"),
        &[
            "central",
            "init",
            "--json",
            "--url",
            &url,
            "--reader",
            "office",
            "--reader-password-file",
            "reader-password",
        ],
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["applied"], 0, "running it again does nothing twice");
    let mut tape = folder.tape(30);
    tape.write(5, |row| row.power_kw[1] = 0.0);
    let daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    wait_until_same(&folder, &daemon);
    let other = server.url("other", "secret of other", DATABASE);
    let seen = common::postgres::psql(&other, "SELECT count(*) FROM pumphouse.readings_wide");
    assert_eq!(seen.as_deref(), Ok("0"));
    let forged = common::postgres::psql(
        &other,
        "INSERT INTO pumphouse.edge_sync (site_id, epoch, last_rev, nonce, version) VALUES ('case', 'x', 1, 1, 'x')",
    );
    assert!(forged.is_err_and(|error| error.contains("row-level security")));
    let deleted = common::postgres::psql(&other, "DELETE FROM pumphouse.readings_wide RETURNING 1");
    assert_eq!(deleted.as_deref(), Ok(""));
    let office = server.url("office", "secret of reader", DATABASE);
    for view in [
        "readings_wide",
        "readings_wide_plc",
        "kpi_daily",
        "alarm_kpi_daily",
    ] {
        let seen = common::postgres::psql(
            &office,
            &format!("SELECT count(*) > 0 FROM pumphouse.{view}"),
        );
        assert_eq!(seen.as_deref(), Ok("t"), "{view}");
    }
    let written = common::postgres::psql(&office, "DELETE FROM pumphouse.readings_wide");
    assert!(written.is_err_and(|error| error.contains("permission denied")));
}

#[test]
fn a_server_that_is_killed_and_cut_off_gets_everything_once() {
    let (mut server, folder) = office("killed");
    let proxy = Proxy::before(server.port(), 7);
    let more = central(proxy.port()) + "batch_rows_max = 200\n";
    folder.configure(&more);
    folder.simulate(3);
    let mut daemon = folder.run();
    for round in 0..3 {
        until("some rows", || {
            let rows = server
                .try_sql(DATABASE, "SELECT count(*) FROM pumphouse.readings_wide")
                .ok()?;
            (rows.parse::<u64>().ok()? > round * 300).then_some(())
        });
        proxy.cut_all();
        server.kill();
        server.restart();
        daemon.kill();
        daemon = folder.run();
    }
    folder.wait_until_read();
    wait_until_same(&folder, &daemon);
    proxy.set(Mode::Pass);
}

#[test]
fn a_server_restored_from_a_backup_gets_again_what_it_lacks_and_an_empty_one_everything() {
    let (mut server, folder) = office("restored");
    let mut tape = folder.tape(60);
    let daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    wait_until_same(&folder, &daemon);
    let backup = server.backup();
    tape.write(5, |row| row.power_kw[1] = 0.0);
    tape.write(30, |_| {});
    folder.wait_for_rows(tape.rows());
    wait_until_same(&folder, &daemon);
    server.restore(&backup);
    wait_until_same(&folder, &daemon);
    daemon.wait_for_log("restored from a backup");

    server.sql(
        DATABASE,
        "TRUNCATE pumphouse.readings_wide, pumphouse.alerts_log, pumphouse.edge_sync",
    );
    server.kill();
    server.restart();
    wait_until_same(&folder, &daemon);
    daemon.wait_for_log("has nothing of this site");
}

#[test]
fn a_box_restored_from_a_backup_brings_the_office_to_what_it_has() {
    let (server, folder) = office("older");
    let mut tape = folder.tape(60);
    tape.write(8, |row| row.level = -5.0);
    tape.write(2, |_| {});
    let mut daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    wait_until_same(&folder, &daemon);
    daemon.terminate();
    let (store, copy) = (folder.store(), folder.store().with_extension("copy"));
    fs::copy(&store, &copy).expect("a backup");
    let mut daemon = folder.run();
    // An alert that the older store does not know, and that comes otherwise when its exports are read again.
    tape.write(5, |row| row.power_kw[1] = 0.0);
    tape.write(20, |_| {});
    folder.wait_for_rows(tape.rows());
    wait_until_same(&folder, &daemon);
    let tripped = "SELECT count(*) FROM pumphouse.alerts_log WHERE rule = 'B-01'";
    assert_eq!(server.sql(DATABASE, tripped), "1");
    daemon.terminate();
    fs::copy(&copy, &store).expect("restored");
    let newest = "SELECT max(ts) FROM readings_wide";
    let before = folder.query(newest);
    fs::write(folder.exports().join("day.csv"), "").expect("emptied");
    let mut tape = folder.tape(90);
    tape.write(20, |_| {});
    let daemon = folder.run();
    until("the exports are read again", || {
        (folder.query(newest) > before).then_some(())
    });
    daemon.wait_for_log("this store is older");
    assert_eq!(server.sql(DATABASE, tripped), "1", "nothing goes unasked");
    let (_, status) = folder.verb(&["status"]);
    assert!(status.contains("resync --take-over"), "{status}");
    let (done, said) = folder.verb(&["resync", "--take-over"]);
    assert!(done, "{said}");
    wait_until_same(&folder, &daemon);
    assert_eq!(server.sql(DATABASE, tripped), "0", "{}", daemon.log());
}

#[test]
fn over_a_slow_line_the_office_sees_the_present_while_the_backlog_drains() {
    let (server, folder) = office("slow");
    let proxy = Proxy::before(server.port(), 7);
    proxy.set(Mode::Cut);
    folder.configure(&(central(proxy.port()) + "batch_rows_max = 2000\nretry_s_max = 1\n"));
    folder.simulate(20);
    let daemon = folder.run();
    folder.wait_until_read();
    proxy.set(Mode::Bandwidth(400_000));
    let newest = folder.query("SELECT max(ts) FROM readings_wide");
    let there = "SELECT count(*), coalesce(extract(epoch FROM max(ts))::bigint, 0) FROM pumphouse.readings_wide";
    let rows = until("the newest row is there", || {
        let (rows, ts) = server
            .sql(DATABASE, there)
            .split_once('|')
            .map(|(rows, ts)| (rows.to_owned(), ts.to_owned()))?;
        (ts == newest).then_some(rows)
    });
    let rows: u64 = rows.parse().expect("a number");
    assert!(
        rows < 20 * 1440 / 2,
        "with {rows} rows the backlog was drained already"
    );
    proxy.set(Mode::Pass);
    wait_until_same(&folder, &daemon);
}

#[test]
fn another_store_with_the_sites_id_is_refused_until_it_takes_over() {
    let (server, folder) = office("twin");
    let tape = folder.tape(60);
    let mut daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    wait_until_same(&folder, &daemon);
    daemon.terminate();
    for suffix in ["", "-wal", "-shm"] {
        // The last connection takes the others away.
        let _ = fs::remove_file(format!("{}{suffix}", folder.store().display()));
    }
    let daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    daemon.wait_for_log("two boxes with one site id");
    until("the status says what to do", || {
        let (_, status) = folder.verb(&["status"]);
        status.contains("resync --take-over").then_some(())
    });
    let mark = "SELECT epoch FROM pumphouse.edge_sync";
    let first = server.sql(DATABASE, mark);
    let (done, said) = folder.verb(&["resync", "--take-over"]);
    assert!(done, "{said}");
    until("the new store has the site", || {
        let now = server.sql(DATABASE, mark);
        (!now.is_empty() && now != first).then_some(())
    });
    wait_until_same(&folder, &daemon);
}

#[test]
fn rows_that_the_server_refuses_are_kept_with_its_reason_and_the_rest_goes_on() {
    let (server, folder) = office("refused");
    server.sql(
        DATABASE,
        "ALTER TABLE pumphouse.readings_wide ADD CONSTRAINT plausible CHECK (p1_kwh < 1000)",
    );
    let mut tape = folder.tape(60);
    tape.write(1, |row| row.power_kw[0] = 5000.0);
    tape.write(60, |_| {});
    tape.write(1, |row| row.power_kw[0] = 6000.0);
    tape.write(5, |_| {});
    let daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    until("all others", || {
        (server.sql(DATABASE, "SELECT count(*) FROM pumphouse.readings_wide")
            == (tape.rows() - 2).to_string())
        .then_some(())
    });
    daemon.wait_for_log("refuses rows");
    assert_eq!(
        folder.query("SELECT count(*), min(reason LIKE '%plausible%'), min(row LIKE '%\"p1_kwh\"%') FROM central_refused"),
        "2|1|1"
    );
    let (same, said) = folder.verb(&["verify"]);
    assert!(!same && said.contains("plausible"), "{said}");
    // The office mends its constraint and the range goes again.
    server.sql(
        DATABASE,
        "ALTER TABLE pumphouse.readings_wide DROP CONSTRAINT plausible",
    );
    let (done, said) = folder.verb(&["resync"]);
    assert!(done, "{said}");
    let (same, said) = folder.verb(&["verify"]);
    assert!(same, "{said}");
}

#[test]
fn many_rows_that_the_server_refuses_hold_up_nothing_over_a_long_line_either() {
    let (server, folder) = office("many");
    let proxy = Proxy::before(server.port(), 7);
    proxy.set(Mode::Delay(Duration::from_millis(20)));
    folder.configure(&central(proxy.port()));
    server.sql(
        DATABASE,
        "ALTER TABLE pumphouse.readings_wide ADD CONSTRAINT plausible CHECK (extract(epoch FROM ts)::bigint / 60 % 100 <> 0); \
         ALTER TABLE pumphouse.ingest_rejects ADD CONSTRAINT plausible CHECK (raw <> 'nonsense')",
    );
    // One batch, with some hundreds of them.
    folder.simulate(34);
    folder.append("2025-03-01.csv", b"nonsense\n");
    let _daemon = folder.run();
    folder.wait_until_read();
    let accepted = folder.query("SELECT count(*) FROM readings_wide WHERE ts / 60 % 100 <> 0");
    let there = || server.sql(DATABASE, "SELECT count(*) FROM pumphouse.readings_wide");
    until("all others", || (there() == accepted).then_some(()));
    for (table, is_refused) in [
        ("readings_wide", "ts / 60 % 100 = 0"),
        ("ingest_rejects", "raw = 'nonsense'"),
    ] {
        let due = folder.query(&format!("SELECT count(*) FROM {table} WHERE {is_refused}"));
        let kept = folder.query(&format!(
            "SELECT count(*) FROM central_refused WHERE tbl = '{table}' AND reason LIKE '%plausible% (23514)'"
        ));
        assert_eq!(kept, due, "{table}");
        assert_ne!(due, "0", "{table}");
    }
}

#[test]
fn a_schema_that_does_not_fit_is_refused_clearly_and_nothing_is_lost() {
    let (server, folder) = office("schema");
    server.sql(
        DATABASE,
        "ALTER TABLE pumphouse.readings_wide DROP COLUMN hlt_pct CASCADE",
    );
    let tape = folder.tape(60);
    let daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    daemon.wait_for_log("readings_wide.hlt_pct is missing");
    server.sql(
        DATABASE,
        "ALTER TABLE pumphouse.readings_wide ADD COLUMN hlt_pct double precision",
    );
    wait_until_same(&folder, &daemon);
    // Ahead of us: what may stay empty does no harm, what must be given does.
    server.sql(
        DATABASE,
        "ALTER TABLE pumphouse.alerts_log ADD COLUMN seen_by text",
    );
    wait_until_same(&folder, &daemon);
    server.sql(
        DATABASE,
        "ALTER TABLE pumphouse.pump_health ADD COLUMN grade text NOT NULL DEFAULT 'x'; \
                          ALTER TABLE pumphouse.pump_health ALTER COLUMN grade DROP DEFAULT",
    );
    let (same, said) = folder.verb(&["verify"]);
    assert!(
        !same && said.contains("pump_health.grade must be given"),
        "{said}"
    );
}
