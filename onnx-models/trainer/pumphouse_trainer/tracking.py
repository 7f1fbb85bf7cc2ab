"""What was tried, in MLflow: a run for each candidate with its parameters, figures, files and plots; each place is a registered
model, whose alias `champion` is what is in use and `candidate` what was tried last."""

import tempfile
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from . import export, plots

EXPERIMENT = "pumphouse"


class Tracking:
    """A tracking server by its address, or a file of SQLite; artifacts of the latter lie beside it."""

    def __init__(self, uri, artifacts):
        mlflow.set_tracking_uri(uri)
        self.client = MlflowClient()
        if mlflow.get_experiment_by_name(EXPERIMENT) is None:
            self.client.create_experiment(EXPERIMENT, artifact_location=artifacts)
        mlflow.set_experiment(EXPERIMENT)

    def follow(self, name, model_id):
        """Sets the alias `champion` to what is in use: a person may have gone back to an earlier model."""
        for version in self.versions(name):
            if version.tags.get("model_id") == model_id:
                self.client.set_registered_model_alias(name, "champion", version.version)
                return

    def versions(self, name):
        try:
            return self.client.search_model_versions(f"name = '{name}'")
        except MlflowException:
            return []

    def log(self, name, graph, manifest, verdict, why, draw=None, is_chosen=True):
        """A run of a candidate; the chosen one becomes a version of the model of this name. `draw` writes plots into a folder."""
        scores = manifest["scores"]
        with mlflow.start_run(run_name=manifest["id"]) as run:
            mlflow.log_params({key: str(value)[:500] for key, value in flat(manifest["parameters"]).items()})
            mlflow.log_metrics({key: value for key, value in scores.items() if isinstance(value, float)})
            for ahead_min, figures in scores.get("by_ahead_min", {}).items():
                known = {f"{key}_by_ahead_min": value for key, value in figures.items() if value is not None}
                mlflow.log_metrics(known, step=int(ahead_min))
            tags = {key: manifest[key] for key in ("target", "kind", "data_to", "held_out_from", "sha256")}
            mlflow.set_tags({**tags, "model": name, "decision": verdict, "why": why})
            with tempfile.TemporaryDirectory() as folder:
                export.write(Path(folder) / "onnx", graph, manifest)
                if draw is not None:
                    draw(Path(folder) / "forecast.png")
                plots.importance(Path(folder) / "importance.png", manifest)
                mlflow.log_artifacts(folder)
            if not is_chosen:
                return
            try:
                self.client.create_registered_model(name)
            except MlflowException:
                # It is there.
                pass
            source = f"{run.info.artifact_uri}/onnx"
            version = self.client.create_model_version(name, source=source, run_id=run.info.run_id)
            self.client.set_model_version_tag(name, version.version, "model_id", manifest["id"])
            aliases = ["candidate", "champion"] if verdict == "promoted" else ["candidate"]
            for alias in aliases:
                self.client.set_registered_model_alias(name, alias, version.version)


def model_name(site, place):
    """A registered model's name: of many sites one server may hold the models."""
    return f"{site}.{place}"


def flat(parameters, prefix=""):
    """Nested parameters, by a name each."""
    named = {}
    for key, value in parameters.items():
        named.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return named
