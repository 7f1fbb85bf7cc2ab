//! What tag and value a record has.

use std::borrow::Cow;

use super::{Fault, Fold};
use crate::{
    historian::{
        Decimal,
        cells::{Cells, bad_quality, command, finite, number, with_point, zero_or_one},
        layout::{Body, Dialect, Layout, Quality},
        lines::Reject,
        minutes::Kept,
    },
    tags::{TAG_NAMES, is_command},
};

/// The most unmapped tags that are told one by one; a file with more is no export of this station.
const UNMAPPED_MAX: usize = 1000;
const EITHER_COMMA: &str = "a comma in the file's values can be a decimal sign or part thousands; set historian.decimal to \",\" or \".\"";
pub(super) const COMMA_AND_COMMA: &str = "a decimal comma cannot be told from the comma between the columns; export with semicolons or tabs, or with a decimal point";

impl Fold {
    /// A line with more fields than columns, where its value ends in digits and digits follow.
    pub(super) fn is_comma_and_comma(&self, layout: &Layout, cells: &Cells<'_>) -> bool {
        let digits = |place| {
            let text = cells.get(place);
            !text.is_empty()
                && text
                    .iter()
                    .all(|byte| byte.is_ascii_digit() || *byte == b'-')
        };
        let split_in_two = match &layout.body {
            Body::Narrow { value, .. } => digits(*value) && digits(value + 1),
            Body::Wide(columns) => columns.iter().all(|column| digits(column.value)),
            Body::TagTable { .. } => false,
        };
        layout.dialect != Dialect::Long && self.decimal.is_none() && split_in_two
    }

    pub(super) fn read_tag(&mut self, name: &[u8], index: &[u8]) -> Result<(), Fault> {
        let index = std::str::from_utf8(index)
            .ok()
            .and_then(|text| text.parse().ok());
        let index = index.ok_or("the tag index is not a whole number")?;
        self.tags.insert(index, &String::from_utf8_lossy(name));
        Ok(())
    }

    pub(super) fn read_narrow(
        &mut self,
        layout: &Layout,
        cells: &Cells<'_>,
        record: Kept,
        after: &[u8],
    ) -> Result<(), Fault> {
        let Body::Narrow { tag, value, or } = layout.body else {
            return Ok(());
        };
        let written = cells.get(tag);
        let Some(slot) = self.slot(layout, written)? else {
            self.count_unmapped(written, &cells.text(layout.count));
            return Ok(());
        };
        if let Some((place, quality)) = &layout.quality {
            bad_quality(quality, cells.get(*place)).map_or(Ok(()), Err)?;
        }
        let place = or.filter(|_| cells.get(value).is_empty()).unwrap_or(value);
        let value = self.value(cells, place, slot, layout, after)?;
        self.keep(record, slot, value);
        Ok(())
    }

    /// The slot of a tag; `None` for one that the station does not have.
    fn slot(&self, layout: &Layout, written: &[u8]) -> Result<Option<usize>, Fault> {
        let text = std::str::from_utf8(written).unwrap_or("\u{FFFD}");
        if let Ok(index) = text.parse::<i64>() {
            let index = u64::try_from(index).ok();
            return Ok(index.and_then(|index| self.tags.slot_of_index(index)));
        }
        let slot = self.tags.slot_of_name(text);
        if layout.dialect == Dialect::Long && slot.is_none() {
            return Err("the tag index is not a whole number".into());
        }
        Ok(slot)
    }

    pub(super) fn read_wide(
        &mut self,
        layout: &Layout,
        cells: &Cells<'_>,
        record: Kept,
        after: &[u8],
    ) -> Result<(), Fault> {
        let Body::Wide(columns) = &layout.body else {
            return Ok(());
        };
        let mut bad = Vec::new();
        for column in columns {
            let text = cells.get(column.value);
            if text.is_empty() || text.eq_ignore_ascii_case(b"null") {
                continue;
            }
            let status = column.status.map_or(&b""[..], |place| cells.get(place));
            let value = match bad_quality(&Quality::Status, status) {
                Some(fault) => Err(fault.into()),
                None => self.value(cells, column.value, column.slot, layout, after),
            };
            match value {
                Ok(value) => self.keep(record, column.slot, value),
                Err(Fault::Reject(reason)) => {
                    bad.push(format!("{}: {reason}", TAG_NAMES[column.slot]))
                }
                Err(hold) => return Err(hold),
            }
        }
        if bad.is_empty() {
            Ok(())
        } else {
            Err(bad.join("; ").into())
        }
    }

    fn value(
        &mut self,
        cells: &Cells<'_>,
        place: usize,
        slot: usize,
        layout: &Layout,
        after: &[u8],
    ) -> Result<f64, Fault> {
        if let Some(value) = cells.double(place) {
            return Ok(in_double(value, slot)?);
        }
        let text = cells.get(place);
        let text = if layout.dialect == Dialect::Long {
            Cow::Borrowed(text)
        } else {
            self.settle_decimal(text, layout, after)?;
            with_point(text, self.decimal)?
        };
        Ok(if is_command(slot) {
            command(&text)?
        } else {
            number(&text)?
        })
    }

    /// Learns from a value how the file writes decimals, or from the lines to come where the value leaves it open.
    fn settle_decimal(&mut self, text: &[u8], layout: &Layout, after: &[u8]) -> Result<(), Fault> {
        if self.decimal.is_some() || !text.iter().any(|byte| matches!(byte, b',' | b'.')) {
            return Ok(());
        }
        // The cells of a wide file are looked at one by one.
        self.decimal = Decimal::shown(text).or_else(|| match layout.body {
            Body::Narrow { value, .. } => {
                self.look_ahead(layout, after, |cells| Decimal::shown(cells.get(value)))
            }
            _ => None,
        });
        if self.decimal.is_none() && text.contains(&b',') {
            return Err(Fault::Hold(EITHER_COMMA));
        }
        Ok(())
    }

    fn count_unmapped(&mut self, tag: &[u8], raw: &str) {
        let line = self.line;
        self.tally.rejected += 1;
        let tag = String::from_utf8_lossy(tag).into_owned();
        let tag = if self.unmapped.len() < UNMAPPED_MAX || self.unmapped.contains_key(&tag) {
            tag
        } else {
            String::new()
        };
        let reason = match tag.as_str() {
            "" => "more tags that are not mapped".to_owned(),
            tag if tag.parse::<i64>().is_ok() => format!("tag index {tag} is not mapped to a tag"),
            tag => format!("tag {tag:?} is none of the station's"),
        };
        let reject = self.unmapped.entry(tag).or_insert_with(|| Reject {
            count: 0,
            ..Reject::new(line, raw.as_bytes(), reason)
        });
        reject.count += 1;
        let reject = reject.clone();
        self.rejects.push(reject);
    }
}

/// A binary number as a tag's value.
fn in_double(value: f64, slot: usize) -> Result<f64, &'static str> {
    match finite(value)? {
        value if is_command(slot) => zero_or_one(value),
        value => Ok(value),
    }
}
