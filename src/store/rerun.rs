//! Late rows: what they touch is derived once more, and only that.
//!
//! The newest checkpoint before the first changed minute gives the station as it was; the rows from there run through
//! it again, up to the first checkpoint that comes out as it stands in the store, or up to the newest row. What the run
//! says is then held against what the tables say, and only differences are written.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::params;

use super::{
    Store, Synced, alert_id, alert_ids,
    journal::{Told, What},
    readings::Stored,
    session_id, session_ids,
    tables::insert_alert,
};
use crate::{
    calendar::{Calendar, Minute},
    historian::minutes::MinuteRecords,
    plant::Plant,
    rollups::sessions::SessionRow,
    rules::{
        engine::{Kind, Subject, Transition},
        index_of, is_gap,
    },
    station::{Effects, Station},
    watchdog::INGEST,
};

/// Rows read at once.
const PAGE_ROWS: usize = 512;

/// An alert as the log has it.
struct Old {
    rule: usize,
    subject: Subject,
    raised: Minute,
    resolved: Option<Minute>,
    severity: String,
    message: String,
    value: Option<f64>,
}

/// An alert as the re-run has it.
#[derive(Default)]
struct New {
    /// The raise; `None` for an alert that was open when the re-run began.
    raise: Option<Transition>,
    resolution: Option<Transition>,
}

/// Alerts and sessions by id, and the minutes of the checkpoints taken.
#[derive(Default)]
struct Rerun {
    alerts: BTreeMap<i64, New>,
    sessions: BTreeMap<i64, SessionRow>,
    checkpoints: BTreeSet<Minute>,
}

impl Rerun {
    fn take(&mut self, effects: &mut Effects) {
        for transition in effects.transitions.drain(..) {
            match transition.kind {
                Kind::Raised { .. } => {
                    let id = alert_id(transition.minute, transition.rule, transition.subject);
                    self.alerts.entry(id).or_default().raise = Some(transition);
                }
                Kind::Resolved { raised } => {
                    let id = alert_id(raised, transition.rule, transition.subject);
                    self.alerts.entry(id).or_default().resolution = Some(transition);
                }
            }
        }
        let checkpoints = effects.checkpoints.iter();
        self.checkpoints
            .extend(checkpoints.map(|checkpoint| checkpoint.before));
        for session in effects.sessions.drain(..) {
            self.sessions
                .insert(session_id(session.start, session.pump), session);
        }
    }
}

impl Store {
    /// The station as the store's rows leave it. When the checkpoints are of another version, everything is derived
    /// once more.
    pub fn load_station(&mut self, plant: &Plant) -> anyhow::Result<Station> {
        let Some(checkpoint) = self.checkpoint_before(i64::MAX / 60)? else {
            return self.rerun(plant, Minute::MIN, Minute::MAX, None, Minute::MAX);
        };
        let Some(mut station) = Station::restore(plant, &checkpoint.state) else {
            log::info!("the store was written by another version; deriving everything once more");
            self.connection.execute("DELETE FROM checkpoints", [])?;
            return self.rerun(plant, Minute::MIN, Minute::MAX, None, Minute::MAX);
        };
        station.remember_told(self.told_since(checkpoint.before)?);
        let mut effects = Effects::default();
        let mut from = checkpoint.before;
        loop {
            let page = self.page(from, PAGE_ROWS)?;
            for stored in &page {
                station.row(plant, &stored.reading, &mut effects);
            }
            match page.last() {
                Some(last) => from = last.reading.minute + 1,
                None => break,
            }
        }
        // What the log has from after the newest row, the wall clock brought about; it has passed these minutes.
        if let Some(minute) = self.newest_transition()? {
            station.tick(plant, minute, &mut effects);
        }
        station.remember_told(Vec::new());
        Ok(station)
    }

    /// Merges late records and derives once more what they touch. Takes and gives back the station. Those from before what is
    /// kept are passed over; how many.
    pub fn take_late(
        &mut self,
        plant: &Plant,
        station: Station,
        records: Vec<MinuteRecords>,
        news_from: Minute,
    ) -> anyhow::Result<(Station, u64)> {
        self.begin()?;
        let settled = self.settled_from()?;
        let gone = records.partition_point(|records| records.minute < settled);
        let mut calendar = Calendar::new(plant.zone.clone());
        let late: Vec<_> = records
            .into_iter()
            .skip(gone)
            .map(|records| {
                let local = calendar.local(records.minute).minute;
                (records, local)
            })
            .collect();
        let station = match self.merge_late(&late)? {
            Some((first, last)) => self.rerun(plant, first, last, Some(station), news_from)?,
            None => station,
        };
        Ok((station, gone as u64))
    }

    fn rerun(
        &mut self,
        plant: &Plant,
        first: Minute,
        last: Minute,
        current: Option<Station>,
        news_from: Minute,
    ) -> anyhow::Result<Station> {
        self.begin()?;
        let clock = current.as_ref().and_then(Station::clock);
        let restored = self.checkpoint_before(first)?.and_then(|checkpoint| {
            Station::restore(plant, &checkpoint.state).map(|station| (checkpoint.before, station))
        });
        let (start, mut station) = match restored {
            Some(restored) => restored,
            None => self.start_over(plant)?,
        };
        let told = self.told_since(start)?;
        let told_ids: BTreeSet<_> = told.iter().copied().collect();
        station.remember_told(told);

        let mut rerun = Rerun::default();
        for (rule, subject, raised) in station.open_alerts() {
            rerun
                .alerts
                .insert(alert_id(raised, rule, subject), New::default());
        }
        let mut effects = Effects::default();
        let mut same_from = None;
        let mut closed_days = BTreeSet::new();
        let mut from = start;
        'pages: loop {
            let page = self.page(from, PAGE_ROWS)?;
            let Some(newest) = page.last().map(|stored| stored.reading.minute) else {
                break;
            };
            INGEST.gets_on();
            for stored in &page {
                self.run_again(plant, &mut station, stored, &mut effects)?;
                rerun.take(&mut effects);
                closed_days.extend(effects.health.iter().map(|row| row.day));
                // The health of a day that was written anew is complete only when the sessions that ran on from it have ended.
                if !station.carried_days().any(|day| closed_days.contains(&day)) {
                    same_from = self.same_from(&effects, start, last)?;
                }
                self.write_figures(&effects)?;
                self.write_checkpoints(&effects.checkpoints)?;
                effects = Effects::default();
                if same_from.is_some() {
                    break 'pages;
                }
            }
            from = newest + 1;
        }
        let last_row = station.last_row();
        if same_from.is_none() {
            if let Some(clock) =
                clock.filter(|&clock| station.clock().is_some_and(|own| clock > own))
            {
                station.tick(plant, clock, &mut effects);
            }
            station.standing(plant, &mut effects);
            rerun.take(&mut effects);
            self.write_figures(&effects)?;
            self.write_checkpoints(&effects.checkpoints)?;
        }
        // One that the clock had passed before the late rows came, and the re-run has not, lacks them.
        self.keep_checkpoints(start, same_from, &rerun.checkpoints)?;
        let is_told = |transition: &Transition| {
            told_ids.contains(&(transition.minute, transition.rule))
                || (is_gap(transition.rule) && last_row.is_some_and(|row| transition.minute > row))
        };
        let running: BTreeSet<_> = station
            .running_sessions()
            .map(|(pump, since)| session_id(since, pump))
            .collect();
        let mut calendar = Calendar::new(plant.zone.clone());
        self.correct_alerts(
            &rerun.alerts,
            start,
            same_from,
            news_from,
            &mut calendar,
            is_told,
        )?;
        self.correct_sessions(&rerun.sessions, &running, start, same_from)?;
        station.remember_told(Vec::new());
        Ok(match (same_from, current) {
            (Some(_), Some(current)) => current,
            _ => station,
        })
    }

    fn run_again(
        &mut self,
        plant: &Plant,
        station: &mut Station,
        stored: &Stored,
        effects: &mut Effects,
    ) -> anyhow::Result<()> {
        let derived = station.row(plant, &stored.reading, effects);
        self.update_computed(stored, &derived)
    }

    /// The minute from which on everything stands as it was: that of a checkpoint after all changes that came out the
    /// same.
    fn same_from(
        &self,
        effects: &Effects,
        start: Minute,
        last: Minute,
    ) -> anyhow::Result<Option<Minute>> {
        for checkpoint in effects
            .checkpoints
            .iter()
            .filter(|c| c.before > start && c.before > last)
        {
            if self.checkpoint_before(checkpoint.before)?.as_ref() == Some(checkpoint) {
                return Ok(Some(checkpoint.before));
            }
        }
        Ok(None)
    }

    /// The newest minute in which an alert was raised or resolved.
    fn newest_transition(&self) -> anyhow::Result<Option<Minute>> {
        let newest: Option<i64> = self.connection.query_row(
            "SELECT max(ts + coalesce(duration_min, 0) * 60) FROM alerts_log",
            [],
            |row| row.get(0),
        )?;
        Ok(newest.map(|ts| ts / 60))
    }

    fn told_since(&self, minute: Minute) -> anyhow::Result<Vec<(Minute, usize)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT ts, rule FROM alerts_log WHERE told = 1 AND ts >= ? ORDER BY ts",
        )?;
        let told = statement.query_map([minute.saturating_mul(60)], |row| {
            Ok((
                row.get::<_, i64>(0)? / 60,
                index_of(row.get_ref(1)?.as_str()?),
            ))
        })?;
        let told: rusqlite::Result<Vec<_>> = told.collect();
        Ok(told?
            .into_iter()
            .filter_map(|(minute, rule)| rule.map(|rule| (minute, rule)))
            .collect())
    }

    /// The alerts the log has from a minute on, and those with the ids given.
    fn old_alerts(
        &self,
        start: Minute,
        until: Option<Minute>,
        open: impl Iterator<Item = i64>,
    ) -> anyhow::Result<BTreeMap<i64, Old>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT id, rule, pump, ts, duration_min, severity, message, value_at_trigger FROM alerts_log \
             WHERE id BETWEEN ? AND ?",
        )?;
        let last = until.map_or(Minute::MAX, |until| until - 1);
        let ids = alert_ids((start.max(0), last));
        let mut alerts = BTreeMap::new();
        for ids in std::iter::once(ids).chain(open.map(|id| [id, id])) {
            let rows = statement.query_map(ids, |row| {
                let raised = row.get::<_, i64>(3)? / 60;
                let pump: Option<String> = row.get(2)?;
                Ok((
                    row.get::<_, i64>(0)?,
                    Old {
                        rule: index_of(row.get_ref(1)?.as_str()?).unwrap_or(0),
                        subject: pump.as_deref().and_then(crate::tags::pump_named),
                        raised,
                        resolved: row.get::<_, Option<i64>>(4)?.map(|min| raised + min),
                        severity: row.get(5)?,
                        message: row.get(6)?,
                        value: row.get(7)?,
                    },
                ))
            })?;
            for row in rows {
                let (id, old) = row?;
                alerts.insert(id, old);
            }
        }
        Ok(alerts)
    }

    fn correct_alerts(
        &mut self,
        alerts: &BTreeMap<i64, New>,
        start: Minute,
        same_from: Option<Minute>,
        news_from: Minute,
        calendar: &mut Calendar,
        is_told: impl Fn(&Transition) -> bool,
    ) -> anyhow::Result<()> {
        let open = alerts
            .iter()
            .filter(|(_, new)| new.raise.is_none())
            .map(|(&id, _)| id);
        let old = self.old_alerts(start, same_from, open)?;
        for (&id, gone) in old.iter().filter(|(id, _)| !alerts.contains_key(id)) {
            let backfilled = gone.raised < news_from;
            self.announce(&Told {
                minute: gone.raised,
                local: calendar.local(gone.raised).minute,
                rule: gone.rule,
                subject: gone.subject,
                raised: gone.raised,
                what: What::Withdrawn,
                backfilled,
            })?;
            self.connection
                .prepare_cached("DELETE FROM alerts_log WHERE id = ?")?
                .execute([id])?;
            self.changes.note(Synced::Alerts, gone.raised * 60);
        }
        for (id, new) in alerts {
            let beyond =
                |transition: &Transition| same_from.is_some_and(|from| transition.minute >= from);
            if new.raise.as_ref().is_some_and(beyond) {
                continue;
            }
            let before = old.get(id);
            if let Some(raise) = &new.raise
                && before.is_none_or(|before| differs(before, raise))
            {
                let resolved = before.and_then(|before| before.resolved);
                insert_alert(&self.connection, &mut self.texts, raise, is_told(raise))?;
                self.changes.note(Synced::Alerts, raise.minute * 60);
                if before.is_none() {
                    self.announce(&Told::transition(raise, raise.minute < news_from))?;
                } else if let Some(resolved) = resolved {
                    // The same alert with another message: its resolution stands unless the run says otherwise below.
                    self.resolve(*id, raise.minute, resolved, calendar)?;
                }
            }
            let was = before.and_then(|before| before.resolved);
            match &new.resolution {
                Some(resolution) => {
                    let Kind::Resolved { raised } = resolution.kind else {
                        continue;
                    };
                    if was != Some(resolution.minute) {
                        self.resolve(*id, raised, resolution.minute, calendar)?;
                        self.announce(&Told::transition(
                            resolution,
                            resolution.minute < news_from,
                        ))?;
                    }
                }
                // Open at the end of the run. Where the future stands as it was, so does the resolution in it.
                None => {
                    if let (Some(before), Some(resolved)) = (before, was)
                        && same_from.is_none_or(|from| resolved < from)
                    {
                        self.connection
                            .prepare_cached(
                                "UPDATE alerts_log SET resolved = 0, resolved_at = NULL, duration_min = NULL WHERE id = ?",
                            )?
                            .execute([id])?;
                        self.changes.note(Synced::Alerts, before.raised * 60);
                        let backfilled = resolved < news_from;
                        self.announce(&Told {
                            minute: resolved,
                            local: calendar.local(resolved).minute,
                            rule: before.rule,
                            subject: before.subject,
                            raised: before.raised,
                            what: What::Reopened,
                            backfilled,
                        })?;
                    }
                }
            }
        }
        Ok(())
    }

    fn resolve(
        &mut self,
        id: i64,
        raised: Minute,
        minute: Minute,
        calendar: &mut Calendar,
    ) -> anyhow::Result<()> {
        let resolved_at = self.texts.local(calendar.local(minute).minute);
        self.connection
            .prepare_cached("UPDATE alerts_log SET resolved = 1, resolved_at = ?, duration_min = ? WHERE id = ?")?
            .execute(params![resolved_at, minute - raised, id])?;
        self.changes.note(Synced::Alerts, raised * 60);
        Ok(())
    }

    fn correct_sessions(
        &mut self,
        sessions: &BTreeMap<i64, SessionRow>,
        running: &BTreeSet<i64>,
        start: Minute,
        same_from: Option<Minute>,
    ) -> anyhow::Result<()> {
        let last = same_from.map_or(Minute::MAX, |from| from - 1);
        let mut statement = self
            .connection
            .prepare_cached("SELECT id FROM pump_sessions WHERE id BETWEEN ? AND ?")?;
        let old: Vec<i64> = statement
            .query_map(session_ids((start.max(0), last)), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        drop(statement);
        // Where the future stands as it was, so does the rest of a session that runs into it.
        let kept =
            |id: &i64| sessions.contains_key(id) || (same_from.is_some() && running.contains(id));
        for id in old.iter().filter(|id| !kept(id)) {
            self.connection
                .prepare_cached("DELETE FROM pump_sessions WHERE id = ?")?
                .execute([id])?;
            self.changes.note(Synced::Sessions, id.div_euclid(8) * 60);
        }
        for session in sessions.values() {
            if same_from.is_none_or(|from| session.start < from) {
                self.save_session(session)?;
            }
        }
        Ok(())
    }
}

fn differs(old: &Old, raise: &Transition) -> bool {
    match &raise.kind {
        Kind::Raised {
            severity,
            value,
            message,
        } => {
            let value = (!value.is_nan()).then_some(*value);
            old.severity != severity.name() || old.message != *message || old.value != value
        }
        Kind::Resolved { .. } => true,
    }
}
