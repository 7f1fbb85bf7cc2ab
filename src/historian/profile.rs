//! A file whose columns do not tell what they hold: the config names them. Pure.

use super::{
    layout::{self, Dialect, Layout, Quality, Split},
    lines::Fields,
    tagnames::name_key,
};

/// What the config says of a plant's own export.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The sign between columns; `None` for the one that a file has most of.
    pub delimiter: Option<u8>,
    /// The columns of a file without a header, by their names.
    pub columns: Vec<String>,
    /// The plant's name of each column that counts, and the name by which [`Layout::of_names`] knows it.
    pub meaning: Vec<(String, &'static str)>,
    /// Values of the quality column that are good; empty for OPC's.
    pub good: Vec<String>,
}

impl Profile {
    /// Whether a line holds the names of the columns.
    pub fn is_header(&self, line: &[u8], first: bool) -> bool {
        if self.columns.is_empty() && self.meaning.is_empty() {
            return layout::is_header(line);
        }
        let (names, _) = self.split(line);
        let known = |name: &String| {
            self.meaning
                .iter()
                .any(|(own, _)| name_key(own) == name_key(name))
        };
        let found = names.iter().filter(|name| known(name)).count();
        found >= 2 || (first && self.columns.is_empty() && layout::is_header(line))
    }

    /// The names of a header's columns, translated.
    pub fn names(&self, line: &[u8]) -> (Vec<String>, Split) {
        let (names, split) = self.split(line);
        (
            names.iter().map(|name| self.translated(name)).collect(),
            split,
        )
    }

    /// The columns of a file without a header.
    pub fn columns(&self) -> Result<(Vec<String>, Split), String> {
        if self.columns.is_empty() {
            return Err("the file has no header, and its profile names no columns".into());
        }
        let names = self
            .columns
            .iter()
            .map(|name| self.translated(name))
            .collect();
        Ok((names, Split::At(self.delimiter.unwrap_or(b','))))
    }

    /// What the profile says beyond the names of columns.
    pub fn apply(&self, layout: &mut Layout, names: &[String]) {
        layout.name = self.name.clone().into();
        if layout.dialect == Dialect::Long {
            layout.dialect = Dialect::Named;
        }
        if !self.good.is_empty()
            && let Some(place) = names.iter().position(|name| name == "quality")
        {
            layout.quality = Some((place, Quality::OneOf(self.good.clone())));
        }
    }

    fn split(&self, line: &[u8]) -> (Vec<String>, Split) {
        let Some(sign) = self.delimiter else {
            return layout::names(line);
        };
        let mut fields = Fields::default();
        fields.split(line, sign);
        let names = fields
            .iter()
            .map(|name| String::from_utf8_lossy(name).into_owned());
        (names.collect(), Split::At(sign))
    }

    /// A column's name as layouts know it; a column that counts for nothing loses its name where that would mean something else.
    fn translated(&self, name: &str) -> String {
        let meaning = self
            .meaning
            .iter()
            .find(|(own, _)| name_key(own) == name_key(name));
        match meaning {
            Some((_, known)) => (*known).to_owned(),
            None if self
                .meaning
                .iter()
                .any(|(_, known)| known.eq_ignore_ascii_case(name)) =>
            {
                String::new()
            }
            None => name.to_owned(),
        }
    }
}
