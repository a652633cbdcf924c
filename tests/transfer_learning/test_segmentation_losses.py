import math

import pytest
import torch
import torch.nn.functional as F
from segmentation_models_pytorch.losses import DiceLoss
from torch._subclasses import FakeTensorMode

from core.errors import UserError
from core.machine.processes import merged
from transfer_learning.losses.class_sums import ClassSums
from transfer_learning.losses.expression import parts_of
from transfer_learning.losses.segmentation import SegmentationLoss, class_weights, log_weights

PIXELS = [900, 60, 340]


@pytest.fixture
def batch():
    """Logits and labels of a batch that holds all classes and ignored pixels."""
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 4, (4, 17, 13), generator=generator)
    return 2 * torch.randn(4, 3, 17, 13, generator=generator), label.masked_fill(label == 3, 255)


def loss_of(expression, *arguments):
    return SegmentationLoss(parts_of(expression), *arguments)


def certain(label):
    """Logits that leave no doubt about `label`, any class where nothing is scored."""
    return 50.0 * F.one_hot(label.where(label != 255, 0), 3).movedim(-1, 1)


@pytest.mark.parametrize("weighted_ce", ["static", "log", "batch", "off"])
def test_cross_entropy_is_that_of_torch(batch, weighted_ce):
    logits, label = batch
    pixels = {"static": torch.tensor(PIXELS), "batch": torch.bincount(label[label != 255]), "off": torch.ones(3)}
    pixels["log"] = pixels["static"]
    share = pixels[weighted_ce] / pixels[weighted_ce].sum()
    weight = 1 / torch.log(1.02 + share) if weighted_ce == "log" else 1 / (3.0 * share)
    expected = F.cross_entropy(logits, label, weight, ignore_index=255)
    found = loss_of("ce", weighted_ce, PIXELS)(logits, label)
    assert found["ce"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert "dice" not in found


def test_dice_is_that_of_a_library_when_all_classes_are_there(batch):
    expected = DiceLoss("multiclass", smooth=0, ignore_index=255)(*batch).item()
    found = loss_of("dice")(*batch)
    assert found["dice"].item() == pytest.approx(expected, rel=1e-5)
    assert "ce" not in found


def test_loss_is_the_weighted_sum_of_its_parts(batch):
    parts = loss_of("0.5*dice + 2*ce", "static", PIXELS)(*batch)
    assert parts["loss"].item() == pytest.approx((0.5 * parts["dice"] + 2 * parts["ce"]).item())


def test_dice_by_hand():
    # Two scored pixels, background and dog, and one ignored; half of the mass of each goes to another class.
    probabilities = torch.tensor([[0.5, 0.5, 0.0], [0.25, 0.25, 0.5], [0.0, 1.0, 0.0]]).clamp(min=1e-9)
    logits = probabilities.log().T.reshape(1, 3, 1, 3)
    label = torch.tensor([[[0, 2, 255]]])
    background, dog = 2 * 0.5 / (0.75 + 1), 2 * 0.5 / (0.5 + 1)
    assert loss_of("dice")(logits, label)["dice"].item() == pytest.approx(1 - (background + dog) / 2)


def test_an_absent_class_adds_neither_constant_nor_reward(batch):
    label = batch[1].masked_fill(batch[1] == 1, 2)
    perfect = loss_of("dice")(certain(label), label)["dice"]
    assert perfect.item() == pytest.approx(0, abs=1e-6)
    wrong = label.masked_fill(label == 2, 0)  # background alone: Dice of the dog is 0
    found = loss_of("dice")(certain(wrong), label)["dice"].item()
    background, scored = (label == 0).sum().item(), (label != 255).sum().item()
    assert found == pytest.approx(1 - (2 * background / (background + scored) + 0) / 2, rel=1e-5)
    invented = label.masked_fill(label == 2, 1)  # the absent cat in the dog's place is no better
    assert loss_of("dice")(certain(invented), label)["dice"].item() == pytest.approx(0.5, abs=1e-5)


@pytest.mark.parametrize("weighted_ce", ["static", "log", "batch", "off"])
def test_ignored_pixels_have_no_say(batch, weighted_ce):
    logits, label = batch
    loss = loss_of("dice + ce", weighted_ce, PIXELS)
    ignored = (label == 255)[:, None]
    changed = logits.masked_fill(ignored, 30.0).requires_grad_()
    value = loss(changed, label)["loss"]
    value.backward()
    assert value.item() == loss(logits, label)["loss"].item()
    assert changed.grad.masked_select(ignored).eq(0).all()
    assert changed.grad.masked_select(~ignored).ne(0).all()


@pytest.mark.parametrize("weighted_ce", ["static", "log", "batch", "off"])
@pytest.mark.parametrize("expression", ["dice", "ce", "dice + ce"])
def test_a_batch_with_nothing_to_score_gives_zero_and_no_gradient(batch, expression, weighted_ce):
    logits = batch[0].requires_grad_()
    loss = loss_of(expression, weighted_ce, PIXELS)(logits, torch.full_like(batch[1], 255))["loss"]
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.eq(0).all()


def test_a_class_that_training_never_saw_weighs_nothing(batch):
    logits, label = batch
    found = loss_of("ce", "static", [900, 0, 340])(logits, label)["ce"]
    expected = loss_of("ce", "static", [900, 1, 340])(logits, label.masked_fill(label == 1, 255))["ce"]
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(class_weights(torch.tensor([10, 30, 0])), torch.tensor([40 / 30, 40 / 90, 0.0]))


def test_logarithmic_weights_are_those_of_enet():
    found = log_weights(torch.tensor([980, 20, 0]))
    torch.testing.assert_close(found, torch.tensor([1 / math.log(2), 1 / math.log(1.04), 0.0]))


@pytest.mark.parametrize("weighted_ce", ["static", "log", "batch", "off"])
def test_sums_of_parts_give_the_loss_of_the_batch(batch, weighted_ce):
    logits, label = batch
    loss = loss_of("dice + ce", weighted_ce, PIXELS)
    halves = merged(loss.sums(logits[:1], label[:1]), loss.sums(logits[1:], label[1:]))
    torch.testing.assert_close(loss.from_sums(halves), loss(logits, label))


def dense_loss(logits, label, dice_weight, ce_weight, class_weight):
    """The loss as its formula stands, with a plane a class for the truth."""
    truth = label[:, None] == torch.arange(logits.shape[1]).view(1, -1, 1, 1)
    pixels = truth.sum((0, 2, 3)).float()
    log_probabilities = logits.log_softmax(1)
    probabilities = log_probabilities.exp()
    mass = (probabilities * truth.any(1, keepdim=True)).sum((0, 2, 3))
    dice = 2 * (probabilities * truth).sum((0, 2, 3)) / (mass + pixels).clamp(min=1e-9)
    held = pixels > 0
    cross_entropy = -log_probabilities.where(truth, 0).sum((0, 2, 3))
    mean = (class_weight * cross_entropy).sum() / (class_weight * pixels).sum()
    return dice_weight * ((1 - dice) * held).sum() / held.sum() + ce_weight * mean


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("expression", ["dice + ce", "ce", "dice"])
@pytest.mark.parametrize("classes", [2, 3, 21, 150])
def test_loss_and_gradient_are_those_of_the_formula(classes, expression, layout):
    generator = torch.Generator().manual_seed(classes)
    label = torch.randint(0, classes + 1, (3, 20, 24), generator=generator)
    label = label.masked_fill(label == classes, 255).masked_fill(label == 1, 255)  # a class is absent
    pixels = torch.randint(1, 999, (classes,), generator=generator)
    one, other = (
        torch.randn(3, classes, 20, 24, generator=torch.Generator().manual_seed(0)).to(memory_format=layout)
        for _ in range(2)
    )
    found = loss_of(expression, "static", pixels)(one.requires_grad_(), label)["loss"]
    expected = dense_loss(
        other.requires_grad_(), label, "dice" in expression, expression != "dice", class_weights(pixels)
    )
    found.backward()
    expected.backward()
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)
    assert (one.grad - other.grad).abs().max() < 1e-6 * other.grad.abs().max()


def test_the_gradient_is_that_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 5, (2, 3, 4), generator=generator)
    label[label == 4] = 255
    logits = torch.randn(2, 4, 3, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: ClassSums.apply(x.log_softmax(1), label, True, True), logits)


def test_nothing_waits_for_a_value():
    with FakeTensorMode():  # which has none; on a GPU each would hold up the step
        logits = torch.zeros(2, 3, 8, 8, requires_grad=True)
        loss = loss_of("dice + ce")(logits, torch.zeros(2, 8, 8, dtype=torch.int64))["loss"]
        loss.backward()
    assert logits.grad.shape == logits.shape


@pytest.mark.parametrize("part", ["dice", "ce"])
def test_each_part_is_learned_by_descent(part, batch):
    logits, label = batch[0].clone().requires_grad_(), batch[1]
    optimizer = torch.optim.Adam([logits], lr=0.3)
    loss = loss_of(part, "batch")
    values = []
    for _ in range(10):
        optimizer.zero_grad()
        values.append(loss(logits, label)["loss"])
        values[-1].backward()
        optimizer.step()
    assert values[-1] < 0.7 * values[0]


def test_autocast_changes_nothing(batch):
    logits, label = batch[0].bfloat16(), batch[1]
    loss = loss_of("dice + ce", "static", PIXELS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = loss(logits, label)["loss"]
    assert under_autocast.dtype == torch.float32
    assert under_autocast.item() == loss(logits.float(), label)["loss"].item()


def test_huge_logits_stay_finite(batch):
    logits = (1e4 * batch[0]).requires_grad_()
    loss = loss_of("dice + ce", "static", PIXELS)(logits, batch[1])["loss"]
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_labels_without_any_class_are_refused():
    with pytest.raises(UserError, match="no pixel of any class"):
        loss_of("dice + ce", "static", [0, 0, 0])
