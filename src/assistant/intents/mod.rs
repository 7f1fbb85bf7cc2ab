//! The built-in engine: a question in plain English → one SELECT → the sentence with the figures, without any model.
//!
//! ```text
//!  question ─► words ─┬► when, units, bounds, dates ─► periods ─┐
//!                     ├► names, limits ─► asked ────────────────┼► a shape ─► SQL (sources), sentence (say)
//!                     └► measures, topics: the tables ──────────┘
//!
//!  shapes: figure, figures, pumps, buckets, series, compare, threshold, state, running, alerts, kpis, forecasts, plans, records
//! ```
//!
//! *Invariants.* Pure: no I/O, no clock. Nothing of the question's text gets into the SQL, only numbers, dates and constants
//! that were understood. A word that nobody here knows is named in the answer, or the question is not answered.

mod alert_lists;
mod alerts;
mod asked;
mod bounds;
mod buckets;
mod compare;
mod dates;
mod figure;
mod figures;
mod forecasts;
mod kpis;
mod limits;
mod measures;
mod names;
mod periods;
mod plans;
mod pumps;
mod records;
mod refuse;
mod running;
mod say;
mod series;
mod sources;
mod state;
mod threshold;
mod topics;
mod units;
mod vocabulary;
mod when;
#[cfg(test)]
mod when_tests;
mod words;

use std::fmt;

use super::Show;
use crate::{calendar::LocalMinute, store::question::Rows, tags::PUMPS};
use asked::Asked;

/// Longest question that is read, bytes.
const QUESTION_MAX: usize = 600;
/// More words than these that nobody knows, and a question is not answered.
const UNKNOWN_MAX: usize = 1;

/// What a question is understood with.
#[derive(Clone, Debug)]
pub struct Context {
    /// The newest minute of the station's wall clock that has a row.
    pub now: LocalMinute,
    /// The oldest one.
    pub first: LocalMinute,
    /// Motor rating of P1 … P6, kW.
    pub rated_kw: [f64; PUMPS],
    /// Highest flow that the meter can show, m³/h; what is above is no flow.
    pub flow_max_m3h: f64,
    /// The currency of costs.
    pub currency: String,
}

type Say = Box<dyn Fn(&Rows) -> String + Send + Sync>;

/// A question that was understood.
pub struct Understood {
    /// One SELECT over the tables of the store.
    pub sql: String,
    /// How its rows are best shown.
    pub show: Show,
    say: Say,
}

impl Understood {
    fn new(sql: String, show: Show, say: impl Fn(&Rows) -> String + Send + Sync + 'static) -> Self {
        Self {
            sql,
            show,
            say: Box::new(say),
        }
    }

    fn sentence(sql: String, say: impl Fn(&Rows) -> String + Send + Sync + 'static) -> Self {
        Self::new(sql, Show::Sentence, say)
    }

    /// The answer in words, with its figures and units, from the rows that [`Understood::sql`] found.
    pub fn say(&self, rows: &Rows) -> String {
        (self.say)(rows)
    }

    /// The same with a word on what was not understood.
    fn passing_over(mut self, unknown: &[&str]) -> Self {
        if !unknown.is_empty() {
            let words: Vec<String> = unknown.iter().map(|word| format!("“{word}”")).collect();
            let said = self.say;
            let words = say::list(&words);
            self.say = Box::new(move |rows| format!("{} (I passed over {words}.)", said(rows)));
        }
        self
    }
}

impl fmt::Debug for Understood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Understood")
            .field("sql", &self.sql)
            .field("show", &self.show)
            .finish_non_exhaustive()
    }
}

/// A question that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUnderstood {
    /// What could not be understood, without a full stop: `there is no pump P9; the station has P1 to P6`.
    pub reason: String,
    /// Questions near to it that can be answered.
    pub suggestions: Vec<String>,
}

impl NotUnderstood {
    fn because(reason: String) -> Self {
        Self {
            reason,
            suggestions: Vec::new(),
        }
    }
}

impl fmt::Display for NotUnderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.", say::sentence(&self.reason))?;
        if !self.suggestions.is_empty() {
            let questions: Vec<String> = self
                .suggestions
                .iter()
                .map(|question| format!("“{question}”"))
                .collect();
            write!(f, " You can ask: {}", questions.join(", "))?;
        }
        Ok(())
    }
}

impl std::error::Error for NotUnderstood {}

/// Reads a question.
///
/// # Errors
///
/// What could not be understood, with three questions near to it that can be.
pub fn understand(question: &str, context: &Context) -> Result<Understood, NotUnderstood> {
    read(question, context).map_err(|refused| refuse::with_suggestions(refused, question))
}

fn read(question: &str, context: &Context) -> Result<Understood, NotUnderstood> {
    if question.len() > QUESTION_MAX {
        return Err(NotUnderstood::because(format!(
            "the question is longer than {QUESTION_MAX} characters"
        )));
    }
    if let Some(refused) = refuse::not_for_us(question, context.now) {
        return Err(refused);
    }
    let asked = Asked::read(question, context)?;
    let unknown = asked.words.unknown();
    if unknown.len() > UNKNOWN_MAX || asked.words.has_unknown_period() {
        return Err(refuse::unknown(&unknown));
    }
    let understood = shape(&asked).unwrap_or_else(|| Err(refuse::nothing_asked(&unknown)))?;
    Ok(understood.passing_over(&unknown))
}

/// Whether a question is none for this engine or any other: an order to a pump, a greeting, nothing at all.
pub fn is_for_nobody(question: &str, context: &Context) -> bool {
    refuse::not_for_us(question, context.now).is_some()
}

type Shaped = Option<Result<Understood, NotUnderstood>>;

/// The first shape that the question has.
fn shape(asked: &Asked) -> Shaped {
    const SHAPES: &[fn(&Asked) -> Shaped] = &[
        forecasts::shape,
        plans::shape,
        alerts::shape,
        records::shape,
        kpis::shape,
        state::shape,
        threshold::shape,
        pumps::times,
        compare::shape,
        buckets::shape,
        series::shape,
        pumps::shape,
        figure::shape,
    ];
    SHAPES.iter().find_map(|shape| shape(asked))
}

/// Questions that can be asked, for pages and help texts.
pub fn examples() -> &'static [&'static str] {
    &[
        "How is the station now?",
        "Which pump ran longest yesterday?",
        "What was the average flow last week?",
        "When was the lowest level this month?",
        "How many minutes was the level below 30 % last week?",
        "Which day had the highest energy consumption this month?",
        "Compare the energy of this week with last week",
        "Which critical alerts are open?",
        "When was the last trip of P4?",
        "What is the health score of P2?",
        "Show the tank level yesterday",
        "How good are the forecasts?",
        "What is planned next?",
        "What are the KPIs of yesterday?",
    ]
}
