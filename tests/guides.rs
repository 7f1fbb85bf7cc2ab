//! What the guides promise is there: the commands that they tell to type, the places that they link to, and the columns that the
//! dashboard for the central office asks for.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use common::{
    binary,
    postgres::{Postgres, psql},
};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The guides: README and what lies in docs.
fn guides() -> BTreeMap<PathBuf, String> {
    let docs = fs::read_dir(root().join("docs")).expect("the docs");
    let docs = docs.map(|entry| entry.expect("a file").path());
    docs.chain([root().join("README.md"), root().join("CHANGELOG.md")])
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a text");
            (path, text)
        })
        .collect()
}

/// Headings as the names that a link can have.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let name = line.trim_start_matches('#').trim().to_lowercase();
        let kept = name
            .chars()
            .filter(|it| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_'));
        kept.map(|it| if it == ' ' { '-' } else { it }).collect()
    };
    headings.map(anchor).collect()
}

/// Where a text's links lead, but for those to elsewhere.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains("://"))
}

#[test]
fn links_lead_somewhere() {
    let guides = guides();
    let mut followed = 0;
    for (path, text) in &guides {
        for link in links(text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().expect("a folder").join(file),
            };
            let target = fs::canonicalize(&target);
            let target =
                target.unwrap_or_else(|_| panic!("{}: {link} is not there", path.display()));
            followed += 1;
            if !anchor.is_empty() {
                let text = guides.get(&target).expect("a guide");
                let anchors = anchors(text);
                assert!(
                    anchors.contains(anchor),
                    "{}: no #{anchor} in {file}",
                    path.display()
                );
            }
        }
    }
    assert!(followed > 50, "{followed}");
}

/// The files that the package puts under its documentation, by their places there.
fn packaged() -> BTreeSet<PathBuf> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("the manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let assets = &manifest["package"]["metadata"]["deb"]["assets"];
    let mut files = BTreeSet::new();
    for asset in assets.as_array().expect("a list") {
        let (from, to) = (asset[0].as_str(), asset[1].as_str());
        let Some(to) = to.and_then(|to| to.strip_prefix("usr/share/doc/pumphouse/")) else {
            continue;
        };
        let from = root().join(from.expect("a file's name"));
        let from: Vec<PathBuf> = match from.ends_with("*") {
            true => fs::read_dir(from.parent().expect("a folder"))
                .expect("the folder")
                .map(|entry| entry.expect("a file").path())
                .collect(),
            false => vec![from],
        };
        for file in from {
            let name = file.file_name().expect("a name");
            files.insert(match to.is_empty() || to.ends_with('/') {
                true => Path::new(to).join(name),
                false => PathBuf::from(to),
            });
        }
    }
    files
}

#[test]
fn links_lead_somewhere_on_a_box_too() {
    let (guides, packaged) = (guides(), packaged());
    let mut followed = 0;
    for (path, text) in &guides {
        let path = path.strip_prefix(root()).expect("below the root");
        if !packaged.contains(path) {
            continue;
        }
        for link in links(text) {
            let file = link.split('#').next().expect("a part");
            let target = root().join(path.parent().expect("a folder")).join(file);
            let target = fs::canonicalize(&target).expect("a file of the project");
            let target = target.strip_prefix(root()).expect("below the root");
            followed += 1;
            assert!(
                file.is_empty() || packaged.iter().any(|it| it.starts_with(target)),
                "{}: {link} is not in the package",
                path.display()
            );
        }
    }
    assert!(followed > 40, "{followed}");
}

/// The words of the program's commands in a text: verbs, and options with the verb that they belong to.
fn commands(text: &str) -> BTreeSet<(Vec<String>, String)> {
    let mut found = BTreeSet::new();
    let is_word = |word: &str| {
        word.len() > 1
            && word.chars().all(|it| it.is_ascii_lowercase() || it == '-')
            && !word.starts_with('-')
    };
    let text = text.replace("\\\n", " ");
    let starts = text.match_indices("pumphouse ").filter(|(at, _)| {
        let before = text[..*at].chars().next_back();
        before.is_none_or(|it| matches!(it, '`' | '\n' | ' ' | '/' | '(' | '\''))
    });
    for (at, start) in starts {
        let rest = &text[at + start.len()..];
        let rest = &rest[..rest
            .find(['`', '\n', '#', '|', ';', ')', '\''])
            .unwrap_or(rest.len())];
        // Prose goes on in words; a command has an option or ends at its quote.
        let is_code = text[..at].ends_with('`') || rest.contains("--");
        // A user of this name is before the command.
        if !is_code || rest.starts_with("pumphouse ") {
            continue;
        }
        let words: Vec<&str> = rest.split_whitespace().collect();
        let verbs: Vec<String> = words
            .iter()
            .take(2)
            .take_while(|word| is_word(word))
            .map(|word| (*word).to_owned())
            .collect();
        for word in &words {
            let option = word.split('=').next().unwrap_or(word);
            let is_option = option.len() > 2
                && option.starts_with("--")
                && option[2..]
                    .chars()
                    .all(|it| it.is_ascii_lowercase() || it == '-');
            if is_option {
                found.insert((verbs.clone(), option.to_owned()));
            }
        }
        found.insert((verbs, String::new()));
    }
    found
}

/// The help of a verb; of a verb and its argument when that is a verb of its own.
fn help(verbs: &[String]) -> Option<String> {
    let ask = |verbs: &[String]| {
        let mut arguments: Vec<&str> = verbs.iter().map(String::as_str).collect();
        arguments.push("--help");
        let output = binary::run(root(), &arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(text)
    };
    let first = ask(&verbs[..verbs.len().min(1)])?;
    // `--help` is heard wherever it stands, so a word that is no verb of its own gives the help of the one before.
    ask(verbs).or(Some(first))
}

#[test]
fn commands_can_be_typed() {
    let mut seen = 0;
    let mut helps: BTreeMap<Vec<String>, Option<String>> = BTreeMap::new();
    for (path, text) in guides() {
        for (verbs, option) in commands(&text) {
            if verbs.is_empty() {
                continue;
            }
            let help = helps.entry(verbs.clone()).or_insert_with(|| help(&verbs));
            let help = help.as_ref();
            let help = help.unwrap_or_else(|| panic!("{}: no verb {verbs:?}", path.display()));
            assert!(
                help.contains(&option),
                "{}: {verbs:?} has no {option}",
                path.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 60, "{seen}");
}

#[test]
fn the_offices_dashboard_asks_for_what_there_is() {
    let board =
        fs::read_to_string(root().join("docs/grafana-central.json")).expect("the dashboard");
    let board: Value = serde_json::from_str(&board).expect("JSON");
    let server = Postgres::start();
    server.create_database("plant");
    let folder = tempfile::TempDir::with_prefix("pumphouse-guides-").expect("a folder");
    fs::write(folder.path().join("password"), "secret\n").expect("written");
    let url = server.superuser_url("plant");
    let done = binary::run(
        folder.path(),
        &[
            "central",
            "init",
            "--url",
            &url,
            "--reader",
            "office",
            "--reader-password-file",
            "password",
        ],
    );
    assert!(done.status.success(), "{done:?}");
    let office = server.url("office", "secret", "plant");
    let panels = board["panels"].as_array().expect("panels");
    let queries = panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .map(|target| target["rawSql"].as_str().expect("SQL"));
    let mut asked = 0;
    for query in queries {
        let mut sql = query
            .replace("${site:sqlstring}", "'stp-01', 'stp-02'")
            .replace("$__timeFrom()", "now() - interval '7 days'")
            .replace("$__timeTo()", "now()");
        while let Some(begin) = sql.find("$__timeFilter(") {
            let end = begin + sql[begin..].find(')').expect("its end");
            let column = sql[begin + "$__timeFilter(".len()..end].to_owned();
            sql.replace_range(
                begin..=end,
                &format!("{column} BETWEEN now() - interval '7 days' AND now()"),
            );
        }
        assert!(!sql.contains('$'), "{sql}");
        psql(&office, &sql).unwrap_or_else(|error| panic!("{error}\n{sql}"));
        asked += 1;
    }
    assert!(asked >= 20, "{asked}");
}
