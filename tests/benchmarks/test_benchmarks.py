"""The benchmarks' arithmetic, and that the command runs to its end."""

import json
import time

import pytest
import torch
from PIL import Image

from benchmarks import timing
from benchmarks.arms import cuda
from benchmarks.growth import main as growth
from benchmarks.loops import practitioner
from benchmarks.throughput import main as throughput
from benchmarks.timing import OfOthers, ratios
from core.machine.device import make_fabric
from core.machine.processor import processor
from core.machine.timing import Spent, interleaved, rates

CPU = torch.device("cpu")
FOLDER = processor(CPU).slug


def test_ratios_and_rates():
    slow, fast = [Spent(2, 5), Spent(9, 6), Spent(8, 21)], [Spent(1, 1), Spent(3, 2), Spent(2, 3)]
    both = ratios(slow, fast)
    assert both["wall"] == {"median": 3, "min": 2, "max": 4, "repeats": 3}
    assert both["processor"] == {"median": 5, "min": 3, "max": 7, "repeats": 3}
    speed = rates({"a": [Spent(2, 8), Spent(4, 16), Spent(8, 4)]}, 16)["a"]
    assert speed["images_per_second"] == {"median": 4, "min": 2, "max": 8, "repeats": 3}
    assert speed["processor_milliseconds"] == {"median": 500, "min": 250, "max": 1000, "repeats": 3}


@pytest.mark.all
def test_the_command_measures_everything_it_names(tmp_path, capsys):
    pytest.importorskip("monai", reason="monai is not installed (extra `benchmarks`)")
    size = ["--size", "64", "--width", "2", "--batch_size", "2", "--images", "20", "--steps", "1", "--repeats", "1"]
    places = ["--work_dir", str(tmp_path / "data"), "--output_dir", str(tmp_path), "--train_steps", "2"]
    assert throughput([*size, *places, "--device", "cpu", "--amp", "off", "--threads", "2", "1"]) == 0
    summary = json.loads((tmp_path / FOLDER / "summary_64.json").read_text())
    names = ["end_to_end_over_model_only_reconstruction", "over_practitioner_loop", "over_original_way"]
    names += [f"over_{peer}_loop{at}" for peer in ("smp", "monai") for at in ("", "_at_equal_network")]
    names += [
        f"{of}_evaluation_over_{loop}" for of in ("drawn", "photographs") for loop in ("plain_loop", "counting_pixels")
    ]
    assert list(summary["ratios"]) == ["2", "1"]
    for ratios_of in summary["ratios"].values():
        for name in names:
            assert set(ratios_of[name]) == {"wall", "processor"}
            for ratio in ratios_of[name].values():
                assert set(ratio) == {"median", "min", "max", "repeats"}
                assert ratio["median"] > 0
    assert summary["seconds"]["help"]["median"] > 0
    assert summary["hardware"]["device"]
    assert "monai" in summary["hardware"]["versions"]
    told = capsys.readouterr().out
    assert "practitioner" in told
    assert "no CUDA device" in told
    assert not (tmp_path / FOLDER / "cuda_64.json").exists()


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
    loop = practitioner.Training(practitioner.Step(torch.nn.Conv2d(3, 3, 1), CPU), stream, steps=2)
    times = interleaved({"loop": loop, "others": stream.pause}, 4, CPU)
    assert min(times["loop"]).wall >= 2 * 0.02
    assert stream.taken == 5 * (3 + 2)


def test_batches_know_how_many_lie_ready(tmp_path):
    for kind, suffix, mode in (("images", "jpg", "RGB"), ("masks", "png", "L")):
        (tmp_path / kind).mkdir()
        for index in range(4):
            Image.new(mode, (50, 40)).save(tmp_path / kind / f"{index}.{suffix}")
    files = practitioner.PictureFiles(tmp_path, 32)
    batches = practitioner.Batches(files, 2, workers=0)
    assert (batches.ahead, batches.seconds_ahead) == (0, 0)
    assert [len(next(batches)[0]) for _ in range(3)] == [2, 2, 2]
    one = practitioner.Batches(files, 2, workers=1)
    assert one.ahead == practitioner.PREFETCHED
    assert one.seconds_ahead > 0


@pytest.mark.all
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
    assert growth([*flags, "--device", "cpu", "--of", "pictures"]) == 0
    result = json.loads((tmp_path / FOLDER / "growth.json").read_text())
    assert [row["images"] for row in result["rows"]] == [20, 40]
    first, second = result["rows"]
    expected = second["epoch_seconds"] / first["epoch_seconds"] / 2
    assert result["per_image_over_smallest"]["epoch_seconds"] == pytest.approx([1, expected])
    assert min(row["epoch_mebibytes"] for row in result["rows"]) > 50
    assert growth([*flags, "--device", "cpu"]) == 2  # what is there already would not be measured


WRONG = [["--repeats", "0"], ["--images", "20", "--batch_size", "8"], ["--threads", "2", "0"]]


@pytest.mark.parametrize("wrong", WRONG)
def test_settings_that_measure_nothing_are_refused(wrong, capsys):
    assert throughput(wrong) == 2
    assert "must be at least" in capsys.readouterr().err


def test_others_have_their_turn_with_the_memory_of_their_own(monkeypatch):
    said = []
    monkeypatch.setattr(timing, "give_back_freed_memory", lambda: said.append("theirs"))
    monkeypatch.setattr(timing, "keep_freed_memory", lambda: said.append("ours"))
    arms = {"one": lambda: said.append("one"), "other": OfOthers(lambda: said.append("other"))}
    interleaved(arms, 1, CPU)
    assert said == ["theirs", "other", "ours", "one", "one", "theirs", "other", "ours"]
