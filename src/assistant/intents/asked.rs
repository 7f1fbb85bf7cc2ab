//! A question's parts: pumps, periods, measures, and what is wanted of them.

use super::{
    Context, NotUnderstood,
    measures::{Fold, MEASURES, Measure, measure},
    periods::Period,
    sources::{Group, Query, Scope},
    threshold::{Limit, limit},
    topics::TOPICS,
    when,
    words::{Words, number, ordinal, stem},
};
use crate::{calendar::DAY_MIN, tags::PUMPS};

/// Words that name a measure only where nothing else does.
const WEAK: &[&str] = &[
    "use",
    "used",
    "work",
    "worked",
    "working",
    "active",
    "idle",
    "busy",
    "busiest",
    "water",
    "tank",
    "run",
    "ran",
    "running",
    "storage",
    "duty",
    "operation",
    "full",
    "begin",
    "moved",
    "warning",
    "fault",
    "problem",
    "failure",
    "issue",
    "trouble",
    "output",
    "m3",
    "kwh",
    "kw",
    "m3/h",
    "load",
    "stop",
    "start",
    "started",
    "money",
    "pay",
    "perform",
    "performing",
    "performance",
    "power",
    "score",
    "session",
    "shape",
    "wear",
    "counter",
    "draw",
    "drew",
    "drawing",
    "switching",
    "switch",
    "operating",
    "laziest",
    "stopped",
    "save",
    "saved",
    "utilised",
];

/// Which end of an order is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// The most, the longest, the highest.
    Most,
    /// The least.
    Least,
    /// Whatever is better.
    Best,
    /// Whatever is worse.
    Worst,
}

/// A question taken apart.
#[derive(Clone)]
pub(super) struct Asked<'a> {
    /// What is known besides.
    pub(super) context: &'a Context,
    /// What is left of its words.
    pub(super) words: Words,
    /// When.
    pub(super) periods: Vec<Period>,
    /// Pumps that it names, 0 for P1.
    pub(super) pumps: Vec<usize>,
    /// It asks for each pump, or which.
    pub(super) each_pump: bool,
    /// What it asks for, the surest first.
    pub(super) measures: Vec<&'static Measure>,
    /// How many of them are named without doubt.
    pub(super) sure: usize,
    /// How values become one.
    pub(super) fold: Option<Fold>,
    /// Which end of an order.
    pub(super) rank: Option<Rank>,
    /// By what.
    pub(super) group: Option<Group>,
    /// It asks which of the group.
    pub(super) which: bool,
    /// A value to be under or over.
    pub(super) limit: Option<Limit>,
    /// A further condition on rows, made of constants.
    pub(super) only: Option<String>,
}

impl<'a> Asked<'a> {
    /// Takes a question apart.
    pub(super) fn read(question: &str, context: &'a Context) -> Result<Self, NotUnderstood> {
        let mut words = Words::read(question, context.now);
        let limit = limit(&mut words);
        let pumps = pumps(&mut words)?;
        let (group, which) = group(&mut words);
        let periods = when::periods(&mut words, context.first)?;
        let (measures, sure) = measures(&words, limit.as_ref());
        let mut asked = Self {
            context,
            each_pump: each_pump(&words, &pumps),
            fold: fold(&words),
            rank: rank(&words),
            words,
            periods,
            pumps,
            measures,
            sure,
            group,
            which,
            limit,
            only: None,
        };
        asked.prefer();
        if asked
            .measure()
            .is_some_and(|measure| measure.column == "pumps_on")
        {
            asked.each_pump = false;
        }
        Ok(asked)
    }

    /// How long and how often say which of two measures is meant.
    fn prefer(&mut self) {
        let of = |column: &str| self.measures.iter().any(|found| found.column == column);
        let words = &self.words;
        let how_long = words.any(&[
            "how long",
            "many hour",
            "many minute",
            "longest",
            "shortest",
            "hour",
            "how much time",
            "hardest",
        ]);
        let how_often = words.any(&[
            "how often",
            "many time",
            "most often",
            "how frequently",
            "number of time",
            "how many start",
            "most frequently",
        ]);
        let instead =
            if how_long && (of("starts") || of("stops")) && !words.any(&["start", "starts"]) {
                "run_min"
            } else if how_often && of("run_min") {
                "starts"
            } else if words.has("how many pump") && self.pumps.is_empty() {
                "pumps_on"
            } else if words.any(&["longest run", "shortest run"])
                && !words.has("running pump")
                && !words.any(&["ran longest"])
            {
                "run_length_min"
            } else if of("energy_kwh")
                && words.has("much power")
                && words.any(&["draw", "drew", "drawing", "now", "is", "are"])
            {
                "power_kw"
            } else if (of("metered_cost") || words.any(&["money", "cost"]))
                && words.any(&["save", "saved", "saving"])
            {
                "saved_cost"
            } else {
                return;
            };
        self.measures.insert(0, measure(instead));
    }

    /// The measure that the question is about.
    pub(super) fn measure(&self) -> Option<&'static Measure> {
        self.measures.first().copied()
    }

    /// The period, or one that fits where none is said.
    pub(super) fn period_or(&self, usual: impl FnOnce(&Self) -> Period) -> Period {
        let ever = self.words.any(&[
            "ever",
            "all time",
            "in total",
            "in all",
            "so far recorded",
            "on record",
        ]);
        let fallback = || if ever { self.all() } else { usual(self) };
        self.periods.first().cloned().unwrap_or_else(fallback)
    }

    /// Today, up to now.
    pub(super) fn today(&self) -> Period {
        Period {
            is_open: true,
            ..Period::days(self.words.today(), self.words.today(), "today")
        }
    }

    /// The day before.
    pub(super) fn yesterday(&self) -> Period {
        let day = self.words.today() - 1;
        Period::days(day, day, "yesterday")
    }

    /// What a measure is asked for, without a group.
    pub(super) fn query(
        &self,
        measure: &'static Measure,
        fold: Fold,
        scope: Scope,
        period: &Period,
    ) -> Query {
        Query {
            measure,
            fold,
            scope,
            period: period.clone(),
            group: None,
            only: self.only.clone(),
            flow_max: self.context.flow_max_m3h,
        }
    }

    /// The named pump where the measure is known of pumps, otherwise the station.
    pub(super) fn scope(&self, measure: &Measure) -> Scope {
        let pump = self.one_pump().filter(|_| !measure.pump.is_empty());
        pump.map_or(Scope::Station, Scope::One)
    }

    /// All there is.
    pub(super) fn all(&self) -> Period {
        Period::all(self.context.first, self.context.now)
    }

    /// The newest days, today among them.
    pub(super) fn last_days(&self, count: i64) -> Period {
        let today = self.words.today();
        let all = today - self.context.first.div_euclid(DAY_MIN) + 1;
        let count = count.min(all.max(1));
        Period {
            is_open: true,
            ..Period::days(
                today - count + 1,
                today,
                &format!("in the last {count} days"),
            )
        }
    }

    /// The only pump that is named.
    pub(super) fn one_pump(&self) -> Option<usize> {
        match self.pumps.as_slice() {
            [pump] => Some(*pump),
            _ => None,
        }
    }
}

/// Pumps by name, number or place: `P3`, `pump 3`, `pumps 1 and 2`, `third pump`, `P01C`.
fn pumps(words: &mut Words) -> Result<Vec<usize>, NotUnderstood> {
    let mut found = Vec::new();
    let mut place = 0;
    while place < words.len() {
        let (numbers, length) = pumps_at(words, place);
        for number in numbers {
            if !(1..=PUMPS as i64).contains(&number) {
                return Err(NotUnderstood::because(format!(
                    "there is no pump P{number}; the station has P1 to P{PUMPS}"
                )));
            }
            let pump = (number - 1) as usize;
            if !found.contains(&pump) {
                found.push(pump);
            }
        }
        words.take(place, length);
        place += length.max(1);
    }
    Ok(found)
}

fn pumps_at(words: &Words, place: usize) -> (Vec<i64>, usize) {
    let raw = words.raw(place);
    let named = raw.strip_prefix('p').or_else(|| raw.strip_prefix("pump"));
    if let Some(number) = named.and_then(|number| number.parse().ok()) {
        return (vec![number], 1);
    }
    let of_tag = raw.strip_prefix("p01").and_then(|letter| {
        ["a", "b", "c", "d", "e", "f"]
            .iter()
            .position(|it| *it == letter)
    });
    if let Some(pump) = of_tag {
        return (vec![pump as i64 + 1], 1);
    }
    if words.word(place + 1) == "pump"
        && let Some(number) = ordinal(raw)
    {
        return (vec![number], 2);
    }
    if !matches!(words.word(place), "pump" | "p") {
        return (Vec::new(), 0);
    }
    let mut next = place + 1;
    if matches!(words.word(next), "number" | "no" | "nr") {
        next += 1;
    }
    let mut numbers = Vec::new();
    while let Some(number) = whole(words, next) {
        if super::bounds::is_unit(words.word(next + 1))
            && words.raw(place) != "pumps"
            && words.word(next + 1) != "start"
        {
            break;
        }
        numbers.push(number);
        next += 1;
        let joint = usize::from(matches!(
            words.word(next),
            "and" | "or" | "vs" | "versus" | "&" | "to" | "with" | "than"
        ));
        // "Pump 3 and 4", yet not "pump 3 and level".
        if whole(words, next + joint).is_none() {
            break;
        }
        next += joint;
    }
    let length = if numbers.is_empty() { 0 } else { next - place };
    (numbers, length)
}

fn whole(words: &Words, place: usize) -> Option<i64> {
    let word = words.word(place);
    let number = number(word).filter(|_| word != "hundred")?;
    (number.fract() == 0.0 && number < 1000.0 && !words.raw(place).contains('.'))
        .then_some(number as i64)
}

fn each_pump(words: &Words, pumps: &[usize]) -> bool {
    if !pumps.is_empty() {
        return false;
    }
    let said = words.begins(&["who"])
        || words.any(&[
            "which pump",
            "what pump",
            "each pump",
            "every pump",
            "per pump",
            "by pump",
            "all pump",
            "all six pump",
            "which of the pump",
            "which one",
            "pump by pump",
            "each of the pump",
            "pump ranking",
            "rank the pump",
            "compare pump",
            "compare the pump",
            "all the pump",
            "rank pump",
            "any pump",
            "individual pump",
            "compare all pump",
        ]);
    let superlative = rank(words).is_some() || words.any(&["longest", "shortest"]);
    let total = words.any(&[
        "total",
        "together",
        "altogether",
        "all together",
        "in total",
    ]);
    (said && !total && !words.any(&["flow per pump", "flow for each pump"]))
        || superlative && words.has("pump") && !words.has("how many pump")
}

fn fold(words: &Words) -> Option<Fold> {
    if words.any(&["average", "mean", "on average", "typical", "typically"])
        && !words.any(&["mean by"])
    {
        return Some(Fold::Mean);
    }
    if words.any(&[
        "peak", "maximum", "max", "highest", "largest", "biggest", "greatest", "top", "fullest",
    ]) {
        return Some(Fold::Max);
    }
    if words.any(&["minimum", "min", "lowest", "smallest"]) {
        return Some(Fold::Min);
    }
    words
        .any(&["total", "sum", "overall", "altogether"])
        .then_some(Fold::Total)
}

fn rank(words: &Words) -> Option<Rank> {
    if words.any(&["best", "healthiest", "strongest"]) {
        return Some(Rank::Best);
    }
    if words.any(&[
        "worst",
        "weakest",
        "sick",
        "sickest",
        "inefficient",
        "least efficient",
        "least healthy",
        "needs maintenance",
        "unhealthy",
        "worn",
    ]) {
        return Some(if words.has("least inefficient") {
            Rank::Best
        } else {
            Rank::Worst
        });
    }
    if words.any(&[
        "least", "fewest", "lowest", "minimum", "smallest", "shortest", "quietest", "less",
        "laziest", "slowest", "lower",
    ]) {
        return Some(Rank::Least);
    }
    let most = words.any(&[
        "most",
        "longest",
        "highest",
        "maximum",
        "largest",
        "biggest",
        "greatest",
        "busiest",
        "peak",
        "top",
        "more",
        "hardest",
        "rank",
        "ranking",
        "fastest",
        "hungriest",
        "higher",
        "fullest",
    ]);
    most.then_some(Rank::Most)
}

/// By what rows are to be put together, and whether it asks which.
fn group(words: &mut Words) -> (Option<Group>, bool) {
    const WHICH: &[(Group, &[&str])] = &[
        (
            Group::Weekday,
            &[
                "which weekday",
                "what weekday",
                "which day of the week",
                "what day of the week",
                "day of the week",
                "days of the week",
                "which day of week",
                "by weekday",
                "per weekday",
                "day of week",
            ],
        ),
        (
            Group::HourOfDay,
            &[
                "which hour of the day",
                "what hour of the day",
                "hour of the day",
                "hour of day",
                "which time of day",
                "time of day",
                "what time of day",
                "what time of the day",
                "time of the day",
                "busiest hour",
                "quietest hour",
                "peak hour is",
                "which hour of day",
            ],
        ),
        (
            Group::Day,
            &[
                "which day",
                "what day",
                "which date",
                "what date",
                "on which day",
                "day with",
                "date with",
                "day when",
                "best day",
                "worst day",
                "busiest day",
                "quietest day",
                "day had",
                "day has",
                "which of the day",
                "most expensive day",
                "how many day",
                "number of day",
                "day of the month",
                "highest day",
                "lowest day",
                "top day",
            ],
        ),
        (
            Group::Hour,
            &[
                "which hour",
                "what hour",
                "hour with",
                "hour had",
                "best hour",
                "worst hour",
                "peak hour",
                "highest hour",
                "lowest hour",
            ],
        ),
        (
            Group::Week,
            &[
                "which week",
                "what week",
                "week with",
                "best week",
                "worst week",
                "busiest week",
                "week had",
            ],
        ),
        (
            Group::Month,
            &[
                "which month",
                "what month",
                "month with",
                "best month",
                "worst month",
                "busiest month",
                "month had",
            ],
        ),
    ];
    const EACH: &[(Group, &[&str])] = &[
        (
            Group::Day,
            &[
                "daily",
                "per day",
                "by day",
                "each day",
                "every day",
                "day by day",
                "for each day",
                "a day",
            ],
        ),
        (
            Group::Hour,
            &[
                "hourly",
                "per hour",
                "by hour",
                "each hour",
                "every hour",
                "hour by hour",
                "for each hour",
                "an hour",
            ],
        ),
        (
            Group::Week,
            &[
                "weekly",
                "per week",
                "by week",
                "each week",
                "every week",
                "week by week",
                "a week",
            ],
        ),
        (
            Group::Month,
            &[
                "monthly",
                "per month",
                "by month",
                "each month",
                "every month",
                "month by month",
                "a month",
            ],
        ),
    ];
    for (table, which) in [(WHICH, true), (EACH, false)] {
        for (group, phrases) in table {
            let found = phrases.iter().find(|phrase| takes(words, phrase, *group));
            if let Some(phrase) = found {
                words.take_phrase(phrase);
                return (Some(*group), which);
            }
        }
    }
    (None, false)
}

/// Whether a phrase stands for a group: not "a week ago", "from 8 to 12 each day" is a part of the day.
fn takes(words: &Words, phrase: &str, group: Group) -> bool {
    let Some(place) = words.find(phrase) else {
        return false;
    };
    let end = place + phrase.split(' ').count();
    let ago = words.word(end) == "ago";
    // "This week with last week" is a comparison.
    let named = matches!(
        words.before(place),
        "this" | "last" | "past" | "previous" | "current" | "next"
    );
    let hours = group == Group::Hour && words.raw(end - 1) == "hours" && phrase == "peak hour";
    !ago && !hours && !named
}

/// The measures that a question names: longer phrases first, and what they cover names nothing else.
fn measures(words: &Words, limit: Option<&Limit>) -> (Vec<&'static Measure>, usize) {
    let mut found: Vec<(usize, usize, &'static str, &'static Measure)> = Vec::new();
    for measure in MEASURES {
        for phrase in measure.words {
            let length = phrase.split(' ').count();
            let places = (0..words.len()).filter(|place| words.is_at(*place, phrase));
            found.extend(places.map(|place| (place, length, *phrase, measure)));
        }
    }
    found.sort_by_key(|(place, length, ..)| (std::cmp::Reverse(*length), *place));
    let mut covered = vec![false; words.len()];
    let mut sure: Vec<(usize, &'static Measure)> = Vec::new();
    let mut weak: Vec<(usize, &'static Measure)> = Vec::new();
    for (place, length, phrase, measure) in found {
        if covered[place..place + length].contains(&true) {
            continue;
        }
        covered[place..place + length].fill(true);
        let list = if WEAK.iter().any(|word| stem(word) == stem(phrase)) {
            &mut weak
        } else {
            &mut sure
        };
        list.push((place, measure));
    }
    sure.sort_by_key(|(place, _)| *place);
    weak.sort_by_key(|(place, measure)| (WEAK_LAST.contains(&measure.column), *place));
    let mut measures: Vec<&'static Measure> = Vec::new();
    let certain: Vec<&str> = sure.iter().map(|(_, measure)| measure.column).collect();
    let of_unit = limit
        .and_then(|limit| limit.measure)
        .filter(|_| sure.is_empty())
        .map(measure);
    let all = sure.into_iter().chain(weak).map(|(_, measure)| measure);
    for measure in of_unit.into_iter().chain(all) {
        if !measures.iter().any(|known| known.column == measure.column) {
            measures.push(measure);
        }
    }
    let count = measures
        .iter()
        .filter(|measure| certain.contains(&measure.column))
        .count();
    (measures, count)
}

/// Of two weak words these count for less.
const WEAK_LAST: &[&str] = &["run_min", "volume_m3", "alerts"];

/// The topic of alerts that a question names, and whether its words mean alerts by themselves.
pub(super) fn topic(words: &Words, says_alerts: bool) -> Option<&'static super::topics::Topic> {
    let mut best: Option<(usize, &'static super::topics::Topic)> = None;
    for topic in TOPICS.iter().filter(|topic| topic.is_plain || says_alerts) {
        for phrase in topic.words.iter().filter(|phrase| words.has(phrase)) {
            let length = phrase.split(' ').count();
            if best.is_none_or(|(longest, _)| length > longest) {
                best = Some((length, topic));
            }
        }
    }
    best.map(|(_, topic)| topic)
}
