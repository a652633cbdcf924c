"""What every format of annotations comes to: categories, and regions of a picture in the order in which they lie."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from data.decoders.opening import PictureError

Size = tuple[int, int]  # height and width of a picture, upright
_LARGEST = 1e30  # beyond any coordinate, and what its square makes is still a number
_SHOWN_AT_MOST = 60  # letters of what stands in a file


@dataclass(frozen=True)
class Category:
    """What a format calls a class: by its name, and by a number where it has numbers."""

    name: str
    number: int | None = None


@dataclass(frozen=True)
class Region:
    """One annotation.

    Attributes:
        category: the name of its category.
        mask: [H, W] bool, what it claims.
        ignored: it says where nothing is learned or scored, whatever its category.
    """

    category: str
    mask: np.ndarray
    ignored: bool = False


class Annotations(Protocol):
    """The annotations of a set of pictures, in one file or in a file a picture."""

    @property
    def title(self) -> str:
        """The format."""

    @property
    def categories(self) -> Sequence[Category]:
        """Those that are listed, in their order; empty where only those count that regions name."""

    @property
    def pictures(self) -> Mapping[str, str] | None:
        """Of one file, key -> what it calls the picture; None where each picture has a file."""

    @property
    def files(self) -> Sequence[Path]:
        """What was read beside the annotations, such as a list of names."""

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know, a sentence each."""

    def regions(self, path: Path, key: str, size: Size) -> Iterator[Region]:
        """Yield the regions of a picture, those that lie above later.

        Raises:
            PictureError: they are damaged, or do not fit a picture of that size; names the entry.
        """


def require_size(found: Sequence[Any], size: Size, where: str) -> None:
    """See that height and width, as annotations state them, are those of their picture.

    Raises:
        PictureError: they are others, or no sizes at all.
    """
    height, width = size
    if all(type(side) is int for side in found) and tuple(found) == (height, width):
        return
    stated = " x ".join(shown(side) for side in reversed(found))
    turned = tuple(found) == (width, height) != (height, width)
    why = ": is it annotated as it was before its EXIF orientation turned it upright?" if turned else ""
    raise PictureError(f"{where}: {stated} pixels, its image has {width} x {height}{why}")


def number(value: Any, where: str) -> float:
    """Return a finite number.

    Raises:
        PictureError: it is none.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not -_LARGEST < value < _LARGEST:  # NaN too
        raise PictureError(f"{where}: {shown(value)} is no number of pixels")
    return float(value)


def shown(value: Any) -> str:
    """Return the beginning of what stands in a file, on one line."""
    if type(value) is int and abs(value) >= _LARGEST**2:  # Python writes no integer of thousands of digits
        return "an integer of more than 60 digits"
    text = f"{value!a}" if isinstance(value, str) else str(value).encode("unicode_escape").decode("ascii")
    return text if len(text) <= _SHOWN_AT_MOST else f"{text[:_SHOWN_AT_MOST]}..."
