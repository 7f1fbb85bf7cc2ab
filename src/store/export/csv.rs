//! As RFC 4180 has it, the names of the columns first; what is not known is empty.

use std::io::Write;

use rusqlite::types::ValueRef;

use super::Table;

/// Writes a table; how many rows. `told` hears of each.
pub fn write(
    table: &mut Table<'_>,
    delimiter: u8,
    out: &mut impl Write,
    mut told: impl FnMut(),
) -> anyhow::Result<u64> {
    let mut line = Line::new(delimiter);
    for name in &table.columns {
        line.cell(name.as_bytes());
    }
    line.end(out)?;
    let columns = table.columns.len();
    let mut rows = table.rows()?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            match row.get_ref(column)? {
                ValueRef::Null | ValueRef::Blob(_) => line.cell(b""),
                ValueRef::Integer(value) => line.cell(value.to_string().as_bytes()),
                ValueRef::Real(value) => line.cell(value.to_string().as_bytes()),
                ValueRef::Text(text) => line.cell(text),
            }
        }
        line.end(out)?;
        count += 1;
        told();
    }
    out.flush()?;
    Ok(count)
}

/// A line that is being put together.
struct Line {
    delimiter: u8,
    bytes: Vec<u8>,
}

impl Line {
    fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            bytes: Vec::new(),
        }
    }

    fn cell(&mut self, value: &[u8]) {
        let is_special = |byte: &u8| [self.delimiter, b'"', b'\r', b'\n'].contains(byte);
        if value.iter().any(is_special) {
            self.bytes.push(b'"');
            for &byte in value {
                if byte == b'"' {
                    self.bytes.push(b'"');
                }
                self.bytes.push(byte);
            }
            self.bytes.push(b'"');
        } else {
            self.bytes.extend_from_slice(value);
        }
        self.bytes.push(self.delimiter);
    }

    fn end(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        self.bytes.pop();
        self.bytes.extend(b"\r\n");
        out.write_all(&self.bytes)?;
        self.bytes.clear();
        Ok(())
    }
}
