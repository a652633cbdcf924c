"""Annotations of labelling tools laid over each other: each region over those that stand before it in the file."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from core.classes import IGNORED
from data.annotations.formats.region import Annotations, Size
from data.annotations.layers import LayerCounts
from data.annotations.scan import Found, Tally

CROWD = "(ignored)"  # what regions claim that are neither learned nor scored; no category has this name
_UNCLAIMED = -1


def count_regions(annotations: Annotations, path: Path, key: str, size: Size) -> LayerCounts:
    """Count what a picture's regions claim; of pixels that two claim the upper one, `overlapping` those of two classes.

    Raises:
        PictureError: as `Annotations.regions`.
    """
    names: dict[str, int] = {}
    laid, overlapping = _lay(annotations, path, key, size, lambda name: names.setdefault(name, len(names)))
    counts = np.bincount(laid.ravel() + 1, minlength=len(names) + 1).tolist()
    claimed = {name: counts[number + 1] for name, number in names.items()}
    return LayerCounts(*size, claimed, counts[0], overlapping)


def add_regions(tally: Tally, counts: LayerCounts, file: str) -> None:
    """Count one more picture's regions."""
    tally.masks += 1
    tally.pixels += counts.height * counts.width
    for name, pixels in counts.claimed.items():
        where = tally.layers.setdefault(name, Found())
        if pixels:
            where.add(pixels, file)
    for where, pixels in ((tally.unclaimed, counts.unclaimed), (tally.overlapping, counts.overlapping)):
        if pixels:
            where.add(pixels, file)


def label_of_regions(
    annotations: Annotations, path: Path, key: str, size: Size, labels: Mapping[str, int], rest: int
) -> np.ndarray:
    """Return the label [H, W] uint8 of a picture; `rest` is that of pixels that nothing claims.

    Raises:
        PictureError: as `Annotations.regions`.
    """
    laid, _ = _lay(annotations, path, key, size, lambda name: labels.get(name, IGNORED))
    return np.where(laid == _UNCLAIMED, rest, laid).astype(np.uint8)


def _lay(
    annotations: Annotations, path: Path, key: str, size: Size, number_of: Callable[[str], int]
) -> tuple[np.ndarray, int]:
    """Return the number [H, W] of what lies uppermost, and how many pixels two of different numbers claim."""
    laid = np.full(size, _UNCLAIMED, np.int32)
    overlapping = np.zeros(size, bool)
    for region in annotations.regions(path, key, size):
        number = number_of(CROWD if region.ignored else region.category)
        overlapping |= region.mask & (laid != _UNCLAIMED) & (laid != number)
        laid[region.mask] = number
    return laid, int(overlapping.sum())
