//! Plant-local time: between minutes of UTC and the wall clock of the plant's IANA zone.
//!
//! Minutes count from 1970-01-01 00:00 UTC; a *local minute* counts the same way on the plant's wall clock, so that its
//! date, hour and weekday are divisions. Conversions are cached per stretch of constant offset: a year of minutes asks
//! the zone a handful of times.

use jiff::{Timestamp, civil, tz::TimeZone};

/// A minute of UTC, counted from 1970-01-01 00:00.
pub type Minute = i64;
/// A minute of the plant's wall clock, counted like [`Minute`].
pub type LocalMinute = i64;
/// A date of the plant's wall clock, days since 1970-01-01.
pub type Day = i64;

/// Minutes of a day.
pub const DAY_MIN: i64 = 1440;

/// A wall-clock minute, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// The wall-clock minute itself.
    pub minute: LocalMinute,
}

impl Local {
    /// Local date.
    pub fn day(self) -> Day {
        self.minute.div_euclid(DAY_MIN)
    }

    /// Hour of the day, 0–23.
    pub fn hour(self) -> i64 {
        self.minute_of_day() / 60
    }

    /// Minute of the day, 0–1439.
    pub fn minute_of_day(self) -> i64 {
        self.minute.rem_euclid(DAY_MIN)
    }

    /// The hour as a number of its own: local minutes of one hour share it.
    pub fn hour_key(self) -> i64 {
        self.minute.div_euclid(60)
    }

    /// 0 = Sunday … 6 = Saturday.
    pub fn day_of_week(self) -> i64 {
        day_of_week(self.day())
    }
}

/// 0 = Sunday … 6 = Saturday; 1970-01-01 was a Thursday.
pub fn day_of_week(day: Day) -> i64 {
    (day + 4).rem_euclid(7)
}

/// What a wall-clock time means in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The usual case.
    One(Minute),
    /// The repeated hour at the end of daylight saving: the earlier and the later reading.
    Either(Minute, Minute),
    /// The hour skipped at the start of daylight saving.
    Never,
}

/// A stretch of UTC minutes in which the zone keeps one offset.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    from: Minute,
    until: Minute,
    offset_min: i64,
}

/// Converts between UTC and one zone's wall clock.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    stretch: Stretch,
    plain_hour: (i64, i64),
}

impl Calendar {
    /// A calendar of the zone.
    pub fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            stretch: Stretch {
                from: 0,
                until: 0,
                offset_min: 0,
            },
            plain_hour: (i64::MIN, 0),
        }
    }

    /// The wall clock at a minute of UTC.
    pub fn local(&mut self, minute: Minute) -> Local {
        if minute < self.stretch.from || minute >= self.stretch.until {
            self.stretch = self.stretch_at(minute);
        }
        Local {
            minute: minute + self.stretch.offset_min,
        }
    }

    fn stretch_at(&self, minute: Minute) -> Stretch {
        let at = timestamp(minute);
        let offset_min = i64::from(self.zone.to_offset(at).seconds().div_euclid(60));
        let until = self
            .zone
            .following(at)
            .next()
            .map_or(i64::MAX, |next| next.timestamp().as_second().div_euclid(60));
        Stretch {
            from: minute,
            until,
            offset_min,
        }
    }

    /// What a wall-clock minute means in UTC.
    pub fn meaning(&mut self, local: LocalMinute) -> Meaning {
        let hour = local.div_euclid(60);
        if hour == self.plain_hour.0 {
            return Meaning::One(local - self.plain_hour.1);
        }
        let meaning = self.ask(local);
        // An hour is plain when both its ends mean one time at one distance.
        if let (Meaning::One(first), Meaning::One(last)) =
            (self.ask(hour * 60), self.ask(hour * 60 + 59))
            && last - first == 59
        {
            self.plain_hour = (hour, hour * 60 - first);
        }
        meaning
    }

    /// The first minute at or after a wall-clock minute, within a day: where the clocks skip the beginning of an hour or a
    /// day, it begins with the first minute that exists.
    pub fn begin_of(&mut self, local: LocalMinute) -> Option<Minute> {
        (local..local + DAY_MIN).find_map(|local| match self.meaning(local) {
            Meaning::One(minute) | Meaning::Either(minute, _) => Some(minute),
            Meaning::Never => None,
        })
    }

    /// The minutes of a local date: 23 to 25 hours where the clocks change.
    pub fn minutes_of(&mut self, day: Day) -> std::ops::Range<Minute> {
        let mut begin = |day: Day| self.begin_of(day * DAY_MIN).unwrap_or(day * DAY_MIN);
        begin(day)..begin(day + 1)
    }

    /// Which minutes show a wall-clock time, by the offsets a day before and after it: no zone changes its clocks twice within.
    fn ask(&self, local: LocalMinute) -> Meaning {
        let offset_at = |minute: Minute| {
            let offset = self.zone.to_offset(timestamp(minute));
            i64::from(offset.seconds().div_euclid(60))
        };
        let (before, after) = (offset_at(local - DAY_MIN), offset_at(local + DAY_MIN));
        let shows = |offset: i64| offset_at(local - offset) == offset;
        match (shows(before), before != after && shows(after)) {
            (true, false) => Meaning::One(local - before),
            (false, true) => Meaning::One(local - after),
            (true, true) => Meaning::Either(local - before, local - after),
            (false, false) => Meaning::Never,
        }
    }
}

fn timestamp(minute: Minute) -> Timestamp {
    Timestamp::from_second(minute.saturating_mul(60)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn civil_of(local: LocalMinute) -> civil::DateTime {
    TimeZone::UTC.to_datetime(timestamp(local))
}

/// A local minute as the tables write it: `YYYY-MM-DD HH:MM:SS`.
pub fn text(local: LocalMinute) -> String {
    civil_of(local).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// A local date as the tables write it: `YYYY-MM-DD`.
pub fn date_text(day: Day) -> String {
    civil_of(day * DAY_MIN).strftime("%Y-%m-%d").to_string()
}

/// A date as [`date_text`] writes it.
pub fn day_of(text: &str) -> Option<Day> {
    let date: civil::Date = text.parse().ok()?;
    let since = date.since(civil::date(1970, 1, 1)).ok()?;
    Some(i64::from(since.get_days()))
}

/// A span of minutes for people: `7 min`, `5 h`, `3 days`.
pub fn span_text(min: i64) -> String {
    match min {
        ..120 => format!("{min} min"),
        120..2880 => format!("{} h", min / 60),
        _ => format!("{} days", min / 1440),
    }
}

/// A minute of UTC as RFC 3339.
pub fn utc_text(minute: Minute) -> String {
    timestamp(minute).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Calendar {
        Calendar::new(TimeZone::get(name).expect("a zone of the bundled database"))
    }

    fn local(text: &str) -> LocalMinute {
        let at: civil::DateTime = text.parse().expect("a civil time");
        at.to_zoned_datetime(TimeZone::UTC)
            .expect("in range")
            .timestamp()
            .as_second()
            / 60
    }

    #[test]
    fn reads_the_repeated_and_the_skipped_hour() {
        let mut berlin = zone("Europe/Berlin");
        assert_eq!(berlin.meaning(local("2025-03-30T02:30")), Meaning::Never);
        let Meaning::Either(early, late) = berlin.meaning(local("2025-10-26T02:30")) else {
            panic!("no fold")
        };
        assert_eq!(late - early, 60);
        assert_eq!(berlin.local(early).minute, local("2025-10-26T02:30"));
        assert_eq!(berlin.local(late).minute, local("2025-10-26T02:30"));
        assert_eq!(
            berlin.meaning(local("2025-10-26T03:00")),
            Meaning::One(late + 30)
        );
    }

    #[test]
    fn goes_there_and_back_in_zones_of_every_kind() {
        for name in [
            "UTC",
            "Asia/Kolkata",
            "Asia/Kathmandu",
            "Australia/Lord_Howe",
            "America/Sao_Paulo",
        ] {
            let mut calendar = zone(name);
            for minute in (28_000_000..30_000_000).step_by(1013) {
                let local = calendar.local(minute);
                match calendar.meaning(local.minute) {
                    Meaning::One(back) => assert_eq!(back, minute, "{name}"),
                    Meaning::Either(early, late) => {
                        assert!(early == minute || late == minute, "{name}")
                    }
                    Meaning::Never => {
                        panic!("{name}: {minute} has a wall-clock time that never was")
                    }
                }
            }
        }
    }

    #[test]
    fn writes_dates_and_weekdays() {
        let at = Local {
            minute: local("2025-03-02T23:59"),
        };
        assert_eq!(
            (text(at.minute).as_str(), at.hour(), at.day_of_week()),
            ("2025-03-02 23:59:00", 23, 0)
        );
        assert_eq!(date_text(at.day()), "2025-03-02");
    }
}
