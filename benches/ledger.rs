//! A long seeded run of the ledger: thousands of faults over simulated weeks, and the books held against each other.
//! `cargo bench --bench ledger -- [--faults N] [--days N] [--seed N] [--soak]`. With --soak it is a year by default, in which
//! the daemon goes on for months, and what it takes must not grow.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use common::ledger::{Measure, Plan, run};
use rand::RngCore;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let given = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.parse::<u64>().ok()
    };
    let is_soak = arguments.iter().any(|argument| argument == "--soak");
    let plan = Plan {
        seed: given("--seed").unwrap_or_else(|| u64::from(rand::rng().next_u32())),
        days: given("--days").unwrap_or(if is_soak { 365 } else { 42 }) as u32,
        faults: given("--faults").unwrap_or(3000) as u32,
        is_soak,
    };
    println!("{plan:?}");
    let started = Instant::now();
    let account = run(plan);
    println!("  day   RSS MB  files  threads  store MB  bytes a row");
    for measure in &account.measures {
        println!(
            "{:>5}  {:>7.1}  {:>5}  {:>7}  {:>8.1}  {:>11.0}",
            measure.day,
            measure.rss_mb,
            measure.files,
            measure.threads,
            measure.store_mb,
            measure.store_mb * 1e6 / measure.rows.max(1) as f64
        );
    }
    if is_soak {
        assert_flat(&account.measures);
    }
    println!(
        "{:#?}\n{} rows, {} refused, {} lines of the journal, {} repeats, {} floods, {} restarts\nthe books balance after {:.0?}",
        account.faults,
        account.rows,
        account.refused,
        account.journal,
        account.repeats,
        account.floods,
        account.restarts,
        started.elapsed()
    );
}

/// What the daemon takes in the last third of the run is what it took in the second.
fn assert_flat(measures: &[Measure]) {
    let third = measures.len() / 3;
    let (second, last) = (&measures[third..2 * third], &measures[2 * third..]);
    type What = fn(&Measure) -> f64;
    let most = |of: &[Measure], what: What| of.iter().map(what).fold(0.0, f64::max);
    let cases: [(&str, What, f64); 4] = [
        ("memory", |it| it.rss_mb, 1.15),
        ("files", |it| it.files as f64, 1.25),
        ("threads", |it| it.threads as f64, 1.25),
        (
            "bytes a row",
            |it| it.store_mb / it.rows.max(1) as f64,
            1.15,
        ),
    ];
    for (what, of, allowed) in cases {
        let (before, after) = (most(second, of), most(last, of));
        assert!(
            after <= before * allowed,
            "{what} grows from {before} to {after}"
        );
    }
}
