//! A short seeded run of the ledger: what went in is held against what came out while everything fails. The long one is
//! `cargo bench --bench ledger`.

mod common;

use common::ledger::{Plan, run};
use rand::RngCore;

/// A fresh seed each time, printed; `PUMPHOUSE_LEDGER_SEED` repeats a run.
#[test]
fn nothing_is_lost_and_nothing_doubled_whatever_fails() {
    let seed = std::env::var("PUMPHOUSE_LEDGER_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or_else(|| u64::from(rand::rng().next_u32()));
    println!("repeat this run with PUMPHOUSE_LEDGER_SEED={seed}");
    let account = run(Plan {
        seed,
        days: 10,
        faults: 150,
        is_soak: false,
    });
    println!("{account:#?}");
}
