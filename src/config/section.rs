//! A table of the TOML file, taken apart key by key. Every fault is collected with its line; what is left over at the
//! end is an unknown key.

use std::{cell::RefCell, collections::BTreeSet, fmt, ops::Range};

use toml::de::{DeTable, DeValue};

/// Something wrong with a config file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    /// Line of the file, counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// The key, with its sections.
    pub place: String,
    /// What is wrong, and what to do.
    pub what: String,
}

/// What is said of a key that nobody asked for.
const UNKNOWN: &str = "unknown key";

impl Fault {
    /// Whether it is about a key that no config has.
    pub fn is_unknown_key(&self) -> bool {
        self.what.starts_with(UNKNOWN)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.place.as_str()) {
            (0, "") => write!(f, "{}", self.what),
            (0, place) => write!(f, "{place}: {}", self.what),
            (line, "") => write!(f, "line {line}: {}", self.what),
            (line, place) => write!(f, "line {line}: {place}: {}", self.what),
        }
    }
}

/// The file's text and the faults found in it so far.
pub struct Report<'a> {
    text: &'a str,
    faults: RefCell<Vec<Fault>>,
    /// Places with a value of the wrong type: whatever else is found wrong there follows from that.
    mistyped: RefCell<BTreeSet<String>>,
}

impl<'a> Report<'a> {
    /// A report without faults.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            faults: RefCell::default(),
            mistyped: RefCell::default(),
        }
    }

    /// Adds a fault at a byte of the file.
    pub fn fault(&self, at: Option<Range<usize>>, place: &str, what: impl Into<String>) {
        if self.mistyped.borrow().contains(place) {
            return;
        }
        let line = at.map_or(0, |at| {
            self.text[..at.start.min(self.text.len())]
                .matches('\n')
                .count()
                + 1
        });
        self.faults.borrow_mut().push(Fault {
            line,
            place: place.into(),
            what: what.into(),
        });
    }

    /// All faults, in the order of the file.
    pub fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.faults.into_inner();
        faults.sort();
        faults
    }
}

/// One table of the file; an absent one has no keys.
pub struct Section<'a> {
    report: &'a Report<'a>,
    place: String,
    table: Option<&'a DeTable<'a>>,
    span: Option<Range<usize>>,
    asked: RefCell<BTreeSet<String>>,
}

/// The known key nearest to an unknown one.
fn nearest<'k>(unknown: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|key| (strsim::damerau_levenshtein(unknown, key), key))
        .min()
        .map(|(_, key)| key)
}

/// A finite number, also one written without a point.
fn number(value: &DeValue<'_>) -> Option<f64> {
    let number = match value {
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok()? as f64
        }
        DeValue::Float(number) => number.as_str().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

impl<'a> Section<'a> {
    /// The file's top level.
    pub fn root(report: &'a Report<'a>, table: &'a DeTable<'a>) -> Self {
        Self {
            report,
            place: String::new(),
            table: Some(table),
            span: None,
            asked: RefCell::default(),
        }
    }

    /// Whether the file has the section.
    pub fn is_present(&self) -> bool {
        self.table.is_some()
    }

    /// The place of a key of this section.
    fn place_of(&self, key: &str) -> String {
        if self.place.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.place)
        }
    }

    fn value(&self, key: &str) -> Option<(&'a DeValue<'a>, Range<usize>)> {
        self.asked.borrow_mut().insert(key.to_owned());
        let value = self.table?.get(key)?;
        Some((value.get_ref(), value.span()))
    }

    /// Adds a fault about a key of this section.
    pub fn fault(&self, key: &str, what: impl Into<String>) {
        let span = self
            .table
            .and_then(|table| table.get(key))
            .map(|value| value.span());
        self.report.fault(
            span.or_else(|| self.span.clone()),
            &self.place_of(key),
            what,
        );
    }

    /// Adds the fault of a value of the wrong type.
    fn mistyped(&self, key: &str, what: impl Into<String>) {
        self.fault(key, what);
        let mut mistyped = self.report.mistyped.borrow_mut();
        mistyped.insert(self.place_of(key));
    }

    /// A section below this one.
    pub fn section(&self, key: &str) -> Section<'a> {
        let (table, span) = match self.value(key) {
            Some((DeValue::Table(table), span)) => (Some(table), Some(span)),
            Some(_) => {
                self.mistyped(key, format!("is a section: write [{}]", self.place_of(key)));
                (None, None)
            }
            None => (None, None),
        };
        Section {
            report: self.report,
            place: self.place_of(key),
            table,
            span,
            asked: RefCell::default(),
        }
    }

    /// Sections of an array below this one (`[[key]]`).
    pub fn sections(&self, key: &str) -> Vec<Section<'a>> {
        let Some((value, _)) = self.value(key) else {
            return Vec::new();
        };
        let sections = value.as_array().and_then(|array| {
            let tables = array.iter().enumerate();
            tables
                .map(|(index, value)| {
                    Some(Section {
                        report: self.report,
                        place: format!("{}[{index}]", self.place_of(key)),
                        table: Some(value.get_ref().as_table()?),
                        span: Some(value.span()),
                        asked: RefCell::default(),
                    })
                })
                .collect()
        });
        sections.unwrap_or_else(|| {
            let place = self.place_of(key);
            self.mistyped(key, format!("is a list of sections: write [[{place}]]"));
            Vec::new()
        })
    }

    /// Knows a key without looking at it.
    pub fn touch(&self, key: &str) {
        self.asked.borrow_mut().insert(key.to_owned());
    }

    /// All keys of the section, for one whose keys are data.
    pub fn keys(&self) -> Vec<String> {
        self.table.map_or_else(Vec::new, |table| {
            table.keys().map(|key| key.get_ref().to_string()).collect()
        })
    }

    /// A text.
    pub fn text(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            (DeValue::String(text), _) => Some(text.to_string()),
            _ => {
                self.mistyped(key, "must be a text in quotes");
                None
            }
        }
    }

    /// A number, also one written without a point.
    pub fn number(&self, key: &str) -> Option<f64> {
        let number = number(self.value(key)?.0);
        if number.is_none() {
            self.mistyped(key, "must be a number");
        }
        number
    }

    /// A number within a range, `default` where the file says nothing.
    pub fn number_in(&self, key: &str, default: f64, range: std::ops::RangeInclusive<f64>) -> f64 {
        match self.number(key) {
            Some(number) if !range.contains(&number) => {
                self.fault(
                    key,
                    format!(
                        "is {number}; it must lie between {} and {}",
                        range.start(),
                        range.end()
                    ),
                );
                default
            }
            number => number.unwrap_or(default),
        }
    }

    /// A whole number within a range, `default` where the file says nothing.
    pub fn whole_in(&self, key: &str, default: i64, range: std::ops::RangeInclusive<i64>) -> i64 {
        let number = self.number_in(
            key,
            default as f64,
            *range.start() as f64..=*range.end() as f64,
        );
        if number.fract() != 0.0 {
            self.fault(key, format!("is {number}; it must be a whole number"));
            return default;
        }
        number as i64
    }

    /// Yes or no.
    pub fn flag(&self, key: &str, default: bool) -> bool {
        match self.value(key) {
            Some((DeValue::Boolean(flag), _)) => *flag,
            Some(_) => {
                self.mistyped(key, "must be true or false");
                default
            }
            None => default,
        }
    }

    /// A list of texts.
    pub fn texts(&self, key: &str) -> Option<Vec<String>> {
        let (value, _) = self.value(key)?;
        let texts = match value {
            DeValue::Array(array) => array
                .iter()
                .map(|value| value.get_ref().as_str().map(str::to_owned))
                .collect(),
            _ => None,
        };
        if texts.is_none() {
            self.mistyped(key, "must be a list of texts: [\"…\", \"…\"]");
        }
        texts
    }

    /// A list of numbers.
    pub fn numbers(&self, key: &str) -> Option<Vec<f64>> {
        let (value, _) = self.value(key)?;
        let numbers = match value {
            DeValue::Array(array) => array.iter().map(|value| number(value.get_ref())).collect(),
            _ => None,
        };
        if numbers.is_none() {
            self.mistyped(key, "must be a list of numbers: [1.0, 2.0]");
        }
        numbers
    }

    /// Ends the section: every key that nobody asked for is unknown.
    pub fn finish(self) {
        let asked = self.asked.borrow();
        for key in self.table.into_iter().flat_map(|table| table.keys()) {
            if asked.contains(key.get_ref().as_ref()) {
                continue;
            }
            let hint = match nearest(key.get_ref(), asked.iter().map(String::as_str)) {
                Some(near) => format!("; did you mean {near:?}?"),
                None => String::new(),
            };
            self.report.fault(
                Some(key.span()),
                &self.place_of(key.get_ref()),
                format!("{UNKNOWN}{hint}"),
            );
        }
    }
}
