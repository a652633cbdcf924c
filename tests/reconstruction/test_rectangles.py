"""Phase 1 on pictures that are no squares, grey and coloured: every target, what is drawn, what is written."""

import csv
import json

import numpy as np
import pytest
import torch
from safetensors import safe_open
from sample_rectangles import prepare_rectangles
from skimage.metrics import structural_similarity

from core.evaluation import load_model
from data.loading import plain_batches
from data.opened import open_data
from reconstruction.evaluate import main as evaluate
from reconstruction.network import Autoencoder
from reconstruction.train import main as train

COMMON = "--width 2 --max_steps 4 --val_every 2 --save_every 1 --batch_size 4 --amp off --device cpu --mask_patch 8"


def run(data, folder, *flags):
    places = ["--data_dir", str(data), "--output_dir", str(folder / "run")]
    assert train([*COMMON.split(), *flags, *places]) == 0
    model = folder / "run/best_model.safetensors"
    places = ["--data_dir", str(data), "--model_path", str(model), "--output_dir", str(folder / "out")]
    assert evaluate([*places, "--device", "cpu", "--visualize_samples", "3"]) == 0
    return model, json.loads((folder / "out/reconstruction_metrics.json").read_text())


def test_scores_are_those_of_the_content_of_each_picture(rectangles, tmp_path):
    model, content = run(rectangles, tmp_path)
    split = open_data(rectangles).split("Test")
    network, header = load_model(model, "reconstruction", Autoencoder, torch.device("cpu"))
    assert header.network.in_channels == split.channels
    assert content["provenance"]["resolution"] == [40, 56]
    with (tmp_path / "out/per_image.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["tag_camera"], row["tag_keeper"]) for row in rows] == list(zip(*split.tags.values(), strict=True))
    _, batch = next(plain_batches(split, np.arange(len(split.names)), len(split.names), torch.device("cpu")))
    with torch.inference_mode():
        restored = network(batch.input, batch.content).numpy()
    sides = set()
    for index, row in enumerate(rows):
        top, left, bottom, right = split.rectangles[index]
        sides.add((bottom - top, right - left))
        found, wanted = (images[index, :, top:bottom, left:right] for images in (restored, batch.clean.numpy()))
        assert float(row["mse"]) == pytest.approx(np.square(found - wanted).mean(), rel=1e-4)
        settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1.0}
        _, similar = structural_similarity(found, wanted, channel_axis=0, full=True, **settings)
        assert float(row["ssim"]) == pytest.approx(similar[:, 5:-5, 5:-5].mean(), abs=1e-4)
    assert sides == {(40, 40), (40, 56)}


KINDS = {
    "hog": "--pretext mask --target hog",
    "sparse": "--pretext mask --target normalised --sparse",
    "crop": "--pretext denoise --no_image_statistics --skips none --train_crop 36x48 --crop 0.5",
    "lite0": "--encoder tf_efficientnet_lite0 --encoder_weights imagenet --normalisation unit",
}


# Each kind in grey or in colour; in `make test-all` in both.
@pytest.mark.parametrize(
    ("rectangles", "kind"),
    [
        pytest.param(channels, kind, marks=() if quick else pytest.mark.all, id=f"{channels}-{kind}")
        for place, kind in enumerate(KINDS)
        for channels, quick in ((1, place % 2 == 1), (3, place % 2 == 0))
    ],
    indirect=["rectangles"],
)
def test_every_kind_of_phase_1_takes_them(rectangles, kind, tmp_path):
    model, content = run(rectangles, tmp_path, *KINDS[kind].split(), "--perceptual_weight", "0", "--ssim_weight", "0.1")
    assert content["num_samples"] == 6
    assert len(list((tmp_path / "run/figures").iterdir())) == 2
    with safe_open(model, "pt") as file:
        channels = open_data(rectangles).split("Test").channels
        assert file.get_tensor("head.weight").shape[0] == channels * (9 if kind == "hog" else 1)


def test_weights_of_other_channels_are_refused(tmp_path, capsys):
    grey, coloured = (prepare_rectangles(tmp_path / str(channels), channels) for channels in (1, 3))
    places = ["--data_dir", str(grey), "--output_dir", str(tmp_path / "run")]
    assert train([*COMMON.split(), "--perceptual_weight", "0", *places]) == 0
    model = tmp_path / "run/best_model.safetensors"
    flags = ["--data_dir", str(coloured), "--model_path", str(model), "--output_dir", str(tmp_path / "other")]
    assert evaluate([*flags, "--device", "cpu"]) == 2
    assert (
        "takes pictures of 1 channel, these have 3: prepare pictures of your own with --channels 1"
        in capsys.readouterr().err
    )


def test_the_classes_of_a_training_draw_can_be_balanced(rectangles, tmp_path, capsys):
    places = ["--data_dir", str(rectangles), "--output_dir", str(tmp_path)]
    assert train([*COMMON.split(), "--class_balance", *places]) == 2
    assert "--class_balance needs the classes of every picture; 9 have none" in capsys.readouterr().err


def test_windows_that_the_network_cannot_take_are_refused(rectangles, tmp_path, capsys):
    places = ["--data_dir", str(rectangles), "--output_dir", str(tmp_path)]
    assert train([*COMMON.split(), "--train_crop", "32x48", *places]) == 2
    assert "pictures of 32x48 px are too small" in capsys.readouterr().err
