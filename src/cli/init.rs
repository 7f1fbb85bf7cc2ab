//! `pumphouse init`: a config from what the exports show.

use std::{
    fs,
    io::{IsTerminal, Write as _, stdin},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail, ensure};

use super::print_text;
use crate::config::Config;

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
        ensure!(
            answers.exports.exists(),
            "{} is not there; --exports names the folder with the historian's exports",
            answers.exports.display()
        );
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
        let answer = |given: Option<String>, question: &str, default: &str| match given {
            Some(given) => Ok(given),
            None if asks => ask(question, default),
            None => Ok(default.to_owned()),
        };
        let exports = self.exports.as_ref().map(|path| path.display().to_string());
        let timezone = answer(
            self.timezone.clone(),
            "Time zone of the plant",
            &zone_of_machine(),
        )?;
        ensure!(
            jiff::tz::TimeZone::get(&timezone).is_ok(),
            "{timezone:?} is no IANA time zone; write it like Europe/Berlin"
        );
        Ok(Answers {
            exports: answer(exports, "Folder with the exports", "exports")?.into(),
            site_id: answer(self.site_id.clone(), "Id of the site", "stp-01")?,
            name: answer(self.name.clone(), "Name of the site", "STP pump station")?,
            timezone,
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

fn ask(question: &str, default: &str) -> anyhow::Result<String> {
    eprint!("{question} [{default}]: ");
    std::io::stderr().flush()?;
    let mut line = String::new();
    stdin()
        .read_line(&mut line)
        .context("cannot read the answer")?;
    let answer = line.trim();
    Ok(if answer.is_empty() { default } else { answer }.to_owned())
}

/// The machine's own zone, by the link that systemd keeps.
fn zone_of_machine() -> String {
    let link = fs::read_link("/etc/localtime").unwrap_or_default();
    let link = link.to_string_lossy();
    let zone = link.split_once("zoneinfo/").map_or("UTC", |(_, zone)| zone);
    zone.to_owned()
}
