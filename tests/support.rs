//! `support-bundle`: what is in it, and what is not.

mod common;

use std::{collections::BTreeMap, fs, io::Read, path::Path};

use common::station::Folder;
use flate2::read::GzDecoder;

/// Files of a bundle, by name.
fn unpack(path: &Path) -> BTreeMap<String, String> {
    let file = fs::File::open(path).expect("a bundle");
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let entries = archive.entries().expect("entries");
    entries
        .map(|entry| {
            let mut entry = entry.expect("an entry");
            let path = entry.path().expect("a name").into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).expect("a text");
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), text)
        })
        .collect()
}

fn bundle(folder: &Folder, name: &str) -> BTreeMap<String, String> {
    let out = folder.store().with_file_name(name);
    let (is_fine, told) = folder.verb(&["support-bundle", "--out", out.to_str().expect("plain")]);
    assert!(is_fine, "{told}");
    assert!(
        told.contains("Look through it before you send it"),
        "{told}"
    );
    let (again, _) = folder.verb(&["support-bundle", "--out", out.to_str().expect("plain")]);
    assert!(!again, "nothing is written over");
    unpack(&out)
}

#[test]
fn a_bundle_tells_what_is_wrong_and_no_secret() {
    let folder = Folder::new("support");
    let home = folder.store().with_file_name("");
    fs::write(home.join("mqtt-password"), "hunter-of-the-broker\n").expect("written");
    fs::write(home.join("pg-password"), "hunter-of-the-office\n").expect("written");
    fs::write(home.join("webhook-token"), "hunter-of-the-hook\n").expect("written");
    folder.configure(
        "# an old one was hunter-in-a-comment\n[mqtt]\nurl = \"mqtt://127.0.0.1:1\"\nusername = \"case\"\n\
         password_file = \"mqtt-password\"\n[central]\n\
         url = \"postgres://case@127.0.0.1:1/plant?sslmode=disable\"\n\
         password_file = \"pg-password\"\n[notify]\nwebhook_url = \"https://127.0.0.1:1/hunter-in-the-path\"\n\
         webhook_token_file = \"webhook-token\"\ncommand = [\"call\", \"--key\", \"hunter-in-an-argument\"]\n",
    );
    folder.simulate(3);
    // A line that nobody can read, with a secret in it, is a reject.
    let line = "hunter-of-the-broker,hunter-of-the-office,9\n";
    fs::write(
        folder.exports().join("zz.csv"),
        format!("Timestamp,Marker,TagIndex,Value\n{line}"),
    )
    .expect("written");
    let exports = folder.exports();
    let (loaded, told) = folder.verb(&["ingest", exports.to_str().expect("a name")]);
    assert!(loaded, "{told}");

    let files = bundle(&folder, "one.tar.gz");
    for (name, text) in &files {
        assert!(!text.contains("hunter"), "{name}: {text}");
    }
    let config: toml::Table = files["config.toml"].parse().expect("TOML");
    assert_eq!(config["mqtt"]["username"].as_str(), Some("case"));
    assert_eq!(
        config["central"]["url"].as_str(),
        Some("postgres://case@127.0.0.1:1/plant?sslmode=disable")
    );
    let status: serde_json::Value = serde_json::from_str(&files["status.json"]).expect("JSON");
    assert_eq!(
        status["rows"],
        folder
            .query("SELECT count(*) FROM readings_wide")
            .parse::<i64>()
            .expect("a count")
    );
    assert!(files["doctor.txt"].contains("→"), "{}", files["doctor.txt"]);
    assert!(
        files["rejects.csv"].contains("(hidden),(hidden),9"),
        "{}",
        files["rejects.csv"]
    );
    for (name, part) in [
        ("check.txt", "note"),
        ("alerts.csv", "id,"),
        ("rules.txt", "B-01"),
        ("machine.txt", "pumphouse "),
        ("files.txt", "out.db"),
    ] {
        assert!(files[name].contains(part), "{name}: {}", files[name]);
    }
    assert!(files.contains_key("log.txt") && files.contains_key("unit.txt"));
}

#[test]
fn a_config_that_cannot_be_read_makes_a_bundle_too() {
    let folder = Folder::new("support-broken");
    fs::write(folder.config(), "[mqtt]\npassword = \"hunter\n").expect("written");
    let files = bundle(&folder, "two.tar.gz");
    assert!(
        files.values().all(|text| !text.contains("hunter")),
        "{files:?}"
    );
    assert!(
        files["check.txt"].contains("pumphouse.toml"),
        "{}",
        files["check.txt"]
    );

    // Refused for its password, which the bundle does not have either.
    folder.configure("[central]\nurl = \"postgres://case:hunter@127.0.0.1:1/plant?password=hunter-in-the-query\"\n\
         [mqtt]\nurl = \"mqqt://case:hunter@127.0.0.1:1\"\npasword = \"hunter-misspelt\"\n[notify]\ncommand = \"call hunter\"\n");
    let files = bundle(&folder, "three.tar.gz");
    assert!(
        files.values().all(|text| !text.contains("hunter")),
        "{files:?}"
    );
    assert!(
        files["check.txt"].contains("has a password in it"),
        "{}",
        files["check.txt"]
    );
}
