//! The documents say what the program says.

use std::{fs, path::Path, process::Command};

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).expect("the file is there")
}

#[test]
fn the_readme_has_the_catalogues_table() {
    let output = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
        .args(["rules", "--markdown"])
        .output()
        .expect("it runs");
    let table = String::from_utf8(output.stdout).expect("text");
    assert_eq!(table.lines().count(), 47 + 2);
    assert!(
        read("README.md").contains(&table),
        "put the output of `pumphouse rules --markdown` into README.md"
    );
}

#[test]
fn the_alarm_register_is_what_the_program_prints() {
    let output = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
        .args(["rules", "--register"])
        .output()
        .expect("it runs");
    let register = String::from_utf8(output.stdout).expect("text");
    assert_eq!(register.matches("\n## ").count(), 47);
    assert!(
        read("docs/alarm-register.md") == register,
        "put the output of `pumphouse rules --register` into docs/alarm-register.md"
    );
}

#[test]
fn the_readmes_commands_exist() {
    let readme = read("README.md");
    assert!(readme.contains("cargo run --release -- demo") && readme.contains("\ntests/run\n"));
    assert!(read(".ci/run").contains("tests/run"));
    for verb in [
        "demo", "run", "ingest", "check", "status", "rules", "alarms", "verify", "resync",
        "central", "notify", "simulate", "forecast", "plan", "models", "ask", "password", "doctor",
        "backup", "restore", "export", "manual",
    ] {
        let help = Command::new(env!("CARGO_BIN_EXE_pumphouse"))
            .args([verb, "--help"])
            .output()
            .expect("it runs");
        assert!(help.status.success() && !help.stdout.is_empty(), "{verb}");
    }
}

#[test]
fn every_module_of_the_architecture_notes_exists() {
    let notes = read("docs/ARCHITECTURE.md");
    for module in [
        "historian",
        "derive",
        "rules",
        "rollups",
        "store",
        "publish",
        "sync",
        "notify",
        "forecast",
        "schedule",
        "web",
        "assistant",
        "config",
        "simulate",
        "cli",
    ] {
        assert!(notes.contains(&format!("{module}/")), "{module}");
        assert!(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("src")
                .join(module)
                .is_dir(),
            "{module}"
        );
    }
}

#[test]
fn pure_modules_name_no_io_and_no_clock() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut pure = vec![
        source.join("station.rs"),
        source.join("plant.rs"),
        source.join("tags.rs"),
        source.join("forecast/features.rs"),
        source.join("forecast/trees.rs"),
        source.join("tariff.rs"),
    ];
    for folder in [
        "derive",
        "rules",
        "rollups",
        "schedule",
        "assistant/intents",
    ] {
        let files = fs::read_dir(source.join(folder)).expect("a folder");
        let files = files.map(|entry| entry.expect("a file").path());
        pure.extend(files.filter(|file| {
            !["worker.rs", "books.rs"]
                .iter()
                .any(|shell| file.ends_with(shell))
        }));
    }
    for file in pure {
        let text = fs::read_to_string(&file).expect("source");
        for banned in [
            "std::fs",
            "std::net",
            "std::time",
            "rusqlite",
            "tokio",
            "Instant",
            "SystemTime",
            "rand::",
        ] {
            assert!(!text.contains(banned), "{} names {banned}", file.display());
        }
    }
}
