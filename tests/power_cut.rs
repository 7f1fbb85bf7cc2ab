//! The power is cut a few times while the daemon writes: what was acknowledged is there. Many cuts are
//! `cargo bench --bench power_cut`.

mod common;

use common::{
    cuts::{Kind, Plan, run},
    mounting::not_tried,
};
use rand::RngCore;

/// A fresh seed each time, printed; `PUMPHOUSE_CUT_SEED` repeats a run, `PUMPHOUSE_CUTS` asks for more cuts.
fn cut(kind: Kind, cuts: u32) {
    let asked = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let seed = asked("PUMPHOUSE_CUT_SEED").unwrap_or_else(|| u64::from(rand::rng().next_u32()));
    println!("repeat this run with PUMPHOUSE_CUT_SEED={seed}");
    let cuts = asked("PUMPHOUSE_CUTS").map_or(cuts, |cuts| cuts as u32);
    match run(Plan { seed, cuts, kind }) {
        Ok(account) => println!("{account:#?}"),
        Err(why) => not_tried(
            "power cuts",
            &format!("no loop device can be mounted: {why}"),
        ),
    }
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_on_ext4() {
    cut(Kind::Ext4, 8);
}

#[test]
fn what_was_acknowledged_survives_a_power_cut_on_xfs() {
    if Kind::Xfs.can_be_made() {
        cut(Kind::Xfs, 4);
    } else {
        not_tried("power cuts on xfs", "apt-get install xfsprogs");
    }
}
