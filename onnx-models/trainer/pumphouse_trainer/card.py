"""A model's card: what it is for, what it has learnt from, how good it is, and how to make it again."""

SHOWN_FEATURES = 6


def of(manifest):
    unit, scores = manifest["unit"], manifest["scores"]
    lines = [
        f"# {manifest['id']}",
        "",
        f"{PURPOSE[manifest['target']].format(**manifest)} Learnt by {KINDS[manifest['kind']]}.",
        "",
        f"- Learnt from the minutes up to {manifest['data_to']}; those from {manifest['held_out_from']} on were held out and scored on.",
        f"- RMSE {scores['rmse_val']:.3g} {unit}, mean absolute error {scores['mae_val']:.3g} {unit}; "
        f"{NAIVE[manifest['target']]} {scores['rmse_naive']:.3g} {unit}.",
        f"- File {manifest['file']}, {manifest['bytes']} bytes, SHA-256 `{manifest['sha256']}`.",
    ]
    if by_ahead_min := scores.get("by_ahead_min"):
        lines += ["", f"| ahead, min | RMSE, {unit} | the day before, {unit} |", "|---|---|---|"]
        lines += [f"| {ahead} | {one['rmse_val']:.3g} | {one['rmse_naive']:.3g} |" for ahead, one in by_ahead_min.items()]
    if manifest["importance"]:
        largest = sorted(manifest["importance"].items(), key=lambda share: -share[1])[:SHOWN_FEATURES]
        lines += ["", "It looks most at " + ", ".join(f"{name} ({100 * share:.0f} %)" for name, share in largest) + "."]
    lines += ["", LIMITS[manifest["target"]], ""]
    return "\n".join(lines)


PURPOSE = {
    "hlt_pct": "Forecasts the tank level, {slots} steps of {slot_min} min.",
    "flow_demand": "Forecasts the demand (flow into the tank less what stays there), {slots} steps of {slot_min} min.",
    "pump_efficiency": "Tells what {pump}, as it was, lifts for its energy at a level, a flow and so many pumps running.",
}
KINDS = {"xgboost": "boosted trees", "sarimax": "seasonal ARIMA", "combined": "boosted trees and seasonal ARIMA"}
NAIVE = {"hlt_pct": "the day before", "flow_demand": "the day before", "pump_efficiency": "its mean"}
FORECAST = (
    "It knows one station's habits. On another, or after a change of its set-points, it is no better than the day before until it "
    "has been trained anew; the daemon tells when its error or its inputs are no longer those of its training."
)
LIMITS = {
    "hlt_pct": FORECAST,
    "flow_demand": FORECAST,
    "pump_efficiency": "It is the reference that wear shows against. After an overhaul a new one takes its place by `pumphouse models promote`.",
}
