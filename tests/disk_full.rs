//! The disk under the store becomes full: with its reserve the station goes on; without, it waits, loses nothing, and goes on by
//! itself once there is room.

mod common;

use std::{collections::HashSet, fs, path::PathBuf, sync::Arc};

use common::{
    disk::Disk,
    mosquitto::{Mosquitto, Persistence, Setup},
    mounting::not_tried,
    panel::Panel,
    postgres::Postgres,
    station::{Daemon, Folder},
    waiting::{DEADLINE, until, within},
};
use pumphouse::{
    calendar::Calendar,
    clock::Clock,
    config::Config,
    historian::watch::Watch,
    pipeline::Pipeline,
    store::{Store, writer::Writer},
};
use rusqlite::{Connection, OpenFlags};

const DATABASE: &str = "plant";
const DISK_BYTES: u64 = 48 << 20;
const RESERVE_MB: u64 = 8;

/// A disk; `None`, loudly, where none can be mounted.
fn disk(what: &str) -> Option<Disk> {
    let (disk, mounted) = Disk::new(DISK_BYTES);
    if !mounted {
        not_tried(what, "no tmpfs can be mounted without root");
        return None;
    }
    Some(disk)
}

/// A station whose store lies on a small disk, with a broker and a central office that can be away.
struct Station {
    disk: Disk,
    folder: Folder,
    broker: Mosquitto,
    panel: Panel,
    office: Postgres,
}

impl Station {
    fn new(disk: Disk) -> Self {
        let broker = Mosquitto::start_with(&Setup {
            persistence: Persistence::EveryChange,
            ..Setup::default()
        });
        let office = Postgres::start();
        office.create_database(DATABASE);
        let folder = Folder::new("full");
        let home = folder.store();
        let home = home.parent().expect("a folder");
        fs::write(home.join("password"), "of the site\n").expect("written");
        office.admit(DATABASE, "case", home, "password");
        folder.configure(&format!(
            "[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nretry_s_max = 1\n\
             [central]\nurl = \"postgres://case@127.0.0.1:{}/{DATABASE}\"\npassword_file = \"password\"\nretry_s_max = 1\n",
            broker.port,
            office.port()
        ));
        let station = Self {
            panel: Panel::connect_persistent(broker.port),
            disk,
            folder,
            broker,
            office,
        };
        // The folder's name for the store leads to the disk.
        let text = fs::read_to_string(station.folder.config()).expect("read");
        let place = format!("path = {:?}\nreserve_mb = {RESERVE_MB}", station.store());
        let text = text.replace("path = \"out.db\"", &place);
        fs::write(station.folder.config(), text).expect("written");
        station
    }

    fn store(&self) -> PathBuf {
        self.disk.path().join("out.db")
    }

    fn reserve_bytes(&self) -> u64 {
        let path = self.disk.path().join("out.db.reserve");
        fs::metadata(path).map_or(0, |metadata| metadata.len())
    }

    fn query(&self, sql: &str) -> String {
        until(sql, || query(&self.store(), sql))
    }

    fn wait_for(&self, sql: &str, value: &str, daemon: &Daemon) {
        let found = within(DEADLINE, || {
            (query(&self.store(), sql)? == value).then_some(())
        });
        let now = query(&self.store(), sql);
        assert!(found.is_some(), "{sql}: {now:?}\n{}", daemon.log());
    }

    /// The panel has every line of the journal, and the central office every row.
    fn all_is_at_both_ends(&self, daemon: &Daemon) {
        let journal = self.query(
            "SELECT group_concat(event_id, ' ') FROM (SELECT event_id FROM alert_journal ORDER BY id)",
        );
        self.panel.wait_for_all("every event", |messages| {
            let heard: HashSet<String> = messages
                .iter()
                .filter(|message| message.topic.ends_with("/events"))
                .filter_map(|message| Some(message.json()["event_id"].as_str()?.to_owned()))
                .collect();
            journal
                .split(' ')
                .all(|id| heard.contains(id))
                .then_some(())
        });
        let mut said = String::new();
        let same = within(DEADLINE, || {
            let (same, text) = self.folder.verb(&["verify"]);
            said = text;
            same.then_some(())
        });
        assert!(same.is_some(), "{said}\n{}", daemon.log());
    }
}

fn query(store: &std::path::Path, sql: &str) -> Option<String> {
    let connection = Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    connection.busy_timeout(DEADLINE).ok()?;
    let text = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
    match connection.query_row(sql, [], text).ok()? {
        rusqlite::types::Value::Integer(value) => Some(value.to_string()),
        rusqlite::types::Value::Text(value) => Some(value),
        _ => None,
    }
}

const ROWS: &str = "SELECT count(*) FROM readings_wide";
const UNSENT: &str = "SELECT count(*) FROM mqtt_outbox WHERE acked_ts IS NULL";
const UNSYNCED: &str = "SELECT count(*) FROM changes WHERE seq > (SELECT acked FROM central_sync)";

#[test]
fn with_its_reserve_the_station_raises_and_delivers_alerts_on_a_full_disk() {
    let Some(disk) = disk("a full disk with its reserve") else {
        return;
    };
    let mut station = Station::new(disk);
    let mut tape = station.folder.tape(60);
    let daemon = station.folder.run();
    station.wait_for(ROWS, "60", &daemon);
    assert_eq!(station.reserve_bytes(), RESERVE_MB << 20);
    until("the central office has the first rows", || {
        (station.query(UNSYNCED) == "0").then_some(())
    });

    // Both ends are away, an alert is open, and things wait for them when the disk becomes full.
    station.broker.kill();
    station.office.stop();
    tape.write(5, |row| row.power_kw[1] = 0.0);
    let open = "SELECT count(*) FROM alerts_log WHERE rule = 'B-01' AND resolved = 0";
    station.wait_for(open, "1", &daemon);
    let unsent: u64 = station.query(UNSENT).parse().expect("a count");
    assert!(unsent > 0);
    station.disk.fill();
    tape.write(5, |row| row.power_kw = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    tape.write(10, |_| {});
    tape.write(5, |row| row.flow = -5.0);
    daemon.wait_for_log("the disk is full; the reserve is given up");
    station.wait_for(ROWS, &tape.rows().to_string(), &daemon);
    assert_eq!(station.reserve_bytes(), 0);
    let more: u64 = station.query(UNSENT).parse().expect("a count");
    assert!(more > unsent, "alerts go on, and nothing unsent is deleted");
    let (_, status) = station.folder.verb(&["status"]);
    assert!(status.contains("the reserve is used up"), "{status}");

    // The ends come back while the disk is still full.
    station.broker.restart();
    station.office.restart();
    station.all_is_at_both_ends(&daemon);

    station.disk.free();
    daemon.wait_for_log("the reserve is made again");
    assert_eq!(station.reserve_bytes(), RESERVE_MB << 20);
    let (_, status) = station.folder.verb(&["status"]);
    assert!(!status.contains("used up"), "{status}");
    let told = daemon.log().matches("the reserve is given up").count();
    assert_eq!(told, 1, "{}", daemon.log());
}

#[test]
fn with_no_room_at_all_it_waits_loses_nothing_and_goes_on_by_itself() {
    let Some(disk) = disk("a full disk without a reserve") else {
        return;
    };
    let mut station = Station::new(disk);
    let mut tape = station.folder.tape(60);
    let mut daemon = station.folder.run();
    station.wait_for(ROWS, "60", &daemon);
    station.broker.kill();
    station.office.stop();
    tape.write(5, |row| row.power_kw[1] = 0.0);
    station.wait_for(ROWS, "65", &daemon);
    let (unsent, unsynced) = (station.query(UNSENT), station.query(UNSYNCED));
    // The disk is filled again as soon as the reserve has gone, until nothing is left.
    within(DEADLINE, || {
        station.disk.fill_more();
        tape.write(3, |row| row.flow = -5.0);
        daemon
            .log()
            .matches("what was read cannot be stored")
            .nth(1)
            .or_else(|| {
                let log = daemon.log();
                let (_, behind) = log.split_once("the reserve is given up")?;
                behind.contains("cannot be stored").then_some("")
            })
            .map(drop)
    })
    .unwrap_or_else(|| panic!("it is full in the end: {}", daemon.log()));
    assert_eq!(station.reserve_bytes(), 0);
    // A start with no room ends, or waits; whichever, nothing goes. The start makes a little room, as it takes the log into the
    // store, and uses it up with what comes.
    daemon.kill();
    let mut daemon = station.folder.run();
    until("it has tried", || {
        station.disk.fill_more();
        tape.write(3, |row| row.flow = -5.0);
        let tried = daemon.log().contains("cannot be stored");
        (tried || daemon.ended().is_some()).then_some(())
    });
    let waits = |sql: &str, before: &str| {
        let now: u64 = station.query(sql).parse().expect("a count");
        assert!(
            now >= before.parse().expect("a count"),
            "{sql}: {now} after {before}"
        );
    };
    waits(UNSENT, &unsent);
    waits(UNSYNCED, &unsynced);
    station.disk.free();
    if daemon.ended().is_some() {
        // As the service manager does.
        daemon = station.folder.run();
    }
    station.wait_for(ROWS, &tape.rows().to_string(), &daemon);
    station.broker.restart();
    station.office.restart();
    station.all_is_at_both_ends(&daemon);
}

/// The pipeline on a disk that becomes full at every place, four KiB apart: what cannot be committed is taken back whole, the
/// store stays sound, and the same rows go in once there is room.
#[test]
fn at_whatever_write_the_disk_becomes_full_the_store_stays_sound() {
    let Some(disk) = disk("a disk that is full at every write") else {
        return;
    };
    let folder = Folder::new("levels");
    folder.configure("");
    let config = Config::load(&folder.config()).expect("a config");
    let path = disk.path().join("out.db");
    let mut tape = folder.tape_until(60, 1000);
    let store = Store::open(&path, None).expect("the store opens");
    let writer = Writer::start(store).expect("the writer starts");
    let mut pipeline = Pipeline::new(config.plant.clone(), writer, 3).expect("a pipeline");
    let now = Clock::Wall.minute();
    let pass = |pipeline: &mut Pipeline| -> anyhow::Result<()> {
        let records = pipeline.writer().call(|store| store.files())?;
        let mut watch = Watch::new(
            Arc::clone(&config.historian.format),
            Calendar::new(config.plant.zone.clone()),
            config.historian.watch.clone(),
            records,
        );
        let (files, _) = watch.scan();
        for file in files {
            watch.read(&file, now, |piece| pipeline.feed(piece, now).map(drop))?;
        }
        pipeline.commit()
    };
    pass(&mut pipeline).expect("there is room");
    let (mut failed, mut stored) = (0, 0);
    for level in 0..48 {
        tape.write(4, |row| row.power_kw[level % 2] = 0.0);
        disk.fill_but(level as u64 * 4096);
        let before = query(&path, ROWS).expect("the store can be read");
        match pass(&mut pipeline) {
            Ok(()) => stored += 1,
            Err(error) => {
                failed += 1;
                assert_eq!(query(&path, ROWS), Some(before), "{error:#}");
                assert_eq!(
                    query(&path, "PRAGMA integrity_check").as_deref(),
                    Some("ok"),
                    "{level}: {error:#}"
                );
                disk.free();
                pipeline.recover().expect("recovered");
                pass(&mut pipeline).expect("there is room again");
            }
        }
        disk.free();
        assert_eq!(query(&path, ROWS), Some(tape.rows().to_string()), "{level}");
    }
    println!("{failed} levels were too full, {stored} were not");
    assert!(failed > 4 && stored > 4, "{failed} {stored}");
    pipeline.stop();
    assert_eq!(
        query(&path, "PRAGMA integrity_check").as_deref(),
        Some("ok")
    );
}
