//! Which pumps run: now, at a moment, and since when.

use super::{
    Understood,
    asked::Asked,
    dates::{told_minute, told_text},
    say::{self, Cells},
};
use crate::{
    assistant::Show,
    calendar::text,
    tags::{PUMPS, pump_name},
};

/// The newest row.
pub(super) const NEWEST: &str = "ts = (SELECT max(ts) FROM readings_wide)";

/// Which pumps run, or whether one does.
pub(super) fn running(asked: &Asked, moment: Option<i64>) -> Option<Understood> {
    let words = &asked.words;
    let runs = words.any(
        "running, run, on, operating, active, working, in operation, off, idle, stopped, standing, \
         switched on, started",
    );
    let how = words.any("how long, since when");
    if how && runs && moment.is_none() {
        return asked.one_pump().map(running_since);
    }
    let of_pumps = asked.pumps.len() == 1
        || asked.pumps.is_empty() && words.any("pump, which, what, anything");
    let other = asked.measure().is_some_and(|measure| {
        !matches!(measure.column, "run_min" | "pumps_on" | "starts" | "stops")
    });
    let fits = runs && of_pumps && !other && asked.rank.is_none() && asked.fold.is_none() && !how;
    let asks = words.begins(&["is", "are", "was", "were"])
        || words.any("which, what, how many pump, show, list, state");
    if !fits || !asks || words.any("when, how often, how many start, total, number of start") {
        return None;
    }
    let columns: Vec<String> = (0..PUMPS)
        .map(|pump| pump_name(pump).to_lowercase() + "_onoff")
        .collect();
    let at = match moment {
        Some(minute) => format!(
            "ts BETWEEN unixepoch('{at}') - 86400 AND unixepoch('{at}') + 86400 AND timestamp = '{at}' ORDER BY ts LIMIT 1",
            at = text(minute)
        ),
        None => NEWEST.into(),
    };
    let sql = format!(
        "SELECT timestamp, {}, pumps_on_count FROM readings_wide WHERE {at}",
        columns.join(", ")
    );
    let one = asked.one_pump();
    let off = words.any("off, idle, stopped, standing, not running");
    Some(Understood::new(
        sql,
        if one.is_some() {
            Show::Sentence
        } else {
            Show::Table
        },
        move |rows| {
            if rows.rows.is_empty() {
                return match moment {
                    Some(minute) => format!("There is no row for {}.", told_minute(minute)),
                    None => "There are no data yet.".into(),
                };
            }
            let at = told_text(rows.text(0, "timestamp"));
            let is_on = |pump: usize| rows.number(0, &columns[pump]).map(|on| on == 1.0);
            let (verb, plural) = if moment.is_some() {
                ("was", "were")
            } else {
                ("is", "are")
            };
            if let Some(pump) = one {
                return match is_on(pump) {
                    Some(on) => {
                        let not = if on { "" } else { " not" };
                        let yes = if on != off { "Yes" } else { "No" };
                        format!("{yes}: {} {verb}{not} running at {at}.", pump_name(pump))
                    }
                    None => format!(
                        "Whether {} {verb} running at {at} is not known.",
                        pump_name(pump)
                    ),
                };
            }
            let found: Vec<String> = (0..PUMPS)
                .filter(|pump| is_on(*pump) == Some(!off))
                .map(|pump| pump_name(pump).into())
                .collect();
            let doing = if off { "standing still" } else { "running" };
            match found.len() {
                0 => format!("No pump {verb} {doing} at {at} (0 of 6)."),
                1 => format!("{} {verb} {doing} at {at} (1 of 6).", found[0]),
                count => format!(
                    "{} {plural} {doing} at {at} ({count} of 6).",
                    say::list(&found)
                ),
            }
        },
    ))
}

/// Since when a pump runs, or when it last did.
pub(super) fn running_since(pump: usize) -> Understood {
    let name = pump_name(pump);
    let sql = format!(
        "SELECT start_time, end_time, status, duration_min, \
         (SELECT max(ts) FROM readings_wide) / 60 - start_ts / 60 AS minutes FROM pump_sessions WHERE pump = '{name}' ORDER BY id DESC LIMIT 1"
    );
    Understood::sentence(sql, move |rows| {
        let start = told_text(rows.text(0, "start_time"));
        match (
            rows.text(0, "status"),
            rows.number(0, "minutes"),
            rows.number(0, "duration_min"),
        ) {
            ("running", Some(minutes), _) => format!(
                "{name} has been running for {}, since {start}.",
                say::span(minutes)
            ),
            ("completed", _, Some(minutes)) => {
                format!(
                    "{name} is not running; it last ran for {}, until {}.",
                    say::span(minutes),
                    told_text(rows.text(0, "end_time"))
                )
            }
            _ => format!("{name} has never run."),
        }
    })
}
