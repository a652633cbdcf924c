"""Scoring on data of other classes: `evaluate --class_map`."""

import json
from pathlib import Path

import numpy as np
import pytest
from sample_classes import write_data
from sample_weights import PETS, write_weights

from core.classes import IGNORED, ClassSet
from core.errors import UserError
from data.opened import open_data
from data.sources.voc2012 import CLASSES as VOC
from transfer_learning.evaluate import main as evaluate
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.scores.class_map import read_class_map


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "map.yaml"
    path.write_text(text)
    return path


def test_several_classes_of_the_data_are_one_of_the_weights(tmp_path):
    text = "background: background\nsheep: background\ncat: cat\ndog: dog\nhorse: dog\n"
    by = read_class_map(written(tmp_path, text), VOC, PETS)
    assert by.classes.names == ("background", "cat", "dog")
    assert (by.classes.background, by.classes.ignored_is) == (0, "unknown")
    places = {name: int(by.labels[VOC.names.index(name)]) for name in VOC.names}
    assert places == {**dict.fromkeys(VOC.names, IGNORED), "background": 0, "sheep": 0, "cat": 1, "dog": 2, "horse": 2}
    assert by.labels[IGNORED] == IGNORED
    np.testing.assert_array_equal(by.groups, np.eye(3))
    assert by.ignored["weights"] == []
    assert len(by.ignored["data"]) == len(VOC) - 5


def test_a_star_is_the_rest_on_either_side(tmp_path):
    by = read_class_map(written(tmp_path, 'background: "*"\ncat: cat\ndog: [dog, horse]\n'), PETS, VOC)
    assert by.classes.names == ("background", "cat", "dog")
    assert by.classes.ignored_is == "border"
    assert by.groups.sum(axis=1).tolist() == [18, 1, 2]
    assert by.ignored == {"data": [], "weights": []}
    by = read_class_map(written(tmp_path, '"*": background\ncat: cat\n'), VOC, PETS)
    assert by.classes.names == ("background", "cat")
    assert by.ignored == {"data": [], "weights": ["dog"]}
    assert by.labels[: len(VOC)].sum() == 1


def test_classes_tied_together_by_a_chain_are_one(tmp_path):
    text = "background: background\ncat: [cat, dog]\ndog: [dog, horse]\n"
    by = read_class_map(written(tmp_path, text), PETS, VOC)
    assert by.classes.names == ("background", "cat")
    assert by.labels[:3].tolist() == [0, 1, 1]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dgo: dog\ncat: cat\n", "the data has no class 'dgo'; did you mean dog?"),
        ("dog: dgo\ncat: cat\n", "the weights has no class 'dgo'; did you mean dog?"),
        ("cat: cat\n", "leaves 1 class to score"),
        ("[cat, dog]\n", "must hold lines"),
        ("cat: {cat: 1}\n", "write a class of the weights, or a list"),
        ("cat: cat\ncat: dog\n", "stands twice"),
    ],
)
def test_a_map_that_does_not_fit_is_refused(tmp_path, text, said):
    with pytest.raises(UserError, match=said.replace("?", r"\?")):
        read_class_map(written(tmp_path, text), VOC, PETS)


def test_scores_on_other_data_are_those_of_the_classes_in_common(tmp_path, capsys):
    names = ClassSet(("sky", "cat", "hound", "tree"), background=0)
    data = write_data(tmp_path / "data", names, images=9)
    weights = write_weights(tmp_path / "weights.safetensors", 4)
    text = "sky: background\ntree: background\nhound: dog\n"
    common = ["--model_path", str(weights), "--data_dir", str(data), "--device", "cpu", "--no_figures"]
    assert evaluate([*common, "--output_dir", str(tmp_path / "refused")]) == 2
    assert "or say with --class_map FILE which mean the same" in capsys.readouterr().err
    flags = ["--class_map", str(written(tmp_path, text)), "--output_dir", str(tmp_path / "out")]
    assert evaluate([*common, *flags]) == 0
    said = capsys.readouterr().out
    assert "classes of the data are not scored: cat" in said
    assert "classes of the weights are never chosen: cat" in said
    found = json.loads((tmp_path / "out/evaluation_results.json").read_text())
    assert list(found["classes"]) == ["background", "dog"]
    noted = found["provenance"]["class_map"]
    assert noted["pairs"] == {"sky": ["background"], "tree": ["background"], "hound": ["dog"]}
    assert len(noted["sha256"]) == 64

    split = open_data(data).split("Test")
    segmenter = Segmenter.load(weights, device="cpu")
    expected = np.zeros((2, 2), np.int64)
    for index in split.labelled:
        geometry = split.geometries[index]
        top, left, bottom, right = geometry.rectangle
        content = np.ascontiguousarray(split.images[index][top:bottom, left:right])
        (seen,) = segmenter.readout.see([content], [(geometry.height, geometry.width)])
        background, _, dog = seen.probabilities()
        truth = split.truth(index)
        for row, labels in enumerate(([0, 3], [2])):
            here = np.isin(truth, labels)
            expected[row] += [(here & (background >= dog)).sum(), (here & (background < dog)).sum()]
    np.testing.assert_array_equal(found["confusion_matrix"], expected)


@pytest.mark.all
def test_figures_are_drawn_in_the_classes_in_common(tmp_path):
    data = write_data(tmp_path / "data", ClassSet(("sky", "hound")), images=6)
    weights = write_weights(tmp_path / "weights.safetensors", 4)
    path = written(tmp_path, 'sky: ["*"]\nhound: dog\n')
    common = ["--model_path", str(weights), "--data_dir", str(data), "--device", "cpu", "--visualize_samples", "1"]
    assert evaluate([*common, "--class_map", str(path), "--output_dir", str(tmp_path / "out")]) == 0
    files = {path.name for path in (tmp_path / "out/figures").iterdir()}
    assert {"predictions.png", "errors.png", "confusion_matrix.png"} <= files
    assert "gradcam.png" not in files
