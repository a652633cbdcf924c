"""Overlapping windows over a picture, and weights that put their results together without seams.

Windows form a grid, so a weight is a product of one along the rows and one along the columns. Each is divided by the
sum of its axis once, which makes the weights of all windows sum to one at every pixel: no array of sums is kept, and
memory depends on the picture alone, however many windows there are.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np

# Deviation of the Gaussian as a share of the window (Isensee et al. 2021, nnU-Net).
SIGMA = 1 / 8


def window_starts(length: int, window: int, overlap: float) -> list[int]:
    """Return where windows begin along an axis: spread evenly, the first at 0, the last ending at `length`.

    Args:
        length: of the axis, at least `window`.
        window: of a window.
        overlap: share of a window that its neighbour covers at least, in [0, 1).
    """
    stride = max(1, int(window * (1 - overlap)))
    count = math.ceil((length - window) / stride) + 1
    return [round(place * (length - window) / max(1, count - 1)) for place in range(count)]


def axis_weights(length: int, window: int, overlap: float) -> tuple[list[int], np.ndarray]:
    """Return the starts of the windows along an axis and their weights [windows, window] float32.

    A Gaussian, highest in the middle of a window, where the network sees on all sides what surrounds a pixel. At every
    position of the axis the weights of the windows that cover it sum to 1.
    """
    starts = window_starts(length, window, overlap)
    centre = (window - 1) / 2
    weight = np.exp(-0.5 * ((np.arange(window) - centre) / (SIGMA * window)) ** 2)
    total = np.zeros(length)
    for start in starts:
        total[start : start + window] += weight
    return starts, np.stack([weight / total[start : start + window] for start in starts]).astype(np.float32)


def blend_windows(
    picture: np.ndarray,
    window: tuple[int, int],
    overlap: float,
    batch_size: int,
    function: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """Apply `function` to windows of a picture and blend what it returns.

    Args:
        picture: [H, W, 3] or [H, W] uint8.
        window: height and width of a window, at most those of the picture.
        overlap: share of a window's side that its neighbour covers at least, in [0, 1).
        batch_size: windows that `function` gets at a time.
        function: [N, h, w, 3] or [N, h, w] uint8 -> [N, C, h, w] float32.

    Returns:
        [C, H, W] float32: at every pixel the weighted mean over the windows that cover it.
    """
    height, width = window
    rows, row_weights = axis_weights(picture.shape[0], height, overlap)
    columns, column_weights = axis_weights(picture.shape[1], width, overlap)
    grid = [(row, column) for row in range(len(rows)) for column in range(len(columns))]
    blended = None
    for places in _pieces(grid, batch_size):
        corners = [(rows[row], columns[column]) for row, column in places]
        results = function(np.stack([picture[top : top + height, left : left + width] for top, left in corners]))
        if blended is None:
            blended = np.zeros((results.shape[1], *picture.shape[:2]), np.float32)
        for (row, column), (top, left), result in zip(places, corners, results, strict=True):
            weight = row_weights[row][:, None] * column_weights[column]
            blended[:, top : top + height, left : left + width] += weight * result
    assert blended is not None, "a grid has a window"
    return blended


def _pieces(items: list, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
