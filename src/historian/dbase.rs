//! The tables that FactoryTalk View and RSView32 write: dBASE III files, with a binary number where dBASE has text. Pure.
//!
//! Header, 32 bytes: version 3, date of the last change, records (u32), bytes of the header and of a record (u16), all
//! low byte first; then 32 bytes for each field, and 0x0D. A record begins with a flag, a blank or `*` for a deleted one.
//! The count of records in the header is not relied on: while the historian writes it lags behind, and after a crash it
//! can be anything. A record counts when all of it is there and its date is one.

/// Bytes of the header before its fields, and of each field.
const PART_BYTES: usize = 32;
/// The most fields of a table, as dBASE III has it doubled.
const FIELDS_MAX: usize = 256;
/// Where the header says how many records there are; they change as the file grows, with the date before them.
const CHANGING: std::ops::Range<usize> = 1..8;

/// The fields of a table's records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Bytes before the first record.
    pub header_bytes: usize,
    /// Bytes of a record, its flag included.
    pub record_bytes: usize,
    /// Names of the fields, and where each lies in a record.
    pub fields: Vec<(String, std::ops::Range<usize>)>,
}

/// What a file's first bytes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sniffed {
    /// It is no dBASE file.
    Other,
    /// It may be one; its header is not whole yet.
    Short,
    /// It is one.
    Table(Table),
    /// It begins like one and cannot be.
    Bad(&'static str),
}

/// Whether a file begins like a dBASE file.
pub fn begins(head: &[u8]) -> bool {
    head.first() == Some(&3)
}

/// Reads a header.
pub fn sniff(head: &[u8]) -> Sniffed {
    if !begins(head) {
        return Sniffed::Other;
    }
    let Some(first) = head.first_chunk::<PART_BYTES>() else {
        return Sniffed::Short;
    };
    let header_bytes = usize::from(u16::from_le_bytes([first[8], first[9]]));
    let record_bytes = usize::from(u16::from_le_bytes([first[10], first[11]]));
    let count = header_bytes.saturating_sub(PART_BYTES + 1) / PART_BYTES;
    if header_bytes < 2 * PART_BYTES + 1 || count > FIELDS_MAX {
        return Sniffed::Bad("the header of the table has an impossible length");
    }
    let Some(header) = head.get(..header_bytes) else {
        return Sniffed::Short;
    };
    let mut fields = Vec::new();
    let mut at = 1;
    for field in header[PART_BYTES..].chunks_exact(PART_BYTES) {
        if field[0] == b'\r' {
            break;
        }
        let name = field[..11]
            .split(|&byte| byte == 0)
            .next()
            .unwrap_or_default();
        let name = String::from_utf8_lossy(name).trim().to_owned();
        let bytes = usize::from(field[16]);
        fields.push((name, at..at + bytes));
        at += bytes;
    }
    if fields.is_empty() || at > record_bytes {
        return Sniffed::Bad("the fields of the table are longer than its records");
    }
    Sniffed::Table(Table {
        header_bytes,
        record_bytes,
        fields,
    })
}

/// Blots out what changes in a header while the file grows; `head` is the start of a file of any kind.
pub fn steady(head: &mut [u8]) {
    if begins(head)
        && let Some(changing) = head.get_mut(CHANGING)
    {
        changing.fill(0);
    }
}

impl Table {
    /// The place of a field by its name, in any case.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.fields
            .iter()
            .position(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    /// How many bytes of `bytes` are whole records, up to the last that is filled; what is beyond is still being written, is
    /// room for what will be, or is the mark of the end.
    pub fn whole_records(&self, bytes: &[u8]) -> usize {
        let mut whole = bytes.chunks_exact(self.record_bytes);
        let filled = whole.rposition(|record| self.is_filled(record));
        filled.map_or(0, |last| (last + 1) * self.record_bytes)
    }

    fn is_filled(&self, record: &[u8]) -> bool {
        let is_padding = |byte: &u8| matches!(byte, 0 | b' ' | 0x1A);
        matches!(record[0], b' ' | b'*') && !self.field(record, 0).iter().all(is_padding)
    }

    /// A field of a record.
    pub fn field<'a>(&self, record: &'a [u8], place: usize) -> &'a [u8] {
        let range = self
            .fields
            .get(place)
            .map_or(0..0, |(_, range)| range.clone());
        record.get(range).unwrap_or_default()
    }
}

/// A number as it stands in a field: eight bytes of a binary double, low byte first, where they are no text.
pub fn double(field: &[u8]) -> Option<f64> {
    let bytes: &[u8; 8] = field.try_into().ok()?;
    let is_text = bytes.iter().all(|byte| {
        matches!(
            byte,
            b'0'..=b'9' | b' ' | b'.' | b',' | b'-' | b'+' | b'e' | b'E'
        )
    });
    (!is_text).then(|| f64::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(records: u32, fields: &[(&str, u8)]) -> Vec<u8> {
        let bytes = 32 * (1 + fields.len()) as u16 + 1;
        let record: u16 = 1 + fields.iter().map(|(_, len)| u16::from(*len)).sum::<u16>();
        let mut head = vec![3, 118, 11, 15];
        head.extend(records.to_le_bytes());
        head.extend(bytes.to_le_bytes());
        head.extend(record.to_le_bytes());
        head.resize(32, 0);
        for (name, len) in fields {
            let mut field = name.as_bytes().to_vec();
            field.resize(16, 0);
            field.push(*len);
            field.resize(32, 0);
            head.extend(field);
        }
        head.push(b'\r');
        head
    }

    #[test]
    fn reads_a_header_once_it_is_whole() {
        let head = header(7, &[("Date", 8), ("Value", 8)]);
        let Sniffed::Table(table) = sniff(&head) else {
            panic!("a table")
        };
        assert_eq!((table.header_bytes, table.record_bytes), (97, 17));
        assert_eq!(table.place("VALUE"), Some(1));
        assert_eq!(sniff(&head[..96]), Sniffed::Short);
        assert_eq!(sniff(b"2025-03-03"), Sniffed::Other);
    }

    #[test]
    fn refuses_impossible_headers() {
        let mut head = header(u32::MAX, &[("Date", 8)]);
        head[10] = 3;
        assert!(matches!(sniff(&head), Sniffed::Bad(_)));
        let mut head = header(1, &[("Date", 8)]);
        head[8] = 10;
        assert!(matches!(sniff(&head), Sniffed::Bad(_)));
    }

    #[test]
    fn a_record_that_is_still_written_waits() {
        let Sniffed::Table(table) = sniff(&header(0, &[("Date", 3)])) else {
            panic!("a table")
        };
        assert_eq!(table.whole_records(b" abc def gh"), 8);
        assert_eq!(table.whole_records(b" abc\x1a"), 4);
        assert_eq!(table.whole_records(b" abc\0\0\0\0        "), 4);
        assert_eq!(table.whole_records(b" abc?bad def"), 12);
    }

    #[test]
    fn a_double_is_told_from_text() {
        assert_eq!(double(&7.535_878_18_f64.to_le_bytes()), Some(7.535_878_18));
        assert_eq!(double(&0f64.to_le_bytes()), Some(0.0));
        assert_eq!(double(b"   12.50"), None);
        assert_eq!(double(b"12.5"), None);
    }
}
