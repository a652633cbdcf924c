"""What each tracker of a run was told so far, kept in the run folder: who is added late, or failed, misses nothing."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, StrictBool, StrictInt, StrictStr, TypeAdapter, ValidationError

from core.errors import UserError, first_problem
from core.filing.json_file import read_json

FOLDER, NOTE = "trackers", "told.json"


@dataclass(frozen=True)
class Told:
    """What one tracker knows.

    Attributes:
        known_as: what it calls the run (`Tracker.begin`); None before the first call.
        epochs: how many rows of the log it has.
        finished: whether it was told how the run ended.
    """

    known_as: StrictStr | None = None
    epochs: Annotated[StrictInt, Field(ge=0)] = 0
    finished: StrictBool = False


def place_of(folder: Path, name: str) -> Path:
    """Return the folder of a tracker in a run folder."""
    return folder / FOLDER / name


def told_so_far(place: Path) -> Told:
    """Return what the note in a tracker's folder says; without one it knows nothing.

    Raises:
        OSError, UserError: it cannot be read, or is none.
    """
    if not (place / NOTE).exists():
        return Told()
    try:
        return TypeAdapter(Told).validate_python(read_json(place / NOTE))
    except ValidationError as errors:
        raise UserError(f"{place / NOTE} is not one of ours ({first_problem(errors)}): delete {place}") from None


def all_told(folder: Path, names: Iterable[str]) -> bool:
    """Say whether every one of these trackers knows how the run in a folder ended."""
    try:
        return all(told_so_far(place_of(folder, name)).finished for name in names)
    except (OSError, UserError):
        return False
