//! What plans are made from, and the plans that were made.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use serde_json::json;

use super::{Store, Synced, session_ids};
use crate::{
    calendar::{Calendar, DAY_MIN, Minute, text, utc_text},
    plant::Plant,
    schedule::{
        plan::names, problem::Combination, savings::Saving, scene::Standing, station::Seen,
    },
    tags::{PUMPS, pump_name, pump_named},
};

/// Minutes after a switched pump in which flow and power are not yet what they will be.
const UNSETTLED_MIN: i64 = 3;
/// Levels that count as one, as a share of the tank.
const FILL_STEP: f64 = 0.05;
/// A quarter of an hour, by which demand is charged, s.
const QUARTER_S: i64 = 900;
/// Alerts that take a pump out of service: it has tripped, its circuit is lost, it lifts nothing.
pub const OUT_RULES: [&str; 3] = ["B-01", "A-02", "B-02"];

/// A plan, or why there was none, on its way into the store.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// The newest minute that it knew.
    pub made: Minute,
    /// `planned`, `limits` or `refused`.
    pub status: &'static str,
    /// Which limit, or why not.
    pub reason: Option<String>,
    /// How far ahead, h.
    pub horizon_h: Option<f64>,
    /// What was minimised.
    pub objective: Option<f64>,
    /// What no schedule undercuts.
    pub bound: Option<f64>,
    /// How much better one could be at most, %.
    pub gap_pct: Option<f64>,
    /// Energy, kWh.
    pub planned_kwh: Option<f64>,
    /// What that costs.
    pub planned_cost: Option<f64>,
    /// What it adds to the month's demand charge.
    pub demand_cost: Option<f64>,
    /// What it saves beside the station's own control, or why that cannot be told.
    pub saving: Option<Result<Saving, String>>,
    /// Starts of pumps.
    pub starts: Option<i64>,
    /// The schedule; empty when there is none.
    pub schedule: Vec<Stretch>,
}

/// What is to run from a minute on until the next stretch.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stretch {
    /// UTC.
    from: String,
    /// Names, with commas between.
    pumps: String,
    /// The speed of those on variable-speed drives, %.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    speeds_pct: BTreeMap<String, u8>,
}

impl Stretch {
    /// A set, with its speeds, from a minute on.
    pub fn new(from: Minute, set: Combination, speeds_pct: BTreeMap<&str, u8>) -> Self {
        let speeds = speeds_pct.into_iter();
        Self {
            from: utc_text(from),
            pumps: names(set),
            speeds_pct: speeds.map(|(pump, pct)| (pump.to_owned(), pct)).collect(),
        }
    }

    /// From when on which pumps were to run; `None` for what no plan has written.
    pub fn as_advised(&self) -> Option<(Minute, Combination)> {
        let from: Timestamp = self.from.parse().ok()?;
        let pumps = self.pumps.split(", ").filter_map(pump_named);
        Some((from.as_second() / 60, pumps.map(|pump| 1 << pump).sum()))
    }
}

/// What sets of pumps did in a range of minutes, by set and level.
pub fn seen(
    connection: &Connection,
    plant: &Plant,
    (from, until): (Minute, Minute),
) -> anyhow::Result<Vec<Seen>> {
    let mut statement = connection.prepare_cached(
        "SELECT ts, hlt101_output, fit101_per_hr, p1_onoff, p2_onoff, p3_onoff, p4_onoff, p5_onoff, p6_onoff, \
         p1_kwh, p2_kwh, p3_kwh, p4_kwh, p5_kwh, p6_kwh FROM readings_wide WHERE ts BETWEEN ? AND ? ORDER BY ts",
    )?;
    let mut rows = statement.query([from * 60, until * 60])?;
    let mut sums: std::collections::BTreeMap<(Combination, i64), Seen> =
        std::collections::BTreeMap::new();
    let (mut before, mut since) = (None, 0);
    while let Some(row) = rows.next()? {
        let minute = row.get::<_, i64>(0)? / 60;
        let mut known = [0.0; 2 + 2 * PUMPS];
        let mut is_known = true;
        for (at, value) in known.iter_mut().enumerate() {
            match row.get::<_, Option<f64>>(at + 1)? {
                Some(it) => *value = it,
                None => is_known = false,
            }
        }
        let (level, flow) = (known[0], known[1]);
        if !is_known || plant.level_impossible(level) || plant.flow_impossible(flow) {
            before = None;
            continue;
        }
        let set = (0..PUMPS)
            .filter(|&pump| known[2 + pump] == 1.0)
            .map(|pump| 1 << pump)
            .sum();
        if before != Some(set) {
            (before, since) = (Some(set), minute);
        }
        let power: [f64; PUMPS] = std::array::from_fn(|pump| known[2 + PUMPS + pump]);
        let draws = (0..PUMPS).all(|pump| (set >> pump & 1 == 1) == (power[pump] > plant.zero_kw));
        if set == 0 || minute - since < UNSETTLED_MIN || flow <= plant.zero_flow || !draws {
            continue;
        }
        let fill = level / plant.level_physical_max;
        let sum = sums.entry((set, (fill / FILL_STEP) as i64)).or_default();
        sum.set = set;
        sum.minutes += 1.0;
        sum.fill += fill;
        sum.flow_m3h += flow;
        for (sum, power) in sum.power_kw.iter_mut().zip(power) {
            *sum += power;
        }
    }
    let means = sums.into_values().map(|sum| Seen {
        fill: sum.fill / sum.minutes,
        flow_m3h: sum.flow_m3h / sum.minutes,
        power_kw: sum.power_kw.map(|power| power / sum.minutes),
        ..sum
    });
    Ok(means.collect())
}

/// The level of the newest row, % and m³, NaN when it is unknown or cannot be; and the pumps as they stand.
pub fn standing(
    connection: &Connection,
    plant: &Plant,
    newest: Minute,
) -> anyhow::Result<((f64, f64), [Standing; PUMPS])> {
    let mut pumps: [Standing; PUMPS] = Default::default();
    let row = connection
        .prepare_cached(
            "SELECT hlt_pct, hlt101_output, p1_onoff, p2_onoff, p3_onoff, p4_onoff, p5_onoff, p6_onoff FROM readings_wide WHERE ts = ?",
        )?
        .query_row([newest * 60], |row| {
            for (pump, it) in pumps.iter_mut().enumerate() {
                it.on = row.get::<_, Option<f64>>(2 + pump)?.map(|on| on == 1.0);
            }
            Ok((row.get::<_, Option<f64>>(0)?, row.get::<_, Option<f64>>(1)?))
        })
        .optional()?;
    let level = row
        .and_then(|(pct, raw)| pct.zip(raw))
        .filter(|(_, raw)| !plant.level_impossible(*raw));
    let level = level.map_or((f64::NAN, f64::NAN), |(pct, raw)| {
        (pct, raw / plant.level_physical_max * plant.volume_m3)
    });
    let ids = session_ids((newest - 30 * DAY_MIN, newest));
    for (pump, it) in pumps.iter_mut().enumerate() {
        let name = pump_name(pump);
        let switched: Option<i64> = connection
            .prepare_cached("SELECT max(start_ts + coalesce(duration_min, 0) * 60) FROM pump_sessions WHERE pump = ? AND id BETWEEN ? AND ?")?
            .query_row(params![name, ids[0], ids[1]], |row| row.get(0))?;
        it.since_min = newest + 1 - switched.map_or(newest - 30 * DAY_MIN, |ts| ts / 60);
        let minutes: Option<i64> = connection
            .prepare_cached("SELECT sum(total_runtime_min) FROM (SELECT total_runtime_min FROM pump_health WHERE pump = ? ORDER BY date DESC LIMIT 30)")?
            .query_row([name], |row| row.get(0))?;
        it.hours = minutes.unwrap_or_default() as f64 / 60.0;
        let alert: Option<(String, String)> = connection
            .prepare_cached(
                "SELECT rule, message FROM alerts_log WHERE resolved = 0 AND pump = ?1 AND rule IN (?2, ?3, ?4) ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![name, OUT_RULES[0], OUT_RULES[1], OUT_RULES[2]], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        it.out = alert.map(|(rule, message)| format!("{rule}: {message}"));
    }
    Ok((level, pumps))
}

/// The highest quarter hour of the month so far, kW; in its first days what every day of the last four weeks has come to.
pub fn reached_kw(
    connection: &Connection,
    calendar: &mut Calendar,
    newest: Minute,
) -> anyhow::Result<f64> {
    let today = calendar.local(newest).day();
    let first_text = format!("{}-01", &crate::calendar::date_text(today)[..7]);
    let first: i64 = crate::calendar::day_of(&first_text).unwrap_or(today);
    let mut statement = connection.prepare_cached(
        "SELECT ts / 86400, max(kw) FROM (SELECT ts, avg(total_kw) AS kw FROM readings_wide WHERE ts BETWEEN ? AND ? GROUP BY ts / ?) \
         GROUP BY ts / 86400",
    )?;
    let mut highest = |from: Minute| -> anyhow::Result<Vec<f64>> {
        let rows = statement.query_map([from * 60, newest * 60, QUARTER_S], |row| {
            row.get::<_, Option<f64>>(1)
        })?;
        let days: Vec<Option<f64>> = rows.collect::<rusqlite::Result<_>>()?;
        Ok(days.into_iter().flatten().collect())
    };
    let month = highest(calendar.minutes_of(first).start)?
        .into_iter()
        .fold(0.0, f64::max);
    // The running day is not over.
    let mut days = highest(newest - 28 * DAY_MIN)?;
    days.pop();
    let least = days.into_iter().reduce(f64::min).unwrap_or(0.0);
    Ok(month.max(least))
}

impl Store {
    /// Keeps a plan.
    pub fn save_run(&mut self, run: &Run, calendar: &mut Calendar) -> anyhow::Result<()> {
        let saving = run.saving.as_ref().and_then(|it| it.as_ref().ok());
        let schedule = (!run.schedule.is_empty()).then(|| json!(run.schedule).to_string());
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO optimization_runs (ts, made_at, status, reason, horizon_h, objective, bound, gap_pct, planned_kwh, \
                 planned_cost, demand_cost, starts, schedule, baseline_kwh, baseline_cost, savings_pct, savings_kwh_pct, \
                 no_savings_because) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                run.made * 60,
                text(calendar.local(run.made).minute),
                run.status,
                run.reason,
                run.horizon_h,
                run.objective,
                run.bound,
                run.gap_pct,
                run.planned_kwh,
                run.planned_cost,
                run.demand_cost,
                run.starts,
                schedule,
                saving.map(|it| it.baseline_kwh),
                saving.map(|it| it.baseline_cost),
                saving.map(|it| it.cost_pct()),
                saving.map(|it| it.kwh_pct()),
                run.saving.as_ref().and_then(|it| it.as_ref().err()),
            ])?;
        self.changes.note(Synced::Runs, run.made * 60);
        Ok(())
    }
}
