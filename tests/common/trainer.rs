//! The models' trainer: its folder, and a Python with what it needs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use sha2::{Digest, Sha256};

/// Runs a module of the trainer.
pub fn module(name: &str) -> Command {
    let mut command = python();
    command.args(["-m", name]);
    command
}

/// The trainer's Python in its folder; warnings are errors.
pub fn python() -> Command {
    let mut command = Command::new(environment());
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

/// A Python with what the trainer needs, made when missing.
fn environment() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let requirements = folder().join("requirements.txt");
        let needs = fs::read(&requirements).expect("the trainer's needs");
        let name: String = Sha256::digest(&needs)[..6]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("trainer-{name}"));
        let (python, whole) = (place.join("bin/python"), place.join("whole"));
        if !whole.exists() {
            run(Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&place));
            run(Command::new(&python)
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "-r",
                ])
                .arg(requirements));
            fs::write(whole, "").expect("written");
        }
        python
    })
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("onnx-models/trainer")
}
