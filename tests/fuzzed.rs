//! Every parser on the corpus, and on what becomes of it when bytes are changed: a bounded run of what `cargo fuzz` does without
//! an end (`fuzz/`). `PUMPHOUSE_FUZZ_SEED=N` repeats a run, `PUMPHOUSE_FUZZ_RUNS=N` makes it longer.

mod common;

use std::{fs, path::Path};

use common::parsers::PARSERS;
use rand::{Rng, RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Changed inputs a parser.
const RUNS: u32 = 10_000;
/// Longest input, bytes.
const BYTES_MAX: usize = 4096;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The files of the corpus, the sample config, and what a header can claim.
fn kept() -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut kept = vec![fs::read(root.join("config/pumphouse.toml")).expect("the sample")];
    for case in fs::read_dir(root.join("tests/corpus")).expect("the corpus") {
        let case = case.expect("an entry").path();
        if case.is_dir() {
            for file in fs::read_dir(case).expect("a folder") {
                let mut bytes = fs::read(file.expect("an entry").path()).expect("a file");
                bytes.truncate(BYTES_MAX);
                kept.push(bytes);
            }
        }
    }
    kept
}

fn changed(kept: &[Vec<u8>], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = kept[random.random_range(0..kept.len())].clone();
    for _ in 0..random.random_range(1..8) {
        let at = random.random_range(0..=bytes.len());
        match random.random_range(0..6) {
            0 if at < bytes.len() => bytes[at] = random.random(),
            1 if at < bytes.len() => bytes[at] ^= 1 << random.random_range(0..8),
            2 => bytes.insert(
                at,
                b",;\t\"\n\r0159.-/: \0\x1a\xff"[random.random_range(0..18)],
            ),
            3 => bytes.truncate(at),
            4 => {
                let other = &kept[random.random_range(0..kept.len())];
                let from = random.random_range(0..=other.len());
                let until = other.len().min(from + 200);
                bytes.splice(at..at, other[from..until].iter().copied());
            }
            _ if at < bytes.len() => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

#[test]
fn no_parser_panics_or_runs_away_on_changed_inputs() {
    let seed = number("PUMPHOUSE_FUZZ_SEED").unwrap_or_else(|| rand::rng().next_u64());
    let runs = number("PUMPHOUSE_FUZZ_RUNS").map_or(RUNS, |runs| runs as u32);
    println!("PUMPHOUSE_FUZZ_SEED={seed}");
    let kept = kept();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    for (name, parse) in PARSERS {
        println!("{name}");
        for input in &kept {
            parse(input);
        }
        for _ in 0..runs {
            parse(&changed(&kept, &mut random));
        }
    }
}
