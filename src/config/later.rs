//! Sections of the contract that this version checks but does not use: their keys are known, so that a config written
//! for a later version loads, and a typing error in them is still found.

use super::section::Section;

/// What a key holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
}
use Kind::{Number, Text};

const SECTIONS: &[(&str, &[(&str, Kind)])] = &[(
    "modbus",
    &[
        ("url", Text),
        ("unit", Number),
        ("poll_interval_s", Number),
        ("takeover_after_min", Number),
    ],
)];

const REGISTER: &[(&str, Kind)] = &[
    ("tag", Text),
    ("table", Text),
    ("address", Number),
    ("base", Number),
    ("type", Text),
    ("order", Text),
    ("scale", Number),
    ("offset", Number),
];

/// Checks the sections; which of them the file has.
pub fn check(root: &Section<'_>) -> Vec<&'static str> {
    let mut present = Vec::new();
    for &(name, keys) in SECTIONS {
        let section = root.section(name);
        check_keys(&section, keys);
        if name == "modbus" {
            for register in section.sections("registers") {
                check_keys(&register, REGISTER);
                register.finish();
            }
        }
        if section.is_present() {
            present.push(name);
        }
        section.finish();
    }
    present
}

fn check_keys(section: &Section<'_>, keys: &[(&str, Kind)]) {
    for &(key, kind) in keys {
        match kind {
            Text => drop(section.text(key)),
            Number => drop(section.number(key)),
        }
    }
}
