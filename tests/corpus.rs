//! The corpus of exports: one folder a case, read as the daemon reads it, in one piece and as it grows.
//!
//! `tests/corpus/README.md` says what is in a folder. `PUMPHOUSE_BLESS=1 cargo test --test corpus` writes what is found as expected;
//! the difference is to be read before it is committed.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use common::pieces::merge;
use pumphouse::{
    calendar::{Calendar, utc_text},
    config::Config,
    historian::{
        files::{End, Piece, Reader},
        minutes::MinuteRecords,
        watch,
    },
    tags::TAG_NAMES,
};

/// The wall clock, 2025-12-29: after all that the inputs say of 2025.
const NOW: i64 = 29_450_000;
/// Lengths at which a file that grows is looked at.
const STEPS: [usize; 4] = [1, 37, 300, 1000];
/// Inputs up to this length are looked at after each byte.
const EVERY_BYTE_MAX: usize = 400;

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let entries = fs::read_dir(folder).expect("the corpus");
    let mut cases: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    cases
}

/// The config of a case: the sample's, with the lines of `settings.toml` in [historian].
fn config(case: &Path) -> Config {
    let settings = fs::read_to_string(case.join("settings.toml")).unwrap_or_default();
    let mut tags = String::from("[historian.tags]\n");
    for (index, name) in TAG_NAMES.iter().enumerate() {
        writeln!(tags, "{index} = \"{name}\"").expect("a text");
    }
    if settings.contains("# no tags") {
        tags.clear();
    }
    let (own, sections) = settings.split_at(settings.find('[').unwrap_or(settings.len()));
    let text = format!(
        "[site]\nid = \"case\"\nname = \"case\"\ntimezone = \"Europe/Berlin\"\nrated_kw = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]\n\
         hlt_physical_max = 500.0\nhlt_volume_m3 = 1200.0\nfit101_physical_max = 900.0\n\
         [historian]\n{own}\n{tags}\n{sections}"
    );
    Config::parse(&text, case).unwrap_or_else(|faults| panic!("{}: {faults:?}", case.display()))
}

/// What a file says.
#[derive(Default)]
struct Said {
    format: String,
    rows: BTreeMap<i64, MinuteRecords>,
    rejects: BTreeMap<u64, String>,
    logging: BTreeSet<String>,
    counts: String,
}

impl Said {
    fn take(&mut self, piece: Piece) {
        self.rejects.split_off(&piece.from_line.max(1));
        for reject in piece.rejects {
            let times = if reject.count > 1 {
                format!(" ({} times)", reject.count)
            } else {
                String::new()
            };
            self.rejects
                .insert(reject.line, format!("{}{times}", reject.reason));
        }
        for records in piece.minutes {
            match self.rows.entry(records.minute) {
                Entry::Occupied(mut standing) => merge(standing.get_mut(), &records),
                Entry::Vacant(new) => drop(new.insert(records)),
            }
        }
        for (minute, event) in piece.logging {
            self.logging
                .insert(format!("{} {event:?}", utc_text(minute)));
        }
        let record = piece.record;
        self.format = record.layout;
        self.counts = format!(
            "kept {}, passed over {:?}, rejected {}",
            record.tally.kept, record.tally.discarded, record.tally.rejected
        );
    }

    fn text(&self, name: &str) -> String {
        let mut text = format!(
            "{name}: {}, {}\n",
            if self.format.is_empty() {
                "unread"
            } else {
                &self.format
            },
            self.counts
        );
        for records in self.rows.values() {
            let marker = if records.from_b { " B" } else { "" };
            let duplicated = if records.duplicated == 0 {
                ""
            } else {
                " twice"
            };
            writeln!(text, "  {}{marker}{duplicated}", utc_text(records.minute)).expect("a text");
            for (slot, name) in TAG_NAMES.iter().enumerate() {
                let value = records.values[slot];
                if !value.is_nan() {
                    let us = records.micros[slot];
                    writeln!(
                        text,
                        "    {name} = {value} at {}.{:06} s",
                        us / 1_000_000,
                        us % 1_000_000
                    )
                    .expect("a text");
                }
            }
        }
        for event in &self.logging {
            writeln!(text, "  logging {event}").expect("a text");
        }
        for (line, reason) in &self.rejects {
            writeln!(text, "  line {line}: {reason}").expect("a text");
        }
        text
    }
}

fn reader(path: &Path, config: &Config) -> std::io::Result<Reader> {
    let calendar = Calendar::new(config.plant.zone.clone());
    Reader::start(path, 1, &Arc::clone(&config.historian.format), &calendar)
}

/// Reads a file as `ingest` does.
fn at_once(path: &Path, config: &Config) -> String {
    let name = path.file_name().expect("a name").to_string_lossy();
    let mut said = Said::default();
    match reader(path, config) {
        Ok(mut reader) => {
            while let Some(piece) = reader.next_piece(End::Final, NOW).expect("a file") {
                said.take(piece);
            }
            said.text(&name)
        }
        Err(error) => {
            let case = path.parent().expect("a folder").display().to_string();
            format!("{name}: {}\n", error.to_string().replace(&case, "…"))
        }
    }
}

/// Reads a file that grows by `step` bytes, as the daemon does, and at last as `ingest` does.
fn growing(path: &Path, config: &Config, step: usize) -> String {
    let name = path.file_name().expect("a name").to_string_lossy();
    let bytes = fs::read(path).expect("an input");
    let folder = tempfile::tempdir().expect("a folder");
    for beside in fs::read_dir(path.parent().expect("a folder")).expect("a folder") {
        let beside = beside.expect("an entry").path();
        if beside != path {
            let to = folder.path().join(beside.file_name().expect("a name"));
            fs::copy(&beside, to).expect("copied");
        }
    }
    let grown = folder.path().join(&*name);
    fs::write(&grown, b"").expect("written");
    let Ok(mut reader) = reader(&grown, config) else {
        return at_once(path, config);
    };
    let mut said = Said::default();
    let mut at = 0;
    while at < bytes.len() {
        at = (at + step).min(bytes.len());
        fs::write(&grown, &bytes[..at]).expect("written");
        let end = if at == bytes.len() {
            End::Final
        } else {
            End::MayGrow
        };
        while let Some(piece) = reader.next_piece(end, NOW).expect("a file") {
            said.take(piece);
        }
    }
    said.text(&name)
}

#[test]
fn every_case_says_what_is_expected_at_once_and_as_it_grows() {
    let bless = std::env::var_os("PUMPHOUSE_BLESS").is_some();
    let (mut files, mut wrong) = (0, Vec::new());
    for case in cases() {
        let config = config(&case);
        let mut found = String::new();
        for (path, outside) in watch::list(&case).expect("a folder") {
            if path.ends_with("expected.txt") {
                continue;
            }
            files += 1;
            let said = at_once(&path, &config);
            let every = if (outside.size as usize) < EVERY_BYTE_MAX {
                1
            } else {
                100
            };
            for step in STEPS.into_iter().filter(|&step| step >= every) {
                let grown = growing(&path, &config, step);
                if grown != said {
                    wrong.push(format!(
                        "{}, grown by {step} bytes\n{grown}{said}",
                        path.display()
                    ));
                }
            }
            found += &said;
        }
        let place = case.join("expected.txt");
        if bless {
            fs::write(&place, &found).expect("written");
        } else if fs::read_to_string(&place).ok().as_deref() != Some(&found) {
            wrong.push(format!("{}\n{found}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "not as expected:\n{}", wrong.join("\n"));
    assert!(files >= 60, "{files} files");
}
