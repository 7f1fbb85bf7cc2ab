"""Boosted trees: a row for each step, with the time ahead as a column. One thread and a fixed seed, so equal minutes give equal trees."""

from dataclasses import dataclass

import numpy as np
import xgboost

from .features import COLUMNS
from .score import rms
from .settings import Refused

SEED = 1
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
ROWS_MIN = 1000
CLASSES = 10


@dataclass
class Trees:
    """A fitted booster, and what its manifest says of it."""

    booster: xgboost.Booster
    about: dict
    importance: dict


def fit(held_out):
    """The trees of a place, learnt from what lies before the held-out days."""
    place, history = held_out.place, held_out.history
    target, horizon = place.target, place.horizon
    first, last = held_out.learnt_from()
    origins = np.arange(first, last, horizon.origin_every_min)
    random = np.random.default_rng(SEED)
    steps = random.choice(horizon.ahead_min, (len(origins), horizon.steps_of_each))
    rows, truth = samples(history, target, origins, steps)
    if len(rows) < ROWS_MIN:
        raise Refused(f"{len(rows)} rows to learn from between the first week and the newest; {ROWS_MIN} are wanted")
    base = horizon.base(rows)
    data = xgboost.DMatrix(rows, truth - base)
    booster = xgboost.train(PARAMETERS, data, ROUNDS)
    about = {
        "features": COLUMNS,
        "parameters": {**PARAMETERS, "rounds": ROUNDS},
        "rmse_train": rms(booster.predict(data) + base - truth),
        "spread": {name: spread(rows[:, at]) for at, name in enumerate(COLUMNS)},
    }
    return Trees(booster, about, importance(booster, COLUMNS))


def importance(booster, columns):
    """Share of each column in the gain of the splits."""
    gain = booster.get_score(importance_type="total_gain")
    # A series that never changes has trees without a split.
    total = sum(gain.values()) or 1.0
    return {name: gain.get(f"f{at}", 0.0) / total for at, name in enumerate(columns)}


def samples(history, target, origins, steps):
    """Rows and truth of pairs whose truth and newest value are known."""
    origins, steps = (of.ravel() for of in np.broadcast_arrays(origins[:, None], steps))
    rows = history.rows(target, origins, steps).astype(np.float32)
    truth = history.value(target, origins + steps)
    known = ~np.isnan(truth) & ~np.isnan(rows[:, COLUMNS.index("last")])
    return rows[known], truth[known].astype(np.float32)


def spread(values):
    """How a column was spread: the edges of tenths, and the share of the rows in each class."""
    known = values[~np.isnan(values)]
    if not len(known):
        return {"edges": [], "shares": [1.0]}
    edges = np.unique(np.quantile(known, np.arange(1, CLASSES) / CLASSES))
    classes = np.searchsorted(edges, known, side="left")
    shares = np.bincount(classes, minlength=len(edges) + 1) / len(known)
    return {"edges": [float(edge) for edge in edges], "shares": [float(share) for share in shares]}
