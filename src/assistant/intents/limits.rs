//! Limits that a question names: above 80 %, less than 20 minutes, between 20 and 85 %.

use super::{say, words::Words};

/// On which side of which value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    /// Over it.
    Above(f64),
    /// Under it.
    Below(f64),
    /// From the first to the second.
    Between(f64, f64),
    /// Not from the first to the second.
    Outside(f64, f64),
}

/// A value to be under or over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    /// On which side of which value; minutes where it is a time.
    pub(super) side: Side,
    /// The measure that its unit means.
    pub(super) measure: Option<&'static str>,
    /// It is a time.
    pub(super) is_time: bool,
}

impl Limit {
    /// Whether a value is within it.
    pub(super) fn holds(&self, value: f64) -> bool {
        match self.side {
            Side::Above(limit) => value > limit,
            Side::Below(limit) => value < limit,
            Side::Between(low, high) => (low..=high).contains(&value),
            Side::Outside(low, high) => !(low..=high).contains(&value),
        }
    }

    /// The condition on a value.
    pub(super) fn sql(&self, value: &str) -> String {
        match self.side {
            Side::Above(limit) => format!("{value} > {limit}"),
            Side::Below(limit) => format!("{value} < {limit}"),
            Side::Between(low, high) => format!("{value} BETWEEN {low} AND {high}"),
            Side::Outside(low, high) => format!("{value} NOT BETWEEN {low} AND {high}"),
        }
    }

    /// As sentences tell it.
    pub(super) fn told(&self, told: impl Fn(f64) -> String) -> String {
        match self.side {
            Side::Above(limit) => format!("above {}", told(limit)),
            Side::Below(limit) => format!("below {}", told(limit)),
            Side::Between(low, high) => format!("between {} and {}", told(low), told(high)),
            Side::Outside(low, high) => format!("outside {} to {}", told(low), told(high)),
        }
    }

    /// The condition of an alert's or a session's length.
    pub(super) fn of_minutes(&self) -> Option<(String, String)> {
        self.is_time
            .then(|| (self.sql("duration_min"), self.told(say::span)))
    }
}

/// Takes a limit out of a question.
pub(super) fn limit(words: &mut Words) -> Option<Limit> {
    const ABOVE: &str = "more than, greater than, higher than, larger than, longer than, bigger than, in excess of, \
         above, over, exceed, exceeded, exceeding, >, at least, reach, reached, rise to, rose to";
    const BELOW: &str = "less than, lower than, smaller than, fewer than, shorter than, below, under, beneath, <, \
         at most, drop to, dropped to, fell to, fall to, down to";
    let place_of =
        |words: &Words, phrase: &str| (0..words.len()).find(|place| words.is_at(*place, phrase));
    for (phrases, above) in [(ABOVE, true), (BELOW, false)] {
        for phrase in phrases.split(", ") {
            let Some(place) = place_of(words, phrase) else {
                continue;
            };
            let after = place + phrase.split(' ').count();
            let gap = usize::from(matches!(
                words.word(after),
                "a" | "the" | "about" | "of" | "value"
            ));
            if let Some((value, unit, length)) = amount(words, after + gap) {
                let side = if above {
                    Side::Above(value)
                } else {
                    Side::Below(value)
                };
                words.take(place, after + gap + length - place);
                return Some(of(side, unit));
            }
        }
    }
    range(words)
}

/// `between 20 and 85 %`, `outside 20 to 85 %`.
fn range(words: &mut Words) -> Option<Limit> {
    let is_joint = |word: &str| matches!(word, "between" | "outside" | "within" | "inside");
    let place = (0..words.len()).find(|place| is_joint(words.word(*place)))?;
    let low = words.number(place + 1)?;
    let percent = usize::from(words.word(place + 2) == "%");
    let joint = place + 2 + percent;
    if !matches!(words.word(joint), "and" | "to" | "-") {
        return None;
    }
    let (high, unit, length) = amount(words, joint + 1)?;
    if matches!(unit, Unit::None | Unit::Time) {
        return None;
    }
    let outside = words.word(place) == "outside";
    words.take(place, joint + 1 + length - place);
    let side = if outside {
        Side::Outside(low, high)
    } else {
        Side::Between(low, high)
    };
    Some(of(side, unit))
}

#[derive(Clone, Copy, PartialEq)]
enum Unit {
    None,
    Time,
    Of(&'static str),
}

fn of(side: Side, unit: Unit) -> Limit {
    Limit {
        side,
        measure: match unit {
            Unit::Of(measure) => Some(measure),
            Unit::None | Unit::Time => None,
        },
        is_time: unit == Unit::Time,
    }
}

/// A number with its unit, and how many words they are.
fn amount(words: &Words, place: usize) -> Option<(f64, Unit, usize)> {
    let value = words.number(place)?;
    let per_hour = words.is_at(place + 2, "per hour") || words.is_at(place + 2, "an hour");
    let cubic = words.is_at(place + 1, "m3 m3");
    let found = match words.word(place + 1) {
        "%" | "percent" => (Unit::Of("level_pct"), 2),
        "m3/h" | "m3/hour" => (Unit::Of("flow_m3h"), 2),
        "m3" if cubic && words.is_at(place + 3, "per hour") => (Unit::Of("flow_m3h"), 5),
        "m3" if per_hour => (Unit::Of("flow_m3h"), 4),
        "m3" => (Unit::Of("volume_m3"), 2 + usize::from(cubic)),
        "kw" => (Unit::Of("power_kw"), 2),
        "kwh" => (Unit::Of("energy_kwh"), 2),
        "pump" => (Unit::Of("pumps_on"), 2),
        "minute" if words.word(place + 2) != "ago" => return Some((value, Unit::Time, 2)),
        "hour" if words.word(place + 2) != "ago" => return Some((value * 60.0, Unit::Time, 2)),
        "minute" | "hour" | "day" | "week" | "month" | "year" => return None,
        _ => (Unit::None, 1),
    };
    Some((value, found.0, found.1))
}
