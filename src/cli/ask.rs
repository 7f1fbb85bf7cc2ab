//! `pumphouse ask`: a question in plain language.

use std::{fmt::Write, path::PathBuf};

use serde_json::{Value, json};

use super::{ConfigFile, print_json, print_text};
use crate::{
    assistant::{
        Answer, Show,
        desk::{Desk, Engine},
    },
    config::Central,
    store::question::Rows,
};

/// Rows printed.
const ROWS_MAX: usize = 40;

/// Ask a question in plain language
///
/// Answers with the figures and the SQL that they come from. The built-in questions need nothing but the store: any pump, any period,
/// comparisons, alerts, health, KPIs, forecasts. Others go to the language model of [assistant], if the config has one. Whatever writes
/// the SQL, it can only read, and only the tables of the station. With --office it is the central office's database, of all stations, by
/// the language model alone.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  pumphouse ask --config pumphouse.toml Which pump ran longest yesterday?
  pumphouse ask --config pumphouse.toml \"How many critical alerts were there last week?\"
  pumphouse ask --config pumphouse.toml --sql \"Show the level since 06:00\"")]
pub struct Ask {
    #[command(flatten)]
    config: ConfigFile,
    /// Ask the central office's database instead, as a reader of it: postgres://reader@central.example:5432/pumphouse
    #[arg(long, value_name = "URL")]
    office: Option<String>,
    /// File with the reader's password
    #[arg(long, value_name = "FILE", requires = "office")]
    office_password_file: Option<PathBuf>,
    /// File with the certificates of the authorities to trust
    #[arg(long, value_name = "FILE", requires = "office")]
    office_ca_file: Option<PathBuf>,
    /// Who answers
    #[arg(long, value_parser = ["either", "built-in", "model"], default_value = "either")]
    engine: String,
    /// Print the SQL behind the answer, too
    #[arg(long)]
    sql: bool,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
    /// The question
    #[arg(required = true)]
    question: Vec<String>,
}

impl Ask {
    pub fn run(self) -> anyhow::Result<()> {
        crate::app::choose_crypto();
        let config = self.config.load()?;
        let engine = match self.engine.as_str() {
            "built-in" => Engine::BuiltIn,
            "model" => Engine::Model,
            _ => Engine::Either,
        };
        let (desk, question) = (Desk::new(&config), self.question.join(" "));
        let answer = match self.office {
            None => desk.answer(&question, engine)?,
            Some(url) => {
                let central = Central::at(url, self.office_password_file, self.office_ca_file);
                desk.answer_at_office(&question, central)?
            }
        };
        if self.json {
            return print_json(&json!(answer));
        }
        print_text(&told(&answer, self.sql)?)
    }
}

fn told(answer: &Answer, with_sql: bool) -> anyhow::Result<String> {
    let mut text = format!("{}\n", answer.text);
    if let Some(rows) = answer
        .rows
        .as_ref()
        .filter(|_| answer.show != Show::Sentence)
    {
        write!(text, "\n{}", table(rows))?;
    }
    if let Some(sql) = answer.sql.as_ref().filter(|_| with_sql) {
        writeln!(text, "\nby {}:\n{sql}", answer.engine)?;
    }
    Ok(text)
}

/// Rows as columns of text.
fn table(rows: &Rows) -> String {
    let cells = |row: &Vec<Value>| row.iter().map(cell).collect::<Vec<_>>();
    let mut lines: Vec<Vec<String>> = vec![rows.columns.clone()];
    lines.extend(rows.rows.iter().take(ROWS_MAX).map(cells));
    let width = |at: usize| {
        lines
            .iter()
            .map(|line| line[at].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..rows.columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let padded = line
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"));
        text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    if rows.cut || rows.rows.len() > ROWS_MAX {
        text.push_str("… there is more; --json has it, or ask for less\n");
    }
    text
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            format!("{:.2}", number.as_f64().unwrap_or(0.0))
        }
        other => other.to_string(),
    }
}
