//! The payload of Sparkplug B: those fields of its protobuf schema that a node without devices needs. What else a message has
//! is passed over when it is read.

use prost::Message;

/// Datatype of a signed 64-bit number.
const INT64: u32 = 4;
/// Datatype of a 64-bit floating point number.
const DOUBLE: u32 = 10;
/// Datatype of yes or no.
const BOOLEAN: u32 = 11;
/// Datatype of a text.
const STRING: u32 = 12;

/// A message.
#[derive(Clone, PartialEq, Message)]
pub struct Payload {
    /// When it was sent, ms since 1970.
    #[prost(uint64, optional, tag = "1")]
    pub timestamp: Option<u64>,
    /// What it tells.
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
    /// Its number, 0 to 255; a death and a command have none.
    #[prost(uint64, optional, tag = "3")]
    pub seq: Option<u64>,
}

/// A named value.
#[derive(Clone, PartialEq, Message)]
pub struct Metric {
    /// Its name; only a birth, a death and a command have it.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The number that stands for the name after the birth.
    #[prost(uint64, optional, tag = "2")]
    pub alias: Option<u64>,
    /// Of when the value is, ms since 1970.
    #[prost(uint64, optional, tag = "3")]
    pub timestamp: Option<u64>,
    /// What kind of value it is.
    #[prost(uint32, optional, tag = "4")]
    pub datatype: Option<u32>,
    /// Whether there is no value.
    #[prost(bool, optional, tag = "7")]
    pub is_null: Option<bool>,
    /// What else is known of it.
    #[prost(message, optional, tag = "9")]
    pub properties: Option<Properties>,
    /// The value.
    #[prost(oneof = "Value", tags = "10, 11, 12, 13, 14, 15")]
    pub value: Option<Value>,
}

/// A value as it is written.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Value {
    /// A number of up to 32 bits.
    #[prost(uint32, tag = "10")]
    Int(u32),
    /// A number of 64 bits; a negative one as its two's complement.
    #[prost(uint64, tag = "11")]
    Long(u64),
    /// A short floating point number.
    #[prost(float, tag = "12")]
    Float(f32),
    /// A floating point number.
    #[prost(double, tag = "13")]
    Double(f64),
    /// Yes or no.
    #[prost(bool, tag = "14")]
    Boolean(bool),
    /// A text.
    #[prost(string, tag = "15")]
    Text(String),
}

/// Properties of a metric: as many names as values.
#[derive(Clone, PartialEq, Message)]
pub struct Properties {
    /// Their names.
    #[prost(string, repeated, tag = "1")]
    pub keys: Vec<String>,
    /// Their values.
    #[prost(message, repeated, tag = "2")]
    pub values: Vec<Property>,
}

/// The value of a property; ours are texts.
#[derive(Clone, PartialEq, Message)]
pub struct Property {
    /// What kind of value it is.
    #[prost(uint32, optional, tag = "1")]
    pub datatype: Option<u32>,
    /// The value.
    #[prost(string, optional, tag = "8")]
    pub text: Option<String>,
}

/// What kind of value a metric has, for as long as the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Whole,
    /// A number.
    Real,
    /// Yes or no.
    Flag,
    /// A text.
    Text,
}

impl Kind {
    /// Its number in the schema.
    pub fn datatype(self) -> u32 {
        match self {
            Self::Whole => INT64,
            Self::Real => DOUBLE,
            Self::Flag => BOOLEAN,
            Self::Text => STRING,
        }
    }
}

impl Properties {
    /// The unit of a value, under the name that hosts look for.
    pub fn unit(unit: &str) -> Self {
        Self {
            keys: vec!["engUnit".into()],
            values: vec![Property {
                datatype: Some(STRING),
                text: Some(unit.into()),
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Option<Value>> {
        prop_oneof![
            Just(None),
            any::<u32>().prop_map(|value| Some(Value::Int(value))),
            any::<u64>().prop_map(|value| Some(Value::Long(value))),
            (-1e30f32..1e30).prop_map(|value| Some(Value::Float(value))),
            (-1e300f64..1e300).prop_map(|value| Some(Value::Double(value))),
            any::<bool>().prop_map(|value| Some(Value::Boolean(value))),
            ".{0,12}".prop_map(|value| Some(Value::Text(value))),
        ]
    }

    fn metrics() -> impl Strategy<Value = Metric> {
        let named = (
            proptest::option::of(".{0,12}"),
            any::<Option<u64>>(),
            any::<Option<u64>>(),
        );
        let rest = (
            any::<Option<u32>>(),
            any::<Option<bool>>(),
            proptest::option::of(".{0,5}"),
            values(),
        );
        (named, rest).prop_map(
            |((name, alias, timestamp), (datatype, is_null, unit, value))| Metric {
                name,
                alias,
                timestamp,
                datatype,
                is_null,
                properties: unit.as_deref().map(Properties::unit),
                value,
            },
        )
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote(
            timestamp in any::<Option<u64>>(),
            seq in any::<Option<u64>>(),
            metrics in proptest::collection::vec(metrics(), 0..8),
        ) {
            let payload = Payload { timestamp, metrics, seq };
            prop_assert_eq!(Payload::decode(payload.encode_to_vec().as_slice()), Ok(payload));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            // It is enough that it returns.
            let _ = Payload::decode(bytes.as_slice());
        }
    }

    #[test]
    fn writes_the_bytes_of_the_schema() {
        let payload = Payload {
            timestamp: Some(1),
            metrics: vec![Metric {
                name: Some("bdSeq".into()),
                datatype: Some(INT64),
                value: Some(Value::Long(7)),
                ..Metric::default()
            }],
            seq: Some(0),
        };
        // Field 1 varint, field 2 of 11 bytes (field 1 text, field 4 varint, field 11 varint), field 3 varint.
        let bytes = b"\x08\x01\x12\x0b\x0a\x05bdSeq\x20\x04\x58\x07\x18\x00";
        assert_eq!(payload.encode_to_vec(), bytes);
    }
}
