//! `pumphouse forecast`: what is forecast now, and by what.

use std::fmt::Write;

use serde_json::json;

use super::{ConfigFile, print_json, print_text};
use crate::{
    calendar::{Calendar, text},
    forecast::{
        manifest::{Horizon, Place},
        models::Models,
        predict::{Forecast, SEASONAL_NAIVE, Scene},
        worker::forecasts_now,
    },
    publish::forecasts::payload,
    store::open_read_only,
};

/// Steps of the next hour that are shown, min apart; of the next day an hour apart.
const SHOWN_EVERY_MIN: [i64; 2] = [10, 60];

/// Show the newest forecast of tank level and demand
///
/// Made from the store's newest minutes by the models in use, as the daemon makes it each minute; it can run beside the daemon and
/// without it. The bounds hold 95 % of what comes.
#[derive(clap::Args)]
pub struct ForecastVerb {
    #[command(flatten)]
    config: ConfigFile,
    /// Tell what each figure that the model was told contributes to the forecast this far ahead, min
    #[arg(long, value_name = "MIN")]
    explain: Option<i64>,
    /// Print the whole forecast as JSON
    #[arg(long)]
    json: bool,
}

impl ForecastVerb {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let connection = open_read_only(&config.store)?;
        let mut models = Models::new(config.models.clone());
        let forecasts = forecasts_now(&connection, &config.plant, &mut models)?;
        anyhow::ensure!(
            !forecasts.is_empty(),
            "no row yet, so nothing to forecast from"
        );
        let mut calendar = Calendar::new(config.plant.zone.clone());
        let mut reports = Vec::new();
        let mut whole = String::new();
        for forecast in &forecasts {
            let shares = match self.explain {
                Some(ahead_min) => {
                    explain(&connection, &config.plant, &models, forecast, ahead_min)?
                }
                None => Vec::new(),
            };
            if self.json {
                let mut report = payload(forecast);
                report["target"] = forecast.place.target.name().into();
                report["unit"] = forecast.place.target.unit().into();
                report["horizon"] = forecast.place.horizon.name().into();
                if self.explain.is_some() {
                    let list = shares.iter().map(|(name, value, share)| {
                        json!({ "column": name, "value": value, "contribution": share })
                    });
                    report["contributions"] = list.collect();
                }
                reports.push(report);
                continue;
            }
            describe(forecast, &mut calendar, &mut whole)?;
            let unit = forecast.place.target.unit();
            for (name, value, share) in shares.iter().take(8) {
                let value = value.map_or_else(|| "unknown".into(), |value| format!("{value:.2}"));
                writeln!(whole, "    {share:+8.2} {unit} from {name} = {value}")?;
            }
        }
        if self.json {
            return print_json(&reports.into());
        }
        print_text(&whole)
    }
}

fn describe(forecast: &Forecast, calendar: &mut Calendar, out: &mut String) -> anyhow::Result<()> {
    let Place { target, horizon } = forecast.place;
    let (what, unit) = (target.title(), target.unit());
    let made = text(calendar.local(forecast.made).minute);
    let length = match horizon {
        Horizon::Hour => "next hour",
        Horizon::Day => "next day",
    };
    match forecast.model.as_deref() {
        None => writeln!(
            out,
            "{what}, {length}: no forecast, because {}",
            forecast.because.as_deref().unwrap_or_default()
        )?,
        Some(SEASONAL_NAIVE) => writeln!(
            out,
            "{what}, {length}, from {made}: as the day before, because {}",
            forecast.because.as_deref().unwrap_or_default()
        )?,
        Some(model) => writeln!(out, "{what}, {length}, from {made}: by {model}")?,
    }
    let every_min = SHOWN_EVERY_MIN[usize::from(horizon == Horizon::Day)];
    let shown = forecast
        .steps
        .iter()
        .filter(|step| (step.minute - forecast.made) % every_min == 0);
    for step in shown {
        let time = &text(calendar.local(step.minute).minute)[..16];
        let bounds = step.bounds.map_or_else(String::new, |(lower, upper)| {
            format!("   {lower:.1} … {upper:.1}")
        });
        writeln!(out, "  {time}  {:7.1} {unit}{bounds}", step.value)?;
    }
    Ok(())
}

/// Column, its value and what it contributes, largest first; the last is what is expected of any row.
type Shares = Vec<(&'static str, Option<f64>, f64)>;

fn explain(
    connection: &rusqlite::Connection,
    plant: &crate::plant::Plant,
    models: &Models,
    forecast: &Forecast,
    ahead_min: i64,
) -> anyhow::Result<Shares> {
    use crate::{
        forecast::features::{COLUMNS, HISTORY_MIN, History},
        store::predictions::minutes,
    };
    let place = forecast.place;
    let Ok(in_use) = models.at(&place.name()) else {
        return Ok(Vec::new());
    };
    let at = ahead_min / place.horizon.slot_min() - 1;
    let is_step = ahead_min % place.horizon.slot_min() == 0;
    let Some(at) = usize::try_from(at)
        .ok()
        .filter(|&at| is_step && at < place.horizon.slots())
    else {
        return Ok(Vec::new());
    };
    let history = History::new(&minutes(connection, plant, forecast.made, HISTORY_MIN)?);
    let mut scene = Scene {
        history: &history,
        origin: forecast.made,
        calendar: &mut Calendar::new(plant.zone.clone()),
        peak: &plant.peak,
    };
    let row = scene.rows(place)[at];
    let told: Vec<f32> = row.iter().map(|&value| value as f32).collect();
    let Some(shares) = in_use.model.contributions(&told) else {
        return Ok(Vec::new());
    };
    let known = |value: f64| (!value.is_nan()).then_some(value);
    let mut list: Shares = COLUMNS
        .into_iter()
        .zip(row)
        .zip(&shares)
        .map(|((name, value), &share)| (name, known(value), share))
        .collect();
    list.sort_by(|one, other| other.2.abs().total_cmp(&one.2.abs()));
    if let Some(&expected) = shares.get(COLUMNS.len()) {
        list.push(("any row", None, expected));
    }
    Ok(list)
}
