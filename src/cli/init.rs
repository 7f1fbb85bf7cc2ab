//! `pumphouse init`: a config from what the exports show.

use std::{
    fs,
    io::{ErrorKind, IsTerminal, Write as _, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};

use super::print_text;
use crate::{
    config::{Config, SITE_ID, is_site_id},
    historian::watch::list,
};

mod findings;
mod written;

use findings::Findings;

/// Write a config from what the exports show
///
/// Reads the newest exports of a folder and writes a commented config: their format, their tags, and a first guess of the station's
/// limits from the history. Every guess is marked with GUESS, to be put right by hand. Asks for what no option says, on a terminal.
#[derive(clap::Args)]
pub struct Init {
    /// Folder with the historian's exports
    #[arg(long, value_name = "DIR")]
    exports: Option<PathBuf>,
    /// Config file to write
    #[arg(long, value_name = "FILE", default_value = "pumphouse.toml")]
    out: PathBuf,
    /// The site's id: a–z, 0–9 and -
    #[arg(long, value_name = "ID")]
    site_id: Option<String>,
    /// The site's name, for people
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// IANA name of the plant's time zone [default: this machine's]
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// Which comes first in dates like 03/04/2025
    #[arg(long, value_name = "ORDER", value_parser = ["day_first", "month_first"])]
    date_order: Option<String>,
    /// Newest files to look into
    #[arg(long, value_name = "N", default_value_t = 60)]
    files: usize,
    /// Ask nothing: take the defaults for what no option says
    #[arg(long)]
    yes: bool,
    /// Write over a config that is there
    #[arg(long)]
    force: bool,
}

/// What is known before the exports are looked into.
struct Answers {
    site_id: String,
    name: String,
    timezone: String,
    exports: PathBuf,
    date_order: Option<String>,
}

impl Init {
    pub fn run(self) -> anyhow::Result<()> {
        ensure!(
            self.force || !self.out.exists(),
            "{} is there already; --force writes over it",
            self.out.display()
        );
        let answers = self.answers()?;
        let findings = Findings::look(&answers, self.files)?;
        let text = written::config(&answers, &findings, self.folder());
        fs::write(&self.out, &text)
            .with_context(|| format!("cannot write {}", self.out.display()))?;
        if let Err(faults) = Config::load(&self.out) {
            bail!(
                "{}: needs a hand before it loads\n{faults}",
                self.out.display()
            );
        }
        print_text(&self.report(&findings, &text))
    }

    /// The folder from which relative paths of the config count.
    fn folder(&self) -> &Path {
        match self.out.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    fn answers(&self) -> anyhow::Result<Answers> {
        let asks = !self.yes && stdin().is_terminal();
        let answer = |question: &Question<'_>, given: Option<String>| match given {
            None if asks => question.ask(),
            given => {
                let answer = given.unwrap_or_else(|| question.default.to_owned());
                question
                    .wrong(&answer)
                    .map_or(Ok(answer), |wrong| bail!("{wrong}"))
            }
        };
        let exports = Question {
            text: "Folder with the exports",
            default: "exports",
            fault: |it| match list(Path::new(it)) {
                Err(error) if error.kind() == ErrorKind::NotFound => Some(
                    "is not there; --exports names the folder with the historian's exports".into(),
                ),
                Err(error) => Some(format!("cannot be listed: {error}")),
                Ok(files) if files.is_empty() => {
                    Some("holds no export: no .csv, .txt, .tsv, .dat or .dbf".into())
                }
                Ok(_) => None,
            },
        };
        let site_id = Question {
            text: "Id of the site",
            default: "stp-01",
            fault: |it| (!is_site_id(it)).then(|| SITE_ID.into()),
        };
        let name = Question {
            text: "Name of the site",
            default: "STP pump station",
            fault: |_| None,
        };
        let timezone = Question {
            text: "Time zone of the plant",
            default: &zone_of_machine(),
            fault: |it| match jiff::tz::TimeZone::get(it) {
                Ok(_) => None,
                Err(_) => Some("is no IANA time zone; write it like Europe/Berlin".into()),
            },
        };
        let given = self.exports.as_ref().map(|path| path.display().to_string());
        Ok(Answers {
            exports: answer(&exports, given)?.into(),
            site_id: answer(&site_id, self.site_id.clone())?,
            name: answer(&name, self.name.clone())?,
            timezone: answer(&timezone, self.timezone.clone())?,
            date_order: self.date_order.clone(),
        })
    }

    fn report(&self, findings: &Findings, text: &str) -> String {
        let guesses = text.lines().filter(|line| line.contains("GUESS")).count();
        let config = self.out.display();
        // The service reads the exports itself, and root, who has written this config, is not let into its store.
        let then = if written::is_for_service(self.folder()) {
            "sudo systemctl start pumphouse".into()
        } else {
            format!(
                "pumphouse ingest --config {config} {}",
                findings.exports.display()
            )
        };
        format!(
            "{}\n{config} is written, with {guesses} guesses to put right: look for GUESS.\n\
             Next:\n  pumphouse check --config {config}\n  {then}\n",
            findings.summary()
        )
    }
}

/// What is asked on a terminal, or given by an option.
struct Question<'a> {
    text: &'a str,
    default: &'a str,
    /// What is wrong with an answer, if anything is.
    fault: fn(&str) -> Option<String>,
}

impl Question<'_> {
    fn wrong(&self, answer: &str) -> Option<String> {
        (self.fault)(answer).map(|fault| format!("{answer:?} {fault}"))
    }

    /// Asks until the answer is right.
    fn ask(&self) -> anyhow::Result<String> {
        loop {
            eprint!("{} [{}]: ", self.text, self.default);
            std::io::stderr().flush()?;
            let mut line = String::new();
            let read = stdin().read_line(&mut line);
            ensure!(
                read.context("cannot read the answer")? > 0,
                "no answer; nothing is written"
            );
            let answer = match line.trim() {
                "" => self.default,
                answer => answer,
            };
            match self.wrong(answer) {
                None => return Ok(answer.to_owned()),
                Some(wrong) => eprintln!("  {wrong}"),
            }
        }
    }
}

/// The machine's own zone, by the link that systemd keeps.
fn zone_of_machine() -> String {
    let link = fs::read_link("/etc/localtime").unwrap_or_default();
    let link = link.to_string_lossy();
    let zone = link.split_once("zoneinfo/").map_or("UTC", |(_, zone)| zone);
    zone.to_owned()
}
