"""Growth with the classes: its arithmetic, memory that is seen, and that the command runs to its end."""

import json
import subprocess
import sys

import pytest
import torch

from benchmarks.class_growth import MEASURED, of_a_further_class, over_linear
from benchmarks.growth import main as growth
from benchmarks.memory import allocated
from core.machine.processor import processor


def row(classes, value):
    return {"classes": classes, **dict.fromkeys(MEASURED, value)}


def test_linear_growth_is_one_and_adds_the_same():
    rows = [row(3, 6.0), row(21, 42.0), row(150, 300.0)]
    for name in MEASURED:
        assert over_linear(rows)[name] == pytest.approx([1, 1, 1])
        assert of_a_further_class(rows)[name] == pytest.approx([2, 2])


def test_what_is_the_same_at_any_number_is_below_one_and_squares_are_above():
    rows = [row(2, 4.0), row(4, 4.0), row(8, 64.0)]
    assert over_linear(rows)["step_seconds"] == pytest.approx([1, 0.5, 4])
    assert of_a_further_class(rows)["step_seconds"] == pytest.approx([0, 15])


WATCHED = """
import time
import numpy as np
from benchmarks.memory import Peak, allocated
from core.machine.memory import keep_freed_memory

kept = np.ones(2**24 // 8)  # 16 MiB
keep_freed_memory()
freed = [np.ones(2**20 // 8) for _ in range(100)]
del freed  # which the process keeps
with Peak() as peak:
    taken = [np.ones(2**20 // 8) for _ in range(64)]  # 64 MiB
    seen_by = time.monotonic() + 30  # the watcher looks when the machine lets it
    while peak.mebibytes < 60 and time.monotonic() < seen_by:
        time.sleep(0.01)
    del taken
print(peak.mebibytes, allocated() - kept.nbytes / 2**20)
"""


def test_the_most_memory_is_seen_and_what_was_there_before_is_not():
    # In a process of its own: elsewhere what other tests left behind is freed, or taken again, meanwhile.
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True, check=True)
    most, beside = map(float, done.stdout.split())
    assert 60 < most < 80
    assert beside > 0
    assert allocated(2**22 + 1) == 0  # no such process


@pytest.mark.all
def test_the_command_measures_every_number_of_classes(tmp_path, capsys):
    small = ["--classes", "3", "21", "--class_size", "40", "--class_width", "2", "--class_batch_size", "2"]
    places = ["--work_dir", str(tmp_path / "data"), "--output_dir", str(tmp_path), "--device", "cpu", "--repeats", "1"]
    assert growth(["--of", "classes", *small, *places]) == 0
    result = json.loads((tmp_path / processor(torch.device("cpu")).slug / "class_growth.json").read_text())
    assert [row["classes"] for row in result["rows"]] == [3, 21]
    assert all(row[name] > 0 for row in result["rows"] for name in MEASURED)
    assert set(result["over_linear"]) == set(MEASURED)
    assert "What a further class adds" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", [["--classes", "3"], ["--classes", "3", "255"], ["--counts", "20", "10"]])
def test_numbers_that_say_nothing_of_growth_are_refused(wrong, capsys):
    assert growth(wrong) == 2
    assert capsys.readouterr().err


@pytest.mark.all
def test_memory_is_measured_over_numbers_of_volumes(tmp_path):
    pytest.importorskip("nibabel")
    small = ["--of", "volumes", "--volume_counts", "8", "16", "--volume_size", "40", "--device", "cpu"]
    assert growth([*small, "--work_dir", str(tmp_path / "data"), "--output_dir", str(tmp_path)]) == 0
    result = json.loads((tmp_path / processor(torch.device("cpu")).slug / "volume_growth.json").read_text())
    assert [row["volumes"] for row in result["rows"]] == [8, 16]
    assert min(row["train_mebibytes"] for row in result["rows"]) > 50
    assert result["over_smallest"]["prepare_mebibytes"][0] == 1
