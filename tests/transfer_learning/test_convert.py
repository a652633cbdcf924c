"""Weights out of TFLite: the function of folded layers, weights that every command takes, what is refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import load_file
from torch import nn

from core.errors import UserError
from core.networks.batch_norms import is_folded
from core.networks.decoding.mobile_deeplab import MobileDeepLab
from core.networks.encoder_weights import load_file as load_encoder
from core.networks.encoders import make_encoder
from transfer_learning import convert, tflite
from transfer_learning.convert import ConvertConfig
from transfer_learning.convert import main as run_convert
from transfer_learning.describe import main as describe
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.network import SegmentationUNet
from transfer_learning.tflite import fill_folded, layers_of
from transfer_learning.tflite_agreement import _canvases, _padded_as_tensorflow

ROOT = Path(__file__).resolve().parents[3]
WEIGHTS, VOC = ROOT / "shared" / "data" / "weights", ROOT / "shared" / "data" / "voc2012" / "VOCdevkit" / "VOC2012"


class FakeInterpreter:
    """What an interpreter says of a file of one convolution each: stored numbers, scales and zero points."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.stored = {1: generator.integers(0, 255, (4, 3, 3, 2), np.uint8), 2: np.arange(4, dtype=np.int32)}
        self.stored |= {4: generator.integers(-127, 127, (1, 3, 3, 4), np.int8), 5: np.ones(4, np.float32)}
        self.scales = {1: ([0.5], [128], 0), 2: ([0.25], [0], 0), 4: ([0.1, 0.2, 0.3, 0.4], [0] * 4, 3), 5: ([], [], 0)}

    def get_tensor_details(self) -> list[dict]:
        names = ("scales", "zero_points", "quantized_dimension")
        told = {index: dict(zip(names, map(np.array, values), strict=True)) for index, values in self.scales.items()}
        return [{"index": index, "quantization_parameters": values} for index, values in told.items()]

    def get_tensor(self, index: int) -> np.ndarray:
        return self.stored[index]

    def _get_ops_details(self) -> list[dict]:
        return [
            {"op_name": "CONV_2D", "inputs": [0, 1, 2]},
            {"op_name": "ADD", "inputs": [0, 0]},
            {"op_name": "DEPTHWISE_CONV_2D", "inputs": [3, 4, 5]},
        ]


def test_whole_numbers_become_weights_with_torchs_axes():
    fake = FakeInterpreter()
    (weight, bias), (depthwise, ones) = layers_of(fake)
    assert weight.shape == (4, 2, 3, 3)
    assert depthwise.shape == (4, 1, 3, 3)
    assert weight[3, 1, 0, 2].item() == (int(fake.stored[1][3, 0, 2, 1]) - 128) * 0.5
    assert depthwise[2, 0, 1, 0].item() == pytest.approx(int(fake.stored[4][0, 1, 0, 2]) * 0.3)
    assert bias.tolist() == [0, 0.25, 0.5, 0.75]
    assert ones.tolist() == [1] * 4


def drawn_layers(network: nn.Module) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Layers of the shapes of a network, with values of a size that keeps its features alive."""
    generator = torch.Generator().manual_seed(3)
    parts = [part for part in network.modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    return [
        (
            torch.randn(part.weight.shape, generator=generator) * (2 / part.weight[0].numel()) ** 0.5,
            torch.randn(len(part.weight), generator=generator) * 0.1,
        )
        for part in parts
    ]


def test_folded_layers_compute_a_convolution_and_its_bias():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1)).eval()
    (first, second), picture = drawn_layers(network), torch.rand(1, 3, 9, 9)
    fill_folded(network, [first, second], "x.tflite")
    wanted = F.conv2d(F.conv2d(picture, *first).relu(), *second)
    with torch.no_grad():
        torch.testing.assert_close(network(picture), wanted)
    assert is_folded(network)
    with pytest.raises(UserError, match=r"x\.tflite has 1 convolutions, this network 2"):
        fill_folded(network, [first], "x.tflite")
    with pytest.raises(UserError, match=r"the layer that 3 would be has weights \[4, 3, 3, 3\], here \[2, 4, 1, 1\]"):
        fill_folded(network, [first, first], "x.tflite")


def test_stride_2_pads_even_sides_as_tensorflow_does():
    network = nn.Sequential(nn.Conv2d(1, 1, 3, 2, padding=1, bias=False))
    network[0].weight.data.copy_(torch.arange(9.0).view(1, 1, 3, 3))
    picture = torch.arange(16.0).view(1, 1, 4, 4)
    # TensorFlow's SAME: windows begin at the first pixel, and what is missing is missing at the end.
    last = (torch.tensor([[10.0, 11.0], [14.0, 15.0]]) * torch.tensor([[0.0, 1.0], [3.0, 4.0]])).sum()
    assert _padded_as_tensorflow(network)(picture)[0, 0, 1, 1] == last
    assert network(picture)[0, 0, 1, 1] != last


@pytest.fixture
def converted(monkeypatch, tmp_path):
    """Convert a "file" whose layers are drawn; returns the path of the weights and the layers."""

    def of(network: nn.Module, extra: int = 0) -> tuple[Path, list]:
        layers = drawn_layers(network)
        weight, bias = layers[-1]
        if extra:
            layers[-1] = torch.cat([weight[:extra], weight])[..., None, None], torch.cat([bias[:extra], bias])
        monkeypatch.setattr(tflite, "open_tflite", lambda path: None)
        monkeypatch.setattr(tflite, "layers_of", lambda interpreter: layers)
        (tmp_path / "x.tflite").touch()
        return convert.convert(ConvertConfig(tmp_path / "x.tflite", tmp_path / "out.safetensors")), layers

    return of


def test_mobilenet_becomes_torchvisions_and_loads_as_an_encoder(converted, capsys):
    path, layers = converted(torchvision.models.mobilenet_v2(weights=None), extra=1)
    network = torchvision.models.mobilenet_v2(weights=None).eval()
    network.load_state_dict(load_file(path))
    torch.testing.assert_close(network.classifier[1].bias, layers[-1][1][1:])
    encoder = make_encoder("mobilenetv2_100", 2).eval()
    load_encoder(encoder, "mobilenetv2_100", path)
    picture = torch.rand(1, 3, 65, 65)
    with torch.no_grad():
        torch.testing.assert_close(encoder(picture)[-1], network.features[:-1](picture))
    assert "--normalisation unit --restore_batch_norm" in capsys.readouterr().out


def test_deeplab_becomes_weights_that_commands_take(converted, capsys):
    kind = {"encoder": "mobilenetv2_100", "decoder": "mobile_deeplabv3", "output_stride": 16}
    path, _ = converted(SegmentationUNet(num_classes=21, **kind))
    segmenter = Segmenter.load(path, device="cpu")
    assert (segmenter.classes.names[15], segmenter.readout.size) == ("person", (513, 513))
    mask, _ = segmenter(np.zeros((40, 60, 3), np.uint8))
    assert mask.shape == (40, 60)
    assert describe(["--model_path", str(path), "--size", "65", "--max_params", "2e6"]) == 1
    assert "has 2,113,557 parameters, more than --max_params 2,000,000" in capsys.readouterr().err


def test_mobile_deeplab_by_hand():
    """Where the 1x1 convolutions are means: half the features, half their mean, brought to size by the corners."""
    decoder = MobileDeepLab(2, 1).eval()
    with torch.no_grad():
        for part in decoder.modules():
            if isinstance(part, nn.Conv2d):
                part.weight.fill_(1 / part.weight.shape[1])
                if part.bias is not None:
                    part.bias.zero_()
        deepest = torch.tensor([[0.0, 4.0], [8.0, 12.0]]).expand(1, 2, 2, 2)
        scores = decoder([torch.zeros(1, 0, 17, 17), deepest])
    wanted = (deepest[0, 0] + 6) / 2
    # But for the eps of two norms in a row.
    torch.testing.assert_close(scores[0, 0, ::16, ::16], wanted, rtol=1e-4, atol=0)
    torch.testing.assert_close(scores[0, 0, 8, 8], torch.tensor(6.0), rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give the weights to convert: --tflite"),
        (["--tflite", "nowhere.tflite"], "no file nowhere.tflite"),
        (["--tflite", __file__], "pip install -e '.[convert]' -c constraints.txt"),
    ],
)
def test_what_cannot_be_converted_is_refused_in_a_line(flags, message, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    assert run_convert([*flags, "--output", str(tmp_path / "a.safetensors")]) == 2
    errors = capsys.readouterr().err
    assert message in errors
    assert errors.count("\n") == 1
    assert not (tmp_path / "a.safetensors").exists()


def test_what_is_there_is_not_written_over(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/training_config.json").write_text("{}")
    (tmp_path / "folder.safetensors").mkdir()
    for output, message in (
        ("x.tflite", "weights are written as .safetensors: give --output .*x.safetensors"),
        ("folder.safetensors", "is a folder: name a file in it"),
        ("run/best_model.safetensors", "lies in the folder of a training run, whose weights stay"),
    ):
        with pytest.raises(UserError, match=message):
            convert.convert(ConvertConfig(tmp_path / "x.tflite", tmp_path / output))


def test_a_file_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "notes.jpg").write_text("none")
    with pytest.raises(UserError, match=r"--pictures: .*notes.jpg cannot be read \(.*\): leave it out"):
        next(_canvases([str(tmp_path)], 33, 4))


def test_another_network_is_refused_by_its_number_of_convolutions(converted):
    with pytest.raises(UserError, match="has 21 convolutions: known are MobileNetV2 with 53"):
        converted(torchvision.models.resnet18(weights=None))


@pytest.mark.all
@pytest.mark.skipif(not WEIGHTS.is_dir(), reason="real weights are not at hand")
@pytest.mark.parametrize(
    ("name", "least"), [("deeplabv3_mnv2_pascal_quant", 0.98), ("mobilenet_v2_1.0_224_quant", 0.9)]
)
def test_real_weights_say_what_tflite_says(name, least, tmp_path):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    assert interpreter
    from transfer_learning.tflite import open_tflite
    from transfer_learning.tflite_agreement import agreement

    path = WEIGHTS / f"{name}.tflite"
    opened = open_tflite(path)
    make = convert._deeplab if "deeplab" in name else convert._mobilenet
    network, _ = make(path, layers_of(opened), tmp_path / "a.safetensors")
    names = (VOC / "ImageSets" / "Segmentation" / "val.txt").read_text().split()[:8]
    share, count = agreement(network, opened, [str(VOC / "JPEGImages" / f"{name}.jpg") for name in names], 8)
    assert count == len(names)
    assert share > least
