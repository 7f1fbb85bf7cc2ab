//! What a host has been told in a session, and so what it must be told next. Pure.

use prost::Message;

use super::{
    metrics::{Definition, Reading, definitions},
    payload::{Kind, Metric, Payload, Properties, Value},
};

/// The metric by which a death is matched with its birth.
const BD_SEQ: &str = "bdSeq";
/// The one metric that a host may write.
const REBIRTH: &str = "Node Control/Rebirth";

/// A session: from a connect to its death.
pub struct Session {
    definitions: Vec<Definition>,
    bd_seq: u8,
    /// The number of the next message.
    seq: u8,
    /// The values that the host knows.
    shown: Vec<Option<Value>>,
}

/// What a command asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// A new birth.
    pub rebirth: bool,
    /// The names of what nobody may write, or their aliases.
    pub refused: Vec<String>,
}

impl Session {
    /// A session that is born with this number.
    pub fn new(bd_seq: u8) -> Self {
        Self {
            definitions: definitions(),
            bd_seq,
            seq: 0,
            shown: Vec::new(),
        }
    }

    /// The metrics that the session tells of.
    pub fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// The death of the session, which the broker is given with the connect.
    pub fn death(&self, now_ms: u64) -> Vec<u8> {
        Payload {
            timestamp: Some(now_ms),
            metrics: vec![self.bd_seq(now_ms)],
            seq: None,
        }
        .encode_to_vec()
    }

    /// A birth: everything there is, with its name, its alias and its present value.
    pub fn birth(&mut self, readings: Vec<Reading>, now_ms: u64) -> Vec<u8> {
        self.seq = 0;
        let rebirth = plain(REBIRTH, Kind::Flag, Value::Boolean(false), now_ms);
        let told = self.definitions.iter().zip(&readings).enumerate();
        let told = told.map(|(place, (definition, reading))| Metric {
            name: Some(definition.name.clone()),
            datatype: Some(definition.kind.datatype()),
            properties: (!definition.unit.is_empty()).then(|| Properties::unit(definition.unit)),
            ..changed(place, reading)
        });
        let metrics = [self.bd_seq(now_ms), rebirth]
            .into_iter()
            .chain(told)
            .collect();
        self.shown = readings.into_iter().map(|reading| reading.value).collect();
        self.next(metrics, now_ms)
    }

    /// What the host does not know yet; `None` when there is nothing.
    pub fn data(&mut self, readings: Vec<Reading>, now_ms: u64) -> Option<Vec<u8>> {
        let news = readings.iter().zip(&self.shown).enumerate();
        let metrics: Vec<_> = news
            .filter(|(_, (reading, shown))| reading.value != **shown)
            .map(|(place, (reading, _))| Metric {
                datatype: Some(self.definitions[place].kind.datatype()),
                ..changed(place, reading)
            })
            .collect();
        if metrics.is_empty() {
            return None;
        }
        self.shown = readings.into_iter().map(|reading| reading.value).collect();
        Some(self.next(metrics, now_ms))
    }

    fn bd_seq(&self, now_ms: u64) -> Metric {
        let number = Value::Long(self.bd_seq.into());
        plain(BD_SEQ, Kind::Whole, number, now_ms)
    }

    /// The next message, its metrics in the order of time.
    fn next(&mut self, mut metrics: Vec<Metric>, now_ms: u64) -> Vec<u8> {
        metrics.sort_by_key(|metric| metric.timestamp);
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        Payload {
            timestamp: Some(now_ms),
            metrics,
            seq: Some(seq.into()),
        }
        .encode_to_vec()
    }
}

/// A metric without an alias: a host must be able to name it before it has seen a birth.
fn plain(name: &str, kind: Kind, value: Value, at_ms: u64) -> Metric {
    Metric {
        name: Some(name.into()),
        timestamp: Some(at_ms),
        datatype: Some(kind.datatype()),
        value: Some(value),
        ..Metric::default()
    }
}

fn changed(place: usize, reading: &Reading) -> Metric {
    Metric {
        alias: Some(place as u64 + 1),
        timestamp: Some(reading.at_ms),
        is_null: reading.value.is_none().then_some(true),
        value: reading.value.clone(),
        ..Metric::default()
    }
}

/// Reads a command.
pub fn asked(command: &[u8]) -> anyhow::Result<Asked> {
    let mut asked = Asked::default();
    for metric in Payload::decode(command)?.metrics {
        let is_rebirth = metric.name.as_deref() == Some(REBIRTH);
        if is_rebirth && metric.value == Some(Value::Boolean(true)) {
            asked.rebirth = true;
        } else {
            let name = metric.name.unwrap_or_else(|| {
                let alias = metric.alias.unwrap_or_default();
                format!("alias {alias}")
            });
            asked.refused.push(name);
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(session: &Session) -> Vec<Reading> {
        let nothing = Reading {
            value: None,
            at_ms: 1,
        };
        vec![nothing; session.definitions().len()]
    }

    fn read(bytes: &[u8]) -> Payload {
        Payload::decode(bytes).expect("a payload")
    }

    #[test]
    fn numbers_run_on_from_the_birth_and_begin_again_after_255() {
        let mut session = Session::new(3);
        let mut readings = unknown(&session);
        assert_eq!(read(&session.birth(readings.clone(), 2)).seq, Some(0));
        for step in 1..600u64 {
            readings[0].value = Some(Value::Long(step));
            let data = session.data(readings.clone(), 2).expect("a change");
            assert_eq!(read(&data).seq, Some(step % 256));
            assert_eq!(session.data(readings.clone(), 3), None, "nothing changed");
        }
        let rebirth = read(&session.birth(readings, 4));
        assert_eq!(rebirth.seq, Some(0));
        assert!(
            rebirth
                .metrics
                .iter()
                .any(|it| it.name.as_deref() == Some(BD_SEQ) && it.value == Some(Value::Long(3)))
        );
    }

    #[test]
    fn data_have_only_what_changed_in_the_order_of_time() {
        let mut session = Session::new(0);
        let mut readings = unknown(&session);
        session.birth(readings.clone(), 9);
        readings[1] = Reading {
            value: Some(Value::Double(2.0)),
            at_ms: 8,
        };
        readings[4] = Reading {
            value: Some(Value::Double(1.0)),
            at_ms: 7,
        };
        // A later minute alone is no news.
        readings[5].at_ms = 8;
        let data = read(&session.data(readings.clone(), 9).expect("changes"));
        let told: Vec<_> = data.metrics.iter().map(|it| (it.alias, &it.name)).collect();
        assert_eq!(told, [(Some(5), &None), (Some(2), &None)]);
        readings[1].value = None;
        let data = read(&session.data(readings, 9).expect("a change"));
        assert_eq!(
            (data.metrics[0].is_null, &data.metrics[0].value),
            (Some(true), &None)
        );
    }

    #[test]
    fn a_command_can_ask_for_a_birth_and_for_nothing_else() {
        let command = |metrics: Vec<Metric>| {
            let payload = Payload {
                timestamp: Some(1),
                metrics,
                seq: None,
            };
            asked(&payload.encode_to_vec()).expect("a command")
        };
        let rebirth = |value| plain(REBIRTH, Kind::Flag, Value::Boolean(value), 1);
        let start = plain("Pumps/P1/On", Kind::Flag, Value::Boolean(true), 1);
        let aliased = Metric {
            alias: Some(9),
            ..Metric::default()
        };
        assert_eq!(
            command(vec![start, rebirth(true), aliased]),
            Asked {
                rebirth: true,
                refused: vec!["Pumps/P1/On".into(), "alias 9".into()]
            }
        );
        assert!(!command(vec![rebirth(false)]).rebirth);
        assert!(asked(b"\xff\xff").is_err());
    }
}
