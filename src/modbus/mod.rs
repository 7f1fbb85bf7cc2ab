//! The PLC itself as a source, over Modbus: for when the exports stay away.
//!
//! *Invariants.*
//! - Nothing here can write. [`PlcReader`] has reads only and keeps the library's client to itself; below it a
//!   [`ReadOnlyWire`] lets nothing leave but whole, well-formed requests with the function codes 1 to 4.
//! - A value belongs to the register that was asked for, or there is none: transaction, unit, function and length of an answer
//!   are checked, and whatever is doubtful ends the connection.
//! - A value belongs to the minute in which it was read and is never repeated in another.
//! - A unit that is silent does not hold up another.
//!
//! ```text
//!  config ─► registers ─► poll ─► line ─► client ─► wire ─► PLC
//!            which reads  when    retries  answers  refuses
//!                          └─► Sample ─► takeover ─► the station
//! ```

pub mod client;
pub mod line;
pub mod poll;
pub mod probe;
pub mod registers;
pub mod retry;
pub mod takeover;
pub mod wire;

use std::{fmt, path::PathBuf};

pub use client::PlcReader;
pub use takeover::Takeover;
pub use wire::ReadOnlyWire;

use crate::{
    calendar::Minute,
    historian::minutes::MinuteRecords,
    tags::{NO_VALUES, TAGS, Values},
};

/// A tag's place in a PLC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Register {
    /// Slot of the tag in [`Values`].
    pub slot: usize,
    /// Unit id: 0–255 over TCP, 1–247 on a serial line.
    pub unit: u8,
    /// Which of the unit's four tables.
    pub table: Table,
    /// Address as it goes over the wire, counted from 0.
    pub address: u16,
    /// How the plant counts addresses: from 0 or from 1.
    pub base: u8,
    /// What it holds.
    pub kind: Kind,
    /// How its bytes lie.
    pub order: WordOrder,
    /// Factor on what is read; not 0.
    pub scale: f64,
    /// Added after the factor.
    pub offset: f64,
}

/// One of a unit's four tables, each with a function code for reading of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Coils: bits, function code 1.
    Coil,
    /// Discrete inputs: bits, function code 2.
    Discrete,
    /// Holding registers: words, function code 3.
    Holding,
    /// Input registers: words, function code 4.
    Input,
}

impl Table {
    /// All, by their names in the config.
    pub const NAMES: [(&str, Self); 4] = [
        ("coil", Self::Coil),
        ("discrete", Self::Discrete),
        ("holding", Self::Holding),
        ("input", Self::Input),
    ];

    /// Its name in the config.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }

    /// Whether it holds bits; otherwise it holds words.
    pub fn holds_bits(self) -> bool {
        matches!(self, Self::Coil | Self::Discrete)
    }
}

/// What a register holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A bit of a table of bits, or a word that is 0 or not.
    Bool,
    /// One bit of a word, 0 (lowest) to 15.
    Bit(u8),
    /// A word without a sign.
    U16,
    /// A word with a sign.
    I16,
    /// Two words without a sign.
    U32,
    /// Two words with a sign.
    I32,
    /// Two words, IEEE 754.
    F32,
    /// Four words, IEEE 754.
    F64,
}

impl Kind {
    /// Places of its table that it takes: words, or bits in a table of bits.
    pub fn places(self) -> u16 {
        match self {
            Self::Bool | Self::Bit(_) | Self::U16 | Self::I16 => 1,
            Self::U32 | Self::I32 | Self::F32 => 2,
            Self::F64 => 4,
        }
    }

    /// Its name in the config.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Bit(_) => "bit",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

/// How the bytes of a number lie in its words, written for the four bytes A (highest) to D of two words. Four words go
/// the same way: whole words forwards or backwards, and the bytes within each as they are or swapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordOrder {
    /// Highest word first, as the protocol's own numbers.
    Abcd,
    /// Lowest word first.
    Cdab,
    /// Highest word first, bytes swapped.
    Badc,
    /// Lowest byte first throughout.
    Dcba,
}

impl WordOrder {
    /// All, by their names in the config.
    pub const NAMES: [(&str, Self); 4] = [
        ("ABCD", Self::Abcd),
        ("CDAB", Self::Cdab),
        ("BADC", Self::Badc),
        ("DCBA", Self::Dcba),
    ];

    /// Its name in the config.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

/// Where the PLC is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Modbus TCP.
    Tcp {
        /// Host name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// Modbus RTU on a serial line.
    Rtu {
        /// The device.
        device: PathBuf,
        /// Bits a second.
        baud: u32,
        /// Parity bit.
        parity: Parity,
        /// Stop bits, 1 or 2.
        stop_bits: u8,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Rtu { device, .. } => write!(f, "rtu://{}", device.display()),
        }
    }
}

/// Parity bit of a serial line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// None.
    None,
    /// Even, the protocol's default.
    Even,
    /// Odd.
    Odd,
}

/// What a poll has read.
#[derive(Clone, Debug)]
pub struct Sample {
    /// When, seconds since 1970; all values were read in its minute.
    pub at_s: i64,
    /// The values by slot; NaN where none was read, or where it is stale.
    pub values: Values,
}

impl Sample {
    /// The minute to which the values belong.
    pub fn minute(&self) -> Minute {
        self.at_s.div_euclid(60)
    }

    /// A sample without any value.
    pub fn empty(at_s: i64) -> Self {
        Self {
            at_s,
            values: NO_VALUES,
        }
    }

    /// The sample as a minute's records, all of them polled.
    pub fn records(&self) -> MinuteRecords {
        let bit = |slot: usize| u32::from(!self.values[slot].is_nan()) << slot;
        MinuteRecords {
            values: self.values,
            micros: [(self.at_s.rem_euclid(60) * 1_000_000) as u32; TAGS],
            polled: (0..TAGS).map(bit).sum(),
            ..MinuteRecords::empty(self.minute())
        }
    }

    /// Whether it has any value.
    pub fn has_values(&self) -> bool {
        self.values.iter().any(|value| !value.is_nan())
    }

    /// Adds a later sample of the same minute, whose values stand where it has some.
    pub fn add(&mut self, later: &Self) {
        self.at_s = later.at_s;
        for (value, later) in self.values.iter_mut().zip(later.values) {
            if !later.is_nan() {
                *value = later;
            }
        }
    }
}
