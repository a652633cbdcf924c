"""Torchvision's own networks in prediction and evaluation, palettes, and pictures from the web."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from sample_pets import picture
from sample_server import serving
from torchvision.models import get_model

from core.classes import voc_colour
from core.errors import UserError
from data.sources.fetching import addresses
from data.sources.fetching.addresses import fetch
from transfer_learning.evaluate import main as evaluate
from transfer_learning.inference.files import guide_colour
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.inference.weights_files import torchvision_weights
from transfer_learning.predict import main as predict
from transfer_learning.predict_config import PredictConfig

SMALL = "lraspp_mobilenet_v3_large"


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A state dict with the names and shapes of the published one, and other numbers."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("hub") / "weights.pth"
    torch.save(get_model(SMALL, weights=None, weights_backbone=None, num_classes=21).state_dict(), path)
    return path


def test_a_picture_is_segmented_as_by_torchvision_itself(state):
    model = get_model(SMALL, weights=None, weights_backbone=None, num_classes=21).eval()
    model.load_state_dict(torch.load(state, weights_only=True))
    image = picture(1, 64, 64)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        planes = ((torch.from_numpy(image) / 255 - mean) / deviation).permute(2, 0, 1)[None]
        expected = model(planes)["out"].softmax(1)[0].numpy()
    segmenter = Segmenter.load(f"torchvision:{SMALL}={state}", device="cpu", size=64)
    (seen,) = segmenter.see([image])
    np.testing.assert_allclose(seen.probabilities(), expected, atol=1e-5)
    assert len(segmenter.classes) == 21
    assert segmenter.classes.names[12] == "dog"


@pytest.mark.parametrize(
    "name", ["deeplabv3_mobilenet_v3_large", pytest.param("deeplabv3_resnet101", marks=pytest.mark.all), "fcn_resnet50"]
)
def test_networks_with_the_auxiliary_head_of_their_training(name, tmp_path):
    model = get_model(name, weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    path = tmp_path / "weights.pth"
    torch.save(model.state_dict(), path)
    (found,) = Segmenter.load(f"torchvision:{name}={path}", device="cpu", size=64).segment([picture(1, 40, 64)])
    assert found.mask.shape == (40, 64)
    assert torchvision_weights(name).meta["categories"][12] == "dog"


def test_a_photograph_gets_a_palette_mask_a_blend_and_three_panels(state, tmp_path, capsys):
    Image.fromarray(picture(2, 60, 80)).save(tmp_path / "photo.png")
    flags = ["--model_path", f"torchvision:{SMALL}={state}", "--palette", "guide", "--alpha", "0.6", "--size", "64"]
    out = tmp_path / "out"
    given = ["--input", str(tmp_path / "photo.png"), "--output_dir", str(out), "--device", "cpu"]
    assert predict([*flags, *given]) == 0
    said = capsys.readouterr().out
    assert "picture [60, 80], input [1, 3, 64, 64], scores [1, 21, 64, 64], mask [60, 80]" in said
    image = Image.open(out / "masks/photo.png")
    colours = np.array(image.getpalette(), np.uint8).reshape(-1, 3)[:21]
    numbers = np.array([2**25 - 1, 2**15 - 1, 2**21 - 1])
    np.testing.assert_array_equal(colours, np.arange(21)[:, None] * numbers % 255)
    mask = colours[np.array(image)]
    blend = np.array(Image.open(out / "overlays/photo.png")).astype(float)
    np.testing.assert_allclose(blend, 0.4 * np.array(picture(2, 60, 80)) + 0.6 * mask, atol=1)
    assert (out / "figures/photo.png").exists()
    content = json.loads((out / "predictions.json").read_text())
    assert len(content["class_set"]["names"]) == 21
    assert content["provenance"]["training"]["torchvision"] == SMALL


def test_an_evaluation_of_such_a_network_maps_its_classes(state, pets, tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text('background: "*"\ncat: cat\ndog: dog\n')
    common = ["--data_dir", str(pets), "--device", "cpu", "--no_figures", "--size", "64"]
    model = ["--model_path", f"torchvision:{SMALL}={state}", "--class_map", str(path)]
    assert evaluate([*common, *model, "--output_dir", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out/evaluation_results.json").read_text())
    assert list(found["classes"]) == ["background", "cat", "dog"]
    assert found["provenance"]["class_map"]["ignored"] == {"data": [], "weights": []}


def test_weights_that_are_not_here_are_named_with_their_address(monkeypatch, tmp_path, state, capsys):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    Image.fromarray(picture(2, 60, 80)).save(tmp_path / "photo.png")
    given = ["--input", str(tmp_path / "photo.png"), "--output_dir", str(tmp_path / "out"), "--device", "cpu"]

    def refused(name: str) -> str:
        assert predict([*given, "--model_path", f"torchvision:{name}"]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    file = tmp_path / "hub/checkpoints/deeplabv3_resnet101_coco-586e9e4e.pth"
    address = "https://download.pytorch.org/models/deeplabv3_resnet101_coco-586e9e4e.pth"
    assert f"are not at {file}: fetch {address} and put it there" in refused("deeplabv3_resnet101")
    assert "did you mean deeplabv3_resnet101?" in refused("deeplabv3_resnet11")
    assert "fetch https://" in refused("fcn_resnet50=nowhere.pth")
    assert "lacks the tensor" in refused(f"fcn_resnet50={state}")
    assert "is no state dict of torch" in refused(f"{SMALL}={tmp_path / 'photo.png'}")
    file = tmp_path / "hub/checkpoints" / torchvision_weights(SMALL).url.rpartition("/")[2]
    file.parent.mkdir(parents=True)
    file.write_bytes(state.read_bytes())
    assert predict([*given, "--model_path", f"torchvision:{SMALL}", "--size", "64"]) == 0


def test_palettes():
    assert guide_colour(1) == (1, 127, 31)
    assert voc_colour(12) == (64, 0, 128)
    with pytest.raises(UserError, match="alpha nan is outside"):
        PredictConfig(alpha=float("nan"))


def test_a_picture_is_fetched(state, tmp_path, monkeypatch, capsys):
    image = picture(3, 50, 40)
    Image.fromarray(image).save(tmp_path / "tom.png")
    model = ["--model_path", f"torchvision:{SMALL}={state}", "--size", "64", "--device", "cpu", "--no_figures"]
    with serving() as server:
        server.files = {"some/tom.png?w=1": (tmp_path / "tom.png").read_bytes(), "large.png": bytes(2000)}
        out = ["--output_dir", str(tmp_path / "out")]
        inputs = ["--input", str(tmp_path / "tom.png"), server.url("some/tom.png?w=1")]
        assert predict([*model, *out, *inputs]) == 0
        assert {path.name for path in (tmp_path / "out/masks").iterdir()} == {"tom.png", "tom-2.png"}
        one, other = (np.array(Image.open(tmp_path / f"out/masks/{name}.png")) for name in ("tom", "tom-2"))
        np.testing.assert_array_equal(one, other)
        assert predict([*model, *out, "--input", server.url("none.png")]) == 2
        assert "none.png could not be fetched (HTTP Error 404" in capsys.readouterr().err
        monkeypatch.setattr(addresses, "MOST_BYTES", 1000)
        with pytest.raises(UserError, match="has more than"):
            fetch(server.url("large.png"), tmp_path)
    with pytest.raises(UserError, match="could not be fetched"):
        fetch("https://127.0.0.1:1/x.png", tmp_path)
