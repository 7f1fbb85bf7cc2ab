//! A tape for the rules' tests: minutes of a steady station, bent where a test needs it and played through [`Station`].
//!
//! The steady station: P1 on at 30 kW, 200 m³/h, a level that goes between 300.0 and 300.2, a total that advances.

use std::ops::RangeBounds;

use jiff::tz::TimeZone;

use super::{RuleBook, Settings, engine::Kind, index_of};
use crate::{
    calendar::{DAY_MIN, Minute},
    plant::{PeakWindows, Plant},
    station::{Effects, Reading, Station},
    tags::{self, DAY_TOTAL, FLOW, LEVEL, NO_VALUES, PUMPS, Values, pump_name},
};

/// A value that the row does not have.
pub const UNKNOWN: f64 = f64::NAN;
/// A pump, as rows count them.
pub const P1: usize = 0;
pub const P2: usize = 1;
pub const P3: usize = 2;
pub const P6: usize = 5;

/// The rating of P1 and P2, kW.
pub const RATED_KW: f64 = 37.0;

/// Midnight before the tapes: Monday, 2024-03-04.
const MONDAY: Minute = 19_786 * DAY_MIN;

/// An alert: raised at, pump (empty for the station), resolved at (`None` while open), in minutes of the tape.
pub type Raise = (i64, &'static str, Option<i64>);

/// One minute of the tape.
#[derive(Clone, Copy)]
pub struct Line {
    /// Minutes since the start of the tape.
    pub at: i64,
    values: Values,
    duplicated: u32,
}

impl Line {
    fn steady(at: i64) -> Self {
        let mut values = NO_VALUES;
        values[DAY_TOTAL] = 200.0 / 60.0 * at as f64;
        let line = Self {
            at,
            values,
            duplicated: 0,
        };
        line.flow(200.0)
            .level(if at % 2 == 0 { 300.0 } else { 300.2 })
            .all_off()
            .on(P1, 30.0)
    }

    fn with(mut self, slot: usize, value: f64) -> Self {
        self.values[slot] = value;
        self
    }

    pub fn flow(self, flow: f64) -> Self {
        self.with(FLOW, flow)
    }

    pub fn level(self, level: f64) -> Self {
        self.with(LEVEL, level)
    }

    pub fn day_total(self, total: f64) -> Self {
        self.with(DAY_TOTAL, total)
    }

    /// The pump's command alone.
    pub fn onoff(self, pump: usize, onoff: f64) -> Self {
        self.with(tags::onoff(pump), onoff)
    }

    /// The pump's power alone.
    pub fn kw(self, pump: usize, kw: f64) -> Self {
        self.with(tags::kw(pump), kw)
    }

    pub fn on(self, pump: usize, kw: f64) -> Self {
        self.onoff(pump, 1.0).kw(pump, kw)
    }

    pub fn all_on(self) -> Self {
        (0..PUMPS).fold(self, |line, pump| line.on(pump, 20.0))
    }

    pub fn all_off(self) -> Self {
        (0..PUMPS).fold(self, |line, pump| line.onoff(pump, 0.0).kw(pump, 0.0))
    }

    pub fn no_commands(self) -> Self {
        (0..PUMPS).fold(self, |line, pump| line.onoff(pump, UNKNOWN))
    }

    pub fn no_powers(self) -> Self {
        (0..PUMPS).fold(self, |line, pump| line.kw(pump, UNKNOWN))
    }

    /// A row that holds the day's total and nothing else.
    pub fn bare(self) -> Self {
        self.no_commands().no_powers().flow(UNKNOWN).level(UNKNOWN)
    }

    /// This many tags with two records of one timestamp.
    pub fn duplicated(mut self, tags: u32) -> Self {
        self.duplicated = (1 << tags) - 1;
        self
    }
}

/// Minutes of a station, with the settings in force.
pub struct Tape {
    start: Minute,
    minutes: i64,
    lines: Vec<Line>,
    /// Each from a minute of the tape on.
    plants: Vec<(i64, Plant)>,
}

impl Tape {
    /// So many steady minutes from 10:00 on.
    pub fn minutes(minutes: i64) -> Self {
        Self::starting(10, 0, minutes)
    }

    /// So many steady minutes from a time of the day on.
    pub fn starting(hour: i64, minute: i64, minutes: i64) -> Self {
        Self {
            start: MONDAY + hour * 60 + minute,
            minutes,
            lines: (0..minutes).map(Line::steady).collect(),
            plants: vec![(0, plant())],
        }
    }

    /// Whole days of hourly rows from midnight on and the midnight after them; P1 delivers so many m³/kWh on each, or
    /// stands still.
    pub fn days(efficiency: &[f64]) -> Self {
        let minutes = efficiency.len() as i64 * DAY_MIN;
        Self::starting(0, 0, minutes + 1)
            .gap(minutes..)
            .every(60)
            .during(.., |row| {
                let today = efficiency[(row.at / DAY_MIN) as usize];
                if today.is_nan() {
                    row.all_off().flow(0.0)
                } else {
                    row.flow(30.0 * today)
                }
            })
    }

    /// The flow turns to 150 for a while, with P2 started and left on from `switched` on.
    pub fn flow_stands(during: impl RangeBounds<i64>, switched: i64) -> Self {
        Self::minutes(80)
            .during(.., |row| row.flow(200.0 + row.at as f64))
            .during(during, |row| row.flow(150.0))
            .during(switched.., |row| row.on(P2, 30.0))
    }

    /// The level turns to 250 for a while, with P2 started and left on from `switched` on.
    pub fn level_stands(during: impl RangeBounds<i64>, switched: i64) -> Self {
        Self::minutes(80)
            .during(during, |row| row.level(250.0))
            .during(switched.., |row| row.on(P2, 30.0))
    }

    /// P2 is on for some minutes from each of the starts on.
    pub fn cycles(starts: &[i64], run_min: i64) -> Self {
        let tape = Self::minutes(150);
        starts.iter().fold(tape, |tape, &start| {
            tape.during(start..start + run_min, |row| row.on(P2, 30.0))
        })
    }

    /// Bends the rows of some minutes.
    pub fn during(mut self, minutes: impl RangeBounds<i64>, bend: impl Fn(Line) -> Line) -> Self {
        let within = self
            .lines
            .iter_mut()
            .filter(|line| minutes.contains(&line.at));
        within.for_each(|line| *line = bend(*line));
        self
    }

    /// Bends the row of one minute.
    pub fn at(self, minute: i64, bend: impl Fn(Line) -> Line) -> Self {
        self.during(minute..=minute, bend)
    }

    /// Takes the rows of some minutes out.
    pub fn gap(mut self, minutes: impl RangeBounds<i64>) -> Self {
        self.lines.retain(|line| !minutes.contains(&line.at));
        self
    }

    /// Keeps a row every so many minutes.
    pub fn every(mut self, minutes: i64) -> Self {
        self.lines.retain(|line| line.at % minutes == 0);
        self
    }

    /// Changes the plant from the start.
    pub fn plant(self, change: impl Fn(&mut Plant)) -> Self {
        self.plant_from(0, change)
    }

    /// Changes the plant from a minute on.
    pub fn plant_from(mut self, minute: i64, change: impl Fn(&mut Plant)) -> Self {
        let mut plant = self.plants[self.plants.len() - 1].1.clone();
        change(&mut plant);
        self.plants.push((minute, plant));
        self
    }

    /// Changes a rule's settings from the start.
    pub fn rule(self, code: &str, change: impl Fn(&mut Settings)) -> Self {
        self.rule_from(0, code, change)
    }

    /// Changes a rule's settings from a minute on.
    pub fn rule_from(self, minute: i64, code: &str, change: impl Fn(&mut Settings)) -> Self {
        self.plant_from(minute, |plant| {
            change(&mut plant.rules.settings[place(code)])
        })
    }

    /// Plays the tape to its end.
    pub fn play(&self) -> Effects {
        let plant_at = |at: i64| {
            let in_force = self.plants.iter().rev().find(|(from, _)| *from <= at);
            &in_force.expect("one from the start").1
        };
        let mut station = Station::new(plant_at(0));
        let mut effects = Effects::default();
        for line in &self.lines {
            let reading = Reading {
                minute: self.start + line.at,
                values: line.values,
                duplicated: line.duplicated,
            };
            station.row(plant_at(line.at), &reading, &mut effects);
        }
        let last = self.minutes - 1;
        station.tick(plant_at(last), self.start + last, &mut effects);
        station.standing(plant_at(last), &mut effects);
        effects
    }

    /// How often designed suppression held the rule back.
    pub fn suppressed(&self, code: &str) -> u32 {
        let suppressed = self.play().suppressed;
        let of_rule = suppressed
            .iter()
            .filter(|(_, rule, _)| *rule == place(code));
        of_rule.map(|(_, _, count)| count).sum()
    }
}

fn place(code: &str) -> usize {
    index_of(code).expect("a code of the catalogue")
}

/// The settings a station has where its config says nothing.
fn plant() -> Plant {
    let mut peak = PeakWindows::default();
    peak.add("06:00-10:00").expect("a window");
    peak.add("17:00-21:00").expect("a window");
    Plant {
        zone: TimeZone::UTC,
        rated_kw: [RATED_KW, RATED_KW, 30.0, 30.0, 22.0, 22.0],
        level_physical_max: 500.0,
        level_historical_max: 500.0,
        volume_m3: 1200.0,
        flow_physical_max: 900.0,
        daily_energy_budget_kwh: 1500.0,
        zero_kw: 0.1,
        zero_flow: 0.1,
        peak,
        switching_mask_min: 5,
        normal_stop_pct: 80.0,
        rules: RuleBook::default(),
    }
}

/// Plays the tape, compares all alerts of a rule, and hands their values at the trigger back, rounded to 1e-6.
#[track_caller]
pub fn check(code: &str, tape: Tape, expected: &[Raise]) -> Vec<f64> {
    let (mut raises, mut values) = (Vec::<Raise>::new(), Vec::new());
    for transition in tape.play().transitions {
        if transition.rule != place(code) {
            continue;
        }
        let at = transition.minute - tape.start;
        let pump = transition.subject.map_or("", pump_name);
        match transition.kind {
            Kind::Raised { value, .. } => {
                raises.push((at, pump, None));
                values.push((value * 1e6).round() / 1e6);
            }
            Kind::Resolved { raised } => {
                let raised = raised - tape.start;
                let open = raises
                    .iter_mut()
                    .find(|raise| (raise.0, raise.1) == (raised, pump) && raise.2.is_none());
                open.expect("only an open alert resolves").2 = Some(at);
            }
        }
    }
    assert_eq!(raises, expected, "{code}: raised at, pump, resolved at");
    values
}

#[test]
fn the_steady_station_raises_nothing() {
    assert_eq!(Tape::minutes(600).play().transitions, []);
}
