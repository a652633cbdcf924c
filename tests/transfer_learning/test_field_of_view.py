"""DRIVE is scored inside the field of view alone."""

import json

import numpy as np
from sample_layouts import HEIGHT, WIDTH, make_drive
from sample_weights import write_weights

from core.classes import ClassSet
from data.opened import open_data
from data.prepare import main as prepare
from transfer_learning.evaluate import main as evaluate


def test_only_pixels_inside_the_field_of_view_count(tmp_path):
    make_drive(tmp_path)
    data = tmp_path / "data"
    assert prepare(["--dataset", "drive", "--archives", str(tmp_path), "--size", "40", "--output_dir", str(data)]) == 0
    weights = write_weights(tmp_path / "weights.safetensors", 1, classes=ClassSet(("background", "vessel")))
    flags = ["--output_dir", str(tmp_path / "out"), "--no_figures", "--device", "cpu"]
    assert evaluate(["--model_path", str(weights), "--data_dir", str(data), *flags]) == 0
    matrix = np.array(json.loads((tmp_path / "out/evaluation_results.json").read_text())["confusion_matrix"])
    split = open_data(data).split("Test")
    truth = np.stack([split.truth(index) for index in split.labelled])
    # Of each picture the first row lies outside: neither missed nor found wrongly.
    assert matrix.sum() == len(truth) * (HEIGHT - 1) * WIDTH == (truth != 255).sum()
    np.testing.assert_array_equal(matrix.sum(axis=1), [(truth == 0).sum(), (truth == 1).sum()])
