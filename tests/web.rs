//! The dashboard's server: what it tells, who may do what, what it refuses.

mod common;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use common::{
    binary,
    certificates::{Authority, ServerCertificate},
    http::{Answer, Client, Listener},
    mosquitto::Mosquitto,
    panel::Panel,
    ports::free_port,
    station::{Daemon, Folder, Tape},
    waiting::until,
};
use pumphouse::clock::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A station with a dashboard, and some minutes of a tape.
fn station(more: &str) -> (Folder, u16) {
    let folder = Folder::new("web");
    let port = free_port();
    folder.configure(&format!("{more}\n[web]\nlisten = \"127.0.0.1:{port}\"\n"));
    (folder, port)
}

fn open(folder: &Folder, port: u16) -> (Daemon, Client) {
    let daemon = folder.run();
    (daemon, Client::new(port).wait())
}

fn wait_for_row(client: &Client) -> Value {
    until("the picture has a row", || {
        let picture = client.get("/api/v1/now").json();
        picture["row"].is_object().then_some(picture)
    })
}

/// Trips P2 and gives the alert's event id.
fn trip(client: &Client, tape: &mut Tape<'_>) -> String {
    tape.write(5, |row| row.power_kw[1] = 0.0);
    until("B-01 of P2 is open", || {
        let alerts = client
            .get("/api/v1/alerts?state=open&rule=B-01&pump=P2")
            .json();
        Some(alerts["alerts"][0]["event_id"].as_str()?.to_owned())
    })
}

fn refused(answer: &Answer, status: u16, word: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    let body = answer.json();
    assert!(
        body["error"].as_str().is_some_and(|it| it.contains(word)),
        "{body}"
    );
}

#[test]
fn everything_that_is_documented_answers() {
    let (folder, port) = station("");
    let mut tape = folder.tape(200);
    let (_daemon, client) = open(&folder, port);
    wait_for_row(&client);
    let alert = trip(&client, &mut tape);
    let document = client.get("/api/v1/openapi.json").json();
    assert_eq!(document["openapi"], "3.1.0");
    let now_s = Clock::Wall.now_s();
    let value = |name: &str| match name {
        "from" => (now_s - 86_400).to_string(),
        "until" => now_s.to_string(),
        "columns" => "hlt_pct,fit101_per_hr,total_kw,p1_kwh".into(),
        "target" => "hlt_pct".into(),
        "ahead_min" => "60".into(),
        other => panic!("{other} is needed, and the test does not know it"),
    };
    let mut asked = 0;
    for (path, of) in document["paths"].as_object().expect("paths") {
        let Some(get) = of.get("get").filter(|_| path != "/live") else {
            continue;
        };
        let needed = get["parameters"].as_array().expect("a list").iter();
        let query: Vec<_> = needed
            .filter(|it| it["required"] == true && it["in"] == "query")
            .map(|it| it["name"].as_str().expect("a name"))
            .map(|name| format!("{name}={}", value(name)))
            .collect();
        let path = path.replace("{event_id}", &alert);
        let answer = client.get(&format!("/api/v1{path}?{}", query.join("&")));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(answer.json().is_object(), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        asked += 1;
        if !query.is_empty() {
            let answer = client.get(&format!("/api/v1{path}"));
            assert_eq!(
                answer.status, 400,
                "{path} without what it needs: {}",
                answer.body
            );
            assert!(answer.json()["error"].is_string(), "{path}");
        }
    }
    assert!(asked > 20, "{asked}");
    for path in [
        "/",
        "/analytics",
        "/alerts",
        "/insights",
        "/optimization",
        "/assistant",
    ] {
        let page = client.get(path);
        assert_eq!(
            (page.status, page.header("content-type")),
            (200, "text/html; charset=utf-8"),
            "{path}"
        );
        assert!(
            page.header("content-security-policy")
                .contains("default-src 'none'")
        );
        assert!(
            !page.body.contains("<script>") && !page.body.contains("://"),
            "{path} has what its policy forbids"
        );
    }
    refused(&client.get("/api/v1/nothing"), 404, "no such");
    refused(&client.get("/api/v1/alerts/B-09.x"), 404, "no alert");
    refused(
        &client.get("/api/v1/series?from=5&until=4&columns=hlt_pct"),
        400,
        "until after from",
    );
    refused(
        &client.get("/api/v1/series?from=1&until=400&columns=secret"),
        400,
        "no column",
    );
}

#[test]
fn a_series_keeps_every_peak_whether_it_comes_from_minutes_or_hours() {
    let (folder, port) = station("");
    let mut tape = folder.tape_until(60 * 24 * 3, 130);
    tape.write(30, |_| {});
    tape.write(1, |row| row.level = 40.0);
    tape.write(90, |_| {});
    let (_daemon, client) = open(&folder, port);
    wait_for_row(&client);
    let now_s = Clock::Wall.now_s();
    let lowest = |from: i64, points: i64| {
        let series = client
            .get(&format!(
                "/api/v1/series?from={from}&until={}&columns=hlt_pct&points={points}",
                now_s + 60
            ))
            .json();
        let steps = series["hlt_pct"]["min"].as_array().expect("a list").clone();
        let lowest = steps
            .iter()
            .filter_map(Value::as_f64)
            .fold(f64::INFINITY, f64::min);
        (series["step_s"].as_i64().expect("a step"), lowest)
    };
    let (fine_s, fine) = until("the dip is in", || {
        let found = lowest(now_s - 4 * 86_400, 5000);
        (found.1 < 50.0).then_some(found)
    });
    let (coarse_s, coarse) = lowest(now_s - 4 * 86_400, 20);
    let (hourly_s, hourly) = until("the hours are summed up", || {
        let found = lowest(now_s - 300 * 86_400, 1000);
        (found.1 < 50.0).then_some(found)
    });
    assert_eq!((fine, coarse, hourly), (fine, fine, fine));
    assert!(fine_s < coarse_s && coarse_s < hourly_s && hourly_s % 3600 == 0);
    refused(
        &client.get(&format!(
            "/api/v1/series?from={}&until={now_s}&columns=p1_kwh",
            now_s - 300 * 86_400
        )),
        400,
        "45 days",
    );
}

#[test]
fn a_row_is_on_every_page_a_moment_after_it_is_stored() {
    let (folder, port) = station("");
    let mut tape = folder.tape(20);
    let (mut daemon, client) = open(&folder, port);
    let before = wait_for_row(&client)["row"]["ts"].clone();
    let mut pages: Vec<_> = (0..10).map(|_| Listener::connect(port)).collect();
    for page in &mut pages {
        let picture: Value = serde_json::from_str(&page.next("picture")).expect("JSON");
        assert_eq!(picture["row"]["ts"], before);
    }
    tape.write(1, |row| row.level = 60.0);
    for page in &mut pages {
        let picture = std::iter::repeat_with(|| {
            serde_json::from_str::<Value>(&page.next("picture")).expect("JSON")
        });
        let mut newer = picture.filter(|it| it["row"]["ts"] != before);
        let newer = newer.next().expect("a picture");
        assert_eq!(newer["row"]["hlt_pct"], 50.0);
        assert!(page.next("time").parse::<i64>().is_ok());
    }
    daemon.terminate();
    for page in &mut pages {
        assert!(
            page.has_ended(common::waiting::DEADLINE),
            "a page keeps the daemon from stopping"
        );
    }
}

#[test]
fn a_gap_of_a_stopped_historian_is_told_apart() {
    let (folder, port) = station("");
    // Stopped from 8:01 to 9:00, silent from 9:00 to 10:00, stopped from 10:01 on.
    let records = [
        "08:00:00,S",
        "08:01:00,E",
        "09:00:00,B",
        "10:00:00,S",
        "10:01:00,E",
    ];
    let lines = records.map(|it| format!("2025-11-03 {it},2,60\n")).concat();
    folder.write("stops.csv", lines.as_bytes());
    let (_daemon, client) = open(&folder, port);
    let picture = until("the last gap is told", || {
        let picture = client.get("/api/v1/now").json();
        (picture["alerts"]["open"]["HIGH"] == 1).then_some(picture)
    });
    let listed = client.get("/api/v1/alerts?rule=F-02").json();
    let alerts = listed["alerts"].as_array().expect("a list");
    let stops: Vec<Value> = alerts
        .iter()
        .map(|alert| {
            let event_id = alert["event_id"].as_str().expect("an id");
            client.get(&format!("/api/v1/alerts/{event_id}")).json()["logging_stop"].clone()
        })
        .collect();
    let at = |minute: i64| {
        let row_s = picture["row"]["ts"].as_i64().expect("a time");
        json!(row_s + (minute - 600) * 60)
    };
    let open = json!({ "stopped_ts": at(601), "began_ts": null });
    let ended = json!({ "stopped_ts": at(481), "began_ts": at(540) });
    assert_eq!(stops, [open.clone(), Value::Null, ended]);
    assert_eq!(picture["logging_stop"], open);
}

/// A figure of `/metrics`.
fn figure(metrics: &str, name: &str) -> Option<f64> {
    let mut lines = metrics.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    value.parse().ok()
}

#[test]
fn what_waits_for_the_office_and_what_models_and_advice_are_worth_is_measured() {
    // With the ratings and ranges that the simulated station has, or no plan would fit it.
    let folder = TempDir::with_prefix("pumphouse-web-").expect("a folder");
    binary::simulate_until_now(folder.path(), "32", &["--seed", "11"]);
    let (port, nobody) = (free_port(), free_port());
    let config = folder.path().join("pumphouse.toml");
    let mut text = fs::read_to_string(&config).expect("the config");
    text += &format!(
        "\n[web]\nlisten = \"127.0.0.1:{port}\"\n\
         [central]\nurl = \"postgres://demo@127.0.0.1:{nobody}/plant\"\npassword_file = \"password\"\n"
    );
    fs::write(&config, text).expect("written");
    fs::write(folder.path().join("password"), "of the site\n").expect("written");
    let _daemon = Daemon::start(&config, &folder.path().join("log"), &[]);
    let client = Client::new(port).wait();
    let metrics = until("a plan is beside the station's own control", || {
        let metrics = client.get("/metrics").body;
        let is_there = figure(&metrics, "pumphouse_plan_savings_percent").is_some();
        is_there.then_some(metrics)
    });
    let of = |name: &str| figure(&metrics, name).unwrap_or_else(|| panic!("{name}: {metrics}"));
    assert!(of("pumphouse_outbox_rows{target=\"central\"}") >= 31.0 * 1440.0);
    assert!((0.0..600.0).contains(&of("pumphouse_outbox_age_seconds{target=\"central\"}")));
    assert_eq!(of("pumphouse_dropped_rows{target=\"central\"}"), 0.0);
    for what in ["forecast", "plan"] {
        assert!(of(&format!("pumphouse_{what}_seconds_count")) >= 1.0);
        assert!(of(&format!("pumphouse_{what}_seconds_sum")) > 0.0);
    }
    let (gap_pct, saved_pct) = (
        of("pumphouse_plan_gap_percent"),
        of("pumphouse_plan_savings_percent"),
    );
    assert!((0.0..1.0).contains(&gap_pct), "{gap_pct}");
    assert!((-50.0..50.0).contains(&saved_pct), "{saved_pct}");
}

#[test]
fn the_daemon_is_measured() {
    let broker = free_port();
    let (folder, port) = station(&format!(
        "[mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\n[central]\nurl = \"postgres://case@127.0.0.1:{broker}/plant\"\n\
         [notify]\ncommand = [\"true\"]\n"
    ));
    let mut tape = folder.tape_until(30, 60);
    let (_daemon, client) = open(&folder, port);
    wait_for_row(&client);
    trip(&client, &mut tape);
    let metrics = until("the alarm is counted", || {
        let answer = client.get("/metrics");
        assert_eq!(answer.status, 200, "{}", answer.body);
        (figure(
            &answer.body,
            "pumphouse_alarms{severity=\"critical\",state=\"unacknowledged\"}",
        ) >= Some(1.0))
        .then_some(answer.body)
    });
    let of = |name: &str| figure(&metrics, name).unwrap_or_else(|| panic!("{name}: {metrics}"));
    assert!((3000.0..3900.0).contains(&of("pumphouse_sample_age_seconds")));
    // The broker is not there. What is told is old, but has not waited for long.
    assert!(of("pumphouse_outbox_rows{target=\"mqtt\"}") >= 1.0);
    assert!((0.0..600.0).contains(&of("pumphouse_outbox_age_seconds{target=\"mqtt\"}")));
    assert_eq!(of("pumphouse_dropped_rows{target=\"calls\"}"), 0.0);
    until("the call is taken", || {
        let metrics = client.get("/metrics").body;
        let age_s = figure(&metrics, "pumphouse_outbox_age_seconds{target=\"calls\"}");
        (age_s == Some(0.0)).then_some(())
    });
    for (name, expected) in [
        ("pumphouse_disk_reserve_lacking", 0.0),
        ("pumphouse_disk_beyond_budget", 0.0),
        ("pumphouse_purged_rows", 0.0),
        (
            "pumphouse_alarms{severity=\"critical\",state=\"shelved\"}",
            0.0,
        ),
        (
            "pumphouse_alarms{severity=\"info\",state=\"out_of_service\"}",
            0.0,
        ),
    ] {
        assert_eq!(of(name), expected, "{name}");
    }
    assert!((0.0..100.0).contains(&of("pumphouse_disk_used_percent")));
    assert!(of("pumphouse_records_total{result=\"kept\"}") >= 30.0 * 27.0);
    assert_eq!(of("pumphouse_records_total{result=\"rejected\"}"), 0.0);
    assert!(of("pumphouse_commit_seconds_count") >= 1.0 && of("pumphouse_step_seconds_sum") > 0.0);
    // Reading, rules, broker and central office are watched, each by its own deadline.
    for (part, deadline_s) in [
        ("ingest", 120.0),
        ("alarm", 120.0),
        ("publish", 300.0),
        ("sync", 900.0),
    ] {
        let due_s = of(&format!(
            "pumphouse_watchdog_due_seconds{{part=\"{part}\"}}"
        ));
        assert!(due_s > 0.0 && due_s < deadline_s + 60.0, "{part}: {due_s}");
    }
    for positive in [
        "pumphouse_store_bytes",
        "pumphouse_disk_free_bytes",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_written_bytes_total",
        "pumphouse_disk_days_left",
    ] {
        assert!(of(positive) > 0.0, "{positive}");
    }
    // The example's rules ask for figures that there are.
    let rules = include_str!("../docs/prometheus-alerts.yml");
    let words = rules.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let asked: Vec<_> = words.filter(|it| it.starts_with("pumphouse_")).collect();
    assert!(asked.len() > 5);
    for name in asked {
        assert!(
            metrics.contains(&format!(
                "# TYPE {}",
                name.trim_end_matches("_sum").trim_end_matches("_count")
            )),
            "{name}"
        );
    }
    // Each figure is explained once, before its values.
    let names: Vec<&str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP "))
        .collect();
    let types = metrics
        .lines()
        .filter(|line| line.starts_with("# TYPE "))
        .count();
    assert_eq!(names.len(), types);
}

#[test]
fn what_is_done_on_the_page_goes_the_way_of_the_panels() {
    let mosquitto = Mosquitto::start();
    let (folder, port) = station(&format!(
        "[alerts]\nshelve_max_h = 2\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n",
        mosquitto.port
    ));
    let mut tape = folder.tape(60);
    let panel = Panel::connect(mosquitto.port);
    let (_daemon, mut client) = open(&folder, port);
    let alert = trip(&client, &mut tape);
    client.take_token();
    let session = client.get("/api/v1/session").json();
    assert_eq!(session["shelve_max_h"], 2.0, "the page offers no more");
    let act =
        |verb: &str, body: Value| client.post(&format!("/api/v1/alerts/{alert}/{verb}"), &body);
    refused(&act("ack", json!({})), 400, "user is missing");
    assert_eq!(
        act("ack", json!({ "user": "op", "comment": "on my way" })).status,
        200
    );
    refused(
        &act("ack", json!({ "user": "other" })),
        409,
        "op has acknowledged it",
    );
    let state = panel.wait_for("pumphouse/v1/case/alerts/B-01/P2", |message| {
        let state =
            (message.topic == "pumphouse/v1/case/alerts/B-01/P2").then(|| message.json())?;
        (state["state"] == "acknowledged").then_some(state)
    });
    assert_eq!(state["acknowledged_by"], "op");
    refused(
        &act("shelve", json!({ "user": "op" })),
        409,
        "comment is missing",
    );
    let until_ts = Clock::Wall.now_s() + 3600;
    refused(
        &act(
            "shelve",
            json!({ "user": "op", "comment": "x", "until": until_ts + 86_400 }),
        ),
        409,
        "at most 2 h",
    );
    assert_eq!(
        act(
            "shelve",
            json!({ "user": "op", "comment": "known", "until": until_ts })
        )
        .status,
        200
    );
    let told = client.get(&format!("/api/v1/alerts/{alert}")).json();
    assert_eq!(
        (&told["state"], &told["held_by"]),
        (&"shelved".into(), &"op".into())
    );
    let actions: Vec<_> = told["journal"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| it["action"].clone())
        .collect();
    assert_eq!(actions, ["raised", "acknowledged", "shelved"]);
    assert_eq!(
        client.get("/api/v1/alarms/held").json()["held"][0]["comment"],
        "known"
    );
    assert_eq!(
        client.get("/api/v1/alerts?state=held").json()["alerts"][0]["event_id"],
        alert.as_str()
    );
    assert_eq!(act("unshelve", json!({ "user": "op" })).status, 200);
    refused(
        &act("explode", json!({ "user": "op" })),
        404,
        "not done to alerts",
    );
}

#[test]
fn other_pages_of_the_browser_are_kept_out() {
    let (folder, port) = station("");
    let mut tape = folder.tape(60);
    let (_daemon, mut client) = open(&folder, port);
    let alert = trip(&client, &mut tape);
    let path = format!("/api/v1/alerts/{alert}/ack");
    let body = json!({ "user": "evil" });
    refused(&client.post(&path, &body), 403, "CSRF");
    client.take_token();
    client.set("origin", "http://evil.example");
    refused(&client.post(&path, &body), 403, "own page");
    client.set("origin", &format!("http://127.0.0.1:{port}"));
    client.set("sec-fetch-site", "cross-site");
    refused(&client.post(&path, &body), 403, "own page");
    client.set("sec-fetch-site", "same-origin");
    client.set("host", "rebound.example");
    assert_eq!(
        client.get("/api/v1/now").status,
        421,
        "a strange name for this machine"
    );
    client.set("host", &format!("localhost:{port}"));
    client.set("origin", &format!("http://localhost:{port}"));
    assert_eq!(client.post(&path, &body).status, 200);
}

fn log_in(client: &mut Client, user: &str, password: &str) -> Answer {
    let answer = client.post("/login", &json!({ "user": user, "password": password }));
    if answer.status == 200 {
        let cookie = answer.header("set-cookie").to_owned();
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"),
            "{cookie}"
        );
        client.set("cookie", cookie.split(';').next().expect("a cookie"));
        client.take_token();
    }
    answer
}

/// A station whose dashboard has a password file, which is still to be written.
fn station_with_passwords() -> (Folder, u16, PathBuf) {
    let (folder, port) = station("");
    let config = fs::read_to_string(folder.config()).expect("the config");
    fs::write(
        folder.config(),
        format!("{config}password_file = \"passwords\"\n"),
    )
    .expect("written");
    let passwords = folder.config().with_file_name("passwords");
    (folder, port, passwords)
}

#[test]
fn with_passwords_viewers_look_on_and_operators_act() {
    let (folder, port, passwords) = station_with_passwords();
    let viewer = binary::password_line(&folder.exports(), "vera", "viewer", "looking glass");
    let operator = binary::password_line(&folder.exports(), "olaf", "operator", "turning wheel");
    fs::write(&passwords, format!("{viewer}{operator}")).expect("written");
    let mut tape = folder.tape(60);
    let (mut daemon, mut nobody) = open(&folder, port);
    refused(&nobody.get("/api/v1/now"), 401, "log in");
    let page = nobody.get("/");
    assert_eq!((page.status, page.header("location")), (303, "/login"));
    assert_eq!(nobody.get("/login").status, 200);
    refused(&log_in(&mut nobody, "vera", "wrong glass"), 403, "wrong");

    // From this machine, or with a name and a password.
    assert_eq!(nobody.get("/metrics").status, 200);
    let mut scraper = Client::new(port);
    scraper.set("host", "station.example");
    assert_eq!(scraper.get("/metrics").status, 401);
    for (pair, status) in [("vera:wrong glass", 401), ("vera:looking glass", 200)] {
        let shown = format!("Basic {}", BASE64_STANDARD.encode(pair));
        scraper.set("authorization", &shown);
        assert_eq!(scraper.get("/metrics").status, status, "{pair}");
    }

    let mut vera = Client::new(port);
    assert_eq!(log_in(&mut vera, "vera", "looking glass").status, 200);
    let alert = trip(&vera, &mut tape);
    let path = format!("/api/v1/alerts/{alert}/ack");
    refused(
        &vera.post(&path, &json!({ "user": "olaf" })),
        403,
        "role operator",
    );
    let mut olaf = Client::new(port);
    assert_eq!(log_in(&mut olaf, "olaf", "turning wheel").status, 200);
    assert_eq!(
        olaf.post(&path, &json!({ "user": "somebody else" })).status,
        200
    );
    let told = olaf.get(&format!("/api/v1/alerts/{alert}")).json();
    assert_eq!(
        told["acknowledged_by"], "olaf",
        "who is logged in counts, not who is named"
    );

    // A log-in outlives the daemon; the store knows only the hash of its token.
    daemon.terminate();
    let _daemon = folder.run();
    let olaf = Client::new(port).wait().like(&olaf);
    assert_eq!(olaf.get("/api/v1/session").json()["user"], "olaf");
    let cookie = olaf
        .headers
        .iter()
        .find(|(name, _)| name == "cookie")
        .expect("a cookie");
    let token = cookie
        .1
        .split_once('=')
        .expect("a pair")
        .1
        .as_bytes()
        .to_vec();
    let store = fs::read(folder.store()).expect("the store");
    assert!(!store.windows(token.len()).any(|bytes| bytes == token));

    // Whoever is struck off is out at once.
    fs::write(&passwords, &viewer).expect("written");
    until("olaf is out", || {
        (olaf.get("/api/v1/now").status == 401).then_some(())
    });
    let vera = Client::new(port).like(&vera);
    assert_eq!(vera.get("/api/v1/now").status, 200);
    assert_eq!(vera.post("/logout", &json!({})).status, 204);
    assert_eq!(vera.get("/api/v1/now").status, 401);
}

#[test]
fn a_password_file_that_cannot_be_read_is_told_until_it_can() {
    let (folder, port, passwords) = station_with_passwords();
    fs::write(
        &passwords,
        binary::password_line(&folder.exports(), "olaf", "operator", "turning wheel"),
    )
    .expect("written");
    let allow = |mode| {
        fs::set_permissions(&passwords, fs::Permissions::from_mode(mode)).expect("its mode");
    };
    allow(0o000);
    let _daemon = folder.run_bound_by_permissions();
    let mut client = Client::new(port).wait();
    let trouble = || {
        let (done, told) = folder.verb(&["status", "--json"]);
        assert!(done, "{told}");
        let report: Value = serde_json::from_str(&told).expect("a report");
        report["web"]["trouble"]["cause"]
            .as_str()
            .map(str::to_owned)
    };
    let told = until("it is told", trouble);
    assert!(told.contains("passwords: Permission denied"), "{told}");
    let (_, told) = folder.verb(&["doctor"]);
    assert!(
        told.contains("!!  dashboard") && told.contains("chgrp pumphouse"),
        "{told}"
    );
    refused(&log_in(&mut client, "olaf", "turning wheel"), 403, "wrong");

    // That does not change the file.
    allow(0o600);
    assert_eq!(log_in(&mut client, "olaf", "turning wheel").status, 200);
    until("it is over", || trouble().is_none().then_some(()));
    let (_, told) = folder.verb(&["doctor"]);
    assert!(told.contains("ok  dashboard"), "{told}");
}

#[test]
fn guessing_passwords_has_to_wait() {
    let (folder, port) = station("");
    let config = fs::read_to_string(folder.config()).expect("the config");
    fs::write(
        folder.config(),
        format!("{config}password_file = \"passwords\"\n"),
    )
    .expect("written");
    fs::write(
        folder.config().with_file_name("passwords"),
        binary::password_line(&folder.exports(), "olaf", "operator", "turning wheel"),
    )
    .expect("written");
    let (_daemon, mut client) = open(&folder, port);
    for attempt in 0..5 {
        assert_eq!(
            log_in(&mut client, "olaf", &format!("guess {attempt}")).status,
            403
        );
    }
    let answer = log_in(&mut client, "olaf", "turning wheel");
    refused(&answer, 429, "try again in");
    assert!(
        answer
            .header("retry-after")
            .parse::<u64>()
            .is_ok_and(|wait_s| wait_s <= 61)
    );
}

#[test]
fn the_network_is_served_with_passwords_and_tls_or_not_at_all() {
    let folder = Folder::new("web-tls");
    let port = free_port();
    folder.configure("[web]\nlisten = \"0.0.0.0:0\"\n");
    let output = binary::run(
        &folder.exports(),
        &[
            "check",
            "--config",
            folder.config().to_str().expect("a name"),
        ],
    );
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("needs password_file"));

    let authority = Authority::new();
    let ServerCertificate { certificate, key } = authority.server(&["localhost"]);
    fs::write(
        folder.config().with_file_name("passwords"),
        binary::password_line(&folder.exports(), "olaf", "operator", "turning wheel"),
    )
    .expect("written");
    let config = |key: &Path| {
        folder.configure(&format!(
            "[web]\nlisten = \"0.0.0.0:{port}\"\npassword_file = \"passwords\"\ntls_cert_file = {certificate:?}\ntls_key_file = {key:?}\n"
        ));
    };
    config(&key);
    pumphouse::app::choose_crypto();
    let roots = ureq::tls::parse_pem(&fs::read(authority.file()).expect("read"))
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect::<Vec<_>>();
    let tls = ureq::tls::TlsConfig::builder()
        .root_certs(ureq::tls::RootCerts::Specific(Arc::new(roots)))
        .build();
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .tls_config(tls)
        .build()
        .new_agent();
    let daemon = folder.run();
    let mut client = Client::with(agent, format!("https://localhost:{port}")).wait();
    let answer = log_in(&mut client, "olaf", "turning wheel");
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.header("set-cookie").contains("; Secure"));
    assert!(!answer.header("strict-transport-security").is_empty());
    assert_eq!(client.get("/api/v1/now").status, 200);

    let ServerCertificate { key: another, .. } = authority.server(&["elsewhere"]);
    config(&another);
    daemon.hang_up();
    daemon.wait_for_log("the changed config is not used");
    assert!(daemon.log().contains("does not fit its key"));
    assert_eq!(client.get("/api/v1/now").status, 200, "what there is stays");
}
