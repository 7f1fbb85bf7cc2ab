//! A simulated water pump station with its PLC and historian.
//!
//! Six dissimilar pumps lift water through a common rising main into a high-level tank,
//! from which the consumers are fed:
//!
//! ```text
//!   P1..P6 ──► FIT101 ──► rising main ──► tank (HLT101) ──► demand
//! ```
//!
//! Every minute the level control chooses the pumps, the operating point of the running
//! combination is solved on the common system curve, the tank balance is carried on, and
//! the sensors are read with their noise and resolution into 27 tags:
//!
//! | index  | tag                   | unit, decimals                     |
//! |--------|-----------------------|------------------------------------|
//! | 0      | FIT101 DAY_TOTAL      | m³ since local midnight, 1         |
//! | 1      | FIT101 PER_HR         | m³/h, 1                            |
//! | 2      | HLT101 OUTPUT         | raw units, 2                       |
//! | 3–8    | P1..P6 ONOFF          | 0 or 1                             |
//! | 9–14   | P1..P6 power          | kW, 2                              |
//! | 15–26  | P1..P6 RHR, RMIN      | running hours and minutes (0–59)   |
//!
//! A minute's values are those at its end: the day total includes the minute's own volume.
//! Local time is civil time without daylight saving; every day has 1440 minutes.
//!
//! A [`FaultScript`] disturbs process, instruments or the written
//! lines. The level control reads the true level, so that faults of the level tag leave the
//! process alone. The same seed, start and faults give the same bytes.

mod control;
mod demand;
mod effects;
mod export;
#[cfg(test)]
mod fault_tests;
mod faults;
mod hydraulics;
pub mod modbus;
mod plant;
mod scatter;
mod station;
#[cfg(test)]
mod tests;

use jiff::ToSpan;
use jiff::civil::DateTime;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

pub use export::{HEADER, TAGS, file_name, write_days};
pub use faults::{Fault, FaultKind, FaultScript};
pub use station::{ControlSettings, PUMPS, PumpCurve, Station};

use control::Control;
use demand::Demand;
use effects::{ActiveFault, Effects};
use export::{LineWriter, Readings};
use plant::{Plant, PlantMinute};

/// Spread of the sensor noise: flow and power as shares, level in shares of its range.
const FLOW_NOISE: f64 = 0.004;
const POWER_NOISE: f64 = 0.006;
const LEVEL_NOISE: f64 = 0.0002;
/// Noise beyond this many spreads is cut off.
const NOISE_LIMIT: f64 = 3.0;
/// Share of the rated power a pump draws while it sucks air.
const DRY_LOAD: f64 = 0.5;
/// Fill of the tank at the start, 0 to 1.
const INITIAL_FILL: f64 = 0.82;
/// Running hours on the counters at the start.
const INITIAL_RUNTIME_HOURS: std::ops::Range<u64> = 2_000..20_000;

/// Flow of a station with new pumps, m³/h, and power of each pump, kW: `set` has bit 0 for P1, `fill` is 0 to 1.
pub fn operating_point(station: &Station, set: usize, fill: f64) -> (f64, [f64; PUMPS]) {
    let running = std::array::from_fn(|pump| set >> pump & 1 == 1);
    let wear = [1.0; PUMPS];
    let point = hydraulics::solve(station, &wear, &running, fill, 0.0);
    let power = |pump: usize| match running[pump] {
        true => station.curves[pump].power_kw(point.flow_m3h[pump], 1.0),
        false => 0.0,
    };
    (point.total_m3h, std::array::from_fn(power))
}

/// The simulated station with its clock.
#[derive(Debug, Clone)]
pub struct Simulator {
    station: Station,
    rng: ChaCha8Rng,
    now: DateTime,
    demand: Demand,
    plant: Plant,
    control: Control,
    /// Pumps switched from outside.
    commanded: Option<[bool; PUMPS]>,
    /// Faults to come, the next one last.
    pending: Vec<Fault>,
    active: Vec<ActiveFault>,
    lines: LineWriter,
    day_total_m3: f64,
    runtime_minutes: [u64; PUMPS],
    /// Level and flow readings last shown, for sensors that stand still.
    last_shown: Option<(i64, i64)>,
    /// What the instruments showed in the last minute.
    readings: Readings,
    #[cfg(test)]
    last_minute: PlantMinute,
}

impl Simulator {
    /// A station that begins at `start` (cut to the minute) and obeys `faults`.
    pub fn new(station: Station, seed: u64, start: DateTime, faults: FaultScript) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // A stream of its own, so that a shuffle leaves the process noise as it is.
        let mut shuffle_rng = rng.clone();
        shuffle_rng.set_stream(1);
        let runtime_minutes = std::array::from_fn(|_| rng.random_range(INITIAL_RUNTIME_HOURS) * 60);
        let mut pending = faults.into_faults();
        pending.reverse();
        Self {
            now: start.date().at(start.hour(), start.minute(), 0, 0),
            demand: Demand::new(station.demand_m3_per_day),
            plant: Plant::new(&station, INITIAL_FILL),
            control: Control::new(station.control.clone()),
            commanded: None,
            pending,
            active: Vec::new(),
            lines: LineWriter::new(shuffle_rng),
            day_total_m3: 0.0,
            runtime_minutes,
            last_shown: None,
            readings: [0; TAGS],
            #[cfg(test)]
            last_minute: PlantMinute::default(),
            station,
            rng,
        }
    }

    /// Local time of the minute that comes next.
    pub fn next_time(&self) -> DateTime {
        self.now
    }

    /// Switches the pumps from outside from the next minute on, as an operator does who follows advice; `None` gives them back to
    /// the level control.
    pub fn command(&mut self, on: Option<[bool; PUMPS]>) {
        self.commanded = on;
    }

    /// Level of the tank, % of the full tank.
    pub fn level_pct(&self) -> f64 {
        100.0 * self.plant.fill(&self.station)
    }

    /// What the PLC shows: the values of the last simulated minute, whatever becomes of its export lines; all 0 before the first.
    pub fn values(&self) -> crate::tags::Values {
        std::array::from_fn(|tag| self.readings[tag] as f64 / scale(tag))
    }

    /// Simulates the next minute and appends its export lines to `out`; returns the
    /// minute's local time.
    ///
    /// Appends nothing during a gap. Lines to be shuffled are kept back and appended with
    /// the last minute of their fault or of the day.
    pub fn next_minute(&mut self, out: &mut Vec<u8>) -> DateTime {
        let now = self.now;
        let next = now.saturating_add(1.minute());
        self.begin_faults();
        let effects = Effects::of(&self.active, &self.station);

        let level_percent = 100.0 * self.plant.fill(&self.station);
        self.control.step(level_percent, &effects.orders);
        let on = self.commanded.unwrap_or_else(|| self.control.on());
        let delivering =
            std::array::from_fn(|pump| on[pump] && !effects.tripped[pump] && !effects.dry);
        let demand_m3h = self.demand.next_m3h(now, &mut self.rng) * effects.demand_factor;
        let minute = self.plant.step(&self.station, &delivering, demand_m3h);

        let readings = self.read_sensors(&minute, &on, &effects);
        self.lines.write(out, now, next, &readings, effects.lines);
        self.readings = readings;

        self.active.retain_mut(ActiveFault::pass_minute);
        #[cfg(test)]
        {
            self.last_minute = minute;
        }
        self.now = next;
        now
    }

    fn begin_faults(&mut self) {
        while let Some(fault) = self.pending.pop_if(|fault| fault.start <= self.now) {
            let lead_pumps = self.control.lead_pumps(fault.kind.usual_pumps());
            if let Some(active) = ActiveFault::begin(&fault, self.now, &lead_pumps) {
                for pump in active.called_pumps() {
                    self.control.call(pump);
                }
                self.active.push(active);
            }
        }
    }

    /// Reads all instruments. The noise is drawn whether or not it is used, so that a
    /// fault does not change the random numbers of later minutes.
    fn read_sensors(
        &mut self,
        minute: &PlantMinute,
        on: &[bool; PUMPS],
        effects: &Effects,
    ) -> Readings {
        let mut readings = [0; TAGS];
        let flow_noise = self.noise() * FLOW_NOISE;
        let level_noise = self.noise() * LEVEL_NOISE;

        let shown_m3h = effects
            .meter_m3h
            .unwrap_or(minute.point.total_m3h * (1.0 + flow_noise))
            .clamp(0.0, self.station.fit101_physical_max);
        if self.now.hour() == 0 && self.now.minute() == 0 {
            self.day_total_m3 = 0.0;
        }
        if !effects.counter_stuck {
            self.day_total_m3 += shown_m3h / 60.0;
        }
        let level = (self.plant.fill(&self.station) + level_noise).clamp(0.0, 1.0)
            * self.station.hlt_physical_max;
        let (last_level, last_flow) = self.last_shown.unzip();
        let flow_reading = match last_flow.filter(|_| effects.flow_stuck) {
            Some(last) => last,
            None => scaled(effects.flow_value.unwrap_or(shown_m3h), export::TAG_FLOW),
        };
        let level_reading = match last_level.filter(|_| effects.level_frozen) {
            Some(last) => last,
            None => scaled(effects.level_value.unwrap_or(level), export::TAG_LEVEL),
        };
        self.last_shown = Some((level_reading, flow_reading));

        readings[export::TAG_DAY_TOTAL] = scaled(self.day_total_m3, export::TAG_DAY_TOTAL);
        readings[export::TAG_FLOW] = flow_reading;
        readings[export::TAG_LEVEL] = level_reading;
        for pump in 0..PUMPS {
            let power_noise = self.noise() * POWER_NOISE;
            if on[pump] {
                self.runtime_minutes[pump] += 1;
            }
            let drawn_kw = if !on[pump] || effects.tripped[pump] {
                0.0
            } else if effects.dry {
                self.station.rated_kw[pump] * DRY_LOAD
            } else {
                minute.power_kw[pump]
            };
            let power_kw = drawn_kw * effects.power_factor[pump] * (1.0 + power_noise);
            let power_tag = export::TAG_POWER + pump;
            let runtime_tag = export::TAG_RUNTIME + 2 * pump;
            readings[export::TAG_ON + pump] = i64::from(on[pump]);
            readings[power_tag] = scaled(power_kw, power_tag);
            readings[runtime_tag] = (self.runtime_minutes[pump] / 60) as i64;
            readings[runtime_tag + 1] = (self.runtime_minutes[pump] % 60) as i64;
        }
        readings
    }

    fn noise(&mut self) -> f64 {
        let normal: f64 = self.rng.sample(StandardNormal);
        normal.clamp(-NOISE_LIMIT, NOISE_LIMIT)
    }
}

/// A reading as an integer in the resolution of its tag.
fn scaled(value: f64, tag: usize) -> i64 {
    (value * scale(tag)).round() as i64
}

/// Steps of a tag's resolution in one of its unit.
fn scale(tag: usize) -> f64 {
    match export::decimals(tag) {
        0 => 1.0,
        1 => 10.0,
        _ => 100.0,
    }
}
