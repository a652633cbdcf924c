"""One inference: what prediction does with --tta and --tile, evaluation scores."""

import json

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from reference_inference import reference_scores
from sample_header import sample_header

from core.headers.header import Header
from core.weights import build, load_weights
from data.opened import open_data
from data.prepare import main as prepare
from experiments.tables import main as tables
from transfer_learning.evaluate import main as evaluate
from transfer_learning.inference.backends import Loaded, Network
from transfer_learning.inference.options import ReadoutOptions
from transfer_learning.inference.splits import readout_of_split, seen_of_split
from transfer_learning.network import SegmentationUNet
from transfer_learning.scores.confusion import array_confusion_matrix
from transfer_learning.train import main as train


@pytest.fixture(scope="module")
def weights(pets, tmp_path_factory):
    run = tmp_path_factory.mktemp("readout") / "run"
    flags = ["--width", "2", "--epochs", "1", "--amp", "off", "--device", "cpu"]
    assert train([*flags, "--data_dir", str(pets), "--output_dir", str(run)]) == 0
    return run / "best_model.safetensors"


@pytest.fixture
def scored(weights, pets, tmp_path):
    def call(*flags):
        out = tmp_path / "out"
        common = ["--model_path", str(weights), "--data_dir", str(pets), "--output_dir", str(out), "--no_figures"]
        code = evaluate([*common, "--device", "cpu", *flags])
        return code, json.loads((out / "evaluation_results.json").read_text()) if code == 0 else None

    return call


class Mirrored(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images, content):
        return self.model(images.flip(3), content.flip(3)).flip(3)


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores.astype(np.float64) - scores.max(axis=0))
    return powers / powers.sum(axis=0)


def test_an_evaluation_with_tta_scores_the_mean_of_both_views(scored, weights, pets):
    code, found = scored("--tta", "--tta_scales", "1")
    assert code == 0
    assert found["settings"]["tta"]
    assert found["settings"]["tta_scales"] == [1.0]
    tensors, header = load_weights(weights)
    model = build(SegmentationUNet, tensors, header, "weights").eval()
    split = open_data(pets).split("Test")
    plain, mirrored = (reference_scores(one, split, split.labelled) for one in (model, Mirrored(model)))
    expected = np.zeros((3, 3), np.int64)
    for index in split.labelled:
        said = (softmax(plain[index]) + softmax(mirrored[index])).argmax(axis=0).astype(np.uint8)
        expected += array_confusion_matrix(said, split.truth(index), 3)
    moved = np.abs(np.array(found["confusion_matrix"]) - expected).sum()
    assert moved <= 1e-4 * expected.sum()
    _, once = scored()
    assert moved < np.abs(np.array(once["confusion_matrix"]) - expected).sum()


class PerPixel(torch.nn.Module):
    def forward(self, images, content=None):
        return 4 * images


def test_windows_over_prepared_pictures_come_to_original_size(pets):
    split = open_data(pets).split("Test")
    header = Header.of(sample_header("transfer_learning", architecture={}, format_version=1), "header")
    options = ReadoutOptions(tile=True, size="33x33")
    readout = readout_of_split(Loaded(Network(PerPixel()), header), split, options, 8)
    indices = split.labelled[:3]
    batches = seen_of_split(readout, split, indices)
    found = {index: seen.probabilities() for batch in batches for index, seen in batch}
    assert [*found] == indices.tolist()
    for index, probabilities in found.items():
        geometry = split.geometries[index]
        top, left, bottom, right = geometry.rectangle
        of_content = softmax(split.images[index][top:bottom, left:right].transpose(2, 0, 1) * (4 / 255))
        size = (geometry.width, geometry.height)
        np.testing.assert_allclose(probabilities, [cv2.resize(plane, size) for plane in of_content], atol=1e-5)


def test_windows_no_smaller_than_the_pictures_are_refused(scored, capsys):
    assert scored("--tile")[0] == 2
    assert "--tile does nothing: the prepared pictures are 40 x 40 at most, a window 40 x 40" in capsys.readouterr().err
    assert scored("--tile_overlap", "1")[0] == 2


@pytest.mark.parametrize("flags", [(), ("--size", "48x64"), ("--tta",), ("--tile", "--size", "34")])
def test_grey_pictures_of_mixed_aspects(tmp_path, flags):
    images, masks, data, run = (tmp_path / name for name in ("images", "masks", "data", "run"))
    images.mkdir()
    masks.mkdir()
    for index, sides in enumerate([(40, 70), (70, 40), (50, 50), (64, 48), (90, 33), (48, 64)] * 2):
        grey = np.random.default_rng(index).integers(0, 256, sides, np.uint8)
        Image.fromarray(grey).save(images / f"{index}.png")
        Image.fromarray((grey > 128).astype(np.uint8)).save(masks / f"{index}.png")
    own = ["--dataset", "folder", "--images", str(images), "--masks", str(masks), "--size", "48"]
    assert prepare([*own, "--test_ratio", "0.4", "--output_dir", str(data)]) == 0
    small = ["--width", "2", "--max_steps", "1", "--val_every", "1", "--amp", "off", "--device", "cpu"]
    assert train([*small, "--data_dir", str(data), "--output_dir", str(run)]) == 0
    common = ["--model_path", str(run / "best_model.safetensors"), "--data_dir", str(data), "--no_figures"]
    assert evaluate([*common, "--device", "cpu", "--output_dir", str(tmp_path / "out"), *flags]) == 0


def test_grad_cam_is_left_out_with_a_note_where_it_would_explain_other_pictures(weights, pets, tmp_path, capsys):
    common = ["--model_path", str(weights), "--data_dir", str(pets), "--device", "cpu", "--visualize_samples", "1"]
    assert evaluate([*common, "--output_dir", str(tmp_path / "out"), "--size", "48"]) == 0
    assert "note: no Grad-CAM: it explains pictures seen whole at the size" in capsys.readouterr().out
    files = {path.name for path in (tmp_path / "out/figures").iterdir()}
    assert "predictions.png" in files
    assert "gradcam.png" not in files


def test_tables_say_how_pictures_were_seen(scored, tmp_path, capsys):
    code, found = scored("--tile", "--size", "33", "--tta", "--tta_scales", "1", "1.25")
    assert code == 0
    assert found["provenance"]["resolution"] == 33
    assert tables(["--results", str(tmp_path / "out")]) == 0
    words = "in windows, 0.5 overlapping, also mirrored, at scales 1 1.25"
    assert f"pictures were seen {words}" in capsys.readouterr().out
