//! Rows in PostgreSQL's binary COPY format. The same bytes are what `verify` hashes on both ends.

use crate::{
    calendar::{Calendar, DAY_MIN, day_of},
    store::outgoing::{Cell, Cells},
};

/// How a stream begins: signature, flags, no header extension.
pub const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// How it ends.
pub const TRAILER: &[u8] = &(-1i16).to_be_bytes();
/// 2000-01-01 00:00 UTC, where PostgreSQL counts from, UTC seconds.
const POSTGRES_EPOCH_S: i64 = 946_684_800;

/// A column's type at the central office.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `double precision`
    Float8,
    /// `text`
    Text,
    /// `timestamptz`
    Time,
}

impl Kind {
    /// The type by PostgreSQL's own name for it.
    pub fn parse(udt_name: &str) -> Option<Self> {
        Some(match udt_name {
            "int2" => Self::Int2,
            "int4" => Self::Int4,
            "int8" => Self::Int8,
            "float8" => Self::Float8,
            "text" | "varchar" => Self::Text,
            "timestamptz" => Self::Time,
            _ => return None,
        })
    }

    /// The bytes of a column in SQL, as [`put`] writes them.
    pub fn sql(self, column: &str) -> String {
        let (length, bytes) = match self {
            Self::Int2 => ("int4send(2)", format!("int2send({column})")),
            Self::Int4 => ("int4send(4)", format!("int4send({column})")),
            Self::Int8 => ("int4send(8)", format!("int8send({column})")),
            Self::Float8 => ("int4send(8)", format!("float8send({column})")),
            Self::Time => ("int4send(8)", format!("timestamptz_send({column})")),
            Self::Text => {
                let text = format!("convert_to({column}, 'UTF8')");
                return format!("coalesce(int4send(octet_length({text})) || {text}, int4send(-1))");
            }
        };
        format!("coalesce({length} || {bytes}, int4send(-1))")
    }
}

/// Writes a value with its length in front. The error says why the column cannot hold it.
pub fn put(out: &mut Vec<u8>, kind: Kind, cell: Cell<'_>) -> Result<(), String> {
    let mut fixed = |bytes: &[u8]| {
        out.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        out.extend_from_slice(bytes);
    };
    match (kind, cell) {
        (_, Cell::Null) => out.extend_from_slice(&(-1i32).to_be_bytes()),
        (Kind::Int2, Cell::Integer(value)) => {
            let value = i16::try_from(value).map_err(|_| out_of_range(value))?;
            fixed(&value.to_be_bytes());
        }
        (Kind::Int4, Cell::Integer(value)) => {
            let value = i32::try_from(value).map_err(|_| out_of_range(value))?;
            fixed(&value.to_be_bytes());
        }
        (Kind::Int8, Cell::Integer(value)) => fixed(&value.to_be_bytes()),
        (Kind::Float8, Cell::Real(value)) => fixed(&value.to_be_bytes()),
        (Kind::Float8, Cell::Integer(value)) => fixed(&(value as f64).to_be_bytes()),
        (Kind::Time, Cell::Integer(ts)) => {
            fixed(&((ts - POSTGRES_EPOCH_S) * 1_000_000).to_be_bytes());
        }
        (Kind::Text, Cell::Text(text)) => {
            if text.contains(&0) {
                return Err("a text with a zero byte, which PostgreSQL cannot hold".into());
            }
            if std::str::from_utf8(text).is_err() {
                return Err("a text that is not UTF-8".into());
            }
            fixed(text);
        }
        (kind, cell) => {
            return Err(format!(
                "{cell:?} is no value for a column of type {kind:?}"
            ));
        }
    }
    Ok(())
}

fn out_of_range(value: i64) -> String {
    format!("{value} is out of the column's range")
}

/// Where a sent column comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The column of the box at this place.
    Column(usize),
    /// `ts`: the first minute of the local date at this place, and of the hour at that one, if there is one.
    Start {
        /// Place of `date`.
        date: usize,
        /// Place of `hour`.
        hour: Option<usize>,
    },
}

/// A column as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name at the central office.
    pub name: String,
    /// Its type there.
    pub kind: Kind,
    /// Where it comes from.
    pub source: Source,
}

/// Writes a row's values.
pub fn row(
    out: &mut Vec<u8>,
    columns: &[Column],
    cells: &Cells<'_>,
    calendar: &mut Calendar,
) -> anyhow::Result<Result<(), String>> {
    for column in columns {
        let cell = match column.source {
            Source::Column(place) => cells.cell(place)?,
            Source::Start { date, hour } => {
                let hour = match hour {
                    Some(place) => cells.cell(place)?,
                    None => Cell::Integer(0),
                };
                match start(cells.cell(date)?, hour, calendar) {
                    Some(ts) => Cell::Integer(ts),
                    None => return Ok(Err("a date that is none".into())),
                }
            }
        };
        if let Err(reason) = put(out, column.kind, cell) {
            return Ok(Err(format!("{}: {reason}", column.name)));
        }
    }
    Ok(Ok(()))
}

/// The first minute of a local date and hour, UTC seconds.
fn start(date: Cell<'_>, hour: Cell<'_>, calendar: &mut Calendar) -> Option<i64> {
    let (Cell::Text(date), Cell::Integer(hour)) = (date, hour) else {
        return None;
    };
    let day = day_of(std::str::from_utf8(date).ok()?)?;
    let begin = calendar.begin_of(day * DAY_MIN + hour * 60)?;
    Some(begin * 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    #[test]
    fn values_come_with_their_length_and_null_without_any() {
        let mut out = Vec::new();
        for (kind, cell) in [
            (Kind::Int2, Cell::Integer(-2)),
            (Kind::Float8, Cell::Real(1.5)),
            (Kind::Text, Cell::Text("µ".as_bytes())),
            (Kind::Time, Cell::Integer(POSTGRES_EPOCH_S + 1)),
            (Kind::Int4, Cell::Null),
        ] {
            put(&mut out, kind, cell).expect("it fits");
        }
        let mut expected = vec![
            0, 0, 0, 2, 0xff, 0xfe, 0, 0, 0, 8, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0,
        ];
        expected.extend([
            0, 0, 0, 2, 0xc2, 0xb5, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0x0f, 0x42, 0x40,
        ]);
        expected.extend([0xff; 4]);
        assert_eq!(out, expected);
    }

    #[test]
    fn refuses_what_the_column_cannot_hold() {
        let mut out = Vec::new();
        for (kind, cell) in [
            (Kind::Int2, Cell::Integer(40_000)),
            (Kind::Int4, Cell::Integer(1 << 40)),
            (Kind::Text, Cell::Text(b"a\0b")),
            (Kind::Text, Cell::Text(b"\xff")),
            (Kind::Text, Cell::Integer(1)),
        ] {
            assert!(put(&mut out, kind, cell).is_err(), "{kind:?} {cell:?}");
        }
    }

    #[test]
    fn a_day_begins_with_its_first_minute_also_where_midnight_is_skipped() {
        let mut calendar = Calendar::new(TimeZone::get("America/Santiago").expect("a zone"));
        // 2025-09-07 began at 01:00 local, 04:00 UTC.
        let ts = start(Cell::Text(b"2025-09-07"), Cell::Integer(0), &mut calendar);
        assert_eq!(ts, Some(1_757_217_600));
    }
}
