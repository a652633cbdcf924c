import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pytorch_msssim import ssim
from scipy.ndimage import maximum_filter
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import structural_similarity_index_measure

from core.errors import UserError
from reconstruction.losses import ReconstructionLoss, similarity
from reconstruction.perceptual import PerceptualDistance

PARTS = {"mse": (1, 0, 0), "perceptual": (0, 1, 0), "ssim": (0, 0, 1)}


@pytest.fixture(scope="module")
def perceptual():
    return PerceptualDistance()


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    target = F.avg_pool2d(torch.rand(3, 3, 48, 40, generator=generator), 5, 1, 2)
    restored = (target + 0.1 * torch.randn(target.shape, generator=generator)).clamp(0, 1)
    return restored, target


@pytest.fixture
def diamonds():
    """Content as a rotation leaves it: a small diamond, a large one, a full picture."""
    rows, columns = torch.meshgrid(torch.arange(48) - 24, torch.arange(40) - 20, indexing="ij")
    return torch.stack([rows.abs() + columns.abs() < reach for reach in (9, 20, 99)])[:, None]


def everything(pictures):
    return torch.ones_like(pictures[0][:, :1], dtype=torch.bool)


def test_without_bars_mse_and_ssim_are_the_plain_ones(pictures):
    parts = ReconstructionLoss(1, 0, 1)(*pictures, everything(pictures))
    assert parts["mse"] == pytest.approx(F.mse_loss(*pictures).item(), rel=1e-5)
    _, theirs = structural_similarity_index_measure(*pictures, data_range=1.0, return_full_image=True)
    assert parts["ssim"] == pytest.approx(theirs[..., 5:-5, 5:-5].mean().item(), abs=1e-5)


def test_loss_is_the_weighted_sum_of_its_parts(pictures, perceptual):
    parts = ReconstructionLoss(0.5, 2, 0.3, perceptual)(*pictures, everything(pictures))
    expected = 0.5 * parts["mse"] + 2 * parts["perceptual"] + 0.3 * (1 - parts["ssim"])
    assert parts["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_mse_averages_over_the_content_of_the_batch(pictures, diamonds):
    restored, target = pictures
    inside = diamonds.expand_as(target)
    expected = (restored[inside] - target[inside]).square().mean().item()
    assert ReconstructionLoss(1, 0, 0)(restored, target, diamonds)["mse"] == pytest.approx(expected, rel=1e-5)


def test_ssim_averages_over_the_windows_that_see_content(pictures, diamonds):
    expected = []
    for restored, target, content in zip(*pictures, diamonds[:, 0].numpy(), strict=True):
        pair = [np.where(content, image.numpy(), 0) for image in (restored, target)]
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
        _, scores = structural_similarity(*pair, channel_axis=0, full=True, **settings)
        seen = maximum_filter(content, size=11)[5:-5, 5:-5]
        expected.append(scores[:, 5:-5, 5:-5][:, seen].mean())
    parts = ReconstructionLoss(0, 0, 1)(*pictures, diamonds)
    assert parts["ssim"] == pytest.approx(np.mean(expected), abs=1e-5)


@pytest.mark.parametrize("part", PARTS)
def test_outside_content_nothing_counts(part, pictures, diamonds, perceptual):
    restored, target = pictures
    loss = ReconstructionLoss(*PARTS[part], perceptual)
    changed = restored.where(diamonds, torch.nan).requires_grad_()
    value = loss(changed, target.where(diamonds, 7.0), diamonds)["loss"]
    value.backward()
    assert value.item() == loss(restored, target, diamonds)["loss"].item()
    assert changed.grad.masked_select(~diamonds).eq(0).all()
    assert changed.grad.masked_select(diamonds).ne(0).float().mean() > 0.9


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_learned_by_descent(part, pictures, perceptual):
    loss = ReconstructionLoss(*PARTS[part], perceptual)
    restored = pictures[0].clone().requires_grad_()
    optimizer = torch.optim.Adam([restored], lr=0.01)
    values = []
    for _ in range(6):
        optimizer.zero_grad()
        values.append(loss(restored, pictures[1], everything(pictures))["loss"])
        values[-1].backward()
        optimizer.step()
    assert values[-1] < 0.9 * values[0]


@pytest.mark.parametrize("part", PARTS)
def test_equal_pictures_lose_nothing(part, pictures, perceptual):
    target = pictures[1]
    parts = ReconstructionLoss(*PARTS[part], perceptual)(target, target, everything(pictures))
    assert parts["loss"].item() == pytest.approx(0, abs=1e-6)
    assert parts[part].item() == pytest.approx(1 if part == "ssim" else 0, abs=1e-6)


@pytest.mark.parametrize("part", PARTS)
def test_autocast_changes_nothing(part, pictures, perceptual):
    restored, target = pictures[0].bfloat16(), pictures[1]
    loss = ReconstructionLoss(*PARTS[part], perceptual)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast = loss(restored, target, everything(pictures))["loss"]
    assert under_autocast.dtype == torch.float32
    assert under_autocast.item() == loss(restored.float(), target, everything(pictures))["loss"].item()


@pytest.mark.parametrize("part", PARTS)
def test_a_batch_without_content_loses_nothing(part, pictures, perceptual):
    restored = pictures[0].requires_grad_()
    loss = ReconstructionLoss(*PARTS[part], perceptual)(restored, pictures[1], ~everything(pictures))["loss"]
    loss.backward()
    assert loss.item() == 0
    assert restored.grad.eq(0).all()


def test_a_part_of_weight_zero_is_not_computed(pictures):
    class Never(torch.nn.Module):
        def sums(self, *_):
            raise AssertionError("computed for nothing")

    parts = ReconstructionLoss(1, 0, 0, Never())(*pictures, everything(pictures))
    assert parts["perceptual"] is None
    assert parts["ssim"] is None
    assert parts["loss"] == parts["mse"]


def test_parts_hold_no_graph(pictures, perceptual):
    parts = ReconstructionLoss(1, 1, 1, perceptual)(pictures[0].requires_grad_(), pictures[1], everything(pictures))
    assert [name for name, value in parts.items() if value.requires_grad] == ["loss"]


@pytest.mark.parametrize("weights", [(-1, 0, 1), (1, float("nan"), 0), (float("inf"), 0, 0)])
def test_weights_that_are_no_weights_are_refused(weights):
    with pytest.raises(UserError, match=r"_weight .*from 0"):
        ReconstructionLoss(*weights)


def test_all_weights_zero_is_refused():
    with pytest.raises(UserError, match="mse_weight, perceptual_weight, ssim_weight are all 0"):
        ReconstructionLoss(0, 0, 0)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_ssim_keeps_the_bits_and_the_layout_of_the_packages_gradient(pictures, layout):
    ours, theirs = (pictures[0].clone(memory_format=layout).requires_grad_() for _ in range(2))
    found = similarity(ours, pictures[1])
    expected = ssim(theirs, pictures[1], data_range=1, size_average=False)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)  # a mean in another order
    found.sum().backward()
    expected.sum().backward()
    assert torch.equal(ours.grad, theirs.grad)
    assert ours.grad.is_contiguous(memory_format=layout)
