//! What the exports show: their formats, their tags, and how far their values go.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget};

use super::Answers;
use crate::{
    calendar::Calendar,
    clock::Clock,
    historian::{
        Format, TagMap,
        files::{End, Reader},
        stamps::DayOrder,
        watch::list,
    },
    tags::{TAG_NAMES, TAGS},
};

/// Share of a tag's values that its guessed limit covers: single spikes of a sensor do not count.
const COVERED: f64 = 0.999;

/// What was found.
pub struct Findings {
    /// The folder looked into.
    pub exports: PathBuf,
    /// Files of each format.
    pub formats: BTreeMap<String, u64>,
    /// Files that cannot be read on, with the reason.
    pub held: Vec<String>,
    /// Minutes seen.
    pub minutes: u64,
    /// The values of each tag, unordered.
    values: Vec<Vec<f64>>,
    /// Whether indexes were seen without a table that says what they mean.
    pub guesses_indexes: bool,
    /// Tags that the station does not have, as they are written.
    pub unknown: BTreeSet<String>,
}

impl Findings {
    /// Looks into the newest exports.
    pub fn look(answers: &Answers, files_max: usize) -> anyhow::Result<Self> {
        let zone = jiff::tz::TimeZone::get(&answers.timezone)?;
        let mut files = list(&answers.exports)
            .with_context(|| format!("cannot list {}", answers.exports.display()))?;
        files.sort_by_key(|(_, outside)| outside.mtime_ns);
        let newest = files.split_off(files.len().saturating_sub(files_max));
        let format = Arc::new(Format {
            day_order: match answers.date_order.as_deref() {
                Some("day_first") => Some(DayOrder::DayFirst),
                Some(_) => Some(DayOrder::MonthFirst),
                None => None,
            },
            ..Format::new(in_order())
        });
        let mut found = Self {
            exports: answers.exports.clone(),
            formats: BTreeMap::new(),
            held: Vec::new(),
            minutes: 0,
            values: vec![Vec::new(); TAGS],
            guesses_indexes: false,
            unknown: BTreeSet::new(),
        };
        let bar =
            ProgressBar::with_draw_target(Some(newest.len() as u64), ProgressDrawTarget::stderr());
        for (path, _) in newest {
            if let Err(error) = found.read(&path, &format, &Calendar::new(zone.clone())) {
                found.held.push(format!("{}: {error}", path.display()));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        Ok(found)
    }

    fn read(
        &mut self,
        path: &Path,
        format: &Arc<Format>,
        calendar: &Calendar,
    ) -> std::io::Result<()> {
        let mut reader = Reader::start(path, 1, format, calendar)?;
        let mut layout = String::new();
        while let Some(piece) = reader.next_piece(End::Final, Clock::Wall.minute())? {
            self.minutes += piece.minutes.len() as u64;
            for records in piece.minutes {
                for (values, value) in self.values.iter_mut().zip(records.values) {
                    values.extend(Some(value).filter(|value| !value.is_nan()));
                }
            }
            if let Some(refusal) = piece.refusal {
                self.held
                    .push(format!("{}: {}", path.display(), refusal.reason));
            }
            let unknown = |reason: &str| {
                reason
                    .strip_suffix(" is not mapped to a tag")
                    .or(reason.strip_suffix(" is none of the station's"))
                    .map(str::to_owned)
            };
            self.unknown.extend(
                piece
                    .rejects
                    .iter()
                    .filter_map(|reject| unknown(&reject.reason)),
            );
            layout = piece.record.layout;
        }
        if !layout.is_empty() && layout != "tag table" {
            let names_tags = layout == "wide" || layout == "columns by name";
            self.guesses_indexes |= !names_tags && !reader.has_tag_table();
            *self.formats.entry(layout).or_insert(0) += 1;
        }
        Ok(())
    }

    /// The highest of a tag's values, but for its highest thousandth; `None` for a tag that was not seen.
    pub fn high(&self, slot: usize) -> Option<f64> {
        let mut values = self.values[slot].clone();
        values.sort_by(f64::total_cmp);
        let at = ((values.len() as f64 * COVERED) as usize).min(values.len().checked_sub(1)?);
        Some(values[at])
    }

    /// The tags that were seen.
    pub fn seen(&self) -> usize {
        self.values
            .iter()
            .filter(|values| !values.is_empty())
            .count()
    }

    /// The station's tags that were not seen.
    pub fn missing(&self) -> impl Iterator<Item = &'static str> {
        let missing = self
            .values
            .iter()
            .enumerate()
            .filter(|(_, values)| values.is_empty());
        missing.map(|(slot, _)| TAG_NAMES[slot])
    }

    /// For people.
    pub fn summary(&self) -> String {
        let formats: Vec<_> = self
            .formats
            .iter()
            .map(|(name, files)| format!("{files} {name}"))
            .collect();
        let mut lines = vec![format!(
            "{} minutes in {}; {} of the station's {TAGS} tags",
            self.minutes,
            if formats.is_empty() {
                "no file that can be read".to_owned()
            } else {
                formats.join(", ")
            },
            self.seen()
        )];
        lines.extend(
            self.held
                .iter()
                .take(5)
                .map(|held| format!("warning: {held}")),
        );
        if !self.unknown.is_empty() {
            let unknown: Vec<_> = self.unknown.iter().take(10).map(String::as_str).collect();
            lines.push(format!("not the station's: {}", unknown.join(", ")));
        }
        lines.join("\n")
    }
}

/// The indexes of the sample: the tags in their order.
fn in_order() -> TagMap {
    let mut map = TagMap::default();
    (0..TAGS).for_each(|slot| map.insert(slot as u64, slot));
    map
}
