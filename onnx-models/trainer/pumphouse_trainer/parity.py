"""Writes what the daemon's tests hold it against: a model, rows that try it, and what XGBoost says to them; minutes, and the rows
that are built of them.

    python -m pumphouse_trainer.parity ../../tests/forecast [seed]
"""

import json
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import xgboost

from . import export, features, horizons, sarimax

FEATURES = ["horizon", "level_last", "level_60", "flow_last", "flow_mean_15", "hour_sin", "hour_cos", "pumps_on"]
LAST = FEATURES.index("level_last")


def data(random, rows):
    """Columns like those of a station, and a level that follows them."""
    columns = np.column_stack(
        [
            random.integers(1, 61, rows),
            random.uniform(15, 95, rows),
            random.uniform(15, 95, rows),
            random.uniform(0, 900, rows),
            random.uniform(0, 900, rows),
            random.uniform(-1, 1, rows),
            random.uniform(-1, 1, rows),
            random.integers(0, 5, rows),
        ]
    ).astype(np.float32)
    change = columns[:, 0] * (columns[:, 3] - 350 - 120 * columns[:, 5]) / 1e4 + random.normal(0, 0.1, rows)
    return columns, change.astype(np.float32)


def rows_to_try(random, booster):
    """Rows of the same kind, rows that lie on thresholds exactly, and rows with unknown values."""
    usual, _ = data(random, 800)
    trees = json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]
    splits = [
        (feature, threshold)
        for tree in trees
        for left, feature, threshold in zip(
            tree["left_children"], tree["split_indices"], tree["split_conditions"], strict=True
        )
        if left != -1
    ]
    on_splits, _ = data(random, 1600)
    for row in on_splits:
        for feature, threshold in random.choice(splits, 4):
            row[int(feature)] = np.float32(threshold)
    unknown, _ = data(random, 600)
    unknown[random.uniform(size=unknown.shape) < 0.15] = np.nan
    unknown[:20] = np.nan
    return np.concatenate([usual, on_splits, unknown])


# Nine days about the end of British summer time in 2025; values in tenths, so that they fit 16 bits.
FIRST = 29_354_400
DAYS = 9
UNKNOWN = -(1 << 15)
VOLUME_M3 = 1200.0
PEAK = [(6 * 60, 10 * 60), (22 * 60, 2 * 60)]
AHEAD_MIN = [1, 7, 60, 375, 1440]


def minutes(random):
    """Minutes of a station with unknown values, alone and in rows."""
    count = DAYS * 1440
    time = np.arange(count)
    level = 60 + 20 * np.sin(time / 230) + random.normal(0, 0.3, count)
    pumps = (np.sin(time / 230 + 1) > 0) * 1.0 + (np.sin(time / 90) > 0.7)
    flow = 310 * pumps + random.normal(0, 4, count)
    power = 55 * pumps + random.normal(0, 1, count)
    tenths = np.round(np.stack([level, flow, power, pumps]) * 10).astype("<i2")
    tenths[random.uniform(size=tenths.shape) < 0.05] = UNKNOWN
    for _ in range(30):
        begin = random.integers(0, count - 60)
        tenths[random.integers(0, 4), begin : begin + random.integers(2, 60)] = UNKNOWN
    return tenths


def write_features(folder, random):
    """The minutes, and the rows of both targets: for each origin a row for each time ahead."""
    tenths = minutes(random)
    level, *others = np.where(tenths == UNKNOWN, np.nan, tenths / 10.0)
    minutes_of = features.Minutes(FIRST, level, level / 100.0 * VOLUME_M3, *others)
    history = features.History(minutes_of, ZoneInfo("Europe/London"), PEAK)
    origins = FIRST + np.arange(600, DAYS * 1440, 331)
    origin, ahead_min = (grid.ravel() for grid in np.meshgrid(origins, AHEAD_MIN, indexing="ij"))
    rows = [history.rows(target, origin, ahead_min) for target in ("hlt_pct", "flow_demand")]
    export.replace(folder / "columns.json", (json.dumps(features.COLUMNS, indent=1) + "\n").encode())
    export.replace(folder / "minutes.i16", tenths.tobytes())
    export.replace(folder / "features.f64", np.concatenate(rows).astype("<f8").tobytes())


SARIMAX = sarimax.SHAPES["flow_demand", "24h"]
STEPS = horizons.HORIZONS[1]
WINDOWS = 30


def write_sarimax(folder, random):
    """An affine map, windows to try it on, and what statsmodels' own filter forecasts from them."""
    count = 40 * 24
    hour = np.arange(count)
    exog = ((hour // 24) % 7 >= 5).astype(float)[:, None]
    y = 300 + 80 * np.sin(hour / 24 * 2 * np.pi) - 40 * exog[:, 0] + np.cumsum(random.normal(0, 2, count)) * 0.3 + random.normal(0, 8, count)
    learnt = y[: 23 * 24]
    mean = float(learnt.mean())
    parameters = sarimax.estimated(learnt - mean, exog[: len(learnt)], SARIMAX)
    affine = sarimax.affine(parameters, SARIMAX, STEPS, mean, {})
    inputs, wanted = {"y_hist": [], "exog_hist": [], "exog_future": []}, []
    steps, from_last = sarimax.interpolation(STEPS, SARIMAX)
    for first in np.linspace(0, count - SARIMAX.window - SARIMAX.ahead - 1, WINDOWS).astype(int):
        window, ahead = slice(first, first + SARIMAX.window), slice(first + SARIMAX.window, first + SARIMAX.window + SARIMAX.ahead)
        filtered = sarimax.model(y[window] - mean, exog[window], SARIMAX).filter(parameters)
        means = filtered.forecast(SARIMAX.ahead, exog=exog[ahead]) + mean
        wanted.append(steps @ means + from_last * y[window][-1])
        for name, values in [("y_hist", y[window]), ("exog_hist", exog[window]), ("exog_future", exog[ahead])]:
            inputs[name].append(values.ravel())
    model = export.affine(affine)
    about = {
        "id": "flow_demand-24h-sarimax-parity",
        "target": "flow_demand",
        "kind": "sarimax",
        "unit": "m³/h",
        "slot_min": 15,
        "slots": 96,
        "features": [],
        "file": "sarimax.onnx",
    }
    graph = export.finished(model, about)
    shapes = export.inputs_of(model)
    cases = [[np.array(inputs[name][place], np.float32).reshape(shape) for name, shape in shapes] for place in (0, WINDOWS - 1)]
    golden = [(case, wanted[place]) for case, place in zip(cases, (0, WINDOWS - 1), strict=True)]
    export.write(folder, graph, export.manifest_of(graph, about, shapes, golden, {}))
    for name, values in [*inputs.items(), ("sarimax_forecast", wanted)]:
        export.replace(folder / f"{name}.f32", np.concatenate(values).astype("<f4").tobytes())


def main(folder, seed="1"):
    folder = Path(folder)
    random = np.random.default_rng(int(seed))
    write_features(folder, random)
    write_sarimax(folder, np.random.default_rng(int(seed)))
    columns, change = data(random, 6000)
    columns[random.uniform(size=columns.shape) < 0.02] = np.nan
    training = xgboost.DMatrix(columns, change, feature_names=FEATURES)
    booster = xgboost.train({"max_depth": 5, "eta": 0.2, "nthread": 1, "seed": 1}, training, num_boost_round=40)
    rows = rows_to_try(random, booster)
    tried = xgboost.DMatrix(rows, feature_names=FEATURES)
    forecast = booster.predict(tried) + rows[:, LAST]
    about = {
        "id": "hlt_pct.60min.xgboost.parity",
        "target": "hlt_pct",
        "kind": "xgboost",
        "unit": "%",
        "slot_min": 1,
        "slots": 60,
        "features": FEATURES,
        "file": "trees.onnx",
    }
    graph = export.finished(export.trees(booster, delta_of=LAST), about)
    gain = booster.get_score(importance_type="total_gain")
    importance = {name: gain.get(name, 0.0) / sum(gain.values()) for name in FEATURES}
    golden = [([rows[place : place + 1]], forecast[place : place + 1]) for place in (0, 900, 1700)]
    manifest = export.manifest_of(graph, about, [("features", [-1, len(FEATURES)])], golden, importance)
    export.write(folder, graph, manifest)
    shares = booster.predict(tried, pred_contribs=True)
    for name, values in [("rows", rows), ("forecast", forecast), ("shares", shares[::10])]:
        export.replace(folder / f"{name}.f32", np.asarray(values, "<f4").tobytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
