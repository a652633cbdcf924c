"""Networks whose convolutions compute in eight bits: smaller, and nearly the same scores."""

import json

import numpy as np
import pytest

import transfer_learning.export as exporting
from transfer_learning.evaluate import main as evaluate
from transfer_learning.export import main as export
from transfer_learning.train import main as train


@pytest.mark.all
def test_eight_bits_score_nearly_alike(pets, tmp_path, capsys, monkeypatch):
    for module in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(module, reason="the extra `export` is not installed")
    onnx = pytest.importorskip("onnx")
    flags = ["--data_dir", str(pets), "--precision", "int8", "--output_dir", str(tmp_path / "int8")]
    learned = tmp_path / "run"
    steps = ["--width", "2", "--max_steps", "60", "--lr", "0.02", "--amp", "off", "--device", "cpu"]
    assert train([*steps, "--data_dir", str(pets), "--output_dir", str(learned)]) == 0
    flags = ["--model_path", str(learned / "best_model.safetensors"), *flags]
    for place, name, least, message in (
        (
            exporting.LEAST_AGREEMENT,
            "int8",
            1.0,
            "the network: nothing was written: give more --pictures",
        ),
        (vars(exporting), "LEAST_IOU", 1.0, "classes hardly lie where the network's do (mean IoU 0."),
    ):
        with monkeypatch.context() as patched:
            patched.setitem(place, name, least)
            assert export(flags) == 1
        assert message in capsys.readouterr().err
    assert export(flags) == 0
    assert export([*flags, "--precision", "fp32"]) == 2
    assert "is the network in int8: choose another --output_dir for fp32" in capsys.readouterr().err
    assert export([*flags, "--precision", "fp32", "--output_dir", str(tmp_path / "fp32")]) == 0
    plain, small = (onnx.load(str(tmp_path / name / "model.onnx")) for name in ("fp32", "int8"))
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in small.graph.node}
    convolutions = [node for node in plain.graph.node if node.op_type == "Conv"]
    said = {entry.name: entry for entry in small.graph.initializer}
    eight = [entry for entry in said.values() if entry.data_type == onnx.TensorProto.INT8 and len(entry.dims) == 4]
    assert len(eight) == len(convolutions)
    # seven of the eight bits: what does not overflow without VNNI
    assert max(np.abs(onnx.numpy_helper.to_array(entry).astype(int)).max() for entry in eight) <= 64
    assert {entry.key for entry in small.metadata_props} == {entry.key for entry in plain.metadata_props}
    content = json.loads((tmp_path / "int8/model.onnx.json").read_text())
    assert content["precision"] == "int8"
    for entry in content["compared"]:
        assert 0.8 <= entry["agreement"] < 1
        assert 0.5 < entry["mean_iou"] < 1
    found = []
    for name in ("fp32", "int8"):
        out = tmp_path / f"scores_{name}"
        words = ["--model_path", str(tmp_path / name / "model.onnx"), "--data_dir", str(pets), "--output_dir", str(out)]
        assert evaluate([*words, "--no_figures"]) == 0
        found.append(json.loads((out / "evaluation_results.json").read_text())["pixel_accuracy"])
    assert found[1] == pytest.approx(found[0], abs=0.05)


def test_eight_bits_need_pictures_and_onnx(tmp_path, capsys):
    common = [
        "--model_path",
        str(tmp_path / "none.safetensors"),
        "--precision",
        "int8",
        "--output_dir",
        str(tmp_path / "out"),
    ]
    assert export(common) == 2
    assert "takes the ranges of activations from pictures: give --data_dir" in capsys.readouterr().err
    assert export([*common, "--data_dir", str(tmp_path), "--format", "openvino"]) == 2
    assert "is of --format onnx, which OpenVINO reads too, not of openvino" in capsys.readouterr().err
