//! Stretches of the station's wall clock: what a question is about, as SQL and sentences take it.

use super::dates::{WEEKDAYS, told, told_minute, told_range, told_time};
use crate::calendar::{DAY_MIN, Day, LocalMinute};

/// Means that would be taken over more days than this are taken from days instead of minutes.
const MINUTES_DAYS_MAX: i64 = 62;

/// Which days of a stretch count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Days {
    /// All of them.
    #[default]
    All,
    /// Saturdays and Sundays.
    Weekends,
    /// Monday to Friday.
    Weekdays,
    /// One day of the week; 0 is Sunday.
    Only(i64),
}

/// A stretch of the wall clock, and which parts of it count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Period {
    /// First minute.
    pub(super) from: LocalMinute,
    /// The minute after the last.
    pub(super) until: LocalMinute,
    /// Which days count.
    pub(super) days: Days,
    /// Which part of each day counts, minutes of the day; the end may lie before the begin, on the next morning.
    pub(super) clock: Option<(i64, i64)>,
    /// Whether the peak tariff must hold, or must not.
    pub(super) peak: Option<bool>,
    /// As people call it: `yesterday`; empty where only dates say it.
    pub(super) name: String,
    /// One moment instead of a stretch.
    pub(super) is_moment: bool,
    /// Up to what is newest: it grows with every minute.
    pub(super) is_open: bool,
}

impl Period {
    /// A stretch.
    pub(super) fn new(from: LocalMinute, until: LocalMinute, name: &str) -> Self {
        Self {
            from,
            until,
            days: Days::All,
            clock: None,
            peak: None,
            name: name.into(),
            is_moment: false,
            is_open: false,
        }
    }

    /// Whole days, the last one included.
    pub(super) fn days(first: Day, last: Day, name: &str) -> Self {
        Self::new(first * DAY_MIN, (last + 1) * DAY_MIN, name)
    }

    /// One minute.
    pub(super) fn moment(minute: LocalMinute) -> Self {
        Self {
            is_moment: true,
            ..Self::new(minute, minute + 1, "")
        }
    }

    /// Everything up to now.
    pub(super) fn all(first: LocalMinute, now: LocalMinute) -> Self {
        Self::days(
            first.div_euclid(DAY_MIN),
            now.div_euclid(DAY_MIN),
            "in all data",
        )
    }

    /// First date.
    pub(super) fn first_day(&self) -> Day {
        self.from.div_euclid(DAY_MIN)
    }

    /// Last date.
    pub(super) fn last_day(&self) -> Day {
        (self.until - 1).div_euclid(DAY_MIN)
    }

    /// How many dates it touches.
    pub(super) fn length_days(&self) -> i64 {
        self.last_day() - self.first_day() + 1
    }

    /// Whether tables that have a row a date say all.
    pub(super) fn is_whole_days(&self) -> bool {
        self.from % DAY_MIN == 0
            && self.until % DAY_MIN == 0
            && self.clock.is_none()
            && self.peak.is_none()
    }

    /// Whether tables that have a row an hour say all.
    pub(super) fn is_whole_hours(&self) -> bool {
        let whole = |minute: i64| minute % 60 == 0;
        let clock = self
            .clock
            .is_none_or(|(from, until)| whole(from) && whole(until));
        whole(self.from) && whole(self.until) && clock && self.peak.is_none()
    }

    /// Whether its minutes are too many to go through for a mean.
    pub(super) fn is_long(&self) -> bool {
        self.length_days() > MINUTES_DAYS_MAX
    }

    /// Narrowed to a part of the day: of one day that part, of several days that part of each.
    pub(super) fn within_day(mut self, (from, until): (i64, i64)) -> Self {
        if self.length_days() > 1 || self.days != Days::All {
            self.clock = Some((from, until));
            return self;
        }
        let midnight = self.first_day() * DAY_MIN;
        let next = if until <= from { DAY_MIN } else { 0 };
        (self.from, self.until) = (midnight + from, midnight + until + next);
        self.is_open = false;
        self
    }

    /// As a part of a sentence: `yesterday (4 March 2025)`, `on 4 March 2025`, `from 3 to 9 March 2025, at weekends`.
    pub(super) fn told(&self) -> String {
        if self.is_moment {
            return format!("at {}", told_minute(self.from));
        }
        let (dates, preposition) = self.dates();
        let so_far = if self.is_open && !self.name.is_empty() {
            ", so far"
        } else {
            ""
        };
        // "In March 2025" says its dates.
        let says_dates =
            self.name.starts_with("in ") && self.name.ends_with(|c: char| c.is_ascii_digit());
        let says_dates = says_dates && !self.name.contains("week");
        let mut text = if self.name.is_empty() {
            format!("{preposition} {dates}")
        } else if says_dates && !self.is_open {
            self.name.clone()
        } else {
            format!("{} ({dates}{so_far})", self.name)
        };
        match self.days {
            Days::All => (),
            Days::Weekends => text.push_str(", at weekends"),
            Days::Weekdays => text.push_str(", from Monday to Friday"),
            Days::Only(day) => {
                text.push_str(&format!(", on {}s", WEEKDAYS[day.rem_euclid(7) as usize]))
            }
        }
        if let Some((from, until)) = self.clock {
            text.push_str(&format!(
                ", from {} to {} each day",
                told_time(from),
                told_time(until)
            ));
        }
        match self.peak {
            Some(true) => text.push_str(", in the hours of the peak tariff"),
            Some(false) => text.push_str(", outside the peak tariff"),
            None => (),
        }
        text
    }

    /// Its dates, and what stands before them where they have no name.
    fn dates(&self) -> (String, &'static str) {
        let (first, last) = (self.first_day(), self.last_day());
        if self.from % DAY_MIN == 0 && self.until % DAY_MIN == 0 {
            let preposition = if first == last { "on" } else { "from" };
            return (told_range(first, last), preposition);
        }
        let at = |minute: i64| told_time(minute.rem_euclid(DAY_MIN));
        if first == last || self.until == last * DAY_MIN {
            let end = if self.until % DAY_MIN == 0 {
                "24:00".into()
            } else {
                at(self.until)
            };
            return (
                format!("{} to {end} on {}", at(self.from), told(first)),
                "from",
            );
        }
        (
            format!("{} to {}", told_minute(self.from), told_minute(self.until)),
            "from",
        )
    }
}
