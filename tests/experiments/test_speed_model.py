"""What the time of one kind of run says of another's, and what is kept of a processor."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from core.filing.paths import user_cache
from core.machine.processor import cpu_name, processor, words_of
from experiments.ablation.costs import Compute
from experiments.grid import estimate
from experiments.grid.estimate import Speeds
from experiments.grid.speed_model import keep, kept, kind_of, scaled

ROOT = Path(__file__).parents[2]
PHASE_2 = "transfer_learning"


def kind(width=8, size=128, phase=PHASE_2, **settings) -> str:
    return kind_of(phase, {"width": width, "batch_size": 8, **settings}, size)


@pytest.mark.parametrize(
    ("wanted", "seconds"),
    [
        (kind(), 0.09),
        (kind(size=256), 0.36),  # four times the pixels
        (kind(size=[64, 128]), 0.045),
        (kind(width=16), 0.26),  # 16 * 26 / (8 * 18) = 2.888...
        (kind(width=32, size=64), 0.21),  # 32 * 42 / (8 * 18) / 4 = 2.333...
        (kind(batch_size=64), 0.09),  # a picture takes as long
        (kind(encoder="resnet18"), None),
        (kind(decoder="linear"), None),
        (kind(freeze="always"), None),
        (kind(freeze=3), 0.09),  # it learns most of the time
        (kind(phase="reconstruction", perceptual_weight=0), None),
    ],
)
def test_a_kind_is_judged_by_another(wanted, seconds):
    found = scaled({kind(): 0.09}, wanted)
    assert found == (seconds if seconds is None else pytest.approx(seconds))


def test_of_volumes_the_patch_decides():
    known = {kind(patch=8, size=[40, 50, 60]): 0.01}
    assert scaled(known, kind(patch="8x16x16", size=[30, 30, 30])) == pytest.approx(0.04)
    assert scaled(known, kind()) is None
    assert scaled({kind(): 0.09}, kind(patch=8)) is None


def test_what_else_is_computed_does_not_grow_with_the_width():
    encoder = {"encoder": "resnet18"}
    assert scaled({kind(**encoder): 0.09}, kind(width=16, **encoder)) is None
    assert scaled({kind(**encoder): 0.09}, kind(size=64, **encoder)) == pytest.approx(0.0225)
    loss = {"phase": "reconstruction", "perceptual_weight": 0.1}
    assert scaled({kind(**loss): 0.09}, kind(width=16, **loss)) is None
    loss["perceptual_weight"] = 0
    assert scaled({kind(**loss): 0.09}, kind(width=16, **loss)) == pytest.approx(0.26)


def test_the_nearest_kind_tells():
    known = {kind(width=4, size=32): 0.001, kind(size=64): 0.02, kind(size=512): 3.0}
    assert scaled(known, kind()) == pytest.approx(0.08)  # four times 0.02, and not 3.0 / 16
    assert scaled({}, kind()) is None


def test_speeds_are_kept_by_device():
    assert kept(lambda device: True) == {}
    keep("cpu (A, 1 threads)", kind(), 0.09)
    keep("cpu (A, 1 threads)", kind(size=64), 0.02)
    keep("cpu (B, 1 threads)", kind(), 0.05)
    assert kept(lambda device: "A" in device) == {kind(): 0.09, kind(size=64): 0.02}
    assert kept(lambda device: "B" in device) == {kind(): 0.05}


@pytest.mark.parametrize(
    "content",
    [
        "[",
        "[]",
        json.dumps({"cpu": [1]}),
        json.dumps({"cpu": {kind(): -1.0, kind(size=64): 1e9, kind(size=32): True, kind(size=16): "0.1"}}),
        json.dumps({"cpu": {"no kind": 1.0, "[1]": 1.0, "[1, 2, 3]": 1.0, '["a", {"width": 8}, 0]': 1.0}}),
        json.dumps({"cpu": {'["a", {"width": "8"}, [1, 2, 3]]': 1.0}}),
    ],
)
def test_what_is_damaged_is_left_out(content):
    user_cache().mkdir(parents=True)
    (user_cache() / "speeds.json").write_text(content)
    assert kept(lambda device: True) == {}
    keep("cpu", kind(), 0.09)
    assert kept(lambda device: True) == {kind(): 0.09}


def test_a_cache_that_cannot_be_written_is_no_hindrance():
    user_cache().parent.mkdir(parents=True)
    user_cache().write_text("a file, where a folder should be")
    keep("cpu", kind(), 0.09)
    assert kept(lambda device: True) == {}


def test_the_processor_is_called_as_torch_calls_it():
    assert words_of(cpu_name()) == words_of(processor(torch.device("cpu")).name)


class Work:
    """Stands for a run of a grid."""

    phase, images, passes = PHASE_2, 1000, 3000

    def __init__(self, size=128):
        self.config = type("Config", (), {})()
        vars(self.config).update(width=8, batch_size=8)
        self.data = type("Data", (), {"resolution": size})()


def test_runs_on_another_processor_are_a_guess(monkeypatch, tmp_path):
    monkeypatch.setattr(estimate, "cpu_name", lambda: "Intel(R) A CPU @ 2.20GHz")  # as the system calls it

    def speeds(*devices: str) -> Speeds:
        found = Speeds([], tmp_path, 128, threads=2)
        for device, seconds in zip(devices, (1000.0, 500.0), strict=False):
            found.add(Work(), Compute(seconds=seconds, images=1000, device=device))
        return found

    here, elsewhere = "cpu (Intel A, 2 threads)", "cpu (Intel A, 1 threads)"
    found = speeds(elsewhere)
    assert found.seconds(Work()) == estimate.START_SECONDS + 1000
    assert found.is_guess(Work())
    found = speeds(elsewhere, here)
    assert found.seconds(Work()) == estimate.START_SECONDS + 500
    assert not found.is_guess(Work())
    assert found.seconds(Work(size=64)) == estimate.START_SECONDS + 125
    assert found.is_guess(Work(size=64))
    later = Speeds([], tmp_path, 128, threads=2)  # another grid
    assert later.seconds(Work()) == estimate.START_SECONDS + 500
    assert Speeds([], tmp_path, 128, threads=1).seconds(Work()) == estimate.START_SECONDS + 1000
    # The time of a few steps is mostly that of their validation.
    found.add(Work(size=96), Compute(seconds=9000.0, images=16, device=here))
    assert Speeds([], tmp_path, 96, threads=2).is_guess(Work(size=96))


def test_a_listing_loads_nothing_that_takes_seconds(pets, tmp_path):
    import yaml
    from ablation_grid import grid

    (tmp_path / "grid.yaml").write_text(yaml.safe_dump({"ablation": grid()}))
    places = {"--config": tmp_path / "grid.yaml", "--data_dir": pets, "--output_dir": tmp_path / "runs"}
    words = [*(str(word) for pair in places.items() for word in pair), "--results_dir", str(tmp_path / "results")]
    code = f"""
import sys
from experiments.ablate import main
assert main([*{words!r}, "--list"]) == 0
sys.exit(sorted({{"torch", "matplotlib", "sklearn", "timm"}} & {{*sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (1, "[]"), done.stderr
    assert "left: ?" in done.stdout


def test_unlabelled_pictures_take_their_time(monkeypatch, tmp_path):
    """A step of 8 labelled and 8 other pictures with a teacher takes as long as 56 / 24 steps of labelled ones."""
    speeds = Speeds([], tmp_path, 128)
    speeds.add(Work(), Compute(seconds=100.0, images=1000, passes=3000, device=speeds._here))
    taught = Work()
    taught.passes = 7000
    plain = speeds.seconds(Work()) - estimate.START_SECONDS
    assert plain == pytest.approx(100.0)
    assert speeds.seconds(taught) - estimate.START_SECONDS == pytest.approx(100.0 * 56 / 24)
