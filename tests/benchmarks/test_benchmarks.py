"""The benchmarks' arithmetic, and that the command runs to its end."""

import json
import time

import pytest
import torch
from PIL import Image

from benchmarks import cuda, practitioner, timing
from benchmarks.growth import main as growth
from benchmarks.throughput import main as throughput
from benchmarks.timing import OfOthers, interleaved, rates, ratios
from core.machine.device import make_fabric


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


@pytest.mark.all
def test_the_command_measures_everything_it_names(tmp_path, capsys):
    size = ["--size", "40", "--width", "2", "--batch_size", "2", "--images", "20", "--steps", "1", "--repeats", "1"]
    places = ["--work_dir", str(tmp_path / "data"), "--output_dir", str(tmp_path)]
    assert throughput([*size, *places, "--no_peers", "--device", "cpu", "--amp", "off"]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    names = ("end_to_end_over_model_only", "over_practitioner_loop", "over_original_way", "evaluation_over_plain_loop")
    for name in (*names, "kernels_over_plain_step", "kernels_over_plain_forward", "help_seconds"):
        assert set(summary[name]) == {"median", "min", "max", "repeats"}
        assert summary[name]["median"] > 0
    assert summary["hardware"]["device"]
    told = capsys.readouterr().out
    assert "practitioner" in told
    assert "no CUDA device" in told
    assert not (tmp_path / "cuda.json").exists()


class ReadAhead:
    """Batches of which three lie ready whenever another arm had its turn; each further one takes 20 ms."""

    ahead, seconds_ahead = 3, 0.004

    def __init__(self):
        self.ready, self.taken = 3, 0

    def __iter__(self):
        return self

    def __next__(self):
        self.taken += 1
        if self.ready:
            self.ready -= 1
        else:
            time.sleep(0.02)
        return torch.rand(2, 3, 8, 8), torch.randint(3, (2, 8, 8))

    def pause(self):
        self.ready = 3


def test_a_loader_that_reads_ahead_gets_no_batch_for_nothing():
    stream = ReadAhead()
    loop = practitioner.Training(torch.nn.Conv2d(3, 3, 1), stream, torch.device("cpu"), steps=2)
    times = interleaved({"loop": loop, "others": stream.pause}, 4, torch.device("cpu"))
    assert min(times["loop"]) >= 2 * 0.02
    assert stream.taken == 5 * (3 + 2)


def test_batches_know_how_many_lie_ready(tmp_path):
    for kind, suffix, mode in (("images", "jpg", "RGB"), ("masks", "png", "L")):
        (tmp_path / kind).mkdir()
        for index in range(4):
            Image.new(mode, (50, 40)).save(tmp_path / kind / f"{index}.{suffix}")
    batches = practitioner.Batches(tmp_path, 32, 2, workers=0)
    assert (batches.ahead, batches.seconds_ahead) == (0, 0)
    assert [len(next(batches)[0]) for _ in range(3)] == [2, 2, 2]
    one = practitioner.Batches(tmp_path, 32, 2, workers=1)
    assert one.ahead == practitioner.PREFETCHED
    assert one.seconds_ahead > 0


def test_the_measurement_for_gpus_gives_a_row_for_each_phase_and_size(capsys):
    fabric, _ = make_fabric("cpu", "off")
    rounds = []
    tiny = {"sizes": (40,), "width": 2, "batch_size": 2, "steps": 1, "amp": "off"}
    rows = cuda.measure(fabric, 1, **tiny, on_round=lambda: rounds.append(1))
    assert [(row["phase"], row["size"]) for row in rows] == [("reconstruction", 40), ("transfer_learning", 40)]
    assert len(rounds) == 2
    for row in rows:
        segments = row["phase"] == "transfer_learning"
        kinds = {"end_to_end", "model_only"} | ({"practitioner"} if segments else set())
        assert set(row["images_per_second"]) == set(row["peak_mebibytes"]) == kinds
        assert set(row["peak_mebibytes"].values()) == {None}
        assert all(speed["median"] > 0 and speed["repeats"] == 1 for speed in row["images_per_second"].values())
        assert (row["over_practitioner_loop"] is not None) == segments
        assert 0 < row["end_to_end_over_model_only"]["median"] < 5
    cuda.print_rows(rows)
    told = capsys.readouterr().out
    assert all(f"{phase}, 40 px: share of the time" in told for phase in ("reconstruction", "transfer learning"))


@pytest.mark.all
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


def test_others_have_their_turn_with_the_memory_of_their_own(monkeypatch):
    said = []
    monkeypatch.setattr(timing, "give_back_freed_memory", lambda: said.append("theirs"))
    monkeypatch.setattr(timing, "keep_freed_memory", lambda: said.append("ours"))
    arms = {"one": lambda: said.append("one"), "other": OfOthers(lambda: said.append("other"))}
    interleaved(arms, 1, torch.device("cpu"))
    assert said == ["theirs", "other", "ours", "one", "one", "theirs", "other", "ours"]
