//! What panels ask for over `cmd/…`: JSON → a request that the store can answer.

use jiff::Timestamp;
use serde_json::Value;

use crate::store::operators::{Asked, Request, Verb};

/// Longest request that is read, bytes.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Longest text of an operator, characters.
const TEXT_CHARS_MAX: usize = 500;
/// Longest request id, characters.
const ID_CHARS_MAX: usize = 64;

/// Reads a request; `None` when it has no id under which it could be answered, with the reason in the log.
pub fn read(verb: &str, payload: &[u8]) -> Option<Asked> {
    let unanswerable = |why: &str| {
        log::warn!(verb, cause = why; "a request from a panel cannot be answered");
        None
    };
    if payload.len() > REQUEST_BYTES_MAX {
        return unanswerable("it is too long");
    }
    let fields: Value = match serde_json::from_slice(payload) {
        Ok(fields) => fields,
        Err(error) => return unanswerable(&format!("it is no JSON: {error}")),
    };
    let Some(id) = fields["request_id"].as_str().filter(|id| is_id(id)) else {
        return unanswerable(
            "request_id is missing, or not 1 to 64 of letters, digits, '.', '_' and '-'",
        );
    };
    Some(Asked {
        id: id.to_owned(),
        verb: verb.to_owned(),
        request: request(verb, &fields),
    })
}

fn is_id(id: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=ID_CHARS_MAX).contains(&id.len()) && id.chars().all(plain)
}

fn request(verb: &str, fields: &Value) -> Result<Request, String> {
    let verb = Verb::parse(verb).ok_or_else(|| {
        format!("cmd/{verb} is none of cmd/ack, cmd/shelve, cmd/unshelve, cmd/out_of_service, cmd/in_service")
    })?;
    let text = |key: &str| match &fields[key] {
        Value::Null => Ok(None),
        Value::String(text) if text.chars().count() > TEXT_CHARS_MAX => {
            Err(format!("{key} is longer than {TEXT_CHARS_MAX} characters"))
        }
        Value::String(text) => {
            let text: String = text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
        }
        _ => Err(format!("{key} must be a text")),
    };
    let needed = |key: &str| text(key)?.ok_or_else(|| format!("{key} is missing"));
    let until = text("until")?
        .map(|until| {
            until.parse::<Timestamp>().map_err(|_| {
                format!("until is {until:?}; it must be a time like 2026-03-01T14:00:00Z")
            })
        })
        .transpose()?;
    Ok(Request {
        verb,
        event_id: needed("event_id")?,
        operator: needed("user")?,
        comment: text("comment")?,
        until_ts: until.map(Timestamp::as_second),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(verb: &str, payload: &str) -> Option<Result<Request, String>> {
        read(verb, payload.as_bytes()).map(|asked| asked.request)
    }

    #[test]
    fn reads_a_request_and_refuses_with_a_reason() {
        let shelve = asked(
            "shelve",
            r#"{"request_id":"r-1","event_id":"B-01.P2.20260301T140000Z","user":" op ","comment":"new relay","until":"2026-03-01T15:00:00+01:00"}"#,
        );
        let shelve = shelve.expect("an id").expect("a request");
        assert_eq!(
            (
                shelve.verb,
                shelve.operator.as_str(),
                shelve.comment.as_deref()
            ),
            (Verb::Shelve, "op", Some("new relay"))
        );
        assert_eq!(shelve.until_ts, Some(1_772_373_600));
        for (verb, payload, reason) in [
            (
                "ack",
                r#"{"request_id":"r","user":"op"}"#,
                "event_id is missing",
            ),
            (
                "ack",
                r#"{"request_id":"r","event_id":"B-01","user":"  "}"#,
                "user is missing",
            ),
            (
                "ack",
                r#"{"request_id":"r","event_id":"B-01","user":7}"#,
                "user must be a text",
            ),
            (
                "shelve",
                r#"{"request_id":"r","event_id":"B-01","user":"op","until":"soon"}"#,
                "until is \"soon\"",
            ),
            ("start_pump", r#"{"request_id":"r"}"#, "is none of"),
        ] {
            let refusal = asked(verb, payload)
                .expect("an id")
                .expect_err("no request");
            assert!(refusal.contains(reason), "{refusal}");
        }
    }

    #[test]
    fn what_has_no_usable_id_is_not_answered() {
        for payload in [
            "",
            "no json",
            "[]",
            r#"{"event_id":"B-01"}"#,
            r#"{"request_id":"a/b"}"#,
            r#"{"request_id":""}"#,
        ] {
            assert!(asked("ack", payload).is_none(), "{payload}");
        }
    }
}
