"""The weekly decision about each place: what was tried goes to MLflow, what was decided into the model store."""

from datetime import datetime, timezone

from . import compare, efficiency, plots
from .tracking import Tracking, model_name

SCORES = ("rmse_val", "mae_val", "r2_score", "rmse_naive")


class Weekly:
    """A run over the places of a site; MLflow's own files lie in the model store unless a server is named."""

    def __init__(self, site, store, tracking_uri):
        self.site, self.store = site, store
        kept = (store.folder / "mlflow").absolute()
        if tracking_uri is None:
            kept.mkdir(exist_ok=True)
            self.tracking = Tracking(f"sqlite:///{kept}/mlflow.db", (kept / "artifacts").as_uri())
        else:
            self.tracking = Tracking(tracking_uri, None)

    def forecast(self, place, ranked, held_out):
        """The candidates of a place, the best first."""
        best, in_use = ranked[0], self.in_use(place.name)
        if in_use is not None and in_use[1]["id"] == best.manifest["id"]:
            print(f"{place.name}: {in_use[1]['id']} has learnt from these minutes already")
            return
        verdict, why = compare.decide(best, in_use, held_out)
        for one in ranked:
            of_one = (verdict, why) if one is best else ("kept", f"{best.manifest['id']} is better")
            draw = lambda path, one=one: plots.forecast(path, one, held_out)
            name = model_name(self.site.id, place.name)
            self.tracking.log(name, one.graph, one.manifest, *of_one, draw, is_chosen=one is best)
        self.add(place.name, best.graph, best.manifest, verdict, why)

    def pump(self, pump, fitted):
        """A pump's model, or why there is none."""
        place = f"pump_efficiency-{pump}"
        model, why_not = fitted
        if model is None:
            print(f"{place}: none, {why_not}")
            return
        graph, manifest = model
        in_use = self.in_use(place)
        if in_use is not None and in_use[1]["id"] == manifest["id"]:
            print(f"{place}: {manifest['id']} has learnt from these minutes already")
            return
        verdict, why = efficiency.decide(manifest, in_use)
        self.tracking.log(model_name(self.site.id, place), graph, manifest, verdict, why)
        self.add(place, graph, manifest, verdict, why)

    def in_use(self, place):
        """The model in use; MLflow's alias follows it, because a person may have gone back to an earlier one."""
        in_use = self.store.in_use(place)
        if in_use is not None:
            self.tracking.follow(model_name(self.site.id, place), in_use[1]["id"])
        return in_use

    def add(self, place, graph, manifest, verdict, why):
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.store.add(decision(manifest, verdict, "trainer", why, now), graph, manifest)
        print(f"{place}: {verdict} {manifest['id']}: {why}", flush=True)


def decision(manifest, verdict, by, why, at):
    """A line of the model store."""
    return {
        "at": at,
        "place": manifest["place"],
        "model": manifest["id"],
        "decision": verdict,
        "by": by,
        "why": why,
        "scores": {key: manifest["scores"][key] for key in SCORES},
    }
