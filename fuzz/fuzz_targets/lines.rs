//! Any bytes, cut anywhere, through the decoding and the fold. The first byte says how many cuts follow it, two bytes
//! each; the rest is the file.
#![no_main]

#[path = "../../tests/common/pieces.rs"]
mod pieces;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&count, rest)) = data.split_first() else {
        return;
    };
    let (cuts, bytes) = rest.split_at(rest.len().min(usize::from(count % 8) * 2));
    let cuts: Vec<usize> = cuts
        .chunks_exact(2)
        .map(|cut| usize::from(u16::from_le_bytes([cut[0], cut[1]])))
        .collect();
    pieces::check(bytes, &cuts);
});
