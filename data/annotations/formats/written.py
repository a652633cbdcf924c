"""What every format is written from: labels of pictures, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.classes import ClassSet


@dataclass(frozen=True)
class Written:
    """A picture and its label.

    Attributes:
        name: the picture's, relative to its folder, with "/" between its parts and its suffix.
        result: what its own files are called, without a suffix.
        file: the picture.
        label: reads the label [H, W] uint8, classes alone.
        score: mean confidence, 0 to 1.
        folder: where what is written will lie in the end.
    """

    name: str
    result: str
    file: Path
    label: Callable[[], np.ndarray]
    score: float
    folder: Path


def looked_for(classes: ClassSet) -> tuple[int, ...]:
    """Return the classes that are written: all but the background, which is what nothing claims when it is read.

    A background of another name, or another place than the first, is written too, so that both survive.
    """
    is_usual = classes.background == 0 and classes.names[0] == "background"
    return tuple(range(is_usual, len(classes)))
