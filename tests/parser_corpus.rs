//! Nasty inputs, any inputs, and tapes with bytes changed: read in one piece and in many, they say the same.

mod common;

use std::{fs, path::Path};

use common::{pieces::check, tape};
use jiff::civil::date;
use proptest::prelude::*;
use pumphouse::simulate::{FaultScript, HEADER};

/// Inputs up to this length are cut at every place.
const CUT_EVERYWHERE_MAX: usize = 800;

#[test]
fn every_input_of_the_corpus_says_the_same_in_any_pieces() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut inputs = 0;
    for entry in fs::read_dir(folder).expect("the corpus") {
        let path = entry.expect("an entry").path().join("export.csv");
        if !path.exists() {
            continue;
        }
        println!("{}", path.display());
        let bytes = fs::read(&path).expect("an input");
        if bytes.len() <= CUT_EVERYWHERE_MAX {
            for cut in 0..=bytes.len() {
                check(&bytes, &[cut]);
            }
            check(&bytes, &(0..=bytes.len()).collect::<Vec<_>>());
        }
        for step in [2, 3, 7, 64, 1000] {
            check(&bytes, &(0..bytes.len()).step_by(step).collect::<Vec<_>>());
        }
        inputs += 1;
    }
    assert!(inputs >= 40, "{inputs} inputs");
}

#[test]
fn what_is_kept_rejected_and_discarded_adds_up_to_the_lines() {
    let bytes = b"Timestamp,Marker,TagIndex,Value\n2025-03-03 10:00:00,S,2,1\n2025-03-03 10:00:00,S,2,1\n\
        2025-03-03 10:00:00,E,2,1\n2025-03-03 10:00:00,S,99,1\n2025-03-03 10:00:00,S,99,1\nnothing\n\n2025-03-03 10:0";
    let said = check(bytes, &[40, 41, 90]);
    let tally = &said.tally;
    assert_eq!(
        (tally.kept, tally.discarded_total(), tally.rejected),
        (2, 1, 4)
    );
    assert_eq!(said.lines, 9);
    let rejects: Vec<_> = said
        .rejects
        .values()
        .map(|reject| (reject.line, reject.count))
        .collect();
    assert_eq!(rejects, [(5, 2), (7, 1), (9, 1)]);
}

/// Minutes of a tape: around a duplicate, a shuffle and bad values, and of the repeated hour.
fn sample() -> Vec<u8> {
    let script = r#"[{"type":"duplicates","start":"2025-10-26 00:05","minutes":3},
        {"type":"out_of_order","start":"2025-10-26 00:10","minutes":5},
        {"type":"bad_values","start":"2025-10-26 00:16","minutes":2}]"#;
    let faults = FaultScript::parse(script).expect("a script");
    let (_, bytes) = tape::tape(5, date(2025, 10, 26), 1, faults).remove(0);
    let line = |number: usize| {
        bytes
            .split_inclusive(|&byte| byte == b'\n')
            .take(number)
            .map(<[u8]>::len)
            .sum::<usize>()
    };
    let mut sample = bytes[..line(27 * 22)].to_vec();
    sample.extend_from_slice(&bytes[line(27 * 160)..line(27 * 162)]);
    assert!(
        check(&sample, &[]).tally.kept > 500,
        "most of the sample is kept"
    );
    sample
}

/// Lines made of likely and unlikely fields.
fn line() -> impl Strategy<Value = String> {
    let stamp = prop_oneof![
        "2025-10-26 0[123]:[0-5][0-9]:[0-5][0-9]",
        "2025-03-30[ T]0[123]:[0-5][0-9]:00(\\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?",
        "[0-9]{4}-[01][0-9]-[0-3][0-9] [0-2][0-9]:[0-6][0-9]:[0-6][0-9]",
        "\\PC{0,25}",
    ];
    let marker = prop_oneof!["[BSE]?", "\\PC{0,3}"];
    let tag = prop_oneof!["[0-9]{1,2}", "-?[0-9]{1,20}", "\\PC{0,4}"];
    let value = prop_oneof!["[01]", "-?[0-9]{1,6}(\\.[0-9]{0,3})?", "\"?\\PC{0,8}\"?,?"];
    (stamp, marker, tag, value)
        .prop_map(|(stamp, marker, tag, value)| format!("{stamp},{marker},{tag},{value}"))
}

fn quick(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(quick(400))]

    #[test]
    fn any_bytes_say_the_same_in_any_pieces(bytes: Vec<u8>, cuts: Vec<u16>) {
        check(&bytes, &cuts.into_iter().map(usize::from).collect::<Vec<_>>());
    }

    #[test]
    fn any_lines_say_the_same_in_any_pieces(
        lines in prop::collection::vec(line(), 0..40),
        encoding in 0..4,
        with_header: bool,
        cuts: Vec<u16>,
    ) {
        let header = if with_header { HEADER } else { "" };
        let text = format!("{header}{}", lines.join("\n"));
        let utf16 = |mark: [u8; 2], unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
            mark.into_iter().chain(text.encode_utf16().flat_map(unit)).collect()
        };
        let bytes = match encoding {
            0 => text.into_bytes(),
            1 => format!("\u{FEFF}{text}").into_bytes(),
            2 => utf16([0xFF, 0xFE], u16::to_le_bytes),
            _ => utf16([0xFE, 0xFF], u16::to_be_bytes),
        };
        check(&bytes, &cuts.into_iter().map(usize::from).collect::<Vec<_>>());
    }

    #[test]
    fn a_tape_with_bytes_changed_says_the_same_in_any_pieces(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..60),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
    ) {
        static SAMPLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(sample);
        let mut bytes = SAMPLE.clone();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        check(&bytes, &cuts.iter().map(|cut| cut.index(bytes.len())).collect::<Vec<_>>());
    }
}
