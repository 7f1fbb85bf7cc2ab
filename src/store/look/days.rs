//! Days and hours of the day over a period: sums, profiles, KPIs, the pumps' health.

use rusqlite::params;
use serde_json::{Value, json};

use super::{Look, Stretch};
use crate::calendar::{Minute, date_text};

/// What makes % of a raw level: hours and days have the level in raw units.
const PCT_OF_RAW: &str = "(SELECT hlt_pct / hlt101_output FROM readings_wide WHERE hlt101_output > 0 AND hlt_pct > 0 ORDER BY ts DESC LIMIT 1)";

impl Look {
    /// The days of a stretch with their sums and KPIs, oldest first.
    pub fn days(&mut self, stretch: Stretch) -> anyhow::Result<Vec<Value>> {
        let (first, last) = self.dates(stretch);
        Ok(self.records(
            "SELECT d.*, \
             d.p1_starts + d.p2_starts + d.p3_starts + d.p4_starts + d.p5_starts + d.p6_starts AS starts, \
             (SELECT avg(h.health_score) FROM pump_health h WHERE h.date = d.date) AS health_score \
             FROM daily_summary d WHERE d.date BETWEEN ? AND ? ORDER BY d.date",
            [date_text(first), date_text(last)],
        )?)
    }

    /// What an hour of the day is like on average over the days of a stretch, working days and weekends apart.
    pub fn hours(&mut self, stretch: Stretch) -> anyhow::Result<Vec<Value>> {
        let (first, last) = self.dates(stretch);
        Ok(self.records(
            &format!("SELECT h.hour, d.is_weekend, count(*) AS days, avg(h.avg_flow) AS flow, avg(h.avg_hlt) * {PCT_OF_RAW} AS level, \
             avg(h.total_kwh) AS kwh, avg(h.avg_pumps_on) AS pumps_on, max(h.is_peak_hour) AS is_peak_hour \
             FROM hourly_profile h JOIN daily_summary d USING (date) WHERE h.date BETWEEN ? AND ? \
             GROUP BY h.hour, d.is_weekend ORDER BY d.is_weekend, h.hour"),
            [date_text(first), date_text(last)],
        )?)
    }

    /// The figures of a stretch's days as a whole, for comparing periods: sums, means, and KPIs as `kpi_daily` defines them.
    pub fn totals(&mut self, stretch: Stretch) -> anyhow::Result<Value> {
        let (first, last) = self.dates(stretch);
        let dates = [date_text(first), date_text(last)];
        let mut totals = self.record(
            &format!("SELECT count(*) AS days, min(date) AS first_date, max(date) AS last_date, sum(total_flow) AS total_flow, \
             sum(total_kwh) AS total_kwh, sum(total_kwh) / nullif(sum(total_flow), 0) AS energy_per_m3, avg(avg_flow_per_hr) AS avg_flow, \
             max(peak_flow) AS peak_flow, avg(avg_hlt_level) * {PCT_OF_RAW} AS avg_level, min(min_hlt_level) * {PCT_OF_RAW} AS min_level, \
             max(max_hlt_level) * {PCT_OF_RAW} AS max_level, \
             avg(p1_starts + p2_starts + p3_starts + p4_starts + p5_starts + p6_starts) AS starts_per_day, \
             avg(total_alerts) AS alerts_per_day, sum(critical_alerts) AS critical_alerts FROM daily_summary WHERE date BETWEEN ? AND ?"),
            params![dates[0], dates[1]],
        )?;
        let health = self.record(
            "SELECT avg(health_score) AS health_score, avg(efficiency_slope_7d) AS efficiency_slope_7d FROM pump_health \
             WHERE date BETWEEN ? AND ?",
            params![dates[0], dates[1]],
        )?;
        totals["health_score"] = health["health_score"].clone();
        totals["efficiency_slope_7d"] = health["efficiency_slope_7d"].clone();
        totals["tank_stability_pct"] = self.stability(stretch)?;
        Ok(totals)
    }

    /// Share of the minutes with the level between 20 and 85 %, %.
    fn stability(&self, stretch: Stretch) -> anyhow::Result<Value> {
        // Over years the minutes are too many to read: an hour counts by its minutes when it lies within the limits as a whole.
        let sql = if stretch.until_s - stretch.from_s > 45 * 86_400 {
            "SELECT 100.0 * sum(minutes * (hlt_pct_min >= 20 AND hlt_pct_max <= 85)) / sum(minutes) AS pct FROM readings_hourly \
             WHERE ts >= ? AND ts < ? AND hlt_pct_mean IS NOT NULL"
        } else {
            "SELECT 100.0 * avg(hlt_pct BETWEEN 20 AND 85) AS pct FROM readings_wide WHERE ts >= ? AND ts < ?"
        };
        Ok(self.record(sql, params![stretch.from_s, stretch.until_s])?["pct"].clone())
    }

    /// The pumps' health and condition, day by day.
    pub fn health(&mut self, stretch: Stretch) -> anyhow::Result<Vec<Value>> {
        let (first, last) = self.dates(stretch);
        Ok(self.records(
            "SELECT date, pump, health_score, avg_flow_per_kwh, efficiency_slope_7d, m3_per_kwh, expected_m3_per_kwh, residual_pct \
             FROM pump_condition WHERE date BETWEEN ? AND ? ORDER BY date, pump",
            [date_text(first), date_text(last)],
        )?)
    }

    /// First and last minute with a row; `None` before there is one.
    pub fn ends(&self) -> anyhow::Result<Option<(Minute, Minute)>> {
        let sql = "SELECT (SELECT min(ts) FROM readings_wide), (SELECT max(ts) FROM readings_wide)";
        let ends: (Option<i64>, Option<i64>) = self
            .connection
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(ends
            .0
            .zip(ends.1)
            .map(|(first, last)| (first / 60, last / 60)))
    }

    /// The same as JSON, UTC s; null before there is one.
    pub fn range(&self) -> anyhow::Result<Value> {
        let ends = self.ends()?;
        Ok(
            json!({ "first_ts": ends.map(|ends| ends.0 * 60), "last_ts": ends.map(|ends| ends.1 * 60) }),
        )
    }
}
