//! What is to be planned: the station, its tank, the prices and the hours ahead. Data only.

use std::collections::BTreeMap;

use crate::tags::{PUMPS, pump_name};

/// A set of pumps, bit 0 for P1.
pub type Combination = usize;
/// A set of pumps and the speed of those on variable-speed drives: what may run in a slot. The sets at full speed come first, by
/// their number; those of [`Problem::slower`] follow.
pub type Choice = usize;
/// All sets of six pumps.
pub const COMBINATIONS: usize = 1 << PUMPS;

/// Full speed, %.
pub const FULL_PCT: u8 = 100;

/// Whether a pump, counted from 0, is in a set.
pub fn has(set: Combination, pump: usize) -> bool {
    set >> pump & 1 == 1
}

/// The pumps of a set, counted from 0.
pub fn pumps(set: Combination) -> impl Iterator<Item = usize> {
    (0..PUMPS).filter(move |&pump| has(set, pump))
}

/// How many pumps a set has.
pub fn count(set: Combination) -> usize {
    set.count_ones() as usize
}

/// A straight line over the tank's volume.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// With the tank empty.
    pub at_empty: f64,
    /// More with each m³ in the tank.
    pub per_m3: f64,
}

impl Line {
    /// A value that does not depend on the tank.
    pub const fn flat(value: f64) -> Self {
        Self {
            at_empty: value,
            per_m3: 0.0,
        }
    }

    /// The value at a volume.
    pub fn at(self, volume_m3: f64) -> f64 {
        self.at_empty + self.per_m3 * volume_m3
    }
}

/// What a set of pumps does.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Duty {
    /// Flow of the station, m³/h; it does not rise with the level.
    pub flow_m3h: Line,
    /// Power of the station, kW.
    pub power_kw: Line,
    /// What is charged for not having seen this set run, per hour.
    pub premium_per_h: f64,
}

impl Duty {
    /// Energy to lift a m³ into a half-full tank of this volume, kWh; `None` when nothing is lifted.
    pub fn kwh_per_m3(&self, volume_m3: f64) -> Option<f64> {
        let flow_m3h = self.flow_m3h.at(volume_m3 / 2.0);
        (flow_m3h > 0.0).then(|| self.power_kw.at(volume_m3 / 2.0) / flow_m3h)
    }
}

/// What the pumps do with those on variable-speed drives below full speed.
#[derive(Clone, Debug, PartialEq)]
pub struct Speed {
    /// Share of full speed, %.
    pub pct: u8,
    /// What each set does; `None` for one without such a pump, and where such a pump would lift too little.
    pub duties: Vec<Option<Duty>>,
}

/// A slot of the horizon.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slot {
    /// Length, min; the first one ends with the clock's slot.
    pub length_min: i64,
    /// Mean demand, m³/h.
    pub demand_m3h: f64,
    /// Price of energy, per kWh.
    pub price_per_kwh: f64,
}

impl Slot {
    /// Length, h.
    pub fn hours(&self) -> f64 {
        self.length_min as f64 / 60.0
    }
}

/// The tank with its limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tank {
    /// What it holds, m³.
    pub volume_m3: f64,
    /// What is in it now, m³.
    pub now_m3: f64,
    /// Lower limit, m³.
    pub low_m3: f64,
    /// Upper limit, m³.
    pub high_m3: f64,
    /// Kept from both limits for the forecast's error, m³.
    pub margin_m3: f64,
    /// What should be in it at the end, m³.
    pub end_m3: f64,
}

/// What it costs to break what should be kept, in tiers from the dearest to the cheapest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Breaches {
    /// Demand that is not met from an empty tank, per m³.
    pub unmet: f64,
    /// Water spilt from a full tank, per m³.
    pub spilt: f64,
    /// Below the lower limit, per m³ at the end of each slot.
    pub low: f64,
    /// Above the upper limit, per m³ at the end of each slot.
    pub high: f64,
    /// Missing at the end, per m³.
    pub end: f64,
    /// Within the margin of a limit, per m³ at the end of each slot.
    pub margin: f64,
    /// What a m³ more than asked for at the end is worth.
    pub surplus_worth: f64,
}

/// A pump as it stands now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pump {
    /// Whether it can be used.
    pub in_service: bool,
    /// Whether it runs.
    pub on: bool,
    /// For how long it has run or rested, min.
    pub since_min: i64,
    /// Price of a start.
    pub start_price: f64,
    /// Price of an hour's wear.
    pub wear_per_h: f64,
}

/// What is to be planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The slots of the horizon.
    pub slots: Vec<Slot>,
    /// Length of a whole slot, min.
    pub slot_min: i64,
    /// The tank.
    pub tank: Tank,
    /// What each choice does.
    pub duties: Vec<Duty>,
    /// The choices below full speed: set and speed, %.
    pub slower: Vec<(Combination, u8)>,
    /// The pumps on variable-speed drives.
    pub driven: Combination,
    /// What the sets do at each speed below full speed, the slowest first; empty without variable-speed drives.
    pub speeds: Vec<Speed>,
    /// The pumps.
    pub pumps: [Pump; PUMPS],
    /// Most pumps at once.
    pub pumps_on_max: usize,
    /// Shortest run, min.
    pub min_up_min: i64,
    /// Shortest rest, min.
    pub min_down_min: i64,
    /// Longest run, min.
    pub run_max_min: i64,
    /// Price of a kW of the month's highest quarter hour.
    pub demand_charge_per_kw: f64,
    /// What that has come to already, kW.
    pub reached_kw: f64,
    /// The pumps advised before, for the first slots.
    pub advised: Vec<Combination>,
    /// And the speeds, %.
    pub advised_pct: Vec<Option<u8>>,
    /// Price of a pump that is told otherwise than before, per slot.
    pub change_price: f64,
    /// The price of breaches.
    pub breaches: Breaches,
}

impl Problem {
    /// The set of a choice.
    pub fn set(&self, choice: Choice) -> Combination {
        match choice.checked_sub(COMBINATIONS) {
            Some(slower) => self.slower[slower].0,
            None => choice,
        }
    }

    /// The speed of a choice, %; `None` at full speed.
    pub fn pct(&self, choice: Choice) -> Option<u8> {
        let slower = choice.checked_sub(COMBINATIONS);
        slower.map(|slower| self.slower[slower].1)
    }

    /// Makes choices of the speeds that a number divides, %: those that the search knows.
    pub fn search_speeds(&mut self, divisor_pct: u8) {
        let known = self.speeds.iter().filter(|it| it.pct % divisor_pct == 0);
        for speed in known {
            for (set, duty) in speed.duties.iter().enumerate() {
                if let Some(duty) = duty {
                    self.slower.push((set, speed.pct));
                    self.duties.push(*duty);
                }
            }
        }
    }

    /// The choices that may run in a slot if nothing is switched before: in service, few enough, and what must go on goes on.
    pub fn allowed(&self) -> Vec<Vec<bool>> {
        let usable = |pump: usize| self.pumps[pump].in_service;
        let mut begin_min = 0;
        let mut slots = Vec::with_capacity(self.slots.len());
        for slot in &self.slots {
            let must_run = |pump: usize| {
                let it = &self.pumps[pump];
                usable(pump) && it.on && it.since_min + begin_min < self.min_up_min
            };
            let must_rest = |pump: usize| {
                let it = &self.pumps[pump];
                !usable(pump) || !it.on && it.since_min + begin_min < self.min_down_min
            };
            let held = (0..PUMPS).filter(|&pump| must_run(pump)).count();
            let most = self.pumps_on_max.max(held);
            let may = |set: Combination| {
                count(set) <= most
                    && (0..PUMPS).all(|pump| {
                        if has(set, pump) {
                            !must_rest(pump)
                        } else {
                            !must_run(pump)
                        }
                    })
            };
            let choices = 0..self.duties.len();
            slots.push(choices.map(|choice| may(self.set(choice))).collect());
            begin_min += slot.length_min;
        }
        slots
    }

    /// What a set does at a speed; at full speed without one.
    pub fn duty(&self, set: Combination, pct: Option<u8>) -> &Duty {
        let at = pct.and_then(|pct| self.speeds.iter().find(|speed| speed.pct == pct));
        let slower = at.and_then(|speed| speed.duties[set].as_ref());
        slower.unwrap_or(&self.duties[set])
    }

    /// Whether a set has a choice of speeds.
    pub fn has_speeds(&self, set: Combination) -> bool {
        (self.speeds.iter()).any(|speed| speed.duties[set].is_some())
    }

    /// The speed of each variable-speed pump of a set, % of full speed; none where the set has no choice.
    pub fn speeds_pct(&self, set: Combination, pct: Option<u8>) -> BTreeMap<&'static str, u8> {
        let has_choice = self.has_speeds(set);
        let driven = pumps(set & self.driven).filter(|_| has_choice);
        let pct = pct.unwrap_or(FULL_PCT);
        driven.map(|pump| (pump_name(pump), pct)).collect()
    }

    /// The power by which a choice counts for the demand charge: that at the half-full tank, kW.
    pub fn peak_kw(&self, choice: Choice) -> f64 {
        self.duties[choice].power_kw.at(self.tank.volume_m3 / 2.0)
    }

    /// The pumps that run now.
    pub fn running(&self) -> Combination {
        (0..PUMPS)
            .filter(|&pump| self.pumps[pump].on)
            .map(|pump| 1 << pump)
            .sum()
    }
}
