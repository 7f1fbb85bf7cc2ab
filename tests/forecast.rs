//! The trainer against the daemon: the same model and the same rows give what XGBoost gives, the same minutes give the same
//! rows. Once with what the trainer wrote into `tests/forecast`, once with what it writes now, of another seed, in a Python
//! environment of its own.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::trainer::{module, run};
use jiff::tz::TimeZone;
use pumphouse::{
    calendar::Calendar,
    forecast::{
        features::{COLUMNS, History, Minutes},
        guard::{Model, Values, load},
        manifest::Target,
    },
    plant::PeakWindows,
};
use tempfile::TempDir;

/// Columns of the model's rows.
const WIDTH: usize = 8;
/// The column that the trees' sum is added to.
const LAST: usize = 1;

/// A folder with what the trainer has written.
struct Written(PathBuf);

impl Written {
    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    fn numbers(&self, name: &str) -> Vec<f32> {
        let bytes = self.bytes(name);
        let (words, rest) = bytes.as_chunks::<4>();
        assert_eq!(rest, [0u8; 0]);
        words.iter().map(|&word| f32::from_le_bytes(word)).collect()
    }

    fn model(&self) -> Model {
        load(&self.0.join("trees.json")).expect("a good model")
    }

    fn is_what_comes_out_here(&self) {
        self.rows_give_what_xgboost_gives();
        self.rows_one_by_one_give_the_same();
        self.contributions_are_xgboosts_and_add_up();
        self.features_are_those_that_models_are_trained_on();
        self.windows_give_what_statsmodels_gives();
    }

    fn windows_give_what_statsmodels_gives(&self) {
        let model = load(&self.0.join("sarimax.json")).expect("a good model");
        let wanted = self.numbers("sarimax_forecast.f32");
        let inputs: Vec<_> = model
            .manifest
            .inputs
            .iter()
            .map(|input| {
                let shape: Vec<usize> = input.shape.iter().map(|&size| size as usize).collect();
                (shape, self.numbers(&format!("{}.f32", input.name)))
            })
            .collect();
        for (window, wanted) in wanted.chunks(96).enumerate() {
            let given: Vec<Values> = inputs
                .iter()
                .map(|(shape, values)| {
                    let size: usize = shape.iter().product();
                    Values {
                        shape: shape.clone(),
                        values: values[window * size..][..size].to_vec(),
                    }
                })
                .collect();
            let outputs = model.run(&given).expect("it runs");
            assert_eq!(outputs[0].len(), wanted.len());
            for (step, (&got, &wanted)) in outputs[0].iter().zip(wanted).enumerate() {
                let same = is_near(got.into(), wanted.into(), 1e-4);
                assert!(
                    same,
                    "window {window}, step {step}: {got} where statsmodels has {wanted}"
                );
            }
        }
        assert_eq!(wanted.len(), 30 * 96);
    }

    fn rows_give_what_xgboost_gives(&self) {
        let (rows, forecast) = (self.numbers("rows.f32"), self.numbers("forecast.f32"));
        assert!(forecast.len() >= 3000);
        let values = Values {
            shape: vec![forecast.len(), WIDTH],
            values: rows,
        };
        let outputs = self.model().run(&[values]).expect("it runs");
        assert_eq!(outputs[0].len(), forecast.len());
        for (row, (&got, &wanted)) in outputs[0].iter().zip(&forecast).enumerate() {
            let same = is_near(got.into(), wanted.into(), 1e-3);
            assert!(same, "row {row}: {got} where XGBoost has {wanted}");
        }
        let unknown = forecast.iter().filter(|value| value.is_nan()).count();
        assert!((20..300).contains(&unknown), "{unknown}");
    }

    fn rows_one_by_one_give_the_same(&self) {
        let (rows, forecast) = (self.numbers("rows.f32"), self.numbers("forecast.f32"));
        let model = self.model();
        for (row, wanted) in rows.chunks(WIDTH).zip(forecast).step_by(37) {
            let values = Values {
                shape: vec![1, WIDTH],
                values: row.to_vec(),
            };
            let got = model.run(&[values]).expect("it runs")[0][0];
            assert!(is_near(got.into(), wanted.into(), 1e-3), "{got} {wanted}");
        }
    }

    fn contributions_are_xgboosts_and_add_up(&self) {
        let (rows, shares) = (self.numbers("rows.f32"), self.numbers("shares.f32"));
        let forecast = self.numbers("forecast.f32");
        let model = self.model();
        let tried = rows.chunks(WIDTH).zip(forecast).step_by(10);
        for (wanted, (row, forecast)) in shares.chunks(WIDTH + 1).zip(tried) {
            let got = model.contributions(row).expect("it has trees");
            for (got, &wanted) in got.iter().zip(wanted) {
                assert!(is_near(*got, wanted.into(), 1e-4), "{got} {wanted}");
            }
            let sum: f64 = got.iter().sum();
            assert!(is_near(sum + f64::from(row[LAST]), forecast.into(), 1e-3));
        }
        assert_eq!(shares.len() / (WIDTH + 1), 300);
    }

    fn features_are_those_that_models_are_trained_on(&self) {
        // As in the script: nine days about the end of British summer time, in tenths.
        const FIRST: i64 = 29_354_400;
        const DAYS: usize = 9;
        let bytes = self.bytes("minutes.i16");
        let tenths = bytes
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&word| i16::from_le_bytes(word));
        let values: Vec<f64> = tenths
            .map(|tenth| {
                if tenth == i16::MIN {
                    f64::NAN
                } else {
                    f64::from(tenth) / 10.0
                }
            })
            .collect();
        let mut series = values.chunks(DAYS * 1440).map(<[f64]>::to_vec);
        let mut next = || series.next().expect("four series");
        let level_pct = next();
        let minutes = Minutes {
            first: FIRST,
            stored_m3: level_pct.iter().map(|pct| pct / 100.0 * 1200.0).collect(),
            level_pct,
            flow_m3h: next(),
            power_kw: next(),
            pumps_on: next(),
        };
        let history = History::new(&minutes);
        let mut calendar = Calendar::new(TimeZone::get("Europe/London").expect("a zone"));
        let mut peak = PeakWindows::default();
        peak.add("06:00-10:00").expect("a window");
        peak.add("22:00-02:00").expect("a window");

        let columns: Vec<String> =
            serde_json::from_slice(&self.bytes("columns.json")).expect("the columns' names");
        assert_eq!(columns, COLUMNS);
        let bytes = self.bytes("features.f64");
        let wanted: Vec<f64> = bytes
            .as_chunks::<8>()
            .0
            .iter()
            .map(|&word| f64::from_le_bytes(word))
            .collect();
        let mut wanted = wanted.chunks(COLUMNS.len());
        let (mut rows, mut unknown) = (0, 0);
        for target in [Target::HltPct, Target::FlowDemand] {
            for origin in (600..DAYS as i64 * 1440).step_by(331) {
                for ahead_min in [1, 7, 60, 375, 1440] {
                    let got = history.row(target, FIRST + origin, ahead_min, &mut calendar, &peak);
                    let wanted = wanted.next().expect("as many rows");
                    for ((name, got), &wanted) in COLUMNS.iter().zip(got).zip(wanted) {
                        let same = is_near(got, wanted, 1e-6);
                        assert!(
                            same,
                            "{target:?} {origin} {ahead_min} {name}: {got} where the trainer has {wanted}"
                        );
                        unknown += usize::from(got.is_nan());
                    }
                    rows += 1;
                }
            }
        }
        assert!(wanted.next().is_none());
        assert!(rows > 300 && unknown > 300, "{rows} {unknown}");
    }
}

fn is_near(got: f64, wanted: f64, tolerance: f64) -> bool {
    (got - wanted).abs() <= tolerance || (got.is_nan() && wanted.is_nan())
}

#[test]
fn what_the_trainer_has_written_is_what_comes_out_here() {
    Written(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/forecast")).is_what_comes_out_here();
}

#[test]
fn what_the_trainer_writes_now_is_what_comes_out_here() {
    let folder = TempDir::new().expect("a folder");
    run(module("pumphouse_trainer.parity")
        .arg(folder.path())
        .arg("7"));
    Written(folder.path().to_path_buf()).is_what_comes_out_here();
}
