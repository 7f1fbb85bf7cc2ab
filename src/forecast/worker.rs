//! Forecasts in the daemon: each minute by the models in use, into the store and to who listens; each hour how good they were.
//!
//! *Invariant.* Nothing here holds up the plant's loop: it reads the store on a connection of its own, on a thread of its own,
//! and a model is swapped between two forecasts.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context;
use rusqlite::Connection;
use tokio::sync::watch;

use super::{
    features::{HISTORY_MIN, History, PUMP_COLUMNS},
    guard::{Model, Values},
    manifest::{Horizon, Place, Role, Target},
    models::{Change, Decision, Models},
    predict::{Forecast, SEASONAL_NAIVE, STALE_MIN, Scene},
    quality::{Figures, Health, Pair, class_min, judge, moved_most},
};
use crate::{
    calendar::{Calendar, DAY_MIN, Day, Minute},
    clock::Clock,
    measured::FORECAST,
    plant::Plant,
    steps::steps,
    store::{
        open_read_only,
        predictions::{
            Expectation, Performance, Prediction, Running, minutes, newest_row, predictions_about,
            running,
        },
        writer::Handle,
    },
    tags::{PUMPS, pump_name},
};

/// Of the next hour, these times ahead are kept, min.
const KEPT_AHEAD_MIN: [i64; 2] = [15, 60];
/// The next day is kept this often, min.
const DAY_KEPT_EVERY_MIN: i64 = 60;
/// Minutes that a pump must have run on a day for its efficiency to be told.
const COMPARED_MIN: usize = 30;
/// Origins of the rows whose spread is looked at, min apart.
const SPREAD_EVERY_MIN: i64 = 30;

/// A forecast as it is told, with what is to be said of its model.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The forecast.
    pub forecast: Forecast,
    /// What is to be said of the model's quality.
    pub health: Option<String>,
}

/// The forecaster.
pub struct Forecaster {
    /// The station.
    pub plant: Arc<Plant>,
    /// The store.
    pub store: PathBuf,
    /// The model store.
    pub models: PathBuf,
    /// Writes predictions and scores.
    pub handle: Handle,
    /// Changes with each commit.
    pub committed: watch::Receiver<u64>,
    /// Turns true when the daemon stops.
    pub stopping: watch::Receiver<bool>,
    /// How late the exports may normally be, min.
    pub delivery_delay_min: i64,
    /// Whether there is a central office that wants the predictions before they go.
    pub has_centre: bool,
    /// The time.
    pub clock: Clock,
    /// Who listens.
    pub told: watch::Sender<Arc<Vec<Told>>>,
}

impl Forecaster {
    /// Forecasts until the daemon stops.
    pub async fn run(self) {
        let (committed, stopping) = (self.committed.clone(), self.stopping.clone());
        let state = State::new(self.models.clone(), Calendar::new(self.plant.zone.clone()));
        let step = |(worker, state): &mut (Self, State)| worker.step(state);
        let handle = self.handle.clone();
        steps((self, state), "forecast", handle, step, committed, stopping).await;
    }

    fn step(&mut self, state: &mut State) -> anyhow::Result<()> {
        let changes = state.models.look();
        for change in &changes {
            tell(change);
        }
        // What cannot be written is told of behind the forecasts: a full disk does not keep them from who listens.
        let noted = self.note_decisions(state);
        // Opened anew each time: the last one to close a store, if it only reads, would leave its log beside it.
        let connection = &open_read_only(&self.store)?;
        let Some(newest) = newest_row(connection)? else {
            return noted;
        };
        let age_min = self.clock.minute() - newest;
        if age_min > self.delivery_delay_min + STALE_MIN {
            state.made = None;
            let because = format!("the newest row is {age_min} min old");
            self.tell_all(
                Place::ALL
                    .map(|place| none(place, newest, &because))
                    .to_vec(),
            );
            return noted;
        }
        if state.made == Some(newest) && changes.is_empty() {
            return noted;
        }
        let hour = newest.div_euclid(60);
        let mut scored = Ok(());
        if state.scored != Some(hour) || !changes.is_empty() {
            scored = self.score(state, connection, newest);
            state.scored = scored.is_ok().then_some(hour);
        }
        let began = Instant::now();
        let minutes = minutes(connection, &self.plant, newest, HISTORY_MIN)?;
        let history = History::new(&minutes);
        let mut scene = Scene {
            history: &history,
            origin: newest,
            calendar: &mut state.calendar,
            peak: &self.plant.peak,
        };
        let mut told = Vec::new();
        let mut kept = Vec::new();
        let is_due = |before| newest - before >= DAY_KEPT_EVERY_MIN;
        let is_day_kept = !changes.is_empty() || state.day_kept.is_none_or(is_due);
        for place in Place::ALL {
            let name = place.name();
            let health = state.health.get(&name).cloned().unwrap_or_default();
            let model = state.models.at(&name);
            let mut forecast = scene.forecast(place, as_model(&model));
            keep(&forecast, is_day_kept, &mut kept);
            if health.falls_back && forecast.because.is_none() {
                // The model goes on in the shadow, so that it can show that it is better again.
                let note = health.note.clone().unwrap_or_default();
                forecast = scene.forecast(place, Err(note));
                keep(&forecast, is_day_kept, &mut kept);
            }
            let instead = model.ok().and_then(|it| it.instead.clone());
            told.push(Told {
                forecast,
                health: instead.or(health.note),
            });
        }
        FORECAST.since(began);
        let took_ms = began.elapsed().as_secs_f64() * 1e3;
        log::debug!(took_ms; "forecasts made");
        self.told.send_if_modified(|before| {
            let changed = **before != told;
            *before = Arc::new(told);
            changed
        });
        self.keep(kept)?;
        state.made = Some(newest);
        if is_day_kept {
            state.day_kept = Some(newest);
        }
        noted.and(scored)
    }

    fn tell_all(&self, forecasts: Vec<Forecast>) {
        let told: Vec<_> = forecasts
            .into_iter()
            .map(|forecast| Told {
                forecast,
                health: None,
            })
            .collect();
        self.told.send_if_modified(|before| {
            // Its age alone is no news.
            let same =
                before.len() == told.len() && before.iter().all(|it| it.forecast.steps.is_empty());
            if !same {
                *before = Arc::new(told);
            }
            !same
        });
    }

    fn keep(&self, kept: Vec<Prediction>) -> anyhow::Result<()> {
        let zone = self.plant.zone.clone();
        self.handle
            .transact(move |store| store.save_predictions(&kept, &mut Calendar::new(zone)))
            .context("cannot keep the predictions")
    }

    /// What was decided about models goes into the table of their performance, once.
    fn note_decisions(&self, state: &mut State) -> anyhow::Result<()> {
        let decisions = &state.models.decisions().decisions;
        if state.noted >= decisions.len() {
            state.noted = decisions.len();
            return Ok(());
        }
        let count = decisions.len();
        let rows: Vec<_> = decisions[state.noted..]
            .iter()
            .filter_map(decided)
            .collect();
        self.handle
            .transact(move |store| store.save_performance(&rows))
            .context("cannot note what was decided about models")?;
        state.noted = count;
        Ok(())
    }

    /// Scores the forecasts about today and yesterday, and judges the models in use.
    fn score(
        &self,
        state: &mut State,
        connection: &Connection,
        newest: Minute,
    ) -> anyhow::Result<()> {
        let today = state.calendar.local(newest).day();
        // A week before yesterday, a day more for seasonal-naive, and a week of rows for their spread.
        let length = 16 * DAY_MIN as usize;
        let history = History::new(&minutes(connection, &self.plant, newest, length)?);
        let mut rows = Vec::new();
        let mut weeks = BTreeMap::new();
        let mut days = BTreeMap::new();
        for day in [today - 1, today] {
            let end = state.calendar.minutes_of(day).end.min(newest + 1) - 1;
            let begin = state.calendar.minutes_of(day).start;
            let week = state.calendar.minutes_of(day - 6).start;
            let made = predictions_about(connection, (week, end))?;
            for (period, from) in [("day", begin), ("week", week)] {
                let about = made.iter().filter(|it| it.minute >= from);
                for ((target, model, ahead_min), pairs) in classed(&history, about) {
                    let Some(figures) = Figures::of(&pairs) else {
                        continue;
                    };
                    if ahead_min == 0 && day == today {
                        let of = if period == "day" {
                            &mut days
                        } else {
                            &mut weeks
                        };
                        of.insert(model.clone(), figures);
                    }
                    rows.push(row(day, period, target, model, ahead_min, figures));
                }
            }
        }
        state.health.clear();
        for place in Place::ALL {
            let name = place.name();
            let Ok(in_use) = state.models.at(&name) else {
                continue;
            };
            let model = &in_use.model;
            let recent = recent_rows(&history, place, newest, &mut state.calendar, &self.plant);
            let moved = moved_most(&model.manifest.spread, &recent);
            let (id, scores) = (&model.manifest.id, &model.manifest.scores);
            let health = judge(
                days.get(id),
                weeks.get(id),
                scores.rmse_val,
                moved,
                place.target.unit(),
            );
            for row in rows
                .iter_mut()
                .filter(|row| row.model == *id && row.ahead_min == 0)
            {
                row.error_ratio = row.rmse.zip(scores.rmse_val).map(|(rmse, val)| rmse / val);
                if row.day == today {
                    (row.psi_feature, row.psi) =
                        moved.map(|(name, psi)| (name.to_owned(), psi)).unzip();
                    row.note.clone_from(&health.note);
                }
            }
            if let Some(note) = &health.note {
                log::info!(model = id.as_str(), falls_back = health.falls_back, note = note.as_str(); "a model is not what it was");
            }
            state.health.insert(name, health);
        }
        let mut expected = Vec::new();
        for day in [today - 1, today] {
            let minutes = state.calendar.minutes_of(day);
            for pump in 0..PUMPS {
                let Ok(in_use) = state.models.at(&Role::Pump(pump).name()) else {
                    continue;
                };
                let range = (minutes.start, minutes.end - 1);
                let ran = running(connection, &self.plant, pump, range)?;
                expected.extend(expectation(day, pump, &ran, &in_use.model)?);
            }
        }
        let has_centre = self.has_centre;
        self.handle
            .transact(move |store| {
                store.save_performance(&rows)?;
                store.save_expectations(&expected)?;
                store.drop_old_predictions(newest, has_centre)
            })
            .context("cannot keep how good forecasts were")
    }
}

/// What the forecaster remembers.
struct State {
    models: Models,
    calendar: Calendar,
    /// The minute of the newest forecast.
    made: Option<Minute>,
    /// When the next day was last kept.
    day_kept: Option<Minute>,
    /// The hour in which forecasts were last scored.
    scored: Option<i64>,
    /// Decisions that have been noted.
    noted: usize,
    health: BTreeMap<String, Health>,
}

impl State {
    fn new(models: PathBuf, calendar: Calendar) -> Self {
        Self {
            models: Models::new(models),
            calendar,
            made: None,
            day_kept: None,
            scored: None,
            noted: 0,
            health: BTreeMap::new(),
        }
    }
}

/// A model in use, as a forecast takes it.
fn as_model<'a>(in_use: &'a Result<&super::models::InUse, String>) -> Result<&'a Model, String> {
    match in_use {
        Ok(in_use) => Ok(&in_use.model),
        Err(why) => Err(why.clone()),
    }
}

fn none(place: Place, made: Minute, because: &str) -> Forecast {
    Forecast {
        place,
        made,
        model: None,
        because: Some(because.to_owned()),
        steps: Vec::new(),
    }
}

/// The forecasts of a place, of models as they are now: for who asks beside a daemon.
pub fn forecasts_now(
    connection: &Connection,
    plant: &Plant,
    models: &mut Models,
) -> anyhow::Result<Vec<Forecast>> {
    let Some(newest) = newest_row(connection)? else {
        return Ok(Vec::new());
    };
    let history = History::new(&minutes(connection, plant, newest, HISTORY_MIN)?);
    let mut scene = Scene {
        history: &history,
        origin: newest,
        calendar: &mut Calendar::new(plant.zone.clone()),
        peak: &plant.peak,
    };
    models.look();
    let forecasts = Place::ALL.map(|place| {
        let in_use = models.at(&place.name());
        scene.forecast(place, as_model(&in_use))
    });
    Ok(forecasts.to_vec())
}

/// The steps of a forecast that are kept in the store.
fn keep(forecast: &Forecast, is_day_kept: bool, kept: &mut Vec<Prediction>) {
    let Some(model) = &forecast.model else {
        return;
    };
    let steps = forecast
        .steps
        .iter()
        .filter(|step| match forecast.place.horizon {
            Horizon::Hour => KEPT_AHEAD_MIN.contains(&(step.minute - forecast.made)),
            Horizon::Day => is_day_kept,
        });
    kept.extend(steps.map(|step| Prediction {
        made: forecast.made,
        minute: step.minute,
        target: forecast.place.target.name().to_owned(),
        value: step.value,
        bounds: step.bounds,
        model: model.clone(),
    }));
}

type Class = (Target, String, i64);

/// Predictions beside their truth, by target, model and time ahead; 0 has all times.
fn classed<'a>(
    history: &History,
    predictions: impl Iterator<Item = &'a Prediction>,
) -> BTreeMap<Class, Vec<Pair>> {
    let mut classes: BTreeMap<Class, Vec<Pair>> = BTreeMap::new();
    for one in predictions {
        let Some(target) = Target::named(&one.target) else {
            continue;
        };
        let truth = history.value(target, one.minute);
        if truth.is_nan() {
            continue;
        }
        let pair = Pair {
            value: one.value,
            bounds: one.bounds,
            truth: target.possible(truth),
            naive: history.value(target, one.minute - DAY_MIN),
        };
        // Both targets have a seasonal-naive forecast; a row of the table has one of them.
        let model = match one.model.as_str() {
            SEASONAL_NAIVE => format!("{}-{SEASONAL_NAIVE}", one.target),
            model => model.to_owned(),
        };
        for ahead_min in [0, class_min(one.minute - one.made)] {
            let class = (target, model.clone(), ahead_min);
            classes.entry(class).or_default().push(pair);
        }
    }
    classes
}

fn row(
    day: Day,
    period: &'static str,
    target: Target,
    model: String,
    ahead_min: i64,
    figures: Figures,
) -> Performance {
    Performance {
        day,
        model,
        target: target.name().to_owned(),
        period,
        ahead_min,
        forecasts: Some(figures.forecasts),
        rmse: Some(figures.rmse),
        mae: Some(figures.mae),
        r2: figures.r2,
        rmse_naive: figures.rmse_naive,
        covered_pct: figures.covered_pct,
        ..Performance::default()
    }
}

/// Rows of the last week as the model at a place would have been told them.
fn recent_rows(
    history: &History,
    place: Place,
    newest: Minute,
    calendar: &mut Calendar,
    plant: &Plant,
) -> Vec<[f64; super::features::COLUMNS.len()]> {
    let slots = place.horizon.slots() as i64;
    let origins = (newest - 7 * DAY_MIN..=newest).step_by(SPREAD_EVERY_MIN as usize);
    origins
        .enumerate()
        .map(|(count, origin)| {
            // Every time ahead gets its turn.
            let ahead_min = (count as i64 * 37 % slots + 1) * place.horizon.slot_min();
            history.row(place.target, origin, ahead_min, calendar, &plant.peak)
        })
        .collect()
}

/// What a pump did for its energy on a day, beside what its model expects; `None` when it hardly ran.
fn expectation(
    day: Day,
    pump: usize,
    ran: &[Running],
    model: &Model,
) -> anyhow::Result<Option<Expectation>> {
    if ran.len() < COMPARED_MIN {
        return Ok(None);
    }
    let values = ran.iter().flat_map(|minute| minute.told);
    let told = Values {
        shape: vec![ran.len(), PUMP_COLUMNS.len()],
        values: values.map(|value| value as f32).collect(),
    };
    let outputs = model.run(&[told])?;
    let expected = outputs.first().map_or(&[][..], Vec::as_slice);
    let sum = |of: &dyn Fn(&Running, f64) -> f64| -> f64 {
        let minutes = ran.iter().zip(expected);
        minutes
            .map(|(minute, &expected)| of(minute, f64::from(expected)))
            .sum()
    };
    let energy = sum(&|minute, _| minute.power_kw);
    Ok(Some(Expectation {
        day,
        pump: pump_name(pump),
        minutes: ran.len() as i64,
        m3_per_kwh: sum(&|minute, _| minute.flow_m3h) / energy,
        expected: sum(&|minute, expected| expected * minute.power_kw) / energy,
        model: model.manifest.id.clone(),
    }))
}

/// A decision as a row of the table of performance.
fn decided(decision: &Decision) -> Option<Performance> {
    let at: jiff::Timestamp = decision.at.parse().ok()?;
    let scores = decision.scores.clone().unwrap_or_default();
    let target = decision.place.split('-').next().unwrap_or_default();
    Some(Performance {
        day: at.as_second().div_euclid(86_400),
        model: decision.model.clone(),
        target: target.to_owned(),
        period: "validation",
        rmse: scores.rmse_val,
        mae: scores.mae_val,
        r2: scores.r2_score,
        rmse_naive: scores.rmse_naive,
        note: Some(format!("{}: {}", decision.decision.text(), decision.why)),
        ..Performance::default()
    })
}

fn tell(change: &Change) {
    match change {
        Change::Loaded { place, model, why } => {
            log::info!(place = place.as_str(), model = model.as_str(), why = why.as_str(); "model in use");
        }
        Change::Refused {
            place,
            model,
            reason,
        } => {
            log::warn!(place = place.as_str(), model = model.as_str(), reason = reason.as_str(); "a model is refused; the last good one stays");
        }
        Change::Unreadable(cause) => {
            log::warn!(cause = cause.as_str(); "the model store cannot be read; the models stay as they are");
        }
    }
}
