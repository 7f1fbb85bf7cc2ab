//! Which tag of the station a name or an index means. Pure.
//!
//! An index is good only with the tag table of its own files; the config's indexes stand in where there is none. A name is
//! good everywhere.

use std::collections::{BTreeMap, HashMap};

use super::TagMap;
use crate::tags::TAG_NAMES;

/// The plant's names of the station's tags, and what their indexes mean in one set of files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TagNames {
    /// Slot by the station's own name.
    exact: HashMap<&'static str, usize>,
    /// Slot by name as [`name_key`] writes it.
    named: HashMap<String, usize>,
    /// Slot by index, from the config.
    indexes: TagMap,
    /// Name by index, from a tag table; it stands above the config.
    table: Option<BTreeMap<u64, String>>,
    /// Slot by index, from the same.
    of_table: TagMap,
}

/// A name as it is compared: small, without blanks at its ends.
pub fn name_key(name: &str) -> String {
    name.trim().trim_start_matches(';').trim().to_lowercase()
}

impl TagNames {
    /// The station's own names, the indexes of the config, and further names of tags that the config gives.
    pub fn new(indexes: TagMap, further: &BTreeMap<String, usize>) -> Self {
        let mut named = HashMap::new();
        for (slot, name) in TAG_NAMES.iter().enumerate() {
            let key = name_key(name);
            // Historians leave the shortcut of the PLC out, or put the server before it.
            named.insert(key.trim_start_matches("[plc]").to_owned(), slot);
            named.insert(format!("::{key}"), slot);
            named.insert(key, slot);
        }
        named.extend(further.iter().map(|(name, &slot)| (name_key(name), slot)));
        let exact = TAG_NAMES.iter().enumerate();
        Self {
            exact: exact.map(|(slot, name)| (*name, slot)).collect(),
            named,
            indexes,
            table: None,
            of_table: TagMap::default(),
        }
    }

    /// The slot of a name.
    pub fn slot_of_name(&self, name: &str) -> Option<usize> {
        // Most names are written as the station writes them.
        if let Some(&slot) = self.exact.get(name) {
            return Some(slot);
        }
        let key = name_key(name);
        let found = self.named.get(key.as_str());
        // PI writes `.` where a name has `/` or `\`.
        found
            .or_else(|| self.named.get(key.replace(['/', '\\'], ".").as_str()))
            .copied()
    }

    /// The slot of an index.
    pub fn slot_of_index(&self, index: u64) -> Option<usize> {
        self.meant().slot(index)
    }

    /// The slot of an index or a name as it is written.
    pub fn slot_of_text(&self, text: &str) -> Option<usize> {
        self.slot_of_name(text).or_else(|| {
            text.parse()
                .ok()
                .and_then(|index| self.slot_of_index(index))
        })
    }

    /// Whether indexes mean anything here.
    pub fn has_indexes(&self) -> bool {
        self.table.is_some() || self.indexes.mapped() > 0
    }

    /// What indexes mean here.
    fn meant(&self) -> &TagMap {
        match self.table {
            Some(_) => &self.of_table,
            None => &self.indexes,
        }
    }

    /// Takes an entry of a tag table; from the first one on, only the table counts.
    pub fn insert(&mut self, index: u64, name: &str) {
        match self.slot_of_name(name.trim()) {
            Some(slot) => self.of_table.insert(index, slot),
            None => self.of_table.forget(index),
        }
        self.table
            .get_or_insert_default()
            .insert(index, name.trim().to_owned());
    }

    /// The tag table, if there is one.
    pub fn table(&self) -> Option<&BTreeMap<u64, String>> {
        self.table.as_ref()
    }

    /// The names whose index the table has differently from an earlier one, or from the config; in the table's order.
    pub fn moved(&self, before: &Self) -> Vec<String> {
        let table = self.table.iter().flatten();
        table
            .filter_map(|(&index, name)| {
                let slot = self.slot_of_name(name)?;
                let had = before.slot_of_index(index);
                (had != Some(slot)).then(|| format!("{index} = {name}"))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::{FLOW, LEVEL};

    #[test]
    fn a_name_is_known_in_the_writings_of_the_historians() {
        let names = TagNames::new(
            TagMap::default(),
            &BTreeMap::from([("Tank\\Level".into(), LEVEL)]),
        );
        for name in [
            "[PLC]FIT101_HR.PER_HR",
            " [plc]fit101_hr.per_hr ",
            "FIT101_HR.PER_HR",
            "::[PLC]FIT101_HR.PER_HR",
        ] {
            assert_eq!(names.slot_of_name(name), Some(FLOW), "{name}");
        }
        assert_eq!(names.slot_of_name("tank\\level"), Some(LEVEL));
        assert_eq!(names.slot_of_name("[OTHER]FIT101_HR.PER_HR"), None);
    }

    #[test]
    fn a_tag_table_stands_above_the_config() {
        let mut indexes = TagMap::default();
        indexes.insert(4, FLOW);
        let config = TagNames::new(indexes, &BTreeMap::new());
        let mut set = config.clone();
        set.insert(4, "[PLC]HLT101.OUTPUT");
        assert_eq!(config.slot_of_text("4"), Some(FLOW));
        assert_eq!(set.slot_of_text("4"), Some(LEVEL));
        assert_eq!(set.slot_of_text("5"), None);
        assert_eq!(set.moved(&config), ["4 = [PLC]HLT101.OUTPUT"]);
    }
}
