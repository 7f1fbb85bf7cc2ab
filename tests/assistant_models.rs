//! The assistant's language model against real servers of both dialects: what is right comes to an answer, and whatever a server
//! or a model does wrong ends in time, in words that say what to do, without the key and with nothing written.

mod common;

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    sync::Once,
    thread,
    time::{Duration, Instant},
};

use common::{
    certificates::{Authority, ServerCertificate},
    model_server::{Asked, ModelServer, Step, turn},
    waiting::DEADLINE,
};
use pumphouse::{
    assistant::model::{Found, Trouble, ask},
    config::{Assistant, Dialect},
    store::question::Rows,
};
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use serde_json::{Value, json};
use tempfile::TempDir;

const BOTH: [Dialect; 2] = [Dialect::Anthropic, Dialect::OpenAi];
const KEY: &str = "sk-s3cret-k3y-0123456789";
const QUESTION: &str = "How much water did the station pump on 2026-03-01?";
const SCHEMA: &str = "readings(timestamp TEXT, date TEXT, flow REAL) -- flow: m³/h";
const TODAY: &str = "2026-03-02 08:00";
/// For what should come to an answer.
const PATIENT: Duration = Duration::from_secs(30);
/// For what never does.
const SHORT: Duration = Duration::from_secs(4);
/// Rows that the station's guard lets through.
const ROWS_MAX: usize = 200;
const SUM: &str = "SELECT SUM(flow) / 60 AS m3 FROM readings WHERE date = '2026-03-01'";
/// What begins an answer without figures.
const UNBACKED: &str = "No figures from the station stand behind this: ";

/// A station's store, and a key.
struct Case {
    folder: TempDir,
    dialect: Dialect,
    /// SQL that was run.
    ran: Vec<String>,
}

impl Case {
    fn new(dialect: Dialect) -> Self {
        static TLS: Once = Once::new();
        TLS.call_once(|| {
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let folder = TempDir::with_prefix("pumphouse-models-").expect("a folder");
        fs::write(folder.path().join("key"), format!("{KEY}\n")).expect("written");
        let store = Connection::open(folder.path().join("store.db")).expect("a store");
        let fill = "CREATE TABLE readings (timestamp TEXT, date TEXT, flow REAL);
            WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1439)
            INSERT INTO readings SELECT datetime('2026-03-01', i || ' minutes'), '2026-03-01', 60.0 FROM n;";
        store.execute_batch(fill).expect("filled");
        Self {
            folder,
            dialect,
            ran: Vec::new(),
        }
    }

    fn config(&self, url: String, timeout: Duration) -> Assistant {
        Assistant {
            dialect: self.dialect,
            url,
            model: "m-1".into(),
            key_file: Some(self.folder.path().join("key")),
            ca_file: None,
            timeout,
        }
    }

    fn server(&self, steps: Vec<Step>) -> ModelServer {
        ModelServer::start(self.dialect, Some(KEY), steps)
    }

    fn turn(&self, text: &str, calls: &[(&str, Value)]) -> Step {
        turn(self.dialect, text, calls)
    }

    /// A turn with a query.
    fn sql(&self, sql: &str) -> Step {
        self.turn("", &[("query", json!({"sql": sql}))])
    }

    /// Asks; it must end in time and tell nobody the key.
    fn ask(&mut self, config: &Assistant) -> Result<Found, Trouble> {
        let store = self.folder.path().join("store.db");
        let (began, ran) = (Instant::now(), &mut self.ran);
        let mut query = |sql: &str| {
            ran.push(sql.to_owned());
            guarded(&store, sql)
        };
        let answer = ask(config, QUESTION, SCHEMA, TODAY, &mut query);
        let took = began.elapsed();
        assert!(took < config.timeout + DEADLINE / 4, "{took:?}: {answer:?}");
        let mut told = format!("{answer:?}");
        if let Err(trouble) = &answer {
            told.push_str(&trouble.to_string());
        }
        assert!(!told.contains(KEY), "{told}");
        assert_eq!(self.readings(), 1440, "the store is as it was");
        answer
    }

    fn readings(&self) -> u32 {
        let store = Connection::open(self.folder.path().join("store.db")).expect("a store");
        let count = store.query_row("SELECT COUNT(*) FROM readings", [], |row| row.get(0));
        count.expect("a number")
    }

    /// Asks a server that does this.
    #[track_caller]
    fn goes(&mut self, steps: Vec<Step>) -> (Result<Found, Trouble>, Vec<Asked>) {
        self.goes_within(steps, PATIENT)
    }

    #[track_caller]
    fn goes_within(
        &mut self,
        steps: Vec<Step>,
        timeout: Duration,
    ) -> (Result<Found, Trouble>, Vec<Asked>) {
        let server = self.server(steps);
        let answer = self.ask(&self.config(server.url(), timeout));
        (answer, server.asked())
    }
}

/// A small guard: reads only, so many rows, so many steps of SQLite.
fn guarded(store: &PathBuf, sql: &str) -> Result<Rows, String> {
    let say = |error: rusqlite::Error| error.to_string();
    let store =
        Connection::open_with_flags(store, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(say)?;
    store
        .progress_handler(100_000, Some(|| true))
        .map_err(say)?;
    let mut statement = store.prepare(sql).map_err(say)?;
    if !statement.readonly() {
        return Err("only SELECT is allowed".into());
    }
    let columns: Vec<String> = statement
        .column_names()
        .iter()
        .map(|&name| name.to_owned())
        .collect();
    let mut found = Rows {
        columns,
        ..Rows::default()
    };
    let mut rows = statement.query([]).map_err(say)?;
    while let Some(row) = rows.next().map_err(say)? {
        if found.rows.len() == ROWS_MAX {
            found.cut = true;
            break;
        }
        let values = (0..found.columns.len()).map(|n| match row.get_ref(n).expect("a column") {
            ValueRef::Integer(n) => json!(n),
            ValueRef::Real(n) => json!(n),
            ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
            _ => Value::Null,
        });
        let values = values.collect();
        found.rows.push(values);
    }
    Ok(found)
}

#[track_caller]
fn found(answer: Result<Found, Trouble>) -> Found {
    answer.unwrap_or_else(|trouble| panic!("no answer: {trouble}"))
}

/// The words of the trouble, which must have these in them.
#[track_caller]
fn told(answer: &Result<Found, Trouble>, words: &[&str]) -> String {
    let said = answer.as_ref().expect_err("trouble").to_string();
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
    said
}

#[test]
fn a_query_its_rows_and_the_answer() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let (answer, asked) = case.goes(vec![
            case.turn("I look.", &[("query", json!({"sql": SUM}))]),
            case.turn("The station pumped 1440 m³.", &[]),
        ]);
        let answer = found(answer);
        assert_eq!(answer.text, "The station pumped 1440 m³.");
        assert_eq!(answer.sql.as_deref(), Some(SUM));
        let rows = answer.rows.expect("rows");
        assert_eq!(
            (rows.columns, rows.rows),
            (vec!["m3".to_owned()], vec![vec![json!(1440.0)]])
        );
        assert_eq!(asked.len(), 2);
        let first = asked[0].body.to_string();
        for part in [
            "readings(timestamp",
            TODAY,
            "m³/h",
            QUESTION,
            "m-1",
            "cannot switch pumps",
        ] {
            assert!(first.contains(part), "{part}: {first}");
        }
        assert_eq!(
            asked[1].results(),
            [(r#"{"columns":["m3"],"rows":[[1440.0]]}"#.to_owned(), false)]
        );
    }
}

#[test]
fn several_rounds_and_the_last_query_that_worked_counts() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let (answer, asked) = case.goes(vec![
            case.sql("SELECT MIN(flow) FROM readings"),
            case.sql("SELECT MAX(flow) AS most FROM readings"),
            case.sql("SELECT no_such_column FROM readings"),
            case.turn("At most 60 m³/h.", &[]),
        ]);
        let answer = found(answer);
        assert_eq!(
            answer.sql.as_deref(),
            Some("SELECT MAX(flow) AS most FROM readings")
        );
        assert_eq!(answer.rows.expect("rows").columns, ["most"]);
        let (reason, is_error) = &asked[3].results()[0];
        assert!(*is_error && reason.contains("no such column"), "{reason}");
    }
}

#[test]
fn several_calls_in_one_turn_are_all_answered() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let calls = [
            ("query", json!({"sql": "SELECT 1 AS a"})),
            ("query", json!({"sql": "DELETE FROM readings"})),
            ("query", json!({"sql": "SELECT 3 AS c"})),
        ];
        let (answer, asked) = case.goes(vec![case.turn("", &calls), case.turn("1 and 3.", &[])]);
        assert_eq!(found(answer).sql.as_deref(), Some("SELECT 3 AS c"));
        let errors: Vec<bool> = asked[1]
            .results()
            .into_iter()
            .map(|(_, is_error)| is_error)
            .collect();
        assert_eq!(errors, [false, true, false]);
    }
}

#[test]
fn refused_sql_is_corrected() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let (answer, asked) = case.goes(vec![
            case.sql("SELECT SUM(water) FROM readings"),
            case.sql(SUM),
            case.turn("1440 m³.", &[]),
        ]);
        assert_eq!(found(answer).text, "1440 m³.");
        let (reason, is_error) = &asked[1].results()[0];
        assert!(
            *is_error && reason.contains("no such column: water"),
            "{reason}"
        );
    }
}

#[test]
fn writes_go_to_the_guard_and_nowhere_else() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let attacks = [
            "DROP TABLE readings",
            "DELETE FROM readings",
            "UPDATE readings SET flow = 0",
            "VACUUM INTO 'never.db'",
        ];
        let mut steps: Vec<Step> = attacks.iter().map(|sql| case.sql(sql)).collect();
        steps.push(case.turn("All is deleted, P1 is on.", &[]));
        let (answer, asked) = case.goes(steps);
        let answer = found(answer);
        assert_eq!(case.ran, attacks);
        assert_eq!(answer.text, format!("{UNBACKED}All is deleted, P1 is on."));
        assert_eq!((answer.sql, answer.rows), (None, None));
        for asked in &asked[1..] {
            assert!(asked.results()[0].1, "{asked:?}");
        }
    }
}

#[test]
fn a_result_that_is_too_long_is_cut_and_says_so() {
    const NUMBERS: &str =
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000)";
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let (answer, asked) = case.goes(vec![
            case.sql(&format!("{NUMBERS} SELECT i FROM n")),
            case.sql(&format!("{NUMBERS} SELECT SUM(i) FROM n")),
            case.sql("SELECT hex(randomblob(3000)) AS long FROM readings LIMIT 9"),
            case.turn("Many.", &[]),
        ]);
        let rows = found(answer).rows.expect("rows");
        assert_eq!(
            (rows.columns, rows.rows.len()),
            (vec!["long".to_owned()], 9)
        );
        let (many, _) = &asked[1].results()[0];
        assert!(
            many.contains("only the first 50 of more than 200 rows")
                && many.contains("[50]")
                && !many.contains("[51]"),
            "{many}"
        );
        let (forever, is_error) = &asked[2].results()[0];
        assert!(*is_error && forever.contains("interrupted"), "{forever}");
        let (long, _) = &asked[3].results()[0];
        assert!(
            long.contains("only the first 1 of 9 rows") && long.len() <= 8192,
            "{long}"
        );
    }
}

#[test]
fn a_model_that_never_stops_calling_is_stopped() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        // It is told not to call in the last turn, and does so all the same.
        let steps = vec![case.sql("SELECT 7 AS n"); 6];
        let (answer, asked) = case.goes(steps);
        let answer = found(answer);
        assert!(answer.text.contains("no words"), "{}", answer.text);
        assert_eq!(answer.sql.as_deref(), Some("SELECT 7 AS n"));
        assert_eq!((asked.len(), case.ran.len()), (6, 5));
        assert!(asked[4].body["tool_choice"].to_string().contains("auto"));
        assert!(asked[5].body["tool_choice"].to_string().contains("none"));

        let mut case = Case::new(dialect);
        let (answer, _) = case.goes(vec![case.sql("DROP TABLE readings"); 6]);
        told(
            &answer,
            &[
                "the model m-1 gave neither figures nor an answer",
                "turns: 6",
            ],
        );

        let mut case = Case::new(dialect);
        let calls = vec![("query", json!({"sql": "SELECT 7"})); 30];
        let (answer, asked) = case.goes(vec![case.turn("", &calls), case.turn("7.", &[])]);
        assert_eq!(found(answer).text, "7.");
        assert_eq!(case.ran.len(), 8);
        let results = asked[1].results();
        assert_eq!(results.iter().filter(|(_, is_error)| *is_error).count(), 22);
        assert!(results[8].0.contains("no more queries"), "{results:?}");
    }
}

#[test]
fn prose_alone_is_marked_as_without_figures() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let (answer, _) = case.goes(vec![case.turn("About 5000 m³, I believe.", &[])]);
        let answer = found(answer);
        assert_eq!(answer.text, format!("{UNBACKED}About 5000 m³, I believe."));
        assert_eq!((answer.sql, answer.rows), (None, None));

        let (answer, _) = case.goes(vec![case.turn(" ", &[])]);
        told(&answer, &["neither figures nor an answer"]);
    }
}

#[test]
fn sql_in_prose_is_run_until_one_has_worked() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let prose = |sql: &str| {
            format!("<think>```sql\nSELECT 0\n```</think>Run this:\n```sql\n{sql}\n```\nIt tells.")
        };
        let (answer, asked) = case.goes(vec![
            case.turn(&prose("SELECT SUM(water) FROM readings"), &[]),
            case.turn(&prose(SUM), &[]),
            case.turn("1440 m³, as ```sql\nSELECT 5\n``` shows.", &[]),
        ]);
        let answer = found(answer);
        assert_eq!(answer.text, "1440 m³, as shows.");
        assert_eq!(answer.sql.as_deref(), Some(SUM));
        assert_eq!(case.ran.len(), 2, "{:?}", case.ran);
        assert!(
            asked[1].last().contains("no such column: water"),
            "{}",
            asked[1].last()
        );
        assert!(asked[2].last().contains("1440.0"), "{}", asked[2].last());
    }
}

#[test]
fn a_server_without_tools_is_asked_without_them() {
    for (status, message) in [
        (400, "registry.example/m-1 does not support tools"),
        (500, "tools param requires --jinja flag"),
        (
            400,
            "\"auto\" tool choice requires --enable-auto-tool-choice",
        ),
    ] {
        let mut case = Case::new(Dialect::OpenAi);
        let (answer, asked) = case.goes(vec![
            Step::error(status, message),
            case.turn(&format!("```sql\n{SUM}\n```"), &[]),
            case.turn("1440 m³.", &[]),
        ]);
        assert_eq!(found(answer).text, "1440 m³.");
        let has_tools: Vec<bool> = asked
            .iter()
            .map(|asked| asked.body["tools"].is_array())
            .collect();
        assert_eq!(has_tools, [true, false, false]);
    }
    // Only once.
    let mut case = Case::new(Dialect::OpenAi);
    let steps = vec![Step::error(400, "no tools here"); 2];
    told(&case.goes(steps).0, &["400 Bad Request: no tools here"]);
}

#[test]
fn quirks_of_local_servers_are_taken() {
    let mut case = Case::new(Dialect::OpenAi);
    let call = |id: Value, arguments: Value| json!({"id": id, "function": {"name": "query", "arguments": arguments}, "index": 0});
    let calls = json!([
        call(json!(""), json!({"sql": "SELECT 1"})),
        call(Value::Null, json!("{\"sql\": \"SELECT 2\"}")),
    ]);
    let (answer, asked) = case.goes(vec![
        Step::Answer(json!({"choices": [{"finish_reason": "stop", "message": {"tool_calls": calls}}]})),
        Step::Answer(json!({"choices": [{"message": {
            "role": "assistant", "tool_calls": null, "content": [{"type": "text", "text": "1 and "}, {"type": "text", "text": "2."}],
        }}]})),
    ]);
    assert_eq!(found(answer).text, "1 and 2.");
    assert_eq!(asked[1].results().len(), 2);

    let server = ModelServer::start(Dialect::OpenAi, None, vec![case.turn("Hello.", &[])]);
    let mut config = case.config(server.url(), PATIENT);
    config.key_file = None;
    assert_eq!(found(case.ask(&config)).text, format!("{UNBACKED}Hello."));
    assert!(!server.asked()[0].headers.contains_key("authorization"));
}

#[test]
fn blocks_that_nobody_asked_for_go_back_as_they_came() {
    let mut case = Case::new(Dialect::Anthropic);
    let blocks = json!([
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": ""},
        {"type": "tool_use", "id": "toolu_1", "name": "query", "input": {"sql": SUM}},
        17,
    ]);
    let (answer, asked) = case.goes(vec![
        Step::Answer(json!({"content": blocks, "stop_reason": "tool_use"})),
        Step::Answer(json!({"content": [{"type": "text", "text": "1440 m³ and"}], "stop_reason": "max_tokens"})),
    ]);
    assert_eq!(found(answer).text, "1440 m³ and …");
    assert_eq!(
        asked[1].body["messages"][1]["content"],
        json!([blocks[0], blocks[2]])
    );
}

#[test]
fn calls_that_are_none_are_told_why() {
    for dialect in BOTH {
        let cases = [
            ("shell", json!({"sql": "SELECT 1"}), "no such tool"),
            ("query", json!("not { JSON"), "no object"),
            ("query", json!([1]), "no object"),
            (
                "query",
                json!({"statement": "SELECT 1"}),
                "`sql` is missing",
            ),
            ("query", json!({"sql": 7}), "`sql` is no text"),
            ("query", json!({"sql": " \n"}), "`sql` is empty"),
        ];
        for (name, arguments, why) in cases {
            let mut case = Case::new(dialect);
            let (answer, asked) = case.goes(vec![
                case.turn("", &[(name, arguments)]),
                case.sql(SUM),
                case.turn("1440 m³.", &[]),
            ]);
            assert_eq!(found(answer).sql.as_deref(), Some(SUM));
            assert_eq!(case.ran, [SUM]);
            let (reason, is_error) = &asked[1].results()[0];
            assert!(*is_error && reason.contains(why), "{why}: {reason}");
        }
    }
}

#[test]
fn answers_of_another_shape_are_nonsense() {
    let texts = [
        ("", "it is empty"),
        ("{\"content\": [", "it is not JSON"),
        (
            "<!DOCTYPE html><html><body>Welcome</body></html>",
            "a page for browsers",
        ),
        ("\u{feff}hello", "it is not JSON"),
    ];
    let shapes = [
        "null",
        "17",
        "\"text\"",
        "[]",
        "{}",
        r#"{"content": "text"}"#,
        r#"{"choices": []}"#,
        r#"{"choices": [{"message": 1}]}"#,
        r#"{"choices": {"0": {}}}"#,
        r#"{"content": null}"#,
    ];
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        for (body, why) in texts {
            let (answer, _) = case.goes(vec![Step::text(body)]);
            told(&answer, &["answers nonsense", why, "assistant.url"]);
        }
        for body in shapes {
            let (answer, _) = case.goes(vec![Step::text(body)]);
            told(
                &answer,
                &["answers nonsense: there is no", "assistant.provider"],
            );
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        told(&case.goes(vec![Step::text(&deep)]).0, &["answers nonsense"]);
        // It goes wrong in the middle, too.
        let (answer, _) = case.goes(vec![case.sql(SUM), Step::text("{}")]);
        told(&answer, &["answers nonsense"]);
    }
    let mut case = Case::new(Dialect::Anthropic);
    let call = json!({"content": [{"type": "tool_use", "name": "query", "input": {"sql": SUM}}]});
    told(
        &case.goes(vec![Step::Answer(call)]).0,
        &["a call in it has no `id`"],
    );
    let mut case = Case::new(Dialect::OpenAi);
    let error = json!({"error": {"message": "no credits"}});
    told(
        &case.goes(vec![Step::Answer(error)]).0,
        &["answers nonsense: no credits"],
    );
}

#[test]
fn refusals_say_what_to_do() {
    let cases: [(u16, &[&str]); 8] = [
        (400, &["400 Bad Request: it says so", "assistant.model"]),
        (
            401,
            &[
                "401 Unauthorized: it says so",
                "check the key in assistant.key_file",
            ],
        ),
        (
            403,
            &[
                "403 Forbidden: it says so",
                "check the key in assistant.key_file",
            ],
        ),
        (
            404,
            &[
                "404 Not Found: it says so",
                "assistant.url",
                "assistant.model",
            ],
        ),
        (
            429,
            &["is busy (429 Too Many Requests: it says so)", "later"],
        ),
        (
            500,
            &["500 Internal Server Error: it says so", "server's own log"],
        ),
        (503, &["is busy (503", "later"]),
        (529, &["is busy (529: it says so)", "later"]),
    ];
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        for (status, words) in cases {
            let (answer, asked) = case.goes(vec![Step::error(status, "it says so")]);
            told(&answer, words);
            assert_eq!(asked.len(), 1, "nothing is tried again");
        }
        let page = "<html><body>nginx</body></html>".to_owned();
        let (answer, _) = case.goes(vec![Step::Status(502, String::new(), page)]);
        let said = told(&answer, &["502 Bad Gateway; look"]);
        assert!(!said.contains("nginx"), "{said}");
        let text = format!("line\u{1b}[31m\nline {}", "x".repeat(5000));
        let (answer, _) = case.goes(vec![Step::Status(418, String::new(), text)]);
        let said = told(&answer, &["line[31m line xxx", "…"]);
        assert!(said.len() < 600, "{said}");
    }
    // Without a key the advice is another one.
    let mut case = Case::new(Dialect::OpenAi);
    let server = ModelServer::start(Dialect::OpenAi, None, vec![Step::error(401, "who?")]);
    let mut config = case.config(server.url(), PATIENT);
    config.key_file = None;
    told(
        &case.ask(&config),
        &["name a file with a key as assistant.key_file"],
    );
}

#[test]
fn redirects_are_not_followed() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let elsewhere = case.server(vec![case.turn("Caught.", &[])]);
        for status in [301, 302, 303, 307, 308] {
            let to = format!("{}/v1/messages", elsewhere.url());
            let (answer, asked) = case.goes(vec![Step::redirect(status, &to)]);
            told(&answer, &["redirects are not followed", "assistant.url"]);
            assert_eq!(asked.len(), 1);
        }
        assert_eq!(elsewhere.asked().len(), 0, "no key is sent there");
    }
}

#[test]
fn the_time_is_over_for_all_rounds_together() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"content\": ";
    let hanging = [
        Step::Stall(Vec::new()),
        Step::Stall(b"HTTP/1.1 200 OK\r\nContent-".to_vec()),
        Step::Stall(head.to_vec()),
        Step::Drip,
    ];
    thread::scope(|all| {
        for (dialect, step) in BOTH
            .iter()
            .flat_map(|&dialect| hanging.iter().map(move |step| (dialect, step)))
        {
            all.spawn(move || {
                let mut case = Case::new(dialect);
                let steps = vec![case.sql(SUM), step.clone()];
                let (answer, asked) = case.goes_within(steps, SHORT);
                told(
                    &answer,
                    &["has not answered within 4 s", "assistant.timeout_s"],
                );
                assert_eq!(asked.len(), 2);
            });
        }
    });
}

#[test]
fn a_refusal_that_does_not_end_is_still_one() {
    let refusal = b"HTTP/1.1 401 No\r\nContent-Length: 1000\r\n\r\nno".to_vec();
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let (answer, _) = case.goes_within(vec![Step::Stall(refusal.clone())], SHORT);
        told(&answer, &["401 Unauthorized: no"]);
    }
}

#[test]
fn a_slow_query_takes_from_the_same_time() {
    for dialect in BOTH {
        let case = Case::new(dialect);
        let calls = vec![("query", json!({"sql": "SELECT 1"})); 8];
        let server = case.server(vec![case.turn("", &calls)]);
        let config = case.config(server.url(), SHORT);
        let mut ran = 0;
        let mut query = |_: &str| {
            ran += 1;
            thread::sleep(SHORT * 2 / 3);
            Ok(Rows::default())
        };
        let answer = ask(&config, QUESTION, SCHEMA, TODAY, &mut query);
        told(&answer, &["has not answered within 4 s"]);
        assert!(ran <= 2, "{ran} queries");
        assert_eq!(server.asked().len(), 1);
    }
}

#[test]
fn answers_that_break_off_or_do_not_end_are_trouble() {
    let body =
        |text: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{text}").into_bytes();
    let chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"con".to_vec();
    let no_chunk = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello".to_vec();
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        for broken in [
            Step::Close,
            Step::Raw(b"HTTP/1.1 200 OK\r\nConte".to_vec()),
            Step::Raw(body("{\"con")),
            Step::Raw(chunk.clone()),
        ] {
            let (answer, _) = case.goes(vec![broken]);
            told(&answer, &["broke off", "try again"]);
        }
        for endless in [
            Step::Endless,
            Step::Huge(30_000_000),
            Step::Huge(1024 * 1024 + 1),
        ] {
            let (answer, _) = case.goes(vec![endless]);
            told(&answer, &["answers nonsense: it is longer than 1 MB"]);
        }
        for garbage in [&b"SSH-2.0-OpenSSH_9.2\r\n"[..], &[0xff; 4096], &no_chunk] {
            let (answer, _) = case.goes(vec![Step::Raw(garbage.to_vec())]);
            told(&answer, &["answers nonsense: it is no HTTP"]);
        }
        let long = format!(
            "HTTP/1.1 200 OK\r\n{}",
            "X-Long: 0123456789\r\n".repeat(50_000)
        );
        told(
            &case.goes(vec![Step::Raw(long.into_bytes())]).0,
            &["answers nonsense: it is no HTTP"],
        );
        let flood = "HTTP/1.1 100 Continue\r\n\r\n".repeat(5000);
        let (answer, _) = case.goes(vec![Step::Raw(flood.into_bytes())]);
        told(&answer, &["http://127.0.0.1"]);
        let nothing = b"HTTP/1.1 204 No Content\r\n\r\n".to_vec();
        told(&case.goes(vec![Step::Raw(nothing)]).0, &["it is empty"]);
        told(
            &case.goes(vec![Step::Huge(1024 * 1024)]).0,
            &["it is empty"],
        );
    }
}

#[test]
fn a_server_that_is_not_there_is_named_without_what_is_secret() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let port = {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            listener.local_addr().expect("an address").port()
        };
        let config = case.config(format!("http://127.0.0.1:{port}/se-cret/path"), PATIENT);
        let said = told(
            &case.ask(&config),
            &[
                &format!("http://127.0.0.1:{port} cannot"),
                "start the server",
            ],
        );
        assert!(!said.contains("se-cret"), "{said}");
        let config = case.config("http://no-such-host.invalid".into(), PATIENT);
        told(
            &case.ask(&config),
            &[
                "http://no-such-host.invalid",
                "cannot be reached",
                "assistant.url",
            ],
        );
        let config = case.config("no address".into(), PATIENT);
        told(
            &case.ask(&config),
            &["cannot be asked: assistant.url is no address"],
        );
        assert_eq!(case.ran.len(), 0);
    }
}

#[test]
fn a_key_that_does_not_do_is_told_of_before_anything_is_sent() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let server = case.server(vec![]);
        let mut config = case.config(server.url(), PATIENT);
        for (key, why) in [("", "is empty"), ("sk-s3cret\nk3y", "holds no key")] {
            fs::write(case.folder.path().join("key"), key).expect("written");
            let said = told(&case.ask(&config), &["cannot be asked", why, "[assistant]"]);
            assert!(!said.contains("s3cret"), "{said}");
        }
        config.key_file = Some(case.folder.path().join("none"));
        told(&case.ask(&config), &["cannot read the secret", "none"]);
        assert_eq!(server.asked().len(), 0);
    }
}

#[test]
fn a_key_that_comes_back_is_blanked_out() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let (answer, _) = case.goes(vec![Step::Echo(401)]);
        told(&answer, &["you sent … here"]);
        let hidden = KEY.replace("s3cret", "s3\u{200b}cr\u{0}et");
        let (answer, _) = case.goes(vec![Step::error(400, &hidden)]);
        let said = told(&answer, &["400 Bad Request: …"]);
        assert!(!said.contains("k3y"), "{said}");
        let (answer, _) = case.goes(vec![
            case.sql(&format!("SELECT '{KEY}' AS k")),
            case.turn(&format!("It is {KEY} and {hidden}."), &[]),
        ]);
        let answer = found(answer);
        assert_eq!(answer.text, "It is … and ….");
        assert_eq!(answer.sql.as_deref(), Some("SELECT '…' AS k"));
        let long = format!("{}{KEY}", "x".repeat(190));
        let (answer, _) = case.goes(vec![Step::error(400, &long)]);
        let said = told(&answer, &["xxx…"]);
        assert!(!said.contains("sk-"), "{said}");
    }
    // A stand-in for a key is no secret: blanking it out would tear the SQL.
    let mut case = Case::new(Dialect::OpenAi);
    fs::write(case.folder.path().join("key"), "x").expect("written");
    let max = "SELECT max(flow) AS x FROM readings";
    let steps = vec![case.sql(max), case.turn("x is 60.", &[])];
    let server = ModelServer::start(Dialect::OpenAi, Some("x"), steps);
    let answer = found(case.ask(&case.config(server.url(), PATIENT)));
    assert_eq!(
        (answer.text.as_str(), answer.sql.as_deref()),
        ("x is 60.", Some(max))
    );
    server.asked();
}

#[test]
fn words_are_plain_text_of_bounded_length() {
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let text = "a\u{0}b\u{7}\r\n\u{1b}[2J <script>alert(1)</script>\u{202e}\t**c**";
        let (answer, _) = case.goes(vec![case.sql(SUM), case.turn(text, &[])]);
        // Who shows it shows text: markup is the page's concern.
        assert_eq!(found(answer).text, "ab [2J <script>alert(1)</script> **c**");
        let (answer, _) = case.goes(vec![case.turn(&"ä".repeat(100_000), &[])]);
        let text = found(answer).text;
        assert!(text.starts_with(UNBACKED) && text.ends_with("ä…"), "{text}");
        assert_eq!(text.chars().count(), 4000);
    }
}

#[test]
fn a_server_must_prove_its_name() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    for dialect in BOTH {
        let mut case = Case::new(dialect);
        let start = |certificate: &ServerCertificate| {
            let steps = vec![turn(dialect, "Hello.", &[])];
            ModelServer::start_tls(dialect, Some(KEY), steps, certificate)
        };
        for (certificate, why) in [
            (theirs.server(&["127.0.0.1"]), "assistant.ca_file"),
            (
                ours.server(&["elsewhere.example"]),
                "for the host of assistant.url",
            ),
            (ours.expired_server(&["127.0.0.1"]), "valid now"),
        ] {
            let server = start(&certificate);
            let mut config = case.config(server.url(), PATIENT);
            config.ca_file = Some(ours.file());
            told(&case.ask(&config), &["cannot be reached", why]);
            assert_eq!(server.asked().len(), 0, "nothing is told to a stranger");
        }
        let server = start(&ours.server(&["127.0.0.1"]));
        let mut config = case.config(server.url(), PATIENT);
        config.ca_file = Some(ours.file());
        assert_eq!(found(case.ask(&config)).text, format!("{UNBACKED}Hello."));
        assert_eq!(server.asked().len(), 1);

        config.ca_file = Some(case.folder.path().join("key"));
        told(
            &case.ask(&config),
            &["cannot be asked", "holds no certificate"],
        );
        // TLS is spoken to who does not speak it.
        let plain = case.server(vec![]);
        config.url = plain.url().replace("http:", "https:");
        config.ca_file = Some(ours.file());
        config.timeout = SHORT;
        told(&case.ask(&config), &["https://127.0.0.1"]);
    }
}
