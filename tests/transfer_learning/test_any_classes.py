"""Phase 2 from training to prediction for any classes: 2, 3, 11 and 150, with and without a background, grey, wide."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sample_classes import classes_of, scene, write_data

from core.classes import ClassSet
from core.headers.header import header_content
from transfer_learning.evaluate import main as evaluate
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.predict import main as predict
from transfer_learning.train import main as train

CASES = {
    "2": {"class_set": ClassSet(("ground", "vessel")), "channels": 1, "sides": (36, 48)},
    "3 without background": {"class_set": ClassSet(("road", "car", "sky"), background=None)},
    "11": {"class_set": classes_of(11, background=8)},
    "150 without background": {"class_set": classes_of(150, background=None), "sides": (48, 40)},
}
SMALL = ["--width", "2", "--batch_size", "4", "--amp", "off", "--device", "cpu"]
STEPS = [*SMALL, "--max_steps", "3", "--val_every", "2"]
SCORES = {"dice", "iou", "precision", "recall", "specificity", "balanced_accuracy", "auc"}


@pytest.fixture(
    scope="module",
    params=[pytest.param(case, marks=() if case.startswith(("11", "150")) else pytest.mark.all) for case in CASES],
)
def run(request, tmp_path_factory) -> tuple[Path, ClassSet]:
    """A folder with data, a run and its evaluation; the classes."""
    root = tmp_path_factory.mktemp("any")
    cameras = [camera for camera in ("a", "=b", "a", None) for _ in range(3)]
    tags = {"camera": cameras, "own": [f"{n}" for n in range(12)], "=tag": ["x", "y"] * 6}
    write_data(root / "data", **CASES[request.param], tags=tags)
    assert train([*STEPS, "--data_dir", str(root / "data"), "--output_dir", str(root / "run")]) == 0
    assert evaluate(flags(root, "--visualize_samples", "2")) == 0
    return root, CASES[request.param]["class_set"]


def flags(root: Path, *more: str) -> list[str]:
    weights = str(root / "run" / "best_model.safetensors")
    places = ["--data_dir", str(root / "data"), "--output_dir", str(root / "out")]
    return ["--model_path", weights, "--device", "cpu", *places, *more]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_header_names_classes_and_canvas(run):
    root, class_set = run
    header = header_content(root / "run" / "best_model.safetensors")
    manifest = json.loads((root / "data" / "manifest.json").read_text())
    assert ClassSet.of(header["class_set"]).names == class_set.names
    assert "class_names" not in header
    assert header["size"] == manifest["size"]
    assert header["architecture"]["num_classes"] == len(class_set)
    assert header["architecture"]["in_channels"] == manifest["channels"]


def test_the_log_has_a_column_a_class_up_to_25_and_no_two_alike(run):
    root, class_set = run
    with (root / "run" / "training_log.csv").open(newline="") as file:
        head, first, *_ = csv.reader(file)
    assert len({*head}) == len(head) == len(first)
    assert all(first)
    of_classes = [name for name in head if name.startswith("dice_") and name != "dice_mean_foreground"]
    assert len(of_classes) == (len(class_set) if len(class_set) <= 25 else 0)
    assert ("dice_mean_foreground" in head) == (class_set.background is not None)


def test_results_are_of_format_2(run):
    root, class_set = run
    result = json.loads((root / "out" / "evaluation_results.json").read_text())
    assert (result["format"], result["phase"]) == (2, "transfer_learning")
    assert ClassSet.of(result["class_set"]) == ClassSet.of(class_set.content())
    assert list(result["classes"]) == list(class_set.names)
    for scores in (result["classes"], result["intervals"]["classes"]):
        assert all(set(of_class) == SCORES for of_class in scores.values())
    of_foreground = ("mean_foreground_dice", "foreground_iou", "mean_case_dice", "boundary_iou")
    for name in (*of_foreground, "boundary_distance_pixels"):
        for scores in (result, result["intervals"]):
            assert (scores[name] is None) == (class_set.background is None)
    assert "foreground_iou_border_as_object" not in result
    assert np.array(result["confusion_matrix"]).shape == (len(class_set),) * 2
    # A tag that is another for every picture says nothing of kinds.
    assert set(result["tags"]) == {"camera", "=tag"}
    assert sum(one["num_images"] for one in result["tags"]["=tag"].values()) == result["num_images"] == 4


def test_rows_add_up_to_the_matrix(run):
    root, class_set = run
    matrix = np.array(json.loads((root / "out" / "evaluation_results.json").read_text())["confusion_matrix"])
    rows = read_csv(root / "out" / "per_image.csv")
    expected = {"hit": matrix.diagonal(), "truth": matrix.sum(axis=1), "said": matrix.sum(axis=0)}
    for kind, of_classes in expected.items():
        for name, count in zip(class_set.names, of_classes, strict=True):
            assert sum(int(row[f"{kind}_{name}"]) for row in rows) == count
    assert ("foreground_iou" in rows[0]) == ("boundary_iou" in rows[0]) == (class_set.background is not None)
    assert [row["tag_camera"] for row in rows] == ["", "a", "'=b", "a"]  # of the pictures 11, 2, 5, 8


def test_every_figure_is_there(run):
    root, _ = run
    result = json.loads((root / "out" / "evaluation_results.json").read_text())
    files = [entry["file"] for entry in result["figures"]]
    assert len({*files}) == len(files) >= 13
    for entry in result["figures"]:
        assert (root / "out" / entry["file"]).stat().st_size > 1000
        assert not {"animal", "cat", "breed"} & {*entry["caption"].split()}
    assert {"figures/tags_camera.png", "figures/tags__tag.png"} <= {*files}


def test_predictions_have_the_classes_colours_and_the_canvas(run, tmp_path):
    root, class_set = run
    channels = json.loads((root / "data" / "manifest.json").read_text())["channels"]
    for number, kind in enumerate((1, 3)):
        Image.fromarray(scene(class_set, kind, 70, 90, number)[0]).save(tmp_path / f"{number}.png")
    weights = str(root / "run" / "best_model.safetensors")
    places = ["--input", str(tmp_path / "0.png"), str(tmp_path / "1.png"), "--output_dir", str(tmp_path / "out")]
    assert predict(["--model_path", weights, "--device", "cpu", *places]) == 0
    content = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert content["format"] == 2
    assert list(content["total"]["classes"]) == list(class_set.names)
    (record, _), (row, _) = content["pictures"], read_csv(tmp_path / "out" / "predictions.csv")
    with Image.open(tmp_path / "out" / record["mask"]) as image:
        palette = np.array(image.getpalette()[: 3 * len(class_set)]).reshape(-1, 3)
        counts = np.bincount(np.array(image).ravel(), minlength=len(class_set))
    assert palette.tolist() == [list(colour) for colour in class_set.palette]
    assert [one["pixels"] for one in record["classes"].values()] == counts.tolist()
    assert [int(row[f"pixels_{name}"]) for name in class_set.names] == counts.tolist()
    segmenter = Segmenter.load(weights, device="cpu")
    assert (segmenter.classes.names, segmenter.channels) == (class_set.names, channels)
    grey, _ = scene(class_set, 1, 70, 90, 5)
    repeated = segmenter(np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(segmenter(grey)[0], repeated[0])


def test_windows_of_a_wide_canvas(run):
    root, class_set = run
    segmenter = Segmenter.load(root / "run" / "best_model.safetensors", device="cpu", tile=True, size="40x64")
    assert segmenter.readout.size == (40, 64)
    picture, _ = scene(class_set, 3, 100, 64, 3)
    assert segmenter.readout.is_tiled(picture.shape[:2])
    assert not segmenter.readout.is_tiled(picture[:40].shape[:2])
    (found,) = segmenter.segment([picture])
    assert found.mask.shape == (100, 64)


def test_data_of_other_classes_or_channels_are_refused(run, tmp_path, capsys):
    root, class_set = run
    names = ("other", *class_set.names[1:])
    write_data(tmp_path / "data", ClassSet(names, background=None), sides=(40, 40))
    given = flags(root)
    given[given.index("--data_dir") + 1] = str(tmp_path / "data")
    assert evaluate(given) == 2
    error = capsys.readouterr().err
    assert f"class 0 is {class_set.names[0]!r} there and 'other' here" in error
    assert error.count("\n") == 1
    manifest = json.loads((root / "data" / "manifest.json").read_text())
    write_data(tmp_path / "channels", class_set, channels=4 - manifest["channels"], sides=(40, 40))
    given[given.index("--data_dir") + 1] = str(tmp_path / "channels")
    assert evaluate(given) == 2
    assert f"prepare them with --channels {manifest['channels']}" in capsys.readouterr().err


def test_labels_of_one_class_alone_are_refused(tmp_path, capsys):
    write_data(tmp_path / "data", ClassSet(("a", "b")), picture_size=(10, 10), images=3)
    assert train([*STEPS, "--data_dir", str(tmp_path / "data"), "--output_dir", str(tmp_path / "run")]) == 2
    assert "alone: learning needs two classes or more" in capsys.readouterr().err
