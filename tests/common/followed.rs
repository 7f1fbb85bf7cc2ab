//! The whole product beside a simulated station whose operator does as advised: a month of exports is read in, then each slot the
//! newest minutes are ingested, the models that come along forecast, a plan is made, and its first slot runs. Beside it the same
//! station, with the same demand, under level controls.

use std::{fs, path::Path};

use jiff::civil::DateTime;
use pumphouse::{
    calendar::{Calendar, Minute},
    config::Config,
    forecast::{models::Models, worker::forecasts_now},
    schedule::{
        plan::Plan,
        problem::{Combination, Pump, has},
        scene::Setting,
        solve::Effort,
        station::StationModel,
        worker::{Known, advise, learn},
    },
    simulate::{FaultScript, HEADER, Simulator, Station, operating_point},
    store::{open_read_only, predictions::newest_row, runs::standing},
    tags::PUMPS,
};
use tempfile::TempDir;

use super::{
    binary,
    rolling::{Control, Limits, Outcome, best_first, controlled, switch},
};

/// Days of history, under the station's own control.
const HISTORY_DAYS: u32 = 30;
/// The seed of the station: not the one that the models were trained on.
const SEED: u64 = 7;
/// Length of a slot, min.
const SLOT_MIN: usize = 15;
/// First tag of the pumps' power in the exports.
const TAG_POWER: usize = 9;
/// What a m³ in the tank is worth: the cheapest way to lift one, off peak.
const WATER_WORTH: f64 = 0.029;

/// Who runs the pumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The simulated PLC.
    Plc,
    /// A level control, or advice.
    Control(Control),
}

/// A station with a month behind it.
pub struct Followed {
    folder: TempDir,
    config: Config,
    simulator: Simulator,
    /// Level that the limits go by for each point of the full tank.
    scale: f64,
}

impl Followed {
    /// A month of history, read in; then the morning of the next day, with the level within its limits.
    pub fn new() -> Self {
        let folder = TempDir::with_prefix("pumphouse-followed-").expect("a folder");
        let days = HISTORY_DAYS.to_string();
        let seed = SEED.to_string();
        let start = jiff::civil::date(2025, 3, 1);
        let arguments = [
            "simulate",
            "--out",
            ".",
            "--days",
            &days,
            "--start",
            "2025-03-01",
            "--seed",
            &seed,
        ];
        assert!(binary::run(folder.path(), &arguments).status.success());
        binary::ingest(folder.path(), &[folder.path().join("exports")]);
        let config = Config::load(&folder.path().join("pumphouse.toml")).expect("the config");
        let mut simulator = Simulator::new(
            Station::default(),
            SEED,
            start.at(0, 0, 0, 0),
            FaultScript::default(),
        );
        let mut thrown_away = Vec::new();
        for _ in 0..HISTORY_DAYS * 1440 {
            simulator.next_minute(&mut thrown_away);
            thrown_away.clear();
        }
        let connection = open_read_only(&config.store).expect("the store");
        let newest = newest_row(&connection).expect("rows").expect("a row");
        let ((level_pct, level_m3), _) =
            standing(&connection, &config.plant, newest).expect("the station");
        let mut followed = Self {
            folder,
            scale: level_pct / level_m3 * config.plant.volume_m3 / 100.0,
            config,
            simulator,
        };
        // Its own control fills the tank above the limits.
        let mut simulator = followed.simulator.clone();
        let mut lines = HEADER.as_bytes().to_vec();
        let is_within = |it: &Simulator| it.level_pct() * followed.scale < 84.0;
        while !is_within(&simulator) || simulator.next_time().minute() % 15 != 0 {
            simulator.next_minute(&mut lines);
        }
        followed.simulator = simulator;
        followed.take(&lines, "before");
        followed
    }

    /// Reads lines in as a file of their own.
    fn take(&self, lines: &[u8], name: &str) {
        let file = self.folder.path().join(format!("{name}.csv"));
        fs::write(&file, lines).expect("written");
        binary::ingest(self.folder.path(), std::slice::from_ref(&file));
        fs::remove_file(file).expect("read in");
    }

    /// Runs the station for some days.
    pub fn run(&self, by: By, days: usize) -> Outcome {
        let mut simulator = self.simulator.clone();
        let mut advice = (by == By::Control(Control::Advice)).then(|| Advice::new(&self.config));
        let order = best_first(|pump| {
            let (flow, power) = operating_point(&Station::default(), 1 << pump, 0.6);
            (flow, power[pump])
        });
        let mut tally = Tally::new(&self.config, self.scale);
        let begun = simulator.level_pct();
        let mut set = 0;
        for slot in 0..days * 96 {
            set = match (by, &mut advice) {
                (_, Some(advice)) => advice.set(&self.config),
                (By::Control(control), None) => {
                    let level_pct = simulator.level_pct();
                    let is_dear = tally.price(simulator.next_time()) > 0.2;
                    controlled(control, (slot / 96, is_dear), set, level_pct, &order)
                }
                (By::Plc, None) => 0,
            };
            let pumps = std::array::from_fn(|pump| has(set, pump));
            simulator.command((by != By::Plc).then_some(pumps));
            let mut lines = HEADER.as_bytes().to_vec();
            for _ in 0..SLOT_MIN {
                let from = lines.len();
                let time = simulator.next_minute(&mut lines);
                tally.minute(time, &lines[from..], simulator.level_pct());
            }
            if advice.is_some() {
                self.take(&lines, &format!("slot-{slot}"));
            }
        }
        let more_m3 = (simulator.level_pct() - begun) / 100.0 * self.config.plant.volume_m3;
        tally.done.cost -= more_m3 * WATER_WORTH;
        tally.done
    }
}

/// Advice as it is made from the store.
struct Advice {
    setting: Setting,
    models: Models,
    model: Option<(Minute, StationModel)>,
    before: Option<Box<Plan>>,
}

impl Advice {
    fn new(config: &Config) -> Self {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx-models");
        Self {
            setting: Setting::of(config),
            models: Models::new(models),
            model: None,
            before: None,
        }
    }

    /// What a plan from the store's newest minute has for the next slot.
    fn set(&mut self, config: &Config) -> Combination {
        let connection = open_read_only(&config.store).expect("the store");
        let newest = newest_row(&connection).expect("rows").expect("a row");
        let is_old = |(learnt, _): &(Minute, _)| newest - learnt >= 7 * 1440;
        if self.model.as_ref().is_none_or(is_old) {
            let model = learn(&connection, &config.plant, newest).expect("the store");
            self.model = Some((newest, model.expect("a station")));
        }
        let (_, model) = self.model.as_ref().expect("learnt");
        let forecasts =
            forecasts_now(&connection, &config.plant, &mut self.models).expect("forecasts");
        let known = Known {
            newest,
            now: newest,
            standing: standing(&connection, &config.plant, newest).expect("the station"),
            model: Ok(model),
            baseline: Err("not asked for".to_owned()),
            forecasts: &forecasts,
            before: self.before.as_deref(),
        };
        let planned = advise(
            &connection,
            &self.setting,
            known,
            Effort::FIRST,
            |_, planned| planned,
        );
        let plan = planned.expect("the store").expect("advice");
        let set = plan.slots[0].set;
        self.before = Some(plan);
        set
    }
}

/// What came of it so far.
struct Tally<'a> {
    config: &'a Config,
    calendar: Calendar,
    scale: f64,
    /// The pumps, from the first minute on.
    pumps: Option<[Pump; PUMPS]>,
    limits: Limits,
    done: Outcome,
}

impl<'a> Tally<'a> {
    fn new(config: &'a Config, scale: f64) -> Self {
        let schedule = &config.schedule;
        Self {
            config,
            calendar: Calendar::new(config.plant.zone.clone()),
            scale,
            pumps: None,
            limits: Limits {
                pumps_on_max: schedule.pumps_on_max,
                min_up_min: schedule.min_up_min,
                min_down_min: schedule.min_down_min,
                run_max_min: (schedule.run_hours_max * 60.0) as i64,
            },
            done: Outcome {
                level_pct: (100.0, 0.0),
                ..Outcome::default()
            },
        }
    }

    fn price(&mut self, time: DateTime) -> f64 {
        let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
        let minute = (time.duration_since(epoch)).as_secs() / 60;
        self.config.tariff.price(self.calendar.local(minute))
    }

    /// A minute's lines of the export, and the level after it.
    fn minute(&mut self, time: DateTime, lines: &[u8], level_pct: f64) {
        let text = std::str::from_utf8(lines).expect("text");
        let mut readings = [0.0; 27];
        for line in text.lines() {
            let fields: Vec<_> = line.split(',').collect();
            let tag: usize = fields[2].parse().expect("a tag");
            readings[tag] = fields[3].parse().expect("a number");
        }
        let power_kw: f64 = readings[TAG_POWER..TAG_POWER + PUMPS].iter().sum();
        let price = self.price(time);
        self.done.energy_kwh += power_kw / 60.0;
        self.done.cost += power_kw / 60.0 * price;
        let level = level_pct * self.scale;
        let (low, high) = self.done.level_pct;
        self.done.level_pct = (low.min(level), high.max(level));
        let on = |pump: &usize| readings[TAG_POWER - PUMPS + pump] == 1.0;
        let set = (0..PUMPS).filter(on).map(|pump| 1 << pump).sum();
        // What runs at first was not started here; it has run for long enough.
        let pumps = self.pumps.get_or_insert_with(|| {
            std::array::from_fn(|pump| Pump {
                in_service: true,
                on: has(set, pump),
                since_min: 600,
                start_price: 0.0,
                wear_per_h: 0.0,
            })
        });
        switch(pumps, &self.limits, set, &mut self.done);
        for pump in pumps {
            pump.since_min += 1;
        }
    }
}
