"""Files that only their suffixes tell apart: two pictures of one name, or two masks of one picture.

Where both hold the same, the first is used and the other told; where they differ nobody knows which counts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from core.errors import UserError
from core.files import read_bytes
from data.annotations.canonical import Canonical, read_canonical
from data.decoders.opening import PictureError
from data.pictures import look_at, read_deep, read_picture
from data.sources.own.names import printable
from data.sources.own.walking import Told


class Twin(NamedTuple):
    """A file that comes second.

    Attributes:
        taken: the file that came first.
        path: this one.
        name, key: of the picture, and of the class where each class has a mask file.
    """

    taken: Path
    path: Path
    name: str
    key: str = ""


class TwinError(Exception):
    """A picture or a mask of this name is there already, of another suffix."""

    def __init__(self, twin: Twin) -> None:
        self.twin = twin
        super().__init__()


def second(twin: Twin) -> TwinError | PictureError:
    """Return the error of a file that comes second: of a name coded in other letters of Unicode it says so."""
    other = twin.taken.with_suffix("") != twin.path.with_suffix("")
    return PictureError(_looks_like(twin)) if other else TwinError(twin)


def settle_pictures(twins: Sequence[Twin], tell: Told) -> list[str]:
    """Tell of pictures that are there twice, which leaves the first of each.

    Returns:
        the names under which none is left, as two differ that only the case of their suffixes tells apart.

    Raises:
        UserError: two differ, and in more than the case of their suffix: one could be the mask of the other.
    """
    unknown: list[str] = []
    for twin in twins:
        try:
            same = _same_bytes(twin) or np.array_equal(_picture(twin.taken), _picture(twin.path))
        except PictureError:
            same = False
        if same:
            tell(twin.path, f"the same picture as {twin.taken.name}, which is used")
        elif _differ_in_case(twin):
            for path, other in ((twin.path, twin.taken), (twin.taken, twin.path)):
                if path == twin.path or twin.name not in unknown:
                    tell(path, f"another picture than {other.name}, which would get the same name: rename one")
            unknown.append(twin.name)
        else:
            raise UserError(
                f"{printable(twin.taken)} and {twin.path.name} would get the same name, but differ{_of(twins)}: rename "
                f"one, or say with --mask_pattern '{{name}}{twin.path.suffix}' that one is the other's mask"
            )
    return unknown


def settle_masks(twins: Sequence[Twin], pattern: str, tell: Told) -> list[Twin]:
    """Tell of masks that are there twice; returns those that count instead of the first, which is no mask at all.

    Args:
        pattern: by which they were found.

    Raises:
        UserError: two differ.
    """
    instead = []
    for twin in twins:
        if _same_bytes(twin):
            tell(twin.path, f"the same mask as {twin.taken.name}, which is used")
            continue
        (first, reason), (second, other_reason) = _mask(twin.taken), _mask(twin.path)
        if second is None:
            tell(twin.path, other_reason)
        elif first is None:
            tell(twin.taken, reason)
            instead.append(twin)
        elif _is_same(first, second):
            tell(twin.path, f"the same mask as {twin.taken.name}, which is used")
        else:
            which = "" if _differ_in_case(twin) else _which(pattern, twin)
            raise UserError(
                f"{printable(twin.taken)} and {printable(twin.path)} are both masks of {twin.name}, but "
                f"differ{_of(twins)}: remove one{which}"
            )
    return instead


def _looks_like(twin: Twin) -> str:
    return f"its name looks the same as that of {printable(twin.taken)}, which is taken: rename it"


def _differ_in_case(twin: Twin) -> bool:
    return twin.taken.suffix.lower() == twin.path.suffix.lower()


def _which(pattern: str, twin: Twin) -> str:
    suffix = ".png" if twin.taken.suffix.lower() == ".png" else twin.path.suffix
    return f", or say which counts with --mask_pattern '{pattern}{suffix}'"


def _of(twins: Sequence[Twin]) -> str:
    return f" (of {len(twins)} such pairs)" if len(twins) > 1 else ""


def _same_bytes(twin: Twin) -> bool:
    try:
        return twin.taken.stat().st_size == twin.path.stat().st_size and read_bytes(twin.taken) == read_bytes(twin.path)
    except (OSError, UserError):
        return False


def _picture(path: Path) -> np.ndarray:
    return read_deep(path) if look_at(path).bits > 8 else read_picture(path, ground="white")[0]


def _mask(path: Path) -> tuple[Canonical | None, str]:
    """Return a mask, or why it is none."""
    try:
        return read_canonical(path), ""
    except PictureError as error:
        return None, str(error)


def _is_same(first: Canonical, second: Canonical) -> bool:
    """Say whether two masks look the same, or have the same values where those are no colours."""
    try:
        return np.array_equal(first.as_colours(), second.as_colours())
    except PictureError:
        return "colour" not in (first.kind, second.kind) and np.array_equal(
            first.as_values(spread=True), second.as_values(spread=True)
        )
