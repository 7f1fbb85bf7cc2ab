//! `pumphouse verify` and `pumphouse resync`: proof that the central office has every row, and sending a range again.

use std::fmt::Write;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{ConfigFile, block_on, print_json, print_text};
use crate::{
    calendar::{Day, date_text, day_of},
    config::{Central, Config},
    sync::{
        connect,
        verify::{Ends, days_held},
    },
};

/// Differences shown.
const SHOWN_MAX: usize = 40;

/// A stretch of local dates.
#[derive(clap::Args)]
struct Days {
    /// First date, YYYY-MM-DD; default: the first one in the store
    #[arg(long, value_name = "DATE", value_parser = date)]
    from: Option<Day>,
    /// Last date, YYYY-MM-DD; default: the last one in the store
    #[arg(long, value_name = "DATE", value_parser = date)]
    to: Option<Day>,
}

fn date(text: &str) -> Result<Day, String> {
    day_of(text).ok_or_else(|| format!("{text:?} is no date like 2026-03-01"))
}

impl Days {
    fn believed(&self, config: &Config) -> anyhow::Result<(Day, Day)> {
        let held = days_held(&config.store)?.context("the store has no rows yet")?;
        let days = (self.from.unwrap_or(held.0), self.to.unwrap_or(held.1));
        anyhow::ensure!(days.0 <= days.1, "--from is after --to");
        Ok(days)
    }
}

fn central(config: &Config) -> anyhow::Result<&Central> {
    config
        .central
        .as_ref()
        .context("the config has no [central] section, so there is no central office")
}

/// Prove that the central office has every row
///
/// Compares count and SHA-256 of each table's days on both ends and lists what differs; ends with 1 when anything does. It can
/// run beside the daemon; what waits to be sent shows as a difference until it has been.
#[derive(clap::Args)]
pub struct Verify {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    days: Days,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let days = self.days.believed(&config)?;
        let verdict = block_on(async {
            let mut connection = connect(central(&config)?).await?;
            let progress = bar(0, "{wide_bar} {msg}");
            let verdict = self::ends(&config, &mut connection)
                .verify(days, |table, of| {
                    progress.set_length(of as u64);
                    progress.set_message(table);
                    progress.inc(1);
                })
                .await;
            progress.finish_and_clear();
            verdict
        })?;
        let (differ, days) = (verdict.differences.len(), verdict.days);
        if self.json {
            print_json(&serde_json::to_value(&verdict)?)?;
        } else {
            let mut text = String::new();
            for (table, rows) in &verdict.rows {
                writeln!(text, "{rows:>12}  {table}")?;
            }
            for difference in verdict.differences.iter().take(SHOWN_MAX) {
                let rows = |end: &Option<_>| {
                    end.as_ref()
                        .map_or("no rows".to_owned(), |end: &crate::sync::verify::End| {
                            format!("{} rows {}", end.rows, &end.hash[..12])
                        })
                };
                let (here, there) = (rows(&difference.here), rows(&difference.there));
                let (table, date) = (difference.table, &difference.date);
                writeln!(
                    text,
                    "differs  {table} {date}: {here} here, {there} at the central office"
                )?;
            }
            if differ > SHOWN_MAX {
                writeln!(
                    text,
                    "differs  and {} more (--json has all)",
                    differ - SHOWN_MAX
                )?;
            }
            for (table, key, reason) in verdict.refused.iter().take(SHOWN_MAX) {
                writeln!(text, "refused  {table} {key}: {reason}")?;
            }
            if verdict.waiting > 0 {
                writeln!(
                    text,
                    "waiting  {} rows are still to be sent",
                    verdict.waiting
                )?;
            }
            if differ == 0 {
                writeln!(text, "the same on both ends: {days} days of tables")?;
            }
            print_text(&text)?;
        }
        anyhow::ensure!(
            verdict.is_same(),
            "{differ} of {days} days of tables differ; what waits is sent by the daemon, the rest by `pumphouse resync`; after a backup was put back, or on a new box, by `pumphouse resync --take-over`"
        );
        Ok(())
    }
}

/// Send a range to the central office again
///
/// All tables' rows of the dates go again, as they stand here; what is gone here goes there, too. It can run beside the daemon.
#[derive(clap::Args)]
pub struct Resync {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    days: Days,
    /// Make the office hold what this box holds: it replaces another one, has a new store or one from a backup. The daemon then
    /// sends everything, and rows that only the office has go there
    #[arg(long, conflicts_with_all = ["from", "to"])]
    take_over: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Resync {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        if self.take_over {
            let taken = block_on(async {
                let mut connection = connect(central(&config)?).await?;
                self::ends(&config, &mut connection).take_over().await
            })?;
            return if self.json {
                print_json(&json!({ "taken_over": taken }))
            } else if taken {
                print_text(
                    "the site is taken over; the daemon sends everything when it next meets the central office\n",
                )
            } else {
                print_text("nobody has the site; the daemon sends everything anyway\n")
            };
        }
        let days = self.days.believed(&config)?;
        let (rows, refused) =
            block_on(async {
                let mut connection = connect(central(&config)?).await?;
                let progress = bar(
                    (days.1 - days.0 + 1) as u64,
                    "{wide_bar} {pos}/{len} days {eta}",
                );
                let (mut rows, mut refused) = (0, Vec::new());
                self::ends(&config, &mut connection)
                    .resend(days, |until, sent| {
                        progress.set_position((until - days.0 + 1) as u64);
                        rows += sent.rows;
                        refused.extend(sent.refused.iter().map(|row| {
                            (row.table.name(), row.row_key.clone(), row.reason.clone())
                        }));
                    })
                    .await?;
                progress.finish_and_clear();
                anyhow::Ok((rows, refused))
            })?;
        let (from, to) = (date_text(days.0), date_text(days.1));
        if self.json {
            return print_json(
                &json!({ "from": from, "to": to, "rows": rows, "refused": refused }),
            );
        }
        let mut text = format!(
            "{rows} rows sent again: all of {from} to {to}, and of the days beside, since keys go by UTC\n"
        );
        for (table, key, reason) in refused.iter().take(SHOWN_MAX) {
            writeln!(text, "refused  {table} {key}: {reason}")?;
        }
        print_text(&text)
    }
}

fn ends<'a>(config: &'a Config, connection: &'a mut sqlx::PgConnection) -> Ends<'a> {
    Ends {
        site: &config.site_id,
        zone: &config.plant.zone,
        store: &config.store,
        connection,
    }
}

fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
