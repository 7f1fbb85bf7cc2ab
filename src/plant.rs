//! What the pure core knows of the station: ratings, ranges, tariff windows, the rules in force. Made by `config`.

use jiff::tz::TimeZone;

use crate::{
    calendar::Local,
    rules::RuleBook,
    tags::{FLOW, LEVEL, PUMPS, Values},
};

/// A station as the core sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Plant {
    /// The plant's wall clock.
    pub zone: TimeZone,
    /// Motor rating of P1 … P6, kW.
    pub rated_kw: [f64; PUMPS],
    /// Tank level at physical capacity, raw units.
    pub level_physical_max: f64,
    /// The level that counts as 100 % until a higher one is seen, raw units.
    pub level_historical_max: f64,
    /// What the tank holds at physical capacity, m³.
    pub volume_m3: f64,
    /// Range of the flow meter, m³/h.
    pub flow_physical_max: f64,
    /// Energy a day may take before G-04 says so, kWh.
    pub daily_energy_budget_kwh: f64,
    /// Power up to which a pump counts as drawing none, kW.
    pub zero_kw: f64,
    /// Flow up to which the meter counts as showing none, m³/h.
    pub zero_flow: f64,
    /// The hours of the peak tariff.
    pub peak: PeakWindows,
    /// Minutes after a switched pump in which A-04, C-02 and C-03 do not raise; 0 turns the mask off.
    pub switching_mask_min: i64,
    /// Tank level from which the stop of the last pump is a normal stop for A-01, %; 0 turns the mask off.
    pub normal_stop_pct: f64,
    /// The 47 rules with their settings.
    pub rules: RuleBook,
}

impl Plant {
    /// Whether a raw level lies outside what the transmitter can mean.
    pub fn level_impossible(&self, level: f64) -> bool {
        level < 0.0 || level > 1.05 * self.level_physical_max
    }

    /// Values with impossible ones taken out.
    pub fn believed(&self, mut values: Values) -> Values {
        if self.flow_impossible(values[FLOW]) {
            values[FLOW] = f64::NAN;
        }
        if self.level_impossible(values[LEVEL]) {
            values[LEVEL] = f64::NAN;
        }
        values
    }

    /// Whether a raw flow lies outside what the meter can mean.
    pub fn flow_impossible(&self, flow: f64) -> bool {
        flow < 0.0 || flow > self.flow_physical_max
    }
}

/// Half-open windows of the local day in which the peak tariff holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeakWindows {
    windows: Vec<(i64, i64)>,
}

impl PeakWindows {
    /// Reads `HH:MM-HH:MM`; a window whose end is not after its start goes on into the next day.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        let ends = text
            .split_once(['-', '–'])
            .map(|(from, to)| (clock_minute(from), clock_minute(to)));
        match ends {
            Some((Some(from), Some(to))) if from < 1440 => {
                self.windows.push((from, to));
                Ok(())
            }
            _ => Err(format!(
                "{text:?} is no window of the day; write it as \"06:00-10:00\""
            )),
        }
    }

    /// Whether the peak tariff holds at a local time.
    pub fn contains(&self, local: Local) -> bool {
        let at = local.minute_of_day();
        self.windows.iter().any(|&(from, to)| {
            if to > from {
                from <= at && at < to
            } else {
                at >= from || at < to
            }
        })
    }
}

fn clock_minute(text: &str) -> Option<i64> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    ((0..24).contains(&hour) && (0..60).contains(&minute) || (hour, minute) == (24, 0))
        .then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_open_and_may_cross_midnight() {
        let mut peak = PeakWindows::default();
        peak.add("06:00-10:00").expect("a window");
        peak.add("22:00-02:00").expect("a window");
        let at = |hour: i64, minute: i64| {
            peak.contains(Local {
                minute: hour * 60 + minute,
            })
        };
        assert!(at(6, 0) && at(9, 59) && !at(10, 0) && !at(5, 59));
        assert!(at(22, 0) && at(1, 59) && !at(2, 0));
        assert!(peak.add("6-10").is_err() && peak.add("25:00-26:00").is_err());
    }
}
