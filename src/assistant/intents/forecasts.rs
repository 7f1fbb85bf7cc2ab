//! What is forecast, and how good forecasts are.

use super::{
    NotUnderstood, Shaped, Understood,
    asked::Asked,
    dates::{told_minute, told_text},
    limits::{Limit, Side},
    periods::Period,
    say::{self, Cells},
    sources::Source,
};
use crate::{
    assistant::Show,
    calendar::{DAY_MIN, LocalMinute, date_text, text},
};

/// How far forecasts reach, min.
const HORIZON_MIN: i64 = 24 * 60;
/// Forecasts older than this say nothing of what comes, days.
const FRESH_DAYS: i64 = 2;

/// A target of the models.
#[derive(Clone, Copy)]
struct Target {
    key: &'static str,
    name: &'static str,
    unit: &'static str,
}

const LEVEL: Target = Target {
    key: "hlt_pct",
    name: "tank level",
    unit: "%",
};
const DEMAND: Target = Target {
    key: "flow_demand",
    name: "demand",
    unit: "m³/h",
};

/// Questions about forecasts.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let words = &asked.words;
    let says = words.any("forecast, predict, prediction, predicted, expect, expected, forecasted, forecasting, model");
    let ahead = words.any("tomorrow, next hour, will, upcoming, how long until, how long till, coming hour, coming day, \
         hour ahead, next day") || ahead_min(asked).is_some();
    let planned = words.any("plan, planned, schedule, advice, advise, optimisation, optimization, saving, cost, savings, \
         should, next plan, expectation, than expected, expected efficiency");
    let of_pump = asked.pumps.len() == 1
        || asked
            .measures
            .iter()
            .any(|measure| matches!(measure.column, "run_min" | "starts"));
    if planned || !(says || ahead || words.any("rmse")) {
        return None;
    }
    if words.any("rmse, accurate, accuracy, error, good, well, reliable, skill, quality, trust, bad, covered, \
         performing, performance, precise, right, better") && (says || words.has("rmse"))
    {
        if asked.group.is_some() || words.any("plot, chart, graph, trend") {
            return None;
        }
        return Some(Ok(quality(asked)));
    }
    if words.any("which model, what model, model in use, model is used, model") && !ahead {
        return Some(Ok(models_in_use()));
    }
    let target = target(asked)?;
    if of_pump && !says {
        return Some(Err(NotUnderstood::because(
            "which pumps will run is a matter of the plan; ask what is planned next".into(),
        )));
    }
    let Some(target) = target else {
        return Some(Err(NotUnderstood::because(
            "forecasts are made of the tank level and of the demand, and of nothing else".into(),
        )));
    };
    Some(Ok(match (asked.limit, moment(asked)) {
        (Some(limit), _) => crossing(asked, target, limit),
        (None, Some(at)) => value_at(target, at),
        (None, None) => course(asked, target),
    }))
}

/// The target that is meant: of the level where nothing says otherwise. The inner `None` is something that no model forecasts.
fn target(asked: &Asked) -> Option<Option<Target>> {
    if asked
        .words
        .any("demand, need, consumption of water, water demand")
    {
        return Some(Some(DEMAND));
    }
    Some(match asked.measure().map(|measure| measure.column) {
        None | Some("level_pct" | "alerts") => Some(LEVEL),
        Some("flow_m3h" | "volume_m3") => Some(DEMAND),
        Some("run_min" | "starts" | "rmse" | "m3_per_kwh") if asked.measures.len() == 1 => {
            Some(LEVEL)
        }
        Some(_) => asked
            .measures
            .iter()
            .any(|measure| measure.column == "level_pct")
            .then_some(LEVEL),
    })
}

/// `in 3 hours`, `3 hours ahead`, `next hour`.
fn ahead_min(asked: &Asked) -> Option<i64> {
    let words = &asked.words;
    for place in 0..words.len() {
        let before = matches!(words.word(place), "in" | "next" | "within" | "coming");
        let place = if before { place + 1 } else { place };
        let count = match words.word(place) {
            "an" | "one" if before => Some(1.0),
            _ => words.number(place),
        };
        let unit = |place: usize| match words.word(place) {
            "minute" => Some(1.0),
            "hour" => Some(60.0),
            "day" => Some(1440.0),
            _ => None,
        };
        if let (Some(count), Some(unit)) = (count, unit(place + 1)) {
            let ahead = words.word(place + 2) == "ahead" || words.is_at(place + 2, "from now");
            if before && words.word(place + 2) != "ago" || ahead {
                return Some((count * unit).clamp(0.0, 1e6) as i64);
            }
        }
    }
    None
}

/// The minute that is asked for; `None` for a stretch.
fn moment(asked: &Asked) -> Option<LocalMinute> {
    let words = &asked.words;
    let now = asked.context.now;
    if let Some(period) = asked.periods.first().filter(|period| period.is_moment) {
        let time = period.from.rem_euclid(DAY_MIN);
        let today = now.div_euclid(DAY_MIN) * DAY_MIN;
        let tomorrow = words.has("tomorrow") || today + time <= now;
        return Some(today + time + if tomorrow { DAY_MIN } else { 0 });
    }
    let next = words.any("next");
    match ahead_min(asked) {
        Some(minutes) if !next => Some(now + minutes),
        None if words.any("next hour, one hour ahead, hour ahead")
            && !words.any("course, over") =>
        {
            Some(now + 60)
        }
        _ => None,
    }
}

/// Rows of the newest forecasts of a target.
fn fresh(target: Target, now: LocalMinute) -> String {
    let day = date_text(now.div_euclid(DAY_MIN));
    format!(
        "target = '{}' AND ts >= unixepoch('{day}') - {}",
        target.key,
        FRESH_DAYS * 86_400
    )
}

/// What is forecast for a minute: by the newest forecast that reaches as far.
fn value_at(target: Target, at: LocalMinute) -> Understood {
    let sql = format!(
        "SELECT for_time, value, lower, upper, model, made_at FROM predictions WHERE {} AND for_time >= '{}' ORDER BY ts DESC, for_ts LIMIT 1",
        fresh(target, at),
        text(at)
    );
    Understood::sentence(sql, move |rows| {
        let Some(value) = rows.number(0, "value") else {
            return format!(
                "There is no forecast of the {} for {}.",
                target.name,
                told_minute(at)
            );
        };
        format!(
            "The {} is forecast to be {} {} at {}{}; made at {} by {}.",
            target.name,
            say::number(value, 1),
            target.unit,
            told_text(rows.text(0, "for_time")),
            bounds(rows.number(0, "lower").zip(rows.number(0, "upper")), target),
            told_text(rows.text(0, "made_at")),
            rows.text(0, "model")
        )
    })
}

fn bounds(bounds: Option<(f64, f64)>, target: Target) -> String {
    bounds.map_or(String::new(), |(lower, upper)| {
        format!(
            " (95 % bounds {} to {} {})",
            say::number(lower, 1),
            say::number(upper, 1),
            target.unit
        )
    })
}

/// The stretch ahead that is meant.
fn stretch(asked: &Asked) -> Period {
    let now = asked.context.now;
    let midnight = (now.div_euclid(DAY_MIN) + 1) * DAY_MIN;
    if asked.words.has("tomorrow") {
        return Period::new(midnight, midnight + DAY_MIN, "tomorrow");
    }
    if let Some(period) = asked.periods.first().filter(|period| period.until > now) {
        return Period {
            from: period.from.max(now),
            is_open: false,
            ..period.clone()
        };
    }
    let ahead = ahead_min(asked).unwrap_or(HORIZON_MIN).max(1);
    Period::new(now + 1, now + 1 + ahead, "")
}

/// The newest forecast of each minute of a stretch.
fn course_sql(target: Target, period: &Period, now: LocalMinute) -> String {
    format!(
        "SELECT for_time, value, lower, upper, max(ts) AS made_ts FROM predictions WHERE {} AND for_time >= '{}' AND for_time < '{}' \
         GROUP BY for_time ORDER BY for_time LIMIT 400",
        fresh(target, now),
        text(period.from),
        text(period.until)
    )
}

fn course(asked: &Asked, target: Target) -> Understood {
    let period = stretch(asked);
    let sql = course_sql(target, &period, asked.context.now);
    let show = Show::Line {
        x: "for_time".into(),
        y: vec!["value".into(), "lower".into(), "upper".into()],
        unit: target.unit.into(),
    };
    Understood::new(sql, show, move |rows| {
        let pairs = rows.pairs("for_time", "value");
        let low = pairs.iter().min_by(|a, b| a.1.total_cmp(&b.1));
        let high = pairs.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        match (low, high) {
            (Some(low), Some(high)) => format!(
                "The {} is forecast {} to lie between {} {unit} (at {}) and {} {unit} (at {}).",
                target.name,
                period.told(),
                say::number(low.1, 1),
                told_text(&low.0),
                say::number(high.1, 1),
                told_text(&high.0),
                unit = target.unit
            ),
            _ => format!(
                "There is no forecast of the {} {}.",
                target.name,
                period.told()
            ),
        }
    })
}

/// When the forecast goes over or under a value.
fn crossing(asked: &Asked, target: Target, limit: Limit) -> Understood {
    let period = stretch(asked);
    let (condition, told) = match limit.side {
        Side::Above(value) | Side::Outside(_, value) => (
            format!("value > {value}"),
            format!("above {value} {}", target.unit),
        ),
        Side::Below(value) | Side::Between(_, value) => (
            format!("value < {value}"),
            format!("below {value} {}", target.unit),
        ),
    };
    let sql = format!(
        "SELECT count(*) AS forecasts, min(CASE WHEN {condition} THEN for_time END) AS first, min(value) AS lowest, max(value) AS highest FROM ({})",
        course_sql(target, &period, asked.context.now)
    );
    Understood::sentence(sql, move |rows| {
        let ends = rows.number(0, "lowest").zip(rows.number(0, "highest"));
        let Some((low, high)) = ends.filter(|_| rows.number(0, "forecasts") > Some(0.0)) else {
            return format!(
                "There is no forecast of the {} {}.",
                target.name,
                period.told()
            );
        };
        let course = format!(
            "it is forecast between {} and {} {}",
            say::number(low, 1),
            say::number(high, 1),
            target.unit
        );
        match rows.text(0, "first") {
            "" => format!(
                "No: the {} is not forecast to be {told} {}; {course}.",
                target.name,
                period.told()
            ),
            at => format!(
                "Yes: the {} is forecast to be {told} first at {}; {course}.",
                target.name,
                told_text(at)
            ),
        }
    })
}

/// How good the forecasts of a period were; of the newest day that was scored where none is named.
fn quality(asked: &Asked) -> Understood {
    let period = asked.periods.first().cloned();
    let within = match &period {
        Some(period) => Source::Accuracy.within(period),
        None => "date = (SELECT max(date) FROM forecast_kpi_daily)".into(),
    };
    let only = if asked.words.has("demand")
        || asked
            .measures
            .iter()
            .any(|measure| measure.column == "flow_m3h")
    {
        " AND target = 'flow_demand'"
    } else if asked
        .measures
        .iter()
        .any(|measure| measure.column == "level_pct")
    {
        " AND target = 'hlt_pct'"
    } else {
        ""
    };
    let sql = format!(
        "SELECT target, max(date) AS date, sum(forecasts) AS forecasts, avg(rmse) AS rmse, avg(rmse_naive) AS rmse_naive, avg(skill_pct) AS skill_pct, \
         avg(covered_pct) AS covered_pct FROM forecast_kpi_daily WHERE {within}{only} GROUP BY target ORDER BY target DESC"
    );
    Understood::new(sql, Show::Table, move |rows| {
        let when = period.as_ref().map_or_else(
            || format!("on {}", told_text(rows.text(0, "date"))),
            Period::told,
        );
        let told: Vec<String> = (0..rows.rows.len())
            .map(|row| {
                let target = if rows.text(row, "target") == DEMAND.key {
                    DEMAND
                } else {
                    LEVEL
                };
                let figure =
                    |column: &str| rows.number(row, column).map(|value| say::number(value, 2));
                let naive = figure("rmse_naive").map_or(String::new(), |naive| {
                    format!(" (the day before as forecast: {naive} {})", target.unit)
                });
                let covered = rows
                    .number(row, "covered_pct")
                    .map_or(String::new(), |share| {
                        format!(", {} % within the bounds", say::number(share, 1))
                    });
                format!(
                    "{} RMSE {} {}{naive}{covered}",
                    target.name,
                    figure("rmse").unwrap_or_else(|| "unknown".into()),
                    target.unit
                )
            })
            .collect();
        if told.is_empty() {
            return "No forecast has been scored yet: scores are made once a day has passed."
                .into();
        }
        format!("Forecasts {when}: {}.", told.join("; "))
    })
}

fn models_in_use() -> Understood {
    let sql = "SELECT target, model, made_at, max(ts) AS made_ts FROM predictions WHERE ts >= (SELECT max(ts) FROM predictions) - 86400 GROUP BY target".to_owned();
    Understood::new(sql, Show::Table, |rows| {
        let told: Vec<String> = (0..rows.rows.len())
            .map(|row| {
                format!(
                    "{} by {}",
                    rows.text(row, "target"),
                    rows.text(row, "model")
                )
            })
            .collect();
        if told.is_empty() {
            "No model has made a forecast yet.".into()
        } else {
            format!("The newest forecasts are made of {}.", say::list(&told))
        }
    })
}
