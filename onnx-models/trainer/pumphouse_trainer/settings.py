"""The station's settings, from the daemon's own config; `pumphouse check` is what tells everything that is wrong with one."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

PEAK_WINDOWS = ["06:00-10:00", "17:00-21:00"]


class Refused(Exception):
    """Something that a person has to mend first; its text says what."""


@dataclass
class Site:
    """`hlt_volume_m3` is at `hlt_physical_max`; `peak` lists (from, to) in minutes of the plant's day."""

    id: str
    zone: ZoneInfo
    rated_kw: list
    hlt_physical_max: float
    hlt_volume_m3: float
    fit101_physical_max: float
    zero_kw: float
    peak: list
    store: Path
    models: Path


def read(config):
    """The settings that training needs, with the daemon's defaults."""
    config = Path(config)
    try:
        written = tomllib.loads(config.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{config}: {error}") from error
    site = written.get("site", {})
    windows = written.get("tariff", {}).get("peak_windows", PEAK_WINDOWS)
    try:
        return Site(
            id=site["id"],
            zone=ZoneInfo(site.get("timezone", "UTC")),
            rated_kw=[float(kw) for kw in site["rated_kw"]],
            hlt_physical_max=float(site["hlt_physical_max"]),
            hlt_volume_m3=float(site.get("hlt_volume_m3", 1200.0)),
            fit101_physical_max=float(site["fit101_physical_max"]),
            zero_kw=float(site.get("zero_kw", 0.1)),
            peak=[tuple(minute_of_day(end) for end in window.split("-")) for window in windows],
            models=config.parent / written.get("forecast", {}).get("models", "models"),
            store=config.parent / written.get("storage", {}).get("path", "pumphouse.db"),
        )
    except KeyError as error:
        raise Refused(f"{config}: [site] or its key {error} is missing") from error
    except (TypeError, ValueError, OSError) as error:
        raise Refused(f"{config}: {error}") from error


def minute_of_day(text):
    """06:30 → 390; 24:00 is the day's end."""
    hour, minute = text.strip().split(":")
    return int(hour) * 60 + int(minute)
