//! As Parquet, for notebooks and data lakes: each column with its type, a value that is not known as null, compressed by Snappy.

use std::{io::Write, sync::Arc};

use parquet::{
    basic::{Compression, LogicalType, Repetition, Type as Physical},
    data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type,
};
use rusqlite::{Row, types::ValueRef};

use super::Table;

/// Rows that are gathered before they are written: some ten megabytes of the widest table.
const GROUP_ROWS: usize = 20_000;

/// Values of a column, without those that are not known; and for each row whether it has one.
enum Column {
    Integers(Vec<i64>, Vec<i16>),
    Reals(Vec<f64>, Vec<i16>),
    Texts(Vec<ByteArray>, Vec<i16>),
}

/// Writes a table; how many rows. `told` hears of each.
pub fn write(
    table: &mut Table<'_>,
    out: impl Write + Send,
    mut told: impl FnMut(),
) -> anyhow::Result<u64> {
    let mut columns = columns(table)?;
    let fields = table.columns.iter().zip(&columns).map(|(name, column)| {
        let (physical, logical) = match column {
            Column::Integers(..) => (Physical::INT64, None),
            Column::Reals(..) => (Physical::DOUBLE, None),
            Column::Texts(..) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        };
        Type::primitive_type_builder(name, physical)
            .with_logical_type(logical)
            .with_repetition(Repetition::OPTIONAL)
            .build()
            .map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let schema = Type::group_type_builder(table.part.table)
        .with_fields(fields)
        .build()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let mut file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))?;
    let mut rows = table.rows()?;
    let (mut count, mut gathered) = (0, 0);
    while let Some(row) = rows.next()? {
        for (place, column) in columns.iter_mut().enumerate() {
            column.take(row, place)?;
        }
        count += 1;
        gathered += 1;
        if gathered == GROUP_ROWS {
            write_group(file.next_row_group()?, &mut columns)?;
            gathered = 0;
        }
        told();
    }
    if gathered > 0 {
        write_group(file.next_row_group()?, &mut columns)?;
    }
    file.close()?;
    Ok(count)
}

/// Empty columns of the types that the table's have. What a view works out has no declared type: its values tell.
fn columns(table: &Table<'_>) -> anyhow::Result<Vec<Column>> {
    let declared: Vec<Option<String>> = table
        .statement
        .columns()
        .iter()
        .map(|column| column.decl_type().map(str::to_owned))
        .collect();
    declared
        .into_iter()
        .zip(&table.columns)
        .map(|(declared, name)| {
            let kind = match declared {
                Some(declared) => declared.to_lowercase(),
                None => table.connection.query_row(
                    &format!(
                        "SELECT coalesce(max(typeof(\"{name}\")), 'text') FROM {} AND \"{name}\" IS NOT NULL",
                        table.source
                    ),
                    (table.part.from, table.part.until),
                    |row| row.get(0),
                )?,
            };
            Ok(match kind.as_str() {
                "integer" => Column::Integers(Vec::new(), Vec::new()),
                "real" => Column::Reals(Vec::new(), Vec::new()),
                _ => Column::Texts(Vec::new(), Vec::new()),
            })
        })
        .collect()
}

impl Column {
    fn take(&mut self, row: &Row<'_>, place: usize) -> anyhow::Result<()> {
        let value = row.get_ref(place)?;
        let is_known = i16::from(!matches!(value, ValueRef::Null));
        match self {
            Self::Integers(values, known) => {
                known.push(is_known);
                values.extend(value.as_i64_or_null()?);
            }
            Self::Reals(values, known) => {
                known.push(is_known);
                values.extend(match value {
                    ValueRef::Integer(value) => Some(value as f64),
                    value => value.as_f64_or_null()?,
                });
            }
            Self::Texts(values, known) => {
                known.push(is_known);
                values.extend(match value {
                    ValueRef::Null => None,
                    ValueRef::Integer(value) => Some(value.to_string().into_bytes().into()),
                    ValueRef::Real(value) => Some(value.to_string().into_bytes().into()),
                    ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Some(bytes.to_vec().into()),
                });
            }
        }
        Ok(())
    }
}

/// Writes what was gathered, and empties the columns.
fn write_group<W: Write + Send>(
    mut group: SerializedRowGroupWriter<'_, W>,
    columns: &mut [Column],
) -> anyhow::Result<()> {
    for column in columns {
        let Some(mut writer) = group.next_column()? else {
            break;
        };
        match column {
            Column::Integers(values, known) => drain::<Int64Type>(&mut writer, values, known)?,
            Column::Reals(values, known) => drain::<DoubleType>(&mut writer, values, known)?,
            Column::Texts(values, known) => drain::<ByteArrayType>(&mut writer, values, known)?,
        }
        writer.close()?;
    }
    group.close()?;
    Ok(())
}

fn drain<T: DataType>(
    writer: &mut SerializedColumnWriter<'_>,
    values: &mut Vec<T::T>,
    known: &mut Vec<i16>,
) -> anyhow::Result<()> {
    writer.typed::<T>().write_batch(values, Some(known), None)?;
    values.clear();
    known.clear();
    Ok(())
}
