"""Masks stored in two ways, and settings that touch nothing: asked for, or said."""

from pathlib import Path

import numpy as np
import pytest
from own_pictures import COLOURS, indices, source_of, write_masks, write_pictures
from PIL import Image

from core.errors import UserError

NAMES = [f"p{number}" for number in range(6)]


def grey(mask: np.ndarray, path: Path) -> None:
    Image.fromarray(mask).save(path)


def luma(mask: np.ndarray, path: Path) -> None:
    Image.fromarray(COLOURS[mask]).convert("L").save(path)


def white(mask: np.ndarray, path: Path) -> None:
    grey(np.where(mask > 0, np.uint8(255), np.uint8(0)), path)


def black(mask: np.ndarray, path: Path) -> None:
    grey(np.zeros_like(mask), path)


def colour(mask: np.ndarray, path: Path) -> None:
    Image.fromarray(COLOURS[mask]).save(path)


def palette(mask: np.ndarray, path: Path) -> None:
    image = Image.fromarray(mask, "P")
    image.putpalette(COLOURS.reshape(-1).tolist())
    image.save(path)


@pytest.fixture
def images(tmp_path) -> Path:
    return write_pictures(tmp_path / "images", NAMES)


def masks(folder: Path, most, one) -> Path:
    """Write masks, the third stored otherwise."""
    made = {name: indices(seed, 4) for seed, name in enumerate(NAMES)}
    write_masks(folder, made, most)
    return write_masks(folder, {NAMES[2]: made[NAMES[2]]}, one)


@pytest.mark.parametrize(
    ("most", "one", "told"),
    [
        (colour, grey, "grey masks among masks of colours, which alone hold (1, 1, 1) (144 pixels in 1 masks"),
        (colour, luma, "grey masks among masks of colours, which alone hold (16, 16, 16)"),
        (colour, white, "grey masks among masks of colours, which alone hold (255, 255, 255)"),
        (palette, luma, "grey masks among masks with palettes, which alone hold 16"),
        (grey, colour, "masks of colours among grey ones, which alone hold (0, 0, 142)"),
    ],
)
def test_a_mask_stored_otherwise_becomes_no_class_of_its_own(images, tmp_path, most, one, told):
    folder = masks(tmp_path / "masks", most, one)
    with pytest.raises(UserError) as error:
        source_of(images, folder)
    assert told in str(error.value)
    assert f"first {folder / 'p2.png'}" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("most", "one"), [(colour, palette), (palette, colour), (palette, grey), (grey, palette)])
def test_what_says_the_same_in_another_way_is_read(images, tmp_path, most, one):
    source = source_of(images, masks(tmp_path / "masks", most, one))
    assert len(source.classes) == 4


@pytest.mark.parametrize("most", [colour, palette])
def test_an_empty_mask_is_grey_among_colours(images, tmp_path, most):
    folder = masks(tmp_path / "masks", most, black)
    assert len(source_of(images, folder).classes) == 4
    write_masks(folder, {name: indices(0) for name in NAMES[1:]}, black)  # most of them, as where objects are rare
    assert len(source_of(images, folder).classes) == 4


def test_a_grey_of_coloured_masks_may_stand_alone(images, tmp_path):
    made = {name: COLOURS[indices(seed, 3)] for seed, name in enumerate(NAMES)}
    made["p0"][:6, :6] = 70  # as Cityscapes' buildings
    for name in NAMES[1:]:
        made[name] = np.full_like(made[name], 70)
        made[name][:6, :6] = 0
    assert len(source_of(images, write_masks(tmp_path / "masks", made)).classes) == 4


def test_a_yaml_says_what_both_stand_for(images, tmp_path):
    folder = masks(tmp_path / "masks", colour, white)
    lines = [f"c{place}: {list(map(int, COLOURS[place]))}" for place in (1, 2)]
    lines += ["background: 0", f"c3: [{list(map(int, COLOURS[3]))}, [255, 255, 255]]"]
    (tmp_path / "c.yaml").write_text("\n".join(lines))
    assert len(source_of(images, folder, classes=(str(tmp_path / "c.yaml"),)).classes) == 4


def test_an_ignored_value_that_no_mask_holds_is_said(images, tmp_path):
    for save, code in ((grey, "77"), (colour, r"(77, 77, 77)")):
        folder = masks(tmp_path / save.__name__, save, save)
        notes = source_of(images, folder, ignore_value=(0, 77)).notes
        assert f"note: --ignore_value: no mask holds {code}" in notes
        assert not [note for note in source_of(images, folder, ignore_value=(0,)).notes if "no mask holds" in note]


def test_names_that_commas_join_are_not_one_class(images, tmp_path):
    folder = masks(tmp_path / "masks", grey, grey)
    with pytest.raises(UserError, match="^--classes road,car is one name: give names apart, --classes road car; or a "):
        source_of(images, folder, classes=("road,car",))


@pytest.mark.parametrize("classes", [("c.yaml", "a"), ("a", "c.YML"), ("c.yaml", "d.yaml")])
def test_names_beside_a_file_of_classes(images, tmp_path, classes):
    folder = masks(tmp_path / "masks", grey, grey)
    with pytest.raises(UserError, match="--classes takes names or one YAML, not "):
        source_of(images, folder, classes=classes)


def test_a_range_beyond_all_pixels(tmp_path):
    for number in range(3):
        deep = np.random.default_rng(number).integers(100, 4000, (40, 60)).astype(np.uint16)
        deep[0, :2] = 100, 3999
        (tmp_path / "images").mkdir(exist_ok=True)
        Image.fromarray(deep).save(tmp_path / "images" / f"{number}.png")
    for beyond in ((0, 50), (0, 100), (3999, 4000), (60_000, 65_000)):
        told = rf"--range {beyond[0]} {beyond[1]} makes every picture one grey: they hold 100 to 3999"
        with pytest.raises(UserError, match=told):
            source_of(tmp_path / "images", range=beyond)
    assert source_of(tmp_path / "images", range=(0, 101)).details["value_range"] == [0, 101]
