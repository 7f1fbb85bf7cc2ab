"""What each pump lifts for its energy, m³/kWh, at a level, a flow and so many pumps running: trees over three columns.

The first model of a pump that has learnt enough is the reference that later days are held against. A new one would learn the wear
that it is there to show, so it is kept as a candidate; after an overhaul a person puts it to use.
"""

import numpy as np
import xgboost

from . import export, score, source
from .features import DAY_MIN
from .horizons import HELD_OUT_MIN
from .trees import SEED, importance
from .validate import utc

COLUMNS = ["level_pct", "pumps_on", "flow_m3h"]
UNIT = "m³/kWh"
ROUNDS = 60
PARAMETERS = {"max_depth": 3, "eta": 0.1, "min_child_weight": 50, "objective": "reg:squarederror", "nthread": 1, "seed": SEED}
# Minutes of running to learn from, and to score on.
LEARNT_MIN = 2 * DAY_MIN
SCORED_MIN = 60
ROWS_MAX = 20_000
# A figure outside of this is a switching minute, or a fault.
EFFICIENCY_MAX = 100.0


def minutes(site, days, database, pump):
    """Minute, columns and efficiency of the minutes in which a pump ran and everything is known."""
    number = pump.lower()
    with source.opened(site, database) as rows:
        newest = rows.one("SELECT max({ts}) FROM {readings_wide}")
        found = rows.all(
            f"SELECT {{ts}}, hlt_pct, pumps_on_count, fit101_per_hr, flow_per_pump / {number}_kwh FROM {{readings_wide}} "
            f"WHERE {{later}} AND {number}_onoff = 1 AND {number}_kwh > {site.zero_kw} AND fit101_per_hr > 0 "
            f"AND hlt_pct IS NOT NULL AND flow_per_pump IS NOT NULL ORDER BY 1",
            newest - days * DAY_MIN * 60,
        )
    table = np.array(found, float).reshape(-1, 5)
    table = table[(table[:, 4] > 0) & (table[:, 4] < EFFICIENCY_MAX)]
    return int(newest) // 60, (table[:, 0] // 60).astype(int), table[:, 1:4].astype(np.float32), table[:, 4].astype(np.float32)


def fit(site, days, database, pump):
    """Graph and manifest of a pump's model, or why there is none."""
    newest, minute, rows, truth = minutes(site, days, database, pump)
    learnt, held = minute <= newest - HELD_OUT_MIN, minute > newest - HELD_OUT_MIN
    if learnt.sum() < LEARNT_MIN or held.sum() < SCORED_MIN:
        return None, f"{learnt.sum()} minutes of running to learn from and {held.sum()} to score on; {LEARNT_MIN} and {SCORED_MIN} are wanted"
    every = max(learnt.sum() // ROWS_MAX, 1)
    learnt_rows, learnt_truth = rows[learnt][::every], truth[learnt][::every]
    booster = xgboost.train(PARAMETERS, xgboost.DMatrix(learnt_rows, learnt_truth), ROUNDS)
    name = f"pump_efficiency-{pump}-{utc(newest).replace('-', '').replace(':', '')}"
    model = export.trees(booster)
    inputs = export.inputs_of(model)
    running = score.session(model.SerializeToString(deterministic=True))
    made = running.run(None, {"features": rows[held]})[0].ravel()
    mean = float(np.mean(learnt_truth))
    figures = score.figures(made, truth[held], np.full(held.sum(), mean))
    figures["rmse_train"] = score.rms(booster.predict(xgboost.DMatrix(learnt_rows)) - learnt_truth)
    about = {
        "id": name,
        "file": f"{name}.onnx",
        "place": f"pump_efficiency-{pump}",
        "target": "pump_efficiency",
        "pump": pump,
        "kind": "xgboost",
        "unit": UNIT,
        "slot_min": 1,
        "slots": 1,
        "features": COLUMNS,
        "inputs": [{"name": name, "shape": shape} for name, shape in inputs],
        "parameters": {**PARAMETERS, "rounds": ROUNDS},
        "data_to": utc(newest),
        "held_out_from": utc(newest - HELD_OUT_MIN),
        "scores": figures,
    }
    graph = export.finished(model, {key: value for key, value in about.items() if key != "inputs"})
    cases = [rows[held][place : place + 1] for place in (0, held.sum() // 2, held.sum() - 1)]
    golden = [([case], running.run(None, {"features": case})[0]) for case in cases]
    return (graph, export.manifest_of(graph, about, inputs, golden, importance(booster, COLUMNS))), None


def decide(manifest, in_use):
    """The verdict, and why, with figures."""
    scores = manifest["scores"]
    said = f"its RMSE over the days from {manifest['held_out_from']} is {scores['rmse_val']:.3f} {UNIT}"
    if in_use is None:
        return "promoted", f"{said}; it is the reference for this pump from now on"
    return "kept", f"{said}; {in_use[1]['id']} stays the reference, so that wear shows against it"
