//! The station as it stands: the newest row, what the pumps do and how they are, the figures of the day.

use serde_json::{Value, json};

use super::{Look, Stretch};
use crate::calendar::{DAY_MIN, Minute, date_text};

/// Days for which a pump's condition is looked for.
const CONDITION_DAYS: i64 = 14;

impl Look {
    /// The newest row, raw and derived; null before there is one.
    pub fn newest_row(&self) -> anyhow::Result<Value> {
        Ok(self.record("SELECT * FROM readings_wide ORDER BY ts DESC LIMIT 1", [])?)
    }

    /// Sessions of pumps that run: pump, since when, energy so far.
    pub fn running(&self) -> anyhow::Result<Vec<Value>> {
        // The newest session of a pump is the only one that can be running.
        Ok(self.records(
            "SELECT s.pump, s.start_ts, s.start_time, s.duration_min, s.kwh_consumed FROM pump_sessions s WHERE s.status = 'running' \
             AND s.id > (SELECT max(id) FROM pump_sessions) - 8 * 1440 * 60",
            [],
        )?)
    }

    /// The newest condition of each pump within the last days.
    pub fn condition(&mut self, newest: Minute) -> anyhow::Result<Vec<Value>> {
        let today = self.calendar.local(newest).day();
        Ok(self.records(
            "SELECT pump, date, health_score, m3_per_kwh, expected_m3_per_kwh, residual_pct, efficiency_slope_7d, avg_flow_per_kwh, \
             max(date) FROM pump_condition WHERE date BETWEEN ? AND ? AND avg_flow_per_kwh IS NOT NULL GROUP BY pump",
            [date_text(today - CONDITION_DAYS), date_text(today)],
        )?)
    }

    /// The day's figures so far and those of the day before, as `kpi_daily` and `daily_summary` have them.
    pub fn figures(&mut self, newest: Minute) -> anyhow::Result<Value> {
        let today = self.calendar.local(newest).minute.div_euclid(DAY_MIN);
        let of = |day| {
            self.record(
                "SELECT k.*, d.total_flow, d.total_kwh, d.min_hlt_level, d.max_hlt_level, d.peak_flow FROM kpi_daily k \
                 JOIN daily_summary d USING (date) WHERE k.date = ?",
                [date_text(day)],
            )
        };
        Ok(json!({
            "today": of(today)?,
            "yesterday": of(today - 1)?,
            "savings": self.record(
                "SELECT date, savings_pct, savings_kwh_pct, savings_kwh_target_pct, followed_pct FROM savings_kpi_daily \
                 WHERE savings_kwh_pct IS NOT NULL ORDER BY date DESC LIMIT 1",
                [],
            )?,
            "forecast": self.record(
                "SELECT date, rmse, rmse_naive, skill_pct FROM forecast_kpi_daily WHERE target = 'hlt_pct' AND model LIKE '%60min%' \
                 ORDER BY date DESC LIMIT 1",
                [],
            )?,
        }))
    }

    /// The newest stop of the historian that began within a stretch: when, and when it began logging again, null until then.
    /// Null when there is none.
    pub fn logging_stop(&self, stretch: Stretch) -> anyhow::Result<Value> {
        // The end of a file whose successor begins with it is no stop, as in `logging_stops`.
        Ok(self.record(
            "SELECT ended.ts AS stopped_ts, \
             (SELECT min(began.ts) FROM logging_events AS began WHERE began.event = 'began' AND began.ts >= ended.ts) AS began_ts \
             FROM logging_events AS ended WHERE ended.event = 'ended' AND ended.ts BETWEEN ? AND ? - 1 \
             AND (began_ts IS NULL OR began_ts - ended.ts >= 120) ORDER BY ended.ts DESC LIMIT 1",
            [stretch.from_s, stretch.until_s],
        )?)
    }

    /// Number of the newest line of the alert journal: what it is compared with tells whether alerts have changed.
    pub fn newest_journal_id(&self) -> anyhow::Result<i64> {
        let sql = "SELECT coalesce(max(id), 0) FROM alert_journal";
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }
}
