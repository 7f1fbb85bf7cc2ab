//! One export file, read in pieces: from where the last reading stopped, up to its last whole line.
//!
//! A file is known by its content, not by its name: a position is believed only when the bytes before it have the hash
//! they had. So a file that was renamed goes on where it stopped, and one that was replaced starts anew.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::{
    Format, beside,
    dbase::{self, Sniffed, Table},
    fold::{Fold, Held, Logging, Tally},
    lines::{NOT_READ_ON, Reject},
    minutes::MinuteRecords,
    text::{Encoding, sniff},
};
use crate::calendar::{Calendar, Minute};

/// Bytes read at once.
const PIECE_BYTES: usize = 2 << 20;
/// Bytes at the start of a file by which its record is found again.
const HEAD_BYTES: u64 = 1024;
/// Bytes before the position that are compared when a file has only grown.
const TAIL_BYTES: u64 = 256;

/// A file's outside, by which a change is noticed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outside {
    /// Size, bytes.
    pub size: u64,
    /// Time of the last change, ns since 1970.
    pub mtime_ns: i64,
    /// Device and inode; network shares may change them.
    pub inode: (u64, u64),
}

impl Outside {
    /// The outside of a file.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            size: metadata.len(),
            mtime_ns: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
            inode: (metadata.dev(), metadata.ino()),
        }
    }
}

/// What is remembered of a file: how far it was read and what became of its lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileRecord {
    /// Number in the store.
    pub id: i64,
    /// Where it was last seen.
    pub path: PathBuf,
    /// Whether the path now holds something else, or nothing.
    pub detached: bool,
    /// As it was when last read.
    pub outside: Outside,
    /// Bytes read, always up to a line's end.
    pub offset: u64,
    /// Lines read.
    pub lines: u64,
    /// Hash of the bytes read.
    pub hash: u128,
    /// Hash of the first bytes read, at most 1024.
    pub head: (u64, u128),
    /// What became of the lines.
    pub tally: Tally,
    /// Whether the line after the position was taken although it had no end.
    pub unended: bool,
    /// What its format is called; empty before its first line.
    pub layout: String,
}

/// A piece of a file, folded.
#[derive(Debug, Default)]
pub struct Piece {
    /// The file as it stands after this piece.
    pub record: FileRecord,
    /// First line of the piece: rejects from here on are replaced by those of the piece.
    pub from_line: u64,
    /// Its minutes, oldest first.
    pub minutes: Vec<MinuteRecords>,
    /// Its rejects.
    pub rejects: Vec<Reject>,
    /// When the historian ended and began logging.
    pub logging: BTreeSet<(Minute, Logging)>,
    /// What keeps the file from being read on; it is among the rejects.
    pub refusal: Option<Reject>,
    /// Tags whose index differs from the set before, or from the config; with the file's first piece.
    pub moved_tags: Option<String>,
}

/// What a file's bytes are.
#[derive(Default)]
enum Kind {
    /// Nothing has been seen of it.
    #[default]
    Unseen,
    /// Lines of text.
    Text(Encoding),
    /// Records of a table.
    Table(Table),
}

/// How the end of a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It may still grow: a last line without its end waits.
    MayGrow,
    /// It is all there is: a last line without its end counts when it is whole, and is rejected when it is torn.
    Final,
}

/// A file that is being read.
pub struct Reader {
    record: FileRecord,
    file: File,
    kind: Kind,
    hasher: Box<Xxh3>,
    tail: Vec<u8>,
    fold: Fold,
    buffer: Vec<u8>,
    /// The line without its end has been read.
    ended: bool,
    /// What keeps the file from being read on, and whether that has been told.
    held: Option<(Held, bool)>,
    /// Tags whose index is not what it was before, until that is told.
    moved_tags: Option<String>,
}

impl Reader {
    /// Opens a file to be read from its start.
    pub fn start(
        path: &Path,
        id: i64,
        format: &Arc<Format>,
        calendar: &Calendar,
    ) -> std::io::Result<Self> {
        let record = FileRecord {
            id,
            path: path.to_path_buf(),
            ..FileRecord::default()
        };
        Self::open(record, format, calendar)
    }

    /// Opens a file to be read on from its record's position; `None` when its content is not the record's.
    ///
    /// The bytes before the position are read again: for their hash, and for what the fold must know of them.
    pub fn resume(
        record: &FileRecord,
        format: &Arc<Format>,
        calendar: &Calendar,
        now: Minute,
    ) -> std::io::Result<Option<Self>> {
        let mut reader = Self::open(
            FileRecord {
                offset: 0,
                lines: 0,
                ..record.clone()
            },
            format,
            calendar,
        )?;
        while reader.record.offset < record.offset {
            let limit = record.offset - reader.record.offset;
            if !reader.read_lines(limit, now)? {
                return Ok(None);
            }
            reader.fold.take_minutes(true);
            reader.fold.take_rejects();
        }
        reader.fold.take_minutes(false);
        reader.record.lines = reader.fold.lines();
        reader.expect_again(record);
        let same =
            reader.record.offset == record.offset && reader.hasher.digest128() == record.hash;
        Ok(same.then_some(reader))
    }

    fn open(
        record: FileRecord,
        format: &Arc<Format>,
        calendar: &Calendar,
    ) -> std::io::Result<Self> {
        let file = File::open(&record.path)?;
        let (tags, moved_tags) = beside::tags_of(&record.path, format)?;
        Ok(Self {
            record,
            file,
            kind: Kind::default(),
            hasher: Box::default(),
            tail: Vec::new(),
            fold: Fold::new(format.clone(), tags, calendar.clone()),
            buffer: Vec::new(),
            ended: false,
            held: None,
            moved_tags,
        })
    }

    /// The file's record as it stands.
    pub fn record(&self) -> &FileRecord {
        &self.record
    }

    /// Whether a tag table, beside the file or in it, says what its indexes mean.
    pub fn has_tag_table(&self) -> bool {
        self.fold.tags().table().is_some()
    }

    /// Says how the file was read before: a last line without its end, taken as it was, may have been torn.
    pub fn expect_again(&mut self, before: &FileRecord) {
        if before.unended {
            self.fold.expect_again(before.lines + 1);
        }
    }

    /// Whether the file, grown since, still ends at the position as it did.
    pub fn still_same(&mut self, outside: &Outside) -> std::io::Result<bool> {
        if outside.inode != self.record.outside.inode || outside.size < self.record.offset {
            return Ok(false);
        }
        let mut tail = vec![0; self.tail.len()];
        self.file
            .seek(SeekFrom::Start(self.record.offset - tail.len() as u64))?;
        match self.file.read_exact(&mut tail) {
            Ok(()) => Ok(tail == self.tail),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Reads the next piece; `None` when nothing new is there.
    pub fn next_piece(&mut self, end: End, now: Minute) -> std::io::Result<Option<Piece>> {
        let outside = Outside::of(&self.file.metadata()?);
        let from_line = self.record.lines + 1;
        let more = self.read_lines(u64::MAX, now)?;
        let at_end = self.record.offset + self.unread() >= outside.size;
        let may_end = self.held.is_none() && !self.ended && !self.buffer.is_empty();
        let unended = end == End::Final && at_end && may_end;
        let refusal = self.take_refusal(more);
        if !more && !unended && refusal.is_none() {
            self.record.outside = outside;
            return Ok(None);
        }
        self.record.lines = self.fold.lines();
        self.record.unended = unended;
        if at_end {
            self.record.outside = outside;
            if unended {
                self.ended = true;
                self.read_unended_line(now);
            }
        }
        self.record.hash = self.hasher.digest128();
        self.record.tally = self.fold.tally().clone();
        self.record.layout = self.fold.layout_name().to_owned();
        let mut record = self.record.clone();
        if refusal.is_some() {
            self.record.outside = outside;
            // The next start, or another config, looks into it again: they may tell what the file leaves open.
            record.outside = Outside::default();
        }
        let rejects = self.fold.take_rejects().into_iter().chain(refusal.clone());
        Ok(Some(Piece {
            record,
            from_line,
            minutes: self.fold.take_minutes(!at_end),
            rejects: rejects.collect(),
            logging: self.fold.take_logging(),
            refusal,
            moved_tags: self.moved_tags.take(),
        }))
    }

    /// What keeps the file from being read on, as a reject of the line; once, and after what could be read.
    fn take_refusal(&mut self, more: bool) -> Option<Reject> {
        let (held, told) = self.held.as_mut().filter(|(_, told)| !more && !*told)?;
        *told = true;
        let first = self.buffer.split(|&byte| byte == b'\n').next();
        let reason = format!("{NOT_READ_ON}{}", held.reason);
        Some(Reject::new(held.line, first.unwrap_or_default(), reason))
    }

    fn hold(&mut self, held: Held) {
        let told = self
            .held
            .as_ref()
            .is_some_and(|(known, told)| *known == held && *told);
        self.held = Some((held, told));
    }

    /// Bytes in hand that make no whole line.
    fn unread(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Reads and folds whole lines from the position, `limit` bytes at most; whether there were any. What follows the
    /// last line end stays in the buffer.
    fn read_lines(&mut self, limit: u64, now: Minute) -> std::io::Result<bool> {
        let wanted = limit.min(PIECE_BYTES as u64);
        self.file.seek(SeekFrom::Start(self.record.offset))?;
        self.buffer.clear();
        (&self.file).take(wanted).read_to_end(&mut self.buffer)?;
        if self.record.offset == 0 {
            // Looked at until the first line is whole: a file may be seen from its first byte on.
            self.look();
        }
        let read = match &self.kind {
            Kind::Unseen => 0,
            Kind::Text(encoding) => self.fold_lines(*encoding, now),
            Kind::Table(table) => {
                let table = table.clone();
                self.fold_records(&table, now)
            }
        };
        if read == 0 {
            return Ok(false);
        }
        if self.record.offset == 0 {
            dbase::steady(&mut self.buffer);
            let head = &self.buffer[..read.min(HEAD_BYTES as usize)];
            self.record.head = (head.len() as u64, xxh3_128(head));
        }
        let bytes = &self.buffer[..read];
        self.hasher.update(bytes);
        self.record.offset += read as u64;
        let tail = bytes.len().min(TAIL_BYTES as usize);
        self.tail.clear();
        self.tail.extend_from_slice(&bytes[bytes.len() - tail..]);
        self.buffer.drain(..read);
        Ok(true)
    }

    /// Looks at the first bytes.
    fn look(&mut self) {
        self.held = self.held.take().filter(|(_, told)| *told);
        let refuse = |reason: Cow<'static, str>| Held { line: 1, reason };
        match dbase::sniff(&self.buffer) {
            Sniffed::Other => self.kind = Kind::Text(sniff(&self.buffer).0),
            Sniffed::Short => self.kind = Kind::Unseen,
            Sniffed::Bad(reason) => {
                self.kind = Kind::Unseen;
                self.hold(refuse(reason.into()));
            }
            Sniffed::Table(table) => match self.fold.begin_table(table.clone()) {
                Ok(()) => self.kind = Kind::Table(table),
                Err(reason) => {
                    self.kind = Kind::Unseen;
                    self.hold(refuse(reason.into()));
                }
            },
        }
    }

    /// Folds the whole lines in the buffer; how many bytes they take.
    fn fold_lines(&mut self, encoding: Encoding, now: Minute) -> usize {
        let whole = match encoding.whole_lines(&self.buffer) {
            // A line longer than a piece is no line of an export; it goes through as one, and is rejected.
            0 if self.buffer.len() == PIECE_BYTES => PIECE_BYTES,
            whole => whole,
        };
        let text = encoding.decode(&self.buffer[..whole]);
        let text = text.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(&text);
        let before = self.fold.lines();
        let read = self.fold.read(text, now);
        match self.fold.held().cloned() {
            None => {
                self.held = None;
                whole
            }
            Some(held) => {
                debug_assert!(read < text.len());
                self.hold(held);
                encoding.bytes_of_lines(&self.buffer, (self.fold.lines() - before) as usize)
            }
        }
    }

    /// Folds the header and the whole records in the buffer; how many bytes they take.
    fn fold_records(&mut self, table: &Table, now: Minute) -> usize {
        let header = if self.record.offset == 0 {
            table.header_bytes
        } else {
            0
        };
        let records = &self.buffer[header..];
        let whole = table.whole_records(records);
        let read = self.fold.read_records(&records[..whole], now);
        match self.fold.held().cloned() {
            None => self.held = None,
            Some(held) => self.hold(held),
        }
        header + read
    }

    /// Reads a last line without its end. The position stays before it: should the file grow after all, the line is
    /// read again, whole.
    fn read_unended_line(&mut self, now: Minute) {
        if self.buffer.iter().all(|&byte| matches!(byte, 0 | 0x1A)) {
            return;
        }
        let line = self.fold.lines() + 1;
        let text = match &self.kind {
            Kind::Text(encoding) => encoding.decode(&self.buffer).into_owned(),
            _ => {
                let torn = Reject::new(line, &[], "torn last record");
                let earlier = self.fold.take_rejects();
                self.fold.put_rejects(earlier.into_iter().chain([torn]));
                self.buffer.clear();
                return;
            }
        };
        let earlier = self.fold.take_rejects();
        self.fold.read(&text, now);
        let mut torn = self.fold.take_rejects();
        for reject in torn.iter_mut().filter(|reject| reject.line == line) {
            reject.reason = format!("torn last line: {}", reject.reason).into();
        }
        self.fold.put_rejects(earlier.into_iter().chain(torn));
        self.buffer.clear();
    }
}

/// The hash of a file's first `len` bytes; `None` when it has fewer.
pub fn head_hash(path: &Path, len: u64) -> std::io::Result<Option<u128>> {
    let mut head = Vec::new();
    File::open(path)?.take(len).read_to_end(&mut head)?;
    dbase::steady(&mut head);
    Ok((head.len() as u64 == len).then(|| xxh3_128(&head)))
}
