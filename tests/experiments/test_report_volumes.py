"""The report of runs on volumes: what is true of pictures alone is not said of them."""

import json
import re
from dataclasses import replace

import pytest
from report_samples import page_of, segmentation_settings, words, write_picture, write_run, write_segmentation

from experiments.page.command_lines import defaults
from experiments.page.verdicts import verdict
from experiments.paired import Difference, differences
from experiments.report import main as report
from experiments.runs import Run, find_runs

DISTANCES = {
    "unit": "mm",
    "classes": {
        "cat": {"hausdorff_95": 3.25, "surface_distance": 0.625, "num_scored": 9, "missed": 1, "invented": 0},
        "dog": {"hausdorff_95": None, "surface_distance": None, "num_scored": 0, "missed": 4, "invented": 2},
    },
}


def write_volumes(folder, seed: int = 1, **more) -> dict:
    """Write results as an evaluation of volumes leaves them."""
    training = segmentation_settings(patch="16x16x16")
    provenance = {"split": "Test", "resolution": [16, 18, 14], "seed": 42, "epoch": 2, "training": training}
    nothing = {"boundary_iou": None, "boundary_distance_pixels": None}
    return write_segmentation(folder, seed, training, provenance=provenance, **nothing, **more)


def test_distances_stand_with_the_classes_and_outlines_of_pictures_nowhere(tmp_path):
    intervals = {"distances": {"classes": {"cat": {"hausdorff_95": [2.5, 4.0], "surface_distance": None}, "dog": {}}}}
    write_volumes(tmp_path, distances=DISTANCES, intervals=intervals)
    text = words(page_of(tmp_path))
    assert "95 % Hausdorff distance (mm)" in text
    assert re.search(r"cat 3\.250 2\.500 to 4\.000 0\.625 9 1 0", text)
    assert "dog – – 0 4 2" in text
    assert "distances: " not in text  # among further results
    assert "boundary" not in text
    assert "30 volumes of Test" in text
    assert "; below, voxels." in text
    assert "images" not in text


def test_slices_are_pictures_of_volumes(tmp_path):
    write_volumes(tmp_path / "without")
    assert "Evaluate again, with figures" in page_of(tmp_path / "without")
    write_picture(tmp_path / "with/figures/slices_a.png")
    write_volumes(tmp_path / "with", figures=[{"file": "figures/slices_a.png", "title": "Slices of a", "caption": ""}])
    page = page_of(tmp_path / "with")
    assert "Evaluate again, with figures" not in page
    assert "slices through the most errors, among each run" in page


def test_no_command_is_named_that_refuses_an_autoencoder_of_volumes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("reconstruction.evaluate.main", lambda words: pytest.fail("it refuses volumes"))
    write_run(tmp_path, {**defaults("reconstruction"), "patch": "16x16x16", "data_fingerprint": "d" * 64})
    (tmp_path / "training_log.csv").write_text("epoch,train_loss,val_loss,val_psnr\n1,1,2,3\n2,1,2,3\n")
    (tmp_path / "best_model.safetensors").write_bytes(b"")
    assert report([str(tmp_path), "--data_dir", str(tmp_path / "data")]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "reconstruction.evaluate" not in page
    assert "evaluated yet" not in page
    assert "No command scores autoencoders of volumes" in page
    assert "evaluated" not in capsys.readouterr().err


def test_sign_and_sentence_agree(tmp_path):
    write_volumes(tmp_path / "a", 1)
    write_volumes(tmp_path / "b", 2)
    first, second = find_runs([tmp_path / "a", tmp_path / "b"])
    (found,) = differences(first, second)
    behind = replace(found, value=-0.0079, interval=[-0.012, -0.004])
    ahead = Difference("b", "a", "mean_iou", 30, 0.0079, [0.004, 0.012])
    sentence = "a scored higher than b on 30 volumes: mean IoU +0.0079 (95 % interval over volumes +0.0040 to +0.012"
    for entry, runs in ((behind, (first, second)), (ahead, (second, first))):
        assert verdict(entry, *runs, []).startswith(sentence)
    unclear = verdict(replace(behind, interval=[-0.02, 0.004]), first, second, [])
    assert "between b and a on 30 volumes: mean IoU −0.0079 for b (" in unclear


def test_a_run_of_pictures_is_one_of_images():
    known = Run("reconstruction", description={"identity": {"patch": None}})
    assert (known.kind, known.is_scored) == ("image", True)
    known = Run("reconstruction", description=json.loads('{"identity": {"patch": "8x8x8"}}'))
    assert (known.kind, known.is_scored) == ("volume", False)
