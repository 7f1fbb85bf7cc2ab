//! Where the exports are, and how they are written.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::section::Section;
use crate::{
    historian::{
        Decimal, Expected, Format, TagMap, layout::Dialect, profile::Profile, stamps::DayOrder,
        tagnames::TagNames,
    },
    tags::TAGS,
};

/// Where the exports are and what they mean.
#[derive(Clone, Debug, PartialEq)]
pub struct Historian {
    /// Watched folders and files.
    pub watch: Vec<PathBuf>,
    /// How exports are written.
    pub format: Arc<Format>,
    /// How late an export may normally be, min.
    pub delivery_delay_min: i64,
    /// Between two looks at the watched folders, s.
    pub scan_interval_s: f64,
}

/// The name of the format that each file tells by itself.
const AUTO: &str = "auto";

/// Reads `[historian]`.
pub(super) fn historian(root: &Section<'_>, folder: &Path, notes: &mut Vec<String>) -> Historian {
    let historian = root.section("historian");
    let watch = historian
        .texts("watch")
        .unwrap_or_else(|| vec!["exports".into()]);
    let mut profiles = Vec::new();
    let written = historian.section("profiles");
    for name in written.keys() {
        profiles.push(profile(written.section(&name), &name));
    }
    written.finish();
    let chosen = historian.text("format").unwrap_or_else(|| AUTO.into());
    let profile = profiles.iter().find(|read| read.profile.name == chosen);
    let (order, decimal) = (order(&historian), decimal(&historian));
    let tags = tags(&historian);
    if !tags.has_indexes() {
        notes.push(
            "[historian.tags] maps no tag index: files that name their tags are read, and those with a tag table beside them"
                .to_owned(),
        );
    }
    let believed = Historian {
        watch: watch.iter().map(|place| folder.join(place)).collect(),
        format: Arc::new(Format {
            tags,
            kept: kept(&historian),
            day_order: order.or(profile.and_then(|read| read.order)),
            decimal: decimal.or(profile.and_then(|read| read.decimal)),
            expected: expected(&historian, &chosen, profile, &profiles),
        }),
        delivery_delay_min: historian.whole_in("delivery_delay_min", 3, 0..=1440),
        scan_interval_s: historian.number_in("scan_interval_s", 5.0, 0.1..=3600.0),
    };
    historian.finish();
    believed
}

fn expected(
    historian: &Section<'_>,
    chosen: &str,
    profile: Option<&Written>,
    profiles: &[Written],
) -> Expected {
    if let Some(read) = profile {
        return Expected::Profile(read.profile.clone());
    }
    if chosen == AUTO {
        return Expected::Any;
    }
    if let Some((_, dialect)) = Dialect::NAMES.iter().find(|(name, _)| *name == chosen) {
        return Expected::Only(*dialect);
    }
    let known = [AUTO]
        .into_iter()
        .chain(Dialect::NAMES.map(|(name, _)| name));
    let known = known.chain(profiles.iter().map(|read| read.profile.name.as_str()));
    let known: Vec<_> = known.map(|name| format!("{name:?}")).collect();
    let what = format!(
        "{chosen:?} is none of {}, nor a [historian.profiles.{chosen}]",
        known.join(", ")
    );
    historian.fault("format", what);
    Expected::Any
}

fn kept(historian: &Section<'_>) -> Option<Vec<String>> {
    let kept = historian.texts("keep_markers")?;
    if kept.is_empty() {
        historian.fault("keep_markers", "keeps no record; list at least one marker");
    }
    Some(kept.iter().map(|marker| marker.trim().to_owned()).collect())
}

fn order(section: &Section<'_>) -> Option<DayOrder> {
    match section.text("date_order")?.as_str() {
        "auto" => None,
        "day_first" => Some(DayOrder::DayFirst),
        "month_first" => Some(DayOrder::MonthFirst),
        other => {
            let what = format!("{other:?} is none of \"auto\", \"day_first\", \"month_first\"");
            section.fault("date_order", what);
            None
        }
    }
}

fn decimal(section: &Section<'_>) -> Option<Decimal> {
    match section.text("decimal")?.as_str() {
        "auto" => None,
        "." => Some(Decimal::Point),
        "," => Some(Decimal::Comma),
        other => {
            let what = format!("{other:?} is none of \"auto\", \".\", \",\"");
            section.fault("decimal", what);
            None
        }
    }
}

/// A profile as written, with what of it is no profile's.
struct Written {
    profile: Profile,
    order: Option<DayOrder>,
    decimal: Option<Decimal>,
}

/// Keys of a profile that name a column, and how the layout knows it.
const COLUMNS: [(&str, &str); 8] = [
    ("timestamp", "Timestamp"),
    ("date", "Date"),
    ("time", "Time"),
    ("milliseconds", "Milliseconds"),
    ("tag", "TagName"),
    ("value", "Value"),
    ("quality", "quality"),
    ("marker", "Marker"),
];

fn profile(section: Section<'_>, name: &str) -> Written {
    let delimiter = section
        .text("delimiter")
        .and_then(|text| match text.as_bytes() {
            [sign @ (b',' | b';' | b'\t' | b'|')] => Some(*sign),
            _ => {
                section.fault(
                    "delimiter",
                    format!("{text:?} is none of \",\", \";\", \"\\t\", \"|\""),
                );
                None
            }
        });
    let meaning: Vec<_> = COLUMNS
        .iter()
        .filter_map(|(key, known)| Some((section.text(key)?, *known)))
        .collect();
    let columns = section.texts("columns").unwrap_or_default();
    for (own, _) in &meaning {
        if !columns.is_empty() && !columns.contains(own) {
            section.fault("columns", format!("has no column {own:?}"));
        }
    }
    let time_order = section.text("time_format").and_then(|text| {
        let order = order_of(&text);
        if order.is_none() && !text.contains("yyyy-") && !text.contains("yyyy/") && !text.contains("MMM") {
            let what = format!("{text:?} does not say where day, month and year stand; write it like \"dd/MM/yyyy HH:mm:ss\"");
            section.fault("time_format", what);
        }
        order
    });
    let written = Written {
        order: order(&section).or(time_order),
        decimal: decimal(&section),
        profile: Profile {
            name: name.to_owned(),
            delimiter,
            columns,
            meaning,
            good: section.texts("good").unwrap_or_default(),
        },
    };
    section.finish();
    written
}

/// Which comes first in a format like `dd/MM/yyyy HH:mm`, where that leaves a date open.
fn order_of(format: &str) -> Option<DayOrder> {
    let (day, month) = (format.find('d')?, format.find('M')?);
    let year = format.find('y')?;
    match (day < month, year < day.min(month)) {
        (_, true) => None,
        (true, false) => Some(DayOrder::DayFirst),
        (false, false) => Some(DayOrder::MonthFirst),
    }
}

/// Reads the tags: their indexes, and further names for them.
fn tags(historian: &Section<'_>) -> TagNames {
    let tags = historian.section("tags");
    let mut slots = TagMap::default();
    let mut seen = [false; TAGS];
    for key in tags.keys() {
        let Ok(index) = key.parse::<u64>() else {
            tags.touch(&key);
            tags.fault(&key, "must be a tag index, a whole number from 0");
            continue;
        };
        match slot_of(&tags, &key) {
            Some(slot) if seen[slot] => tags.fault(&key, "the tag has another index already"),
            Some(slot) => {
                seen[slot] = true;
                slots.insert(index, slot);
            }
            None => {}
        }
    }
    tags.finish();
    let names = historian.section("names");
    let mut further = BTreeMap::new();
    for key in names.keys() {
        if let Some(slot) = slot_of(&names, &key) {
            further.insert(key, slot);
        }
    }
    names.finish();
    TagNames::new(slots, &further)
}

/// The slot of the station's tag that a key names.
fn slot_of(section: &Section<'_>, key: &str) -> Option<usize> {
    let name = section.text(key)?;
    let slot = crate::tags::slot_of(&name);
    if slot.is_none() {
        section.fault(key, format!("{name:?} is none of the station's 27 tags"));
    }
    slot
}
