//! A Sparkplug host: it follows a node as the specification has it. Payloads are read and written by `protoc`, not by us.

use std::{
    collections::BTreeMap,
    io::Write,
    process::{Command, Stdio},
};

use super::panel::{Message, Panel};

/// What the tests look at of the payloads, by the field numbers that Sparkplug gives it.
const SCHEMA: &str = r#"
syntax = "proto2";
message Told {
    optional uint64 sent = 1;
    repeated Item item = 2;
    optional uint64 seq = 3;
}
message Item {
    optional string name = 1;
    optional uint64 alias = 2;
    optional uint64 at = 3;
    optional uint32 type = 4;
    optional bool null = 7;
    optional Properties properties = 9;
    optional uint32 int = 10;
    optional uint64 long = 11;
    optional float float = 12;
    optional double double = 13;
    optional bool flag = 14;
    optional string text = 15;
}
message Properties {
    repeated string key = 1;
    repeated Property value = 2;
}
message Property {
    optional uint32 type = 1;
    optional string text = 8;
}
"#;

/// The one command.
pub const REBIRTH: &str = "Node Control/Rebirth";

/// A metric of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Item {
    pub name: Option<String>,
    pub alias: Option<u64>,
    pub at_ms: Option<u64>,
    pub datatype: Option<u64>,
    pub is_null: bool,
    /// The properties as text.
    pub properties: String,
    /// The field that holds the value, and the value as text.
    pub value: Option<(String, String)>,
}

/// A message.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    pub sent_ms: Option<u64>,
    pub seq: Option<u64>,
    pub items: Vec<Item>,
}

fn protoc(verb: &str, input: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("told.proto"), SCHEMA).expect("written");
    let mut process = Command::new("protoc")
        .arg(format!("--{verb}=Told"))
        .arg("told.proto")
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("protoc is needed: apt-get install protobuf-compiler");
    let mut stdin = process.stdin.take().expect("piped");
    // Messages are shorter than what a pipe holds, in and out.
    stdin.write_all(input).expect("written");
    drop(stdin);
    let output = process.wait_with_output().expect("ended");
    assert!(output.status.success(), "protoc cannot {verb}");
    output.stdout
}

/// Reads a payload.
pub fn decode(payload: &[u8]) -> Told {
    let text = String::from_utf8(protoc("decode", payload)).expect("text");
    let mut told = Told::default();
    let mut depth = 0;
    for line in text.lines().map(str::trim) {
        if line == "}" {
            depth -= 1;
            continue;
        }
        let deep = depth;
        if let Some(name) = line.strip_suffix(" {") {
            depth += 1;
            match (deep, name) {
                (0, "item") => told.items.push(Item::default()),
                (1, "properties") | (2, "value") => {}
                _ => panic!("unknown to the specification: {line}"),
            }
            continue;
        }
        let (field, value) = line.split_once(": ").expect("a field and its value");
        let number = || Some(value.parse().expect("a number"));
        if deep == 0 {
            match field {
                "sent" => told.sent_ms = number(),
                "seq" => told.seq = number(),
                _ => panic!("unknown to the specification: {line}"),
            }
            continue;
        }
        let item = told.items.last_mut().expect("begun");
        match (deep, field) {
            (1, "name") => item.name = Some(value.trim_matches('"').into()),
            (1, "alias") => item.alias = number(),
            (1, "at") => item.at_ms = number(),
            (1, "type") => item.datatype = number(),
            (1, "null") => item.is_null = value == "true",
            (1, "int" | "long" | "float" | "double" | "flag" | "text") => {
                item.value = Some((field.into(), value.trim_matches('"').into()));
            }
            (2 | 3, _) => item.properties.push_str(&format!("{field}={value} ")),
            _ => panic!("unknown to the specification: {line}"),
        }
    }
    told
}

/// A command that writes yes or no to metrics.
pub fn command(metrics: &[(&str, bool)]) -> Vec<u8> {
    let mut text = String::from("sent: 1772373600000\n");
    for (name, value) in metrics {
        text.push_str(&format!(
            "item {{ name: {name:?} at: 1772373600000 type: 11 flag: {value} }}\n"
        ));
    }
    protoc("encode", text.as_bytes())
}

/// What a host believes of a node, all rules checked that a host can see kept.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Messages looked at.
    looked_at: usize,
    /// Whether the node lives.
    pub alive: bool,
    /// Births so far.
    pub births: usize,
    /// Messages with data so far.
    pub data: usize,
    /// The sessions' numbers at their deaths.
    pub deaths: Vec<u64>,
    /// The present session's number.
    pub bd_seq: Option<u64>,
    /// The newest birth.
    pub birth: Told,
    seq: u64,
    names: BTreeMap<u64, String>,
    types: BTreeMap<u64, u64>,
    /// The values by name; `None` for what is unknown.
    pub values: BTreeMap<String, Option<String>>,
    /// The times of the values, ms since 1970.
    pub times: BTreeMap<String, u64>,
}

impl Host {
    /// Follows what the panel has heard, until the condition holds.
    #[track_caller]
    pub fn follow(&mut self, panel: &Panel, what: &str, until: impl Fn(&Self) -> bool) {
        panel.wait_for_all(what, |messages| {
            for message in &messages[self.looked_at..] {
                self.looked_at += 1;
                self.hear(message);
                if until(self) {
                    return Some(());
                }
            }
            until(self).then_some(())
        });
    }

    /// The value of a metric.
    #[track_caller]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .unwrap_or_else(|| panic!("no metric {name}"))
            .as_deref()
    }

    fn hear(&mut self, message: &Message) {
        let verb = message.topic.split('/').nth(2).expect("a verb");
        if !["NBIRTH", "NDATA", "NDEATH"].contains(&verb) {
            return;
        }
        assert!(!message.retained, "{} is retained", message.topic);
        let told = decode(&message.payload);
        assert!(
            told.sent_ms.is_some_and(|ms| ms > 1_600_000_000_000),
            "sent: {told:?}"
        );
        match verb {
            "NBIRTH" => self.hear_birth(told),
            "NDATA" => self.hear_data(&told),
            _ => {
                assert_eq!(told.seq, None, "a death has no number");
                assert_eq!(told.items.len(), 1);
                let died = number_of_session(&told);
                self.deaths.push(died);
                // One of a session before says nothing of this one.
                self.alive &= self.bd_seq != Some(died);
            }
        }
    }

    fn hear_birth(&mut self, told: Told) {
        assert_eq!(told.seq, Some(0));
        let bd_seq = number_of_session(&told);
        assert!(bd_seq < 256);
        if self.alive {
            assert_eq!(
                self.bd_seq,
                Some(bd_seq),
                "a birth anew is of the same session"
            );
        }
        self.bd_seq = Some(bd_seq);
        self.alive = true;
        self.births += 1;
        self.seq = 0;
        (self.names, self.types) = Default::default();
        (self.values, self.times) = Default::default();
        let mut before = 0;
        for item in &told.items {
            let name = item.name.clone().expect("a birth names everything");
            let datatype = item.datatype.expect("a birth has every type");
            let at_ms = item.at_ms.expect("every metric has its time");
            assert!(at_ms >= before, "{name} is out of the order of time");
            before = at_ms;
            if name == REBIRTH || name == "bdSeq" {
                assert_eq!(item.alias, None, "{name} is known by its name");
            } else {
                let alias = item.alias.expect("an alias");
                assert_eq!(
                    self.names.insert(alias, name.clone()),
                    None,
                    "alias {alias} twice"
                );
                self.types.insert(alias, datatype);
            }
            let value = value_of(item, datatype, &name);
            assert_eq!(
                self.values.insert(name.clone(), value),
                None,
                "{name} twice"
            );
            self.times.insert(name, at_ms);
        }
        assert_eq!(self.value(REBIRTH), Some("false"));
        self.birth = told;
    }

    fn hear_data(&mut self, told: &Told) {
        assert!(self.alive, "data come before the birth or after the death");
        self.seq = (self.seq + 1) % 256;
        assert_eq!(told.seq, Some(self.seq), "the numbers run on");
        assert!(!told.items.is_empty(), "data tell something");
        self.data += 1;
        let mut before = 0;
        for item in &told.items {
            assert_eq!(item.name, None, "an alias stands for the name");
            let alias = item.alias.expect("an alias");
            let name = self.names.get(&alias).expect("one of the birth").clone();
            let at_ms = item.at_ms.expect("every metric has its time");
            assert!(at_ms >= before, "{name} is out of the order of time");
            before = at_ms;
            let datatype = self.types[&alias];
            assert_eq!(item.datatype.unwrap_or(datatype), datatype);
            let value = value_of(item, datatype, &name);
            let before = self.values.insert(name.clone(), value.clone());
            assert_ne!(before, Some(value), "{name} has not changed");
            self.times.insert(name, at_ms);
        }
    }
}

fn number_of_session(told: &Told) -> u64 {
    let item = told
        .items
        .iter()
        .find(|it| it.name.as_deref() == Some("bdSeq"));
    let item = item.expect("a bdSeq");
    assert_eq!(item.datatype, Some(4), "bdSeq is an Int64");
    let (field, value) = item.value.as_ref().expect("a value");
    assert_eq!(field, "long");
    value.parse().expect("a number")
}

/// The value, in the field that belongs to its type.
fn value_of(item: &Item, datatype: u64, name: &str) -> Option<String> {
    let field = match datatype {
        4 => "long",
        10 => "double",
        11 => "flag",
        12 => "text",
        other => panic!("{name} has type {other}"),
    };
    match &item.value {
        None => {
            assert!(item.is_null, "{name} has no value and does not say so");
            None
        }
        Some((in_field, value)) => {
            assert!(!item.is_null && in_field == field, "{name}: {item:?}");
            Some(value.clone())
        }
    }
}
