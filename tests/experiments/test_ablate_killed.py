"""A grid whose processes are killed or stopped goes on to the same bits; no training is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from ablation_grid import Here, grid, run
from filelock import FileLock

from experiments.grid.runners import local

STEPS = 200
ARM = "results/arms/scratch__1__seed_1.json"


def one_arm() -> dict:
    content = grid(seeds=[1])
    content["common"] |= {"max_steps": STEPS, "val_every": 100}
    return content


class Grid:
    """The command in a process of its own: one arm from scratch."""

    def __init__(self, folder: Path, data: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "grid.yaml").write_text(yaml.safe_dump({"ablation": one_arm()}))
        self.run_folder = folder / "runs/runs/scratch__1__seed_1__lr_0.004"
        places = ["--data_dir", data, "--output_dir", folder / "runs", "--results_dir", folder / "results"]
        words = ["--config", folder / "grid.yaml", "--variants", "scratch", *places]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        command = [sys.executable, "-m", "experiments.ablate", *map(str, words)]
        self.process = subprocess.Popen(command, env=environment, **pipes)

    def said_by_training(self) -> str:
        console = self.run_folder / "console.txt"
        return console.read_text() if console.exists() else ""

    def wait_for_training(self, times: int) -> None:
        """Return when a training has begun for the so-many-th time."""
        end = time.monotonic() + 120
        while self.said_by_training().count("training pictures") < times:
            assert time.monotonic() < end, self.said_by_training()
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def end(self) -> tuple[int, str]:
        said, _ = self.process.communicate(timeout=240)
        return self.process.returncode, said


def step_of(folder: Path) -> int:
    return torch.load(folder / "state.ckpt", weights_only=True)["step"]


@pytest.mark.all
def test_a_grid_that_is_killed_and_stopped_goes_on_to_the_same_bits(pets, tmp_path, monkeypatch):
    killed = Grid(tmp_path / "killed", pets)
    killed.wait_for_training(1)
    time.sleep(0.3)  # it says so a moment before it heeds a stop
    killed.process.kill()
    assert killed.end()[0] == -signal.SIGKILL
    stopped = Grid(tmp_path / "killed", pets)  # at once, while the child may still be saving
    stopped.wait_for_training(2)
    assert "stopping when the work in hand is saved" in stopped.said_by_training()
    assert 0 < (first := step_of(stopped.run_folder)) < STEPS
    stopped.process.send_signal(signal.SIGINT)
    code, said = stopped.end()
    assert code == 130, said
    assert "the same command again goes on" in said
    with FileLock(stopped.run_folder / ".lock", timeout=0):  # the child had left when the command did
        pass
    assert first <= step_of(stopped.run_folder) < STEPS
    monkeypatch.setattr(local, "Worker", Here)
    for folder in ("killed", "whole"):
        assert run(tmp_path / folder, pets, one_arm(), "--variants", "scratch") == 0
    arms = [json.loads((tmp_path / folder / ARM).read_text()) for folder in ("killed", "whole")]
    for name in ("val_mean_iou", "mean_iou", "best_step", "per_image", "settings", "num_labels"):
        assert arms[0][name] == arms[1][name], name
    assert arms[0]["provenance"]["weights_sha256"] == arms[1]["provenance"]["weights_sha256"]


@pytest.mark.all
def test_sigterm_before_anything_is_saved_ends_it(pets, tmp_path):
    grid_ = Grid(tmp_path / "grid", pets)
    while not grid_.run_folder.exists():
        assert grid_.process.poll() is None
        time.sleep(0.02)
    grid_.process.send_signal(signal.SIGTERM)
    code, said = grid_.end()
    assert code == 143, said
    assert not (tmp_path / "grid" / ARM).exists()
