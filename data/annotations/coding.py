"""What the numbers of masks stand for: decided once for a whole set, then applied to every mask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from core.classes import IGNORED, ClassSet
from data.annotations.canonical import read_canonical, unpack
from data.annotations.formats.region import Annotations, Size
from data.annotations.layers import label_of_layers
from data.annotations.laying import label_of_regions
from data.pictures import PictureError

Reading = Literal["values", "colours", "layers", "regions"]
# A picture's masks: (class, file), the class "" where one file holds all classes; of annotations (its key, file).
Masks = Sequence[tuple[str, Path]]
# From here on a grey is foreground, where a binary mask was blurred.
THRESHOLD = 128


@dataclass(frozen=True)
class Meaning:
    """What one value, colour or folder of a set of masks became.

    Attributes:
        code: 255, (0, 0, 142) or a folder's name.
        becomes: a class's name, or "ignored".
        pixels, masks, first: where it was found: in how many pixels and masks, and the first of these.
    """

    code: str
    becomes: str
    pixels: int
    masks: int
    first: str


@dataclass(frozen=True)
class Coding:
    """How masks become labels.

    Attributes:
        class_set: the classes.
        reading: by values (or indices of a palette), by colours, as layers: one binary file a class, or as regions:
            annotations of a labelling tool.
        labels: number -> label; packed colours are numbers.
        layers: class's file, or category -> label.
        rest: label of what no layer or region claims.
        annotations: of regions, what reads them.
        spread: whether values of 1, 2 and 4 bits are the greys that a viewer shows.
        by_index: whether palettes of greys alone give their indices, as colourful palettes of the set do.
        binary: whether greys are told apart by `THRESHOLD` alone.
        meanings: for people, one a value found.
        notes: what a person should know, a sentence each.
        yaml: what --classes would say explicitly; empty where it said so.
    """

    class_set: ClassSet
    reading: Reading
    labels: Mapping[int, int] = field(default_factory=dict)
    layers: Mapping[str, int] = field(default_factory=dict)
    rest: int = IGNORED
    annotations: Annotations | None = None
    spread: bool = False
    by_index: bool = False
    binary: bool = False
    meanings: Sequence[Meaning] = ()
    notes: Sequence[str] = ()
    yaml: str = ""

    def label(self, masks: Masks, size: Size) -> np.ndarray:
        """Return the label [H, W] uint8 of a picture of this height and width, classes or 255.

        Raises:
            PictureError: a file is damaged, or holds what was not there when the meaning was decided.
        """
        if self.reading == "layers":
            return label_of_layers(masks, self.layers, self.rest)
        ((key, path),) = masks
        if self.annotations:
            return label_of_regions(self.annotations, path, key, size, self.layers, self.rest)
        mask = read_canonical(path)
        if self.reading == "colours":
            return _looked_up(mask.as_colours(), self.labels, colours=True)
        if mask.kind == "colour":
            raise PictureError("holds colours, unlike the masks that were looked at")
        values = mask.as_values(self.spread, self.by_index)
        return _looked_up((values >= THRESHOLD).astype(np.uint8) if self.binary else values, self.labels)


def code_text(number: int, colours: bool) -> str:
    """Return a value or a packed colour as a person reads it."""
    return str(unpack(number)) if colours else str(number)


def _looked_up(numbers: np.ndarray, labels: Mapping[int, int], colours: bool = False) -> np.ndarray:
    """Return the labels of numbers [H, W]."""
    known = np.array(sorted(labels), np.int64)
    table = np.array([labels[number] for number in known.tolist()], np.uint8)
    if numbers.dtype == np.uint8:
        direct = np.full(256, -1, np.int16)
        inside = (known >= 0) & (known < 256)
        direct[known[inside]] = table[inside]
        label = direct[numbers]
        unknown = label < 0
    else:
        places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        label, unknown = table[places], known[places] != numbers
    if unknown.any():
        found = np.unique(numbers[unknown])[:5].tolist()
        told = ", ".join(code_text(number, colours) for number in found)
        raise PictureError(f"holds {told}, which is no class and was not there when the masks were looked at")
    return label.astype(np.uint8)
