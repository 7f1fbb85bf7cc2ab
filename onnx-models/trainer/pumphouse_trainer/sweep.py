"""What nobody has seen to: alerts that have been open for long, and a site whose newest row is old."""

from datetime import datetime, timezone

from . import source

SILENT_MIN = 60


def sweep(site, database, older_than_min):
    now = datetime.now(timezone.utc).timestamp()
    with source.opened(site, database) as rows:
        newest = rows.one("SELECT max({ts}) FROM {readings_wide}")
        open_alerts = rows.all(
            "SELECT rule, coalesce(pump, ''), severity, timestamp, message FROM {alerts_log} "
            "WHERE resolved = 0 AND severity IN ('CRITICAL', 'HIGH') AND {earlier} ORDER BY {ts}",
            now - older_than_min * 60,
        )
    lines = []
    if newest is None:
        lines.append(f"{site.id}: no row yet")
    elif now - newest > SILENT_MIN * 60:
        lines.append(f"{site.id}: the newest row is {(now - newest) / 60:.0f} min old")
    for rule, pump, severity, since, message in open_alerts:
        lines.append(f"{site.id}: {severity} {rule} {pump} open since {since}: {message}")
    print("\n".join(lines) if lines else f"{site.id}: nothing to see to")
    return 1 if lines else 0
