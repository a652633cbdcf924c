"""The table of layouts and kernels is measured, chosen from and written as it says."""

import json

import pytest
import torch

from benchmarks.kernels import adopt, fastest, main
from core.machine import choices
from core.machine.choices import Choice
from core.machine.processor import processor

CPU = torch.device("cpu")


def row(work, way, milliseconds, precision="off"):
    return {"work": work, "way": way, "precision": precision, "milliseconds": {"median": milliseconds}}


ROWS = [
    row("step", "instance norm, contiguous, fp32", 1),  # which no network of ours can be told to have
    row("step", "convolutions alone, channels_last", 1),
    row("step", "torch, contiguous", 9),
    row("step", "own, channels_last", 7),
    row("step", "own, contiguous", 8),
    row("step", "own, contiguous", 2, "bf16"),
    row("forward", "torch, channels_last", 3),
    row("forward", "own, contiguous", 4),
    row("forward", "torch, contiguous", 3, "bf16"),
]


def test_the_fastest_is_one_that_can_be_chosen():
    assert fastest(ROWS, "step", "off") == {"memory_format": "channels_last", "kernels": "own"}
    assert fastest(ROWS, "step", "bf16") == {"memory_format": "contiguous", "kernels": "own"}
    assert fastest(ROWS, "forward", "off") == {"memory_format": "channels_last", "kernels": "torch"}


def test_adopting_changes_what_auto_takes(tmp_path, monkeypatch):
    here, other = processor(CPU).kind, {"off": {"step": {}, "forward": {}, "measured_on": "elsewhere"}}
    kept = {"step": {}, "forward": {}, "measured_on": "here, before"}
    monkeypatch.setattr(choices, "TABLE", tmp_path / "kernels.json")
    choices.TABLE.write_text(json.dumps({"other": other, here: {"fp16": kept}}))
    choices.table.cache_clear()
    try:
        adopt(ROWS, CPU)
        choices.table.cache_clear()
        assert choices.measured("step", CPU, "off") == Choice("channels_last", "own")
        assert choices.measured("forward", CPU, "bf16") == Choice("contiguous", "torch")
        table = choices.table()
        assert (table["other"], table[here]["fp16"]) == (other, kept)
    finally:
        monkeypatch.undo()
        choices.table.cache_clear()


def test_every_way_is_timed(tmp_path, monkeypatch):
    pytest.importorskip("segmentation_models_pytorch")
    flags = "--size 33 --width 1 --batch_size 1 --repeats 1 --threads 1 --device cpu --amp off --output_dir"
    assert main([*flags.split(), str(tmp_path)]) == 0
    (file,) = tmp_path.glob("*/kernels_33_1_thread.json")
    content = json.loads(file.read_text())
    rows = {(row["work"], row["way"]): row for row in content["rows"]}
    ways = {way for _, way in rows}
    assert ways >= {
        f"{kernels}, {layout}" for kernels in ("torch", "own") for layout in ("contiguous", "channels_last")
    }
    assert {work for work, _ in rows} == {"step", "forward"}
    assert [work for (work, _), row in rows.items() if row["auto"]] == ["step", "forward"]
    plain = rows["step", "instance norm, contiguous, fp32"]
    assert plain["over_plain"]["median"] == 1
    assert plain["convolutions_share"] is None  # which were timed at our precision alone
    assert rows["step", "own, contiguous"]["convolutions_share"]["median"] > 0
    assert len(content["parts"]) == 2 * 2 * 2 * 2  # norm and upsampling, forward and step, kernels, layouts
