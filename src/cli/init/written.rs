//! The config as it is written: the sample, with what was found in place of its values.

use std::path::Path;

use super::{Answers, Findings};
use crate::tags::{FLOW, LEVEL, PUMPS, kw};

/// Sample and documentation of the config.
const SAMPLE: &str = include_str!("../../../config/pumphouse.toml");
/// Ratings of motors as they are sold, kW (IEC 60072).
const RATINGS_KW: [f64; 27] = [
    0.75, 1.1, 1.5, 2.2, 3.0, 4.0, 5.5, 7.5, 11.0, 15.0, 18.5, 22.0, 30.0, 37.0, 45.0, 55.0, 75.0,
    90.0, 110.0, 132.0, 160.0, 200.0, 250.0, 315.0, 355.0, 400.0, 500.0,
];
/// What is said of indexes that nothing explains.
const NO_TABLE: &str = "# GUESS: the exports have no tag table, so the indexes are taken in the order of the sample. Compare them with the\n\
                        # historian's own table.";
/// Room above the highest flow seen: meters are chosen so that they do not run at their end.
const FLOW_ROOM: f64 = 1.25;
/// Room above the highest level seen.
const LEVEL_ROOM: f64 = 1.05;

/// Whether a config in this folder is the service's.
pub fn is_for_service(folder: &Path) -> bool {
    folder.starts_with("/etc")
}

/// The text of the config; `folder` is the one it will lie in.
pub fn config(answers: &Answers, findings: &Findings, folder: &Path) -> String {
    let mut text = SAMPLE.to_owned();
    let mut set = |key: &str, value: String, why: &str| text = with(&text, key, &value, why);
    set(
        "id",
        format!("{:?}", answers.site_id),
        "first topic level and central key",
    );
    set("name", format!("{:?}", answers.name), "for people");
    set(
        "timezone",
        format!("{:?}", answers.timezone),
        "IANA name of the plant's wall clock",
    );
    let (ratings, why) = ratings(findings);
    set("rated_kw", ratings, &why);
    match findings.high(LEVEL) {
        Some(high) => set(
            "hlt_physical_max",
            format!("{:?}", rounded_up(high * LEVEL_ROOM)),
            &format!(
                "GUESS: the level went up to {high:.1}; tank level at physical capacity, raw units"
            ),
        ),
        None => set(
            "hlt_physical_max",
            "500.0".into(),
            "GUESS: no level was seen; tank level at physical capacity, raw units",
        ),
    }
    set(
        "hlt_volume_m3",
        "1200.0".into(),
        "GUESS: exports do not tell; usable volume at hlt_physical_max, m³",
    );
    match findings.high(FLOW) {
        Some(high) => set(
            "fit101_physical_max",
            format!("{:?}", rounded_up(high * FLOW_ROOM)),
            &format!("GUESS: the flow went up to {high:.1}; range of the flow meter, m³/h"),
        ),
        None => set(
            "fit101_physical_max",
            "900.0".into(),
            "GUESS: no flow was seen; range of the flow meter, m³/h",
        ),
    }
    set(
        "daily_energy_budget_kwh",
        "1500.0".into(),
        "GUESS: G-04 tells when a day takes more",
    );
    // What a service writes does not lie among the configs.
    if is_for_service(folder) {
        set(
            "path",
            "\"/var/lib/pumphouse/pumphouse.db\"".into(),
            "SQLite file, made when missing",
        );
        set(
            "models",
            "\"/var/lib/pumphouse/models\"".into(),
            "folder of the models in use and those kept; without any, the day before is the forecast",
        );
    }
    // Relative paths count from the config's folder.
    let watch = std::path::absolute(&answers.exports).unwrap_or_else(|_| answers.exports.clone());
    let own = std::path::absolute(folder).unwrap_or_default();
    let watch = watch
        .strip_prefix(&own)
        .unwrap_or(&watch)
        .display()
        .to_string();
    set(
        "watch",
        format!("[{watch:?}]"),
        "folders or files; a Windows share mounted on the box is a normal case",
    );
    if let Some(order) = &answers.date_order {
        set(
            "date_order",
            format!("{order:?}"),
            "of dates like 03/04/2025",
        );
    }
    with_remarks(&without(&text, "[mqtt]"), findings)
}

/// The text with a section commented out, up to the next empty line.
fn without(text: &str, section: &str) -> String {
    let mut is_within = false;
    let lines = text.lines().map(|line| {
        is_within = line.starts_with(section) || is_within && !line.is_empty();
        if is_within && !line.starts_with('#') {
            format!("# {line}\n")
        } else {
            format!("{line}\n")
        }
    });
    lines.collect()
}

/// What was found of the formats and tags, as comments before their sections.
fn with_remarks(text: &str, findings: &Findings) -> String {
    let formats: Vec<_> = findings
        .formats
        .iter()
        .map(|(name, files)| format!("{files} {name}"))
        .collect();
    let mut remarks = vec![format!(
        "# Found: {}; {} minutes, {} of 27 tags.",
        formats.join(", "),
        findings.minutes,
        findings.seen()
    )];
    let missing: Vec<_> = findings.missing().collect();
    if !missing.is_empty() {
        remarks.push(format!("# Not found: {}.", missing.join(", ")));
    }
    remarks.extend(
        findings
            .unknown
            .iter()
            .take(20)
            .map(|tag| format!("# Not the station's: {tag}.")),
    );
    let before = |text: &str, section: &str, remark: &str| {
        text.replacen(
            &format!("\n{section}"),
            &format!("\n{remark}\n{section}"),
            1,
        )
    };
    let text = before(text, "[historian]", &remarks.join("\n"));
    if findings.guesses_indexes {
        return before(&text, "[historian.tags]", NO_TABLE);
    }
    text
}

fn ratings(findings: &Findings) -> (String, String) {
    let highs: Vec<Option<f64>> = (0..PUMPS).map(|pump| findings.high(kw(pump))).collect();
    let rating = |high: &Option<f64>| {
        let high = high.filter(|high| *high > 0.0).unwrap_or(37.0);
        RATINGS_KW
            .into_iter()
            .find(|rating| *rating >= high * 0.95)
            .unwrap_or_else(|| rounded_up(high))
    };
    let ratings: Vec<f64> = highs.iter().map(rating).collect();
    let shown = |high: &Option<f64>| high.map_or("none".to_owned(), |high| format!("{high:.1}"));
    let highs: Vec<_> = highs.iter().map(shown).collect();
    (
        format!("{ratings:?}"),
        format!(
            "GUESS: they drew up to {}; motor ratings of P1 … P6, kW",
            highs.join(", ")
        ),
    )
}

/// The next number with two digits that count.
fn rounded_up(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let unit = 10f64.powf(value.log10().floor() - 1.0);
    (value / unit).ceil() * unit
}

/// The text with a key's value and remark in place of what it has; the first of that name counts.
fn with(text: &str, key: &str, value: &str, remark: &str) -> String {
    let start = format!("{key} = ");
    let mut done = false;
    let lines = text.lines().map(|line| {
        if done || !line.starts_with(&start) {
            return line.to_owned();
        }
        done = true;
        format!("{start}{value}   # {remark}")
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_rounded_up_to_two_digits() {
        for (value, rounded) in [(463.2, 470.0), (0.123, 0.13), (900.0, 900.0), (0.0, 1.0)] {
            assert!((rounded_up(value) - rounded).abs() < 1e-9, "{value}");
        }
    }

    #[test]
    fn a_section_is_commented_out_and_no_other() {
        let text = without("[a]\nb = 1\n# c = 2\n\n[d]\ne = 3\n", "[a]");
        assert_eq!(text, "# [a]\n# b = 1\n# c = 2\n\n[d]\ne = 3\n");
    }

    #[test]
    fn a_value_is_written_over_the_samples() {
        let text = with(SAMPLE, "timezone", "\"Asia/Tokyo\"", "there");
        assert!(text.contains("timezone = \"Asia/Tokyo\"   # there"));
        assert_eq!(text.lines().count(), SAMPLE.lines().count());
    }
}
