"""Pictures for networks to be measured on, drawn in memory: what they show has no say in how long a network takes."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from core.sides import MAX_SIZE, sides_of
from data.geometry import fit
from data.manifest import SPLITS, Counts, Manifest
from data.split import Split

PATCHES = 8  # of one class, along each side of a label
SEED = 0


@dataclass(frozen=True)
class Pictures:
    """What pictures are like.

    Attributes:
        size: height and width.
        classes: that their labels tell apart, as a number.
        channels: 1 or 3.
    """

    size: tuple[int, int]
    classes: int
    channels: int

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= 254:
            raise UserError(f"num_classes {self.classes} must lie between 2 and 254")
        if not 1 <= min(self.size) <= max(self.size) <= MAX_SIZE:
            raise UserError(f"size {'x'.join(map(str, self.size))}: sides have 1 to {MAX_SIZE} px")

    @classmethod
    def of(cls, size: int | str, classes: int, channels: int) -> "Pictures":
        """Take a size as `--size` takes it."""
        return cls(sides_of(size), classes, channels)


def drawn_split(pictures: Pictures, count: int) -> Split:
    """Return so many labelled pictures as a split: noise, labelled in patches, the same at every call."""
    random = np.random.default_rng(SEED)
    height, width = pictures.size
    images = random.integers(0, 256, (count, height, width, pictures.channels), dtype=np.uint8)
    coarse = random.integers(0, pictures.classes, (count, PATCHES, PATCHES), dtype=np.uint8)
    labels = [cv2.resize(label, (width, height), interpolation=cv2.INTER_NEAREST) for label in coarse]
    geometry = fit(height, width, height, width, "stretch")
    names = [f"{number:04d}" for number in range(count)]
    return Split(
        name="Train",
        data_dir=Path(),
        manifest=_manifest(pictures, count),
        names=names,
        label_rows=np.arange(count),
        tags={},
        strata=[None] * count,
        groups=names,
        contents=np.zeros(count, np.int64),
        digests=[""] * count,
        images=images,
        labels=np.stack(labels),
        rectangles=np.array([geometry.rectangle] * count, np.int64),
        geometries=[geometry] * count,
    )


def _manifest(pictures: Pictures, count: int) -> Manifest:
    return Manifest(
        format_version=3,
        dataset="noise",
        source={},
        size=pictures.size,
        resize_mode="stretch",
        seed=SEED,
        ratios={},
        class_set=ClassSet(tuple(f"class {number}" for number in range(pictures.classes)), background=None),
        channels=pictures.channels,
        stratum=None,
        tags=(),
        counts={name: Counts(count, count) for name in SPLITS},
        fingerprint="0" * 64,
    )
