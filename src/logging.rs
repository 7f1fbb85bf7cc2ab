//! The log: to the journal where there is one, otherwise to standard error; one line an entry, data in keys.

use std::fmt::Write;

use log::{
    Level, LevelFilter, Log, Metadata, Record,
    kv::{Error, Key, Value, VisitSource},
};

/// Starts the log; entries above `most` in detail are left out.
pub fn start(most: LevelFilter) {
    let journal = systemd_journal_logger::connected_to_journal()
        .then(systemd_journal_logger::JournalLog::new)
        .and_then(Result::ok);
    let target: Box<dyn Log> = match journal {
        Some(journal) => Box::new(journal),
        None => Box::new(Stderr),
    };
    // Only a second logger can be refused, and there is none.
    let _ = log::set_boxed_logger(Box::new(Ours(target)));
    log::set_max_level(most);
}

/// The causes of an error, each once: libraries tell an inner error in the text of the outer one, too.
pub fn causes(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Our own entries, and what the libraries warn of; the demo's broker talks to itself and is left out.
struct Ours(Box<dyn Log>);

impl Log for Ours {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let ours = target.starts_with("pumphouse");
        let noise = target.starts_with("rumqttd") || target.starts_with("tracing");
        ours || (metadata.level() <= Level::Warn && !noise)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut keys = Keys(String::new());
        // Writing into a text does not fail.
        let _ = record.key_values().visit(&mut keys);
        // The journal has the keys as fields, too, but shows those only to who asks for them.
        let (builder, text) = (&mut record.to_builder(), record.args());
        self.0
            .log(&builder.args(format_args!("{text}{}", keys.0)).build());
    }

    fn flush(&self) {
        self.0.flush();
    }
}

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        eprintln!("{:5} {}", record.level(), record.args());
    }

    fn flush(&self) {}
}

struct Keys(String);

impl<'kvs> VisitSource<'kvs> for Keys {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let text = value.to_string();
        let quoted = text.is_empty() || text.contains([' ', '"']);
        let written = if quoted {
            write!(self.0, " {key}={text:?}")
        } else {
            write!(self.0, " {key}={text}")
        };
        written.map_err(Error::from)
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn tells_each_cause_once() {
        let inner = anyhow!("connection refused");
        assert_eq!(causes(&inner), "connection refused");
        let told_twice = anyhow!("connection refused").context("i/o: connection refused");
        assert_eq!(causes(&told_twice), "i/o: connection refused");
        let of_two = inner.context("cannot reach db:5432");
        assert_eq!(causes(&of_two), "cannot reach db:5432: connection refused");
    }
}
