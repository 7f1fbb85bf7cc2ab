//! Fault scripts: what goes wrong, when and for how long.

use anyhow::{Context, Result, bail, ensure};
use jiff::civil::DateTime;
use serde::Deserialize;

use super::station::PUMPS;

/// Longest fault accepted, minutes (ten years).
const MAX_MINUTES: u32 = 5_260_000;
/// Largest replaced reading accepted; keeps the scaled integer well inside its range.
const MAX_VALUE: f64 = 1e12;

/// Kind of a fault. The names in a script are those of [`FaultKind::name`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// The pump stays commanded on but draws 0 kW and delivers nothing.
    PumpTrip,
    /// The pump's power is multiplied by `factor` (1.5); it is started to show.
    Overcurrent,
    /// The pump's power is multiplied by `factor` (0.3); it is started to show.
    UnderLoad,
    /// No lines at all; the process goes on.
    Gap,
    /// All pumps off without power; the demand keeps draining the tank.
    PowerOutage,
    /// Each line is written twice.
    Duplicates,
    /// All pumps rest while the flow meter shows `m3h` (60).
    NightFlow,
    /// The given pumps run with power while the meter reads no flow; the others rest.
    DryRun,
    /// The values are replaced by texts that are no usable numbers.
    BadValues,
    /// The power tags are missing.
    PartialMinute,
    /// The level tag repeats its last value.
    FrozenLevel,
    /// The flow tag repeats its last value; the day total goes on.
    StuckFlow,
    /// The pump is toggled, 3 minutes on and 6 minutes off.
    ShortCycling,
    /// The day total does not count (it is still reset at midnight).
    CounterStuck,
    /// The lines of the fault's minutes are shuffled, within a day.
    OutOfOrder,
    /// An extra line with marker E and value 0 before each line.
    EMarkers,
    /// Extra lines with unknown tag indices after each minute.
    UnknownTag,
    /// An interlock holds all pumps off; the demand drains the tank.
    Lockout,
    /// Three pumps are forced on, so that the tank fills past 85 % and overflows.
    Overfill,
    /// A trip of several pumps at once (2 unless `pumps` says otherwise).
    MultiTrip,
    /// The level tag shows `value` (1.25 of its physical maximum).
    LevelRange,
    /// The flow tag shows `value` (1.25 of its physical maximum).
    FlowRange,
    /// All six pumps are forced on.
    AllOn,
    /// The pump is forced on.
    Overrun,
    /// The demand is multiplied by `factor` (2.0).
    SpillHighDemand,
    /// The last line of the minute is cut in the middle, without its line end.
    TornLastLine,
}

impl FaultKind {
    /// All kinds with their names in a script.
    pub const ALL: [(Self, &'static str); 26] = [
        (Self::PumpTrip, "pump_trip"),
        (Self::Overcurrent, "overcurrent"),
        (Self::UnderLoad, "under_load"),
        (Self::Gap, "gap"),
        (Self::PowerOutage, "power_outage"),
        (Self::Duplicates, "duplicates"),
        (Self::NightFlow, "night_flow"),
        (Self::DryRun, "dry_run"),
        (Self::BadValues, "bad_values"),
        (Self::PartialMinute, "partial_minute"),
        (Self::FrozenLevel, "frozen_level"),
        (Self::StuckFlow, "stuck_flow"),
        (Self::ShortCycling, "short_cycling"),
        (Self::CounterStuck, "counter_stuck"),
        (Self::OutOfOrder, "out_of_order"),
        (Self::EMarkers, "e_markers"),
        (Self::UnknownTag, "unknown_tag"),
        (Self::Lockout, "lockout"),
        (Self::Overfill, "overfill"),
        (Self::MultiTrip, "multi_trip"),
        (Self::LevelRange, "level_range"),
        (Self::FlowRange, "flow_range"),
        (Self::AllOn, "all_on"),
        (Self::Overrun, "overrun"),
        (Self::SpillHighDemand, "spill_high_demand"),
        (Self::TornLastLine, "torn_last_line"),
    ];

    /// Name in a script, such as `pump_trip`.
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// The kind with the given script name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| *kind)
    }

    /// How many pumps the fault falls on when the script names none.
    pub(super) fn usual_pumps(self) -> usize {
        match self {
            Self::PumpTrip
            | Self::Overcurrent
            | Self::UnderLoad
            | Self::DryRun
            | Self::ShortCycling
            | Self::Overrun => 1,
            Self::MultiTrip => 2,
            Self::Overfill => 3,
            _ => 0,
        }
    }
}

/// One fault. Settings left open take the default named at its [`FaultKind`].
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// First minute of the fault, local time.
    pub start: DateTime,
    /// Length, minutes, 1 or more.
    pub minutes: u32,
    /// Pump numbers, 1 to 6; empty for the pumps in duty when the fault begins.
    pub pumps: Vec<usize>,
    /// Multiplier of power or demand, 0 to 100.
    pub factor: Option<f64>,
    /// Replaced reading, raw units (level) or m³/h (flow).
    pub value: Option<f64>,
    /// Flow shown by the meter, m³/h, 0 or more.
    pub m3h: Option<f64>,
    /// Free remark.
    pub note: String,
}

impl Fault {
    /// A fault with default settings.
    pub fn new(kind: FaultKind, start: DateTime, minutes: u32) -> Self {
        Self {
            kind,
            start,
            minutes,
            pumps: Vec::new(),
            factor: None,
            value: None,
            m3h: None,
            note: String::new(),
        }
    }

    /// The same fault on the given pumps (numbers 1 to 6; others have no effect).
    #[must_use]
    pub fn on_pumps(mut self, pumps: &[usize]) -> Self {
        self.pumps = pumps.to_vec();
        self
    }
}

/// A checked list of faults, ordered by their start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultScript {
    faults: Vec<Fault>,
}

/// One entry of the file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    start: String,
    minutes: u32,
    pump: Option<usize>,
    #[serde(default)]
    pumps: Vec<usize>,
    factor: Option<f64>,
    value: Option<f64>,
    m3h: Option<f64>,
    #[serde(default)]
    note: String,
}

impl FaultScript {
    /// Reads a script: a JSON array of entries
    /// `{"type": "pump_trip", "start": "2025-03-03 10:00", "minutes": 30, "pump": 2}`.
    ///
    /// # Errors
    /// Names the number of the first entry (counted from 1) that cannot be used.
    pub fn parse(text: &str) -> Result<Self> {
        let entries: Vec<serde_json::Value> =
            serde_json::from_str(text).context("the fault script is not a JSON array")?;
        let mut faults = Vec::with_capacity(entries.len());
        for (index, value) in entries.into_iter().enumerate() {
            let fault = serde_json::from_value::<Entry>(value)
                .map_err(anyhow::Error::from)
                .and_then(Entry::check)
                .with_context(|| format!("fault script entry {}", index + 1))?;
            faults.push(fault);
        }
        Ok(Self::from_faults(faults))
    }

    /// A script of the given faults.
    pub(super) fn from_faults(mut faults: Vec<Fault>) -> Self {
        faults.sort_by_key(|fault| fault.start);
        Self { faults }
    }

    /// The script with more faults.
    pub fn with(mut self, more: impl IntoIterator<Item = Fault>) -> Self {
        self.faults.extend(more);
        Self::from_faults(self.faults)
    }

    /// The faults, ordered by their start.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    pub(super) fn into_faults(self) -> Vec<Fault> {
        self.faults
    }
}

impl Entry {
    fn check(self) -> Result<Fault> {
        let Some(kind) = FaultKind::from_name(&self.kind) else {
            let known: Vec<&str> = FaultKind::ALL.iter().map(|(_, name)| *name).collect();
            bail!(
                "unknown type {:?}, known are {}",
                self.kind,
                known.join(", ")
            );
        };
        let start = DateTime::strptime("%Y-%m-%d %H:%M", &self.start)
            .ok()
            .with_context(|| format!("start {:?} is not \"YYYY-MM-DD HH:MM\"", self.start))?;
        ensure!(
            (1..=MAX_MINUTES).contains(&self.minutes),
            "minutes is {}, allowed is 1 to {MAX_MINUTES}",
            self.minutes
        );
        let mut pumps = self.pumps;
        pumps.extend(self.pump);
        pumps.sort_unstable();
        pumps.dedup();
        if let Some(pump) = pumps.iter().find(|pump| !(1..=PUMPS).contains(pump)) {
            bail!("pump is {pump}, allowed is 1 to {PUMPS}");
        }
        let within = |name: &str, value: Option<f64>, low: f64, high: f64| {
            let usable = value.is_none_or(|value| (low..=high).contains(&value));
            ensure!(usable, "{name} is outside {low} to {high}");
            Ok(value)
        };
        Ok(Fault {
            kind,
            start,
            minutes: self.minutes,
            pumps,
            factor: within("factor", self.factor, 0.0, 100.0)?,
            value: within("value", self.value, -MAX_VALUE, MAX_VALUE)?,
            m3h: within("m3h", self.m3h, 0.0, MAX_VALUE)?,
            note: self.note,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    fn error_of(text: &str) -> String {
        format!("{:#}", FaultScript::parse(text).unwrap_err())
    }

    #[test]
    fn reads_all_settings_and_orders_by_start() {
        let script = FaultScript::parse(
            r#"[{"type": "night_flow", "start": "2025-03-04 02:00", "minutes": 60, "m3h": 45.5},
                {"type": "multi_trip", "start": "2025-03-03 10:05", "minutes": 9, "pumps": [4, 2],
                 "factor": 1.2, "value": -3, "note": "both"}]"#,
        )
        .unwrap();
        let first = &script.faults()[0];
        assert_eq!(first.kind, FaultKind::MultiTrip);
        assert_eq!(first.start, datetime(2025, 3, 3, 10, 5, 0, 0));
        assert_eq!((first.minutes, &first.pumps[..]), (9, &[2, 4][..]));
        assert_eq!((first.factor, first.value), (Some(1.2), Some(-3.0)));
        assert_eq!(first.note, "both");
        assert_eq!(script.faults()[1].m3h, Some(45.5));
        assert_eq!(FaultScript::parse("[]").unwrap(), FaultScript::default());
    }

    #[test]
    fn every_kind_is_known_by_its_name() {
        for (kind, name) in FaultKind::ALL {
            assert_eq!(kind.name(), name);
            let text = format!(r#"[{{"type":"{name}","start":"2025-01-01 00:00","minutes":1}}]"#);
            assert_eq!(FaultScript::parse(&text).unwrap().faults()[0].kind, kind);
        }
    }

    #[test]
    fn errors_name_the_entry() {
        let good = r#"{"type": "gap", "start": "2025-03-03 10:00", "minutes": 5}"#;
        let second = |entry: &str| error_of(&format!("[{good}, {entry}]"));
        let message =
            second(r#"{"type": "earthquake", "start": "2025-03-03 10:00", "minutes": 5}"#);
        assert!(
            message.contains("entry 2") && message.contains("earthquake"),
            "{message}"
        );
        for start in [
            "03.03.2025 10:00",
            "2025-02-30 10:00",
            "2025-03-03",
            "2025-03-03 25:00",
        ] {
            let message = second(&format!(
                r#"{{"type":"gap","start":"{start}","minutes":5}}"#
            ));
            assert!(
                message.contains("entry 2") && message.contains(start),
                "{message}"
            );
        }
        for rest in [
            r#""minutes": 0"#,
            r#""minutes": -4"#,
            r#""minutes": 5, "pump": 7"#,
            r#""minutes": 5, "pumps": [1, 0]"#,
            r#""minutes": 5, "factor": -1"#,
            r#""minutes": 5, "colour": 1"#,
            r#""note": "no length""#,
        ] {
            let message = second(&format!(
                r#"{{"type":"gap","start":"2025-03-03 10:00",{rest}}}"#
            ));
            assert!(message.contains("entry 2"), "{message}");
        }
        assert!(error_of("{}").contains("JSON array"));
    }
}
