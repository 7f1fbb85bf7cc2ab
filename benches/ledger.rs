//! A long seeded run of the ledger: thousands of faults over simulated weeks, and the books held against each other.
//! `cargo bench --bench ledger -- [--faults N] [--days N] [--seed N]`.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use common::ledger::{Plan, run};
use rand::RngCore;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.parse::<u64>().ok()
    };
    let plan = Plan {
        seed: given("--seed").unwrap_or_else(|| u64::from(rand::rng().next_u32())),
        days: given("--days").unwrap_or(42) as u32,
        faults: given("--faults").unwrap_or(3000) as u32,
    };
    println!("{plan:?}");
    let started = Instant::now();
    let account = run(plan);
    println!(
        "{account:#?}\nthe books balance after {:.0?}",
        started.elapsed()
    );
}
