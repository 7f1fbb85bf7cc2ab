//! Files are often seen while they are made: empty, or with their first bytes only. Whatever was seen of them first, they
//! end in the tables of the finished file.

mod common;

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

use common::{
    gateway::Gateway,
    tables::{Tables, assert_same},
    tape,
};
use pumphouse::calendar::Minute;
use tempfile::TempDir;

/// The wall clock, 2025-12-31.
const NOW: Minute = 29_450_000;

/// The tables of a file that is seen at each of the lengths, and then whole.
fn seen_at(bytes: &[u8], lengths: &[usize]) -> Tables {
    let folder = TempDir::new().expect("a folder");
    let config = tape::config(folder.path(), "Europe/Berlin");
    fs::create_dir(folder.path().join("exports")).expect("a folder");
    let path = folder.path().join("exports/a.csv");
    let mut gateway = Gateway::open(&config, NOW);
    let mut from = 0;
    for length in lengths.iter().copied().chain([bytes.len()]) {
        let to = length.clamp(from, bytes.len());
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(&bytes[from..to]))
            .expect("the file grows");
        gateway.look();
        from = to;
    }
    gateway.stop();
    Tables::of(&config.store)
}

fn utf16(unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    "\u{FEFF}Timestamp,Marker,TagIndex,Value\n2025-03-03 10:00:00,S,2,50\n2025-03-03 10:01:00,S,2,51\n"
        .encode_utf16()
        .flat_map(unit)
        .collect()
}

#[test]
fn a_utf16_file_seen_from_its_first_bytes_on_is_read() {
    for bytes in [utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
        let whole = seen_at(&bytes, &[]);
        assert_eq!(
            (whole.count("readings_wide"), whole.count("ingest_rejects")),
            (2, 0)
        );
        for length in 0..5 {
            let got = seen_at(&bytes, &[length]);
            assert_same(&format!("seen at {length} bytes"), &got, &whole);
        }
    }
}

#[test]
fn every_input_of_the_corpus_grows_into_the_same_tables() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    for entry in fs::read_dir(corpus).expect("the corpus") {
        let path = entry.expect("an entry").path().join("export.csv");
        let Ok(bytes) = fs::read(&path) else {
            continue;
        };
        // From four bytes on the encoding is known; how files are seen before that has a test of its own.
        let lengths: Vec<usize> = (1..8).map(|part| 4 + bytes.len() * part / 8).collect();
        let got = seen_at(&bytes, &lengths);
        assert_same(&path.display().to_string(), &got, &seen_at(&bytes, &[]));
    }
}

/// The tables after replaying a file at each of the lengths, and then whole.
fn replayed_at(bytes: &[u8], lengths: &[usize]) -> Tables {
    let folder = TempDir::new().expect("a folder");
    let config = tape::config(folder.path(), "Europe/Berlin");
    let path = folder.path().join("a.csv");
    let mut gateway = Gateway::open(&config, NOW);
    for length in lengths.iter().copied().chain([bytes.len()]) {
        fs::write(&path, &bytes[..length]).expect("a file");
        gateway.ingest(std::slice::from_ref(&path));
    }
    gateway.stop();
    Tables::of(&config.store)
}

const GROWING: &[u8] =
    b"Timestamp,Marker,TagIndex,Value\n2025-03-03 10:00:00,S,2,50\n2025-03-03 10:01:00,S,2,61\n";

#[test]
fn a_day_file_replayed_while_it_grows_line_by_line_ends_in_the_tables_of_the_whole() {
    let whole = replayed_at(GROWING, &[]);
    let ends = GROWING
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n');
    let ends: Vec<usize> = ends.map(|(place, _)| place + 1).collect();
    assert_same("at line ends", &replayed_at(GROWING, &ends), &whole);
}

#[test]
fn a_last_line_that_was_torn_when_first_replayed_is_no_reject_once_it_is_whole() {
    let whole = replayed_at(GROWING, &[]);
    let line = GROWING.len() - b"2025-03-03 10:01:00,S,2,61\n".len();
    for length in line + 1..GROWING.len() - 2 {
        let got = replayed_at(GROWING, &[length]);
        assert_same(&format!("torn at {length}"), &got, &whole);
    }
}

#[test]
fn a_last_value_that_was_torn_when_first_replayed_is_no_duplicate_once_it_is_whole() {
    let whole = replayed_at(GROWING, &[]);
    let got = replayed_at(GROWING, &[GROWING.len() - 2]);
    assert_same("torn within the value", &got, &whole);
}

#[test]
fn a_last_value_that_ingest_took_torn_is_corrected_by_the_daemon_that_reads_on() {
    let folder = TempDir::new().expect("a folder");
    let config = tape::config(folder.path(), "Europe/Berlin");
    fs::create_dir(folder.path().join("exports")).expect("a folder");
    let path = folder.path().join("exports/a.csv");
    fs::write(&path, &GROWING[..GROWING.len() - 2]).expect("a file");
    let mut gateway = Gateway::open(&config, NOW);
    gateway.ingest(std::slice::from_ref(&path));
    gateway.stop();
    // Only grown: the daemon finds its position by content and reads on.
    let file = OpenOptions::new().append(true).open(&path);
    file.and_then(|mut file| file.write_all(&GROWING[GROWING.len() - 2..]))
        .expect("the file grows");
    let mut gateway = Gateway::open(&config, NOW);
    gateway.look();
    gateway.stop();
    assert_same(
        "read on",
        &Tables::of(&config.store),
        &seen_at(GROWING, &[]),
    );
}
