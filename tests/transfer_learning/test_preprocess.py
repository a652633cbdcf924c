"""Weights trained on preprocessed pictures: every reading of a file takes the same steps, and others are refused."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image
from sample_pets import picture
from sample_weights import write_weights

from core.classes import ClassSet
from core.headers.header import read_header
from data.opened import open_data
from data.prepare import main as prepare
from transfer_learning.evaluate import main as evaluate
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.train import main as train

STEPS = "green, percentile:1/99, clahe:2/4"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return the folder of pictures, some of 16 bits and one grey, and what was prepared of them."""
    root = tmp_path_factory.mktemp("preprocessed")
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for index in range(10):
        image = picture(index, 36 + index, 50)
        if index % 3 == 0:
            cv2.imwrite(str(root / "images" / f"{index}.png"), image[..., ::-1].astype(np.uint16) * 20)
        else:
            Image.fromarray(image[..., 0] if index == 1 else image).save(root / "images" / f"{index}.png")
        Image.fromarray(np.uint8(image[..., 0] > 128)).save(root / "masks" / f"{index}.png")
    own = ["--dataset", "folder", "--images", str(root / "images"), "--masks", str(root / "masks"), "--size", "40"]
    assert prepare([*own, "--preprocess", STEPS, "--output_dir", str(root / "data")]) == 0
    assert prepare([*own, "--channels", "1", "--output_dir", str(root / "plain")]) == 0
    flags = ["--width", "2", "--max_steps", "1", "--val_every", "1", "--batch_size", "2", "--device", "cpu"]
    assert train(["--data_dir", str(root / "data"), "--output_dir", str(root / "run"), *flags]) == 0
    return root


def test_a_file_is_read_as_preparation_read_it(prepared):
    segmenter = Segmenter.load(prepared / "run" / "best_model.safetensors", device="cpu")
    assert (segmenter.header.preprocess, segmenter.channels) == (STEPS, 1)
    data = open_data(prepared / "data")
    for split in data.splits("Train", "Val", "Test"):
        for index, name in enumerate(split.names):
            path = prepared / "images" / f"{name}.png"
            read, _ = segmenter.read(path)
            np.testing.assert_array_equal(split.geometries[index].image(read), split.images[index][..., 0])
            top, left, bottom, right = split.geometries[index].rectangle
            content = np.ascontiguousarray(split.images[index][top:bottom, left:right, 0])
            (seen,) = segmenter.readout.see([content], [read.shape])
            mask, confidence = segmenter(path)
            np.testing.assert_array_equal(mask, seen.read().labels)
            np.testing.assert_array_equal(confidence, seen.read().confidence)


def test_an_array_goes_the_way_of_a_file(prepared):
    segmenter = Segmenter.load(prepared / "run" / "best_model.safetensors", device="cpu")
    image = picture(2, 38, 50)
    np.testing.assert_array_equal(segmenter.preprocessed(image), segmenter.read(prepared / "images" / "2.png")[0])
    np.testing.assert_array_equal(segmenter(image)[1], segmenter(prepared / "images" / "2.png")[1])
    (found,) = segmenter.segment([image])
    np.testing.assert_array_equal(found.confidence, segmenter(image)[1])


def test_other_preprocessing_is_refused(prepared, tmp_path, capsys):
    trained, other = prepared / "run" / "best_model.safetensors", tmp_path / "other.safetensors"
    flags = ["--device", "cpu", "--no_figures", "--output_dir", str(tmp_path / "out")]
    assert evaluate(["--model_path", str(trained), "--data_dir", str(prepared / "data"), *flags]) == 0
    assert evaluate(["--model_path", str(trained), "--data_dir", str(prepared / "plain"), *flags]) == 2
    said = capsys.readouterr().err
    assert f"prepared with --preprocess '{STEPS}', those of {prepared / 'plain'} with no --preprocess" in said
    classes = ClassSet(open_data(prepared / "data").class_set.names)
    write_weights(other, 1, classes=classes, in_channels=1)
    ensemble = ["--model_path", str(trained), "--ensemble", str(other), "--data_dir", str(prepared / "data"), *flags]
    assert evaluate(ensemble) == 2
    assert "an ensemble sees the same pictures" in capsys.readouterr().err


def test_weights_without_steps_read_as_before(prepared, tmp_path):
    write_weights(tmp_path / "plain.safetensors", 1, in_channels=1)
    segmenter = Segmenter.load(tmp_path / "plain.safetensors", device="cpu")
    np.testing.assert_array_equal(segmenter.read(prepared / "images" / "2.png")[0], picture(2, 38, 50))
    assert read_header(tmp_path / "plain.safetensors").preprocess is None
    segmenter.header = replace(segmenter.header, preprocess="zscore")
    assert segmenter.read(prepared / "images" / "2.png")[0].shape == (38, 50)
