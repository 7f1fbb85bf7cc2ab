//! From historian exports to minutes: what a file is, its lines or records, and their fold into minutes.
//!
//! In the order in which a file goes through them: [`watch`] finds it, [`files`] reads it with the tag table [`beside`] it, [`text`] and [`dbase`] say what its bytes are,
//! [`layout`] which field holds what, [`tagnames`] which tag an index or a name means, [`stamps`] and [`cells`] what is written in
//! a field, [`fold`] what of it counts, and [`minutes`] which record wins its minute. All but the first three are pure.
//!
//! Nothing disappears: what is not kept is counted by its marker, or recorded as a [`lines::Reject`] with line and reason. Nothing is
//! guessed: where a file leaves open what it means, it waits, and says what for.

pub mod beside;
pub mod cells;
pub mod dbase;
pub mod files;
pub mod fold;
pub mod layout;
pub mod lines;
pub mod minutes;
pub mod profile;
pub mod stamps;
pub mod tagnames;
pub mod text;
pub mod watch;

use std::collections::BTreeMap;

use layout::{Dialect, Layout, Split, Unmapped};
use profile::Profile;
use stamps::DayOrder;
use tagnames::TagNames;

use crate::tags::TAGS;

/// How a plant writes its exports.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    /// What names and indexes of tags mean.
    pub tags: TagNames,
    /// Markers of the records that count; `None` for what is usual where the file comes from.
    pub kept: Option<Vec<String>>,
    /// What files there are.
    pub expected: Expected,
    /// Which of day and month comes first, where dates leave it open.
    pub day_order: Option<DayOrder>,
    /// The sign of decimals, where values leave it open.
    pub decimal: Option<Decimal>,
}

/// What files there are.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Expected {
    /// Any; each file tells.
    #[default]
    Any,
    /// Of one dialect; another is refused.
    Only(Dialect),
    /// As a profile of the config says.
    Profile(Profile),
}

/// How decimals are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimal {
    /// 46.75
    Point,
    /// 46,75
    Comma,
}

impl Decimal {
    /// What a value shows; `None` where it could be either, like `1,234`, or shows nothing.
    pub fn shown(text: &[u8]) -> Option<Self> {
        let is_number = text.iter().all(|byte| {
            byte.is_ascii_digit() || matches!(byte, b',' | b'.' | b'-' | b'+' | b'e' | b'E')
        });
        let signs = |sign| text.iter().filter(|&&byte| byte == sign).count();
        match (signs(b'.'), signs(b',')) {
            _ if !is_number => None,
            (1, 0) => Some(Self::Point),
            (0, 1) => {
                let at = text.iter().position(|&byte| byte == b',')?;
                let (before, after) = (&text[..at], &text[at + 1..]);
                let before = before.strip_prefix(b"-").unwrap_or(before);
                let thousands = after.len() == 3
                    && (1..=3).contains(&before.len())
                    && before[0] != b'0'
                    && after.iter().all(u8::is_ascii_digit);
                (!thousands).then_some(Self::Comma)
            }
            _ => None,
        }
    }
}

impl Format {
    /// Files of any kind, with the tag indexes of the long format.
    pub fn new(indexes: TagMap) -> Self {
        Self {
            tags: TagNames::new(indexes, &BTreeMap::new()),
            kept: None,
            expected: Expected::Any,
            day_order: None,
            decimal: None,
        }
    }

    /// The markers that count in files of a dialect.
    pub fn kept_by(&self, dialect: Dialect) -> impl Iterator<Item = &str> {
        let usual: &[&str] = match (&self.kept, dialect) {
            (Some(_), _) => &[],
            (None, Dialect::Long) => &["B", "S"],
            (None, _) => &["", "B", "S"],
        };
        let own = self.kept.iter().flatten().map(String::as_str);
        own.chain(usual.iter().copied())
    }

    fn profile(&self) -> Option<&Profile> {
        match &self.expected {
            Expected::Profile(profile) => Some(profile),
            _ => None,
        }
    }

    /// Whether a line holds names of columns; `first` for a file of which nothing has been read.
    pub(crate) fn is_header(&self, line: &[u8], first: bool) -> bool {
        match self.profile() {
            Some(profile) => profile.is_header(line, first),
            None => layout::is_header(line),
        }
    }

    /// The names of a header's columns, in the words that [`Layout::of_names`] knows.
    pub(crate) fn names(&self, line: &[u8]) -> (Vec<String>, Split) {
        match self.profile() {
            Some(profile) => profile.names(line),
            None => layout::names(line),
        }
    }

    /// The layout of columns with these names, and the columns without a tag of the station.
    pub(crate) fn layout(
        &self,
        names: &[String],
        split: Split,
        tags: &TagNames,
    ) -> Result<(Layout, Vec<Unmapped>), String> {
        let (mut layout, unmapped) = Layout::of_names(names, split, tags)?;
        match &self.expected {
            Expected::Any => {}
            Expected::Only(dialect) => self.insist(*dialect, &layout)?,
            Expected::Profile(profile) => profile.apply(&mut layout, names),
        }
        Ok((layout, unmapped))
    }

    fn insist(&self, dialect: Dialect, layout: &Layout) -> Result<(), String> {
        let is_table = matches!(layout.body, layout::Body::TagTable { .. });
        let is_wide = matches!(layout.body, layout::Body::Wide(_));
        if is_table || layout.dialect == dialect || (dialect == Dialect::Wide && is_wide) {
            return Ok(());
        }
        let wanted = Dialect::NAMES.iter().find(|(_, known)| *known == dialect);
        let wanted = wanted.map_or("a profile", |(name, _)| name);
        Err(format!(
            "the file is of the format \"{}\", and historian.format is \"{wanted}\"",
            layout.name
        ))
    }

    /// The layout of a file that begins with a record.
    pub(crate) fn layout_of_record(&self, line: &[u8], tags: &TagNames) -> Result<Layout, String> {
        if let Some(profile) = self.profile() {
            let (names, split) = profile.columns()?;
            return Ok(self.layout(&names, split, tags)?.0);
        }
        let layout = Layout::of_record(line);
        if let Expected::Only(dialect) = self.expected {
            self.insist(dialect, &layout)?;
        }
        Ok(layout)
    }
}

/// Which slot each tag index means.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TagMap {
    /// Slot by index, [`UNMAPPED`] where there is none; indexes are small in practice.
    small: Vec<u8>,
    /// The others.
    large: BTreeMap<u64, u8>,
}

const UNMAPPED: u8 = u8::MAX;
const SMALL_INDEXES: u64 = 4096;

impl TagMap {
    /// Maps an index; the slot must be below [`TAGS`].
    pub fn insert(&mut self, index: u64, slot: usize) {
        debug_assert!(slot < TAGS);
        if index >= SMALL_INDEXES {
            self.large.insert(index, slot as u8);
            return;
        }
        if self.small.len() <= index as usize {
            self.small.resize(index as usize + 1, UNMAPPED);
        }
        self.small[index as usize] = slot as u8;
    }

    /// An index means no tag of the station.
    pub fn forget(&mut self, index: u64) {
        self.large.remove(&index);
        if index < SMALL_INDEXES
            && let Some(slot) = self.small.get_mut(index as usize)
        {
            *slot = UNMAPPED;
        }
    }

    /// The slot of an index.
    pub fn slot(&self, index: u64) -> Option<usize> {
        let slot = match self.small.get(index as usize) {
            Some(&slot) if index < SMALL_INDEXES => slot,
            _ => *self.large.get(&index)?,
        };
        (slot != UNMAPPED).then_some(slot as usize)
    }

    /// How many tags have an index.
    pub fn mapped(&self) -> usize {
        self.small.iter().filter(|&&slot| slot != UNMAPPED).count() + self.large.len()
    }
}
