//! The data themselves: how far they reach, how many there are, where they have gaps.

use super::{
    Shaped, Understood,
    asked::Asked,
    dates::told_text,
    periods::Days,
    say::{self, Cells},
    sources::Source,
};
use crate::assistant::Show;

/// A silence is a gap from so many seconds on; rule F-01 tells of more than five minutes.
const GAP_S: i64 = 300;
/// Most gaps that an answer lists.
const LISTED_MAX: usize = 100;

/// Questions about the data.
pub(super) fn shape(asked: &Asked) -> Shaped {
    let words = &asked.words;
    let of_data = words
        .any("data, row, sample, record, reading, measurement, recording, historian, dataset")
        || words.has("missing") && words.any("minute, minutes");
    if words.any(
        "gap, hole, dropout, data missing, missing data, data outage, interruption, \
         communication outage, lost communication, communication loss",
    ) {
        return Some(Ok(gaps(asked)));
    }
    if !of_data
        || asked
            .measures
            .iter()
            .any(|measure| !matches!(measure.column, "run_min" | "starts" | "stops"))
    {
        return None;
    }
    let newest = words
        .any("last, latest, newest, most recent, old, fresh, up to date, stale, arrive, current");
    let oldest = words.any("first, oldest, earliest, begin, start, since when, how far, reach, cover, range, span, go back");
    let many = words.any("how many, number of, count, missing, complete, completeness, how much, quality, good, coverage");
    if oldest || newest {
        return Some(Ok(reach(newest && !oldest)));
    }
    (many || words.any("there, any, do we have, is there, available")).then(|| Ok(counted(asked)))
}

fn reach(newest: bool) -> Understood {
    let sql = "SELECT (SELECT timestamp FROM readings_wide ORDER BY ts LIMIT 1) AS first, \
               (SELECT timestamp FROM readings_wide ORDER BY ts DESC LIMIT 1) AS last, \
               (SELECT (max(ts) - min(ts)) / 86400.0 FROM readings_wide) AS days"
        .to_owned();
    Understood::sentence(sql, move |rows| {
        let (first, last) = (rows.text(0, "first"), rows.text(0, "last"));
        if first.is_empty() {
            return "There are no data yet.".into();
        }
        let days = say::number(rows.number(0, "days").unwrap_or(0.0), 1);
        if newest {
            return format!("The newest row is of {}.", told_text(last));
        }
        format!(
            "The data reach from {} to {}, {days} days.",
            told_text(first),
            told_text(last)
        )
    })
}

fn counted(asked: &Asked) -> Understood {
    let period = asked.period_or(Asked::today);
    let sql = format!(
        "SELECT count(*) AS rows_found, count(hlt_pct) AS with_level, count(fit101_per_hr) AS with_flow, count(total_kw) AS with_power \
         FROM readings_wide WHERE {}",
        Source::Minutes.within(&period)
    );
    let context = asked.context.clone();
    let plain = period.days == Days::All && period.clock.is_none() && period.peak.is_none();
    Understood::sentence(sql, move |rows| {
        let found = rows.number(0, "rows_found").unwrap_or(0.0);
        if say::is_outside(&period, &context) {
            return say::nothing("data", &period, &context);
        }
        let minutes = period.until.min(context.now + 1) - period.from.max(context.first);
        let share = if plain && minutes > 0 {
            let missing = (minutes as f64 - found).max(0.0);
            format!(
                " of {}, so {} missing",
                say::plural(minutes as f64, "minute"),
                say::number(missing, 0)
            )
        } else {
            String::new()
        };
        let of = |column: &str| say::number(rows.number(0, column).unwrap_or(0.0), 0);
        format!(
            "There are {} {}{share}; {} have a level, {} a flow, {} a power.",
            say::plural(found, "row"),
            period.told(),
            of("with_level"),
            of("with_flow"),
            of("with_power")
        )
    })
}

/// Silences between two rows.
fn gaps(asked: &Asked) -> Understood {
    let words = &asked.words;
    let last = words.any("last, latest, most recent");
    let longest = words.any("longest, biggest, largest");
    let period = asked.period_or(|asked| {
        if last || longest {
            asked.all()
        } else {
            asked.last_days(7)
        }
    });
    let order = match (last, longest) {
        (_, true) => "minutes DESC, ts",
        (true, _) => "ts DESC",
        _ => "ts",
    };
    let sql = format!(
        "SELECT after AS last_row, timestamp AS next_row, (ts - before) / 60 - 1 AS minutes, count(*) OVER () AS found, sum((ts - before) / 60 - 1) OVER () AS all_minutes FROM \
         (SELECT ts, timestamp, lag(ts) OVER (ORDER BY ts) AS before, lag(timestamp) OVER (ORDER BY ts) AS after FROM readings_wide WHERE {}) \
         WHERE ts - before > {GAP_S} ORDER BY {order} LIMIT {LISTED_MAX}",
        Source::Minutes.within(&period)
    );
    let context = asked.context.clone();
    Understood::new(sql, Show::Table, move |rows| {
        if say::is_outside(&period, &context) {
            return say::nothing("data", &period, &context);
        }
        let Some(found) = rows.number(0, "found") else {
            return format!(
                "There were 0 gaps of more than 5 minutes in the data {}.",
                period.told()
            );
        };
        let minutes = say::span(rows.number(0, "minutes").unwrap_or(0.0));
        let (from, to) = (
            told_text(rows.text(0, "last_row")),
            told_text(rows.text(0, "next_row")),
        );
        if last || longest {
            let which = if longest { "longest" } else { "last" };
            return format!(
                "The {which} gap {} was of {minutes}, between {from} and {to}.",
                period.told()
            );
        }
        let all = say::span(rows.number(0, "all_minutes").unwrap_or(0.0));
        let verb = if found == 1.0 { "was" } else { "were" };
        format!(
            "There {verb} {} of more than 5 minutes in the data {}, {all} in all; the first, of {minutes}, between {from} and {to}.",
            say::plural(found, "gap"),
            period.told()
        )
    })
}
