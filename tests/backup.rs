//! Backups of the store, and what happens when it is damaged.

mod common;

use std::{
    fs::{self, OpenOptions},
    os::unix::fs::{FileExt, MetadataExt, symlink},
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use common::{
    disk::Disk,
    http::Client,
    mounting::not_tried,
    ports::free_port,
    station::{Folder, tables},
    waiting::until,
};
use rusqlite::Connection;
use serde_json::json;

/// Bytes in a page of a store.
const PAGE_BYTES: u64 = 2048;

/// A folder of two simulated days, of which a backup was made after the first while the daemon ran.
fn station(name: &str) -> (Folder, PathBuf) {
    let folder = Folder::new(name);
    folder.configure("");
    folder.simulate(2);
    let days = exports(&folder);
    let later = folder.exports().with_file_name("later");
    fs::rename(&days[1], &later).expect("renamed");
    let mut daemon = folder.run();
    folder.wait_until_read();
    let (made, report) = folder.verb(&["backup", "--json"]);
    assert!(made, "{report}");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(
        report["backup"]["rows"].to_string(),
        folder.query("SELECT count(*) FROM readings_wide")
    );
    fs::rename(later, &days[1]).expect("renamed");
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    let backup = report["backup"]["path"].as_str().expect("a path").into();
    (folder, backup)
}

fn exports(folder: &Folder) -> Vec<PathBuf> {
    let mut files = folder.files();
    files.retain(|path| path.extension().is_some_and(|it| it == "csv"));
    assert_eq!(files.len(), 2);
    files
}

/// Moves a station's store and its backups to a disk of so many bytes; `None`, loudly, where none can be mounted.
fn move_to_disk(what: &str, folder: &Folder, bytes: u64) -> Option<(Disk, PathBuf)> {
    let (disk, mounted) = Disk::new(bytes);
    if !mounted {
        not_tried(what, "no tmpfs can be mounted without root");
        return None;
    }
    let store = disk.path().join("out.db");
    bring_together(&folder.store());
    fs::copy(folder.store(), &store).expect("copied");
    fs::create_dir(disk.path().join("backups")).expect("made");
    for backup in fs::read_dir(folder.store().with_file_name("backups")).expect("backups") {
        let backup = backup.expect("a file").path();
        let name = backup.file_name().expect("a name");
        fs::copy(&backup, disk.path().join("backups").join(name)).expect("copied");
    }
    let config = fs::read_to_string(folder.config()).expect("the config");
    let moved = format!("path = {store:?}\nreserve_mb = 4");
    fs::write(folder.config(), config.replace("path = \"out.db\"", &moved)).expect("written");
    Some((disk, store))
}

/// Brings all of a store into its file.
fn bring_together(path: &Path) {
    let store = Connection::open(path).expect("a store");
    store
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("in one file");
}

/// Writes over the beginnings of pages in the middle of a store, all of which is in its file.
fn damage(path: &PathBuf) {
    bring_together(path);
    let file = OpenOptions::new().write(true).open(path).expect("a file");
    let bytes = file.metadata().expect("its size").len();
    for page in bytes / 4 / PAGE_BYTES..bytes / 2 / PAGE_BYTES {
        file.write_all_at(&[0xA5; 1024], page * PAGE_BYTES)
            .expect("written");
    }
}

fn set_aside(folder: &Folder, why: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.store().parent().expect("a folder")).expect("it");
    let names = entries.map(|entry| entry.expect("a file").path());
    names
        .filter(|path| {
            let name = path.to_string_lossy();
            name.contains(why) && !name.ends_with("-wal") && !name.ends_with("-shm")
        })
        .collect()
}

#[test]
fn a_damaged_store_is_replaced_by_the_backup_and_the_exports() {
    let (folder, _) = station("mended");
    let whole = tables(&folder.store());
    damage(&folder.store());
    let mut daemon = folder.run();
    daemon.wait_for_log("the newest good backup is in its place");
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(tables(&folder.store()), whole);
    assert_eq!(set_aside(&folder, ".damaged-").len(), 1);
}

#[test]
fn a_store_that_is_gone_or_empty_is_not_taken_for_a_new_one() {
    let (folder, _) = station("gone");
    let whole = tables(&folder.store());
    let empty = |path: &PathBuf| fs::write(path, "").expect("emptied");
    let remove = |path: &PathBuf| fs::remove_file(path).expect("removed");
    for (spoil, cause) in [
        (&remove as &dyn Fn(&PathBuf), "it is gone"),
        (&empty, "it is empty"),
    ] {
        spoil(&folder.store());
        let exports = folder.exports().display().to_string();
        let (is_read, told) = folder.verb(&["ingest", &exports]);
        assert!(
            !is_read && told.contains(cause) && told.contains("pumphouse restore"),
            "{told}"
        );
        let mut daemon = folder.run();
        daemon.wait_for_log("the newest good backup is in its place");
        folder.wait_until_read();
        assert_eq!(daemon.terminate(), Some(0));
        assert!(daemon.log().contains(cause), "{}", daemon.log());
        assert_eq!(tables(&folder.store()), whole, "{cause}");
    }
}

#[test]
fn a_store_on_a_disk_that_is_not_mounted_is_waited_for() {
    let (folder, _) = station("link");
    bring_together(&folder.store());
    let elsewhere = folder.store().with_file_name("elsewhere.db");
    fs::rename(folder.store(), &elsewhere).expect("moved");
    symlink(&elsewhere, folder.store()).expect("linked");
    let away = folder.store().with_file_name("away.db");
    fs::rename(&elsewhere, &away).expect("away");
    let mut daemon = folder.run();
    assert_eq!(daemon.wait(), Some(1));
    assert!(
        daemon.log().contains("is its disk mounted?"),
        "{}",
        daemon.log()
    );
    fs::rename(&away, &elsewhere).expect("back");
    let mut daemon = folder.run();
    daemon.wait_for_log("learnt what the pumps do");
    assert_eq!(daemon.terminate(), Some(0));
    assert!(folder.store().is_symlink(), "{}", daemon.log());
    assert_eq!(set_aside(&folder, ".damaged-").len(), 0);
}

#[test]
fn a_disk_without_room_for_a_copy_gives_up_the_reserve_and_then_takes_the_backup_itself() {
    let what = "mending a store on a full disk";
    let (folder, backup) = station("no-room");
    let Some((disk, store)) = move_to_disk(what, &folder, 64 << 20) else {
        return;
    };
    let whole = tables(&store);
    let name = backup.file_name().expect("a name");
    let backup = disk.path().join("backups").join(name);
    let bytes = backup.metadata().expect("it").len();
    // The reserve is for this, too; without it, there is no other room.
    for (reserve, told) in [
        (4 << 20, "the reserve is given up"),
        (0, "the backup itself becomes the store"),
    ] {
        damage(&store);
        fs::write(disk.path().join("out.db.reserve"), vec![1; reserve]).expect("written");
        disk.fill_up_to(bytes / 2);
        let mut daemon = folder.run();
        daemon.wait_for_log(told);
        daemon.wait_for_log("the newest good backup is in its place");
        assert_eq!(backup.exists(), reserve > 0);
        assert!(!disk.path().join("out.db.part").exists());
        disk.free();
        daemon.wait_for_log("what the damaged store had of the exports is there again");
        assert_eq!(daemon.terminate(), Some(0));
        assert_eq!(tables(&store), whole);
    }
}

#[test]
fn a_backup_that_was_on_its_way_when_the_power_went_is_found() {
    let (folder, backup) = station("on-its-way");
    let whole = tables(&folder.store());
    damage(&folder.store());
    let part = folder.store().with_file_name("out.db.part");
    fs::rename(&backup, &part).expect("moved");
    let mut daemon = folder.run();
    daemon.wait_for_log("the newest good backup is in its place");
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(tables(&folder.store()), whole);
    // Beside a sound store, a whole one is a backup, and half a copy is of no use.
    let [aside] = set_aside(&folder, ".damaged-").try_into().expect("one");
    fs::remove_file(aside).expect("removed");
    let elsewhere = folder.store().with_file_name("elsewhere");
    let (made, told) = folder.verb(&["backup", "--to", elsewhere.to_str().expect("plain")]);
    assert!(made, "{told}");
    let made: Vec<_> = fs::read_dir(elsewhere).expect("made").collect();
    fs::rename(made[0].as_ref().expect("a file").path(), &part).expect("moved");
    let mut daemon = folder.run();
    until("it goes", || (!part.exists()).then_some(()));
    assert_eq!(daemon.terminate(), Some(0));
    let backups = fs::read_dir(backup.parent().expect("a folder")).expect("it");
    assert_eq!(backups.count(), 1);
    fs::write(&part, "half a copy").expect("written");
    let mut daemon = folder.run();
    until("it goes", || (!part.exists()).then_some(()));
    assert_eq!(daemon.terminate(), Some(0));
    // Where a disk without links left nothing but it, it is the store.
    bring_together(&folder.store());
    fs::rename(folder.store(), &part).expect("moved");
    let mut daemon = folder.run();
    daemon.wait_for_log("the replacement of a store that was interrupted is finished");
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(tables(&folder.store()), whole);
}

#[test]
fn minutes_that_no_export_gives_again_are_told() {
    let (folder, _) = station("owed");
    let rows = "SELECT count(*) FROM readings_wide";
    let whole: i64 = folder.query(rows).parse().expect("a number");
    // The second day's file was taken away since, but for a part.
    let day = exports(&folder).remove(1);
    let text = fs::read_to_string(&day).expect("a day");
    damage(&folder.store());
    fs::write(
        &day,
        &text[..=text[..text.len() / 2].rfind('\n').expect("lines")],
    )
    .expect("written");
    let mut daemon = folder.run();
    daemon.wait_for_log("are in no watched export");
    let lost = whole - folder.query(rows).parse::<i64>().expect("a number");
    let log = daemon.log();
    assert!(
        lost > 300 && log.contains(&format!("minutes={lost} ")),
        "{lost}: {log}"
    );
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_store_that_is_damaged_at_work_ends_the_daemon_and_is_mended_by_the_next_start() {
    let (folder, backup) = station("at-work");
    let begin_anew = || {
        fs::remove_file(folder.store()).expect("removed");
        fs::remove_dir_all(backup.parent().expect("a folder")).expect("removed");
    };
    // Some minutes of the first day are not there yet, and the store begins anew.
    let [first, second] = exports(&folder).try_into().expect("two days");
    let text = fs::read_to_string(&first).expect("a day");
    let is_late = |line: &&str| line.contains(" 18:1");
    let late: String = text
        .lines()
        .filter(is_late)
        .map(|line| format!("{line}\n"))
        .collect();
    let rest: String = text
        .lines()
        .filter(|line| !is_late(line))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&first, rest).expect("written");
    begin_anew();
    let mut daemon = folder.run();
    folder.wait_until_read();
    assert!(folder.verb(&["backup"]).0);
    assert_eq!(daemon.terminate(), Some(0));

    // When it has read the second day once more, it has the store; of the first it has not looked at anything.
    let mut daemon = folder.run();
    fs::copy(second, folder.exports().join("again.csv")).expect("copied");
    folder.wait_until_read();
    damage(&folder.store());
    folder.write("late.csv", late.as_bytes());
    assert_eq!(daemon.wait(), Some(1), "{}", daemon.log());
    let log = daemon.log();
    assert!(
        log.contains("the store is damaged; the next start mends it"),
        "{log}"
    );

    let mut daemon = folder.run();
    daemon.wait_for_log("the newest good backup is in its place");
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    let mended = tables(&folder.store());

    // The same files without all that.
    begin_anew();
    let mut daemon = folder.run();
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(mended, tables(&folder.store()));
}

#[test]
fn a_page_that_meets_the_damage_ends_the_daemon_and_what_was_lost_is_listed() {
    let (folder, _) = station("listed");
    let port = free_port();
    folder.configure(&format!("[web]\nlisten = \"127.0.0.1:{port}\"\n"));
    let mut daemon = folder.run();
    let mut client = Client::new(port).wait();
    client.take_token();
    let open = "/api/v1/alerts?state=unacknowledged";
    let alert = until("an alert is open", || {
        let alerts = client.get(open).json();
        Some(alerts["alerts"][0]["event_id"].as_str()?.to_owned())
    });
    let path = format!("/api/v1/alerts/{alert}/ack");
    let acked = client.post(&path, &json!({ "user": "olaf" }));
    assert_eq!(acked.status, 200, "{}", acked.body);
    // As if the PLC had been asked for the newest minute.
    let store = Connection::open(folder.store()).expect("the store");
    store
        .execute(
            "UPDATE readings_wide SET source = 'modbus' WHERE ts = (SELECT max(ts) FROM readings_wide)",
            [],
        )
        .expect("written");
    drop(store);

    damage(&folder.store());
    let (from, until_s) = (1_740_787_200, 1_740_787_200 + 2 * 86_400);
    let page = format!("/api/v1/series?from={from}&until={until_s}&columns=hlt_pct,p1_kwh");
    assert_eq!(client.get(&page).status, 500);
    assert_eq!(daemon.wait(), Some(1), "{}", daemon.log());
    assert!(
        daemon
            .log()
            .contains("the store is damaged; the next start mends it")
    );

    let mut daemon = folder.run();
    daemon.wait_for_log("what the damaged store had beyond that");
    let log = daemon.log();
    for told in [
        "lost with the damaged store: what an operator did",
        "operator=olaf",
        &format!("alert={alert}"),
        "operator_actions=1",
        "polled_rows=1",
    ] {
        assert!(log.contains(told), "{told}: {log}");
    }
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_question_that_meets_the_damage_ends_the_daemon() {
    let (folder, _) = station("asked");
    let port = free_port();
    folder.configure(&format!("[web]\nlisten = \"127.0.0.1:{port}\"\n"));
    let mut daemon = folder.run();
    let mut client = Client::new(port).wait();
    client.take_token();
    damage(&folder.store());
    let question = json!({ "question": "When was the lowest level this month?" });
    let answer = client.post("/api/v1/ask", &question);
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert_eq!(daemon.wait(), Some(1), "{}", daemon.log());
}

/// An index no longer has all rows. SQLite's quick check goes past that: every page is sound by itself.
fn damage_index(store: &Connection) {
    let name: String = store
        .query_row(
            "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 'alert_journal' AND sql IS NOT NULL",
            [],
            |row| row.get(0),
        )
        .expect("an index");
    store
        .execute_batch(&format!(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE INDEX {name} ON alert_journal (id) WHERE id > 0' WHERE name = '{name}';"
        ))
        .expect("the index is another");
}

#[test]
fn an_index_that_lacks_a_row_is_damage() {
    let (folder, _) = station("index");
    let whole = tables(&folder.store());
    damage_index(&Connection::open(folder.store()).expect("the store"));
    let mut daemon = folder.run();
    daemon.wait_for_log("the newest good backup is in its place");
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(tables(&folder.store()), whole);
}

#[test]
fn a_power_cut_while_a_damaged_store_is_set_aside_hides_nothing() {
    let (folder, _) = station("cut");
    let whole = tables(&folder.store());
    let log = |of: &Path| PathBuf::from(format!("{}-wal", of.display()));
    let aside = PathBuf::from(format!(
        "{}.damaged-20250303T000000Z",
        folder.store().display()
    ));
    // The damage and a minute of the PLC's are in the log alone, which has just been moved.
    let store = Connection::open(folder.store()).expect("the store");
    store
        .pragma_update(None, "wal_autocheckpoint", 0)
        .expect("set");
    store
        .execute(
            "UPDATE readings_wide SET source = 'modbus' WHERE ts = (SELECT max(ts) FROM readings_wide)",
            [],
        )
        .expect("written");
    damage_index(&store);
    fs::copy(log(&folder.store()), log(&aside)).expect("copied");
    let sound = fs::read(folder.store()).expect("read");
    drop(store);
    fs::write(folder.store(), sound).expect("written");
    fs::hard_link(folder.store(), &aside).expect("linked");

    let mut daemon = folder.run();
    daemon.wait_for_log("the newest good backup is in its place");
    daemon.wait_for_log("polled_rows=1");
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(tables(&folder.store()), whole);
    let aside = set_aside(&folder, ".damaged-");
    assert_eq!(aside.len(), 1);
    let polled: i64 = Connection::open(&aside[0])
        .and_then(|store| {
            let sql = "SELECT count(*) FROM readings_wide WHERE source = 'modbus'";
            store.query_row(sql, [], |row| row.get(0))
        })
        .expect("what was in the log");
    assert_eq!(polled, 1);
}

#[test]
fn without_a_good_backup_the_exports_are_read_again() {
    let (folder, backup) = station("anew");
    let whole = tables(&folder.store());
    damage(&backup);
    damage(&folder.store());
    let mut daemon = folder.run();
    daemon.wait_for_log("a backup cannot be used");
    daemon.wait_for_log("there is no good backup");
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    let anew = tables(&folder.store());
    // What the wall clock had told of the days in between is not in the exports.
    for table in ["readings_wide", "pump_sessions", "pump_health"] {
        assert_eq!(anew[table], whole[table], "{table}");
    }
}

#[test]
fn a_backup_is_put_back_and_taken_back_again() {
    let (folder, backup) = station("restored");
    let mut daemon = folder.run();
    // When it has read the same once more, it has the store.
    let again = folder.exports().join("again.csv");
    fs::copy(&exports(&folder)[1], again).expect("copied");
    folder.wait_until_read();
    let (restored, told) = folder.verb(&["restore"]);
    assert!(
        !restored && told.contains("stop that one first: sudo systemctl stop pumphouse"),
        "{told}"
    );
    assert_eq!(daemon.terminate(), Some(0));
    let whole = tables(&folder.store());
    for file in [&folder.store(), &backup] {
        let mode = fs::metadata(file).expect("its mode").mode() & 0o777;
        assert_eq!(mode, 0o600, "{} is its owner's alone", file.display());
    }

    let (restored, told) = folder.verb(&["restore"]);
    assert!(
        restored && told.contains("the newest 2025-03-01 23:59:00"),
        "{told}"
    );
    assert_eq!(tables(&folder.store()), tables(&backup));
    let aside = set_aside(&folder, ".replaced-")
        .pop()
        .expect("the store before");
    let (undone, told) = folder.verb(&["restore", aside.to_str().expect("a name")]);
    assert!(undone, "{told}");
    assert_eq!(tables(&folder.store()), whole);

    let (restored, told) = folder.verb(&["restore", "elsewhere.db"]);
    assert!(
        !restored
            && told.contains("there is no backup elsewhere.db")
            && told.contains(backup.to_str().expect("a name")),
        "{told}"
    );

    damage(&backup);
    let (restored, told) = folder.verb(&["restore"]);
    assert!(!restored && told.contains("is not sound"), "{told}");
    assert_eq!(tables(&folder.store()), whole);
}

/// A store with the schema of the version before, and all that another has and it has a place for.
fn as_the_version_before(store: &Path, older: &Path) -> i64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations/sqlite");
    let mut steps: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the migrations")
        .map(|entry| entry.expect("a file").path())
        .collect();
    steps.sort();
    steps.pop();
    let made = Connection::open(older).expect("a file");
    for step in &steps {
        let sql = fs::read_to_string(step).expect("a step");
        made.execute_batch(&sql).expect("taken");
    }
    let id: i64 = Connection::open(store)
        .and_then(|store| store.query_row("PRAGMA application_id", [], |row| row.get(0)))
        .expect("its mark");
    let version = steps.len() as i64;
    made.execute_batch(&format!(
        "PRAGMA application_id = {id}; PRAGMA user_version = {version}; ATTACH '{}' AS newer",
        store.display()
    ))
    .expect("attached");
    let list = |sql: &str| -> Vec<String> {
        let mut statement = made.prepare(sql).expect("a query");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<rusqlite::Result<_>>().expect("names")
    };
    for table in list(
        "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    ) {
        let columns = list(&format!(
            "SELECT name FROM pragma_table_info('{table}', 'main') \
             WHERE name IN (SELECT name FROM pragma_table_info('{table}', 'newer'))"
        ))
        .join(", ");
        made.execute_batch(&format!(
            "DELETE FROM main.{table}; INSERT INTO main.{table} ({columns}) SELECT {columns} FROM newer.{table}"
        ))
        .unwrap_or_else(|error| panic!("{table}: {error}"));
    }
    version
}

#[test]
fn an_update_that_changes_the_schema_keeps_everything_and_there_is_a_way_back() {
    let (folder, _) = station("update");
    let whole = tables(&folder.store());
    let older = folder.store().with_file_name("older.db");
    let version = as_the_version_before(&folder.store(), &older);
    let schema = || {
        folder
            .query("PRAGMA user_version")
            .parse::<i64>()
            .expect("a number")
    };
    fs::copy(&older, folder.store()).expect("copied");
    assert_eq!((schema(), &tables(&folder.store())), (version, &whole));

    let mut daemon = folder.run();
    until("the schema is brought up to date", || {
        (folder.try_query("PRAGMA user_version")? == (version + 1).to_string()).then_some(())
    });
    folder.write("more.csv", &fs::read(&exports(&folder)[1]).expect("a day"));
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(tables(&folder.store()), whole);

    // To a program of the version before, this store is what one of the next is to ours.
    let store = Connection::open(folder.store()).expect("the store");
    let newer = version + 2;
    store
        .pragma_update(None, "user_version", newer)
        .expect("written");
    drop(store);
    let mut daemon = folder.run();
    assert_eq!(daemon.wait(), Some(78), "{}", daemon.log());
    assert!(daemon.log().contains("was made by a newer pumphouse"));
    assert_eq!((schema(), &tables(&folder.store())), (newer, &whole));
    let (restored, told) = folder.verb(&["restore", older.to_str().expect("a name")]);
    assert!(restored, "{told}");
    let mut daemon = folder.run();
    folder.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!((schema(), tables(&folder.store())), (version + 1, whole));
}

#[test]
fn old_backups_make_room_for_a_new_one_and_the_newest_stays() {
    let what = "making room for a backup";
    let (folder, _) = station("making-room");
    let Some((disk, _)) = move_to_disk(what, &folder, 320 << 20) else {
        return;
    };
    let backups = disk.path().join("backups");
    let old = |day: u32| backups.join(format!("pumphouse-202001{day}T000000Z.db"));
    for day in 10..13 {
        fs::write(old(day), vec![1; 12 << 20]).expect("written");
    }
    // 256 MB stay free in any case, and the store takes a few.
    disk.fill_up_to((256 - 4) << 20);
    let (made, told) = folder.verb(&["backup"]);
    assert!(made, "{told}");
    assert_eq!(told.matches("removed").count(), 1, "{told}");
    assert!(!old(10).exists() && old(11).exists() && old(12).exists());
    let there = || fs::read_dir(&backups).expect("the folder").count();
    let before = there();
    disk.fill_up_to(100 << 20);
    let (made, told) = folder.verb(&["backup"]);
    assert!(!made && told.contains("make room"), "{told}");
    assert_eq!(there(), before, "none goes where that would not help");
}

#[test]
fn what_is_made_last_is_the_newest_whatever_the_clock_was() {
    let (folder, first) = station("clock");
    let backups = first.parent().expect("a folder");
    let at = |stamp: &str| backups.join(format!("pumphouse-{stamp}.db"));
    let (ahead, further) = (at("20990101T000000Z"), at("20990102T000000Z"));
    fs::copy(&first, &ahead).expect("copied");
    fs::rename(&first, &further).expect("renamed");
    let inode = |path: &Path| path.metadata().expect("it").ino();
    let order = [inode(&ahead), inode(&further)];
    // A copy of somebody's own is no backup of ours.
    fs::write(at("before-the-update"), "").expect("written");
    let (made, told) = folder.verb(&["backup", "--json"]);
    assert!(made, "{told}");
    let report: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let made = PathBuf::from(report["backup"]["path"].as_str().expect("a path"));
    let mut there: Vec<PathBuf> = fs::read_dir(backups)
        .expect("the folder")
        .map(|entry| entry.expect("a file").path())
        .collect();
    there.sort();
    assert_eq!(there.len(), 4, "{there:?}");
    assert_eq!([inode(&there[0]), inode(&there[1])], order, "{there:?}");
    assert_eq!(there[2], made);
    assert_eq!(there[3], at("before-the-update"));
}

#[test]
fn half_a_restore_is_a_backup_of_its_own_time() {
    let (folder, first) = station("half");
    let on_its_way = PathBuf::from(format!("{}.part", folder.store().display()));
    fs::copy(&first, &on_its_way).expect("copied");
    let made = UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let file = OpenOptions::new().write(true).open(&on_its_way);
    file.and_then(|file| file.set_modified(made))
        .expect("dated");
    let mut daemon = folder.run();
    until("it goes", || (!on_its_way.exists()).then_some(()));
    assert_eq!(daemon.terminate(), Some(0));
    assert!(
        first
            .with_file_name("pumphouse-20200913T122640Z.db")
            .exists()
    );
}

#[test]
fn the_newest_backups_are_kept() {
    let (folder, first) = station("kept");
    let backups = first.parent().expect("a folder");
    for day in 10..20 {
        fs::copy(
            &first,
            backups.join(format!("pumphouse-202001{day}T000000Z.db")),
        )
        .expect("copied");
    }
    fs::write(backups.join("notes.txt"), "not ours").expect("written");
    let (made, told) = folder.verb(&["backup"]);
    assert!(made && told.contains("removed"), "{told}");
    // Seven of them, and what is not a backup. The first and the last may be of the same second.
    assert_eq!(fs::read_dir(backups).expect("the folder").count(), 8);
    assert!(first.exists() && !backups.join("pumphouse-20200113T000000Z.db").exists());
}
