"""The model store that the daemon watches: models, and `decisions.json`, which says what is in use and why."""

import fcntl
import json
from contextlib import contextmanager
from pathlib import Path

from . import export
from .settings import Refused

DECISIONS = "decisions.json"
PUT_TO_USE = ("promoted", "rolled_back")
# Models kept of each place beside the one in use: those that were in use before, and those that never were.
KEPT = 6


class ModelStore:
    """A folder; nobody else decides while `deciding` is open."""

    def __init__(self, folder):
        self.folder = Path(folder)

    @contextmanager
    def deciding(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def decisions(self):
        path = self.folder / DECISIONS
        try:
            return json.loads(path.read_text("utf-8"))["decisions"]
        except FileNotFoundError:
            return []
        except (ValueError, KeyError) as error:
            raise Refused(f"{path}: {error}") from error

    def in_use(self, place):
        """The graph and the manifest of the model in use at a place; None without one."""
        used = [one["model"] for one in self.decisions() if one["place"] == place and one["decision"] in PUT_TO_USE]
        if not used:
            return None
        try:
            manifest = json.loads((self.folder / f"{used[-1]}.json").read_text("utf-8"))
            return (self.folder / manifest["file"]).read_bytes(), manifest
        except (OSError, ValueError, KeyError):
            # Then the daemon cannot use it either, and anything is better.
            return None

    def begin(self):
        """Empties the folder of models and decisions."""
        for one in self.decisions():
            for ending in ("json", "onnx", "md"):
                (self.folder / f"{one['model']}.{ending}").unlink(missing_ok=True)
        (self.folder / DECISIONS).unlink(missing_ok=True)

    def add(self, decision, graph, manifest):
        """Writes a model, and then the decision about it."""
        export.write(self.folder, graph, manifest)
        decisions = [*self.decisions(), decision]
        text = json.dumps({"decisions": decisions}, indent=2, ensure_ascii=False) + "\n"
        export.replace(self.folder / DECISIONS, text.encode())
        self.drop_old(decisions, decision["place"])

    def drop_old(self, decisions, place):
        """Removes models of a place that nobody will go back to."""
        of_place = [one for one in decisions if one["place"] == place]
        kept = set()
        for was_used in (True, False):
            models = [one["model"] for one in of_place if (one["decision"] in PUT_TO_USE) == was_used]
            kept.update(list(dict.fromkeys(reversed(models)))[:KEPT])
        for one in of_place:
            if one["model"] not in kept:
                for ending in ("json", "onnx", "md"):
                    (self.folder / f"{one['model']}.{ending}").unlink(missing_ok=True)
