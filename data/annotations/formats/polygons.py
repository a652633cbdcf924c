"""Polygons: what they claim of a picture, and those that claim exactly what a mask does.

Coordinates are COCO's: a pixel is a square of side 1, the picture goes from (0, 0) to (width, height). `filled` gives
the pixels that pycocotools gives, to the last one (`rleFrPoly`: outlines on a grid five times as fine).
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np

from data.annotations.formats.region import Size, number, shown
from data.decoders.opening import PictureError

OUTSIDE = 1.0  # pixels that a vertex may lie outside of its picture; what is there claims nothing
_FINER = 5
_LONGEST = 50_000_000  # steps of an outline on the fine grid: several gigabytes beyond it

Ring = np.ndarray  # [vertices, 2] float64: x, y


def ring_of(flat: Any, size: Size, where: str, scale: tuple[float, float] = (1.0, 1.0)) -> Ring:
    """Return a polygon that a file has as x, y, x, y, ..., in pixels.

    Args:
        scale: pixels of a unit along x and y.

    Raises:
        PictureError: they are no such numbers, fewer than three vertices, or lie outside of the picture.
    """
    if not isinstance(flat, list):
        raise PictureError(f"{where}: {shown(flat)} is no polygon (x, y, x, y, ...)")
    values = np.array([number(value, where) for value in flat])
    if len(values) % 2 or len(values) < 6:
        raise PictureError(f"{where}: a polygon of {len(values)} numbers: it needs two for each of 3 vertices or more")
    ring = values.reshape(-1, 2) * scale
    require_inside(ring, size, where)
    return ring


def require_inside(ring: Ring, size: Size, where: str) -> None:
    """Raise PictureError where a vertex lies further outside of a picture than `OUTSIDE`."""
    height, width = size
    beyond = (ring < -OUTSIDE) | (ring > np.array([width, height]) + OUTSIDE)
    if beyond.any():
        x, y = ring[beyond.any(axis=1)][0]
        raise PictureError(
            f"{where}: a polygon outside of the picture: ({x:g}, {y:g}), which has {width} x {height} pixels"
        )


def filled(rings: Sequence[Ring], size: Size, where: str) -> np.ndarray:
    """Return what polygons claim together, [H, W] bool.

    Raises:
        PictureError: an outline is longer than one of a picture can be.
    """
    mask = np.zeros(size, bool)
    for ring in rings:
        columns, sides = _filled(ring, size, where)
        mask[:, columns] |= sides
    return mask


def _filled(ring: Ring, size: Size, where: str) -> tuple[slice, np.ndarray]:
    """Return the columns that a polygon reaches, and what it claims of them, [H, columns] bool."""
    height, width = size
    # As C does: towards zero.
    points = np.trunc(_FINER * ring + 0.5).astype(np.int64)
    start, end = points, np.roll(points, -1, axis=0)
    steps = np.abs(end - start).max(axis=1)
    if (steps.sum() + len(steps)) > _LONGEST:
        raise PictureError(f"{where}: an outline of {steps.sum() // _FINER} pixels, too long for one of a picture")
    u, v = _walked(start, end, steps)
    # Where an outline goes from one column to the next, what lies below it changes sides.
    crossing = u[1:] != u[:-1]
    column = (np.minimum(u[1:], u[:-1])[crossing] + 0.5) / _FINER - 0.5
    row = np.ceil(np.clip((np.minimum(v[1:], v[:-1])[crossing] + 0.5) / _FINER - 0.5, 0, height)).astype(np.int64)
    kept = (np.floor(column) == column) & (column >= 0) & (column <= width - 1)
    column, row = column[kept].astype(np.int64), row[kept]
    if not len(column):
        return slice(0, 0), np.zeros((height, 0), bool)
    first, count = int(column.min()), int(np.ptp(column)) + 1
    # A closed outline crosses a column as often one way as the other, the last time at its lower end, perhaps.
    toggles = np.bincount((column - first) * (height + 1) + row, minlength=count * (height + 1))
    sides = toggles.reshape(count, height + 1)[:, :height].cumsum(axis=1) % 2
    return slice(first, first + count), sides.astype(bool).T


def _walked(start: np.ndarray, end: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points of all edges, one after the other: x and y on the fine grid."""
    edge = np.repeat(np.arange(len(steps)), steps + 1)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    delta = np.abs(end - start)
    is_flat = delta[:, 0] >= delta[:, 1]
    flipped = np.where(is_flat, start[:, 0] > end[:, 0], start[:, 1] > end[:, 1])
    first, last = np.where(flipped[:, None], end, start), np.where(flipped[:, None], start, end)
    across = np.where(is_flat, last[:, 1] - first[:, 1], last[:, 0] - first[:, 0])
    slope = across / np.maximum(steps, 1)
    along = np.where(flipped[edge], steps[edge] - step, step)
    aside = np.trunc(np.where(is_flat, first[:, 1], first[:, 0])[edge] + slope[edge] * along + 0.5).astype(np.int64)
    ahead = np.where(is_flat, first[:, 0], first[:, 1])[edge] + along
    return np.where(is_flat[edge], ahead, aside), np.where(is_flat[edge], aside, ahead)


def outlines(mask: np.ndarray) -> list[Ring]:
    """Return polygons, one for each piece of a mask [H, W] bool, that claim its pixels and no other.

    Pieces are connected by sides. A hole is cut out by a slit to it and back, since none of the formats that take
    polygons alone has holes.
    """
    rings = _rings(mask)
    pieces = [ring for ring in rings if _area(ring) > 0]
    holes = [ring for ring in rings if _area(ring) < 0]
    owner = _pieces_of(mask, pieces)
    cut: dict[int, list[Ring]] = defaultdict(list)
    for hole in holes:
        cut[owner(hole)].append(hole)
    return [_with_slits(piece, cut[number]) for number, piece in enumerate(pieces)]


def _rings(mask: np.ndarray) -> list[Ring]:
    """Return the outlines along the sides of pixels: pieces clockwise (y goes down), holes the other way round."""
    padded = np.pad(mask, 1).astype(np.int8)
    following: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    below = np.diff(padded, axis=0)[:, 1:-1]  # 1 where the pixel above a horizontal side is out, the one below in
    beside = np.diff(padded, axis=1)[1:-1]
    for y, x in np.argwhere(below == 1).tolist():
        following[x, y].append((x + 1, y))
    for y, x in np.argwhere(below == -1).tolist():
        following[x + 1, y].append((x, y))
    for y, x in np.argwhere(beside == 1).tolist():
        following[x, y + 1].append((x, y))
    for y, x in np.argwhere(beside == -1).tolist():
        following[x, y].append((x, y + 1))
    rings = []
    for first in list(following):
        while first in following:
            rings.append(_corners(_followed(following, first)))
    return rings


def _followed(following: dict[tuple[int, int], list[tuple[int, int]]], first: tuple[int, int]) -> list[tuple[int, int]]:
    """Take one closed outline out of the sides that are left."""
    ring = [first]
    before = None
    while True:
        here = ring[-1]
        ways = following[here]
        way = ways[0]
        if len(ways) == 2 and before is not None:
            # Two corners meet: turning right stays on the piece, which is connected by sides alone.
            right = (here[0] - (here[1] - before[1]), here[1] + (here[0] - before[0]))
            way = right if right in ways else way
        ways.remove(way)
        if not ways:
            del following[here]
        if way == first:
            return ring
        before = here
        ring.append(way)


def _corners(ring: list[tuple[int, int]]) -> Ring:
    points = np.array(ring, np.float64)
    straight = ((points - np.roll(points, 1, axis=0)) == (np.roll(points, -1, axis=0) - points)).all(axis=1)
    return points[~straight]


def _area(ring: Ring) -> float:
    x, y = ring.T
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


def _pieces_of(mask: np.ndarray, pieces: Sequence[Ring]) -> Callable[[Ring], int]:
    """Return what tells which of the pieces a hole lies in: the piece that holds the pixel beside its outline."""
    _, numbers = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)

    def beside(ring: Ring) -> int:
        (x, y), (x2, y2) = ring[0].astype(int), ring[1].astype(int)
        dx, dy = int(np.sign(x2 - x)), int(np.sign(y2 - y))
        # The pixel to the right of the first step is inside.
        return int(numbers[y if dx + dy > 0 else y - 1, x if dx - dy > 0 else x - 1])

    known = {beside(piece): place for place, piece in enumerate(pieces)}
    return lambda hole: known[beside(hole)]


def _with_slits(piece: Ring, holes: Sequence[Ring]) -> Ring:
    """Return one outline of a piece and its holes, each reached from the vertex where the piece begins."""
    parts = [piece, piece[:1]] if holes else [piece]
    for hole in holes:
        parts += [hole, hole[:1], piece[:1]]
    return np.concatenate(parts)
