//! Questions that `status` asks of a store, on a connection for reading only.

use std::path::Path;

use anyhow::ensure;
use rusqlite::{Connection, OptionalExtension};

use super::{
    MIGRATIONS,
    changes::waiting_since,
    open_read_only,
    outgoing::Snapshot,
    quality::verdicts,
    reserve::{Outlook, outlook},
    states::holds,
    troubles::{Part, Trouble, trouble},
};
use crate::{
    calendar::{Minute, utc_text},
    historian::lines::{NOT_READ_ON, UNREAD},
    quality::DayQuality,
    rules::{index_of, register::REGISTER},
};

/// A store, open for reading.
pub struct View {
    connection: Connection,
}

/// An open alert.
#[derive(Debug, serde::Serialize)]
pub struct OpenAlert {
    /// Rule code.
    pub rule: String,
    /// Pump, for a rule that looks at each.
    pub pump: Option<String>,
    /// Severity.
    pub severity: String,
    /// Since when, local time.
    pub since: String,
    /// What it says.
    pub message: String,
    /// What the operator does.
    pub action: &'static str,
    /// Within what time, min; `None` for what is only for the record.
    pub respond_within_min: Option<u32>,
}

/// An alarm that an operator has shelved or taken out of service.
#[derive(Debug, serde::Serialize)]
pub struct HeldAlarm {
    /// `B-01`, or `B-01.P2`.
    pub alarm: String,
    /// `shelved` or `out_of_service`.
    pub kind: String,
    /// Who.
    pub operator: String,
    /// Why.
    pub comment: String,
    /// Until when, UTC; `None` until it is taken back.
    pub until: Option<String>,
}

/// The newest plan that was kept.
#[derive(Debug, serde::Serialize)]
pub struct NewestPlan {
    /// From which minute, local time.
    pub made_at: String,
    /// `planned`, `limits` or `refused`.
    pub status: String,
    /// Which limit cannot be kept, or why there is no advice.
    pub reason: Option<String>,
    /// What a better one could save at most, %.
    pub gap_pct: Option<f64>,
    /// What it saves beside the station's own control, % of the cost.
    pub savings_pct: Option<f64>,
}

/// How far the central office is.
#[derive(Debug, serde::Serialize)]
pub struct Central {
    /// Rows here that the central office lacks.
    pub rows_waiting: u64,
    /// For how long the oldest of them has been waiting, min.
    pub behind_min: i64,
    /// Rows that it refused.
    pub refused: u64,
    /// When it last confirmed anything; `None` for never.
    pub confirmed_min_ago: Option<i64>,
    /// Why it takes nothing, when that is so.
    pub trouble: Option<Trouble>,
}

/// How far a forecast was off on its newest scored day.
#[derive(Debug)]
pub struct ForecastError {
    /// What is forecast.
    pub target: String,
    /// By which model.
    pub model: String,
    /// Root mean square error, in the target's unit.
    pub rmse: Option<f64>,
    /// The same of the day before, taken for a forecast.
    pub naive: Option<f64>,
}

/// How the calls to people stand.
#[derive(Debug, serde::Serialize)]
pub struct Calls {
    /// Calls that are due and that no hook has taken yet.
    pub waiting: i64,
    /// How long the oldest of them has been due, s.
    pub waits_s: i64,
    /// Escalations that come unless somebody sees to their alert.
    pub escalations_ahead: i64,
    /// Calls that no hook has taken for a day.
    pub given_up: i64,
    /// When a hook last took one, UTC; `None` for never.
    pub last_taken: Option<String>,
    /// Why the newest call that waits was not taken.
    pub trouble: Option<String>,
}

/// Totals over all files.
#[derive(Debug, Default, serde::Serialize)]
pub struct Totals {
    /// Files read.
    pub files: i64,
    /// Records kept.
    pub kept: i64,
    /// Lines and values rejected.
    pub rejected: i64,
}

impl View {
    /// Opens a store.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let connection = open_read_only(path)?;
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        ensure!(
            version >= MIGRATIONS.len() as i64,
            "the store {} is of an older version; the daemon brings it up to date when it starts",
            path.display()
        );
        Ok(Self { connection })
    }

    /// The newest row's minute and local time.
    pub fn newest_row(&self) -> anyhow::Result<Option<(Minute, String)>> {
        let row = self.connection.query_row(
            "SELECT ts, timestamp FROM readings_wide ORDER BY ts DESC LIMIT 1",
            [],
            |row| Ok((row.get::<_, i64>(0)? / 60, row.get(1)?)),
        );
        Ok(row.optional()?)
    }

    /// Where the newest row's values come from: `historian`, `modbus` or `both`.
    pub fn newest_source(&self) -> anyhow::Result<Option<String>> {
        let sql = "SELECT source FROM readings_wide ORDER BY ts DESC LIMIT 1";
        let source = self.connection.query_row(sql, [], |row| row.get(0));
        Ok(source.optional()?)
    }

    /// A count.
    pub fn count(&self, table: Table) -> anyhow::Result<i64> {
        let sql = match table {
            Table::Rows => "SELECT count(*) FROM readings_wide",
            Table::Alerts => "SELECT count(*) FROM alerts_log",
            Table::Rejects => "SELECT coalesce(sum(count), 0) FROM ingest_rejects",
            Table::Outbox => "SELECT count(*) FROM mqtt_outbox WHERE acked_ts IS NULL",
        };
        Ok(self.connection.query_row(sql, [], |row| row.get(0))?)
    }

    /// How many files there are of each format, the most frequent first.
    pub fn files_by_format(&self) -> anyhow::Result<Vec<(String, i64)>> {
        let mut statement = self.connection.prepare(
            "SELECT layout, count(*) FROM ingest_files WHERE layout <> '' GROUP BY layout ORDER BY count(*) DESC, layout",
        )?;
        let files = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(files.collect::<rusqlite::Result<_>>()?)
    }

    /// The newest files that are not read on, with the reason.
    pub fn files_held(&self, limit: usize) -> anyhow::Result<Vec<(String, String)>> {
        let mut statement = self.connection.prepare(
            "SELECT file, reason FROM ingest_rejects WHERE reason LIKE ? || '%' OR reason LIKE ? || '%' ORDER BY id DESC LIMIT ?",
        )?;
        let files = statement.query_map((NOT_READ_ON, UNREAD, limit as i64), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(files.collect::<rusqlite::Result<_>>()?)
    }

    /// The historian's last stop, as the plant's minutes of its end and its beginning again.
    pub fn last_logging_stop(&self) -> anyhow::Result<Option<(Minute, Minute)>> {
        let stop = self.connection.query_row(
            "SELECT stopped_ts, started_ts FROM logging_stops ORDER BY stopped_ts DESC LIMIT 1",
            [],
            |row| Ok((row.get::<_, i64>(0)? / 60, row.get::<_, i64>(1)? / 60)),
        );
        Ok(stop.optional()?)
    }

    /// Totals over the files.
    pub fn totals(&self) -> anyhow::Result<Totals> {
        let sql =
            "SELECT count(*), coalesce(sum(kept), 0), coalesce(sum(rejected), 0) FROM ingest_files";
        Ok(self.connection.query_row(sql, [], |row| {
            Ok(Totals {
                files: row.get(0)?,
                kept: row.get(1)?,
                rejected: row.get(2)?,
            })
        })?)
    }

    /// Open alerts, most urgent first.
    pub fn open_alerts(&self) -> anyhow::Result<Vec<OpenAlert>> {
        let mut statement = self.connection.prepare(
            "SELECT rule, pump, severity, timestamp, message FROM alerts_log WHERE resolved = 0 ORDER BY \
             CASE severity WHEN 'CRITICAL' THEN 0 WHEN 'HIGH' THEN 1 WHEN 'WARNING' THEN 2 ELSE 3 END, id",
        )?;
        let alerts = statement.query_map([], |row| {
            let rule: String = row.get(0)?;
            let record = index_of(&rule).map(|rule| &REGISTER[rule]);
            Ok(OpenAlert {
                action: record.map_or("", |record| record.action),
                respond_within_min: record.and_then(|record| record.respond_within_min),
                rule,
                pump: row.get(1)?,
                severity: row.get(2)?,
                since: row.get(3)?,
                message: row.get(4)?,
            })
        })?;
        Ok(alerts.collect::<rusqlite::Result<_>>()?)
    }

    /// What operators have shelved or taken out of service.
    pub fn held_alarms(&self) -> anyhow::Result<Vec<HeldAlarm>> {
        let mut held: Vec<_> = holds(&self.connection)?
            .into_iter()
            .map(|((rule, pump), hold)| HeldAlarm {
                alarm: if pump.is_empty() {
                    rule
                } else {
                    format!("{rule}.{pump}")
                },
                kind: hold.kind,
                operator: hold.operator,
                comment: hold.comment,
                until: hold.until_ts.map(|ts| utc_text(ts.div_euclid(60))),
            })
            .collect();
        held.sort_by(|one, other| one.alarm.cmp(&other.alarm));
        Ok(held)
    }

    /// How far the central office is.
    pub fn central(&self, path: &Path, now_s: i64) -> anyhow::Result<Central> {
        let acked_ts: Option<i64> =
            self.connection
                .query_row("SELECT acked_ts FROM central_sync", [], |row| row.get(0))?;
        let snapshot = Snapshot::open(path)?;
        let since = waiting_since(&self.connection)?;
        Ok(Central {
            rows_waiting: snapshot.rows_waiting()?,
            behind_min: since.map_or(0, |since| (now_s - since).max(0) / 60),
            refused: snapshot.refused()?.len() as u64,
            confirmed_min_ago: acked_ts.map(|ts| (now_s - ts).max(0) / 60),
            trouble: self.trouble(Part::Central)?,
        })
    }

    /// What keeps a part of the daemon from its work, if anything does.
    pub fn trouble(&self, part: Part) -> anyhow::Result<Option<Trouble>> {
        trouble(&self.connection, part)
    }

    /// When the oldest message that the broker has not acknowledged was written, UTC s. What it tells of may be much older.
    pub fn oldest_message(&self) -> anyhow::Result<Option<i64>> {
        let oldest = self.connection.query_row(
            "SELECT queued_ts FROM mqtt_outbox WHERE acked_ts IS NULL ORDER BY id LIMIT 1",
            [],
            |row| row.get(0),
        );
        Ok(oldest.optional()?)
    }

    /// The newest scored day of each forecast.
    pub fn forecast_errors(&self) -> anyhow::Result<Vec<ForecastError>> {
        let mut statement = self.connection.prepare(
            "SELECT target, model, rmse, rmse_naive, max(date) FROM forecast_kpi_daily GROUP BY target, model",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(ForecastError {
                target: row.get(0)?,
                model: row.get(1)?,
                rmse: row.get(2)?,
                naive: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How the calls to people stand.
    pub fn calls(&self, now_s: i64) -> anyhow::Result<Calls> {
        let trouble = self
            .connection
            .query_row(
                "SELECT hook || ': ' || detail FROM notifications WHERE state = 'waiting' AND attempts > 0 \
                 ORDER BY noted_ts DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .optional()?;
        Ok(self.connection.query_row(
            "SELECT count(*) FILTER (WHERE state = 'waiting' AND due_ts <= ?1), \
             count(*) FILTER (WHERE state = 'waiting' AND due_ts > ?1), count(*) FILTER (WHERE state = 'given_up'), \
             max(noted_ts) FILTER (WHERE state = 'sent'), \
             coalesce(?1 - min(due_ts) FILTER (WHERE state = 'waiting' AND due_ts <= ?1), 0) FROM notifications",
            [now_s],
            |row| {
                Ok(Calls {
                    waiting: row.get(0)?,
                    waits_s: row.get(4)?,
                    escalations_ahead: row.get(1)?,
                    given_up: row.get(2)?,
                    last_taken: row
                        .get::<_, Option<i64>>(3)?
                        .map(|ts| utc_text(ts.div_euclid(60))),
                    trouble,
                })
            },
        )?)
    }

    /// The newest plan that was kept, if there is one.
    pub fn newest_plan(&self) -> anyhow::Result<Option<NewestPlan>> {
        let sql = "SELECT made_at, status, reason, gap_pct, savings_pct FROM optimization_runs ORDER BY ts DESC LIMIT 1";
        let plan = self.connection.query_row(sql, [], |row| {
            Ok(NewestPlan {
                made_at: row.get(0)?,
                status: row.get(1)?,
                reason: row.get(2)?,
                gap_pct: row.get(3)?,
                savings_pct: row.get(4)?,
            })
        });
        Ok(plan.optional()?)
    }

    /// How long the disk still holds what comes.
    pub fn outlook(&self, path: &Path) -> anyhow::Result<Outlook> {
        outlook(path, Some(&self.connection))
    }

    /// What the data of the last judged day are worth.
    pub fn newest_quality(&self) -> anyhow::Result<Option<DayQuality>> {
        Ok(verdicts(&self.connection, 1)?.pop())
    }

    /// Minutes of designed suppression in the last days with any: date, rule, minutes; newest first.
    pub fn suppressed(&self, most: usize) -> anyhow::Result<Vec<(String, String, i64)>> {
        let mut statement = self.connection.prepare(
            "SELECT date, rule, minutes FROM alerts_suppressed ORDER BY date DESC, rule LIMIT ?",
        )?;
        let rows = statement.query_map([most as i64], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

/// What can be counted.
#[derive(Clone, Copy, Debug)]
pub enum Table {
    /// Rows of `readings_wide`.
    Rows,
    /// Rows of `alerts_log`.
    Alerts,
    /// Rejected lines and values.
    Rejects,
    /// Messages that the broker has not acknowledged.
    Outbox,
}
