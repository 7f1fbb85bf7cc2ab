//! `pumphouse models`: the model store.

use std::fmt::Write;

use serde_json::json;

use super::{ConfigFile, print_json, print_text};
use crate::{
    calendar::utc_text,
    clock::Clock,
    forecast::models::{Decision, Decisions, Models, Reason, promote, roll_back},
};

/// Show the models and what was decided about them, put one to use, or go back to the one before
#[derive(clap::Args)]
pub struct ModelsVerb {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand)]
enum Verb {
    /// Show the models in use and the newest decisions
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// Newest decisions shown of each place
        #[arg(long, default_value_t = 5)]
        decisions: usize,
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Put a model to use; a running daemon takes it up within seconds
    Promote {
        #[command(flatten)]
        config: ConfigFile,
        /// The model's id, as `models list` shows it
        model: String,
        #[command(flatten)]
        reason: Why,
    },
    /// Put the model to use again that was in use before; a running daemon takes it up within seconds
    Rollback {
        #[command(flatten)]
        config: ConfigFile,
        /// What the model is for, like `hlt_pct-24h`
        place: String,
        #[command(flatten)]
        reason: Why,
    },
}

#[derive(clap::Args)]
struct Why {
    /// Why; it is recorded with the decision
    #[arg(long)]
    why: String,
    /// Who decides; default: the login name
    #[arg(long)]
    by: Option<String>,
}

impl Why {
    fn reason(self) -> anyhow::Result<Reason> {
        anyhow::ensure!(!self.why.trim().is_empty(), "--why says nothing");
        let login = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
        Ok(Reason {
            at: utc_text(Clock::Wall.minute()),
            by: self
                .by
                .or_else(|| login().ok())
                .unwrap_or_else(|| "operator".into()),
            why: self.why,
        })
    }
}

impl ModelsVerb {
    pub fn run(self) -> anyhow::Result<()> {
        match self.verb {
            Verb::List {
                config,
                decisions,
                json,
            } => {
                let config = config.load()?;
                let all = Decisions::read(&config.models)?;
                let mut models = Models::new(config.models.clone());
                models.look();
                let places = all.places();
                if json {
                    let places = places.iter().map(|&place| {
                        let in_use = models.at(place);
                        json!({
                            "place": place,
                            "in_use": in_use.as_ref().ok().map(|it| &it.model.manifest.id),
                            "trouble": in_use.map_or_else(Some, |it| it.instead.clone()),
                            "decisions": newest(&all, place, decisions).collect::<Vec<_>>(),
                        })
                    });
                    return print_json(&places.collect());
                }
                let mut text = String::new();
                if places.is_empty() {
                    writeln!(
                        text,
                        "no model yet in {}; the trainer puts them there, and until then the day before is the forecast",
                        config.models.display()
                    )?;
                }
                for place in places {
                    match models.at(place) {
                        Ok(in_use) => {
                            writeln!(text, "{place}: {}", in_use.model.manifest.id)?;
                            if let Some(instead) = &in_use.instead {
                                writeln!(text, "  instead, because {instead}")?;
                            }
                        }
                        Err(why) => writeln!(text, "{place}: none, because {why}")?,
                    }
                    for decision in newest(&all, place, decisions) {
                        let Decision {
                            at,
                            model,
                            by,
                            why,
                            decision,
                            ..
                        } = decision;
                        writeln!(text, "  {at}  {} {model} by {by}: {why}", decision.text())?;
                    }
                }
                print_text(&text)
            }
            Verb::Promote {
                config,
                model,
                reason,
            } => {
                let config = config.load()?;
                let place = promote(&config.models, &model, reason.reason()?)?;
                print_text(&format!("{place}: {model} is in use from now on\n"))
            }
            Verb::Rollback {
                config,
                place,
                reason,
            } => {
                let config = config.load()?;
                let model = roll_back(&config.models, &place, reason.reason()?)?;
                print_text(&format!("{place}: {model} is in use again\n"))
            }
        }
    }
}

/// The newest decisions about a place, newest first.
fn newest<'a>(
    all: &'a Decisions,
    place: &'a str,
    most: usize,
) -> impl Iterator<Item = &'a Decision> {
    let of_place = all
        .decisions
        .iter()
        .rev()
        .filter(move |it| it.place == place);
    of_place.take(most)
}
