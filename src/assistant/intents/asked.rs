//! A question's parts: pumps, periods, measures, and what is wanted of them.

use super::{
    Context, NotUnderstood,
    limits::{Limit, limit},
    measures::{Fold, Measure, measure},
    names::{group, measures, pumps},
    periods::Period,
    sources::{Group, Query, Scope},
    when,
    words::Words,
};
use crate::calendar::DAY_MIN;

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
        let how_long = words.any(
            "how long, many hour, many minute, longest, shortest, hour, how much time, hardest",
        );
        let how_often = words.any(
            "how often, many time, most often, how frequently, number of time, how many start, \
             most frequently",
        );
        let instead = if how_long && (of("starts") || of("stops")) && !words.any("start, starts") {
            "run_min"
        } else if how_often && of("run_min") {
            "starts"
        } else if how_long
            && self.measures.is_empty()
            && (!self.pumps.is_empty() || words.has("pump"))
        {
            "run_min"
        } else if of("run_min") && words.any("percentage, percent, share, proportion, fraction") {
            "running_pct"
        } else if words.has("how many pump") && self.pumps.is_empty() {
            "pumps_on"
        } else if words.any("longest run, shortest run")
            && !words.has("running pump")
            && !words.any("ran longest")
        {
            "run_length_min"
        } else if of("energy_kwh")
            && words.has("much power")
            && words.any("draw, drew, drawing, now, is, are")
        {
            "power_kw"
        } else if (of("metered_cost") || words.any("money, cost"))
            && words.any("save, saved, saving")
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
        let ever = self
            .words
            .any("ever, all time, in total, in all, so far recorded, on record");
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

fn each_pump(words: &Words, pumps: &[usize]) -> bool {
    if !pumps.is_empty() {
        return false;
    }
    let said = words.begins(&["who"])
        || words.any("which pump, what pump, each pump, every pump, per pump, by pump, all pump, all six pump, \
             which of the pump, which one, pump by pump, each of the pump, pump ranking, rank the pump, \
             compare pump, compare the pump, all the pump, rank pump, any pump, individual pump, \
             compare all pump");
    let superlative = rank(words).is_some() || words.any("longest, shortest");
    let total = words.any("total, together, altogether, all together, in total");
    (said && !total && !words.any("flow per pump, flow for each pump"))
        || superlative && words.has("pump") && !words.has("how many pump")
}

fn fold(words: &Words) -> Option<Fold> {
    if words.any("average, mean, on average, typical, typically") && !words.any("mean by") {
        return Some(Fold::Mean);
    }
    if words.any("peak, maximum, max, highest, largest, biggest, greatest, top, fullest") {
        return Some(Fold::Max);
    }
    if words.any("minimum, min, lowest, smallest") {
        return Some(Fold::Min);
    }
    words
        .any("total, sum, overall, altogether")
        .then_some(Fold::Total)
}

fn rank(words: &Words) -> Option<Rank> {
    if words.any("best, healthiest, strongest") {
        return Some(Rank::Best);
    }
    if words.any("worst, weakest, sick, sickest, inefficient, least efficient, least healthy, needs maintenance, \
         unhealthy, worn") {
        return Some(if words.has("least inefficient") {
            Rank::Best
        } else {
            Rank::Worst
        });
    }
    if words.any("least, fewest, lowest, minimum, smallest, shortest, quietest, less, laziest, slowest, lower") {
        return Some(Rank::Least);
    }
    let most = words.any("most, longest, highest, maximum, largest, biggest, greatest, busiest, peak, top, more, hardest, \
         rank, ranking, fastest, hungriest, higher, fullest");
    most.then_some(Rank::Most)
}
