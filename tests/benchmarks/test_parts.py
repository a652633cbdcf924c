"""What is timed against each other computes the same, and the command says how long it took."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("skimage")
from benchmarks.arms import parts as arms
from benchmarks.arms.parts import OURS, Way
from benchmarks.config import PartsConfig
from benchmarks.parts import main

CPU = torch.device("cpu")
SMALL = PartsConfig(size=40, batch_size=2, classes=(3,))


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def test_losses_compute_the_same_in_every_layout_and_precision():
    made = arms.loss_arms(SMALL, CPU, 4, ["off", "bf16"])
    values = {way: arm().item() for way, arm in made.items()}
    both = "F.cross_entropy and SMP's DiceLoss"
    assert len(values) == 3 * 2 * 2
    for way, value in values.items():
        if way.name == OURS:
            assert value == pytest.approx(values[way._replace(name=both)], rel=1e-5)
            assert value > values[way._replace(name="F.cross_entropy alone")]
            assert value == pytest.approx(values[Way(OURS)], rel=1e-5 if way.precision == "off" else 1e-2)


def test_the_likeliest_class_is_that_of_argmax():
    made = arms.class_arms(SMALL, CPU, 5, ["off", "bf16"])
    for way, arm in made.items():
        assert torch.equal(arm(), made[way._replace(name="argmax")]())  # bf16 holds many that are equal


def test_ssim_is_that_of_the_package():
    found = [arm().item() for arm in arms.ssim_arms(SMALL, CPU).values()]
    assert len(found) == 4
    assert found == pytest.approx([found[0]] * 4, abs=1e-6)
    assert 0.01 < found[0] < 0.9


def test_perceptual_distances_are_the_same_but_for_precision():
    found = {way: arm().item() for way, arm in arms.perceptual_arms(SMALL, CPU, ["off", "bf16"]).items()}
    assert len(found) == 1 + 2 * 2 * 2
    for way, value in found.items():
        assert value == pytest.approx(found[Way(OURS)], rel=1e-4 if way.precision == "off" else 0.1)


def test_gradients_have_the_shape_of_those_of_scikit_image():
    ours, theirs = (arm() for arm in arms.hog_arms(SMALL, CPU).values())
    assert theirs.shape == (6, 5, 5, 9)
    assert ours.shape == (2, 27, 5, 5)
    assert np.isfinite(theirs).all()


def test_augmentation_gives_pictures_and_labels():
    for arm in arms.augment_arms(SMALL, CPU).values():
        made = arm()
        pictures = made.input if hasattr(made, "input") else torch.stack([picture for picture, _ in made])
        assert pictures.shape == (2, 3, 40, 40)
        assert 0 <= pictures.min() < pictures.max() <= 1


def test_the_command_writes_how_long_each_way_took(tmp_path, capsys):
    flags = "--size 40 --batch_size 2 --classes 3 --repeats 1 --device cpu --amp off --output_dir"
    assert main([*flags.split(), str(tmp_path)]) == 0
    (file,) = tmp_path.glob("*/parts_40.json")
    rows = json.loads(file.read_text())["rows"]
    parts = ["Dice and cross-entropy, 3 classes", "likeliest class of 3", "SSIM", "perceptual distance", "HOG"]
    assert [*dict.fromkeys(row["part"] for row in rows)] == [*parts, "augmentation"]
    for row in rows:
        assert row["milliseconds"]["median"] > 0
        assert (row["over_ours"]["median"] == 1) == (row["way"] == OURS)
    assert "times ours" in capsys.readouterr().out
    assert main(["--classes", "1"]) == 2
