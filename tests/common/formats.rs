//! A day of the long format written as other historians and tools write it.

use std::fmt::Write as _;

use pumphouse::tags::{TAG_NAMES, TAGS};

/// A record of a day's export in the long format.
pub struct Record<'a> {
    /// `2024-01-01`
    pub date: &'a str,
    /// `00:00:00`
    pub time: &'a str,
    /// Its tag's index.
    pub tag: usize,
    /// As it stands there.
    pub value: &'a str,
}

/// A format.
pub struct Format {
    /// What it is called here.
    pub name: &'static str,
    /// What comes after the date in a file's name.
    ending: &'static str,
    write: fn(&[Record<'_>]) -> Vec<u8>,
}

const fn format(
    name: &'static str,
    ending: &'static str,
    write: fn(&[Record<'_>]) -> Vec<u8>,
) -> Format {
    Format {
        name,
        ending,
        write,
    }
}

/// All of them.
pub const FORMATS: [Format; 7] = [
    format("FactoryTalk file set", " 0000 Station (Float).DAT", table),
    format(
        "RSView32 wide table",
        " 0000 Station (Wide).DBF",
        wide_table,
    ),
    format("File Viewer CSV", " 0000 Station (Float).csv", file_viewer),
    format("ODBC, semicolons, indexes", ".csv", odbc),
    format("ODBC, decimal comma, names", ".csv", named),
    format("one column a tag", ".csv", wide),
    format("Ignition, Unix time", ".csv", ignition),
];

/// The records of an export in the long format.
pub fn records(text: &str) -> Vec<Record<'_>> {
    let records = text.lines().skip(1).map(|line| {
        let mut fields = line.split(',');
        let (date, time) = fields.next().expect("a stamp").split_at(10);
        let tag = fields.nth(1).expect("a tag").parse().expect("an index");
        Record {
            date,
            time: &time[1..9],
            tag,
            value: fields.next().expect("a value"),
        }
    });
    records.collect()
}

impl Format {
    /// The files that hold the records: the export, and its tag table where it has one. Their names begin with `stem`.
    pub fn files(&self, stem: &str, records: &[Record<'_>]) -> Vec<(String, Vec<u8>)> {
        let export = (format!("{stem}{}", self.ending), (self.write)(records));
        let part = ["(Float)", "(Wide)"]
            .into_iter()
            .find(|part| self.ending.contains(part));
        let table = part.map(|part| {
            let is_text = self.ending.ends_with("csv");
            let bytes = if is_text { tag_text() } else { tag_table() };
            (
                format!("{stem}{}", self.ending.replace(part, "(Tagname)")),
                bytes,
            )
        });
        [export].into_iter().chain(table).collect()
    }
}

fn header(records: usize, fields: &[(String, usize)]) -> Vec<u8> {
    let record: usize = 1 + fields.iter().map(|(_, len)| len).sum::<usize>();
    let mut bytes = vec![3, 124, 1, 1];
    bytes.extend((records as u32).to_le_bytes());
    bytes.extend((32 * (fields.len() as u16 + 1) + 1).to_le_bytes());
    bytes.extend((record as u16).to_le_bytes());
    bytes.resize(32, 0);
    for (name, len) in fields {
        let mut field = name.clone().into_bytes();
        field.resize(11, 0);
        field.push(b'C');
        field.resize(16, 0);
        field.push(*len as u8);
        field.resize(32, 0);
        bytes.extend(field);
    }
    bytes.push(b'\r');
    bytes
}

fn fields(fields: &[(&str, usize)]) -> Vec<(String, usize)> {
    fields
        .iter()
        .map(|(name, len)| ((*name).to_owned(), *len))
        .collect()
}

fn tag_table() -> Vec<u8> {
    let mut bytes = header(
        TAGS,
        &fields(&[
            ("Tagname", 255),
            ("TTagIndex", 5),
            ("TagType", 1),
            ("TagDataTyp", 2),
        ]),
    );
    for (index, name) in TAG_NAMES.iter().enumerate() {
        bytes.extend(format!(" {name:<255}{index:>5}2 1").into_bytes());
    }
    bytes.push(0x1A);
    bytes
}

fn tag_text() -> Vec<u8> {
    let mut text = String::from(";Tagname,TTagIndex,TagType,TagDataTyp\n");
    for (index, name) in TAG_NAMES.iter().enumerate() {
        writeln!(text, "{name},{index:>5},2, 1,").expect("a text");
    }
    text.into_bytes()
}

fn table(records: &[Record<'_>]) -> Vec<u8> {
    let columns = [
        ("Date", 8),
        ("Time", 8),
        ("Millitm", 3),
        ("TagIndex", 5),
        ("Value", 8),
        ("Status", 1),
        ("Marker", 1),
        ("Internal", 4),
    ];
    let mut bytes = header(records.len(), &fields(&columns));
    for record in records {
        let value: f64 = record.value.parse().expect("a number");
        bytes.extend(
            format!(
                " {}{}  0{:>5}",
                record.date.replace('-', ""),
                record.time,
                record.tag
            )
            .into_bytes(),
        );
        bytes.extend(value.to_le_bytes());
        bytes.extend(b"  \x01\0\0\0");
    }
    bytes.push(0x1A);
    bytes
}

/// The records of each minute, by tag.
fn minutes<'a, 'b>(
    records: &'b [Record<'a>],
) -> impl Iterator<Item = (&'b Record<'a>, [&'a str; TAGS])> {
    records.chunk_by(|a, b| a.time == b.time).map(|minute| {
        let mut values = [""; TAGS];
        for record in minute {
            values[record.tag] = record.value;
        }
        (&minute[0], values)
    })
}

fn wide_table(records: &[Record<'_>]) -> Vec<u8> {
    let mut columns = fields(&[("Date", 8), ("Time", 8), ("Millitm", 3), ("Marker", 1)]);
    for index in 0..TAGS {
        columns.extend([(index.to_string(), 12), (format!("Sts_{index:02}"), 1)]);
    }
    let mut bytes = header(minutes(records).count(), &columns);
    for (first, values) in minutes(records) {
        bytes.extend(format!(" {}{}  0 ", first.date.replace('-', ""), first.time).into_bytes());
        for value in values {
            bytes.extend(format!("{value:>12} ").into_bytes());
        }
    }
    bytes
}

fn file_viewer(records: &[Record<'_>]) -> Vec<u8> {
    let mut text = String::from(";Date,Time,Millitm,TagIndex,Value,Status,Marker,Internal\n");
    for record in records {
        let Record {
            date,
            time,
            tag,
            value,
        } = record;
        let date = date.replace('-', "/");
        writeln!(
            text,
            "{date},{time},  0,{tag:>5},{value:>17}, , ,         1,"
        )
        .expect("a text");
    }
    text.into_bytes()
}

fn odbc(records: &[Record<'_>]) -> Vec<u8> {
    let mut text = String::from("DateAndTime;Millitm;TagIndex;Val;Status;Marker\n");
    for Record {
        date,
        time,
        tag,
        value,
    } in records
    {
        writeln!(text, "{date} {time};0;{tag};{value};;").expect("a text");
    }
    text.into_bytes()
}

fn named(records: &[Record<'_>]) -> Vec<u8> {
    let mut text = String::from("Date;Time;TagName;Value;Quality\n");
    for Record {
        date,
        time,
        tag,
        value,
    } in records
    {
        let (name, value) = (TAG_NAMES[*tag], value.replace('.', ","));
        writeln!(
            text,
            "{}.{}.{};{time};{name};{value};Good",
            &date[8..],
            &date[5..7],
            &date[..4]
        )
        .expect("a text");
    }
    text.into_bytes()
}

fn wide(records: &[Record<'_>]) -> Vec<u8> {
    let mut text = format!("DateTime,{}\n", TAG_NAMES.join(","));
    for (first, values) in minutes(records) {
        writeln!(text, "{} {},{}", first.date, first.time, values.join(",")).expect("a text");
    }
    text.into_bytes()
}

fn ignition(records: &[Record<'_>]) -> Vec<u8> {
    let mut text = String::from("Path,Value,Quality,Timestamp\n");
    for Record {
        date,
        time,
        tag,
        value,
    } in records
    {
        let at: jiff::civil::DateTime = format!("{date}T{time}").parse().expect("a time");
        let zoned = jiff::tz::TimeZone::UTC.to_timestamp(at).expect("a time");
        let ms = zoned.as_millisecond();
        writeln!(text, "{},{value},Good,{ms}", TAG_NAMES[*tag]).expect("a text");
    }
    text.into_bytes()
}
