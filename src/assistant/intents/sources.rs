//! The tables that measures come from: which of them say all about a period, and the SQL for it.

use super::{
    measures::{Column, Fold, Measure},
    periods::{Days as Which, Period},
};
use crate::{
    calendar::{date_text, text},
    tags::{PUMPS, pump_name},
};

/// What makes a raw level a share of the full tank: as the newest row has it.
const PCT: &str = "(SELECT hlt_pct / hlt101_output FROM readings_wide WHERE hlt101_output > 0 AND hlt_pct IS NOT NULL ORDER BY ts DESC LIMIT 1)";

/// A table with a column of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// `readings_wide`.
    Minutes,
    /// `hourly_profile`.
    Hours,
    /// `daily_summary`.
    Days,
    /// `pump_health`: a row a pump and date.
    Health,
    /// `pump_sessions` by their start.
    Sessions,
    /// `pump_sessions` by their end.
    Ends,
    /// `alerts_log`.
    Alerts,
    /// `savings_daily`.
    Savings,
    /// `forecast_kpi_daily`.
    Accuracy,
}

/// Whose figure it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The station's.
    Station,
    /// A pump's, 0 for P1.
    One(usize),
    /// A row for each of these pumps; all where empty.
    Each(Vec<usize>),
}

/// What rows are put together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Each hour.
    Hour,
    /// Each date.
    Day,
    /// Each week, by its Monday.
    Week,
    /// Each month.
    Month,
    /// The hours of the day, over all days.
    HourOfDay,
    /// The days of the week.
    Weekday,
}

impl Group {
    /// Name of its column.
    pub(super) fn column(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::HourOfDay => "hour_of_day",
            Self::Weekday => "weekday",
        }
    }

    /// It comes again and again.
    pub(super) fn is_cyclic(self) -> bool {
        matches!(self, Self::HourOfDay | Self::Weekday)
    }
}

impl Source {
    /// Its table.
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Minutes => "readings_wide",
            Self::Hours => "hourly_profile",
            Self::Days => "daily_summary",
            Self::Health => "pump_health",
            Self::Sessions | Self::Ends => "pump_sessions",
            Self::Alerts => "alerts_log",
            Self::Savings => "savings_daily",
            Self::Accuracy => "forecast_kpi_daily",
        }
    }

    /// The column that says when.
    pub(super) fn stamp(self) -> &'static str {
        match self {
            Self::Minutes | Self::Alerts => "timestamp",
            Self::Sessions => "start_time",
            Self::Ends => "end_time",
            _ => "date",
        }
    }

    /// Its rows are of a date as a whole.
    pub(super) fn is_daily(self) -> bool {
        matches!(
            self,
            Self::Days | Self::Health | Self::Savings | Self::Accuracy
        )
    }

    /// It has a row for each pump.
    pub(super) fn has_pumps(self) -> bool {
        matches!(
            self,
            Self::Health | Self::Sessions | Self::Ends | Self::Alerts
        )
    }

    fn date(self) -> &'static str {
        if self == Self::Ends {
            "substr(end_time, 1, 10)"
        } else {
            "date"
        }
    }

    fn hour(self) -> String {
        match self {
            Self::Minutes | Self::Hours | Self::Alerts => "hour".into(),
            other => format!("CAST(substr({}, 12, 2) AS INTEGER)", other.stamp()),
        }
    }

    /// What tells the buckets of a group apart.
    pub(super) fn key(self, group: Group) -> String {
        let date = self.date();
        match group {
            Group::Hour if self == Self::Hours => {
                "date || ' ' || substr('0' || hour, -2) || ':00'".into()
            }
            Group::Hour => format!("substr({}, 1, 13) || ':00'", self.stamp()),
            Group::Day => date.into(),
            Group::Week => format!("date({date}, 'weekday 0', '-6 days')"),
            Group::Month => format!("substr({date}, 1, 7)"),
            Group::HourOfDay => self.hour(),
            Group::Weekday => format!("CAST(strftime('%w', {date}) AS INTEGER)"),
        }
    }

    /// The rows of a period.
    pub(super) fn within(self, period: &Period) -> String {
        let mut all = vec![self.stretch(period)];
        let date = self.date();
        match (period.days, self) {
            (Which::All, _) => (),
            (Which::Weekends, Self::Minutes | Self::Days) => all.push("is_weekend = 1".into()),
            (Which::Weekdays, Self::Minutes | Self::Days) => all.push("is_weekend = 0".into()),
            (Which::Only(day), Self::Minutes) => all.push(format!("day_of_week = {day}")),
            (Which::Weekends, _) => all.push(format!("strftime('%w', {date}) IN ('0', '6')")),
            (Which::Weekdays, _) => all.push(format!("strftime('%w', {date}) NOT IN ('0', '6')")),
            (Which::Only(day), _) => all.push(format!("strftime('%w', {date}) = '{day}'")),
        }
        if let Some(clock) = period.clock.filter(|_| !self.is_daily()) {
            all.push(self.clock(clock));
        }
        if let Some(peak) = period
            .peak
            .filter(|_| matches!(self, Self::Minutes | Self::Hours))
        {
            all.push(format!("is_peak_hour = {}", i64::from(peak)));
        }
        all.join(" AND ")
    }

    fn stretch(self, period: &Period) -> String {
        let (first, last) = (date_text(period.first_day()), date_text(period.last_day()));
        let stamp = self.stamp();
        let whole = period.from % 1440 == 0 && period.until % 1440 == 0;
        match self {
            _ if self.is_daily() => format!("date BETWEEN '{first}' AND '{last}'"),
            Self::Hours if whole => format!("date BETWEEN '{first}' AND '{last}'"),
            Self::Hours => {
                let hour = |minute: i64| minute.rem_euclid(1440) / 60;
                let (from, until) = (hour(period.from), hour(period.until - 1));
                format!(
                    "date BETWEEN '{first}' AND '{last}' AND (date > '{first}' OR hour >= {from}) AND (date < '{last}' OR hour <= {until})"
                )
            }
            _ => {
                let stretch = format!(
                    "{stamp} >= '{}' AND {stamp} < '{}'",
                    text(period.from),
                    text(period.until)
                );
                // The key finds the days quickly; the wall clock is at most a day away from UTC.
                let near = format!(
                    "ts BETWEEN unixepoch('{first}') - 86400 AND unixepoch('{last}') + 172800"
                );
                if matches!(self, Self::Minutes) {
                    format!("{near} AND {stretch}")
                } else {
                    stretch
                }
            }
        }
    }

    fn clock(self, (from, until): (i64, i64)) -> String {
        if self == Self::Hours {
            let joint = if from < until { "AND" } else { "OR" };
            return format!(
                "(hour >= {} {joint} hour < {})",
                from / 60,
                (until + 59) / 60
            );
        }
        let time = |minute: i64| format!("{:02}:{:02}", minute / 60, minute % 60);
        let joint = if from < until { "AND" } else { "OR" };
        let clock = format!("substr({}, 12, 5)", self.stamp());
        format!(
            "({clock} >= '{}' {joint} {clock} < '{}')",
            time(from),
            time(until)
        )
    }
}

/// A figure on its way to SQL.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// Of what.
    pub(super) measure: &'static Measure,
    /// How its values become one.
    pub(super) fold: Fold,
    /// Whose.
    pub(super) scope: Scope,
    /// When.
    pub(super) period: Period,
    /// By what rows are put together.
    pub(super) group: Option<Group>,
    /// A further condition, made of constants.
    pub(super) only: Option<String>,
    /// The highest flow that the meter can show, m³/h.
    pub(super) flow_max: f64,
}

impl Query {
    /// The table that serves it best, and what a row contributes.
    pub(super) fn source(&self) -> Option<(Source, Column)> {
        let columns = match self.scope {
            Scope::Station if !self.measure.station.is_empty() => self.measure.station,
            _ => self.measure.pump,
        };
        // Whether a pump runs is known of minutes alone.
        let by_pump = self
            .only
            .as_deref()
            .is_some_and(|only| only.contains("_onoff"));
        if by_pump {
            return columns
                .iter()
                .find(|(source, _)| *source == Source::Minutes)
                .copied();
        }
        let usable = |(source, column): &&(Source, Column)| {
            self.is_fine_enough(*source) && !self.part(*column).is_empty()
        };
        let preferred = |(source, column): &&(Source, Column)| {
            matches!(column, Column::Gauge(..)) && *source == self.preferred()
        };
        let best = columns.iter().filter(usable).find(preferred);
        let found = best.or_else(|| columns.iter().find(usable));
        // Where nothing has parts of days, the dates that they touch answer.
        found
            .or_else(|| columns.iter().find(|(source, _)| source.is_daily()))
            .copied()
    }

    /// Where a mean, lowest or highest value is best taken from: means of means are none where rows are missing, so minutes
    /// serve unless they are too many.
    fn preferred(&self) -> Source {
        // Hours and days have the raw level, so that its share of the full tank is exact in minutes alone.
        if self.measure.column == "level_pct" && !self.period.is_long() {
            return Source::Minutes;
        }
        match self.group {
            Some(Group::Hour | Group::HourOfDay) => Source::Hours,
            Some(_) => Source::Days,
            None if self.period.is_long() && self.period.is_whole_days() => Source::Days,
            None if self.period.is_long() => Source::Hours,
            None => Source::Minutes,
        }
    }

    fn is_fine_enough(&self, source: Source) -> bool {
        let by_hour = matches!(self.group, Some(Group::Hour | Group::HourOfDay));
        match source {
            Source::Minutes => true,
            Source::Hours => self.period.is_whole_hours(),
            _ if source.is_daily() => self.period.is_whole_days() && !by_hour,
            _ => self.period.peak.is_none(),
        }
    }

    /// What a row contributes to this fold.
    pub(super) fn part(&self, column: Column) -> &'static str {
        match (column, self.fold) {
            (Column::Gauge(_, min, _), Fold::Min) => min,
            (Column::Gauge(.., max), Fold::Max) => max,
            (Column::Gauge(mean, ..), _) => mean,
            (Column::Amount(part) | Column::Ratio(part, _), _) => part,
        }
    }

    /// A row's contribution for this scope.
    pub(super) fn row(&self, source: Source, template: &str) -> String {
        let flow = format!(
            "CASE WHEN fit101_per_hr BETWEEN 0 AND {} THEN fit101_per_hr END",
            self.flow_max
        );
        let template = template.replace("{flow}", &flow).replace("{pct}", PCT);
        if source.has_pumps() || !template.contains("{p}") {
            return template;
        }
        let of = |pump: usize| template.replace("{p}", &(pump + 1).to_string());
        match &self.scope {
            Scope::One(pump) => of(*pump),
            Scope::Station => {
                let all: Vec<String> = (0..PUMPS)
                    .map(|pump| format!("coalesce({}, 0)", of(pump)))
                    .collect();
                format!("({})", all.join(" + "))
            }
            Scope::Each(_) => {
                let cases =
                    (0..PUMPS).map(|pump| format!(" WHEN '{}' THEN {}", pump_name(pump), of(pump)));
                format!("CASE pump{} END", cases.collect::<String>())
            }
        }
    }

    /// The folded value.
    pub(super) fn value(&self, source: Source, column: Column) -> String {
        let row = |template| self.row(source, template);
        let cyclic = self.group.is_some_and(Group::is_cyclic);
        match column {
            Column::Gauge(..) => {
                let fold = match self.fold {
                    Fold::Min => "min",
                    Fold::Max => "max",
                    Fold::Mean | Fold::Total => "avg",
                };
                format!("{fold}({})", row(self.part(column)))
            }
            Column::Amount(part) if cyclic => {
                format!(
                    "1.0 * sum({}) / count(DISTINCT {})",
                    row(part),
                    source.date()
                )
            }
            Column::Amount(part) => format!("sum({})", row(part)),
            Column::Ratio(part, by) => {
                format!("1.0 * sum({}) / nullif(sum({}), 0)", row(part), row(by))
            }
        }
    }

    /// The table, with the pumps beside it where each has a row of its own.
    pub(super) fn from(&self, source: Source) -> String {
        match self.scope {
            Scope::Each(_) if !source.has_pumps() => format!(
                "(SELECT pump FROM pump_health WHERE date = (SELECT max(date) FROM pump_health)) AS six, {}",
                source.table()
            ),
            _ => source.table().into(),
        }
    }

    /// The rows that count.
    pub(super) fn condition(&self, source: Source) -> String {
        let mut all = vec![source.within(&self.period)];
        match &self.scope {
            Scope::One(pump) if source.has_pumps() => {
                all.push(format!("pump = '{}'", pump_name(*pump)))
            }
            Scope::Each(pumps) if !pumps.is_empty() => {
                let names: Vec<String> = pumps
                    .iter()
                    .map(|pump| format!("'{}'", pump_name(*pump)))
                    .collect();
                all.push(format!("pump IN ({})", names.join(", ")));
            }
            Scope::Each(_) if source == Source::Alerts => all.push("pump IS NOT NULL".into()),
            _ => (),
        }
        all.extend(self.only.clone());
        all.join(" AND ")
    }
}
