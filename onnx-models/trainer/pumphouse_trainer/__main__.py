"""The trainer's commands: python -m pumphouse_trainer COMMAND --config FILE"""

import argparse
import json
import sys
from pathlib import Path

from . import export, extract, features, fit, settings, validate


def main():
    parser = argparse.ArgumentParser(prog="pumphouse_trainer", description=sys.modules[__package__].__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add(
        commands,
        "validate",
        "tell whether the store's last days are fit to train on",
        "Exits with 0 when they are, 1 when a check failed, 2 when the store or the config cannot be used.",
    ).add_argument("--json", action="store_true", help="the report as JSON")
    add(
        commands,
        "train",
        "fit the models and write them with their manifests",
        "Validates first; nothing is written when a check fails. Exits as validate does.",
    ).add_argument("--out", required=True, metavar="FOLDER", type=Path, help="where the models go")
    arguments = parser.parse_args()
    try:
        site = settings.read(arguments.config)
        minutes = extract.minutes(site.store, arguments.days)
        report = validate.validate(minutes, site)
        if arguments.command == "train" and report.passed:
            train(minutes, site, arguments.out)
            return 0
    except (settings.Refused, OSError) as reason:
        print(f"pumphouse_trainer: {reason}", file=sys.stderr)
        return 2
    as_json = arguments.command == "validate" and arguments.json
    print(json.dumps(report.as_dict(), ensure_ascii=False, indent=1) if as_json else report)
    return 0 if report.passed else 1


def add(commands, name, help, description):
    command = commands.add_parser(name, help=help, description=description)
    command.add_argument("--config", required=True, metavar="FILE", help="the daemon's config")
    command.add_argument("--days", type=days, default=30, metavar="N", help="how far to look back (default: 30)")
    return command


def train(minutes, site, folder):
    """Fits every model before the first is written, so that a folder never has some of them from another day."""
    history = features.History(minutes, site.hlt_volume_m3, site.zone, site.peak)
    wanted = [(target, horizon) for target in fit.UNITS for horizon in fit.HORIZONS]
    models = []
    for place, (target, horizon) in enumerate(wanted, 1):
        print(f"[{place}/{len(wanted)}] fitting {target}, {horizon.name}", file=sys.stderr, flush=True)
        models.append(fit.fit(history, target, horizon))
    for model in models:
        export.write(folder, model.graph, model.manifest)
    for model in models:
        about = model.manifest
        scores, unit = about["scores"], about["unit"]
        naive = scores["rmse_naive"]
        beside = "" if naive is None else f", seasonal-naive {naive:.2f} {unit}"
        print(f"{about['id']}: RMSE {scores['rmse_val']:.2f} {unit} on the held-out week{beside}")


def days(text):
    number = int(text)
    if not 1 <= number <= 3660:
        raise argparse.ArgumentTypeError(f"{number} is not within 1 to 3660 days")
    return number


sys.exit(main())
