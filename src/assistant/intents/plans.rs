//! What is planned, what it costs and saves.

use super::{
    Shaped, Understood,
    asked::Asked,
    dates::told_minute,
    dates::told_text,
    say::{self, Cells},
    sources::Source,
};
use crate::store::question::Rows;
use serde_json::Value;

/// Changes of pumps that a sentence tells.
const CHANGES_MAX: usize = 4;

/// Questions about plans.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let words = &asked.words;
    let plan = words.any("plan, planned, schedule, scheduled, advice, advise, advised, recommend, recommended, \
         recommendation, optimisation, optimization, optimiser, optimizer, should we run, should run, \
         planning, should start, should be running");
    let pumps_should = words.has("should") && (words.has("pump") || !asked.pumps.is_empty());
    if !(plan || pumps_should) {
        return None;
    }
    let saves = words.any("saving, save, saved, savings");
    let past =
        !asked.periods.is_empty() || words.any("did, was, were, have, realised, realized, so far");
    if words.any("followed, follow, following") {
        return Some(Ok(followed(asked)));
    }
    if saves && past || words.any("how many plan, number of plan, how often") {
        return if saves {
            None
        } else {
            Some(Ok(counted(asked)))
        };
    }
    if asked.group.is_some() || words.any("kpi") {
        return None;
    }
    if saves && words.any("target, kpi, percent, percentage") && !words.has("planned") {
        return None;
    }
    Some(Ok(newest(asked, saves)))
}

fn newest(asked: &Asked, saves: bool) -> Understood {
    let sql = "SELECT made_at, status, reason, horizon_h, planned_kwh, planned_cost, demand_cost, baseline_cost, savings_pct, savings_kwh_pct, \
               no_savings_because, starts, gap_pct, schedule, (unixepoch(made_at) - ts) / 60 AS offset_min FROM optimization_runs ORDER BY ts DESC LIMIT 1"
        .to_owned();
    let currency = asked.context.currency.clone();
    let costs = asked.words.any("cost, money, price");
    Understood::sentence(sql, move |rows| {
        if rows.rows.is_empty() {
            return "There is no plan yet.".into();
        }
        let made = format!("The plan made at {}", told_text(rows.text(0, "made_at")));
        if rows.text(0, "status") == "refused" {
            return format!(
                "{made} was refused: {}.",
                rows.text(0, "reason").trim_end_matches('.')
            );
        }
        let limits = match rows.text(0, "reason") {
            "" => String::new(),
            reason => format!(" It cannot keep a limit: {}.", reason.trim_end_matches('.')),
        };
        let figures = figures(rows, &currency);
        if saves || costs {
            return format!("{made} takes {figures}; {}.{limits}", savings(rows));
        }
        format!(
            "{made} takes {figures}; {}. {}{limits}",
            savings(rows),
            changes(rows)
        )
    })
}

fn figures(rows: &Rows, currency: &str) -> String {
    let mut told = Vec::new();
    told.extend(
        rows.number(0, "planned_kwh")
            .map(|kwh| format!("{} kWh", say::number(kwh, 0))),
    );
    told.extend(
        rows.number(0, "planned_cost")
            .map(|cost| format!("{} {currency}", say::number(cost, 2))),
    );
    told.extend(
        rows.number(0, "starts")
            .map(|starts| say::plural(starts, "start")),
    );
    let horizon = rows.number(0, "horizon_h").map_or(String::new(), |hours| {
        format!(" for {} hours", say::number(hours, 0))
    });
    format!("{}{horizon}", say::list(&told))
}

fn savings(rows: &Rows) -> String {
    match (
        rows.number(0, "savings_pct"),
        rows.number(0, "savings_kwh_pct"),
    ) {
        (Some(cost), Some(kwh)) => {
            format!(
                "it saves {} % of the cost and {} % of the energy of the station's own control",
                say::number(cost, 1),
                say::number(kwh, 1)
            )
        }
        _ => match rows.text(0, "no_savings_because") {
            "" => "what it saves is not known".into(),
            why => format!("what it saves is not known: {}", why.trim_end_matches('.')),
        },
    }
}

/// What runs from when, on the station's wall clock.
fn changes(rows: &Rows) -> String {
    let offset = rows.number(0, "offset_min").unwrap_or(0.0) as i64;
    let Ok(Value::Array(stretches)) = serde_json::from_str(rows.text(0, "schedule")) else {
        return "It has no schedule.".into();
    };
    let told = stretches.iter().filter_map(|stretch| {
        let from: jiff::Timestamp = stretch.get("from")?.as_str()?.parse().ok()?;
        let pumps = stretch.get("pumps")?.as_str()?;
        let pumps = if pumps.is_empty() {
            "no pump".into()
        } else {
            pumps.replace(',', " and ").replace("  ", " ")
        };
        Some(format!(
            "{pumps} from {}",
            told_minute(from.as_second().div_euclid(60) + offset)
        ))
    });
    let told: Vec<String> = told.take(CHANGES_MAX).collect();
    let more = if stretches.len() > CHANGES_MAX {
        "; more follows"
    } else {
        ""
    };
    if told.is_empty() {
        "It has no schedule.".into()
    } else {
        format!("{}{more}.", say::sentence(&told.join("; ")))
    }
}

fn followed(asked: &Asked) -> Understood {
    let period = asked.period_or(|asked| asked.last_days(30));
    let sql = format!(
        "SELECT avg(followed_pct) AS followed_pct, count(followed_pct) AS days FROM savings_daily WHERE {}",
        Source::Savings.within(&period)
    );
    Understood::sentence(sql, move |rows| match rows.number(0, "followed_pct") {
        Some(share) => format!(
            "The advice was followed in {} % of its minutes {}, over {}.",
            say::number(share, 1),
            period.told(),
            say::plural(rows.number(0, "days").unwrap_or(0.0), "day")
        ),
        None => format!("No day is accounted for {}.", period.told()),
    })
}

fn counted(asked: &Asked) -> Understood {
    let period = asked.period_or(|asked| asked.last_days(7));
    let within = Source::Savings.within(&period);
    let sql = format!(
        "SELECT count(*) AS plans, coalesce(sum(status = 'planned'), 0) AS planned, coalesce(sum(status = 'limits'), 0) AS limits, \
         coalesce(sum(status = 'refused'), 0) AS refused FROM optimization_runs WHERE {within}"
    );
    Understood::sentence(sql, move |rows| {
        let of = |column: &str| say::number(rows.number(0, column).unwrap_or(0.0), 0);
        format!(
            "{} made {}: {} within all limits, {} not, {} refused.",
            say::plural(rows.number(0, "plans").unwrap_or(0.0), "plan"),
            period.told(),
            of("planned"),
            of("limits"),
            of("refused")
        )
    })
}
