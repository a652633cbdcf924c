"""What a tracker is, and the table of those there are: a new one is a file like its neighbours, a row and a word here.

Loads in a blink: what a tracker is made of is imported by its own file, when it is asked for.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

from core.errors import UserError
from core.extras import to_install

TrackerName = Literal["tensorboard", "mlflow"]
LONGEST_NAME = 200  # MLflow takes 250, with what stands before


@dataclass(frozen=True)
class Followed:
    """A run, as a tracker is told of it.

    Attributes:
        folder: the run folder, in which `training_config.json` lies.
        place: the tracker's own folder there, which exists.
        settings: every setting, as plain JSON values.
        commit: of this code; None outside a checkout.
        known_as: what `begin` returned before, None where it was not called yet: the run is to go on there.
        next_epoch: what is logged next; what was told of this epoch and later ones no longer holds.
    """

    folder: Path
    place: Path
    settings: Mapping[str, Any]
    commit: str | None
    known_as: str | None
    next_epoch: int


class Tracker(Protocol):
    """Follows one run. Whatever it raises is a note to the user and its end, not that of the training.

    Names of scores are plain (`plain_names`); rows hold what has a value.
    """

    def begin(self, run: Followed) -> str:
        """Keep settings and commit; return what tells the run from others, another than before if it begins anew."""

    def log(self, epoch: int, row: Mapping[str, float]) -> None:
        """Keep a row of the log."""

    def picture(self, epoch: int, path: Path) -> None:
        """Keep a picture (PNG) of an epoch."""

    def best(self, epoch: int, row: Mapping[str, float]) -> None:
        """Keep the row of the weights that the finished run leaves."""

    def close(self, finished: bool) -> None:
        """Write what is left, at the end of the run or where it stops for now."""


@dataclass(frozen=True)
class Row:
    """A tracker: where its class `Adapter` is, the packages that it imports, and what installs them."""

    module: str
    packages: tuple[str, ...]
    extra: str = "trackers"


TRACKERS: dict[str, Row] = {
    "tensorboard": Row("core.run.trackers.tensorboard", ("tensorboard",)),
    "mlflow": Row("core.run.trackers.mlflow", ("mlflow", "sqlalchemy", "alembic")),
}


def require_installed(names: Iterable[str]) -> None:
    """See, without importing them, that the packages of trackers are there.

    Raises:
        UserError: one is not; says what installs it.
    """
    for name in names:
        if missing := [package for package in TRACKERS[name].packages if find_spec(package) is None]:
            extra = TRACKERS[name].extra
            raise UserError(f"--tracker {name}: {missing[0]} is not installed: {to_install(extra)}")


def made(name: str) -> Tracker:
    """Import and make a tracker."""
    return import_module(TRACKERS[name].module).Adapter()


def plain_names(columns: Sequence[str]) -> dict[str, str]:
    """Return each column by the name that every tracker takes: letters, digits, `_`, `-`, `.` and spaces, all distinct.

    Classes may be called anything.
    """
    found: dict[str, str] = {}
    for column in columns:
        short = plain = re.sub(r"[^\w. -]", "_", column)[:LONGEST_NAME].strip() or "_"
        number = 2
        while plain in found.values():
            plain, number = f"{short}_{number}", number + 1
        found[column] = plain
    return found
