//! A year of one-minute exports in each format through `pumphouse ingest`: the time for a record, as a ratio to the long format's.
//!
//! `cargo bench --bench formats [-- --days N]`. The simulator's year is rewritten below `target/bench/formats`; the exports of each
//! day are one file, as a historian rotates them.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use pumphouse::{
    simulate::{FaultScript, Simulator, Station, write_days},
    tags::{TAG_NAMES, TAGS},
};

const ROUNDS: usize = 3;

/// A record of a day's export in the long format.
struct Record<'a> {
    /// `2024-01-01`
    date: &'a str,
    /// `00:00:00`
    time: &'a str,
    tag: usize,
    value: &'a str,
}

/// A format: its name, what its files are called, and a day written in it.
type Write = fn(&str, &[Record<'_>]) -> Vec<u8>;
const FORMATS: [(&str, &str, Write); 7] = [
    ("FactoryTalk file set", " 0000 Station (Float).DAT", table),
    (
        "RSView32 wide table",
        " 0000 Station (Wide).DBF",
        wide_table,
    ),
    ("File Viewer CSV", " 0000 Station (Float).csv", file_viewer),
    ("ODBC, semicolons, indexes", ".csv", odbc),
    ("ODBC, decimal comma, names", ".csv", named),
    ("one column a tag", ".csv", wide),
    ("Ignition, Unix time", ".csv", ignition),
];

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let days = arguments
        .iter()
        .position(|it| it == "--days")
        .map_or(365, |at| arguments[at + 1].parse().expect("a number"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/bench/formats-{days}"));
    let long = folder.join("long");
    if !folder.join("ready").exists() {
        fs::create_dir_all(&folder)?;
        let start = "2024-01-01".parse::<jiff::civil::Date>()?.at(0, 0, 0, 0);
        let faults = FaultScript::default();
        let mut simulator = Simulator::new(Station::default(), 7, start, faults);
        write_days(&long, &mut simulator, days, |_| {})?;
        for (name, ending, write) in FORMATS {
            rewrite(&long, &folder.join(name), ending, write)?;
        }
        fs::write(folder.join("ready"), "")?;
    }
    let config = folder.join("pumphouse.toml");
    let sample = include_str!("../config/pumphouse.toml");
    fs::write(
        &config,
        sample.replace("listen = \"127.0.0.1:8080\"", "listen = \"127.0.0.1:0\""),
    )?;
    let names = ["long"].into_iter().chain(FORMATS.map(|(name, ..)| name));
    let mut best: Vec<(&str, f64, u64)> = names.map(|name| (name, f64::INFINITY, 0)).collect();
    for _ in 0..ROUNDS {
        for (name, seconds, records) in &mut best {
            let (took, kept) = ingest(&config, &folder.join(*name))?;
            *seconds = seconds.min(took);
            *records = kept;
        }
    }
    let long_ns = best[0].1 / best[0].2 as f64 * 1e9;
    println!(
        "{:<28} {:>10} {:>8} {:>10} {:>6}",
        "format", "records", "s", "ns/record", "ratio"
    );
    for (name, seconds, records) in best {
        let ns = seconds / records as f64 * 1e9;
        println!(
            "{name:<28} {records:>10} {seconds:>8.1} {ns:>10.0} {:>6.2}",
            ns / long_ns
        );
    }
    Ok(())
}

/// Loads a folder into a store of its own; the seconds, and the records kept.
fn ingest(config: &Path, exports: &Path) -> anyhow::Result<(f64, u64)> {
    let store = config.with_file_name("pumphouse.db");
    for ending in ["db", "db-wal", "db-shm", "db.lock", "db.reserve"] {
        let _ = fs::remove_file(store.with_extension(ending));
    }
    let begun = Instant::now();
    let done = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
        .args(["ingest", "--json", "--config"])
        .args([config, exports])
        .output()?;
    let took = begun.elapsed().as_secs_f64();
    anyhow::ensure!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let report: serde_json::Value = serde_json::from_slice(&done.stdout)?;
    anyhow::ensure!(report["records_rejected"] == 0, "{report}");
    Ok((took, report["records_kept"].as_u64().unwrap_or(0)))
}

fn rewrite(long: &Path, into: &Path, ending: &str, write: Write) -> anyhow::Result<()> {
    fs::create_dir_all(into)?;
    let mut files: Vec<PathBuf> = fs::read_dir(long)?
        .map(|entry| entry.map(|it| it.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|path| path.extension().is_some_and(|it| it == "csv"));
    for path in files {
        let text = fs::read_to_string(&path)?;
        let records: Vec<Record<'_>> = text
            .lines()
            .skip(1)
            .map(|line| {
                let mut fields = line.split(',');
                let (date, time) = fields.next().expect("a stamp").split_at(10);
                let tag = fields.nth(1).expect("a tag").parse().expect("an index");
                Record {
                    date,
                    time: &time[1..9],
                    tag,
                    value: fields.next().expect("a value"),
                }
            })
            .collect();
        let stem = path
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .replace('-', if ending.starts_with(' ') { " " } else { "-" });
        fs::write(into.join(format!("{stem}{ending}")), write(&stem, &records))?;
        if ending.starts_with(' ') {
            let part = if ending.contains("(Wide)") {
                "(Wide)"
            } else {
                "(Float)"
            };
            let table = format!("{stem}{}", ending.replace(part, "(Tagname)"));
            let bytes = if ending.ends_with("csv") {
                tag_text()
            } else {
                tag_table()
            };
            fs::write(into.join(table), bytes)?;
        }
    }
    Ok(())
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

fn table(_: &str, records: &[Record<'_>]) -> Vec<u8> {
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

fn wide_table(_: &str, records: &[Record<'_>]) -> Vec<u8> {
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

fn file_viewer(_: &str, records: &[Record<'_>]) -> Vec<u8> {
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

fn odbc(_: &str, records: &[Record<'_>]) -> Vec<u8> {
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

fn named(_: &str, records: &[Record<'_>]) -> Vec<u8> {
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

fn wide(_: &str, records: &[Record<'_>]) -> Vec<u8> {
    let mut text = format!("DateTime,{}\n", TAG_NAMES.join(","));
    for (first, values) in minutes(records) {
        writeln!(text, "{} {},{}", first.date, first.time, values.join(",")).expect("a text");
    }
    text.into_bytes()
}

fn ignition(_: &str, records: &[Record<'_>]) -> Vec<u8> {
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
