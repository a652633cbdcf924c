"""Masks of every coding, read from their files to labels; the newcomer's twelve photographs."""

import json
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from own_pictures import COLOURS, indices, labels_of, source_of, write_masks, write_pictures
from PIL import Image
from sample_pets import pixels

from core.classes import IGNORED
from core.errors import UserError
from data.prepare import main

NAMES = [f"photo {number}" for number in range(12)]


@pytest.fixture
def images(tmp_path) -> Path:
    return write_pictures(tmp_path / "images", NAMES)


def several(classes: int = 6) -> dict[str, np.ndarray]:
    return {name: indices(seed, classes) for seed, name in enumerate(NAMES)}


def narrow(mask: np.ndarray, path: Path, bits: int) -> None:
    """Save a grey PNG of 2 or 4 bits, which Pillow does not write."""
    rows = b""
    for row in mask:
        digits = "".join(f"{value:0{bits}b}" for value in row)
        rows += b"\0" + int(digits, 2).to_bytes(len(digits) // 8)
    height, width = mask.shape

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    ends = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(ends))


def with_palette(mask: np.ndarray, path: Path) -> None:
    image = Image.fromarray(mask)
    image.putpalette(COLOURS.ravel().tolist())
    image.save(path)


def deep(mask: np.ndarray, path: Path) -> None:
    cv2.imwrite(str(path), mask.astype(np.uint16))


VALUES = {
    "8 bits": None,
    "4 bits": lambda mask, path: narrow(mask, path, 4),
    "16 bits": deep,
    "palette": with_palette,
    "GIF": lambda mask, path: with_palette(mask, path.with_suffix(".gif")),
    "BMP": lambda mask, path: Image.fromarray(mask).save(path.with_suffix(".BMP")),
    "TIFF": lambda mask, path: Image.fromarray(mask.astype(np.int32)).save(path.with_suffix(".tif")),
    "TIFF of floats": lambda mask, path: Image.fromarray(mask.astype(np.float32)).save(path.with_suffix(".tiff")),
    "grey as RGB": lambda mask, path: Image.fromarray(np.dstack([mask] * 3)).save(path),
    "grey with alpha": lambda mask, path: Image.fromarray(mask).convert("LA").save(path),
}


@pytest.mark.parametrize("save", VALUES.values(), ids=VALUES.keys())
def test_values_mean_the_same_however_they_are_stored(images, tmp_path, save):
    masks = several()
    source = source_of(images, write_masks(tmp_path / "masks", masks, save))
    assert source.classes.names == ("background", *(f"class_{value}" for value in range(1, 6)))
    assert source.classes.background == 0
    for name, label in labels_of(source).items():
        np.testing.assert_array_equal(label, masks[name])
    assert bool(source.classes.colours) == (save in (VALUES["palette"], VALUES["GIF"]))


BINARY = {
    "0 and 1": None,
    "0 and 255": lambda mask, path: Image.fromarray(mask * np.uint8(255)).save(path),
    "1 bit": lambda mask, path: Image.fromarray(mask * np.uint8(255)).convert("1").save(path),
    "16 bits": lambda mask, path: cv2.imwrite(str(path), mask.astype(np.uint16) * 65535),
    "black and white palette": lambda mask, path: Image.fromarray(mask * np.uint8(255)).quantize(2).save(path),
    "RGB": lambda mask, path: Image.fromarray(np.dstack([mask] * 3) * np.uint8(255)).save(path),
    "cut-outs": lambda mask, path: Image.fromarray(
        np.dstack([np.full_like(mask, 255)] * 3 + [mask * np.uint8(255)])
    ).save(path),
}


@pytest.mark.parametrize("save", BINARY.values(), ids=BINARY.keys())
def test_binary_masks_are_background_and_foreground(images, tmp_path, save):
    masks = several(classes=2)
    source = source_of(images, write_masks(tmp_path / "masks", masks, save))
    assert (source.classes.names, source.classes.background) == (("background", "foreground"), 0)
    for name, label in labels_of(source).items():
        np.testing.assert_array_equal(label, masks[name])


def test_one_bit_among_others_means_what_the_others_mean(images, tmp_path):
    masks = several(classes=2)
    for white, folder in ((1, "small"), (255, "white")):
        written = write_masks(
            tmp_path / folder, masks, lambda mask, path, w=white: Image.fromarray(mask * np.uint8(w)).save(path)
        )
        Image.fromarray(masks[NAMES[0]] * np.uint8(255)).convert("1").save(written / f"{NAMES[0]}.png")
        source = source_of(images, written)
        assert source.classes.names == ("background", "foreground")
        for name, label in labels_of(source).items():
            np.testing.assert_array_equal(label, masks[name])


def test_blurred_binary_masks_have_a_threshold(images, tmp_path):
    masks = several(classes=2)

    def blurred(mask: np.ndarray, path: Path) -> None:
        Image.fromarray(cv2.GaussianBlur(mask * np.uint8(255), (5, 5), 0)).save(path)

    source = source_of(images, write_masks(tmp_path / "masks", masks, blurred))
    assert source.classes.names == ("background", "foreground")
    assert any("128 and above is foreground" in note for note in source.notes)
    for name, label in labels_of(source).items():
        np.testing.assert_array_equal(label, pixels(tmp_path / "masks" / f"{name}.png") >= 128)
    (tmp_path / "said.yaml").write_text(source.classes_yaml)
    explicit = source_of(images, tmp_path / "masks", classes=(str(tmp_path / "said.yaml"),))
    for name, label in labels_of(explicit).items():
        np.testing.assert_array_equal(label, pixels(tmp_path / "masks" / f"{name}.png") >= 128)


def test_thin_classes_beside_ignored_pixels_are_not_taken_for_edges(images, tmp_path):
    masks = {name: np.where(mask > 0, 255, 0).astype(np.uint8) for name, mask in several(classes=2).items()}
    for mask in masks.values():
        mask[20, :] = 1  # a vessel
        mask[19, :5] = 128  # another class, of large areas elsewhere
        mask[30:38, 2:12] = 128
    folder = write_masks(tmp_path / "masks", masks)
    with pytest.raises(UserError, match="255 beside values that are not in a row"):
        source_of(images, folder)
    source = source_of(images, folder, ignore_value=(255,))
    assert source.classes.names == ("background", "class_1", "class_128")
    assert all((labels_of(source)[name] == IGNORED).sum() == (mask == 255).sum() for name, mask in masks.items())


def test_white_is_ignored_beside_classes_unless_said_otherwise(images, tmp_path):
    masks = several()
    for mask in masks.values():
        mask[0] = 255
    folder = write_masks(tmp_path / "masks", masks)
    source = source_of(images, folder)
    assert len(source.classes) == 6
    assert any(note.startswith("255 beside other values") for note in source.notes)
    assert all((label[0] == IGNORED).all() for label in labels_of(source).values())
    other = source_of(images, folder, ignore_value=(0, 5))
    assert other.classes.names == ("class_1", "class_2", "class_3", "class_4", "class_255")
    assert other.classes.background is None
    with pytest.raises(UserError, match=r"no mask holds sky \(6\)"):
        source_of(images, folder, classes=("ground", "a", "b", "c", "d", "e", "sky"))
    (tmp_path / "c.yaml").write_text("ground: [0-5]\nsky: 255\n")
    assert source_of(images, folder, classes=(str(tmp_path / "c.yaml"),)).classes.names == ("ground", "sky")


def test_values_evenly_up_to_white_are_all_classes(images, tmp_path):
    steps = np.array([0, 85, 170, 255], np.uint8)
    masks = {name: steps[mask] for name, mask in several(classes=4).items()}
    source = source_of(images, write_masks(tmp_path / "masks", masks))
    assert source.classes.names == ("background", "class_85", "class_170", "class_255")
    assert any("lie evenly up to 255" in note for note in source.notes)


def test_colours_become_classes_and_a_yaml_names_them(images, tmp_path):
    masks = several()
    folder = write_masks(tmp_path / "masks", masks, lambda mask, path: Image.fromarray(COLOURS[mask]).save(path))
    found = source_of(images, folder)
    assert found.classes.names == ("background", *(f"class_{place}" for place in range(1, 6)))
    by_colour = {colour: place for place, colour in enumerate(found.classes.colours)}
    name = NAMES[3]
    expected = np.vectorize(lambda value: by_colour[tuple(COLOURS[value].tolist())])(masks[name])
    np.testing.assert_array_equal(labels_of(found)[name], expected)
    said = tmp_path / "said.yaml"
    said.write_text(found.classes_yaml)
    np.testing.assert_array_equal(labels_of(source_of(images, folder, classes=(str(said),)))[name], expected)
    said.write_text(
        'background: 0\ncar: [0, 0, 142]\nroads: [[128, 64, 128], "#dc143c"]\n'
        "ignore: [[70, 130, 180], [107, 142, 35]]\n"
    )
    named = source_of(images, folder, classes=(str(said),))
    assert (named.classes.names, named.classes.background) == (("background", "car", "roads"), 0)
    np.testing.assert_array_equal(labels_of(named)[name], np.array([0, 2, 1, 2, IGNORED, IGNORED])[masks[name]])


def test_one_file_a_class_and_pixels_of_two(images, tmp_path):
    masks = several()
    for value, key in ((1, "road"), (2, "car"), (3, "sky")):
        write_masks(tmp_path / "masks" / key, {name: (mask == value) * np.uint8(255) for name, mask in masks.items()})
    overlap = pixels(tmp_path / "masks/car" / f"{NAMES[0]}.png")
    overlap[masks[NAMES[0]] == 3] = 255
    Image.fromarray(overlap).save(tmp_path / "masks/car" / f"{NAMES[0]}.png")
    (tmp_path / "masks/sky" / f"{NAMES[1]}.png").unlink()
    source = source_of(images, tmp_path / "masks", classes=("road", "car", "sky"))
    assert source.classes.names == ("background", "road", "car", "sky")
    meaning = np.array([0, 1, 2, 3, 0, 0], np.uint8)
    labels = labels_of(source)
    np.testing.assert_array_equal(labels[NAMES[5]], meaning[masks[NAMES[5]]])
    np.testing.assert_array_equal(labels[NAMES[1]], np.where(masks[NAMES[1]] == 3, 0, meaning[masks[NAMES[1]]]))
    np.testing.assert_array_equal(labels[NAMES[0]], np.where(masks[NAMES[0]] == 3, IGNORED, meaning[masks[NAMES[0]]]))
    assert any("belong to two classes at once, in 1 pictures" in note for note in source.notes)
    with pytest.raises(UserError, match="does not name road"):
        source_of(images, tmp_path / "masks", classes=("street", "car", "sky"))


FORMS = ("indices", "colours", "layers")


@pytest.mark.parametrize("form", FORMS)
def test_the_newcomers_twelve_photographs(images, tmp_path, form):
    masks = several()
    folder, names = tmp_path / "masks", ("road", "car", "person", "sky", "tree")
    classes = list(names)
    if form == "layers":
        for value, name in enumerate(names, start=1):
            write_masks(folder / name, {key: (mask == value) * np.uint8(1) for key, mask in masks.items()})
    elif form == "colours":
        write_masks(folder, masks, lambda mask, path: Image.fromarray(COLOURS[mask]).save(path))
        lines = [f"{name}: {COLOURS[value].tolist()}\n" for value, name in enumerate(names, start=1)]
        (tmp_path / "classes.yaml").write_text("background: [0, 0, 0]\n" + "".join(lines))
        classes = [str(tmp_path / "classes.yaml")]
    else:
        write_masks(folder, masks)
    places = ["--images", str(images), "--masks", str(folder), "--output_dir", str(tmp_path / "out")]
    assert main(["--dataset", "folder", *places, "--classes", *classes, "--size", "48x64"]) == 0
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["class_set"]["names"] == ["background", *names]
    assert manifest["class_set"]["background"] == 0
    for record in manifest["images"]:
        truth = pixels(tmp_path / "out" / record["split"] / "original_labels" / f"{record['name']}.png")
        np.testing.assert_array_equal(truth, masks[record["name"]])
    assert {split: count["labelled"] for split, count in manifest["counts"].items()} == {
        "Train": 8,
        "Val": 2,
        "Test": 2,
    }
