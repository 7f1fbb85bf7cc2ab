"""Whether a candidate takes the place of the model in use: both are scored on the same newest held-out days."""

from . import score

# By how much the error must be smaller; less is chance.
MARGIN = 0.99


def decide(candidate, in_use, held_out):
    """The verdict, and why, with figures."""
    unit = candidate.manifest["unit"]
    scores = candidate.manifest["scores"]
    rmse, naive = scores["rmse_val"], scores["rmse_naive"]
    said = f"its RMSE over the days from {candidate.manifest['held_out_from']} is {rmse:.2f} {unit}"
    if naive is not None and rmse >= MARGIN * naive:
        return "kept", f"{said}, that of the day before {naive:.2f}: it is no better"
    beside = "" if naive is None else f", that of the day before {naive:.2f}"
    if in_use is None:
        return "promoted", f"{said}{beside}; no model was in use"
    graph, manifest = in_use
    before = rmse_of(graph, manifest, held_out)
    if before is None:
        return "promoted", f"{said}{beside}; {manifest['id']} can no longer be run"
    beside = f"that of {manifest['id']} on the same days {before:.2f}{beside}"
    if rmse < MARGIN * before:
        return "promoted", f"{said}, {beside}"
    return "kept", f"{said}, {beside}: it is not better by 1 %"


def rmse_of(graph, manifest, held_out):
    """The error of a model in use; None when it cannot be run."""
    try:
        made = score.forecasts(graph, manifest, held_out)
    except Exception:
        # Whatever is wrong with it: a runtime's own error type, a wrong shape, a missing key.
        return None
    return score.scores(made, held_out)["rmse_val"]
