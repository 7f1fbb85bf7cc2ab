//! The 27 tags of a station: their PLC names, their columns in `readings_wide`, their slots in a [`Values`] array.

/// Pumps of a station, P1 … P6.
pub const PUMPS: usize = 6;
/// Tags of a station: 3 of the station and 4 for each pump.
pub const TAGS: usize = 27;

/// Slot of the day's pumped volume, m³, reset by the PLC at midnight.
pub const DAY_TOTAL: usize = 0;
/// Slot of the station flow, m³/h.
pub const FLOW: usize = 1;
/// Slot of the tank level, raw units.
pub const LEVEL: usize = 2;

/// One value a tag, by slot; NaN where the tag has no value.
pub type Values = [f64; TAGS];
/// A row without any value.
pub const NO_VALUES: Values = [f64::NAN; TAGS];

/// Slot of pump `p`'s run command (0 or 1); `p` counts from 0.
pub const fn onoff(p: usize) -> usize {
    3 + p
}

/// Slot of pump `p`'s power, kW.
pub const fn kw(p: usize) -> usize {
    9 + p
}

/// Slot of pump `p`'s runtime hours.
pub const fn runtime_h(p: usize) -> usize {
    15 + 2 * p
}

/// Slot of pump `p`'s runtime minutes beyond the hours.
pub const fn runtime_min(p: usize) -> usize {
    16 + 2 * p
}

/// Whether the slot holds a pump's run command, which can only be 0 or 1.
pub const fn is_command(slot: usize) -> bool {
    slot >= onoff(0) && slot < onoff(PUMPS)
}

/// A pump's name as the tables and the panels show it.
pub const fn pump_name(p: usize) -> &'static str {
    ["P1", "P2", "P3", "P4", "P5", "P6"][p]
}

/// The pump of a name as [`pump_name`] writes it, capital or not.
pub fn pump_named(name: &str) -> Option<usize> {
    (0..PUMPS).find(|&pump| pump_name(pump).eq_ignore_ascii_case(name))
}

/// The PLC's name of each slot's tag. `PnKWH_HR.PER_HR` is kWh per hour, so a power in kW.
pub const TAG_NAMES: [&str; TAGS] = [
    "[PLC]FIT101_HR.DAY_TOTAL",
    "[PLC]FIT101_HR.PER_HR",
    "[PLC]HLT101.OUTPUT",
    "[PLC]P1.ONOFF",
    "[PLC]P2.ONOFF",
    "[PLC]P3.ONOFF",
    "[PLC]P4.ONOFF",
    "[PLC]P5.ONOFF",
    "[PLC]P6.ONOFF",
    "[PLC]P1KWH_HR.PER_HR",
    "[PLC]P2KWH_HR.PER_HR",
    "[PLC]P3KWH_HR.PER_HR",
    "[PLC]P4KWH_HR.PER_HR",
    "[PLC]P5KWH_HR.PER_HR",
    "[PLC]P6KWH_HR.PER_HR",
    "[PLC]P01A.RHR",
    "[PLC]P01A.RMIN",
    "[PLC]P01B.RHR",
    "[PLC]P01B.RMIN",
    "[PLC]P01C.RHR",
    "[PLC]P01C.RMIN",
    "[PLC]P01D.RHR",
    "[PLC]P01D.RMIN",
    "[PLC]P01E.RHR",
    "[PLC]P01E.RMIN",
    "[PLC]P01F.RHR",
    "[PLC]P01F.RMIN",
];

/// The column of each slot in `readings_wide`.
pub const COLUMNS: [&str; TAGS] = [
    "fit101_day_total",
    "fit101_per_hr",
    "hlt101_output",
    "p1_onoff",
    "p2_onoff",
    "p3_onoff",
    "p4_onoff",
    "p5_onoff",
    "p6_onoff",
    "p1_kwh",
    "p2_kwh",
    "p3_kwh",
    "p4_kwh",
    "p5_kwh",
    "p6_kwh",
    "p1_rhr",
    "p1_rmin",
    "p2_rhr",
    "p2_rmin",
    "p3_rhr",
    "p3_rmin",
    "p4_rhr",
    "p4_rmin",
    "p5_rhr",
    "p5_rmin",
    "p6_rhr",
    "p6_rmin",
];

/// The slot of a tag by its PLC name; names differ between plants in case only.
pub fn slot_of(name: &str) -> Option<usize> {
    TAG_NAMES
        .iter()
        .position(|known| known.eq_ignore_ascii_case(name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_columns_agree_with_the_slots() {
        assert_eq!(COLUMNS[onoff(5)], "p6_onoff");
        assert_eq!(COLUMNS[kw(0)], "p1_kwh");
        assert_eq!(COLUMNS[runtime_h(2)], "p3_rhr");
        assert_eq!(TAG_NAMES[runtime_min(5)], "[PLC]P01F.RMIN");
        assert_eq!(slot_of("[plc]hlt101.output"), Some(LEVEL));
        assert_eq!(slot_of("[PLC]P7.ONOFF"), None);
    }
}
