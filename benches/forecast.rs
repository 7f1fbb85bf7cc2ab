//! What a minute's forecasts cost, beside onnxruntime on the same models and rows in the same run, and what memory the models
//! add. `cargo bench --bench forecast`.

#[path = "../tests/common/trainer.rs"]
#[allow(dead_code, reason = "the bench uses a part of it")]
mod trainer;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::Context;
use pumphouse::{
    calendar::Calendar,
    config::Config,
    forecast::{
        features::{HISTORY_MIN, History},
        guard::{Model, Values, load},
        manifest::Place,
        models::{Decisions, Models},
        predict::Scene,
        worker::forecasts_now,
    },
    store::{
        open_read_only,
        predictions::{minutes, newest_row},
    },
};

const ROUNDS: usize = 200;

fn main() -> anyhow::Result<()> {
    let folder = PathBuf::from(format!("/dev/shm/pumphouse-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let measured = measure(&folder);
    fs::remove_dir_all(&folder)?;
    measured
}

fn measure(folder: &Path) -> anyhow::Result<()> {
    let program = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_pumphouse"))
            .args(arguments)
            .current_dir(folder)
            .stdout(Stdio::null())
            .status()
    };
    program(&[
        "simulate",
        "--out",
        ".",
        "--days",
        "21",
        "--start",
        "2025-04-01",
    ])?;
    program(&["ingest", "--config", "pumphouse.toml", "exports"])?;
    let config = Config::load(&folder.join("pumphouse.toml"))?;
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx-models");

    let connection = open_read_only(&config.store)?;
    // Once without models, so that what the store's pages and the history take is there already.
    forecasts_now(
        &connection,
        &config.plant,
        &mut Models::new(folder.join("none")),
    )?;
    let before = resident_mb()?;
    let mut models = Models::new(shipped.clone());
    forecasts_now(&connection, &config.plant, &mut models)?;
    let whole = median_ms(|| forecasts_now(&connection, &config.plant, &mut models).map(drop))?;
    let added = resident_mb()? - before;

    let newest = newest_row(&connection)?.context("rows")?;
    let history = History::new(&minutes(&connection, &config.plant, newest, HISTORY_MIN)?);
    let mut scene = Scene {
        history: &history,
        origin: newest,
        calendar: &mut Calendar::new(config.plant.zone.clone()),
        peak: &config.plant.peak,
    };
    let decisions = Decisions::read(&shipped)?;
    let mut told: Vec<(Model, Values)> = Vec::new();
    for place in Place::ALL {
        let id = decisions.uses(&place.name())[0].model.clone();
        let model = load(&shipped.join(format!("{id}.json")))?;
        let rows = scene.rows(place);
        let values = Values {
            shape: vec![rows.len(), rows[0].len()],
            values: rows
                .into_flattened()
                .into_iter()
                .map(|value| value as f32)
                .collect(),
        };
        let bytes: Vec<u8> = values
            .values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        fs::write(folder.join(format!("{id}.f32")), bytes)?;
        told.push((model, values));
    }
    let mut ours = 0.0;
    for (model, values) in &told {
        let inputs = [values.clone()];
        ours += median_ms(|| model.run(&inputs).map(drop))?;
    }
    let rival = trainer::run(
        trainer::python()
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/rival/onnx.py"))
            .arg(folder)
            .args(
                told.iter()
                    .map(|(model, _)| shipped.join(&model.manifest.file)),
            ),
    );
    let theirs: f64 = String::from_utf8(rival.stdout)?.trim().parse()?;
    println!(
        "a minute's forecasts from the store, four models: {whole:.2} ms (median of {ROUNDS})"
    );
    println!(
        "the models alone: {ours:.3} ms, onnxruntime {theirs:.3} ms: {:.2} of it",
        ours / theirs
    );
    println!("memory added by ten models, loaded and run: {added:.1} MB");
    Ok(())
}

fn median_ms(mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let mut times = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        run()?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}

/// What the process holds in memory, MB.
fn resident_mb() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .context("VmRSS")?;
    let kilobytes: f64 = line
        .split_whitespace()
        .nth(1)
        .context("a figure")?
        .parse()?;
    Ok(kilobytes / 1024.0)
}
