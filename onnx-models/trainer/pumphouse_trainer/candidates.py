"""The candidates of a place: trees, SARIMAX, and both together where that is measurably better; all scored on the held-out days."""

from dataclasses import dataclass

import numpy as np

from . import export, sarimax, score, trees
from .horizons import UNITS
from .settings import Refused
from .validate import utc

# A combination must be this much better than the better of the two, on days that did not choose its weight.
BETTER = 0.98
GOLDEN_CASES = 3


@dataclass
class Candidate:
    """A model as it is handed over, and what it forecast for the held-out days."""

    graph: bytes
    manifest: dict
    made: np.ndarray

    @property
    def rmse(self):
        return self.manifest["scores"]["rmse_val"]


FITS = {"xgboost": trees.fit, "sarimax": sarimax.fit}


def of(held_out, kinds=tuple(FITS)):
    """The candidates, the best first. A kind for which too little is known is left out, as long as there is another."""
    delta_of = held_out.place.horizon.delta_column
    fitted, refused = {}, []
    for kind, fit in ((kind, FITS[kind]) for kind in kinds):
        try:
            fitted[kind] = fit(held_out)
        except Refused as reason:
            refused.append(str(reason))
    singles = []
    if tree := fitted.get("xgboost"):
        singles.append(candidate("xgboost", export.trees(tree.booster, delta_of), held_out, tree.about, tree.importance))
    if line := fitted.get("sarimax"):
        singles.append(candidate("sarimax", export.affine(line), held_out, line.about, {}))
    singles = sorted((one for one in singles if one.rmse is not None), key=lambda one: one.rmse)
    if not singles:
        raise Refused("; ".join(refused) or "no truth to score on")
    if len(singles) < 2:
        return singles
    made = {one.manifest["kind"]: one.made for one in singles}
    weight, is_better = weigh(made["xgboost"], made["sarimax"], held_out)
    if not is_better:
        return singles
    about = {
        **line.about,
        **tree.about,
        "parameters": {"xgboost": tree.about["parameters"], "sarimax": line.about["parameters"], "weight_xgboost": weight},
        "rmse_train": None,
    }
    graph = export.combined(tree.booster, delta_of, line, weight)
    return [candidate("combined", graph, held_out, about, tree.importance), *singles]


def weigh(by_trees, by_line, held_out):
    """The trees' weight by least squares on every other day, and whether both are better than each on the days between."""
    day = (held_out.origins - held_out.first) // 1440
    errors = by_trees - held_out.truth, by_line - held_out.truth
    known = ~np.isnan(errors[0]) & ~np.isnan(errors[1])
    choosing, judging = (known & (day % 2 == turn)[:, None] for turn in (0, 1))
    tree, line = (error[choosing] for error in errors)
    apart = float(np.sum((line - tree) ** 2))
    if apart == 0.0:
        return 1.0, False
    weight = round(float(np.clip(np.sum(line * (line - tree)) / apart, 0.0, 1.0)), 2)
    tree, line = (error[judging] for error in errors)
    together = score.rms(weight * tree + (1.0 - weight) * line)
    return weight, 0.0 < weight < 1.0 and together < BETTER * min(score.rms(tree), score.rms(line))


def candidate(kind, model, held_out, about, importance):
    """Scores a graph as it will be run, and says of it what its manifest must say."""
    place, history = held_out.place, held_out.history
    date = utc(history.end - 1)
    name = f"{place.name}-{kind}-{date.replace('-', '').replace(':', '')}"
    inputs = export.inputs_of(model)
    about = {
        "id": name,
        "file": f"{name}.onnx",
        "place": place.name,
        "target": place.target,
        "kind": kind,
        "unit": UNITS[place.target],
        "slot_min": place.horizon.slot_min,
        "slots": place.horizon.slots,
        "features": [],
        "inputs": [{"name": name, "shape": shape} for name, shape in inputs],
        "timezone": str(history.zone),
        "data_from": utc(history.first),
        "data_to": date,
        "held_out_from": utc(held_out.first),
        **about,
    }
    unscored = model.SerializeToString(deterministic=True)
    made = score.forecasts(unscored, about, held_out)
    about["scores"] = {**score.scores(made, held_out), "rmse_train": about.pop("rmse_train")}
    about["band"] = score.band(made, held_out)
    told = {key: value for key, value in about.items() if key not in ("spread", "band", "inputs")}
    graph = export.finished(model, told)
    return Candidate(graph, export.manifest_of(graph, about, inputs, golden(graph, about, held_out), importance), made)


def golden(graph, about, held_out):
    """Inputs from the held-out days, and what the model says to them."""
    running = score.session(graph)
    cases = []
    for origin in held_out.origins[:: max(len(held_out.origins) // GOLDEN_CASES, 1)]:
        given = score.inputs_of(about, held_out, origin)
        if given is None:
            continue
        if list(given) == ["features"]:
            # Rows are independent of each other; the first and the last step are enough.
            given["features"] = given["features"][[0, -1]]
        cases.append((list(given.values()), running.run(None, given)[0]))
    return cases[:GOLDEN_CASES]
