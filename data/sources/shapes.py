"""The beginner's set: circles, squares and triangles on clutter, drawn here with exact masks; nothing is downloaded.

The variant `classes` tells the shapes apart, `binary` only shapes from everything else. Every picture is a pure
function of seed, index and size. Shapes of all kinds wear the same colours and patterns as each other and as the
clutter behind them, hide each other and stand in uneven light, so that colour alone tells nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from data.manifest import SPLITS
from data.prepare_config import PrepareConfig
from data.sources.source import Sample, Source, hash_places

CLASSES = ClassSet(("background", "circle", "square", "triangle"))
BINARY_CLASSES = ClassSet(("background", "shape"))
SMALLEST_SIDE = 32
_GOLDEN_RATIO = (5**0.5 - 1) / 2
_NUMBER_OF_SHAPES = 2, 5
_TRIES = 30
_RADII = 0.16, 0.28  # of the circle around a shape, in shorter sides
_TILT = np.deg2rad(15)
_STROKES = 5
_FRACTION_BITS = 6  # sub-pixel precision of OpenCV's drawing, its `shift=`


@dataclass(frozen=True)
class Drawing:
    """One picture: `image` [H, W, 3] uint8 RGB, and `label` [H, W] uint8, the indices of `CLASSES`."""

    image: np.ndarray
    label: np.ndarray


def read(config: PrepareConfig) -> Source:
    """List the drawings; they are made when they are asked for.

    Raises:
        UserError: the pictures are too small to draw on.
    """
    if min(config.sides) < SMALLEST_SIDE:
        raise UserError(f"size {config.size} is too small to draw shapes: give --size {SMALLEST_SIDE} or more")
    names = map(_name, range(config.num_images))
    places = hash_places(names, config.val_ratio, config.test_ratio, config.seed)
    return Source(_Drawings(config, places), BINARY_CLASSES if config.variant == "binary" else CLASSES)


def draw(seed: int, index: int, height: int, width: int) -> Drawing:
    """Draw a picture. At another size of the same aspect it is the same scene with other noise."""
    rng = np.random.default_rng((seed, 4, index))
    unit = min(height, width)
    rows, columns = np.indices((height, width), np.float32)
    grid = (columns + 0.5) / unit + 1j * (rows + 0.5) / unit  # pixel centres in shorter sides, y pointing down
    scene = _clutter(rng, grid)
    label = np.zeros((height, width), np.uint8)
    for kind, centre, radius in _places(rng, height / unit, width / unit):
        turned = (grid - centre) * np.exp(1j * rng.uniform(-_TILT, _TILT)) / radius
        distance = _distance(kind, turned) * radius * unit  # in pixels
        inside = distance < 0
        paint = _paint(rng, grid, scene[inside].mean(axis=0))
        scene += np.clip(0.5 - distance, 0, 1)[..., None].astype(np.float32) * (paint - scene)
        label[inside] = kind
    scene *= _light(rng, grid)
    # The only randomness whose amount depends on the size comes last.
    scene += rng.uniform(1, 6) * rng.standard_normal((height, width, 1), dtype=np.float32)
    return Drawing(np.clip(scene, 0, 255).astype(np.uint8), label)


@dataclass(frozen=True)
class _Drawings:
    config: PrepareConfig
    places: np.ndarray  # [N] uint8, of the splits in SPLITS

    def __len__(self) -> int:
        return self.config.num_images

    def __iter__(self) -> Iterator[Sample]:
        start = np.random.default_rng((self.config.seed, 5)).random()
        for index, place in enumerate(self.places):
            # Steps of the golden ratio fill the unit interval evenly: any length has its share of labels.
            labelled = (start + index * _GOLDEN_RATIO) % 1 < self.config.labelled_fraction
            yield _sample(self.config, index, SPLITS[place], labelled)


def _sample(config: PrepareConfig, index: int, split: str, labelled: bool) -> Sample:
    def image() -> tuple[np.ndarray, list[str]]:
        return draw(config.seed, index, *config.sides).image, []

    def label() -> np.ndarray:
        drawn = draw(config.seed, index, *config.sides).label
        return (drawn > 0).astype(np.uint8) if config.variant == "binary" else drawn

    name = _name(index)
    return Sample(name, split, name, image, name, label if labelled else None, stamp=(config.seed, index))


def _name(index: int) -> str:
    return f"shapes_{index:05d}"


def _places(rng: np.random.Generator, height: float, width: float) -> Iterator[tuple[int, complex, float]]:
    """Yield kind (index in `CLASSES`), centre and radius of a few shapes, which overlap by little at most."""
    taken: list[tuple[complex, float]] = []
    for _ in range(rng.integers(*_NUMBER_OF_SHAPES, endpoint=True)):
        kind, radius = int(rng.integers(1, len(CLASSES))), rng.uniform(*_RADII)
        for _ in range(_TRIES):
            centre = complex(*(rng.uniform(0.6 * radius, side - 0.6 * radius) for side in (width, height)))
            if all(abs(centre - other) > 0.75 * (radius + reach) for other, reach in taken):
                taken.append((centre, radius))
                yield kind, centre, radius
                break


def _distance(kind: int, places: np.ndarray) -> np.ndarray:
    """Distance of complex places to the outline of a shape within the unit circle; negative inside."""
    if CLASSES.names[kind] == "circle":
        return np.abs(places) - 0.85
    sides, inner = (4, 0.5**0.5) if CLASSES.names[kind] == "square" else (3, 0.5)
    # The first side of all is the lower one (y points down): a triangle's peak is above.
    normals = -1j * np.exp(2j * np.pi * np.arange(sides) / sides)
    return np.max([(places * normal).real for normal in normals], axis=0) - inner


def _paint(rng: np.random.Generator, grid: np.ndarray, behind: np.ndarray | None = None) -> np.ndarray:
    """Paint the whole plane with two colours that alternate, in broad or narrow bands  # [H, W, 3] float32.

    Args:
        grid: [H, W] complex, places in shorter sides.
        behind: [3], a colour to stand out from: of five draws the most different one is taken.
    """
    pairs = rng.uniform(20, 235, (5, 2, 3))
    spread = np.zeros(3) if behind is None else np.abs(pairs - behind).sum(axis=2).min(axis=1)
    first, second = pairs[np.argmax(spread)]
    second = first + (second - first) * rng.choice([0.0, 0.2, 0.5])  # plain, faint, or strong
    bands = grid * np.exp(2j * np.pi * rng.random()) * rng.choice([0.7, 4.0, 9.0])
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * (bands.real + rng.random()))
    return (first + (second - first) * wave[..., None]).astype(np.float32)


def _clutter(rng: np.random.Generator, grid: np.ndarray) -> np.ndarray:
    """Bands, soft spots of other colours and strokes  # [H, W, 3] float32."""
    height, width = grid.shape
    scene = _paint(rng, grid)
    spots = rng.uniform(-30, 30, (6, 6, 3)).astype(np.float32)
    scene += cv2.resize(spots, (width, height), interpolation=cv2.INTER_CUBIC)
    canvas = np.clip(scene, 0, 255).astype(np.uint8)  # OpenCV smooths the edges of strokes in 8 bits alone
    for ends, colour, broad in zip(
        rng.uniform(-0.1, 1.1, (_STROKES, 2, 2)),
        rng.uniform(20, 235, (_STROKES, 3)),
        rng.uniform(0.005, 0.03, _STROKES),
        strict=True,
    ):
        start, end = ((ends * (width, height) - 0.5) * 2**_FRACTION_BITS).astype(int).tolist()
        thickness = max(1, round(broad * min(height, width)))
        cv2.line(canvas, start, end, colour.tolist(), thickness, cv2.LINE_AA, _FRACTION_BITS)
    return canvas.astype(np.float32)


def _light(rng: np.random.Generator, grid: np.ndarray) -> np.ndarray:
    """Light from one side  # [H, W, 1] float32 around 1."""
    ramp = (grid * np.exp(2j * np.pi * rng.random())).real
    ramp = (ramp - ramp.mean()) * rng.uniform(0, 0.7) + rng.uniform(0.8, 1.1)
    return np.clip(ramp, 0.3, 1.6).astype(np.float32)[..., None]
