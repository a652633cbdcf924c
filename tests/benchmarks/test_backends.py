"""The table of backends, from a short training to its JSON."""

import json

import pytest
import torch

from benchmarks.backends import main as backends
from core.machine.processor import processor


@pytest.mark.all
def test_the_command_measures_every_backend(tmp_path, capsys):
    for module in ("onnx", "onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(module, reason="the extra `export` is not installed")
    size = ["--size", "64", "--width", "4", "--batch_size", "2", "--images", "20", "--repeats", "1"]
    places = ["--work_dir", str(tmp_path / "data"), "--output_dir", str(tmp_path)]
    command = [*size, *places, "--train_steps", "60", "--threads", "1"]
    assert backends(command) == 0
    content = json.loads((tmp_path / processor(torch.device("cpu")).slug / "backends_64_1_thread.json").read_text())
    rows = {row["backend"]: row for row in content["rows"]}
    assert {"torch, fp32", "onnxruntime, fp32", "openvino, fp32", "onnxruntime, int8", "openvino, int8"} <= set(rows)
    least = {"fp32": 0.999, "bf16": 0.97, "int8": 0.8}
    for name, row in rows.items():
        precision = name.partition(", ")[2]
        assert row["agreement"] > least[precision]
        assert row["mean_iou"] == pytest.approx(rows["torch, fp32"]["mean_iou"], abs=(1 - least[precision]) / 4)
        assert row["forward"]["images_per_second"]["median"] > 0
        assert row["prediction_over_torch"]["wall"]["median"] > 0
    assert rows["torch, fp32"]["largest_difference"] == 0
    assert rows["onnxruntime, fp32"]["largest_difference"] > 0
    assert "openvino" in content["hardware"]["versions"]
    written = list((tmp_path / "data").glob("trained-*/*"))
    times = [path.stat().st_mtime_ns for path in written]
    capsys.readouterr()
    assert backends(command) == 0  # what is trained and exported is used again
    assert [path.stat().st_mtime_ns for path in written] == times
    assert "finished" not in capsys.readouterr().out
