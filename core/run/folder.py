"""The run folder: one writer, one set of settings, files that appear whole."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from core.errors import UserError
from core.files import write_csv, write_json
from core.filing.json_file import read_json
from core.filing.writing import lock, sweep
from core.run.outputs import require_best
from core.run.state import STATE, load_state
from core.train_config import NOT_COMPARED


def settings_of(config: Any) -> dict[str, Any]:
    """Return a config dataclass as plain JSON values."""
    plain = dataclasses.asdict(config)
    return {name: str(value) if isinstance(value, Path) else value for name, value in plain.items()}


def identity_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that make a run what it is: no paths, no device."""
    return {name: value for name, value in settings.items() if name not in NOT_COMPARED}


class RunFolder:
    """An output directory that this process alone writes to.

    Args:
        path: the folder, made where missing.
        description: the content of `training_config.json`; its `identity` is compared with that of an earlier run.
        columns: of `training_log.csv`.
        writes: False for the processes beside the first, which read the state at most.
        defaults: of the settings; one that the version of an earlier run did not have yet counts as its default there.

    Raises:
        UserError: another process writes here, an earlier run had other settings (names the differences), or no
            finished run is there to be extended.
    """

    def __init__(
        self,
        path: Path,
        description: dict[str, Any],
        columns: Sequence[str],
        writes: bool = True,
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = path
        self.columns = list(columns)
        self._defaults = identity_of(dict(defaults or {}))
        self._extends = False
        self.identity: dict[str, Any] = description["identity"]
        self._lock: FileLock | None = None
        if writes:
            self._begin(description)

    def _begin(self, description: dict[str, Any]) -> None:
        path = self.path
        if self.identity.get("extend_to") and not (path / "training_config.json").exists():
            raise UserError(f"{path} holds no run that --extend_to could make longer: train it first without it")
        self._lock = lock(path, "--output_dir", "run")
        sweep(path)
        if not self._compare(self.identity):
            write_json(path / "training_config.json", description)
        elif self._extends:
            self._require_finished()
            write_json(path / "training_config.json", description)
        else:
            self._complete()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._lock:
            self._lock.release()

    def _compare(self, identity: dict[str, Any]) -> bool:
        """Say whether an earlier run with the same settings is here."""
        file = self.path / "training_config.json"
        if not file.exists():
            if (self.path / STATE).exists():
                raise UserError(f"{self.path} holds a state but no {file.name}: choose another --output_dir")
            return False
        try:
            earlier = {**self._defaults, **read_json(file)["identity"]}
        except (ValueError, KeyError, TypeError):
            raise UserError(f"{file} is not one of ours: choose another --output_dir") from None
        earlier, now = (json.loads(json.dumps(values)) for values in (earlier, identity))
        before = earlier.get("extend_to") or 0
        if isinstance(before, int) and (now.get("extend_to") or 0) > before:
            self._extends = True
            earlier["extend_to"] = now["extend_to"]
        differences = [
            f"{name} {earlier.get(name)!r} there, {now.get(name)!r} now"
            for name in sorted(earlier.keys() | now.keys())
            if earlier.get(name) != now.get(name)
        ]
        if differences:
            raise UserError(
                f"{self.path} holds a run with other settings ({'; '.join(differences)}): "
                "choose another --output_dir or delete that folder"
            )
        return True

    def _require_finished(self) -> None:
        state = load_state(self.path, writes=True)
        if not state or not state.finished:
            raise UserError(
                f"{self.path} holds a run that is not finished: the same command without this --extend_to goes on; "
                "extend it then"
            )
        require_best(self.path, state.best)

    def _complete(self) -> None:
        """Add the settings that an earlier version did not have, so that file and weights go on saying the same."""
        file = self.path / "training_config.json"
        content = read_json(file)
        if content["identity"].keys() != self.identity.keys():
            write_json(file, {**content, "identity": self.identity})

    def write_log(self, rows: Sequence[dict[str, Any]]) -> None:
        """Write `training_log.csv` from all rows; rows past a restored state are gone with that."""
        write_csv(self.path / "training_log.csv", self.columns, rows)
