"""Real processes, killed at random moments and started again, end with the bits of one that was never stopped.

`make soak` is the long form: more kills, and bf16 as well.
"""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

PHASES = {
    "reconstruction": ["--perceptual_weight", "0"],
    "transfer_learning": ["--optimizer", "adamw"],
}
SMALL = ["--width", "2", "--batch_size", "4", "--device", "cpu", "--lr", "0.002"]
STEPS = ["--max_steps", "120", "--val_every", "40", "--save_every_steps", "7"]


class Run:
    """A training command in a process of its own."""

    def __init__(self, phase: str, amp: str, data: Path, folder: Path) -> None:
        places = ["--data_dir", str(data), "--output_dir", str(folder)]
        command = [sys.executable, "-m", f"{phase}.train", *PHASES[phase], *SMALL, *STEPS, "--amp", amp, *places]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(command, env=environment, **pipes)

    def wait_for_training(self) -> None:
        """Return when everything is loaded and the first step is about to be taken."""
        assert "training pictures" in self.process.stdout.readline(), self.process.stderr.read()

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was said."""
        out, errors = self.process.communicate()
        return self.process.returncode, out + errors


def kill_after(run: Run, seconds: float) -> None:
    """Kill a process so long after its training has begun."""
    run.wait_for_training()
    time.sleep(seconds)
    run.process.kill()
    code, said = run.end()
    assert code in (-signal.SIGKILL, 0), said  # quicker than the run before, it has ended by itself


def left_by(folder: Path) -> dict:
    """Read everything that a run leaves, `epoch_time` aside."""
    state = torch.load(folder / "state.ckpt", weights_only=True)
    with (folder / "training_log.csv").open() as file:
        rows = [{key: value for key, value in row.items() if key != "epoch_time"} for row in csv.DictReader(file)]
    optimizer = {
        f"{index}.{name}": value
        for index, of_parameter in state["optimizer"]["state"].items()
        for name, value in of_parameter.items()
    }
    best = (folder / "best_model.safetensors").read_bytes()
    return {"rows": rows, "best": best, "tensors": {**state["model"], **optimizer}, "epoch": state["best"]["epoch"]}


def assert_same(one: dict, other: dict) -> None:
    for name in ("rows", "best", "epoch"):
        assert one[name] == other[name], name
    assert one["tensors"].keys() == other["tensors"].keys()
    for name, tensor in one["tensors"].items():
        assert torch.equal(tensor, other["tensors"][name]), name


def killed_run_is_the_same(phase: str, amp: str, data: Path, folder: Path, kills: int) -> None:
    whole = Run(phase, amp, data, folder / "whole")
    whole.wait_for_training()
    started = time.perf_counter()
    code, said = whole.end()
    assert code == 0, said
    seconds = time.perf_counter() - started
    for _ in range(kills):
        # Well within its share of the run, so that it hardly ever finds it finished; another moment every time.
        moment = random.uniform(0, seconds / (kills + 2))
        print(f"{phase} {amp}: killed {moment:.3f} s into {seconds:.3f} s")
        kill_after(Run(phase, amp, data, folder / "killed"), moment)
    code, said = Run(phase, amp, data, folder / "killed").end()
    assert code == 0, said
    assert_same(left_by(folder / "whole"), left_by(folder / "killed"))


@pytest.mark.parametrize(("phase", "kills"), [("reconstruction", 1), ("transfer_learning", 2)])
def test_a_run_killed_anywhere_ends_with_the_same_bits(phase, kills, pets, tmp_path):
    killed_run_is_the_same(phase, "off", pets, tmp_path, kills)


@pytest.mark.soak
@pytest.mark.parametrize("amp", ["off", "bf16"])
@pytest.mark.parametrize("phase", PHASES)
def test_soak(phase, amp, pets, tmp_path):
    killed_run_is_the_same(phase, amp, pets, tmp_path, kills=6)
