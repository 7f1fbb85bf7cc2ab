//! The DAGs under the real Airflow, over the sites of a real central office. It is slow, so it runs when the trainer, the DAGs or
//! the office's schema are not those with which it passed before on this machine.

mod common;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use common::{
    binary,
    postgres::Postgres,
    station::Daemon,
    trainer::{self, environment},
    waiting::until,
};
use pumphouse::forecast::{manifest::Place, models::Decisions};
use tempfile::TempDir;

const DATABASE: &str = "plant";
const SITES: [&str; 2] = ["north", "south"];

/// Everything that decides how it goes.
fn sources() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in [
        "onnx-models/trainer/pumphouse_trainer",
        "onnx-models/trainer/dags",
        "onnx-models/trainer",
        "migrations/postgres",
    ] {
        let entries = fs::read_dir(root.join(folder)).expect("a folder");
        files.extend(
            entries
                .map(|entry| entry.expect("a file").path())
                .filter(|path| path.is_file()),
        );
    }
    files.push(root.join("tests/airflow.rs"));
    files.sort();
    files
        .iter()
        .flat_map(|file| fs::read(file).expect("read"))
        .collect()
}

#[test]
fn the_dags_run_over_all_sites_of_the_central_office() {
    let passed = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("airflow-passed-{}", trainer::hash(&sources())));
    if passed.exists() {
        let mut stderr = std::io::stderr();
        writeln!(stderr, "airflow: passed before with the same trainer, DAGs and schema; remove {} to run it again", passed.display()).expect("said");
        return;
    }
    let server = Postgres::start();
    server.create_database(DATABASE);
    let home = TempDir::with_prefix("pumphouse-airflow-").expect("a folder");
    for (site, seed) in SITES.into_iter().zip(["21", "22"]) {
        deliver(&server, home.path(), site, seed);
    }
    server.sql(DATABASE, "CREATE ROLE office LOGIN PASSWORD 'secret of the office'; GRANT pumphouse_reader TO office");
    let airflow = Airflow::new(home.path(), &server);

    // The same minutes from the box and from the office give the same models.
    let config = home.path().join("sites/north.toml");
    let [from_box, from_office] = ["from-box", "from-office"].map(|name| home.path().join(name));
    trainer::run(
        trainer::module("pumphouse_trainer")
            .args(["train", "--config"])
            .arg(home.path().join("north/pumphouse.toml"))
            .arg("--out")
            .arg(&from_box),
    );
    trainer::run(
        trainer::module("pumphouse_trainer")
            .args(["train", "--database", &airflow.database, "--config"])
            .arg(&config)
            .arg("--out")
            .arg(&from_office)
            .env("PGPASSWORD", "secret of the office"),
    );
    let place = Place::ALL[1].name();
    let model = |folder: &Path| {
        Decisions::read(folder).expect("decisions").uses(&place)[0]
            .model
            .clone()
    };
    assert_eq!(model(&from_box), model(&from_office));
    let bytes = |folder: &PathBuf| {
        fs::read(folder.join(format!("{}.onnx", model(folder)))).expect("a model")
    };
    assert!(
        bytes(&from_box) == bytes(&from_office),
        "equal minutes, equal models"
    );

    for (dag, said) in [
        ("data_quality_dag", "fit to train on"),
        ("weekly_retrain_dag", "promoted hlt_pct-24h"),
        ("model_validation_dag", "hlt_pct-60min: hlt_pct-60min"),
    ] {
        let log = airflow.test(dag);
        assert_eq!(
            log.matches(said).count(),
            SITES.len(),
            "{dag} on each site:\n{log}"
        );
        assert!(log.contains("state=success"), "{dag}:\n{log}");
    }
    for site in SITES {
        let models = home.path().join("sites").join(format!("models-{site}"));
        let decisions = Decisions::read(&models).expect("decisions");
        assert!(
            Place::ALL
                .iter()
                .all(|place| decisions.uses(&place.name()).len() == 1),
            "{site}: {decisions:?}"
        );
    }
    // The simulated stations have been silent for long, which the sweep must tell of, each by itself.
    let log = airflow.test("alert_sweep_dag");
    for site in SITES {
        assert!(log.contains(&format!("{site}: the newest row is")), "{log}");
    }
    assert!(log.contains("state=failed"), "{log}");
    fs::write(passed, "").expect("written");
}

/// A box whose rows are at the office, and its config among the sites of the office.
fn deliver(server: &Postgres, home: &Path, site: &str, seed: &str) {
    let folder = home.join(site);
    fs::create_dir_all(&folder).expect("a folder");
    let done = binary::run(
        &folder,
        &[
            "simulate",
            "--out",
            ".",
            "--days",
            "20",
            "--start",
            "2025-03-01",
            "--seed",
            seed,
        ],
    );
    assert!(done.status.success());
    let config = folder.join("pumphouse.toml");
    let text = fs::read_to_string(&config)
        .expect("the config")
        .replace("id = \"demo\"", &format!("id = \"{site}\""));
    let sites = home.join("sites");
    fs::create_dir_all(&sites).expect("a folder");
    let models = format!("\n[forecast]\nmodels = \"models-{site}\"\n");
    fs::write(
        sites.join(format!("{site}.toml")),
        format!("{text}{models}"),
    )
    .expect("written");
    fs::write(folder.join("password"), format!("secret of {site}\n")).expect("written");
    server.admit(DATABASE, site, &folder, "password");
    let central = format!(
        "\n[central]\nurl = \"postgres://{site}@127.0.0.1:{}/{DATABASE}\"\npassword_file = \"password\"\n",
        server.port()
    );
    fs::write(&config, format!("{text}{central}")).expect("written");
    let mut daemon = Daemon::start(&config, &folder.join("log"), &[]);
    until("all rows are at the office", || {
        let there = server.sql(
            DATABASE,
            &format!("SELECT count(*) FROM pumphouse.readings_wide WHERE site_id = '{site}'"),
        );
        (there == (20 * 1440).to_string()).then_some(())
    });
    daemon.terminate();
}

/// An Airflow of its own.
struct Airflow {
    program: PathBuf,
    home: PathBuf,
    database: String,
}

impl Airflow {
    fn new(home: &Path, server: &Postgres) -> Self {
        let requirements = trainer::folder().join("dags/requirements.txt");
        let program = environment("airflow", &requirements).with_file_name("airflow");
        let database = format!("postgres://office@127.0.0.1:{}/{DATABASE}", server.port());
        let airflow = Self {
            program,
            home: home.to_path_buf(),
            database,
        };
        let made = airflow.run(&["db", "migrate"]);
        assert!(made.status.success(), "{}", text(&made));
        airflow
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(&self.program)
            .args(arguments)
            .env("AIRFLOW_HOME", self.home.join("airflow"))
            .env("AIRFLOW__CORE__DAGS_FOLDER", trainer::folder().join("dags"))
            .env("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PUMPHOUSE_SITES", self.home.join("sites"))
            .env("PUMPHOUSE_TRAINER", trainer::interpreter())
            .env("PUMPHOUSE_DATABASE", &self.database)
            .env("PGPASSWORD", "secret of the office")
            .output()
            .expect("it starts")
    }

    /// Runs a DAG as `airflow dags test` does; what it said.
    fn test(&self, dag: &str) -> String {
        text(&self.run(&["dags", "test", dag]))
    }
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .concat()
}
