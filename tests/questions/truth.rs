//! What the answers must say, worked out by plain folds over all rows of minutes, without any SQL of the engine.

use std::collections::BTreeMap;

use pumphouse::calendar::{DAY_MIN, LocalMinute, date_text, day_of, text};
use rusqlite::Connection;

/// Highest flow that the simulated station's meter can show, m³/h.
pub const FLOW_MAX: f64 = 2000.0;

/// A minute as it stands in the store.
pub struct Row {
    at: LocalMinute,
    level: Option<f64>,
    flow: Option<f64>,
    total_kw: Option<f64>,
    day_total: Option<f64>,
    on: [bool; 6],
    kw: [f64; 6],
}

/// A raise of an alert.
pub struct Alert {
    at: LocalMinute,
    rule: String,
    pump: String,
    severity: String,
    open: bool,
    minutes: Option<i64>,
}

/// All that is known.
pub struct Truth {
    pub rows: Vec<Row>,
    pub alerts: Vec<Alert>,
}

/// A stretch of the wall clock.
pub type Stretch = (LocalMinute, LocalMinute);

/// `2025-03-04` or `2025-03-04T14:30` as a minute.
fn minute(text: &str) -> LocalMinute {
    let (date, time) = text
        .trim()
        .split_once('T')
        .unwrap_or((text.trim(), "00:00"));
    let (hour, minute) = time.split_once(':').expect("a time");
    let number = |text: &str| text.parse::<i64>().expect("a number");
    day_of(date).expect("a date") * DAY_MIN + number(hour) * 60 + number(minute)
}

/// `a..b` with the end left out, or one date.
pub fn stretch(text: &str) -> Stretch {
    match text.split_once("..") {
        Some((from, until)) => (minute(from), minute(until)),
        None => (minute(text), minute(text) + DAY_MIN),
    }
}

impl Truth {
    /// Reads the minutes and the alerts once.
    pub fn read(store: &Connection) -> Self {
        let mut statement = store
            .prepare("SELECT * FROM readings_wide ORDER BY ts")
            .expect("a statement");
        let rows = statement.query_map([], |row| {
            let number = |name: &str| row.get::<_, Option<f64>>(name);
            let stamp: String = row.get("timestamp")?;
            let mut of = Row {
                at: minute(&stamp[..16].replace(' ', "T")),
                level: number("hlt_pct")?,
                flow: number("fit101_per_hr")?.filter(|flow| (0.0..=FLOW_MAX).contains(flow)),
                total_kw: number("total_kw")?,
                day_total: number("fit101_day_total")?,
                on: [false; 6],
                kw: [0.0; 6],
            };
            for pump in 0..6 {
                of.on[pump] =
                    row.get::<_, Option<i64>>(format!("p{}_onoff", pump + 1).as_str())? == Some(1);
                of.kw[pump] = number(&format!("p{}_kwh", pump + 1))?.unwrap_or(0.0);
            }
            Ok(of)
        });
        let rows = rows.expect("rows").collect::<Result<_, _>>().expect("rows");
        let mut statement = store
            .prepare("SELECT timestamp, rule, coalesce(pump, ''), severity, resolved, duration_min FROM alerts_log ORDER BY id")
            .expect("a statement");
        let alerts = statement.query_map([], |row| {
            let stamp: String = row.get(0)?;
            Ok(Alert {
                at: minute(&stamp[..16].replace(' ', "T")),
                rule: row.get(1)?,
                pump: row.get(2)?,
                severity: row.get(3)?,
                open: row.get::<_, i64>(4)? == 0,
                minutes: row.get(5)?,
            })
        });
        let alerts = alerts
            .expect("alerts")
            .collect::<Result<_, _>>()
            .expect("alerts");
        Self { rows, alerts }
    }

    fn within(&self, (from, until): Stretch) -> impl Iterator<Item = &Row> {
        self.rows
            .iter()
            .filter(move |row| (from..until).contains(&row.at))
    }

    /// The values of a field: `level`, `flow`, `power`, `pumps`, `p3kw` while the pump runs, `stability`.
    fn values(&self, field: &str, when: Stretch) -> Vec<(LocalMinute, f64)> {
        let of = |row: &Row| match field {
            "level" => row.level,
            "flow" => row.flow,
            "power" => row.total_kw,
            "pumps" => Some(row.on.iter().filter(|on| **on).count() as f64),
            "stability" => row.level.map(|level| {
                if (20.0..=85.0).contains(&level) {
                    100.0
                } else {
                    0.0
                }
            }),
            of_pump => {
                let pump = pump(&of_pump[..2]);
                row.on[pump].then_some(row.kw[pump])
            }
        };
        self.within(when)
            .filter_map(|row| Some((row.at, of(row)?)))
            .collect()
    }

    /// Runs of a pump: begin, and end where it is over.
    fn runs(&self, pump: usize) -> Vec<(LocalMinute, Option<LocalMinute>)> {
        let mut runs: Vec<(LocalMinute, Option<LocalMinute>)> = Vec::new();
        let mut was = false;
        for row in &self.rows {
            match (was, row.on[pump]) {
                (false, true) => runs.push((row.at, None)),
                (true, false) => runs.last_mut().expect("a run").1 = Some(row.at),
                _ => (),
            }
            was = row.on[pump];
        }
        runs
    }

    fn lengths(&self, pump: usize, (from, until): Stretch) -> Vec<f64> {
        let runs = self
            .runs(pump)
            .into_iter()
            .filter(|(begin, _)| (from..until).contains(begin));
        runs.filter_map(|(begin, end)| Some((end? - begin) as f64))
            .collect()
    }

    /// The values that a limit holds at, and how often that began: `level<50`.
    fn held(&self, condition: &str, when: Stretch) -> (f64, f64, Option<LocalMinute>) {
        let place = condition.find(['<', '>']).expect("a comparison");
        let (field, limit) = condition.split_at(place);
        let below = limit.starts_with('<');
        let limit: f64 = limit[1..].parse().expect("a limit");
        let (mut minutes, mut times, mut was, mut first) = (0.0, 0.0, false, None);
        for (at, value) in self.values(field, when) {
            let held = if below { value < limit } else { value > limit };
            minutes += f64::from(u8::from(held));
            if held && !was {
                times += 1.0;
                first = first.or(Some(at));
            }
            was = held;
        }
        (minutes, times, first)
    }

    /// Alerts by `rule`, `pump`, `severity` or `open`, `+` between them; empty for all.
    fn chosen(&self, filter: &str, (from, until): Stretch) -> Vec<&Alert> {
        let fits = |alert: &&Alert| {
            filter
                .split('+')
                .filter(|part| !part.is_empty())
                .all(|part| match part {
                    "open" => alert.open,
                    "CRITICAL" | "HIGH" | "WARNING" | "INFO" => alert.severity == part,
                    part if part.starts_with('P') => alert.pump == part,
                    "pump" => !alert.pump.is_empty(),
                    rules => rules.split('/').any(|rule| alert.rule == rule),
                })
        };
        self.alerts
            .iter()
            .filter(|alert| (from..until).contains(&alert.at))
            .filter(fits)
            .collect()
    }

    /// A sum or mean for one pump.
    fn of_pump(&self, what: &str, pump: usize, when: Stretch) -> f64 {
        let rows = || self.within(when);
        match what {
            "on" => rows().filter(|row| row.on[pump]).count() as f64,
            "energy" => rows().map(|row| row.kw[pump] / 60.0).sum(),
            "starts" => self
                .runs(pump)
                .iter()
                .filter(|(begin, _)| (when.0..when.1).contains(begin))
                .count() as f64,
            "stops" => self
                .runs(pump)
                .iter()
                .filter_map(|(_, end)| *end)
                .filter(|end| (when.0..when.1).contains(end))
                .count() as f64,
            "short" => self
                .lengths(pump, when)
                .into_iter()
                .filter(|minutes| *minutes < 5.0)
                .count() as f64,
            "longestrun" => self.lengths(pump, when).into_iter().fold(0.0, f64::max),
            "meanrun" => mean(&self.lengths(pump, when)),
            "efficiency" => {
                let share =
                    |row: &Row| Some(row.flow? / row.on.iter().filter(|on| **on).count() as f64);
                let on = || rows().filter(|row| row.on[pump]);
                on().filter_map(share).sum::<f64>() / on().map(|row| row.kw[pump]).sum::<f64>()
            }
            "alerts" => self
                .chosen(["P1", "P2", "P3", "P4", "P5", "P6"][pump], when)
                .len() as f64,
            other => panic!("no truth of a pump is called {other}"),
        }
    }

    /// A figure of the station over a stretch.
    fn of_station(&self, what: &str, when: Stretch) -> f64 {
        let sum = |field: &str| {
            self.values(field, when)
                .iter()
                .map(|(_, value)| value / 60.0)
                .sum::<f64>()
        };
        match what {
            "energy" => sum("power"),
            "flowsum" => sum("flow"),
            "volume" => {
                let mut days: BTreeMap<i64, f64> = BTreeMap::new();
                for row in self.within(when) {
                    let day = days.entry(row.at.div_euclid(DAY_MIN)).or_default();
                    *day = day.max(row.day_total.unwrap_or(0.0));
                }
                days.values().sum()
            }
            "specific" => self.of_station("energy", when) / self.of_station("volume", when),
            "rows" => self.within(when).count() as f64,
            "alerts" => self.chosen("", when).len() as f64,
            "level" | "flow" | "power" | "pumps" | "stability" => mean(&self.numbers(what, when)),
            pumps => (0..6).map(|pump| self.of_pump(pumps, pump, when)).sum(),
        }
    }

    fn numbers(&self, field: &str, when: Stretch) -> Vec<f64> {
        self.values(field, when)
            .into_iter()
            .map(|(_, value)| value)
            .collect()
    }

    fn extreme(&self, field: &str, when: Stretch, high: bool) -> (LocalMinute, f64) {
        let values = self.values(field, when);
        let better = |a: f64, b: f64| if high { a > b } else { a < b };
        let mut best = values[0];
        for value in values {
            if better(value.1, best.1) {
                best = value;
            }
        }
        best
    }

    /// The pump with most, or least, of something.
    fn top(&self, what: &str, when: Stretch, most: bool) -> usize {
        let value = |pump: usize| self.of_pump(what, pump, when);
        let better = |a: f64, b: f64| if most { a > b } else { a < b };
        (1..6).fold(0, |best, pump| {
            if better(value(pump), value(best)) {
                pump
            } else {
                best
            }
        })
    }

    /// The day, or the hour of the day, with most or least.
    fn bucket(&self, what: &str, when: Stretch, most: bool) -> LocalMinute {
        let days = (when.0.div_euclid(DAY_MIN)..(when.1 + DAY_MIN - 1).div_euclid(DAY_MIN))
            .map(|day| day * DAY_MIN);
        let value = |day: LocalMinute| self.of_station(what, (day, day + DAY_MIN));
        let better = |a: f64, b: f64| if most { a > b } else { a < b };
        let days: Vec<LocalMinute> = days.collect();
        days.iter().copied().fold(days[0], |best, day| {
            if better(value(day), value(best)) {
                day
            } else {
                best
            }
        })
    }

    /// The value of an expression like `mean(flow, 2025-03-04)`.
    pub fn value(&self, expression: &str) -> Told {
        let (name, arguments) = expression
            .trim()
            .trim_end_matches(')')
            .split_once('(')
            .expect("a function");
        let arguments: Vec<&str> = arguments.split(',').map(str::trim).collect();
        let when = |place: usize| stretch(arguments[place]);
        match (name, arguments.as_slice()) {
            ("mean", [field, _]) => Told::Number(mean(&self.numbers(field, when(1)))),
            ("max", [field, _]) => Told::Number(self.extreme(field, when(1), true).1),
            ("min", [field, _]) => Told::Number(self.extreme(field, when(1), false).1),
            ("whenmax", [field, _]) => Told::Minute(self.extreme(field, when(1), true).0),
            ("whenmin", [field, _]) => Told::Minute(self.extreme(field, when(1), false).0),
            ("at", [field, at]) => {
                Told::Number(self.values(field, (minute(at), minute(at) + 1))[0].1)
            }
            ("minutes", [condition, _]) => Told::Number(self.held(condition, when(1)).0),
            ("times", [condition, _]) => Told::Number(self.held(condition, when(1)).1),
            ("firstheld", [condition, _]) => {
                Told::Minute(self.held(condition, when(1)).2.expect("a minute"))
            }
            ("alerts", [filter, _]) => Told::Number(self.chosen(filter, when(1)).len() as f64),
            ("lastalert", [filter, _]) => {
                Told::Minute(self.chosen(filter, when(1)).last().expect("an alert").at)
            }
            ("lastminutes", [filter, _]) => Told::Number(
                self.chosen(filter, when(1))
                    .last()
                    .and_then(|alert| alert.minutes)
                    .expect("a length") as f64,
            ),
            ("longestalert", [filter, _]) => {
                let lengths = self
                    .chosen(filter, when(1))
                    .into_iter()
                    .filter_map(|alert| alert.minutes);
                Told::Number(lengths.max().expect("a length") as f64)
            }
            ("top", [what, _]) => Told::Pump(self.top(what, when(1), true)),
            ("least", [what, _]) => Told::Pump(self.top(what, when(1), false)),
            ("topday", [what, _]) => Told::Day(self.bucket(what, when(1), true)),
            ("leastday", [what, _]) => Told::Day(self.bucket(what, when(1), false)),
            ("days", [what, limit, _]) => {
                let limit: f64 = limit.parse().expect("a limit");
                let (from, until) = when(2);
                let days = (from..until).step_by(DAY_MIN as usize);
                Told::Number(
                    days.filter(|day| self.of_station(what, (*day, day + DAY_MIN)) > limit)
                        .count() as f64,
                )
            }
            ("perday", [what, days, _]) => {
                let days: f64 = days.parse().expect("a number of days");
                Told::Number(self.of_station(what, when(2)) / days)
            }
            (what, [of, _]) => Told::Number(self.of_pump(what, pump(of), when(1))),
            (what, [_]) => Told::Number(self.of_station(what, when(0))),
            _ => panic!("{expression} is no truth"),
        }
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn pump(name: &str) -> usize {
    name[1..].parse::<usize>().expect("a pump") - 1
}

/// A truth, before it is written as an answer does.
pub enum Told {
    Number(f64),
    Minute(LocalMinute),
    Day(LocalMinute),
    Pump(usize),
}

impl Told {
    /// How an answer may write it: `form` is a number of digits, `span`, or `with=…` for another writing.
    pub fn written(&self, form: &str) -> Vec<String> {
        match self {
            Self::Pump(pump) => vec![format!("P{}", pump + 1)],
            Self::Day(day) => vec![date(*day)],
            Self::Minute(minute) => {
                vec![format!("{} on {}", &text(*minute)[11..16], date(*minute))]
            }
            Self::Number(value) if form == "span" => vec![span(*value)],
            Self::Number(value) => {
                let digits: usize = form.parse().expect("a number of digits");
                // Sums of floats may fall on either side of a half.
                let hair = 1e-6 * value.abs().max(1.0);
                [value - hair, *value, value + hair]
                    .iter()
                    .map(|value| commas(*value, digits))
                    .collect()
            }
        }
    }
}

fn date(minute: LocalMinute) -> String {
    const MONTHS: [&str; 3] = ["March", "April", "May"];
    let iso = date_text(minute.div_euclid(DAY_MIN));
    let month: usize = iso[5..7].parse().expect("a month");
    format!(
        "{} {} {}",
        iso[8..].trim_start_matches('0'),
        MONTHS[month - 3],
        &iso[..4]
    )
}

fn span(minutes: f64) -> String {
    let whole = minutes.round() as i64;
    match (whole / 60, whole % 60) {
        (0, 1) => "1 minute".into(),
        (0, minutes) => format!("{minutes} minutes"),
        (1, 0) => "1 hour".into(),
        (hours, 0) if hours < 48 => format!("{hours} hours"),
        (hours, minutes) if hours < 48 => format!("{hours} h {minutes} min"),
        _ => format!("{} hours", commas(minutes / 60.0, 1)),
    }
}

fn commas(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 && !grouped.ends_with('-') {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}
