//! `pumphouse export`: a table, for people with spreadsheets.

use std::{
    fs::{self, File},
    io::BufWriter,
    path::PathBuf,
};

use anyhow::Context;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ConfigFile;
use crate::{
    calendar::{date_text, day_of},
    store::export::{self, Part},
};

/// Write a table as CSV, for spreadsheets
///
/// Any table or view that questions can be asked of. Times are the plant's wall clock; what is not known is empty. Without --out it goes
/// to standard output.
#[derive(clap::Args)]
pub struct Export {
    #[command(flatten)]
    config: ConfigFile,
    /// The table, like readings_wide, daily_summary or alerts_log; a wrong name lists all
    #[arg(long, value_name = "TABLE")]
    table: String,
    /// From this date on, or `YYYY-MM-DD HH:MM`
    #[arg(long, value_name = "DATE", value_parser = Moment::parse)]
    from: Option<Moment>,
    /// Up to and with this date, or before `YYYY-MM-DD HH:MM`
    #[arg(long, value_name = "DATE", value_parser = Moment::parse)]
    to: Option<Moment>,
    /// How it is written
    #[arg(long, value_enum, default_value = "csv")]
    format: Format,
    /// What stands between two columns; `;` for spreadsheets that have a decimal comma
    #[arg(long, default_value = ",", value_parser = parse_delimiter)]
    delimiter: u8,
    /// The file, which must not be there yet
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// As RFC 4180 has it
    Csv,
}

/// A date, or a minute of one.
#[derive(Clone, Debug)]
struct Moment {
    date: i64,
    time: Option<String>,
}

impl Moment {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not YYYY-MM-DD or \"YYYY-MM-DD HH:MM\"");
        let (date, time) = match text.split_once([' ', 'T']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let date = day_of(date).ok_or_else(wrong)?;
        let time = match time {
            None => None,
            Some(time) => {
                let time: jiff::civil::Time = time.parse().map_err(|_| wrong())?;
                Some(time.strftime("%H:%M:%S").to_string())
            }
        };
        Ok(Self { date, time })
    }

    /// As the tables have it; a date alone is its beginning, or that of the date after it.
    fn text(&self, is_end: bool) -> String {
        match &self.time {
            Some(time) => format!("{} {time}", date_text(self.date)),
            None => date_text(self.date + i64::from(is_end)),
        }
    }
}

fn parse_delimiter(text: &str) -> Result<u8, String> {
    match text {
        "," => Ok(b','),
        ";" => Ok(b';'),
        "tab" | "\t" | "\\t" => Ok(b'\t'),
        _ => Err("is \",\", \";\" or \"tab\"".into()),
    }
}

impl Export {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let (from, until) = (
            self.from.as_ref().map(|it| it.text(false)),
            self.to.as_ref().map(|it| it.text(true)),
        );
        let part = Part {
            table: &self.table,
            from: from.as_deref(),
            until: until.as_deref(),
            delimiter: self.delimiter,
        };
        let Format::Csv = self.format;
        let Some(path) = &self.out else {
            let mut out = BufWriter::new(std::io::stdout().lock());
            export::write(&config.store, &part, &mut out, || {})?;
            return Ok(());
        };
        let file =
            File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
        let rows = rows_bar();
        let written = export::write(&config.store, &part, &mut BufWriter::new(file), || {
            rows.inc(1)
        });
        rows.finish_and_clear();
        match written {
            Ok(count) => {
                eprintln!("{count} rows of {} in {}", self.table, path.display());
                Ok(())
            }
            Err(error) => {
                // Half a table would be taken for the whole.
                let _ = fs::remove_file(path);
                Err(error)
            }
        }
    }
}

fn rows_bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} rows, {per_sec}") {
        bar.set_style(style);
    }
    bar
}
