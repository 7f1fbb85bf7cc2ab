//! The tables built on `readings_wide`: alerts, sessions, hours, days, pump health; and the checkpoints.

use std::{collections::BTreeSet, sync::LazyLock};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Step, Store, Synced, Texts, alert_id, journal::Told, session_id};
use crate::{
    calendar::{Minute, date_text, day_of_week},
    rollups::{
        days::{DayRow, HealthRow},
        hours::HourRow,
        ratio,
        sessions::{SHORT_CYCLE_MIN, SessionRow},
    },
    rules::{
        CATALOGUE,
        engine::{Kind, Transition},
    },
    station::{Checkpoint, Effects},
    tags::pump_name,
};

/// NaN is NULL.
pub(super) fn known(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

fn whole(value: f64) -> Option<i64> {
    known(value).map(|value| value as i64)
}

/// Writes a row with the first `keys` columns as its key; one that stands as it is is left alone.
fn upsert(table: &str, keys: usize, columns: &[&str]) -> String {
    let (key, rest) = columns.split_at(keys);
    let excluded: Vec<_> = rest
        .iter()
        .map(|column| format!("excluded.{column}"))
        .collect();
    let own: Vec<_> = rest
        .iter()
        .map(|column| format!("{table}.{column}"))
        .collect();
    format!(
        "INSERT INTO {table} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET ({}) = ({excluded}) WHERE ({}) IS NOT ({excluded})",
        columns.join(", "),
        vec!["?"; columns.len()].join(", "),
        key.join(", "),
        rest.join(", "),
        own.join(", "),
        excluded = excluded.join(", "),
    )
}

static SESSION: LazyLock<String> = LazyLock::new(|| {
    upsert(
        "pump_sessions",
        1,
        &[
            "id",
            "pump",
            "start_ts",
            "start_time",
            "end_time",
            "duration_min",
            "status",
            "kwh_consumed",
            "flow_during_run",
            "efficiency",
            "is_short_cycle",
            "m3_per_kwh",
        ],
    )
});

static HOUR: LazyLock<String> = LazyLock::new(|| {
    upsert(
        "hourly_profile",
        2,
        &[
            "date",
            "hour",
            "avg_flow",
            "total_flow",
            "avg_hlt",
            "avg_pumps_on",
            "total_kwh",
            "p1_on_minutes",
            "p2_on_minutes",
            "p3_on_minutes",
            "p4_on_minutes",
            "p5_on_minutes",
            "p6_on_minutes",
            "alert_count",
            "is_peak_hour",
        ],
    )
});

static DAY: LazyLock<String> = LazyLock::new(|| {
    upsert(
        "daily_summary",
        1,
        &[
            "date",
            "total_flow",
            "avg_flow_per_hr",
            "peak_flow",
            "peak_flow_hour",
            "avg_hlt_level",
            "min_hlt_level",
            "max_hlt_level",
            "total_kwh",
            "energy_per_m3",
            "p1_hours_on",
            "p2_hours_on",
            "p3_hours_on",
            "p4_hours_on",
            "p5_hours_on",
            "p6_hours_on",
            "p1_starts",
            "p2_starts",
            "p3_starts",
            "p4_starts",
            "p5_starts",
            "p6_starts",
            "p1_avg_kwh",
            "p2_avg_kwh",
            "p3_avg_kwh",
            "p4_avg_kwh",
            "p5_avg_kwh",
            "p6_avg_kwh",
            "total_alerts",
            "critical_alerts",
            "peak_pumps_on",
            "avg_pumps_on",
            "is_weekend",
        ],
    )
});

static HEALTH: LazyLock<String> = LazyLock::new(|| {
    upsert(
        "pump_health",
        2,
        &[
            "date",
            "pump",
            "total_runtime_min",
            "start_count",
            "stop_count",
            "short_cycle_count",
            "longest_run_min",
            "avg_run_min",
            "avg_kwh",
            "avg_flow_per_kwh",
            "efficiency_slope_7d",
            "overrun_flag",
            "health_score",
        ],
    )
});

impl Store {
    /// Writes alerts raised and resolved, and their messages.
    pub(super) fn write_transitions(&mut self, step: &Step) -> anyhow::Result<()> {
        for transition in &step.effects.transitions {
            match &transition.kind {
                Kind::Raised { .. } => {
                    insert_alert(
                        &self.connection,
                        &mut self.texts,
                        transition,
                        step.by_wall_clock,
                    )?;
                    self.changes.note(Synced::Alerts, transition.minute * 60);
                }
                Kind::Resolved { raised } => {
                    let id = alert_id(*raised, transition.rule, transition.subject);
                    let resolved_at = self.texts.local(transition.local);
                    self.connection
                        .prepare_cached(
                            "UPDATE alerts_log SET resolved = 1, resolved_at = ?, duration_min = ? WHERE id = ?",
                        )?
                        .execute(params![resolved_at, transition.minute - raised, id])?;
                    self.changes.note(Synced::Alerts, raised * 60);
                }
            }
            let told = Told::transition(transition, transition.minute < step.news_from);
            self.announce(&told)?;
        }
        Ok(())
    }

    /// Writes sessions, hours, days and pump health as they stand.
    pub(super) fn write_figures(&mut self, effects: &Effects) -> anyhow::Result<()> {
        for session in &effects.sessions {
            self.save_session(session)?;
        }
        for hour in &effects.hours {
            if save_hour(&self.connection, hour)? {
                self.changes.note(Synced::Hours, hour.key.div_euclid(24));
            }
        }
        for day in &effects.days {
            if save_day(&self.connection, day)? {
                self.changes.note(Synced::Days, day.day);
            }
        }
        for health in &effects.health {
            if save_health(&self.connection, health)? {
                self.changes.note(Synced::Health, health.day);
            }
        }
        for &(day, rule, minutes) in &effects.suppressed {
            let (date, code) = (date_text(day), CATALOGUE[rule].code);
            let changed = if minutes == 0 {
                // A late row may have taken back what was counted.
                self.connection
                    .prepare_cached("DELETE FROM alerts_suppressed WHERE date = ? AND rule = ?")?
                    .execute(params![date, code])?
            } else {
                self.connection
                    .prepare_cached(
                        "INSERT INTO alerts_suppressed (date, rule, minutes) VALUES (?, ?, ?) ON CONFLICT (date, rule) \
                         DO UPDATE SET minutes = excluded.minutes WHERE minutes <> excluded.minutes",
                    )?
                    .execute(params![date, code, minutes])?
            };
            if changed > 0 {
                self.changes.note(Synced::Suppressed, day);
            }
        }
        Ok(())
    }

    /// Writes a session as it stands.
    pub(super) fn save_session(&mut self, session: &SessionRow) -> anyhow::Result<()> {
        if save_session(&self.connection, &mut self.texts, session)? {
            self.changes.note(Synced::Sessions, session.start * 60);
        }
        Ok(())
    }

    /// Drops the checkpoints behind `start`, and before `until` if that is given, but for those in `kept`.
    pub(super) fn keep_checkpoints(
        &mut self,
        start: Minute,
        until: Option<Minute>,
        kept: &BTreeSet<Minute>,
    ) -> anyhow::Result<()> {
        let range = [
            start.saturating_mul(60).saturating_add(1),
            until.map_or(i64::MAX, |until| until * 60 - 1),
        ];
        let found: Vec<i64> = self
            .connection
            .prepare_cached("SELECT before_ts FROM checkpoints WHERE before_ts BETWEEN ? AND ?")?
            .query_map(range, |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        for before_ts in found.into_iter().filter(|ts| !kept.contains(&(ts / 60))) {
            self.connection
                .prepare_cached("DELETE FROM checkpoints WHERE before_ts = ?")?
                .execute([before_ts])?;
        }
        Ok(())
    }

    /// Writes checkpoints.
    pub(super) fn write_checkpoints(&mut self, checkpoints: &[Checkpoint]) -> anyhow::Result<()> {
        for Checkpoint { before, state } in checkpoints {
            self.connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO checkpoints (before_ts, state) VALUES (?, ?)",
                )?
                .execute(params![before * 60, state])?;
        }
        Ok(())
    }

    /// The newest checkpoint at or before a minute.
    pub(super) fn checkpoint_before(&self, minute: Minute) -> anyhow::Result<Option<Checkpoint>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT before_ts, state FROM checkpoints WHERE before_ts <= ? ORDER BY before_ts DESC LIMIT 1",
        )?;
        let checkpoint = statement.query_row([minute.saturating_mul(60)], |row| {
            Ok(Checkpoint {
                before: row.get::<_, i64>(0)? / 60,
                state: row.get(1)?,
            })
        });
        Ok(checkpoint.optional()?)
    }
}

/// Inserts an alert, open.
pub(super) fn insert_alert(
    connection: &Connection,
    texts: &mut Texts,
    transition: &Transition,
    told: bool,
) -> anyhow::Result<()> {
    let Kind::Raised {
        severity,
        value,
        message,
    } = &transition.kind
    else {
        return Ok(());
    };
    let rule = &CATALOGUE[transition.rule];
    let pump = transition.subject.map(pump_name);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO alerts_log (id, ts, timestamp, severity, rule, pump, message, value_at_trigger, told) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            alert_id(transition.minute, transition.rule, transition.subject),
            transition.minute * 60,
            texts.local(transition.local),
            severity.name(),
            rule.code,
            pump,
            message,
            known(*value),
            told && crate::rules::is_gap(transition.rule),
        ])?;
    Ok(())
}

/// Writes a session as it stands; whether that changed anything.
fn save_session(
    connection: &Connection,
    texts: &mut Texts,
    session: &SessionRow,
) -> anyhow::Result<bool> {
    let end_time = session.end.map(|(_, local)| texts.local(local).to_owned());
    let duration_min = session.duration_min();
    let changed = connection.prepare_cached(&SESSION)?.execute(params![
        session_id(session.start, session.pump),
        pump_name(session.pump),
        session.start * 60,
        texts.local(session.start_local),
        end_time,
        duration_min,
        if duration_min.is_some() {
            "completed"
        } else {
            "running"
        },
        known(session.kwh_consumed),
        known(session.flow_during_run),
        known(ratio(session.flow_during_run, session.kwh_consumed)),
        duration_min.map(|min| min < SHORT_CYCLE_MIN),
        known(session.m3_per_kwh),
    ])?;
    Ok(changed > 0)
}

fn save_hour(connection: &Connection, hour: &HourRow) -> anyhow::Result<bool> {
    let [p1, p2, p3, p4, p5, p6] = hour.on_min;
    let changed = connection.prepare_cached(&HOUR)?.execute(params![
        date_text(hour.key.div_euclid(24)),
        hour.key.rem_euclid(24),
        known(hour.avg_flow),
        known(hour.total_flow),
        known(hour.avg_level),
        known(hour.avg_pumps_on),
        known(hour.total_kwh),
        p1,
        p2,
        p3,
        p4,
        p5,
        p6,
        hour.alert_count,
        hour.is_peak_hour,
    ])?;
    Ok(changed > 0)
}

fn save_day(connection: &Connection, day: &DayRow) -> anyhow::Result<bool> {
    let mut statement = connection.prepare_cached(&DAY)?;
    statement.raw_bind_parameter(1, date_text(day.day))?;
    statement.raw_bind_parameter(2, known(day.total_flow))?;
    statement.raw_bind_parameter(3, known(day.avg_flow_per_hr))?;
    statement.raw_bind_parameter(4, known(day.peak_flow))?;
    statement.raw_bind_parameter(5, day.peak_flow_hour)?;
    statement.raw_bind_parameter(6, known(day.avg_level))?;
    statement.raw_bind_parameter(7, known(day.min_level))?;
    statement.raw_bind_parameter(8, known(day.max_level))?;
    statement.raw_bind_parameter(9, known(day.total_kwh))?;
    statement.raw_bind_parameter(10, known(day.energy_per_m3))?;
    for (pump, on_min) in day.on_min.into_iter().enumerate() {
        statement.raw_bind_parameter(11 + pump, f64::from(on_min) / 60.0)?;
        statement.raw_bind_parameter(17 + pump, day.starts[pump])?;
        statement.raw_bind_parameter(23 + pump, known(day.avg_kw[pump]))?;
    }
    statement.raw_bind_parameter(29, day.total_alerts)?;
    statement.raw_bind_parameter(30, day.critical_alerts)?;
    statement.raw_bind_parameter(31, whole(day.peak_pumps_on))?;
    statement.raw_bind_parameter(32, known(day.avg_pumps_on))?;
    statement.raw_bind_parameter(33, matches!(day_of_week(day.day), 0 | 6))?;
    Ok(statement.raw_execute()? > 0)
}

fn save_health(connection: &Connection, health: &HealthRow) -> anyhow::Result<bool> {
    let changed = connection.prepare_cached(&HEALTH)?.execute(params![
        date_text(health.day),
        pump_name(health.pump),
        health.total_runtime_min,
        health.start_count,
        health.stop_count,
        health.short_cycle_count,
        health.longest_run_min,
        known(health.avg_run_min),
        known(health.avg_kw),
        known(health.avg_flow_per_kwh),
        known(health.efficiency_slope_7d),
        health.overrun,
        health.health_score,
    ])?;
    Ok(changed > 0)
}
