//! Questions that are not answered, and what can be asked instead.

use super::{NotUnderstood, examples, words::Words};
use crate::calendar::LocalMinute;

/// How many questions are suggested.
const SUGGESTED: usize = 3;

/// Verbs at the beginning that ask the plant to do something.
const PLANT: &[&str] = &[
    "start",
    "stop",
    "turn",
    "switch",
    "shut",
    "run",
    "restart",
    "increase",
    "decrease",
    "raise",
    "lower",
    "disable",
    "enable",
    "set",
    "close",
    "trip",
    "activate",
    "deactivate",
    "reduce",
    "speed",
    "slow",
    "fill",
    "empty",
    "drain",
    "kill",
    "force",
    "reset",
    "pump",
    "adjust",
];
/// Verbs at the beginning that ask the store to change.
const STORE: &[&str] = &[
    "delete", "drop", "insert", "update", "alter", "truncate", "remove", "erase", "wipe", "clear",
    "create", "replace", "write", "edit", "modify", "attach", "vacuum", "pragma", "purge",
    "rename", "save",
];
/// Verbs at the beginning that are for operators' panels.
const PANEL: &[&str] = &[
    "acknowledge",
    "ack",
    "shelve",
    "silence",
    "mute",
    "unshelve",
    "suppress",
    "dismiss",
    "confirm",
];
/// What is no matter of a pump station.
const ELSEWHERE: &[&str] = &[
    "weather",
    "median",
    "percentile",
    "deviation",
    "variance",
    "correlation",
    "joke",
    "poem",
    "news",
    "stock",
    "recipe",
    "football",
    "song",
    "story",
    "movie",
    "president",
    "capital",
    "translate",
    "homework",
    "lottery",
    "rain",
    "temperature",
    "ph",
    "chlorine",
    "turbidity",
    "pressure",
    "vibration",
    "password",
    "passwords",
    "email",
    "user",
    "users",
    "sing",
    "python",
];

fn refused(reason: &str) -> NotUnderstood {
    NotUnderstood::because(reason.into())
}

/// A question that is none for this engine, with the reason.
pub(super) fn not_for_us(question: &str, now: LocalMinute) -> Option<NotUnderstood> {
    let words = Words::read(question, now);
    if words.len() == 0 {
        return Some(refused("nothing was asked"));
    }
    let greets = |word: &str| {
        matches!(
            word,
            "hello"
                | "hi"
                | "hey"
                | "help"
                | "thanks"
                | "thank"
                | "you"
                | "there"
                | "good"
                | "morning"
                | "bye"
        )
    };
    if (0..words.len()).all(|place| greets(words.raw(place))) {
        return Some(refused(
            "questions about this station's figures are answered here, in plain English",
        ));
    }
    let polite = |word: &str| {
        matches!(
            word,
            "please"
                | "can"
                | "could"
                | "would"
                | "will"
                | "you"
                | "now"
                | "just"
                | "to"
                | "i"
                | "want"
                | "let"
                | "us"
                | "kindly"
                | "hey"
                | "ok"
                | "and"
                | "then"
                | "immediately"
        )
    };
    let first = (0..words.len()).find(|place| !polite(words.raw(*place)))?;
    let verb = words.raw(first);
    if STORE.contains(&verb)
        || (0..words.len())
            .any(|place| matches!(words.raw(place), "delete" | "truncate" | "insert"))
    {
        return Some(refused(
            "questions are only answered here; nothing in the store is changed by them",
        ));
    }
    if PANEL.contains(&verb) {
        return Some(refused(
            "questions are only answered here; alerts are acknowledged and shelved from the operators' panels",
        ));
    }
    if is_command(&words, first) {
        return Some(refused("Pumphouse only reads; the PLC keeps all control"));
    }
    if matches!(verb, "select" | "with" | "explain")
        && (0..words.len()).any(|place| words.raw(place) == "from")
        && verb == "select"
    {
        return Some(refused(
            "questions are asked in plain English here, not in SQL",
        ));
    }
    let strange = (0..words.len()).find(|place| ELSEWHERE.contains(&words.raw(*place)));
    if let Some(place) = strange {
        return Some(NotUnderstood::because(format!(
            "nothing is known here of “{}”; ask about the station",
            words.raw(place)
        )));
    }
    None
}

/// A command rather than a question: it begins with a verb, and what follows is a thing to act on.
fn is_command(words: &Words, first: usize) -> bool {
    let verb = words.raw(first);
    let is_thing = |word: &str| {
        matches!(
            word,
            "pump"
                | "on"
                | "off"
                | "all"
                | "the"
                | "level"
                | "tank"
                | "flow"
                | "setpoint"
                | "valve"
                | "it"
                | "them"
                | "every"
                | "both"
                | "down"
                | "up"
                | "speed"
                | "alarm"
                | "alert"
                | "plc"
                | "station"
                | "back"
        ) || word.strip_prefix('p').is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let valve = verb == "open"
        && (first..words.len()).any(|place| matches!(words.word(place), "valve" | "gate"));
    let next = words.word(first + 1);
    let acts = PLANT.contains(&verb) && is_thing(next);
    // "Start of P3", "run hours of P2", "pump 3 yesterday" name a figure.
    let names = matches!(
        verb,
        "pump" | "run" | "empty" | "fill" | "start" | "stop" | "trip" | "lower"
    ) && matches!(next, "hour" | "time" | "of" | "count" | "level" | "flow");
    let pump_alone = verb == "pump" && !matches!(next, "all" | "it" | "down");
    let question = (first..words.len()).any(|place| {
        matches!(
            words.word(place),
            "when" | "how" | "which" | "what" | "many" | "yesterday" | "today" | "last"
        )
    });
    valve || acts && !names && !pump_alone && !question
}

/// Words that nobody here knows.
pub(super) fn unknown(words: &[&str]) -> NotUnderstood {
    let quoted: Vec<String> = words
        .iter()
        .take(4)
        .map(|word| format!("“{}”", word.chars().take(40).collect::<String>()))
        .collect();
    NotUnderstood::because(format!(
        "these words mean nothing here: {}",
        quoted.join(", ")
    ))
}

/// No measure and nothing else that could be looked up.
pub(super) fn nothing_asked(unknown_words: &[&str]) -> NotUnderstood {
    if unknown_words.is_empty() {
        refused(
            "it is not clear which figure is meant: level, flow, volume, power, energy, running time, starts, efficiency, health, alerts, forecasts or plans",
        )
    } else {
        unknown(unknown_words)
    }
}

/// The same with the questions that are nearest in their words.
pub(super) fn with_suggestions(mut refused: NotUnderstood, question: &str) -> NotUnderstood {
    let words = Words::read(question, 0);
    let asked: Vec<&str> = (0..words.len()).map(|place| words.word(place)).collect();
    let shared = |example: &str| {
        let words = Words::read(example, 0);
        let telling = |word: &str| {
            word.len() > 3 && !matches!(word, "what" | "which" | "when" | "this" | "with")
        };
        (0..words.len())
            .filter(|place| telling(words.word(*place)) && asked.contains(&words.word(*place)))
            .count()
    };
    let mut near: Vec<(usize, &str)> = examples()
        .iter()
        .map(|example| (shared(example), *example))
        .collect();
    near.sort_by_key(|(shared, _)| std::cmp::Reverse(*shared));
    refused.suggestions = near
        .into_iter()
        .take(SUGGESTED)
        .map(|(_, example)| example.to_owned())
        .collect();
    refused
}
