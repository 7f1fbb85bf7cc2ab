//! The retained forecasts: `forecast/<target>`, both horizons of a target in one message, each with its model and its reason.

use serde_json::{Map, Value, json};

use crate::{
    calendar::utc_text,
    forecast::{
        manifest::{Horizon, Target},
        predict::{Forecast, SEASONAL_NAIVE},
        worker::Told,
    },
    store::{
        outbox::{Face, SCHEMA},
        states::State,
    },
};

/// The forecasts as retained states.
pub fn states(face: &Face, told: &[Told]) -> Vec<State> {
    let of = |target| {
        let mut horizons = Map::new();
        let mut made = None;
        for one in told.iter().filter(|it| it.forecast.place.target == target) {
            made = Some(one.forecast.made);
            let mut payload = payload(&one.forecast);
            payload["health"] = one.health.as_deref().into();
            horizons.insert(one.forecast.place.horizon.name().into(), payload);
        }
        let payload = json!({
            "ts": utc_text(made?),
            "site": face.site,
            "schema": SCHEMA,
            "target": target.name(),
            "unit": target.unit(),
            "horizons": horizons,
        });
        Some((
            format!("{}/forecast/{}", face.base, target.name()),
            payload.to_string(),
        ))
    };
    [Target::HltPct, Target::FlowDemand]
        .into_iter()
        .filter_map(of)
        .collect()
}

/// A forecast: lists with an entry for each step, the first of them at `first`.
pub fn payload(forecast: &Forecast) -> Value {
    let horizon: Horizon = forecast.place.horizon;
    let first = forecast.made + horizon.slot_min();
    let rounded = |value: f64| Value::from((value * 100.0).round() / 100.0);
    let mut lists = [(); 3].map(|()| vec![Value::Null; horizon.slots()]);
    for step in &forecast.steps {
        let at = ((step.minute - first) / horizon.slot_min()) as usize;
        lists[0][at] = rounded(step.value);
        if let Some((lower, upper)) = step.bounds {
            lists[1][at] = rounded(lower);
            lists[2][at] = rounded(upper);
        }
    }
    let [value, lower, upper] = lists;
    let is_none = forecast.model.is_none();
    let list = |list: Vec<Value>| if is_none { Value::Null } else { list.into() };
    json!({
        "made_at": utc_text(forecast.made),
        "model": forecast.model,
        "fallback": forecast.model.as_deref() == Some(SEASONAL_NAIVE),
        "because": forecast.because,
        "slot_min": horizon.slot_min(),
        "first": utc_text(first),
        "value": list(value),
        "lower": list(lower),
        "upper": list(upper),
    })
}
