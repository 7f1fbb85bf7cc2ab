//! The PLC as the fallback source.

mod place;
mod register;

use std::{ops::RangeInclusive, time::Duration};

use super::section::Section;
use crate::modbus::{Place, Register};

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
    let place = url.map(|url| place::place(&url));
    if let Some(Err(what)) = &place {
        modbus.fault("url", what.clone());
    }
    let place = place.and_then(Result::ok).unwrap_or(Place::Tcp {
        host: String::new(),
        port: 0,
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
    let registers = registers(&modbus, unit, units, registers_max);
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

/// Reads all `[[modbus.registers]]`.
fn registers(
    modbus: &Section<'_>,
    unit: i64,
    units: RangeInclusive<i64>,
    registers_max: i64,
) -> Vec<Register> {
    let mut registers: Vec<Register> = Vec::new();
    for section in modbus.sections("registers") {
        if let Some(register) = register::register(&section, unit, units.clone(), registers_max) {
            match register::clash(&registers, &register) {
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
    registers
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{
        config::{Config, Fault},
        modbus::Kind,
    };

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
