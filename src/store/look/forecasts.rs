//! What was forecast beside what came, and how good the models are.

use rusqlite::params;
use serde_json::Value;

use super::{Look, Stretch};
use crate::calendar::date_text;

impl Look {
    /// Forecasts of a target made so many minutes ahead, for the minutes of a stretch, each beside what came.
    pub fn forecast_and_actual(
        &self,
        target: &str,
        ahead_min: i64,
        stretch: Stretch,
    ) -> anyhow::Result<Vec<Value>> {
        let actual = if target == "hlt_pct" {
            "hlt_pct"
        } else {
            "fit101_per_hr"
        };
        Ok(self.records(
            &format!(
                "SELECT p.for_ts AS ts, p.value, p.lower, p.upper, p.model, r.{actual} AS actual FROM predictions p \
                 LEFT JOIN readings_wide r ON r.ts = p.for_ts WHERE p.ts >= ?1 - ?3 * 60 AND p.ts < ?2 - ?3 * 60 AND p.target = ?4 \
                 AND p.for_ts = p.ts + ?3 * 60 ORDER BY p.for_ts"
            ),
            params![stretch.from_s, stretch.until_s, ahead_min, target],
        )?)
    }

    /// How good the models were on the days of a stretch: errors by time ahead, drift, and the trainer's comparisons.
    pub fn performance(&mut self, stretch: Stretch) -> anyhow::Result<Vec<Value>> {
        let (first, last) = self.dates(stretch);
        Ok(self.records(
            "SELECT date, model, target, period, ahead_min, forecasts, rmse, mae, r2, rmse_naive, covered_pct, error_ratio, psi, \
             psi_feature, note FROM model_performance WHERE date BETWEEN ? AND ? ORDER BY date, model, period, ahead_min",
            [date_text(first), date_text(last)],
        )?)
    }
}
