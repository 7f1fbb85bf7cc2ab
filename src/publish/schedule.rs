//! The retained `schedule`: what to run when, why, and what else would be; or why there is no advice.

use serde_json::{Value, json};

use crate::{
    calendar::utc_text,
    schedule::{
        plan::Plan,
        problem::{Combination, pumps},
        savings::Saving,
        what_if::WhatIf,
        worker::Advice,
    },
    store::{
        outbox::{Face, SCHEMA},
        states::State,
    },
    tags::pump_name,
};

/// The advice as a retained state.
pub fn state(face: &Face, advice: &Advice) -> State {
    let mut payload = payload(advice);
    payload["ts"] = utc_text(advice.made).into();
    payload["site"] = face.site.clone().into();
    payload["schema"] = SCHEMA.into();
    (format!("{}/schedule", face.base), payload.to_string())
}

/// The advice: costs in `currency`, energy in kWh, levels in % at the end of a slot.
pub fn payload(advice: &Advice) -> Value {
    let mut payload = json!({
        "advisory": true,
        "made_at": utc_text(advice.made),
        "currency": advice.currency,
    });
    let plan = match &advice.planned {
        Ok(plan) => plan,
        Err(why) => {
            payload["status"] = "refused".into();
            payload["because"] = why.clone().into();
            return payload;
        }
    };
    let done = &plan.evaluation;
    payload["status"] = plan.status().into();
    payload["broken"] = plan.broken.clone().into();
    payload["cost"] = rounded(done.energy_cost);
    payload["demand_cost"] = rounded(done.demand_cost);
    match &plan.saving {
        Ok(saving) => payload["baseline"] = self::saving(saving),
        Err(why) => payload["no_savings_because"] = why.clone().into(),
    }
    payload["energy_kwh"] = rounded(done.total_kwh());
    payload["starts"] = done.starts.into();
    payload["margin_m3"] = rounded(plan.problem.tank.margin_m3);
    payload["at_most_better_pct"] = rounded(plan.gap * 100.0);
    if let Some(full_speed) = plan.full_speed {
        payload["speeds_save"] = rounded(full_speed - done.objective());
    }
    payload["slots"] = plan
        .slots
        .iter()
        .enumerate()
        .map(|(at, slot)| {
            let mut told = json!({
                "begin": utc_text(slot.begin),
                "length_min": plan.problem.slots[at].length_min,
                "pumps": list(slot.set),
                "level_pct": rounded(slot.level_pct),
                "demand_m3h": rounded(slot.demand_m3h),
                "energy_kwh": rounded(slot.energy_kwh),
                "price_per_kwh": slot.price_per_kwh,
            });
            let speeds_pct = plan.problem.speeds_pct(slot.set, slot.speed_pct);
            if !speeds_pct.is_empty() {
                told["speeds_pct"] = json!(speeds_pct);
            }
            told
        })
        .collect();
    payload["changes"] = changes(plan);
    payload["binding"] = advice.binding.clone().into();
    payload["objective"] = rounded(plan.objective);
    payload["bound"] = rounded(plan.bound);
    if let Some(relaxed) = &advice.relaxed {
        let worth = relaxed
            .water_worth
            .iter()
            .map(|worth| (worth * 1e4).round() / 1e4);
        payload["water_worth_per_m3"] = worth.collect();
        payload["bound_by_relaxation"] = rounded(relaxed.bound);
    }
    let out = plan
        .out
        .iter()
        .map(|(pump, why)| json!({ "pump": pump_name(*pump), "because": why }));
    payload["out_of_service"] = out.collect();
    payload["extrapolated"] = plan.extrapolated.iter().map(|&set| list(set)).collect();
    payload["what_ifs"] = advice.what_ifs.iter().map(what_if).collect();
    payload
}

/// What is saved beside the station's own control on the same demand and to the same level, of energy alone.
pub fn saving(saving: &Saving) -> Value {
    json!({
        "cost": rounded(saving.baseline_cost),
        "energy_kwh": rounded(saving.baseline_kwh),
        "savings_pct": rounded(saving.cost_pct()),
        "savings_kwh_pct": rounded(saving.kwh_pct()),
    })
}

fn changes(plan: &Plan) -> Value {
    let changes = plan.changes.iter().map(|change| {
        let mut told = json!({
            "at": utc_text(change.minute),
            "start": list(change.start),
            "stop": list(change.stop),
            "reason": change.reason,
        });
        if !change.speeds_pct.is_empty() {
            told["speeds_pct"] = json!(change.speeds_pct);
        }
        told
    });
    changes.collect()
}

/// An answer to what if.
pub fn what_if(answer: &WhatIf) -> Value {
    json!({
        "what": answer.what,
        "cost_more": rounded(answer.cost_more),
        "energy_more_kwh": rounded(answer.kwh_more),
        "broken": answer.broken,
    })
}

fn list(set: Combination) -> Value {
    pumps(set).map(pump_name).collect()
}

fn rounded(value: f64) -> Value {
    ((value * 100.0).round() / 100.0).into()
}
