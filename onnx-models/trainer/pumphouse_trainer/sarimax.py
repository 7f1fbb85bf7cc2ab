"""Seasonal ARIMA with columns that are known ahead, handed over as one affine map.

With fixed parameters and a window of fixed length the Kalman gains do not depend on what is observed, so a forecast is a matrix
times the window. The next day is modelled by the hour, the next hour by five minutes; between the means of slots lies a line.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from statsmodels.tsa.statespace.sarimax import SARIMAX

from .features import DAY_MIN
from .score import rms
from .settings import Refused

KNOWN_SHARE_MIN = 0.8


@dataclass(frozen=True)
class Shape:
    """How a horizon is modelled: minutes of a slot, slots looked back to and ahead, slots to learn from, orders."""

    slot_min: int
    window: int
    ahead: int
    learnt_slots: int
    order: tuple
    seasonal: tuple
    exog: tuple


# Columns of the hour are left out where the seasonal difference takes them away.
SHAPES = {
    ("hlt_pct", "24h"): Shape(60, 168, 24, 30 * 24, (2, 0, 1), (0, 1, 1, 24), ("is_weekend",)),
    ("flow_demand", "24h"): Shape(60, 168, 24, 30 * 24, (2, 0, 1), (0, 1, 1, 24), ("is_weekend",)),
    ("hlt_pct", "60min"): Shape(5, 144, 12, 7 * 288, (2, 1, 2), (0, 0, 0, 0), ("hour_sin", "hour_cos")),
    ("flow_demand", "60min"): Shape(5, 144, 12, 7 * 288, (2, 0, 1), (0, 0, 0, 0), ("hour_sin", "hour_cos", "is_weekend")),
}


@dataclass
class Affine:
    """With y and X of the window, X' ahead: window_map (y − mean − Xβ) + exog_map Xβ + ahead_map X'β + offset, a value a step."""

    window_map: np.ndarray
    exog_map: np.ndarray
    ahead_map: np.ndarray
    beta: np.ndarray
    mean: float
    offset: np.ndarray
    about: dict


def fit(held_out):
    """The map of a place, its parameters learnt from what lies before the held-out days."""
    place, history = held_out.place, held_out.history
    shape = SHAPES[place.target, place.horizon.name]
    _, last = held_out.learnt_from()
    count = min(shape.learnt_slots, (last - history.first) // shape.slot_min)
    y = history.means(place.target, last, count, shape.slot_min)
    # What is before the station's first minute is not missing.
    y = y[np.argmax(~np.isnan(y)) :]
    if len(y) < 2 * shape.window or np.mean(~np.isnan(y)) < KNOWN_SHARE_MIN:
        raise Refused(f"{np.sum(~np.isnan(y))} slots of {shape.slot_min} min to learn from; {2 * shape.window} are wanted")
    exog = history.exog(shape.exog, last - len(y) * shape.slot_min, len(y), shape.slot_min)
    mean = float(np.nanmean(y))
    parameters = estimated(y - mean, exog, shape)
    about = {
        "parameters": {
            "order": list(shape.order),
            "seasonal_order": list(shape.seasonal),
            "window": shape.window,
            "values": [float(value) for value in parameters],
        },
        "exog": list(shape.exog),
        "history_slot_min": shape.slot_min,
        "rmse_train": error_of(y - mean, exog, parameters, shape),
    }
    return affine(parameters, shape, place.horizon, mean, about)


def affine(parameters, shape, horizon, mean, about):
    """Parameters as a map from a window to the steps of a horizon."""
    steps, from_last = interpolation(horizon, shape)
    window_map = steps @ gains(parameters, shape)
    # The line begins at the newest mean itself, of which the columns' part has been taken away.
    window_map[:, -1] += from_last
    exog_map = np.zeros_like(window_map)
    exog_map[:, -1] = from_last
    beta = parameters[: len(shape.exog)]
    return Affine(window_map, exog_map, steps, beta, mean, np.full(len(steps), mean), about)


def model(y, exog, shape, **more):
    return SARIMAX(y, exog=exog, order=shape.order, seasonal_order=shape.seasonal, **more)


def estimated(y, exog, shape):
    """Parameters of the highest likelihood. Differenced first, which has the same optimum with half the states."""
    with warnings.catch_warnings():
        # Start values that are not stationary are replaced, which is said with a warning.
        warnings.simplefilter("ignore")
        differenced = model(y, exog, shape, simple_differencing=True)
        return np.asarray(differenced.fit(disp=False, maxiter=100).params)


def gains(parameters, shape):
    """The map from a window, without what the columns explain, to the means ahead."""
    empty = model(np.zeros(shape.window), None, shape)
    filtered = empty.filter(parameters[len(shape.exog) :]).filter_results
    observe, move, gain = filtered.design[:, :, 0], filtered.transition[:, :, 0], filtered.kalman_gain
    powers = [observe]
    for _ in range(shape.ahead - 1):
        powers.append(powers[-1] @ move)
    ahead = np.vstack(powers)
    window_map = np.zeros((shape.ahead, shape.window))
    for at in reversed(range(shape.window)):
        window_map[:, at] = ahead @ gain[:, 0, at]
        ahead = ahead @ move - np.outer(window_map[:, at], observe)
    return window_map


def error_of(y, exog, parameters, shape):
    """RMSE a slot ahead over what was learnt from; the first season has nothing to go by."""
    fitted = model(y, exog, shape).filter(parameters)
    burn = max(shape.seasonal[3], 10) * 2
    return rms(np.asarray(fitted.resid)[burn:])


def interpolation(horizon, shape):
    """Weights of the means ahead, and of the newest mean, in each step: a line between the middles of slots, flat behind the last."""
    middles = (np.arange(shape.ahead + 1) - 0.5) * shape.slot_min
    weights = np.array([np.interp(horizon.ahead_min, middles, unit) for unit in np.eye(shape.ahead + 1)]).T
    return weights[:, 1:], weights[:, 0]
