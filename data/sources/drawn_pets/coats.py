"""Colours, fur and volume of the synthetic animals; drawn alike for cats and dogs, so that shape alone tells."""

from typing import NamedTuple

import cv2
import numpy as np

from data.sources.drawn_pets.animals import Paint
from data.sources.drawn_pets.drawing import coverage, fill, noise, outlines, pixel_centres, tube_arrays
from data.sources.drawn_pets.poses import sample_animal

# Each tube is painted three times, ever narrower, lighter and nearer to the light: (tone, share of the radius, shift).
_SHADES = np.array([[0.70, 1.0, 0.0], [0.92, 0.8, 0.12], [1.08, 0.5, 0.28]])
_FURS = np.array(
    [
        [236, 230, 222],
        [226, 205, 172],
        [214, 158, 98],
        [178, 104, 52],
        [122, 82, 54],
        [84, 62, 50],
        [150, 146, 142],
        [96, 98, 106],
        [52, 47, 46],
    ]
)
_IRISES = np.array([[226, 196, 84], [160, 196, 96], [128, 176, 214], [176, 112, 52]])
_NOSES = np.array([[40, 28, 28], [40, 28, 28], [120, 70, 66], [196, 128, 124]])


def fur_colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """Natural coat colours  # [count, 3], RGB 0..255."""
    chosen = _FURS[rng.integers(len(_FURS), size=count)]
    return np.clip(chosen * rng.uniform(0.85, 1.1, (count, 1)) + rng.uniform(-8, 8, (count, 3)), 12, 245)


class PaintedAnimal(NamedTuple):
    """An animal on its own.

    Attributes:
        colours: [size, size, 3] float32, 0..255, meaningful inside the silhouette.
        silhouette: [size, size] uint8, 255 = all of the pixel.
        face: where the eyes and the nose are, in the unit square.
    """

    colours: np.ndarray
    silhouette: np.ndarray
    face: complex


def paint_animal(rng: np.random.Generator, species: str, size: int) -> PaintedAnimal:
    """Draw one animal of the species, its face inside the picture."""
    tubes, portrait = sample_animal(rng, species)
    joints, radii, paints = tube_arrays(tubes)
    body = paints < Paint.EYE
    joints, radii = _place(rng, joints, radii, portrait)
    face = joints[~body].mean()
    inside = complex(_clamped(face.real), _clamped(face.imag))
    joints += inside - face
    colours = _colour_table(rng)[paints]
    shaggy = max(0.0, rng.uniform(-0.05, 0.1)) * rng.standard_normal((len(tubes), 2, 13))
    polygons = outlines(joints, radii, shaggy * body[:, None, None])
    layer = _volumes(rng, joints[body], radii[body], colours[body], size)
    layer *= _fur(rng, size, bright=colours[0].mean() > 85)
    canvas = np.clip(layer, 0, 255).astype(np.uint8)
    fill(canvas, polygons[~body], colours[~body])
    # Whiskers and lines do not make the animal larger: what sticks out is cut off.
    return PaintedAnimal(canvas.astype(np.float32), coverage(polygons[paints < Paint.LINE], size), inside)


def _place(
    rng: np.random.Generator, joints: np.ndarray, radii: np.ndarray, portrait: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Turn, mirror and scale an animal into the unit square; a portrait fills it and leaves it at the bottom."""
    joints = joints * np.exp(1j * rng.uniform(-0.15, 0.15))
    if rng.random() < 0.5:
        joints = -joints.conj()
    low = (joints.real - radii).min() + 1j * (joints.imag - radii).min()
    high = (joints.real + radii).max() + 1j * (joints.imag + radii).max()
    extent = high - low
    longest = max(extent.real, extent.imag)
    scale = (rng.uniform(1.1, 1.6) if portrait else rng.uniform(0.85, 1.25)) / longest
    centre = complex(rng.uniform(0.4, 0.6), rng.uniform(0.42, 0.6))
    if portrait:
        centre = centre.real + (rng.uniform(0.0, 0.15) + scale * extent.imag / 2) * 1j
    return (joints - (low + high) / 2) * scale + centre, radii * scale


def _clamped(position: float) -> float:
    return min(max(position, 0.18), 0.82)


def _colour_table(rng: np.random.Generator) -> np.ndarray:
    """Colour of every `Paint`  # [11, 3]."""
    table = np.empty((len(Paint), 3))
    coat, second = fur_colours(rng, 2)
    table[Paint.COAT] = coat
    table[Paint.FAR] = coat * 0.72
    table[Paint.UNDER] = [coat * 1.12, second, np.array([238, 232, 224])][rng.integers(3)]
    table[Paint.POINT] = [coat * 0.9, coat * 0.6, second][rng.integers(3)]
    table[Paint.INNER_EAR] = coat * 0.4 + np.array([130, 84, 80])
    table[Paint.EYE] = _IRISES[rng.integers(len(_IRISES))]
    table[Paint.PUPIL] = 12
    table[Paint.NOSE] = _NOSES[rng.integers(len(_NOSES))]
    table[Paint.TONGUE] = [222, 110, 120]
    table[Paint.LINE] = np.minimum(coat * 0.35, 70)
    table[Paint.GLINT] = 246
    return table


def _volumes(
    rng: np.random.Generator, joints: np.ndarray, radii: np.ndarray, colours: np.ndarray, size: int
) -> np.ndarray:
    """Paint the tubes as round bodies lit from above  # [size, size, 3] float32."""
    toward_light = np.exp(-1j * rng.uniform(0.6, 2.5))
    tone, share, shift = _SHADES.T[:, :, None]
    shifted = joints[:, None] + toward_light * shift * radii[:, None]
    layers = outlines(shifted.reshape(-1, 4), (share * radii[:, None]).reshape(-1, 4))
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[:] = colours[0] * 0.7
    fill(canvas, layers, (colours[:, None] * tone).reshape(-1, 3), smooth=False)
    return cv2.GaussianBlur(canvas, (0, 0), 0.008 * size).astype(np.float32)


def _fur(rng: np.random.Generator, size: int, bright: bool) -> np.ndarray:
    """Hair and, in three coats of four, a pattern, to multiply with  # [size, size, 3] float32."""
    angle = rng.uniform(0, np.pi)
    hair = 1 + rng.uniform(0.06, 0.22) * noise(rng, size, 20, angle, 3.0)
    pattern = _pattern(rng, size)
    # Markings darken a bright coat and lighten a dark one, a little warmer than it.
    tone = rng.uniform(0.35, 0.7) if bright else rng.uniform(1.5, 2.2)
    markings = np.float32(tone * np.array([1.04, 1.0, 0.94]) - 1)
    return hair[..., None] * (1 + pattern[..., None] * markings)


def _pattern(rng: np.random.Generator, size: int) -> np.ndarray:
    """How far the markings' colour replaces the coat's: plain, patched, striped or spotted  # [size, size], 0..1."""
    kind, frequency, tilt = rng.integers(4), rng.uniform(7, 13), rng.uniform(-0.5, 0.5)
    field = noise(rng, size, 3.0 if kind < 3 else 11.0)
    if kind == 0:
        return np.zeros_like(field)
    if kind == 2:
        at = pixel_centres(size)
        field = np.sin(2 * np.pi * (frequency * (at + np.float32(tilt) * at[:, None]) + field))
    return np.clip(4 * field - 0.6, 0, 1)
