"""One binary file a class: what each claims of a picture, laid together.

A file holds 0 and one other number; or black and white with greys between them at edges, where 128 and above is the
class. A pixel that two classes claim is ignored: nobody says which one holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.classes import IGNORED
from data.annotations.canonical import read_canonical
from data.annotations.scan import Found, Tally, count_mask
from data.pictures import PictureError

_HALF_WHITE = 128
AT_EDGES_SHARE = 0.95


@dataclass(frozen=True)
class LayerCounts:
    """What the files of one picture claim: pixels of each class, of none, and of more than one."""

    height: int
    width: int
    claimed: Mapping[str, int]
    unclaimed: int
    overlapping: int


def count_layers(masks: Sequence[tuple[str, Path]]) -> LayerCounts:
    """Count what a picture's files, (class, file) each, claim; unchanged files are not read twice by one process.

    Raises:
        PictureError: a file is damaged or not binary, or they are of several sizes.
    """
    stamps = tuple((path.stat().st_size, path.stat().st_mtime_ns) for _, path in masks)
    return _count(tuple(masks), stamps)


@lru_cache(maxsize=1 << 17)
def _count(masks: tuple[tuple[str, Path], ...], stamps: tuple[tuple[int, int], ...]) -> LayerCounts:
    claims: np.ndarray | None = None
    claimed: dict[str, int] = {}
    for key, layer in _layers(masks):
        claims = layer.astype(np.uint8) if claims is None else claims + layer
        claimed[key] = int(layer.sum())
    assert claims is not None, "a picture with masks has at least one file"
    height, width = claims.shape
    return LayerCounts(height, width, claimed, int((claims == 0).sum()), int((claims > 1).sum()))


def add_layers(tally: Tally, counts: LayerCounts, masks: Sequence[tuple[str, Path]]) -> None:
    """Count one more picture's files."""
    files = {key: str(path) for key, path in masks}
    tally.masks += 1
    tally.pixels += counts.height * counts.width
    for key, pixels in counts.claimed.items():
        where = tally.layers.setdefault(key, Found())
        if pixels:
            where.add(pixels, files[key])
    for where, pixels in ((tally.unclaimed, counts.unclaimed), (tally.overlapping, counts.overlapping)):
        if pixels:
            where.add(pixels, str(masks[0][1]))


def label_of_layers(masks: Sequence[tuple[str, Path]], labels: Mapping[str, int], rest: int) -> np.ndarray:
    """Return the label [H, W] uint8 of a picture's files; `rest` is that of pixels that none claims.

    Raises:
        PictureError: as `count_layers`.
    """
    label: np.ndarray | None = None
    for key, layer in _layers(masks):
        if label is None:
            label, claimed = np.full(layer.shape, rest, np.uint8), np.zeros(layer.shape, bool)
        label[layer] = labels.get(key, IGNORED)
        label[layer & claimed] = IGNORED
        claimed |= layer
    assert label is not None, "a picture with masks has at least one file"
    return label


def _layers(masks: Sequence[tuple[str, Path]]) -> Iterator[tuple[str, np.ndarray]]:
    shape = None
    for key, path in masks:
        layer = _read_layer(path)
        if shape not in (None, layer.shape):
            raise PictureError(f"{key}: {layer.shape[1]} x {layer.shape[0]} pixels, the class before has {shape[::-1]}")
        shape = layer.shape
        yield key, layer


def _read_layer(path: Path) -> np.ndarray:
    """Return where a binary file claims its class, [H, W] bool."""
    mask, counts = read_canonical(path), count_mask(path)
    if mask.kind != "colour":
        if len([value for value in counts.pixels if value]) <= 1:
            return mask.values != 0
        if counts.between and counts.at_edges >= AT_EDGES_SHARE * counts.between:
            return mask.values >= _HALF_WHITE
    found = ", ".join(map(str, sorted(counts.pixels)[:5]))
    raise PictureError(
        f"{path.name} holds {found}{', ...' if len(counts.pixels) > 5 else ''}: a file of one class is binary"
    )
