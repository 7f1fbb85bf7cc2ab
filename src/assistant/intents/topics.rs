//! What alerts are about, as people call it, and the rules that tell of it.

use crate::rules::{CATALOGUE, Rule, Severity};

/// What people call a kind of alert.
#[derive(Debug)]
pub(super) struct Topic {
    /// As questions call it; with commas between; the longest phrase that fits wins.
    pub(super) words: &'static str,
    /// The rules that tell of it.
    pub(super) rules: &'static [&'static str],
    /// As sentences call one of them.
    pub(super) name: &'static str,
    /// The words mean the alert even where a question says nothing of alerts.
    pub(super) is_plain: bool,
}

const fn plain(rules: &'static [&'static str], name: &'static str, words: &'static str) -> Topic {
    Topic {
        words,
        rules,
        name,
        is_plain: true,
    }
}

/// Only where a question says that it is about alerts: elsewhere the words mean something else.
const fn said(rules: &'static [&'static str], name: &'static str, words: &'static str) -> Topic {
    Topic {
        words,
        rules,
        name,
        is_plain: false,
    }
}

/// All topics.
pub(super) static TOPICS: &[Topic] = &[
    plain(
        &["A-01"],
        "power outage",
        "power outage, outage, blackout, power out, without power, power failure, power cut, loss of power, \
             mains failure, power loss, power fail, complete power outage, lose power, lost power, \
             electricity outage, power go out, power gone",
    ),
    plain(
        &["A-02"],
        "lost circuit",
        "circuit lost, partial power failure, lost circuit, lost a circuit",
    ),
    plain(
        &["A-04"],
        "power fluctuation",
        "power fluctuation, fluctuation, unstable supply, voltage dip",
    ),
    plain(
        &["B-01"],
        "pump trip",
        "trip, tripped, pump trip, tripping, pump tripped, break down, broke down",
    ),
    plain(
        &["B-02", "B-03"],
        "dry run",
        "dry run, run dry, ran dry, running dry, dry running, running without flow, no flow output, \
             run without flow, ran without flow, no flow",
    ),
    plain(
        &["B-04"],
        "overcurrent alert",
        "overcurrent, over current, overload, overloaded, too much power, excessive power",
    ),
    plain(
        &["B-05"],
        "under-load alert",
        "underload, under load, under loaded, underloaded",
    ),
    plain(
        &["B-06"],
        "alert of power without command",
        "power without command, drawing power without command",
    ),
    plain(
        &["C-01", "C-05", "H-04"],
        "leak alert",
        "leak, leakage, leaking, flow without pump, backflow, leaked",
    ),
    plain(&["C-02"], "flow spike", "flow spike, spike, spike in flow"),
    plain(&["C-03"], "flow crash", "flow crash, crash, flow collapse"),
    plain(
        &["C-06", "F-03"],
        "alert of a frozen flow sensor",
        "flow sensor frozen, flow sensor stuck, stuck flow sensor, frozen flow sensor, stuck flow, \
             frozen flow",
    ),
    plain(
        &["D-07", "F-04"],
        "alert of a frozen level sensor",
        "level sensor frozen, level sensor stuck, stuck level sensor, frozen level sensor, \
             frozen level, stuck level",
    ),
    plain(
        &["C-06", "D-07", "F-03", "F-04"],
        "alert of a frozen sensor",
        "stuck sensor, frozen sensor, sensor stuck, sensor frozen, stuck, frozen, sensor fault, \
             sensor problem",
    ),
    plain(
        &["D-01", "D-02"],
        "alert of a critically low tank",
        "critically low, critical low, tank empty, empty, empty tank, ran empty, run empty, \
             level emergency, critically low level",
    ),
    plain(
        &["D-03"],
        "overflow alert",
        "overflow, overflow risk, overflowing, overflowed, overfill, spill, spilled",
    ),
    plain(
        &["D-04"],
        "alert of a tank that falls fast",
        "falling fast, fall fast, drain rate, draining fast, high drain rate",
    ),
    plain(
        &["D-05"],
        "alert of a tank that does not rise",
        "not rising, does not rise, did not rise",
    ),
    plain(
        &["D-06"],
        "alert of a level out of range",
        "level out of range, out of range",
    ),
    plain(
        &["E-01"],
        "pump overrun",
        "overrun, pump overrun, overran, continuous run exceeded",
    ),
    plain(
        &["E-02"],
        "alert of all pumps on",
        "all pump on simultaneously",
    ),
    said(
        &["E-03", "E-04"],
        "short-cycling alert",
        "short cycling, short cycle, rapid cycling, cycling, short cycling alert",
    ),
    said(
        &["E-05", "G-03"],
        "efficiency alert",
        "efficiency, efficiency degrading, efficiency drop",
    ),
    plain(
        &["F-01", "F-02"],
        "data gap",
        "data gap, gap, communication dropout, comms dropout, dropout, data outage, \
             communication loss, comms loss, gap in the data, gap in data, missing data, data missing, \
             historian silent, data dropout, communication outage, lost communication",
    ),
    plain(
        &["F-05"],
        "alert of an impossible value",
        "impossible value, impossible, impossible sensor value, impossible reading",
    ),
    plain(
        &["F-06"],
        "alert of a power reading",
        "power anomaly, kwh anomaly, reading anomaly",
    ),
    plain(
        &["F-07"],
        "duplicate timestamp",
        "duplicate, duplicate timestamp, duplicated timestamp",
    ),
    plain(
        &["G-01"],
        "alert of pumping in the peak tariff",
        "pumping in the peak tariff, peak tariff waste, peak hour waste",
    ),
    plain(
        &["G-02"],
        "alert of energy without flow",
        "energy without flow, energy with zero flow",
    ),
    plain(
        &["G-04"],
        "alert of the energy budget",
        "budget, energy budget, budget exceeded",
    ),
    said(
        &[
            "D-01", "D-02", "D-03", "D-04", "D-05", "D-06", "D-07", "F-04",
        ],
        "tank alert",
        "tank, level, hlt, reservoir",
    ),
    said(
        &[
            "C-01", "C-02", "C-03", "C-04", "C-05", "C-06", "C-07", "F-03", "H-04",
        ],
        "flow alert",
        "flow",
    ),
    said(
        &["A-01", "A-02", "A-03", "A-04", "A-05"],
        "power alert",
        "power, electricity, electrical",
    ),
    said(&["G-01", "G-02", "G-03", "G-04"], "energy alert", "energy"),
    said(
        &["F-01", "F-02", "F-03", "F-04", "F-05", "F-06", "F-07"],
        "data alert",
        "data, data quality, sensor",
    ),
];

/// A rule by its code, in any case.
pub(super) fn rule(code: &str) -> Option<&'static Rule> {
    CATALOGUE
        .iter()
        .find(|rule| rule.code.eq_ignore_ascii_case(code))
}

/// The severity that a word means.
pub(super) fn severity(word: &str) -> Option<Severity> {
    match word {
        "warning" => Some(Severity::Warning),
        "critical" => Some(Severity::Critical),
        "high" => Some(Severity::High),
        "info" | "information" | "informational" => Some(Severity::Info),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_of_rules_that_there_are() {
        for topic in TOPICS {
            for code in topic.rules {
                assert!(rule(code).is_some(), "{code}");
            }
        }
    }
}
