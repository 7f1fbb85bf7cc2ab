"""Whether minutes are fit to learn from. A model learns what it is shown, so a failed check stops the training."""

from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np

from .features import DAY_MIN

# A week's look-back and a week to learn from.
SPAN_DAYS_MIN = 14
KNOWN_SHARE_MIN = 0.90
# A longer hole leaves a time of the week that is seen too seldom.
HOLE_H_MAX = 48.0
# A transmitter that freezes leaves a line; a full tank at rest stands for some hours, too.
FROZEN_H_MAX = 12.0
OUTSIDE_SHARE_MAX = 0.001
# A level may pass 100 % until the maximum has followed it, and a motor its rating for as long as it warms up.
LEVEL_PCT = (-1.0, 105.0)
POWER_OF_RATED_MAX = 1.3
LABELS = {"level_pct": "level", "flow_m3h": "flow", "power_kw": "power", "pumps_on": "pumps on"}


@dataclass
class Check:
    """One question: what was found, what was asked for, both with units."""

    name: str
    passed: bool
    found: str
    wanted: str


@dataclass
class Report:
    site: str
    first: int
    last: int
    checks: list

    @property
    def passed(self):
        return all(check.passed for check in self.checks)

    def as_dict(self):
        return {
            "site": self.site,
            "from": utc(self.first),
            "to": utc(self.last),
            "passed": self.passed,
            "checks": [vars(check) for check in self.checks],
        }

    def __str__(self):
        width = max(len(check.name) for check in self.checks)
        lines = [f"{self.site}: minutes from {utc(self.first)} to {utc(self.last)}"]
        for check in self.checks:
            word = "ok    " if check.passed else "FAILED"
            lines.append(f"  {word}  {check.name:<{width}}  {check.found}; wanted: {check.wanted}")
        failed = sum(not check.passed for check in self.checks)
        lines.append("fit to train on" if self.passed else f"not fit to train on: {failed} of {len(self.checks)} checks failed")
        return "\n".join(lines)


def validate(minutes, site):
    """Completeness and ranges of minutes as they were extracted; their schema has been checked there."""
    series = {name: getattr(minutes, name) for name in LABELS}
    any_known = np.flatnonzero(~np.all([np.isnan(values) for values in series.values()], axis=0))
    length = len(minutes.level_pct)
    start = int(any_known[0]) if len(any_known) else length
    span_days = (length - start) / DAY_MIN
    checks = [Check("span", span_days >= SPAN_DAYS_MIN, f"{span_days:.1f} days", f"at least {SPAN_DAYS_MIN} days")]
    # Before the station's first minute there is nothing that could be missing.
    series = {name: values[start:] for name, values in series.items()}
    for name, values in series.items():
        known = float(np.mean(~np.isnan(values))) if len(values) else 0.0
        checks.append(
            Check(
                f"{LABELS[name]}: known",
                known >= KNOWN_SHARE_MIN,
                f"{percent(known)} of the minutes",
                f"at least {percent(KNOWN_SHARE_MIN)}",
            )
        )
        hole_h = longest(np.isnan(values)) / 60
        wanted = f"at most {HOLE_H_MAX:.0f} h"
        checks.append(Check(f"{LABELS[name]}: longest hole", hole_h <= HOLE_H_MAX, f"{hole_h:.1f} h", wanted))
    ranges = {
        "level_pct": (*LEVEL_PCT, "%"),
        "flow_m3h": (0.0, site.fit101_physical_max, "m³/h"),
        "power_kw": (0.0, POWER_OF_RATED_MAX * sum(site.rated_kw), "kW"),
        "pumps_on": (0, len(site.rated_kw), "pumps"),
    }
    for name, (low, high, unit) in ranges.items():
        known = series[name][~np.isnan(series[name])]
        outside = known[(known < low) | (known > high)]
        share = len(outside) / max(len(known), 1)
        found = f"{len(outside)} minutes outside"
        if len(outside):
            found += f", {outside.min():g} to {outside.max():g} {unit}"
        wanted = f"{low:g} to {high:g} {unit} but for {percent(OUTSIDE_SHARE_MAX)} of the minutes"
        checks.append(Check(f"{LABELS[name]}: range", share <= OUTSIDE_SHARE_MAX, found, wanted))
    frozen_h = longest(np.diff(series["level_pct"]) == 0.0) / 60
    checks.append(
        Check(
            "level: moves",
            frozen_h <= FROZEN_H_MAX,
            f"the same for up to {frozen_h:.1f} h",
            f"at most {FROZEN_H_MAX:.0f} h",
        )
    )
    return Report(site.id, minutes.first + start, minutes.first + length - 1, checks)


def longest(flags):
    """Length of the longest run of true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def percent(share):
    return f"{share * 100:.3g} %"


def utc(minute):
    return datetime.fromtimestamp(minute * 60, timezone.utc).strftime("%Y-%m-%dT%H:%MZ")
