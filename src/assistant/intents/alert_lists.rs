//! Answers made of alerts: counts, lists, the newest, how long they lasted, what a rule means.

use super::{
    Understood,
    alerts::{Chosen, usual_period},
    asked::Asked,
    dates::told_text,
    limits::Limit,
    say::{self, Cells},
};
use crate::{
    assistant::Show,
    rules::{Rule, register::REGISTER},
    store::question::Rows,
};

/// Most alerts that an answer lists.
const LISTED_MAX: usize = 100;

/// What a rule looks at, what to do, and how often it was raised.
pub(super) fn explained(rule: &'static Rule) -> Understood {
    let sql = format!(
        "SELECT count(*) AS raised, max(timestamp) AS last FROM alerts_log WHERE rule = '{}'",
        rule.code
    );
    Understood::sentence(sql, move |rows| {
        let raised = rows.number(0, "raised").unwrap_or(0.0);
        let times = match rows.text(0, "last") {
            "" => "It was never raised.".into(),
            last => format!(
                "It was raised {}, the last time at {}.",
                say::plural(raised, "time"),
                told_text(last)
            ),
        };
        let record = REGISTER.iter().find(|record| record.code == rule.code);
        let (cause, action) = record.map_or(("", ""), |record| (record.cause, record.action));
        format!(
            "{} “{}” ({}): {}. {times} Usual causes: {cause} What to do: {action}",
            rule.code, rule.name, rule.severity, rule.condition
        )
    })
}

fn verb(count: f64) -> &'static str {
    if count == 1.0 { "was" } else { "were" }
}

/// How many there were.
pub(super) fn counted(asked: &Asked, chosen: &Chosen) -> Understood {
    let any_time = chosen.open && asked.periods.is_empty();
    let period = usual_period(asked, chosen);
    let condition = chosen.condition((!any_time).then_some(&period));
    let sql = format!(
        "SELECT count(*) AS alerts, coalesce(sum(severity = 'CRITICAL'), 0) AS critical, max(timestamp) AS last FROM alerts_log WHERE {condition}"
    );
    let (name, whose) = (chosen.name(), chosen.whose());
    let told = if any_time {
        "now".to_owned()
    } else {
        period.told()
    };
    let mixed = chosen.rule.is_none() && chosen.topic.is_none() && chosen.severity.is_none();
    let open = if chosen.open { " open" } else { "" };
    let whether = asked
        .words
        .begins(&["did", "was", "were", "has", "have", "is", "are", "any"]);
    let (context, outside) = (
        asked.context.clone(),
        say::is_outside(&period, asked.context) && !any_time,
    );
    Understood::sentence(sql, move |rows| {
        let count = rows.number(0, "alerts").unwrap_or(0.0);
        if outside {
            return say::nothing(&say::many(&name), &period, &context);
        }
        if count == 0.0 {
            let no = if whether { "No: there" } else { "There" };
            return format!("{no} were 0 {}{whose}{open} {told}.", say::many(&name));
        }
        let critical = match mixed {
            true => format!(
                ", {} of them critical",
                rows.number(0, "critical").unwrap_or(0.0)
            ),
            false => String::new(),
        };
        let yes = if whether { "Yes: there" } else { "There" };
        let last = told_text(rows.text(0, "last"));
        let tense = if any_time && count == 1.0 {
            "is"
        } else if any_time {
            "are"
        } else {
            verb(count)
        };
        format!(
            "{yes} {tense} {}{whose}{open} {told}{critical}; the last at {last}.",
            say::plural(count, &name)
        )
    })
}

/// Which there were.
pub(super) fn listed(asked: &Asked, chosen: &Chosen) -> Understood {
    let any_time = chosen.open && asked.periods.is_empty();
    let period = usual_period(asked, chosen);
    let condition = chosen.condition((!any_time).then_some(&period));
    let sql = format!(
        "SELECT timestamp, severity, rule, pump, message, resolved_at, duration_min, count(*) OVER () AS found FROM alerts_log \
         WHERE {condition} ORDER BY id DESC LIMIT {LISTED_MAX}"
    );
    let (name, whose) = (chosen.name(), chosen.whose());
    let told = if any_time {
        "now".to_owned()
    } else {
        period.told()
    };
    let open = if chosen.open { " open" } else { "" };
    let now = any_time;
    let (context, outside) = (
        asked.context.clone(),
        say::is_outside(&period, asked.context) && !any_time,
    );
    Understood::new(sql, Show::Table, move |rows| {
        let found = rows.number(0, "found").unwrap_or(0.0);
        if outside {
            return say::nothing(&say::many(&name), &period, &context);
        }
        if found == 0.0 {
            let verb = if now { "is" } else { "was" };
            return format!(
                "No {name}{whose} {verb}{} {told}.",
                if now { open } else { " raised" }
            );
        }
        let tense = match (now, found == 1.0) {
            (true, true) => "is",
            (true, false) => "are",
            (false, _) => verb(found),
        };
        let first: Vec<String> = (0..rows.rows.len().min(3))
            .map(|row| one(rows, row))
            .collect();
        let more = if found > 3.0 {
            format!("; and {} more", found - 3.0)
        } else {
            String::new()
        };
        format!(
            "There {tense} {}{whose}{open} {told}: {}{more}.",
            say::plural(found, &name),
            first.join("; ")
        )
    })
}

/// An alert in a few words: `B-01 of P4 at 14:30 on 4 March 2025`.
fn one(rows: &Rows, row: usize) -> String {
    let pump = match rows.text(row, "pump") {
        "" => String::new(),
        pump => format!(" of {pump}"),
    };
    format!(
        "{}{pump} at {}",
        rows.text(row, "rule"),
        told_text(rows.text(row, "timestamp"))
    )
}

/// The newest one, or the oldest.
pub(super) fn newest(asked: &Asked, chosen: &Chosen, first: bool) -> Understood {
    let period = asked.period_or(Asked::all);
    let condition = chosen.condition((!asked.periods.is_empty()).then_some(&period));
    let order = if first { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT timestamp, severity, rule, pump, message, resolved, resolved_at, duration_min FROM alerts_log WHERE {condition} ORDER BY id {order} LIMIT 1"
    );
    let (name, whose) = (chosen.name(), chosen.whose());
    Understood::new(sql, Show::Table, move |rows| {
        if rows.rows.is_empty() {
            return format!("There was no {name}{whose} {}.", period.told());
        }
        let which = if first { "first" } else { "last" };
        let pump = match rows.text(0, "pump") {
            "" => String::new(),
            _ if !whose.is_empty() => String::new(),
            pump => format!(", of {pump}"),
        };
        let end = match (rows.number(0, "resolved"), rows.number(0, "duration_min")) {
            (Some(0.0), _) => "it is still open".into(),
            (_, Some(minutes)) => {
                let end = told_text(rows.text(0, "resolved_at"));
                format!("it lasted {}, until {end}", say::span(minutes))
            }
            _ => "it is resolved".into(),
        };
        let message = rows.text(0, "message").trim_end_matches('.');
        format!(
            "The {which} {name}{whose} was at {}{pump}: {message} ({}); {end}.",
            told_text(rows.text(0, "timestamp")),
            rows.text(0, "rule")
        )
    })
}

/// How long they lasted: the newest, the longest, or all together.
pub(super) fn durations(asked: &Asked, chosen: &Chosen, last: bool) -> Understood {
    if last
        && asked.words.any("last, latest, most recent")
        && !asked.words.any("longest, on average")
        && asked.periods.is_empty()
    {
        return newest_duration(chosen);
    }
    let period = asked.period_or(|asked| {
        if asked.words.has("longest") {
            asked.all()
        } else {
            asked.last_days(7)
        }
    });
    let condition = chosen.condition(Some(&period));
    let longest = asked.words.has("longest");
    let (name, whose) = (chosen.name(), chosen.whose());
    if longest {
        let sql = format!(
            "SELECT timestamp, rule, pump, message, duration_min FROM alerts_log WHERE {condition} AND duration_min IS NOT NULL \
             ORDER BY duration_min DESC, id LIMIT 10"
        );
        return Understood::new(sql, Show::Table, move |rows| {
            match rows.number(0, "duration_min") {
                Some(minutes) => format!(
                    "The longest {name}{whose} {} lasted {}: {}.",
                    period.told(),
                    say::span(minutes),
                    one(rows, 0)
                ),
                None => format!("There was no {name}{whose} {}.", period.told()),
            }
        });
    }
    let sql = format!(
        "SELECT count(*) AS alerts, coalesce(sum(duration_min), 0) AS minutes, avg(duration_min) AS mean_min, sum(resolved = 0) AS open FROM alerts_log WHERE {condition}"
    );
    Understood::sentence(sql, move |rows| {
        let count = rows.number(0, "alerts").unwrap_or(0.0);
        if count == 0.0 {
            return format!("There was no {name}{whose} {}.", period.told());
        }
        let (minutes, mean) = (
            rows.number(0, "minutes").unwrap_or(0.0),
            rows.number(0, "mean_min"),
        );
        let mean = mean.map_or(String::new(), |mean| {
            format!(", {} on average", say::span(mean))
        });
        let open = if rows.number(0, "open") > Some(0.0) {
            "; what is still open is not counted"
        } else {
            ""
        };
        format!(
            "{}{whose} lasted {} together {}{mean}{open}.",
            say::sentence(&say::plural(count, &name)),
            say::span(minutes),
            period.told()
        )
    })
}

fn newest_duration(chosen: &Chosen) -> Understood {
    let sql = format!(
        "SELECT timestamp, rule, pump, message, resolved, resolved_at, duration_min FROM alerts_log WHERE {} ORDER BY id DESC LIMIT 1",
        chosen.condition(None)
    );
    let (name, whose) = (chosen.name(), chosen.whose());
    Understood::sentence(sql, move |rows| {
        let at = told_text(rows.text(0, "timestamp"));
        match (rows.rows.is_empty(), rows.number(0, "duration_min")) {
            (true, _) => format!("There was no {name}{whose} in all data."),
            (false, Some(minutes)) => format!(
                "The last {name}{whose} lasted {}, from {at} to {}.",
                say::span(minutes),
                told_text(rows.text(0, "resolved_at"))
            ),
            (false, None) => format!("The last {name}{whose} began at {at} and is still open."),
        }
    })
}

/// Those that lasted longer or shorter than a time.
pub(super) fn longer(asked: &Asked, chosen: &Chosen, limit: Limit) -> Understood {
    let period = usual_period(asked, chosen);
    let (sql_limit, told_limit) = limit.of_minutes().unwrap_or_default();
    let told_limit = told_limit
        .replace("above", "longer than")
        .replace("below", "shorter than");
    let sql = format!(
        "SELECT timestamp, severity, rule, pump, message, duration_min, count(*) OVER () AS found FROM alerts_log WHERE {} AND {sql_limit} \
         ORDER BY id DESC LIMIT {LISTED_MAX}",
        chosen.condition(Some(&period))
    );
    let (name, whose) = (chosen.name(), chosen.whose());
    Understood::new(sql, Show::Table, move |rows| {
        let found = rows.number(0, "found").unwrap_or(0.0);
        format!(
            "There {} {}{whose} {told_limit} {}.",
            verb(found),
            say::plural(found, &name),
            period.told()
        )
    })
}

/// How often each rule was raised.
pub(super) fn by_rule(asked: &Asked, chosen: &Chosen) -> Understood {
    let period = asked.period_or(|asked| asked.last_days(30));
    let least = asked.words.any("least, fewest");
    let order = if least { "ASC" } else { "DESC" };
    let sql = format!(
        "SELECT rule, count(*) AS alerts FROM alerts_log WHERE {} GROUP BY rule ORDER BY alerts {order}, rule",
        chosen.condition(Some(&period))
    );
    let (name, whose) = (chosen.name(), chosen.whose());
    let show = Show::Bars {
        x: "rule".into(),
        y: vec!["alerts".into()],
        unit: String::new(),
    };
    Understood::new(sql, show, move |rows| {
        let pairs = rows.pairs("rule", "alerts");
        let told = |code: &str| {
            let title = super::topics::rule(code).map_or("", |rule| rule.name);
            format!("{code} “{title}”")
        };
        let Some((first, count)) = pairs.first() else {
            return format!("There was no {name}{whose} {}.", period.told());
        };
        let next = pairs.get(1).map_or(String::new(), |(next, count)| {
            format!(
                "; then {} with {}",
                told(next),
                say::plural(*count, "alert")
            )
        });
        let most = if least { "least" } else { "most" };
        let count = say::plural(*count, "alert");
        format!(
            "{} was raised {most} often{whose} {}: {count}{next}.",
            told(first),
            period.told()
        )
    })
}

/// How many there were of each severity.
pub(super) fn by_severity(asked: &Asked, chosen: &Chosen) -> Understood {
    let period = usual_period(asked, chosen);
    let sql = format!(
        "SELECT severity, count(*) AS alerts FROM alerts_log WHERE {} GROUP BY severity ORDER BY alerts DESC, severity",
        chosen.condition(Some(&period))
    );
    let show = Show::Bars {
        x: "severity".into(),
        y: vec!["alerts".into()],
        unit: String::new(),
    };
    Understood::new(sql, show, move |rows| {
        let pairs = rows.pairs("severity", "alerts");
        let told: Vec<String> = pairs
            .iter()
            .map(|(severity, count)| format!("{severity} {count}"))
            .collect();
        if told.is_empty() {
            return format!("There were 0 alerts {}.", period.told());
        }
        format!("Alerts {}: {}.", period.told(), say::list(&told))
    })
}
