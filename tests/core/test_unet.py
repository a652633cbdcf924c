"""One contract for both networks, and what the design counts."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from core.errors import UserError
from core.machine.device import for_inference
from core.networks.unet import Encoder, InstanceNorm, count_parameters
from core.weights import load_strictly
from reconstruction.network import Autoencoder
from transfer_learning.freezing import set_training_mode
from transfer_learning.network import SegmentationUNet

NETWORKS = {
    "autoencoder": lambda **kind: Autoencoder(width=2, **kind),
    "statistics": lambda **kind: Autoencoder(width=2, image_statistics=True, **kind),
    "segmentation": lambda **kind: SegmentationUNet(width=2, **kind),
    "linear": lambda **kind: SegmentationUNet(width=2, decoder="linear", **kind),
    "efficientnet autoencoder": lambda **kind: Autoencoder(width=2, encoder="tf_efficientnet_lite0", **kind),
    "efficientnet segmentation": lambda **kind: SegmentationUNet(width=2, encoder="tf_efficientnet_lite0", **kind),
    "mobilenet linear": lambda **kind: SegmentationUNet(encoder="mobilenetv3_small_050", decoder="linear", **kind),
    "convnext": lambda **kind: SegmentationUNet(width=2, encoder="convnext_atto", **kind),
}
ENCODERS = ("unet", "tf_efficientnet_lite0", "mobilenetv3_small_050", "convnext_atto")


def test_parameters_of_the_reference_network():
    autoencoder, segmentation = Autoencoder(), SegmentationUNet(num_classes=3)
    assert count_parameters(autoencoder) == 19_656_003
    assert count_parameters(segmentation) == 19_655_235
    assert count_parameters(autoencoder.encoder) == count_parameters(segmentation.encoder) == 9_437_856


@pytest.mark.parametrize("name", NETWORKS)
@settings(max_examples=8, deadline=None)
@given(height=st.integers(33, 75), width=st.integers(33, 75))
def test_any_side_from_33_keeps_its_size(name, height, width):
    network = NETWORKS[name]().eval()
    output = network(torch.rand(1, 3, height, width))
    assert output.shape == (1, 3, height, width)
    assert output.isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(32, 64), (64, 32)])
def test_smaller_sides_are_refused_with_the_limit(name, shape):
    with pytest.raises(UserError, match="at least 33 px"):
        NETWORKS[name]()(torch.rand(1, 3, *shape))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)  # a ReLU of a random network may be silent everywhere
    network = NETWORKS[name]()
    output = network(torch.rand(2, 3, 40, 48))
    (output * torch.rand_like(output)).sum().backward()
    # A bias before instance norm is taken out again with the mean: its gradient is zero but for rounding.
    silent = [key for key, value in network.named_parameters() if value.grad is None]
    still = [key for key, value in network.named_parameters() if "bias" not in key and not value.grad.abs().sum() > 0]
    assert not silent
    assert not still


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_and_loaded_gives_the_same_output(name):
    torch.manual_seed(0)
    one, other = NETWORKS[name](), NETWORKS[name]().eval()
    one(torch.rand(2, 3, 40, 40))  # where there are running statistics, they move
    one.eval()
    pictures = torch.rand(1, 3, 40, 40)
    assert not torch.equal(one(pictures), other(pictures))
    load_strictly(other, one.state_dict(), "one")
    assert torch.equal(one(pictures), other(pictures))


def test_encoder_moves_between_phases_whatever_the_dropout():
    torch.manual_seed(0)
    autoencoder = Autoencoder(width=2, encoder_dropout=(0.5,) * 6, decoder_dropout=(0.0,) * 5)
    segmentation = SegmentationUNet(width=2, encoder_dropout=(0.0,) * 6)
    load_strictly(segmentation.encoder, autoencoder.encoder.state_dict(), "the autoencoder")
    pictures = torch.rand(1, 3, 40, 40)
    for ours, theirs in zip(autoencoder.eval().encoder(pictures), segmentation.eval().encoder(pictures), strict=True):
        assert torch.equal(ours, theirs)


def test_another_width_names_the_first_tensor_and_both_shapes():
    with pytest.raises(UserError, match=r"'stages.0.conv1.weight' has shape \(4, 3, 3, 3\), .* \(2, 3, 3, 3\)"):
        load_strictly(Encoder(2), Encoder(4).state_dict(), "the encoder")


@pytest.mark.parametrize("change", ["lacks", "holds"])
def test_missing_and_surplus_tensors_are_named(change):
    tensors = Encoder(2).state_dict()
    if change == "lacks":
        del tensors["stages.3.norm2.bias"]
    else:
        tensors["stages.3.norm3.bias"] = torch.zeros(2)
    with pytest.raises(UserError, match=rf"{change} the tensor 'stages\.3\.norm[23]\.bias'"):
        load_strictly(Encoder(2), tensors, "the encoder")


@pytest.mark.parametrize(
    ("skips", "stage", "matters"),
    [("all", 0, True), ("deep", 0, False), ("deep", 2, True), ("none", 4, False), ("none", 5, True)],
)
def test_skips_say_what_the_decoder_sees(skips, stage, matters):
    torch.manual_seed(0)
    network = Autoencoder(width=2, skips=skips).eval()
    pictures = torch.rand(1, 3, 40, 40)
    before = network(pictures)

    # Disturbed is what the decoder is handed, not what the encoder goes on with.
    features = network.encoder(network.normalise(pictures))
    features[stage] = features[stage] + torch.rand_like(features[stage])
    network.encoder.forward = lambda images: features
    assert torch.equal(before, network(pictures)) != matters


def test_skips_do_not_change_the_parameters():
    shapes = [
        {key: value.shape for key, value in Autoencoder(2, skips=skips).state_dict().items()}
        for skips in ("all", "deep", "none")
    ]
    assert shapes[0] == shapes[1] == shapes[2]


def test_image_statistics_bring_back_brightness_and_contrast():
    torch.manual_seed(0)
    pictures = torch.rand(1, 3, 40, 40) * 0.5 + 0.2
    darker = pictures * 0.5
    plain, informed = Autoencoder(2, normalisation="unit").eval(), NETWORKS["statistics"](normalisation="unit").eval()
    # Instance norm makes the darker picture look the same from the first layer's norm on (padding aside).
    assert (plain(pictures) - plain(darker)).mean().abs() < 0.02
    difference = (informed(pictures) - informed(darker)).mean().item()
    assert difference == pytest.approx((pictures - darker).mean().item(), rel=0.5)


def test_content_outside_has_no_say():
    torch.manual_seed(0)
    content = torch.zeros(1, 1, 40, 40, dtype=torch.bool)
    content[..., 5:35, :] = True
    pictures = torch.rand(1, 3, 40, 40)
    other = torch.where(content, pictures, torch.rand_like(pictures))
    for network in NETWORKS.values():
        model = network().eval()
        assert torch.equal(model(pictures, content), model(other, content))


@pytest.mark.parametrize("decoder", ["unet", "linear"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_frozen_encoder_is_still(encoder, decoder):
    torch.manual_seed(0)
    network = SegmentationUNet(width=2, encoder_dropout=(0.5,) * 6, encoder=encoder, decoder=decoder)
    set_training_mode(network, frozen=True)
    statistics = {name: tensor.clone() for name, tensor in network.encoder.named_buffers()}
    pictures = torch.rand(2, 3, 40, 40)
    once, again = network.encoder(pictures), network.encoder(pictures)
    assert all(torch.equal(first, second) for first, second in zip(once, again, strict=True))
    network(pictures).sum().backward()
    assert all(parameter.grad is None for parameter in network.encoder.parameters())
    assert all(torch.equal(tensor, statistics[name]) for name, tensor in network.encoder.named_buffers())
    assert network.decoder.training
    set_training_mode(network, frozen=False)
    assert network.encoder.training
    loose = network.encoder(pictures)[-1], network.encoder(pictures)[-1]
    assert not torch.equal(*loose)
    moved = [not torch.equal(tensor, statistics[name]) for name, tensor in network.encoder.named_buffers()]
    assert all(moved)
    assert bool(moved) == ("net_" in encoder or "mobile" in encoder)
    assert all(parameter.requires_grad for parameter in network.encoder.parameters())


def test_instance_norm_is_that_of_torch_gradients_included():
    torch.manual_seed(0)
    ours, reference = InstanceNorm(5), nn.InstanceNorm2d(5, affine=True)
    reference.load_state_dict({name: torch.randn(5) for name in ("weight", "bias")})
    ours.load_state_dict(reference.state_dict())
    features = 3 + 2 * torch.randn(2, 5, 7, 9)
    pull = torch.randn(2, 5, 7, 9)
    results = []
    for norm in (ours, reference):
        leaf = features.clone().requires_grad_()
        output = norm(leaf)
        (output * pull).sum().backward()
        results.append([output, leaf.grad, norm.weight.grad, norm.bias.grad])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_layout_in_memory_changes_rounding_only(name):
    torch.manual_seed(0)
    network, pictures = NETWORKS[name](), torch.rand(2, 3, 40, 48)
    contiguous = network.eval()(pictures)
    for_inference(network, torch.device("cpu"))
    weights = [module.weight for module in network.encoder.modules() if isinstance(module, nn.Conv2d)]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)
    torch.testing.assert_close(network(pictures), contiguous, atol=1e-4, rtol=1e-4)
