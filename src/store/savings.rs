//! What savings are told from, and the books of them.

use anyhow::Context;
use rusqlite::{Connection, OptionalExtension, params};

use super::{Store, Synced};
use crate::{
    calendar::{Calendar, Day, Minute, date_text, day_of, text},
    plant::Plant,
    schedule::{
        baseline::{Baseline, Past},
        problem::Combination,
        savings::{Account, Saving},
    },
    store::runs::{OUT_RULES, Stretch},
    tags::{PUMPS, pump_named},
    tariff::Tariff,
};

/// A day whose advice was followed in more of its minutes says nothing of the station's own control, %.
const FOLLOWED_MAX_PCT: f64 = 50.0;
/// The first plan of a day is one made in so many of its first minutes.
const FIRST_PLAN_MIN: i64 = 90;
/// Advice is one of a plan that is no older than this: the next two hours are kept whenever they change, and once an hour.
const ADVICE_AGE_MAX_MIN: i64 = 120;

/// The minutes of a range that have a row.
pub fn past(
    connection: &Connection,
    plant: &Plant,
    tariff: &Tariff,
    calendar: &mut Calendar,
    (from, until): (Minute, Minute),
) -> anyhow::Result<Vec<Past>> {
    let mut statement = connection.prepare_cached(
        "SELECT ts, hlt101_output, fit101_per_hr, total_kw, p1_onoff, p2_onoff, p3_onoff, p4_onoff, p5_onoff, p6_onoff \
         FROM readings_wide WHERE ts BETWEEN ? AND ? ORDER BY ts",
    )?;
    let mut rows = statement.query([from * 60, until * 60])?;
    let mut minutes = Vec::new();
    while let Some(row) = rows.next()? {
        let minute = row.get::<_, i64>(0)? / 60;
        let level: Option<f64> = row.get(1)?;
        let flow: Option<f64> = row.get(2)?;
        let mut set = Some(0);
        for pump in 0..PUMPS {
            let on = row.get::<_, Option<f64>>(4 + pump)?;
            set = set
                .zip(on)
                .map(|(set, on)| set | Combination::from(on == 1.0) << pump);
        }
        minutes.push(Past {
            minute,
            set,
            fill: level
                .filter(|level| !plant.level_impossible(*level))
                .map(|level| level / plant.level_physical_max),
            flow_m3h: flow.filter(|flow| !plant.flow_impossible(*flow)),
            power_kw: row.get(3)?,
            price_per_kwh: tariff.price(calendar.local(minute)),
        });
    }
    Ok(minutes)
}

/// The days whose advice was followed: they do not tell of the station's own control.
pub fn followed_days(connection: &Connection) -> anyhow::Result<Vec<Day>> {
    let mut statement =
        connection.prepare_cached("SELECT date FROM savings_daily WHERE followed_pct > ?")?;
    let dates = statement.query_map([FOLLOWED_MAX_PCT], |row| row.get::<_, String>(0))?;
    let dates: Vec<String> = dates.collect::<rusqlite::Result<_>>()?;
    Ok(dates.iter().filter_map(|date| day_of(date)).collect())
}

/// The baseline of a month, or the newest of the months before it: its month and itself.
pub fn baseline(
    connection: &Connection,
    month: &str,
) -> anyhow::Result<Option<(String, Baseline)>> {
    let kept: Option<(String, String)> = connection
        .prepare_cached("SELECT month, control FROM savings_baseline WHERE month <= ? ORDER BY month DESC LIMIT 1")?
        .query_row([month], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((month, control)) = kept else {
        return Ok(None);
    };
    let control = serde_json::from_str(&control)
        .with_context(|| format!("cannot read the baseline of {month}"))?;
    Ok(Some((month, control)))
}

/// The pumps that were advised for each of these minutes.
pub fn advised(connection: &Connection, past: &[Past]) -> anyhow::Result<Vec<Option<Combination>>> {
    let (Some(first), Some(last)) = (past.first(), past.last()) else {
        return Ok(Vec::new());
    };
    let mut statement = connection.prepare_cached(
        "SELECT ts, schedule FROM optimization_runs WHERE ts BETWEEN ? AND ? ORDER BY ts",
    )?;
    let range = [(first.minute - ADVICE_AGE_MAX_MIN) * 60, last.minute * 60];
    let rows = statement.query_map(range, |row| {
        Ok((row.get::<_, i64>(0)? / 60, row.get::<_, Option<String>>(1)?))
    })?;
    let runs: Vec<(Minute, Option<String>)> = rows.collect::<rusqlite::Result<_>>()?;
    let runs: Vec<(Minute, Vec<(Minute, Combination)>)> = runs
        .into_iter()
        .map(|(made, schedule)| {
            let schedule = schedule.and_then(|text| serde_json::from_str(&text).ok());
            let stretches: Vec<Stretch> = schedule.unwrap_or_default();
            (
                made,
                stretches.iter().filter_map(Stretch::as_advised).collect(),
            )
        })
        .collect();
    let advice = |minute: Minute| {
        let at = runs.partition_point(|(made, _)| *made < minute);
        let (made, changes) = &runs[at.checked_sub(1)?];
        let (_, set) = changes.iter().rev().find(|(from, _)| *from <= minute)?;
        (minute - made <= ADVICE_AGE_MAX_MIN).then_some(*set)
    };
    Ok(past.iter().map(|past| advice(past.minute)).collect())
}

/// A closed day that is to be accounted for, and its energy, kWh.
pub fn due_days(connection: &Connection, today: Day) -> anyhow::Result<Vec<(Day, f64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT d.date, d.total_kwh FROM daily_summary d LEFT JOIN savings_daily s USING (date) \
         WHERE d.date >= (SELECT date FROM optimization_runs WHERE status <> 'refused' ORDER BY ts LIMIT 1) \
         AND d.date < ? AND d.total_kwh IS NOT NULL AND (s.metered_kwh IS NOT d.total_kwh OR s.baseline IS NULL AND \
         EXISTS (SELECT 1 FROM savings_baseline b WHERE b.month <= substr(d.date, 1, 7))) ORDER BY d.date",
    )?;
    let rows = statement.query_map([date_text(today)], |row| {
        Ok((row.get::<_, String>(0)?, row.get(1)?))
    })?;
    let days: Vec<(String, f64)> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(days
        .into_iter()
        .filter_map(|(date, kwh)| Some((day_of(&date)?, kwh)))
        .collect())
}

/// What the first plan of a range of minutes promised.
pub fn first_plan(connection: &Connection, from: Minute) -> anyhow::Result<Option<Saving>> {
    let planned = connection
        .prepare_cached(
            "SELECT baseline_kwh, baseline_cost, planned_kwh, planned_cost FROM optimization_runs \
             WHERE ts BETWEEN ? AND ? AND baseline_cost IS NOT NULL ORDER BY ts LIMIT 1",
        )?
        .query_row([(from - 1) * 60, (from + FIRST_PLAN_MIN) * 60], |row| {
            Ok(Saving {
                baseline_kwh: row.get(0)?,
                baseline_cost: row.get(1)?,
                kwh: row.get(2)?,
                cost: row.get(3)?,
            })
        })
        .optional()?;
    Ok(planned)
}

/// For how many minutes of a range each pump was out of service by its alarms.
pub fn out_min(
    connection: &Connection,
    (from, until): (Minute, Minute),
) -> anyhow::Result<Vec<(usize, i64)>> {
    let mut statement = connection.prepare_cached(
        "SELECT pump, max(min(coalesce(ts + duration_min * 60, ?2), ?2) - max(ts, ?1)) / 60 FROM alerts_log \
         WHERE ts < ?2 AND rule IN (?3, ?4, ?5) AND (resolved = 0 OR ts + duration_min * 60 > ?1) GROUP BY pump",
    )?;
    let range = params![
        from * 60,
        until * 60,
        OUT_RULES[0],
        OUT_RULES[1],
        OUT_RULES[2]
    ];
    let rows = statement.query_map(range, |row| {
        Ok((row.get::<_, Option<String>>(0)?, row.get(1)?))
    })?;
    let pumps: Vec<(Option<String>, i64)> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(pumps
        .into_iter()
        .filter_map(|(pump, minutes)| Some((pump_named(&pump?)?, minutes)))
        .collect())
}

/// The newest days of the books, the newest first: date, why it was left out, and the figures as the columns have them.
pub fn accounts(connection: &Connection, days: i64) -> anyhow::Result<Vec<Account>> {
    let mut statement = connection.prepare_cached(
        "SELECT date, baseline, left_out, followed_pct, planned_baseline_kwh, planned_baseline_cost, planned_kwh, planned_cost, \
         baseline_kwh, baseline_cost, metered_kwh, metered_cost, peak_kw, baseline_peak_kw FROM savings_daily \
         ORDER BY date DESC LIMIT ?",
    )?;
    let saving = |row: &rusqlite::Row, at: usize| -> rusqlite::Result<Option<Saving>> {
        let figures: [Option<f64>; 4] = [
            row.get(at)?,
            row.get(at + 1)?,
            row.get(at + 2)?,
            row.get(at + 3)?,
        ];
        let [
            Some(baseline_kwh),
            Some(baseline_cost),
            Some(kwh),
            Some(cost),
        ] = figures
        else {
            return Ok(None);
        };
        Ok(Some(Saving {
            baseline_kwh,
            baseline_cost,
            kwh,
            cost,
        }))
    };
    let rows = statement.query_map([days], |row| {
        let date: String = row.get(0)?;
        let peaks: (Option<f64>, Option<f64>) = (row.get(12)?, row.get(13)?);
        Ok(Account {
            day: day_of(&date).unwrap_or_default(),
            baseline: row.get(1)?,
            left_out: row.get(2)?,
            followed_pct: row.get(3)?,
            planned: saving(row, 4)?,
            realised: saving(row, 8)?,
            peak_kw: peaks.0.zip(peaks.1),
        })
    })?;
    rows.collect::<rusqlite::Result<_>>()
        .context("cannot read the books of savings")
}

impl Store {
    /// Keeps the baseline of a month.
    pub fn save_baseline(
        &mut self,
        month: &str,
        baseline: &Baseline,
        learnt: Minute,
        calendar: &mut Calendar,
    ) -> anyhow::Result<()> {
        self.connection
            .prepare_cached(
                "INSERT OR IGNORE INTO savings_baseline (month, learnt_at, replay_kwh_error_pct, replay_cost_error_pct, control) \
                 VALUES (?, ?, ?, ?, ?)",
            )?
            .execute(params![
                month,
                text(calendar.local(learnt).minute),
                baseline.replay.kwh_error_pct(),
                baseline.replay.cost_error_pct(),
                serde_json::to_string(baseline)?,
            ])?;
        Ok(())
    }

    /// Keeps the account of a day with its energy, kWh.
    pub fn save_account(&mut self, account: &Account, metered_kwh: f64) -> anyhow::Result<()> {
        let (planned, realised) = (account.planned, account.realised);
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO savings_daily (date, baseline, left_out, followed_pct, planned_cost, planned_baseline_cost, \
                 planned_savings_pct, planned_kwh, planned_baseline_kwh, planned_savings_kwh_pct, metered_cost, baseline_cost, \
                 savings_pct, metered_kwh, baseline_kwh, savings_kwh_pct, peak_kw, baseline_peak_kw) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                date_text(account.day),
                account.baseline,
                account.left_out,
                account.followed_pct,
                planned.map(|it| it.cost),
                planned.map(|it| it.baseline_cost),
                planned.map(|it| it.cost_pct()),
                planned.map(|it| it.kwh),
                planned.map(|it| it.baseline_kwh),
                planned.map(|it| it.kwh_pct()),
                realised.map(|it| it.cost),
                realised.map(|it| it.baseline_cost),
                realised.map(|it| it.cost_pct()),
                metered_kwh,
                realised.map(|it| it.baseline_kwh),
                realised.map(|it| it.kwh_pct()),
                account.peak_kw.map(|it| it.0),
                account.peak_kw.map(|it| it.1),
            ])?;
        self.changes.note(Synced::Savings, account.day);
        Ok(())
    }
}
