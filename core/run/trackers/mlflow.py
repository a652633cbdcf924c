"""MLflow: a run on the server, or in the store, that $MLFLOW_TRACKING_URI names; else in files beside the run folder.

Those are `mlflow.db`, which MLflow reads and writes by itself through SQLite (its older stores of plain files are
refused by its newer versions), and `mlartifacts`: mlflow ui --backend-store-uri sqlite:///runs/mlflow.db
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from filelock import FileLock

from core.files import atomic_path, read_text
from core.filing.paths import real
from core.filing.writing import remove_left
from core.run.trackers.tracker import Followed

# Before MLflow is imported, where the user says nothing else: it asks nobody outside, says nothing of its tables, and
# gives up within seconds on a server that is not there.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402

AT_ONCE = 100  # parameters that MLflow takes in a call
LONGEST_VALUE = 6000  # characters
STORE = "mlflow.db"
PATIENCE = 300  # seconds to wait for another process that makes the tables, which takes it some ten


class Adapter:
    """A `core.run.trackers.tracker.Tracker`; experiments are called after the folder above, runs after their folder."""

    def begin(self, run: Followed) -> str:
        """Go on with the run that the store knows, or make one with the settings as parameters."""
        folder = real(run.folder)
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or _store_in(folder.parent))
        self._run = run.known_as if run.known_as and self._goes_on(run.known_as) else self._new(run, folder)
        # Under another name: what looks for run folders would take the artifacts for one.
        self._client.log_text(self._run, read_text(run.folder / "training_config.json"), "run.json")
        return self._run

    def log(self, epoch: int, row: Mapping[str, float]) -> None:
        """Add a value to each metric, in one call."""
        now = time.time_ns() // 1_000_000
        self._client.log_batch(self._run, [Metric(name, value, now, epoch) for name, value in row.items()])

    def picture(self, epoch: int, path: Path) -> None:
        """Keep the file among the artifacts."""
        self._client.log_artifact(self._run, str(path), "figures")

    def best(self, epoch: int, row: Mapping[str, float]) -> None:
        """Add the scores of the best epoch as metrics of their own."""
        self.log(epoch, {f"best/{name}": value for name, value in row.items()})

    def close(self, finished: bool) -> None:
        """Say that the run has ended, or was stopped."""
        self._client.set_terminated(self._run, "FINISHED" if finished else "KILLED")

    def _goes_on(self, known_as: str) -> bool:
        with suppress(MlflowException):  # another store than before, or the run was deleted there
            self._client.update_run(known_as, "RUNNING")
            return True
        return False

    def _new(self, run: Followed, folder: Path) -> str:
        name = folder.parent.name or "runs"
        local = None if os.environ.get("MLFLOW_TRACKING_URI") else (folder.parent / "mlartifacts").as_uri()
        with suppress(MlflowException):  # it is there already, made by another run perhaps at this very moment
            self._client.create_experiment(name, local)
        experiment = self._client.get_experiment_by_name(name)
        assert experiment is not None, "made, or there before"
        made = self._client.create_run(
            experiment.experiment_id,
            run_name=folder.name,
            tags={"mlflow.source.git.commit": run.commit} if run.commit else {},
        ).info.run_id
        settings = [Param(name, str(value)[:LONGEST_VALUE]) for name, value in run.settings.items()]
        for start in range(0, len(settings), AT_ONCE):
            self._client.log_batch(made, params=settings[start : start + AT_ONCE])
        return made


def _store_in(folder: Path) -> str:
    """Return the address of the store in a folder.

    Its tables are made by one process and appear whole: MLflow lets two make them at once, or leaves half of them where
    it is killed, and can never read that file again.
    """
    path = folder / STORE
    with FileLock(folder / f".{STORE}.lock", timeout=PATIENCE):
        if not path.exists():
            remove_left(path)
            with atomic_path(path) as temporary:
                MlflowClient(f"sqlite:///{temporary}")
    return f"sqlite:///{path}"
