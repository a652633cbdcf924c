"""Grey pictures: one channel through both networks, normalisation, ImageNet encoders and what is predicted."""

import numpy as np
import pytest
import torch
from sample_header import sample_header

from core.errors import UserError
from core.networks.encoder_weights import load_imagenet
from core.networks.normalise import Normaliser
from core.networks.unet import count_parameters, initialise
from core.randomness import keys
from core.weights import save_weights
from data.pretext.hiding import Pretext, shown
from data.pretext.targets import normalised_patches, oriented_gradients, target_channels
from reconstruction.figures.pictures import errors, pictures
from reconstruction.figures.pretext import pretext_columns
from reconstruction.losses import ReconstructionLoss
from reconstruction.network import Autoencoder
from reconstruction.perceptual import PerceptualDistance
from transfer_learning.network import SegmentationUNet
from transfer_learning.transfer import load_pretrained

ENCODERS = ("unet", "tf_efficientnet_lite0", "convnext_atto")


@pytest.fixture
def grey():
    torch.manual_seed(0)
    return torch.rand(2, 1, 40, 56)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("statistics", [False, True])
def test_a_grey_picture_is_restored_as_one(grey, encoder, statistics):
    network = Autoencoder(2, image_statistics=statistics, encoder=encoder, in_channels=1)
    restored = network(grey)
    assert restored.shape == grey.shape
    (restored - grey).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("encoder", ENCODERS)
def test_a_grey_picture_is_segmented(grey, encoder):
    assert SegmentationUNet(5, 2, encoder=encoder, in_channels=1)(grey).shape == (2, 5, 40, 56)


def test_one_channel_takes_two_ninths_off_the_first_convolution():
    coloured, single = Autoencoder(4), Autoencoder(4, in_channels=1)
    # 3 x 3 weights a channel at the first convolution's 4 outputs; the head's 4 inputs and a bias for each output.
    assert count_parameters(coloured) - count_parameters(single) == 2 * 9 * 4 + 2 * (9 * 4 + 1)


def test_an_imagenet_encoder_sees_grey_as_rgb_of_equal_channels(grey):
    model = SegmentationUNet(width=2, normalisation="unit", encoder="tf_efficientnet_lite0", in_channels=1).eval()
    initialise(model)
    load_imagenet(model.encoder, "tf_efficientnet_lite0")
    coloured = SegmentationUNet(width=2, normalisation="unit", encoder="tf_efficientnet_lite0").eval()
    coloured.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(grey), coloured(grey.expand(-1, 3, -1, -1)))


def test_grey_is_normalised_by_the_statistics_of_brightness(grey):
    mean = 0.299 * 0.485 + 0.587 * 0.456 + 0.114 * 0.406
    deviation = 0.299 * 0.229 + 0.587 * 0.224 + 0.114 * 0.225
    torch.testing.assert_close(Normaliser("imagenet", 1)(grey), (grey - mean) / deviation)
    torch.testing.assert_close(Normaliser("unit", 1)(grey), 2 * grey - 1)
    # The brightness of a normalised picture is near the normalised brightness.
    colours = torch.rand(1, 3, 9, 9)
    luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    of_colours = (Normaliser("imagenet", 3)(colours) * luma).sum(1, keepdim=True)
    torch.testing.assert_close(
        of_colours, Normaliser("imagenet", 1)((colours * luma).sum(1, keepdim=True)), atol=0.05, rtol=0
    )


def test_the_perceptual_distance_of_grey_is_that_of_rgb(grey):
    other, content = torch.rand_like(grey), torch.ones(2, 1, 40, 56, dtype=torch.bool)
    loss = ReconstructionLoss(1, 1, 1, PerceptualDistance())
    repeated = (images.repeat(1, 3, 1, 1) for images in (other, grey))
    found, expected = loss(other, grey, content), loss(*repeated, content)
    for part in ("mse", "perceptual", "ssim"):
        assert found[part].item() == pytest.approx(expected[part].item(), rel=1e-4)


def test_targets_have_as_many_channels_as_the_pictures(grey):
    assert [target_channels(target, 1) for target in ("pixels", "normalised", "hog")] == [1, 1, 9]
    assert [target_channels(target, 3) for target in ("pixels", "normalised", "hog")] == [3, 3, 27]
    repeated = grey.repeat(1, 3, 1, 1)
    assert torch.equal(oriented_gradients(grey), oriented_gradients(repeated)[:, 9:18])
    torch.testing.assert_close(normalised_patches(grey, 8), normalised_patches(repeated, 8)[:, :1])


@pytest.mark.parametrize("target", ["pixels", "normalised", "hog"])
def test_figures_draw_grey_as_rgb_of_equal_channels(grey, target):
    content = torch.ones(2, 1, 40, 56, dtype=torch.bool)
    seen = shown(grey, content, keys(0, 0, np.arange(2)), Pretext("mask", mask_patch=8))
    output = torch.rand(2, target_channels(target, 1), 40, 56)
    for drawn in pretext_columns(output, grey, content, seen, target, 8).values():
        assert all(picture.shape in ((40, 56, 3), (80, 112, 3)) for picture in drawn)
        assert all((picture == picture[..., :1]).all() for picture in drawn)
    assert pictures(grey, content)[0].shape == (40, 56, 3)
    assert errors(grey, grey * 0.5, content)[0] == pytest.approx(grey[0, 0].numpy() / 2)


@pytest.mark.parametrize(("theirs", "ours"), [(1, 3), (3, 1)])
def test_an_encoder_of_other_channels_is_refused(tmp_path, theirs, ours):
    architecture = {"width": 2, "normalisation": "unit", **({"in_channels": 1} if theirs == 1 else {})}  # absent: 3
    save_weights(
        tmp_path / "weights", Autoencoder(**architecture).state_dict(), sample_header(architecture=architecture)
    )
    same = SegmentationUNet(width=2, normalisation="unit", in_channels=theirs)
    load_pretrained(same, tmp_path / "weights", "unit", ("encoder",))
    other = SegmentationUNet(width=2, normalisation="unit", in_channels=ours)
    with pytest.raises(UserError, match=f"pictures of {theirs} channels?, these have {ours}.*--channels {theirs}"):
        load_pretrained(other, tmp_path / "weights", "unit", ("encoder",))
