//! The models' trainer: its folder, and a Python with what it needs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use sha2::{Digest, Sha256};

/// For pip: only what goes wrong.
const QUIETLY: [&str; 2] = ["--quiet", "--disable-pip-version-check"];

/// Runs a module of the trainer.
pub fn module(name: &str) -> Command {
    let mut command = python();
    command.args(["-m", name]);
    command
}

/// The trainer's Python in its folder; warnings are errors.
pub fn python() -> Command {
    let mut command = Command::new(interpreter());
    command
        .args(["-W", "error"])
        .current_dir(folder())
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Runs a command that must go well.
pub fn run(command: &mut Command) -> Output {
    let done = command.output().expect("it starts");
    assert!(
        done.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
    done
}

/// The trainer's Python.
pub fn interpreter() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| environment("trainer", &folder().join("requirements.txt")))
}

/// A Python with what a file asks for, made when missing.
pub fn environment(name: &str, requirements: &Path) -> PathBuf {
    let place = made_once(name, requirements, |place| {
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(place));
        let mut pip = Command::new(place.join("bin/python"));
        run(pip
            .args(["-m", "pip", "install", "-r"])
            .arg(requirements)
            .args(QUIETLY));
    });
    place.join("bin/python")
}

/// A folder with the wheels of what the trainer needs, for a Python of a version, fetched when missing: as the install guide has it.
pub fn wheels(python_version: &str) -> PathBuf {
    let requirements = folder().join("requirements.txt");
    made_once(
        &format!("wheels-{python_version}"),
        &requirements,
        |place| {
            run(Command::new("python3")
                .args(["-m", "pip", "download", "--only-binary", ":all:", "-r"])
                .arg(&requirements)
                .args(QUIETLY)
                .args(["--python-version", python_version, "-d"])
                .arg(place));
        },
    )
}

/// The folder of a name and of what a file asks for, made when missing.
fn made_once(name: &str, requirements: &Path, make: impl FnOnce(&Path)) -> PathBuf {
    let needs = fs::read(requirements).expect("what it needs");
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", hash(&needs)));
    let whole = place.join("whole");
    if !whole.exists() {
        make(&place);
        fs::write(whole, "").expect("written");
    }
    place
}

/// A name for bytes.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The trainer's folder.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx-models/trainer")
}
