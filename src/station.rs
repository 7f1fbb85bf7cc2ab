//! The whole core in one place: a reading or a tick in, effects out. Pure: no I/O, no clock, no randomness.
//!
//! Replay and live run go through the same two calls, [`Station::row`] and [`Station::tick`], in the order of time. A
//! row that comes late is no case for this module: the store takes the newest [`Checkpoint`] before it and runs the
//! rows from there once more. What a checkpoint holds is a function of the rows before it alone, so equal checkpoints
//! mean equal futures, and a re-run can stop at the first one that did not change.

use serde::{Deserialize, Serialize};

use crate::{
    calendar::{Calendar, DAY_MIN, Day, Local, Minute},
    derive::{Context, Derived, Recent, derive},
    plant::Plant,
    rollups::{
        days::{Carried, DayHistory, DayRow, HealthRow, Today},
        hours::{Hour, HourHistory, HourRow},
        sessions::{PumpTrack, SessionRow},
    },
    row::{Row, all, at_least},
    rules::{
        CATALOGUE, Mask, Severity,
        engine::{Engine, HOLE_MIN, Kind, Outcome, Transition},
        scene::{Closing, Scene},
    },
    tags::{FLOW, LEVEL, PUMPS, Values, kw},
};

/// Minutes between checkpoints.
pub const CHECKPOINT_MIN: i64 = 240;

/// Version of the encoded memory; raised with every change of what is remembered, so that an older store is derived once
/// more instead of being misread.
const LAYOUT: u8 = 2;

/// One minute of raw values, as merged from the historian's records.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// Its minute.
    pub minute: Minute,
    /// Raw values by slot, NaN where the tag has none.
    pub values: Values,
    /// Tags with two records of one full timestamp, a bit a slot.
    pub duplicated: u32,
}

/// What the steps since the last look have brought about.
#[derive(Debug, Default)]
pub struct Effects {
    /// Alerts raised and resolved, in order.
    pub transitions: Vec<Transition>,
    /// Sessions that ended, or stand as they are so far.
    pub sessions: Vec<SessionRow>,
    /// Hours that closed, or stand as they are so far.
    pub hours: Vec<HourRow>,
    /// Days that closed, or stand as they are so far.
    pub days: Vec<DayRow>,
    /// Pump days that closed, changed after closing, or stand as they are so far.
    pub health: Vec<HealthRow>,
    /// How often designed suppression held a rule back on a day: date, rule, minutes.
    pub suppressed: Vec<(Day, usize, u32)>,
    /// The station as it stood just before a round minute.
    pub checkpoints: Vec<Checkpoint>,
}

impl Effects {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        let Self {
            transitions,
            sessions,
            hours,
            days,
            health,
            suppressed,
            checkpoints,
        } = self;
        transitions.is_empty()
            && sessions.is_empty()
            && hours.is_empty()
            && days.is_empty()
            && health.is_empty()
            && suppressed.is_empty()
            && checkpoints.is_empty()
    }

    /// Alerts raised.
    pub fn raised(&self) -> u64 {
        self.transitions
            .iter()
            .filter(|transition| matches!(transition.kind, Kind::Raised { .. }))
            .count() as u64
    }
}

/// The station just before a minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Everything before this minute is in it, nothing from it on.
    pub before: Minute,
    /// The state, encoded.
    pub state: Vec<u8>,
}

/// The station's memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Memory {
    /// The newest minute that was looked at, with or without a row.
    clock: Option<Minute>,
    last: Option<Row>,
    level_max: f64,
    recent: Recent,
    pumps: [PumpTrack; PUMPS],
    last_switch: Option<Minute>,
    last_power: Option<Minute>,
    pumps_drawing: u32,
    /// Level at the last row with power, %.
    powered_level_pct: f64,
    engine: Engine,
    hour: Option<Hour>,
    today: Option<Today>,
    carried: [Option<Carried>; PUMPS],
    /// The newest closed day of a pump that ran on from a day before it.
    passed: [Option<Carried>; PUMPS],
    hours: HourHistory,
    days: DayHistory,
    /// Suppressed raises of the day, by rule.
    suppressed: Vec<(usize, u32)>,
}

/// The station.
#[derive(Clone, Debug)]
pub struct Station {
    calendar: Calendar,
    memory: Memory,
    /// Gap alerts that the wall clock raised: minute and rule, oldest first.
    told: Vec<(Minute, usize)>,
}

impl Station {
    /// A station that has seen nothing.
    pub fn new(plant: &Plant) -> Self {
        Self {
            calendar: Calendar::new(plant.zone.clone()),
            memory: Memory::default(),
            told: Vec::new(),
        }
    }

    /// A station that has seen nothing but a level so high, raw.
    pub fn reaching(plant: &Plant, level_max: f64) -> Self {
        let mut station = Self::new(plant);
        station.memory.level_max = level_max;
        station
    }

    /// The station as a checkpoint holds it; `None` when another version wrote it.
    pub fn restore(plant: &Plant, state: &[u8]) -> Option<Self> {
        let encoded = state.strip_prefix(&[LAYOUT])?;
        let memory = postcard::from_bytes(encoded).ok()?;
        Some(Self {
            memory,
            ..Self::new(plant)
        })
    }

    /// The station's state, encoded.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(&self.memory, vec![LAYOUT]).expect("encoding into memory does not fail")
    }

    /// Makes the gap alerts known that the wall clock raised in the past; they stay on record.
    pub fn remember_told(&mut self, told: Vec<(Minute, usize)>) {
        self.told = told;
    }

    /// The newest minute looked at, with or without a row.
    pub fn clock(&self) -> Option<Minute> {
        self.memory.clock
    }

    /// The minute of the newest row.
    pub fn last_row(&self) -> Option<Minute> {
        self.memory.last.as_ref().map(|row| row.minute)
    }

    /// Open alerts: rule, pump, since when.
    pub fn open_alerts(&self) -> impl Iterator<Item = (usize, Option<usize>, Minute)> + '_ {
        self.memory.engine.open()
    }

    /// Sessions that run: pump and start.
    pub fn running_sessions(&self) -> impl Iterator<Item = (usize, Minute)> + '_ {
        self.memory
            .pumps
            .iter()
            .enumerate()
            .filter_map(|(pump, track)| track.running().map(|running| (pump, running.start)))
    }

    /// The closed days whose pump health still changes, since a session that began on them runs on.
    pub fn carried_days(&self) -> impl Iterator<Item = Day> + '_ {
        let carried = self.memory.carried.iter().chain(&self.memory.passed);
        carried.flatten().map(|carried| carried.day)
    }

    /// Takes the next row, which lies after everything looked at so far, and derives it.
    pub fn row(&mut self, plant: &Plant, reading: &Reading, out: &mut Effects) -> Derived {
        let minute = reading.minute;
        debug_assert!(
            self.memory.clock.is_none_or(|clock| clock < minute),
            "rows come in the order of time"
        );
        self.pass(plant, minute - 1, out);
        self.close_what_ended(plant, minute, out);
        self.raise_told(plant, minute, out);
        self.memory.clock = Some(minute);
        self.look_at(plant, reading, out)
    }

    /// Lets the wall clock pass to a minute without a row: gaps, closing hours and days.
    pub fn tick(&mut self, plant: &Plant, minute: Minute, out: &mut Effects) {
        if self.memory.last.is_some() {
            self.pass(plant, minute, out);
        }
    }

    /// The figures of what still runs: sessions, hour, day, pump health.
    pub fn standing(&self, plant: &Plant, out: &mut Effects) {
        let memory = &self.memory;
        let Some(last) = memory.last.as_ref().map(|row| row.minute) else {
            return;
        };
        for (pump, track) in memory.pumps.iter().enumerate() {
            if let Some(running) = track.running() {
                out.sessions.push(running.row(pump, None));
                if let Some(carried) = &memory.carried[pump] {
                    let length_min = last - running.start;
                    out.health.push(carried.pump_day.row(
                        carried.day,
                        pump,
                        Some(length_min),
                        &carried.week,
                    ));
                }
            }
        }
        out.hours
            .extend(memory.hour.as_ref().and_then(|hour| hour.row(&plant.peak)));
        if let Some(today) = &memory.today {
            out.days.extend(today.row());
            out.health
                .extend(today.health(&memory.days, &memory.pumps, last));
            out.suppressed
                .extend(suppressed_on(today.day, &memory.suppressed));
        }
    }

    /// Passes all minutes up to and including `to`, none of which has a row, taking a checkpoint on the way.
    fn pass(&mut self, plant: &Plant, to: Minute, out: &mut Effects) {
        let Some(last) = self.last_row() else { return };
        let round = (last.div_euclid(CHECKPOINT_MIN) + 1) * CHECKPOINT_MIN;
        if self.memory.clock.is_some_and(|clock| clock < round) && to >= round - 1 {
            self.pass_silence(plant, last, round - 1, out);
            out.checkpoints.push(Checkpoint {
                before: round,
                state: self.encode(),
            });
        }
        self.pass_silence(plant, last, to, out);
    }

    fn pass_silence(&mut self, plant: &Plant, last: Minute, to: Minute, out: &mut Effects) {
        let gaps = Engine::silence_steps_min(&plant.rules).map(|step| last + step);
        while let Some(clock) = self.memory.clock.filter(|&clock| clock < to) {
            let full_hour = clock + 60 - self.calendar.local(clock).minute.rem_euclid(60);
            let told = self.told.iter().map(|&(minute, _)| minute);
            let next = gaps
                .into_iter()
                .chain(told)
                .filter(|&at| at > clock)
                .fold(full_hour, Minute::min);
            if next <= to {
                self.close_what_ended(plant, next, out);
                let told = &self.told;
                let local = self.calendar.local(next).minute;
                let mut outcome = Outcome::default();
                let was_told = |rule| told.contains(&(next, rule));
                self.memory.engine.silence(
                    plant,
                    (next, local),
                    next - last,
                    was_told,
                    &mut outcome,
                );
                self.take(outcome, out);
            }
            self.memory.clock = Some(next.min(to));
        }
    }

    /// Raises what an operator was told at this minute, although by now it has a row.
    fn raise_told(&mut self, plant: &Plant, minute: Minute, out: &mut Effects) {
        if self.told.iter().any(|&(at, _)| at == minute) {
            let local = self.calendar.local(minute).minute;
            let told = &self.told;
            let mut outcome = Outcome::default();
            let was_told = |rule| told.contains(&(minute, rule));
            self.memory
                .engine
                .silence(plant, (minute, local), 0, was_told, &mut outcome);
            self.take(outcome, out);
        }
    }

    /// Closes the hour and the day that ended with the minute before, and evaluates what looks at them.
    fn close_what_ended(&mut self, plant: &Plant, minute: Minute, out: &mut Effects) {
        let local = self.calendar.local(minute);
        let memory = &mut self.memory;
        let hour_start = minute - local.minute.rem_euclid(60);
        let hour = memory
            .hour
            .get_or_insert_with(|| Hour::new(local.hour_key(), hour_start));
        if hour.key != local.hour_key() {
            out.hours.extend(hour.row(&plant.peak));
            memory.hours.close(hour);
            *hour = Hour::new(local.hour_key(), hour_start);
        }
        let mut outcome = Outcome::default();
        let today = memory
            .today
            .get_or_insert_with(|| Today::new(local.day(), None));
        if today.day < local.day() {
            let next = Today::new(local.day(), Some(today));
            let ended = std::mem::replace(today, next);
            self.close_day(&ended, out);
            let Memory {
                engine,
                hours,
                days,
                ..
            } = &mut self.memory;
            engine.day_closed(
                plant,
                &Closing {
                    minute,
                    hours,
                    days,
                },
                local.minute,
                &mut outcome,
            );
        }
        if local.minute.rem_euclid(60) == 0 {
            let Memory {
                engine,
                hours,
                days,
                ..
            } = &mut self.memory;
            engine.hour_closed(
                plant,
                &Closing {
                    minute,
                    hours,
                    days,
                },
                local.minute,
                &mut outcome,
            );
        }
        self.take(outcome, out);
    }

    fn close_day(&mut self, ended: &Today, out: &mut Effects) {
        let memory = &mut self.memory;
        let last = memory.last.as_ref().map_or(0, |row| row.minute);
        out.days.extend(ended.row());
        out.health
            .extend(ended.health(&memory.days, &memory.pumps, last));
        if ended.has_rows() {
            out.suppressed
                .extend(suppressed_on(ended.day, &memory.suppressed));
        }
        memory.suppressed.clear();
        memory.days.close(ended);
        for (pump, track) in memory.pumps.iter().enumerate() {
            let Some(running) = track.running().filter(|_| ended.has_rows()) else {
                continue;
            };
            let closed = Carried {
                day: ended.day,
                pump_day: ended.pumps[pump].clone(),
                week: memory.days.week(pump, ended.day, f64::NAN),
            };
            let started = Local {
                minute: running.start_local,
            }
            .day();
            let place = if started == ended.day {
                &mut memory.carried
            } else {
                &mut memory.passed
            };
            place[pump] = Some(closed);
        }
    }

    /// A session that is known to have run through a hole may have become too long in it, on a day that has closed.
    fn note_length_in_hole(&mut self, out: &mut Effects) {
        let memory = &mut self.memory;
        let Some(last) = memory.last.as_ref().map(|row| row.minute) else {
            return;
        };
        let local = self.calendar.local(last);
        let days_end = last + DAY_MIN - 1 - local.minute_of_day();
        for (pump, track) in memory.pumps.iter().enumerate() {
            let Some(running) = track.running() else {
                continue;
            };
            let so_far_min = Some(last - running.start);
            for (closed, running_min) in [
                (&mut memory.carried[pump], so_far_min),
                (&mut memory.passed[pump], None),
            ] {
                if let Some(closed) = closed.as_mut().filter(|closed| closed.day == local.day())
                    && closed.pump_day.note_length(days_end - running.start)
                {
                    out.health.push(closed.pump_day.row(
                        closed.day,
                        pump,
                        running_min,
                        &closed.week,
                    ));
                }
            }
        }
    }

    fn look_at(&mut self, plant: &Plant, reading: &Reading, out: &mut Effects) -> Derived {
        let minute = reading.minute;
        let local = self.calendar.local(minute);
        self.note_length_in_hole(out);
        let memory = &mut self.memory;
        let row = believed(plant, reading);
        let hole = memory
            .last
            .as_ref()
            .is_some_and(|last| minute - last.minute >= HOLE_MIN);
        let (Some(hour), Some(today)) = (&mut memory.hour, &mut memory.today) else {
            unreachable!("closing what ended opens the hour and the day of the minute")
        };

        let mut switched = false;
        for (pump, track) in memory.pumps.iter_mut().enumerate() {
            let change = track.observe(pump, &row, local);
            let day = &mut today.pumps[pump];
            switched |= change.switched;
            if change.started {
                day.count_start();
            }
            if let Some(running_min) = track.running_min(minute) {
                day.note_length(running_min);
            }
            if let Some(session) = change.ended {
                let length_min = minute - session.start;
                day.count_stop(length_min);
                memory.passed[pump] = None;
                match memory.carried[pump].take() {
                    Some(mut carried) => {
                        carried.pump_day.finish_run(length_min);
                        out.health.push(carried.pump_day.row(
                            carried.day,
                            pump,
                            None,
                            &carried.week,
                        ));
                    }
                    None => day.finish_run(length_min),
                }
                out.sessions.push(session);
            }
        }
        if switched {
            memory.last_switch = Some(minute);
        }
        let (last_power_before, pumps_drawing_before) = (memory.last_power, memory.pumps_drawing);
        let level_pct_before = memory.powered_level_pct;
        let pumps_drawing = (0..PUMPS)
            .filter(|&pump| row.values[kw(pump)] > plant.zero_kw)
            .count() as u32;
        memory.level_max = memory
            .level_max
            .max(plant.level_historical_max)
            .max(row.values[LEVEL]);
        memory
            .recent
            .observe(minute, row.values[FLOW], row.values[LEVEL], hole, switched);
        let previous = memory
            .last
            .as_ref()
            .filter(|last| last.minute == minute - 1);
        let any_on = at_least(1, (0..PUMPS).map(|pump| command(&row, pump)));
        let flow_zero = Some(row.values[FLOW])
            .filter(|flow| !flow.is_nan())
            .map(|flow| flow.abs() <= plant.zero_flow);
        memory
            .recent
            .observe_pump_on_without_flow(minute, all([any_on, flow_zero]), hole);

        let derived = derive(
            &row,
            &Context {
                plant,
                local,
                recent: &memory.recent,
                previous,
                level_max: memory.level_max,
                starts_max: memory
                    .pumps
                    .iter()
                    .map(PumpTrack::starts_within_hour)
                    .max()
                    .unwrap_or(0),
                running_min: memory
                    .pumps
                    .iter()
                    .filter_map(|track| track.running_min(minute))
                    .max()
                    .unwrap_or(0),
            },
        );
        if pumps_drawing > 0 {
            (memory.last_power, memory.pumps_drawing) = (Some(minute), pumps_drawing);
            memory.powered_level_pct = derived.level_pct;
        }
        for (pump, track) in memory.pumps.iter_mut().enumerate() {
            track.add(pump, &row, &derived);
        }
        hour.add(&row, &derived);
        today.add(&row, local, &derived);

        let yesterday_known = memory.days.closed_day == local.day() - 1;
        let mut outcome = Outcome::default();
        let mut scene = Scene {
            plant,
            minute,
            local,
            row: &row,
            raw: &reading.values,
            last: memory.last.as_ref(),
            derived: &derived,
            recent: &memory.recent,
            pumps: &memory.pumps,
            switched,
            last_switch: memory.last_switch,
            last_power: memory.last_power,
            last_power_before,
            pumps_drawing_before,
            level_pct_before,
            duplicated_tags: reading.duplicated.count_ones(),
            today_kwh: today.kwh(),
            slope: if yesterday_known {
                memory.days.closed_slope
            } else {
                [f64::NAN; PUMPS]
            },
            outage_before: None,
            outage: false,
            tripped: [false; PUMPS],
            overrun: [false; PUMPS],
        };
        memory.engine.row(&mut scene, hole, &mut outcome);
        memory.last = Some(row);
        self.take(outcome, out);
        derived
    }

    /// Counts what the engine said and hands it on.
    fn take(&mut self, outcome: Outcome, out: &mut Effects) {
        let memory = &mut self.memory;
        for transition in &outcome.transitions {
            if let Kind::Raised { severity, .. } = transition.kind {
                if let Some(hour) = &mut memory.hour {
                    hour.count_alert();
                }
                if let Some(today) = &mut memory.today {
                    today.count_alert(severity == Severity::Critical);
                }
            }
        }
        for rule in outcome.suppressed {
            match memory
                .suppressed
                .iter_mut()
                .find(|(known, _)| *known == rule)
            {
                Some((_, count)) => *count += 1,
                None => memory.suppressed.push((rule, 1)),
            }
        }
        out.transitions.extend(outcome.transitions);
    }
}

/// The day's suppressed raises of every rule that has a mask, none included.
fn suppressed_on(
    day: Day,
    counted: &[(usize, u32)],
) -> impl Iterator<Item = (Day, usize, u32)> + '_ {
    let masked = CATALOGUE
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.mask != Mask::None);
    masked.map(move |(rule, _)| {
        let count = counted
            .iter()
            .find(|(known, _)| *known == rule)
            .map_or(0, |&(_, count)| count);
        (day, rule, count)
    })
}

fn command(row: &Row, pump: usize) -> Option<bool> {
    Some(row.values[crate::tags::onoff(pump)])
        .filter(|on| !on.is_nan())
        .map(|on| on == 1.0)
}

/// The row with impossible values taken out: a failed sensor must not raise process alarms.
fn believed(plant: &Plant, reading: &Reading) -> Row {
    Row {
        minute: reading.minute,
        values: plant.believed(reading.values),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rules::RuleBook,
        tags::{NO_VALUES, onoff},
    };

    fn plant() -> Plant {
        Plant {
            zone: jiff::tz::TimeZone::UTC,
            rated_kw: [55.0; PUMPS],
            level_physical_max: 100.0,
            level_historical_max: 100.0,
            volume_m3: 1200.0,
            flow_physical_max: 1000.0,
            daily_energy_budget_kwh: f64::MAX,
            zero_kw: 0.1,
            zero_flow: 0.1,
            peak: Default::default(),
            switching_mask_min: 5,
            normal_stop_pct: 80.0,
            rules: RuleBook::default(),
        }
    }

    #[test]
    fn a_checkpoint_of_another_layout_is_not_believed() {
        let plant = plant();
        let mut state = Station::new(&plant).encode();
        assert!(Station::restore(&plant, &state).is_some());
        state[0] += 1;
        assert!(Station::restore(&plant, &state).is_none());
    }

    #[test]
    fn a_session_that_becomes_too_long_in_a_hole_marks_the_day_of_the_hole() {
        let plant = plant();
        let mut station = Station::new(&plant);
        let mut effects = Effects::default();
        // On from midnight to 18:55, a hole to 01:00 of the next day, off at 01:01.
        let rows = (0..=1135)
            .step_by(5)
            .map(|minute| (minute, 1.0))
            .chain([(1500, 1.0), (1501, 0.0)]);
        for (minute, on) in rows {
            let mut values = NO_VALUES;
            values[onoff(0)] = on;
            station.row(
                &plant,
                &Reading {
                    minute,
                    values,
                    duplicated: 0,
                },
                &mut effects,
            );
        }
        let last_of = |day: Day| {
            effects
                .health
                .iter()
                .rfind(|row| row.day == day && row.pump == 0)
                .expect("a row")
        };
        let first_day = last_of(0);
        assert!(first_day.overrun, "1200 min were over at 20:01");
        assert_eq!(
            (first_day.longest_run_min, first_day.health_score),
            (Some(1501), 70.0)
        );
        station.standing(&plant, &mut effects);
        let next_day = effects
            .health
            .iter()
            .rfind(|row| row.day == 1 && row.pump == 0)
            .expect("a row");
        assert!(next_day.overrun);
    }
}
