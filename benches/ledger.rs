//! A long seeded run of the ledger: thousands of faults over simulated weeks, and the books held against each other.
//! `cargo bench --bench ledger -- [--faults N] [--days N] [--seed N] [--soak]`. With --soak it is a year by default, in which
//! the daemon does all that it can and is seldom ended, and what it takes must not grow; what it came to is written to docs/SOAK.md.

#[path = "../tests/common/mod.rs"]
mod common;

use std::{fmt::Write, time::Instant};

use common::ledger::{Account, BUDGET_GB, Measure, Plan, run};
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
    println!("  day   RSS MB  files  threads  store MB  messages  changes");
    for measure in &account.measures {
        println!(
            "{:>5}  {:>7.1}  {:>5}  {:>7}  {:>8.1}  {:>8}  {:>7}",
            measure.day,
            measure.rss_mb,
            measure.files,
            measure.threads,
            measure.store_mb,
            measure.messages,
            measure.changes
        );
    }
    println!(
        "{:#?}\n{} rows, {} of them purged here, {} refused, {} calls, {} looks at the dashboard, {} lines of the journal, {} repeats, {} floods, {} restarts\nthe books balance after {:.0?}",
        account.faults,
        account.rows,
        account.purged,
        account.refused,
        account.calls,
        account.looks,
        account.journal,
        account.repeats,
        account.floods,
        account.restarts,
        started.elapsed()
    );
    if is_soak {
        assert_flat(&account.measures);
        let text = report(&plan, &account);
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/SOAK.md");
        std::fs::write(file, text).expect("written");
    }
}

/// What a soak came to, as a page.
fn report(plan: &Plan, account: &Account) -> String {
    let mut text = format!(
        "# Soak\n\nA year of the simulated station at high speed while everything fails that can, and what the daemon takes meanwhile. \
         Written by\n`cargo bench --bench ledger -- --soak --seed {}`, which fails where a row, an alert or an answer is lost or doubled, where a table is not\n\
         that of an undisturbed run, where the last third of the year takes more than the second (medians; memory by 15 %, files and threads by\n\
         25 %), or where the store is beyond its budget, with more than the newest 90 days in it, once the central office has had\n\
         everything for 35 days.\n\n| what | times |\n|---|---|\n",
        plan.seed
    );
    let counted = [
        ("simulated days", u64::from(plan.days)),
        ("minutes taken", account.rows),
        ("of these purged by the budget of the disk", account.purged),
        (
            "of these refused by the central office, with its reason",
            account.refused,
        ),
        (
            "lines of the alert journal, all at the panel in their order",
            account.journal as u64,
        ),
        ("calls", account.calls),
        ("looks at the dashboard", u64::from(account.looks)),
    ];
    let faults = account
        .faults
        .iter()
        .map(|(what, times)| (*what, u64::from(*times)));
    for (what, times) in counted.into_iter().chain(faults) {
        writeln!(text, "| {what} | {times} |").expect("a text");
    }
    text.push_str("\n| what | 1st third | 2nd third | 3rd third |\n|---|---|---|---|\n");
    for (name, what, of, _) in TAKEN {
        let [first, second, third] = by_third(&account.measures, what, of);
        writeln!(text, "| {name} | {first:.0} | {second:.0} | {third:.0} |").expect("a text");
    }
    writeln!(
        text,
        "\nIn the end the store takes {:.0} MB, of a budget of {:.0} MB; the newest 90 days stay in any case.",
        account.store_mb,
        BUDGET_GB * 1e3
    )
    .expect("a text");
    text
}

type What = fn(&Measure) -> f64;
type Of = fn(Vec<f64>) -> f64;

/// What a daemon takes: name with its unit, figure, what of it in a third of the run, and how many times that of the second third
/// the last one may have. The store may grow for as long as the central office, away for half of the time, lacks the oldest minutes, and 35
/// days more.
const TAKEN: [(&str, What, Of, Option<f64>); 4] = [
    ("memory, MB", |it| it.rss_mb, median, Some(1.15)),
    ("open files", |it| it.files as f64, median, Some(1.25)),
    ("threads", |it| it.threads as f64, median, Some(1.25)),
    ("store at most, MB", |it| it.store_mb, most, None),
];

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

fn most(figures: Vec<f64>) -> f64 {
    figures.into_iter().fold(0.0, f64::max)
}

/// Something in each third of the run.
fn by_third(measures: &[Measure], what: What, of: Of) -> [f64; 3] {
    let third = measures.len() / 3;
    let parts = [
        &measures[..third],
        &measures[third..2 * third],
        &measures[2 * third..],
    ];
    parts.map(|part| of(part.iter().map(what).collect()))
}

/// What the daemon takes in the last third of the run is what it took in the second.
fn assert_flat(measures: &[Measure]) {
    for (name, what, of, allowed) in TAKEN {
        let [_, before, after] = by_third(measures, what, of);
        assert!(
            allowed.is_none_or(|allowed| after <= before * allowed),
            "{name} grows from {before} to {after}"
        );
    }
}
