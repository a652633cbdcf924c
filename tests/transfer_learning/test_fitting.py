"""What training counts and draws beside its loss."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch._subclasses import FakeTensorMode

from core.classes import ClassSet
from core.errors import UserError
from data.augment.batch import Batch
from transfer_learning.columns import selected
from transfer_learning.config import SegmentationConfig
from transfer_learning.fitting import Scales, among_all, picture_losses, resized, training_counts
from transfer_learning.losses.scored import Scored
from transfer_learning.scores.confusion import confusion_matrix, counts_of


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(2, 3, 64, 96, generator=generator)
    content = torch.zeros(2, 1, 64, 96, dtype=torch.bool)
    content[..., 10:50, 20:80] = True
    label = torch.randint(0, 4, (2, 64, 96), generator=generator)
    pictures = pictures * content
    return Batch(pictures, pictures, content, label.masked_fill(~content[:, 0] | (label == 3), 255))


def test_counts_are_those_of_the_confusion_matrix(batch):
    logits = torch.randn(2, 3, 64, 96)
    matrix = confusion_matrix(logits.argmax(1), batch.label, 3)
    np.testing.assert_array_equal(training_counts(logits, batch.label), counts_of(matrix.numpy()))


def test_the_loss_of_a_picture_is_its_mean_cross_entropy(batch):
    logits, label = torch.randn(2, 3, 64, 96), batch.label.clone()
    expected = F.cross_entropy(logits[:1], label[:1], ignore_index=255).item()
    label[1] = 255
    found = picture_losses(Scored(logits.log_softmax(1), label))
    assert found.tolist() == pytest.approx([expected, 0])


def test_nothing_waits_for_a_value():
    with FakeTensorMode():  # which has none; on a GPU each would hold up the step
        logits, label = torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8, dtype=torch.int64)
        assert training_counts(logits, label).shape == (3, 3)
        assert picture_losses(Scored(logits, label)).shape == (2,)


def test_shares_of_a_batch_add_up():
    shares = [among_all(torch.tensor([1.0, 2.0]), 0, 5), among_all(torch.tensor([3.0, 4.0, 5.0]), 2, 5)]
    assert sum(shares).tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("size", [(32, 64), (96, 160), (64, 96)])
def test_a_resized_batch_is_whole(batch, size):
    found = resized(batch, size)
    assert found.input.shape == (2, 3, *size)
    assert found.label.shape == (2, *size)
    assert found.content.shape == (2, 1, *size)
    assert found.content.dtype == torch.bool
    assert (found is batch) == (size == (64, 96))
    assert set(found.label.unique().tolist()) == {0, 1, 2, 255}
    assert found.label.masked_select(~found.content[:, 0]).eq(255).all()
    assert found.input.masked_select(~found.content).eq(0).all()
    share = found.content.float().mean() / batch.content.float().mean()
    assert share.item() == pytest.approx(1, abs=0.1)


def test_every_scale_is_drawn_and_the_step_alone_decides(batch):
    scales = Scales((0.75, 1, 1.3), (64, 96), seed=4)
    assert scales.sizes == [(64, 64), (64, 96), (96, 128)]  # whole multiples of 32
    sizes = [tuple(scales.resized(batch, step).input.shape[-2:]) for step in range(40)]
    assert set(sizes) == set(scales.sizes)
    assert sizes == [tuple(scales.resized(batch, step).input.shape[-2:]) for step in range(40)]
    assert Scales((1,), (50, 70), seed=0).sizes == [(50, 70)]  # as they come
    assert Scales((), (50, 70), seed=0).resized(batch, 0) is batch
    with pytest.raises(UserError, match="every side needs at least"):
        Scales((0.25,), (64, 64), seed=0)


def test_foreground_needs_a_background():
    config = SimpleNamespace(select="mean_foreground_dice")
    assert selected(config, ClassSet(("ground", "cat"), background=0)) == "dice_mean_foreground"
    with pytest.raises(UserError, match="these data have no background class; give --select mean_iou"):
        selected(config, ClassSet(("road", "car"), background=None))
    assert selected(SegmentationConfig(select="pixel_accuracy"), ClassSet(("a", "b"))) == "pixel_accuracy"
