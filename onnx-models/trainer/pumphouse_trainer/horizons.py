"""What is forecast, how far ahead, and the newest days that are held out to score it on."""

from dataclasses import dataclass

import numpy as np

from .features import COLUMNS, DAY_MIN, HISTORY_MIN

UNITS = {"hlt_pct": "%", "flow_demand": "m³/h"}
# The values that a target can have; a forecast is moved to the nearest.
POSSIBLE = {"hlt_pct": (0.0, 100.0), "flow_demand": (0.0, np.inf)}
HELD_OUT_MIN = 7 * DAY_MIN
# Origins of the held-out days are an hour apart: neighbours would say nearly the same.
SCORED_EVERY_MIN = 60


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


@dataclass(frozen=True)
class Place:
    """A target and a horizon: one model is in use for each."""

    target: str
    horizon: Horizon

    @property
    def name(self):
        return f"{self.target}-{self.horizon.name}"


PLACES = [Place(target, horizon) for target in UNITS for horizon in HORIZONS]


class HeldOut:
    """The newest days: origins, and for each step of each the truth and the seasonal-naive forecast; NaN is unknown."""

    def __init__(self, history, place):
        self.history, self.place = history, place
        horizon = place.horizon
        end = history.end
        self.first = end - HELD_OUT_MIN
        self.origins = np.arange(self.first, end - horizon.ahead_min[-1], SCORED_EVERY_MIN)
        minutes = self.origins[:, None] + horizon.ahead_min
        low, high = POSSIBLE[place.target]
        self.truth = np.clip(history.value(place.target, minutes), low, high)
        self.naive = history.value(place.target, minutes - DAY_MIN)
        self.known = ~np.isnan(self.truth) & ~np.isnan(history.value(place.target, self.origins))[:, None]

    def learnt_from(self):
        """The first and the last origin that a model may learn from: nothing of the held-out days is in it, not even as truth."""
        return self.history.first + HISTORY_MIN, self.first - self.place.horizon.ahead_min[-1]

    def rows(self, origin):
        """The rows of an origin, a step each."""
        ahead_min = self.place.horizon.ahead_min
        return self.history.rows(self.place.target, np.full(len(ahead_min), origin), ahead_min).astype(np.float32)
