"""The encoder alone, loaded strictly by timm, segmentation-models-pytorch and torchvision: the same features there."""

import json

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision

from core.weights import load_weights
from reconstruction.train import main as pretrain
from transfer_learning.export import main as export
from transfer_learning.train import main as train

SMALL = ["--batch_size", "4", "--max_steps", "1", "--val_every", "1", "--device", "cpu", "--amp", "off"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pets):
    """Weights of both phases with timm's ResNet-18."""
    folder = tmp_path_factory.mktemp("encoders")
    words = [*SMALL, "--data_dir", str(pets), "--encoder", "resnet18", "--normalisation", "unit"]
    assert pretrain([*words, "--perceptual_weight", "0", "--output_dir", str(folder / "one")]) == 0
    assert train([*words, "--output_dir", str(folder / "two")]) == 0
    return {number: folder / number / "best_model.safetensors" for number in ("one", "two")}


def features_here(path) -> list[torch.Tensor]:
    """Return what our encoder's own network gives on ones."""
    tensors, _ = load_weights(path)
    network = timm.create_model("resnet18", features_only=True).eval()
    network.load_state_dict(
        {name.removeprefix("encoder.network."): t for name, t in tensors.items() if "encoder." in name}
    )
    with torch.no_grad():
        return network(torch.ones(1, 3, 64, 64))


@pytest.mark.parametrize("phase", ["one", "two"])
@pytest.mark.parametrize("library", ["timm", "smp", "torchvision"])
def test_a_library_loads_the_encoder_strictly(trained, tmp_path, capsys, phase, library):
    words = ["--model_path", str(trained[phase]), "--format", f"encoder_{library}", "--output_dir", str(tmp_path)]
    assert export(words) == 0
    said = json.loads((tmp_path / "encoder.pt.json").read_text())
    assert said["loads"] in capsys.readouterr().out
    state = torch.load(tmp_path / "encoder.pt", weights_only=True)
    wanted, images = features_here(trained[phase]), torch.ones(1, 3, 64, 64)
    with torch.no_grad():
        if library == "timm":
            network = timm.create_model("resnet18", features_only=True).eval()
            network.load_state_dict(state)
            found = network(images)
        elif library == "smp":
            network = smp.encoders.get_encoder("tu-resnet18", weights=None).eval()
            network.load_state_dict(state)
            found = network(images)[-len(wanted) :]
        else:
            network = torchvision.models.resnet18().eval()
            del network.fc
            network.load_state_dict(state)
            early = network.relu(network.bn1(network.conv1(images)))
            deep = network.layer4(network.layer3(network.layer2(network.layer1(network.maxpool(early)))))
            found, wanted = [early, deep], [wanted[0], wanted[-1]]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_what_no_library_has_is_said(trained, pets, tmp_path, capsys):
    words = [*SMALL, "--data_dir", str(pets), "--width", "2", "--output_dir", str(tmp_path / "own")]
    assert train(words) == 0
    path = tmp_path / "own/best_model.safetensors"
    assert export(["--model_path", str(path), "--format", "encoder_timm", "--output_dir", str(tmp_path / "out")]) == 2
    assert "its encoder unet is this project's own, which no other library has" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert export(["--format", "encoder_timm"]) == 2
    assert "give the weights" in capsys.readouterr().err
    words = ["--model_path", str(trained["two"]), "--format", "encoder_timm", "--opset", "19", "--pictures", "3"]
    assert export([*words, "--output_dir", str(tmp_path / "idle")]) == 0
    assert "--opset with --format encoder_timm" in capsys.readouterr().err
