"""How good the forecasts are: trained week after week as on a station, each time on what lay before, and scored on the week after.

    python -m pumphouse_trainer.backtest --pumphouse PROGRAM

Over simulated months with weather, weekends, seasons, and two weeks in which the demand is 12 % higher. Prints docs/MODELS.md's
tables. It takes some minutes.
"""

import argparse
import sys

import numpy as np

from . import candidates, demo, extract, features, horizons, score, settings
from .features import DAY_MIN, Minutes

SEEDS = ("101", "102")
DAYS = 100
LEARNT_DAYS = 30
# A shift of the demand, in minutes from the start.
SHIFT = {"type": "spill_high_demand", "start": "2025-05-05 00:00", "minutes": 14 * DAY_MIN, "factor": 1.12}


def weeks(pumphouse, seed):
    """The ends of the trainings, with all minutes of the station."""
    with demo.station(pumphouse, DAYS, seed, [SHIFT]) as config:
        site = settings.read(config)
        minutes = extract.believed(extract.minutes(site, DAYS), site)
    for day in range(LEARNT_DAYS, DAYS - 7, 7):
        yield site, minutes, day


def cut(minutes, first, end):
    """The minutes of a range."""
    series = (values[first:end] for values in (minutes.level_pct, minutes.stored_m3, minutes.flow_m3h, minutes.power_kw, minutes.pumps_on))
    return Minutes(minutes.first + first, *series)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pumphouse", default="pumphouse", metavar="PROGRAM", help="the program that simulates")
    pumphouse = parser.parse_args().pumphouse
    # By place: the steps of all weeks, as made by each kind and by the best, with truth and bounds.
    pooled = {place: [] for place in horizons.PLACES}
    for seed in SEEDS:
        for site, minutes, day in weeks(pumphouse, seed):
            print(f"seed {seed}: trained up to day {day}, scored on the week after", file=sys.stderr, flush=True)
            end = day * DAY_MIN
            learnt = features.History(cut(minutes, end - LEARNT_DAYS * DAY_MIN, end), site.zone, site.peak)
            later = features.History(cut(minutes, end - LEARNT_DAYS * DAY_MIN, end + 7 * DAY_MIN), site.zone, site.peak)
            for place in horizons.PLACES:
                week = horizons.HeldOut(later, place)
                ranked = candidates.of(horizons.HeldOut(learnt, place))
                made = {one.manifest["kind"]: score.forecasts(one.graph, one.manifest, week) for one in ranked}
                best = ranked[0].manifest
                pooled[place].append((best["kind"], made, week, best["band"]))
    for place, of_place in pooled.items():
        print("\n".join(table(place, of_place)))


def table(place, of_place):
    """Markdown: the place as a whole, and by time ahead."""
    best = np.concatenate([made[kind] for kind, made, _, _ in of_place])
    truth = np.concatenate([week.truth for _, _, week, _ in of_place])
    naive = np.concatenate([week.naive for _, _, week, _ in of_place])
    within = np.concatenate([inside(made[kind], week.truth, band, place) for kind, made, week, band in of_place])
    single = {kind: np.concatenate([made[kind] for _, made, _, _ in of_place]) for kind in candidates.FITS}
    unit = horizons.UNITS[place.target]
    kinds = [kind for kind, *_ in of_place]
    chosen = ", ".join(f"{kind} {kinds.count(kind)}" for kind in sorted(set(kinds)))
    alone = ", ".join(f"{kind} {score.rms(values - truth):.3g}" for kind, values in single.items())
    lines = [
        f"### {place.target}, {place.horizon.name}",
        "",
        f"{len(of_place)} trainings; chosen: {chosen}. RMSE of each kind alone: {alone} {unit}.",
        "",
        f"| ahead, min | RMSE, {unit} | the day before, {unit} | below it, % | within the bounds, % |",
        "|---|---|---|---|---|",
        line("all", best, truth, naive, within),
    ]
    twelfth = place.horizon.slots // 12
    for step in range(twelfth - 1, place.horizon.slots, twelfth):
        ahead = place.horizon.ahead_min[step]
        lines.append(line(ahead, best[:, step], truth[:, step], naive[:, step], within[:, step]))
    return [*lines, ""]


def inside(made, truth, band, place):
    """1 where the truth lies within the bounds, NaN where it is not known."""
    low, high = (np.clip(made + np.array([bound[side] for bound in band], float), *horizons.POSSIBLE[place.target]) for side in (0, 1))
    return np.where(np.isnan(truth) | np.isnan(made), np.nan, (low <= truth) & (truth <= high))


def line(label, made, truth, naive, within):
    figures = score.figures(made, truth, naive)
    skill = 100 * figures["skill"]
    return f"| {label} | {figures['rmse_val']:.3g} | {figures['rmse_naive']:.3g} | {skill:.0f} | {100 * np.nanmean(within):.1f} |"


if __name__ == "__main__":
    main()
