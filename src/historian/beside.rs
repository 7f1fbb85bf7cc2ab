//! The tag table beside an export: what the indexes of one set of files mean.
//!
//! FactoryTalk writes a set under one name: `2018 11 15 0000 (Float).DAT` has its tags in `2018 11 15 0000 (Tagname).DAT`. For
//! exports in CSV a `TagTable.csv` or `Tagname.csv` in their folder is the table.

use std::{
    fs::{self, File},
    io::{Error, ErrorKind, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Format,
    dbase::{self, Sniffed},
    fold::Fold,
    tagnames::TagNames,
    text::sniff,
};
use crate::calendar::Calendar;

/// The largest tag table that is read, bytes: 60,000 tags.
const TABLE_BYTES_MAX: u64 = 16 << 20;
/// What a set's files are called, before their extension.
const PARTS: [&str; 3] = ["(float)", "(string)", "(wide)"];
/// The part with the tags.
const TAGS_PART: &str = "(tagname)";
/// Names of the one table of a folder of CSV files.
const OF_FOLDER: [&str; 4] = ["TagTable.csv", "Tagname.csv", "tagtable.csv", "tagname.csv"];

/// Whether a file is the tag table of a set: it is read beside the set's other files.
pub fn is_tag_table(path: &Path) -> bool {
    name_of(path).to_ascii_lowercase().contains(TAGS_PART)
}

/// What indexes and names mean in a file, and what is worth a word about that.
pub fn tags_of(path: &Path, format: &Arc<Format>) -> std::io::Result<(TagNames, Option<String>)> {
    let name = name_of(path);
    let Some(set) = set_of(&name) else {
        let folder = path.parent().unwrap_or(Path::new(""));
        let table = OF_FOLDER.iter().map(|name| folder.join(name));
        let table = table
            .into_iter()
            .find(|table| table.is_file() && table != path);
        return match table {
            Some(table) => Ok((read(&table, format)?, None)),
            None => Ok((format.tags.clone(), None)),
        };
    };
    let (table, before) = tables(path, set)?;
    let Some(table) = table else {
        if format.tags.has_indexes() {
            return Ok((format.tags.clone(), None));
        }
        let cause = format!(
            "its tag table \"{set}(Tagname)\" is missing, and the config has no [historian.tags]"
        );
        return Err(Error::new(ErrorKind::NotFound, cause));
    };
    let tags = read(&table, format)?;
    let before = match before {
        Some(before) => read(&before, format)?,
        None if format.tags.has_indexes() => format.tags.clone(),
        None => return Ok((tags, None)),
    };
    let moved = tags.moved(&before);
    let moved = (!moved.is_empty()).then(|| {
        format!(
            "the tag table differs from the one before it: {}",
            moved.join(", ")
        )
    });
    Ok((tags, moved))
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The name that a set's files share, up to their part.
fn set_of(name: &str) -> Option<&str> {
    let small = name.to_ascii_lowercase();
    PARTS
        .iter()
        .find_map(|part| small.find(part))
        .map(|at| &name[..at])
}

/// The set's own table, and that of the set before it.
fn tables(path: &Path, set: &str) -> std::io::Result<(Option<PathBuf>, Option<PathBuf>)> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let (mut own, mut before) = (None, None::<(String, PathBuf)>);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(at) = name.to_ascii_lowercase().find(TAGS_PART) else {
            continue;
        };
        let of = &name[..at];
        if of.eq_ignore_ascii_case(set) {
            own = Some(entry.path());
        } else if of < set
            && before
                .as_ref()
                .is_none_or(|(newest, _)| newest.as_str() < of)
        {
            before = Some((of.to_owned(), entry.path()));
        }
    }
    Ok((own, before.map(|(_, path)| path)))
}

/// Reads a tag table.
fn read(path: &Path, format: &Arc<Format>) -> std::io::Result<TagNames> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(TABLE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    let wrong = |cause: &str| {
        let cause = format!("its tag table {}: {cause}", path.display());
        Error::new(ErrorKind::InvalidData, cause)
    };
    let any = Arc::new(Format {
        expected: super::Expected::Any,
        ..Format::clone(format)
    });
    let calendar = Calendar::new(jiff::tz::TimeZone::UTC);
    let mut fold = Fold::new(any, format.tags.clone(), calendar);
    match dbase::sniff(&bytes) {
        Sniffed::Table(table) => {
            let records = &bytes[table.header_bytes..];
            let whole = table.whole_records(records);
            let told = bytes[4..8].try_into().map_or(0, u32::from_le_bytes);
            if ((whole / table.record_bytes) as u64) < u64::from(told) && whole == records.len() {
                return Err(wrong("it is still being written"));
            }
            fold.begin_table(table.clone())
                .map_err(|cause| wrong(&cause))?;
            fold.read_records(&records[..whole], 0);
        }
        Sniffed::Short => return Err(wrong("it is still being written")),
        Sniffed::Bad(cause) => return Err(wrong(cause)),
        Sniffed::Other => {
            let (encoding, mark) = sniff(&bytes);
            fold.read(&encoding.decode(&bytes[mark..]), 0);
        }
    }
    if fold.tags().table().is_none() {
        return Err(wrong("it names no tag"));
    }
    Ok(fold.tags().clone())
}
