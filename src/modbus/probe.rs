//! What a register would hold if the plant counted or laid its bytes in another way: for finding out how it does.

use super::{
    Kind, Place, Register, WordOrder,
    client::{PlcReader, Trouble},
    registers::{Answer, Read, believe, number},
};
use crate::tags::is_command;

/// One way to read a register.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// How addresses would be counted: from 0 or from 1.
    pub base: u8,
    /// How the bytes would lie.
    pub order: WordOrder,
    /// The tag's value; NaN for none.
    pub value: f64,
    /// Whether the config has it so.
    pub is_configured: bool,
}

/// What a register holds, read in every way.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The register as it is configured.
    pub register: Register,
    /// The ways that could be read.
    pub ways: Vec<Way>,
    /// Base and why it could not be read.
    pub troubles: Vec<(u8, Trouble)>,
}

/// Whether two values of a tag agree, by a share of the greater one; commands must be equal.
pub fn agree(slot: usize, a: f64, b: f64, tolerance: f64) -> bool {
    match is_command(slot) {
        true => a == b,
        false => (a - b).abs() <= tolerance * a.abs().max(b.abs()),
    }
}

/// Reads every register in every way. A unit that does not answer is asked once.
///
/// # Errors
/// There is no connection, or no unit answers at all.
pub async fn probe(
    place: &Place,
    time: std::time::Duration,
    registers: &[Register],
) -> Result<Vec<Finding>, Trouble> {
    let mut reader = Some(PlcReader::connect(place, time, false).await?);
    let mut silent: Vec<(u8, Trouble)> = Vec::new();
    let mut answered = false;
    let mut findings = Vec::new();
    for register in registers {
        let mut finding = Finding {
            register: *register,
            ways: Vec::new(),
            troubles: Vec::new(),
        };
        for (base, address) in bases(register) {
            if let Some((_, trouble)) = silent.iter().find(|(unit, _)| *unit == register.unit) {
                finding.troubles.push((base, trouble.clone()));
                continue;
            }
            let mut connected = match reader.take() {
                Some(reader) => reader,
                None => PlcReader::connect(place, time, true).await?,
            };
            let read = Read {
                unit: register.unit,
                table: register.table,
                address,
                count: register.kind.places(),
                registers: Vec::new(),
            };
            let answer = connected.read(&read).await;
            answered |= !matches!(answer, Err(Trouble::Broken(_)));
            match answer {
                Ok(answer) => finding.ways.extend(ways(register, base, &answer)),
                Err(trouble @ Trouble::Broken(_)) => {
                    finding.troubles.push((base, trouble.clone()));
                    silent.push((register.unit, trouble));
                    continue;
                }
                Err(trouble) => finding.troubles.push((base, trouble)),
            }
            reader = Some(connected);
        }
        findings.push(finding);
    }
    match silent.pop() {
        Some((unit, trouble)) if !answered => Err(Trouble::Broken(format!(
            "read unit {unit} at {place}: {trouble}"
        ))),
        _ => Ok(findings),
    }
}

/// Both bases with the address on the wire that the written one would be.
fn bases(register: &Register) -> Vec<(u8, u16)> {
    let written = u32::from(register.address) + u32::from(register.base);
    let address = |base: u8| {
        let address = u16::try_from(written.checked_sub(u32::from(base))?).ok()?;
        address.checked_add(register.kind.places() - 1)?;
        Some((base, address))
    };
    [0, 1].into_iter().filter_map(address).collect()
}

/// The orders that make a difference for a register.
fn orders(register: &Register) -> &'static [WordOrder] {
    match register.kind {
        Kind::Bool => &[WordOrder::Abcd],
        Kind::Bit(_) | Kind::U16 | Kind::I16 => &[WordOrder::Abcd, WordOrder::Badc],
        Kind::U32 | Kind::I32 | Kind::F32 | Kind::F64 => &[
            WordOrder::Abcd,
            WordOrder::Cdab,
            WordOrder::Badc,
            WordOrder::Dcba,
        ],
    }
}

fn ways(register: &Register, base: u8, answer: &Answer) -> Vec<Way> {
    let number = |order| match answer {
        Answer::Bits(bits) => bits
            .first()
            .map_or(f64::NAN, |&bit| f64::from(u8::from(bit))),
        Answer::Words(words) => number(register.kind, order, words),
    };
    let words: Vec<u16> = match answer {
        Answer::Words(words) => words.clone(),
        Answer::Bits(_) => Vec::new(),
    };
    let meant = |order| super::registers::number(register.kind, order, &words).to_bits();
    let way = |&order: &WordOrder| Way {
        base,
        order,
        value: believe(register, number(order)),
        // Of orders that mean the same for a single word, the one that is shown counts.
        is_configured: base == register.base
            && (order == register.order
                || !orders(register).contains(&register.order)
                    && meant(order) == meant(register.order)),
    };
    orders(register).iter().map(way).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        modbus::Table,
        tags::{LEVEL, onoff},
    };

    fn level(address: u16, base: u8, kind: Kind) -> Register {
        Register {
            slot: LEVEL,
            unit: 1,
            table: Table::Holding,
            address,
            base,
            kind,
            order: WordOrder::Abcd,
            scale: 1.0,
            offset: 0.0,
        }
    }

    #[test]
    fn both_bases_of_the_written_address() {
        assert_eq!(bases(&level(100, 0, Kind::F32)), [(0, 100), (1, 99)]);
        assert_eq!(bases(&level(99, 1, Kind::F32)), [(0, 100), (1, 99)]);
        assert_eq!(bases(&level(0, 0, Kind::F32)), [(0, 0)]);
        assert_eq!(bases(&level(65_534, 1, Kind::F32)), [(1, 65_534)]);
    }

    #[test]
    fn marks_the_configured_way_once() {
        let answer = Answer::Words(vec![0x42F6, 0xE979]);
        let found = ways(&level(100, 0, Kind::F32), 0, &answer);
        assert_eq!(found.len(), 4);
        assert_eq!(found.iter().filter(|way| way.is_configured).count(), 1);
        assert!(agree(LEVEL, found[0].value, 123.5, 0.01));
        assert!(
            !found[1..]
                .iter()
                .any(|way| agree(LEVEL, way.value, 123.5, 0.01))
        );
        let mut single = level(100, 0, Kind::U16);
        single.order = WordOrder::Cdab;
        let found = ways(&single, 0, &Answer::Words(vec![0x0102]));
        assert_eq!(
            found
                .iter()
                .map(|way| way.is_configured)
                .collect::<Vec<_>>(),
            [true, false]
        );
    }

    #[test]
    fn agrees_within_the_tolerance_and_commands_exactly() {
        assert!(agree(LEVEL, 100.0, 101.0, 0.02));
        assert!(!agree(LEVEL, 100.0, 103.0, 0.02));
        assert!(agree(LEVEL, 0.0, 0.0, 0.02));
        assert!(!agree(LEVEL, f64::NAN, 0.0, 0.02));
        assert!(!agree(onoff(0), 1.0, 0.0, 1.0));
    }
}
