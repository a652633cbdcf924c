"""What is drawn of a pretext task, and how networks that predict no pictures are scored."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import core.figures.picture_grid
import reconstruction.figures.pictures
from core.evaluation import load_model
from core.randomness import keys
from data.loading import plain_batches
from data.opened import open_data
from data.pretext.hiding import Pretext, shown
from data.pretext.targets import CELL, normalised_patches, oriented_gradients
from experiments.report import main as report
from reconstruction.evaluate import main as evaluate
from reconstruction.figures.pretext import pretext_columns, strokes
from reconstruction.network import Autoencoder
from reconstruction.train import main as train


@pytest.mark.parametrize("pretext", ["reconstruct", "denoise", "mask"])
@pytest.mark.parametrize("target", ["pixels", "normalised", "hog"])
def test_every_pretext_task_is_drawn_while_it_trains(pets, tmp_path, monkeypatch, pretext, target):
    drawn = []
    monkeypatch.setattr(core.figures.picture_grid, "picture_grid", lambda *arguments: drawn.append(arguments[-1]))
    monkeypatch.setattr(
        reconstruction.figures.pictures, "picture_grid", lambda *arguments, **more: drawn.append(arguments[3])
    )
    common = "--width 2 --max_steps 2 --val_every 1 --save_every 1 --batch_size 4 --amp off --device cpu --mask_patch 8"
    places = ["--data_dir", str(pets), "--output_dir", str(tmp_path)]
    flags = ["--perceptual_weight", "0", "--no_image_statistics", "--pretext", pretext, "--target", target]
    assert train([*common.split(), *flags, *places]) == 0
    first, second = drawn
    if (pretext, target) == ("reconstruct", "pixels"):
        assert list(first) == ["original", "restored", "error"]
        return
    where = " where hidden" if pretext == "mask" else ""
    hog = ["input", f"predicted{where}", "true gradients", "original"]
    assert list(first) == (hog if target == "hog" else ["input", f"restored{where}", "original"])
    assert np.array_equal(first["input"], second["input"])  # the same corruption each time
    same = np.array_equal(first["input"], first["original"])
    assert same == (pretext == "reconstruct")
    if pretext == "mask":
        assert 0.5 < np.mean(np.array(first["input"]) == 0) < 0.9


def test_predicted_gradients_stand_where_the_picture_was_hidden():
    torch.manual_seed(0)
    clean, content = torch.rand(2, 3, 36, 44), torch.ones(2, 1, 36, 44, dtype=torch.bool)
    content[..., 30:, :] = False  # the row of cells from 24 on is partly content, none lies wholly outside
    content[..., :16] = False
    seen = shown(clean, content, keys(0, 0, np.arange(2)), Pretext("mask", mask_patch=8))
    output = torch.rand(2, 27, 36, 44)
    columns = pretext_columns(output, clean, content, seen, "hog", 8)
    predicted, true = (np.stack(columns[heading]) for heading in ("predicted where hidden", "true gradients"))
    network = np.stack(strokes(F.avg_pool2d(output, CELL), (36, 44)))
    assert predicted.shape == true.shape == (2, 72, 88, 3)  # twice the picture, cells or not
    assert not predicted[:, 64:].any()
    assert not predicted[:, :, :32].any()
    hidden = seen.hidden[:, 0].repeat_interleave(2, 1).repeat_interleave(2, 2).numpy()
    inside = np.zeros_like(hidden)
    inside[:, :48, 32:80] = True  # whole cells of content
    for where, expected in ((hidden & inside, network), (~hidden & inside, true)):
        assert np.array_equal(predicted[where], expected[where])
    assert not np.array_equal(network[inside], true[inside])
    assert predicted[:, 48:64, 32:80].any()  # the cells that the content's edge crosses


@pytest.mark.parametrize("target", ["normalised", "hog"])
def test_what_is_no_picture_is_scored_by_its_error_and_drawn(pets, tmp_path, capsys, target):
    common = "--width 2 --max_steps 2 --val_every 2 --batch_size 4 --amp off --device cpu --mask_patch 8 --pretext mask"
    places = ["--data_dir", str(pets), "--output_dir", str(tmp_path / "run"), "--target", target]
    assert train([*common.split(), *places]) == 0
    model = tmp_path / "run/best_model.safetensors"
    flags = ["--data_dir", str(pets), "--model_path", str(model), "--split", "Val", "--device", "cpu"]
    flags += ["--batch_size", "4", "--visualize_samples", "3"]
    assert evaluate([*flags, "--output_dir", str(tmp_path / "run/results")]) == 0
    content = json.loads((tmp_path / "run/results/reconstruction_metrics.json").read_text())
    assert content["target"] == target
    assert "psnr" not in content
    assert "figures/pretext.png" in [entry["file"] for entry in content["figures"]]
    assert f"predicts {target}, not pictures" in capsys.readouterr().out

    split = open_data(pets).split("Val")
    network, _ = load_model(model, "reconstruction", Autoencoder, torch.device("cpu"))
    _, batch = next(plain_batches(split, np.arange(len(split.names)), len(split.names), torch.device("cpu")))
    seen = shown(batch.clean, batch.content, keys(0, 0, np.arange(len(split.names))), Pretext("mask", mask_patch=8))
    with torch.inference_mode():
        output = network(seen.images, seen.visible)
    squares = []
    for image in range(len(split.names)):
        if target == "hog":
            wanted, found, weight = (
                oriented_gradients(batch.clean),
                F.avg_pool2d(output, CELL),
                F.avg_pool2d(seen.judged.float(), CELL),
            )
        else:
            wanted, found, weight = normalised_patches(batch.clean, 8), output, seen.judged.float()
        error = (found - wanted)[image].square().mean(0)
        squares.append((error * weight[image, 0]).sum() / weight[image].sum())
    assert content["target_error"] == pytest.approx(torch.stack(squares).mean().item(), rel=1e-4)
    assert report([str(tmp_path / "run"), "--output", str(tmp_path / "report.html")]) == 0
    assert "squared error in the target" in (tmp_path / "report.html").read_text()


def test_gradients_are_drawn_along_the_edges():
    image = torch.zeros(1, 3, 32, 32)
    image[..., 16:] = 1  # an upright edge
    for picture, upright in ((image, True), (image.mT, False)):
        drawn = strokes(oriented_gradients(picture), (32, 32))[0][..., 0]
        assert drawn.shape == (64, 64)
        ys, xs = np.nonzero(drawn > 0.5)
        cells = {(y // 16, x // 16) for y, x in zip(ys, xs, strict=True)}
        assert cells == (
            {(row, column) for row in range(4) for column in (1, 2)}
            if upright
            else {(row, column) for row in (1, 2) for column in range(4)}
        )
        height, width = (np.ptp(values[(ys // 16 == 1) & (xs // 16 == 1)]) for values in (ys, xs))
        assert (height > 2 * width) == upright
        assert (width > 2 * height) != upright


def test_normalised_patches_are_drawn_as_the_picture_where_they_are_right():
    clean, content = torch.rand(2, 3, 40, 40), torch.ones(2, 1, 40, 40, dtype=torch.bool)
    seen = shown(clean, content, keys(0, 0, np.arange(2)), Pretext("mask", mask_patch=8, loss_on="all"))
    columns = pretext_columns(normalised_patches(clean, 8), clean, content, seen, "normalised", 8)
    assert list(columns) == ["input", "restored", "original"]
    assert np.allclose(columns["restored"], columns["original"], atol=1e-5)
    assert np.allclose(columns["input"], (clean * ~seen.hidden).permute(0, 2, 3, 1))
