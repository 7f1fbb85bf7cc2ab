//! What the days' data are worth: a row a closed day in `data_quality`.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, readings::page};
use crate::{
    calendar::{Calendar, DAY_MIN, Day, Minute, date_text},
    plant::Plant,
    quality::{Beside, DayMinute, DayQuality, judge},
    tags::{COLUMNS, PUMPS, TAGS},
};

/// Days whose median says what is usual, and how many of them it takes.
const USUAL_DAYS: i64 = 28;
const USUAL_DAYS_MIN: usize = 7;
/// How many days back those are that say how it was before a slow drift.
const FORMER_DAYS: std::ops::Range<i64> = 90..208;
/// Days in which a tag has a value now and then, if the station has it.
const TAG_DAYS: i64 = 90;

/// Days of a range, oldest first, that have no verdict, or one of fewer rows or values than there are. Their least lag, if they have a
/// verdict. Before the first row there is nothing to judge; behind it a day without any row is one, too.
pub fn unjudged(
    connection: &Connection,
    calendar: &mut Calendar,
    days: std::ops::Range<Day>,
) -> anyhow::Result<Vec<(Day, Option<i64>)>> {
    let there = COLUMNS.map(|column| format!("count({column})")).join(" + ");
    let rows_and_values =
        format!("SELECT count(*), {there} FROM readings_wide WHERE ts >= ? AND ts < ?");
    let judged = format!(
        "SELECT rows, CAST(round(rows * values_pct * {TAGS} / 100) AS INTEGER), arrival_lag_s FROM data_quality WHERE date = ?"
    );
    let first: Option<i64> =
        connection.query_row("SELECT min(ts) FROM readings_wide", [], |row| row.get(0))?;
    let mut unjudged = Vec::new();
    for day in days {
        let minutes = calendar.minutes_of(day);
        let (rows, values): (i64, i64) = connection
            .prepare_cached(&rows_and_values)?
            .query_row([minutes.start * 60, minutes.end * 60], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        let verdict: Option<(i64, i64, Option<i64>)> = connection
            .prepare_cached(&judged)?
            .query_row([date_text(day)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()?;
        match verdict {
            None if first.is_some_and(|first| first < minutes.end * 60) => {
                unjudged.push((day, None));
            }
            // Fewer are what was purged; the verdict of all of them stands.
            Some((of_rows, of_values, lag_s)) if (rows, values) > (of_rows, of_values) => {
                unjudged.push((day, lag_s));
            }
            _ => {}
        }
    }
    Ok(unjudged)
}

/// Whether there are verdicts of days that are not over and have no row: a clock that was ahead has left them.
pub fn has_verdicts_ahead(connection: &Connection, today: Day) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM data_quality WHERE rows = 0 AND date >= ?)")?
        .query_row([date_text(today)], |row| row.get(0))
}

/// The newest verdicts, oldest first.
pub fn verdicts(connection: &Connection, days: usize) -> anyhow::Result<Vec<DayQuality>> {
    let mut statement = connection.prepare_cached(
        "SELECT date, rows, rows_pct, values_pct, impossible_min, level_frozen_min, flow_frozen_min, level_per_flow, \
         day_total_pct, plc_clock_min, arrival_lag_s, findings, p1_runtime_diff_min, p2_runtime_diff_min, \
         p3_runtime_diff_min, p4_runtime_diff_min, p5_runtime_diff_min, p6_runtime_diff_min \
         FROM data_quality ORDER BY date DESC LIMIT ?",
    )?;
    let verdicts = statement.query_map([days as i64], |row| {
        let mut runtime_diff_min = [None; PUMPS];
        for (pump, diff) in runtime_diff_min.iter_mut().enumerate() {
            *diff = row.get(12 + pump)?;
        }
        let findings: String = row.get(11)?;
        Ok(DayQuality {
            date: row.get(0)?,
            rows: row.get::<_, i64>(1)? as usize,
            rows_pct: row.get(2)?,
            values_pct: row.get(3)?,
            impossible_min: row.get(4)?,
            level_frozen_min: row.get(5)?,
            flow_frozen_min: row.get(6)?,
            level_per_flow: row.get(7)?,
            day_total_pct: row.get(8)?,
            plc_clock_min: row.get(9)?,
            arrival_lag_s: row.get(10)?,
            runtime_diff_min,
            // Written by us; whoever has written something else in there finds it as one sentence.
            findings: serde_json::from_str(&findings).unwrap_or_else(|_| vec![findings]),
        })
    })?;
    let mut verdicts: Vec<_> = verdicts.collect::<rusqlite::Result<_>>()?;
    verdicts.reverse();
    Ok(verdicts)
}

/// How the level usually followed the flow in the first weeks of a range of days.
fn usual_level_per_flow(
    connection: &Connection,
    days: std::ops::Range<Day>,
) -> anyhow::Result<Option<f64>> {
    let mut statement = connection.prepare_cached(
        "SELECT level_per_flow FROM data_quality WHERE date >= ? AND date < ? AND level_per_flow IS NOT NULL ORDER BY date LIMIT ?",
    )?;
    let ratios = statement.query_map(
        params![date_text(days.start), date_text(days.end), USUAL_DAYS],
        |row| row.get(0),
    )?;
    let mut ratios: Vec<f64> = ratios.collect::<rusqlite::Result<_>>()?;
    ratios.sort_by(f64::total_cmp);
    Ok((ratios.len() >= USUAL_DAYS_MIN).then(|| ratios[ratios.len() / 2]))
}

/// Which tags had a value in a span of minutes.
fn has_values(
    connection: &Connection,
    span: std::ops::Range<Minute>,
) -> anyhow::Result<[bool; TAGS]> {
    let mut has_values = [false; TAGS];
    for (has_values, column) in has_values.iter_mut().zip(COLUMNS) {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM readings_wide WHERE ts >= ? AND ts < ? AND {column} IS NOT NULL)"
        );
        *has_values = connection
            .prepare_cached(&sql)?
            .query_row([span.start * 60, span.end * 60], |row| row.get(0))?;
    }
    Ok(has_values)
}

/// Judges a day by the rows that there are.
pub fn judged(
    connection: &Connection,
    plant: &Plant,
    calendar: &mut Calendar,
    day: Day,
    arrival_lag_s: Option<i64>,
) -> anyhow::Result<DayQuality> {
    let span = calendar.minutes_of(day);
    let length = (span.end - span.start) as usize;
    let minutes: Vec<_> = page(connection, span.start, length)?
        .into_iter()
        .map(|stored| stored.reading)
        .take_while(|reading| reading.minute < span.end)
        .map(|reading| DayMinute {
            local: calendar.local(reading.minute).minute,
            values: reading.values,
        })
        .collect();
    let beside = Beside {
        minutes: length,
        arrival_lag_s,
        usual_level_per_flow: usual_level_per_flow(connection, day - USUAL_DAYS..day)?,
        former_level_per_flow: usual_level_per_flow(
            connection,
            day - FORMER_DAYS.end..day - FORMER_DAYS.start,
        )?,
        has_values: has_values(connection, span.start - TAG_DAYS * DAY_MIN..span.start)?,
    };
    Ok(judge(plant, &date_text(day), &minutes, beside))
}

impl Store {
    /// Forgets those verdicts.
    pub fn forget_verdicts_ahead(&mut self, today: Day) -> anyhow::Result<()> {
        self.connection
            .prepare_cached("DELETE FROM data_quality WHERE rows = 0 AND date >= ?")?
            .execute([date_text(today)])?;
        Ok(())
    }

    /// Keeps a verdict.
    pub fn save_verdict(&mut self, verdict: &DayQuality) -> anyhow::Result<()> {
        let [p1, p2, p3, p4, p5, p6] = verdict.runtime_diff_min;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO data_quality VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                verdict.date,
                verdict.rows as i64,
                verdict.rows_pct,
                verdict.values_pct,
                verdict.impossible_min,
                verdict.level_frozen_min,
                verdict.flow_frozen_min,
                verdict.level_per_flow,
                verdict.day_total_pct,
                verdict.plc_clock_min,
                verdict.arrival_lag_s,
                p1,
                p2,
                p3,
                p4,
                p5,
                p6,
                serde_json::to_string(&verdict.findings)?,
            ])?;
        Ok(())
    }
}
