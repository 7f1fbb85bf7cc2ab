//! Everything that reads foreign bytes, as functions of any bytes: none may panic, run away or grow beyond its input. The fuzz
//! targets and the bounded run of `tests/fuzzed.rs` share them.

use std::{collections::BTreeMap, sync::Arc};

use jiff::tz::TimeZone;
use pumphouse::{
    calendar::Calendar,
    config::Config,
    historian::{
        Decimal, Expected, Format, TagMap,
        dbase::{self, Sniffed},
        fold::Fold,
        profile::Profile,
        stamps::{self, DayOrder},
        tagnames::TagNames,
    },
    tags::TAGS,
};

use super::pieces;

/// The wall clock, 2025-12-29.
const NOW: i64 = 29_450_000;

/// Takes any bytes.
type Parser = fn(&[u8]);

/// The parsers by their names.
pub const PARSERS: [(&str, Parser); 5] = [
    ("lines", lines),
    ("layouts", layouts),
    ("tables", tables),
    ("stamps", when),
    ("config", config),
];

/// Text in any pieces. The first byte says how many cuts follow it, two bytes each; the rest is the file.
pub fn lines(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else {
        return;
    };
    let (cuts, bytes) = rest.split_at(rest.len().min(usize::from(count % 8) * 2));
    let cuts: Vec<usize> = cuts
        .chunks_exact(2)
        .map(|cut| usize::from(u16::from_le_bytes([cut[0], cut[1]])))
        .collect();
    pieces::check(bytes, &cuts);
}

fn tags() -> TagNames {
    let mut slots = TagMap::default();
    (0..TAGS).for_each(|slot| slots.insert(slot as u64, slot));
    TagNames::new(slots, &BTreeMap::new())
}

fn fold(format: Format) -> Fold {
    let zone = TimeZone::get("America/St_Johns").expect("a zone of the bundled database");
    let tags = format.tags.clone();
    Fold::new(Arc::new(format), tags, Calendar::new(zone))
}

/// Text under settings of the config, which the first byte chooses.
pub fn layouts(data: &[u8]) {
    let Some((&settings, bytes)) = data.split_first() else {
        return;
    };
    let profile = Profile {
        name: "any".into(),
        delimiter: [None, Some(b';'), Some(b'|'), Some(b'\t')][usize::from(settings & 3)],
        columns: vec!["a".into(), "b".into(), "c".into()],
        meaning: vec![
            ("a".into(), "Timestamp"),
            ("b".into(), "TagName"),
            ("c".into(), "Value"),
        ],
        good: Vec::new(),
    };
    let mut fold = fold(Format {
        tags: tags(),
        kept: None,
        expected: if settings & 4 == 0 {
            Expected::Any
        } else {
            Expected::Profile(profile)
        },
        day_order: [None, Some(DayOrder::DayFirst)][usize::from(settings >> 3 & 1)],
        decimal: [None, Some(Decimal::Comma)][usize::from(settings >> 4 & 1)],
    });
    let read = fold.read(bytes, NOW);
    assert!(read == bytes.len() || fold.held().is_some());
    bounded(&mut fold, bytes.len());
}

/// A table of dBASE: header and records.
pub fn tables(bytes: &[u8]) {
    let Sniffed::Table(table) = dbase::sniff(bytes) else {
        return;
    };
    let mut fold = fold(Format {
        tags: tags(),
        ..Format::new(TagMap::default())
    });
    if fold.begin_table(table.clone()).is_ok() {
        let records = &bytes[table.header_bytes..];
        let whole = table.whole_records(records);
        fold.read_records(&records[..whole], NOW);
        bounded(&mut fold, bytes.len());
    }
}

/// What a fold makes of its input is no larger than that, by a factor.
fn bounded(fold: &mut Fold, bytes: usize) {
    let minutes = fold.take_minutes(false).len();
    let rejects = fold.take_rejects();
    let texts: usize = rejects
        .iter()
        .map(|reject| reject.raw.len() + reject.reason.len())
        .sum();
    assert!(minutes <= bytes && rejects.len() <= bytes + 1);
    assert!(
        texts <= 2000 + bytes * 400,
        "{texts} bytes of rejects from {bytes}"
    );
}

/// A date and a time, cut apart at the first zero.
pub fn when(data: &[u8]) {
    let mut parts = data.splitn(2, |&byte| byte == 0);
    let (date, time) = (parts.next().unwrap_or_default(), parts.next());
    for order in [None, Some(DayOrder::DayFirst), Some(DayOrder::MonthFirst)] {
        if let Ok(stamp) = stamps::read(date, time, order) {
            assert!(stamp.micros < 60_000_000);
        }
    }
    stamps::order_shown(date);
    stamps::timestamp(data);
}

/// A config.
pub fn config(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Config::parse(text, std::path::Path::new("/plant"));
    }
}
