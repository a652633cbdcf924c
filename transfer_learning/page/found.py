"""What a network found in pictures, kept in files: that of several users at once would not fit into memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.classes import ClassSet
from data.pictures import read_mask
from transfer_learning.inference.files import Areas

if TYPE_CHECKING:
    from transfer_learning.page.looking import Looker


@dataclass(frozen=True)
class Shown:
    """A picture to look at, its longer side 1024 px at most.

    Attributes:
        title: what it shows.
        path: of a PNG or a JPEG.
    """

    title: str
    path: Path


@dataclass(frozen=True)
class Found:
    """What one network found in one picture.

    Attributes:
        record: as predictions.json says it, without the places of files.
        areas: of the classes.
        result: name of its results, without the suffix that they get.
        mask: indexed PNG at the picture's own size; its values are the classes.
        overlay: PNG at the picture's own size.
        shown: picture, overlay and mask.
        speaks: for each class that was found, what speaks for it.
        unexplained: why nothing is said of that; None where it is.
    """

    record: dict[str, Any]
    areas: Areas
    result: str
    mask: Path
    overlay: Path
    shown: tuple[Shown, ...]
    speaks: tuple[Shown, ...]
    unexplained: str | None

    @property
    def name(self) -> str:
        """The picture's name."""
        return self.record["file"]

    @property
    def classes(self) -> ClassSet:
        """The classes, in the colours of mask and overlay."""
        return self.areas.class_set

    def labels(self) -> np.ndarray:
        """Return the mask [H, W] uint8."""
        return read_mask(self.mask)


@dataclass(frozen=True)
class Results:
    """What one network found in all pictures of a call.

    Attributes:
        looker: the network.
        found: of each picture that could be read.
        unread: name and reason of the others.
    """

    looker: "Looker"
    found: Sequence[Found]
    unread: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """What all networks found in the pictures of a call.

    Attributes:
        folder: holds all files of it.
        results: one a network, of the same pictures.
        unread: name and reason of each file that one of them could not take.
        alike: of each picture, the share of pixels to which two networks of the same classes give the same one; None of
            one network, or of different classes.
    """

    folder: Path
    results: tuple[Results, ...]
    unread: Sequence[tuple[str, str]]
    alike: Sequence[float | None]

    @property
    def names(self) -> list[str]:
        """The pictures that were read."""
        return [found.name for found in self.results[0].found]
