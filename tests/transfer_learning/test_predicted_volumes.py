"""`transfer_learning.predict` on files of volumes: what is read, what is written, and what is never overwritten."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from sample_task import ball, save

from core.errors import UserError
from core.networks.unet import initialise
from core.weights import save_weights
from transfer_learning.inference.segmenter import Segmenter
from transfer_learning.network import SegmentationUNet
from transfer_learning.predict import main as predict

pytest.importorskip("monai")
AS_IT_IS = {"spacing": None, "intensity": [{"kind": "window", "low": 0.0, "high": 100.0}], "label_values": [0, 1, 4]}


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "best_model.safetensors"
    architecture = {"num_classes": 3, "in_channels": 1, "width": 2, "dims": 3, "stages": 3}
    torch.manual_seed(3)
    model = SegmentationUNet(**architecture)
    initialise(model)
    header = {"phase": "transfer_learning", "architecture": architecture, "class_names": ["background", "rim", "core"]}
    seen = {"size": [16, 16, 16], "volumes": AS_IT_IS}
    save_weights(path, model.state_dict(), {**header, **seen, "epoch": 1, "config": {"seed": 42}, "metrics": {}})
    return path


@pytest.fixture
def scans(tmp_path) -> Path:
    for number in range(2):
        save(tmp_path / "scans" / f"{'ab'[number]}.nii.gz", 40 * ball(number).astype(np.float32))
    return tmp_path / "scans"


def run(weights: Path, output_dir: Path, *inputs: Path | str) -> int:
    given = ["--model_path", str(weights), "--input", *map(str, inputs), "--device", "cpu"]
    return predict([*given, "--output_dir", str(output_dir)])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("case", ["file", "pattern", "folder", "linked file", "linked folder", "hard link", "common"])
def test_no_scan_is_overwritten_by_its_mask(weights, scans, case, capsys):
    root = scans.parent
    (root / "linked").symlink_to(scans)
    (root / "others").mkdir()
    given, output_dir = {
        "file": ([scans / "a.nii.gz"], scans),
        "pattern": ([scans / "*.nii.gz"], scans),
        "folder": ([scans], root / "linked"),
        "linked file": ([root / "others" / "a.nii.gz"], scans),
        "linked folder": ([root / "linked" / "a.nii.gz"], scans),
        "hard link": ([scans / "a.nii.gz"], root / "others"),
        "common": ([scans / "a.nii.gz", root / "others" / "b.nii"], root),
    }[case]
    if case == "linked file":
        (root / "others" / "a.nii.gz").symlink_to(scans / "a.nii.gz")
    if case == "hard link":
        os.link(scans / "a.nii.gz", root / "others" / "a.nii.gz")
    if case == "common":
        save(root / "others" / "b.nii", ball(1).astype(np.float32))
    before = contents(root)
    assert run(weights, output_dir, *given) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "another --output_dir" in said or "a folder of their own" in said
    assert contents(root) == before


@pytest.mark.parametrize("name", ["a.nii.gz", "predictions.json", "predictions.csv"])
def test_only_earlier_results_are_replaced(weights, scans, name, capsys):
    masks = scans.parent / "masks"
    masks.mkdir()
    (masks / name).write_text("drawn by hand")
    assert run(weights, masks, scans) == 2
    assert f"{name} is there, and no result" in capsys.readouterr().err
    assert [path.name for path in masks.iterdir()] == [name]
    assert run(weights, scans.parent / "found", scans) == 0
    assert run(weights, scans.parent / "found", scans / "b.nii.gz") == 0
    assert sorted(path.name for path in (scans.parent / "found").iterdir()) == ["b.nii.gz", "predictions.json"]


def test_each_volume_has_a_mask_of_its_own_name_and_results_are_no_scans(weights, scans):
    save(scans / "a.nii", ball(1).astype(np.float32))
    out = scans / "found"
    assert run(weights, out, scans) == 0
    said = json.loads((out / "predictions.json").read_text())
    assert {row["file"]: row["mask"] for row in said["pictures"]} == {
        **{"a.nii": "a.nii.nii.gz", "a.nii.gz": "a.nii.gz.nii.gz", "b.nii.gz": "b.nii.gz"}
    }
    assert run(weights, scans.parent / "again", scans) == 0
    assert json.loads((scans.parent / "again" / "predictions.json").read_text())["num_volumes"] == 3


def test_what_lies_beside_volumes_is_passed_over_and_what_is_named_fails(weights, scans, capsys):
    (scans / "notes.txt").write_text("seen on Monday")
    (scans / "a.json").write_text("{}")
    assert run(weights, scans.parent / "out", scans) == 0
    said = capsys.readouterr()
    assert "2 files passed over: no volume: .nii, .nii.gz" in said.err
    assert "2 volumes segmented" in said.out
    assert run(weights, scans.parent / "out", scans / "a.nii.gz", scans / "notes.txt") == 1
    said = capsys.readouterr()
    assert "notes.txt: " in said.err
    assert "ITK" not in said.err
    assert "1 volume segmented" in said.out
    (scans / "a.nii.gz").unlink()
    (scans / "b.nii.gz").unlink()
    assert run(weights, scans.parent / "out", scans) == 2
    assert "can be read as a volume (a.json: no volume: .nii, .nii.gz" in capsys.readouterr().err


def test_segmenter_says_what_takes_volumes(weights):
    with pytest.raises(UserError, match="ae-pretrained predict takes files of volumes"):
        Segmenter.load(weights, device="cpu")
