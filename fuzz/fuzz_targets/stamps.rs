//! Any bytes as a date and a time.
#![no_main]

#[path = "../../tests/common/parsers.rs"]
mod parsers;
#[path = "../../tests/common/pieces.rs"]
mod pieces;

libfuzzer_sys::fuzz_target!(|data: &[u8]| parsers::when(data));
