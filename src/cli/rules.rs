//! `pumphouse rules`: the 47 rules with the thresholds in force.

use std::{fmt::Write, path::PathBuf};

use serde_json::{Map, json};

use super::{print_json, print_text};
use crate::{
    config::Config,
    rules::{CATALOGUE, RuleBook, Settings, register::REGISTER},
};

/// List the 47 alert rules with severity, condition and thresholds
///
/// Without a config the defaults are shown, with one the values in force. The keys in the last column go below
/// [alerts.rules.<code>] in the config.
#[derive(clap::Args)]
pub struct Rules {
    /// Show the values that this config file puts in force
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the list as JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the table of the README
    #[arg(long)]
    markdown: bool,
    /// Print the alarm register: cause, consequence, action and response time of each rule; with --json as JSON
    #[arg(long, conflicts_with = "markdown")]
    register: bool,
}

impl Rules {
    pub fn run(self) -> anyhow::Result<()> {
        let book = match &self.config {
            Some(path) => Config::load(path)?.plant.rules.clone(),
            None => RuleBook::default(),
        };
        if self.register && !self.json {
            return print_text(&register(&book));
        }
        if self.json {
            return print_json(&as_json(&book, self.register));
        }
        if self.markdown {
            return print_text(&markdown(&book));
        }
        let mut text = String::new();
        for (rule, settings) in CATALOGUE.iter().zip(&book.settings) {
            let state = if settings.enabled { "" } else { " (disabled)" };
            writeln!(
                text,
                "{}  {:<8}  {}{state}",
                rule.code, settings.severity, rule.name
            )?;
            writeln!(text, "      {}", rule.condition)?;
            writeln!(text, "      {}", keys(rule, settings).join(", "))?;
        }
        print_text(&text)
    }
}

fn keys(rule: &crate::rules::Rule, settings: &Settings) -> Vec<String> {
    let mut keys: Vec<_> = rule
        .limits
        .iter()
        .zip(settings.limits)
        .map(|(limit, value)| format!("{} = {value} {}", limit.key, limit.unit))
        .collect();
    if rule.is_held() {
        keys.push(format!("for_min = {}", settings.for_min));
    }
    if rule.has_on_delay() {
        keys.push(format!("on_delay_min = {}", settings.on_delay_min));
    }
    if rule.has_off_delay() {
        keys.push(format!("off_delay_min = {}", settings.off_delay_min));
    }
    if let Some((_, limit, _)) = rule.deadband_limit() {
        let (value, unit) = (settings.deadband, limit.unit);
        keys.push(format!("deadband = {value} {unit} on {}", limit.key));
    }
    keys.push(format!("severity = {:?}", settings.severity.name()));
    keys
}

fn as_json(book: &RuleBook, with_register: bool) -> serde_json::Value {
    let rules = CATALOGUE.iter().zip(&book.settings).zip(&REGISTER).map(
        |((rule, settings), record)| {
            let limits: Map<_, _> = rule
                .limits
                .iter()
                .zip(settings.limits)
                .map(|(limit, value)| {
                    (
                        limit.key.to_owned(),
                        json!({ "value": value, "unit": limit.unit }),
                    )
                })
                .collect();
            let mut listed = json!({
                "code": rule.code,
                "name": rule.name,
                "severity": settings.severity.name(),
                "condition": rule.condition,
                "per_pump": rule.is_per_pump(),
                "enabled": settings.enabled,
                "for_min": settings.for_min,
                "on_delay_min": settings.on_delay_min,
                "off_delay_min": settings.off_delay_min,
                "deadband": rule.deadband_limit().map(|(_, limit, _)| {
                    json!({ "value": settings.deadband, "unit": limit.unit, "limit": limit.key })
                }),
                "limits": limits,
            });
            if with_register {
                listed["cause"] = record.cause.into();
                listed["consequence"] = record.consequence.into();
                listed["action"] = record.action.into();
                listed["respond_within_min"] = record.respond_within_min.into();
            }
            listed
        },
    );
    rules.collect()
}

/// The alarm register as a document.
pub fn register(book: &RuleBook) -> String {
    let mut text = String::from(
        "# Alarm register\n\nThe rationalisation record of each rule after ISA-18.2: why the alarm exists, what follows when nobody \
         acts, and what the operator does. Made by `pumphouse rules --register`, with `--config FILE` for the severities and delays \
         of a station.\n",
    );
    for ((rule, settings), record) in CATALOGUE.iter().zip(&book.settings).zip(&REGISTER) {
        let respond = match record.respond_within_min {
            None => "none: for the record".to_owned(),
            Some(min @ ..120) => format!("within {min} min"),
            Some(min @ 120..2880) => format!("within {} h", min / 60),
            Some(min) => format!("within {} days", min / 1440),
        };
        let state = if settings.enabled { "" } else { ", disabled" };
        text.push_str(&format!(
            "\n## {} {}\n\n- **Severity**: {}{state}\n- **Raised when**: {}\n- **Settings**: {}\n- **Cause**: {}\n\
             - **Consequence**: {}\n- **Action**: {}\n- **Response**: {respond}\n",
            rule.code,
            rule.name,
            settings.severity,
            rule.condition,
            keys(rule, settings).join(", "),
            record.cause,
            record.consequence,
            record.action,
        ));
    }
    text
}

/// The rules as the README's table shows them.
pub fn markdown(book: &RuleBook) -> String {
    let mut text =
        String::from("| code | severity | name | condition | held > |\n|---|---|---|---|---|\n");
    for (rule, settings) in CATALOGUE.iter().zip(&book.settings) {
        let held = if settings.for_min > 0 {
            format!("{} min", settings.for_min)
        } else {
            String::new()
        };
        let condition = rule.condition.replace('|', "\\|");
        text.push_str(&format!(
            "| {} | {} | {} | {condition} | {held} |\n",
            rule.code, settings.severity, rule.name
        ));
    }
    text
}
