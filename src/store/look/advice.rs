//! What was advised, and what it saved.

use serde_json::Value;

use super::Look;

impl Look {
    /// The books of savings, the newest days first.
    pub fn savings(&self, days: i64) -> anyhow::Result<Vec<Value>> {
        Ok(self.records(
            "SELECT * FROM savings_daily ORDER BY date DESC LIMIT ?",
            [days],
        )?)
    }

    /// The newest plans, or why there was none, without their schedules.
    pub fn plans(&self, most: i64) -> anyhow::Result<Vec<Value>> {
        Ok(self.records(
            "SELECT ts, made_at, status, reason, gap_pct, planned_cost, planned_kwh, baseline_cost, baseline_kwh, savings_pct, \
             savings_kwh_pct, starts FROM optimization_runs ORDER BY ts DESC LIMIT ?",
            [most],
        )?)
    }
}
