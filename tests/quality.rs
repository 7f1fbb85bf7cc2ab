//! What the days' data are worth, by the daemon: judged when they are over, and again when late rows have come.

mod common;

use std::fs;

use common::{station::Folder, waiting::until};
use serde_json::{Value, json};

fn report(folder: &Folder) -> Vec<Value> {
    let (is_fine, text) = folder.verb(&["quality", "--json"]);
    assert!(is_fine, "{text}");
    serde_json::from_str(&text).expect("a report")
}

#[test]
fn days_are_judged_and_judged_again_when_late_rows_or_values_come() {
    let folder = Folder::new("quality");
    folder.configure("");
    folder.simulate(5);
    let files = folder.files();
    // One day, nothing was exported.
    let silent = fs::read(&files[3]).expect("a day");
    fs::remove_file(&files[3]).expect("removed");
    let whole = fs::read(&files[1]).expect("a day");
    // Of another day one tag comes late.
    let other = fs::read_to_string(&files[2]).expect("a day");
    let is_late = |line: &&str| line.split(',').nth(2) == Some("16");
    let lines = |are_late: bool| -> String {
        let header = other.lines().take(usize::from(are_late));
        let chosen = other.lines().filter(|line| is_late(line) == are_late);
        header
            .chain(chosen)
            .map(|line| format!("{line}\n"))
            .collect()
    };
    fs::write(&files[2], lines(false)).expect("written");
    let half = whole.len() / 2;
    let half = half
        + whole[half..]
            .iter()
            .position(|&byte| byte == b'\n')
            .expect("a line")
        + 1;
    fs::write(&files[1], &whole[..half]).expect("written");

    let mut daemon = folder.run();
    folder.wait_until_read();
    let judged = |days: usize| {
        let report = report(&folder);
        (report.len() == days).then_some(report)
    };
    let before = until("all days are judged", || judged(5));
    let day = &before[1];
    assert_eq!(day["date"], "2025-03-02");
    assert!(day["rows"].as_i64().expect("rows") < 800, "{day}");
    let (_, text) = folder.verb(&["quality"]);
    assert!(text.contains("of 1440 minutes have no row"), "{text}");
    let (_, status) = folder.verb(&["status"]);
    assert!(status.contains("quality  2025-03-05: "), "{status}");
    assert_eq!(before[3]["date"], "2025-03-04");
    assert_eq!(before[3]["rows"], 0);
    let findings = &before[3]["findings"];
    assert_eq!(*findings, json!(["1440 of 1440 minutes have no row"]));

    let values_pct = |report: &[Value]| report[2]["values_pct"].as_f64().expect("a share");
    assert!(values_pct(&before) < 97.0, "{}", before[2]);

    daemon.terminate();
    fs::write(&files[1], &whole).expect("written");
    fs::write(&files[3], &silent).expect("written");
    folder.write("late.csv", lines(true).as_bytes());
    // The next look is in an hour, or at the next start.
    let mut daemon = folder.run();
    folder.wait_until_read();
    daemon.terminate();
    let _daemon = folder.run();
    let after = until("the days are judged again", || {
        let report = report(&folder);
        let is_judged = |day: usize| report[day]["rows"].as_i64() > Some(1300);
        (is_judged(1) && is_judged(3)).then_some(report)
    });
    let kept = folder.query("SELECT count(*) FROM readings_wide WHERE date = '2025-03-02'");
    assert_eq!(after[1]["rows"].to_string(), kept);
    assert_eq!(after[2]["rows"], before[2]["rows"]);
    assert!(values_pct(&after) > 99.0, "{}", after[2]);
}
