//! A row as the core believes it, and logic over values that may be unknown.

use crate::{calendar::Minute, tags::Values};

/// Whether a condition holds; `None` when an input it depends on is unknown.
pub type Truth = Option<bool>;

/// A row as rules and rollups believe it: impossible values count as unknown.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Row {
    /// The row's minute.
    pub minute: Minute,
    /// Values by slot, NaN where unknown.
    pub values: Values,
}

/// NaN means unknown.
pub fn known(value: f64) -> Option<f64> {
    (!value.is_nan()).then_some(value)
}

/// All parts hold; unknown as soon as one part is.
pub fn all<const N: usize>(parts: [Truth; N]) -> Truth {
    parts
        .into_iter()
        .try_fold(true, |so_far, part| part.map(|part| so_far && part))
}

/// At least `least` of the parts hold, as far as the known ones decide it.
pub fn at_least(least: usize, parts: impl Iterator<Item = Truth>) -> Truth {
    let (mut sure, mut open) = (0, 0);
    for part in parts {
        match part {
            Some(true) => sure += 1,
            Some(false) => {}
            None => open += 1,
        }
    }
    if sure >= least {
        Some(true)
    } else if sure + open < least {
        Some(false)
    } else {
        None
    }
}
