"""Fits boosted trees: a model for each target and horizon, with the time ahead as a column.

The newest week is held out. What a model is scored on it has never seen; the same week gives the width of its band. Equal minutes
give equal models, byte by byte: one thread, a fixed seed, and the newest minute for a date.
"""

from dataclasses import dataclass

import numpy as np
import xgboost

from . import export
from .features import COLUMNS, DAY_MIN, HISTORY_MIN
from .settings import Refused
from .validate import utc

SEED = 1
HELD_OUT_MIN = 7 * DAY_MIN
# Origins of the held-out week are an hour apart: neighbours would say nearly the same.
SCORED_EVERY_MIN = 60
UNITS = {"hlt_pct": "%", "flow_demand": "m³/h"}
BAND = (0.025, 0.975)
PARAMETERS = {
    "max_depth": 6,
    "eta": 0.05,
    "min_child_weight": 20,
    "subsample": 0.6,
    "colsample_bytree": 0.7,
    "objective": "reg:squarederror",
    "nthread": 1,
    "seed": SEED,
}
ROUNDS = 200


@dataclass(frozen=True)
class Horizon:
    """Steps ahead, and how the rows to learn from are drawn: origins this far apart, so many steps of each."""

    name: str
    slot_min: int
    slots: int
    origin_every_min: int
    steps_of_each: int
    # The next hour starts from the newest value; a day ahead, that value says little.
    delta_of: str | None

    @property
    def ahead_min(self):
        return np.arange(1, self.slots + 1) * self.slot_min

    @property
    def delta_column(self):
        return COLUMNS.index(self.delta_of) if self.delta_of else None

    def base(self, rows):
        """What the trees' sum is added to."""
        return np.float32(0.0) if self.delta_of is None else rows[:, self.delta_column]


HORIZONS = [
    Horizon("60min", 1, 60, 3, 6, "last"),
    Horizon("24h", 15, 96, 5, 10, None),
]


@dataclass
class Fitted:
    graph: bytes
    manifest: dict


def fit(history, target, horizon):
    """The model of a target at a horizon, scored on the held-out week."""
    first, end = history.first, history.first + len(history.minutes.level_pct)
    held_out_from = end - HELD_OUT_MIN
    # Nothing that is learnt lies in the held-out week, its truth included.
    learnt_from = first + HISTORY_MIN
    origins = np.arange(learnt_from, held_out_from - horizon.ahead_min[-1], horizon.origin_every_min)
    random = np.random.default_rng(SEED)
    steps = random.choice(horizon.ahead_min, (len(origins), horizon.steps_of_each))
    rows, truth, _ = samples(history, target, origins, steps)
    if len(rows) < 1000:
        raise Refused(f"{target}: {len(rows)} rows to learn from between the first week and the newest; 1000 are wanted")
    base = horizon.base(rows)
    data = xgboost.DMatrix(rows, truth - base)
    booster = xgboost.train(PARAMETERS, data, ROUNDS)
    train_error = booster.predict(data) + base - truth

    origins = np.arange(held_out_from, end - horizon.ahead_min[-1], SCORED_EVERY_MIN)
    steps = np.broadcast_to(horizon.ahead_min, (len(origins), horizon.slots))
    rows, truth, naive = samples(history, target, origins, steps)
    forecast = booster.predict(xgboost.DMatrix(rows)) + horizon.base(rows)
    ahead_min = rows[:, COLUMNS.index("ahead_min")].astype(int)
    parts = (forecast - truth, truth, naive - truth)
    twelfth = horizon.slots // 12
    by_ahead_min = {
        str(ahead): score(*(part[ahead_min == ahead] for part in parts))
        for ahead in horizon.ahead_min[twelfth - 1 :: twelfth]
    }
    about = {
        "scores": {**score(*parts), "rmse_train": rms(train_error), "by_ahead_min": by_ahead_min},
        "band": band(truth - forecast, ahead_min, horizon),
        "data_from": utc(first),
        "data_to": utc(end - 1),
        "held_out_from": utc(held_out_from),
    }
    return handed_over(booster, target, horizon, rows, forecast, about)


def samples(history, target, origins, steps):
    """Rows, truth and seasonal-naive forecast (the day before) of pairs whose truth and newest value are known."""
    origins, steps = (of.ravel() for of in np.broadcast_arrays(origins[:, None], steps))
    rows = history.rows(target, origins, steps).astype(np.float32)
    truth = history.value(target, origins + steps)
    naive = history.value(target, origins + steps - DAY_MIN)
    known = ~np.isnan(truth) & ~np.isnan(rows[:, COLUMNS.index("last")])
    return rows[known], truth[known].astype(np.float32), naive[known]


def score(error, truth, naive_error):
    """RMSE, MAE and R² of a forecast, RMSE of seasonal-naive, and the skill against it where both have one; null is unknown."""
    rmse, naive = rms(error), rms(naive_error)
    beside_naive = rms(error[~np.isnan(naive_error)])
    spread = float(np.var(truth)) if len(truth) else 0.0
    return {
        "rmse_val": rmse,
        "mae_val": float(np.mean(np.abs(error))) if len(error) else None,
        "r2_score": 1.0 - rmse**2 / spread if spread > 0 else None,
        "rmse_naive": naive,
        "skill": 1.0 - beside_naive / naive if naive else None,
    }


def rms(error):
    known = np.asarray(error, float)[~np.isnan(error)]
    return float(np.sqrt(np.mean(known**2))) if len(known) else None


def band(residual, ahead_min, horizon):
    """What is added to a forecast for its lower and upper bound, step by step, from the residuals of the steps around it."""
    bounds = []
    around_min = horizon.ahead_min[-1] / 12
    for ahead in horizon.ahead_min:
        near = residual[np.abs(ahead_min - ahead) <= around_min / 2]
        bounds.append([float(bound) for bound in np.quantile(near, BAND)] if len(near) else [None, None])
    return bounds


def handed_over(booster, target, horizon, rows, forecast, about):
    gain = booster.get_score(importance_type="total_gain")
    # A series that never changes has trees without a split.
    total = sum(gain.values()) or 1.0
    shares = {name: gain.get(f"f{place}", 0.0) / total for place, name in enumerate(COLUMNS)}
    date = about["data_to"].replace("-", "").replace(":", "")
    name = f"{target}-{horizon.name}-xgboost-{date}"
    about = {
        "id": name,
        "file": f"{name}.onnx",
        "target": target,
        "kind": "xgboost",
        "unit": UNITS[target],
        "slot_min": horizon.slot_min,
        "slots": horizon.slots,
        "features": COLUMNS,
        "parameters": {**PARAMETERS, "rounds": ROUNDS},
        **about,
    }
    graph = export.trees_to_onnx(booster, about, horizon.delta_column)
    golden = [([rows[place : place + 1]], forecast[place : place + 1]) for place in (0, len(rows) // 2, len(rows) - 1)]
    manifest = export.manifest_of(graph, about, [("features", [-1, len(COLUMNS)])], golden, shares)
    return Fitted(graph, manifest)
