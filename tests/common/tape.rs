//! Tapes of the simulated station, and the config that reads them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::{ToSpan, civil::Date};
use pumphouse::{
    calendar::Minute,
    config::Config,
    simulate::{FaultScript, HEADER, Simulator, Station, file_name},
    tags::TAG_NAMES,
};

/// A file of a tape: its name and its bytes.
pub type File = (String, Vec<u8>);

/// A config for the simulated station; the store is `out.db` beside it.
pub fn config_text(zone: &str) -> String {
    let station = Station::default();
    let tags: String = TAG_NAMES
        .iter()
        .enumerate()
        .map(|(index, name)| format!("{index} = \"{name}\"\n"))
        .collect();
    format!(
        "[site]\nid = \"tape\"\ntimezone = \"{zone}\"\nrated_kw = {:?}\nhlt_physical_max = {:?}\n\
         hlt_historical_max = {:?}\nfit101_physical_max = {:?}\ndaily_energy_budget_kwh = 1800.0\n\n\
         [storage]\npath = \"out.db\"\n\n[historian]\nwatch = [\"exports\"]\n\n[historian.tags]\n{tags}",
        station.rated_kw,
        station.hlt_physical_max,
        // Below what the tank reaches, so that 100 % moves while the tape runs.
        station.hlt_physical_max * 0.9,
        station.fit101_physical_max,
    )
}

/// The config of [`config_text`] in a folder.
pub fn config(folder: &Path, zone: &str) -> Config {
    Config::parse(&config_text(zone), folder)
        .unwrap_or_else(|faults| panic!("the config has faults: {faults:?}"))
}

/// Day files of the simulated station, each ending with a whole line.
pub fn tape(seed: u64, start: Date, days: u32, faults: FaultScript) -> Vec<File> {
    let midnight = start.at(0, 0, 0, 0);
    let mut simulator = Simulator::new(Station::default(), seed, midnight, faults);
    let days = (0..days).map(|_| {
        let name = file_name(simulator.next_time().date());
        let mut bytes = HEADER.as_bytes().to_vec();
        for _ in 0..1440 {
            simulator.next_minute(&mut bytes);
        }
        if bytes.last() != Some(&b'\n') {
            bytes.push(b'\n');
        }
        (name, bytes)
    });
    days.collect()
}

/// Day files with random faults.
pub fn faulty_tape(seed: u64, start: Date, days: u32) -> Vec<File> {
    let faults = FaultScript::random(seed, start.at(0, 0, 0, 0), days);
    tape(seed, start, days, faults)
}

/// Writes a tape into a folder, made when missing; the paths in order.
pub fn write(folder: &Path, files: &[File]) -> Vec<PathBuf> {
    fs::create_dir_all(folder).expect("a folder");
    files
        .iter()
        .map(|(name, bytes)| {
            let path = folder.join(name);
            fs::write(&path, bytes).expect("a written export");
            path
        })
        .collect()
}

/// The minute of UTC at which a line says it was written, where it says so in UTC.
pub fn minute_of(line: &[u8]) -> Option<Minute> {
    let text = std::str::from_utf8(line.get(..16)?).ok()?;
    let at = jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M", text).ok()?;
    let zoned = at.to_zoned_datetime(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second().div_euclid(60))
}

/// A minute after everything on a tape that starts on `start`: the wall clock of a replay.
pub fn after(start: Date, days: u32) -> Minute {
    let end = start
        .saturating_add(i64::from(days + 1).days())
        .at(0, 0, 0, 0);
    minute_of(end.strftime("%Y-%m-%d %H:%M").to_string().as_bytes()).expect("a date")
}
