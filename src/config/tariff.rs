//! `[tariff]`: what energy costs when.

use super::section::Section;
use crate::{
    calendar::{Day, day_of},
    plant::PeakWindows,
    tariff::{Rate, Tariff},
};

/// Days of the week as a config names them.
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// The tariff.
pub fn tariff(root: &Section<'_>) -> Tariff {
    let section = root.section("tariff");
    let usual = || vec!["06:00-10:00".into(), "17:00-21:00".into()];
    let price = |key: &str, otherwise: f64| section.number_in(key, otherwise, 0.0..=1e9);
    let rates = section.sections("rates");
    let tariff = Tariff {
        currency: section.text("currency").unwrap_or_else(|| "EUR".into()),
        peak: windows(&section, "peak_windows", usual()),
        peak_rate: price("peak_rate", 0.30),
        off_peak_rate: price("off_peak_rate", 0.15),
        demand_charge: price("demand_charge", 0.0),
        holidays: holidays(&section),
        rates: rates.into_iter().map(rate).collect(),
    };
    section.finish();
    tariff
}

fn windows(section: &Section<'_>, key: &str, usual: Vec<String>) -> PeakWindows {
    let mut windows = PeakWindows::default();
    for window in section.texts(key).unwrap_or(usual) {
        if let Err(what) = windows.add(&window) {
            section.fault(key, what);
        }
    }
    windows
}

fn holidays(section: &Section<'_>) -> Vec<Day> {
    let dates = section.texts("holidays").unwrap_or_default();
    let day = |text: &String| {
        let day = day_of(text);
        if day.is_none() {
            let what = format!("{text:?} is no date; write it as \"2026-12-25\"");
            section.fault("holidays", what);
        }
        day
    };
    dates.iter().filter_map(day).collect()
}

fn rate(section: Section<'_>) -> Rate {
    if section.number("rate").is_none() {
        section.fault("rate", "is missing: the price, per kWh");
    }
    let named = section
        .texts("days")
        .unwrap_or_else(|| DAYS.map(String::from).to_vec());
    for day in named.iter().filter(|day| !DAYS.contains(&day.as_str())) {
        section.fault("days", format!("{day:?} is none of {DAYS:?}"));
    }
    let rate = Rate {
        per_kwh: section.number_in("rate", 0.0, 0.0..=1e9),
        windows: windows(&section, "windows", vec!["00:00-24:00".into()]),
        days: DAYS.map(|day| named.iter().any(|named| named == day)),
    };
    section.finish();
    rate
}
