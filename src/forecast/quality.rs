//! How good forecasts were, once the truth is known, and whether a model can still be trusted. Pure.

use super::{features::COLUMNS, manifest::Spread};

/// A model whose error is more than this many times that of its validation has drifted.
const ERROR_RATIO_MAX: f64 = 1.5;
/// Population stability index above which a column is not what the model was trained on.
const PSI_MAX: f64 = 0.25;
/// Forecasts from which a week tells enough to fall back: three days of the ones that are kept.
const FORECASTS_MIN: i64 = 1500;
/// Columns whose spread over a week says something: those that change within the hour. Of slower ones a week shows too few
/// values, and those of the calendar are what they are.
const WATCHED: [&str; 7] = [
    "last",
    "change_15",
    "change_60",
    "std_60",
    "flow_mean_15",
    "power_mean_15",
    "pumps_on_mean_60",
];
/// What an empty class counts as, so that its logarithm is one.
const SHARE_MIN: f64 = 1e-3;

/// A forecast beside the truth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// What was forecast.
    pub value: f64,
    /// Its bounds.
    pub bounds: Option<(f64, f64)>,
    /// What came.
    pub truth: f64,
    /// What came a day before; NaN is unknown.
    pub naive: f64,
}

/// Figures of many forecasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// How many.
    pub forecasts: i64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Share of the variance explained; `None` when nothing varied.
    pub r2: Option<f64>,
    /// What seasonal-naive got, where it is known.
    pub rmse_naive: Option<f64>,
    /// Share within the bounds, %.
    pub covered_pct: Option<f64>,
}

impl Figures {
    /// Of pairs whose truth is known; `None` without any.
    pub fn of(pairs: &[Pair]) -> Option<Self> {
        let count = pairs.len() as f64;
        if pairs.is_empty() {
            return None;
        }
        let mean = |of: &dyn Fn(&Pair) -> f64| pairs.iter().map(of).sum::<f64>() / count;
        let squared = mean(&|pair| (pair.value - pair.truth).powi(2));
        let middle = mean(&|pair| pair.truth);
        let variance = mean(&|pair| (pair.truth - middle).powi(2));
        let naive: Vec<f64> = pairs
            .iter()
            .map(|pair| (pair.naive - pair.truth).powi(2))
            .filter(|square| !square.is_nan())
            .collect();
        let bounded: Vec<bool> = pairs
            .iter()
            .filter_map(|pair| {
                let (lower, upper) = pair.bounds?;
                Some((lower..=upper).contains(&pair.truth))
            })
            .collect();
        let share = bounded.iter().filter(|&&within| within).count() as f64 / bounded.len() as f64;
        Some(Self {
            forecasts: pairs.len() as i64,
            rmse: squared.sqrt(),
            mae: mean(&|pair| (pair.value - pair.truth).abs()),
            r2: (variance > 0.0).then(|| 1.0 - squared / variance),
            rmse_naive: (!naive.is_empty())
                .then(|| (naive.iter().sum::<f64>() / naive.len() as f64).sqrt()),
            covered_pct: (!bounded.is_empty()).then_some(share * 100.0),
        })
    }
}

/// The times ahead that are scored by themselves: those of the next hour that are kept, and two hours at a time of the next day.
pub fn class_min(ahead_min: i64) -> i64 {
    match ahead_min {
        ..=60 => ahead_min,
        _ => (ahead_min + 119) / 120 * 120,
    }
}

/// Population stability index of values against how they were spread in training; `None` without values.
pub fn psi(spread: &Spread, values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut counts = vec![0.0; spread.edges.len() + 1];
    for value in values.filter(|value| !value.is_nan()) {
        // As models are told it: an edge is often a value that occurs.
        let value = f64::from(value as f32);
        counts[spread.edges.partition_point(|&edge| edge < value)] += 1.0;
    }
    let all: f64 = counts.iter().sum();
    if all == 0.0 || spread.shares.len() != counts.len() {
        return None;
    }
    let terms = counts.iter().zip(&spread.shares).map(|(count, &before)| {
        let (now, before) = ((count / all).max(SHARE_MIN), before.max(SHARE_MIN));
        (now - before) * (now / before).ln()
    });
    Some(terms.sum())
}

/// The watched column that moved most against training, and how far; of rows as models are told.
pub fn moved_most(
    spread: &std::collections::BTreeMap<String, Spread>,
    rows: &[[f64; COLUMNS.len()]],
) -> Option<(&'static str, f64)> {
    let moved = WATCHED.into_iter().filter_map(|name| {
        let at = COLUMNS.iter().position(|column| *column == name)?;
        let psi = psi(spread.get(name)?, rows.iter().map(|row| row[at]))?;
        Some((name, psi))
    });
    moved.max_by(|one, other| one.1.total_cmp(&other.1))
}

/// Whether a model can be trusted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// What is to be said of it; `None` when it is fine.
    pub note: Option<String>,
    /// Whether its forecasts are not to be used until it is better again.
    pub falls_back: bool,
}

/// Judges a model by its last day and week, the error of its validation, and the column that moved most.
pub fn judge(
    day: Option<&Figures>,
    week: Option<&Figures>,
    rmse_val: Option<f64>,
    moved: Option<(&str, f64)>,
    unit: &str,
) -> Health {
    let mut notes = Vec::new();
    let ratio = |figures: Option<&Figures>| {
        let (figures, rmse_val) = (figures?, rmse_val.filter(|&rmse| rmse > 0.0)?);
        Some((figures.rmse / rmse_val, figures.rmse, rmse_val))
    };
    let drifted = |figures| ratio(figures).filter(|(ratio, ..)| *ratio > ERROR_RATIO_MAX);
    let lasting = drifted(week)
        .zip(week)
        .filter(|(_, week)| week.forecasts >= FORECASTS_MIN)
        .filter(|(_, week)| week.rmse_naive.is_none_or(|naive| week.rmse > naive));
    let falls_back = lasting.is_some();
    if let Some(((ratio, rmse, rmse_val), _)) = lasting {
        notes.push(format!(
            "over a week its error is {rmse:.2} {unit}, {ratio:.1} times the {rmse_val:.2} {unit} of its validation and more than \
             that of the day before"
        ));
    } else if let Some((ratio, rmse, rmse_val)) = drifted(day) {
        notes.push(format!(
            "today its error is {rmse:.2} {unit}, {ratio:.1} times the {rmse_val:.2} {unit} of its validation"
        ));
    }
    if let Some((name, psi)) = moved.filter(|(_, psi)| *psi > PSI_MAX) {
        notes.push(format!(
            "{name} is no longer spread as in training (PSI {psi:.2}, limit {PSI_MAX})"
        ));
    }
    Health {
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        falls_back,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(error: f64, naive_error: f64, count: usize) -> Vec<Pair> {
        (0..count)
            .map(|at| {
                let truth = (at % 7) as f64;
                Pair {
                    value: truth + if at % 2 == 0 { error } else { -error },
                    bounds: Some((truth - 1.0, truth + if at % 4 == 0 { -0.5 } else { 1.0 })),
                    truth,
                    naive: truth + naive_error,
                }
            })
            .collect()
    }

    #[test]
    fn figures_are_those_of_the_definition() {
        let figures = Figures::of(&pairs(2.0, 3.0, 28)).expect("figures");
        assert_eq!(
            (figures.forecasts, figures.rmse, figures.mae),
            (28, 2.0, 2.0)
        );
        assert_eq!(
            (figures.rmse_naive, figures.covered_pct),
            (Some(3.0), Some(75.0))
        );
        // 0 … 6 have a variance of 4.
        assert_eq!(figures.r2, Some(0.0));
        assert_eq!(Figures::of(&[]), None);
    }

    #[test]
    fn psi_is_none_for_the_same_and_large_for_another_spread() {
        let spread = Spread {
            edges: vec![1.0, 2.0, 3.0],
            shares: vec![0.25; 4],
        };
        let same = [0.5, 1.5, 2.5, 3.5];
        assert_eq!(psi(&spread, same.into_iter()), Some(0.0));
        let moved = psi(&spread, [3.5; 9].into_iter()).expect("a value");
        assert!(moved > 1.0, "{moved}");
        assert_eq!(psi(&spread, [f64::NAN].into_iter()), None);
    }

    #[test]
    fn a_bad_day_is_noted_and_a_bad_week_falls_back_unless_the_day_before_is_worse() {
        let figures = |error, naive, count| Figures::of(&pairs(error, naive, count));
        let judged = |day: Option<Figures>, week: Option<Figures>| {
            let health = judge(day.as_ref(), week.as_ref(), Some(1.0), None, "%");
            (health.note.is_some(), health.falls_back)
        };
        let good = figures(1.2, 2.0, 4000);
        assert_eq!(judged(good, good), (false, false));
        assert_eq!(judged(figures(1.6, 2.0, 500), good), (true, false));
        assert_eq!(
            judged(figures(3.0, 2.0, 500), figures(3.0, 2.0, 4000)),
            (true, true)
        );
        assert_eq!(
            judged(figures(3.0, 4.0, 500), figures(3.0, 4.0, 4000)),
            (true, false)
        );
        assert_eq!(
            judged(figures(3.0, 2.0, 500), figures(3.0, 2.0, 700)),
            (true, false),
            "too few to fall back"
        );
        let moved = judge(
            good.as_ref(),
            good.as_ref(),
            Some(1.0),
            Some(("last", 0.4)),
            "%",
        );
        assert_eq!(
            (moved.falls_back, moved.note.as_deref()),
            (
                false,
                Some("last is no longer spread as in training (PSI 0.40, limit 0.25)")
            )
        );
    }
}
