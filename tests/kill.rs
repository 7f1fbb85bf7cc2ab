//! `ingest` is killed at random moments and started again with the same arguments until it ends by itself: the tables
//! are those of an undisturbed run.

mod common;

use std::{
    fs,
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
};

use common::{
    killing::{Kills, Moment, share, to_its_end},
    tables::{Tables, assert_same},
    tape::{self, File},
};
use jiff::civil::date;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// Days on the tape: more rows than one commit takes, so that a kill can find the store half filled.
const DAYS: u32 = 24;
const KILLS_MIN: u32 = 12;
const ROUNDS_MAX: u32 = 60;
const ARGUMENTS: [&str; 4] = ["ingest", "--config", "pumphouse.toml", "exports"];

/// A tape with some tags only, a quarter of the bytes.
fn thin_tape(seed: u64) -> Vec<File> {
    let is_kept = |line: &&[u8]| {
        let tag = line.split(|&byte| byte == b',').nth(2);
        let tag = tag.and_then(|tag| std::str::from_utf8(tag).ok());
        // The station's tags, three pumps, and whatever is no tag at all.
        !matches!(tag.and_then(|tag| tag.parse().ok()), Some(6..=8 | 12..=26))
    };
    let mut files = tape::faulty_tape(seed, date(2025, 3, 3), DAYS);
    for (_, bytes) in &mut files {
        let lines = bytes.split_inclusive(|&byte| byte == b'\n');
        *bytes = lines.filter(is_kept).flatten().copied().collect();
    }
    files
}

fn station(files: &[File]) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::write(
        folder.path().join("pumphouse.toml"),
        tape::config_text("UTC"),
    )
    .expect("a config");
    tape::write(&folder.path().join("exports"), files);
    folder
}

/// Rows that are committed.
fn rows(store: &Path) -> i64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(store) = Connection::open_with_flags(store, flags) else {
        return 0;
    };
    let count = store.query_row("SELECT count(*) FROM readings_wide", [], |row| row.get(0));
    // Not there yet, or its schema is not, or it is locked for a moment.
    count.unwrap_or(0)
}

/// A seed that a failure names, and that can be asked for.
fn seed() -> u64 {
    let asked = std::env::var("KILL_SEED").ok();
    asked.map_or_else(
        || RandomState::new().build_hasher().finish(),
        |seed| seed.parse().expect("a seed"),
    )
}

#[test]
fn a_killed_ingest_ends_in_the_tables_of_an_undisturbed_one() {
    let seed = seed();
    println!("KILL_SEED={seed}");
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let files = thin_tape(seed);

    let undisturbed = station(&files);
    let took = to_its_end(undisturbed.path(), &ARGUMENTS);
    let expected = Tables::of(&undisturbed.path().join("out.db"));

    let disturbed = station(&files);
    let store = disturbed.path().join("out.db");
    let half_filled = || rows(&store) > 0;
    let mut kills = Kills::default();
    let mut found = Vec::new();
    let whole = expected.count("readings_wide");
    let is_part = |&rows: &usize| 0 < rows && rows < whole;
    while kills.killed < KILLS_MIN || !found.iter().any(is_part) {
        let rounds = kills.killed + kills.survived;
        assert!(rounds < ROUNDS_MAX, "KILL_SEED={seed}: {kills:?} {found:?}");
        let moment = match rng.random() {
            true => Moment::After(share(took, &mut rng)),
            false => Moment::Seen(&half_filled, share(took / 30, &mut rng)),
        };
        if kills.round(disturbed.path(), &ARGUMENTS, &moment) {
            found.push(rows(&store) as usize);
        } else {
            // It was faster than its kill: it is done, and begins anew.
            assert_same(&format!("KILL_SEED={seed}"), &Tables::of(&store), &expected);
            forget(&store);
        }
    }
    println!("{took:?} undisturbed; {kills:?}; rows found after each kill: {found:?}");
    to_its_end(disturbed.path(), &ARGUMENTS);
    assert_same(&format!("KILL_SEED={seed}"), &Tables::of(&store), &expected);
}

/// Takes a store away.
fn forget(store: &Path) {
    for ending in ["db", "db-wal", "db-shm", "db.lock"] {
        let path = store.with_extension(ending);
        if path.exists() {
            fs::remove_file(path).expect("a file taken away");
        }
    }
}
