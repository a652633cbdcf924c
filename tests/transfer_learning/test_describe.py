"""What a network is made of, against numbers that others counted."""

import pytest
import torch
import torchvision

from core.errors import UserError
from core.networks.encoders import make_encoder
from transfer_learning.describe import main as describe
from transfer_learning.description import described, receptive_field


# VGG16 and ResNets: Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural Networks", with strides on
# the 3x3 convolution as torchvision and timm have them. Our own by hand: 3x3 convolutions, two a stage.
@pytest.mark.parametrize(
    ("encoder", "side"),
    [
        ("unet", 191),
        pytest.param("vgg16_bn", 212, marks=pytest.mark.all),
        ("resnet18", 435),
        ("mobilenetv2_100", 491),
        ("efficientnet_b0", None),
    ],
)
def test_the_receptive_field_is_the_published_one(encoder, side):
    torch.manual_seed(0)
    assert receptive_field(make_encoder(encoder, 2)) == side


def test_multiply_adds_and_parameters_are_those_that_are_known():
    found = described({"encoder": "resnet18", "decoder": "linear", "num_classes": 2}, (224, 224))
    reference = torchvision.models.resnet18(weights=None)
    assert found.parameters["encoder"] == sum(p.numel() for p in reference.parameters()) - 513_000
    # 1.814 billion with the classifier (torchvision's own table), and a 1x1 convolution at 56 x 56.
    columns = 64 + 64 + 128 + 256 + 512
    assert found.multiply_adds == pytest.approx(1.8136e9 - 512_000 + columns * 2 * 56 * 56, rel=1e-3)
    assert found.parameters["head"] == columns * 2 + 2


@pytest.mark.all
def test_the_exercises_network_is_too_large_for_its_own_bound(capsys):
    """MobileNetV2 with its 1280 features and transposed convolutions 256-128-64-32-32: 5.57 M, not below 5 M."""
    flags = ["--encoder", "mobilenetv2_100", "--decoder", "transposed", "--num_classes", "23", "--size", "240"]
    assert describe([*flags, "--bottleneck_channels", "1280", "--max_params", "5e6", "--max_mb", "50"]) == 1
    out, errors = capsys.readouterr()
    assert "parameters       5,571,063 (encoder 1,811,712, decoder 3,758,592, head 759)" in out
    assert "  encoder 6, stride 32  320 x 8 x 8" in out
    doubled = [(1280, 8), (256, 16), (128, 32), (64, 64), (32, 128), (32, 256)]
    stages = [
        f"  decoder stages {place}      {count} x {side} x {side}" for place, (count, side) in enumerate(doubled, 1)
    ]
    assert "\n".join(stages) in out
    assert "  scores                23 x 240 x 240" in out
    assert "size on disk     22.4 MB" in out
    assert errors == "error: the network has 5,571,063 parameters, more than --max_params 5,000,000\n"
    assert describe([*flags, "--max_params", "5e6", "--max_mb", "50"]) == 0
    assert describe([*flags, "--max_mb", "3"]) == 1
    assert "MB, more than --max_mb 3" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--encoder", "resnet_18"], "did you mean resnet18"),
        (["--size", "16"], "too small"),
        (["--size", "9000"], "size 9000: sides have 8192 px at most"),
        (["--num_classes", "1"], "num_classes 1 must lie between 2 and 254"),
        (["--num_classes", "100000000"], "must lie between 2 and 254"),
        (["--in_channels", "2"], "--in_channels"),
        (["--model_path", "torchvision:fcn_resnet50"], "takes weights of a run of this project"),
        (["--max_params", "0"], "max_params 0.0 must be above 0"),
        (["--model_path", "nowhere.safetensors"], "no weights at nowhere.safetensors"),
    ],
)
def test_what_cannot_be_described_is_refused_in_a_line(flags, message, capsys):
    assert describe(flags) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    with pytest.raises(UserError, match="too small"):
        described({}, (16, 16))
