//! `pumphouse init` on exports of a simulated station and on a file set of FactoryTalk.

mod common;

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use common::{binary, serial_plc::terminal};

fn run(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let output = binary::run(folder, arguments);
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn a_config_is_written_from_the_exports_and_loads() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let simulate = [
        "simulate",
        "--out",
        "plant",
        "--days",
        "5",
        "--start",
        "2025-03-03",
        "--seed",
        "4",
    ];
    assert!(run(folder, &simulate).0);
    let init = [
        "init",
        "--yes",
        "--exports",
        "plant/exports",
        "--timezone",
        "Europe/Berlin",
        "--site-id",
        "north",
    ];
    let (went_well, said) = run(folder, &init);
    assert!(
        went_well && said.contains("5 long; 27 of the station's 27 tags"),
        "{said}"
    );
    let text = fs::read_to_string(folder.join("pumphouse.toml")).expect("a config");
    for line in [
        "id = \"north\"",
        "timezone = \"Europe/Berlin\"",
        "watch = [\"plant/exports\"]",
        "# GUESS: the exports have no tag table",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let config: toml::Table = text.parse().expect("TOML");
    let simulated = fs::read_to_string(folder.join("plant/pumphouse.toml")).expect("its config");
    let simulated: toml::Table = simulated.parse().expect("TOML");
    let number = |table: &toml::Table, key: &str| table["site"][key].as_float().expect("a number");
    for key in ["hlt_physical_max", "fit101_physical_max"] {
        let (guess, truth) = (number(&config, key), number(&simulated, key));
        assert!(
            guess > truth * 0.5 && guess < truth * 2.0,
            "{key}: {guess}, really {truth}"
        );
    }
    let (went_well, said) = run(folder, &["check", "--config", "pumphouse.toml"]);
    assert!(
        went_well && said.contains("lines still say GUESS"),
        "{said}"
    );
    let (went_well, said) = run(
        folder,
        &["ingest", "--config", "pumphouse.toml", "plant/exports"],
    );
    assert!(went_well && said.contains("7200  new rows"), "{said}");

    let (went_well, said) = run(folder, &init);
    assert!(!went_well && said.contains("--force"), "{said}");
    let (went_well, said) = run(
        folder,
        &["init", "--yes", "--exports", "nowhere", "--force"],
    );
    assert!(
        !went_well && said.contains("\"nowhere\" is not there"),
        "{said}"
    );
    let now = fs::read_to_string(folder.join("pumphouse.toml")).expect("a config");
    assert_eq!(now, text, "what fails changes nothing");
}

#[test]
fn a_wrong_answer_is_asked_for_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let simulate = [
        "simulate",
        "--out",
        ".",
        "--days",
        "1",
        "--start",
        "2025-03-03",
    ];
    assert!(run(folder.path(), &simulate).0);
    fs::remove_file(folder.path().join("pumphouse.toml")).expect("it has made a config, too");
    let (mut keyboard, device) = terminal();
    let screen = File::options().read(true).open(device).expect("a terminal");
    keyboard
        .write_all(b"nowhere\n\nNorth 7\nnorth-7\nPumps in the north\nMars/Base\nEurope/Vienna\n")
        .expect("typed");
    let output = binary::command(folder.path(), &["init"])
        .stdin(screen)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    for (word, times) in [
        ("Folder with the exports [exports]:", 2),
        ("\"nowhere\" is not there", 1),
        ("Id of the site [stp-01]:", 2),
        ("\"North 7\" must be 1 to 32 of", 1),
        ("Name of the site", 1),
        ("Time zone of the plant", 2),
        ("\"Mars/Base\" is no IANA time zone", 1),
    ] {
        assert_eq!(said.matches(word).count(), times, "{word}: {said}");
    }
    let text = fs::read_to_string(folder.path().join("pumphouse.toml")).expect("a config");
    for line in [
        "id = \"north-7\"",
        "name = \"Pumps in the north\"",
        "timezone = \"Europe/Vienna\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

#[test]
fn a_tag_table_needs_no_guess_and_an_undecided_date_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let exports = folder.path().join("exports");
    fs::create_dir(&exports).expect("a folder");
    for file in fs::read_dir(corpus.join("dat_set")).expect("a case") {
        let file = file.expect("an entry").path();
        if file.extension().is_some_and(|it| it == "DAT") {
            fs::copy(&file, exports.join(file.file_name().expect("a name"))).expect("copied");
        }
    }
    let (went_well, said) = run(folder.path(), &["init", "--yes"]);
    assert!(
        went_well && said.contains("FactoryTalk table; 4 of the station's 27 tags"),
        "{said}"
    );
    let text = fs::read_to_string(folder.path().join("pumphouse.toml")).expect("a config");
    assert!(!text.contains("no tag table"), "{text}");
    assert!(
        text.contains("# Not found: [PLC]FIT101_HR.DAY_TOTAL"),
        "{text}"
    );

    let undecided = corpus.join("dates_with_slashes_undecided/export.csv");
    fs::copy(undecided, exports.join("export.csv")).expect("copied");
    let (_, said) = run(folder.path(), &["init", "--yes", "--force"]);
    assert!(
        said.contains("day and month cannot be told apart"),
        "{said}"
    );
    let chosen = ["init", "--yes", "--force", "--date-order", "day_first"];
    let (_, said) = run(folder.path(), &chosen);
    assert!(
        said.contains("1 FactoryTalk CSV") && !said.contains("told apart"),
        "{said}"
    );
    let text = fs::read_to_string(folder.path().join("pumphouse.toml")).expect("a config");
    assert!(text.contains("date_order = \"day_first\""), "{text}");
}
