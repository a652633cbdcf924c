"""Where the synthetic animals live: cluttered textured backgrounds, things in front of them, and light."""

import cmath
import math

import cv2
import numpy as np

from data.sources.drawn_pets.coats import fur_colours
from data.sources.drawn_pets.drawing import (
    Tube,
    coverage,
    disc,
    fill,
    limb,
    noise,
    outlines,
    pixel_centres,
    tube_arrays,
)


def any_colours(rng: np.random.Generator, count: int) -> np.ndarray:
    """Colours of the surroundings  # [count, 3], RGB 0..255; about half could be fur's, so that none betrays it."""
    grey = rng.uniform(40, 215, (count, 1))
    tinted = grey + rng.uniform(-0.6, 0.6, (count, 3)) * np.minimum(grey, 255 - grey)
    return np.where(rng.random((count, 1)) < 0.5, fur_colours(rng, count), tinted)


def background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A wall and a floor, or one of them alone, with clutter in front  # [size, size, 3] float32, 0..255."""
    boxes, things = int(rng.integers(1, 5)), int(rng.integers(3, 8))
    colours = any_colours(rng, 2 + boxes + things)
    canvas = np.empty((size, size, 3), np.uint8)
    canvas[:] = colours[0]
    horizon, tilt = rng.uniform(0.2, 1.1), rng.uniform(-0.08, 0.08)
    across = pixel_centres(size)
    floor = across[:, None] > horizon + np.float32(tilt) * (across - 0.5)
    canvas[floor] = colours[1]
    _boxes(rng, canvas, colours[2 : 2 + boxes], horizon)
    _things(rng, canvas, colours[2 + boxes :], horizon)
    if rng.random() < 0.35:
        _grass(rng, canvas, horizon)
    grain = np.where(floor, _grain(rng, size), _grain(rng, size))
    textured: np.ndarray = canvas * grain[..., None]
    if rng.random() < 0.4:  # out of focus
        textured = cv2.GaussianBlur(textured, (0, 0), size * rng.uniform(0.005, 0.02))
    return textured


def _anywhere(rng: np.random.Generator, count: int, lowest: float) -> np.ndarray:
    return rng.uniform(0, 1, count) + 1j * rng.uniform(0, min(1.0, lowest), count)


def _boxes(rng: np.random.Generator, canvas: np.ndarray, colours: np.ndarray, horizon: float) -> None:
    """Furniture, windows, pictures: upright boxes with a panel."""
    count = len(colours)
    corners = np.array([-1 - 1j, 1 - 1j, 1 + 1j, -1 + 1j])
    width, height = rng.uniform(0.05, 0.25, (2, count, 1))
    boxes = (corners.real * width + 1j * corners.imag * height) * np.exp(1j * rng.uniform(-0.2, 0.2, (count, 1)))
    at = _anywhere(rng, count, horizon + 0.2)[:, None]
    panels = np.stack([at + boxes, at + boxes * rng.uniform(0.5, 0.9, (count, 1))], axis=1)
    tones = np.stack([np.ones(count), rng.uniform(0.7, 1.3, count)], axis=1)
    fill(canvas, panels.reshape(-1, 4), (colours[:, None] * tones[..., None]).reshape(-1, 3))


def _things(rng: np.random.Generator, canvas: np.ndarray, colours: np.ndarray, horizon: float) -> None:
    """Balls, bars and plants; their round and pointed parts are much like an animal's."""
    count = len(colours)
    tubes: list[Tube] = []
    for i, at in enumerate(_anywhere(rng, count, horizon + 0.4).tolist()):
        extent, kind, angle = rng.uniform(0.04, 0.14), int(rng.integers(3)), rng.uniform(0, 2 * math.pi)
        if kind == 0:
            tubes += [disc(at, extent * 0.8, i), disc(at - extent * (0.2 + 0.25j), extent * 0.45, i + count)]
        elif kind == 1:
            reach = cmath.rect(2 * extent, angle)
            tubes.append(limb(at - reach, at + reach, extent * 0.25, extent * 0.2, i))
        else:
            for k in range(5):
                leaf = cmath.rect(extent * (1 + 0.3 * (k % 2)), angle + k * 1.1)
                tubes.append(limb(at, at + leaf, extent * 0.35, extent * 0.05, i + count * (k % 2)))
    joints, radii, paints = tube_arrays(tubes)
    fill(canvas, outlines(joints, radii), np.concatenate([colours, colours * 1.25])[paints])


def _grass(rng: np.random.Generator, canvas: np.ndarray, horizon: float) -> None:
    blades = 16
    root = rng.uniform(0, 1, blades) + 1j * rng.uniform(min(horizon, 0.8), 1.05, blades)
    tips = root + rng.uniform(0.05, 0.16, blades) * (rng.uniform(-0.5, 0.5, blades) - 1j)
    green = rng.uniform([60, 90, 30], [150, 170, 80])
    fill(canvas, np.stack([root - 0.01, tips, root + 0.01], axis=1), green * rng.uniform(0.6, 1.3, (blades, 1)))


def _grain(rng: np.random.Generator, size: int) -> np.ndarray:
    """A texture to multiply with: rough or smooth, with a grain or without, planks at times  # [size, size]."""
    angle = rng.uniform(0, np.pi)
    cells, stretch = rng.uniform(3, 12), rng.uniform(1, 4)
    field = 1 + rng.uniform(0.05, 0.35) * noise(rng, size, cells, angle, stretch)
    lines, depth, phase = rng.uniform(3, 9), rng.uniform(-0.6, 0.35), rng.uniform()
    if depth > 0:
        at = pixel_centres(size)
        across = (at[:, None] * math.cos(angle) - at * math.sin(angle)) * lines + phase
        field *= 1 - depth * np.clip(np.cos(2 * np.pi * across) * 3 - 1.5, 0, 1)
    return field


def occluders(rng: np.random.Generator, size: int, face: complex) -> tuple[np.ndarray, np.ndarray] | None:
    """Things in front of the animal, in half of the pictures; large ones leave its face free.

    Returns:
        Their colours [size, size, 3] float32 and their coverage [size, size] uint8 (255 = hidden), or None.
    """
    kind = int(rng.integers(2 * len(_OCCLUDERS)))
    if kind >= len(_OCCLUDERS):
        return None
    polygons = _OCCLUDERS[kind](rng, face)
    colours = any_colours(rng, 1) * rng.uniform(0.75, 1.2, (len(polygons), 1))
    layer = np.empty((size, size, 3), np.uint8)
    layer[:] = np.clip(colours[0], 0, 255)
    fill(layer, polygons, colours)
    return layer * _grain(rng, size)[..., None], coverage(polygons, size)


def _bars(rng: np.random.Generator, face: complex) -> np.ndarray:
    """A fence or a cage: two to four parallel bars."""
    turn = cmath.rect(1, rng.integers(2) * math.pi / 2 + rng.uniform(-0.25, 0.25))
    offsets = rng.uniform(0.1, 0.3) + np.arange(rng.integers(2, 5)) * rng.uniform(0.22, 0.35) - 0.5
    width = rng.uniform(0.014, 0.03)
    joints, radii, _ = tube_arrays([limb(x - 0.8j, x + 0.8j, width, width, 0) for x in offsets])
    return outlines(joints * turn + 0.5 + 0.5j, radii)


def _branch(rng: np.random.Generator, face: complex) -> np.ndarray:
    """A twig with leaves that reaches in from one side."""
    start = complex(rng.choice([-0.05, 1.05]), rng.uniform(0.2, 0.8))
    end = complex(rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.75))
    leaves = start + (end - start) * rng.uniform(0.2, 1, 9)
    tips = leaves + rng.uniform(0.06, 0.15, 9) * np.exp(1j * rng.uniform(0, 2 * math.pi, 9))
    tubes = [limb(start, end, 0.018, 0.008, 0)]
    tubes += [limb(0.7 * a + 0.3 * b, b, 0.028, 0.006, 0) for a, b in zip(leaves, tips, strict=True)]
    joints, radii, _ = tube_arrays(tubes)
    return outlines(joints, radii)


def _board(rng: np.random.Generator, face: complex) -> np.ndarray:
    """The edge of a thing that stands before the animal: at the bottom, or at the side away from the face."""
    depth, slant = rng.uniform(0.18, 0.36), rng.uniform(-0.08, 0.08)
    edge = np.array([-0.7 + (0.5 - depth - slant) * 1j, 0.7 + (0.5 - depth + slant) * 1j, 0.7 + 0.7j, -0.7 + 0.7j])
    aside = rng.random() < 0.5 or face.imag > 0.6
    turn = (1j if face.real > 0.5 else -1j) if aside else 1
    return (edge * turn + 0.5 + 0.5j)[None]


def _ball(rng: np.random.Generator, face: complex) -> np.ndarray:
    """A ball or a stick, somewhere near the middle."""
    at, radius = complex(rng.uniform(0.3, 0.7), rng.uniform(0.4, 0.8)), rng.uniform(0.06, 0.12)
    away = (at - face) / (abs(at - face) + 1e-9)
    at += away * max(0.0, 0.28 - abs(at - face))
    reach = cmath.rect(rng.uniform(0.001, 0.12), rng.uniform(0, math.pi))
    joints, radii, _ = tube_arrays([limb(at - reach, at + reach, radius, radius, 0)])
    return outlines(joints, radii)


_OCCLUDERS = (_bars, _branch, _board, _ball)


def light(rng: np.random.Generator, size: int) -> np.ndarray:
    """Brightness, colour cast, a gradient from one side and at times a cast shadow, to multiply with.

    Returns:
        [size, size, 3] float32, about 0.3..1.5.
    """
    at = pixel_centres(size) - 0.5
    slope = cmath.rect(rng.uniform(0, 0.7), rng.uniform(0, 2 * math.pi))
    field = 1 + np.float32(slope.imag) * at[:, None] + np.float32(slope.real) * at
    edge, angle, depth = rng.uniform(-0.2, 0.2), rng.uniform(0, 2 * math.pi), rng.uniform(-0.4, 0.5)
    if depth > 0:
        shade = at[:, None] * np.float32(math.cos(angle)) + at * np.float32(math.sin(angle))
        field *= 1 - np.float32(depth) * np.clip(15 * (shade - edge), 0, 1)
    return field[..., None] * np.float32(rng.uniform(0.65, 1.2) * rng.uniform(0.88, 1.12, 3))
