"""ADE20K's own colours give two classes the same one: masks hold the classes all the same, and legends name both."""

import numpy as np
from own_pictures import labels_of, source_of, write_pictures
from PIL import Image

from data.sources.ade20k import CLASSES
from transfer_learning.figures.pictures import class_legend
from transfer_learning.inference.files import save_mask

ROAD, SKYSCRAPER = (CLASSES.names.index(name) for name in ("road", "skyscraper"))


def test_masks_come_back_as_the_classes_that_were_saved(tmp_path):
    (tmp_path / "masks").mkdir()
    names = [f"photo{number}" for number in range(6)]
    images = write_pictures(tmp_path / "images", names)
    saved = {name: np.random.default_rng(seed).integers(0, 150, (40, 60), np.uint8) for seed, name in enumerate(names)}
    for name, mask in saved.items():
        mask[:10, :10], mask[-10:, :10] = ROAD, SKYSCRAPER
        save_mask(tmp_path / "masks" / f"{name}.png", mask, CLASSES)
    with Image.open(tmp_path / "masks" / "photo0.png") as image:
        assert np.array_equal(image, saved["photo0"])
        coloured = np.array(image.convert("RGB"))
    assert np.array_equal(coloured[0, 0], coloured[-1, 0])
    source = source_of(images, tmp_path / "masks", classes=CLASSES.names)
    assert source.classes.names == CLASSES.names
    read = labels_of(source)
    assert all(np.array_equal(read[name], mask) for name, mask in saved.items())


def test_a_legend_names_both_beside_their_colour():
    legend = class_legend([np.array([[ROAD, SKYSCRAPER, 0]], np.uint8)], CLASSES)
    assert legend["road"] == legend["skyscraper"] == (140 / 255,) * 3
    assert {*legend} == {"wall", "road", "skyscraper", "not scored"}
