"""Encoders by name: the contract that a UNet needs, real ImageNet weights or none, what is refused."""

import pytest
import torch

from core.errors import UserError
from core.machine.processes import Processes
from core.networks.decoding.plain import Hypercolumn
from core.networks.encoder_weights import load_imagenet
from core.networks.encoders import TimmEncoder, make_encoder, require_one_process
from core.networks.pretrained import efficientnet_lite0
from core.networks.unet import initialise
from reconstruction.network import Autoencoder
from reconstruction.train import main as train_autoencoder
from transfer_learning.figures.gradcam import class_activations
from transfer_learning.network import SegmentationUNet
from transfer_learning.train import main as train_segmentation

NAMES = ("unet", "tf_efficientnet_lite0", "mobilenetv3_small_050", "convnext_atto")


@pytest.fixture(scope="module", params=NAMES)
def encoder(request):
    torch.manual_seed(0)
    return make_encoder(request.param, 2).eval()


def test_features_stand_at_strides_1_to_32(encoder):
    features = encoder(torch.rand(2, 3, 64, 96))
    sizes = [(64 // stride, 96 // stride) for stride in (1, 2, 4, 8, 16, 32)]
    assert [tuple(feature.shape) for feature in features] == [
        (2, channels, *size) for channels, size in zip(encoder.channels, sizes, strict=True)
    ]


def test_a_stage_holds_what_its_feature_adds_to_the_one_before(encoder):
    """Against the graph: the gradient of a feature reaches its stage and those before it, and no later one."""
    stages = encoder.parameter_stages()
    whole = list(encoder.parameters())
    assert [id(parameter) for stage in stages for parameter in stage] == [id(parameter) for parameter in whole]
    features = [feature for feature in encoder(torch.rand(2, 3, 64, 64)) if feature.shape[1]]
    for feature, end in zip(features, range(1, len(stages) + 1), strict=False):
        gradients = torch.autograd.grad(feature.sum(), whole, retain_graph=True, allow_unused=True)
        reached = [gradient is not None for gradient in gradients]
        length = sum(len(stage) for stage in stages[:end])
        assert reached == [True] * length + [False] * (len(whole) - length)


def test_dropout_falls_on_what_the_decoder_is_handed():
    encoder = TimmEncoder("mobilenetv3_small_050", (0.0, 0.0, 0.0, 0.9, 0.0, 0.0)).train()
    dropped = [
        (feature == 0).all(dim=(2, 3)).float().mean().item() for feature in encoder(torch.rand(4, 3, 64, 64))[1:]
    ]
    assert dropped[2] > 0.7
    assert max(dropped[:2]) == 0


def test_imagenet_weights_are_those_of_the_whole_network():
    model = SegmentationUNet(width=2, normalisation="unit", encoder="tf_efficientnet_lite0").eval()
    load_imagenet(model.encoder, "tf_efficientnet_lite0")
    initialise(model)
    pictures = torch.rand(1, 3, 64, 64) * 2 - 1
    reference = efficientnet_lite0().eval()
    with torch.no_grad():
        found = model.encoder(pictures)[1:]
        wanted = reference.forward_intermediates(pictures, indices=5, intermediates_only=True)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_decoder_starts_alike_whatever_the_encoder_starts_from():
    decoders = []
    for weights in (False, True):
        torch.manual_seed(0)
        model = Autoencoder(width=2, encoder="tf_efficientnet_lite0")
        initialise(model)
        if weights:
            load_imagenet(model.encoder, "tf_efficientnet_lite0")
        decoders.append(model.decoder.state_dict())
    assert all(torch.equal(tensor, decoders[1][name]) for name, tensor in decoders[0].items())


@pytest.mark.parametrize("train", [train_autoencoder, train_segmentation])
@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--encoder", "resnet_18"], "'resnet_18' is unknown: it is unet, double_conv or a network of timm; did you"),
        (["--encoder", "resnet_18"], "did you mean resnet18"),
        (["--encoder", "unnet"], "did you mean unet"),
        (
            ["--encoder", "vit_tiny_patch16_224", "--decoder", "linknet"],
            "vit_tiny_patch16_224 has them at 16: take",
        ),
        (["--encoder", "vit_base_patch32_224"], "patches of 32 px"),
        (["--encoder", "swin_tiny_patch4_window7_224"], "does not take pictures of any size"),
        (["--encoder_weights", "imagenet"], "--encoder unet is this project's own, of which"),
        (["--encoder", "tf_efficientnet_lite0", "--encoder_weights", "imagenet"], "give --normalisation unit"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(pets, tmp_path, capsys, train, flags, message):
    flags = [*flags, "--data_dir", str(pets), "--output_dir", str(tmp_path / "run"), "--device", "cpu"]
    assert train(flags) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_processes_do_not_share_batch_norm():
    several = Processes(0, 2)
    normed = make_encoder("mobilenetv3_small_050", 2)
    with pytest.raises(UserError, match="has batch norm"):
        require_one_process(normed, several, "mobilenetv3_small_050", frozen=False)
    require_one_process(normed, several, "mobilenetv3_small_050", frozen=True)
    require_one_process(normed, Processes(), "mobilenetv3_small_050", frozen=False)
    require_one_process(make_encoder("convnext_atto", 2), several, "convnext_atto")


def test_hypercolumn_by_hand():
    fine = torch.tensor([[3.0, -3.0, 1.0, 1.0]]).repeat(4, 1)[None, None]  # [1, 1, 4, 4]: signs, once normalised
    quarter = torch.tensor([[3.0], [4.0]]).view(1, 2, 1, 1)
    deep = torch.tensor([0.0, 2.0]).view(1, 2, 1, 1)
    column = Hypercolumn((1, 0, 2, 2))([fine, torch.zeros(1, 0, 2, 2), quarter, deep])
    expected = torch.tensor([0.5, 0.6 * 2**0.5, 0.8 * 2**0.5, 0.0, 2**0.5])
    torch.testing.assert_close(column, expected.view(1, 5, 1, 1))


def test_a_linear_head_is_linear_in_the_hypercolumn():
    torch.manual_seed(0)
    model = SegmentationUNet(width=2, decoder="linear").eval()
    assert sum(parameter.numel() for parameter in model.decoder.parameters()) == 0
    assert model.head.weight.shape == (3, 2 * (1 + 2 + 4 + 8 + 16 + 16), 1, 1)
    assert model.decoder(model.encoder(torch.rand(1, 3, 64, 96))).shape[-2:] == (16, 24)


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ({"decoder": "linear"}, {"bottleneck"}),
        ({"encoder": "mobilenetv3_small_050"}, {"bottleneck", "decoder"}),
        ({"encoder": "mobilenetv3_small_050", "decoder": "linear"}, {"bottleneck"}),
    ],
)
def test_grad_cam_looks_into_every_kind_of_network(kind, where):
    torch.manual_seed(0)
    model = SegmentationUNet(width=2, **kind).eval()
    pictures = torch.rand(2, 3, 64, 64)
    found = class_activations(model, pictures, None, (1, 2))["hirescam"]
    assert {layer for _, layer in found} == where
    maps = [one for maps in found.values() for one in maps if one is not None]
    assert maps
    assert all(one.shape == (64, 64) for one in maps)
    assert max(one.max() for one in maps) == pytest.approx(1, abs=1e-3)
