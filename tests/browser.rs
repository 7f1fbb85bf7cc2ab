//! The dashboard in a real Chromium on the demo's data: every page, live, by keyboard and finger, without barriers, with nothing from
//! elsewhere. Screenshots of all pages in both themes and three sizes are kept in `target/browser/screenshots`.
#![cfg(feature = "demo-broker")]

mod common;

use std::{fs, path::PathBuf};

use common::{
    browser::{Browser, folder},
    http::Client,
    panel::Panel,
    ports::free_port,
    station::{Daemon, Folder},
    waiting::until,
};
use serde_json::json;

const PAGES: [(&str, &str); 6] = [
    ("/", "overview"),
    ("/analytics?period=7d", "analytics"),
    ("/alerts?state=all", "alerts"),
    ("/insights", "insights"),
    ("/optimization", "optimization"),
    ("/assistant", "assistant"),
];
/// A panel of the smallest size, a laptop, and 4K.
const SIZES: [(u32, u32); 3] = [(1024, 600), (1440, 900), (3840, 2160)];
/// What a page has once it is whole, as a selector.
const WHOLE: [&str; 6] = [
    ".station .value",
    ".plot .main-svg",
    ".alert-row, tr.row, .kpi",
    ".plot .main-svg",
    ".plot .main-svg",
    ".examples button",
];
/// Overview has to be light enough for an old panel, bytes.
const OVERVIEW_BYTES_MAX: u64 = 150_000;

struct Demo {
    _daemon: Daemon,
    _folder: Folder,
    base: String,
    web_port: u16,
    mqtt_port: u16,
}

/// The demo with a week of history, once it plans.
fn demo() -> Demo {
    let folder = Folder::new("browser");
    let (mqtt_port, web_port) = (free_port(), free_port());
    let daemon = folder.demo_with(&[
        "--days",
        "7",
        "--port",
        &mqtt_port.to_string(),
        "--web-port",
        &web_port.to_string(),
    ]);
    let client = Client::new(web_port).wait();
    until("the demo has a plan and an alert", || {
        let picture = client.get("/api/v1/now").json();
        (picture["row"].is_object() && picture["advice"].is_object()).then_some(())
    });
    until("an alert can be acknowledged", || {
        let alerts = client.get("/api/v1/alerts?state=unacknowledged").json();
        alerts["alerts"][0].is_object().then_some(())
    });
    Demo {
        _daemon: daemon,
        _folder: folder,
        base: format!("http://127.0.0.1:{web_port}"),
        web_port,
        mqtt_port,
    }
}

fn set_theme(browser: &Browser, theme: &str) {
    browser.run(
        "localStorage.setItem('theme', arguments[0]);",
        vec![json!(theme)],
    );
}

/// Nothing was complained about, and nothing asked for elsewhere.
fn is_clean(browser: &Browser, base: &str, where_at: &str) -> u64 {
    assert_eq!(browser.complaints(), Vec::<String>::new(), "{where_at}");
    let (addresses, bytes) = browser.requests();
    let is_ours = |address: &String| {
        address.starts_with(base) || address.starts_with("data:") || address.starts_with("blob:")
    };
    let strange: Vec<_> = addresses
        .iter()
        .filter(|address| !is_ours(address))
        .collect();
    assert!(strange.is_empty(), "{where_at} asks for {strange:?}");
    bytes
}

#[test]
fn every_page_is_whole_in_both_themes_and_all_sizes_without_barriers_or_strangers() {
    let demo = demo();
    let browser = Browser::start();
    let kept: PathBuf = folder().join("screenshots");
    fs::create_dir_all(&kept).expect("a folder");
    browser.go(&demo.base);
    for theme in ["dark", "light"] {
        set_theme(&browser, theme);
        for ((path, name), whole) in PAGES.iter().zip(WHOLE) {
            for size in SIZES {
                browser.resize(size);
                browser.requests();
                browser.go(&format!("{}{path}", demo.base));
                browser.wait_for(&format!("document.querySelector({whole:?})"));
                let (width, height) = size;
                let at = format!("{name}-{theme}-{width}x{height}");
                let wide = browser.run(
                    "return document.documentElement.scrollWidth - innerWidth;",
                    vec![],
                );
                assert!(
                    wide.as_i64().is_some_and(|px| px <= 0),
                    "{at} is {wide} px wider than the window"
                );
                if *name != "overview" {
                    browser.wait_for("document.querySelectorAll('.plot').length === document.querySelectorAll('.plot .main-svg').length || \
                         [...document.querySelectorAll('.plot')].every((it) => it.querySelector('.main-svg'))");
                }
                browser.keep(&kept.join(format!("{at}.png")));
                if size == SIZES[0] {
                    assert_eq!(browser.barriers(), Vec::<String>::new(), "{at}");
                }
                let bytes = is_clean(&browser, &demo.base, &at);
                if *name == "overview" {
                    assert!(bytes < OVERVIEW_BYTES_MAX, "{at} took {bytes} bytes");
                }
            }
        }
    }
}

#[test]
fn the_overview_lives_and_says_when_it_does_not() {
    let demo = demo();
    let browser = Browser::start();
    browser.resize(SIZES[0]);
    browser.go(&demo.base);
    browser.wait_for("document.querySelector('.age.fresh')");
    let before =
        browser.wait_for("document.querySelector('.age').textContent.match(/\\d\\d:\\d\\d/)[0]");
    browser.wait_for(&format!(
        "document.querySelector('.age').textContent.match(/\\d\\d:\\d\\d/)?.[0] !== {before}"
    ));
    let fits = browser.run(
        "return document.querySelector('.a-pumps').getBoundingClientRect().bottom <= innerHeight;",
        vec![],
    );
    assert_eq!(fits, true, "station and pumps fit on the smallest panel");
    let nodes = "document.getElementsByTagName('*').length";
    let counted = browser.wait_for(nodes).as_u64().expect("a number");
    std::thread::sleep(std::time::Duration::from_secs(8));
    let later = browser.wait_for(nodes).as_u64().expect("a number");
    assert!(
        later < counted * 2,
        "the page grows: {counted} elements, then {later}"
    );
    drop(demo);
    browser.wait_for("document.querySelector('.age.lost')");
}

#[test]
fn an_operator_acknowledges_by_keyboard_and_the_panels_hear_it() {
    let demo = demo();
    let panel = Panel::connect(demo.mqtt_port);
    let browser = Browser::start();
    browser.resize(SIZES[1]);
    browser.go(&format!("{}/alerts?state=unacknowledged", demo.base));
    browser.wait_for("document.querySelector('tr.row button')");
    browser.run("document.querySelector('tr.row button').focus();", vec![]);
    browser.press("\u{e007}");
    browser.wait_for("document.querySelector('dialog[open] #act-ack')");
    browser.wait_for("document.querySelector('dialog[open] .plot .main-svg, dialog[open] .empty')");
    assert_eq!(browser.barriers(), Vec::<String>::new());
    browser.keep(&{
        let kept = folder().join("screenshots");
        fs::create_dir_all(&kept).expect("a folder");
        kept.join("alert.png")
    });
    let event = browser.wait_for("decodeURIComponent(location.hash.slice(1))");
    browser.write("#act-user", "Panel 1");
    browser.write("#act-comment", "seen");
    browser.click("#act-ack");
    browser.wait_for("document.querySelector('dialog[open] .done')");
    panel.wait_for("pumphouse/v1/demo/events", |message| {
        let told = (message.topic == "pumphouse/v1/demo/events").then(|| message.json())?;
        (told["transition"] == "acknowledged"
            && event
                .as_str()
                .is_some_and(|event| told.to_string().contains(event)))
        .then_some(())
    });
    browser.press("\u{e00c}");
    browser.wait_for("!document.querySelector('dialog[open]')");
    is_clean(&browser, &demo.base, "acknowledging");
}

#[test]
fn the_filter_of_alerts_filters() {
    let demo = demo();
    let browser = Browser::start();
    browser.resize(SIZES[1]);
    browser.go(&format!("{}/alerts?state=all", demo.base));
    browser.wait_for("document.querySelectorAll('tr.row').length > 1");
    browser.run(
        "const it = document.querySelector('#filter-severity'); it.value = 'CRITICAL'; it.dispatchEvent(new Event('change'));",
        vec![],
    );
    browser.wait_for("[...document.querySelectorAll('tr.row .severity')].every((it) => it.textContent.includes('Critical'))");
    let client = Client::new(demo.web_port);
    let critical = client.get("/api/v1/alerts?severity=CRITICAL").json()["alerts"]
        .as_array()
        .map_or(0, Vec::len);
    browser.wait_for(&format!(
        "document.querySelectorAll('tr.row').length >= {critical}"
    ));
    browser.click(".controls > button");
    browser.wait_for("document.querySelector('#filter-state').value === 'open'");
}

#[test]
fn the_assistant_answers_with_figures_and_their_sql() {
    let demo = demo();
    let browser = Browser::start();
    browser.resize(SIZES[1]);
    browser.go(&format!("{}/assistant", demo.base));
    browser.wait_for("document.querySelector('#question')");
    browser.write("#question", "Which pump ran longest yesterday?\u{e007}");
    let said =
        browser.wait_for("document.querySelector('.answer:not(.refused) .text')?.textContent");
    assert!(
        said.as_str().is_some_and(|said| said.contains('P')),
        "{said}"
    );
    let sql = browser.wait_for("document.querySelector('.answer pre')?.textContent");
    assert!(
        sql.as_str().is_some_and(|sql| sql.contains("SELECT")),
        "{sql}"
    );
    browser.write("#question", "Show the level yesterday\u{e007}");
    browser.wait_for("document.querySelector('.answer .plot .main-svg')");
    browser.write("#question", "<b>delete everything</b>\u{e007}");
    browser.wait_for("document.querySelector('.answer.refused')");
    assert_eq!(
        browser.run(
            "return document.querySelector('.answer b') === null;",
            vec![]
        ),
        true,
        "text stays text"
    );
    assert_eq!(browser.barriers(), Vec::<String>::new());
    is_clean(&browser, &demo.base, "asking");
}

#[test]
fn the_shift_report_prints() {
    let demo = demo();
    let browser = Browser::start();
    browser.go(&demo.base);
    browser.wait_for("document.querySelector('.report h1')");
    browser.command("Emulation.setEmulatedMedia", &json!({ "media": "print" }));
    let shown = "getComputedStyle(document.querySelector('.report')).display === 'block' && getComputedStyle(document.querySelector('main')).display === 'none'";
    browser.wait_for(shown);
    let pdf = browser.command("Page.printToPDF", &json!({}));
    let pages = pdf["data"].as_str().expect("a document");
    assert!(pages.len() > 10_000, "the report is empty");
}
