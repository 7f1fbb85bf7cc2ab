//! The metrics: what there is, and what each is at the moment. Pure.
//!
//! A metric is a field of one of the retained states under another name, so both faces always tell the same.

use std::collections::HashMap;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::payload::{Kind, Value};
use crate::{
    rules::{CATALOGUE, Severity},
    store::states::alarms,
    tags::{PUMPS, pump_name},
};

/// The retained states by the part of their topics below the station's base.
pub type States = HashMap<String, Json>;

/// A metric that there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Name, with slashes between the folders.
    pub name: String,
    /// Unit; empty for what has none.
    pub unit: &'static str,
    /// Kind of value.
    pub kind: Kind,
    /// The state it is in.
    topic: String,
    /// The field of it, as a JSON pointer.
    field: String,
}

/// A metric at the moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Its value; `None` when it is unknown.
    pub value: Option<Value>,
    /// Of when it is, ms since 1970.
    pub at_ms: u64,
}

/// Everything of the newest row and the day that is not one of each pump: name, unit, kind, state, field.
const OF_THE_STATION: &[(&str, &str, Kind, &str, &str)] = &[
    (
        "Flow/FIT101",
        "m³/h",
        Kind::Real,
        "readings",
        "fit101_per_hr",
    ),
    (
        "Flow/DayTotal",
        "m³",
        Kind::Real,
        "readings",
        "fit101_day_total",
    ),
    (
        "Flow/PerPump",
        "m³/h",
        Kind::Real,
        "readings",
        "flow_per_pump",
    ),
    ("Flow/Change", "m³/h", Kind::Real, "readings", "flow_diff"),
    ("Flow/ZScore", "", Kind::Real, "readings", "flow_z_score"),
    ("Tank/Level", "", Kind::Real, "readings", "hlt101_output"),
    ("Tank/LevelPercent", "%", Kind::Real, "readings", "hlt_pct"),
    ("Tank/LevelChange", "", Kind::Real, "readings", "hlt_diff"),
    (
        "Pumps/OnCount",
        "",
        Kind::Whole,
        "readings",
        "pumps_on_count",
    ),
    ("Power/Total", "kW", Kind::Real, "readings", "total_kw"),
    (
        "Energy/PerFlow",
        "kWh/m³",
        Kind::Real,
        "readings",
        "energy_per_flow",
    ),
    ("Tariff/Peak", "", Kind::Flag, "readings", "is_peak_hour"),
    ("KPI/Date", "", Kind::Text, "kpi", "date"),
    ("KPI/Volume", "m³", Kind::Real, "kpi", "total_flow"),
    ("KPI/Energy", "kWh", Kind::Real, "kpi", "total_kwh"),
    (
        "KPI/EnergyPerVolume",
        "kWh/m³",
        Kind::Real,
        "kpi",
        "energy_per_m3",
    ),
    (
        "KPI/PumpStarts",
        "",
        Kind::Whole,
        "kpi",
        "pump_switching_per_day",
    ),
    (
        "KPI/TankStability",
        "%",
        Kind::Real,
        "kpi",
        "tank_stability_pct",
    ),
    ("KPI/HealthScore", "", Kind::Real, "kpi", "health_score"),
    (
        "KPI/EfficiencySlope7d",
        "m³/kWh/d",
        Kind::Real,
        "kpi",
        "efficiency_slope_7d",
    ),
    ("KPI/Alerts", "", Kind::Whole, "kpi", "alerts_per_day"),
    (
        "KPI/CriticalAlerts",
        "",
        Kind::Whole,
        "kpi",
        "critical_alerts",
    ),
];

/// The same of each pump, the field without the pump's name before it.
const OF_A_PUMP: &[(&str, &str, Kind, &str)] = &[
    ("On", "", Kind::Flag, "onoff"),
    ("Power", "kW", Kind::Real, "kwh"),
    ("RuntimeHours", "h", Kind::Real, "rhr"),
    ("RuntimeMinutes", "min", Kind::Real, "rmin"),
];

/// All metrics, always in the same order; the place of one is its alias, counted from 1.
pub fn definitions() -> Vec<Definition> {
    let station = OF_THE_STATION
        .iter()
        .map(|&(name, unit, kind, topic, field)| Definition {
            name: name.into(),
            unit,
            kind,
            topic: topic.into(),
            field: format!("/{field}"),
        });
    let pumps = (0..PUMPS).flat_map(|pump| {
        let name = pump_name(pump);
        OF_A_PUMP
            .iter()
            .map(move |&(what, unit, kind, field)| Definition {
                name: format!("Pumps/{name}/{what}"),
                unit,
                kind,
                topic: "readings".into(),
                field: format!("/{}_{field}", name.to_lowercase()),
            })
    });
    let open = [
        Severity::Info,
        Severity::Warning,
        Severity::High,
        Severity::Critical,
    ]
    .map(|severity| Definition {
        name: format!("Alarms/Open/{severity}"),
        unit: "",
        kind: Kind::Whole,
        topic: "kpi".into(),
        field: format!("/open_by_severity/{severity}"),
    });
    let alarms = alarms().flat_map(|(rule, subject)| {
        let code = CATALOGUE[rule].code;
        let alarm = match subject {
            Some(pump) => format!("{code}/{}", pump_name(pump)),
            None => code.to_owned(),
        };
        [("Active", Kind::Flag), ("State", Kind::Text)].map(|(what, kind)| Definition {
            name: format!("Alarms/{alarm}/{what}"),
            unit: "",
            kind,
            topic: format!("alerts/{alarm}"),
            field: format!("/{}", what.to_lowercase()),
        })
    });
    station.chain(pumps).chain(open).chain(alarms).collect()
}

/// What each metric is now, in the order of the definitions. A value is of the newest row's minute, or, if that is later, of
/// when something happened to its alarm; without a row it is of `now_ms`.
pub fn readings(definitions: &[Definition], states: &States, now_ms: u64) -> Vec<Reading> {
    let row_ms = states
        .get("readings")
        .and_then(|state| time_ms(&state["ts"]));
    let row_ms = row_ms.unwrap_or(now_ms);
    let reading = |definition: &Definition| {
        let state = states.get(&definition.topic);
        let happened = state
            .filter(|_| definition.topic.starts_with("alerts/"))
            .and_then(|state| {
                [&state["ts"], &state["acknowledged_at"]]
                    .into_iter()
                    .filter_map(time_ms)
                    .max()
            });
        Reading {
            value: state
                .and_then(|state| state.pointer(&definition.field))
                .and_then(|json| value(definition.kind, json)),
            at_ms: happened.unwrap_or(0).max(row_ms),
        }
    };
    definitions.iter().map(reading).collect()
}

/// A field as a value; `None` for what is unknown.
fn value(kind: Kind, json: &Json) -> Option<Value> {
    match kind {
        // SQLite has whole numbers with and without a fraction.
        Kind::Whole => {
            let number = json.as_f64().filter(|number| number.fract() == 0.0)?;
            Some(Value::Long((number as i64).cast_unsigned()))
        }
        Kind::Real => json.as_f64().map(Value::Double),
        Kind::Flag => json
            .as_bool()
            .or_else(|| json.as_f64().map(|number| number != 0.0))
            .map(Value::Boolean),
        Kind::Text => json.as_str().map(|text| Value::Text(text.to_owned())),
    }
}

fn time_ms(json: &Json) -> Option<u64> {
    let time: Timestamp = json.as_str()?.parse().ok()?;
    u64::try_from(time.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::json;

    use super::*;

    fn place(name: &str) -> usize {
        let definitions = definitions();
        let place = definitions.iter().position(|it| it.name == name);
        place.unwrap_or_else(|| panic!("no metric {name}"))
    }

    #[test]
    fn names_differ_in_more_than_their_case() {
        let names: HashSet<_> = definitions()
            .into_iter()
            .map(|definition| definition.name.to_lowercase())
            .collect();
        assert_eq!(names.len(), definitions().len());
        place("Alarms/B-01/P1/Active");
        place("Alarms/A-01/State");
    }

    #[test]
    fn a_metric_is_of_the_rows_minute_and_an_alarm_of_when_it_changed() {
        let states = States::from([
            (
                "readings".to_owned(),
                json!({"ts": "2026-03-01T14:00:00Z", "fit101_per_hr": 480.5, "p1_onoff": 1, "p2_onoff": null}),
            ),
            (
                "alerts/F-01".to_owned(),
                json!({"ts": "2026-03-01T14:06:00Z", "active": true, "state": "active"}),
            ),
            (
                "alerts/B-01/P2".to_owned(),
                json!({"ts": "2026-03-01T13:00:00Z", "active": false, "state": "resolved"}),
            ),
        ]);
        let now = readings(&definitions(), &states, 1);
        let row_ms = 1_772_373_600_000;
        let expected = [
            ("Flow/FIT101", Some(Value::Double(480.5)), row_ms),
            ("Pumps/P1/On", Some(Value::Boolean(true)), row_ms),
            ("Pumps/P2/On", None, row_ms),
            ("KPI/Energy", None, row_ms),
            (
                "Alarms/F-01/Active",
                Some(Value::Boolean(true)),
                row_ms + 360_000,
            ),
            (
                "Alarms/B-01/P2/State",
                Some(Value::Text("resolved".into())),
                row_ms,
            ),
        ];
        for (name, value, at_ms) in expected {
            assert_eq!(now[place(name)], Reading { value, at_ms }, "{name}");
        }
        assert_eq!(
            readings(&definitions(), &States::new(), 7)[0],
            Reading {
                value: None,
                at_ms: 7
            }
        );
    }

    #[test]
    fn a_negative_whole_number_is_written_as_its_twos_complement() {
        assert_eq!(
            value(Kind::Whole, &json!(-2.0)),
            Some(Value::Long(u64::MAX - 1))
        );
        assert_eq!(value(Kind::Whole, &json!(1.5)), None);
    }
}
