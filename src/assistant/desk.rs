//! Where questions are answered: the built-in engine first, the language model for what that does not understand.

use std::path::PathBuf;

use anyhow::anyhow;

use super::{
    Answer, Show,
    intents::{Context, examples, is_for_nobody, understand},
    model,
};
use crate::{
    calendar::{Calendar, text},
    clock::Clock,
    config::{Assistant, Central, Config},
    store::{
        healing::damage,
        look::Look,
        question::{Guard, Limits, Refusal, Rows},
    },
    sync::question::Office,
};

/// Longest question, characters.
const QUESTION_MAX: usize = 500;
/// Who answers without a model.
const BUILT_IN: &str = "built-in";

/// Which engine may answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// The built-in one, and the model for what it does not understand.
    #[default]
    Either,
    /// The built-in one alone.
    BuiltIn,
    /// The model alone.
    Model,
}

/// Answers questions about one store.
#[derive(Clone)]
pub struct Desk {
    store: PathBuf,
    config: Config,
}

impl Desk {
    /// A desk for the store of a config.
    pub fn new(config: &Config) -> Self {
        Self {
            store: config.store.clone(),
            config: config.clone(),
        }
    }

    /// The model that is asked beyond the built-in questions, if there is one.
    pub fn model(&self) -> Option<&Assistant> {
        self.config.assistant.as_ref()
    }

    /// Questions that can be asked.
    pub fn examples() -> &'static [&'static str] {
        examples()
    }

    /// Answers a question. It takes its time: up to some seconds, with a model up to `assistant.timeout_s`.
    ///
    /// # Errors
    /// When the store cannot be read. A question that cannot be answered is an answer, too, with `refused`.
    pub fn answer(&self, question: &str, engine: Engine) -> anyhow::Result<Answer> {
        let question: String = question.trim().chars().take(QUESTION_MAX).collect();
        let Some(context) = self.context()? else {
            return Ok(refusal(
                question,
                BUILT_IN,
                "There is no sample in the store yet; nothing can be told before there is one."
                    .into(),
            ));
        };
        let understood = match engine {
            Engine::Model => None,
            _ => Some(understand(&question, &context)),
        };
        match (
            understood,
            self.model().filter(|_| engine != Engine::BuiltIn),
        ) {
            (Some(Ok(understood)), _) => {
                let mut guard = self.guard()?;
                let answer = match guard.query(&understood.sql) {
                    Ok(rows) => Answer {
                        text: understood.say(&rows),
                        engine: BUILT_IN.into(),
                        refused: false,
                        sql: Some(understood.sql.clone()),
                        show: understood.show.clone(),
                        rows: Some(rows),
                        question,
                    },
                    Err(Refusal::Damaged(told)) => return Err(damage(&anyhow!(told))),
                    Err(refused) => Answer {
                        sql: Some(understood.sql.clone()),
                        ..refusal(question, BUILT_IN, refused.to_string())
                    },
                };
                Ok(answer)
            }
            (Some(Err(not)), Some(_)) if is_for_nobody(&question, &context) => {
                Ok(refusal(question, BUILT_IN, not.to_string()))
            }
            (_, Some(model)) => self.ask_model(model, question, &context),
            (Some(Err(not)), None) => Ok(refusal(question, BUILT_IN, not.to_string())),
            (None, None) => Ok(refusal(
                question,
                BUILT_IN,
                "There is no [assistant] in the config that could be asked.".into(),
            )),
        }
    }

    fn ask_model(
        &self,
        model: &Assistant,
        question: String,
        context: &Context,
    ) -> anyhow::Result<Answer> {
        let mut guard = self.guard()?;
        let schema = guard.schema()?;
        let now = text(context.now);
        let mut damaged = None;
        let found = model::ask(model, &question, &schema, &now, &mut |sql| {
            guard.query(sql).map_err(|refused| {
                if let Refusal::Damaged(told) = &refused {
                    damaged = Some(damage(&anyhow!(told.clone())));
                }
                refused.to_string()
            })
        });
        match damaged {
            Some(damage) => Err(damage),
            None => Ok(told(model, question, found)),
        }
    }

    /// Answers a question from the central office's database, by the model: the built-in questions are those of one station.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub fn answer_at_office(&self, question: &str, central: Central) -> anyhow::Result<Answer> {
        let question: String = question.trim().chars().take(QUESTION_MAX).collect();
        let Some(model) = self.model() else {
            return Ok(refusal(question, BUILT_IN, "Questions to the central office need a language model: [assistant] in the config names one.".into()));
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let mut office = runtime.block_on(Office::open(central, Limits::default()))?;
        let schema = runtime.block_on(office.schema())?;
        let now = text(Clock::Wall.minute());
        let found = model::ask(model, &question, &schema, &now, &mut |sql| {
            runtime.block_on(office.query(sql))
        });
        Ok(told(model, question, found))
    }

    /// What questions are understood with; `None` before there is a row.
    fn context(&self) -> anyhow::Result<Option<Context>> {
        let plant = &self.config.plant;
        let look = Look::open(&self.store, plant.zone.clone())?;
        let Some((first, newest)) = look.ends()? else {
            return Ok(None);
        };
        let mut calendar = Calendar::new(plant.zone.clone());
        Ok(Some(Context {
            now: calendar.local(newest).minute,
            first: calendar.local(first).minute,
            rated_kw: plant.rated_kw,
            flow_max_m3h: plant.flow_physical_max,
            currency: self.config.tariff.currency.clone(),
        }))
    }

    fn guard(&self) -> anyhow::Result<Guard> {
        Guard::open(&self.store, Limits::default())
    }
}

/// What came of asking a model, as an answer.
fn told(
    model: &Assistant,
    question: String,
    found: Result<model::Found, model::Trouble>,
) -> Answer {
    match found {
        Ok(found) => Answer {
            question,
            engine: model.model.clone(),
            text: found.text,
            refused: false,
            show: shown(found.rows.as_ref()),
            sql: found.sql,
            rows: found.rows,
        },
        Err(trouble) => {
            log::warn!(cause = trouble.to_string(); "the assistant's model gave no answer");
            refusal(question, &model.model, sentence(&trouble.to_string()))
        }
    }
}

fn refusal(question: String, engine: &str, why: String) -> Answer {
    Answer {
        question,
        engine: engine.into(),
        text: why,
        refused: true,
        sql: None,
        rows: None,
        show: Show::Sentence,
    }
}

/// A model says what it found in words; more than a figure is shown as a table, too.
fn shown(rows: Option<&Rows>) -> Show {
    match rows {
        Some(rows) if rows.rows.len() > 1 || rows.columns.len() > 2 => Show::Table,
        _ => Show::Sentence,
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}
