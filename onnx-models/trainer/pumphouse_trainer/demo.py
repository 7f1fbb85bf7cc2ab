"""The simulated station as something to learn from."""

import json
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from .settings import Refused

# Equal arguments give equal minutes, so the models that come along can be made again, byte by byte.
# SARIMAX is left out: the last digits that its optimiser finds depend on the machine's arithmetic.
KINDS = ("xgboost",)
SEED = "7"
START = "2025-03-01"


@contextmanager
def station(pumphouse, days, seed=SEED, faults=None):
    """The config of a store of so many simulated days; `faults` is a script of them."""
    with tempfile.TemporaryDirectory(prefix="pumphouse-trainer-") as folder:
        config = str(Path(folder) / "pumphouse.toml")
        script = Path(folder) / "faults.json"
        script.write_text(json.dumps(faults or []), "utf-8")
        simulated = ("--days", str(days), "--start", START, "--seed", seed, "--faults", str(script))
        run(pumphouse, "simulate", "--out", folder, *simulated)
        run(pumphouse, "ingest", "--config", config, str(Path(folder) / "exports"))
        yield config


def run(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        raise Refused(f"{command[0]}: {error}; name the program with --pumphouse") from error
    if done.returncode != 0:
        raise Refused(f"{' '.join(command[:2])}: {done.stderr.strip()}")
