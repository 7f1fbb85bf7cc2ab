//! What a day's data are worth: how complete they are, whether the sensors can be believed, whether the clocks agree.
//!
//! A rule tells of a fault while it lasts; this tells, of a day as a whole, what is slowly becoming wrong: meters that disagree
//! with each other by a few percent, a counter that skips. Each figure holds two independent instruments against each other:
//!
//! | figure           | one               | the other                       |
//! |------------------|-------------------|---------------------------------|
//! | `level_per_flow` | rise of the level | volume that the flow meter sees |
//! | `day_total_pct`  | DAY_TOTAL         | the flow, added up              |
//! | `runtime_diff`   | RHR and RMIN      | minutes with power              |
//! | `plc_clock_min`  | DAY_TOTAL's reset | midnight of the historian       |
//!
//! Pure but for [`worker`].

pub mod worker;

use std::collections::BTreeSet;

use serde::Serialize;

use crate::{
    calendar::{DAY_MIN, LocalMinute, day_of},
    plant::Plant,
    tags::{DAY_TOTAL, FLOW, LEVEL, PUMPS, TAGS, Values, kw, pump_name, runtime_h, runtime_min},
};

/// Below this share of its minutes a day is incomplete, %.
const COMPLETE_PCT: f64 = 99.0;
/// Minutes of impossible values from which they are worth a word.
const IMPOSSIBLE_MIN: u32 = 5;
/// A pump takes at most so many times its rated power, as F-06 has it.
const POWER_SHARE_MAX: f64 = 2.0;
/// A stretch of one value from which a sensor counts as frozen, min.
const FROZEN_MIN: u32 = 60;
/// Minutes over which volumes are held against each other: long enough for the level's noise, short enough for the demand.
const BLOCK_MIN: usize = 15;
/// Changes of the pumped volume between two blocks that a day must have, to tell how the level follows.
const STEPS_MIN: usize = 8;
/// The least such change, as a share of what the flow meter's range holds.
const STEP_SHARE: f64 = 0.03;
/// How far the level may follow otherwise than the tank's volume says.
const FOLLOWS_OFF: f64 = 0.25;
/// How far it may follow otherwise than it used to.
const FOLLOWS_DRIFT: f64 = 0.15;
/// How far DAY_TOTAL may be from the flow, %.
const DAY_TOTAL_PCT: f64 = 5.0;
/// The same, m³: below this, percentages say little.
const DAY_TOTAL_M3: f64 = 10.0;
/// How far a counter of running hours may be from the minutes with power, min.
const RUNTIME_MIN: i64 = 10;
/// The same, as a share of these minutes.
const RUNTIME_SHARE: f64 = 0.05;
/// How far the PLC's clock may be from the historian's, min.
const PLC_CLOCK_MIN: i64 = 3;
/// How far ahead of this machine's clock the historian's may be, s.
const AHEAD_S: i64 = 30;

/// A minute of a day: its place on the plant's wall clock, and its raw values.
#[derive(Clone, Debug, PartialEq)]
pub struct DayMinute {
    /// The minute on the wall clock.
    pub local: LocalMinute,
    /// Raw values by slot, NaN where there is none.
    pub values: Values,
}

/// What a day's data are worth.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DayQuality {
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// Minutes with a row.
    pub rows: usize,
    /// The same, % of the day's minutes.
    pub rows_pct: f64,
    /// Values that are there, % of those minutes' 27.
    pub values_pct: f64,
    /// Minutes with a level, a flow, a pump's power or its counter of running hours outside what the instrument can mean.
    pub impossible_min: u32,
    /// The longest stretch of one level while water flowed, min.
    pub level_frozen_min: u32,
    /// The longest stretch of one flow other than zero, min.
    pub flow_frozen_min: u32,
    /// By how many m³ the tank rises for each m³ that the meter counts more; 1 where both and the tank's volume are right.
    pub level_per_flow: Option<f64>,
    /// What DAY_TOTAL counts more than the flow adds up to, %.
    pub day_total_pct: Option<f64>,
    /// How much later than midnight DAY_TOTAL is reset, min.
    pub plc_clock_min: Option<i64>,
    /// The least age of a minute when it arrived, s; below zero the historian's clock is ahead of this machine's.
    pub arrival_lag_s: Option<i64>,
    /// What the counter of running hours of P1 … P6 counts more than the minutes with power, min.
    pub runtime_diff_min: [Option<i64>; PUMPS],
    /// What is to be said of the day, a sentence each.
    pub findings: Vec<String>,
}

/// What is known beside the day's minutes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Beside {
    /// How many minutes the day has.
    pub minutes: usize,
    /// The least age of a minute when it arrived, s.
    pub arrival_lag_s: Option<i64>,
    /// How the level usually follows the flow: the median of the weeks before.
    pub usual_level_per_flow: Option<f64>,
    /// How it followed long before that: a slow drift takes the usual with it.
    pub former_level_per_flow: Option<f64>,
    /// Tags that had a value in the weeks before; a station need not have all 27.
    pub has_values: [bool; TAGS],
}

/// Judges a day by its minutes, oldest first.
pub fn judge(plant: &Plant, date: &str, minutes: &[DayMinute], beside: Beside) -> DayQuality {
    let values = minutes.iter().flat_map(|minute| minute.values);
    let there = values.filter(|value| !value.is_nan()).count();
    let pct = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
    let is_impossible = |minute: &&DayMinute| impossible(plant, &minute.values).next().is_some();
    let impossible = minutes.iter().filter(is_impossible);
    let mut day = DayQuality {
        date: date.to_owned(),
        rows: minutes.len(),
        rows_pct: pct(minutes.len(), beside.minutes),
        values_pct: pct(there, minutes.len() * TAGS),
        impossible_min: impossible.count() as u32,
        level_frozen_min: frozen(plant, minutes, LEVEL),
        flow_frozen_min: frozen(plant, minutes, FLOW),
        level_per_flow: level_per_flow(plant, minutes),
        day_total_pct: None,
        plc_clock_min: reset(minutes, date),
        arrival_lag_s: beside.arrival_lag_s,
        runtime_diff_min: std::array::from_fn(|pump| runtime_diff(plant, minutes, pump)),
        findings: Vec::new(),
    };
    let counted = day_total(plant, minutes);
    day.day_total_pct = counted
        .filter(|(_, flowed)| *flowed >= DAY_TOTAL_M3)
        .map(|(counted, flowed)| 100.0 * (counted / flowed - 1.0));
    day.findings = findings(plant, &day, minutes, &beside, counted);
    day
}

/// What of a minute is outside what its instrument can mean.
fn impossible(plant: &Plant, values: &Values) -> impl Iterator<Item = String> {
    let level = plant
        .level_impossible(values[LEVEL])
        .then(|| "level".to_owned());
    let flow = plant
        .flow_impossible(values[FLOW])
        .then(|| "flow".to_owned());
    let pumps = (0..PUMPS).flat_map(move |pump| {
        let power_kw = values[kw(pump)];
        let is_power =
            power_kw < -plant.zero_kw || power_kw > POWER_SHARE_MAX * plant.rated_kw[pump];
        let is_counter = counter_impossible(values, pump);
        let told = |what: &str| format!("{} {what}", pump_name(pump));
        let power = is_power.then(|| told("power"));
        power
            .into_iter()
            .chain(is_counter.then(|| told("RHR and RMIN")))
    });
    level.into_iter().chain(flow).chain(pumps)
}

fn counter_impossible(values: &Values, pump: usize) -> bool {
    let (hours, min) = (values[runtime_h(pump)], values[runtime_min(pump)]);
    hours < 0.0 || !(min.is_nan() || (0.0..60.0).contains(&min))
}

/// The longest stretch of minutes in which water flows and a value stays exactly as it is.
fn frozen(plant: &Plant, minutes: &[DayMinute], slot: usize) -> u32 {
    let (mut longest, mut length) = (0, 0);
    for pair in minutes.windows(2) {
        let (before, now) = (&pair[0], &pair[1]);
        let is_same = now.local == before.local + 1 && now.values[slot] == before.values[slot];
        length = if is_same && now.values[FLOW] > plant.zero_flow {
            length + 1
        } else {
            0
        };
        longest = longest.max(length);
    }
    longest
}

/// How the level follows the flow. The demand is not metered, but changes little from one block of minutes to the next, where
/// pumps are switched: there, what the tank gains more is what the meter counts more. The median of these changes: a spike does not move it.
fn level_per_flow(plant: &Plant, minutes: &[DayMinute]) -> Option<f64> {
    let m3_per_level = plant.volume_m3 / plant.level_physical_max;
    let block = |block: &[DayMinute]| {
        let (first, last) = (block.first()?, block.last()?);
        let is_whole = last.local - first.local == BLOCK_MIN as i64;
        let is_sound = |minute: &DayMinute| {
            let believed = plant.believed(minute.values);
            !(believed[LEVEL].is_nan() || believed[FLOW].is_nan())
        };
        if !is_whole || !block.iter().all(is_sound) {
            return None;
        }
        let rise = (last.values[LEVEL] - first.values[LEVEL]) * m3_per_level;
        let flowed: f64 = block[1..]
            .iter()
            .map(|minute| minute.values[FLOW] / 60.0)
            .sum();
        Some((flowed, rise))
    };
    let starts = (0..minutes.len().saturating_sub(BLOCK_MIN)).step_by(BLOCK_MIN);
    let blocks: Vec<_> = starts
        .map(|start| block(&minutes[start..=start + BLOCK_MIN]))
        .collect();
    let least = STEP_SHARE * plant.flow_physical_max * BLOCK_MIN as f64 / 60.0;
    let steps = blocks.windows(2).filter_map(|pair| {
        let (before, now) = (pair[0]?, pair[1]?);
        let step = (now.0 - before.0, now.1 - before.1);
        (step.0.abs() >= least).then_some(step)
    });
    let mut ratios: Vec<f64> = steps.map(|(more, rise)| rise / more).collect();
    ratios.sort_by(f64::total_cmp);
    (ratios.len() >= STEPS_MIN).then(|| ratios[ratios.len() / 2])
}

/// What DAY_TOTAL has counted, and what the flow adds up to over the same minutes, m³.
fn day_total(plant: &Plant, minutes: &[DayMinute]) -> Option<(f64, f64)> {
    let (mut counted, mut flowed, mut compared) = (0.0, 0.0, 0);
    for pair in minutes.windows(2) {
        let (before, now) = (&pair[0].values, &pair[1].values);
        let more = now[DAY_TOTAL] - before[DAY_TOTAL];
        let is_believed = !plant.believed(*now)[FLOW].is_nan();
        // Below zero it was reset.
        if pair[1].local == pair[0].local + 1 && more >= 0.0 && is_believed {
            counted += more;
            flowed += now[FLOW] / 60.0;
            compared += 1;
        }
    }
    (compared >= DAY_MIN / 2).then_some((counted, flowed))
}

/// How long after the nearest midnight DAY_TOTAL falls, min.
fn reset(minutes: &[DayMinute], date: &str) -> Option<i64> {
    let midnight = day_of(date)? * DAY_MIN;
    let falls = minutes.windows(2).find(|pair| {
        let (before, now) = (pair[0].values[DAY_TOTAL], pair[1].values[DAY_TOTAL]);
        now < before / 2.0 && pair[1].local == pair[0].local + 1
    })?;
    let after = falls[1].local - midnight;
    Some(if after > DAY_MIN / 2 {
        after - DAY_MIN
    } else {
        after
    })
}

/// What a pump's counter of running hours has counted more than there are minutes with power.
fn runtime_diff(plant: &Plant, minutes: &[DayMinute], pump: usize) -> Option<i64> {
    let counter = |minute: &DayMinute| match counter_impossible(&minute.values, pump) {
        true => f64::NAN,
        false => 60.0 * minute.values[runtime_h(pump)] + minute.values[runtime_min(pump)],
    };
    let (mut counted, mut powered, mut compared) = (0.0, 0, 0);
    for pair in minutes.windows(2) {
        let more = counter(&pair[1]) - counter(&pair[0]);
        let power = pair[1].values[kw(pump)];
        // Below zero somebody has set it back.
        if pair[1].local == pair[0].local + 1 && more >= 0.0 && !power.is_nan() {
            counted += more;
            powered += i64::from(power > plant.zero_kw);
            compared += 1;
        }
    }
    (compared >= DAY_MIN / 2).then_some(counted.round() as i64 - powered)
}

fn findings(
    plant: &Plant,
    day: &DayQuality,
    minutes: &[DayMinute],
    beside: &Beside,
    counted: Option<(f64, f64)>,
) -> Vec<String> {
    let mut found = Vec::new();
    if day.rows_pct < COMPLETE_PCT {
        let missing = beside.minutes.saturating_sub(day.rows);
        found.push(format!(
            "{missing} of {} minutes have no row",
            beside.minutes
        ));
    }
    found.extend(missing_values(minutes, &beside.has_values));
    if day.impossible_min >= IMPOSSIBLE_MIN {
        let of = minutes
            .iter()
            .flat_map(|minute| impossible(plant, &minute.values));
        let of: Vec<String> = of.collect::<BTreeSet<_>>().into_iter().collect();
        found.push(format!(
            "for {} min values were outside what their instruments can mean: {}",
            day.impossible_min,
            of.join(", ")
        ));
    }
    for (what, frozen_min) in [
        ("level", day.level_frozen_min),
        ("flow", day.flow_frozen_min),
    ] {
        if frozen_min >= FROZEN_MIN {
            found.push(format!(
                "the {what} stood still for {frozen_min} min while water flowed"
            ));
        }
    }
    if let Some(ratio) = day.level_per_flow {
        let rises =
            format!("the tank rises by {ratio:.2} m³ for each m³ that the flow meter counts");
        let drifts =
            |from: &Option<f64>| from.filter(|from| (ratio / from - 1.0).abs() > FOLLOWS_DRIFT);
        // Back to what it should be is no drift: somebody has mended it.
        let is_away = |from: &f64| (ratio - 1.0).abs() > (from - 1.0).abs();
        let since = [
            ("usually", beside.usual_level_per_flow),
            ("months ago", beside.former_level_per_flow.filter(is_away)),
        ];
        let drift = since
            .iter()
            .find_map(|(when, from)| Some((when, drifts(from)?)));
        if let Some((when, from)) = drift {
            found.push(format!(
                "{rises}, and {when} by {from:.2}: the level sensor or the flow meter drifts"
            ));
        } else if (ratio - 1.0).abs() > FOLLOWS_OFF {
            found.push(format!(
                "{rises}: the level sensor, the flow meter or site.hlt_volume_m3 ({:.0} m³) is not right",
                plant.volume_m3
            ));
        }
    }
    if let (Some(pct), Some((counted, flowed))) = (day.day_total_pct, counted)
        && pct.abs() > DAY_TOTAL_PCT
        && (counted - flowed).abs() > DAY_TOTAL_M3
    {
        found.push(format!(
            "DAY_TOTAL counts {counted:.0} m³ where the flow adds up to {flowed:.0} m³ ({pct:+.1} %)"
        ));
    }
    if let Some(min) = day.plc_clock_min.filter(|min| min.abs() >= PLC_CLOCK_MIN) {
        let side = if min > 0 { "after" } else { "before" };
        let min = min.abs();
        found.push(format!(
            "DAY_TOTAL is reset {min} min {side} midnight: the clocks of PLC and historian differ"
        ));
    }
    if let Some(ahead_s) = day
        .arrival_lag_s
        .map(|lag_s| -lag_s)
        .filter(|s| *s > AHEAD_S)
    {
        found.push(format!(
            "the historian's clock is {ahead_s} s ahead of this machine's"
        ));
    }
    for (pump, diff_min) in day.runtime_diff_min.iter().enumerate() {
        let powered = minutes
            .iter()
            .filter(|minute| minute.values[kw(pump)] > plant.zero_kw);
        let powered_min = powered.count();
        let most = RUNTIME_MIN.max((RUNTIME_SHARE * powered_min as f64) as i64);
        if let Some(diff_min) = diff_min.filter(|diff_min| diff_min.abs() > most) {
            let name = pump_name(pump);
            found.push(format!(
                "the running hours of {name} count {} min {} than it drew power ({powered_min} min)",
                diff_min.abs(),
                if diff_min > 0 { "more" } else { "less" }
            ));
        }
    }
    found
}

/// The tags that lack the most values, where a day is incomplete: of those that there are, then or in the weeks before.
fn missing_values(minutes: &[DayMinute], has_values: &[bool; TAGS]) -> Option<String> {
    let is_there = |slot: &usize| {
        has_values[*slot] || minutes.iter().any(|minute| !minute.values[*slot].is_nan())
    };
    let there: Vec<usize> = (0..TAGS).filter(is_there).collect();
    let mut missing: Vec<(usize, &str)> = there
        .iter()
        .map(|&slot| {
            let none = minutes.iter().filter(|minute| minute.values[slot].is_nan());
            (none.count(), crate::tags::TAG_NAMES[slot])
        })
        .filter(|(count, _)| *count > 0)
        .collect();
    missing.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let all: usize = missing.iter().map(|(count, _)| count).sum();
    let of = minutes.len() * there.len();
    if all as f64 <= of as f64 * (1.0 - COMPLETE_PCT / 100.0) {
        return None;
    }
    let named: Vec<_> = missing
        .iter()
        .take(3)
        .map(|(count, tag)| format!("{tag} in {count} min"))
        .collect();
    Some(format!("{all} values are missing: {}", named.join(", ")))
}

#[cfg(test)]
mod tests;
