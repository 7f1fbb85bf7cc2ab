//! The pumps beside each other: which had most, which least, and each one's figure; when one ran.

use super::{
    Context, Shaped, Understood,
    asked::{Asked, Rank},
    dates::told_text,
    figure::{as_answered, usual_period},
    limits::Limit,
    measures::{Fold, Measure, measure},
    periods::Period,
    say::{self, Cells},
    sources::{Scope, Source},
};
use crate::{
    assistant::Show,
    tags::{PUMPS, pump_name},
};

/// Most starts that an answer lists.
const LISTED_MAX: usize = 100;

/// Questions about each pump, and about when one ran.
pub(super) fn shape(asked: &Asked) -> Shaped {
    if !asked.each_pump {
        return None;
    }
    let measure = measured(asked);
    if measure.pump.is_empty() {
        return None;
    }
    let period = asked.period_or(|asked| usual_period(asked, measure));
    ranking(asked, measure, &period, Vec::new()).map(Ok)
}

fn measured(asked: &Asked) -> &'static Measure {
    let of_pumps = asked
        .measures
        .iter()
        .find(|measure| !measure.pump.is_empty())
        .copied();
    let judged = matches!(asked.rank, Some(Rank::Best | Rank::Worst));
    match of_pumps {
        Some(found) if found.column == "run_min" && judged => measure("health_score"),
        // "Which pump was used most" and "which ran longest" are one; "ran most often" counts.
        Some(found)
            if found.column == "run_length_min"
                && !asked
                    .words
                    .any("longest run, shortest run, single run, run length, session, without a break, without stopping, at a stretch, in one go, non stop, continuous run, uninterrupted run") =>
        {
            measure("run_min")
        }
        Some(found) => found,
        None if judged => measure("health_score"),
        None => measure("run_min"),
    }
}

/// The figures of some pumps, or of all.
pub(super) fn ranking(
    asked: &Asked,
    measure: &'static Measure,
    period: &Period,
    pumps: Vec<usize>,
) -> Option<Understood> {
    let fold = match (asked.fold, asked.rank) {
        (Some(fold @ (Fold::Max | Fold::Min)), _)
            if measure.column == "power_kw" && asked.words.has("peak") =>
        {
            fold
        }
        (_, Some(Rank::Most)) if measure.column == "run_length_min" => Fold::Max,
        (_, Some(Rank::Least)) if measure.column == "run_length_min" => Fold::Min,
        _ => measure.usual,
    };
    let query = asked.query(measure, fold, Scope::Each(pumps.clone()), period);
    let (source, column) = query.source()?;
    let least = is_least(asked, measure);
    let order = if least { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT pump, {} AS {name} FROM {} WHERE {} GROUP BY pump ORDER BY {name} {order}, pump",
        query.value(source, column),
        query.from(source),
        query.condition(source),
        name = measure.column,
    );
    let show = Show::Bars {
        x: "pump".into(),
        y: vec![measure.column.into()],
        unit: say::unit(measure, asked.context),
    };
    let period = as_answered(period, source);
    let context = asked.context.clone();
    let superlative = asked.rank.is_some() && pumps.is_empty();
    let (limit, most) = (asked.limit, asked.words.top());
    Some(Understood::new(sql, show, move |rows| {
        let mut found = rows.pairs("pump", measure.column);
        if found.is_empty() && (!measure.is_count() || say::is_outside(&period, &context)) {
            return say::nothing(&format!("{} of the pumps", measure.name), &period, &context);
        }
        // A list of alerts names the pumps that have some.
        if measure.is_count() && (measure.column != "alerts" || least) {
            add_missing(&mut found, &pumps);
        }
        if found.is_empty() {
            return format!("No pump had a {} {}.", measure.name, period.told());
        }
        if let Some(limit) = limit {
            return within(measure, &found, limit, &period, &context);
        }
        sort(&mut found, least);
        let told = |value: f64| say::figure(measure, value, &context);
        if superlative {
            return winner(measure, &found, (least, most), &period, told);
        }
        let all: Vec<String> = found
            .iter()
            .map(|(pump, value)| format!("{pump} {}", told(*value)))
            .collect();
        let name = if measure.is_count() {
            say::many(measure.name)
        } else {
            measure.name.into()
        };
        format!(
            "{} {}: {}.",
            say::sentence(&name),
            period.told(),
            say::list(&all)
        )
    }))
}

fn is_least(asked: &Asked, measure: &Measure) -> bool {
    match asked.rank {
        Some(Rank::Best) => measure.more_is_better == Some(false),
        Some(Rank::Worst) => measure.more_is_better == Some(true),
        Some(Rank::Least) => true,
        _ => false,
    }
}

/// A pump of which nothing was counted has no row.
fn add_missing(found: &mut Vec<(String, f64)>, pumps: &[usize]) {
    for pump in (0..PUMPS).filter(|pump| pumps.is_empty() || pumps.contains(pump)) {
        if !found.iter().any(|(name, _)| name == pump_name(pump)) {
            found.push((pump_name(pump).into(), 0.0));
        }
    }
}

fn sort(found: &mut [(String, f64)], least: bool) {
    found.sort_by(|(a, x), (b, y)| {
        let order = if least {
            x.total_cmp(y)
        } else {
            y.total_cmp(x)
        };
        order.then_with(|| a.cmp(b))
    });
}

/// `P3 ran longest yesterday (4 March 2025): 14 h 2 min; then P1 with 10 h.`
fn winner(
    measure: &Measure,
    found: &[(String, f64)],
    (least, most): (bool, usize),
    period: &Period,
    told: impl Fn(f64) -> String,
) -> String {
    let Some((_, best)) = found.first() else {
        return String::new();
    };
    let first: Vec<String> = found
        .iter()
        .take_while(|(_, value)| value == best)
        .map(|(pump, _)| pump.clone())
        .collect();
    if measure.is_amount() && *best == 0.0 && !least {
        let what = if measure.is_count() {
            format!("had a {}", measure.name)
        } else {
            "ran".into()
        };
        return format!("No pump {what} {}.", period.told());
    }
    let both = if first.len() > 1 { " each" } else { "" };
    let others = found
        .iter()
        .skip(first.len())
        .take(most.saturating_sub(first.len()));
    let others: Vec<String> = others
        .map(|(pump, value)| format!("{pump} with {}", told(*value)))
        .collect();
    let next = if others.is_empty() {
        String::new()
    } else {
        format!("; then {}", say::list(&others))
    };
    let verb = match (measure.column, least) {
        ("run_min", false) => "ran longest".into(),
        ("run_min", true) => "ran least".into(),
        ("starts", false) => "started most often".into(),
        ("starts", true) => "started least often".into(),
        _ if measure.is_count() => format!(
            "had the {} {}",
            if least { "fewest" } else { "most" },
            say::many(measure.name)
        ),
        ("energy_kwh", false) => "used the most energy".into(),
        ("energy_kwh", true) => "used the least energy".into(),
        ("run_length_min", _) => {
            format!("had the {} run", if least { "shortest" } else { "longest" })
        }
        _ => format!(
            "had the {} {}",
            if least { "lowest" } else { "highest" },
            measure.name
        ),
    };
    let target = found.first().map_or(String::new(), |(_, value)| {
        say::against_target(measure, *value)
    });
    format!(
        "{} {verb} {}: {}{both}{target}{next}.",
        say::list(&first),
        period.told(),
        told(*best)
    )
}

/// The pumps whose figure is within a limit.
fn within(
    measure: &Measure,
    found: &[(String, f64)],
    limit: Limit,
    period: &Period,
    context: &Context,
) -> String {
    let figure = |value: f64| say::figure(measure, value, context);
    let condition = limit.told(|value| match measure.unit {
        "of 100" => say::number(value, 0),
        _ => figure(value),
    });
    let name = if measure.is_count() {
        say::many(measure.name)
    } else {
        measure.name.into()
    };
    let fit = found.iter().filter(|(_, value)| limit.holds(*value));
    let fit: Vec<String> = fit
        .map(|(pump, value)| format!("{pump} ({})", figure(*value)))
        .collect();
    match fit.len() {
        0 => format!("No pump had {name} {condition} {}.", period.told()),
        count => format!(
            "{} had {name} {condition} {}: {}.",
            say::plural(count as f64, "pump"),
            period.told(),
            say::list(&fit)
        ),
    }
}

/// When a pump started, stopped or last ran.
pub(super) fn times(asked: &Asked) -> Shaped {
    when_it_ran(asked).map(Ok)
}

fn when_it_ran(asked: &Asked) -> Option<Understood> {
    let words = &asked.words;
    let pump = asked.one_pump();
    let starts =
        words.any("start, started, begin, switched on, turned on, come on, came on, restart");
    let stops = words.any("stop, stopped, switched off, turned off");
    let runs = words.any("run, running, ran, on, operation, used, active");
    let asks_when = words.begins(&["when"])
        || words.any("what time, since when, at what time, list of start, list the start, last run, latest run")
        || words.any("last start, last stop, first start, start time");
    let lists = pump.is_some() && words.any("list, show") && starts && asked.rank.is_none();
    let each = asked.group.is_some();
    if !(asks_when || lists)
        || each
        || !(starts || stops || runs)
        || pump.is_none() && !words.has("pump")
    {
        return None;
    }
    let last = words.any("last, latest, most recent, newest") || words.has("since when");
    if asked.each_pump && last {
        return Some(last_of_each());
    }
    let first = words.any("first, earliest");
    let period = asked.period_or(|asked| if last { asked.all() } else { asked.today() });
    let source = if stops && !starts {
        Source::Ends
    } else {
        Source::Sessions
    };
    let scope = pump.map_or(Scope::Station, Scope::One);
    let query = asked.query(measure("starts"), Fold::Total, scope, &period);
    let (stamp, verb) = if source == Source::Ends {
        ("end_time", "stopped")
    } else {
        ("start_time", "started")
    };
    let order = if last { "DESC" } else { "ASC" };
    let limit = if last || first { 1 } else { LISTED_MAX };
    let sql = format!(
        "SELECT pump, start_time, end_time, duration_min, count(*) OVER () AS found FROM pump_sessions WHERE {} ORDER BY {stamp} {order} LIMIT {limit}",
        query.condition(source)
    );
    let name = pump.map_or("pump".into(), |pump| pump_name(pump).to_owned());
    let show = if limit == 1 {
        Show::Sentence
    } else {
        Show::Table
    };
    Some(Understood::new(sql, show, move |rows| {
        let told = period.told();
        if rows.rows.is_empty() {
            let what = if pump.is_none() {
                "No pump".into()
            } else {
                name.clone()
            };
            let never = if pump.is_none() {
                verb.to_owned()
            } else {
                format!("never {verb}")
            };
            return format!("{what} {never} {told}.");
        }
        let (who, at) = (
            rows.text(0, "pump").to_owned(),
            told_text(rows.text(0, stamp)),
        );
        if limit == 1 {
            let which = if last { "last" } else { "first" };
            let end = match (rows.text(0, "end_time"), rows.number(0, "duration_min")) {
                ("", _) => "; it is still running".into(),
                (end, Some(minutes)) => format!(
                    "; it ran for {}, until {}",
                    say::span(minutes),
                    told_text(end)
                ),
                (end, None) => format!("; it ran until {}", told_text(end)),
            };
            return format!("{who} {which} {verb} at {at}{end}.");
        }
        let found = rows.number(0, "found").unwrap_or(0.0);
        let times: Vec<String> = (0..rows.rows.len().min(3))
            .map(|row| told_text(rows.text(row, stamp)))
            .collect();
        let more = if found > 3.0 { " and others" } else { "" };
        format!(
            "{who_or} {verb} {} {told}: at {}{more}.",
            say::plural(found, "time"),
            say::list(&times),
            who_or = if pump.is_some() { &who } else { "Pumps" }
        )
    }))
}

/// When each pump last started.
fn last_of_each() -> Understood {
    let sql = "SELECT pump, max(start_time) AS start_time, end_time, duration_min FROM pump_sessions GROUP BY pump ORDER BY pump";
    Understood::new(sql.to_owned(), Show::Table, |rows| {
        let told = (0..rows.rows.len()).map(|row| {
            let start = told_text(rows.text(row, "start_time"));
            format!("{} at {start}", rows.text(row, "pump"))
        });
        let told: Vec<String> = told.collect();
        if told.is_empty() {
            return "No pump has run yet.".into();
        }
        format!("Last starts: {}.", told.join("; "))
    })
}
