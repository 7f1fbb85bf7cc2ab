//! A language model over HTTP: it writes SQL, sees what that finds, and says it in words.
//!
//! ```text
//!  question, schema ─► talk (anthropic, openai) ─► exchange ─► the model's server
//!                       ▲                                          │
//!                       └─ rows, or why not ◄─ query ◄─ SQL ◄──────┘   … until it answers in words
//! ```
//!
//! *Invariants.* Every question ends within `assistant.timeout_s`, after so many rounds, queries and bytes. What a model writes
//! is believed in nothing: its SQL goes to the guard behind `query`, its words are cleaned and say so when no figures stand
//! behind them. The key goes to the address in the config alone and is in no error, log or answer.

mod anthropic;
mod exchange;
mod openai;
mod prompt;
mod texts;

use serde_json::Value;

use crate::{
    config::{Assistant, Dialect},
    store::question::Rows,
};
use exchange::{Server, Wire};

/// Times that a model may ask for queries before it has to answer.
const ROUNDS_MAX: usize = 5;
/// Queries that are run for a question.
const QUERIES_MAX: usize = 8;
/// Characters of an answer.
const ANSWER_CHARS_MAX: usize = 4000;
/// Characters of a reason that a model is told.
const REASON_CHARS_MAX: usize = 1000;
/// Before words that no query stands behind.
const UNBACKED: &str = "No figures from the station stand behind this: ";
/// Instead of words, where there are figures.
const NO_WORDS: &str = "The model gave no words to it; this is what its last query found.";

/// What came of asking a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The model's final words: plain text of one line, at most 4000 characters. Where no query of it worked, they say first
    /// that no figures stand behind them.
    pub text: String,
    /// The last query that worked.
    pub sql: Option<String>,
    /// What it found.
    pub rows: Option<Rows>,
}

/// Why a model gave no answer, and what to do about it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// The config, or a file that it names, does not do.
    #[error(
        "the model cannot be asked: {cause}; correct the file, or the key of [assistant] that names it"
    )]
    Setup {
        /// What is wrong.
        cause: String,
    },
    /// There is no connection.
    #[error("the model's server {server} cannot be reached: {cause}; {advice}")]
    Unreachable {
        /// Scheme, host and port.
        server: String,
        /// What happened.
        cause: String,
        /// What to do.
        advice: String,
    },
    /// It answers with a status that is none of success.
    #[error("the model's server {server} answers {answer}; {advice}")]
    Refused {
        /// Scheme, host and port.
        server: String,
        /// Status of HTTP.
        status: u16,
        /// Status in words, and what it says to it.
        answer: String,
        /// What to do.
        advice: String,
    },
    /// It has too much to do, or its user has asked too much.
    #[error("the model's server {server} is busy ({answer}); try again later")]
    Busy {
        /// Scheme, host and port.
        server: String,
        /// Status in words, and what it says to it.
        answer: String,
    },
    /// The time is over.
    #[error(
        "the model's server {server} has not answered within {timeout_s} s; try again, ask for less, or raise assistant.timeout_s"
    )]
    Slow {
        /// Scheme, host and port.
        server: String,
        /// `assistant.timeout_s`.
        timeout_s: f64,
    },
    /// The connection ended before the answer did.
    #[error(
        "the model's server {server} broke off: {cause}; try again, and look into the server's own log when it stays so"
    )]
    BrokeOff {
        /// Scheme, host and port.
        server: String,
        /// What happened.
        cause: String,
    },
    /// What it answers is not of its dialect.
    #[error(
        "the model's server {server} answers nonsense: {what}; check assistant.url and assistant.provider"
    )]
    Nonsense {
        /// Scheme, host and port.
        server: String,
        /// What is wrong with it.
        what: String,
    },
    /// It asked for nothing that worked, and said nothing.
    #[error(
        "the model {model} gave neither figures nor an answer (turns: {turns}); put the question in other words, or try another model"
    )]
    NoAnswer {
        /// `assistant.model`.
        model: String,
        /// How often it was asked to go on.
        turns: usize,
    },
}

impl Trouble {
    /// Whether the server refuses because it, or its model, has no tools.
    fn is_about_tools(&self) -> bool {
        matches!(self, Self::Refused { status, answer, .. }
            if !matches!(status, 401 | 403) && answer.to_lowercase().contains("tool"))
    }
}

/// One side of a conversation in a dialect: what was said so far.
trait Talk {
    /// The next request; without leave to call tools the model has to answer.
    fn body(&self, may_call: bool) -> Value;
    /// Takes the model's turn down, or says why it is none.
    fn hear(&mut self, answer: &Value) -> Result<Turn, String>;
    /// Answers all calls of the last turn.
    fn reply(&mut self, replies: Vec<Reply>);
    /// Goes on in words.
    fn say(&mut self, text: String);
    /// Goes on without tools; `false` when that cannot help.
    fn drop_tools(&mut self) -> bool;
}

/// What a model says at once.
#[derive(Debug, Default)]
struct Turn {
    text: String,
    calls: Vec<Call>,
    /// It had more to say than it may.
    is_cut: bool,
}

/// A call of the tool.
#[derive(Debug)]
struct Call {
    id: String,
    /// The SQL, or what is wrong with the call.
    sql: Result<String, String>,
}

/// What comes of a call.
struct Reply {
    id: String,
    /// What it found, or why not.
    outcome: Result<String, String>,
}

/// Asks a model; `today` is the local date and time, `query` runs SQL for reading only, or says why not.
///
/// # Errors
/// When the server gives no answer; the error says what to do.
pub fn ask(
    config: &Assistant,
    question: &str,
    schema: &str,
    today: &str,
    query: &mut dyn FnMut(&str) -> Result<Rows, String>,
) -> Result<Found, Trouble> {
    let system = prompt::system(schema, today);
    let (wire, talk): (&Wire, Box<dyn Talk>) = match config.dialect {
        Dialect::Anthropic => (
            &anthropic::WIRE,
            Box::new(anthropic::Messages::new(&config.model, system, question)),
        ),
        Dialect::OpenAi => (
            &openai::WIRE,
            Box::new(openai::Completions::new(&config.model, &system, question)),
        ),
    };
    let mut asking = Asking {
        server: Server::open(config, wire)?,
        talk,
        query,
        queries_left: QUERIES_MAX,
        turns: 0,
        found: None,
    };
    for _ in 0..ROUNDS_MAX {
        let turn = asking.hear(true)?;
        if !asking.look_up(&turn)? {
            return asking.conclude(turn);
        }
    }
    let turn = asking.hear(false)?;
    asking.conclude(turn)
}

/// A question under way.
struct Asking<'a> {
    server: Server<'a>,
    talk: Box<dyn Talk>,
    query: &'a mut dyn FnMut(&str) -> Result<Rows, String>,
    queries_left: usize,
    turns: usize,
    found: Option<(String, Rows)>,
}

impl Asking<'_> {
    /// The model's next turn.
    fn hear(&mut self, may_call: bool) -> Result<Turn, Trouble> {
        let answer = match self.server.post(&self.talk.body(may_call)) {
            Err(trouble) if trouble.is_about_tools() && self.talk.drop_tools() => {
                self.server.post(&self.talk.body(may_call))
            }
            answer => answer,
        };
        self.turns += 1;
        let heard = self.talk.hear(&answer?);
        heard.map_err(|what| self.server.nonsense(&what))
    }

    /// Runs what a turn asks for and tells the model; `false` when it asks for nothing.
    fn look_up(&mut self, turn: &Turn) -> Result<bool, Trouble> {
        if !turn.calls.is_empty() {
            let mut replies = Vec::new();
            for Call { id, sql } in &turn.calls {
                let outcome = match sql {
                    Ok(sql) => self.run(sql)?,
                    Err(reason) => Err(reason.clone()),
                };
                replies.push(Reply {
                    id: id.clone(),
                    outcome,
                });
            }
            self.talk.reply(replies);
            return Ok(true);
        }
        // A model without tools writes its query into the text. Once one has worked, SQL in a text is just text.
        let sql = texts::fenced_sql(texts::without_thoughts(&turn.text));
        let Some(sql) = sql.filter(|_| self.found.is_none()) else {
            return Ok(false);
        };
        let outcome = self.run(sql)?;
        self.talk.say(prompt::after_prose(&outcome));
        Ok(true)
    }

    /// Runs a query: what it found, for the model, or why not.
    fn run(&mut self, sql: &str) -> Result<Result<String, String>, Trouble> {
        self.server.time_left()?;
        if self.queries_left == 0 {
            return Ok(Err(prompt::NO_MORE_QUERIES.into()));
        }
        self.queries_left -= 1;
        // A key in it would come back as a figure.
        let sql = self.server.blank(sql);
        Ok(match (self.query)(&sql) {
            Ok(rows) => {
                let told = texts::rows_told(&rows);
                self.found = Some((sql, rows));
                Ok(told)
            }
            Err(reason) => Err(texts::cut(reason, REASON_CHARS_MAX)),
        })
    }

    /// What the last turn and the figures come to.
    fn conclude(self, turn: Turn) -> Result<Found, Trouble> {
        let mut text = match turn.calls.is_empty() {
            true => texts::without_thoughts(&turn.text).to_owned(),
            // What it says to a call is no answer.
            false => String::new(),
        };
        if self.found.is_some() {
            // Only the SQL that ran is shown.
            text = texts::without_fences(&text);
        }
        text = self.server.blank(&texts::plain(&text));
        if turn.is_cut && !text.is_empty() {
            text.push_str(" …");
        }
        text = match (&self.found, text.is_empty()) {
            (Some(_), true) => NO_WORDS.into(),
            (Some(_), false) => text,
            (None, false) => format!("{UNBACKED}{text}"),
            (None, true) => {
                return Err(Trouble::NoAnswer {
                    model: self.server.model().to_owned(),
                    turns: self.turns,
                });
            }
        };
        let (sql, rows) = self.found.unzip();
        Ok(Found {
            text: texts::cut(text, ANSWER_CHARS_MAX),
            sql,
            rows,
        })
    }
}
