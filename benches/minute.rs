//! What one live minute costs (parse, derive, 47 rules, rollups, commit) with a day and with five years in the store,
//! and what a late row of yesterday costs. `cargo bench --bench minute`.
//!
//! The stores lie in memory (`/dev/shm`), so that the disk's flush is not in the figures.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::civil::DateTime;
use pumphouse::{
    calendar::{Calendar, Minute},
    config::Config,
    historian::watch::Watch,
    pipeline::Pipeline,
    simulate::{FaultScript, HEADER, Simulator, Station, write_days},
    store::{Store, writer::Writer},
};

const LIVE_MINUTES: usize = 300;

fn main() -> anyhow::Result<()> {
    for days in [1, 365, 5 * 365] {
        let folder = PathBuf::from(format!(
            "/dev/shm/pumphouse-bench-{}-{days}",
            std::process::id()
        ));
        let measured = measure(&folder, days);
        fs::remove_dir_all(&folder)?;
        let (live, late) = measured?;
        println!(
            "{days:>5} days in the store: a live minute {live}, a late row of yesterday {late}"
        );
    }
    Ok(())
}

fn measure(folder: &Path, days: u32) -> anyhow::Result<(Figures, Figures)> {
    let exports = folder.join("exports");
    fs::create_dir_all(&exports)?;
    let start = "2020-01-01".parse::<jiff::civil::Date>()?.at(0, 0, 0, 0);
    let mut simulator = Simulator::new(Station::default(), 5, start, FaultScript::default());
    write_days(&exports, &mut simulator, days, |_| {})?;
    let yesterday = simulator.next_time();

    let text = pumphouse::cli::simulated_config();
    let config = Config::parse(&text, folder).map_err(|faults| anyhow::anyhow!("{faults:?}"))?;
    let writer = Writer::start(Store::open(&config.store, None)?)?;
    let mut pipeline = Pipeline::new(config.plant.clone(), writer, 3)?;
    let calendar = Calendar::new(config.plant.zone.clone());
    let mut watch = Watch::new(
        Arc::clone(&config.historian.format),
        calendar,
        vec![exports.clone()],
        Vec::new(),
    );
    let now = minute(simulator.next_time()) + 10 * 1440;
    pass(&mut watch, &mut pipeline, now)?;
    for file in fs::read_dir(&exports)? {
        // The oldest files are not needed any more, and /dev/shm is memory.
        fs::remove_file(file?.path())?;
    }

    // A day and a bit, one row left out, to come late.
    let live = exports.join("live.csv");
    append(&live, HEADER.as_bytes())?;
    let mut held_back = Vec::new();
    let mut warm_up = Vec::new();
    for index in 0..1440 {
        simulator.next_minute(if index == 700 {
            &mut held_back
        } else {
            &mut warm_up
        });
    }
    append(&live, &warm_up)?;
    pass(&mut watch, &mut pipeline, now)?;
    let mut figures = Figures::default();
    for _ in 0..LIVE_MINUTES {
        let mut lines = Vec::new();
        simulator.next_minute(&mut lines);
        append(&live, &lines)?;
        let started = Instant::now();
        let path = [live.clone()];
        read(&mut watch, &mut pipeline, now, &path)?;
        pipeline.commit()?;
        figures.add(started.elapsed());
    }
    let late = exports.join("late.csv");
    append(&late, HEADER.as_bytes())?;
    append(&late, &held_back)?;
    let started = Instant::now();
    read(&mut watch, &mut pipeline, now, &[late])?;
    pipeline.commit()?;
    let mut late_figures = Figures::default();
    late_figures.add(started.elapsed());
    pipeline.stop();
    anyhow::ensure!(yesterday < simulator.next_time(), "time goes on");
    Ok((figures, late_figures))
}

fn minute(at: DateTime) -> Minute {
    let zoned = at.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    zoned.map_or(0, |zoned| zoned.timestamp().as_second() / 60)
}

fn append(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)?
        .write_all(bytes)
}

fn pass(watch: &mut Watch, pipeline: &mut Pipeline, now: Minute) -> anyhow::Result<()> {
    let (files, _) = watch.scan();
    read(watch, pipeline, now, &files)?;
    pipeline.commit()
}

fn read(
    watch: &mut Watch,
    pipeline: &mut Pipeline,
    now: Minute,
    files: &[PathBuf],
) -> anyhow::Result<()> {
    for file in files {
        watch.read(file, now, |piece| pipeline.feed(piece, now).map(drop))?;
    }
    Ok(())
}

#[derive(Default)]
struct Figures {
    taken: Vec<Duration>,
}

impl Figures {
    fn add(&mut self, taken: Duration) {
        self.taken.push(taken);
        self.taken.sort();
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at = |share: f64| {
            self.taken[((self.taken.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0
        };
        write!(f, "{:.2} ms median, {:.2} ms at most", at(0.5), at(1.0))
    }
}
