"""What is no network to export, or none that was exported: one line each, and nothing written."""

import json
import sys

import pytest
from sample_header import sample_header
from sample_weights import write_weights

from core.weights import save_weights
from reconstruction.network import Autoencoder
from transfer_learning.evaluate import main as evaluate
from transfer_learning.export import main as export
from transfer_learning.inference.backends import load_network
from transfer_learning.inference.options import ReadoutOptions


@pytest.mark.parametrize(
    ("file", "flags", "message"),
    [
        ("weights.safetensors", {"backend": "openvino"}, "export --model_path .* --format openvino"),
        ("weights.safetensors", {"backend": "onnxruntime"}, "--format onnx"),
        ("model.onnx", {"backend": "torch"}, "does not compute .*onnxruntime or openvino does"),
        ("model.xml", {"backend": "onnxruntime"}, "openvino does"),
        ("model.onnx", {"amp": "bf16"}, "ONNX Runtime computes in fp32"),
        ("model.onnx", {"device": "cuda"}, "computes on the CPU here"),
    ],
)
def test_what_a_backend_cannot_compute_is_refused(tmp_path, file, flags, message):
    device = flags.pop("device", "cpu")
    with pytest.raises(Exception, match=message) as raised:
        load_network(tmp_path / file, ReadoutOptions(**flags), device)
    assert type(raised.value).__name__ == "UserError"


def test_what_is_no_weights_of_phase_2_or_other_data_is_refused_at_once(pets, tmp_path, capsys):
    out = tmp_path / "out"
    path = tmp_path / "phase_1.safetensors"
    network = Autoencoder(width=2)
    save_weights(path, network.state_dict(), sample_header())
    assert export(["--model_path", str(path), "--output_dir", str(out)]) == 2
    assert "this command takes weights of transfer_learning" in capsys.readouterr().err
    path = write_weights(tmp_path / "weights.safetensors", 0, in_channels=1)
    assert export(["--model_path", str(path), "--output_dir", str(out), "--data_dir", str(pets)]) == 2
    assert "holds pictures of 3 channels, the network takes 1" in capsys.readouterr().err
    assert export(["--model_path", str(path), "--output_dir", str(out), "--data_dir", str(tmp_path / "none")]) == 2
    assert "holds no prepared data" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize("name", ["none.onnx", "none.xml"])
def test_what_is_not_there_is_said_once(tmp_path, pets, capsys, name):
    pytest.importorskip("onnx")
    pytest.importorskip("openvino")
    assert evaluate(["--model_path", str(tmp_path / name), "--data_dir", str(pets)]) == 2
    assert capsys.readouterr().err.startswith(f"error: no exported network at {tmp_path / name}: ")


def test_noise_and_wrong_settings(tmp_path, capsys):
    assert export([]) == 2
    assert "give the weights" in capsys.readouterr().err
    path = write_weights(tmp_path / "weights.safetensors", 0)
    assert export(["--model_path", str(path), "--opset", "3"]) == 2
    assert "opset 3 is outside" in capsys.readouterr().err
    out = tmp_path / "out"
    flags = ["--model_path", str(path), "--format", "state_dict", "--opset", "19", "--output_dir", str(out)]
    assert export(flags) == 0
    assert "--opset with --format state_dict" in capsys.readouterr().err
    assert sorted(file.name for file in out.iterdir() if not file.name.startswith(".")) == ["model.pt", "model.pt.json"]
    (compared,) = json.loads((out / "model.pt.json").read_text())["compared"]
    assert (compared["runtime"], compared["largest_difference"]) == ("torch", 0)
    assert compared["agreement"] == compared["mean_iou"] == 1


def test_an_exported_network_is_no_weights(tmp_path, capsys):
    (path := tmp_path / "model.onnx").write_bytes(b"a network")
    assert export(["--model_path", str(path), "--output_dir", str(tmp_path / "out")]) == 2
    assert f"{path} is an exported network: give the weights of a training run" in capsys.readouterr().err


def test_a_missing_extra_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnx", None)  # importing it fails
    out = tmp_path / "out"
    assert (
        export(["--model_path", str(write_weights(tmp_path / "weights.safetensors", 0)), "--output_dir", str(out)]) == 2
    )
    assert "onnx is not installed: pip install -e '.[export]' -c constraints.txt" in capsys.readouterr().err
    assert not out.exists()


def test_a_file_of_that_name_is_kept(tmp_path, capsys):
    (tmp_path / "model.pt").write_bytes(b"weights from elsewhere")
    words = [
        "--model_path",
        str(write_weights(tmp_path / "weights.safetensors", 0)),
        "--format",
        "state_dict",
        "--output_dir",
        str(tmp_path),
    ]
    assert export(words) == 2
    assert "model.pt is there, and of no earlier export" in capsys.readouterr().err
    assert (tmp_path / "model.pt").read_bytes() == b"weights from elsewhere"
    (tmp_path / "model.pt").unlink()
    assert export(words) == 0
    assert export(words) == 0
