"""As many classes as there may be, from one's own masks to a page: each is in every file that names classes."""

import csv
import json

import numpy as np
import pytest
from own_pictures import write_masks
from PIL import Image

from ae_pretrained.__main__ import main
from core.classes import ClassSet, default_palette
from core.weights import load_weights

SIDE = 32
SHORT = "--width 2 --batch_size 4 --max_steps 2 --val_every 2 --amp off --device cpu"


def blocks(count: int, seed: int) -> np.ndarray:
    """A mask [32, 32] of blocks of 2 x 2 pixels, which holds every class."""
    values = np.arange(SIDE * SIDE // 4) % count
    np.random.default_rng(seed).shuffle(values)
    return values.reshape(SIDE // 2, SIDE // 2).repeat(2, 0).repeat(2, 1).astype(np.uint8)


@pytest.mark.parametrize("count", [pytest.param(count, marks=pytest.mark.all) for count in (21, 23, 254)])
def test_own_masks_lead_to_a_page(count, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["background", *(f"kind {number:03d}" for number in range(1, count))]
    masks = {f"photo{seed}": blocks(count, seed) for seed in range(8)}
    write_masks(tmp_path / "masks", masks)
    colours = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    write_masks(tmp_path / "images", masks, lambda mask, path: Image.fromarray(colours[mask]).save(path))
    own = ["--images", "images", "--masks", "masks", "--classes", *names, "--val_ratio", "0.25", "--test_ratio", "0.25"]
    assert main(["prepare", "--dataset", "folder", *own, "--size", "40", "--output_dir", "data"]) == 0
    assert main(["train", "--data_dir", "data", "--output_dir", "run", *SHORT.split()]) == 0
    weights = ["--model_path", "run/best_model.safetensors", "--device", "cpu"]
    places = ["--data_dir", "data", "--output_dir", "run/results"]
    assert main(["evaluate", *weights, *places, "--visualize_samples", "1"]) == 0
    assert main(["predict", *weights, "--input", "images", "--output_dir", "predicted"]) == 0
    assert main(["report", "run", "--data_dir", "data", "--output", "report.html"]) == 0

    classes = ClassSet(tuple(names), 0, "unknown", default_palette(count, 0))
    manifest = json.loads((tmp_path / "data/manifest.json").read_text())
    header = load_weights(tmp_path / "run/best_model.safetensors")[1]
    result = json.loads((tmp_path / "run/results/evaluation_results.json").read_text())
    predicted = json.loads((tmp_path / "predicted/predictions.json").read_text())
    read = [ClassSet.of(each["class_set"]) for each in (manifest, result, predicted)]
    assert [*read, header.class_set] == [classes] * 4
    assert list(result["classes"]) == list(predicted["total"]["classes"]) == names
    # Every class has as many pixels in the truth as the masks of Test have.
    tested = [record["name"] for record in manifest["images"] if record["split"] == "Test"]
    held = np.bincount(np.concatenate([masks[name].ravel() for name in tested]), minlength=count)
    assert np.array_equal(np.sum(result["confusion_matrix"], axis=1), held)
    with (tmp_path / "predicted/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row, record in zip(rows, predicted["pictures"], strict=True):
        with Image.open(tmp_path / "predicted" / record["mask"]) as image:
            assert image.getpalette()[: 3 * count] == np.ravel(classes.palette).tolist()
            counts = np.bincount(np.array(image).ravel(), minlength=count)
        assert counts.shape == (count,)
        assert counts.tolist() == [int(row[f"pixels_{name}"]) for name in names]
    page = (tmp_path / "report.html").read_text()
    assert all(name in page for name in names)
