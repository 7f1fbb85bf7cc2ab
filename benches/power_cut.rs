//! Many power cuts, on each file system that can be made here.
//! `cargo bench --bench power_cut -- [--cuts N] [--seed N]`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use common::cuts::{Kind, Plan, run};
use rand::RngCore;

/// Cuts in one history of exports.
const CUTS_A_RUN: u32 = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.parse::<u64>().ok()
    };
    let cuts = given("--cuts").unwrap_or(100) as u32;
    let first = given("--seed").unwrap_or_else(|| u64::from(rand::rng().next_u32()));
    let started = Instant::now();
    for kind in [Kind::Ext4, Kind::Xfs] {
        if !kind.can_be_made() {
            println!("{kind:?}: cannot be made here");
            continue;
        }
        let mut done = 0;
        while done < cuts {
            let plan = Plan {
                seed: first + u64::from(done),
                cuts: CUTS_A_RUN.min(cuts - done),
                kind,
            };
            println!("{plan:?}");
            let account = run(plan).unwrap_or_else(|why| panic!("cannot cut here: {why}"));
            println!("{account:?}");
            done += account.cuts;
        }
        println!(
            "{kind:?}: {done} cuts, nothing acknowledged lost, after {:.0?}",
            started.elapsed()
        );
    }
}
