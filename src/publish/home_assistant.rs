//! Home Assistant's discovery: retained messages that tell it which of our retained states are sensors of which kind.
//!
//! One message a sensor, which every version of Home Assistant understands. Alarms of WARNING and up are sensors each; those
//! of WARNING that each pump has are there but not enabled until somebody wants them, for there are many.

use serde_json::{Value, json};

use crate::{
    config::Config,
    rules::{CATALOGUE, Severity},
    store::{
        outbox::Face,
        states::{State, alarms},
    },
    tags::{PUMPS, pump_name},
};

/// What Home Assistant is told.
#[derive(Clone, Debug, PartialEq)]
pub struct HomeAssistant {
    /// Where it says `online` when it has started.
    pub status_topic: String,
    /// The discovery messages.
    pub discovery: Vec<State>,
}

/// A sensor with a number.
struct Sensor {
    /// Last part of its id.
    id: &'static str,
    name: &'static str,
    /// The state it is in, and the field of it.
    of: (&'static str, &'static str),
    unit: &'static str,
    device_class: Option<&'static str>,
    state_class: &'static str,
}

const fn sensor(
    id: &'static str,
    name: &'static str,
    of: (&'static str, &'static str),
    unit: &'static str,
) -> Sensor {
    Sensor {
        id,
        name,
        of,
        unit,
        device_class: None,
        state_class: "measurement",
    }
}

/// A sensor of a class that Home Assistant knows.
const fn classed(device_class: &'static str, sensor: Sensor) -> Sensor {
    Sensor {
        device_class: Some(device_class),
        ..sensor
    }
}

/// A sensor that only grows, and begins again at midnight.
const fn growing(sensor: Sensor) -> Sensor {
    Sensor {
        state_class: "total_increasing",
        ..sensor
    }
}

/// The sensors of the station.
const SENSORS: &[Sensor] = &[
    classed(
        "volume_flow_rate",
        sensor("flow", "Flow", ("readings", "fit101_per_hr"), "m³/h"),
    ),
    growing(classed(
        "water",
        sensor(
            "volume_today",
            "Volume today",
            ("readings", "fit101_day_total"),
            "m³",
        ),
    )),
    sensor("level_pct", "Tank level", ("readings", "hlt_pct"), "%"),
    sensor("level", "Tank level raw", ("readings", "hlt101_output"), ""),
    sensor("pumps_on", "Pumps on", ("readings", "pumps_on_count"), ""),
    classed(
        "power",
        sensor("power", "Power", ("readings", "total_kw"), "kW"),
    ),
    sensor(
        "energy_per_flow",
        "Energy per flow",
        ("readings", "energy_per_flow"),
        "kWh/m³",
    ),
    growing(classed(
        "energy",
        sensor("energy_today", "Energy today", ("kpi", "total_kwh"), "kWh"),
    )),
    sensor(
        "energy_per_m3",
        "Energy per volume today",
        ("kpi", "energy_per_m3"),
        "kWh/m³",
    ),
    sensor(
        "pump_starts",
        "Pump starts today",
        ("kpi", "pump_switching_per_day"),
        "",
    ),
    sensor(
        "tank_stability",
        "Tank stability today",
        ("kpi", "tank_stability_pct"),
        "%",
    ),
    sensor(
        "health_score",
        "Pump health score",
        ("kpi", "health_score"),
        "",
    ),
    sensor(
        "efficiency_slope",
        "Efficiency slope",
        ("kpi", "efficiency_slope_7d"),
        "m³/kWh/d",
    ),
    sensor(
        "alerts_today",
        "Alerts today",
        ("kpi", "alerts_per_day"),
        "",
    ),
    sensor(
        "open_warning",
        "Open alerts WARNING",
        ("kpi", "open_by_severity.WARNING"),
        "",
    ),
    sensor(
        "open_high",
        "Open alerts HIGH",
        ("kpi", "open_by_severity.HIGH"),
        "",
    ),
    sensor(
        "open_critical",
        "Open alerts CRITICAL",
        ("kpi", "open_by_severity.CRITICAL"),
        "",
    ),
];

impl HomeAssistant {
    /// What a station with this config tells; `None` when the face is off.
    pub fn of(config: &Config) -> Option<Self> {
        let prefix = config.mqtt.as_ref()?.home_assistant_prefix.as_ref()?;
        let face = super::face(config)?;
        let station = Station {
            prefix,
            face: &face,
            name: &config.site_name,
        };
        let sensors = SENSORS.iter().map(|sensor| station.sensor(sensor));
        let pumps = (0..PUMPS).flat_map(|pump| station.pump(pump));
        let alarms = alarms()
            .filter(|&(rule, _)| config.plant.rules.settings[rule].enabled)
            .map(|(rule, pump)| (rule, pump, config.plant.rules.settings[rule].severity))
            .filter(|&(_, _, severity)| severity >= Severity::Warning)
            .map(|(rule, pump, severity)| station.alarm(rule, pump, severity));
        Some(Self {
            status_topic: format!("{prefix}/status"),
            discovery: sensors.chain(pumps).chain(alarms).collect(),
        })
    }
}

struct Station<'a> {
    prefix: &'a str,
    face: &'a Face,
    name: &'a str,
}

impl Station<'_> {
    /// The message about an entity, with what all of them share.
    fn entity(&self, component: &str, id: &str, of: (&str, &str), mut config: Value) -> State {
        let Self { prefix, face, name } = self;
        let (topic, field) = of;
        let device = format!("pumphouse_{}", face.site);
        config["unique_id"] = format!("{device}_{id}").into();
        config["state_topic"] = format!("{}/{topic}", face.base).into();
        config["value_template"] = format!("{{{{ value_json.{field} }}}}").into();
        config["availability_topic"] = format!("{}/state", face.base).into();
        config["availability_template"] = "{{ value_json.state }}".into();
        config["payload_available"] = "online".into();
        config["payload_not_available"] = "offline".into();
        config["device"] = json!({
            "identifiers": [device],
            "name": name,
            "manufacturer": "Pumphouse",
            "model": "Pump station",
            "sw_version": env!("CARGO_PKG_VERSION"),
        });
        config["origin"] = json!({ "name": "pumphouse", "sw_version": env!("CARGO_PKG_VERSION") });
        let topic = format!("{prefix}/{component}/{device}/{id}/config");
        (topic, config.to_string())
    }

    fn sensor(&self, sensor: &Sensor) -> State {
        let mut config = json!({ "name": sensor.name, "state_class": sensor.state_class });
        if !sensor.unit.is_empty() {
            config["unit_of_measurement"] = sensor.unit.into();
        }
        if let Some(device_class) = sensor.device_class {
            config["device_class"] = device_class.into();
        }
        self.entity("sensor", sensor.id, sensor.of, config)
    }

    /// Whether a pump runs, and the power it draws.
    fn pump(&self, pump: usize) -> [State; 2] {
        let name = pump_name(pump);
        let low = name.to_lowercase();
        let running = json!({
            "name": name,
            "device_class": "running",
            "payload_on": "1",
            "payload_off": "0",
        });
        let power = json!({
            "name": format!("{name} power"),
            "device_class": "power",
            "state_class": "measurement",
            "unit_of_measurement": "kW",
        });
        let (on, kw) = (format!("{low}_onoff"), format!("{low}_kwh"));
        [
            self.entity("binary_sensor", &low, ("readings", &on), running),
            self.entity("sensor", &format!("{low}_power"), ("readings", &kw), power),
        ]
    }

    /// Whether an alarm is active; its message and what to do about it are attributes.
    fn alarm(&self, rule: usize, pump: Option<usize>, severity: Severity) -> State {
        let rule = &CATALOGUE[rule];
        let (topic, id, name) = match pump.map(pump_name) {
            Some(pump) => (
                format!("alerts/{}/{pump}", rule.code),
                format!("{}_{pump}", rule.code),
                format!("{} {} {pump}", rule.code, rule.name),
            ),
            None => (
                format!("alerts/{}", rule.code),
                rule.code.to_owned(),
                format!("{} {}", rule.code, rule.name),
            ),
        };
        let id = id.to_lowercase().replace('-', "");
        let config = json!({
            "name": name,
            "device_class": "problem",
            "payload_on": "True",
            "payload_off": "False",
            "json_attributes_topic": format!("{}/{topic}", self.face.base),
            "enabled_by_default": pump.is_none() || severity > Severity::Warning,
        });
        self.entity("binary_sensor", &id, (&topic, "active"), config)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, path::Path};

    use super::*;

    const SAMPLE: &str = include_str!("../../config/pumphouse.toml");

    fn told(more: &str) -> Option<HomeAssistant> {
        let text = SAMPLE.replace(
            "[mqtt] ",
            &format!("{more}\n[mqtt]\nhome_assistant_prefix = \"ha\" "),
        );
        HomeAssistant::of(&Config::parse(&text, Path::new("/plant")).expect("a config"))
    }

    #[test]
    fn is_off_without_a_prefix() {
        let config = Config::parse(SAMPLE, Path::new("/plant")).expect("the sample");
        assert!(HomeAssistant::of(&config).is_none());
    }

    #[test]
    fn ids_are_unique_and_made_of_what_discovery_allows() {
        let told = told("").expect("on");
        assert_eq!(told.status_topic, "ha/status");
        let topics: HashSet<_> = told.discovery.iter().map(|(topic, _)| topic).collect();
        assert_eq!(topics.len(), told.discovery.len());
        for topic in topics {
            let levels: Vec<_> = topic.split('/').collect();
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            assert!(
                levels.len() == 5 && levels.iter().all(|level| level.chars().all(plain)),
                "{topic}"
            );
        }
    }

    #[test]
    fn alarms_follow_the_severities_in_force() {
        let about = |told: &HomeAssistant, alarm: &str| {
            let topic = format!("ha/binary_sensor/pumphouse_stp-01/{alarm}/config");
            let found = told.discovery.iter().find(|(it, _)| *it == topic)?;
            serde_json::from_str::<Value>(&found.1).ok()
        };
        let usual = told("").expect("on");
        assert_eq!(
            about(&usual, "a01").expect("there")["enabled_by_default"],
            true
        );
        assert_eq!(
            about(&usual, "b01_p2").expect("there")["enabled_by_default"],
            true
        );
        assert_eq!(
            about(&usual, "b05_p2").expect("there")["enabled_by_default"],
            false
        );
        assert!(about(&usual, "a03").is_none(), "INFO");
        let changed =
            told("[alerts.rules.A-03]\nseverity = \"HIGH\"\n[alerts.rules.A-01]\nenabled = false");
        let changed = changed.expect("on");
        assert!(about(&changed, "a03").is_some() && about(&changed, "a01").is_none());
    }
}
