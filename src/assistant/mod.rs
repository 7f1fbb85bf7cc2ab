//! A question in plain language → SQL → the figures, and a sentence about them.
//!
//! ```text
//!  question ─┬► intents   the questions it knows, without any model ─┐
//!            └► model     a language model over HTTP                ─┴► SQL ─► store::question ─► figures ─► answer
//! ```
//!
//! *Invariants.* Whatever writes the SQL, it runs behind the guard of `store::question`: one SELECT over listed tables, for
//! reading only, within bounds of time, rows and size. An answer shows the SQL that its figures come from.

pub mod intents;

use serde::Serialize;

use crate::store::question::Rows;

/// An answer, or why there is none.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// What was asked.
    pub question: String,
    /// Who answers: `built-in`, or the model's name.
    pub engine: String,
    /// The answer in words, with its figures and units; where `refused`, the reason and what can be asked instead.
    pub text: String,
    /// No answer could be given.
    pub refused: bool,
    /// The SQL that the figures come from; `None` when none ran.
    pub sql: Option<String>,
    /// What it found.
    pub rows: Option<Rows>,
    /// How the rows are best shown.
    pub show: Show,
}

/// How an answer's rows are best shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "as")]
pub enum Show {
    /// The sentence says it all.
    #[default]
    Sentence,
    /// A table.
    Table,
    /// A line over time.
    Line {
        /// Column of the times.
        x: String,
        /// Columns of the values.
        y: Vec<String>,
        /// Their unit.
        unit: String,
    },
    /// A bar for each row.
    Bars {
        /// Column of the names.
        x: String,
        /// Columns of the values.
        y: Vec<String>,
        /// Their unit.
        unit: String,
    },
}
