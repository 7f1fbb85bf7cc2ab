//! Figures as sentences tell them.

use serde_json::Value;

use super::{Context, measures::Measure, periods::Period};
use crate::store::question::Rows;

/// Minutes from which a time is told in hours with a point.
const LONG_MIN: f64 = 48.0 * 60.0;

/// A number with so many digits after the point, and commas between thousands.
pub(super) fn number(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    let zero = text
        .trim_start_matches('-')
        .chars()
        .all(|c| c == '0' || c == '.');
    let text = if zero {
        text.trim_start_matches('-').into()
    } else {
        text
    };
    let (whole, rest) = match text.split_once('.') {
        Some((whole, rest)) => (whole.to_owned(), format!(".{rest}")),
        None => (text, String::new()),
    };
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole.as_str()), |digits| ("-", digits));
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("{sign}{grouped}{rest}")
}

/// `1 start`, `3 starts`.
pub(super) fn plural(count: f64, name: &str) -> String {
    let count = count.round();
    if count == 1.0 {
        return format!("1 {name}");
    }
    format!("{} {}", number(count, 0), many(name))
}

/// A name in its plural: of its first word where it goes on, as in `alert of a frozen sensor`.
pub(super) fn many(name: &str) -> String {
    match name.split_once(" of ") {
        Some((head, rest)) => format!("{}s of {rest}", head),
        None if name.ends_with('y') && !name.ends_with("day") => {
            format!("{}ies", name.trim_end_matches('y'))
        }
        None => format!("{name}s"),
    }
}

/// Minutes as a time: `42 minutes`, `5 h 12 min`, `61.5 hours`.
pub(super) fn span(minutes: f64) -> String {
    let whole = minutes.round();
    if whole < 60.0 {
        return plural(whole, "minute");
    }
    if whole < LONG_MIN {
        return match whole as i64 % 60 {
            0 => plural(whole / 60.0, "hour"),
            rest => format!("{} h {rest} min", whole as i64 / 60),
        };
    }
    format!("{} hours", number(minutes / 60.0, 1))
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Begins with a capital.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// A value of a measure with its unit.
pub(super) fn figure(measure: &Measure, value: f64, context: &Context) -> String {
    if measure.is_count() {
        return if (value - value.round()).abs() < 0.005 {
            plural(value, measure.name)
        } else {
            format!("{} {}", number(value, 1), many(measure.name))
        };
    }
    match measure.unit {
        "h" => span(value),
        "%" => format!("{} %", number(value, measure.decimals)),
        "pumps" if value.fract() == 0.0 => plural(value, "pump"),
        "pumps" => number(value, measure.decimals),
        "{currency}" => format!("{} {}", number(value, measure.decimals), context.currency),
        "{target}" => number(value, measure.decimals),
        unit => {
            let decimals = if measure.decimals == 0 && value.abs() < 100.0 {
                1
            } else {
                measure.decimals
            };
            format!("{} {unit}", number(value, decimals))
        }
    }
}

/// The unit of a measure in a plot.
pub(super) fn unit(measure: &Measure, context: &Context) -> String {
    match measure.unit {
        "h" => "min".into(),
        "{currency}" => context.currency.clone(),
        "{target}" => String::new(),
        unit => unit.into(),
    }
}

/// What a measure's target says of a value, with a semicolon before it; empty where there is none.
pub(super) fn against_target(measure: &Measure, value: f64) -> String {
    measure.target.map_or_else(String::new, |target| {
        let verdict = if value > target.above {
            "which is met"
        } else {
            "which is missed"
        };
        format!("; {}, {verdict}", target.told)
    })
}

/// Reads an answer's rows by the names of columns.
pub(super) trait Cells {
    /// A number; `None` for null, text, or where there is no such row.
    fn number(&self, row: usize, column: &str) -> Option<f64>;
    /// A text, or an empty one.
    fn text(&self, row: usize, column: &str) -> &str;
    /// Every row's name and number, where it has one.
    fn pairs(&self, name: &str, value: &str) -> Vec<(String, f64)>;
}

fn cell<'a>(rows: &'a Rows, row: usize, column: &str) -> Option<&'a Value> {
    let place = rows.columns.iter().position(|name| name == column)?;
    rows.rows.get(row)?.get(place)
}

impl Cells for Rows {
    fn number(&self, row: usize, column: &str) -> Option<f64> {
        cell(self, row, column).and_then(Value::as_f64)
    }

    fn text(&self, row: usize, column: &str) -> &str {
        cell(self, row, column)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    fn pairs(&self, name: &str, value: &str) -> Vec<(String, f64)> {
        let name_of = |row: usize| match cell(self, row, name) {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        let pair = |row: usize| Some((name_of(row), self.number(row, value)?));
        (0..self.rows.len()).filter_map(pair).collect()
    }
}

/// What an answer without rows says of a period: that it is outside of what there is, or that nothing is known of it.
pub(super) fn nothing(what: &str, period: &Period, context: &Context) -> String {
    let outside = period.until <= context.first || period.from > context.now;
    let told = period.told();
    if outside {
        let dates = told
            .strip_prefix("on ")
            .map_or_else(|| told.clone(), |date| format!("for {date}"));
        return format!("There is no row {dates}; {}.", reach(context));
    }
    format!("Nothing is known of the {what} {told}.")
}

/// Whether a period lies outside of what there is.
pub(super) fn is_outside(period: &Period, context: &Context) -> bool {
    period.until <= context.first || period.from > context.now
}

/// From when to when there are data.
pub(super) fn reach(context: &Context) -> String {
    use super::dates::told_minute;
    format!(
        "the data begin at {} and end at {}",
        told_minute(context.first),
        told_minute(context.now)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_and_no_minus_before_zero() {
        assert_eq!(number(1_234_567.891, 1), "1,234,567.9");
        assert_eq!(number(-0.04, 1), "0.0");
        assert_eq!(number(-1500.0, 0), "-1,500");
        assert_eq!(number(999.96, 1), "1,000.0");
    }

    #[test]
    fn counts_and_times_are_told_as_people_say_them() {
        assert_eq!(
            (plural(1.0, "start"), plural(0.0, "short cycle")),
            ("1 start".into(), "0 short cycles".into())
        );
        assert_eq!(span(42.0), "42 minutes");
        assert_eq!(span(120.0), "2 hours");
        assert_eq!(span(312.0), "5 h 12 min");
        assert_eq!(span(3690.0), "61.5 hours");
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
