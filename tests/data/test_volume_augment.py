from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sample_volumes import write_volumes

from data.augment.settings import LARGEST, AugmentConfig
from data.loading import open_training, training_batch
from data.opened import open_data
from data.volumes.settings import PatchConfig

CPU = torch.device("cpu")
OFF = dict.fromkeys((*LARGEST,), 0.0)


@dataclass(frozen=True)
class Config(PatchConfig, AugmentConfig):
    """What a phase's settings have of both."""


@pytest.fixture(scope="module")
def train(tmp_path_factory):
    data = open_data(write_volumes(tmp_path_factory.mktemp("volumes") / "data", (6, 1, 1), (20, 20, 20)))
    return open_training(data, Config(patch=12))[0]


def batch(train, indices, **settings):
    draw = (np.full(len(indices), 3), np.array(indices), np.zeros(len(indices), int))
    return training_batch(train, draw, 5, Config(patch=12, **{**OFF, **settings}), CPU)


def test_with_everything_off_a_patch_is_as_it_lies_in_its_file(train):
    found = batch(train, [0, 1, 2])
    assert found.input is found.clean
    for row in range(3):
        whole = train.volume(row)[0]
        windows = np.lib.stride_tricks.sliding_window_view(whole, (12, 12, 12)).reshape(-1, 12**3)
        assert (windows == found.clean[row].flatten().numpy()).all(1).any()


CHANGES = {
    **dict.fromkeys(("flip", "blur", "low_resolution"), 1.0),
    **{"scale": 0.4, "rotation": 30.0, "elastic": 0.2, "gamma": 0.5, "brightness": 0.4, "contrast": 0.4, "noise": 0.1},
}


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_changes_what_it_should_by_the_key_alone(train, name):
    plain, both = batch(train, [0, 1]), batch(train, [0, 1], **{name: CHANGES[name]})
    alone = batch(train, [1], **{name: CHANGES[name]})
    assert torch.equal(both.input[1:], alone.input)
    assert torch.equal(both.label[1:], alone.label)
    geometry = name in ("flip", "scale", "rotation", "elastic")
    assert not torch.equal(both.input, plain.input)
    assert torch.equal(both.label, plain.label) != geometry
    assert torch.equal(both.clean, plain.clean) == (name in ("blur", "low_resolution", "noise"))
    assert both.clean.shape == plain.clean.shape
    assert (both.input >= 0).all()
    assert (both.input <= 1).all()
    assert (both.label[~both.content[:, 0]] == 255).all()


def test_picture_and_label_move_together(train):
    """Blocks are brighter than all else, so that after any geometry their label lies on bright voxels."""
    found = batch(train, [0, 1, 2, 3, 4], rotation=30.0, scale=0.3, elastic=0.1, flip=0.5, foreground_patches=1.0)
    bright = found.clean[:, 0] > 36000 / 65535
    both = (bright & (found.label == 2)).sum() / bright.sum()
    assert both > 0.95
