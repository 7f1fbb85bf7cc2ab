"""The minutes to train on, from the box's store. It is opened read-only; the daemon may run meanwhile."""

import sqlite3
from urllib.parse import quote

import numpy as np

from .features import DAY_MIN, Minutes
from .settings import Refused

# The store's column behind each series of Minutes.
SERIES = {
    "level_pct": "hlt_pct",
    "flow_m3h": "fit101_per_hr",
    "power_kw": "total_kw",
    "pumps_on": "pumps_on_count",
}


def minutes(store, days):
    """The last `days` before the newest row, that row included, without holes; NaN is unknown."""
    place = f"file:{quote(str(store))}?mode=ro"
    try:
        connection = sqlite3.connect(place, uri=True)
        try:
            return newest(connection, days * DAY_MIN, store)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Refused(f"{store}: {error}") from error


def newest(connection, length, store):
    present = {row[1] for row in connection.execute("PRAGMA table_info(readings_wide)")}
    missing = sorted({"ts", *SERIES.values()} - present)
    if missing:
        raise Refused(f"{store}: readings_wide lacks {', '.join(missing)}; is this a store of pumphouse?")
    # One statement sees one state of the store, however much the daemon writes.
    newest_ts = "(SELECT max(ts) FROM readings_wide)"
    rows = connection.execute(
        f"SELECT ts, {', '.join(SERIES.values())} FROM readings_wide WHERE ts > {newest_ts} - ? ORDER BY ts",
        [length * 60],
    ).fetchall()
    if not rows:
        raise Refused(f"{store}: no row yet")
    table = np.array(rows, float)
    last = int(table[-1, 0]) // 60
    first = last + 1 - length
    series = np.full((len(SERIES), length), np.nan)
    series[:, (table[:, 0] // 60).astype(int) - first] = table[:, 1:].T
    return Minutes(first, *series)
