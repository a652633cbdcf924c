"""Sizes and names of one's own files that a preparation could not take."""

from pathlib import Path

import numpy as np
import pytest
from own_pictures import indices, labels_of, source_of, write_masks, write_pictures
from PIL import Image
from sample_pets import report_of

from core.errors import UserError
from data.manifest import read_records
from data.prepare import prepare
from data.prepare_config import PrepareConfig


def test_a_mask_of_the_turned_size_is_named_as_the_preparation_would(tmp_path):
    images = write_pictures(tmp_path / "images", ["one", "two"], ".png")
    masks = write_masks(tmp_path / "masks", {"one": indices(1), "two": indices(2).T.copy()})
    with pytest.raises(UserError, match=r"two\.png: 40 x 60 pixels, its image has 60 x 40"):
        source_of(images, masks)
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(images / "two.png") as whole:
        whole.save(images / "two.png", exif=exif)
    assert labels_of(source_of(images, masks))["two"].shape == (60, 40)
    write_masks(masks, {"two": indices(2)})
    with pytest.raises(UserError, match=r"two\.png: 60 x 40 pixels, its image has 40 x 60"):
        source_of(images, masks)
    write_masks(masks, {"two": indices(2).T.copy()})
    data = (images / "two.png").read_bytes()
    start = data.index(b"eXIf") - 4
    length = 12 + int.from_bytes(data[start : start + 4])
    moved, end = data[start : start + length], data.index(b"IEND") - 4
    (images / "two.png").write_bytes(data[:start] + data[start + length : end] + moved + data[end:])
    assert labels_of(source_of(images, masks))["two"].shape == (60, 40)  # the EXIF behind the pixels


def test_names_that_could_not_be_written_are_left_out(tmp_path):
    names = ["q0", "q0.png/x", "q0.png/deep/y", "a" * 251, *(f"p{n}" for n in range(3))]
    images = write_pictures(tmp_path / "images", names)
    for name in ("b" * 252, "é" * 126):
        (images / "p0.jpg").with_name(f"{name}.j").write_bytes((images / "p0.jpg").read_bytes())
    config = PrepareConfig(dataset="folder", images=images, output_dir=tmp_path / "out", size=40)
    prepare(config)
    assert {record["name"] for record in read_records(config.output_dir)} == {"q0", "a" * 251, "p0", "p1", "p2"}
    reasons = {Path(file).stem: reason for file, _, reason in report_of(config)}
    assert reasons["x"] == reasons["y"] == "its folder is called as the prepared file of a picture, q0.png: rename it"
    assert reasons["b" * 252] == reasons["é" * 126] == "its name has more than 251 bytes: shorten it"


def test_no_class_can_be_called_ignore(tmp_path):
    names = [f"p{number}" for number in range(6)]
    images = write_pictures(tmp_path / "images", names)
    masks = write_masks(tmp_path / "masks", {name: indices(seed, 3) for seed, name in enumerate(names)})
    layers = tmp_path / "layers"
    for value, key in ((1, "sky"), (2, "ignore")):
        write_masks(layers, {f"{key}/{name}": np.uint8(indices(seed, 3) == value) for seed, name in enumerate(names)})
    said = tmp_path / "classes.yaml"
    said.write_text("background: 0\nsky: sky\nignore: ignore\n")
    for folder, classes, other in (
        (masks, ("background", "sky", "ignore"), "2"),
        (masks, (str(said),), "ignore"),
        (layers, (str(said),), "ignore"),
        (layers, ("sky", "ignore"), "1"),
        (layers, (), "ignore"),
    ):
        with pytest.raises(
            UserError, match=f"no class can be called that: call it otherwise, such as `other: {other}`"
        ):
            source_of(images, folder, classes=classes)
    said.write_text("background: 0\nsky: sky\nother: ignore\n")
    assert source_of(images, layers, classes=(str(said),)).classes.names == ("background", "sky", "other")
    said.write_text("background: 0\nsky: 1\nignore: 2-3\n")
    assert source_of(images, masks, classes=(str(said),)).classes.names == ("background", "sky")
