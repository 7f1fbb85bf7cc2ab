//! The figures that a station is judged by, and the health of its pumps.

use super::{
    Shaped, Understood,
    asked::{Asked, Rank},
    dates::told_text,
    figure::as_answered,
    measures::measure,
    pumps::ranking,
    say::{self, Cells},
    sources::Source,
};
use crate::{assistant::Show, tags::pump_name};

/// Columns of the view with the measures that they are, in the order in which they are told.
const KPIS: &[(&str, &str)] = &[
    ("energy_per_m3", "kwh_per_m3"),
    ("pump_switching_per_day", "starts"),
    ("tank_stability_pct", "tank_stability_pct"),
    ("health_score", "health_score"),
    ("efficiency_slope_7d", "efficiency_slope"),
    ("alerts_per_day", "alerts"),
];

/// KPIs, and which pump needs work.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let words = &asked.words;
    if words.any("kpi, key figure, key performance indicator, performance indicator, target")
        && asked
            .measures
            .iter()
            .all(|measure| measure.target.is_none())
    {
        return Some(Ok(all(asked)));
    }
    if words.any("maintenance, service, attention, serviced, repair, overhaul, maintained")
        && words.has("pump")
        || words.any("needs maintenance, need maintenance")
    {
        return Some(Ok(maintenance(asked)));
    }
    if words.any("expectation, residual, expected efficiency, below expectation, than expected")
        && words.any("pump, efficiency")
    {
        return Some(Ok(expectation(asked)));
    }
    let column = asked.measure()?.column;
    let of_pumps = words.any("pump") && asked.pumps.is_empty() && !words.any("average, mean");
    if matches!(column, "health_score" | "efficiency_slope")
        && of_pumps
        && asked.group.is_none()
        && !words.any("plot, chart, graph, history")
    {
        let mut each = asked.clone();
        if column == "efficiency_slope"
            && words.any("losing, degrading, worse, declining, deteriorating, falling, dropping")
        {
            each.rank = Some(Rank::Worst);
        }
        let period = asked.period_or(Asked::today);
        return ranking(&each, measure(column), &period, Vec::new()).map(Ok);
    }
    None
}

fn all(asked: &Asked) -> Understood {
    let period = asked.period_or(|asked| {
        if asked.context.first < asked.words.today() * 1440 {
            asked.yesterday()
        } else {
            asked.today()
        }
    });
    let period = as_answered(&period, Source::Days);
    let within = Source::Days
        .within(&period)
        .replace("is_weekend = 1", "strftime('%w', date) IN ('0', '6')")
        .replace("is_weekend = 0", "strftime('%w', date) NOT IN ('0', '6')");
    let columns: Vec<String> = KPIS
        .iter()
        .map(|(column, _)| format!("avg({column}) AS {column}"))
        .collect();
    let sql = format!(
        "SELECT {}, (SELECT avg(rmse) FROM forecast_kpi_daily WHERE {within} AND target = 'hlt_pct') AS rmse_level_pct, \
         (SELECT avg(rmse) FROM forecast_kpi_daily WHERE {within} AND target = 'flow_demand') AS rmse_demand_m3h, \
         (SELECT avg(savings_kwh_pct) FROM savings_kpi_daily WHERE {within}) AS savings_kwh_pct FROM kpi_daily WHERE {within}",
        columns.join(", ")
    );
    let context = asked.context.clone();
    Understood::new(sql, Show::Table, move |rows| {
        let mut told = Vec::new();
        for (column, of) in KPIS {
            let Some(value) = rows.number(0, column) else {
                continue;
            };
            let measure = measure(of);
            let figure = say::figure(measure, value, &context);
            let figure = if measure.is_count() {
                format!("{figure} a day")
            } else {
                format!("{} {figure}", measure.name)
            };
            told.push(format!(
                "{figure}{}",
                target(measure.target.map(|target| target.above), value)
            ));
        }
        if told.is_empty() {
            return say::nothing("KPIs", &period, &context);
        }
        let more = [
            ("rmse_level_pct", "RMSE of the level forecast", "%"),
            ("rmse_demand_m3h", "RMSE of the demand forecast", "m³/h"),
        ];
        for (column, name, unit) in more {
            told.extend(
                rows.number(0, column)
                    .map(|value| format!("{name} {} {unit}", say::number(value, 2))),
            );
        }
        told.extend(rows.number(0, "savings_kwh_pct").map(|value| {
            format!(
                "energy saved by the advice {} %{}",
                say::number(value, 1),
                target(Some(10.0), value)
            )
        }));
        format!("KPIs {}: {}.", period.told(), told.join("; "))
    })
}

fn target(above: Option<f64>, value: f64) -> String {
    above.map_or(String::new(), |above| {
        let verdict = if value > above { "met" } else { "missed" };
        format!(" (target above {above}: {verdict})")
    })
}

/// The pumps by what speaks for work on them.
fn maintenance(asked: &Asked) -> Understood {
    let only = asked.one_pump().map_or(String::new(), |pump| {
        format!(" AND pump = '{}'", pump_name(pump))
    });
    let sql = format!(
        "SELECT pump, date, health_score, efficiency_slope_7d, short_cycle_count, overrun_flag, \
         (SELECT count(*) FROM alerts_log WHERE resolved = 0 AND alerts_log.pump = pump_health.pump) AS open_alerts FROM pump_health \
         WHERE date = (SELECT max(date) FROM pump_health){only} ORDER BY health_score, open_alerts DESC, pump"
    );
    Understood::new(sql, Show::Table, move |rows| {
        let Some(score) = rows.number(0, "health_score") else {
            return "There are no health figures yet.".into();
        };
        let mut reasons = Vec::new();
        if let Some(slope) = rows
            .number(0, "efficiency_slope_7d")
            .filter(|slope| *slope < 0.0)
        {
            reasons.push(format!(
                "its efficiency falls by {} m³/kWh a day",
                say::number(-slope, 4)
            ));
        }
        if let Some(cycles) = rows
            .number(0, "short_cycle_count")
            .filter(|cycles| *cycles > 0.0)
        {
            reasons.push(say::plural(cycles, "short cycle"));
        }
        if rows.number(0, "overrun_flag") == Some(1.0) {
            reasons.push("it ran longer than allowed at a stretch".into());
        }
        if let Some(open) = rows.number(0, "open_alerts").filter(|open| *open > 0.0) {
            reasons.push(format!("{} open", say::plural(open, "alert")));
        }
        let reasons = if reasons.is_empty() {
            String::new()
        } else {
            format!(": {}", say::list(&reasons))
        };
        let verdict = if score > 70.0 {
            "above the target of 70, so no pump is due"
        } else {
            "not above the target of 70"
        };
        let next = rows
            .number(1, "health_score")
            .map_or(String::new(), |next| {
                format!(
                    " Next is {} with {}.",
                    rows.text(1, "pump"),
                    say::number(next, 1)
                )
            });
        format!(
            "{} has the lowest health score, {} on {} ({verdict}){reasons}.{next}",
            rows.text(0, "pump"),
            say::number(score, 1),
            told_text(rows.text(0, "date"))
        )
    })
}

/// What the pumps do for their energy beside what their models expect.
fn expectation(asked: &Asked) -> Understood {
    let only = asked.one_pump().map_or(String::new(), |pump| {
        format!(" AND pump = '{}'", pump_name(pump))
    });
    let sql = format!(
        "SELECT date, pump, m3_per_kwh, expected_m3_per_kwh, residual_pct FROM pump_condition WHERE residual_pct IS NOT NULL{only} \
         ORDER BY date DESC, residual_pct LIMIT 6"
    );
    Understood::new(sql, Show::Table, move |rows| {
        match rows.number(0, "residual_pct") {
            Some(residual) => {
                let side = if residual < 0.0 { "below" } else { "above" };
                format!(
                    "{} was {} % {side} what its model expects on {}: {} instead of {} m³/kWh.",
                    rows.text(0, "pump"),
                    say::number(residual.abs(), 1),
                    told_text(rows.text(0, "date")),
                    say::number(rows.number(0, "m3_per_kwh").unwrap_or(0.0), 2),
                    say::number(rows.number(0, "expected_m3_per_kwh").unwrap_or(0.0), 2)
                )
            }
            None => "No pump has a model that says what to expect of it.".into(),
        }
    })
}
