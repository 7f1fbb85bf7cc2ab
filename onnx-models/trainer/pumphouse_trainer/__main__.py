"""The trainer's commands: python -m pumphouse_trainer COMMAND --config FILE"""

import argparse
import json
import sys
from pathlib import Path

from . import candidates, card, demo, efficiency, export, extract, features, horizons, review, settings, sweep, validate, weekly
from .model_store import ModelStore

# Who decides in `train`.
BY = "train"
EXITS = "Exits with 0 when all is well, 1 when a check failed, 2 when the data or the config cannot be used."


def main():
    parser = argparse.ArgumentParser(prog="pumphouse_trainer", description=sys.modules[__package__].__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = add(commands, "validate", "tell whether the last days are fit to train on", EXITS)
    command.add_argument("--json", action="store_true", help="the report as JSON")
    command = add(
        commands,
        "train",
        "fit the models and write a new model store",
        f"Each model comes with its manifest and its card. Validates first; nothing is written when a check fails. {EXITS}",
        config_required=False,
    )
    command.add_argument("--out", required=True, metavar="FOLDER", type=Path, help="where the models go")
    command.add_argument("--from-demo", action="store_true", help="learn from the simulated station, as the models that come along did")
    command.add_argument("--pumphouse", metavar="PROGRAM", help="the program that simulates (default: pumphouse)", default="pumphouse")
    command = add(
        commands,
        "retrain",
        "fit candidates, compare them with the models in use, and put the better ones to use",
        f"Validates first. What was tried is kept in MLflow; what was decided, and why, in the model store. {EXITS}",
    )
    command.add_argument("--tracking", metavar="URI", help="MLflow's server or database (default: SQLite in the model store)")
    add(
        commands,
        "review",
        "score the models in use on the newest week",
        "Exits with 1 when one of them is worse than the day before, or cannot be run.",
    )
    command = add(
        commands,
        "sweep",
        "list alerts that nobody has seen to, and a site that has gone silent",
        "Exits with 1 when there is anything to see to.",
    )
    command.add_argument("--older-than-min", type=int, default=30, metavar="N", help="alerts open for longer than this (default: 30)")
    arguments = parser.parse_args()
    try:
        return run(arguments)
    except (settings.Refused, OSError) as reason:
        print(f"pumphouse_trainer: {reason}", file=sys.stderr)
        return 2


def add(commands, name, help, description, config_required=True):
    command = commands.add_parser(name, help=help, description=description)
    command.add_argument("--config", required=config_required, metavar="FILE", help="the daemon's config, of the site")
    command.add_argument("--days", type=days, default=30, metavar="N", help="how far to look back (default: 30)")
    command.add_argument(
        "--database",
        metavar="URL",
        help="the central office's PostgreSQL instead of the box's store: postgres://reader@host/pumphouse?sslmode=verify-full; "
        "the password comes from PGPASSWORD",
    )
    return command


def run(arguments):
    if arguments.command == "train" and arguments.from_demo:
        with demo.station(arguments.pumphouse, arguments.days) as config:
            arguments.config = config
            return train(arguments, demo.KINDS)
    if arguments.config is None:
        raise settings.Refused("--config is missing")
    if arguments.command == "sweep":
        return sweep.sweep(settings.read(arguments.config), arguments.database, arguments.older_than_min)
    if arguments.command == "validate":
        site, minutes = minutes_of(arguments)
        report = validate.validate(minutes, site)
        print(json.dumps(report.as_dict(), ensure_ascii=False, indent=1) if arguments.json else report)
        return 0 if report.passed else 1
    return {"train": train, "retrain": retrain, "review": review_all}[arguments.command](arguments)


def minutes_of(arguments):
    site = settings.read(arguments.config)
    return site, extract.minutes(site, arguments.days, arguments.database)


def fit_to_learn(arguments):
    """Site and history; None where a check has failed, which has been told."""
    site, minutes = minutes_of(arguments)
    report = validate.validate(minutes, site)
    if not report.passed:
        print(report)
        return site, None
    return site, features.History(extract.believed(minutes, site), site.zone, site.peak)


def train(arguments, kinds=tuple(candidates.FITS)):
    """Fits every model before the first is written, so that a folder never has some of them from another day."""
    site, history = fit_to_learn(arguments)
    if history is None:
        return 1
    store = ModelStore(arguments.out)
    by_others = [one["by"] for one in store.decisions() if one["by"] != BY]
    if by_others:
        raise settings.Refused(f"{arguments.out} is a model store at work: {by_others[-1]} has decided there; retrain does, too")
    best = [candidates.of(held_out, kinds)[0] for _, held_out in held_out_of(history)]
    models = [(one.graph, one.manifest) for one in best]
    for number in range(1, len(site.rated_kw) + 1):
        model, why = efficiency.fit(site, arguments.days, arguments.database, f"P{number}")
        if model is None:
            print(f"pump_efficiency-P{number}: none, {why}")
        else:
            models.append(model)
    with store.deciding():
        store.begin()
        for graph, manifest in models:
            decision = weekly.decision(manifest, "promoted", BY, "the first model", manifest["data_to"])
            store.add(decision, graph, manifest)
            export.replace(arguments.out / f"{manifest['id']}.md", card.of(manifest).encode())
            scores, unit = manifest["scores"], manifest["unit"]
            beside = f", without a model {scores['rmse_naive']:.3g} {unit}" if scores["rmse_naive"] else ""
            print(f"{manifest['id']}: RMSE {scores['rmse_val']:.3g} {unit} on the held-out week{beside}")
    return 0


def held_out_of(history):
    """Each place with the days that its candidates are scored on."""
    for count, place in enumerate(horizons.PLACES, 1):
        print(f"[{count}/{len(horizons.PLACES)}] fitting {place.name}", file=sys.stderr, flush=True)
        yield place, horizons.HeldOut(history, place)


def retrain(arguments):
    site, history = fit_to_learn(arguments)
    if history is None:
        return 1
    store = ModelStore(site.models)
    with store.deciding():
        run = weekly.Weekly(site, store, arguments.tracking)
        refused = []
        for place, held_out in held_out_of(history):
            try:
                run.forecast(place, candidates.of(held_out), held_out)
            except settings.Refused as reason:
                refused.append(f"{place.name}: none, {reason}")
        for number in range(1, len(site.rated_kw) + 1):
            run.pump(f"P{number}", efficiency.fit(site, arguments.days, arguments.database, f"P{number}"))
    print("\n".join(refused), end="\n" if refused else "")
    return 1 if refused else 0


def review_all(arguments):
    site, minutes = minutes_of(arguments)
    history = features.History(extract.believed(minutes, site), site.zone, site.peak)
    lines, is_fine = review.review(ModelStore(site.models), history)
    print("\n".join(lines))
    return 0 if is_fine else 1


def days(text):
    number = int(text)
    if not 1 <= number <= 3660:
        raise argparse.ArgumentTypeError(f"{number} is not within 1 to 3660 days")
    return number


sys.exit(main())
