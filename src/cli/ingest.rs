//! `pumphouse ingest`: replays export files into the store.

use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    time::{Duration, Instant},
};

use anyhow::Context;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use super::{ConfigFile, print_json, print_text};
use crate::{
    calendar::Calendar,
    clock::Clock,
    historian::{
        files::{End, FileRecord, Piece, Reader},
        fold::Tally,
        lines::{Reject, UNREAD},
        watch::list,
    },
    pipeline::{Intake, Pipeline},
    publish,
    store::{Store, healing, writer::Writer},
};

/// Pieces read ahead.
const PIECES_WAITING_MAX: usize = 2;

/// Replay export files into the store
///
/// Reads historian exports of every format that the daemon reads (docs/EXPORTS.md) into all tables. Files may be read again and in
/// any order: the tables come out the same. A line that cannot be read is recorded in ingest_rejects with
/// file, line and reason, and the rest goes in.
#[derive(clap::Args)]
pub struct Ingest {
    #[command(flatten)]
    config: ConfigFile,
    /// Export files, or folders with .csv and .txt files (read by name)
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

impl Ingest {
    pub fn run(self) -> anyhow::Result<()> {
        let config = self.config.load()?;
        let mut files = Vec::new();
        for path in &self.paths {
            let path = std::path::absolute(path)?;
            files.extend(list(&path).with_context(|| format!("cannot read {}", path.display()))?);
        }
        anyhow::ensure!(
            !files.is_empty(),
            "no .csv or .txt file in the folders given"
        );
        let bytes: u64 = files.iter().map(|(_, outside)| outside.size).sum();

        healing::refuse_anew(&config.store, &config.backups.folder)?;
        let store = Store::open(&config.store, publish::face(&config))?;
        let known = store.files()?;
        let writer = Writer::start(store)?;
        let mut pipeline = Pipeline::new(
            config.plant.clone(),
            writer,
            config.historian.delivery_delay_min,
        )?;
        let now = Clock::Wall.minute();
        let started = Instant::now();
        let progress = progress_bar(bytes);

        let (pieces, queue) = sync_channel::<Piece>(PIECES_WAITING_MAX);
        let calendar = Calendar::new(config.plant.zone.clone());
        let format = config.historian.format.clone();
        let paths: Vec<PathBuf> = files.into_iter().map(|(path, _)| path).collect();
        let planned = plan(paths, known);
        let mut report = Report::default();
        std::thread::scope(|scope| -> anyhow::Result<()> {
            scope.spawn(move || {
                for Planned { path, id, before } in planned {
                    let read =
                        Reader::start(&path, id, &format, &calendar).and_then(|mut reader| {
                            if let Some(before) = &before {
                                reader.expect_again(before);
                            }
                            while let Some(piece) = reader.next_piece(End::Final, now)? {
                                if pieces.send(piece).is_err() {
                                    break;
                                }
                            }
                            Ok(())
                        });
                    // When the other end is gone, it has failed and tells of it itself.
                    if let Err(error) = read
                        && pieces.send(unread(&path, id, before, &error)).is_err()
                    {
                        return;
                    }
                }
            });
            let mut position = BTreeMap::new();
            for piece in queue {
                let before = position
                    .insert(piece.record.id, piece.record.offset)
                    .unwrap_or(0);
                progress.inc(piece.record.offset.saturating_sub(before));
                report.note(&piece);
                report.total += pipeline.feed(piece, now)?;
            }
            Ok(())
        })?;
        pipeline.commit()?;
        pipeline.stop();
        progress.finish_and_clear();
        report.print(started.elapsed(), self.json)?;
        report.verdict()
    }
}

/// A file to read, with its number in the store and what is remembered of it.
struct Planned {
    path: PathBuf,
    id: i64,
    before: Option<FileRecord>,
}

/// A file that cannot be read, as its reject; the others go on.
fn unread(path: &Path, id: i64, before: Option<FileRecord>, error: &std::io::Error) -> Piece {
    let record = before.unwrap_or_else(|| FileRecord {
        id,
        path: path.to_path_buf(),
        ..FileRecord::default()
    });
    let reason = format!("{UNREAD}{error}");
    let refusal = Reject::new(record.lines + 1, b"", reason);
    Piece {
        from_line: record.lines + 1,
        record,
        rejects: vec![refusal.clone()],
        refusal: Some(refusal),
        ..Piece::default()
    }
}

/// Gives each file the number it has in the store, or the next one.
fn plan(paths: Vec<PathBuf>, known: Vec<FileRecord>) -> Vec<Planned> {
    let mut next = known.iter().map(|record| record.id).max().unwrap_or(0);
    let attached = known.into_iter().filter(|record| !record.detached);
    let by_path: BTreeMap<PathBuf, FileRecord> = attached
        .map(|record| (record.path.clone(), record))
        .collect();
    let planned = paths.into_iter().map(|path| {
        let before = by_path.get(&path).cloned();
        let id = match &before {
            Some(record) => record.id,
            None => {
                next += 1;
                next
            }
        };
        Planned { path, id, before }
    });
    planned.collect()
}

pub(super) fn progress_bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
    let style =
        ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

/// What was read.
#[derive(Default)]
struct Report {
    tallies: BTreeMap<PathBuf, Tally>,
    formats: BTreeMap<PathBuf, String>,
    refusals: BTreeMap<PathBuf, Reject>,
    moved: Vec<String>,
    total: Intake,
}

impl Report {
    fn note(&mut self, piece: &Piece) {
        let Piece {
            record,
            refusal,
            moved_tags,
            ..
        } = piece;
        let path = &record.path;
        self.tallies.insert(path.clone(), record.tally.clone());
        if !record.layout.is_empty() {
            self.formats.insert(path.clone(), record.layout.clone());
        }
        let shown = path.display();
        let moved = moved_tags.iter().map(|moved| format!("{shown}: {moved}"));
        self.moved.extend(moved);
        if let Some(refusal) = refusal {
            self.refusals.insert(path.clone(), refusal.clone());
        }
    }

    /// Files that could not be read at all make the whole a failure, once the others are in.
    fn verdict(&self) -> anyhow::Result<()> {
        let unread = |(path, refusal): (&PathBuf, &Reject)| {
            let cause = refusal.reason.strip_prefix(UNREAD)?;
            Some(format!("cannot read {}: {cause}", path.display()))
        };
        let mut unread = self.refusals.iter().filter_map(unread);
        match (unread.next(), unread.count()) {
            (None, _) => Ok(()),
            (Some(first), 0) => anyhow::bail!("{first}"),
            (Some(first), more) => anyhow::bail!("{first}, and {more} files more"),
        }
    }

    /// How many files there are of each format.
    fn by_format(&self) -> BTreeMap<&str, u64> {
        let mut files = BTreeMap::new();
        for format in self.formats.values() {
            *files.entry(format.as_str()).or_insert(0) += 1;
        }
        files
    }

    fn print(&self, took: Duration, as_json: bool) -> anyhow::Result<()> {
        let sum = |figure: fn(&Tally) -> u64| self.tallies.values().map(figure).sum::<u64>();
        let (kept, rejected) = (sum(|tally| tally.kept), sum(|tally| tally.rejected));
        let mut discarded = BTreeMap::new();
        for (marker, count) in self.tallies.values().flat_map(|tally| &tally.discarded) {
            *discarded.entry(marker.clone()).or_insert(0) += count;
        }
        let Intake {
            rows,
            late,
            gone,
            alerts,
        } = self.total;
        let seconds = took.as_secs_f64();
        let rows_per_s = ((rows + late) as f64 / seconds.max(1e-9)).round();
        let warnings = self.warnings();
        if as_json {
            return print_json(&json!({
                "files": self.tallies.len(),
                "files_by_format": self.by_format(),
                "records_kept": kept,
                "records_discarded_by_marker": discarded,
                "records_rejected": rejected,
                "rows_new": rows,
                "minutes_late_or_again": late,
                "minutes_older_than_kept": gone,
                "alerts_raised": alerts,
                "seconds": seconds,
                "rows_per_s": rows_per_s,
                "warnings": warnings,
            }));
        }
        let mut text = String::new();
        let formats = self.by_format();
        let formats: Vec<_> = formats
            .iter()
            .map(|(name, files)| format!("{files} {name}"))
            .collect();
        let of = if formats.is_empty() {
            String::new()
        } else {
            format!(": {}", formats.join(", "))
        };
        writeln!(text, "{:>12}  files{of}", self.tallies.len())?;
        writeln!(text, "{kept:>12}  records kept")?;
        if discarded.is_empty() {
            writeln!(text, "{:>12}  records passed over for their marker", 0)?;
        }
        for (marker, count) in &discarded {
            writeln!(
                text,
                "{count:>12}  records passed over with marker {marker:?}"
            )?;
        }
        writeln!(
            text,
            "{rejected:>12}  lines and values rejected (see ingest_rejects)"
        )?;
        writeln!(
            text,
            "{rows:>12}  new rows, {rows_per_s} a second in {seconds:.1} s"
        )?;
        if late > 0 {
            writeln!(
                text,
                "{late:>12}  minutes late or read again; what changed was derived once more"
            )?;
        }
        if gone > 0 {
            writeln!(
                text,
                "{gone:>12}  of them are older than what is kept, and were passed over"
            )?;
        }
        writeln!(text, "{alerts:>12}  alerts raised by new rows")?;
        for warning in warnings {
            writeln!(text, "warning: {warning}")?;
        }
        print_text(&text)
    }

    fn warnings(&self) -> Vec<String> {
        let refusals = self.refusals.iter().map(|(path, refusal)| {
            format!(
                "{}: line {}: {}",
                path.display(),
                refusal.line,
                refusal.reason
            )
        });
        let markers = self
            .tallies
            .iter()
            .filter_map(|(path, tally)| tally.marker_warning(path));
        let moved = self.moved.iter().cloned();
        refusals.chain(moved).chain(markers).collect()
    }
}
