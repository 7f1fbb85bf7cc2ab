//! What a model is told: pure.

use serde_json::{Value, json};

/// The tool's name.
pub(super) const TOOL: &str = "query";
/// What the tool does.
pub(super) const TOOL_IS: &str = "Runs one SELECT on the station's SQLite database, for reading only, and gives its rows. \
    Sums, means and extremes belong into the SQL: at most 50 rows are given.";
/// To a call after the last query.
pub(super) const NO_MORE_QUERIES: &str =
    "no more queries can be run for this question; answer from what was found";

/// The task and what is needed for it.
pub(super) fn system(schema: &str, today: &str) -> String {
    format!(
        "You answer questions of the people who run a water pumping station. Its figures are in an SQLite database that you \
        read with the tool `{TOOL}`.\n\
        \n\
        The station: pumps P1 to P6 lift water into one high-level tank (HLT); a flow meter (FIT101) is behind the pumps. There \
        is a row for each minute, and there are tables of pump runs, hours, days, pump health and alerts.\n\
        Units: flow m³/h, volume m³, power kW, energy kWh, tank level % of full unless a column says otherwise, durations in \
        minutes unless a column says otherwise. A pump's `kwh` in a row of a minute is its power, in kW. NULL is unknown, not \
        zero.\n\
        Times are texts of the plant's wall clock: `timestamp` like '2026-03-01 14:05:00', `date` like '2026-03-01'. It is now \
        {today}.\n\
        \n\
        The schema:\n{schema}\n\
        \n\
        How to answer:\n\
        - Query first. SQLite's dialect, one SELECT at a time, only tables of the schema. A query that is refused says why; \
        correct it.\n\
        - Then answer in at most three sentences of plain text, in the language of the question, with figures and their units.\n\
        - Use only what your queries returned. If they do not answer the question, say so and what is missing. Never guess.\n\
        - You cannot switch pumps or change anything; say so when asked to.\n\
        - If you have no tool, write the query into a block that begins with ```sql, and nothing else; you get its rows then."
    )
}

/// The tool's arguments, as JSON schema.
pub(super) fn arguments() -> Value {
    json!({
        "type": "object",
        "properties": {"sql": {"type": "string", "description": "One SELECT in SQLite's dialect."}},
        "required": ["sql"],
    })
}

/// What comes of a query that was written into the text.
pub(super) fn after_prose(outcome: &Result<String, String>) -> String {
    match outcome {
        Ok(rows) => format!(
            "The query returned:\n{rows}\nAnswer the question from that, in at most three sentences, without SQL."
        ),
        Err(reason) => format!(
            "The query is refused: {reason}\nCorrect it and write it into a ```sql block, or say that the question cannot be answered."
        ),
    }
}

/// The SQL of a call, or what is wrong with it, for the model.
pub(super) fn sql_of(name: &str, arguments: &Value) -> Result<String, String> {
    if name != TOOL {
        return Err(format!("there is no such tool; the only one is `{TOOL}`"));
    }
    let Some(arguments) = arguments.as_object() else {
        return Err(format!("the arguments are no object; {EXAMPLE}"));
    };
    match arguments.get("sql").map(|sql| sql.as_str().map(str::trim)) {
        None => Err(format!("`sql` is missing; {EXAMPLE}")),
        Some(None) => Err(format!("`sql` is no text; {EXAMPLE}")),
        Some(Some("")) => Err(format!("`sql` is empty; {EXAMPLE}")),
        Some(Some(sql)) => Ok(sql.to_owned()),
    }
}

/// How a call should look.
const EXAMPLE: &str = r#"they should look like {"sql": "SELECT …"}"#;
