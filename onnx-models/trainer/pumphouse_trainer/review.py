"""The models in use, scored on the newest week."""

from . import compare, horizons, score


def review(store, history):
    """A line for each place, and whether all is well."""
    lines, is_fine = [], True
    for place in horizons.PLACES:
        in_use = store.in_use(place.name)
        if in_use is None:
            lines.append(f"{place.name}: no model is in use")
            is_fine = False
            continue
        graph, manifest = in_use
        held_out = horizons.HeldOut(history, place)
        rmse = compare.rmse_of(graph, manifest, held_out)
        naive = score.rms(held_out.naive - held_out.truth)
        unit = manifest["unit"]
        if rmse is None:
            lines.append(f"{place.name}: {manifest['id']} has no forecast for the newest week, or cannot be run")
            is_fine = False
            continue
        is_better = naive is None or rmse < naive
        is_fine &= is_better
        beside = "" if naive is None else f", the day before {naive:.2f} {unit}{'' if is_better else ': it is worse'}"
        lines.append(f"{place.name}: {manifest['id']}: RMSE {rmse:.2f} {unit} over the newest week{beside}")
    return lines, is_fine
