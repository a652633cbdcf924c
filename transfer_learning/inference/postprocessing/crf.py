"""A fully connected CRF (Krähenbühl & Koltun 2011): pixels near each other and of like colour want one class.

Mean field over all pairs of pixels, with two Gaussian kernels that are normalised symmetrically, a Potts model, and
each pixel counted as its own neighbour, as in the authors' code. The smoothness kernel is computed as it is, cut at
four deviations. The appearance kernel, over place and colour, goes through a grid of those five dimensions (Paris &
Durand 2009): pixels are spread over the 32 corners of their cell, cells of one deviation are blurred over two
neighbours on each side in every dimension, and read back. That has the variance of the Gaussian in every dimension and
nothing beyond four deviations; filtered noise differs from the exact sum by 2 to 3 % of its mean. The authors' lattice
rounds likewise.
"""

from collections.abc import Callable
from functools import reduce

import cv2
import numpy as np
from scipy.sparse import csc_array

Filter = Callable[[np.ndarray], np.ndarray]  # [H, W] float32 -> [H, W] float32

# The authors' weights, and deviations in pixels at the mask's original size and in grey levels of 0 to 255.
SMOOTHNESS, SMOOTHNESS_PIXELS = 3.0, 3.0
APPEARANCE, APPEARANCE_PIXELS, APPEARANCE_COLOUR = 10.0, 80.0, 13.0
# A class that is nowhere as likely as this keeps its probability: of many classes a picture holds few.
LEAST_LIKELY = 0.01
# Larger pictures are seen at so many pixels, deviations with them: the grid's corners take 256 bytes a pixel.
MOST_PIXELS = 1_000_000
# A cell and its neighbours one and two away: of variance 2/3, to which spreading and reading add 1/6 each.
TAPS = tuple(np.exp(-0.75 * np.arange(3.0) ** 2) / np.exp(-0.75 * np.arange(-2.0, 3.0) ** 2).sum())


def dense_crf(probabilities: np.ndarray, picture: np.ndarray, iterations: int) -> np.ndarray:
    """Return the marginal probabilities [C, H, W] float32 of the CRF.

    Args:
        probabilities: [C, H, W] float32, of which the unary terms are made.
        picture: [H, W, 3] or [H, W] uint8.
        iterations: of the mean field.
    """
    likely = np.flatnonzero(probabilities.max(axis=(1, 2)) >= LEAST_LIKELY)
    if len(likely) < 2:
        return probabilities
    height, width = picture.shape[:2]
    scale = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    sides = (max(1, round(height * scale)), max(1, round(width * scale)))
    unaries = _resized(probabilities[likely], sides)
    seen = cv2.resize(picture, sides[::-1], interpolation=cv2.INTER_AREA) if scale < 1 else picture
    kernels = (
        (SMOOTHNESS, _normalised(_smoothness(SMOOTHNESS_PIXELS * scale), sides)),
        (APPEARANCE, _normalised(_appearance(seen, APPEARANCE_PIXELS * scale), sides)),
    )
    found = _resized(_mean_field(unaries, kernels, iterations), (height, width))
    result = probabilities.copy()
    # The other classes keep theirs, these share what they had together.
    result[likely] = found / found.sum(axis=0) * probabilities[likely].sum(axis=0)
    return result


def _mean_field(unaries: np.ndarray, kernels: tuple[tuple[float, Filter], ...], iterations: int) -> np.ndarray:
    """Return the marginals [C, H, W] of probabilities [C, H, W], each class supported by its like elsewhere."""
    logarithms = np.log(np.maximum(unaries, 1e-7))
    marginals = unaries / unaries.sum(axis=0)
    for _ in range(iterations):
        support = [sum(weight * kernel(plane) for weight, kernel in kernels) for plane in marginals]
        scores = logarithms + np.stack(support)
        marginals = np.exp(scores - scores.max(axis=0))
        marginals /= marginals.sum(axis=0)
    return marginals


def _normalised(kernel: Filter, sides: tuple[int, int]) -> Filter:
    """Return a kernel K as D^-1/2 K D^-1/2, where D holds the sums of its rows."""
    weight = 1 / np.sqrt(np.maximum(kernel(np.ones(sides, np.float32)), 1e-7))
    return lambda plane: weight * kernel(weight * plane)


def _smoothness(pixels: float) -> Filter:
    side = 2 * int(np.ceil(4 * pixels)) + 1
    return lambda plane: cv2.GaussianBlur(plane, (side, side), pixels, borderType=cv2.BORDER_CONSTANT)


def _appearance(picture: np.ndarray, pixels: float) -> Filter:
    """Return the kernel over place, in units of so many pixels, and colour, in units of `APPEARANCE_COLOUR`."""
    height, width = picture.shape[:2]
    rows, columns = np.mgrid[:height, :width].reshape(2, -1) / pixels
    colours = picture.reshape(height * width, -1).T / APPEARANCE_COLOUR
    corners, cells = _corners(np.stack([rows, columns, *colours]).astype(np.float32))

    def apply(plane: np.ndarray) -> np.ndarray:
        grid = (corners @ plane.ravel()).reshape(cells)
        for axis in range(grid.ndim):
            grid = _blurred(grid, axis)
        return (corners.T @ grid.ravel()).reshape(plane.shape)

    return apply


def _corners(places: np.ndarray) -> tuple[csc_array, tuple[int, ...]]:
    """Return how points spread over the corners of their cells, sparse [cells, points], and the grid's sides.

    Args:
        places: [D, N] float32, in cells. Around the grid lies a margin of two cells.
    """
    dimensions, points = places.shape
    places = places - places.min(axis=1, keepdims=True) + 2
    low = np.floor(places).astype(np.int64)
    part = places - low
    cells = tuple(int(side) + 4 for side in low.max(axis=1))
    indices = np.empty((points, 2**dimensions), np.int32)
    weights = np.empty((points, 2**dimensions), np.float32)
    for corner in range(2**dimensions):
        up = [corner >> dimension & 1 for dimension in range(dimensions)]
        indices[:, corner] = np.ravel_multi_index([row + step for row, step in zip(low, up, strict=True)], cells)
        weights[:, corner] = reduce(np.multiply, [row if step else 1 - row for row, step in zip(part, up, strict=True)])
    starts = np.arange(points + 1, dtype=np.int64) * 2**dimensions
    shape = (int(np.prod(cells)), points)
    return csc_array((weights.ravel(), indices.ravel(), starts), shape=shape), cells


def _blurred(grid: np.ndarray, axis: int) -> np.ndarray:
    """Return the grid, of which the margin stays empty, blurred along an axis."""
    rows = np.moveaxis(grid, axis, 0)
    blurred = np.zeros_like(grid)
    inside = np.moveaxis(blurred, axis, 0)[2:-2]
    for step in range(-2, 3):
        inside += np.float32(TAPS[abs(step)]) * rows[2 + step : len(rows) - 2 + step]
    return blurred


def _resized(planes: np.ndarray, sides: tuple[int, int]) -> np.ndarray:
    if planes.shape[1:] == sides:
        return planes
    return np.stack([cv2.resize(plane, sides[::-1], interpolation=cv2.INTER_LINEAR) for plane in planes])
