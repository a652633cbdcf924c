"""The profile's shares, and that the command runs to its end."""

import json

import pytest
import torch

from benchmarks.step_profile import KINDS, OTHER, grouped, shares_of
from benchmarks.step_profile import main as step_profile
from core.machine.processor import processor


def test_operators_are_grouped_by_name():
    times = [("aten::mkldnn_convolution", 3), ("autograd::engine::evaluate_function: ConvolutionBackward0", 3)]
    times += [
        ("aten::native_group_norm_backward", 2),
        ("aten::cat", 1),
        ("aten::_fused_adamw_", 0.5),
        ("aten::mul", 0.5),
    ]
    expected = {"convolutions": 0.6, "norms": 0.2, "upsampling and concatenation": 0.1, "optimiser": 0.05, OTHER: 0.05}
    assert grouped(times) == pytest.approx({kind: expected.get(kind, 0) for kind in (*KINDS, OTHER)})


def test_a_network_of_convolutions_is_all_convolutions():
    network = torch.nn.Sequential(torch.nn.Conv2d(8, 64, 3), torch.nn.Conv2d(64, 64, 3))
    images = torch.rand(4, 8, 64, 64)
    shares = shares_of(torch.inference_mode()(lambda: network(images)), 2, torch.device("cpu"))
    assert shares["convolutions"] > 0.95
    assert sum(shares.values()) == pytest.approx(1)


def test_the_command_writes_shares_that_add_up(tmp_path, capsys):
    small = ["--size", "40", "--width", "2", "--batch_size", "2", "--images", "20", "--steps", "1", "--amp", "off"]
    assert step_profile([*small, "--work_dir", str(tmp_path), "--output_dir", str(tmp_path), "--device", "cpu"]) == 0
    shares = json.loads((tmp_path / processor(torch.device("cpu")).slug / "profile_40.json").read_text())["shares"]
    assert list(shares) == ["training step", "forward pass in evaluation"]
    for of_kinds in shares.values():
        assert sum(of_kinds.values()) == pytest.approx(1)
        assert of_kinds["convolutions"] > 0.005
    assert shares["training step"]["optimiser"] > 0 == shares["forward pass in evaluation"]["optimiser"]
    assert "convolutions" in capsys.readouterr().out
    assert step_profile(["--steps", "0"]) == 2
