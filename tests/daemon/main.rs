//! The real daemon on real files, with a real Mosquitto, killed, stopped and reloaded.

#[path = "../common/mod.rs"]
mod common;

use std::{
    ffi::OsStr,
    fs,
    io::Write,
    net::TcpStream,
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use common::{
    http::Client,
    mosquitto::Mosquitto,
    panel::Panel,
    ports::free_port,
    station::{Daemon, Folder, tables},
    waiting::{DEADLINE, until},
};
use nix::{
    sys::{
        ptrace,
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use serde_json::Value;

fn event(panel: &Panel, code: &str, transition: &str) -> Value {
    panel.wait_for(&format!("{code} {transition}"), |message| {
        let event = message.json();
        (message.topic.ends_with("/events")
            && event["code"] == code
            && event["transition"] == transition)
            .then_some(event)
    })
}

#[test]
fn a_panel_sees_the_raise_the_resolution_the_retained_state_and_the_will() {
    let mosquitto = Mosquitto::start();
    let folder = Folder::new("panel");
    folder.configure(&format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        mosquitto.port
    ));
    let mut tape = folder.tape(60);
    let panel = Panel::connect(mosquitto.port);
    let mut daemon = folder.run();
    panel.wait_for("online", |message| {
        (message.topic == "pumphouse/v1/case/state" && message.json()["state"] == "online")
            .then_some(())
    });

    tape.write(6, |row| row.power_kw[1] = 0.0);
    let raised = event(&panel, "B-01", "raised");
    assert_eq!(
        (&raised["pump"], &raised["severity"], &raised["backfilled"]),
        (&"P2".into(), &"CRITICAL".into(), &false.into())
    );
    assert!(
        raised["message"]
            .as_str()
            .is_some_and(|text| text.contains("P2"))
    );
    let late_panel = Panel::connect(mosquitto.port);
    // The event goes before the state, so the broker may still hold the state and the row before.
    let state = late_panel.wait_for("the retained state", |message| {
        (message.topic == "pumphouse/v1/case/alerts/B-01/P2" && message.json()["state"] == "active")
            .then(|| message.json())
    });
    assert_eq!(state["event_id"], raised["event_id"]);
    late_panel.wait_for("the newest row", |message| {
        (message.topic == "pumphouse/v1/case/readings" && message.json()["p2_kwh"] == 0.0)
            .then_some(())
    });

    tape.write(2, |_| {});
    let resolved = event(&panel, "B-01", "resolved");
    assert_eq!(
        (&resolved["alert"], &resolved["since"]),
        (&raised["event_id"], &raised["ts"])
    );
    panel.wait_for("the state resolved", |message| {
        (message.topic == "pumphouse/v1/case/alerts/B-01/P2"
            && message.json()["state"] == "resolved")
            .then_some(())
    });
    daemon.kill();
    panel.wait_for("the will", |message| {
        (message.topic == "pumphouse/v1/case/state" && message.json()["state"] == "offline")
            .then_some(())
    });
}

#[test]
fn a_late_export_is_recorded_as_backfilled_and_leaves_no_state_active() {
    let mosquitto = Mosquitto::start();
    let folder = Folder::new("late");
    folder.configure(&format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        mosquitto.port
    ));
    let mut held_back = Vec::new();
    let mut tape = folder.tape_until(60, 240);
    for _ in 0..20 {
        held_back.extend(tape.skip(|row| row.power_kw[1] = 0.0));
    }
    tape.write(200, |_| {});
    let panel = Panel::connect(mosquitto.port);
    let _daemon = folder.run();
    panel.wait_for("the newest row", |message| {
        message.topic.ends_with("/readings").then_some(())
    });
    folder.write("late.csv", &held_back);
    let raised = event(&panel, "B-01", "raised");
    assert_eq!(raised["backfilled"], true);
    assert_eq!(event(&panel, "B-01", "resolved")["backfilled"], true);
    let state = panel.wait_for("the state", |message| {
        (message.topic.ends_with("/alerts/B-01/P2")).then(|| message.json())
    });
    assert_eq!(state["state"], "resolved");
}

#[test]
fn messages_wait_for_a_broker_that_is_away_and_none_is_lost() {
    let folder = Folder::new("away");
    let port = free_port();
    folder.configure(&format!("[mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\n"));
    let mut tape = folder.tape(60);
    let _daemon = folder.run();
    for _ in 0..3 {
        tape.write(5, |row| row.power_kw[1] = 0.0);
        tape.write(2, |_| {});
    }
    folder.wait_for_rows(tape.rows());
    let told = |code: &str| {
        folder.query(&format!(
            "SELECT count(*) FROM mqtt_outbox WHERE payload LIKE '%\"{code}\"%'"
        ))
    };
    assert_eq!(told("B-01"), "6", "three raises and three resolutions wait");
    let mosquitto = Mosquitto::start_on(port);
    let panel = Panel::connect(mosquitto.port);
    // The retained states come in any case; the events came before this panel, so the outbox tells.
    panel.wait_for("the state", |message| {
        message.topic.ends_with("/alerts/B-01/P2").then_some(())
    });
    until("the outbox is empty", || {
        (folder.query("SELECT count(*) FROM mqtt_outbox WHERE acked_ts IS NULL") == "0")
            .then_some(())
    });
}

#[test]
fn a_torn_line_waits_until_it_is_whole() {
    let folder = Folder::new("torn");
    folder.configure("");
    let mut tape = folder.tape(30);
    let _daemon = folder.run();
    folder.wait_for_rows(30);
    let lines = tape.skip(|_| {});
    let (first, second) = lines.split_at(lines.len() - 4);
    folder.append("day.csv", first);
    folder.wait_for_rows(31);
    assert_eq!(
        folder.query("SELECT p6_rmin IS NULL FROM readings_wide ORDER BY ts DESC LIMIT 1"),
        "1"
    );
    folder.append("day.csv", second);
    until("the last tag", || {
        (folder.query("SELECT p6_rmin IS NULL FROM readings_wide ORDER BY ts DESC LIMIT 1") == "0")
            .then_some(())
    });
    assert_eq!(folder.query("SELECT count(*) FROM ingest_rejects"), "0");
}

#[test]
fn a_renamed_file_goes_on_where_it_stopped_and_its_place_is_taken_by_a_new_one() {
    let folder = Folder::new("rotated");
    folder.configure("");
    let mut tape = folder.tape(30);
    let _daemon = folder.run();
    folder.wait_for_rows(30);
    // Rotated in the middle of a minute: the rest of it goes to the old content under its new name.
    let lines = tape.skip(|_| {});
    let (first, second) = lines.split_at(lines.len() / 2);
    folder.append("day.csv", first);
    fs::rename(
        folder.exports().join("day.csv"),
        folder.exports().join("day-1.csv"),
    )
    .expect("renamed");
    folder.append("day-1.csv", second);
    let next = tape.skip(|_| {});
    folder.write("day.csv", &next);
    folder.wait_for_rows(32);
    until("the whole minute", || {
        (folder.query("SELECT count(*) FROM readings_wide WHERE p6_rmin IS NULL") == "0")
            .then_some(())
    });
    assert_eq!(
        folder.query("SELECT count(*) FROM alerts_log WHERE rule = 'F-07'"),
        "0",
        "nothing was read twice"
    );
    assert_eq!(
        folder.query("SELECT sum(kept) FROM ingest_files WHERE NOT detached"),
        (32 * 27).to_string()
    );
}

#[test]
fn silence_raises_by_the_wall_clock_and_stays_on_record_when_late_rows_fill_it() {
    let folder = Folder::new("silence");
    folder.configure("");
    // The newest row is 13 min old: with a delivery delay of 3 min the clock has seen 10 silent minutes.
    let mut tape = folder.tape_until(60, 13);
    let _daemon = folder.run();
    until("F-01", || {
        (folder.query("SELECT count(*) FROM alerts_log WHERE rule = 'F-01' AND NOT resolved")
            == "1")
            .then_some(())
    });
    tape.write(9, |_| {});
    folder.wait_for_rows(69);
    until("resolved", || {
        (folder.query("SELECT count(*) FROM alerts_log WHERE rule = 'F-01' AND resolved") == "1")
            .then_some(())
    });
    assert_eq!(
        folder.query("SELECT value_at_trigger, told FROM alerts_log WHERE rule = 'F-01'"),
        "6|1"
    );
}

#[test]
fn sigterm_ends_with_0_and_a_bad_config_with_78() {
    let folder = Folder::new("stop");
    folder.configure("");
    let tape = folder.tape(30);
    let mut daemon = folder.run();
    folder.wait_for_rows(tape.rows());
    assert_eq!(daemon.terminate(), Some(0));

    let mut config = fs::OpenOptions::new()
        .append(true)
        .open(folder.config())
        .expect("the config");
    writeln!(config, "[storrage]\npath = \"x\"").expect("written");
    let mut daemon = folder.run();
    assert_eq!(daemon.wait(), Some(78));
    assert!(
        daemon.log().contains("did you mean \"storage\"?"),
        "{}",
        daemon.log()
    );
}

#[test]
fn the_service_manager_hears_of_readiness_and_of_every_bit_of_progress() {
    let folder = Folder::new("notify");
    folder.configure("");
    let tape = folder.tape(30);
    let (manager, mut daemon) = ServiceManager::start(&folder);
    manager.hear_until("READY=1");
    for _ in 0..3 {
        manager.hear_until("WATCHDOG=1");
    }
    daemon.hang_up();
    assert!(
        manager
            .hear_until("RELOADING=1")
            .contains("MONOTONIC_USEC=")
    );
    manager.hear_until("READY=1");
    // Nobody is held up by a manager that does not listen.
    drop(manager);
    folder.wait_for_rows(tape.rows());
    assert_eq!(daemon.terminate(), Some(0));
}

/// How long the plant's loop may be silent.
const DEADLINE_OF_INGEST: Duration = Duration::from_secs(120);

/// Hears what a daemon tells the service manager.
struct ServiceManager(UnixDatagram);

impl ServiceManager {
    fn start(folder: &Folder) -> (Self, Daemon) {
        let socket = folder.store().with_file_name("notify");
        let manager = UnixDatagram::bind(&socket).expect("a socket");
        manager
            .set_read_timeout(Some(DEADLINE))
            .expect("a deadline");
        let daemon = folder.run_under(&[
            ("NOTIFY_SOCKET", socket.as_os_str()),
            ("WATCHDOG_USEC", OsStr::new("400000")),
        ]);
        (Self(manager), daemon)
    }

    fn hear(&self) -> String {
        let mut buffer = [0; 512];
        let told = self.0.recv(&mut buffer);
        let length = told.expect("the daemon goes on telling");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    fn hear_until(&self, what: &str) -> String {
        let mut said = self.hear();
        while !said.contains(what) {
            said = self.hear();
        }
        said
    }
}

/// A daemon's thread, stopped while the others go on. It goes on when this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn thread(daemon: &Daemon, name: &str) -> Self {
        let tasks = fs::read_dir(format!("/proc/{}/task", daemon.pid())).expect("its threads");
        let thread = tasks
            .map(|task| task.expect("a thread").path())
            .find(|task| {
                fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name)
            })
            .expect("the thread");
        let id = thread.file_name().and_then(OsStr::to_str).expect("its id");
        let thread = Pid::from_raw(id.parse().expect("a number"));
        ptrace::seize(thread, ptrace::Options::empty()).expect("our own child's thread");
        ptrace::interrupt(thread).expect("stopped");
        Self(thread)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let stopped = waitpid(self.0, Some(WaitPidFlag::__WALL));
        assert!(
            matches!(stopped, Ok(WaitStatus::PtraceEvent(..))),
            "{stopped:?}"
        );
        ptrace::detach(self.0, None).expect("it goes on");
    }
}

#[test]
fn a_daemon_that_looks_seldom_is_not_taken_for_one_that_hangs() {
    let folder = Folder::new("seldom");
    folder.configure("");
    let text = fs::read_to_string(folder.config()).expect("the config");
    let text = text.replace("scan_interval_s = 0.1", "scan_interval_s = 3600");
    fs::write(folder.config(), text).expect("written");
    let tape = folder.tape(30);
    let (manager, mut daemon) = ServiceManager::start(&folder);
    folder.wait_for_rows(tape.rows());
    let began = Instant::now();
    while began.elapsed() < DEADLINE_OF_INGEST + Duration::from_secs(5) {
        let said = manager.hear();
        assert!(!said.contains("trigger"), "{}", daemon.log());
    }
    drop(manager);
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_restart_is_asked_for_when_one_part_hangs_and_the_others_do_not() {
    let folder = Folder::new("hangs");
    folder.configure("");
    let mut tape = folder.tape(30);
    let (manager, mut daemon) = ServiceManager::start(&folder);
    folder.wait_for_rows(tape.rows());
    let stopped = Stopped::thread(&daemon, "plant");
    let began = Instant::now();
    tape.write(1, |_| {});
    let mut said = manager.hear_until("WATCHDOG=1");
    while said.contains("WATCHDOG=1") {
        assert!(
            began.elapsed() < 3 * DEADLINE_OF_INGEST,
            "it is not noticed"
        );
        said = manager.hear();
    }
    assert!(said.contains("WATCHDOG=trigger"), "{said}");
    let after = began.elapsed();
    assert!(after > DEADLINE_OF_INGEST / 2, "{after:?}");
    daemon.wait_for_log("a part of the daemon hangs; a restart is asked for");
    drop(stopped);
    folder.wait_for_rows(tape.rows());
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn sighup_tells_what_changed_and_keeps_the_old_config_when_the_new_one_is_bad() {
    let folder = Folder::new("reload");
    folder.configure("[alerts]\nswitching_mask_min = 5\n");
    let mut tape = folder.tape(30);
    let mut daemon = folder.run();
    folder.wait_for_rows(30);
    let before = tables(&folder.store());
    let text = fs::read_to_string(folder.config()).expect("the config");
    fs::write(
        folder.config(),
        text.replace("switching_mask_min = 5", "switching_mask_min = 7"),
    )
    .expect("written");
    daemon.hang_up();
    daemon.wait_for_log("key=alerts.switching_mask_min from=5 to=7");
    fs::write(
        folder.config(),
        text.replace("switching_mask_min = 5", "switching_mask_min = \"x\""),
    )
    .expect("written");
    daemon.hang_up();
    daemon.wait_for_log("alerts.switching_mask_min: must be a number");
    assert_eq!(tables(&folder.store()), before, "a reload touches no data");
    tape.write(1, |_| {});
    folder.wait_for_rows(31);
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_reload_starts_anew_only_the_parts_that_it_concerns() {
    let mosquitto = Mosquitto::start();
    let folder = Folder::new("parts");
    let (first, second) = (free_port(), free_port());
    let config = |web: u16, retry_s_max: u16| {
        let broker = mosquitto.port;
        folder.configure(&format!(
            "[mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\nretry_s_max = {retry_s_max}\n[web]\nlisten = \"127.0.0.1:{web}\"\n"
        ));
    };
    config(first, 30);
    let mut tape = folder.tape(60);
    let panel = Panel::connect(mosquitto.port);
    let mut daemon = folder.run();
    Client::new(first).wait();
    let states = |count: usize| {
        panel.wait_for_all("the station's state", |seen| {
            let states = seen
                .iter()
                .filter(|message| message.topic == "pumphouse/v1/case/state");
            let states: Vec<Value> = states.map(|message| message.json()).collect();
            (states.len() >= count).then_some(states)
        })
    };
    states(1);

    config(second, 30);
    daemon.hang_up();
    Client::new(second).wait();
    tape.write(6, |row| row.power_kw[1] = 0.0);
    event(&panel, "B-01", "raised");
    assert_eq!(states(1).len(), 1, "the panels have not seen the reload");

    config(second, 31);
    daemon.hang_up();
    let seen = states(3);
    let told: Vec<_> = seen.iter().map(|state| &state["state"]).collect();
    assert_eq!(told, ["online", "offline", "online"]);
    for state in &seen {
        assert_eq!(state["started_at"], seen[0]["started_at"]);
    }
    assert!(TcpStream::connect(("127.0.0.1", first)).is_err());
    assert_eq!(daemon.terminate(), Some(0));
}

#[test]
fn a_daemon_killed_at_any_moment_ends_in_the_same_tables() {
    let undisturbed = Folder::new("undisturbed");
    undisturbed.configure("");
    undisturbed.simulate(12);
    let mut daemon = undisturbed.run();
    undisturbed.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));

    let killed = Folder::new("killed");
    killed.configure("");
    killed.simulate(12);
    let seed = 7_u64;
    let mut kills = 0;
    for round in 0..40_u64 {
        let mut daemon = killed.run();
        // A different moment each round, from before the store is open to the middle of the replay.
        let wait_ms = (seed * 7919 + round * 104_729) % 173;
        std::thread::sleep(Duration::from_millis(wait_ms));
        daemon.kill();
        kills += 1;
        if kills >= 15 && killed.is_read() {
            break;
        }
    }
    let mut daemon = killed.run();
    daemon.wait_for_log("pumphouse starts");
    killed.wait_until_read();
    assert_eq!(daemon.terminate(), Some(0));
    assert_eq!(
        tables(&killed.store()),
        tables(&undisturbed.store()),
        "after {kills} kills, seed {seed}"
    );
}

#[cfg(feature = "demo-broker")]
#[test]
fn the_demo_shows_an_alert_and_ends_cleanly() {
    let port = free_port();
    let folder = Folder::new("demo");
    let mut demo = folder.demo(port);
    let panel = Panel::connect(port);
    let news = panel.wait_for("an alert that is news", |message| {
        (message.topic.ends_with("/events") && message.json()["backfilled"] == false)
            .then(|| message.json())
    });
    assert!(news["message"].is_string());
    assert_eq!(demo.interrupt(), Some(0));
}
