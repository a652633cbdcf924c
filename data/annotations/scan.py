"""What the masks of a set hold: pixels of every value, counted file by file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from data.annotations.canonical import WHITE, Canonical, Kind, read_canonical, unpack

# More than any mask holds: beyond it values are no longer told apart, so that photographs taken for masks cost nothing.
MOST_VALUES = 4096
# An edge: both black and white, nearly, lie within so many pixels.
EDGE_PIXELS = 4
# A grey that is neither nearly black nor nearly white.
MIDDLE = range(32, 224)


@dataclass(frozen=True)
class MaskCounts:
    """What one mask file holds.

    Attributes:
        height, width: in pixels, upright.
        kind, step: as of `Canonical`.
        pixels: of each value, at most `MOST_VALUES`.
        palette: of indices that are in use, the packed colour; of greys alone too, whose greys `pixels` counts.
        between: pixels of a grey in the middle.
        at_edges: how many of those lie at an edge: black and white, nearly, within `EDGE_PIXELS`.
        transparent: pixels taken as black.
    """

    height: int
    width: int
    kind: Kind
    step: int
    pixels: Mapping[int, int]
    palette: Mapping[int, int]
    between: int = 0
    at_edges: int = 0
    transparent: int = 0


@dataclass
class Found:
    """Where a value was found: pixels, masks, and the first of those."""

    pixels: int = 0
    masks: int = 0
    first: str = ""

    def add(self, pixels: int, file: str) -> None:
        """Count one more mask."""
        self.pixels += pixels
        self.masks += 1
        self.first = self.first or file

    def merge(self, other: "Found") -> None:
        """Count all that another counted, of other masks."""
        self.pixels += other.pixels
        self.masks += other.masks
        self.first = min(filter(None, (self.first, other.first)), default="")


@dataclass
class Tally:
    """What a whole set of masks holds.

    Attributes:
        found: (kind, step, value) -> where.
        colours: packed colour of an index -> where; as `found` for palettes read by colour.
        beside_white: masks that hold 255 and another value that is not 0.
        black_and_white: masks that hold 0 and 255 alone.
        palette: index -> packed colour, of those in use.
        shown: (index, packed colour) of palettes of greys alone -> where, until it is settled how those count.
        palettes_differ: an index has another colour in another file, so that indices mean nothing.
        layers: where there is one file a class, its name -> where.
        unclaimed, overlapping: pixels of no such file, and of two.
    """

    masks: int = 0
    pixels: int = 0
    between: int = 0
    at_edges: int = 0
    beside_white: int = 0
    black_and_white: int = 0
    found: dict[tuple[Kind, int, int], Found] = field(default_factory=dict)
    colours: dict[int, Found] = field(default_factory=dict)
    palette: dict[int, int] = field(default_factory=dict)
    palettes_differ: bool = False
    shown: dict[tuple[int, int], Found] = field(default_factory=dict)
    transparent: Found = field(default_factory=Found)
    layers: dict[str, Found] = field(default_factory=dict)
    unclaimed: Found = field(default_factory=Found)
    overlapping: Found = field(default_factory=Found)

    def add(self, counts: MaskCounts, file: str) -> None:
        """Count one more mask."""
        self.masks += 1
        self.pixels += counts.height * counts.width
        self.between += counts.between
        self.at_edges += counts.at_edges
        self.beside_white += WHITE in counts.pixels and any(value not in (0, WHITE) for value in counts.pixels)
        self.black_and_white += counts.pixels.keys() == {0, WHITE}
        if counts.transparent:
            self.transparent.add(counts.transparent, file)
        if counts.kind == "grey" and counts.palette:
            for index, colour in counts.palette.items():
                self.shown.setdefault((index, colour), Found()).add(counts.pixels[colour & WHITE], file)
            return
        for value, pixels in counts.pixels.items():
            key = counts.kind, counts.step, value
            if key in self.found or len(self.found) < MOST_VALUES:
                self.found.setdefault(key, Found()).add(pixels, file)
        for index, colour in counts.palette.items():
            self.palettes_differ |= self.palette.setdefault(index, colour) != colour
            if colour in self.colours or len(self.colours) < MOST_VALUES:
                self.colours.setdefault(colour, Found()).add(counts.pixels[index], file)

    def settle_palettes(self, by_index: bool) -> None:
        """Count palettes of greys alone among other palettes, or as the greys that they show."""
        for (index, colour), where in self.shown.items():
            key: tuple[Kind, int, int] = ("palette", 1, index) if by_index else ("grey", 1, colour & WHITE)
            self.found.setdefault(key, Found()).merge(where)
            if by_index:
                self.palettes_differ |= self.palette.setdefault(index, colour) != colour
                self.colours.setdefault(colour, Found()).merge(where)
        self.shown.clear()

    def commonest(self, count: int) -> list[tuple[str, Found]]:
        """Return what most pixels hold, in words, and where: values, indices, colours, or the files of a class."""
        held = [(key, where) for key, where in self.layers.items()]
        for (kind, step, value), where in self.found.items():
            red, green, blue = unpack(value) if kind == "colour" else (0, 0, 0)
            words = {
                "grey": str(value),
                "narrow": f"{value} of 0 to {255 // step}",
                "palette": f"index {value}",
                "colour": f"({red}, {green}, {blue})",
            }
            held.append((words[kind], where))
        return sorted(held, key=lambda told: -told[1].pixels)[:count]

    @property
    def kinds(self) -> set[Kind]:
        """The kinds of files there are."""
        return {kind for kind, _, _ in self.found}


def count_mask(path: Path) -> MaskCounts:
    """Count what a mask holds; a file that did not change is not read twice by one process.

    Raises:
        PictureError: no mask, or damaged.
    """
    status = path.stat()
    return _count(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1 << 17)
def _count(path: Path, size: int, changed: int) -> MaskCounts:
    mask = read_canonical(path)
    height, width = mask.values.shape
    pixels = count_values(mask.values)
    indices = pixels if mask.kind == "palette" else () if mask.indices is None else count_values(mask.indices)
    used = {index: mask.palette[index] for index in indices}
    between, at_edges = _count_between(mask, pixels)
    return MaskCounts(height, width, mask.kind, mask.step, pixels, used, between, at_edges, mask.transparent)


def count_values(values: np.ndarray) -> dict[int, int]:
    """Return the pixels of each value of [H, W] integers; of more than `MOST_VALUES` those with most pixels."""
    if values.dtype == np.uint8:
        counts = np.bincount(values.ravel(), minlength=256)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    # Masks are made of long runs: sorting their starts alone is many times faster than sorting pixels.
    line = values.ravel()
    starts = np.flatnonzero(np.concatenate([[True], line[1:] != line[:-1]]))
    lengths = np.diff(np.append(starts, line.size))
    kept, inverse = np.unique(line[starts], return_inverse=True)
    counts = np.bincount(inverse, weights=lengths).astype(np.int64)
    most = np.sort(np.argsort(-counts, kind="stable")[:MOST_VALUES])
    return {int(kept[place]): int(counts[place]) for place in most}


def _count_between(mask: Canonical, pixels: Mapping[int, int]) -> tuple[int, int]:
    """Return how many pixels are neither nearly black nor nearly white, and how many of those lie between the two."""
    if mask.kind != "grey" or mask.values.dtype != np.uint8 or not any(value in MIDDLE for value in pixels):
        return 0, 0
    window = np.ones((2 * EDGE_PIXELS + 1,) * 2, np.uint8)
    black, white = mask.values < MIDDLE.start, mask.values >= MIDDLE.stop
    near_black, near_white = (cv2.dilate(end.astype(np.uint8), window).astype(bool) for end in (black, white))
    between = ~(black | white)
    return int(between.sum()), int((between & near_black & near_white).sum())
