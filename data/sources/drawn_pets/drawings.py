"""The embedded data set: drawn cats and dogs with exact masks, for demonstrations and tests without a download.

Every picture is a pure function of `(seed, index, size)`: no file, no state, no order. Cats and dogs wear the same
coats in the same places and light, so that only shape tells them apart; the masks come from the drawn silhouettes.
Like Oxford-IIIT Pet, the set holds about two dogs a cat.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from core.errors import UserError
from data.sources.drawn_pets.coats import paint_animal
from data.sources.drawn_pets.scenes import background, light, occluders
from data.trimaps import BACKGROUND, BORDER, OBJECT

MIN_SIZE = 16

Species = Literal["cat", "dog"]

_GOLDEN_RATIO = (5**0.5 - 1) / 2


@dataclass(frozen=True)
class SyntheticImage:
    """One drawn picture.

    Attributes:
        image: [size, size, 3] uint8, RGB.
        trimap: [size, size] uint8: 1 the visible animal, 2 background and what hides the animal, 3 the border between.
        species: the animal's.
    """

    image: np.ndarray
    trimap: np.ndarray
    species: Species


@dataclass(frozen=True)
class Record:
    """One entry of the catalogue; `index` is what `draw` takes."""

    name: str
    index: int
    species: Species
    labelled: bool


def catalogue(count: int, seed: int, labelled_fraction: float) -> list[Record]:
    """List the first `count` pictures of a seed; see `records`."""
    return list(records(count, seed, labelled_fraction))


def records(count: int, seed: int, labelled_fraction: float) -> Iterator[Record]:
    """Return an iterator over the first `count` pictures of a seed.

    A longer list begins with the shorter one, and what is labelled at a small fraction is labelled at a larger one.

    Raises:
        UserError: if count or seed is negative, or the fraction outside [0, 1].
    """
    if count < 0 or seed < 0:
        raise UserError(f"count {count}, seed {seed}: neither may be negative")
    if not 0 <= labelled_fraction <= 1:
        raise UserError(f"labelled fraction {labelled_fraction} is outside [0, 1]: 0.1 labels a tenth of the pictures")
    return _records(count, seed, labelled_fraction)


def _records(count: int, seed: int, labelled_fraction: float) -> Iterator[Record]:
    starts = np.random.default_rng((seed, 1)).random(3)
    cat_slot = 0
    for index in range(count):
        block, slot = divmod(index, 3)
        cat_slot = cat_slot if slot else _cat_slot(seed, block)
        rank = (slot - cat_slot) % 3
        # Steps of the golden ratio fill the unit interval evenly, so each third has its share of labels at any length.
        labelled = (starts[rank] + block * _GOLDEN_RATIO) % 1 < labelled_fraction
        yield Record(f"synthetic_{index:05d}", index, "dog" if rank else "cat", bool(labelled))


def _species(seed: int, index: int) -> Species:
    return "cat" if index % 3 == _cat_slot(seed, index // 3) else "dog"


def _cat_slot(seed: int, block: int) -> int:
    """Which of three pictures in a row shows the cat: chance within a block, an exact third over many."""
    return int(np.random.default_rng((seed, 2, block)).integers(3))


def draw(seed: int, index: int, size: int) -> SyntheticImage:
    """Draw one picture; the same seed and index at another size give the same scene.

    Args:
        seed: of the data set, not negative.
        index: of the picture, not negative.
        size: side in pixels, at least 16.

    Raises:
        UserError: if the size is below 16, or seed or index is negative.
    """
    if size < MIN_SIZE or seed < 0 or index < 0:
        raise UserError(f"seed {seed}, index {index}, size {size}: none may be negative, the size at least {MIN_SIZE}")
    species = _species(seed, index)
    rng = np.random.default_rng((seed, 3, index))
    scene = background(rng, size)
    colours, silhouette, face = paint_animal(rng, species, size)
    scene *= 1 - _contact_shadow(silhouette)[..., None]
    _blend(scene, colours, silhouette)
    visible = silhouette
    if front := occluders(rng, size, face):
        _blend(scene, *front)
        visible = silhouette * (1 - front[1].astype(np.float32) / 255)
    scene *= light(rng, size)
    # The only randomness whose amount depends on the size comes last.
    scene += rng.uniform(1, 8) * rng.standard_normal((size, size, 1), dtype=np.float32)
    return SyntheticImage(np.clip(scene, 0, 255).astype(np.uint8), _trimap(visible > 127), species)


def _blend(scene: np.ndarray, layer: np.ndarray, alpha: np.ndarray) -> None:
    """Lay a layer over the scene, in place; alpha is uint8, 255 = opaque."""
    scene += (layer - scene) * (alpha.astype(np.float32) / 255)[..., None]


def _trimap(animal: np.ndarray) -> np.ndarray:
    """Mark the band along the animal's outline, as wide in every size: a 64th of the side to both sides of it."""
    animal = animal.astype(np.uint8)
    reach = max(1, round(animal.shape[0] / 64))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    outer = cv2.dilate(animal, kernel)
    inner = cv2.erode(animal, kernel)
    return np.where(inner == 1, OBJECT, np.where(outer == 1, BORDER, BACKGROUND)).astype(np.uint8)


def _contact_shadow(silhouette: np.ndarray) -> np.ndarray:
    """The animal darkens what is just below and behind it  # [size, size] float32, 0..0.5."""
    size = silhouette.shape[0]
    below = np.array([[1, 0, 0.01 * size], [0, 1, 0.03 * size]], np.float32)
    shadow = cv2.GaussianBlur(cv2.warpAffine(silhouette, below, (size, size)), (0, 0), 0.03 * size)
    return shadow * np.float32(0.5 / 255)
