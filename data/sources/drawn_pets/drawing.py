"""Smooth tubes and noise in unit coordinates: all that the synthetic animals and their scenes are made of.

Points are complex numbers x + iy with y pointing down; the picture is the unit square whatever its size in pixels,
so that a scene drawn at two sizes is the same scene.
"""

import cmath
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

_FRACTION_BITS = 6  # sub-pixel precision of OpenCV's drawing, its `shift=`
_SAMPLES = np.linspace(0, 1, 13)
_CAP = np.exp(1j * np.deg2rad([68, 45, 22, 0, -22, -45, -68]))
_BOTH_SIDES = np.array([[1], [-1]])
_TILE_CELLS, _TILE_SIZE = 64, 512  # the noise tile: bumps and pixels a side


class Tube(NamedTuple):
    """A curve through four joints, evenly spaced in its parameter, with a radius at each; `paint` is a colour's row."""

    joints: tuple[complex, ...]
    radii: tuple[float, ...]
    paint: int


def limb(start: complex, end: complex, start_radius: float, end_radius: float, paint: int) -> Tube:
    """A straight tube, thicker at one end."""
    step, change = (end - start) / 3, (end_radius - start_radius) / 3
    radii = (start_radius, start_radius + change, end_radius - change, end_radius)
    return Tube((start, start + step, end - step, end), radii, paint)


def disc(centre: complex, radius: float, paint: int) -> Tube:
    """A circle; a tube needs some length to have a direction."""
    return limb(centre - 0.01 * radius, centre + 0.01 * radius, radius, radius, paint)


def _lagrange_basis() -> np.ndarray:
    """Weights of the joints at `_SAMPLES` and the weights of their derivative  # [2, samples, 4]."""
    powers = np.vander(np.linspace(0, 1, 4), increasing=True)
    coefficients = np.linalg.inv(powers)
    values = np.vander(_SAMPLES, 4, increasing=True)
    slopes = np.stack([np.zeros_like(_SAMPLES), np.ones_like(_SAMPLES), 2 * _SAMPLES, 3 * _SAMPLES**2], axis=1)
    return np.stack([values @ coefficients, slopes @ coefficients])


_VALUE, _SLOPE = _lagrange_basis()


def outlines(joints: np.ndarray, radii: np.ndarray, roughness: np.ndarray | float = 0.0) -> np.ndarray:
    """Closed outlines of tubes with round ends.

    Args:
        joints: [T, 4] complex.
        radii: [T, 4], same unit.
        roughness: change of the radius along each side, as a share of it, [T, 2, 13]: a shaggy coat.

    Returns:
        [T, 40] complex.
    """
    centre = joints @ _VALUE.T
    direction = joints @ _SLOPE.T
    direction /= np.abs(direction) + 1e-9
    radius = np.maximum(radii @ _VALUE.T, 0)
    sides = 1j * (direction * radius)[:, None] * (1 + roughness) * _BOTH_SIDES
    end = centre[:, -1:] + direction[:, -1:] * radius[:, -1:] * _CAP
    start = centre[:, :1] - direction[:, :1] * radius[:, :1] * _CAP
    return np.concatenate([centre + sides[:, 0], end, (centre + sides[:, 1])[:, ::-1], start], axis=1)


def fill(canvas: np.ndarray, polygons: np.ndarray, colours: np.ndarray, smooth: bool = True) -> None:
    """Paint polygons in order.

    Args:
        canvas: [size, size, 3] uint8, changed in place.
        polygons: [T, points] complex, in the unit square.
        colours: [T, 3], cut off at 0 and 255.
        smooth: anti-aliased, at twice the time.
    """
    points, line = _fixed_point(polygons, canvas.shape[0]), cv2.LINE_AA if smooth else cv2.LINE_8
    for i, colour in enumerate(colours.tolist()):
        cv2.fillPoly(canvas, [points[i]], colour, line, _FRACTION_BITS)


def coverage(polygons: np.ndarray, size: int) -> np.ndarray:
    """Share of each pixel that the union of the polygons covers  # [size, size] uint8, 255 = all of it."""
    # OpenCV's anti-aliasing widens a shape by 0.7 pixel a side; counting sixteen sub-pixels does not.
    canvas = np.zeros((4 * size, 4 * size), np.uint8)
    points = _fixed_point(polygons, 4 * size)
    for i in range(len(points)):
        cv2.fillPoly(canvas, [points[i]], 255, cv2.LINE_8, _FRACTION_BITS)
    halved = cv2.resize(canvas, (2 * size, 2 * size), interpolation=cv2.INTER_AREA)
    return cv2.resize(halved, (size, size), interpolation=cv2.INTER_AREA)


def _fixed_point(polygons: np.ndarray, size: int) -> np.ndarray:
    """OpenCV's sub-pixel coordinates  # [T, points, 2] int32."""
    # OpenCV puts whole numbers at pixel centres, the unit square's corner lies half a pixel before the first.
    points = polygons[..., None].view(np.float64) * size - 0.5
    return np.rint(points * (1 << _FRACTION_BITS)).astype(np.int32)


def _noise_tile() -> np.ndarray:
    """Four octaves of noise that repeats without a seam  # [512, 512] float32, mean 0, deviation 0.4."""
    rng = np.random.default_rng(0)
    tile = np.zeros((_TILE_SIZE, _TILE_SIZE), np.float32)
    for octave in range(4):
        cells = _TILE_CELLS << octave
        lattice = np.pad(rng.uniform(-1, 1, (cells, cells)).astype(np.float32), 2, mode="wrap")
        margin = 2 * _TILE_SIZE // cells
        fine = cv2.resize(lattice, None, fx=_TILE_SIZE / cells, fy=_TILE_SIZE / cells, interpolation=cv2.INTER_CUBIC)
        tile += 0.6**octave * fine[margin : margin + _TILE_SIZE, margin : margin + _TILE_SIZE]
    return (tile - tile.mean()) * (0.4 / tile.std())


_TILE = _noise_tile()


def noise(rng: np.random.Generator, size: int, cells: float, angle: float = 0.0, stretch: float = 1.0) -> np.ndarray:
    """Fractal noise, the same at every size but for the finest parts.

    Args:
        rng: draws the same amount whatever the size.
        size: pixels a side.
        cells: the largest bumps across the picture.
        angle: direction of the grain, radians.
        stretch: how much longer than wide the bumps are.

    Returns:
        [size, size] float32, mean about 0, deviation about 0.4.
    """
    left, top = rng.uniform(0, _TILE_SIZE), rng.uniform(0, _TILE_SIZE)
    step = cells / size * _TILE_SIZE / _TILE_CELLS
    along, across = cmath.rect(step / stretch, angle), cmath.rect(step, angle)
    # Warping starts from the middle of pixel (0, 0), half a step inside the picture.
    matrix = np.array(
        [
            [along.real, along.imag, left + (along.real + along.imag) / 2],
            [-across.imag, across.real, top + (across.real - across.imag) / 2],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(_TILE, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_WRAP)


def tube_arrays(tubes: Sequence[Tube]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints [T, 4] complex, radii [T, 4] and paints [T] of a list of tubes."""
    joints, radii, paints = zip(*tubes, strict=True)
    return np.array(joints), np.array(radii), np.array(paints)


def pixel_centres(size: int) -> np.ndarray:
    """Where the middles of the pixels of a row or column lie in the unit interval  # [size] float32."""
    return (np.arange(size, dtype=np.float32) + 0.5) / size
