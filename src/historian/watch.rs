//! The watched folders: which files are new, have grown, were renamed or replaced.
//!
//! The scan is the truth: exports usually lie on a Windows share mounted on the box, where the kernel reports no
//! changes made on the far side. [`Hint`] only makes the next scan come sooner where the kernel does report them.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Format, beside,
    files::{End, FileRecord, Outside, Piece, Reader, head_hash},
};
use crate::calendar::{Calendar, Minute};

/// What exports are called.
const EXTENSIONS: [&str; 5] = ["csv", "txt", "tsv", "dat", "dbf"];
/// Files kept open between scans: those that grow.
const OPEN_MAX: usize = 4;

/// The watched folders and all files ever read in them.
pub struct Watch {
    format: Arc<Format>,
    calendar: Calendar,
    places: Vec<PathBuf>,
    records: BTreeMap<i64, FileRecord>,
    by_path: HashMap<PathBuf, i64>,
    open: Vec<Reader>,
    troubles: BTreeMap<PathBuf, String>,
}

/// Something that keeps a file or folder from being read; it is tried again at each scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It began, or its cause changed.
    Began(PathBuf, String),
    /// It is over.
    Over(PathBuf),
}

impl Watch {
    /// Watches files and folders; `records` is what is remembered of the files read before.
    pub fn new(
        format: Arc<Format>,
        calendar: Calendar,
        places: Vec<PathBuf>,
        records: Vec<FileRecord>,
    ) -> Self {
        let by_path = records.iter().filter(|record| !record.detached);
        let by_path = by_path
            .map(|record| (record.path.clone(), record.id))
            .collect();
        let records = records
            .into_iter()
            .map(|record| (record.id, record))
            .collect();
        Self {
            format,
            calendar,
            places,
            records,
            by_path,
            open: Vec::new(),
            troubles: BTreeMap::new(),
        }
    }

    /// The files that may hold something new, by name, and the troubles that began or ended since the last scan.
    pub fn scan(&mut self) -> (Vec<PathBuf>, Vec<Trouble>) {
        let mut changed = Vec::new();
        let mut news = Vec::new();
        for place in self.places.clone() {
            match list(&place) {
                Ok(files) => {
                    self.note(&place, None, &mut news);
                    changed.extend(
                        files
                            .into_iter()
                            .filter(|(path, outside)| !self.is_read(path, outside)),
                    );
                }
                Err(error) => self.note(&place, Some(error.to_string()), &mut news),
            }
        }
        changed.sort();
        changed.dedup();
        (changed.into_iter().map(|(path, _)| path).collect(), news)
    }

    /// Whether everything that is watched could be looked at last.
    pub fn is_well(&self) -> bool {
        self.troubles.is_empty()
    }

    fn is_read(&self, path: &Path, outside: &Outside) -> bool {
        self.by_path
            .get(path)
            .is_some_and(|id| self.records[id].outside == *outside)
    }

    fn note(&mut self, path: &Path, trouble: Option<String>, news: &mut Vec<Trouble>) {
        match trouble {
            Some(cause) if self.troubles.get(path) != Some(&cause) => {
                news.push(Trouble::Began(path.to_path_buf(), cause.clone()));
                self.troubles.insert(path.to_path_buf(), cause);
            }
            None if self.troubles.remove(path).is_some() => {
                news.push(Trouble::Over(path.to_path_buf()))
            }
            _ => {}
        }
    }

    /// Reads what is new in a file, piece by piece; `take` stores each piece. Records that changed without a piece (a
    /// renamed or replaced file) come as pieces without minutes.
    pub fn read(
        &mut self,
        path: &Path,
        now: Minute,
        mut take: impl FnMut(Piece) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<Trouble>> {
        let mut news = Vec::new();
        let reader = match self.reader(path, now, &mut take) {
            Ok(reader) => reader,
            Err(Failure::File(error)) => {
                self.note(path, Some(error.to_string()), &mut news);
                return Ok(news);
            }
            Err(Failure::Store(error)) => return Err(error),
        };
        self.note(path, None, &mut news);
        let mut reader = reader;
        loop {
            match reader.next_piece(End::MayGrow, now) {
                Ok(Some(piece)) => {
                    self.remember(reader.record());
                    take(piece)?;
                }
                Ok(None) => break,
                Err(error) => {
                    self.note(path, Some(error.to_string()), &mut news);
                    break;
                }
            }
        }
        self.remember(reader.record());
        self.open.insert(0, reader);
        self.open.truncate(OPEN_MAX);
        Ok(news)
    }

    fn remember(&mut self, record: &FileRecord) {
        self.by_path.insert(record.path.clone(), record.id);
        self.records.insert(record.id, record.clone());
    }

    /// The reader that goes on where the file's content was read up to, or starts anew.
    fn reader(
        &mut self,
        path: &Path,
        now: Minute,
        take: &mut impl FnMut(Piece) -> anyhow::Result<()>,
    ) -> Result<Reader, Failure> {
        let outside = Outside::of(&fs::metadata(path)?);
        if let Some(&id) = self.by_path.get(path) {
            if let Some(place) = self.open.iter().position(|reader| reader.record().id == id) {
                let mut reader = self.open.remove(place);
                if reader.still_same(&outside)? {
                    return Ok(reader);
                }
            }
            let record = self.records[&id].clone();
            if record.offset <= outside.size
                && let Some(reader) = Reader::resume(&record, &self.format, &self.calendar, now)?
            {
                return Ok(reader);
            }
            // The path holds something else now; what was read of the old content may turn up under another name.
            let detached = FileRecord {
                detached: true,
                ..record
            };
            self.records.insert(id, detached.clone());
            self.by_path.remove(path);
            take(Piece {
                record: detached,
                ..Piece::default()
            })
            .map_err(Failure::Store)?;
        }
        if let Some(record) = self.known_content(path, &outside)? {
            let elsewhere = !record.detached && record.path != path && record.path.exists();
            let id = if elsewhere { self.next_id() } else { record.id };
            let found = FileRecord {
                id,
                path: path.to_path_buf(),
                detached: false,
                ..record.clone()
            };
            if let Some(reader) = Reader::resume(&found, &self.format, &self.calendar, now)? {
                self.by_path
                    .remove(&record.path)
                    .filter(|_| elsewhere)
                    .map(|id| self.by_path.insert(record.path, id));
                self.remember(&found);
                take(Piece {
                    record: found,
                    ..Piece::default()
                })
                .map_err(Failure::Store)?;
                return Ok(reader);
            }
        }
        Ok(Reader::start(
            path,
            self.next_id(),
            &self.format,
            &self.calendar,
        )?)
    }

    /// The record of a file that began like this one, if any.
    fn known_content(&self, path: &Path, outside: &Outside) -> std::io::Result<Option<FileRecord>> {
        let mut hashes = HashMap::new();
        for record in self
            .records
            .values()
            .rev()
            .filter(|record| record.head.0 > 0 && record.offset <= outside.size)
        {
            let (len, hash) = record.head;
            let own = match hashes.get(&len) {
                Some(&own) => own,
                None => *hashes.entry(len).or_insert(head_hash(path, len)?),
            };
            if own == Some(hash) && record.path != path {
                return Ok(Some(record.clone()));
            }
        }
        Ok(None)
    }

    fn next_id(&self) -> i64 {
        self.records.last_key_value().map_or(1, |(id, _)| id + 1)
    }
}

enum Failure {
    File(std::io::Error),
    Store(anyhow::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::File(error)
    }
}

/// The export files of a place: the file itself, or the files of a folder that are called like exports, by name. The tag
/// tables of sets are read beside them.
pub fn list(place: &Path) -> std::io::Result<Vec<(PathBuf, Outside)>> {
    let metadata = fs::metadata(place)?;
    if metadata.is_file() {
        return Ok(vec![(place.to_path_buf(), Outside::of(&metadata))]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(place)? {
        let path = entry?.path();
        if is_export(&path) {
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => files.push((path, Outside::of(&metadata))),
                // Gone between the listing and the look, or a folder.
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

fn is_export(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = path
        .extension()
        .map(|extension| extension.to_ascii_lowercase());
    let is_named_so =
        extension.is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known));
    !hidden && is_named_so && !beside::is_tag_table(path)
}

/// Wakes the next scan early where the kernel reports changes.
pub struct Hint {
    _watcher: Option<notify::RecommendedWatcher>,
}

impl Hint {
    /// Watches the places as far as the kernel lets us; `wake` is called at each change.
    pub fn new(places: &[PathBuf], wake: impl Fn() + Send + 'static) -> Self {
        use notify::Watcher;
        let on_change = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                wake();
            }
        };
        let mut watcher = notify::recommended_watcher(on_change).ok();
        for place in places {
            if let Some(watcher) = &mut watcher
                && let Err(error) = watcher.watch(place, notify::RecursiveMode::NonRecursive)
            {
                log::debug!(path = place.display().to_string(), cause = error.to_string(); "no kernel events for the place; it is scanned");
            }
        }
        Self { _watcher: watcher }
    }
}
