//! The picture of this moment: what Overview shows, and what is pushed to every page.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use crate::{
    calendar::{Calendar, Minute, text},
    config::Config,
    forecast::{manifest::Horizon, worker::Told},
    publish::schedule as told,
    schedule::{problem::pumps, worker::Advice},
    store::look::{Look, Stretch},
    tags::{PUMPS, pump_name},
    web::Shared,
};

/// Alerts shown beside the station.
const URGENT_MAX: usize = 8;
/// Minutes after which a sample is old, beyond the usual delay of the exports.
const STALE_MIN: i64 = 3;
/// Longest look ahead for another price, min.
const PRICE_AHEAD_MIN: i64 = 2 * 1440;

/// `GET /api/v1/now`.
pub async fn now(State(shared): State<Arc<Shared>>) -> Response {
    let picture = shared.live.borrow().clone();
    (
        [(header::CONTENT_TYPE, "application/json")],
        picture.to_string(),
    )
        .into_response()
}

/// Makes the picture.
pub async fn picture(shared: &Arc<Shared>) -> anyhow::Result<Value> {
    let now_s = shared.clock.now_s();
    let config = shared.config.clone();
    let mut picture = shared.looks.ask(move |look| stored(look, &config)).await?;
    let config = &shared.config;
    let mut calendar = Calendar::new(config.plant.zone.clone());
    picture["now_ts"] = now_s.into();
    picture["speed"] = shared.clock.speed().into();
    picture["site"] = json!({
        "id": config.site_id, "name": config.site_name, "zone": config.plant.zone.iana_name().unwrap_or("UTC"),
    });
    picture["stale_after_min"] = (config.historian.delivery_delay_min + STALE_MIN).into();
    picture["limits"] = limits(config);
    picture["tariff"] = tariff(config, now_s.div_euclid(60), &mut calendar);
    let advice = shared.advice.borrow().clone();
    picture["advice"] = advice.map_or(Value::Null, |advice| advised(&advice, now_s.div_euclid(60)));
    picture["forecast"] = ahead(&shared.forecasts.borrow(), &mut calendar);
    Ok(picture)
}

/// What the store knows.
fn stored(look: &mut Look, config: &Config) -> anyhow::Result<Value> {
    let row = look.newest_row()?;
    let alerts = json!({
        "open": look.open_counts()?,
        "urgent": look.urgent(URGENT_MAX)?,
        "journal_id": look.newest_journal_id()?,
    });
    let Some(ts) = row["ts"].as_i64() else {
        return Ok(json!({ "row": null, "alerts": alerts }));
    };
    let newest = ts.div_euclid(60);
    let silence = Stretch {
        from_s: ts,
        until_s: i64::MAX,
    };
    let (running, condition) = (look.running()?, look.condition(newest)?);
    let pumps: Vec<Value> = (0..PUMPS)
        .map(|pump| {
            let name = pump_name(pump);
            let of = |list: &[Value]| list.iter().find(|it| it["pump"] == name).cloned();
            let lower = name.to_lowercase();
            let value = |what: &str| row[format!("{lower}_{what}")].clone();
            let hours = value("rhr")
                .as_f64()
                .map(|hours| hours + value("rmin").as_f64().unwrap_or(0.0) / 60.0);
            json!({
                "pump": name,
                "on": value("onoff"),
                "kw": value("kwh"),
                "rated_kw": config.plant.rated_kw[pump],
                "hours": hours,
                "running": of(&running),
                "condition": of(&condition),
            })
        })
        .collect();
    Ok(json!({
        "row": row,
        "pumps": pumps,
        "alerts": alerts,
        "logging_stop": look.logging_stop(silence)?,
        "figures": look.figures(newest)?,
    }))
}

/// The levels that mean something, %, and what the tank holds.
fn limits(config: &Config) -> Value {
    let plant = &config.plant;
    let of = |code: &str, key: &str| plant.rules.limit(code, key);
    let pct = |share: Option<f64>| share.unwrap_or_default();
    json!({
        "level_critical_low_pct": pct(of("D-01", "level_below_pct")),
        "level_high_pct": pct(of("D-03", "level_above_pct")),
        "level_min_pct": config.schedule.level_min_pct,
        "level_max_pct": config.schedule.level_max_pct,
        "volume_m3": plant.volume_m3,
        "flow_max_m3h": plant.flow_physical_max,
        "daily_energy_budget_kwh": (plant.daily_energy_budget_kwh < f64::MAX).then_some(plant.daily_energy_budget_kwh),
    })
}

/// The price now, and when it changes to what.
fn tariff(config: &Config, now: Minute, calendar: &mut Calendar) -> Value {
    let tariff = &config.tariff;
    let mut price = |minute| tariff.price(calendar.local(minute));
    let price_now = price(now);
    let next = (now + 1..now + PRICE_AHEAD_MIN).find(|&minute| price(minute) != price_now);
    let next_price = next.map(&mut price);
    let (lowest, highest) = tariff.range();
    json!({
        "price": price_now,
        "currency": tariff.currency,
        "is_peak": tariff.peak.contains(calendar.local(now)),
        "until_ts": next.map(|minute| minute * 60),
        "until": next.map(|minute| text(calendar.local(minute).minute)),
        "next_price": next_price,
        "lowest": lowest,
        "highest": highest,
    })
}

/// The advice for now and the next change.
fn advised(advice: &Advice, now: Minute) -> Value {
    let whole = told::payload(advice);
    let keep = [
        "status",
        "because",
        "broken",
        "cost",
        "currency",
        "baseline",
        "energy_kwh",
        "out_of_service",
        "made_at",
    ];
    let mut short: Value = keep
        .iter()
        .map(|&key| (key.to_owned(), whole[key].clone()))
        .collect();
    if let Ok(plan) = &advice.planned {
        let running = plan.slots.iter().rev().find(|slot| slot.begin <= now);
        short["now"] = running
            .or(plan.slots.first())
            .map(|slot| pumps(slot.set).map(pump_name).collect::<Vec<_>>())
            .into();
        let next = plan.changes.iter().position(|change| change.minute > now);
        short["next"] = next.map_or(Value::Null, |at| {
            let mut change = whole["changes"][at].clone();
            change["ts"] = (plan.changes[at].minute * 60).into();
            change
        });
    }
    short
}

/// The level in an hour, and its lowest and highest within a day.
fn ahead(told: &[Told], calendar: &mut Calendar) -> Value {
    let of = |name: &str, horizon: Horizon| {
        let forecast = told.iter().map(|it| &it.forecast);
        let mut forecast =
            forecast.filter(|it| it.place.target.name() == name && it.place.horizon == horizon);
        forecast.next()
    };
    let mut step = |step: &crate::forecast::predict::Step| {
        json!({
            "value": step.value, "ts": step.minute * 60, "local": text(calendar.local(step.minute).minute),
            "lower": step.bounds.map(|bounds| bounds.0), "upper": step.bounds.map(|bounds| bounds.1),
        })
    };
    let by_value = |a: &&crate::forecast::predict::Step, b: &&crate::forecast::predict::Step| {
        a.value.total_cmp(&b.value)
    };
    let day = of("hlt_pct", Horizon::Day)
        .map(|it| &it.steps[..])
        .unwrap_or_default();
    let mut told =
        |found: Option<&crate::forecast::predict::Step>| found.map_or(Value::Null, &mut step);
    json!({
        "level_in_an_hour": told(of("hlt_pct", Horizon::Hour).and_then(|it| it.steps.last())),
        "flow_in_an_hour": told(of("flow_demand", Horizon::Hour).and_then(|it| it.steps.last())),
        "level_lowest": told(day.iter().min_by(by_value)),
        "level_highest": told(day.iter().max_by(by_value)),
    })
}
