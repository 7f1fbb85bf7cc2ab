//! How the station is run without advice: the levels at which pumps start and stop, and which pumps run when so many are called.
//! Learnt from the history and shown; what advice saves is told against it.
//!
//! A *stage* is a number of pumps. A stage is entered below one level and left above another, in hours of dear and of cheap energy at
//! levels of their own where the history shows two. The order of pumps is what the history shows as well: the share of the time
//! in which each set ran in its stage; a run takes the mean of these sets. A baseline counts only if its *replay* over the same
//! history, from the demand that there was, comes to the energy that was metered.

use serde::{Deserialize, Serialize};

use super::problem::{COMBINATIONS, Combination, Duty, Line, count, pumps};
use crate::{
    calendar::{DAY_MIN, Minute},
    tags::PUMPS,
    tariff::Tariff,
};

/// A number of pumps counts when it has stood so long: handing over from one pump to the next is no stage, min.
const SETTLED_MIN: usize = 5;
/// After a change of price pumps are switched because of it, not because of a level, min.
const PRICE_UNSETTLED_MIN: i64 = 10;
/// Starts or stops from which their level counts.
const SAMPLES_MIN: usize = 3;
/// Levels in dear and in cheap hours are different ones from here, % of the tank.
const APART_PCT: f64 = 3.0;
/// A number of pumps that ran for less than this share of the time is none that the control calls.
const SHARE_MIN: f64 = 0.002;
/// Days of history from which a control is learnt.
const LEARNT_DAYS_MIN: i64 = 7;
/// A stretch of history from which the replay counts, min: half a day.
const REPLAYED_MIN: usize = 720;
/// Minutes over which demand is taken from flow and level: one minute's change of level is lost in the transmitter's noise.
const DEMAND_MIN: usize = 15;
/// Savings are shown when the replay comes as near as this to the metered energy, %.
pub const REPLAY_ERROR_MAX_PCT: f64 = 3.0;

/// A minute of the history, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Past {
    /// The minute.
    pub minute: Minute,
    /// The pumps that ran.
    pub set: Option<Combination>,
    /// Fill of the tank, 0 to 1.
    pub fill: Option<f64>,
    /// Flow of the station, m³/h.
    pub flow_m3h: Option<f64>,
    /// Power of the station, kW.
    pub power_kw: Option<f64>,
    /// Price of energy, per kWh.
    pub price_per_kwh: f64,
}

impl Past {
    /// Whether pumps, level, flow and power are all known.
    pub fn is_known(&self) -> bool {
        self.set.is_some()
            && self.fill.is_some()
            && self.flow_m3h.is_some()
            && self.power_kw.is_some()
    }
}

/// Levels at which stages are entered and left, %; `[n]` is from `n` to `n + 1` pumps and back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Levels {
    /// Below it a pump more is called.
    pub start_pct: [Option<f64>; PUMPS],
    /// Above it that pump is released.
    pub stop_pct: [Option<f64>; PUMPS],
}

/// The station's own control.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// In hours of cheap energy.
    pub cheap: Levels,
    /// In hours of dear energy.
    pub dear: Levels,
    /// Energy counts as dear above this price, per kWh.
    pub dear_above: f64,
    /// Between two changes of the stage, min.
    pub delay_min: i64,
    /// The fewest and the most pumps that are called.
    pub pumps_called: (usize, usize),
    /// How long each set ran, min.
    pub order_min: Vec<f64>,
    /// What its replay came to.
    pub replay: Replay,
}

/// A baseline's replay beside what was metered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// Days replayed.
    pub days: f64,
    /// Metered energy, kWh.
    pub metered_kwh: f64,
    /// Energy of the replay, the same level at the end, kWh.
    pub replayed_kwh: f64,
    /// What the metered energy cost.
    pub metered_cost: f64,
    /// What the replay's cost.
    pub replayed_cost: f64,
    /// Highest metered quarter of an hour, kW.
    pub metered_peak_kw: f64,
    /// The replay's, kW.
    pub replayed_peak_kw: f64,
}

impl Replay {
    /// By how much the replay's energy is off, %.
    pub fn kwh_error_pct(&self) -> f64 {
        (self.replayed_kwh / self.metered_kwh - 1.0) * 100.0
    }

    /// By how much its cost is off, %.
    pub fn cost_error_pct(&self) -> f64 {
        (self.replayed_cost / self.metered_cost - 1.0) * 100.0
    }
}

/// What a m³ in the tank is worth: what the cheapest way to lift it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Water {
    /// Energy, kWh per m³.
    pub kwh_per_m3: f64,
    /// Cost at the lowest price, per m³.
    pub cost_per_m3: f64,
}

impl Water {
    /// By what the sets of pumps do.
    pub fn of(duties: &[Duty], volume_m3: f64, tariff: &Tariff) -> Self {
        let energies = duties.iter().filter_map(|duty| duty.kwh_per_m3(volume_m3));
        let least = energies.reduce(f64::min);
        let kwh_per_m3 = least.unwrap_or(0.0);
        Self {
            kwh_per_m3,
            cost_per_m3: kwh_per_m3 * tariff.range().0,
        }
    }
}

/// A minute that a control is run on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// Demand, m³/h.
    pub demand_m3h: f64,
    /// Price of energy, per kWh.
    pub price_per_kwh: f64,
}

/// What a control came to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ran {
    /// Energy, kWh.
    pub energy_kwh: f64,
    /// Its cost.
    pub cost: f64,
    /// Volume at the end, m³.
    pub volume_m3: f64,
    /// Highest quarter of an hour, kW.
    pub peak_kw: f64,
}

impl Ran {
    /// The same, had it ended with so much in the tank.
    pub fn ending_with(self, volume_m3: f64, water: Water) -> Self {
        let missing = volume_m3 - self.volume_m3;
        Self {
            energy_kwh: self.energy_kwh + missing * water.kwh_per_m3,
            cost: self.cost + missing * water.cost_per_m3,
            volume_m3,
            ..self
        }
    }
}

/// What runs in each stage: flow, m³/h, and power, kW.
pub struct Stages {
    lines: Vec<(Line, Line)>,
    volume_m3: f64,
}

impl Baseline {
    /// Learns the control from consecutive minutes, gaps left out, and replays them; the error says why no control can be told.
    pub fn fit(
        history: &[Past],
        tariff: &Tariff,
        duties: &[Duty],
        volume_m3: f64,
    ) -> Result<Self, String> {
        let known = history.iter().filter(|it| it.set.is_some()).count() as i64;
        if known < LEARNT_DAYS_MIN * DAY_MIN {
            return Err(format!(
                "the history has {:.1} days without advice that was followed; the station's own control is learnt from {LEARNT_DAYS_MIN}",
                known as f64 / DAY_MIN as f64
            ));
        }
        let (cheap, dear) = tariff.range();
        let mut baseline = Self {
            dear_above: f64::midpoint(cheap, dear),
            order_min: vec![0.0; COMBINATIONS],
            ..Self::default()
        };
        for past in history {
            if let Some(set) = past.set {
                baseline.order_min[set] += 1.0;
            }
        }
        let many = |pumps: usize| -> f64 {
            (0..COMBINATIONS)
                .filter(|&set| count(set) == pumps)
                .map(|set| baseline.order_min[set])
                .sum()
        };
        let called: Vec<usize> = (0..=PUMPS)
            .filter(|&pumps| many(pumps) >= SHARE_MIN * known as f64)
            .collect();
        baseline.pumps_called = (
            called.first().copied().unwrap_or(0),
            called.last().copied().unwrap_or(0),
        );
        baseline.learn_levels(history)?;
        let stages = baseline.stages(duties, volume_m3, |_| true);
        let water = Water::of(duties, volume_m3, tariff);
        baseline.replay = baseline.replay(history, &stages, water, REPLAYED_MIN);
        Ok(baseline)
    }

    /// Why it is not good enough to tell savings by; `None` when it is.
    pub fn fault(&self) -> Option<String> {
        let error_pct = self.replay.kwh_error_pct();
        if self.replay.days * (DAY_MIN as f64) < REPLAYED_MIN as f64 {
            return Some("the history has no half day without a gap to replay".into());
        }
        (error_pct.abs() > REPLAY_ERROR_MAX_PCT || error_pct.is_nan()).then(|| {
            let more = if error_pct < 0.0 { "less" } else { "more" };
            format!(
                "replayed over {:.0} days, the control learnt from the history takes {:.1} % {more} energy than was metered; savings are told within {REPLAY_ERROR_MAX_PCT} %",
                self.replay.days,
                error_pct.abs()
            )
        })
    }

    fn learn_levels(&mut self, history: &[Past]) -> Result<(), String> {
        let changes = stage_changes(history);
        let mut gaps: Vec<f64> = changes
            .windows(2)
            .filter(|pair| pair[0].stretch == pair[1].stretch)
            .map(|pair| (pair[1].minute - pair[0].minute) as f64)
            .collect();
        self.delay_min = quantile(&mut gaps, 0.05).unwrap_or(1.0).clamp(1.0, 30.0) as i64;
        let levels = |dear: Option<bool>, stage: usize, up: bool| -> Vec<f64> {
            changes
                .iter()
                .filter(|it| it.stage == stage && it.up == up)
                .filter(|it| dear.is_none_or(|dear| dear == (it.price_per_kwh > self.dear_above)))
                .map(|it| it.fill * 100.0)
                .collect()
        };
        let level = |dear, stage, up| {
            let mut all = levels(dear, stage, up);
            if all.len() < SAMPLES_MIN {
                return None;
            }
            quantile(&mut all, 0.5)
        };
        let (mut cheap, mut dear) = (Levels::default(), Levels::default());
        for stage in self.pumps_called.0..self.pumps_called.1 {
            let both = |of| (level(of, stage, true), level(of, stage, false));
            let (all, own) = (both(None), [both(Some(false)), both(Some(true))]);
            let pairs = apart(own).unwrap_or([all, all]);
            for (levels, (start, stop)) in [&mut cheap, &mut dear].into_iter().zip(pairs) {
                (levels.start_pct[stage], levels.stop_pct[stage]) = (start, stop);
            }
        }
        let first = self.pumps_called.0;
        if cheap.start_pct.get(first).is_none_or(Option::is_none)
            || cheap.stop_pct.get(first).is_none_or(Option::is_none)
        {
            return Err(
                "pumps were switched too seldom to tell the levels at which they are".into(),
            );
        }
        for levels in [&cheap, &dear] {
            for (stage, (start, stop)) in levels.start_pct.iter().zip(&levels.stop_pct).enumerate()
            {
                if let Some((start, stop)) = start.zip(*stop).filter(|(start, stop)| start >= stop)
                {
                    return Err(format!(
                        "the station is not run by its level: pump {} starts at {start:.0} % and stops at {stop:.0} %",
                        stage + 1
                    ));
                }
            }
        }
        (self.cheap, self.dear) = (cheap, dear);
        Ok(())
    }

    /// What runs in each stage when these pumps can be used.
    pub fn stages(
        &self,
        duties: &[Duty],
        volume_m3: f64,
        usable: impl Fn(usize) -> bool,
    ) -> Stages {
        let mut lines: Vec<(Line, Line)> = Vec::with_capacity(PUMPS + 1);
        for many in 0..=PUMPS {
            let sets =
                || (0..COMBINATIONS).filter(|&set| count(set) == many && pumps(set).all(&usable));
            let ran: f64 = sets().map(|set| self.order_min[set]).sum();
            // Pumps that never ran so, because another was there, run in any set alike.
            let share = |set: Combination| {
                if ran > 0.0 {
                    self.order_min[set] / ran
                } else {
                    1.0 / sets().count() as f64
                }
            };
            let mut sum = (Line::default(), Line::default());
            // When more are called than there are, all run that there are.
            if sets().next().is_none() {
                sum = lines.last().copied().unwrap_or_default();
            }
            for set in sets() {
                for (sum, line) in [
                    (&mut sum.0, duties[set].flow_m3h),
                    (&mut sum.1, duties[set].power_kw),
                ] {
                    sum.at_empty += share(set) * line.at_empty;
                    sum.per_m3 += share(set) * line.per_m3;
                }
            }
            lines.push(sum);
        }
        Stages { lines, volume_m3 }
    }

    /// Runs the control minute by minute from a volume and a number of pumps.
    pub fn run(
        &self,
        stages: &Stages,
        (mut volume_m3, mut stage): (f64, usize),
        minutes: impl IntoIterator<Item = Asked>,
    ) -> Ran {
        let mut ran = Ran::default();
        let mut since_min = self.delay_min;
        let mut quarter = (0.0, 0);
        for asked in minutes {
            let pct = volume_m3 / stages.volume_m3 * 100.0;
            if since_min >= self.delay_min {
                let next = self.next(stage, pct, asked.price_per_kwh > self.dear_above);
                if next != stage {
                    (stage, since_min) = (next, 0);
                }
            }
            since_min += 1;
            let (flow, power) = stages.lines[stage];
            let kwh = power.at(volume_m3) / 60.0;
            ran.energy_kwh += kwh;
            ran.cost += kwh * asked.price_per_kwh;
            quarter = (quarter.0 + kwh * 4.0, quarter.1 + 1);
            if quarter.1 == 15 {
                ran.peak_kw = ran.peak_kw.max(quarter.0);
                quarter = (0.0, 0);
            }
            let after = volume_m3 + (flow.at(volume_m3) - asked.demand_m3h) / 60.0;
            volume_m3 = after.clamp(0.0, stages.volume_m3);
        }
        Ran { volume_m3, ..ran }
    }

    /// The stage after one, at a level.
    fn next(&self, stage: usize, pct: f64, is_dear: bool) -> usize {
        let levels = if is_dear { &self.dear } else { &self.cheap };
        let (least, most) = self.pumps_called;
        let starts = |stage: usize| levels.start_pct[stage].is_some_and(|start| pct < start);
        let stops = |stage: usize| levels.stop_pct[stage].is_some_and(|stop| pct > stop);
        if stage < least || stage < most && starts(stage) {
            stage + 1
        } else if stage > most || stage > least && stops(stage - 1) {
            stage - 1
        } else {
            stage
        }
    }

    /// Runs the control on the demand of each stretch of known minutes of at least this length, from what stood at its begin, and
    /// holds it against what was metered.
    pub fn replay(
        &self,
        history: &[Past],
        stages: &Stages,
        water: Water,
        stretch_min: usize,
    ) -> Replay {
        let mut replay = Replay::default();
        for stretch in stretches(history).filter(|stretch| stretch.len() >= stretch_min) {
            let Some(told) = Told::of(stretch, stages.volume_m3) else {
                continue;
            };
            let ran = self
                .run(stages, told.begin, told.asked)
                .ending_with(told.end_m3, water);
            replay.days += stretch.len() as f64 / DAY_MIN as f64;
            replay.metered_kwh += told.metered_kwh;
            replay.metered_cost += told.metered_cost;
            replay.metered_peak_kw = replay.metered_peak_kw.max(told.peak_kw);
            replay.replayed_kwh += ran.energy_kwh;
            replay.replayed_cost += ran.cost;
            replay.replayed_peak_kw = replay.replayed_peak_kw.max(ran.peak_kw);
        }
        replay
    }
}

/// The level at which a pump starts and the one at which it stops, as far as they were seen.
type Band = (Option<f64>, Option<f64>);

/// The bands of cheap and dear hours, if they are different ones. A level that was never seen in one of them is as far from its other
/// as in the other hours.
fn apart([cheap, dear]: [Band; 2]) -> Option<[Band; 2]> {
    let far = |one: Option<f64>, other: Option<f64>| {
        one.zip(other)
            .is_some_and(|(one, other)| (one - other).abs() >= APART_PCT)
    };
    if !far(cheap.0, dear.0) && !far(cheap.1, dear.1) {
        return None;
    }
    let filled = |own: Band, of: Band| {
        let wide = of.0.zip(of.1).map(|(start, stop)| stop - start);
        let start = own.0.or_else(|| Some(own.1? - wide?));
        let stop = own.1.or_else(|| Some(own.0? + wide?));
        (start, stop)
    };
    Some([filled(cheap, dear), filled(dear, cheap)])
}

/// What a stretch of known minutes tells: where it began and ended, the demand of each minute, and what was metered.
struct Told {
    /// Volume, m³, and number of pumps at its begin.
    begin: (f64, usize),
    /// Volume at its end, m³.
    end_m3: f64,
    /// Demand and price of each minute.
    asked: Vec<Asked>,
    /// Metered energy, kWh.
    metered_kwh: f64,
    /// Its cost.
    metered_cost: f64,
    /// Highest quarter of an hour, kW.
    peak_kw: f64,
}

impl Told {
    /// Of minutes that are all known; `None` when there is none or one is not.
    fn of(stretch: &[Past], volume_m3: f64) -> Option<Self> {
        let (first, last) = (stretch.first()?, stretch.last()?);
        let mut told = Self {
            begin: (first.fill? * volume_m3, count(first.set?)),
            end_m3: last.fill? * volume_m3,
            asked: Vec::with_capacity(stretch.len()),
            metered_kwh: 0.0,
            metered_cost: 0.0,
            peak_kw: 0.0,
        };
        let mut before_m3 = told.begin.0;
        for part in stretch.chunks(DEMAND_MIN) {
            let (mut lifted_m3, mut kwh) = (0.0, 0.0);
            for past in part {
                lifted_m3 += past.flow_m3h? / 60.0;
                let used = past.power_kw? / 60.0;
                kwh += used;
                told.metered_cost += used * past.price_per_kwh;
            }
            told.metered_kwh += kwh;
            if part.len() == DEMAND_MIN {
                told.peak_kw = told.peak_kw.max(kwh * 60.0 / DEMAND_MIN as f64);
            }
            let after_m3 = part.last()?.fill? * volume_m3;
            let demand_m3h = (lifted_m3 - (after_m3 - before_m3)) * 60.0 / part.len() as f64;
            before_m3 = after_m3;
            told.asked.extend(part.iter().map(|past| Asked {
                demand_m3h,
                price_per_kwh: past.price_per_kwh,
            }));
        }
        Some(told)
    }
}

/// Stretches of minutes that are all known and follow each other.
fn stretches(history: &[Past]) -> impl Iterator<Item = &[Past]> {
    history
        .chunk_by(|before, after| {
            before.is_known() && after.is_known() && after.minute == before.minute + 1
        })
        .filter(|stretch| stretch.iter().all(Past::is_known))
}

/// A change of the stage.
struct StageChange {
    /// In which stretch of the history.
    stretch: usize,
    minute: Minute,
    /// The lower of the two stages.
    stage: usize,
    up: bool,
    /// Fill of the tank before, 0 to 1.
    fill: f64,
    price_per_kwh: f64,
}

fn stage_changes(history: &[Past]) -> Vec<StageChange> {
    let mut changes = Vec::new();
    for (stretch, minutes) in stretches(history).enumerate() {
        let many = |at: usize| count(minutes[at].set.expect("known throughout"));
        let (mut stage, mut priced) = (many(0), minutes[0].minute);
        for at in 1..minutes.len() {
            let (before, now) = (&minutes[at - 1], &minutes[at]);
            if now.price_per_kwh != before.price_per_kwh {
                priced = now.minute;
            }
            let to = many(at);
            let settled = at..(at + SETTLED_MIN).min(minutes.len());
            if to == stage
                || !settled.clone().all(|at| many(at) == to)
                || settled.len() < SETTLED_MIN
            {
                continue;
            }
            if to.abs_diff(stage) == 1 && now.minute - priced >= PRICE_UNSETTLED_MIN {
                changes.push(StageChange {
                    stretch,
                    minute: now.minute,
                    stage: to.min(stage),
                    up: to > stage,
                    fill: before.fill.expect("known throughout"),
                    price_per_kwh: now.price_per_kwh,
                });
            }
            stage = to;
        }
    }
    changes
}

/// The value below which a share of all lies.
fn quantile(values: &mut [f64], share: f64) -> Option<f64> {
    let at = (values.len() as f64 * share) as usize;
    if values.is_empty() {
        return None;
    }
    let at = at.min(values.len() - 1);
    Some(*values.select_nth_unstable_by(at, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{calendar::Local, plant::PeakWindows};

    const VOLUME_M3: f64 = 1000.0;

    fn tariff() -> Tariff {
        let mut peak = PeakWindows::default();
        peak.add("06:00-10:00").expect("a window");
        Tariff {
            peak,
            peak_rate: 0.3,
            off_peak_rate: 0.15,
            ..Tariff::default()
        }
    }

    /// Flows that add up: P1 200 m³/h with 40 kW, P2 150 with 35, all others 100 with 30; less into a fuller tank.
    fn duties() -> Vec<Duty> {
        let of = |figures: [f64; PUMPS], set| pumps(set).map(|pump| figures[pump]).sum::<f64>();
        let duty = |set| Duty {
            flow_m3h: Line {
                at_empty: of([200.0, 150.0, 100.0, 100.0, 100.0, 100.0], set),
                per_m3: -0.01 * f64::from(u8::from(set != 0)),
            },
            power_kw: Line::flat(of([40.0, 35.0, 30.0, 30.0, 30.0, 30.0], set)),
            premium_per_h: 0.0,
        };
        (0..COMBINATIONS).map(duty).collect()
    }

    /// Two weeks of a station that is run by `switch`: the pumps after those that run, at a fill and a minute.
    fn history(switch: impl Fn(Combination, f64, Minute) -> Combination) -> Vec<Past> {
        let (tariff, duties) = (tariff(), duties());
        let (mut volume, mut set) = (600.0, 0);
        let minute = |minute: Minute| {
            set = switch(set, volume / VOLUME_M3, minute);
            let duty = duties[set];
            let hour = minute as f64 / 60.0;
            let demand = 130.0 + 70.0 * (hour / 24.0 * std::f64::consts::TAU).sin();
            let flow = duty.flow_m3h.at(volume);
            volume += (flow - demand) / 60.0;
            Past {
                minute,
                set: Some(set),
                fill: Some(volume / VOLUME_M3),
                flow_m3h: Some(flow),
                power_kw: Some(duty.power_kw.at(volume)),
                price_per_kwh: tariff.price(Local { minute }),
            }
        };
        (0..14 * DAY_MIN).map(minute).collect()
    }

    /// P1 and P2 take turns by the day.
    fn by_level(start: f64, stop: f64, set: Combination, fill: f64, minute: Minute) -> Combination {
        if fill < start {
            1 << (minute / DAY_MIN % 2)
        } else if fill > stop {
            0
        } else {
            set
        }
    }

    #[test]
    fn levels_and_order_are_learnt_and_their_replay_takes_the_metered_energy() {
        let past = history(|set, fill, minute| by_level(0.55, 0.8, set, fill, minute));
        let baseline = Baseline::fit(&past, &tariff(), &duties(), VOLUME_M3).expect("a control");
        assert_eq!(baseline.cheap, baseline.dear);
        let (start, stop) = (baseline.cheap.start_pct[0], baseline.cheap.stop_pct[0]);
        assert!((start.expect("a start") - 55.0).abs() < 0.5, "{start:?}");
        assert!((stop.expect("a stop") - 80.0).abs() < 0.5, "{stop:?}");
        assert_eq!(baseline.pumps_called, (0, 1));
        assert!(baseline.order_min[0b01] > 0.0 && baseline.order_min[0b10] > 0.0);
        assert_eq!(baseline.fault(), None, "{:?}", baseline.replay);
        assert!(
            baseline.replay.kwh_error_pct().abs() < 1.5,
            "{:?}",
            baseline.replay
        );
    }

    #[test]
    fn a_control_that_knows_the_tariff_has_levels_of_its_own_at_the_peak() {
        let tariff = tariff();
        let past = history(|set, fill, minute| {
            let is_dear = tariff.price(Local { minute }) > 0.2;
            let (start, stop) = if is_dear { (0.4, 0.45) } else { (0.7, 0.85) };
            by_level(start, stop, set, fill, minute)
        });
        let baseline = Baseline::fit(&past, &tariff, &duties(), VOLUME_M3).expect("a control");
        let start = (baseline.cheap.start_pct[0], baseline.dear.start_pct[0]);
        assert!(
            start.0.is_some_and(|it| it > 65.0) && start.1.is_some_and(|it| it < 45.0),
            "{start:?}"
        );
        assert_eq!(baseline.fault(), None, "{:?}", baseline.replay);
        assert!(
            baseline.replay.cost_error_pct().abs() < 5.0,
            "{:?}",
            baseline.replay
        );
    }

    #[test]
    fn savings_are_not_told_by_a_control_that_is_none_or_does_not_replay() {
        let past = history(|set, fill, minute| by_level(0.55, 0.8, set, fill, minute));
        let short = Baseline::fit(&past[..3 * 1440], &tariff(), &duties(), VOLUME_M3);
        assert!(short.expect_err("three days").contains("3.0 days"));
        let never = history(|_, _, _| 0b100);
        let never = Baseline::fit(&never, &tariff(), &duties(), VOLUME_M3);
        assert!(
            never
                .expect_err("always on")
                .contains("switched too seldom")
        );
        // What was metered is not what these pumps take.
        let dearer: Vec<Past> = past
            .iter()
            .map(|past| Past {
                power_kw: past.power_kw.map(|kw| kw * 1.1),
                ..*past
            })
            .collect();
        let off = Baseline::fit(&dearer, &tariff(), &duties(), VOLUME_M3).expect("a control");
        let why = off.fault().expect("9 % off");
        assert!(why.contains("% less energy than was metered"), "{why}");
    }

    #[test]
    fn the_same_level_at_the_end_is_worth_the_cheapest_lift() {
        let water = Water::of(&duties(), VOLUME_M3, &tariff());
        // P1 at the half-full tank: 195 m³/h for 40 kW, at 0.15 per kWh.
        assert!((water.kwh_per_m3 - 40.0 / 195.0).abs() < 1e-9);
        assert!((water.cost_per_m3 - 0.15 * 40.0 / 195.0).abs() < 1e-9);
        let ran = Ran {
            energy_kwh: 100.0,
            cost: 20.0,
            volume_m3: 500.0,
            peak_kw: 40.0,
        };
        let fuller = ran.ending_with(539.0, water);
        assert!((fuller.energy_kwh - 108.0).abs() < 1e-9 && (fuller.cost - 21.2).abs() < 1e-9);
    }
}
