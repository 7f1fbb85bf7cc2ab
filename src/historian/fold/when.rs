//! When a record is.

use super::{Fault, Fold};
use crate::{
    calendar::{LocalMinute, Meaning, Minute},
    historian::{
        cells::{Cells, number},
        layout::{Dialect, Layout, Split},
        lines::{Fields, MINUTE_US, trim},
        stamps::{Stamp, Unread, order_shown, read, timestamp},
    },
};

/// 2000-01-01 00:00 on the plant's clock: nothing a historian wrote is older.
const EARLIEST: LocalMinute = 15_778_080;
/// How far ahead of the clock a timestamp may lie, min.
const AHEAD_MIN: i64 = 1440;
/// Going back by this much in the repeated hour means that the clocks have been put back, µs; by half of it where less is
/// repeated, like the half hour of Lord Howe.
const PUT_BACK_US: i64 = 30 * MINUTE_US;
/// Two local times of one repeated stretch lie closer than this, µs: 12 h.
const ONE_STRETCH_US: i64 = 720 * MINUTE_US;
const EITHER_ORDER: &str = "day and month cannot be told apart in the file's dates; set historian.date_order to \"day_first\" or \"month_first\"";

/// The repeated hour as the file has shown it.
pub(super) struct Repeated {
    /// Latest local time shown in it, µs.
    latest_us: i64,
    /// Whether the file has gone back in it.
    put_back: bool,
}

/// The timestamp of the line before: most lines share theirs.
#[derive(Default)]
pub(super) struct Cached {
    /// The date and, apart by a zero, the time where it has a column of its own.
    pub(super) text: Vec<u8>,
    pub(super) minute: Minute,
    pub(super) micros: u32,
}

impl Fold {
    /// When a record is: its minute, or why it has none that counts, and the microseconds into it.
    #[allow(
        clippy::type_complexity,
        reason = "outer: unreadable; inner: readable, and out of range"
    )]
    pub(super) fn when(
        &mut self,
        layout: &Layout,
        cells: &Cells<'_>,
        after: &[u8],
        now: Minute,
    ) -> Result<(Result<Minute, &'static str>, u32), Fault> {
        let date = cells.get(layout.date);
        let time = layout.time.map(|place| cells.get(place));
        let millis_us = self.millis_us(layout, cells)?;
        if self.is_cached(date, time) {
            return Ok((Ok(self.cached.minute), self.cached.micros + millis_us));
        }
        let stamp = self.stamp(layout, date, time, after)?;
        let minute = self.minute_of(Stamp {
            micros: stamp.micros + millis_us,
            ..stamp
        });
        let minute = self.in_range(minute, now);
        if let Ok(minute) = minute
            && (stamp.offset_min.is_some() || self.is_plain(stamp))
        {
            self.cached.text.clear();
            self.cached.text.extend_from_slice(date);
            if let Some(time) = time {
                self.cached.text.push(0);
                self.cached.text.extend_from_slice(time);
            }
            (self.cached.minute, self.cached.micros) = (minute, stamp.micros);
        }
        Ok((minute, stamp.micros + millis_us))
    }

    fn is_cached(&self, date: &[u8], time: Option<&[u8]>) -> bool {
        let text = &self.cached.text;
        match time {
            None => text == date && !date.is_empty(),
            Some(time) => {
                text.len() == date.len() + 1 + time.len()
                    && text.starts_with(date)
                    && text.ends_with(time)
                    && text[date.len()] == 0
            }
        }
    }

    fn millis_us(&self, layout: &Layout, cells: &Cells<'_>) -> Result<u32, Fault> {
        let text = layout.millis.map_or(&b""[..], |place| cells.get(place));
        if text.is_empty() {
            return Ok(0);
        }
        match number(text) {
            Ok(millis) if (0.0..1000.0).contains(&millis) => Ok((millis * 1000.0) as u32),
            _ => Err("the milliseconds are not between 0 and 999".into()),
        }
    }

    fn stamp(
        &mut self,
        layout: &Layout,
        date: &[u8],
        time: Option<&[u8]>,
        after: &[u8],
    ) -> Result<Stamp, Fault> {
        if layout.dialect == Dialect::Long {
            return timestamp(date).ok_or_else(|| "the timestamp cannot be read".into());
        }
        match read(date, time, self.order) {
            Ok(stamp) => {
                self.order = self.order.or(order_shown(date));
                Ok(stamp)
            }
            Err(Unread::NoStamp) => Err("the timestamp cannot be read".into()),
            Err(Unread::OtherOrder) => {
                Err("the date does not exist in the file's order of day and month".into())
            }
            Err(Unread::EitherOrder) => {
                self.order =
                    self.look_ahead(layout, after, |cells| order_shown(cells.get(layout.date)));
                let stamp = self
                    .order
                    .and_then(|order| read(date, time, Some(order)).ok());
                stamp.ok_or(Fault::Hold(EITHER_ORDER))
            }
        }
    }

    /// The first thing that the lines to come tell.
    pub(super) fn look_ahead<T>(
        &self,
        layout: &Layout,
        after: &[u8],
        tell: impl Fn(&Cells<'_>) -> Option<T>,
    ) -> Option<T> {
        let Split::At(sign) = layout.split else {
            return None;
        };
        let mut fields = Fields::default();
        after.split(|&byte| byte == b'\n').find_map(|line| {
            fields.split(trim(line), sign);
            tell(&Cells::Line(&fields))
        })
    }

    fn in_range(&mut self, minute: Option<Minute>, now: Minute) -> Result<Minute, &'static str> {
        let minute =
            minute.ok_or("the local time does not exist: the clocks went forward over it")?;
        if self.calendar.local(minute).minute < EARLIEST {
            return Err("the timestamp lies before 2000-01-01");
        }
        if minute > now + AHEAD_MIN {
            return Err("the timestamp lies more than 24 h ahead of the clock");
        }
        Ok(minute)
    }

    /// Whether a local time means one minute of UTC whatever the file has shown before.
    fn is_plain(&mut self, stamp: Stamp) -> bool {
        matches!(self.calendar.meaning(stamp.local), Meaning::One(_))
    }

    /// The minute of UTC a stamp means; `None` for a local time that never was.
    fn minute_of(&mut self, stamp: Stamp) -> Option<Minute> {
        if let Some(offset_min) = stamp.offset_min {
            return Some(stamp.local - offset_min);
        }
        match self.calendar.meaning(stamp.local) {
            Meaning::One(minute) => Some(minute),
            Meaning::Never => None,
            Meaning::Either(early, late) => {
                let at_us = stamp.local * MINUTE_US + i64::from(stamp.micros);
                let shown = match &mut self.repeated {
                    Some(shown) if (at_us - shown.latest_us).abs() < ONE_STRETCH_US => shown,
                    other => other.insert(Repeated {
                        latest_us: at_us,
                        put_back: false,
                    }),
                };
                let put_back_us = PUT_BACK_US.min((late - early) * MINUTE_US / 2);
                shown.put_back |= at_us <= shown.latest_us - put_back_us;
                shown.latest_us = shown.latest_us.max(at_us);
                Some(if shown.put_back { late } else { early })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc};

    use super::*;
    use crate::{
        calendar::Calendar,
        historian::{Format, TagMap, tagnames::TagNames},
    };

    /// The end of 2030.
    const LAST: Minute = 32_082_240;
    /// Minutes looked at before and after a change.
    const AROUND_MIN: i64 = 200;

    /// A file that logs each minute through every change of every zone's clock says each minute once.
    #[test]
    fn every_change_of_every_zones_clock_is_followed() {
        let from = jiff::Timestamp::from_second(EARLIEST * 60).expect("a time");
        let mut changes = 0;
        for name in jiff::tz::db().available() {
            let zone = jiff::tz::TimeZone::get(name.as_str()).expect("a zone");
            let mut calendar = Calendar::new(zone.clone());
            for change in zone.following(from) {
                let at = change.timestamp().as_second().div_euclid(60);
                if at > LAST {
                    break;
                }
                changes += 1;
                let around: Vec<Minute> = (at - AROUND_MIN..at + AROUND_MIN).collect();
                let format = Arc::new(Format::new(TagMap::default()));
                let names = TagNames::new(TagMap::default(), &BTreeMap::new());
                let mut fold = Fold::new(format, names, calendar.clone());
                let mut text = String::from("Timestamp;TagName;Value\n");
                for &minute in &around {
                    let local = crate::calendar::text(calendar.local(minute).minute);
                    text += &format!("{local};[PLC]HLT101.OUTPUT;1\n");
                }
                fold.read(text.as_bytes(), LAST + 10 * AROUND_MIN);
                let said = fold.take_minutes(false);
                let said: Vec<Minute> = said.iter().map(|records| records.minute).collect();
                let differ = said.iter().zip(&around).find(|(a, b)| a != b);
                let rejects = fold.take_rejects();
                assert!(
                    said == around && rejects.is_empty(),
                    "{}: {differ:?}, {:?}",
                    name.as_str(),
                    rejects.first()
                );
            }
        }
        assert!(changes > 5000, "{changes} changes");
    }

    #[test]
    fn the_earliest_minute_is_the_year_2000() {
        assert_eq!(crate::calendar::utc_text(EARLIEST), "2000-01-01T00:00:00Z");
    }
}
