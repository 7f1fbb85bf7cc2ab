//! Texts from and for a model: pure.

use serde_json::{Value, json};

use crate::store::question::Rows;

/// Rows of a result that a model is given.
const RESULT_ROWS_MAX: usize = 50;
/// Bytes of a result that a model is given.
const RESULT_BYTES_MAX: usize = 8 * 1024;
/// Of these, what stands around the rows.
const FRAME_BYTES: usize = 256;
/// Between text and what is set off from it.
const FENCE: &str = "```";
/// Where the thinking of a model ends, when its server leaves that in the text.
const THOUGHT_END: &str = "</think>";
/// Where it begins.
const THOUGHT_START: &str = "<think>";

/// Text from outside, for people: one line, without control characters and without those that turn the direction of what
/// follows. Markup stays what it is, text.
pub(super) fn plain(text: &str) -> String {
    let visible: String = text.chars().filter(|&c| !is_invisible(c)).collect();
    let words: Vec<&str> = visible.split_whitespace().collect();
    words.join(" ")
}

/// What nobody sees: control characters, marks of width zero and of direction.
fn is_invisible(c: char) -> bool {
    let is_mark = matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    is_mark || c.is_control() && !c.is_whitespace()
}

/// A text of at most so many characters; one that is cut ends with `…`.
pub(super) fn cut(text: String, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text;
    }
    let kept = text.chars().take(chars_max.saturating_sub(1));
    kept.chain(['…']).collect()
}

/// What a model says after it has thought aloud.
pub(super) fn without_thoughts(text: &str) -> &str {
    match text.rsplit_once(THOUGHT_END) {
        Some((_, said)) => said,
        // It has not come to an end.
        None if text.trim_start().starts_with(THOUGHT_START) => "",
        None => text,
    }
}

/// The first SQL that is set off from the text.
pub(super) fn fenced_sql(text: &str) -> Option<&str> {
    text.split(FENCE).skip(1).step_by(2).find_map(sql_within)
}

/// A text without what is set off from it.
pub(super) fn without_fences(text: &str) -> String {
    let outside: Vec<&str> = text.split(FENCE).step_by(2).collect();
    outside.join(" ")
}

/// The SQL within a fence, which may have its language before it.
fn sql_within(inside: &str) -> Option<&str> {
    let inside = inside.trim();
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric());
    let (word, rest) = inside.split_at(end.unwrap_or(inside.len()));
    let sql = match word.to_ascii_lowercase().as_str() {
        "sql" | "sqlite" | "sqlite3" => rest.trim(),
        "select" | "with" => inside,
        _ => return None,
    };
    (!sql.is_empty()).then_some(sql)
}

/// A result as the model gets it: compact JSON that says when there was more.
pub(super) fn rows_told(rows: &Rows) -> String {
    let mut size = FRAME_BYTES + json!(rows.columns).to_string().len();
    if size > RESULT_BYTES_MAX {
        return json!({"cut": "the columns are too many to show; select fewer"}).to_string();
    }
    let fitting = rows.rows.iter().take(RESULT_ROWS_MAX).take_while(|row| {
        size += json!(row).to_string().len() + 1;
        size <= RESULT_BYTES_MAX
    });
    let fitting: Vec<&Vec<Value>> = fitting.collect();
    let mut told = json!({"columns": rows.columns, "rows": fitting});
    if rows.cut || fitting.len() < rows.rows.len() {
        let more = if rows.cut { "more than " } else { "" };
        told["cut"] = json!(format!(
            "only the first {} of {more}{} rows are shown; let SQL sum up, or select less",
            fitting.len(),
            rows.rows.len()
        ));
    }
    told.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(count: usize, value: &Value, cut: bool) -> Rows {
        Rows {
            columns: vec!["n".into()],
            rows: vec![vec![value.clone()]; count],
            cut,
        }
    }

    #[test]
    fn text_from_outside_becomes_one_plain_line() {
        let text = "Flow\u{0} is\r\n\x1b[31m 5\u{a0}m³/h\u{202e}\u{200b} <b>now</b>\t";
        assert_eq!(plain(text), "Flow is [31m 5 m³/h <b>now</b>");
        assert_eq!(cut("äöü".into(), 3), "äöü");
        assert_eq!(cut("äöüß".into(), 3), "äö…");
    }

    #[test]
    fn sql_is_found_in_prose() {
        let cases = [
            ("Run:\n```sql\nSELECT 1;\n```\nand so on", Some("SELECT 1;")),
            ("```SQLite SELECT 2```", Some("SELECT 2")),
            (
                "```\nwith x as (select 1) select * from x\n",
                Some("with x as (select 1) select * from x"),
            ),
            (
                "```json\n{}\n``` then ```sql\nSELECT 3\n```",
                Some("SELECT 3"),
            ),
            ("```sql\n```", None),
            ("```", None),
            ("SELECT 4", None),
            ("```python\nselect\n```", None),
        ];
        for (text, sql) in cases {
            assert_eq!(fenced_sql(text), sql, "{text}");
        }
        assert_eq!(
            plain(&without_fences("It is 5. ```sql\nSELECT 1\n``` m³")),
            "It is 5. m³"
        );
    }

    #[test]
    fn thoughts_are_no_answer() {
        assert_eq!(without_thoughts("<think>hm ```sql``` </think>5 kW"), "5 kW");
        assert_eq!(without_thoughts("hm</think>5 kW"), "5 kW");
        assert_eq!(without_thoughts(" <think>hm"), "");
        assert_eq!(without_thoughts("5 kW"), "5 kW");
    }

    #[test]
    fn a_result_says_when_it_is_cut() {
        assert_eq!(
            rows_told(&rows(2, &json!(1.5), false)),
            r#"{"columns":["n"],"rows":[[1.5],[1.5]]}"#
        );
        let told = rows_told(&rows(51, &json!(null), false));
        assert!(told.contains("first 50 of 51 rows"), "{told}");
        let told = rows_told(&rows(50, &json!(null), true));
        assert!(told.contains("first 50 of more than 50 rows"), "{told}");
        let told = rows_told(&rows(9, &json!("x".repeat(1000)), false));
        assert!(
            told.contains("first 7 of 9 rows") && told.len() <= RESULT_BYTES_MAX,
            "{told}"
        );
        let told = rows_told(&rows(1, &json!("x".repeat(9000)), false));
        assert!(told.contains("first 0 of 1 rows"), "{told}");
        let mut wide = rows(0, &json!(0), false);
        wide.columns = vec!["a_name".into(); 2000];
        assert!(rows_told(&wide).contains("too many"));
    }
}
