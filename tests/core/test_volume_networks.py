"""Both networks on volumes: what holds for pictures holds for them, and what cannot be is refused by name."""

import pytest
import torch
from torch import nn

from core.errors import UserError
from core.machine.device import lay_out
from core.networks.unet import InstanceNorm, stages_of
from core.weights import load_strictly
from reconstruction.config import ReconstructionConfig
from reconstruction.network import Autoencoder
from transfer_learning.config import SegmentationConfig
from transfer_learning.network import SegmentationUNet

NETWORKS = {
    "segmentation": lambda **kind: SegmentationUNet(width=2, **kind),
    "refined": lambda **kind: SegmentationUNet(width=8, refine="boundary", attention="cbam", **kind),
    "self-attention": lambda **kind: SegmentationUNet(width=2, attention="self", **kind),
    "autoencoder": lambda **kind: Autoencoder(width=2, image_statistics=True, **kind),
    "deep skips": lambda **kind: Autoencoder(width=2, skips="deep", **kind),
}
OF_PICTURES = {"decoder": "fpn", "encoder": "resnet18", "attention": "scse", "output_stride": 16}


@pytest.mark.parametrize(
    ("patch", "stages"), [((8, 8, 8), 2), ((16, 16, 16), 3), ((32, 32, 32), 4), ((64, 64, 64), 5), ((20, 64, 64), 3)]
)
def test_a_patch_says_how_often_it_is_halved(patch, stages):
    assert stages_of(patch) == stages
    assert min(patch) / 2 ** (stages - 1) >= 4


@pytest.mark.parametrize("name", NETWORKS)
def test_volumes_of_odd_sides_keep_them_and_every_parameter_learns(name):
    torch.manual_seed(0)
    network = NETWORKS[name](dims=3, stages=3, in_channels=2, normalisation="unit")
    nn.init.ones_(network.attention.gamma) if name == "self-attention" else None
    volumes, content = torch.rand(2, 2, 9, 11, 16), torch.ones(2, 1, 9, 11, 16, dtype=torch.bool)
    output = network(volumes, content)
    assert output.shape[2:] == volumes.shape[2:]
    (output * torch.rand_like(output)).sum().backward()
    still = [
        key
        for key, value in network.named_parameters()
        if value.grad is None or ("bias" not in key and not value.grad.any())
    ]
    # The residual block begins by changing nothing: its last convolution alone learns at the first step.
    assert [key for key in still if not key.startswith("refine.residual.0")] == []


@pytest.mark.parametrize("name", ["DynUNet", "SegResNet"])
def test_networks_of_monai_compute_what_they_do_there(name):
    networks = pytest.importorskip("monai.networks.nets")
    torch.manual_seed(0)
    ours = SegmentationUNet(
        width=8, encoder=f"monai:{name.lower()}", dims=3, stages=3, in_channels=2, normalisation="unit"
    ).eval()
    if name == "DynUNet":
        theirs = networks.DynUNet(3, 2, 3, [3] * 3, [1, 2, 2], [2, 2], filters=[8, 16, 32])
    else:
        theirs = networks.SegResNet(3, 8, 2, 3, blocks_down=(1, 2, 2), blocks_up=(1, 1))
    theirs.eval()
    assert sum(map(torch.numel, theirs.parameters())) == sum(map(torch.numel, ours.parameters()))
    volumes = torch.rand(1, 2, 16, 16, 16)
    order: dict[str, list[nn.Module]] = {"theirs": [], "ours": []}  # in which they compute
    for network, found in ((theirs, order["theirs"]), (ours, order["ours"])):
        for module in network.modules():
            if list(module.parameters(recurse=False)):
                module.register_forward_hook(lambda module, *_, found=found: found.append(module))
    theirs(volumes), ours(volumes)
    for there, here in zip(order["theirs"], order["ours"], strict=True):
        there.load_state_dict(here.state_dict())
    torch.testing.assert_close(theirs(2 * volumes - 1), ours(volumes))
    with pytest.raises(UserError, match="multiples of 4"):
        ours(torch.rand(1, 2, 16, 18, 16))


def test_what_lies_outside_the_content_has_no_say_and_neither_has_the_layout():
    torch.manual_seed(0)
    content = torch.zeros(1, 1, 16, 16, 16, dtype=torch.bool)
    content[..., :9, :, :] = True
    volumes = torch.rand(1, 1, 16, 16, 16)
    network = NETWORKS["segmentation"](dims=3, stages=3, in_channels=1).eval()
    before = network(volumes, content)
    assert torch.equal(before, network(torch.where(content, volumes, 0.3), content))
    lay_out(network, "channels_last")
    torch.testing.assert_close(network(volumes, content), before, atol=1e-4, rtol=1e-4)


def test_what_is_hidden_is_left_out_of_sparse_convolutions():
    torch.manual_seed(0)
    network = Autoencoder(width=2, sparse=True, dims=3, stages=3, in_channels=1).eval()
    hidden = torch.zeros(1, 1, 16, 16, 16, dtype=torch.bool)
    hidden[..., 8:] = True
    seen = network.encoder(torch.rand(1, 1, 16, 16, 16) * ~hidden, (~hidden).float())
    assert all(not features[..., features.shape[-1] // 2 :].any() for features in seen)


def test_instance_norm_of_volumes_is_that_of_torch():
    ours, reference = InstanceNorm(3), nn.InstanceNorm3d(3, affine=True)
    features = 3 + 2 * torch.randn(2, 3, 4, 5, 6)
    torch.testing.assert_close(ours(features), reference(features), atol=1e-5, rtol=1e-4)


def test_the_encoder_moves_between_phases():
    autoencoder = Autoencoder(2, dims=3, stages=4, in_channels=1)
    segmentation = SegmentationUNet(width=2, dims=3, stages=4, in_channels=1)
    load_strictly(segmentation.encoder, autoencoder.encoder.state_dict(), "phase 1")
    with pytest.raises(UserError, match=r"lacks the tensor 'stages.4"):
        load_strictly(Autoencoder(2, dims=3, stages=5, in_channels=1).encoder, autoencoder.encoder.state_dict(), "it")


@pytest.mark.parametrize("name", OF_PICTURES)
@pytest.mark.parametrize("config", [SegmentationConfig, ReconstructionConfig])
def test_parts_of_pictures_are_refused_by_name(config, name):
    with pytest.raises(UserError, match=f"--{name} {OF_PICTURES[name]} .*(--encoder unet|unet|cbam|leave it out)"):
        config(patch=16, **{name: OF_PICTURES[name]})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": "hog"}, "--target hog is of pictures"),
        ({}, "--perceptual_weight 0"),
        ({"perceptual_weight": 0, "patch": 8}, "--ssim_weight 0"),
    ],
)
def test_judges_of_pictures_are_refused_by_name(settings, message):
    with pytest.raises(UserError, match=message):
        ReconstructionConfig(**{"patch": 16, **settings})
