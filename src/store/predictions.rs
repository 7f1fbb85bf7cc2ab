//! What forecasts are made from, what was forecast, and how good it was.

use rusqlite::{Connection, params};

use super::{Store, Synced};
use crate::{
    calendar::{Calendar, Day, Minute, date_text, text},
    forecast::features::Minutes,
    plant::Plant,
};

/// How long predictions are kept here, s: a week is scored, and a model's trouble is looked at some weeks later.
const KEPT_S: i64 = 35 * 86_400;

/// A prediction on its way into the store, or back.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The newest minute that it knew.
    pub made: Minute,
    /// The minute it is about.
    pub minute: Minute,
    /// What it forecasts: `hlt_pct`, `flow_demand`.
    pub target: String,
    /// The value.
    pub value: f64,
    /// Its bounds.
    pub bounds: Option<(f64, f64)>,
    /// The model's id.
    pub model: String,
}

/// How good a model was.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Performance {
    /// The date.
    pub day: Day,
    /// The model's id.
    pub model: String,
    /// What it forecasts.
    pub target: String,
    /// `validation`, `day` or `week`.
    pub period: &'static str,
    /// Time ahead, 0 for all.
    pub ahead_min: i64,
    /// How many forecasts.
    pub forecasts: Option<i64>,
    /// Root of the mean squared error.
    pub rmse: Option<f64>,
    /// Mean absolute error.
    pub mae: Option<f64>,
    /// Share of the variance explained.
    pub r2: Option<f64>,
    /// What seasonal-naive got.
    pub rmse_naive: Option<f64>,
    /// Share within the bounds, %.
    pub covered_pct: Option<f64>,
    /// `rmse` against the one of validation.
    pub error_ratio: Option<f64>,
    /// Population stability index of the column that moved most.
    pub psi: Option<f64>,
    /// That column.
    pub psi_feature: Option<String>,
    /// What was decided, or is to be said.
    pub note: Option<String>,
}

/// What a pump did for its energy, beside what its model expects.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// The date.
    pub day: Day,
    /// `P1` … `P6`.
    pub pump: &'static str,
    /// Minutes compared.
    pub minutes: i64,
    /// Done, m³/kWh.
    pub m3_per_kwh: f64,
    /// Expected, m³/kWh.
    pub expected: f64,
    /// The model's id.
    pub model: String,
}

/// The newest minute that has a row.
pub fn newest_row(connection: &Connection) -> anyhow::Result<Option<Minute>> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(ts) FROM readings_wide")?
        .query_row([], |row| row.get(0))?;
    Ok(newest.map(|ts| ts / 60))
}

/// So many minutes up to `last`, without holes; what is unknown, or cannot be, is NaN.
pub fn minutes(
    connection: &Connection,
    plant: &Plant,
    last: Minute,
    length: usize,
) -> anyhow::Result<Minutes> {
    let first = last + 1 - length as i64;
    let unknown = || vec![f64::NAN; length];
    let mut minutes = Minutes {
        first,
        level_pct: unknown(),
        stored_m3: unknown(),
        flow_m3h: unknown(),
        power_kw: unknown(),
        pumps_on: unknown(),
    };
    let mut statement = connection.prepare_cached(
        "SELECT ts, hlt_pct, hlt101_output, fit101_per_hr, total_kw, pumps_on_count FROM readings_wide WHERE ts BETWEEN ? AND ?",
    )?;
    let mut rows = statement.query([first * 60, last * 60])?;
    while let Some(row) = rows.next()? {
        let at = (row.get::<_, i64>(0)? / 60 - first) as usize;
        let value = |column| -> rusqlite::Result<f64> {
            Ok(row.get::<_, Option<f64>>(column)?.unwrap_or(f64::NAN))
        };
        let (raw, flow) = (value(2)?, value(3)?);
        if !plant.level_impossible(raw) {
            minutes.level_pct[at] = value(1)?;
            minutes.stored_m3[at] = raw / plant.level_physical_max * plant.volume_m3;
        }
        if !plant.flow_impossible(flow) {
            minutes.flow_m3h[at] = flow;
        }
        minutes.power_kw[at] = value(4)?;
        minutes.pumps_on[at] = value(5)?;
    }
    Ok(minutes)
}

/// A minute in which a pump ran and everything about it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Running {
    /// Tank level %, pumps on, flow of the station m³/h: what its model is told.
    pub told: [f64; 3],
    /// The pump's share of the flow, m³/h.
    pub flow_m3h: f64,
    /// Its power, kW.
    pub power_kw: f64,
}

/// The minutes of a range in which a pump lifted water.
pub fn running(
    connection: &Connection,
    plant: &Plant,
    pump: usize,
    (from, until): (Minute, Minute),
) -> anyhow::Result<Vec<Running>> {
    let number = pump + 1;
    let mut statement = connection.prepare_cached(&format!(
        "SELECT hlt_pct, pumps_on_count, fit101_per_hr, flow_per_pump, p{number}_kwh FROM readings_wide \
         WHERE ts BETWEEN ?1 AND ?2 AND p{number}_onoff = 1 AND p{number}_kwh > ?3 AND fit101_per_hr > 0 \
         AND hlt_pct IS NOT NULL AND flow_per_pump IS NOT NULL"
    ))?;
    let rows = statement.query_map(params![from * 60, until * 60, plant.zero_kw], |row| {
        Ok(Running {
            told: [row.get(0)?, row.get(1)?, row.get(2)?],
            flow_m3h: row.get(3)?,
            power_kw: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The predictions about minutes of a range that were made within a day and a half before it or in it.
pub fn predictions_about(
    connection: &Connection,
    (from, until): (Minute, Minute),
) -> anyhow::Result<Vec<Prediction>> {
    let mut statement = connection.prepare_cached(
        "SELECT ts, for_ts, target, value, lower, upper, model FROM predictions \
         WHERE ts BETWEEN ?1 - 129600 AND ?2 AND for_ts BETWEEN ?1 AND ?2",
    )?;
    let rows = statement.query_map([from * 60, until * 60], |row| {
        let lower: Option<f64> = row.get(4)?;
        Ok(Prediction {
            made: row.get::<_, i64>(0)? / 60,
            minute: row.get::<_, i64>(1)? / 60,
            target: row.get(2)?,
            value: row.get(3)?,
            bounds: lower.zip(row.get(5)?),
            model: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

impl Store {
    /// Keeps predictions; the same one made again takes the place of the first.
    pub fn save_predictions(
        &mut self,
        predictions: &[Prediction],
        calendar: &mut Calendar,
    ) -> anyhow::Result<()> {
        let mut local = |minute| text(calendar.local(minute).minute);
        for one in predictions {
            self.changes.note(Synced::Predictions, one.made * 60);
            let (lower, upper) = one.bounds.unzip();
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO predictions (ts, made_at, target, for_ts, for_time, value, lower, upper, model) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    one.made * 60,
                    local(one.made),
                    one.target,
                    one.minute * 60,
                    local(one.minute),
                    one.value,
                    lower,
                    upper,
                    one.model,
                ])?;
        }
        Ok(())
    }

    /// Drops predictions that nobody looks at any more and that the central office has, if there is one: as with minutes, nor may it
    /// be about to lack them again.
    pub fn drop_old_predictions(&mut self, newest: Minute, has_centre: bool) -> anyhow::Result<()> {
        let before = newest * 60 - KEPT_S;
        let logged = "SELECT min(first) FROM changes WHERE tbl = 'predictions'";
        let logged: Option<i64> = self.connection.query_row(logged, [], |row| row.get(0))?;
        let until = logged
            .filter(|_| has_centre)
            .map_or(before, |first| first.min(before));
        self.connection
            .prepare_cached("DELETE FROM predictions WHERE ts < ?")?
            .execute([until])?;
        Ok(())
    }

    /// Writes how good models were; what stands as it is is left alone.
    pub fn save_performance(&mut self, rows: &[Performance]) -> anyhow::Result<()> {
        for row in rows {
            let changed = self
                .connection
                .prepare_cached(
                    "INSERT INTO model_performance (date, model, target, period, ahead_min, forecasts, rmse, mae, r2, rmse_naive, \
                     covered_pct, error_ratio, psi, psi_feature, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
                     ON CONFLICT DO UPDATE SET (forecasts, rmse, mae, r2, rmse_naive, covered_pct, error_ratio, psi, psi_feature, note) = \
                     (excluded.forecasts, excluded.rmse, excluded.mae, excluded.r2, excluded.rmse_naive, excluded.covered_pct, \
                     excluded.error_ratio, excluded.psi, excluded.psi_feature, excluded.note) \
                     WHERE (forecasts, rmse, covered_pct, psi, note) IS NOT \
                     (excluded.forecasts, excluded.rmse, excluded.covered_pct, excluded.psi, excluded.note)",
                )?
                .execute(params![
                    date_text(row.day),
                    row.model,
                    row.target,
                    row.period,
                    row.ahead_min,
                    row.forecasts,
                    row.rmse,
                    row.mae,
                    row.r2,
                    row.rmse_naive,
                    row.covered_pct,
                    row.error_ratio,
                    row.psi,
                    row.psi_feature,
                    row.note,
                ])?;
            if changed > 0 {
                self.changes.note(Synced::Performance, row.day);
            }
        }
        Ok(())
    }

    /// Writes what pumps did beside what was expected.
    pub fn save_expectations(&mut self, rows: &[Expectation]) -> anyhow::Result<()> {
        for row in rows {
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO pump_expectation (date, pump, minutes, m3_per_kwh, expected_m3_per_kwh, residual_pct, model) \
                     VALUES (?, ?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    date_text(row.day),
                    row.pump,
                    row.minutes,
                    row.m3_per_kwh,
                    row.expected,
                    (row.m3_per_kwh / row.expected - 1.0) * 100.0,
                    row.model,
                ])?;
            self.changes.note(Synced::Expectation, row.day);
        }
        Ok(())
    }
}
