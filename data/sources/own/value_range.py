"""The one range by which a whole set of deep pictures is brought to 8 bits."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from core.errors import UserError
from data.pictures import PictureError, read_deep

# Of all pixels of the set: what lies beyond is cut off, so that a few hot or dead pixels do not flatten the rest.
PERCENTILES = 0.1, 99.9
_BINS = 1 << 16

Map = Callable[[Callable[[Path], np.ndarray | None], Iterable[Path]], Iterator[np.ndarray | None]]


def find_range(paths: Callable[[], Iterable[Path]], mapped: Map) -> tuple[float, float] | None:
    """Return the 0.1 and 99.9 percentile of all pixels of pictures deeper than 8 bits; None if none can be read.

    Integers within 65,536 of each other are counted exactly, other numbers in so many steps from the least to the
    largest. Memory does not grow with the set.

    Args:
        paths: gives the pictures, from the first each time.
        mapped: maps over them in order, through threads.
    """
    ends = [pair for pair in mapped(_ends, paths()) if pair is not None]
    if not ends:
        return None
    low, high = min(pair[0] for pair in ends), max(pair[1] for pair in ends)
    counts = np.zeros(_BINS, np.int64)
    whole = all(pair[2] for pair in ends) and high - low < _BINS
    step = 1.0 if whole or high == low else (high - low) / (_BINS - 1)
    for found in mapped(partial(_histogram, low=low, step=step), paths()):
        counts += 0 if found is None else found
    below = np.cumsum(counts) / counts.sum()
    first, last = (int(np.searchsorted(below, percentile / 100)) for percentile in PERCENTILES)
    if first == last:
        return float(low), float(high) if high > low else float(low) + 1
    return float(low + first * step), float(low + last * step)


def require_within(value_range: tuple[float, float], paths: Iterable[Path], mapped: Map) -> None:
    """See that a range tells the pixels of one picture at least apart; it is looked no further than that.

    Args:
        paths, mapped: as of `find_range`.

    Raises:
        UserError: every picture would be one grey, as all its pixels lie beyond the range.
    """
    least, most = value_range
    low, high = np.inf, -np.inf
    for pair in mapped(_ends, paths):
        if pair is None:
            continue
        if pair[0] < most and pair[1] > least:
            return
        low, high = min(low, pair[0]), max(high, pair[1])
    if low <= high:
        raise UserError(
            f"--range {least:g} {most:g} makes every picture one grey: they hold {low:g} to {high:g}; give a range "
            "within that, or leave --range out"
        )


def _ends(path: Path) -> np.ndarray | None:
    values = _values(path)
    return None if values is None else np.array([values.min(), values.max(), values.dtype.kind in "iu"], np.float64)


def _histogram(path: Path, low: float, step: float) -> np.ndarray | None:
    values = _values(path)
    if values is None:
        return None
    return np.bincount(((values.astype(np.float64) - low) / step).round().astype(np.int64), minlength=_BINS)


def _values(path: Path) -> np.ndarray | None:
    """Return the finite values of a picture; None where it cannot be read, which its own reading will tell."""
    try:
        values = read_deep(path).ravel()
    except PictureError:
        return None
    values = values[np.isfinite(values)]
    return values if values.size else None
