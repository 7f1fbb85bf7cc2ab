"""How good a model is on the held-out days: the very file that is handed over is run, so all kinds and ages are scored alike."""

import numpy as np
import onnxruntime

from .horizons import POSSIBLE

# Wider than 95 %: the weeks to come differ from the held-out one, and of those 95 % shall lie within. See `backtest`.
BAND = (0.0125, 0.9875)


def session(graph):
    """A model ready to run, in one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def inputs_of(manifest, held_out, origin):
    """The inputs that a manifest asks for, by their names; None where too much is unknown."""
    place, history = held_out.place, held_out.history
    given = {}
    for wanted in manifest["inputs"]:
        name, shape = wanted["name"], wanted["shape"]
        slot_min = manifest.get("history_slot_min", 60)
        if name == "features":
            values = held_out.rows(origin)
        elif name == "y_hist":
            values = history.slots(place.target, origin, shape[1], slot_min)
            if values is None:
                return None
        elif name == "exog_hist":
            values = history.exog(manifest["exog"], origin - shape[1] * slot_min, shape[1], slot_min)
        elif name == "exog_future":
            values = history.exog(manifest["exog"], origin, shape[1], slot_min)
        else:
            raise ValueError(f"nothing gives {name}")
        given[name] = np.asarray(values, np.float32).reshape([size if size > 0 else -1 for size in shape[:-1]] + [shape[-1]])
    return given


def forecasts(graph, manifest, held_out):
    """What a model forecasts for each step of each origin; NaN where it has no forecast."""
    running = session(graph)
    made = np.full(held_out.truth.shape, np.nan)
    for place, origin in enumerate(held_out.origins):
        given = inputs_of(manifest, held_out, origin)
        if given is not None:
            made[place] = running.run(None, given)[0].ravel()
    return np.clip(made, *POSSIBLE[held_out.place.target])


def scores(made, held_out):
    """RMSE, MAE, R², RMSE of seasonal-naive and the skill against it, over all steps and by time ahead; null is unknown."""
    horizon = held_out.place.horizon
    twelfth = horizon.slots // 12
    by_ahead_min = {
        str(horizon.ahead_min[step]): figures(made[:, step], held_out.truth[:, step], held_out.naive[:, step])
        for step in range(twelfth - 1, horizon.slots, twelfth)
    }
    return {**figures(made, held_out.truth, held_out.naive), "by_ahead_min": by_ahead_min}


def figures(made, truth, naive):
    """Of those forecasts whose truth is known."""
    known = ~np.isnan(made) & ~np.isnan(truth)
    error, truth, naive_error = (made - truth)[known], truth[known], (naive - truth)[known]
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


def band(made, held_out):
    """What is added to a forecast for its lower and upper bound, step by step, from the residuals of the steps around it."""
    residual = held_out.truth - made
    horizon = held_out.place.horizon
    around = max(horizon.slots // 24, 1)
    bounds = []
    for step in range(horizon.slots):
        near = residual[:, max(step - around, 0) : step + around + 1]
        near = near[~np.isnan(near)]
        bounds.append([float(bound) for bound in np.quantile(near, BAND)] if len(near) else [None, None])
    return bounds
