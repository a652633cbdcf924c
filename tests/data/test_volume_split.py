from dataclasses import dataclass

import numpy as np
import pytest
import torch
from sample_volumes import cube, write_volumes

from core.errors import UserError
from core.randomness import keys
from data.augment.settings import AugmentConfig
from data.loading import open_training, plain_batches, training_batch
from data.manifest import volume_path
from data.opened import open_data
from data.volumes.patches import draw_corners
from data.volumes.settings import PatchConfig

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Config(PatchConfig, AugmentConfig):
    """What a phase's settings have of both."""


@pytest.fixture
def data(tmp_path):
    return open_data(write_volumes(tmp_path / "volumes"))


def test_a_window_reads_that_box_and_nothing_lies_outside(data):
    train = data.split("Train")
    voxels, label = cube(1, tuple(train.shapes[1]))
    picture, content, read = train.window(1, (3, -2, 10), (8, 6, 12))
    padded = np.pad(voxels[0], 12).astype(np.float32) / 65535
    np.testing.assert_array_equal(picture[0], padded[15:23, 10:16, 22:34])
    np.testing.assert_array_equal(content[0], np.pad(np.ones_like(label), 12)[15:23, 10:16, 22:34] == 1)
    np.testing.assert_array_equal(read, np.pad(label, 12, constant_values=255)[15:23, 10:16, 22:34])
    assert train.window(3, (0, 0, 0), (4, 4, 4))[2] is None
    np.testing.assert_array_equal(train.truth(1), label)


def test_windows_cover_each_volume_once(data):
    val = data.split("Val").in_patches((8, 8, 8))
    wanted = [int((cube(100 + number, tuple(val.shapes[number]))[1] == 1).sum()) for number in range(2)]
    found, content = np.zeros(2, int), np.zeros(2, int)
    for indices, batch in plain_batches(val, np.arange(2), 5, CPU):
        np.add.at(found, indices, (batch.label == 1).sum((1, 2, 3)).numpy())
        np.add.at(content, indices, batch.content.sum((1, 2, 3, 4)).numpy())
        assert (batch.clean[~batch.content] == 0).all()
        assert (batch.label[~batch.content[:, 0]] == 255).all()
    assert found.tolist() == wanted
    assert content.tolist() == val.shapes.prod(1).tolist()


def test_a_third_of_the_patches_holds_what_is_looked_for_in_its_middle_and_all_lie_inside(data):
    train = data.split("Train")
    drawn = np.zeros(3000, int)
    corners = draw_corners(train, drawn, keys(0, np.arange(3000), drawn), (4, 4, 4), 1 / 3)
    assert (corners >= 0).all()
    assert (corners + 4 <= train.shapes[0]).all()
    label = train.label(0)
    share = np.mean([label[tuple(corner + 2)] > 0 for corner in corners])
    by_chance = (label > 0).mean()
    assert abs(share - (1 / 3 + 2 / 3 * by_chance)) < 0.05
    larger = draw_corners(train, drawn[:5], keys(0, 0, drawn[:5]), (32, 32, 32), 1.0)
    assert (larger == (train.shapes[0] - 32) // 2).all()


def test_a_patch_depends_on_seed_pass_and_volume_alone(data):
    train, _ = open_training(data, Config(patch=8, flip=0, scale=0, rotation=0))
    both = training_batch(train, (np.array([2, 5]), np.array([0, 1]), np.array([0, 0])), 7, Config(patch=8), CPU)
    alone = training_batch(train, (np.array([5]), np.array([1]), np.array([0])), 7, Config(patch=8), CPU)
    assert torch.equal(both.input[1:], alone.input)
    assert torch.equal(both.label[1:], alone.label)
    assert both.clean.shape == (2, 1, 8, 8, 8)
    assert both.label.shape == (2, 8, 8, 8)


def test_volumes_need_a_patch_and_what_was_altered_is_refused(data):
    with pytest.raises(UserError, match="give --patch"):
        open_training(data, Config())
    path = volume_path(data.data_dir, "Train", "train_0")
    voxels = np.load(path)
    voxels[0, 0, 0, 0] ^= 1
    np.save(path, voxels)
    with pytest.raises(UserError, match="altered"):
        data.split("Train").truth(0)
    path.unlink()
    with pytest.raises(UserError, match="missing"):
        data.split("Train")
