"""Pictures for people who compare models."""

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot  # noqa: E402

SHOWN_DAYS = 3
SHOWN_FEATURES = 15


def forecast(path, candidate, held_out):
    """Forecasts of the first held-out days, made once a day at most, beside what came, with their bounds."""
    place, manifest = held_out.place, candidate.manifest
    slot_min, slots = place.horizon.slot_min, place.horizon.slots
    every = max(slot_min * slots // 60, 1)
    figure, axes = pyplot.subplots(figsize=(10, 4), layout="constrained")
    low, high = ([bound[side] or 0.0 for bound in manifest["band"]] for side in (0, 1))
    shown = range(0, min(SHOWN_DAYS * 24, len(held_out.origins)), every)
    for at in shown:
        hours = (held_out.origins[at] - held_out.first + place.horizon.ahead_min) / 60
        first = at == 0
        axes.fill_between(hours, candidate.made[at] + low, candidate.made[at] + high, color="tab:blue", alpha=0.2, label="95 %" if first else None)
        axes.plot(hours, candidate.made[at], color="tab:blue", label="forecast" if first else None)
        axes.plot(hours, held_out.truth[at], color="black", linewidth=0.8, label="actual" if first else None)
    axes.set(title=manifest["id"], xlabel=f"hours from {manifest['held_out_from']}", ylabel=f"{place.target}, {manifest['unit']}")
    axes.legend(loc="upper right")
    save(figure, path)


def importance(path, manifest):
    """Shares of the columns in what the trees gain; for a model without trees, what it has learnt instead."""
    shares = sorted(manifest["importance"].items(), key=lambda share: share[1])[-SHOWN_FEATURES:]
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    if shares:
        axes.barh([name for name, _ in shares], [100 * share for _, share in shares])
        axes.set(title=manifest["id"], xlabel="share of the gain, %")
    else:
        values = manifest["parameters"].get("values", [])
        axes.bar(range(len(values)), values)
        axes.set(title=manifest["id"], xlabel="parameter", ylabel="value")
    save(figure, path)


def save(figure, path):
    # Without the time and the version, equal plots are equal files.
    figure.savefig(path, dpi=80, metadata={"Software": None})
    pyplot.close(figure)
