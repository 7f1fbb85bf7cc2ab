"""The trainer's commands: python -m pumphouse_trainer COMMAND --config FILE"""

import argparse
import json
import sys

from . import extract, settings, validate


def main():
    parser = argparse.ArgumentParser(prog="pumphouse_trainer", description=sys.modules[__package__].__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "validate",
        help="tell whether the store's last days are fit to train on",
        description="Exits with 0 when they are, 1 when a check failed, 2 when the store or the config cannot be used.",
    )
    command.add_argument("--config", required=True, metavar="FILE", help="the daemon's config")
    command.add_argument("--days", type=days, default=30, metavar="N", help="how far to look back (default: 30)")
    command.add_argument("--json", action="store_true", help="the report as JSON")
    arguments = parser.parse_args()
    try:
        site = settings.read(arguments.config)
        report = validate.validate(extract.minutes(site.store, arguments.days), site)
    except settings.Refused as reason:
        print(f"pumphouse_trainer: {reason}", file=sys.stderr)
        return 2
    print(json.dumps(report.as_dict(), ensure_ascii=False, indent=1) if arguments.json else report)
    return 0 if report.passed else 1


def days(text):
    number = int(text)
    if not 1 <= number <= 3660:
        raise argparse.ArgumentTypeError(f"{number} is not within 1 to 3660 days")
    return number


sys.exit(main())
