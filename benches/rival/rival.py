"""The rival: the same work as `pumphouse ingest`, written the way a fast Python pipeline is.

    python rival.py EXPORTS_DIR OUT.db [--config pumphouse.toml] [--writer adbc|sqlite3] [--parts N]

pyarrow reads the daily CSV files, numpy derives, judges and rolls up whole columns at once, and ADBC (or, with
`--writer sqlite3`, the standard library's executemany) fills one SQLite file without durability: no journal, no sync.
`readings_wide` is written beside the rules and rollups, by default as two files at once: SQLite has one writer a file and
copies a table of the same shape from an attached file record by record, undecoded. One JSON line on stdout holds the
seconds of each phase; `write` is the wait that remains after the rules, plus the joining of the parts and the small
tables; `write_threads` lists each writer's own time. pandas is left out: its import alone costs a fifth of a second and
more, and nothing here needs it.

Everything lives on a dense grid of minutes that starts at a local midnight: a window is then a slice, a day or an hour a
reshape, NaN is NULL. Rules look at the rows alone. A held condition is a run of true rows, found by its edges; an alert
is the first row at which such a run has lasted long enough and the next row that is known false.

Left out (each makes this program faster than one that does it):
- no `ingest_rejects`, no resume, no late rows: one batch from nothing, all in memory, nothing survives a crash while it runs;
- bad lines and values are dropped without a record; a file that the strict reader refuses is read again leniently;
- time zones other than UTC, offsets and daylight saving; fractions of a second; FactoryTalk's formats and empty markers;
  pump commands in words;
- files overlay each other in name order; F-07 is looked for within a file only;
- wall-clock F-01/F-02, suppression counts, on-delays and per-rule thresholds (off-delay, severity and `enabled` are read);
  an alert's message is its name and value, without the limit; views and secondary indexes;
- three-valued logic holds for a rule's main inputs; corners where one of several unknown pumps decides are approximated.
"""

import argparse
import json
import os
import resource
import sqlite3
import threading
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

STARTED = time.perf_counter()

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv

DAY, HOUR = 1440, 60
PUMPS = range(6)
HOLE_MIN = 6  # this many minutes from row to row end a run
STATION_TAGS = ["[PLC]FIT101_HR.DAY_TOTAL", "[PLC]FIT101_HR.PER_HR", "[PLC]HLT101.OUTPUT"]
TAGS = (
    STATION_TAGS
    + [f"[PLC]P{p}.ONOFF" for p in range(1, 7)]
    + [f"[PLC]P{p}KWH_HR.PER_HR" for p in range(1, 7)]
    + [f"[PLC]P01{c}.RHR" for c in "ABCDEF"]
    + [f"[PLC]P01{c}.RMIN" for c in "ABCDEF"]
)
DAY_TOTAL, FLOW, LEVEL, ON, KW, RHR, RMIN = 0, 1, 2, 3, 9, 15, 21  # places in TAGS

# Code: severity, name, off-delay in minutes.
RULES = {
    "A-01": ("CRITICAL", "Complete Power Outage", 0),
    "A-02": ("CRITICAL", "Partial Power Failure — Circuit Lost", 0),
    "A-03": ("INFO", "Power Restored After Outage", 0),
    "A-04": ("WARNING", "Power Fluctuation — Unstable Supply", 0),
    "A-05": ("INFO", "Electricity Present — No Pumps Commanded", 0),
    "B-01": ("CRITICAL", "Pump Tripped — No Power Despite Command", 0),
    "B-02": ("HIGH", "Pump Running — No Flow Output", 0),
    "B-03": ("CRITICAL", "Multiple Pumps Running — Still No Flow", 0),
    "B-04": ("HIGH", "Pump Overcurrent — Excessive Power Draw", 0),
    "B-05": ("WARNING", "Pump Under-Loaded — Abnormally Low Power", 0),
    "B-06": ("HIGH", "Pump Drawing Power Without Command", 0),
    "B-07": ("CRITICAL", "All Pumps Simultaneously Tripped", 0),
    "C-01": ("HIGH", "Flow Detected — No Pumps Running", 0),
    "C-02": ("WARNING", "Flow Spike — Sudden Large Increase", 0),
    "C-03": ("HIGH", "Flow Crash — Sudden Large Decrease", 0),
    "C-04": ("WARNING", "Gradual Flow Decline — Clogging Trend", 0),
    "C-05": ("WARNING", "Night Flow — No Pumps Commanded", 0),
    "C-06": ("WARNING", "Flow Sensor Frozen — Stuck Reading", 0),
    "C-07": ("WARNING", "Daily Flow Total Not Advancing", 0),
    "D-01": ("CRITICAL", "HLT Critically Low — Emergency", 5),
    "D-02": ("CRITICAL", "HLT Empty — Service Disruption", 0),
    "D-03": ("HIGH", "HLT Overflow Risk", 5),
    "D-04": ("HIGH", "HLT Falling Fast — High Drain Rate", 5),
    "D-05": ("HIGH", "HLT Not Rising Despite Pumps ON", 5),
    "D-06": ("HIGH", "HLT Level Sensor Out of Range", 0),
    "D-07": ("WARNING", "HLT Level Frozen — Sensor Stuck", 0),
    "E-01": ("WARNING", "Pump Overrun — Continuous Run Exceeded", 0),
    "E-02": ("WARNING", "All Pumps ON Simultaneously — Extended", 5),
    "E-03": ("WARNING", "Short Cycling — Single Pump", 0),
    "E-04": ("HIGH", "Rapid Short Cycling — Imminent Failure", 0),
    "E-05": ("INFO", "Pump Efficiency Degrading — Maintenance Due", 0),
    "F-01": ("INFO", "Data Gap — Short Comms Dropout", 0),
    "F-02": ("HIGH", "Data Gap — Extended Outage", 0),
    "F-03": ("WARNING", "Flow Sensor Stuck — Frozen Reading", 0),
    "F-04": ("WARNING", "HLT Sensor Stuck — Frozen Reading", 0),
    "F-05": ("HIGH", "Impossible Sensor Value", 0),
    "F-06": ("WARNING", "KWH Reading Anomaly", 0),
    "F-07": ("INFO", "Duplicate Timestamp Detected", 0),
    "G-01": ("WARNING", "Pumping During Peak Tariff — Tank Full", 5),
    "G-02": ("HIGH", "Energy Consumed With Zero Flow", 0),
    "G-03": ("INFO", "Pump Efficiency Drop — Below Slope Baseline", 0),
    "G-04": ("INFO", "Daily Energy Budget Exceeded", 0),
    "H-01": ("CRITICAL", "Power Outage AND Tank Draining Fast", 5),
    "H-02": ("CRITICAL", "Multiple Pumps Tripped — HLT Low", 0),
    "H-03": ("CRITICAL", "All Pumps Faulted — Tank Critical", 0),
    "H-04": ("HIGH", "Night Flow — No Pumps — Sustained", 0),
    "H-05": ("WARNING", "Pump Overrun AND Efficiency Dropping", 0),
}


# ---------------------------------------------------------------------------------------------------------------- config


@dataclass
class Config:
    rated_kw: list
    level_max: float
    level_historical_max: float
    flow_max: float
    energy_budget_kwh: float
    zero_kw: float
    zero_flow: float
    peak_windows: list
    markers: list
    tags: dict  # tag index → place in TAGS
    switching_mask_min: int
    normal_stop_pct: float
    rules: dict


def load_config(path):
    raw = {}
    if path:
        with open(path, "rb") as file:
            raw = tomllib.load(file)
    site, historian, alerts = raw.get("site", {}), raw.get("historian", {}), raw.get("alerts", {})
    if site.get("timezone", "UTC") != "UTC":
        raise SystemExit("only UTC is supported")
    names = historian.get("tags")
    if names is None:  # the order of the source: station, ONOFF, kW, then hours and minutes pump by pump
        runtime = [f"[PLC]P01{c}.{kind}" for c in "ABCDEF" for kind in ("RHR", "RMIN")]
        names = dict(enumerate(TAGS[:RHR] + runtime))
    level_max = site.get("hlt_physical_max", 500.0)
    return Config(
        rated_kw=site.get("rated_kw", [37.0, 37.0, 30.0, 30.0, 22.0, 22.0]),
        level_max=level_max,
        level_historical_max=site.get("hlt_historical_max", level_max),
        flow_max=site.get("fit101_physical_max", 900.0),
        energy_budget_kwh=site.get("daily_energy_budget_kwh", 1500.0),
        zero_kw=site.get("zero_kw", 0.1),
        zero_flow=site.get("zero_flow", 0.1),
        peak_windows=raw.get("tariff", {}).get("peak_windows", ["06:00-10:00", "17:00-21:00"]),
        markers=historian.get("keep_markers", ["B", "S"]),
        tags={int(i): TAGS.index(name) for i, name in names.items()},
        switching_mask_min=alerts.get("switching_mask_min", 5),
        normal_stop_pct=alerts.get("normal_stop_pct", 80),
        rules=alerts.get("rules", {}),
    )


# ------------------------------------------------------------------------------------------------------------------ read

READ = csv.ReadOptions(use_threads=False, block_size=1 << 21, skip_rows=1, column_names=["t", "m", "i", "v"])
# Without quotes and nulls the parser takes its shortest path.
PARSE = csv.ParseOptions(quote_char=False, escape_char=False)
STRICT = csv.ConvertOptions(
    column_types={"t": pa.timestamp("s"), "m": pa.binary(1), "i": pa.uint8(), "v": pa.float64()},
    null_values=[],
)
LENIENT = csv.ConvertOptions(column_types={name: pa.string() for name in "tmiv"}, null_values=[])
LENIENT_PARSE = csv.ParseOptions(quote_char=False, escape_char=False, invalid_row_handler=lambda row: "skip")


@dataclass
class Block:
    """One file's minutes: values by tag and minute, and what was met twice."""

    first: int  # minute since 1970
    minutes: np.ndarray | None  # None: every minute from `first` on
    columns: np.ndarray
    values: np.ndarray
    marked_b: np.ndarray
    duplicates: dict


def plain(array, dtype, width):
    """The bytes of a fixed-width Arrow array as a numpy array."""
    return np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * width)


def read_file(path, cfg, tag_place):
    with open(path, "rb", buffering=0) as file:
        data = pa.py_buffer(file.read())
    try:
        table = csv.read_csv(pa.BufferReader(data), read_options=READ, parse_options=PARSE, convert_options=STRICT)
        t, m, i, v = (column.combine_chunks() for column in table.columns)
        seconds, tag, value = plain(t, np.int64, 8), plain(i, np.uint8, 1), plain(v, np.float64, 8)
        marker = plain(m, np.uint8, 1)
    except pa.ArrowInvalid:
        seconds, marker, tag, value = read_leniently(data)
    return whole_minutes(seconds, marker, tag, value, cfg, tag_place) or scattered(
        seconds, marker, tag, value, cfg, tag_place
    )


def read_leniently(data):
    table = csv.read_csv(
        pa.BufferReader(data), read_options=READ, parse_options=LENIENT_PARSE, convert_options=LENIENT
    )
    number = pc.match_substring_regex(table["v"], r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$")
    moment = pc.match_substring_regex(table["t"], r"^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d$")
    index = pc.match_substring_regex(table["i"], r"^\d{1,3}$")
    marked = pc.equal(pc.utf8_length(table["m"]), 1)
    table = table.filter(pc.and_(pc.and_(number, moment), pc.and_(index, marked)))
    seconds = table["t"].cast(pa.timestamp("s")).to_numpy().astype(np.int64)
    tag = np.minimum(table["i"].cast(pa.int64()).to_numpy(), 255).astype(np.uint8)
    value = pc.utf8_trim_whitespace(table["v"]).cast(pa.float64()).to_numpy()
    marker = np.array([ord(mark[0]) for mark in table["m"].to_pylist()], np.uint8)
    return seconds, marker, tag, value


def whole_minutes(seconds, marker, tag, value, cfg, tag_place):
    """The ordinary file, every minute with all tags in one order, needs a reshape; None when it is anything else."""
    width = len(cfg.tags)
    count = len(tag) // width
    if count == 0 or count * width != len(tag):
        return None
    tags, stamps, marks = (a.reshape(count, width) for a in (tag, seconds, marker))
    kept = marker == ord("S")
    kept |= marker == ord("B")
    columns = tag_place[tags[0]]
    if not kept.all() or (columns < 0).any() or (tags != tags[0]).any() or (stamps != stamps[:, :1]).any():
        return None
    if len(np.unique(columns)) != width or set(cfg.markers) != {"B", "S"}:
        return None
    minutes = stamps[:, 0] // 60
    steps = np.diff(minutes)
    if (steps <= 0).any():
        return None
    values = np.ascontiguousarray(value.reshape(count, width).T)
    if not np.isfinite(values).all() or not valid_commands(columns, values).all():
        return None
    unbroken = None if (steps == 1).all() else minutes
    return Block(int(minutes[0]), unbroken, columns, values, (marks == ord("B")).any(axis=1), {})


def valid_commands(columns, values):
    commands = values[(columns >= ON) & (columns < KW)]
    return (commands == 0) | (commands == 1)


def scattered(seconds, marker, tag, value, cfg, tag_place):
    column = tag_place[tag]
    command = (column >= ON) & (column < KW)
    keep = (column >= 0) & np.isfinite(value) & (~command | (value == 0) | (value == 1))
    keep &= np.isin(marker, [ord(mark) for mark in cfg.markers if len(mark) == 1])
    seconds, marker, column, value = seconds[keep], marker[keep], column[keep], value[keep]
    if not len(seconds):
        return None
    order = np.argsort(seconds, kind="stable")  # the latest record of a minute is then assigned last and stands
    seconds, marker, column, value = seconds[order], marker[order], column[order], value[order]
    minute = seconds // 60
    minutes, row = np.unique(minute, return_inverse=True)
    values = np.full((len(TAGS), len(minutes)), np.nan)
    values[column, row] = value
    marked_b = np.zeros(len(minutes), bool)
    marked_b[row[marker == ord("B")]] = True
    pairs, times = np.unique(seconds * 32 + column, return_counts=True)
    twice, tags = np.unique(pairs[times > 1] // 32 // 60, return_counts=True)
    duplicates = dict(zip(twice.tolist(), tags.tolist()))
    return Block(int(minutes[0]), minutes, np.arange(len(TAGS)), values, marked_b, duplicates)


@dataclass
class Grid:
    """Every minute from a local midnight to the end of a day; minutes without a row are NaN throughout."""

    first_day: int  # days since 1970
    values: np.ndarray  # (27, minutes)
    present: np.ndarray
    marked_b: np.ndarray
    duplicates: dict

    @property
    def minutes(self):
        return len(self.present)

    @property
    def days(self):
        return self.minutes // DAY

    @property
    def first(self):
        return self.first_day * DAY

    def date(self, day):
        return (date(1970, 1, 1) + timedelta(days=int(self.first_day + day))).isoformat()

    def text(self, minute):
        day, rest = divmod(int(minute), DAY)
        return f"{self.date(day)} {rest // 60:02d}:{rest % 60:02d}:00"


def read(folder, cfg):
    tag_place = np.full(256, -1, np.int64)
    for index, place in cfg.tags.items():
        tag_place[index] = place
    paths = sorted(entry.path for entry in os.scandir(folder) if entry.name.lower().endswith(".csv"))
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:  # the CSV reader works outside the interpreter lock
        blocks = list(pool.map(lambda path: read_file(path, cfg, tag_place), paths))
    blocks = [block for block in blocks if block]
    if not blocks:
        raise SystemExit("no records")
    ends = [b.first + len(b.marked_b) - 1 if b.minutes is None else int(b.minutes[-1]) for b in blocks]
    first_day = min(b.first for b in blocks) // DAY
    length = (max(ends) // DAY - first_day + 1) * DAY
    grid = Grid(
        first_day, np.empty((len(TAGS), length)), np.zeros(length, bool), np.zeros(length, bool), {}
    )
    for k, block in enumerate(blocks):
        lay(grid, block)
        blocks[k] = None  # frees the file's copy
    if not grid.present.all():
        grid.values[:, ~grid.present] = np.nan
    return grid


def lay(grid, block):
    count = len(block.marked_b)
    start = block.first - grid.first
    unbroken = block.minutes is None
    at = slice(start, start + count) if unbroken else block.minutes - grid.first
    seen = grid.present[at]
    if not seen.any() and len(block.columns) == len(TAGS):
        if unbroken:
            grid.values[block.columns, at] = block.values
        else:
            grid.values[block.columns[:, None], at] = block.values
    else:  # minutes that an earlier file already holds: later values stand where there are any
        held = np.where(seen, grid.values[:, at], np.nan)
        new = held[block.columns]
        held[block.columns] = np.where(np.isnan(block.values), new, block.values)
        grid.values[:, at] = held
    grid.present[at] = True
    grid.marked_b[at] |= block.marked_b
    grid.duplicates.update({minute - grid.first: tags for minute, tags in block.duplicates.items()})


# ---------------------------------------------------------------------------------------------------------------- derive


@dataclass
class Derived:
    """Columns over the grid. The names are those of `readings_wide` where there is one."""

    flow: np.ndarray  # impossible values are NaN here
    level: np.ndarray
    on: np.ndarray  # (6, minutes) bool: known and 1
    off: np.ndarray  # (6, minutes) bool: known and 0
    pumps_on_count: np.ndarray  # int8
    pumps_known: np.ndarray  # bool
    total_kw: np.ndarray
    flow_per_pump: np.ndarray
    energy_per_flow: np.ndarray
    hlt_pct: np.ndarray
    hlt_diff: np.ndarray
    flow_diff: np.ndarray
    flow_z_score: np.ndarray
    flow_slope_10: np.ndarray
    mean60: np.ndarray
    peak_of_day: np.ndarray  # (1440,) bool
    flags: np.ndarray  # (7, minutes) uint8, filled by `flag`
    sessions: list  # per pump: start and end rows as grid minutes, end −1 while running


def derive(grid, cfg):
    raw = grid.values
    flow = possible(raw[FLOW], cfg.flow_max)
    level = possible(raw[LEVEL], 1.05 * cfg.level_max)
    on, off = raw[ON:KW] == 1, raw[ON:KW] == 0
    count = on.sum(axis=0, dtype=np.int8)
    known = (on | off).any(axis=0)

    kw = raw[KW:RHR]
    with np.errstate(all="ignore"):
        total_kw = np.add.reduce(kw, axis=0)
        if (unknown := np.isnan(total_kw)).any():
            total_kw[unknown] = np.nansum(kw[:, unknown], axis=0)
            total_kw[np.isnan(kw).all(axis=0)] = np.nan
        flow_per_pump = np.where(count > 0, flow / count, np.nan)
        energy_per_flow = np.where(flow != 0, total_kw / flow, np.nan)
        highest = np.maximum(np.fmax.accumulate(level), cfg.level_historical_max)
        hlt_pct = 100 * level / highest
        z, mean60 = flow_z_score(flow)
        slope = flow_slope(flow)
    return Derived(
        flow=flow, level=level, on=on, off=off, pumps_on_count=count, pumps_known=known, total_kw=total_kw,
        flow_per_pump=flow_per_pump, energy_per_flow=energy_per_flow, hlt_pct=hlt_pct,
        hlt_diff=step(level), flow_diff=step(flow), flow_z_score=z, flow_slope_10=slope, mean60=mean60,
        peak_of_day=peak_minutes(cfg.peak_windows), flags=np.zeros((7, grid.minutes), np.uint8),
        sessions=[sessions(on[p], off[p]) for p in PUMPS],
    )  # fmt: skip


def possible(values, highest):
    bad = (values < 0) | (values > highest)
    return np.where(bad, np.nan, values) if bad.any() else values


def step(values):
    result = np.empty_like(values)
    result[0] = np.nan
    np.subtract(values[1:], values[:-1], out=result[1:])
    return result


def merge(a, b, size_a, size_b):
    """Mean and squared deviations of each window a and the window b behind it as one. Unlike running sums of
    squares this cancels nothing, however long the column. A window's index is its first minute."""
    (mean_a, m2_a), (mean_b, m2_b) = a, b
    mean_b, m2_b = mean_b[size_a:], m2_b[size_a:]
    mean_a, m2_a = mean_a[: len(mean_b)], m2_a[: len(mean_b)]
    size, gap = size_a + size_b, mean_b - mean_a
    mean = mean_a + gap * (size_b / size)
    m2 = m2_a + m2_b + gap * gap * (size_a * size_b / size)
    return mean, m2


def flow_z_score(flow, window=60, least=10):
    """Mean and deviation of 60 minutes from windows of 4, 8, 16 and 32 that were doubled up to them."""
    z, mean = np.full(len(flow), np.nan), np.full(len(flow), np.nan)
    parts, size = {1: (flow, np.zeros(len(flow)))}, 1
    while size < 32:
        parts[2 * size] = merge(parts[size], parts[size], size, size)
        size *= 2
    whole, size = parts[32], 32
    for part in (16, 8, 4):
        whole = merge(whole, parts[part], size, part)
        size += part
    mean[window - 1 :] = whole[0]
    deviation = np.sqrt(whole[1] / (window - 1))
    z[window - 1 :] = (flow[window - 1 :] - whole[0]) / deviation
    z[window - 1 :][deviation < 1e-9 * np.maximum(1, np.abs(whole[0]))] = np.nan
    # Windows with a hole, or before the first full one, are few and are gathered one by one.
    for at, values, known, n in windows_with_holes(flow, np.isnan(mean), window):
        some = n >= 1
        centre = np.where(known, values, 0).sum(axis=1) / np.where(some, n, 1)
        mean[at] = np.where(some, centre, np.nan)
        square = np.where(known, values - centre[:, None], 0) ** 2
        deviation = np.sqrt(square.sum(axis=1) / np.maximum(n - 1, 1))
        flat = (n < least) | (deviation < 1e-9 * np.maximum(1, np.abs(centre)))
        z[at] = np.where(flat, np.nan, (flow[at] - centre) / deviation)
    return z, mean


def flow_slope(flow, window=10, least=3):
    slope = np.full(len(flow), np.nan)
    x = np.arange(window) - (window - 1) / 2
    slope[window - 1 :] = np.correlate(flow, x / (x @ x), "valid")
    for at, values, known, n in windows_with_holes(flow, np.isnan(slope), window):
        mean_x = (known * x).sum(axis=1) / np.maximum(n, 1)
        mean_y = np.where(known, values, 0).sum(axis=1) / np.maximum(n, 1)
        dx = np.where(known, x - mean_x[:, None], 0)
        dy = np.where(known, values - mean_y[:, None], 0)
        slope[at] = np.where(n >= least, (dx * dy).sum(axis=1) / (dx * dx).sum(axis=1), np.nan)
    return slope


def windows_with_holes(values, where, window, batch=20_000):
    padded = np.concatenate((np.full(window - 1, np.nan), values))
    rolling = np.lib.stride_tricks.sliding_window_view(padded, window)
    places = np.flatnonzero(where)
    for k in range(0, len(places), batch):
        at = places[k : k + batch]
        gathered = rolling[at]
        known = ~np.isnan(gathered)
        yield at, gathered, known, known.sum(axis=1)


def peak_minutes(windows):
    peak = np.zeros(DAY, bool)
    for window in windows:
        start, end = (int(h) * 60 + int(m) for h, m in (clock.split(":") for clock in window.split("-")))
        if end > start:
            peak[start:end] = True
        else:  # goes on into the next day
            peak[start:] = True
            peak[:end] = True
    return peak


def sessions(on, off):
    """Start and end minutes of one pump's ON cycles; the last end is −1 while it runs."""
    known = on | off
    at = None if known.all() else np.flatnonzero(known)
    state = on if at is None else on[at]
    change = np.flatnonzero(state[1:] != state[:-1]) + 1
    if len(state) and state[0]:
        change = np.concatenate(([0], change))
    change = change if at is None else at[change]
    starts, ends = change[0::2], change[1::2]
    if len(ends) < len(starts):
        ends = np.append(ends, -1)
    return starts, ends


# ------------------------------------------------------------------------------------------------------------------ rows


class Rows:
    """The rows of the grid and the run arithmetic over them. A row is an index into `minute`."""

    def __init__(self, grid):
        self.full = bool(grid.present.all())
        self.minute = np.arange(grid.minutes) if self.full else np.flatnonzero(grid.present)
        self.holes = np.flatnonzero(np.diff(self.minute) >= HOLE_MIN) + 1  # rows that follow one

    def take(self, values):
        return values if self.full else values[..., self.minute]

    def at_or_after(self, minutes):
        return minutes if self.full else np.searchsorted(self.minute, minutes)

    def runs(self, true):
        edges = np.flatnonzero(true[1:] != true[:-1]) + 1
        if len(true) and true[0]:
            edges = np.concatenate(([0], edges))
        starts, ends = edges[0::2], edges[1::2]
        if len(ends) < len(starts):
            ends = np.append(ends, len(true))
        cuts = self.holes[true[self.holes] & true[self.holes - 1]]
        if len(cuts):
            starts, ends = np.sort(np.append(starts, cuts)), np.sort(np.append(ends, cuts))
        return starts, ends

    def held(self, true, over):
        """Rows at which `true` has been held for more than `over` minutes."""
        if over == 0:
            return np.flatnonzero(true)
        starts, ends = self.runs(true)
        ripe = self.at_or_after(self.minute[starts] + over)
        return spans(ripe, ends)


def spans(starts, ends):
    """All whole numbers of the half-open spans, in order."""
    some = ends > starts
    starts, lengths = starts[some], (ends - starts)[some]
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(lengths.sum())


def flag(derived, rows, cfg):
    """The seven stored flags; an unknown input compares false and so gives 0."""
    d, flags, minute = derived, derived.flags, rows.minute
    some_on = d.pumps_on_count > 0
    peak = np.tile(d.peak_of_day, len(d.flow) // DAY)
    still = rows.take(some_on & (np.abs(d.flow) <= cfg.zero_flow))
    flags[0, minute[rows.held(still, 2)]] = 1
    flags[1] = np.abs(d.flow_z_score) > 3.5
    flags[2] = d.hlt_pct < 15
    flags[3] = (d.hlt_pct > 90) & some_on & (d.hlt_diff > 0)
    for starts, ends in d.sessions:
        for start in starts_beyond(starts, 4):
            flags[4, start] = 1
        for start, end in long_runs(starts, ends, len(d.flow)):
            flags[5, start:end] = 1
    flags[6] = peak & (d.hlt_pct > 80) & some_on


def starts_beyond(starts, more_than, window=60):
    """Spans of minutes at which more than so many starts lie in the last hour."""
    crowded = np.flatnonzero(starts[more_than:] - starts[:-more_than] < window)
    return [slice(int(starts[k + more_than]), int(starts[k]) + window) for k in crowded]


def long_runs(starts, ends, length, limit=1200):
    """Spans of minutes at which a running session is longer than the limit."""
    ends = np.where(ends < 0, length, ends)
    return [(int(s) + limit + 1, int(e)) for s, e in zip(starts, ends) if e - s > limit + 1]


# --------------------------------------------------------------------------------------------------------------- rollups


def totals(values, size):
    """Sum and number of the known values of every hour or day."""
    known = ~np.isnan(values)
    values = values if known.all() else np.where(known, values, 0.0)
    return values.reshape(-1, size).sum(axis=1), known.reshape(-1, size).sum(axis=1)


def ratio(above, below):
    with np.errstate(all="ignore"):
        return np.where(below != 0, above / below, np.nan)


@dataclass
class Rollups:
    hours: dict
    days: dict
    health: dict
    sessions: list


def roll_up(grid, d):
    by_hour = {name: totals(column, HOUR) for name, column in
               (("flow", d.flow), ("level", d.level), ("kw", d.total_kw))}  # fmt: skip
    by_day = {name: tuple(part.reshape(-1, 24).sum(axis=1) for part in sums) for name, sums in by_hour.items()}
    kw, present = grid.values[KW:RHR], grid.present
    on_hours = np.stack([d.on[p].reshape(-1, HOUR).sum(axis=1) for p in PUMPS])
    n_sum = d.pumps_on_count.reshape(-1, HOUR).sum(axis=1, dtype=np.int64)
    n_known = d.pumps_known.reshape(-1, HOUR).sum(axis=1)

    mean = {name: ratio(*sums) for name, sums in by_hour.items()}
    hours = {
        "row": present.reshape(-1, HOUR).any(axis=1),
        "avg_flow": mean["flow"],
        "total_flow": np.where(by_hour["flow"][1] > 0, by_hour["flow"][0] / 60, np.nan),
        "avg_hlt": mean["level"],
        "avg_pumps_on": ratio(n_sum, n_known),
        "total_kwh": np.where(by_hour["kw"][1] > 0, by_hour["kw"][0] / 60, np.nan),
        "on": on_hours,
        "peak": np.tile(d.peak_of_day[::HOUR], grid.days),
    }

    flow, level = d.flow.reshape(-1, DAY), d.level.reshape(-1, DAY)
    has_flow = by_day["flow"][1] > 0
    peak_at = np.zeros(grid.days, np.int64)
    peak_at[has_flow] = np.nanargmax(flow[has_flow], axis=1)
    total_kwh = np.where(by_day["kw"][1] > 0, by_day["kw"][0] / 60, np.nan)
    total_flow = np.fmax.reduce(grid.values[DAY_TOTAL].reshape(-1, DAY), axis=1)
    on_minutes = on_hours.reshape(6, -1, 24).sum(axis=2)
    kw_on, kw_on_known = (np.stack(part) for part in zip(*(
        totals(np.where(d.on[p], kw[p], np.nan), DAY) for p in PUMPS)))  # fmt: skip
    fpp_on = np.stack([totals(np.where(d.on[p], d.flow_per_pump, np.nan), DAY)[0] for p in PUMPS])
    starts = np.stack([np.bincount(s // DAY, minlength=grid.days) for s, _ in d.sessions])
    days = {
        "row": present.reshape(-1, DAY).any(axis=1),
        "total_flow": total_flow,
        "avg_flow": ratio(*by_day["flow"]),
        "peak_flow": np.where(has_flow, flow[np.arange(grid.days), peak_at], np.nan),
        "peak_flow_hour": np.where(has_flow, peak_at // HOUR, -1),
        "avg_level": ratio(*by_day["level"]),
        "min_level": np.fmin.reduce(level, axis=1),
        "max_level": np.fmax.reduce(level, axis=1),
        "total_kwh": total_kwh,
        "energy_per_m3": ratio(total_kwh, total_flow),
        "on": on_minutes,
        "starts": starts,
        "avg_kw": ratio(kw_on, kw_on_known),
        "peak_pumps_on": np.where(d.pumps_known, d.pumps_on_count, -1).reshape(-1, DAY).max(axis=1),
        "avg_pumps_on": ratio(n_sum.reshape(-1, 24).sum(axis=1), n_known.reshape(-1, 24).sum(axis=1)),
    }
    fpk = ratio(fpp_on, kw_on)
    return Rollups(hours, days, health(grid, d, fpk, days), session_rows(grid, d))


def health(grid, d, fpk, days):
    """Per pump and day; slopes and means over the seven calendar days that end with each."""
    padded = np.concatenate((np.full((6, 6), np.nan), fpk), axis=1)
    week = np.lib.stride_tricks.sliding_window_view(padded, 7, axis=1)
    known = ~np.isnan(week)
    n = known.sum(axis=2)
    x = np.arange(7)
    with np.errstate(all="ignore"):
        mean7 = np.where(known, week, 0).sum(axis=2) / n
        dx = np.where(known, x - ((known * x).sum(axis=2) / n)[..., None], 0)
        slope = (dx * np.where(known, week - mean7[..., None], 0)).sum(axis=2) / (dx * dx).sum(axis=2)
    slope[n < 3] = np.nan
    shape = (6, grid.days)
    last = int(np.flatnonzero(grid.present)[-1])
    stops, short, longest, total = (np.zeros(shape) for _ in range(4))
    overrun = np.zeros(shape, bool)
    for p, (starts, ends) in enumerate(d.sessions):
        done = ends >= 0
        length = np.where(done, ends, last) - starts
        np.add.at(stops[p], ends[done] // DAY, 1)
        np.add.at(short[p], starts[done & (length < 5)] // DAY, 1)
        np.maximum.at(longest[p], starts // DAY, length)
        np.add.at(total[p], starts // DAY, length)
        for start, end in long_runs(starts, ends, last + 1):
            overrun[p, start // DAY : (end - 1) // DAY + 1] = True
    with np.errstate(all="ignore"):
        decline = np.clip(-slope / (0.05 * mean7), 0, 1)
    score = 100 - 40 * np.nan_to_num(decline) - 30 * np.minimum(short / 10, 1) - 30 * overrun
    none = days["starts"] == 0
    return {
        "stops": stops, "short": short, "fpk": fpk, "slope": slope, "mean7": mean7, "known7": n, "score": score,
        "longest": np.where(none, np.nan, longest), "mean": ratio(total, days["starts"]), "overrun": overrun,
    }  # fmt: skip


def session_rows(grid, d):
    """Every ON cycle with its sums; one pass over the columns for each pump."""
    result = []
    for p, (starts, ends) in enumerate(d.sessions):
        if not len(starts):
            continue
        bounds = np.column_stack((starts, np.where(ends < 0, grid.minutes, ends))).ravel()
        bounds = bounds[:-1] if bounds[-1] == grid.minutes else bounds

        def sums(column):
            known_on = d.on[p] & ~np.isnan(column)  # a cycle may hold rows whose command is unknown
            column = np.where(known_on, column, 0.0)
            return np.add.reduceat(column, bounds)[::2], np.add.reduceat(known_on, bounds, dtype=np.int32)[::2]

        kwh = sums(grid.values[KW + p])[0] / 60
        mean_flow = ratio(*sums(d.flow))
        columns = (starts, ends, kwh, mean_flow, ratio(mean_flow, kwh), ratio(sums(d.flow_per_pump)[0] / 60, kwh))
        for start, end, used, mean, efficiency, m3 in zip(*(c.tolist() for c in columns)):
            running = end < 0
            length = None if running else end - start
            result.append((
                f"P{p + 1}", grid.text(start), None if running else grid.text(end), length,
                "running" if running else "completed", grid.date(start // DAY), used, mean, efficiency,
                None if running else int(length < 5), m3,
            ))  # fmt: skip
    return sorted(result, key=lambda row: (row[1], row[0]))


# ----------------------------------------------------------------------------------------------------------------- rules


class Judge:
    """Turns conditions over the rows into `alerts_log`."""

    def __init__(self, grid, rows, cfg):
        self.grid, self.rows, self.cfg, self.log = grid, rows, cfg, []

    def judge(self, code, true, known=(), *, over=0, now=None, now_known=(), value=None, pump=None, mask=None):
        """Raises where `true` has been held and `now` is true; resolves where either is known false."""
        rows = self.rows
        if not true.any():
            return []
        may = rows.held(true, over)
        if now is not None:
            may = may[now[may]]
        if mask is not None:
            may = may[~mask[may]]
        if not len(may):
            return []
        false = known_false(true, known)
        if now is not None:
            false |= known_false(now, now_known)
        return self.episodes(code, may, rows.held(false, self.off_delay(code)), value, pump)

    def off_delay(self, code):
        return self.cfg.rules.get(code, {}).get("off_delay_min", RULES[code][2])

    def episodes(self, code, may, clear, value, pump=None):
        """Alternates between the next row that may raise and the next row that clears."""
        minute, found, k = self.rows.minute, [], 0
        while k < len(may):
            raised = int(may[k])
            c = int(np.searchsorted(clear, raised, "right"))
            cleared = int(clear[c]) if c < len(clear) else None
            found.append((raised, cleared))
            at = value(raised) if callable(value) else value[raised]
            self.add(code, int(minute[raised]), None if cleared is None else int(minute[cleared]), at, pump)
            if cleared is None:
                break
            k = int(np.searchsorted(may, cleared))
        return found

    def ticks(self, code, minutes, true, false, value, pump=None):
        """The same for conditions that are looked at on hours or days only."""
        raised = None
        for minute, yes, no, at in zip(minutes.tolist(), true.tolist(), false.tolist(), value.tolist()):
            if yes and raised is None:
                raised = (minute, at)
            elif no and raised is not None:
                self.add(code, raised[0], minute, raised[1], pump)
                raised = None
        if raised is not None:
            self.add(code, raised[0], None, raised[1], pump)

    def add(self, code, raised, cleared, value, pump=None):
        rule = self.cfg.rules.get(code, {})
        if not rule.get("enabled", True):
            return
        severity, name, _ = RULES[code]
        value = value.item() if isinstance(value, np.generic) else value
        pump = None if pump is None else f"P{pump + 1}"
        message = f"{name} on {pump}: value {value:.6g}." if pump else f"{name}: value {value:.6g}."
        text = self.grid.text(raised)
        done = cleared is not None
        self.log.append((
            text, text[:10], int(text[11:13]), rule.get("severity", severity), code, pump, message, value, int(done),
            self.grid.text(cleared) if done else None, cleared - raised if done else None,
        ))  # fmt: skip

    def active(self, episodes):
        state = np.zeros(len(self.rows.minute), bool)
        for raised, cleared in episodes:
            state[raised:cleared] = True
        return state


def known_false(true, known):
    false = ~true
    for inputs in known:
        if inputs is not None:
            false &= inputs
    return false


def known(values):
    """Where a column is known; None when that is everywhere, so that nothing is computed with it."""
    nan = np.isnan(values)
    return ~nan if nan.any() else None


def both(*parts):
    parts = [part for part in parts if part is not None]
    return np.logical_and.reduce(parts) if parts else None


def net_change(level, minutes):
    """Level less the earliest known level of the `minutes` before it."""
    index = np.where(np.isnan(level), len(level), np.arange(len(level)))
    following = np.minimum.accumulate(index[::-1])[::-1]  # the next minute with a level
    result = np.full(len(level), np.nan)
    at = np.arange(1, len(level))
    earliest = following[np.maximum(at - minutes, 0)]
    some = earliest < at
    result[at[some]] = level[at[some]] - level[earliest[some]]
    return result


def judge_all(grid, d, rows, ups, cfg):
    j = Judge(grid, rows, cfg)
    take, minute, raw = rows.take, rows.minute, grid.values
    rated, zero = cfg.rated_kw, cfg.zero_kw
    clock = minute % DAY
    hour = (clock // HOUR).astype(np.int8)

    flow, level, pct = take(d.flow), take(d.level), take(d.hlt_pct)
    hlt_diff, flow_diff, z, mean60 = take(d.hlt_diff), take(d.flow_diff), take(d.flow_z_score), take(d.mean60)
    total_kw, n, peak = take(d.total_kw), take(d.pumps_on_count), d.peak_of_day[clock]
    on, off, kw = take(d.on), take(d.off), take(raw[KW:RHR])
    kw_zero, draws = np.abs(kw) <= zero, kw > zero

    k_flow, k_level, k_pct, k_diff = known(flow), known(level), known(pct), known(hlt_diff)
    k_kw = [known(kw[p]) for p in PUMPS]
    k_on = [None if k.all() else k for k in (on[p] | off[p] for p in PUMPS)]
    all_known = both(*k_on)
    idle = off.all(axis=0)  # n = 0
    k_idle = None if all_known is None else all_known | (n > 0)
    unpowered = kw_zero.all(axis=0)
    k_unpowered = both(*k_kw)
    if k_unpowered is not None:
        k_unpowered = k_unpowered | (np.abs(np.nan_to_num(kw)) > zero).any(axis=0)
    any_draws = draws.any(axis=0)
    works = on & draws
    working = works.sum(axis=0, dtype=np.int8)
    in_band = np.stack([on[p] & (kw[p] >= 0.4 * rated[p]) & (kw[p] <= 1.3 * rated[p]) for p in PUMPS])
    no_flow, has_flow = np.abs(flow) <= cfg.zero_flow, flow > cfg.zero_flow
    night = (hour >= 22) | (hour <= 5)
    net5, net10 = (take(net_change(d.level, k)) for k in (5, 10))
    k_net5, k_net10 = known(net5), known(net10)

    # ONOFF changes, and the minutes after them that keep A-04, C-02 and C-03 from raising.
    changed = np.zeros(len(minute), bool)
    for p in PUMPS:
        seen = None if k_on[p] is None else np.flatnonzero(k_on[p])
        state = on[p] if seen is None else on[p][seen]
        moved = np.flatnonzero(state[1:] != state[:-1]) + 1
        changed[moved if seen is None else seen[moved]] = True
    changes = np.flatnonzero(changed)
    mask = np.zeros(len(minute), bool)
    mask[spans(changes, rows.at_or_after(minute[changes] + cfg.switching_mask_min).clip(max=len(minute)))] = True

    # A: power
    drew = np.zeros(grid.minutes, bool)
    drew[minute] = any_draws
    recent = np.zeros(grid.minutes, bool)
    for back in (1, 2, 3):
        recent[back:] |= drew[:-back]
    dark = idle & unpowered
    last_draw = np.maximum.accumulate(np.where(any_draws, np.arange(len(minute)), -1))
    may = np.flatnonzero(dark & (hlt_diff < 0) & take(recent))
    if cfg.normal_stop_pct > 0 and len(may):
        before = last_draw[may]
        normal = (draws[:, before].sum(axis=0) == 1) & (pct[before] >= cfg.normal_stop_pct)
        may = may[~normal]
    outages = []
    if len(may):
        clear = rows.held(known_false(dark, (k_idle, k_unpowered)), j.off_delay("A-01"))
        outages = j.episodes("A-01", may, clear, pct)
    in_outage = j.active(outages)
    for raised, cleared in outages:
        if cleared is not None and any_draws[cleared] and minute[cleared] - minute[raised] <= 60:
            j.add("A-03", int(minute[cleared]), int(minute[cleared]), total_kw[cleared])
    others_fine = in_band.any(axis=0)
    trips = []
    for p in PUMPS:
        tripped, k_own = on[p] & kw_zero[p], both(k_on[p], k_kw[p])
        j.judge("A-02", tripped & others_fine, (k_own,), over=1, value=kw[p], pump=p)
        before = np.roll(raw[KW + p], 1)
        before[0] = np.nan
        was_on = np.roll(d.on[p], 1)
        swings = np.abs(raw[KW + p] - before) > 0.30 * before
        swings &= (before > zero) & (raw[KW + p] > zero) & d.on[p] & was_on
        k_before = known(take(before))
        j.judge("A-04", take(swings) & ~changed, (k_own, k_before), value=kw[p], pump=p, mask=mask)

        # B: pumps
        trips.append(j.judge("B-01", tripped, (k_own,), over=2, value=kw[p], pump=p))
        j.judge("B-02", works[p] & no_flow, (k_own, k_flow), over=5, value=flow, pump=p)
        j.judge("B-04", kw[p] > rated[p] * 1.3, (k_kw[p],), over=5, value=kw[p], pump=p)
        j.judge("B-05", works[p] & has_flow & (kw[p] < rated[p] * 0.4), (k_own, k_flow), over=10, value=kw[p], pump=p)
        j.judge("B-06", off[p] & draws[p], (k_own,), over=2, value=kw[p], pump=p)
        anomalous = (kw[p] > rated[p] * 2.0) | (on[p] & (kw[p] < 0))
        j.judge("F-06", anomalous, (k_own,), value=kw[p], pump=p)
    k_working = both(*k_on, *k_kw)
    powered_day = minute - minute[last_draw] < DAY
    powered_day &= last_draw >= 0
    j.judge("A-05", idle, (k_idle,), over=30, value=pct,
            now=(pct < 50) & ~in_outage & powered_day, now_known=(k_pct,))  # fmt: skip
    j.judge("B-03", (working >= 2) & no_flow, (k_working, k_flow), over=3, value=flow)
    j.judge("B-07", (n >= 2) & unpowered, (all_known, k_unpowered), over=1, value=n)

    # C: flow
    j.judge("C-01", (flow > 0.1) & dark, (k_flow, k_idle, k_unpowered), over=3, value=flow)
    k_z = known(z)
    j.judge("C-02", (z > 3.5) & (flow_diff > 0.5 * mean60), (k_z, known(flow_diff)), value=flow, mask=mask)
    fine = (n >= 1) & (in_band.sum(axis=0, dtype=np.int8) == n)
    crash = (z < -3.5) & (flow < 0.8 * mean60) & fine
    j.judge("C-03", crash, (k_z, k_working), value=flow, mask=mask)
    decline(j, grid, ups.hours, minute[-1])
    j.judge("C-05", night & (flow > 0.2) & dark, (k_flow, k_idle, k_unpowered), value=flow)
    frozen(j, ("C-06", "F-03"), flow, k_flow, changes, over=15)
    day_total = take(raw[DAY_TOTAL])
    stands = np.zeros(len(minute), bool)
    stands[1:] = day_total[1:] == day_total[:-1]
    k_total = known(day_total)
    j.judge("C-07", stands & has_flow, (k_total, k_flow), over=30, value=day_total)

    # D: tank
    j.judge("D-01", pct < 15, (k_pct,), over=5, now=net5 < 0, now_known=(k_net5,), value=pct)
    j.judge("D-02", level < 0.02 * cfg.level_max, (k_level,), over=2, value=level)
    some_on = n > 0
    rising = hlt_diff > 0
    j.judge("D-03", (pct > 90) & some_on & rising, (k_pct, k_idle, k_diff), value=pct)
    j.judge("D-04", (hlt_diff < -2) & idle, (k_diff, k_idle), value=hlt_diff)
    j.judge("D-05", working >= 3, (k_working,), over=10, now=net10 <= 0, now_known=(k_net10,), value=pct)
    raw_flow, raw_level = take(raw[FLOW]), take(raw[LEVEL])
    level_bad = (raw_level < 0) | (raw_level > 1.05 * cfg.level_max)
    flow_bad = (raw_flow < 0) | (raw_flow > cfg.flow_max)
    j.judge("D-06", level_bad, (known(raw_level),), value=raw_level)
    frozen(j, ("D-07", "F-04"), level, k_level, changes, over=20)

    # E: cycling and running
    overruns = []
    for p, (starts, ends) in enumerate(d.sessions):
        episodes = []
        for start, end in zip(starts.tolist(), ends.tolist()):
            first = int(np.searchsorted(minute, start + 1201))
            last = len(minute) if end < 0 else int(np.searchsorted(minute, end))
            if first < last:
                j.add("E-01", int(minute[first]), None if end < 0 else end, int(minute[first]) - start, p)
                episodes.append((first, None if end < 0 else last))
        overruns.append(episodes)
        short_cycling(j, grid, starts, ends, p)
    all_on = n == 6
    if all_on.any():
        starts, ends = rows.runs(all_on)

        def minutes_held(row):
            return int(minute[row] - minute[starts[np.searchsorted(starts, row, "right") - 1]]) + 1

        j.judge("E-02", all_on, (all_known,), over=120, now=net10 <= 0, now_known=(k_net10,), value=minutes_held)
    efficiency(j, grid, ups.health, minute[-1])

    # F: data quality
    gaps(j, minute)
    either = both(known(raw_flow), known(raw_level))
    j.judge("F-05", flow_bad | level_bad, (either,), value=np.where(flow_bad, raw_flow, raw_level))
    for at, tags in sorted(grid.duplicates.items()):
        j.add("F-07", at, at, tags)

    # G: energy
    j.judge("G-01", peak & (pct > 80) & some_on & rising, (k_pct, k_idle, k_diff), value=pct)
    j.judge("G-02", (total_kw > zero) & no_flow, (known(total_kw), k_flow), over=5, value=total_kw)
    budget(j, grid, d.total_kw, minute[-1])

    # H: cascades
    j.judge("H-01", in_outage & (hlt_diff < -1.5) & (pct < 50), (k_diff, k_pct), value=pct)
    if sum(map(bool, trips)) >= 3:
        three = sum(j.active(episodes).astype(np.int8) for episodes in trips) >= 3
        j.judge("H-02", three & (pct < 40), (k_pct,), value=pct)
    j.judge("H-03", unpowered & (pct < 25), (k_unpowered, k_pct), value=pct)
    j.judge("H-04", night & (flow > 0.3) & idle, (k_flow, k_idle), over=15, value=flow)
    day = minute // DAY
    for p in PUMPS:
        if overruns[p]:
            before = np.concatenate(([np.nan], ups.health["slope"][p]))[day]  # of the day before the row's
            running = j.active(overruns[p])
            j.judge("H-05", running & (before < 0), (known(np.where(running, before, 0.0)),), value=before, pump=p)
    return sorted(j.log, key=lambda row: (row[0], row[4], row[5] or ""))


def frozen(j, codes, values, k_values, changes, over):
    """C-06, D-07 and their twins: a run that outlasts `over` and in which a pump was switched 5 minutes ago or more."""
    rows, minute = j.rows, j.rows.minute
    same = np.zeros(len(values), bool)
    same[1:] = values[1:] == values[:-1]
    same[rows.holes] = False
    starts, ends = rows.runs(same)
    starts = starts - 1  # the run begins where the value first appeared
    long = minute[ends - 1] - minute[starts] + 1 > over
    starts, ends = starts[long], ends[long]
    inside = np.searchsorted(changes, starts, "right")  # a change at the first row moved the value itself
    switched = inside < len(changes)
    starts, ends, inside = starts[switched], ends[switched], inside[switched]
    ripe = np.maximum(minute[starts] + over, minute[changes[inside]] + 5) if len(inside) else starts
    may = spans(np.searchsorted(minute, ripe), ends)
    if len(may):
        for code in codes:
            j.episodes(code, may, rows.held(known_false(same, (k_values,)), j.off_delay(code)), values)


def short_cycling(j, grid, starts, ends, p):
    """E-03 and E-04: starts of the last hour, and the mean length of the sessions that ended in it."""
    if not len(starts_beyond(starts, 4)):
        return
    began, ended, lasted = (np.zeros(grid.minutes + 60) for _ in range(3))
    done = ends >= 0
    np.add.at(began, starts + 60, 1)
    np.add.at(ended, ends[done] + 60, 1)
    np.add.at(lasted, ends[done] + 60, (ends - starts)[done])
    count, finished, total = (
        j.rows.take((c := np.cumsum(column))[60:] - c[:-60]) for column in (began, ended, lasted)
    )
    mean = ratio(total, finished)
    for code, more_than, shorter_than in (("E-03", 4, 5), ("E-04", 10, 3)):
        unsure = (count > more_than) & (finished == 0)
        j.judge(code, (count > more_than) & (mean < shorter_than), (~unsure,), value=count.astype(int), pump=p)


def decline(j, grid, hours, last):
    """C-04 at each full hour: the last 24 closed hours against the 24 before them."""
    windows, nothing = {}, np.full(48, np.nan)  # 20 hours are enough, so the first windows reach back before the data
    for name in ("avg_flow", "total_kwh"):
        rolling = np.lib.stride_tricks.sliding_window_view(np.concatenate((nothing, hours[name])), 24)
        n = (~np.isnan(rolling)).sum(axis=1)
        mean = ratio(np.where(np.isnan(rolling), 0, rolling).sum(axis=1), n)
        mean[n < 20] = np.nan
        windows[name] = mean
    f, k = windows["avg_flow"], windows["total_kwh"]
    f1, f0, k1, k0 = f[24:], f[:-24], k[24:], k[:-24]
    sure = ~(np.isnan(f1) | np.isnan(f0) | np.isnan(k1) | np.isnan(k0))
    true = sure & (f1 < 0.85 * f0) & (k1 >= 0.95 * k0)
    ticks = np.arange(len(f1)) * HOUR
    reached = ticks <= last
    value = ratio(f1, f0) * 100
    j.ticks("C-04", ticks[reached], true[reached], (sure & ~true)[reached], value[reached])


def efficiency(j, grid, health, last):
    """E-05 and G-03 on the midnight that closes each day."""
    ticks = (np.arange(grid.days) + 1) * DAY
    reached = ticks <= last
    for p in PUMPS:
        own, slope = health["fpk"][p], health["slope"][p]
        with_today = np.where(health["known7"][p] >= 3, health["mean7"][p], np.nan)
        baseline = {"E-05": np.concatenate(([np.nan], with_today[:-1])), "G-03": with_today}
        for code, mean in baseline.items():
            sure = ~(np.isnan(own) | np.isnan(slope) | np.isnan(mean))
            true = sure & (slope < 0) & (own < 0.8 * mean)
            share = ratio(own, mean) * 100
            j.ticks(code, ticks[reached], true[reached], (sure & ~true)[reached], share[reached], p)


def gaps(j, minute):
    length = np.diff(minute)
    for k in np.flatnonzero(length > 6).tolist():
        last, following = int(minute[k]), int(minute[k + 1])
        j.add("F-01", last + 6, min(following, last + 31), 6)
        if following - last > 31:
            j.add("F-02", last + 31, following, 31)


def budget(j, grid, total_kw, last):
    """G-04: the energy since midnight, closed by the next midnight."""
    used = np.cumsum(np.nan_to_num(total_kw).reshape(-1, DAY), axis=1) / 60
    beyond = used > j.cfg.energy_budget_kwh
    for day in np.flatnonzero(beyond[:, -1]).tolist():
        at = int(beyond[day].argmax())
        midnight = (day + 1) * DAY
        j.add("G-04", day * DAY + at, midnight if midnight <= last else None, used[day, at])


# ----------------------------------------------------------------------------------------------------------------- write

PUMP_COLUMNS = [(f"p{p}_{name}", sql) for p in range(1, 7)
                for name, sql in (("onoff", "INTEGER"), ("kwh", "REAL"), ("rhr", "REAL"), ("rmin", "REAL"))]  # fmt: skip
FLAGS = ["zero_flow_pump_on", "flow_anomaly", "hlt_critical_low", "hlt_overflow_risk", "short_cycle",
         "pump_overrun", "peak_hour_waste"]  # fmt: skip
REAL_COLUMNS = ["total_kw", "flow_per_pump", "energy_per_flow", "hlt_pct", "hlt_diff", "flow_diff",
                "flow_z_score", "flow_slope_10"]  # fmt: skip
READINGS = (
    [("ts", "INTEGER PRIMARY KEY"), ("timestamp", "TEXT"), ("marker", "TEXT")]
    + [("fit101_day_total", "REAL"), ("fit101_per_hr", "REAL"), ("hlt101_output", "REAL")]
    + PUMP_COLUMNS
    + [("date", "TEXT"), ("hour", "INTEGER"), ("day_of_week", "INTEGER"), ("is_weekend", "INTEGER")]
    + [("is_peak_hour", "INTEGER"), ("pumps_on_count", "INTEGER")]
    + [(name, "REAL") for name in REAL_COLUMNS]
    + [(f"flag_{name}", "INTEGER") for name in FLAGS]
)


def per_pump(name, sql):
    return ", ".join(f"p{p}_{name} {sql}" for p in range(1, 7))


SCHEMA = f"""
CREATE TABLE readings_wide ({", ".join(" ".join(column) for column in READINGS)});
CREATE TABLE pump_sessions (id INTEGER PRIMARY KEY, pump TEXT, start_time TEXT, end_time TEXT, duration_min INTEGER,
    status TEXT, date TEXT, kwh_consumed REAL, flow_during_run REAL, efficiency REAL, is_short_cycle INTEGER,
    m3_per_kwh REAL);
CREATE TABLE hourly_profile (date TEXT, hour INTEGER, avg_flow REAL, total_flow REAL, avg_hlt REAL, avg_pumps_on REAL,
    total_kwh REAL, {per_pump("on_minutes", "INTEGER")}, alert_count INTEGER, is_peak_hour INTEGER,
    PRIMARY KEY (date, hour));
CREATE TABLE daily_summary (date TEXT PRIMARY KEY, total_flow REAL, avg_flow_per_hr REAL, peak_flow REAL,
    peak_flow_hour INTEGER, avg_hlt_level REAL, min_hlt_level REAL, max_hlt_level REAL, total_kwh REAL,
    energy_per_m3 REAL, {per_pump("hours_on", "REAL")}, {per_pump("starts", "INTEGER")}, {per_pump("avg_kwh", "REAL")},
    total_alerts INTEGER, critical_alerts INTEGER, peak_pumps_on INTEGER, avg_pumps_on REAL, is_weekend INTEGER);
CREATE TABLE pump_health (date TEXT, pump TEXT, total_runtime_min INTEGER, start_count INTEGER, stop_count INTEGER,
    short_cycle_count INTEGER, longest_run_min INTEGER, avg_run_min REAL, avg_kwh REAL, avg_flow_per_kwh REAL,
    efficiency_slope_7d REAL, overrun_flag INTEGER, health_score REAL, PRIMARY KEY (date, pump));
CREATE TABLE alerts_log (id INTEGER PRIMARY KEY, timestamp TEXT, date TEXT, hour INTEGER, severity TEXT, rule TEXT,
    pump TEXT, message TEXT, value_at_trigger REAL, resolved INTEGER, resolved_at TEXT, duration_min INTEGER,
    UNIQUE (timestamp, rule, pump));
"""
FAST = ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-20000")


def create(path):
    if os.path.exists(path):
        os.remove(path)
    db = connect(path)
    db.executescript("PRAGMA page_size=32768;" + SCHEMA)
    db.close()


def connect(path):
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in FAST:
        db.execute(f"PRAGMA {pragma}")
    return db


def arrow(values):
    """A numpy column as an Arrow array over the same memory."""
    values = np.ascontiguousarray(values)
    if values.dtype.kind == "S":  # fixed-width text
        width = values.dtype.itemsize
        offsets = np.arange(len(values) + 1, dtype=np.int32) * width
        return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(values))
    kind = {"i8": pa.int64(), "f8": pa.float64(), "i1": pa.int8(), "u1": pa.uint8()}[values.dtype.str[1:]]
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def arrow_or_null(values, is_known):
    bits = np.packbits(is_known, bitorder="little")
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.int8(), len(values), [pa.py_buffer(bits), pa.py_buffer(values)])


class Readings:
    """`readings_wide` as record batches of some days each. NaN is bound as NULL by SQLite itself."""

    DAYS_A_BATCH = 12

    def __init__(self, grid, derived, rows, first_day, end_day):
        self.grid, self.derived, self.full = grid, derived, rows.full
        self.first_day, self.end_day = first_day, end_day
        self.clock = np.array([f" {m // 60:02d}:{m % 60:02d}:00" for m in range(DAY)], "S9")

    def batches(self):
        for day in range(self.first_day, self.end_day, self.DAYS_A_BATCH):
            yield self.batch(day, min(day + self.DAYS_A_BATCH, self.end_day))

    def batch(self, day, end_day):
        grid, d = self.grid, self.derived
        span, days = slice(day * DAY, end_day * DAY), end_day - day
        kept = None if self.full else np.flatnonzero(grid.present[span])

        def rows(values):
            return values if kept is None else values[kept]

        def column(values):
            return arrow(rows(values[span]))

        dates = np.array([grid.date(k) for k in range(day, end_day)], "S10")
        stamps = np.empty((days, DAY, 19), np.uint8)
        stamps[:, :, :10] = dates.view(np.uint8).reshape(days, 1, 10)
        stamps[:, :, 10:] = self.clock.view(np.uint8).reshape(1, DAY, 9)
        weekday = ((grid.first_day + np.arange(day, end_day) + 4) % 7).astype(np.int8)  # 1970-01-01 was a Thursday
        ts = (grid.first + np.arange(span.start, span.stop)) * 60

        raw = grid.values
        columns = [
            arrow(rows(ts)),
            arrow(rows(stamps.reshape(-1, 19).view("S19").ravel())),
            arrow(rows(np.where(grid.marked_b[span], b"B", b"S"))),
        ]
        columns += [column(raw[k]) for k in (DAY_TOTAL, FLOW, LEVEL)]
        for p in PUMPS:
            on, is_known = d.on[p][span], (d.on[p] | d.off[p])[span]
            columns.append(arrow_or_null(rows(on.view(np.int8)), rows(is_known)))
            columns += [column(raw[k + p]) for k in (KW, RHR, RMIN)]
        columns += [
            arrow(rows(np.repeat(dates, DAY))),
            arrow(rows(np.tile(np.repeat(np.arange(24, dtype=np.int8), HOUR), days))),
            arrow(rows(np.repeat(weekday, DAY))),
            arrow(rows(np.repeat(((weekday == 0) | (weekday == 6)).view(np.int8), DAY))),
            arrow(rows(np.tile(d.peak_of_day.view(np.int8), days))),
            arrow_or_null(rows(d.pumps_on_count[span]), rows(d.pumps_known[span])),
        ]
        columns += [column(getattr(d, name)) for name in REAL_COLUMNS]
        columns += [column(flags) for flags in d.flags]
        return pa.RecordBatch.from_arrays(columns, names=[name for name, _ in READINGS])

    def write_adbc(self, path):
        """The rows go from Arrow memory to SQLite's bind calls without a Python object each."""
        from adbc_driver_manager import AdbcConnection, AdbcStatement
        from adbc_driver_sqlite import connect as adbc

        with adbc(path) as db, AdbcConnection(db) as connection:
            for pragma in FAST:
                with AdbcStatement(connection) as statement:
                    statement.set_sql_query(f"PRAGMA {pragma}")
                    statement.execute_update()
            batches = self.batches()
            first = next(batches)
            reader = pa.RecordBatchReader.from_batches(first.schema, chain_first(first, batches))
            with AdbcStatement(connection) as statement:
                statement.set_options(**{
                    "adbc.ingest.target_table": "readings_wide",
                    "adbc.ingest.mode": "adbc.ingest.mode.append",
                })  # fmt: skip
                statement.bind_stream(reader)
                statement.execute_update()

    def write_sqlite3(self, path):
        db = connect(path)
        db.execute("BEGIN")
        insert = f"INSERT INTO readings_wide VALUES ({', '.join('?' * len(READINGS))})"
        for batch in self.batches():
            columns = (
                column.to_numpy().tolist() if column.null_count == 0 and column.type != pa.string() else column.to_pylist()
                for column in batch.columns
            )
            db.executemany(insert, zip(*columns))
        db.execute("COMMIT")
        db.close()


def chain_first(first, rest):
    yield first
    yield from rest


class Writer(threading.Thread):
    """Writes one part of `readings_wide` beside the rules and keeps what went wrong for `finish`."""

    def __init__(self, write, path):
        super().__init__()
        self.write, self.path, self.error, self.seconds = write, path, None, 0.0
        create(path)
        self.start()

    def run(self):
        began = time.perf_counter()
        try:
            self.write(self.path)
        except BaseException as error:
            self.error = error
        self.seconds = time.perf_counter() - began

    def finish(self):
        self.join()
        if self.error:
            raise self.error


def start_writers(path, grid, derived, rows, writer, parts):
    parts = min(parts, grid.days)
    bounds = np.linspace(0, grid.days, parts + 1).round().astype(int).tolist()
    writers = []
    for k in range(parts):
        readings = Readings(grid, derived, rows, bounds[k], bounds[k + 1])
        write = readings.write_adbc if writer == "adbc" else readings.write_sqlite3
        writers.append(Writer(write, f"{path}.part{k}" if k else path))
    return writers


def join_parts(writers):
    """Copies the later parts behind the first; equal schemas let SQLite move whole records."""
    for writer in writers:
        writer.finish()
    db = connect(writers[0].path)
    for part in writers[1:]:
        db.execute("ATTACH ? AS part", (part.path,))
        db.execute("INSERT INTO main.readings_wide SELECT * FROM part.readings_wide")
        db.execute("DETACH part")
        os.remove(part.path)
    db.close()


def write_small(path, grid, ups, alerts):
    by_hour, by_day, critical = {}, {}, {}
    for alert in alerts:
        day, hour, severity = alert[1], alert[2], alert[3]
        by_hour[day, hour] = by_hour.get((day, hour), 0) + 1
        by_day[day] = by_day.get(day, 0) + 1
        critical[day] = critical.get(day, 0) + (severity == "CRITICAL")

    hours, days, pumps = ups.hours, ups.days, ups.health
    dates = [grid.date(k) for k in range(grid.days)]
    means = ("avg_flow", "total_flow", "avg_hlt", "avg_pumps_on", "total_kwh")
    hour_columns = zip(*(hours[name].tolist() for name in means), *hours["on"].tolist(),
                       hours["peak"].astype(int).tolist())  # fmt: skip
    hourly = [
        (dates[k // 24], k % 24, *values[:-1], by_hour.get((dates[k // 24], k % 24), 0), values[-1])
        for k, values in enumerate(hour_columns)
        if hours["row"][k]
    ]
    lead = ("total_flow", "avg_flow", "peak_flow", "peak_flow_hour", "avg_level", "min_level", "max_level",
            "total_kwh", "energy_per_m3")  # fmt: skip
    day_columns = zip(*(days[name].tolist() for name in lead), *(days["on"] / 60).tolist(), *days["starts"].tolist(),
                      *days["avg_kw"].tolist())  # fmt: skip
    daily, health_rows = [], []
    for k, values in enumerate(day_columns):
        if not days["row"][k]:
            continue
        values = list(values)
        values[3] = None if values[3] < 0 else values[3]
        most = int(days["peak_pumps_on"][k])
        weekend = int((grid.first_day + k + 4) % 7 in (0, 6))
        daily.append((dates[k], *values, by_day.get(dates[k], 0), critical.get(dates[k], 0),
                      None if most < 0 else most, float(days["avg_pumps_on"][k]), weekend))  # fmt: skip
        for p in PUMPS:
            health_rows.append((
                dates[k], f"P{p + 1}", int(days["on"][p, k]), int(days["starts"][p, k]), int(pumps["stops"][p, k]),
                int(pumps["short"][p, k]), float(pumps["longest"][p, k]), float(pumps["mean"][p, k]),
                float(days["avg_kw"][p, k]), float(pumps["fpk"][p, k]), float(pumps["slope"][p, k]),
                int(pumps["overrun"][p, k]), float(pumps["score"][p, k]),
            ))  # fmt: skip

    db = connect(path)
    db.execute("BEGIN")
    tables = {"hourly_profile": hourly, "daily_summary": daily, "pump_health": health_rows}
    tables |= {"pump_sessions": [(None, *row) for row in ups.sessions], "alerts_log": [(None, *row) for row in alerts]}
    for table, records in tables.items():
        if records:
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(records[0]))})", records)
    db.execute("COMMIT")
    db.close()


# ------------------------------------------------------------------------------------------------------------------ main


def main():
    arguments = argparse.ArgumentParser(description="fast Python pipeline over historian exports")
    arguments.add_argument("exports")
    arguments.add_argument("out")
    arguments.add_argument("--config")
    arguments.add_argument("--writer", choices=["adbc", "sqlite3"], default="adbc")
    arguments.add_argument("--parts", type=int, help="files written at once; more than one only pays with adbc")
    args = arguments.parse_args()
    args.parts = args.parts or (2 if args.writer == "adbc" and len(os.sched_getaffinity(0)) > 1 else 1)
    cfg = load_config(args.config)
    phases, mark = {}, time.perf_counter()
    phases["import"] = mark - STARTED

    def phase(name):
        nonlocal mark
        now = time.perf_counter()
        phases[name], mark = now - mark, now

    grid = read(args.exports, cfg)
    phase("read")
    rows = Rows(grid)
    derived = derive(grid, cfg)
    flag(derived, rows, cfg)
    phase("derive")
    writers = start_writers(args.out, grid, derived, rows, args.writer, args.parts)
    ups = roll_up(grid, derived)
    phase("rollups")
    alerts = judge_all(grid, derived, rows, ups, cfg)
    phase("rules")
    join_parts(writers)
    write_small(args.out, grid, ups, alerts)
    phase("write")
    print(json.dumps({
        "seconds": {name: round(seconds, 3) for name, seconds in phases.items()},
        "write_threads": [round(writer.seconds, 3) for writer in writers],
        "total": round(time.perf_counter() - STARTED, 3),
        "rows": len(rows.minute),
        "sessions": len(ups.sessions),
        "alerts": len(alerts),
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
