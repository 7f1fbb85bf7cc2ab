//! One register of the map.

use super::super::section::Section;
use crate::{
    modbus::{Kind, Register, Table, WordOrder},
    tags::{TAG_NAMES, TAGS, slot_of},
};

/// One `[[modbus.registers]]`; `None` when it lacks what it needs, with the faults told.
pub(super) fn register(
    section: &Section<'_>,
    unit: i64,
    units: std::ops::RangeInclusive<i64>,
    registers_max: i64,
) -> Option<Register> {
    let tag = needed(
        section,
        "tag",
        "the tag's name, like \"[PLC]HLT101.OUTPUT\"",
    );
    let slot = tag.as_deref().and_then(slot_of);
    if let (Some(tag), None) = (&tag, slot) {
        section.fault(
            "tag",
            format!("{tag:?} is none of the station's {TAGS} tags"),
        );
    }
    let table = chosen(section, "table", &Table::NAMES, Some("holding"));
    let bit = section.whole_in("bit", 0, 0..=15) as u8;
    let kind = chosen(section, "type", &kinds(bit), None);
    let order = chosen(section, "order", &WordOrder::NAMES, Some("ABCD"));
    let base = section.whole_in("base", 0, 0..=1);
    let address = section.whole_in("address", base, 0..=65_536);
    let (has_bit, has_address) = (has(section, "bit"), has(section, "address"));
    if !has_address {
        section.fault(
            "address",
            "is missing: the register's address, counted from base",
        );
    }
    let unit = section.whole_in("unit", unit, units) as u8;
    let scale = section.number_in("scale", 1.0, -1e12..=1e12);
    let offset = section.number_in("offset", 0.0, -1e12..=1e12);
    if scale == 0.0 {
        section.fault("scale", "is 0; every value would be the offset");
    }
    let (slot, table, kind, order) = (slot?, table?, kind?, order?);
    if contradicts(section, table, kind, has_bit, registers_max) {
        return None;
    }
    let from_zero = address - base;
    if from_zero < 0 {
        section.fault("address", "is 0, and base = 1 counts from 1");
        return None;
    }
    if from_zero + i64::from(kind.places()) > 65_536 {
        section.fault(
            "address",
            format!(
                "is {address}; with its {} places the register ends beyond the last address",
                kind.places()
            ),
        );
        return None;
    }
    Some(Register {
        slot,
        unit,
        table,
        address: from_zero as u16,
        base: base as u8,
        kind,
        order,
        scale,
        offset,
    })
}

/// The types by their names.
fn kinds(bit: u8) -> [(&'static str, Kind); 8] {
    [
        ("bool", Kind::Bool),
        ("bit", Kind::Bit(bit)),
        ("u16", Kind::U16),
        ("i16", Kind::I16),
        ("u32", Kind::U32),
        ("i32", Kind::I32),
        ("f32", Kind::F32),
        ("f64", Kind::F64),
    ]
}

/// Whether the type does not go with the rest; the fault is told.
fn contradicts(
    section: &Section<'_>,
    table: Table,
    kind: Kind,
    has_bit: bool,
    registers_max: i64,
) -> bool {
    if table.holds_bits() && kind != Kind::Bool {
        section.fault(
            "type",
            format!(
                "is {:?}; a {} is one bit, so it must be \"bool\"",
                kind.name(),
                table.name()
            ),
        );
        return true;
    }
    match (kind, has_bit) {
        (Kind::Bit(_), false) => {
            section.fault("bit", "is missing: which bit of the word, 0 (lowest) to 15");
            return true;
        }
        (Kind::Bit(_), true) | (_, false) => {}
        (_, true) => section.fault("bit", "is for type = \"bit\" only"),
    }
    if !table.holds_bits() && i64::from(kind.places()) > registers_max {
        section.fault(
            "type",
            format!(
                "takes {} registers, and registers_max lets a read have {registers_max}",
                kind.places()
            ),
        );
        return true;
    }
    false
}

/// Why a register cannot stand beside those before it: the key and the fault.
pub(super) fn clash(registers: &[Register], new: &Register) -> Option<(&'static str, String)> {
    if registers.iter().any(|it| it.slot == new.slot) {
        return Some(("tag", "has another register already".into()));
    }
    let end = |it: &Register| u32::from(it.address) + u32::from(it.kind.places());
    let overlaps = |it: &&Register| {
        let is_near = (it.unit, it.table) == (new.unit, new.table);
        let other_bits = matches!((it.kind, new.kind), (Kind::Bit(a), Kind::Bit(b)) if a != b);
        is_near
            && !other_bits
            && u32::from(it.address) < end(new)
            && u32::from(new.address) < end(it)
    };
    let other = registers.iter().find(overlaps)?;
    Some((
        "address",
        format!("lies in the register of {:?}", TAG_NAMES[other.slot]),
    ))
}

fn has(section: &Section<'_>, key: &str) -> bool {
    section.keys().iter().any(|it| it == key)
}

fn needed(section: &Section<'_>, key: &str, what: &str) -> Option<String> {
    if !has(section, key) {
        section.fault(key, format!("is missing: {what}"));
    }
    section.text(key)
}

/// One of a few names; `None` with the fault told.
fn chosen<T: Copy>(
    section: &Section<'_>,
    key: &str,
    choices: &[(&str, T)],
    default: Option<&str>,
) -> Option<T> {
    let names = || {
        choices
            .iter()
            .map(|(name, _)| format!("{name:?}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !has(section, key) && default.is_none() {
        section.fault(key, format!("is missing: one of {}", names()));
    }
    let name = match has(section, key) {
        true => section.text(key)?,
        false => {
            section.touch(key);
            default?.to_owned()
        }
    };
    let found = choices.iter().find(|(choice, _)| *choice == name);
    if found.is_none() {
        section.fault(key, format!("{name:?} is none of {}", names()));
    }
    found.map(|(_, choice)| *choice)
}
