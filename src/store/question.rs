//! The guard: runs a SELECT that nobody here has written, for reading only and within bounds.
//!
//! *Invariants.* A question reads the tables of [`TABLES`] and no other. It changes nothing, and it ends: in time, in memory,
//! in the size of its answer. No refusal quotes what stands in another table.
//!
//! No layer is trusted alone. sqlparser knows what the SQL *says* and answers in clear words, but is not SQLite. SQLite's
//! authorizer knows what is *read*, but not how much. The limits bound each piece, the progress handler time and memory of a
//! statement that runs; neither is asked while SQLite prepares one, so what that takes is worked out before (`Sizes`).
//!
//! A sort that is larger than the cache goes to a temporary file, which has no name and goes with the question. How large it
//! grows is bounded by the question's time alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context;
use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    hooks::{AuthAction, AuthContext, Authorization},
    limits::Limit,
    types::ValueRef,
};
use serde::Serialize;
use serde_json::{Number, Value};
use sqlparser::{
    ast::{
        Expr, ObjectName, Query, Select, SelectItem, SetExpr, Statement as Parsed, TableFactor,
        Visit, Visitor,
    },
    dialect::SQLiteDialect,
    keywords::Keyword,
    parser::Parser,
    tokenizer::{Token, Tokenizer, Whitespace},
};

use super::open_read_only;

/// The longest SQL, bytes.
const SQL_BYTES_MAX: usize = 20_000;
/// The most words and signs in it. sqlparser makes `1+1+…` as deep as it is long, and what it made is walked by recursion: the
/// tests do so with this many on a stack of 2 MB.
const TOKENS_MAX: usize = 4_000;
/// The deepest parentheses. sqlparser tries both readings of some of them.
const PARENTHESES_MAX: usize = 24;
/// The most SELECTs once common table expressions and views stand in place of their names.
const SELECTS_MAX: u64 = 200;
/// The most copies of its tokens that SQLite may make when it puts the columns of subqueries in place of their names.
const COPIES_MAX: u64 = 2_000_000;
/// The longest text or row that SQLite makes, bytes. One call of `instr` takes as long as the product of two texts: of this
/// length some 10 ms, and some calls fit between two looks at the clock.
const TEXT_BYTES_MAX: i32 = 100_000;
/// How much the process may grow while a question runs, bytes.
const MEMORY_BYTES_MAX: u64 = 40 << 20;
/// Between two looks at that: the kernel is asked each time.
const BETWEEN_WEIGHINGS: Duration = Duration::from_millis(2);
/// Instructions between two looks at clock and memory: each may make a text of [`TEXT_BYTES_MAX`].
const STEPS_BETWEEN_LOOKS: i32 = 50;
/// The longest message of SQLite or sqlparser that is handed on, characters: they quote the SQL.
const MESSAGE_CHARS_MAX: usize = 300;

/// What can be asked about, and what it is.
const ABOUT: [(&str, &str); 20] = [
    (
        "readings_wide",
        "one row a minute: flow fit101_per_hr m3/h, level hlt_pct % of the tank, pN_kwh power of pump N in kW (not energy), \
         pN_onoff 0 or 1, total_kw",
    ),
    (
        "readings_wide_plc",
        "the same under the PLC's tag names; quote them with double quotes",
    ),
    (
        "pump_sessions",
        "one row for each run of a pump; end_time is null while it runs",
    ),
    (
        "hourly_profile",
        "one row an hour: flow m3/h and m3, level %, energy kWh",
    ),
    (
        "daily_summary",
        "one row a day: total_flow m3, total_kwh kWh, energy_per_m3 kWh/m3",
    ),
    (
        "pump_health",
        "one row a day and pump (P1 to P6); health_score 0 to 100",
    ),
    (
        "alerts_log",
        "one row for each alert raised; resolved is 1 once it is over, duration_min minutes",
    ),
    (
        "alert_journal",
        "everything that happened to an alert: raised, resolved, acknowledged, shelved",
    ),
    (
        "alert_acks",
        "who acknowledged an alert; alert_id is alerts_log.id",
    ),
    ("alert_holds", "alarms shelved or out of service"),
    (
        "alerts_suppressed",
        "minutes a day that a rule was held back by design",
    ),
    (
        "predictions",
        "forecasts made at ts for for_ts, with bounds lower and upper",
    ),
    ("model_performance", "how good a model was on a date"),
    (
        "pump_expectation",
        "a pump's m3 per kWh on a date beside what is expected of a healthy one",
    ),
    ("pump_condition", "pump_health beside pump_expectation"),
    ("forecast_kpi_daily", "skill of the forecasts of a date, %"),
    (
        "kpi_daily",
        "the figures a station is judged by, one row a day",
    ),
    (
        "optimization_runs",
        "schedules advised, with cost and what they save, %; schedule is JSON",
    ),
    (
        "savings_daily",
        "what advice planned and what was metered, one row a closed day",
    ),
    ("savings_kpi_daily", "what advice saved on a date, %"),
];

/// The tables and views that can be asked about.
pub const TABLES: [&str; ABOUT.len()] = {
    let mut names = [""; ABOUT.len()];
    let mut place = 0;
    while place < names.len() {
        names[place] = ABOUT[place].0;
        place += 1;
    }
    names
};

/// Functions that can be used: those that only compute, in little time. Not `trim`: one call with a large set of
/// characters takes seconds. Not `random`: the same question has the same answer.
const FUNCTIONS: &str = "
    avg count group_concat max min string_agg sum total
    cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number
    abs acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10 log2 mod pi pow power radians
    round sign sin sinh sqrt tan tanh trunc
    char concat concat_ws format glob hex instr length like lower octet_length printf quote replace substr substring unicode upper
    current_date current_time current_timestamp date datetime julianday strftime time timediff unixepoch
    coalesce if ifnull iif likelihood likely nullif typeof unlikely
    -> ->> json_array_length json_extract json_type json_valid
";

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

/// How much a question may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long it may run.
    pub time: Duration,
    /// Rows of an answer.
    pub rows: usize,
    /// Bytes of an answer's texts, eight for each other value.
    pub bytes: usize,
}

impl Default for Limits {
    /// 2 s, 1000 rows, 1 MB.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(2),
            rows: 1000,
            bytes: 1_000_000,
        }
    }
}

/// Why a question has no answer, in words for people and models.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Something else than one SELECT.
    #[error("only one SELECT that reads can be asked")]
    NotOneSelect,
    /// A table that is not in [`TABLES`], or does not exist.
    #[error("`{0}` is not a table that can be asked about; these are: {tables}", tables = TABLES.join(", "))]
    Table(String),
    /// A function that is not in the list.
    #[error("the function `{0}` cannot be used")]
    Function(String),
    /// The SQL is too long, too deep or too much of a tangle.
    #[error("the SQL is too long or too nested; ask more simply")]
    TooComplex,
    /// It ran out of time.
    #[error("it did not end within {} s; ask about a shorter time or fewer columns", .0.as_secs_f64())]
    Time(Duration),
    /// It ran out of memory.
    #[error("it takes too much memory; ask about a shorter time or fewer columns")]
    Memory,
    /// The SQL is wrong; what is wrong, in the words of SQLite or of the parser.
    #[error("the SQL is wrong: {0}")]
    Sql(String),
    /// The store is damaged.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store cannot be read now.
    #[error("the store cannot be read now: {0}")]
    Store(String),
}

/// A store that can be asked.
pub struct Guard {
    connection: Connection,
    path: PathBuf,
    limits: Limits,
    /// Names of everything in the store and of SQLite's own tables, lower case.
    taken: BTreeSet<String>,
}

/// Why a statement was stopped from within SQLite, which itself only says that it was.
type Cause = Arc<Mutex<Option<Refusal>>>;

impl Guard {
    /// Opens a store, which must exist.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn open(path: &Path, limits: Limits) -> anyhow::Result<Self> {
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )
        .with_context(|| format!("cannot open the store {}", path.display()))?;
        let taken = prepare(&connection)
            .with_context(|| format!("cannot guard the store {}", path.display()))?;
        Ok(Self {
            connection,
            path: path.to_path_buf(),
            limits,
            taken,
        })
    }

    /// Answers a question in SQL.
    ///
    /// # Errors
    ///
    /// It is refused, or wrong.
    pub fn query(&mut self, sql: &str) -> Result<Rows, Refusal> {
        let deadline = Instant::now() + self.limits.time;
        let (sql, names) = understand(sql, &self.taken)?;
        let cause = Cause::default();
        let found = self
            .watch(deadline, names, &cause)
            .map_err(Stop::Sqlite)
            .and_then(|()| self.run(&sql));
        // What was found is complete, so what it was found with may be dropped; the authorizer stays.
        let _ = self.connection.progress_handler(0, None::<fn() -> bool>);
        found.map_err(|stop| {
            let cause = cause.lock().unwrap_or_else(PoisonError::into_inner).take();
            match (stop, cause) {
                (_, Some(cause)) => cause,
                (Stop::Refused(refusal), None) => refusal,
                (Stop::Sqlite(error), None) => refusal_of(&error, self.limits.time),
            }
        })
    }

    /// The tables as a model needs to know them, one a line: `table(column type, …) -- what it is`.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub fn schema(&self) -> anyhow::Result<String> {
        // The guarded connection may not read the schema.
        let connection = open_read_only(&self.path)?;
        let mut text = String::new();
        for (table, about) in ABOUT {
            let mut statement = connection.prepare(
                "SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid",
            )?;
            let columns = statement.query_map([table], |row| {
                let (name, of_type): (String, String) = (row.get(0)?, row.get(1)?);
                let is_plain = name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                let name = if is_plain {
                    name
                } else {
                    format!("\"{name}\"")
                };
                Ok(format!("{name} {}", of_type.to_lowercase())
                    .trim_end()
                    .to_owned())
            })?;
            let columns = columns.collect::<rusqlite::Result<Vec<_>>>()?.join(", ");
            writeln!(text, "{table}({columns}) -- {about}")?;
        }
        Ok(text)
    }

    /// Puts the authorizer and the progress handler of one question in place.
    fn watch(
        &self,
        deadline: Instant,
        names: BTreeSet<String>,
        cause: &Cause,
    ) -> rusqlite::Result<()> {
        let denied = cause.clone();
        // Says of each table and function that is read whether it may be: the one layer that sees what SQLite understood.
        self.connection
            .authorizer(Some(move |context: AuthContext<'_>| {
                match judge(&context, &names) {
                    Ok(()) => Authorization::Allow,
                    Err(refusal) => {
                        note(&denied, refusal);
                        Authorization::Deny
                    }
                }
            }))?;
        let (stopped, time) = (cause.clone(), self.limits.time);
        let memory_max = memory_bytes() + MEMORY_BYTES_MAX;
        let mut weighed = Instant::now();
        // Ends what reads little and takes for ever, or makes much of little: no limit of SQLite's does.
        self.connection.progress_handler(
            STEPS_BETWEEN_LOOKS,
            Some(move || {
                let now = Instant::now();
                if now >= deadline {
                    note(&stopped, Refusal::Time(time));
                    return true;
                }
                let is_due = now - weighed >= BETWEEN_WEIGHINGS;
                if is_due {
                    weighed = now;
                }
                let is_heavy = is_due && memory_bytes() > memory_max;
                if is_heavy {
                    note(&stopped, Refusal::Memory);
                }
                is_heavy
            }),
        )
    }

    /// Runs a statement. It is reset when this returns, so that it does not keep the log from being checkpointed.
    fn run(&self, sql: &str) -> Result<Rows, Stop> {
        let mut statement = self.connection.prepare(sql)?;
        // VACUUM INTO passes the authorizer of a connection that reads only, and so does EXPLAIN.
        if !statement.readonly() || statement.is_explain() != 0 || statement.column_count() == 0 {
            return Err(Stop::Refused(Refusal::NotOneSelect));
        }
        if statement.parameter_count() > 0 {
            return Err(Stop::Refused(Refusal::Sql(
                "values cannot be left open".to_owned(),
            )));
        }
        let columns = unique(statement.column_names());
        let count = columns.len();
        let mut bytes: usize = columns.iter().map(String::len).sum();
        let mut found = Rows {
            columns,
            ..Rows::default()
        };
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut cells = Vec::with_capacity(count);
            for column in 0..count {
                let value = value(row.get_ref(column)?);
                bytes += value.as_str().map_or(8, str::len);
                if bytes > self.limits.bytes {
                    break;
                }
                cells.push(value);
            }
            if cells.len() < count || found.rows.len() == self.limits.rows {
                found.cut = true;
                break;
            }
            found.rows.push(cells);
        }
        Ok(found)
    }
}

/// Why a run ended without an answer.
enum Stop {
    Refused(Refusal),
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Narrows a connection down; names of everything that it could read.
fn prepare(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    connection.busy_timeout(Duration::from_secs(1))?;
    // Read-only files still let temporary tables be written.
    connection.pragma_update(None, "query_only", "ON")?;
    // Nothing in the schema calls what has effects.
    connection.pragma_update(None, "trusted_schema", "OFF")?;
    // A large sort goes to a file and not to memory, past a small cache.
    connection.pragma_update(None, "temp_store", "FILE")?;
    connection.pragma_update(None, "cache_size", -2000)?;
    let mut names = BTreeSet::new();
    let mut statement = connection
        .prepare("SELECT name FROM pragma_table_list UNION SELECT name FROM pragma_module_list")?;
    for name in statement.query_map([], |row| row.get::<_, String>(0))? {
        names.insert(name?.to_ascii_lowercase());
    }
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_ATTACHED, 0),
        (Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES_MAX as i32),
        (Limit::SQLITE_LIMIT_LENGTH, TEXT_BYTES_MAX),
        (Limit::SQLITE_LIMIT_EXPR_DEPTH, 100),
        (Limit::SQLITE_LIMIT_VDBE_OP, 50_000),
        // Two tables side by side have 100.
        (Limit::SQLITE_LIMIT_COLUMN, 200),
        (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 50),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100),
        (Limit::SQLITE_LIMIT_FUNCTION_ARG, 50),
        (Limit::SQLITE_LIMIT_VARIABLE_NUMBER, 0),
        (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
    ] {
        connection.set_limit(limit, most)?;
    }
    Ok(names)
}

/// Keeps the first cause: those that follow come of it.
fn note(cause: &Cause, refusal: Refusal) {
    cause
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert(refusal);
}

/// What this process takes of memory, bytes; 0 where the kernel does not say.
fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) << 10
}

/// Whether a statement may do what SQLite is about to do for it; `names` are its common table expressions.
fn judge(context: &AuthContext<'_>, names: &BTreeSet<String>) -> Result<(), Refusal> {
    match context.action {
        AuthAction::Select | AuthAction::Recursive => Ok(()),
        AuthAction::Read {
            table_name,
            column_name,
        } => {
            let is_main = matches!(context.database_name, None | Some("main"));
            // Of a source without a column that counts, `count(*)`, SQLite tells the name alone, be it of a table or not.
            let is_own = column_name.is_empty() && names.contains(&table_name.to_ascii_lowercase());
            if is_main && (is_listed(table_name) || is_own) {
                Ok(())
            } else {
                Err(Refusal::Table(shorten(table_name)))
            }
        }
        AuthAction::Function { function_name } => {
            if FUNCTIONS
                .split_whitespace()
                .any(|name| name.eq_ignore_ascii_case(function_name))
            {
                Ok(())
            } else {
                Err(Refusal::Function(shorten(function_name)))
            }
        }
        _ => Err(Refusal::NotOneSelect),
    }
}

fn is_listed(table: &str) -> bool {
    TABLES.iter().any(|name| name.eq_ignore_ascii_case(table))
}

/// What an error of SQLite means to who asked.
fn refusal_of(error: &rusqlite::Error, time: Duration) -> Refusal {
    let message = match error {
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        // Its own text repeats the SQL.
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::MultipleStatement => return Refusal::NotOneSelect,
        other => other.to_string(),
    };
    let message = shorten(&message);
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => Refusal::Time(time),
        Some(ErrorCode::OutOfMemory) => Refusal::Memory,
        Some(ErrorCode::AuthorizationForStatementDenied) => Refusal::NotOneSelect,
        None | Some(ErrorCode::Unknown | ErrorCode::TooBig | ErrorCode::TypeMismatch) => {
            Refusal::Sql(message)
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Refusal::Damaged(message),
        Some(_) => Refusal::Store(message),
    }
}

fn shorten(message: &str) -> String {
    message.chars().take(MESSAGE_CHARS_MAX).collect()
}

/// Names that differ: `a`, `a_2`.
fn unique(names: Vec<&str>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::with_capacity(names.len());
    let all: BTreeSet<&str> = names.iter().copied().collect();
    for name in names {
        let mut candidate = name.to_owned();
        let mut number = 2;
        while unique.contains(&candidate) || (number > 2 && all.contains(candidate.as_str())) {
            candidate = format!("{name}_{number}");
            number += 1;
        }
        unique.push(candidate);
    }
    unique
}

/// A value as it is answered; what is not a number is null, and bytes are counted only.
fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => value.into(),
        ValueRef::Real(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned().into(),
        ValueRef::Blob(bytes) => format!("{} bytes", bytes.len()).into(),
    }
}

/// The SQL without its end mark, and the names of its common table expressions, lower case.
fn understand(sql: &str, taken: &BTreeSet<String>) -> Result<(String, BTreeSet<String>), Refusal> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(Refusal::TooComplex);
    }
    let sql = sql.trim();
    let sql = sql.strip_suffix(';').unwrap_or(sql);
    // SQLite ends at a NUL, and sqlparser does not.
    if sql.contains('\0') {
        return Err(Refusal::NotOneSelect);
    }
    let dialect = SQLiteDialect {};
    let tokens = Tokenizer::new(&dialect, sql)
        .tokenize()
        .map_err(|error| Refusal::Sql(shorten(&error.to_string())))?;
    let tokens_total = check_tokens(&tokens)?;
    let outer_joins = tokens
        .iter()
        .any(|token| is_word(token, &[Keyword::RIGHT, Keyword::FULL]));
    let shared = tokens
        .iter()
        .filter(|token| is_word(token, &[Keyword::USING, Keyword::NATURAL]));
    // Of a column that a RIGHT JOIN shares, SQLite makes a `coalesce` of all tables' columns.
    let shared = if outer_joins {
        shared.count() as u64
    } else {
        0
    };
    let statements = Parser::new(&dialect)
        .with_tokens(tokens)
        .parse_statements()
        .map_err(|error| match error {
            sqlparser::parser::ParserError::RecursionLimitExceeded => Refusal::TooComplex,
            other => Refusal::Sql(shorten(&other.to_string())),
        })?;
    let [statement @ Parsed::Query(_)] = statements.as_slice() else {
        return Err(Refusal::NotOneSelect);
    };
    let mut reading = Reading::default();
    if statement.visit(&mut reading).is_break() || reading.statements != 1 {
        return Err(Refusal::NotOneSelect);
    }
    let names: BTreeSet<String> = reading.named.values().cloned().collect();
    // One that is called like something else would make the name stand for both.
    let hidden = names
        .iter()
        .find(|name| is_taken(name, taken) && !is_listed(name));
    let unknown = reading.tables.iter().find(|table| match table.as_slice() {
        [name] => !is_listed(name) && !names.contains(name),
        [schema, name] => schema != "main" || !is_listed(name),
        _ => true,
    });
    if let Some(name) = hidden
        .cloned()
        .or_else(|| unknown.map(|parts| parts.join(".")))
    {
        return Err(Refusal::Table(shorten(&name)));
    }
    let sizes = Sizes {
        queries: &reading.queries,
        shared: 1 + shared,
    };
    let (selects, copies) = sizes.of_statement();
    if selects > SELECTS_MAX || copies.saturating_mul(tokens_total) > COPIES_MAX {
        return Err(Refusal::TooComplex);
    }
    Ok((sql.to_owned(), names))
}

/// Whether a name is that of something in the store, or SQLite makes a table of that name when it is asked for.
fn is_taken(name: &str, taken: &BTreeSet<String>) -> bool {
    taken.contains(name)
        || ["sqlite_", "pragma_", "json"]
            .iter()
            .any(|start| name.starts_with(start))
}

fn is_word(token: &Token, keywords: &[Keyword]) -> bool {
    matches!(token, Token::Word(word) if keywords.contains(&word.keyword))
}

/// How many tokens there are. Refuses those that SQLite and sqlparser may read differently: then what one does not see, the
/// other does not either. `$x$ … $x$`, say, is one text to sqlparser and two open values to SQLite.
fn check_tokens(tokens: &[Token]) -> Result<u64, Refusal> {
    let (mut total, mut depth) = (0_usize, 0_usize);
    for token in tokens {
        match token {
            Token::Whitespace(
                Whitespace::Space
                | Whitespace::Newline
                | Whitespace::Tab
                | Whitespace::MultiLineComment(_),
            ) => {
                continue;
            }
            Token::Whitespace(Whitespace::SingleLineComment { prefix, .. }) if prefix == "--" => {
                continue;
            }
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::SemiColon => return Err(Refusal::NotOneSelect),
            Token::Word(_)
            | Token::Number(_, false)
            | Token::SingleQuotedString(_)
            | Token::Comma
            | Token::Period
            | Token::Eq
            | Token::DoubleEq
            | Token::Neq
            | Token::Lt
            | Token::Gt
            | Token::LtEq
            | Token::GtEq
            | Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::Ampersand
            | Token::Pipe
            | Token::ShiftLeft
            | Token::ShiftRight
            | Token::Tilde
            | Token::Arrow
            | Token::LongArrow => {}
            other => {
                let sign = shorten(&other.to_string());
                return Err(Refusal::Sql(format!("`{sign}` cannot be used")));
            }
        }
        total += 1;
        if total > TOKENS_MAX || depth > PARENTHESES_MAX {
            return Err(Refusal::TooComplex);
        }
    }
    Ok(total as u64)
}

/// What stands in a statement.
#[derive(Default)]
struct Reading {
    /// Statements, those within others too: data can be changed in one.
    statements: usize,
    /// Tables that are read, by the parts of their names, lower case.
    tables: Vec<Vec<String>>,
    /// All queries, each before those within it.
    queries: Vec<QueryRead>,
    /// Those that are being read.
    open: Vec<usize>,
    /// Names of common table expressions by their queries' places in memory.
    named: BTreeMap<usize, String>,
    /// Queries in FROM by their places in memory.
    derived: BTreeSet<usize>,
}

/// A query, whole or part of another.
#[derive(Default)]
struct QueryRead {
    /// Its name, when it is a common table expression.
    name: Option<String>,
    /// The queries right within it that are no common table expressions.
    within: Vec<usize>,
    /// Tables and common table expressions that it reads itself.
    sources: Vec<String>,
    /// How often each column is named in it.
    columns: BTreeMap<String, u64>,
    /// Columns that get another name in it, and can be named by that.
    aliases: BTreeSet<String>,
}

fn place_of(query: &Query) -> usize {
    std::ptr::from_ref(query).addr()
}

impl Visitor for Reading {
    type Break = ();

    fn pre_visit_statement(&mut self, _: &Parsed) -> ControlFlow<()> {
        self.statements += 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            let name = cte.alias.name.value.to_ascii_lowercase();
            self.named.insert(place_of(&cte.query), name);
        }
        let changes = matches!(
            *query.body,
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_)
        );
        if changes || !query.locks.is_empty() {
            return ControlFlow::Break(());
        }
        let place = self.queries.len();
        let name = self.named.get(&place_of(query)).cloned();
        if name.is_none()
            && let Some(around) = self.open.last()
        {
            self.queries[*around].within.push(place);
        }
        self.queries.push(QueryRead {
            name,
            ..QueryRead::default()
        });
        self.open.push(place);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let Some(place) = self.open.pop() else {
            return ControlFlow::Continue(());
        };
        let is_source =
            self.queries[place].name.is_some() || self.derived.contains(&place_of(query));
        // One within an expression can name the columns of the query around it.
        if !is_source && let Some(around) = self.open.last() {
            let columns = self.queries[place].columns.clone();
            for (name, times) in columns {
                *self.queries[*around].columns.entry(name).or_default() += times;
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        if select.into.is_some() {
            return ControlFlow::Break(());
        }
        if let Some(query) = self.open.last().map(|place| &mut self.queries[*place]) {
            for item in &select.projection {
                match item {
                    SelectItem::ExprWithAlias { alias, .. } => {
                        query.aliases.insert(alias.value.to_ascii_lowercase());
                    }
                    SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => {
                        *query.columns.entry("*".to_owned()).or_default() += 1;
                    }
                    _ => {}
                }
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, .. } = factor {
            self.derived.insert(place_of(subquery));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts: Vec<String> = relation
            .0
            .iter()
            .map(|part| {
                part.as_ident()
                    .map_or_else(|| part.to_string(), |ident| ident.value.clone())
            })
            .map(|part| part.to_ascii_lowercase())
            .collect();
        if let (Some(place), Some(name)) = (self.open.last(), parts.last()) {
            self.queries[*place].sources.push(name.clone());
        }
        self.tables.push(parts);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let name = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(idents) => idents.last(),
            _ => None,
        };
        if let (Some(name), Some(place)) = (name, self.open.last()) {
            *self.queries[*place]
                .columns
                .entry(name.value.to_ascii_lowercase())
                .or_default() += 1;
        }
        ControlFlow::Continue(())
    }
}

/// What SQLite makes of a statement while it prepares it, when no clock is looked at: it puts a common table expression in
/// place of its name each time, and the columns of a query in FROM in place of theirs. `a+a` over `a+a` over … doubles with
/// each level, and a few hundred bytes take gigabytes.
struct Sizes<'r> {
    queries: &'r [QueryRead],
    /// Columns that a shared column may stand for.
    shared: u64,
}

/// Of a query: SELECTs in it, and copies of what lies deepest in it.
type Size = (u64, u64);

impl Sizes<'_> {
    fn of_statement(&self) -> Size {
        let mut known = BTreeMap::new();
        if self.queries.is_empty() {
            (0, 0)
        } else {
            self.of(0, &mut known)
        }
    }

    /// Of the query at a place. Of one that is being worked out, it is itself recursive, which copies nothing.
    fn of(&self, place: usize, known: &mut BTreeMap<usize, Size>) -> Size {
        if let Some(size) = known.get(&place) {
            return *size;
        }
        known.insert(place, (1, 1));
        let query = &self.queries[place];
        let (mut selects, mut deepest) = (1_u64, 1_u64);
        let mut add = |size: Size| {
            selects = selects.saturating_add(size.0);
            deepest = deepest.max(size.1);
        };
        for within in &query.within {
            add(self.of(*within, known));
        }
        for source in &query.sources {
            let named = |query: &QueryRead| query.name.as_deref() == Some(source);
            // The largest of a name: which one is meant depends on where it stands.
            for cte in (0..self.queries.len()).filter(|place| named(&self.queries[*place])) {
                add(self.of(cte, known));
            }
            // What a view is made of; for a table it is too much, and does no harm.
            if is_listed(source) {
                add((5, 2));
            }
        }
        let stars = query.columns.get("*").copied().unwrap_or(0);
        let most = query.columns.values().max().copied().unwrap_or(0).max(1);
        // A column's other name stands for its expression as well.
        let renamed = query
            .columns
            .iter()
            .filter(|(name, _)| query.aliases.contains(*name));
        let renamed = renamed.map(|(_, times)| *times).max().unwrap_or(1);
        let copies = (most + stars)
            .saturating_mul(renamed)
            .saturating_mul(self.shared)
            .saturating_mul(deepest);
        known.insert(place, (selects, copies));
        (selects, copies)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text is taken for; the names of its common table expressions.
    fn check(sql: &str) -> Result<Vec<String>, Refusal> {
        let taken = ["notifications", "daily_summary", "dbstat"];
        let taken = taken.map(str::to_owned).into();
        understand(sql, &taken).map(|(_, names)| names.into_iter().collect())
    }

    #[test]
    fn one_select_is_understood_and_its_end_mark_left_out() {
        let (sql, names) = understand(" SELECT 1 ; \n", &BTreeSet::new()).expect("one SELECT");
        assert_eq!((sql.trim(), names.len()), ("SELECT 1", 0));
        assert_eq!(
            check("WITH A AS (SELECT 1), b AS (SELECT 2) SELECT * FROM a, B"),
            Ok(vec!["a".to_owned(), "b".to_owned()])
        );
        for sql in [
            "",
            ";",
            "SELECT 1;;",
            "SELECT 1; SELECT 2",
            "SELECT 1\0",
            "DELETE FROM daily_summary",
            "SELECT * INTO x FROM daily_summary",
        ] {
            assert_eq!(check(sql), Err(Refusal::NotOneSelect), "{sql}");
        }
    }

    #[test]
    fn tables_are_told_from_names_given_in_the_statement() {
        for (sql, table) in [
            ("SELECT * FROM Notifications", "notifications"),
            ("SELECT * FROM temp.daily_summary", "temp.daily_summary"),
            ("SELECT 1 IN (SELECT 1 FROM [x])", "x"),
            ("WITH x AS (SELECT 1) SELECT * FROM main.x", "main.x"),
            ("WITH dbstat AS (SELECT 1) SELECT * FROM dbstat", "dbstat"),
            ("WITH pragma_x AS (SELECT 1) SELECT 1", "pragma_x"),
            ("SELECT * FROM json_each('[]')", "json_each"),
        ] {
            assert_eq!(check(sql), Err(Refusal::Table(table.to_owned())), "{sql}");
        }
        for sql in [
            "SELECT * FROM main.daily_summary",
            "WITH daily_summary AS (SELECT 1) SELECT * FROM daily_summary",
        ] {
            assert!(check(sql).is_ok(), "{sql}");
        }
    }

    /// SELECTs in a statement, and copies of what lies deepest in it.
    fn sizes(sql: &str) -> Size {
        let statements = Parser::parse_sql(&SQLiteDialect {}, sql).expect("SQL");
        let mut reading = Reading::default();
        assert!(statements.visit(&mut reading).is_continue());
        Sizes {
            queries: &reading.queries,
            shared: 1,
        }
        .of_statement()
    }

    #[test]
    fn sizes_grow_as_sqlite_puts_queries_in_place_of_names() {
        assert_eq!(sizes("SELECT x.a FROM t x, t y"), (1, 1));
        assert_eq!(
            sizes("SELECT a + a FROM (SELECT b + b + b AS a FROM t)"),
            (2, 6)
        );
        assert_eq!(
            sizes("WITH x AS (SELECT 1), y AS (SELECT 1 FROM x, x AS z) SELECT 1 FROM y, y AS w"),
            (7, 1)
        );
        // Named before it is made.
        assert_eq!(
            sizes("WITH y AS (SELECT 1 FROM x, x AS z), x AS (SELECT 1) SELECT 1 FROM y"),
            (4, 1)
        );
        // Itself, once.
        assert_eq!(
            sizes(
                "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT 1 FROM x"
            )
            .1,
            1
        );
        // By another name of the column, and by a query within an expression.
        assert_eq!(sizes("SELECT a || a AS b FROM t ORDER BY b || b || b").1, 9);
        assert_eq!(sizes("SELECT a, (SELECT a + a) FROM t").1, 6);
        assert_eq!(sizes("SELECT *, t.* FROM (SELECT a + a FROM t) AS t").1, 8);
    }

    #[test]
    fn names_of_columns_are_made_to_differ() {
        assert_eq!(unique(vec!["a", "b", "a", "a"]), ["a", "b", "a_2", "a_3"]);
        assert_eq!(unique(vec!["a", "a", "a_2"]), ["a", "a_3", "a_2"]);
    }

    #[test]
    fn values_are_numbers_texts_and_null() {
        assert_eq!(value(ValueRef::Integer(i64::MAX)), i64::MAX);
        assert_eq!(value(ValueRef::Real(0.5)), 0.5);
        assert_eq!(value(ValueRef::Real(f64::INFINITY)), Value::Null);
        assert_eq!(value(ValueRef::Text("µ".as_bytes())), "µ");
        assert_eq!(value(ValueRef::Text(b"\xFF")), "\u{FFFD}");
        assert_eq!(value(ValueRef::Blob(b"\x00\x01")), "2 bytes");
    }

    #[test]
    fn refusals_say_what_can_be_asked_instead() {
        let refusal = Refusal::Table("notifications".to_owned()).to_string();
        assert!(
            refusal.starts_with("`notifications` is not a table")
                && refusal.contains("kpi_daily, optimization_runs")
        );
        let time = Refusal::Time(Duration::from_millis(1500)).to_string();
        assert!(time.starts_with("it did not end within 1.5 s"), "{time}");
    }

    /// A guard over a small store of its own, with a table that is not for questions.
    fn guard(folder: &tempfile::TempDir, limits: Limits) -> Guard {
        let path = folder.path().join("x.db");
        let connection = Connection::open(&path).expect("a store");
        connection
            .execute_batch(
                "CREATE TABLE notifications (payload TEXT); INSERT INTO notifications VALUES ('hidden');
                 CREATE VIEW kpi_daily AS SELECT payload FROM notifications;
                 CREATE TABLE daily_summary (date TEXT, x); INSERT INTO daily_summary VALUES ('d', x'00'), ('e', 1e999), ('f', 3);",
            )
            .expect("tables");
        Guard::open(&path, limits).expect("a guard")
    }

    #[test]
    fn answers_are_cut_at_rows_and_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let sql = "SELECT date, x, x FROM daily_summary ORDER BY date";
        let whole = guard(&folder, Limits::default())
            .query(sql)
            .expect("an answer");
        assert_eq!(whole.columns, ["date", "x", "x_2"]);
        assert_eq!(
            serde_json::to_value(&whole.rows).expect("JSON"),
            serde_json::json!([["d", "1 bytes", "1 bytes"], ["e", null, null], ["f", 3, 3]])
        );
        assert!(!whole.cut);
        let folder = tempfile::tempdir().expect("a folder");
        for (rows, bytes, expected) in [
            (3, 1000, 3),
            (2, 1000, 2),
            (0, 1000, 0),
            (3, 50, 2),
            (3, 0, 0),
        ] {
            let folder = folder.path().join(format!("{rows}-{bytes}"));
            std::fs::create_dir(&folder).expect("a folder");
            let folder = tempfile::tempdir_in(&folder).expect("a folder");
            let limits = Limits {
                rows,
                bytes,
                ..Limits::default()
            };
            let found = guard(&folder, limits).query(sql).expect("an answer");
            assert_eq!(
                (found.rows.len(), found.cut),
                (expected, expected < 3),
                "{rows} rows, {bytes} bytes"
            );
        }
    }

    #[test]
    fn a_listed_view_over_another_table_gives_nothing_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut guard = guard(&folder, Limits::default());
        let refusal = Refusal::Table("notifications".to_owned());
        assert_eq!(guard.query("SELECT * FROM kpi_daily"), Err(refusal.clone()));
        assert_eq!(guard.query("SELECT count(*) FROM kpi_daily"), Err(refusal));
    }

    #[test]
    fn sqlite_refuses_alone_what_sqlparser_would_have_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let guard = guard(&folder, Limits::default());
        let refused = |sql: &str| {
            let cause = Cause::default();
            let deadline = Instant::now() + Duration::from_secs(60);
            guard
                .watch(deadline, BTreeSet::new(), &cause)
                .expect("watched");
            let stop = guard.run(sql).expect_err(sql);
            let cause = cause.lock().expect("a lock").take();
            match (cause, stop) {
                (Some(refusal), _) | (None, Stop::Refused(refusal)) => refusal,
                (None, Stop::Sqlite(error)) => refusal_of(&error, Duration::ZERO),
            }
        };
        for sql in [
            "VACUUM INTO 'stolen.db'",
            "EXPLAIN SELECT 1",
            "EXPLAIN QUERY PLAN SELECT 1",
            "BEGIN",
            "SAVEPOINT s",
            "PRAGMA query_only = OFF",
            "ATTACH ':memory:' AS x",
            "DELETE FROM daily_summary",
            "CREATE TEMP TABLE x AS SELECT 1",
            "CREATE VIRTUAL TABLE temp.x USING dbstat",
            "SELECT 1; SELECT 2",
            "",
        ] {
            assert_eq!(refused(sql), Refusal::NotOneSelect, "{sql}");
        }
        for (sql, table) in [
            ("SELECT payload FROM notifications", "notifications"),
            ("SELECT count(*) FROM notifications", "notifications"),
            ("SELECT count(*) FROM sqlite_schema", "sqlite_schema"),
            ("SELECT sql FROM sqlite_schema", "sqlite_master"),
            (
                "SELECT count(*) FROM pragma_table_list",
                "pragma_table_list",
            ),
            ("SELECT value FROM json_each('[1]')", "json_each"),
            ("SELECT 1 IN notifications", "notifications"),
        ] {
            assert_eq!(refused(sql), Refusal::Table(table.to_owned()), "{sql}");
        }
        assert_eq!(
            refused("SELECT load_extension('x')"),
            Refusal::Function("load_extension".to_owned())
        );
        assert!(matches!(refused("SELECT ?"), Refusal::Sql(_)));
    }
}
