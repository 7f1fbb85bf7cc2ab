//! What energy costs when. Pure; made by `config`.

use crate::{
    calendar::{Day, Local},
    plant::PeakWindows,
};

/// The tariff.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tariff {
    /// The currency, for people.
    pub currency: String,
    /// The hours of the peak rate.
    pub peak: PeakWindows,
    /// Price in those hours, per kWh.
    pub peak_rate: f64,
    /// Price in all others, per kWh.
    pub off_peak_rate: f64,
    /// Rates that go before these two; the first that fits counts.
    pub rates: Vec<Rate>,
    /// Dates that count as Sundays.
    pub holidays: Vec<Day>,
    /// Price of a kW of the month's highest quarter hour.
    pub demand_charge: f64,
}

/// A rate that holds in some hours of some days.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rate {
    /// Price, per kWh.
    pub per_kwh: f64,
    /// The hours.
    pub windows: PeakWindows,
    /// The days of the week, Sunday first.
    pub days: [bool; 7],
}

impl Tariff {
    /// The price at a time of the plant's wall clock, per kWh.
    pub fn price(&self, local: Local) -> f64 {
        let is_holiday = self.holidays.contains(&local.day());
        let day = if is_holiday {
            0
        } else {
            local.day_of_week() as usize
        };
        let holds = |rate: &&Rate| rate.days[day] && rate.windows.contains(local);
        match self.rates.iter().find(holds) {
            Some(rate) => rate.per_kwh,
            None if self.peak.contains(local) => self.peak_rate,
            None => self.off_peak_rate,
        }
    }

    /// The highest and the lowest price there is.
    pub fn range(&self) -> (f64, f64) {
        let rates = self.rates.iter().map(|rate| rate.per_kwh);
        let all = || rates.clone().chain([self.peak_rate, self.off_peak_rate]);
        (
            all().fold(f64::INFINITY, f64::min),
            all().fold(0.0, f64::max),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calendar::DAY_MIN;

    #[test]
    fn the_first_rate_that_fits_counts_and_a_holiday_is_a_sunday() {
        let windows = |text: &str| {
            let mut windows = PeakWindows::default();
            windows.add(text).expect("a window");
            windows
        };
        let rate = |per_kwh, text, days: &[usize]| Rate {
            per_kwh,
            windows: windows(text),
            days: std::array::from_fn(|day| days.contains(&day)),
        };
        // 1970-01-01, day 0, was a Thursday.
        let tariff = Tariff {
            peak: windows("06:00-10:00"),
            peak_rate: 0.3,
            off_peak_rate: 0.15,
            rates: vec![
                rate(0.1, "00:00-24:00", &[0, 6]),
                rate(0.4, "08:00-09:00", &[4]),
            ],
            holidays: vec![1],
            ..Tariff::default()
        };
        let at = |day: Day, hour: i64| {
            tariff.price(Local {
                minute: day * DAY_MIN + hour * 60,
            })
        };
        assert_eq!(
            [at(0, 5), at(0, 6), at(0, 8), at(0, 9)],
            [0.15, 0.3, 0.4, 0.3]
        );
        assert_eq!(
            [at(1, 8), at(2, 8), at(3, 23), at(4, 8)],
            [0.1, 0.1, 0.1, 0.3]
        );
        assert_eq!(tariff.range(), (0.1, 0.4));
    }
}
