//! What the active faults do to the present minute.

use jiff::civil::DateTime;

use super::control::{Hold, Orders};
use super::export::LineFaults;
use super::faults::{Fault, FaultKind};
use super::station::{PUMPS, Station};

/// Minutes on and minutes of a whole period of a short-cycling pump.
const CYCLE_ON_MINUTES: u32 = 3;
const CYCLE_MINUTES: u32 = 9;

/// A fault under way.
#[derive(Debug, Clone)]
pub struct ActiveFault {
    kind: FaultKind,
    minutes: u32,
    elapsed_minutes: u32,
    pumps: [bool; PUMPS],
    factor: Option<f64>,
    value: Option<f64>,
    m3h: Option<f64>,
}

impl ActiveFault {
    /// Begins `fault` at `now`; `lead_pumps` stand in where it names no pump. `None` when
    /// it is already over.
    pub fn begin(fault: &Fault, now: DateTime, lead_pumps: &[usize]) -> Option<Self> {
        let late_minutes = now.duration_since(fault.start).as_mins().max(0);
        let elapsed_minutes = u32::try_from(late_minutes).ok()?;
        let mut pumps = [false; PUMPS];
        for number in &fault.pumps {
            if let Some(pump) = number.checked_sub(1).and_then(|pump| pumps.get_mut(pump)) {
                *pump = true;
            }
        }
        if fault.pumps.is_empty() {
            for &pump in lead_pumps {
                pumps[pump] = true;
            }
        }
        (elapsed_minutes < fault.minutes).then_some(Self {
            kind: fault.kind,
            minutes: fault.minutes,
            elapsed_minutes,
            pumps,
            factor: fault.factor,
            value: fault.value,
            m3h: fault.m3h,
        })
    }

    /// Pumps to be started by hand, so that a fault of their power can show.
    pub fn called_pumps(&self) -> impl Iterator<Item = usize> + '_ {
        let calls = matches!(self.kind, FaultKind::Overcurrent | FaultKind::UnderLoad);
        (0..PUMPS).filter(move |&pump| calls && self.pumps[pump])
    }

    /// Lets a minute pass; false once the fault is over.
    pub fn pass_minute(&mut self) -> bool {
        self.elapsed_minutes += 1;
        self.elapsed_minutes < self.minutes
    }
}

/// Sum of all active faults for one minute.
#[derive(Debug, Clone, PartialEq)]
pub struct Effects {
    /// Demands on the control.
    pub orders: Orders,
    /// Pumps that neither deliver nor draw power though commanded on.
    pub tripped: [bool; PUMPS],
    /// Pumps on suck air: power but no flow.
    pub dry: bool,
    /// Multiplier of each pump's power.
    pub power_factor: [f64; PUMPS],
    /// Multiplier of the demand.
    pub demand_factor: f64,
    /// What the flow meter shows instead of the pumped flow, m³/h.
    pub meter_m3h: Option<f64>,
    /// The day total does not count.
    pub counter_stuck: bool,
    /// The level tag repeats its last value.
    pub level_frozen: bool,
    /// The flow tag repeats its last value.
    pub flow_stuck: bool,
    /// Replaced level reading, raw units.
    pub level_value: Option<f64>,
    /// Replaced flow reading, m³/h.
    pub flow_value: Option<f64>,
    /// What happens to the written lines.
    pub lines: LineFaults,
}

impl Default for Effects {
    fn default() -> Self {
        Self {
            orders: Orders::default(),
            tripped: [false; PUMPS],
            dry: false,
            power_factor: [1.0; PUMPS],
            demand_factor: 1.0,
            meter_m3h: None,
            counter_stuck: false,
            level_frozen: false,
            flow_stuck: false,
            level_value: None,
            flow_value: None,
            lines: LineFaults::default(),
        }
    }
}

impl Effects {
    /// Adds up the active faults. A hold of all pumps outranks holds of single ones.
    pub fn of(active: &[ActiveFault], station: &Station) -> Self {
        let mut effects = Self::default();
        let mut all_off = false;
        for fault in active {
            all_off |= effects.add(fault, station);
        }
        if all_off {
            effects.orders.hold = [Hold::Off; PUMPS];
        }
        effects
    }

    /// Adds one fault; true when it holds all pumps off.
    fn add(&mut self, fault: &ActiveFault, station: &Station) -> bool {
        match fault.kind {
            FaultKind::PumpTrip | FaultKind::MultiTrip => {
                self.hold(fault, Hold::On);
                for pump in 0..PUMPS {
                    self.tripped[pump] |= fault.pumps[pump];
                }
            }
            FaultKind::Overcurrent => self.scale_power(fault, 1.5),
            FaultKind::UnderLoad => self.scale_power(fault, 0.3),
            FaultKind::PowerOutage | FaultKind::Lockout => return true,
            FaultKind::NightFlow => {
                self.meter_m3h = Some(fault.m3h.unwrap_or(60.0));
                return true;
            }
            FaultKind::DryRun => {
                self.orders.hold = [Hold::Off; PUMPS];
                self.hold(fault, Hold::On);
                self.dry = true;
                self.meter_m3h = Some(0.0);
            }
            FaultKind::ShortCycling => {
                let on = fault.elapsed_minutes % CYCLE_MINUTES < CYCLE_ON_MINUTES;
                self.hold(fault, if on { Hold::On } else { Hold::Off });
            }
            FaultKind::Overfill | FaultKind::Overrun => self.hold(fault, Hold::On),
            FaultKind::AllOn => self.orders.hold = [Hold::On; PUMPS],
            FaultKind::SpillHighDemand => self.demand_factor *= fault.factor.unwrap_or(2.0),
            FaultKind::FrozenLevel => self.level_frozen = true,
            FaultKind::StuckFlow => self.flow_stuck = true,
            FaultKind::CounterStuck => self.counter_stuck = true,
            FaultKind::LevelRange => {
                self.level_value = Some(fault.value.unwrap_or(1.25 * station.hlt_physical_max));
            }
            FaultKind::FlowRange => {
                self.flow_value = Some(fault.value.unwrap_or(1.25 * station.fit101_physical_max));
            }
            FaultKind::Gap => self.lines.gap = true,
            FaultKind::Duplicates => self.lines.twice = true,
            FaultKind::BadValues => self.lines.bad_values = true,
            FaultKind::PartialMinute => self.lines.without_power = true,
            FaultKind::OutOfOrder => {
                self.lines.shuffled = true;
                self.lines.shuffle_goes_on |= fault.elapsed_minutes + 1 < fault.minutes;
            }
            FaultKind::EMarkers => self.lines.e_markers = true,
            FaultKind::UnknownTag => self.lines.unknown_tags = true,
            FaultKind::TornLastLine => self.lines.torn = true,
        }
        false
    }

    fn hold(&mut self, fault: &ActiveFault, hold: Hold) {
        for pump in 0..PUMPS {
            if fault.pumps[pump] {
                self.orders.hold[pump] = hold;
            }
        }
    }

    fn scale_power(&mut self, fault: &ActiveFault, usual_factor: f64) {
        for pump in 0..PUMPS {
            if fault.pumps[pump] {
                self.orders.prefer[pump] = true;
                self.power_factor[pump] *= fault.factor.unwrap_or(usual_factor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    const NOW: DateTime = datetime(2025, 3, 3, 10, 0, 0, 0);

    fn active(kind: FaultKind, pumps: &[usize]) -> ActiveFault {
        let fault = Fault::new(kind, NOW, 20).on_pumps(pumps);
        ActiveFault::begin(&fault, NOW, &[1]).unwrap()
    }

    #[test]
    fn an_outage_outranks_a_forced_pump() {
        let faults = [
            active(FaultKind::PowerOutage, &[]),
            active(FaultKind::Overrun, &[3]),
        ];
        let effects = Effects::of(&faults, &Station::default());
        assert_eq!(effects.orders.hold, [Hold::Off; PUMPS]);
    }

    #[test]
    fn lead_pumps_stand_in_and_odd_numbers_have_no_effect() {
        assert!(active(FaultKind::PumpTrip, &[]).pumps[1]);
        assert_eq!(active(FaultKind::PumpTrip, &[0, 9]).pumps, [false; PUMPS]);
    }

    #[test]
    fn a_fault_joined_late_ends_on_time() {
        let begun = datetime(2025, 3, 3, 9, 42, 0, 0);
        let fault = Fault::new(FaultKind::Gap, begun, 20);
        let mut late = ActiveFault::begin(&fault, NOW, &[]).unwrap();
        assert!(late.pass_minute());
        assert!(!late.pass_minute());
        let fault = Fault::new(FaultKind::Gap, begun, 18);
        assert!(ActiveFault::begin(&fault, NOW, &[]).is_none());
    }
}
