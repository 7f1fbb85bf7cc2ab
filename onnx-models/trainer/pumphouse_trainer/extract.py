"""The minutes to train on, from the box's store or the central office."""

import numpy as np

from . import source
from .features import DAY_MIN, Minutes
from .settings import Refused

# The store's column behind each series of Minutes.
SERIES = {
    "level_pct": "hlt_pct",
    "stored_m3": "hlt101_output",
    "flow_m3h": "fit101_per_hr",
    "power_kw": "total_kw",
    "pumps_on": "pumps_on_count",
}


def minutes(site, days, database=None):
    """The last `days` before the newest row, that row included, without holes; NaN is unknown. `stored_m3` is raw yet."""
    length = days * DAY_MIN
    with source.opened(site, database) as rows:
        missing = sorted({"ts", *SERIES.values()} - rows.columns("readings_wide"))
        if missing:
            raise Refused(f"{rows.place}: readings_wide lacks {', '.join(missing)}; is this a store of pumphouse?")
        newest = rows.one("SELECT max({ts}) FROM {readings_wide}")
        if newest is None:
            raise Refused(f"{rows.place}: no row yet")
        found = rows.all(
            f"SELECT {{ts}}, {', '.join(SERIES.values())} FROM {{readings_wide}} WHERE {{later}} ORDER BY 1", newest - length * 60
        )
    table = np.array(found, float)
    last = int(newest) // 60
    first = last + 1 - length
    at = (table[:, 0] // 60).astype(int) - first
    inside = (at >= 0) & (at < length)
    series = np.full((len(SERIES), length), np.nan)
    series[:, at[inside]] = table[inside, 1:].T
    return Minutes(first, *series)


def believed(minutes, site):
    """What instruments cannot mean becomes unknown, and the raw level what the tank holds."""
    raw, flow = minutes.stored_m3, minutes.flow_m3h
    possible = (raw >= 0) & (raw <= 1.05 * site.hlt_physical_max)
    return Minutes(
        minutes.first,
        np.where(possible, minutes.level_pct, np.nan),
        np.where(possible, raw / site.hlt_physical_max * site.hlt_volume_m3, np.nan),
        np.where((flow >= 0) & (flow <= site.fit101_physical_max), flow, np.nan),
        minutes.power_kw,
        minutes.pumps_on,
    )
