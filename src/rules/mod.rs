//! The 47 alert rules: what each looks at, how long it must hold, and the lifecycle that raises and resolves.
//!
//! Three things that are easily mixed stay apart: whether a condition is true this minute (a rule's `check`), for how
//! long it must hold (`for_min`, data beside it), and raising and resolving ([`engine`], the only state). A condition
//! answers `Some(true)`, `Some(false)` or, when an input it depends on is missing, `None`: that neither raises nor
//! resolves, and ends a run.
//!
//! One slice, [`CATALOGUE`], is read by the engine, the config, `pumphouse rules`, the README's table and the tests.

mod a_power;
mod b_pumps;
mod c_flow;
mod d_tank;
mod e_runtime;
pub mod engine;
mod f_data;
mod g_energy;
mod h_cascade;
pub mod load;
pub mod register;
pub mod scene;
#[cfg(test)]
mod tape;

use std::fmt;

use scene::{Closing, Scene};

use crate::row::Truth;

/// How many rules there are. The document the rules come from announces 46; its own group totals add up to 47.
pub const RULES: usize = 47;
/// How many thresholds a rule can have.
pub const LIMITS: usize = 4;

/// How urgently an operator must act, most urgent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// For the record.
    Info,
    /// Look at it during the shift.
    Warning,
    /// Act within the half hour.
    High,
    /// Act now.
    Critical,
}

impl Severity {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Info, Self::Warning, Self::High, Self::Critical];

    /// The name in tables, configs and topics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::High => "HIGH",
            Self::Critical => "CRITICAL",
        }
    }

    /// Reads a name, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.name().eq_ignore_ascii_case(text.trim()))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A threshold of a rule: a config key with its default.
#[derive(Debug)]
pub struct Limit {
    /// Key below `[alerts.rules.<code>]`.
    pub key: &'static str,
    /// Value where the config says nothing.
    pub default: f64,
    /// Unit, for people.
    pub unit: &'static str,
    /// On which side of it the alarm lies, where a deadband makes sense.
    pub side: Option<Side>,
}

/// On which side of a limit the alarm lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The alarm is above the limit, and over once the value is a deadband below it.
    Above,
    /// The alarm is below the limit, and over once the value is a deadband above it.
    Below,
}

/// A limit without a deadband: a count, a time, one of two bounds.
const fn limit(key: &'static str, default: f64, unit: &'static str) -> Limit {
    Limit {
        key,
        default,
        unit,
        side: None,
    }
}

/// A limit above which the alarm lies.
const fn above(key: &'static str, default: f64, unit: &'static str) -> Limit {
    Limit {
        side: Some(Side::Above),
        ..limit(key, default, unit)
    }
}

/// A limit below which the alarm lies.
const fn below(key: &'static str, default: f64, unit: &'static str) -> Limit {
    Limit {
        side: Some(Side::Below),
        ..limit(key, default, unit)
    }
}

/// The thresholds in force, in the order of [`Rule::limits`].
pub type Limits = [f64; LIMITS];

type StationCheck = fn(&Scene<'_>, &Limits) -> Truth;
type PumpCheck = fn(&Scene<'_>, usize, &Limits) -> Truth;

/// When and for what a rule's condition is looked at.
#[derive(Clone, Copy)]
pub enum Check {
    /// Each row, for the station.
    Station(StationCheck),
    /// Each row, for each pump.
    EachPump(PumpCheck),
    /// Each row: one condition raises, another keeps the alert active.
    Latched {
        /// Raises.
        raise: StationCheck,
        /// Keeps it active; resolves when known false.
        stays: StationCheck,
    },
    /// Each row, for the station, the run being that of an unchanged value, which the check measures itself with the
    /// rule's `for_min`.
    Frozen(fn(&Scene<'_>, &Limits, i64) -> Truth),
    /// Each row: raised and resolved in the same minute.
    Event(StationCheck),
    /// Silence: minutes since the last row beyond `limits[0]`, and up to `limits[1]` where there is one.
    Gap,
    /// Each row for the raise; resolved by local midnight alone.
    UntilMidnight(StationCheck),
    /// Each full hour's tick.
    HourClose(fn(&Closing<'_>, &Limits) -> Truth),
    /// Local midnight's tick, for each pump.
    DayClose(fn(&Closing<'_>, usize, &Limits) -> Truth),
}

/// What keeps a rule from raising although its condition holds: designed suppression in the sense of ISA-18.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// Nothing.
    None,
    /// A pump was switched within `switching_mask_min`.
    Switching,
    /// The last pump stopped because the tank is full (`normal_stop_pct`).
    NormalStop,
}

/// What a rule says when it raises, for its message.
pub struct Told<'a> {
    /// The pump's name, empty for a rule of the station.
    pub pump: &'a str,
    /// The value at the trigger.
    pub value: f64,
    /// The thresholds in force.
    pub limits: Limits,
    /// Minutes for which the condition must hold.
    pub for_min: i64,
    /// The pump's rating, kW; NaN for a rule of the station.
    pub rated_kw: f64,
}

/// One alert rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// `A-01` … `H-05`.
    pub code: &'static str,
    /// Name on panels.
    pub name: &'static str,
    /// Severity unless the config gives another.
    pub severity: Severity,
    /// The condition in words, with the default thresholds.
    pub condition: &'static str,
    /// Raises when the condition has been held for more than this many minutes.
    pub for_min: i64,
    /// Thresholds.
    pub limits: &'static [Limit],
    /// The condition.
    pub check: Check,
    /// A second part, looked at only at the minute itself.
    pub now: Option<StationCheck>,
    /// What keeps it from raising.
    pub mask: Mask,
    /// Resolves when the condition has been known false for more than this many minutes.
    pub off_delay_min: i64,
    /// The value to record at the trigger; NaN for none.
    pub value: Value,
    /// One plain sentence for the operator's panel.
    pub message: fn(&Told<'_>) -> String,
}

/// Where the recorded value comes from.
#[derive(Clone, Copy)]
pub enum Value {
    /// From the row.
    Station(fn(&Scene<'_>) -> f64),
    /// From the row, for the pump.
    Pump(fn(&Scene<'_>, usize) -> f64),
    /// Minutes for which the condition has been held.
    HeldMin,
    /// Minutes since the last row.
    SilentMin,
    /// From the closed hours or days.
    Closing(fn(&Closing<'_>, usize) -> f64),
}

/// What most rules share; each says only where it differs.
const RULE: Rule = Rule {
    code: "",
    name: "",
    severity: Severity::Info,
    condition: "",
    for_min: 0,
    limits: &[],
    check: Check::Gap,
    now: None,
    mask: Mask::None,
    off_delay_min: 0,
    value: Value::HeldMin,
    message: |_| String::new(),
};

impl Rule {
    /// Whether it keeps one state for each pump.
    pub fn is_per_pump(&self) -> bool {
        matches!(self.check, Check::EachPump(_) | Check::DayClose(_))
    }

    /// Whether `for_min` means anything for it: conditions that are looked at minute by minute.
    pub fn is_held(&self) -> bool {
        matches!(
            self.check,
            Check::Station(_)
                | Check::EachPump(_)
                | Check::Frozen(_)
                | Check::Latched { .. }
                | Check::UntilMidnight(_)
        )
    }
}

impl Rule {
    /// Whether an on-delay means anything for it: it looks at minutes, or at minutes of silence.
    pub fn has_on_delay(&self) -> bool {
        self.is_held() || matches!(self.check, Check::Gap)
    }

    /// Whether an off-delay means anything for it: rows decide when it resolves.
    pub fn has_off_delay(&self) -> bool {
        self.is_held() && !matches!(self.check, Check::UntilMidnight(_))
    }

    /// The limit that a deadband counts from: its place, the limit, its side. `None` where none makes sense.
    pub fn deadband_limit(&self) -> Option<(usize, &'static Limit, Side)> {
        let mut limits = self.limits.iter().enumerate();
        limits.find_map(|(place, limit)| limit.side.map(|side| (place, limit, side)))
    }
}

/// All rules, in the order in which they are evaluated; a rule's place is its number in ids and checkpoints.
pub static CATALOGUE: [Rule; RULES] = [
    a_power::POWER_OUTAGE,
    a_power::CIRCUIT_LOST,
    a_power::POWER_RESTORED,
    a_power::POWER_FLUCTUATION,
    a_power::IDLE_WITH_POWER,
    b_pumps::PUMP_TRIPPED,
    b_pumps::RUNNING_NO_FLOW,
    b_pumps::SEVERAL_RUNNING_NO_FLOW,
    b_pumps::OVERCURRENT,
    b_pumps::UNDER_LOADED,
    b_pumps::POWER_WITHOUT_COMMAND,
    b_pumps::ALL_TRIPPED,
    c_flow::FLOW_WITHOUT_PUMPS,
    c_flow::FLOW_SPIKE,
    c_flow::FLOW_CRASH,
    c_flow::FLOW_DECLINE,
    c_flow::NIGHT_FLOW,
    c_flow::FLOW_FROZEN,
    c_flow::DAY_TOTAL_STANDS,
    d_tank::LEVEL_CRITICALLY_LOW,
    d_tank::TANK_EMPTY,
    d_tank::OVERFLOW_RISK,
    d_tank::FALLING_FAST,
    d_tank::NOT_RISING,
    d_tank::LEVEL_OUT_OF_RANGE,
    d_tank::LEVEL_FROZEN,
    e_runtime::PUMP_OVERRUN,
    e_runtime::ALL_ON,
    e_runtime::SHORT_CYCLING,
    e_runtime::RAPID_SHORT_CYCLING,
    e_runtime::EFFICIENCY_DEGRADING,
    f_data::SHORT_GAP,
    f_data::EXTENDED_GAP,
    f_data::FLOW_STUCK,
    f_data::LEVEL_STUCK,
    f_data::IMPOSSIBLE_VALUE,
    f_data::POWER_ANOMALY,
    f_data::DUPLICATE_TIMESTAMP,
    g_energy::PEAK_WITH_TANK_FULL,
    g_energy::ENERGY_WITHOUT_FLOW,
    g_energy::EFFICIENCY_DROP,
    g_energy::BUDGET_EXCEEDED,
    h_cascade::OUTAGE_AND_DRAINING,
    h_cascade::TRIPPED_AND_LOW,
    h_cascade::ALL_FAULTED_AND_LOW,
    h_cascade::NIGHT_FLOW_SUSTAINED,
    h_cascade::OVERRUN_AND_DECLINING,
];

/// A rule's place in the catalogue, by its code.
pub fn index_of(code: &str) -> Option<usize> {
    CATALOGUE.iter().position(|rule| rule.code == code)
}

/// Whether the rule at this place is about silence.
pub fn is_gap(index: usize) -> bool {
    matches!(CATALOGUE[index].check, Check::Gap)
}

/// Place of A-01, which and H-01 look at.
pub const A_01: usize = 0;
/// Place of B-01, which H-02 looks at.
pub const B_01: usize = 5;
/// Place of E-01, which H-05 looks at.
pub const E_01: usize = 26;
/// Place of F-01, the shorter of the two gap rules.
pub const F_01: usize = 31;
/// Place of F-02.
pub const F_02: usize = 32;

/// A rule as it is in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether it is evaluated at all.
    pub enabled: bool,
    /// Severity in force.
    pub severity: Severity,
    /// Raises when held for more than this many minutes.
    pub for_min: i64,
    /// Raises only when it would have been active for more than this many minutes.
    pub on_delay_min: i64,
    /// Resolves when known false for more than this many minutes.
    pub off_delay_min: i64,
    /// How far behind its limit the value must be before an open alert resolves, in the limit's unit.
    pub deadband: f64,
    /// Thresholds in force.
    pub limits: Limits,
}

/// A threshold that the rule does not have is NaN, so that it decides nothing; here it is the same as itself.
impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        let of = |it: &Self| {
            let &Self {
                enabled,
                severity,
                for_min,
                on_delay_min,
                off_delay_min,
                deadband,
                limits,
            } = it;
            let numbers = (deadband.to_bits(), limits.map(f64::to_bits));
            let minutes = (for_min, on_delay_min, off_delay_min);
            (enabled, severity, minutes, numbers)
        };
        of(self) == of(other)
    }
}

impl Settings {
    /// The thresholds that decide whether an alert stays open: the limit moved back by the deadband.
    pub fn limits_of_open(&self, rule: &Rule) -> Limits {
        let mut limits = self.limits;
        if let Some((place, _, side)) = rule.deadband_limit() {
            limits[place] += match side {
                Side::Above => -self.deadband,
                Side::Below => self.deadband,
            };
        }
        limits
    }
}

/// The settings of all rules, in the order of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleBook {
    /// One entry a rule.
    pub settings: Vec<Settings>,
}

impl RuleBook {
    /// A threshold in force, by the code of its rule and its key.
    pub fn limit(&self, code: &str, key: &str) -> Option<f64> {
        let rule = index_of(code)?;
        let place = CATALOGUE[rule]
            .limits
            .iter()
            .position(|limit| limit.key == key)?;
        Some(self.settings[rule].limits[place])
    }
}

impl Default for RuleBook {
    fn default() -> Self {
        let settings = CATALOGUE
            .iter()
            .map(|rule| {
                let mut limits = [f64::NAN; LIMITS];
                for (slot, limit) in limits.iter_mut().zip(rule.limits) {
                    *slot = limit.default;
                }
                Settings {
                    enabled: true,
                    severity: rule.severity,
                    for_min: rule.for_min,
                    on_delay_min: 0,
                    off_delay_min: rule.off_delay_min,
                    deadband: 0.0,
                    limits,
                }
            })
            .collect();
        Self { settings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_holds_47_rules_in_order_of_their_codes() {
        let codes: Vec<_> = CATALOGUE.iter().map(|rule| rule.code).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
        let per_group: Vec<_> = "ABCDEFGH"
            .chars()
            .map(|group| codes.iter().filter(|code| code.starts_with(group)).count())
            .collect();
        assert_eq!(per_group, [5, 7, 7, 7, 5, 7, 4, 5]);
        for (place, code) in [
            (A_01, "A-01"),
            (B_01, "B-01"),
            (E_01, "E-01"),
            (F_01, "F-01"),
            (F_02, "F-02"),
        ] {
            assert_eq!(CATALOGUE[place].code, code);
        }
    }

    #[test]
    fn every_rule_says_what_it_is() {
        for rule in &CATALOGUE {
            assert!(
                !rule.name.is_empty() && !rule.condition.is_empty(),
                "{}",
                rule.code
            );
            assert!(rule.limits.len() <= LIMITS, "{}", rule.code);
        }
    }
}
