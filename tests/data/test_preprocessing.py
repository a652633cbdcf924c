"""`--preprocess`: steps as text, and what they make of pictures."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from sample_pets import picture, pixels

from core.errors import UserError
from data.opened import open_data
from data.prepare import prepare
from data.prepare_config import PrepareConfig
from data.preparing.differences import differences
from data.preprocessing.pipeline import Preprocessing, read_preprocessed


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("green, clahe", "green, clahe:2/8"),
        ("clahe:3.5", "clahe:3.5/8"),
        ("window:40/400.125", "window:40/400.125"),
        ("percentile:1 , zscore", "percentile:1/99.5, zscore"),
    ],
)
def test_steps_as_text(text, canonical):
    assert str(Preprocessing.of(text)) == canonical == str(Preprocessing.of(canonical))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("green,", "is no step"),
        ("clahee", "unknown step 'clahee'; did you mean clahe?"),
        ("clahe:0/8", "clip limit above 0"),
        ("clahe:2/8.5", "whole number of tiles"),
        ("window", "centre and a width"),
        ("window:40", "such as window:40/400"),
        ("window:40/0", "width above 0"),
        ("window:nan/1", "centre and a width"),
        ("percentile:99/1", "the lower one first"),
        ("green:1", "green takes no number"),
        ("green, zscore, green", "stands there twice"),
        ("zscore, zscore", "changes nothing more"),
    ],
)
def test_steps_that_cannot_be(text, message):
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        PrepareConfig(preprocess=text)


def test_each_step_does_what_it_says():
    image = picture(1, 64, 80)
    grey = image[..., 1]
    np.testing.assert_array_equal(Preprocessing.of("green")(image), grey)
    np.testing.assert_array_equal(Preprocessing.of("clahe:3/4")(grey), cv2.createCLAHE(3, (4, 4)).apply(grey))
    coloured = Preprocessing.of("clahe")(image)
    lightness = [cv2.cvtColor(one, cv2.COLOR_RGB2LAB)[..., 0].astype(float) for one in (image, coloured)]
    assert lightness[1].std() > lightness[0].std()
    assert coloured.shape == image.shape
    np.testing.assert_array_equal(
        Preprocessing.of("window:100/51")(grey), np.clip((grey - 74.5) * 5.0, 0, 255).round().astype(np.uint8)
    )
    low, high = np.percentile(grey, (2, 97))
    found = Preprocessing.of("percentile:2/97")(grey)
    assert (found[grey <= low] == 0).all()
    assert (found[grey >= high] == 255).all()
    standard = Preprocessing.of("zscore")(image).astype(float)
    expected = np.clip((image - image.mean()) / image.std(), -4, 4)  # colours together: hues stay
    np.testing.assert_allclose((standard - 127.5) / 127.5 * 4, expected, atol=4 / 255 + 1e-9)


@pytest.mark.parametrize("text", ["clahe", "window:40/400", "percentile", "zscore", "green"])
def test_pictures_of_one_grey_or_one_pixel_pass(text):
    for image in (np.full((1, 1, 3), 7, np.uint8), np.full((9, 5, 3), 255, np.uint8)):
        found = Preprocessing.of(text)(image)
        assert (found == found.flat[0]).all()
        assert found.shape[:2] == image.shape[:2]


def test_a_deep_picture_comes_to_8_bits_by_its_own_values(tmp_path):
    values = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) + 1000
    Image.fromarray(values).save(tmp_path / "deep.png")
    found, _ = read_preprocessed(tmp_path / "deep.png", Preprocessing.of("window:2000/510"), 1, (0, 65535), None)
    np.testing.assert_array_equal(found, np.clip((values - 1745.0) / 2, 0, 255).round().astype(np.uint8))
    found, _ = read_preprocessed(tmp_path / "deep.png", Preprocessing.of("percentile:0/100"), 1, (0, 65535), None)
    assert (found.min(), found.max(), len(np.unique(found))) == (0, 255, 256)


@pytest.fixture
def own(tmp_path) -> PrepareConfig:
    """Twelve pictures in colour, three of them of 16 bits, with masks."""
    images, masks = tmp_path / "images", tmp_path / "masks"
    images.mkdir()
    masks.mkdir()
    for index in range(12):
        image = picture(index, 30 + index)
        if index % 4:
            Image.fromarray(image).save(images / f"{index}.png")
        else:
            cv2.imwrite(str(images / f"{index}.png"), image[..., ::-1].astype(np.uint16) * 20)
        Image.fromarray(np.uint8(image[..., 0] > 128)).save(masks / f"{index}.png")
    return PrepareConfig(dataset="folder", images=images, masks=masks, output_dir=tmp_path / "out", size=48, workers=1)


def test_preparation_writes_what_the_steps_make_of_each_file(own):
    config = replace(own, preprocess="green, percentile:1/99, clahe:2/4")
    prepare(config)
    data = open_data(config.output_dir)
    assert (data.manifest.channels, data.manifest.preprocess) == (1, "green, percentile:1/99, clahe:2/4")
    steps = Preprocessing.of(config.preprocess)
    for split, records in data.records("Train", "Val", "Test").items():
        for record in records:
            read, _ = read_preprocessed(config.images / f"{record.name}.png", steps, 3, None, "white")
            written = pixels(config.output_dir / split / "resized" / f"{record.name}.png")
            np.testing.assert_array_equal(written, record.geometry.image(read))
    prepare(config)  # nothing to do
    with pytest.raises(UserError, match="--preprocess green, percentile:1/99, clahe:2/4 there, not given asked"):
        prepare(own)


def test_pictures_are_known_by_what_they_were_before_the_steps(own, tmp_path):
    """So that weights of other preprocessing are not scored on what they learned from."""
    contents = []
    for number, steps in enumerate((None, "clahe, green")):
        config = replace(own, preprocess=steps, output_dir=tmp_path / f"out{number}")
        prepare(config)
        content = json.loads((config.output_dir / "manifest.json").read_text())
        assert ("preprocess" in content) == bool(steps)
        contents.append({record["name"]: record["content"] for record in content["images"]})
    assert contents[0] == contents[1]


def test_what_cannot_work_together_is_refused(own):
    with pytest.raises(UserError, match="--range and --preprocess zscore both say"):
        replace(own, range=(0, 5000), preprocess="zscore")
    with pytest.raises(UserError, match="these pictures are grey and have no green: leave green out"):
        prepare(replace(own, channels=1, preprocess="green"))
    assert not own.output_dir.exists()
    assert differences({"preprocess": "green"}, {}) == "--preprocess green there, not given asked"
