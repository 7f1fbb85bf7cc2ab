//! The built-in questions over a simulated station: each answer's figure beside one that is worked out without its SQL.

#[path = "common/binary.rs"]
#[allow(dead_code, reason = "this test uses its own part of it")]
mod binary;
#[path = "questions/truth.rs"]
mod truth;

use std::{collections::BTreeSet, fs};

use proptest::prelude::*;
use pumphouse::{
    assistant::intents::{Context, Understood, examples, understand},
    calendar::{DAY_MIN, LocalMinute, day_of},
    store::{Store, question::Rows},
};
use rusqlite::{Connection, types::Value as Cell};
use serde_json::Value;
use tempfile::TempDir;
use truth::{FLOW_MAX, Truth};

/// Days that are simulated; the last one ends at [`NOW`].
const DAYS: &str = "35";
/// The newest minute.
const NOW: &str = "2025-04-04 14:20";
/// A zone that is far from UTC, by no whole hour.
const ZONE: &str = "Asia/Kolkata";

/// A station with its history, and what must be known to ask about it.
struct Station {
    folder: TempDir,
    context: Context,
}

fn minute(text: &str) -> LocalMinute {
    let number = |range: std::ops::Range<usize>| text[range].parse::<i64>().expect("a number");
    day_of(&text[..10]).expect("a date") * DAY_MIN + number(11..13) * 60 + number(14..16)
}

fn context() -> Context {
    Context {
        now: minute(NOW),
        first: minute("2025-03-01 00:00"),
        rated_kw: [55.0, 55.0, 75.0, 75.0, 37.0, 90.0],
        flow_max_m3h: FLOW_MAX,
        currency: "EUR".into(),
    }
}

/// Five weeks with faults, and some forecasts, plans and savings beside them.
fn station() -> Station {
    let folder = TempDir::with_prefix("pumphouse-questions-").expect("a folder");
    let path = folder.path();
    fs::write(
        path.join("faults.json"),
        include_str!("questions/faults.json"),
    )
    .expect("written");
    let arguments = [
        "simulate",
        "--out",
        ".",
        "--days",
        DAYS,
        "--start",
        "2025-03-01",
        "--seed",
        "11",
        "--faults",
        "faults.json",
    ];
    assert!(binary::run(path, &arguments).status.success());
    let last = path.join("exports").join("2025-04-04.csv");
    let text = fs::read_to_string(&last).expect("text");
    let is_past =
        |line: &&str| !line.starts_with(|c: char| c.is_ascii_digit()) || line[..16] <= *NOW;
    let past: String = text.split_inclusive('\n').filter(is_past).collect();
    fs::write(&last, past).expect("written");
    let config = path.join("pumphouse.toml");
    let text = fs::read_to_string(&config).expect("the config");
    let zoned = text.replace("timezone = \"UTC\"", &format!("timezone = \"{ZONE}\""));
    assert_ne!(text, zoned, "the simulated station is in UTC");
    fs::write(&config, zoned).expect("written");
    binary::ingest(path, &[path.join("exports")]);
    let store = Connection::open(path.join("pumphouse.db")).expect("the store");
    store
        .execute_batch(include_str!("questions/later.sql"))
        .expect("forecasts, plans and savings");
    Station {
        folder,
        context: context(),
    }
}

impl Station {
    fn store(&self) -> Connection {
        Connection::open(self.folder.path().join("pumphouse.db")).expect("the store")
    }
}

fn rows(store: &Connection, sql: &str) -> Rows {
    let mut statement = store
        .prepare(sql)
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
    let columns: Vec<String> = statement
        .column_names()
        .into_iter()
        .map(Into::into)
        .collect();
    let width = columns.len();
    let found = statement.query_map([], |row| {
        let cell = |place: usize| {
            Ok(match row.get::<_, Cell>(place)? {
                Cell::Null | Cell::Blob(_) => Value::Null,
                Cell::Integer(number) => number.into(),
                Cell::Real(number) => number.into(),
                Cell::Text(text) => text.into(),
            })
        };
        (0..width)
            .map(cell)
            .collect::<rusqlite::Result<Vec<Value>>>()
    });
    let rows = found
        .expect("rows")
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
    Rows {
        columns,
        rows,
        cut: false,
    }
}

/// The lines of a data file: a question, and what its answer must contain.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (question, expected) = line
            .split_once(" | ")
            .unwrap_or_else(|| panic!("no bar in {line:?}"));
        (question.trim(), expected.trim())
    })
}

/// Whether a text contains another one that is not a part of a longer number.
fn contains(text: &str, part: &str) -> bool {
    text.match_indices(part).any(|(place, _)| {
        let before = text[..place].chars().next_back();
        let after = &text[place + part.len()..];
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let starts = part.starts_with(|c: char| c.is_ascii_digit());
        let goes_on = after.starts_with([',', '.']) && digit(after.chars().nth(1))
            || digit(after.chars().next());
        let joined = digit(before)
            || before == Some('-')
            || matches!(before, Some('.' | ',')) && digit(text[..place].chars().rev().nth(1));
        !(starts && joined || part.ends_with(|c: char| c.is_ascii_digit()) && goes_on)
    })
}

/// What is missing of an answer: `'text'` as it stands, `expression @form` as worked out.
fn missing(truth: &Truth, answer: &str, expected: &str) -> Vec<String> {
    let items = expected.split(';').map(str::trim);
    let is_missing = |item: &str| {
        let quoted = item
            .strip_prefix('\'')
            .and_then(|item| item.strip_suffix('\''));
        let (choices, unit) = match quoted {
            Some(text) => (vec![text.to_owned()], ""),
            None => {
                let (expression, form) = item.split_once('@').unwrap_or((item, "0"));
                let (form, unit) = form.trim().split_once(' ').unwrap_or((form.trim(), ""));
                (truth.value(expression).written(form), unit)
            }
        };
        let choices: BTreeSet<String> = choices
            .into_iter()
            .map(|text| format!("{text} {unit}").trim_end().to_owned())
            .collect();
        let found = choices.iter().any(|choice| contains(answer, choice));
        (!found).then(|| format!("{item} = {choices:?}"))
    };
    items.filter_map(is_missing).collect()
}

fn checked(question: &str, context: &Context) -> Understood {
    understand(question, context)
        .unwrap_or_else(|refused| panic!("{question:?} is refused: {refused}"))
}

#[test]
fn answers_have_the_figures_that_the_minutes_have() {
    let station = station();
    let store = station.store();
    let truth = Truth::read(&store);
    assert!(truth.rows.len() > 49_000 && truth.alerts.len() > 100);
    let (mut wrong, mut count) = (Vec::new(), 0);
    for (question, expected) in lines(include_str!("questions/answered.txt")) {
        count += 1;
        match understand(question, &station.context) {
            Ok(understood) => {
                let answer = understood.say(&rows(&store, &understood.sql));
                let missing = missing(&truth, &answer, expected);
                if !missing.is_empty() {
                    wrong.push(format!(
                        "{question}\n  said   {answer}\n  lacks  {}\n  {}",
                        missing.join("; "),
                        understood.sql
                    ));
                }
            }
            Err(refused) => wrong.push(format!("{question}\n  refused: {refused}")),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {count} answers are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count >= 230, "only {count} questions");
}

#[test]
fn refuses_with_the_right_word() {
    let context = context();
    let mut wrong = Vec::new();
    for (question, word) in lines(include_str!("questions/refused.txt")) {
        match understand(question, &context) {
            Ok(understood) => wrong.push(format!("{question}: answered by {}", understood.sql)),
            Err(refused) if !refused.to_string().contains(word) => {
                wrong.push(format!("{question}: {refused}, without {word:?}"))
            }
            Err(refused) if refused.suggestions.len() != 3 => {
                wrong.push(format!("{question}: {:?}", refused.suggestions))
            }
            Err(_) => (),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_examples_are_understood() {
    for question in examples() {
        checked(question, &context());
    }
}

/// A store without a row, as a daemon makes it.
fn empty_store() -> (TempDir, Connection) {
    let folder = TempDir::with_prefix("pumphouse-questions-").expect("a folder");
    let path = folder.path().join("empty.db");
    drop(Store::open(&path, None).expect("a store"));
    let store = Connection::open(&path).expect("the store");
    (folder, store)
}

/// One SELECT, which SQLite prepares and runs, and of which something can be said.
fn is_sound(understood: &Understood, store: &Connection) -> String {
    let sql = &understood.sql;
    assert!(sql.starts_with("SELECT ") && !sql.contains(';'), "{sql}");
    assert!(!sql.contains('{') && !sql.contains('}'), "{sql}");
    let statements =
        sqlparser::parser::Parser::parse_sql(&sqlparser::dialect::SQLiteDialect {}, sql);
    let statements = statements.unwrap_or_else(|error| panic!("{error}: {sql}"));
    assert!(
        matches!(statements.as_slice(), [sqlparser::ast::Statement::Query(_)]),
        "{sql}"
    );
    let statement = store
        .prepare(sql)
        .unwrap_or_else(|error| panic!("{error}: {sql}"));
    assert!(statement.readonly(), "{sql}");
    understood.say(&rows(store, sql))
}

#[test]
fn every_question_is_one_select_and_has_an_answer_without_data() {
    let (_folder, store) = empty_store();
    let context = context();
    let answered = lines(include_str!("questions/answered.txt")).map(|(question, _)| question);
    for question in answered.chain(examples().iter().copied()) {
        let said = is_sound(&checked(question, &context), &store);
        assert!(
            said.ends_with(['.', ')', '?']) && said.len() > 10,
            "{question}: {said}"
        );
    }
}

/// Half a question is what comes from whoever presses Enter too early; its last words may want others after them.
#[test]
fn a_question_cut_short_is_answered_or_refused() {
    let context = context();
    let whole = lines(include_str!("questions/answered.txt")).map(|(question, _)| question);
    for question in whole.chain(["0o", "5 to", "from 3 until the"]) {
        for (end, _) in question.char_indices() {
            let _ = understand(&question[..end], &context);
        }
        let _ = understand(question, &context);
    }
}

/// Words that questions are made of, and some that they are not.
const SALAD: &[&str] = &[
    "which",
    "pump",
    "P3",
    "P9",
    "how",
    "many",
    "when",
    "was",
    "the",
    "level",
    "flow",
    "energy",
    "most",
    "least",
    "average",
    "yesterday",
    "last",
    "week",
    "between",
    "and",
    "8",
    "12",
    "20",
    "%",
    "kWh",
    "per",
    "m³",
    "day",
    "hour",
    "above",
    "below",
    "than",
    "compare",
    "with",
    "start",
    "stops",
    "alerts",
    "open",
    "critical",
    "B-01",
    "trip",
    "outage",
    "longest",
    "since",
    "Monday",
    "March",
    "4",
    "2025-03-04",
    "14:30",
    "from",
    "to",
    "in",
    "next",
    "will",
    "forecast",
    "plan",
    "health",
    "worst",
    "show",
    "plot",
    "daily",
    "night",
    "weekends",
    "peak",
    "hours",
    "vs",
    "31",
    "February",
    "1/2",
    "first",
    "99999999",
    "ago",
    "now",
    "0",
    "'; DROP",
    "--",
    "ü",
    "\u{0}",
    "三",
    "efficiency",
    "trend",
    "stability",
    "target",
    "gap",
    "rows",
    "RMSE",
    "savings",
    "cost",
    "week",
    "53",
    "year",
    "1e308",
    "months",
    "minute",
    "not",
    "while",
    "running",
    "each",
    "until",
    "before",
    "after",
    "from",
    "to",
    "about",
    "lowest",
    "highest",
    "min",
    "max",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn word_salad_is_answered_by_one_select_or_refused(words in prop::collection::vec(prop::sample::select(SALAD), 0..12)) {
        let question = words.join(" ");
        if let Ok(understood) = understand(&question, &context()) {
            thread_local! {
                static STORE: (TempDir, Connection) = empty_store();
            }
            STORE.with(|(_, store)| is_sound(&understood, store));
        }
    }

    #[test]
    fn nothing_that_is_typed_makes_it_fail(question in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = understand(&question, &context());
        let _ = understand(&String::from_utf8_lossy(&bytes), &context());
    }
}
