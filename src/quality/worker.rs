//! The day's verdict in the daemon: after midnight, and once more when late rows have come. Judged on a connection and a thread of
//! its own; only the verdict passes through the writer.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use tokio::sync::watch;

use crate::{
    calendar::{Calendar, Day},
    clock::Clock,
    plant::Plant,
    steps::steps,
    store::{
        open_read_only,
        predictions::newest_row,
        quality::{has_verdicts_ahead, judged, unjudged},
        writer::Handle,
    },
};

/// A day is judged so long after its end: what comes late has come by then.
const SETTLED_MIN: i64 = 30;
/// How far back days are judged that have no verdict, or have had rows since.
const DAYS_BACK: i64 = 35;
/// Between two looks for such days, min of the clock or of new rows.
const LOOK_MIN: i64 = 60;

/// Judges the days.
pub struct Judge {
    /// The station.
    pub plant: Arc<Plant>,
    /// The store.
    pub store: PathBuf,
    /// Writes the verdicts.
    pub handle: Handle,
    /// Changes with each commit.
    pub committed: watch::Receiver<u64>,
    /// Turns true when the daemon stops.
    pub stopping: watch::Receiver<bool>,
    /// The time.
    pub clock: Clock,
}

struct State {
    calendar: Calendar,
    /// The minute of the last look, and the newest row then.
    looked: Option<(i64, i64)>,
    /// The newest row.
    newest: Option<i64>,
    /// The least age of a minute when it arrived, by day, s.
    lags_s: Vec<(Day, i64)>,
}

impl Judge {
    /// Judges until the daemon stops.
    pub async fn run(self) {
        let (committed, stopping) = (self.committed.clone(), self.stopping.clone());
        let state = State {
            calendar: Calendar::new(self.plant.zone.clone()),
            looked: None,
            newest: None,
            lags_s: Vec::new(),
        };
        let step = |(judge, state): &mut (Self, State)| judge.step(state);
        let handle = self.handle.clone();
        steps((self, state), "quality", handle, step, committed, stopping).await;
    }

    fn step(&mut self, state: &mut State) -> anyhow::Result<()> {
        let connection = open_read_only(&self.store)?;
        let Some(newest) = newest_row(&connection)? else {
            return Ok(());
        };
        if state
            .newest
            .replace(newest)
            .is_some_and(|before| before < newest)
        {
            let day = state.calendar.local(newest).day();
            let lag_s = self.clock.now_s() - newest * 60;
            match state.lags_s.iter_mut().find(|(of, _)| *of == day) {
                Some((_, least)) => *least = lag_s.min(*least),
                None => {
                    state.lags_s.retain(|(of, _)| *of >= day - 1);
                    state.lags_s.push((day, lag_s));
                }
            }
        }
        let now = self.clock.minute();
        let is_recent = |(at, row)| now >= at && now - at < LOOK_MIN && newest - row < LOOK_MIN;
        if state.looked.is_some_and(is_recent) {
            return Ok(());
        }
        // A day is over when the clock says so; where that is wrong, when rows do.
        let today = state.calendar.local(now.max(newest) - SETTLED_MIN).day();
        let last = state.calendar.local(newest).day();
        // Days go by without a row, too. Where it has been long, the rows are of a history, and nobody asks for more.
        let end = match today - last {
            ..=DAYS_BACK => today,
            _ => last + 1,
        };
        let days = last - DAYS_BACK..end;
        if has_verdicts_ahead(&connection, today)? {
            self.handle
                .transact(move |store| store.forget_verdicts_ahead(today))?;
        }
        // Oldest first: what is usual comes from the days before.
        for (day, known_s) in unjudged(&connection, &mut state.calendar, days)? {
            let seen = state.lags_s.iter().find(|(of, _)| *of == day);
            let lag_s = seen
                .map(|(_, lag_s)| *lag_s)
                .into_iter()
                .chain(known_s)
                .min();
            let verdict = judged(&connection, &self.plant, &mut state.calendar, day, lag_s)?;
            let kept = verdict.clone();
            self.handle
                .transact(move |store| store.save_verdict(&kept))
                .context("cannot keep what the day's data are worth")?;
            if day == today - 1 {
                let (date, findings) = (verdict.date, verdict.findings.join("; "));
                if findings.is_empty() {
                    log::info!(date; "the day's data are good");
                } else {
                    log::warn!(date, findings; "the day's data are to be looked at");
                }
            }
        }
        state.looked = Some((now, newest));
        Ok(())
    }
}
