//! A forecast from history and a model, or from the day before, or the reason why there is none. Pure.
//!
//! *Rules for gaps.* Up to [`BRIDGED_MIN`](super::features::BRIDGED_MIN) unknown minutes of the level are bridged by a straight
//! line. A model forecasts when the newest value is known, and half of the last day and of the last week. Without that, or
//! without a model, the value a day before is the forecast, with bounds from how far the days before were apart, and marked as
//! such. Where that is not known either for three quarters of the steps, there is no forecast, and it says why.

use crate::{
    calendar::{Calendar, DAY_MIN, Minute},
    plant::PeakWindows,
};

use super::{
    features::{COLUMNS, History, bridged},
    guard::{Model, Values},
    manifest::{Horizon, Manifest, Place, Target},
};

/// What stands for a model's id where the day before is the forecast.
pub const SEASONAL_NAIVE: &str = "seasonal-naive";
/// A newest row older than this beyond the usual delay of the exports is no present to forecast or plan from, min.
pub const STALE_MIN: i64 = 15;
/// Share of a window that must be known.
const KNOWN_SHARE: f64 = 0.5;
/// Share of the steps that seasonal-naive must know.
const NAIVE_SHARE: f64 = 0.75;
/// Of a normal distribution, 95 % lie within so many standard deviations.
const BOUNDS_95: f64 = 1.96;
/// Longest row of unknown steps of `y_hist` that is bridged by a straight line; longer ones are filled with the day before.
const SLOTS_BRIDGED: usize = 3;
/// Share of the steps of `y_hist` that may be filled with the day before.
const FILLED_SHARE: f64 = 0.1;

/// A step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The minute it is about.
    pub minute: Minute,
    /// The value, in the target's unit.
    pub value: f64,
    /// What holds 95 % of what comes.
    pub bounds: Option<(f64, f64)>,
}

/// A forecast, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// What, and how far ahead.
    pub place: Place,
    /// The newest minute that it knows.
    pub made: Minute,
    /// The model's id, or [`SEASONAL_NAIVE`]; `None` without a forecast.
    pub model: Option<String>,
    /// Why it is not a model's, or why there is none.
    pub because: Option<String>,
    /// The steps; a step that seasonal-naive does not know is left out.
    pub steps: Vec<Step>,
}

/// Where a forecast is made.
pub struct Scene<'a> {
    /// The minutes up to now.
    pub history: &'a History,
    /// The newest minute.
    pub origin: Minute,
    /// The plant's wall clock.
    pub calendar: &'a mut Calendar,
    /// The hours of the peak tariff.
    pub peak: &'a PeakWindows,
}

impl Scene<'_> {
    /// The forecast by a model, or by the day before; `Err` in place of a model is why there is none.
    pub fn forecast(&mut self, place: Place, model: Result<&Model, String>) -> Forecast {
        let by_model = model.and_then(|model| {
            self.is_known(place.target)?;
            let steps = self.by_model(place, model)?;
            Ok((model.manifest.id.clone(), steps))
        });
        let (model, because, steps) = match by_model {
            Ok((id, steps)) => (Some(id), None, steps),
            Err(because) => self.by_the_day_before(place, because),
        };
        Forecast {
            place,
            made: self.origin,
            model,
            because,
            steps,
        }
    }

    fn steps(&self, horizon: Horizon) -> impl Iterator<Item = Minute> + use<> {
        let origin = self.origin;
        (1..=horizon.slots() as i64).map(move |step| origin + step * horizon.slot_min())
    }

    /// Whether enough is known for a model.
    fn is_known(&self, target: Target) -> Result<(), String> {
        let (history, origin) = (self.history, self.origin);
        let what = match target {
            Target::HltPct => "the tank level",
            Target::FlowDemand => "the demand, from flow and level,",
        };
        if history.value(target, origin).is_nan() {
            let known = (origin - DAY_MIN..origin).rev();
            let mut known = known.filter(|&minute| !history.value(target, minute).is_nan());
            return Err(match known.next() {
                Some(last) => format!("{what} is not known for {} min", origin - last),
                None => format!("{what} is not known for more than a day"),
            });
        }
        for (days, window) in [(1, "day"), (7, "week")] {
            let minutes = origin - days * DAY_MIN + 1..=origin;
            let known = minutes.filter(|&minute| !history.value(target, minute).is_nan());
            let share = known.count() as f64 / (days * DAY_MIN) as f64;
            if share < KNOWN_SHARE {
                return Err(format!(
                    "{what} is known for {:.0} % of the last {window} only; {:.0} % are needed",
                    share * 100.0,
                    KNOWN_SHARE * 100.0
                ));
            }
        }
        Ok(())
    }

    fn by_model(&mut self, place: Place, model: &Model) -> Result<Vec<Step>, String> {
        let inputs = self.inputs(place, &model.manifest)?;
        let failed = |error: anyhow::Error| format!("the model failed: {error:#}");
        let outputs = model.run(&inputs).map_err(failed)?;
        let values = outputs.first().map_or(&[][..], Vec::as_slice);
        let minutes = self.steps(place.horizon);
        if values.len() != place.horizon.slots() || values.iter().any(|value| !value.is_finite()) {
            return Err("the model gave something that is no forecast".into());
        }
        let steps = minutes.zip(values).zip(&model.manifest.band);
        let steps = steps.map(|((minute, &value), &[lower, upper])| {
            let value = f64::from(value);
            let bound = |add| place.target.possible(value + add);
            Step {
                minute,
                value: place.target.possible(value),
                bounds: lower.map(bound).zip(upper.map(bound)),
            }
        });
        Ok(steps.collect())
    }

    /// The rows that a model with trees is told.
    pub fn rows(&mut self, place: Place) -> Vec<[f64; COLUMNS.len()]> {
        let minutes: Vec<_> = self.steps(place.horizon).collect();
        let rows = minutes.into_iter().map(|minute| {
            let ahead_min = minute - self.origin;
            let (origin, target) = (self.origin, place.target);
            self.history
                .row(target, origin, ahead_min, self.calendar, self.peak)
        });
        rows.collect()
    }

    /// The inputs that a manifest asks for, by their names.
    fn inputs(&mut self, place: Place, manifest: &Manifest) -> Result<Vec<Values>, String> {
        let slot_min = i64::from(manifest.history_slot_min.unwrap_or(60));
        let inputs = manifest.inputs.iter().map(|input| {
            let size = |at: usize| input.shape.get(at).map_or(0, |&size| size.max(0) as usize);
            let values: Vec<f64> = match input.name.as_str() {
                "features" => self.rows(place).into_flattened(),
                "y_hist" => self.slots(place.target, size(1), slot_min)?,
                "exog_hist" => {
                    let first = self.origin - size(1) as i64 * slot_min;
                    self.exog(&manifest.exog, first, size(1), slot_min)?
                }
                "exog_future" => self.exog(&manifest.exog, self.origin, size(1), slot_min)?,
                name => return Err(format!("the model asks for {name:?}, which nothing gives")),
            };
            let shape = match input.name.as_str() {
                "features" => vec![place.horizon.slots(), COLUMNS.len()],
                _ => input
                    .shape
                    .iter()
                    .map(|&size| size.max(0) as usize)
                    .collect(),
            };
            let values = values.into_iter().map(|value| value as f32).collect();
            Ok(Values { shape, values })
        });
        inputs.collect()
    }

    /// The means of the last `count` slots up to the origin, gaps filled by the rules.
    fn slots(&self, target: Target, count: usize, slot_min: i64) -> Result<Vec<f64>, String> {
        let first = self.origin - count as i64 * slot_min;
        let mean = |slot: i64| {
            let from = first + slot * slot_min;
            let known = (from + 1..=from + slot_min)
                .map(|minute| self.history.value(target, minute))
                .filter(|value| !value.is_nan());
            let (sum, known) = known.fold((0.0, 0), |(sum, known), value| (sum + value, known + 1));
            if known * 2 >= slot_min {
                sum / known as f64
            } else {
                f64::NAN
            }
        };
        let means: Vec<f64> = (0..count as i64).map(mean).collect();
        filled(&means, (DAY_MIN / slot_min) as usize)
    }

    /// Columns that are known ahead, a row for each slot behind `first`.
    fn exog(
        &mut self,
        names: &[String],
        first: Minute,
        count: usize,
        slot_min: i64,
    ) -> Result<Vec<f64>, String> {
        let mut values = Vec::with_capacity(count * names.len());
        for slot in 1..=count as i64 {
            let local = self.calendar.local(first + slot * slot_min);
            let hour = local.minute_of_day() as f64 / DAY_MIN as f64 * std::f64::consts::TAU;
            for name in names {
                values.push(match name.as_str() {
                    "hour_sin" => hour.sin(),
                    "hour_cos" => hour.cos(),
                    "is_weekend" => f64::from(u8::from(matches!(local.day_of_week(), 0 | 6))),
                    "is_peak" => f64::from(u8::from(self.peak.contains(local))),
                    name => {
                        return Err(format!(
                            "the model asks for the column {name:?}, which nothing gives"
                        ));
                    }
                });
            }
        }
        Ok(values)
    }

    fn by_the_day_before(
        &self,
        place: Place,
        because: String,
    ) -> (Option<String>, Option<String>, Vec<Step>) {
        let value = |minute| self.history.value(place.target, minute);
        let deviation = self.naive_deviation(place.target);
        let steps: Vec<Step> = self
            .steps(place.horizon)
            .map(|minute| (minute, value(minute - DAY_MIN)))
            .filter(|(_, value)| !value.is_nan())
            .map(|(minute, value)| {
                let value = place.target.possible(value);
                let bound = |side: f64| {
                    deviation.map(|deviation| {
                        place.target.possible(value + side * BOUNDS_95 * deviation)
                    })
                };
                Step {
                    minute,
                    value,
                    bounds: bound(-1.0).zip(bound(1.0)),
                }
            })
            .collect();
        if (steps.len() as f64) < NAIVE_SHARE * place.horizon.slots() as f64 {
            let because = format!("{because}; and the day before is not known either");
            return (None, Some(because), Vec::new());
        }
        (Some(SEASONAL_NAIVE.into()), Some(because), steps)
    }

    /// How far a value was from the one a day before, over the days that are known.
    fn naive_deviation(&self, target: Target) -> Option<f64> {
        let value = |minute| self.history.value(target, minute);
        let minutes = (self.origin - 6 * DAY_MIN..=self.origin).step_by(15);
        let squares: Vec<f64> = minutes
            .map(|minute| (value(minute) - value(minute - DAY_MIN)).powi(2))
            .filter(|square| !square.is_nan())
            .collect();
        let enough = squares.len() >= 96;
        enough.then(|| (squares.iter().sum::<f64>() / squares.len() as f64).sqrt())
    }
}

/// Slots without gaps: short ones bridged by a straight line, longer ones filled with the slot a day before.
fn filled(values: &[f64], of_a_day: usize) -> Result<Vec<f64>, String> {
    let mut values = bridged(values, SLOTS_BRIDGED);
    let mut short = 0;
    for at in 0..values.len() {
        if values[at].is_nan() {
            short += 1;
            values[at] = at
                .checked_sub(of_a_day)
                .map_or(f64::NAN, |before| values[before]);
        }
    }
    let is_whole = values.iter().all(|value| !value.is_nan());
    if !is_whole || short as f64 > FILLED_SHARE * values.len() as f64 {
        return Err(format!(
            "{short} of the {} steps that the model looks back to are not known",
            values.len()
        ));
    }
    Ok(values)
}
