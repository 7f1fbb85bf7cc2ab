//! Keeps the books of savings: the baseline of each month, and an account of each closed day. It reads the store; what it finds to
//! be written goes back to the caller.

use std::collections::BTreeSet;

use rusqlite::Connection;

use super::{
    baseline::Baseline,
    problem::Duty,
    savings::{Account, Closed, Yardstick, account},
    scene::Setting,
    station::StationModel,
};
use crate::{
    calendar::{Calendar, DAY_MIN, Minute, date_text},
    store::savings::{self, advised, due_days, first_plan, followed_days, out_min, past},
};

/// A control is learnt from so many days.
const LEARNT_FROM_DAYS: i64 = 30;

/// The baseline in force.
#[derive(Clone, Debug, PartialEq)]
pub struct InForce {
    /// The month from which on it holds, `YYYY-MM`.
    pub month: String,
    /// The control.
    pub baseline: Baseline,
    /// Whether it is yet to be kept.
    pub is_new: bool,
}

/// The baseline of the newest minute's month, learnt when the month has none yet; the error says why there is none. Where it
/// cannot be learnt anew, that of the months before stays in force.
pub fn in_force(
    connection: &Connection,
    setting: &Setting,
    model: &StationModel,
    newest: Minute,
) -> anyhow::Result<Result<InForce, String>> {
    let mut calendar = Calendar::new(setting.plant.zone.clone());
    let month = date_text(calendar.local(newest).day())[..7].to_owned();
    let kept = savings::baseline(connection, &month)?.map(|(month, baseline)| InForce {
        month,
        baseline,
        is_new: false,
    });
    if let Some(kept) = kept.as_ref().filter(|kept| kept.month == month) {
        return Ok(Ok(kept.clone()));
    }
    let range = (newest - LEARNT_FROM_DAYS * DAY_MIN, newest);
    let mut history = past(
        connection,
        &setting.plant,
        &setting.tariff,
        &mut calendar,
        range,
    )?;
    let followed: BTreeSet<_> = followed_days(connection)?.into_iter().collect();
    history.retain(|past| !followed.contains(&calendar.local(past.minute).day()));
    let duties = duties(model, setting);
    let learnt = Baseline::fit(&history, &setting.tariff, &duties, setting.plant.volume_m3);
    let learnt = learnt.and_then(|baseline| match baseline.fault() {
        None => Ok(InForce {
            month,
            baseline,
            is_new: true,
        }),
        Some(why) => Err(why),
    });
    Ok(learnt.or_else(|why| kept.ok_or(why)))
}

/// The accounts of all closed days that have none, or whose rows changed since, each with its energy, kWh.
pub fn accounts(
    connection: &Connection,
    setting: &Setting,
    model: &StationModel,
    newest: Minute,
) -> anyhow::Result<Vec<(Account, f64)>> {
    let mut calendar = Calendar::new(setting.plant.zone.clone());
    let today = calendar.local(newest).day();
    let duties = duties(model, setting);
    let mut accounts = Vec::new();
    for (day, metered_kwh) in due_days(connection, today)? {
        let minutes = calendar.minutes_of(day);
        let month = &date_text(day)[..7];
        let planned = first_plan(connection, minutes.start)?;
        let Some((month, baseline)) = savings::baseline(connection, month)? else {
            let account = Account {
                day,
                planned,
                left_out: Some("the station's own control was not known yet".into()),
                ..Account::default()
            };
            accounts.push((account, metered_kwh));
            continue;
        };
        let range = (minutes.start, minutes.end - 1);
        let past = past(
            connection,
            &setting.plant,
            &setting.tariff,
            &mut calendar,
            range,
        )?;
        let closed = Closed {
            day,
            length_min: minutes.end - minutes.start,
            advised: &advised(connection, &past)?,
            past: &past,
            metered_kwh,
            out: &out_min(connection, (minutes.start, minutes.end))?,
            planned,
        };
        let yardstick = Yardstick {
            baseline: (&month, &baseline),
            duties: &duties,
            volume_m3: setting.plant.volume_m3,
            limits_pct: (
                setting.settings.level_min_pct,
                setting.settings.level_max_pct,
            ),
            tariff: &setting.tariff,
        };
        accounts.push((account(&closed, &yardstick), metered_kwh));
    }
    Ok(accounts)
}

fn duties(model: &StationModel, setting: &Setting) -> Vec<Duty> {
    model.duties(setting.plant.volume_m3, 0.0, 0.0)
}
