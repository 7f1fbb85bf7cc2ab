//! What a file's records look like: which field holds what. Pure.
//!
//! A file tells it by the names of its columns, in any order and case; a profile of the config tells it for a file that
//! does not. Nothing is taken from the order of columns that have names.

use std::borrow::Cow;

use super::{
    dbase::Table,
    lines::Fields,
    tagnames::{TagNames, name_key},
};

/// Which historian's ways a file follows: what its blank markers mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `Timestamp,Marker,TagIndex,Value`.
    Long,
    /// FactoryTalk View's own: ordinary records have a blank marker.
    FactoryTalk,
    /// One column a tag.
    Wide,
    /// Any other, by the names of its columns or by a profile.
    Named,
}

impl Dialect {
    /// Those that the config can insist on, by their names there.
    pub const NAMES: [(&str, Self); 3] = [
        ("long", Self::Long),
        ("factorytalk", Self::FactoryTalk),
        ("wide", Self::Wide),
    ];
}

/// Where the fields of a record stand.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    /// What it is called in the log and in `status`.
    pub name: Cow<'static, str>,
    /// Whose ways it follows.
    pub dialect: Dialect,
    /// How a line or record is taken apart.
    pub split: Split,
    /// The date, with the time unless that has a column of its own.
    pub date: usize,
    /// The time of day.
    pub time: Option<usize>,
    /// Milliseconds, which come on top of the time.
    pub millis: Option<usize>,
    /// The record's marker; every record counts where there is none.
    pub marker: Option<usize>,
    /// The quality of the value.
    pub quality: Option<(usize, Quality)>,
    /// Tags and values.
    pub body: Body,
    /// How many columns have a name.
    pub count: usize,
}

/// How a record is taken apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Split {
    /// At a sign.
    At(u8),
    /// At fixed places.
    Table(Table),
}

/// What tells a good value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quality {
    /// FactoryTalk's status: good where it is blank.
    Status,
    /// OPC's: `Good`, or a number from 192 to 255.
    Opc,
    /// 1, or `true`.
    Valid,
    /// One of these texts.
    OneOf(Vec<String>),
}

/// Tags and values of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// One tag and its value; the second place is looked at where the first is empty.
    Narrow {
        /// The tag's index or name.
        tag: usize,
        /// The value.
        value: usize,
        /// Another place for the value.
        or: Option<usize>,
    },
    /// A column for each tag.
    Wide(Vec<WideColumn>),
    /// The index of each tag's name: the file says nothing else.
    TagTable {
        /// The tag's name.
        name: usize,
        /// Its index.
        index: usize,
    },
}

/// A column of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WideColumn {
    /// Where the value stands.
    pub value: usize,
    /// Where its status stands.
    pub status: Option<usize>,
    /// The tag's slot.
    pub slot: usize,
}

/// A column that holds no tag of the station.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmapped(pub String);

impl Layout {
    /// The long format, for a file without a header.
    pub const LONG: Self = Self {
        name: Cow::Borrowed("long"),
        dialect: Dialect::Long,
        split: Split::At(b','),
        date: 0,
        time: None,
        millis: None,
        marker: Some(1),
        quality: None,
        body: Body::Narrow {
            tag: 2,
            value: 3,
            or: None,
        },
        count: 4,
    };
    /// FactoryTalk View's File Viewer, for a file without a header.
    const FILE_VIEWER: Self = Self {
        name: Cow::Borrowed("FactoryTalk CSV"),
        dialect: Dialect::FactoryTalk,
        split: Split::At(b','),
        date: 0,
        time: Some(1),
        millis: Some(2),
        marker: Some(6),
        quality: Some((5, Quality::Status)),
        body: Body::Narrow {
            tag: 3,
            value: 4,
            or: None,
        },
        count: 8,
    };

    /// The layout of a file that begins with a record instead of a header.
    pub fn of_record(line: &[u8]) -> Self {
        let mut fields = Fields::default();
        fields.split(line, b',');
        if fields.count() >= 8 && fields.get(1).contains(&b':') && !fields.get(0).contains(&b':') {
            return Self::FILE_VIEWER;
        }
        let sign = delimiter(line);
        fields.split(line, sign);
        if sign != b',' && fields.count() >= 4 {
            return Self {
                split: Split::At(sign),
                dialect: Dialect::Named,
                ..Self::LONG
            };
        }
        Self::LONG
    }

    /// Whether the fast path for the long format fits.
    pub fn is_long(&self) -> bool {
        *self == Self::LONG
    }

    /// The last field that a record must have.
    pub(super) fn needed(&self) -> usize {
        let body = match &self.body {
            Body::Narrow { tag, value, or } => (*tag).max(or.map_or(*value, |or| or.min(*value))),
            Body::Wide(_) => 0,
            Body::TagTable { name, index } => *name.max(index),
        };
        // The long format's marker is part of it; elsewhere a blank last column may be left out.
        let marker = self.marker.filter(|_| self.dialect == Dialect::Long);
        body.max(self.date)
            .max(self.time.unwrap_or(0))
            .max(marker.unwrap_or(0))
    }

    /// Reads the names of columns; `tags` tells which of them are tags. What comes back beside it are columns without a tag.
    pub fn of_names(
        names: &[String],
        split: Split,
        tags: &TagNames,
    ) -> Result<(Self, Vec<Unmapped>), String> {
        let found = Named::new(names);
        if let (Some(name), Some(index), None) = (
            found.place(TAG_NAME),
            found.place(TAG_INDEX),
            found.place(VALUE),
        ) && found.place(STAMP).is_none()
            && found.place(DATE).is_none()
        {
            return Ok((found.tag_table(split, name, index), Vec::new()));
        }
        let (date, time) = found.when()?;
        let tag = found.place(TAG_NAME).or(found.place(TAG_INDEX));
        if tag.is_none() {
            return found.wide(split, date, time, tags);
        }
        Ok((found.narrow(split, date, time)?, Vec::new()))
    }
}

const STAMP: &[&str] = &[
    "timestamp",
    "dateandtime",
    "datetime",
    "date_time",
    "date/time",
    "t_stamp",
    "timestring",
];
const DATE: &[&str] = &["date"];
const TIME: &[&str] = &["time"];
const MILLIS: &[&str] = &["millitm", "milliseconds", "millisecond", "ms"];
const TAG_INDEX: &[&str] = &["tagindex", "ttagindex"];
const TAG_NAME: &[&str] = &["tagname", "name", "tag", "varname", "path", "tagpath"];
const VALUE: &[&str] = &["value", "val", "varvalue", "floatvalue"];
const OTHER_VALUE: &[&str] = &["intvalue", "stringvalue"];
const MARKER: &[&str] = &["marker"];
const STATUS: &[&str] = &["status"];
const OPC: &[&str] = &["quality", "opcquality", "dataquality", "dataintegrity"];
const VALID: &[&str] = &["validity"];

/// A header's names as they are compared: small, without blanks, `_` before them, and the `;` of a comment.
struct Named {
    names: Vec<String>,
    written: Vec<String>,
}

impl Named {
    fn new(written: &[String]) -> Self {
        let plain = |name: &String| {
            let name = name
                .trim()
                .trim_start_matches(';')
                .trim()
                .to_ascii_lowercase();
            name.trim_start_matches('_').to_owned()
        };
        Self {
            names: written.iter().map(plain).collect(),
            written: written.to_vec(),
        }
    }

    /// The first column with one of the names, in the order of the names.
    fn place(&self, names: &[&str]) -> Option<usize> {
        names
            .iter()
            .find_map(|name| self.names.iter().position(|known| known == name))
    }

    fn when(&self) -> Result<(usize, Option<usize>), String> {
        if let Some(date) = self.place(DATE)
            && let Some(time) = self.place(TIME)
        {
            return Ok((date, Some(time)));
        }
        let stamp = self.place(STAMP).or(self.place(TIME)).or(self.place(DATE));
        let stamp = stamp.ok_or("the header names no column Timestamp, nor Date and Time")?;
        Ok((stamp, None))
    }

    /// FactoryTalk's tables are known by columns that no other has.
    fn dialect(&self) -> (Dialect, &'static str) {
        if self.place(MILLIS).is_some() || self.place(&["dateandtime"]).is_some() {
            (Dialect::FactoryTalk, "FactoryTalk CSV")
        } else if self.names.len() >= 4
            && self.place(&["timestamp"]).is_some()
            && self.place(&["tagindex"]).is_some()
        {
            (Dialect::Long, "long")
        } else {
            (Dialect::Named, "columns by name")
        }
    }

    fn quality(&self) -> Option<(usize, Quality)> {
        let status = self.place(STATUS).map(|place| (place, Quality::Status));
        let opc = self.place(OPC).map(|place| (place, Quality::Opc));
        let valid = self.place(VALID).map(|place| (place, Quality::Valid));
        status.or(opc).or(valid)
    }

    fn tag_table(&self, split: Split, name: usize, index: usize) -> Layout {
        Layout {
            name: "tag table".into(),
            dialect: Dialect::FactoryTalk,
            split,
            date: 0,
            time: None,
            millis: None,
            marker: None,
            quality: None,
            body: Body::TagTable { name, index },
            count: self.names.len(),
        }
    }

    fn narrow(&self, split: Split, date: usize, time: Option<usize>) -> Result<Layout, String> {
        let (dialect, name) = self.dialect();
        let tag = self.place(TAG_INDEX).or(self.place(TAG_NAME));
        let tag = tag.ok_or("the header names no column TagIndex or TagName")?;
        let value = self
            .place(VALUE)
            .ok_or("the header names no column Value")?;
        let marker = self.place(MARKER);
        if dialect == Dialect::Long && marker.is_none() {
            return Err("the header names no column Marker".into());
        }
        let (dialect, name) = match (&split, dialect) {
            (Split::At(b','), dialect) => (dialect, name),
            (_, Dialect::Long) => (Dialect::Named, name),
            (Split::Table(_), _) => (Dialect::FactoryTalk, "FactoryTalk table"),
            (_, dialect) => (dialect, name),
        };
        Ok(Layout {
            name: name.into(),
            dialect,
            split,
            date,
            time,
            millis: self.place(MILLIS),
            marker,
            quality: self.quality(),
            body: Body::Narrow {
                tag,
                value,
                or: self.place(OTHER_VALUE),
            },
            count: self.names.len(),
        })
    }

    fn wide(
        &self,
        split: Split,
        date: usize,
        time: Option<usize>,
        tags: &TagNames,
    ) -> Result<(Layout, Vec<Unmapped>), String> {
        let (millis, marker) = (self.place(MILLIS), self.place(MARKER));
        let apart = [Some(date), time, millis, marker];
        let (mut columns, mut unmapped) = (Vec::<WideColumn>::new(), Vec::new());
        for (place, name) in self.written.iter().enumerate() {
            if apart.contains(&Some(place)) || name_key(name).is_empty() {
                continue;
            }
            if self.names[place].starts_with("sts_") {
                // It belongs to the column before it, whether that is a tag of the station or not.
                if let Some(column) = columns
                    .last_mut()
                    .filter(|column| column.value + 1 == place)
                {
                    column.status = Some(place);
                }
                continue;
            }
            match tags.slot_of_text(name.trim()) {
                Some(slot) => columns.push(WideColumn {
                    value: place,
                    status: None,
                    slot,
                }),
                None => unmapped.push(Unmapped(name.trim().to_owned())),
            }
        }
        if columns.is_empty() {
            return Err(
                "the header names neither a column for tags nor a tag of the station".into(),
            );
        }
        let is_table = matches!(split, Split::Table(_));
        let layout = Layout {
            name: if is_table {
                "FactoryTalk wide table"
            } else {
                "wide"
            }
            .into(),
            dialect: if marker.is_some() {
                Dialect::FactoryTalk
            } else {
                Dialect::Wide
            },
            split,
            date,
            time,
            millis,
            marker,
            quality: None,
            body: Body::Wide(columns),
            count: self.names.len(),
        };
        Ok((layout, unmapped))
    }
}

/// The sign that a line is taken apart at: the one that it has most of outside quotes.
pub fn delimiter(line: &[u8]) -> u8 {
    let count = |sign: u8| {
        let mut quoted = false;
        line.iter()
            .filter(|&&byte| {
                quoted ^= byte == b'"';
                byte == sign && !quoted
            })
            .count()
    };
    // A semicolon before a header makes it a comment, and a decimal comma is no separator.
    let semicolons = count(b';') - usize::from(line.first() == Some(&b';'));
    let (commas, tabs) = (count(b','), count(b'\t'));
    if tabs > 0 && tabs >= semicolons && tabs + 1 >= commas {
        b'\t'
    } else if semicolons >= 2 && (semicolons >= commas || semicolons >= 3) {
        b';'
    } else {
        b','
    }
}

/// Whether a line is a header, or could be one: a name of a column of time stands in it.
pub fn is_header(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"@istr").unwrap_or(line);
    let starts_with_name = line.first().is_some_and(|byte| {
        byte.is_ascii_alphabetic() || matches!(byte, b'"' | b';' | b'_' | b' ' | b'[')
    });
    starts_with_name && line.len() < 8192 && may_name_time(line) && {
        let text = String::from_utf8_lossy(line).to_ascii_lowercase();
        let named = |names: &[&str]| {
            text.split([',', ';', '\t'])
                .any(|name| names.contains(&name.trim().trim_matches('"').trim_start_matches('_')))
        };
        named(STAMP)
            || named(DATE)
            || (named(TIME) && named(VALUE))
            || (named(TAG_NAME) && named(TAG_INDEX))
    }
}

/// Whether a part of a name stands in a line that every header has: a quick look before the long one.
fn may_name_time(line: &[u8]) -> bool {
    const PARTS: [&[u8]; 4] = [b"time", b"date", b"t_stamp", b"tagindex"];
    let begins = |at: usize| {
        let rest = &line[at..];
        PARTS.iter().any(|part| {
            rest.get(..part.len())
                .is_some_and(|text| text.eq_ignore_ascii_case(part))
        })
    };
    memchr::memchr2_iter(b't', b'T', line).any(begins)
        || memchr::memchr2_iter(b'd', b'D', line).any(begins)
}

/// Takes a header's names apart.
pub fn names(line: &[u8]) -> (Vec<String>, Split) {
    let line = line.strip_prefix(b"@istr").unwrap_or(line);
    let sign = delimiter(line);
    let line = line.strip_prefix(b";").unwrap_or(line);
    let mut fields = Fields::default();
    fields.split(line, sign);
    let names = fields
        .iter()
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    (names, Split::At(sign))
}
