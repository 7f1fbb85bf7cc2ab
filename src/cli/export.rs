//! `pumphouse export`: a table, for people with spreadsheets.

use std::{
    fs::{self, File},
    io::{BufWriter, IsTerminal, Write},
    path::PathBuf,
};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ConfigFile;
use crate::{
    calendar::{date_text, day_of},
    store::{
        export::{self, Part, Table},
        open_read_only,
    },
};

/// Write a table as CSV, for spreadsheets, or Parquet, for notebooks
///
/// Any table or view that questions can be asked of, the days' data quality, and what was rejected. Times are the plant's wall clock;
/// what is not known is empty. Without --out it goes to standard output.
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
    /// What stands between two columns of CSV; `;` for spreadsheets that have a decimal comma
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
    /// Columns with types, compressed by Snappy
    Parquet,
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
        };
        let connection = open_read_only(&config.store)?;
        let mut table = Table::open(&connection, part)?;
        let Some(path) = &self.out else {
            ensure!(
                matches!(self.format, Format::Csv) || !std::io::stdout().is_terminal(),
                "Parquet is not for a terminal; --out names a file"
            );
            self.write(&mut table, std::io::stdout(), || {})?;
            return Ok(());
        };
        let file =
            File::create_new(path).with_context(|| format!("cannot create {}", path.display()))?;
        let rows = rows_bar();
        let written = self.write(&mut table, file, || rows.inc(1));
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

    fn write(
        &self,
        table: &mut Table<'_>,
        out: impl Write + Send,
        told: impl FnMut(),
    ) -> anyhow::Result<u64> {
        let mut out = BufWriter::new(out);
        match self.format {
            Format::Csv => export::csv::write(table, self.delimiter, &mut out, told),
            Format::Parquet => export::parquet::write(table, out, told),
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
