//! Any bytes, cut anywhere, through the decoding and the fold.
#![no_main]

#[path = "../../tests/common/parsers.rs"]
mod parsers;
#[path = "../../tests/common/pieces.rs"]
mod pieces;

libfuzzer_sys::fuzz_target!(|data: &[u8]| parsers::lines(data));
