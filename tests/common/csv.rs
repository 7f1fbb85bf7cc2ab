//! Expected tables: CSV with a header, quoted where a text holds a comma; gzipped where the name ends in `.gz`.

use std::{io::Read, path::Path};

/// A table as a CSV file has it.
pub struct Csv {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// The bytes of a file, unpacked when its name ends in `.gz`.
pub fn read_bytes(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    if path.extension().is_none_or(|extension| extension != "gz") {
        return bytes;
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..])
        .read_to_end(&mut unpacked)
        .unwrap_or_else(|error| panic!("cannot unpack {}: {error}", path.display()));
    unpacked
}

/// Reads a table.
pub fn read(path: &Path) -> Csv {
    let text = String::from_utf8(read_bytes(path)).expect("expected tables are UTF-8");
    let mut rows = parse(&text);
    assert!(!rows.is_empty(), "{} has no header", path.display());
    let columns = rows.remove(0);
    for row in &rows {
        assert_eq!(row.len(), columns.len(), "{}: {row:?}", path.display());
    }
    Csv { columns, rows }
}

fn parse(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            '\r' if !quoted => {}
            _ => field.push(c),
        }
    }
    if !row.is_empty() || !field.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows
}
