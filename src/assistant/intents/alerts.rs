//! Alerts: how many, which, when the last one was, which rule, which pump, on which day.

use super::{
    Shaped, Understood, alert_lists,
    asked::Asked,
    buckets, compare,
    figure::mean_of_buckets,
    measures::{Fold, measure},
    names::topic,
    periods::Period,
    pumps::ranking,
    say, series,
    sources::{Group, Source},
    topics::{Topic, rule, severity},
};
use crate::{
    rules::{Rule, Severity},
    tags::pump_name,
};

/// Which alerts a question is about.
pub(super) struct Chosen {
    /// A rule by its code.
    pub(super) rule: Option<&'static Rule>,
    /// A topic.
    pub(super) topic: Option<&'static Topic>,
    /// A severity.
    pub(super) severity: Option<Severity>,
    /// A pump.
    pub(super) pump: Option<usize>,
    /// Only those that are still active.
    pub(super) open: bool,
}

impl Chosen {
    /// What one of them is called.
    pub(super) fn name(&self) -> String {
        let name = match (self.rule, self.topic) {
            (Some(rule), _) => format!("{} alert", rule.code),
            (None, Some(topic)) => topic.name.into(),
            (None, None) => "alert".into(),
        };
        let severity = self
            .severity
            .map_or(String::new(), |severity| match severity {
                Severity::Critical => "critical ".into(),
                other => format!("{} ", other.name()),
            });
        format!("{severity}{name}")
    }

    /// The pump that they are of: ` of P4`.
    pub(super) fn whose(&self) -> String {
        self.pump
            .map_or(String::new(), |pump| format!(" of {}", pump_name(pump)))
    }

    /// The condition for them, beside that of time and pump; `None` for all.
    fn only(&self) -> Option<String> {
        let mut all = Vec::new();
        match (self.rule, self.topic) {
            (Some(rule), _) => all.push(format!("rule = '{}'", rule.code)),
            (None, Some(topic)) => {
                let codes: Vec<String> =
                    topic.rules.iter().map(|code| format!("'{code}'")).collect();
                all.push(format!("rule IN ({})", codes.join(", ")));
            }
            (None, None) => (),
        }
        if let Some(severity) = self.severity {
            all.push(format!("severity = '{}'", severity.name()));
        }
        if self.open {
            all.push("resolved = 0".into());
        }
        (!all.is_empty()).then(|| all.join(" AND "))
    }

    /// The condition for them in a period, or at any time.
    pub(super) fn condition(&self, period: Option<&Period>) -> String {
        let mut all: Vec<String> = period
            .map(|period| Source::Alerts.within(period))
            .into_iter()
            .collect();
        all.extend(
            self.pump
                .map(|pump| format!("pump = '{}'", pump_name(pump))),
        );
        all.extend(self.only());
        if all.is_empty() {
            "1".into()
        } else {
            all.join(" AND ")
        }
    }
}

/// Questions about alerts.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let words = &asked.words;
    let says = words.any("alert, incident, event, alerting, alert frequency");
    let code = (0..words.len()).find_map(|place| rule(words.raw(place)));
    let asks_rules = words.any("which rule, what rule, rule");
    let topic = topic(words, says).filter(|_| code.is_none());
    let (severity, open_ones) = severities(asked, says || asks_rules);
    let vague = asked
        .measures
        .first()
        .is_some_and(|measure| measure.column == "alerts");
    if !(says
        || code.is_some()
        || asks_rules
        || vague
        || severity.is_some() && (open_ones || asked.measures.is_empty())
        || topic.is_some_and(|topic| topic.is_plain))
    {
        return None;
    }
    // Gaps in the data are looked up in the data.
    if !says && code.is_none() && topic.is_some_and(|topic| topic.rules.contains(&"F-02")) {
        return None;
    }
    let open = words.any("open, active, unresolved, outstanding, standing")
        || asked.periods.is_empty()
            && words.any("now, currently, right now, at the moment, current")
        // "Is the tank overflowing?" is about now.
        || asked.periods.is_empty() && topic.is_some() && words.begins(&["is", "are"]) && !words.has("there");
    let chosen = Chosen {
        rule: code,
        topic,
        severity,
        pump: asked.one_pump(),
        open: open && !words.any("opened"),
    };
    asked_of(asked, chosen).map(Ok)
}

/// The severity that is meant, and whether the question is about what is open.
fn severities(asked: &Asked, says: bool) -> (Option<Severity>, bool) {
    let words = &asked.words;
    let found = (0..words.len()).find_map(|place| severity(words.word(place)));
    let certain = says
        || words.any("severity, priority")
        || matches!(found, Some(Severity::Critical | Severity::Warning));
    let open = words.any("open, active, unresolved, one, ones, how many");
    (found.filter(|_| certain), open)
}

fn asked_of(asked: &Asked, chosen: Chosen) -> Option<Understood> {
    let words = &asked.words;
    let explains = words.any("mean, meaning, explain, what is, what does, cause, action, what should, do about, describe");
    if let Some(rule) = chosen.rule.filter(|_| explains && asked.periods.is_empty()) {
        return Some(alert_lists::explained(rule));
    }
    let long = words.any(
        "how long, duration, longest, shortest, last on average, lasted, how much time, downtime, \
         total time, outage time",
    );
    let last_one = words.any("last, latest, most recent, newest, recent, previous");
    let first_one = words.any("first, earliest");
    if long
        && !asked.each_pump
        && (asked.group.is_none() || words.any("longest"))
        && !asked.words.any("last time")
    {
        return Some(alert_lists::durations(asked, &chosen, last_one));
    }
    if let Some(limit) = asked.limit.filter(|limit| limit.is_time) {
        return Some(alert_lists::longer(asked, &chosen, limit));
    }
    if words.any("which rule, what rule, which alert, what alert, by rule, per rule, each rule, rule fire, \
         rule fired, most frequent, most common, top alert, rule") && (asked.rank.is_some()
        || words.any("by rule, per rule, each rule, most frequent, most common, most often, how often does each"))
    {
        return Some(alert_lists::by_rule(asked, &chosen));
    }
    if words.any("by severity, per severity, each severity") {
        return Some(alert_lists::by_severity(asked, &chosen));
    }
    if let Some(understood) = measured(asked, &chosen) {
        return Some(understood);
    }
    let asks_when = words.begins(&["when"]) || words.any("what time, last time, how long ago");
    if (last_one || first_one || asks_when) && !words.any("how many, show, list")
        || words.any("last time")
    {
        return Some(alert_lists::newest(asked, &chosen, first_one && !last_one));
    }
    if words.any("how many, number of, count, how often, how frequently, how much") {
        return Some(alert_lists::counted(asked, &chosen));
    }
    let whether = words.begins(&[
        "did", "was", "were", "has", "have", "is", "are", "any", "do", "does",
    ]);
    Some(if whether && !chosen.open {
        alert_lists::counted(asked, &chosen)
    } else {
        alert_lists::listed(asked, &chosen)
    })
}

/// What goes for every measure goes for the number of alerts.
fn measured(asked: &Asked, chosen: &Chosen) -> Option<Understood> {
    let mut of_alerts = asked.clone();
    of_alerts.measures = vec![measure("alerts")];
    of_alerts.only = chosen.only();
    if of_alerts.words.any("most, more") && of_alerts.group.is_some() {
        of_alerts.which = true;
    }
    let period = |asked: &Asked| asked.period_or(|asked| asked.last_days(30));
    let understood = if asked.words.has("alert frequency") || asked.fold == Some(Fold::Mean) {
        let query = of_alerts.query(
            measure("alerts"),
            Fold::Total,
            of_alerts.scope(measure("alerts")),
            &period(&of_alerts),
        );
        mean_of_buckets(&of_alerts, query, Group::Day)
    } else if asked.each_pump && asked.rank.is_none() && asked.words.any("last, latest") {
        return None;
    } else if asked.each_pump || asked.pumps.len() > 1 {
        let pumps = asked.pumps.clone();
        ranking(&of_alerts, measure("alerts"), &period(&of_alerts), pumps)
    } else if asked.periods.len() > 1
        || asked.words.any("compare, compared, versus, vs, than") && !asked.periods.is_empty()
    {
        compare::shape(&of_alerts).and_then(Result::ok)
    } else if asked.group.is_some() {
        buckets::shape(&of_alerts)
            .or_else(|| limited(&of_alerts))
            .or_else(|| series::shape(&of_alerts))
            .and_then(Result::ok)
    } else {
        None
    };
    understood.map(|understood| understood.renamed(&chosen.name()))
}

fn limited(asked: &Asked) -> Shaped {
    asked.limit.and_then(|_| super::threshold::shape(asked))
}

impl Understood {
    /// The same with the alerts called by their name.
    fn renamed(mut self, name: &str) -> Self {
        if name != "alert" {
            let said = self.say;
            let (one, many) = (name.to_owned(), say::many(name));
            self.say = Box::new(move |rows| {
                let parts: Vec<String> = said(rows)
                    .split("alerts")
                    .map(|part| part.replace("alert", &one))
                    .collect();
                parts
                    .join(&many)
                    .replace("Alerts ", &format!("{} ", say::sentence(&many)))
            });
        }
        self
    }
}

/// Whose alerts a query counts.
pub(super) fn usual_period(asked: &Asked, chosen: &Chosen) -> Period {
    asked.period_or(|asked| {
        let narrow = chosen.rule.is_some()
            || chosen.topic.is_some()
            || chosen.pump.is_some()
            || chosen.severity.is_some();
        if narrow {
            asked.last_days(7)
        } else {
            asked.today()
        }
    })
}
