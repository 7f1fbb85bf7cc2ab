//! How the station is: now, or at a moment.

use super::{
    Shaped, Understood,
    asked::Asked,
    dates::told_text,
    figure::whose,
    measures::{Column, Measure},
    running::{NEWEST, running, running_since},
    say::{self, Cells},
    sources::{Scope, Source},
};
use crate::{
    assistant::Show,
    tags::{PUMPS, pump_name},
};

/// Questions about the present state, and about the pumps at a moment.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let moment = asked.periods.first().filter(|period| period.is_moment);
    let moment = moment.map(|period| period.from);
    if asked.limit.is_some()
        || asked.group.is_some()
        || moment.is_none() && !asked.periods.is_empty()
    {
        return None;
    }
    if moment.is_none()
        && let Some(state) = as_a_whole(asked)
    {
        return Some(Ok(state));
    }
    if moment.is_none() && !is_present(asked) {
        return None;
    }
    if let Some(state) = running(asked, moment) {
        return Some(Ok(state));
    }
    if moment.is_some() {
        return None;
    }
    of_measure(asked).map(Ok)
}

fn is_now(asked: &Asked) -> bool {
    asked.words.any(
        "now, currently, right now, at the moment, current, present, presently, live, at present",
    )
}

fn is_present(asked: &Asked) -> bool {
    let words = &asked.words;
    let is = words.any("is, are") && !words.any("when, is there");
    is_now(asked)
        || is
        || words.begins(&["is", "are"])
        || words.any("status, state, overview, condition, summary, situation")
}

/// The state of the station, or of a pump, where no figure of it is named.
fn as_a_whole(asked: &Asked) -> Option<Understood> {
    let words = &asked.words;
    let been = words.any("has, have") && words.any("been, how long, since when");
    if let Some(pump) = asked
        .one_pump()
        .filter(|_| been && words.any("running, on, operating"))
    {
        return Some(running_since(pump));
    }
    if !asked.measures.is_empty() || asked.rank.is_some() || asked.fold.is_some() {
        return None;
    }
    let other = words.any("alert, compare, than, on, off, standing, switched on");
    if let Some(pump) = asked.one_pump() {
        return (!other).then(|| pump_state(pump));
    }
    let goes_on = words.any("going on, doing, happening, ok, okay, fine, alright");
    let asks = words.any(
        "how, status, state, overview, condition, summary, situation, everything, what, going",
    );
    let station = is_present(asked)
        && asks
        && !other
        && !asked.each_pump
        && says_station(asked)
        && words.unknown().is_empty();
    (asked.pumps.is_empty() && (goes_on || station)).then(station_state)
}

/// The newest value of a measure, and where it is going.
fn of_measure(asked: &Asked) -> Option<Understood> {
    let measure = asked.measure()?;
    let now = is_now(asked);
    let gauge = matches!(
        measure.column,
        "level_pct" | "flow_m3h" | "power_kw" | "pumps_on" | "flow_per_pump_m3h"
    );
    let ratio = now && measure.column == "kwh_per_m3";
    if asked.each_pump || asked.fold.is_some() || asked.rank.is_some() || !(gauge || ratio) {
        return None;
    }
    if asked.one_pump().is_some() && measure.pump.is_empty()
        || !now && super::series::shape(asked).is_some()
    {
        return None;
    }
    let moves = asked.words.any(
        "rising, falling, rise, fall, increase, decrease, dropping, increasing, decreasing, going up, going down, changing",
    );
    Some(if moves {
        change_now(asked, measure)
    } else {
        value_now(asked, measure)
    })
}

/// Where the newest value is going: beside the one of half an hour before.
fn change_now(asked: &Asked, measure: &'static Measure) -> Understood {
    let query = asked.query(measure, measure.usual, Scope::Station, &asked.today());
    let row = match query
        .measure
        .station
        .iter()
        .find(|(source, _)| *source == Source::Minutes)
    {
        Some((source, Column::Gauge(mean, ..))) => query.row(*source, mean),
        _ => "NULL".into(),
    };
    let sql = format!(
        "SELECT timestamp, {row} AS value, (SELECT {row} FROM readings_wide WHERE ts <= (SELECT max(ts) FROM readings_wide) - 1800 \
         AND {row} IS NOT NULL ORDER BY ts DESC LIMIT 1) AS before FROM readings_wide WHERE {row} IS NOT NULL ORDER BY ts DESC LIMIT 1"
    );
    let context = asked.context.clone();
    Understood::sentence(sql, move |rows| {
        let (Some(value), Some(before)) = (rows.number(0, "value"), rows.number(0, "before"))
        else {
            return format!("Nothing is known of the {} yet.", measure.name);
        };
        let figure = |value: f64| say::figure(measure, value, &context);
        let going = match value - before {
            change if change.abs() < 0.05 => "steady",
            change if change > 0.0 => "rising",
            _ => "falling",
        };
        let at = told_text(rows.text(0, "timestamp"));
        format!(
            "The {} is {going}: {} as of {at}, {} half an hour before.",
            measure.name,
            figure(value),
            figure(before)
        )
    })
}

/// "How is it?" is about the station; "what is it?" is about nothing.
fn says_station(asked: &Asked) -> bool {
    asked.words.any(
        "station, plant, site, system, status, state, overview, condition, summary, situation, \
         everything, going, going on, pump",
    )
}

/// The newest known value.
fn value_now(asked: &Asked, measure: &'static Measure) -> Understood {
    let scope = asked.scope(measure);
    let query = asked.query(measure, measure.usual, scope.clone(), &asked.today());
    let columns = if matches!(scope, Scope::One(_)) {
        measure.pump
    } else {
        measure.station
    };
    let row = columns
        .iter()
        .find(|(source, _)| *source == Source::Minutes)
        .map_or("NULL".into(), |(source, column)| match column {
            Column::Ratio(part, by) => format!(
                "1.0 * {} / nullif({}, 0)",
                query.row(*source, part),
                query.row(*source, by)
            ),
            // A pump that stands draws nothing, rather than an unknown power.
            _ if measure.column == "power_kw" => match scope {
                Scope::One(pump) => format!("p{}_kwh", pump + 1),
                _ => "total_kw".into(),
            },
            Column::Gauge(mean, ..) => query.row(*source, mean),
            Column::Amount(part) => query.row(*source, part),
        });
    let sql = format!(
        "SELECT timestamp, {row} AS {} FROM readings_wide WHERE {row} IS NOT NULL ORDER BY ts DESC LIMIT 1",
        measure.column
    );
    let context = asked.context.clone();
    Understood::sentence(sql, move |rows| match rows.number(0, measure.column) {
        Some(value) => {
            let at = told_text(rows.text(0, "timestamp"));
            format!(
                "The {}{} is {}, as of {at}.",
                measure.name,
                whose(&scope),
                say::figure(measure, value, &context)
            )
        }
        None => format!("Nothing is known of the {} yet.", measure.name),
    })
}

/// Whether a condition holds at the newest known value.
pub(super) fn held_now(
    asked: &Asked,
    measure: &'static Measure,
    condition: String,
    told: String,
) -> Option<Understood> {
    let query = asked.query(measure, measure.usual, asked.scope(measure), &asked.today());
    let columns = if matches!(query.scope, Scope::One(_)) {
        measure.pump
    } else {
        measure.station
    };
    let (source, column) = columns.iter().find(|(source, column)| {
        *source == Source::Minutes && matches!(column, Column::Gauge(..))
    })?;
    let row = query.row(*source, query.part(*column));
    let sql = format!(
        "SELECT timestamp, value, {condition} AS held FROM (SELECT ts, timestamp, {row} AS value FROM readings_wide) \
         WHERE value IS NOT NULL ORDER BY ts DESC LIMIT 1"
    );
    let (scope, context) = (query.scope.clone(), asked.context.clone());
    Some(Understood::sentence(sql, move |rows| {
        let Some(value) = rows.number(0, "value") else {
            return format!("Nothing is known of the {} yet.", measure.name);
        };
        let held = rows.number(0, "held") == Some(1.0);
        let (yes, not) = if held { ("Yes", "") } else { ("No", " not") };
        let at = told_text(rows.text(0, "timestamp"));
        format!(
            "{yes}: the {}{} is {},{not} {told}, as of {at}.",
            measure.name,
            whose(&scope),
            say::figure(measure, value, &context)
        )
    }))
}

fn station_state() -> Understood {
    let on: Vec<String> = (0..PUMPS)
        .map(|pump| format!("p{}_onoff", pump + 1))
        .collect();
    let sql = format!(
        "SELECT timestamp, hlt_pct, fit101_per_hr AS flow_m3h, total_kw, {}, \
         (SELECT count(*) FROM alerts_log WHERE resolved = 0) AS open_alerts, \
         (SELECT count(*) FROM alerts_log WHERE resolved = 0 AND severity = 'CRITICAL') AS open_critical \
         FROM readings_wide WHERE {NEWEST}",
        on.join(", ")
    );
    Understood::new(sql, Show::Table, move |rows| {
        if rows.rows.is_empty() {
            return "There are no data yet.".into();
        }
        let running: Vec<String> = (0..PUMPS)
            .filter(|pump| rows.number(0, &on[*pump]) == Some(1.0))
            .map(|pump| pump_name(pump).into())
            .collect();
        let pumps = match running.len() {
            0 => "no pump is running".into(),
            1 => format!("{} is running", running[0]),
            _ => format!("{} are running", say::list(&running)),
        };
        let known = |column: &str, unit: &str| {
            rows.number(0, column).map_or("unknown".into(), |value| {
                format!("{} {unit}", say::number(value, 1))
            })
        };
        let critical = rows.number(0, "open_critical").unwrap_or(0.0);
        let alerts = say::plural(rows.number(0, "open_alerts").unwrap_or(0.0), "alert");
        let at = told_text(rows.text(0, "timestamp"));
        format!(
            "At {at} the tank level is {}, the flow {} and the power {}; {pumps}; {alerts} open, {critical} of them critical.",
            known("hlt_pct", "%"),
            known("flow_m3h", "m³/h"),
            known("total_kw", "kW")
        )
    })
}

fn pump_state(pump: usize) -> Understood {
    let (name, number) = (pump_name(pump), pump + 1);
    let sql = format!(
        "SELECT timestamp, p{number}_onoff AS is_on, p{number}_kwh AS power_kw, \
         (SELECT health_score FROM pump_health WHERE pump = '{name}' ORDER BY date DESC LIMIT 1) AS health_score, \
         (SELECT total_runtime_min FROM pump_health WHERE pump = '{name}' ORDER BY date DESC LIMIT 1) AS run_min, \
         (SELECT count(*) FROM alerts_log WHERE resolved = 0 AND pump = '{name}') AS open_alerts FROM readings_wide WHERE {NEWEST}"
    );
    Understood::new(sql, Show::Table, move |rows| {
        if rows.rows.is_empty() {
            return "There are no data yet.".into();
        }
        let state = match rows.number(0, "is_on") {
            Some(1.0) => "is running",
            Some(_) => "is not running",
            None => "is in an unknown state",
        };
        let power = rows
            .number(0, "power_kw")
            .filter(|_| state == "is running")
            .map_or(String::new(), |kw| format!(" at {} kW", say::number(kw, 1)));
        let health = rows
            .number(0, "health_score")
            .map_or(String::new(), |score| {
                format!("; its health score is {}", say::number(score, 1))
            });
        let run = rows.number(0, "run_min").map_or(String::new(), |minutes| {
            format!("; it ran for {} today", say::span(minutes))
        });
        let alerts = say::plural(rows.number(0, "open_alerts").unwrap_or(0.0), "alert");
        format!(
            "{name} {state}{power}, as of {}{run}{health}; {alerts} open.",
            told_text(rows.text(0, "timestamp"))
        )
    })
}
