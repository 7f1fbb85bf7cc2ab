//! What can happen to the lines of a tape on their way, and to a store; and where a file can be cut without changing what it says.

use std::{collections::HashMap, path::Path};

use rand::{Rng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use rusqlite::Connection;

use super::waiting::DEADLINE;

/// Lines swapped lie at most this far apart.
const SWAP_LINES_MAX: usize = 200;
/// Texts put in the place of a value or a line.
const BAD_VALUES: [&str; 6] = ["", "NaN", "Bad", "1e999", "12,5", "\"7"];
const GARBAGE: [&str; 5] = [
    "",
    "garbage",
    "2025-03-03 99:00:00,S,1,1",
    "\0\0\0\0",
    "Timestamp,Marker,TagIndex,Value",
];

/// Makes a store one of another version: the next start derives everything once more.
pub fn make_of_another_version(store: &Path) -> rusqlite::Result<()> {
    let store = Connection::open(store)?;
    store.busy_timeout(DEADLINE)?;
    store.execute(
        "UPDATE checkpoints SET state = CAST(x'00' || substr(state, 2) AS BLOB)",
        [],
    )?;
    Ok(())
}

/// The lines of a file, without their ends.
pub fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8(bytes.to_vec()).expect("tapes are UTF-8");
    text.lines().map(String::from).collect()
}

/// The bytes of lines.
pub fn bytes(lines: &[String]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line.as_bytes(), b"\n"])
        .flatten()
        .copied()
        .collect()
}

/// Does `count` random things to the lines of a file.
pub fn tamper(file: &mut Vec<u8>, count: usize, rng: &mut ChaCha8Rng) {
    let mut lines = lines(file);
    for _ in 0..count {
        let at = rng.random_range(1..lines.len());
        let fields: Vec<String> = lines[at].split(',').map(String::from).collect();
        if fields.len() < 4 {
            continue;
        }
        let with = |place: usize, text: &str| {
            let mut fields = fields.clone();
            fields[place] = text.to_owned();
            fields.join(",")
        };
        match rng.random_range(0..9) {
            0 => {
                lines.remove(at);
            }
            1 => lines.insert(at, lines[at].clone()),
            2 => lines[at] = with(3, BAD_VALUES.choose(rng).expect("some")),
            3 => lines[at] = with(1, "E"),
            4 => lines[at] = with(1, "B"),
            5 => {
                let second = rng.random_range(1..60);
                let stamp = format!("{}:{second:02}.250", &fields[0][..16]);
                // A second record of the tag in the minute, with a stamp of its own.
                let line = with(0, &stamp);
                lines.insert(at, line);
            }
            6 => lines.insert(at, (*GARBAGE.choose(rng).expect("some")).to_owned()),
            7 => lines[at] = fields[..rng.random_range(1..4)].join(","),
            _ => {
                let other = (at + rng.random_range(1..SWAP_LINES_MAX)).min(lines.len() - 1);
                lines.swap(at, other);
            }
        }
    }
    *file = bytes(&lines);
}

/// The lines before which a file can be cut in two files: no tag has records of one stamp on both sides. (Two identical
/// records are a duplicate within a file, and nothing across files.)
pub fn borders(lines: &[String]) -> Vec<usize> {
    let key = |line: &str| {
        let mut fields = line.split(',');
        let stamp = fields.next().unwrap_or_default().to_owned();
        (stamp, fields.nth(1).unwrap_or_default().to_owned())
    };
    let last: HashMap<_, _> = lines
        .iter()
        .enumerate()
        .map(|(place, line)| (key(line), place))
        .collect();
    let mut reach = 0;
    let mut borders = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        if place > 0 && reach < place {
            borders.push(place);
        }
        reach = reach.max(last[&key(line)]);
    }
    borders
}

/// Cuts a file at random legal borders into at most `parts` files.
pub fn split(file: &[u8], parts: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<u8>> {
    let lines = lines(file);
    let mut cuts: Vec<usize> = borders(&lines)
        .choose_multiple(rng, parts - 1)
        .copied()
        .collect();
    cuts.sort_unstable();
    cuts.push(lines.len());
    let mut from = 0;
    cuts.into_iter()
        .map(|to| bytes(&lines[std::mem::replace(&mut from, to)..to]))
        .collect()
}
