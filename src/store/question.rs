//! The guard: runs a SELECT that nobody here has written, for reading only and within bounds.

use serde::Serialize;
use serde_json::Value;

/// What a query found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// The rows: numbers, texts, null.
    pub rows: Vec<Vec<Value>>,
    /// There were more rows, or more bytes, than an answer may have.
    pub cut: bool,
}
