//! How much the alarms of a day ask of an operator, held against EEMUA 191 and ISA-18.2. Pure.
//!
//! An alarm asks for an answer: severity INFO is for the record, counted apart.

use std::collections::BTreeMap;

use super::{Severity, engine::Subject};
use crate::calendar::{DAY_MIN, Minute};

/// Raises are counted over this stretch, min.
pub const STRETCH_MIN: i64 = 10;
/// More raises than this within the stretch are a flood: more than an operator can take in.
pub const FLOOD_RAISES: usize = 10;
/// An alarm chatters when it is raised this often within [`CHATTER_MIN`]. The usual measure, 3 within a minute, cannot be
/// seen in values logged once a minute.
pub const CHATTER_RAISES: usize = 3;
/// See [`CHATTER_RAISES`], min.
pub const CHATTER_MIN: i64 = 30;
/// An alarm that stays open for longer than this is stale, min.
pub const STALE_MIN: i64 = DAY_MIN;
/// The most frequent alarms that are listed.
pub const TOP: usize = 10;
/// With fewer raises a day than one in 10 minutes, shares of them say nothing.
const RAISES_FOR_SHARES: usize = 144;

/// A rule and, for one that looks at each, the pump.
pub type Alarm = (usize, Subject);

/// A raise of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raise {
    /// When.
    pub minute: Minute,
    /// Which.
    pub alarm: Alarm,
    /// How urgent.
    pub severity: Severity,
    /// When it resolved; `None` while it is open.
    pub resolved: Option<Minute>,
}

/// The alarms of a day, or of what there is of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlarmDay {
    /// Minutes looked at.
    pub minutes: i64,
    /// Raises.
    pub raised: usize,
    /// Raises of severity INFO, which are no alarms.
    pub events: usize,
    /// Raises by severity: WARNING, HIGH, CRITICAL.
    pub by_severity: [usize; 3],
    /// Most raises within 10 minutes.
    pub peak: usize,
    /// The last minute of the first such stretch.
    pub peak_at: Option<Minute>,
    /// Minutes at which the 10 minutes up to them held a flood.
    pub flood_min: usize,
    /// Alarms that chatter.
    pub chattering: Vec<Alarm>,
    /// Alarms that were open for more than a day.
    pub stale: Vec<Alarm>,
    /// Alarms open at the end.
    pub standing: usize,
    /// The most frequent alarms with their raises, most first.
    pub top: Vec<(Alarm, usize)>,
}

/// A figure and its target.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Target {
    /// What it is.
    pub name: &'static str,
    /// The figure; `None` with too few raises to say.
    pub value: Option<f64>,
    /// What it should not exceed.
    pub at_most: f64,
    /// Its unit.
    pub unit: &'static str,
}

impl Target {
    /// Whether the figure is as it should be.
    pub fn is_met(&self) -> bool {
        self.value.is_none_or(|value| value <= self.at_most)
    }
}

impl AlarmDay {
    /// Assesses the minutes from `first` up to and without `end`. `raises`, oldest first, reach back to all that were open at
    /// `first` and to the stretch before it.
    pub fn assess(raises: &[Raise], first: Minute, end: Minute) -> Self {
        let within = |raise: &&Raise| (first..end).contains(&raise.minute);
        let alarms = || {
            raises
                .iter()
                .filter(|raise| raise.severity > Severity::Info)
        };
        let mut day = Self {
            minutes: end - first,
            raised: alarms().filter(within).count(),
            ..Self::default()
        };
        day.events = raises.iter().filter(within).count() - day.raised;
        let mut minutes_of: BTreeMap<Alarm, Vec<Minute>> = BTreeMap::new();
        for raise in alarms().filter(within) {
            day.by_severity[raise.severity as usize - 1] += 1;
            minutes_of
                .entry(raise.alarm)
                .or_default()
                .push(raise.minute);
        }
        let minutes: Vec<_> = alarms().map(|raise| raise.minute).collect();
        for minute in first..end {
            let from = minutes.partition_point(|&raised| raised <= minute - STRETCH_MIN);
            let count = minutes.partition_point(|&raised| raised <= minute) - from;
            if count > day.peak {
                (day.peak, day.peak_at) = (count, Some(minute));
            }
            day.flood_min += usize::from(count > FLOOD_RAISES);
        }
        let chatters = |minutes: &[Minute]| {
            let mut bursts = minutes.windows(CHATTER_RAISES);
            bursts.any(|burst| burst[CHATTER_RAISES - 1] - burst[0] < CHATTER_MIN)
        };
        day.chattering = minutes_of
            .iter()
            .filter(|(_, minutes)| chatters(minutes))
            .map(|(&alarm, _)| alarm)
            .collect();
        for raise in alarms().filter(|raise| raise.minute < end) {
            let until = raise.resolved.unwrap_or(end).min(end);
            day.standing += usize::from(raise.resolved.is_none_or(|resolved| resolved >= end));
            if until - raise.minute > STALE_MIN && until > first {
                day.stale.push(raise.alarm);
            }
        }
        day.stale.sort_unstable();
        day.stale.dedup();
        day.top = minutes_of
            .into_iter()
            .map(|(alarm, minutes)| (alarm, minutes.len()))
            .collect();
        day.top.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        day.top.truncate(TOP);
        day
    }

    /// Raises in 10 minutes, on average.
    pub fn per_10_min(&self) -> f64 {
        self.raised as f64 / (self.minutes.max(1) as f64 / STRETCH_MIN as f64)
    }

    /// Share of the time in a flood, %.
    pub fn flood_pct(&self) -> f64 {
        100.0 * self.flood_min as f64 / self.minutes.max(1) as f64
    }

    /// The figures with the targets of EEMUA 191 and ISA-18.2.
    pub fn targets(&self) -> [Target; 8] {
        let target = |name, value, at_most, unit| Target {
            name,
            value: Some(value),
            at_most,
            unit,
        };
        let share = |name, count: usize, at_most| Target {
            name,
            value: (self.raised >= RAISES_FOR_SHARES)
                .then(|| 100.0 * count as f64 / self.raised as f64),
            at_most,
            unit: "%",
        };
        let top = self.top.iter().map(|&(_, count)| count).sum();
        [
            target("raises in 10 min, on average", self.per_10_min(), 1.0, ""),
            target("most raises in 10 min", self.peak as f64, 10.0, ""),
            target("time in a flood", self.flood_pct(), 1.0, "%"),
            target("chattering alarms", self.chattering.len() as f64, 0.0, ""),
            // "Fewer than 5 on any day."
            target("stale alarms", self.stale.len() as f64, 4.0, ""),
            share("share of the ten most frequent", top, 5.0),
            share("share of CRITICAL", self.by_severity[2], 5.0),
            share("share of HIGH", self.by_severity[1], 15.0),
        ]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WARNING: Severity = Severity::Warning;

    fn raise(minute: Minute, rule: usize, resolved: Option<Minute>) -> Raise {
        Raise {
            minute,
            alarm: (rule, None),
            severity: WARNING,
            resolved,
        }
    }

    #[test]
    fn counts_what_an_operator_has_to_take_in() {
        let mut raises = vec![
            // Open since the day before yesterday; resolved before the day; open over midnight.
            raise(-2000, 1, None),
            raise(-1600, 2, Some(-10)),
            raise(-5, 3, Some(20)),
        ];
        // Three times within half an hour, and three times over a longer stretch.
        raises.extend([100, 115, 129].map(|minute| raise(minute, 4, Some(minute + 1))));
        raises.extend([200, 215, 230].map(|minute| raise(minute, 5, Some(minute + 1))));
        raises.push(Raise {
            severity: Severity::Info,
            ..raise(300, 6, Some(300))
        });
        raises.push(Raise {
            severity: Severity::Critical,
            ..raise(1439, 7, None)
        });
        let day = AlarmDay::assess(&raises, 0, 1440);
        assert_eq!((day.raised, day.events, day.by_severity), (7, 1, [6, 0, 1]));
        assert_eq!(
            (day.peak, day.peak_at),
            (1, Some(0)),
            "the raise at −5 is within 10 min of 0"
        );
        assert_eq!(day.chattering, [(4, None)]);
        assert_eq!(day.stale, [(1, None)]);
        assert_eq!(day.standing, 2);
        assert_eq!(day.top[..2], [((4, None), 3), ((5, None), 3)]);
        let missed: Vec<_> = day
            .targets()
            .into_iter()
            .filter(|target| !target.is_met())
            .map(|target| target.name)
            .collect();
        assert_eq!(missed, ["chattering alarms"]);
    }

    #[test]
    fn eleven_raises_in_ten_minutes_are_a_flood_and_ten_are_not() {
        let raises: Vec<_> = (0..11).map(|rule| raise(500, rule, Some(501))).collect();
        let ten = AlarmDay::assess(&raises[..10], 0, 1440);
        assert_eq!((ten.peak, ten.flood_min), (10, 0));
        let eleven = AlarmDay::assess(&raises, 0, 1440);
        assert_eq!(
            (eleven.peak, eleven.peak_at, eleven.flood_min),
            (11, Some(500), 10)
        );
    }

    #[test]
    fn a_day_without_alarms_meets_every_target() {
        let day = AlarmDay::assess(&[], 0, 1440);
        assert!(day.targets().iter().all(Target::is_met));
        assert_eq!(day.per_10_min(), 0.0);
    }

    proptest! {
        /// Held against counting minute by minute.
        #[test]
        fn peak_and_flood_are_those_of_a_plain_count(mut minutes in prop::collection::vec(-20..120i64, 0..60)) {
            minutes.sort_unstable();
            let raises: Vec<_> = minutes.iter().map(|&minute| raise(minute, 0, Some(minute))).collect();
            let day = AlarmDay::assess(&raises, 0, 100);
            let counts: Vec<_> = (0..100)
                .map(|end| minutes.iter().filter(|&&minute| minute > end - 10 && minute <= end).count())
                .collect();
            prop_assert_eq!(day.peak, counts.iter().copied().max().unwrap_or(0));
            prop_assert_eq!(day.flood_min, counts.iter().filter(|&&count| count > 10).count());
            prop_assert_eq!(day.raised, minutes.iter().filter(|minute| (0..100).contains(*minute)).count());
        }
    }
}
