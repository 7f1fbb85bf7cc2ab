//! Which reads fetch the registers, and what the words that come back mean. Pure.

use super::{Kind, Register, Table, WordOrder};
use crate::tags::is_command;

/// Bits that one read fetches for each word it may fetch: 2000 to 125, as the protocol has it.
const BITS_PER_WORD: u16 = 16;

/// One read: a range of one table of one unit without a gap.
#[derive(Clone, Debug, PartialEq)]
pub struct Read {
    /// Unit id.
    pub unit: u8,
    /// The table.
    pub table: Table,
    /// The first address, counted from 0.
    pub address: u16,
    /// Places: words, or bits of a table of bits; at least 1.
    pub count: u16,
    /// What lies in it.
    pub registers: Vec<Register>,
}

/// What came back for a [`Read`], as long as its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Of a table of bits.
    Bits(Vec<bool>),
    /// Of a table of words.
    Words(Vec<u16>),
}

/// The reads that fetch all registers, by unit, table and address. Gaps are not bridged, for a unit may refuse a range with
/// an address that it does not have; no register is divided between two reads.
pub fn plan(registers: &[Register], registers_max: u16) -> Vec<Read> {
    let mut sorted = registers.to_vec();
    sorted.sort_by_key(|it| (it.unit, it.table, it.address));
    let mut reads: Vec<Read> = Vec::new();
    for register in sorted {
        let places_max = match register.table.holds_bits() {
            true => u32::from(registers_max * BITS_PER_WORD),
            false => u32::from(registers_max),
        };
        let end = u32::from(register.address) + u32::from(register.kind.places());
        let last = reads.last_mut().filter(|read| {
            let read_end = u32::from(read.address) + u32::from(read.count);
            (read.unit, read.table) == (register.unit, register.table)
                && u32::from(register.address) <= read_end
                && end - u32::from(read.address) <= places_max
        });
        match last {
            Some(read) => {
                // Two bits of one word end at the same place.
                let count = (end - u32::from(read.address)) as u16;
                read.count = read.count.max(count);
                read.registers.push(register);
            }
            None => reads.push(Read {
                unit: register.unit,
                table: register.table,
                address: register.address,
                count: register.kind.places(),
                registers: vec![register],
            }),
        }
    }
    reads
}

/// Slot and value of each register of a read; NaN for what is no value.
pub fn decode(read: &Read, answer: &Answer) -> Vec<(usize, f64)> {
    let value = |register: &Register| {
        let from = usize::from(register.address - read.address);
        let raw = match answer {
            Answer::Bits(bits) => bits.get(from).map(|&bit| f64::from(u8::from(bit))),
            Answer::Words(words) => words
                .get(from..from + usize::from(register.kind.places()))
                .map(|words| number(register.kind, register.order, words)),
        };
        (register.slot, believe(register, raw.unwrap_or(f64::NAN)))
    };
    read.registers.iter().map(value).collect()
}

/// The value of a tag from the number in its register: scaled, and NaN when it cannot be the tag's.
pub fn believe(register: &Register, number: f64) -> f64 {
    let value = number * register.scale + register.offset;
    let is_possible =
        value.is_finite() && (!is_command(register.slot) || [0.0, 1.0].contains(&value));
    if is_possible { value } else { f64::NAN }
}

/// The number that words mean; `words` are as many as the kind takes. NaN for what is no number: also one so small that it
/// has lost digits, which no meter sends and which a wrong order makes.
pub fn number(kind: Kind, order: WordOrder, words: &[u16]) -> f64 {
    let bytes = ordered(order, words);
    let usual = |number: f64, is_usual: bool| if is_usual { number } else { f64::NAN };
    match (kind, bytes.as_slice()) {
        (Kind::Bool, &[a, b]) => f64::from(u8::from(a != 0 || b != 0)),
        (Kind::Bit(bit), &[a, b]) => f64::from(u16::from_be_bytes([a, b]) >> bit & 1),
        (Kind::U16, &[a, b]) => f64::from(u16::from_be_bytes([a, b])),
        (Kind::I16, &[a, b]) => f64::from(i16::from_be_bytes([a, b])),
        (Kind::U32, &[a, b, c, d]) => f64::from(u32::from_be_bytes([a, b, c, d])),
        (Kind::I32, &[a, b, c, d]) => f64::from(i32::from_be_bytes([a, b, c, d])),
        (Kind::F32, &[a, b, c, d]) => {
            let number = f32::from_be_bytes([a, b, c, d]);
            usual(f64::from(number), number == 0.0 || number.is_normal())
        }
        (Kind::F64, &[a, b, c, d, e, f, g, h]) => {
            let number = f64::from_be_bytes([a, b, c, d, e, f, g, h]);
            usual(number, number == 0.0 || number.is_normal())
        }
        _ => f64::NAN,
    }
}

/// The bytes of words, highest first.
fn ordered(order: WordOrder, words: &[u16]) -> Vec<u8> {
    let bytes = |word: &u16| match order {
        WordOrder::Abcd | WordOrder::Cdab => word.to_be_bytes(),
        WordOrder::Badc | WordOrder::Dcba => word.to_le_bytes(),
    };
    match order {
        WordOrder::Abcd | WordOrder::Badc => words.iter().flat_map(bytes).collect(),
        WordOrder::Cdab | WordOrder::Dcba => words.iter().rev().flat_map(bytes).collect(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tags::{FLOW, LEVEL, onoff};

    fn register(slot: usize, table: Table, address: u16, kind: Kind) -> Register {
        Register {
            slot,
            unit: 1,
            table,
            address,
            base: 0,
            kind,
            order: WordOrder::Abcd,
            scale: 1.0,
            offset: 0.0,
        }
    }

    #[test]
    fn reads_each_range_once_and_bridges_no_gap() {
        let holding = |slot, address| register(slot, Table::Holding, address, Kind::F32);
        let mut other_unit = holding(5, 104);
        other_unit.unit = 2;
        let registers = [
            holding(2, 104),
            holding(0, 100),
            holding(1, 102),
            holding(3, 107),
            register(4, Table::Coil, 0, Kind::Bool),
            other_unit,
        ];
        let ranges: Vec<_> = plan(&registers, 125)
            .iter()
            .map(|read| (read.unit, read.table, read.address, read.count))
            .collect();
        assert_eq!(
            ranges,
            [
                (1, Table::Coil, 0, 1),
                (1, Table::Holding, 100, 6),
                (1, Table::Holding, 107, 2),
                (2, Table::Holding, 104, 2)
            ]
        );
    }

    #[test]
    fn divides_no_register_at_the_limit_and_reaches_the_last_address() {
        let registers: Vec<_> = (0..4)
            .map(|at| register(at, Table::Input, 65_528 + 2 * at as u16, Kind::F32))
            .collect();
        let counts = |registers_max| -> Vec<_> {
            let reads = plan(&registers, registers_max);
            reads
                .iter()
                .map(|read| (read.address, read.count))
                .collect()
        };
        assert_eq!(counts(125), [(65_528, 8)]);
        assert_eq!(counts(5), [(65_528, 4), (65_532, 4)]);
        assert_eq!(counts(2).len(), 4);
    }

    #[test]
    fn bits_of_one_word_are_one_read() {
        let bits =
            [0, 3].map(|bit| register(onoff(usize::from(bit)), Table::Holding, 9, Kind::Bit(bit)));
        let reads = plan(&bits, 125);
        assert_eq!((reads.len(), reads[0].count), (1, 1));
        let values = decode(&reads[0], &Answer::Words(vec![0b1000]));
        assert_eq!(values, [(onoff(0), 0.0), (onoff(3), 1.0)]);
    }

    #[test]
    fn one_number_in_the_four_orders() {
        let [a, b, c, d] = 123.456_f32.to_be_bytes();
        let orders = [[a, b, c, d], [c, d, a, b], [b, a, d, c], [d, c, b, a]];
        for ((_, order), [a, b, c, d]) in WordOrder::NAMES.into_iter().zip(orders) {
            let words = [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])];
            assert_eq!(number(Kind::F32, order, &words), f64::from(123.456_f32));
        }
        let words = [1, 2, 3, 4].map(|word: u16| word * 257 + 5);
        let bytes = ordered(WordOrder::Dcba, &words);
        assert_eq!(
            bytes,
            words
                .iter()
                .rev()
                .flat_map(|w| w.to_le_bytes())
                .collect::<Vec<_>>()
        );
        assert_eq!(number(Kind::I16, WordOrder::Badc, &[0xFEFF]), -2.0);
        assert_eq!(number(Kind::I32, WordOrder::Cdab, &[0xFFFE, 0xFFFF]), -2.0);
        assert_eq!(number(Kind::U32, WordOrder::Abcd, &[1, 0]), 65_536.0);
    }

    #[test]
    fn what_is_no_number_is_no_value() {
        let words = |number: f32| {
            let [a, b, c, d] = number.to_be_bytes();
            [u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])]
        };
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-42] {
            assert!(number(Kind::F32, WordOrder::Abcd, &words(bad)).is_nan() || !bad.is_nan());
            let level = register(LEVEL, Table::Holding, 0, Kind::F32);
            assert!(
                believe(&level, number(Kind::F32, WordOrder::Abcd, &words(bad))).is_nan(),
                "{bad}"
            );
        }
        let read = &plan(&[register(FLOW, Table::Holding, 0, Kind::F32)], 125)[0];
        assert!(
            decode(read, &Answer::Words(vec![1]))[0].1.is_nan(),
            "a word is missing"
        );
    }

    #[test]
    fn a_command_is_0_or_1_and_can_be_inverted() {
        let mut command = register(onoff(2), Table::Holding, 0, Kind::U16);
        assert!(believe(&command, 2.0).is_nan());
        assert_eq!(believe(&command, 1.0), 1.0);
        (command.scale, command.offset) = (-1.0, 1.0);
        assert_eq!((believe(&command, 0.0), believe(&command, 1.0)), (1.0, 0.0));
        let mut level = register(LEVEL, Table::Holding, 0, Kind::U16);
        (level.scale, level.offset) = (0.1, -5.0);
        assert_eq!(believe(&level, 150.0), 10.0);
    }

    proptest! {
        #[test]
        fn a_plan_fetches_every_register_within_the_limits(
            places in prop::collection::btree_map(0u16..300, (0usize..27, 0u8..3), 1..60),
            registers_max in 4u16..=125,
        ) {
            let kinds = [Kind::U16, Kind::F32, Kind::F64];
            let registers: Vec<_> = places
                .iter()
                .map(|(&at, &(slot, kind))| register(slot, Table::Holding, at * 4, kinds[usize::from(kind)]))
                .collect();
            let reads = plan(&registers, registers_max);
            prop_assert_eq!(reads.iter().map(|read| read.registers.len()).sum::<usize>(), registers.len());
            for read in &reads {
                prop_assert!((1..=registers_max).contains(&read.count));
                let places: u16 = read.registers.iter().map(|it| it.kind.places()).sum();
                prop_assert_eq!(places, read.count, "nothing is fetched that nobody asked for");
            }
        }
    }
}
