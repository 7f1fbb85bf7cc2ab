//! Randomly scattered faults for demonstrations and load tests.

use jiff::ToSpan;
use jiff::civil::DateTime;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::faults::{Fault, FaultKind, FaultScript};
use super::station::PUMPS;

/// A kind with its weight, its shortest and longest length in minutes.
type Choice = (FaultKind, u32, u32, u32);

/// What may happen by day. Lengths stay below half a day less a margin, so that the two
/// faults of a day do not overlap.
const DAY_CHOICES: [Choice; 24] = [
    (FaultKind::PumpTrip, 8, 5, 45),
    (FaultKind::Overcurrent, 8, 15, 90),
    (FaultKind::UnderLoad, 6, 15, 90),
    (FaultKind::Gap, 6, 3, 90),
    (FaultKind::PowerOutage, 4, 10, 60),
    (FaultKind::Duplicates, 3, 2, 20),
    (FaultKind::DryRun, 3, 5, 25),
    (FaultKind::BadValues, 4, 1, 15),
    (FaultKind::PartialMinute, 4, 1, 10),
    (FaultKind::FrozenLevel, 4, 30, 180),
    (FaultKind::StuckFlow, 4, 20, 120),
    (FaultKind::ShortCycling, 5, 45, 150),
    (FaultKind::CounterStuck, 3, 20, 120),
    (FaultKind::OutOfOrder, 2, 2, 15),
    (FaultKind::EMarkers, 2, 1, 10),
    (FaultKind::UnknownTag, 2, 1, 5),
    (FaultKind::Lockout, 3, 10, 60),
    (FaultKind::Overfill, 3, 30, 120),
    (FaultKind::MultiTrip, 2, 5, 30),
    (FaultKind::LevelRange, 3, 2, 20),
    (FaultKind::FlowRange, 3, 2, 20),
    (FaultKind::AllOn, 2, 5, 20),
    (FaultKind::SpillHighDemand, 4, 45, 180),
    (FaultKind::TornLastLine, 1, 1, 1),
];

/// Half a day in minutes: each half holds at most one fault.
const HALF_DAY_MINUTES: u32 = 720;
/// Longest run of the overrun fault, minutes; it takes the place of the whole next day.
const OVERRUN_MINUTES: (u32, u32) = (1210, 1400);

impl FaultScript {
    /// Scatters plausible faults over `days` days from the day of `start`, one or two a
    /// day; the same arguments give the same script.
    pub fn random(seed: u64, start: DateTime, days: u32) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(2);
        let midnight = start.date().to_datetime(jiff::civil::Time::midnight());
        let mut faults = Vec::new();
        let mut day = 0;
        while day < days {
            let first = midnight.saturating_add(i64::from(day).days());
            if rng.random_ratio(1, 40) && day + 1 < days {
                let minutes = rng.random_range(OVERRUN_MINUTES.0..=OVERRUN_MINUTES.1);
                let begin = first.saturating_add(i64::from(rng.random_range(360..1200)).minutes());
                let pump = rng.random_range(1..=PUMPS);
                faults.push(Fault::new(FaultKind::Overrun, begin, minutes).on_pumps(&[pump]));
                day += 2;
                continue;
            }
            let two = rng.random_bool(0.5);
            let only_half = rng.random_range(0..2);
            for half in 0..2 {
                if two || half == only_half {
                    let half_start =
                        first.saturating_add(i64::from(half * HALF_DAY_MINUTES).minutes());
                    faults.push(draw(&mut rng, half_start, half == 0));
                }
            }
            day += 1;
        }
        faults.retain(|fault| fault.start >= start);
        Self::from_faults(faults)
    }
}

/// Draws one fault inside the half day from `half_start`.
fn draw(rng: &mut ChaCha8Rng, half_start: DateTime, has_night: bool) -> Fault {
    if has_night && rng.random_ratio(1, 8) {
        let begin = half_start.saturating_add(i64::from(rng.random_range(60..200)).minutes());
        let mut fault = Fault::new(FaultKind::NightFlow, begin, rng.random_range(30..=90));
        fault.m3h = Some(f64::from(rng.random_range(200..900_u32)) / 10.0);
        return fault;
    }
    let total: u32 = DAY_CHOICES.iter().map(|choice| choice.1).sum();
    let mut ticket = rng.random_range(0..total);
    let mut chosen = DAY_CHOICES[0];
    for choice in DAY_CHOICES {
        if ticket < choice.1 {
            chosen = choice;
            break;
        }
        ticket -= choice.1;
    }
    let (kind, _, shortest, longest) = chosen;
    let minutes = rng.random_range(shortest..=longest);
    let offset = rng.random_range(0..HALF_DAY_MINUTES - minutes);
    let begin = half_start.saturating_add(i64::from(offset).minutes());
    let mut fault = Fault::new(kind, begin, minutes);
    match kind {
        FaultKind::Overcurrent => {
            fault.factor = Some(f64::from(rng.random_range(13..=17_u32)) / 10.0);
        }
        FaultKind::SpillHighDemand => {
            fault.factor = Some(f64::from(rng.random_range(15..=28_u32)) / 10.0);
        }
        _ => {}
    }
    // Trips fall on the pumps in duty; the other single-pump faults on any.
    if matches!(
        kind,
        FaultKind::Overcurrent | FaultKind::UnderLoad | FaultKind::ShortCycling
    ) {
        fault.pumps = vec![rng.random_range(1..=PUMPS)];
    }
    fault
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::datetime;

    #[test]
    fn one_or_two_faults_a_day_without_overlap() {
        let start = datetime(2025, 3, 3, 0, 0, 0, 0);
        let script = FaultScript::random(5, start, 200);
        assert_eq!(script, FaultScript::random(5, start, 200));
        assert_ne!(script, FaultScript::random(6, start, 200));
        let faults = script.faults();
        assert!((200..=400).contains(&faults.len()), "{}", faults.len());
        assert!(faults[0].start >= start);
        for pair in faults.windows(2) {
            let end = pair[0]
                .start
                .saturating_add(i64::from(pair[0].minutes).minutes());
            assert!(end <= pair[1].start, "{pair:?}");
        }
        let kinds = FaultKind::ALL
            .iter()
            .filter(|(kind, _)| faults.iter().any(|fault| fault.kind == *kind));
        assert!(kinds.count() > 20);
    }

    #[test]
    fn nothing_before_the_start() {
        let start = datetime(2025, 3, 3, 18, 0, 0, 0);
        let script = FaultScript::random(1, start, 3);
        assert!(script.faults().iter().all(|fault| fault.start >= start));
        assert!(FaultScript::random(1, start, 0).faults().is_empty());
    }
}
