//! The PLC as the fallback source.

use std::{path::PathBuf, time::Duration};

use super::section::Section;
use crate::{
    modbus::{Kind, Parity, Place, Register, Table, WordOrder},
    tags::{TAG_NAMES, TAGS, slot_of},
};

/// Port of Modbus TCP.
const PORT: u16 = 502;
/// Rate of a serial line when its address does not say, bits a second.
const BAUD: u32 = 19_200;
/// Most registers of one read, as the protocol has it.
const REGISTERS_MAX: i64 = 125;
/// Polls after which a value is stale when the config does not say.
const STALE_AFTER_POLLS: f64 = 1.5;

/// The PLC as the fallback source.
#[derive(Clone, Debug, PartialEq)]
pub struct Modbus {
    /// Where it is.
    pub place: Place,
    /// Seconds between two polls, 1–300.
    pub poll_interval_s: i64,
    /// How long the exports may stay away first, min.
    pub takeover_after_min: i64,
    /// A unit answers within this, or not at all.
    pub timeout: Duration,
    /// Longest wait between two attempts, s.
    pub retry_s_max: u64,
    /// Most registers in one read, 1–125; 16 times as many bits.
    pub registers_max: u16,
    /// Age from which on a value is none, s.
    pub stale_after_s: f64,
    /// The register map, at most one register a tag; not empty.
    pub registers: Vec<Register>,
}

/// Reads `[modbus]`; the exports may normally be `delivery_delay_min` late.
pub(super) fn modbus(
    root: &Section<'_>,
    delivery_delay_min: i64,
    notes: &mut Vec<String>,
) -> Option<Modbus> {
    let modbus = root.section("modbus");
    let url = modbus.text("url");
    if modbus.is_present() && url.is_none() {
        modbus.fault("url", "is missing: the PLC, like \"tcp://192.0.2.10:502\" or \"rtu:///dev/ttyUSB0?baud=19200&parity=even\"");
    }
    let place = url.map(|url| place(&url));
    if let Some(Err(what)) = &place {
        modbus.fault("url", what.clone());
    }
    let place = place.and_then(Result::ok).unwrap_or(Place::Tcp {
        host: String::new(),
        port: PORT,
    });
    let units = match place {
        Place::Tcp { .. } => 0..=255,
        Place::Rtu { .. } => 1..=247,
    };
    let unit = modbus.whole_in("unit", 1, units.clone());
    let poll_interval_s = modbus.whole_in("poll_interval_s", 60, 1..=300);
    let takeover_after_min = modbus.whole_in("takeover_after_min", 10, 1..=1440);
    let timeout_s = modbus.number_in("timeout_s", 1.0, 0.05..=60.0);
    let retry_s_max = modbus.whole_in("retry_s_max", 30, 1..=300);
    let registers_max = modbus.whole_in("registers_max", REGISTERS_MAX, 1..=REGISTERS_MAX);
    let stale_after_s = modbus.number_in(
        "stale_after_s",
        STALE_AFTER_POLLS * poll_interval_s as f64,
        0.1..=3600.0,
    );
    if modbus.is_present() {
        if takeover_after_min <= delivery_delay_min {
            modbus.fault(
                "takeover_after_min",
                format!("is {takeover_after_min}; it must be more than historian.delivery_delay_min, {delivery_delay_min}, or the PLC takes over from exports that are on time"),
            );
        }
        if timeout_s >= poll_interval_s as f64 {
            modbus.fault(
                "timeout_s",
                format!("is {timeout_s}; it must be less than poll_interval_s, {poll_interval_s}"),
            );
        }
        if poll_interval_s > 60 {
            notes.push(format!("modbus.poll_interval_s is {poll_interval_s}: there will be minutes without a row while the PLC feeds the station"));
        }
    }
    let mut registers: Vec<Register> = Vec::new();
    for section in modbus.sections("registers") {
        if let Some(register) = register(&section, unit, units.clone(), registers_max) {
            match clash(&registers, &register) {
                Some((key, what)) => section.fault(key, what),
                None => registers.push(register),
            }
        }
        section.finish();
    }
    if modbus.is_present() && registers.is_empty() {
        modbus.fault(
            "registers",
            "lists no register that can be read: [[modbus.registers]] for each tag",
        );
    }
    let is_present = modbus.is_present();
    modbus.finish();
    is_present.then_some(Modbus {
        place,
        poll_interval_s,
        takeover_after_min,
        timeout: Duration::from_secs_f64(timeout_s),
        retry_s_max: retry_s_max.unsigned_abs(),
        registers_max: registers_max as u16,
        stale_after_s,
        registers,
    })
}

/// One `[[modbus.registers]]`; `None` when it lacks what it needs, with the faults told.
fn register(
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
    let kinds = [
        ("bool", Kind::Bool),
        ("bit", Kind::Bit(bit)),
        ("u16", Kind::U16),
        ("i16", Kind::I16),
        ("u32", Kind::U32),
        ("i32", Kind::I32),
        ("f32", Kind::F32),
        ("f64", Kind::F64),
    ];
    let kind = chosen(section, "type", &kinds, None);
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
    if table.holds_bits() && kind != Kind::Bool {
        section.fault(
            "type",
            format!(
                "is {:?}; a {} is one bit, so it must be \"bool\"",
                kind.name(),
                table.name()
            ),
        );
        return None;
    }
    match (kind, has_bit) {
        (Kind::Bit(_), false) => {
            section.fault("bit", "is missing: which bit of the word, 0 (lowest) to 15");
            return None;
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

/// Why a register cannot stand beside those before it: the key and the fault.
fn clash(registers: &[Register], new: &Register) -> Option<(&'static str, String)> {
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

/// Where a PLC is, from its address.
fn place(url: &str) -> Result<Place, String> {
    let usage = || {
        format!(
            "{url:?} is no PLC's address; write \"tcp://192.0.2.10:502\" or \"rtu:///dev/ttyUSB0?baud=19200&parity=even\""
        )
    };
    if let Some(rest) = url.strip_prefix("tcp://") {
        let (host, port) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(usage)?;
                (
                    host,
                    if port.is_empty() {
                        None
                    } else {
                        Some(port.strip_prefix(':').ok_or_else(usage)?)
                    },
                )
            }
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = port.map_or(Ok(PORT), str::parse).map_err(|_| usage())?;
        if host.is_empty() || port == 0 || host.contains(['/', '?', '@', ' ']) {
            return Err(usage());
        }
        return Ok(Place::Tcp {
            host: host.to_owned(),
            port,
        });
    }
    let rest = url.strip_prefix("rtu://").ok_or_else(usage)?;
    let (device, settings) = rest.split_once('?').unwrap_or((rest, ""));
    if !device.starts_with('/') || device.len() < 2 {
        return Err(usage());
    }
    let (mut baud, mut parity, mut stop_bits) = (BAUD, Parity::Even, None);
    for setting in settings.split('&').filter(|setting| !setting.is_empty()) {
        match setting.split_once('=') {
            Some(("baud", rate)) => {
                let rate = rate
                    .parse()
                    .ok()
                    .filter(|rate| (300..=4_000_000).contains(rate));
                baud = rate.ok_or("baud must be a rate from 300 to 4000000 bits a second")?;
            }
            Some(("parity", "none")) => parity = Parity::None,
            Some(("parity", "even")) => parity = Parity::Even,
            Some(("parity", "odd")) => parity = Parity::Odd,
            Some(("parity", _)) => return Err("parity must be none, even or odd".into()),
            Some(("stop", "1")) => stop_bits = Some(1),
            Some(("stop", "2")) => stop_bits = Some(2),
            Some(("stop", _)) => return Err("stop must be 1 or 2".into()),
            _ => {
                return Err(format!(
                    "{setting:?} is none of baud=…, parity=… and stop=…"
                ));
            }
        }
    }
    Ok(Place::Rtu {
        device: PathBuf::from(device),
        baud,
        parity,
        stop_bits: stop_bits.unwrap_or(1),
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Config, Fault};

    const SAMPLE: &str = include_str!("../../config/pumphouse.toml");
    const LEVEL: &str =
        "[[modbus.registers]]\ntag = \"[PLC]HLT101.OUTPUT\"\naddress = 100\ntype = \"f32\"\n";

    fn parsed(section: &str) -> Result<Config, Vec<Fault>> {
        Config::parse(&format!("{SAMPLE}{section}\n"), Path::new("/plant"))
    }

    #[test]
    fn the_sample_loads_and_is_the_default() {
        let at = SAMPLE.find("# [modbus]").expect("it is there");
        let lines = SAMPLE[at..].lines().take_while(|line| !line.is_empty());
        let sample: String = lines.map(|line| format!("{}\n", &line[2..])).collect();
        let sample = parsed(&sample).expect("it loads").modbus.expect("there");
        let least = format!(
            "[modbus]\nurl = \"tcp://192.0.2.10\"\n{LEVEL}[[modbus.registers]]\ntag = \"[PLC]P1.ONOFF\"\n\
             address = 140\ntype = \"bit\"\nbit = 0\n"
        );
        let least = parsed(&least).expect("it loads").modbus.expect("there");
        assert_eq!(least, sample);
        assert_eq!(least.registers[1].kind, Kind::Bit(0));
        assert!(parsed("").expect("it loads").modbus.is_none());
    }

    #[test]
    fn addresses_of_plcs() {
        let tcp = |host: &str, port| Place::Tcp {
            host: host.into(),
            port,
        };
        for (url, place) in [
            ("tcp://plc", tcp("plc", 502)),
            ("tcp://[2001:db8::1]", tcp("2001:db8::1", 502)),
            ("tcp://[::1]:1502", tcp("::1", 1502)),
        ] {
            assert_eq!(super::place(url), Ok(place), "{url}");
        }
        let rtu = Place::Rtu {
            device: "/dev/ttyS1".into(),
            baud: 9600,
            parity: Parity::None,
            stop_bits: 2,
        };
        assert_eq!(
            super::place("rtu:///dev/ttyS1?baud=9600&parity=none&stop=2"),
            Ok(rtu)
        );
        for url in [
            "plc:502",
            "tcp://",
            "tcp://plc:0",
            "tcp://plc:x",
            "tcp://a/b",
            "tcp://[::1",
            "rtu://ttyS1",
            "rtu:///",
            "rtu:///dev/a?baud=1",
            "rtu:///dev/a?parity=mark",
            "rtu:///dev/a?stop=3",
            "rtu:///dev/a?speed=9600",
        ] {
            assert!(super::place(url).is_err(), "{url}");
        }
    }

    #[test]
    fn refuses_contradictions_each_with_its_line() {
        let with =
            |keys: &str| format!("[[modbus.registers]]\ntag = \"[PLC]FIT101_HR.PER_HR\"\n{keys}\n");
        for (registers, what) in [
            (
                with("table = \"coil\"\naddress = 1\ntype = \"f32\""),
                "a coil is one bit",
            ),
            (with("address = 1\ntype = \"bit\""), "bit: is missing"),
            (
                with("address = 1\ntype = \"u16\"\nbit = 3"),
                "for type = \"bit\" only",
            ),
            (
                with("address = 0\nbase = 1\ntype = \"u16\""),
                "base = 1 counts from 1",
            ),
            (
                with("address = 65535\ntype = \"f32\""),
                "beyond the last address",
            ),
            (
                with("address = 65536\ntype = \"u16\""),
                "beyond the last address",
            ),
            (with("type = \"u16\""), "address: is missing"),
            (with("address = 1"), "type: is missing: one of \"bool\""),
            (with("address = 1\ntype = \"real\""), "\"real\" is none of"),
            (
                with("address = 1\ntype = \"u16\"\norder = \"ACBD\""),
                "is none of \"ABCD\"",
            ),
            (with("address = 1\ntype = \"u16\"\nscale = 0"), "is 0"),
            (
                with("address = 101\ntype = \"u16\""),
                "lies in the register of \"[PLC]HLT101.OUTPUT\"",
            ),
            (
                with("adress = 1\ntype = \"u16\""),
                "did you mean \"address\"",
            ),
            (
                with("address = 1\ntype = \"u16\"\nunit = 256"),
                "between 0 and 255",
            ),
            (LEVEL.replace("100", "200"), "has another register already"),
            (
                LEVEL.replace("HLT101", "HLT102").replace("100", "200"),
                "none of the station's 27 tags",
            ),
        ] {
            let faults = parsed(&format!(
                "[modbus]\nurl = \"tcp://plc\"\n{LEVEL}{registers}"
            ))
            .expect_err("faults");
            let faults: Vec<_> = faults.iter().map(Fault::to_string).collect();
            assert!(
                faults
                    .iter()
                    .any(|fault| fault.contains(what) && fault.starts_with("line ")),
                "{registers}: {faults:?}"
            );
        }
        for (keys, what) in [
            ("url = \"plc\"", "is no PLC's address"),
            (
                "url = \"rtu:///dev/ttyUSB0\"\nunit = 0",
                "between 1 and 247",
            ),
            (
                "url = \"tcp://plc\"\ntakeover_after_min = 3",
                "more than historian.delivery_delay_min, 3",
            ),
            (
                "url = \"tcp://plc\"\npoll_interval_s = 1\ntimeout_s = 2",
                "less than poll_interval_s",
            ),
            (
                "url = \"tcp://plc\"\npoll_intervall_s = 1",
                "did you mean \"poll_interval_s\"",
            ),
            ("unit = 1", "url: is missing"),
        ] {
            let faults = parsed(&format!("[modbus]\n{keys}\n{LEVEL}")).expect_err("faults");
            assert!(
                faults.iter().any(|fault| fault.to_string().contains(what)),
                "{keys}: {faults:?}"
            );
        }
        let faults = parsed("[modbus]\nurl = \"tcp://plc\"").expect_err("no register");
        assert!(
            faults[0].to_string().contains("lists no register"),
            "{faults:?}"
        );
    }

    #[test]
    fn bits_of_one_word_and_words_of_other_units_stand_side_by_side() {
        let bit = |tag: usize, bit: u8| {
            format!(
                "[[modbus.registers]]\ntag = \"[PLC]P{tag}.ONOFF\"\naddress = 40\nbase = 1\ntype = \"bit\"\nbit = {bit}\n"
            )
        };
        let other = LEVEL.replace("HLT101.OUTPUT", "FIT101_HR.PER_HR") + "unit = 2\n";
        let text = format!(
            "[modbus]\nurl = \"tcp://plc\"\n{LEVEL}{}{}{other}",
            bit(1, 0),
            bit(2, 1)
        );
        let modbus = parsed(&text).expect("it loads").modbus.expect("there");
        let places: Vec<_> = modbus
            .registers
            .iter()
            .map(|it| (it.unit, it.address))
            .collect();
        assert_eq!(places, [(1, 100), (1, 39), (1, 39), (2, 100)]);
    }
}
