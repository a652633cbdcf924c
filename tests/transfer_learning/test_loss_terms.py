"""Every term of a loss: one contract for all, and each against an independent reference."""

import dataclasses

import numpy as np
import pytest
import segmentation_models_pytorch.losses as smp
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch._subclasses import FakeTensorMode
from torchvision.ops import sigmoid_focal_loss

from core.errors import UserError
from core.machine.processes import merged
from transfer_learning.config import SegmentationConfig
from transfer_learning.losses.distances import border_map, distance_to, signed_distances
from transfer_learning.losses.expression import parts_of
from transfer_learning.losses.segmentation import SegmentationLoss
from transfer_learning.losses.terms import PIXELWISE, TERMS

EVERY = "2*ce + dice + 0.5*focal(gamma=1.5) + tversky + jaccard + lovasz + 0.1*boundary + ohem + label_smoothing"


def loss_of(expression, weighted_ce="off", pixels=None, background=0):
    return SegmentationLoss(parts_of(expression), weighted_ce, pixels, background)


@pytest.fixture
def batch():
    """Logits and labels in patches of four classes of five, with ignored pixels."""
    generator = torch.Generator().manual_seed(0)
    label = torch.randint(0, 5, (3, 5, 4), generator=generator).repeat_interleave(4, 1).repeat_interleave(5, 2)
    return 2 * torch.randn(3, 5, 20, 20, generator=generator), label.masked_fill(label == 4, 255)


@pytest.mark.parametrize("name", TERMS)
def test_what_is_ignored_has_no_say(name, batch):
    logits, label = batch
    ignored = (label == 255)[:, None]
    changed = logits.masked_fill(ignored, 30.0).requires_grad_()
    value = loss_of(name)(changed, label)["loss"]
    value.backward()
    assert value.item() == pytest.approx(loss_of(name)(logits, label)["loss"].item(), rel=1e-6)
    assert changed.grad.masked_select(ignored).eq(0).all()
    assert changed.grad.ne(0).any()


@pytest.mark.parametrize("name", TERMS)
def test_nothing_to_score_gives_zero_without_a_gradient(name, batch):
    logits = batch[0].requires_grad_()
    loss = loss_of(name)(logits, torch.full_like(batch[1], 255))["loss"]
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.eq(0).all()


@pytest.mark.parametrize("name", TERMS)
def test_sums_of_parts_are_those_of_the_batch(name, batch):
    logits, label = batch
    loss = loss_of(name, "batch" if name in PIXELWISE else "off")
    parts = merged(loss.sums(logits[:1], label[:1]), loss.sums(logits[1:], label[1:]))
    torch.testing.assert_close(loss.from_sums(parts), loss(logits, label))


@pytest.mark.parametrize("name", TERMS)
def test_half_precision_and_huge_logits(name, batch):
    logits, label = batch
    half = logits.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss_of(name)(half, label)["loss"]
    assert found.dtype == torch.float32
    assert found.item() == loss_of(name)(half.float(), label)["loss"].item()
    huge = (1e4 * logits).requires_grad_()
    loss_of(name)(huge, label)["loss"].backward()
    assert huge.grad.isfinite().all()


@pytest.mark.parametrize("name", TERMS)
def test_descent_learns_the_classes_that_are_there(name, batch):
    label = batch[1]
    logits = (0.1 * batch[0]).requires_grad_()
    optimizer = torch.optim.Adam([logits], lr=0.3)
    for _ in range(40):
        optimizer.zero_grad()
        loss_of(name)(logits, label)["loss"].backward()
        optimizer.step()
    right = (logits.argmax(1) == label)[label != 255].float().mean()
    assert right > (0.7 if name == "boundary" else 0.9)  # pixels at an outline have no distance from it


@pytest.mark.parametrize("name", [name for name in TERMS if name not in ("boundary", "border_weight")])
def test_nothing_waits_for_a_value(name):
    with FakeTensorMode():  # which has none; on a GPU each would hold up the step
        logits = torch.zeros(2, 3, 8, 8, requires_grad=True)
        loss_of(name)(logits, torch.zeros(2, 8, 8, dtype=torch.int64))["loss"].backward()
    assert logits.grad.shape == logits.shape


def focal_reference(logits, label):
    scored = label != 255
    margin = (logits[:, 1] - logits[:, 0])[scored]
    return sigmoid_focal_loss(margin, label[scored].float(), alpha=-1, gamma=2, reduction="mean")


REFERENCES = {
    "focal(gamma=2)": focal_reference,
    "focal(gamma=0)": lambda logits, label: F.cross_entropy(logits, label, ignore_index=255),
    "label_smoothing(share=0.2)": lambda logits, label: F.cross_entropy(
        logits, label, ignore_index=255, label_smoothing=0.2
    ),
    "jaccard": smp.JaccardLoss("multiclass", smooth=0),
    "tversky(alpha=0.2, beta=0.9)": smp.TverskyLoss("multiclass", alpha=0.2, beta=0.9, smooth=0, ignore_index=255),
    "tversky(alpha=0.5, beta=0.5)": smp.DiceLoss("multiclass", smooth=0, ignore_index=255),
    "lovasz": smp.LovaszLoss("multiclass", per_image=True, ignore_index=255),
    "ohem(threshold=1, share=0)": lambda logits, label: F.cross_entropy(logits, label, ignore_index=255),
}


@pytest.mark.parametrize("expression", REFERENCES)
@pytest.mark.parametrize("ignoring", [False, True])
def test_terms_are_those_of_libraries(expression, ignoring):
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(3, 2, 9, 11, generator=generator)
    label = torch.randint(0, 2, (3, 9, 11), generator=generator)
    if ignoring and expression != "jaccard":  # which SMP gives no pixels to ignore
        label[:, 2:5] = 255
    found = loss_of(expression)(logits, label)["loss"].item()
    assert found == pytest.approx(REFERENCES[expression](logits, label).item(), rel=1e-4)


def test_tversky_is_monais():
    losses = pytest.importorskip("monai.losses", reason="monai is not installed (extra `benchmarks`)")
    logits, label = torch.randn(2, 3, 8, 8), torch.arange(128).view(2, 8, 8) % 3
    reference = losses.TverskyLoss(
        softmax=True, to_onehot_y=True, alpha=0.3, beta=0.7, batch=True, smooth_nr=0, smooth_dr=0
    )
    assert loss_of("tversky")(logits, label)["loss"].item() == pytest.approx(reference(logits, label[:, None]).item())


@pytest.mark.parametrize("expression", ["label_smoothing(share=0.3)", "focal(gamma=0)"])
def test_classes_weigh_as_torch_weighs_them(batch, expression):
    logits, label = batch
    pixels = torch.tensor([5, 1, 9, 2, 3])
    weights = pixels.sum() / (5 * pixels)
    smoothing = 0.3 if "0.3" in expression else 0.0
    expected = F.cross_entropy(logits, label, weights, ignore_index=255, label_smoothing=smoothing)
    assert loss_of(expression, "static", pixels)(logits, label)["loss"].item() == pytest.approx(expected.item(), 1e-5)


def test_hard_pixels_by_hand():
    # Probabilities of the true class: of the first picture two below 0.5, of the second none.
    truth = torch.tensor([[0.1, 0.4, 0.6, 0.9], [0.6, 0.7, 0.8, 0.9]])
    logits = torch.stack([truth, 1 - truth], 1).log()[:, :, None]  # [2, 2, 1, 4]
    label = torch.zeros(2, 1, 4, dtype=torch.int64)
    costs = -truth.log()
    for share, kept in ((0, [0, 1, 4]), (0.5, [0, 1, 4, 5]), (0.75, [0, 1, 2, 4, 5, 6])):
        found = loss_of(f"ohem(threshold=0.5, share={share})")(logits, label)["loss"].item()
        assert found == pytest.approx(costs.flatten()[kept].mean().item(), rel=1e-5), share
    label[1] = 255
    assert loss_of("ohem(threshold=0.5, share=0)")(logits, label)["loss"].item() == pytest.approx(costs[0, :2].mean())


def test_distances_are_those_to_the_nearest_pixel(batch):
    label = batch[1][0].numpy()
    places = np.stack(np.indices(label.shape), -1)
    found = signed_distances(label, 5)
    for number in range(5):
        within, others = places[label == number], places[(label != number) & (label != 255)]
        for place in np.ndindex(label.shape):
            expected = 0.0
            if label[place] != 255 and len(within):
                nearest = np.linalg.norm((others if label[place] == number else within) - place, axis=1).min()
                expected = 1 - nearest if label[place] == number else nearest
            assert found[number][place] == pytest.approx(expected, abs=1e-4)


def test_distances_have_the_same_bits_wherever_they_lie():
    pixels = np.random.default_rng(0).random((8, 8)).repeat(8, 0).repeat(8, 1) < 0.3
    expected = ndimage.distance_transform_edt(~pixels).astype(np.float32)
    for shift in range(16):  # OpenCV alone differs between them
        memory = np.empty(pixels.size + 16, bool)
        moved = memory[shift : shift + pixels.size].reshape(pixels.shape)
        moved[:] = pixels
        np.testing.assert_array_equal(distance_to(moved), expected)


def test_boundary_by_hand_and_alone():
    label = torch.tensor([[[0, 0, 1, 1, 255]]])
    probability = torch.tensor([0.9, 0.5, 0.2, 0.6, 0.5])  # of class 0
    logits = torch.stack([probability, 1 - probability]).log().view(1, 2, 1, 5)
    # Signed distances of class 0: -1, 0, 1, 2; of class 1: 2, 1, 0, -1; two classes times four pixels.
    mass = -1 * 0.9 + 1 * 0.2 + 2 * 0.6 + 2 * 0.1 + 1 * 0.5 - 1 * 0.4
    assert loss_of("boundary")(logits, label)["loss"].item() == pytest.approx(mass / 8, rel=1e-5)
    assert loss_of("boundary")(logits, label.where(label == 255, 1))["loss"].item() == 0  # no outline anywhere


def test_the_map_of_borders_is_u_nets():
    label = np.zeros((30, 40), np.uint8)
    label[5:20, 5:18], label[8:20, 21:30], label[25:28, 3:9] = 1, 1, 2
    label[0] = 255
    objects, count = ndimage.label(label == 1)
    assert count == 2
    objects[label == 2] = 3
    distances = np.sort([ndimage.distance_transform_edt(objects != number) for number in (1, 2, 3)], axis=0)
    expected = 10 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * 5**2)) * (label != 255)
    np.testing.assert_allclose(border_map(label, 0, 10, 5), expected, rtol=1e-4)
    assert border_map(label, 0, 10, 5)[10, 19] == pytest.approx(expected.max())  # in the gap
    assert not border_map(np.where(label == 1, label, 0) * (np.arange(40) < 20), 0, 10, 5).any()  # one object


def test_borders_weigh_the_cross_entropy(batch):
    logits, label = batch
    maps = torch.from_numpy(np.stack([border_map(one, 0, 10, 5) for one in label.numpy()]))
    weights = maps + (label != 255)
    costs = F.cross_entropy(logits, label, ignore_index=255, reduction="none")
    expected = (weights * costs).sum() / weights.sum()
    assert loss_of("border_weight")(logits, label)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert loss_of("border_weight(w0=0)")(logits, label)["loss"].item() == pytest.approx(
        loss_of("ce")(logits, label)["loss"].item()
    )


def test_a_loss_is_the_weighted_sum_of_its_terms(batch):
    found = loss_of(EVERY)(*batch)
    parts = parts_of(EVERY)
    assert list(parts) == [name for name in found if name != "loss"]
    assert found["loss"].item() == pytest.approx(sum(part.weight * found[name] for name, part in parts.items()).item())
    for name in parts:
        alone = parts_of(EVERY)[name]
        value = SegmentationLoss({name: alone})(*batch)[name]
        assert found[name].item() == pytest.approx(value.item(), rel=1e-6)


def test_a_loss_is_read_as_it_is_written():
    assert parts_of("dice+ce") == parts_of(" dice + 1 * ce ")
    parts = parts_of("0.5 * focal( gamma = 3 )+1e-2*tversky(beta=0.6,alpha=.4)")
    assert [(part.weight, dataclasses.asdict(part.term)) for part in parts.values()] == [
        (0.5, {"gamma": 3}),
        (0.01, {"alpha": 0.4, "beta": 0.6}),
    ]


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("dise", "there is no term 'dise'; did you mean dice?"),
        ("xyz", "there is no term 'xyz': take ce, focal, ohem, label_smoothing, border_weight, dice, tversky, jacc"),
        ("dice +", "'' is no term: write name or weight*name"),
        ("dice ce", "'dice ce' is no term"),
        ("dice + dice", "dice stands there twice"),
        ("half*dice", "the weight of dice must be a number, not 'half'"),
        ("nan*dice", "the weight of dice must be a number"),
        ("0*dice", "the weight of dice must be above 0 (leave it out to be without it)"),
        ("-1*dice", "the weight of dice must be above 0"),
        ("dice(gamma=2)", "dice takes nothing, not 'gamma'"),
        ("focal(gama=2)", "focal takes gamma, not 'gama'; did you mean gamma?"),
        ("focal(gamma)", "gamma of focal must be a number, not ''"),
        ("focal(2)", "focal takes gamma, not '2'"),
        ("focal(gamma=-1)", "gamma is 0 (cross-entropy) or more"),
        ("tversky(beta=0)", "beta (of what is missed) above 0"),
        ("ohem(share=2)", "both lie within 0 and 1"),
        ("label_smoothing(share=1)", "the share lies in 0 to 1"),
        ("border_weight(sigma=0)", "sigma (in pixels) above 0"),
        ("0_5*dice", "the weight of dice must be a number, not '0_5'"),
        ("focal(gamma=2, gamma=3)", "gamma of focal stands there twice: give it once"),
    ],
)
def test_a_loss_that_cannot_be_read_is_refused(loss, message):
    with pytest.raises(UserError) as error:
        SegmentationConfig(loss=loss)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_weights_of_the_default_loss_go_on_working():
    both = SegmentationConfig(dice_weight=0.5, ce_weight=2).loss_parts
    assert {name: part.weight for name, part in both.items()} == {"dice": 0.5, "ce": 2}
    assert list(SegmentationConfig(dice_weight=0).loss_parts) == ["ce"]
    with pytest.raises(UserError, match=r"--dice_weight is of the default loss: write 0.5\*dice into --loss instead"):
        SegmentationConfig(loss="dice", dice_weight=0.5)
    with pytest.raises(UserError, match="dice_weight and ce_weight are both 0"):
        SegmentationConfig(dice_weight=0, ce_weight=0)
    assert SegmentationConfig(ce_weight=0).idle()["weighted_ce"] == "with --ce_weight 0"
    assert "weighted_ce" in SegmentationConfig(loss="dice + lovasz").idle()
    assert "weighted_ce" not in SegmentationConfig(loss="dice + ohem").idle()
