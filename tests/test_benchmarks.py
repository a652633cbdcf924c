"""The benchmarks' arithmetic, and that the command runs to its end."""

import json
import time

import pytest
import torch

from benchmarks.growth import main as growth
from benchmarks.throughput import main as throughput
from benchmarks.timing import interleaved, rates, ratios


def test_arms_take_turns_and_ratios_pair_them():
    order = []
    arms = {"slow": lambda: (order.append("slow"), time.sleep(0.02)), "fast": lambda: order.append("fast")}
    times = interleaved(arms, 3, torch.device("cpu"))
    assert order == ["fast", "slow", "slow", "fast"] * 2
    assert {name: len(values) for name, values in times.items()} == {"slow": 3, "fast": 3}
    assert min(times["slow"]) >= 0.02 > max(times["fast"])


def test_ratios_and_rates():
    assert ratios([2, 9, 8], [1, 3, 2]) == {"median": 3, "min": 2, "max": 4, "repeats": 3}
    assert rates({"a": [2.0, 4.0, 8.0]}, 16)["a"] == {"median": 4, "min": 2, "max": 8, "repeats": 3}


def test_the_command_measures_everything_it_names(tmp_path, capsys):
    size = ["--size", "40", "--width", "2", "--batch_size", "2", "--images", "30", "--steps", "1", "--repeats", "1"]
    places = ["--work_dir", str(tmp_path / "data"), "--output_dir", str(tmp_path)]
    assert throughput([*size, *places, "--no_peers", "--device", "cpu", "--amp", "off"]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    names = ("end_to_end_over_model_only", "over_practitioner_loop", "over_original_way", "evaluation_over_plain_loop")
    for name in (*names, "kernels_over_plain_step", "kernels_over_plain_forward", "help_seconds"):
        assert set(summary[name]) == {"median", "min", "max", "repeats"}
        assert summary[name]["median"] > 0
    assert summary["hardware"]["device"]
    assert "practitioner" in capsys.readouterr().out


def test_growth_compares_with_the_smallest(tmp_path):
    flags = ["--counts", "20", "40", "--batch_size", "4", "--work_dir", str(tmp_path), "--output_dir", str(tmp_path)]
    assert growth([*flags, "--device", "cpu"]) == 0
    result = json.loads((tmp_path / "growth.json").read_text())
    assert [row["images"] for row in result["rows"]] == [20, 40]
    first, second = result["rows"]
    expected = second["epoch_seconds"] / first["epoch_seconds"] / 2
    assert result["per_image_over_smallest"]["epoch_seconds"] == pytest.approx([1, expected])
    assert min(row["epoch_mebibytes"] for row in result["rows"]) > 50
    assert growth([*flags, "--device", "cpu"]) == 2  # what is there already would not be measured


@pytest.mark.parametrize("wrong", [["--repeats", "0"], ["--images", "20", "--batch_size", "8"]])
def test_settings_that_measure_nothing_are_refused(wrong, capsys):
    assert throughput(wrong) == 2
    assert "must be at least" in capsys.readouterr().err
