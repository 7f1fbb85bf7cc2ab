"""What a model is told: the minutes up to now as rows of figures.

The daemon builds the same rows (`src/forecast/features.rs`); a fixture holds the two together. Minutes count from
1970-01-01 00:00 UTC; series are float64 without holes, NaN is unknown. A row for an origin and a time ahead uses nothing of later
minutes than the origin.
"""

from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache

import numpy as np

HISTORY_MIN = 7 * 1440 + 60
BRIDGED_MIN = 5
SLOTS_BRIDGED = 3
FILLED_SHARE = 0.1
DEMAND_MIN = 15
KNOWN_SHARE = 0.5
DAY_MIN = 1440

COLUMNS = [
    "ahead_min",
    "hour_sin",
    "hour_cos",
    "day_of_week",
    "is_weekend",
    "is_peak",
    "last",
    "change_15",
    "change_60",
    "mean_60",
    "std_60",
    "mean_1440",
    "flow_mean_15",
    "flow_mean_60",
    "power_mean_15",
    "pumps_on",
    "pumps_on_mean_60",
    "level",
    "day_before",
    "two_days_before",
    "week_before",
    "day_before_change",
]


@dataclass
class Minutes:
    """Raw minutes, oldest first: level %, what the tank holds m³, flow m³/h, power of all pumps kW, pumps on."""

    first: int
    level_pct: np.ndarray
    stored_m3: np.ndarray
    flow_m3h: np.ndarray
    power_kw: np.ndarray
    pumps_on: np.ndarray


class History:
    """Minutes ready to build rows from; `peak` is a list of (from, to) minutes of the day."""

    def __init__(self, minutes, zone, peak):
        self.first = minutes.first
        self.zone = zone
        self.peak = peak
        self.minutes = minutes
        level = bridged(minutes.level_pct)
        stored_m3 = bridged(minutes.stored_m3)
        self.flow = Sums(minutes.flow_m3h)
        demand = np.full(len(level), np.nan)
        at = np.arange(DEMAND_MIN, len(level))
        risen_m3 = stored_m3[at] - stored_m3[at - DEMAND_MIN]
        demand[at] = self.flow.mean(at, DEMAND_MIN) - risen_m3 * 60.0 / DEMAND_MIN
        self.series = {"hlt_pct": level, "flow_demand": demand}
        self.sums = {target: Sums(values) for target, values in self.series.items()}
        self.power = Sums(minutes.power_kw)
        self.pumps = Sums(minutes.pumps_on)

    def value(self, target, minute):
        """What is forecast, at minutes: NaN where it is unknown or outside."""
        return take(self.series[target], np.asarray(minute) - self.first)

    @property
    def end(self):
        """The minute behind the last one."""
        return self.first + len(self.minutes.level_pct)

    def means(self, target, origin, count, slot_min):
        """The means of the last `count` slots up to an origin; NaN where less than half of a slot is known."""
        minutes = origin - count * slot_min + 1 + np.arange(count * slot_min)
        values = self.value(target, minutes).reshape(count, slot_min)
        known = np.sum(~np.isnan(values), axis=1)
        means = np.nansum(values, axis=1) / np.maximum(known, 1)
        return np.where(2 * known >= slot_min, means, np.nan)

    def slots(self, target, origin, count, slot_min):
        """The same without gaps: short ones are bridged by a straight line, longer ones filled with the slot a day before; None
        where too much would be filled."""
        values = bridged(self.means(target, origin, count, slot_min), SLOTS_BRIDGED)
        of_a_day = DAY_MIN // slot_min
        unknown = np.flatnonzero(np.isnan(values))
        for at in unknown:
            values[at] = values[at - of_a_day] if at >= of_a_day else np.nan
        too_many = len(unknown) > FILLED_SHARE * count
        return None if too_many or np.isnan(values).any() else values

    def exog(self, names, first, count, slot_min):
        """Columns that are known ahead, a row for each slot behind `first`."""
        local = local_minutes(self.zone, first + np.arange(1, count + 1) * slot_min)
        hour = local % DAY_MIN / DAY_MIN * 2 * np.pi
        weekday = (local // DAY_MIN + 4) % 7
        columns = {
            "hour_sin": np.sin(hour),
            "hour_cos": np.cos(hour),
            "is_weekend": (weekday == 0) | (weekday == 6),
        }
        return np.column_stack([np.asarray(columns[name], float) for name in names])

    def rows(self, target, origin, ahead_min):
        """The rows for pairs of origin and minutes ahead, in the order of COLUMNS."""
        origin, ahead_min = np.broadcast_arrays(np.asarray(origin), np.asarray(ahead_min))
        time = origin + ahead_min
        local = local_minutes(self.zone, time)
        of_day = local % DAY_MIN
        hour = of_day / DAY_MIN * 2 * np.pi
        # 0 = Sunday … 6 = Saturday; 1970-01-01 was a Thursday.
        weekday = (local // DAY_MIN + 4) % 7
        is_peak = np.zeros(len(time), bool)
        for start, end in self.peak:
            within = (start <= of_day) & (of_day < end) if end > start else (of_day >= start) | (of_day < end)
            is_peak |= within
        value = lambda minute: self.value(target, minute)
        at = origin - self.first
        sums = self.sums[target]
        columns = [
            ahead_min,
            np.sin(hour),
            np.cos(hour),
            weekday,
            (weekday == 0) | (weekday == 6),
            is_peak,
            value(origin),
            value(origin) - value(origin - 15),
            value(origin) - value(origin - 60),
            sums.mean(at, 60),
            sums.deviation(at, 60),
            sums.mean(at, 1440),
            self.flow.mean(at, 15),
            self.flow.mean(at, 60),
            self.power.mean(at, 15),
            take(self.minutes.pumps_on, at),
            self.pumps.mean(at, 60),
            self.value("hlt_pct", origin),
            value(time - DAY_MIN),
            value(time - 2 * DAY_MIN),
            value(time - 7 * DAY_MIN),
            value(time - DAY_MIN) - value(origin - DAY_MIN),
        ]
        return np.column_stack([np.asarray(column, float) for column in columns])


def take(values, places):
    """Values at places, NaN outside."""
    inside = (places >= 0) & (places < len(values))
    return np.where(inside, values[np.clip(places, 0, len(values) - 1)], np.nan)


def bridged(values, longest=BRIDGED_MIN):
    """Fills gaps of at most this many unknown values between two known ones by a straight line."""
    values = np.asarray(values, float)
    filled = values.copy()
    known = np.flatnonzero(~np.isnan(values))
    for before, after in zip(known[:-1], known[1:], strict=True):
        if 2 <= after - before <= longest + 1:
            step = (values[after] - values[before]) / (after - before)
            filled[before + 1 : after] = values[before] + step * np.arange(1, after - before)
    return filled


class Sums:
    """Sums up to each minute, so that a window's figures cost two look-ups."""

    def __init__(self, values):
        known = ~np.isnan(values)
        plain = np.where(known, values, 0.0)
        run = lambda of: np.concatenate([[0.0], np.cumsum(of)])
        self.count, self.sum, self.squares = run(known.astype(float)), run(plain), run(plain * plain)

    def window(self, at, length):
        """Count, sum and sum of squares of the known values among the `length` up to and with the one at a place."""
        last = len(self.count) - 1
        inside = (at + 1 - length >= 0) & (at < last)
        to, start = np.clip(at + 1, 0, last), np.clip(at + 1 - length, 0, last)
        count, total, squares = (of[to] - of[start] for of in (self.count, self.sum, self.squares))
        enough = inside & (count >= KNOWN_SHARE * length)
        return np.where(enough, count, np.nan), total, squares

    def mean(self, at, length):
        count, total, _ = self.window(at, length)
        return total / count

    def deviation(self, at, length):
        count, total, squares = self.window(at, length)
        mean = total / count
        return np.sqrt(np.maximum(squares / count - mean * mean, 0.0))


def local_minutes(zone, minutes):
    """Minutes of the plant's wall clock, counted like those of UTC."""

    @cache
    def offset(quarter):
        at = datetime.fromtimestamp(quarter * 900, timezone.utc)
        return int(at.astimezone(zone).utcoffset().total_seconds() // 60)

    # Offsets change on quarters of an hour.
    return minutes + np.array([offset(int(minute) // 15) for minute in minutes.ravel()]).reshape(minutes.shape)
