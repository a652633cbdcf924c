"""Palettes of masks: their indices, or the colours that they show."""

from pathlib import Path

import numpy as np
import pytest
from own_pictures import COLOURS, indices, labels_of, source_of, write_masks, write_pictures
from PIL import Image

NAMES = [f"photo {number}" for number in range(12)]


@pytest.fixture
def images(tmp_path) -> Path:
    return write_pictures(tmp_path / "images", NAMES)


def several(classes: int = 6) -> dict[str, np.ndarray]:
    return {name: indices(seed, classes) for seed, name in enumerate(NAMES)}


def test_palettes_that_differ_are_read_by_colour(images, tmp_path):
    masks = several()

    def shuffled(mask: np.ndarray, path: Path) -> None:
        order = np.random.default_rng(len(path.name) * 7 + int(path.stem.split()[1])).permutation(6)
        image = Image.fromarray(np.argsort(order).astype(np.uint8)[mask])
        image.putpalette(COLOURS[order].ravel().tolist())
        image.save(path)

    source = source_of(images, write_masks(tmp_path / "masks", masks, shuffled))
    assert any("palettes differ" in note for note in source.notes)
    place = {colour: place for place, colour in enumerate(source.classes.colours)}
    for name, label in labels_of(source).items():
        expected = np.array([place[tuple(colour)] for colour in COLOURS.tolist()])[masks[name]]
        np.testing.assert_array_equal(label, expected)


@pytest.mark.parametrize("greys", [(0, 0, 0, 0), (0, 60, 60, 200), (0, 90, 180, 255)])
def test_greys_of_a_palette_count_only_where_they_tell_its_indices_apart(images, tmp_path, greys):
    def save(mask: np.ndarray, path: Path) -> None:
        image = Image.fromarray(mask)
        image.putpalette(np.repeat(np.uint8(greys), 3).tolist())
        image.save(path)

    masks = several(classes=4)
    masks[NAMES[0]][masks[NAMES[0]] == 2] = 0  # here the greys that are used differ, but not in the whole set
    folder = write_masks(tmp_path / "masks", masks, save)
    source = source_of(images, folder, ignore_value=(256,))
    shown = greys if len(set(greys)) == 4 else range(4)
    assert source.classes.names == ("background", *(f"class_{value}" for value in shown[1:]))
    for name, label in labels_of(source).items():
        np.testing.assert_array_equal(label, masks[name])


@pytest.mark.parametrize("white_first", [False, True])
def test_palettes_cut_to_the_colours_in_use_are_read_as_the_others_of_the_set(images, tmp_path, white_first):
    colours = [(255, 255, 255), (200, 0, 0), (0, 200, 0)] if white_first else [(0, 0, 0), (255, 255, 255), (255, 0, 0)]

    def cut(mask: np.ndarray, path: Path) -> None:
        image = Image.fromarray(mask)
        image.putpalette(np.uint8(colours[: mask.max() + 1]).ravel().tolist())
        image.save(path)

    masks = several(classes=3)
    for name in NAMES[::2]:
        masks[name][masks[name] > (0 if white_first else 1)] = 0
    source = source_of(images, write_masks(tmp_path / "masks", masks, cut))
    assert source.classes.names == ("background", "class_1", "class_2")
    for name, label in labels_of(source).items():
        np.testing.assert_array_equal(label, masks[name])
