//! Plans in the daemon: every few minutes and on events, into the store and to who listens.
//!
//! *Invariant.* Nothing here holds up the plant's loop: it reads the store on a connection of its own, on a thread of its own.

use std::{path::PathBuf, sync::Arc, time::Instant};

use anyhow::Context;
use rusqlite::Connection;
use tokio::sync::watch;

use super::{
    baseline::Baseline,
    books::{InForce, accounts, in_force},
    plan::{Plan, PlanSlot, Planned},
    reasons::binding,
    relaxation::{Relaxation, relax},
    scene::{Scene, Setting, Standing, plan},
    solve::Effort,
    station::StationModel,
    what_if::{WhatIf, what_ifs},
};
use crate::{
    calendar::{Calendar, DAY_MIN, Minute},
    clock::Clock,
    forecast::{
        manifest::{Horizon, Place, Target},
        predict::{Forecast, STALE_MIN, Step},
        worker::Told,
    },
    measured::PLAN,
    plant::Plant,
    steps::steps,
    store::{
        open_read_only,
        predictions::newest_row,
        runs::{Run, Stretch, reached_kw, seen, standing},
        writer::Handle,
    },
    tags::PUMPS,
};

/// The station is learnt from so many days, and anew after so many.
const LEARNT_FROM_DAYS: i64 = 30;
const LEARNT_EVERY_DAYS: i64 = 7;
/// Where it could not be learnt, it is tried again after this, min.
const LEARNT_RETRY_MIN: i64 = 60;
/// After a plan there is none for so many times as long as it took: planning takes a tenth of one core at most.
const RESTS_TIMES: u32 = 9;
/// Advice of so many minutes ahead is what counts as new.
const ADVICE_MIN: i64 = 120;

/// A plan as it is told, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// The newest minute that it knew.
    pub made: Minute,
    /// The plan.
    pub planned: Planned,
    /// What would be different if something else held.
    pub what_ifs: Vec<WhatIf>,
    /// The prices behind it.
    pub relaxed: Option<Relaxation>,
    /// Limits that cost something.
    pub binding: Vec<String>,
    /// The tariff's currency.
    pub currency: String,
}

impl Advice {
    /// A plan with what is to be said of it.
    pub fn new(planned: Planned, scene: &Scene) -> Self {
        let mut advice = Self {
            made: scene.newest,
            planned,
            what_ifs: Vec::new(),
            relaxed: None,
            binding: Vec::new(),
            currency: scene.setting.tariff.currency.clone(),
        };
        if let Ok(plan) = &advice.planned {
            advice.what_ifs = what_ifs(plan, scene);
            advice.relaxed = relax(&plan.problem);
            let mut calendar = Calendar::new(scene.setting.plant.zone.clone());
            if let Some(relaxed) = &advice.relaxed {
                advice.binding = binding(plan, relaxed, &advice.currency, &mut calendar);
            }
        }
        advice
    }
}

/// What the pumps do, learnt from the store's last days.
pub fn learn(
    connection: &Connection,
    plant: &Plant,
    newest: Minute,
) -> anyhow::Result<Result<StationModel, String>> {
    let range = (newest - LEARNT_FROM_DAYS * DAY_MIN, newest);
    Ok(StationModel::fit(&seen(connection, plant, range)?))
}

/// The demand of a minute ahead by the forecasts, m³/h; the error says why it is not known.
pub fn demand(forecasts: &[Forecast]) -> Result<impl Fn(Minute) -> f64 + use<>, String> {
    let of = |horizon| {
        let found = forecasts
            .iter()
            .find(|it| it.place.target == Target::FlowDemand && it.place.horizon == horizon);
        found.ok_or_else(|| "there is no forecast of the demand yet".to_owned())
    };
    let (hour, day) = (of(Horizon::Hour)?, of(Horizon::Day)?);
    if day.steps.is_empty() {
        let why = day.because.clone().unwrap_or_default();
        return Err(format!("there is no forecast of the demand, because {why}"));
    }
    let points = |forecast: &Forecast| -> Vec<(Minute, f64)> {
        forecast
            .steps
            .iter()
            .map(|step| (step.minute, step.value))
            .collect()
    };
    let near = points(hour);
    let until = near.last().map_or(Minute::MIN, |(minute, _)| *minute);
    // The next hour minute by minute, then the day's quarters of an hour.
    let all: Vec<_> = near
        .into_iter()
        .chain(
            points(day)
                .into_iter()
                .filter(|(minute, _)| *minute > until),
        )
        .collect();
    Ok(move |minute: Minute| {
        let after = all.partition_point(|(at, _)| *at < minute);
        match (after.checked_sub(1).map(|at| all[at]), all.get(after)) {
            (Some((from, low)), Some(&(to, high))) => {
                low + (high - low) * (minute - from) as f64 / (to - from) as f64
            }
            (Some((_, value)), None) | (None, Some(&(_, value))) => value,
            (None, None) => 0.0,
        }
    })
}

/// By how much the demand of so many minutes ahead may be off its forecast, m³: half of the bounds that hold 95 %, as if it were off to
/// one side throughout. 0 when the forecast has no bounds.
pub fn demand_error_m3(forecasts: &[Forecast], ahead_min: i64) -> f64 {
    let place = Place {
        target: Target::FlowDemand,
        horizon: Horizon::Hour,
    };
    let Some(forecast) = forecasts.iter().find(|it| it.place == place) else {
        return 0.0;
    };
    let wide = |step: &Step| step.bounds.map(|(lower, upper)| (upper - lower) / 2.0);
    let wide: Vec<f64> = forecast.steps.iter().filter_map(wide).collect();
    if wide.is_empty() {
        return 0.0;
    }
    wide.iter().sum::<f64>() / wide.len() as f64 * ahead_min as f64 / 60.0
}

/// What is known when a plan is made.
pub struct Known<'a> {
    /// The newest row's minute.
    pub newest: Minute,
    /// The present minute.
    pub now: Minute,
    /// Level, % and m³, and the pumps.
    pub standing: ((f64, f64), [Standing; PUMPS]),
    /// What the pumps do.
    pub model: Result<&'a StationModel, String>,
    /// The station's own control.
    pub baseline: Result<&'a Baseline, String>,
    /// The newest forecasts.
    pub forecasts: &'a [Forecast],
    /// The plan before.
    pub before: Option<&'a Plan>,
}

/// Plans from what is known and the store has now. The scene, too, for who wants to ask it what if.
pub fn advise<T>(
    connection: &Connection,
    setting: &Setting,
    known: Known,
    effort: Effort,
    with: impl FnOnce(&Scene, Planned) -> T,
) -> anyhow::Result<T> {
    let Known {
        newest,
        now,
        standing: (level, pumps),
        model,
        baseline,
        forecasts,
        before,
    } = known;
    let mut calendar = Calendar::new(setting.plant.zone.clone());
    let demand = demand(forecasts);
    let scene = Scene {
        setting,
        model,
        newest,
        now,
        level,
        pumps,
        demand: demand
            .as_ref()
            .map(|demand| demand as &dyn Fn(Minute) -> f64)
            .map_err(Clone::clone),
        demand_error_m3: demand_error_m3(forecasts, setting.settings.reaction_min()),
        reached_kw: reached_kw(connection, &mut calendar, newest)?,
        baseline,
        before,
    };
    let planned = plan(&scene, effort);
    Ok(with(&scene, planned))
}

/// The planner.
pub struct Planner {
    /// What does not change.
    pub setting: Setting,
    /// The store.
    pub store: PathBuf,
    /// Writes the plans.
    pub handle: Handle,
    /// Changes with each commit.
    pub committed: watch::Receiver<u64>,
    /// Turns true when the daemon stops.
    pub stopping: watch::Receiver<bool>,
    /// The newest forecasts.
    pub forecasts: watch::Receiver<Arc<Vec<Told>>>,
    /// The time.
    pub clock: Clock,
    /// Who listens.
    pub told: watch::Sender<Option<Arc<Advice>>>,
}

/// What the planner remembers.
#[derive(Default)]
struct State {
    model: Option<Result<StationModel, String>>,
    learnt: Minute,
    baseline: Option<Result<InForce, String>>,
    /// The newest minute when the books were last looked at.
    booked: Option<Minute>,
    advice: Option<Arc<Advice>>,
    /// What the plan in force was made of, as far as a change of it is an event.
    made_of: Option<(Vec<Option<String>>, bool)>,
    /// Before then there is no new plan.
    rests_until: Option<Instant>,
    /// The last plan that was kept: its hour, and what it advised.
    kept: Option<(i64, String)>,
}

impl Planner {
    /// Plans until the daemon stops.
    pub async fn run(self) {
        let (committed, stopping) = (self.committed.clone(), self.stopping.clone());
        let state = State::default();
        let step = |(worker, state): &mut (Self, State)| worker.step(state);
        let handle = self.handle.clone();
        steps((self, state), "plan", handle, step, committed, stopping).await;
    }

    fn step(&mut self, state: &mut State) -> anyhow::Result<()> {
        let began = Instant::now();
        if state.rests_until.is_some_and(|until| began < until) {
            return Ok(());
        }
        // Opened anew each time: the last one to close a store, if it only reads, would leave its log beside it.
        let connection = &open_read_only(&self.store)?;
        let Some(newest) = newest_row(connection)? else {
            return Ok(());
        };
        let now = self.clock.minute();
        let forecasts: Vec<_> = self
            .forecasts
            .borrow()
            .iter()
            .map(|told| told.forecast.clone())
            .collect();
        let standing = standing(connection, &self.setting.plant, newest)?;
        let out = standing.1.iter().map(|pump| pump.out.clone());
        let made_of = (out.collect(), demand(&forecasts).is_ok());
        let is_event = state.made_of.as_ref() != Some(&made_of);
        if !is_event && !self.is_due(state, newest, now, standing.0) {
            return Ok(());
        }
        let learnt_min = match &state.model {
            None => 0,
            Some(Err(_)) => LEARNT_RETRY_MIN,
            Some(Ok(_)) => LEARNT_EVERY_DAYS * DAY_MIN,
        };
        if newest - state.learnt >= learnt_min {
            let model = learn(connection, &self.setting.plant, newest)?;
            if let Ok(model) = &model {
                log::info!(flow_error_pct = model.flow_error_pct, power_error_pct = model.power_error_pct; "learnt what the pumps do");
            }
            (state.model, state.learnt) = (Some(model), newest);
        }
        self.keep_books(connection, state, newest)?;
        let model = match &state.model {
            Some(Ok(model)) => Ok(model),
            Some(Err(why)) => Err(why.clone()),
            None => Err("what the pumps do is not known yet".into()),
        };
        let baseline = match &state.baseline {
            Some(Ok(in_force)) => Ok(&in_force.baseline),
            Some(Err(why)) => Err(why.clone()),
            None => Err("the station's own control is not known yet".into()),
        };
        let before = state
            .advice
            .as_ref()
            .and_then(|advice| advice.planned.as_ref().ok())
            .map(|plan| &**plan);
        let known = Known {
            newest,
            now,
            standing,
            model,
            baseline,
            forecasts: &forecasts,
            before,
        };
        let advice = advise(
            connection,
            &self.setting,
            known,
            Effort::FULL,
            |scene, planned| Advice::new(planned, scene),
        )?;
        let advice = Arc::new(advice);
        PLAN.since(began);
        state.rests_until = Some(Instant::now() + began.elapsed() * RESTS_TIMES);
        self.told.send_replace(Some(advice.clone()));
        state.made_of = Some(made_of);
        state.advice = Some(advice.clone());
        self.keep(&advice, state)
    }

    /// Looks into the books once an hour and when a day has closed.
    fn keep_books(
        &self,
        connection: &Connection,
        state: &mut State,
        newest: Minute,
    ) -> anyhow::Result<()> {
        let Some(Ok(model)) = &state.model else {
            return Ok(());
        };
        let hour = |minute: Minute| minute.div_euclid(60);
        if state.booked.is_some_and(|at| hour(at) == hour(newest)) {
            return Ok(());
        }
        let in_force = in_force(connection, &self.setting, model, newest)?;
        let zone = &self.setting.plant.zone;
        if let Ok(new) = &in_force
            && new.is_new
        {
            log::info!(month = new.month, replay_error_pct = new.baseline.replay.kwh_error_pct(); "learnt the station's own control");
            let (new, zone) = (new.clone(), zone.clone());
            self.handle
                .transact(move |store| {
                    let mut calendar = Calendar::new(zone);
                    store.save_baseline(&new.month, &new.baseline, newest, &mut calendar)
                })
                .context("cannot keep the station's own control")?;
        }
        state.baseline = Some(in_force);
        let accounts = accounts(connection, &self.setting, model, newest)?;
        if !accounts.is_empty() {
            self.handle
                .transact(move |store| {
                    let mut kept = accounts.iter();
                    kept.try_for_each(|(account, kwh)| store.save_account(account, *kwh))
                })
                .context("cannot keep the books of savings")?;
        }
        state.booked = Some(newest);
        Ok(())
    }

    /// Whether a new plan is due although nothing happened.
    fn is_due(&self, state: &State, newest: Minute, now: Minute, level: (f64, f64)) -> bool {
        let Some(advice) = &state.advice else {
            return true;
        };
        let stale_min = now - newest - self.setting.delivery_delay_min;
        match &advice.planned {
            Err(_) => newest - advice.made >= 1,
            // The plan in force must not be acted on when nothing is known any more.
            Ok(_) if stale_min > STALE_MIN => true,
            Ok(plan) => {
                let expected = plan
                    .slots
                    .iter()
                    .take_while(|slot| slot.begin <= newest)
                    .last();
                let off = expected.map_or(0.0, |slot| (slot.level_pct - level.0).abs());
                // Within the running slot the level is on its way.
                let is_off = newest > advice.made
                    && off > 2.0 * self.setting.settings.margin_pct.max(1.0) + slot_change(plan);
                newest - advice.made >= self.setting.settings.replan_min || is_off
            }
        }
    }

    /// Keeps a plan whose advice is new, and one each hour.
    fn keep(&self, advice: &Advice, state: &mut State) -> anyhow::Result<()> {
        let run = run(advice);
        let told = match &advice.planned {
            Err(why) => why.clone(),
            Ok(plan) => {
                let near = plan
                    .changes
                    .iter()
                    .filter(|change| change.minute < plan.made + ADVICE_MIN);
                near.map(|it| format!("{}{}{}{:?};", it.minute, it.start, it.stop, it.speeds_pct))
                    .collect()
            }
        };
        let kept = (advice.made.div_euclid(60), told);
        if state.kept.as_ref() == Some(&kept) {
            return Ok(());
        }
        let zone = self.setting.plant.zone.clone();
        self.handle
            .transact(move |store| store.save_run(&run, &mut Calendar::new(zone)))
            .context("cannot keep the plan")?;
        state.kept = Some(kept);
        Ok(())
    }
}

/// By how much the level changes at most within a slot, %.
fn slot_change(plan: &Plan) -> f64 {
    let levels = plan
        .slots
        .windows(2)
        .map(|pair| (pair[0].level_pct - pair[1].level_pct).abs());
    levels.fold(0.0, f64::max)
}

/// A plan as a row.
fn run(advice: &Advice) -> Run {
    let plan = match &advice.planned {
        Ok(plan) => plan,
        Err(why) => {
            return Run {
                made: advice.made,
                status: "refused",
                reason: Some(why.clone()),
                ..Run::default()
            };
        }
    };
    let as_run = |slot: &PlanSlot| (slot.set, slot.speed_pct);
    let changed = (plan.slots.windows(2))
        .filter(|pair| as_run(&pair[0]) != as_run(&pair[1]))
        .map(|pair| &pair[1]);
    let stretches = plan.slots.first().into_iter().chain(changed);
    let stretches = stretches.map(|slot| {
        let speeds_pct = plan.problem.speeds_pct(slot.set, slot.speed_pct);
        Stretch::new(slot.begin, slot.set, speeds_pct)
    });
    Run {
        made: advice.made,
        status: plan.status(),
        reason: (!plan.broken.is_empty()).then(|| plan.broken.join("; ")),
        horizon_h: Some(plan.problem.slots.iter().map(|slot| slot.hours()).sum()),
        objective: Some(plan.objective),
        bound: Some(plan.bound),
        gap_pct: Some(plan.gap * 100.0),
        planned_kwh: Some(plan.evaluation.total_kwh()),
        planned_cost: Some(plan.evaluation.energy_cost),
        demand_cost: Some(plan.evaluation.demand_cost),
        saving: Some(plan.saving.clone()),
        starts: Some(plan.evaluation.starts as i64),
        schedule: stretches.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_margin_covers_what_the_demand_may_be_off_until_pumps_can_answer() {
        let steps = |wide: Option<f64>| {
            (1..=60).map(move |minute| Step {
                minute,
                value: 300.0,
                bounds: wide.map(|wide| (300.0 - wide, 300.0 + wide)),
            })
        };
        let forecast = |wide| Forecast {
            place: Place {
                target: Target::FlowDemand,
                horizon: Horizon::Hour,
            },
            made: 0,
            model: None,
            because: None,
            steps: steps(wide).collect(),
        };
        // 40 m³/h for three quarters of an hour.
        assert!((demand_error_m3(&[forecast(Some(40.0))], 45) - 30.0).abs() < 1e-9);
        assert_eq!(demand_error_m3(&[forecast(None)], 45), 0.0);
        assert_eq!(demand_error_m3(&[], 45), 0.0);
    }
}
