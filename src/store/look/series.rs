//! Values over time, thinned to what a plot can show: of each stretch the lowest, the mean and the highest, so that no peak is
//! lost. Over long periods they come from `readings_hourly`, which this module keeps.

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::{Look, Stretch};
use crate::store::{look::json_value, session_ids};

/// Columns that can be plotted over any period.
const SUMMED_UP: [&str; 3] = ["hlt_pct", "fit101_per_hr", "total_kw"];
/// Columns that can be plotted from minutes alone.
const MINUTES_ONLY: [&str; 10] = [
    "p1_kwh",
    "p2_kwh",
    "p3_kwh",
    "p4_kwh",
    "p5_kwh",
    "p6_kwh",
    "flow_per_pump",
    "energy_per_flow",
    "flow_z_score",
    "pumps_on_count",
];
/// Minutes are read up to here; what is longer comes from the hours.
const MINUTES_S_MAX: i64 = 45 * 86_400;
/// Fewest and most stretches of an answer.
pub const POINTS: std::ops::RangeInclusive<i64> = 10..=5000;

/// Whether a column can be plotted.
pub fn is_series(column: &str) -> bool {
    SUMMED_UP.contains(&column) || MINUTES_ONLY.contains(&column)
}

impl Look {
    /// Columns over a stretch of time in about so many points: lists `ts` (begin of each point's stretch, UTC s) and for each column
    /// `min`, `mean`, `max`; null where no row has a value. `step_s` is the length of a point's stretch, s.
    ///
    /// `Err` says which column needs a shorter period.
    pub fn series(
        &self,
        columns: &[&str],
        stretch: Stretch,
        points: i64,
    ) -> anyhow::Result<Result<Value, String>> {
        let length_s = stretch.until_s - stretch.from_s;
        let from_hours = length_s > MINUTES_S_MAX;
        if let Some(column) = columns
            .iter()
            .find(|it| from_hours && !SUMMED_UP.contains(it))
        {
            return Ok(Err(format!(
                "{column} can be plotted over {} days at most",
                MINUTES_S_MAX / 86_400
            )));
        }
        let unit_s = if from_hours { 3600 } else { 60 };
        let step_s = ((length_s / points).max(1) - 1 + unit_s) / unit_s * unit_s;
        let figures = columns.iter().map(|column| {
            if from_hours {
                format!("min({column}_min), sum({column}_mean * minutes) / sum(minutes * ({column}_mean IS NOT NULL)), max({column}_max)")
            } else {
                format!("min({column}), avg({column}), max({column})")
            }
        });
        let table = if from_hours {
            "readings_hourly"
        } else {
            "readings_wide"
        };
        let sql = format!(
            "SELECT ts / ?3 * ?3 AS point, {} FROM {table} WHERE ts >= ?1 AND ts < ?2 GROUP BY point ORDER BY point",
            figures.collect::<Vec<_>>().join(", ")
        );
        let mut lists = vec![Vec::new(); 1 + 3 * columns.len()];
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params![stretch.from_s, stretch.until_s, step_s])?;
        while let Some(row) = rows.next()? {
            for (place, list) in lists.iter_mut().enumerate() {
                list.push(json_value(row.get_ref(place)?));
            }
        }
        let mut lists = lists.into_iter();
        let mut answer = json!({ "step_s": step_s, "ts": lists.next() });
        for column in columns {
            answer[column] =
                json!({ "min": lists.next(), "mean": lists.next(), "max": lists.next() });
        }
        Ok(Ok(answer))
    }

    /// Sessions of the pumps that touch a stretch of time, oldest first: pump, begin and end (UTC s; null while it runs), figures.
    pub fn sessions(&self, stretch: Stretch) -> anyhow::Result<Vec<Value>> {
        let (first, last) = stretch.minutes();
        // A session that began before may reach into the stretch; the newest of each pump is the only one that can.
        let [from_id, until_id] = session_ids((first, last));
        Ok(self.records(
            "SELECT pump, start_ts, start_ts + duration_min * 60 AS end_ts, start_time, end_time, duration_min, kwh_consumed, \
             flow_during_run, m3_per_kwh, is_short_cycle FROM pump_sessions WHERE id BETWEEN ?1 AND ?2 OR id IN (\
             SELECT (SELECT max(id) FROM pump_sessions s WHERE s.id < ?1 AND s.id >= ?1 - 8 * 1440 * 60 AND s.pump = p.column1) \
             FROM (VALUES ('P1'), ('P2'), ('P3'), ('P4'), ('P5'), ('P6')) p) AND coalesce(start_ts + duration_min * 60 > ?3, 1) \
             ORDER BY id",
            params![from_id, until_id, stretch.from_s],
        )?)
    }
}

/// Sums up the hours of rows that were written or deleted, `first` to `last` in UTC s, and those that are over since the last time.
/// The hour of the newest row waits until it is over.
pub(in crate::store) fn sum_up(
    connection: &Connection,
    first: i64,
    last: i64,
) -> rusqlite::Result<()> {
    let (newest, summed): (Option<i64>, Option<i64>) = connection
        .prepare_cached(
            "SELECT (SELECT max(ts) FROM readings_wide), (SELECT max(ts) FROM readings_hourly)",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let hour = |ts: i64| ts.div_euclid(3600) * 3600;
    let open = newest.map_or(i64::MIN, hour);
    sum_up_hours(
        connection,
        hour(first),
        hour(last).min(open.saturating_sub(3600)),
    )?;
    let after = summed.map_or(i64::MIN, |summed| summed + 3600);
    sum_up_hours(connection, after, open.saturating_sub(3600))
}

fn sum_up_hours(connection: &Connection, first: i64, last: i64) -> rusqlite::Result<()> {
    if first > last {
        return Ok(());
    }
    connection
        .prepare_cached("DELETE FROM readings_hourly WHERE ts BETWEEN ? AND ?")?
        .execute([first, last])?;
    connection
        .prepare_cached(
            "INSERT INTO readings_hourly SELECT ts / 3600 * 3600, count(*), min(hlt_pct), avg(hlt_pct), max(hlt_pct), \
             min(fit101_per_hr), avg(fit101_per_hr), max(fit101_per_hr), min(total_kw), avg(total_kw), max(total_kw) \
             FROM readings_wide WHERE ts >= ?1 AND ts < ?2 GROUP BY ts / 3600",
        )?
        .execute([first, last + 3600])?;
    Ok(())
}
