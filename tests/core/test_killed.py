"""Real processes, killed at random moments and started again, end with the bits of one that was never stopped.

`make soak` is the long form: more kills, and bf16 as well.
"""

import csv
import importlib
import random
import signal
import time
from pathlib import Path

import pytest
import ready_processes
import torch

PHASES = {
    "reconstruction": ["--perceptual_weight", "0"],
    "reconstruction distil": ["--pretext", "distil"],
    "transfer_learning unlabelled": ["--unlabelled", "consistency", "--auxiliary", "mask_hog", "--thresholds", "class"],
    "transfer_learning": ["--optimizer", "adamw", "--ema", "0.9", "--hard_examples", "0.3", "--schedule", "plateau"],
}
SMALL = ["--width", "2", "--batch_size", "4", "--device", "cpu", "--lr", "0.002"]


class Run:
    """A training command, in a process of its own or here."""

    def __init__(self, phase: str, amp: str, data: Path, steps: int) -> None:
        self.module = f"{phase.split()[0]}.train"
        length = ["--max_steps", str(steps), "--val_every", str(steps // 3), "--save_every_steps", "3"]
        self.flags = [*PHASES[phase], *SMALL, *length, "--amp", amp, "--data_dir", str(data)]

    def here(self, folder: Path) -> float:
        """Train to the end in this process; return the seconds that it took."""
        started = time.perf_counter()
        assert importlib.import_module(self.module).main([*self.flags, "--output_dir", str(folder)]) == 0
        return time.perf_counter() - started

    def killed_after(self, seconds: float, folder: Path) -> bool:
        """Begin in another process, and kill that so long after its training has begun; says whether that struck."""
        console = folder.with_suffix(".txt")
        console.write_text("")
        process = ready_processes.start(self.module, [*self.flags, "--output_dir", str(folder)], console)
        # Everything is loaded then, and the first step is about to be taken.
        while "training pictures" not in console.read_text():
            assert process.is_alive(), console.read_text()
            time.sleep(0.002)
        time.sleep(seconds)
        process.kill()
        process.join()
        # Quicker than the run before, it has ended by itself.
        assert process.exitcode in (-signal.SIGKILL, 0), console.read_text()
        return process.exitcode != 0


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
    carried = {f"carried.{name}": tensor for name, tensor in state["carried"].items()}  # a teacher, thresholds, draws
    best = (folder / "best_model.safetensors").read_bytes()
    tensors = {**state["model"], **optimizer, **carried}
    return {"rows": rows, "best": best, "tensors": tensors, "epoch": state["best"]["epoch"]}


def assert_same(one: dict, other: dict) -> None:
    for name in ("rows", "best", "epoch"):
        assert one[name] == other[name], name
    assert one["tensors"].keys() == other["tensors"].keys()
    for name, tensor in one["tensors"].items():
        assert torch.equal(tensor, other["tensors"][name]), name


def killed_run_is_the_same(run: Run, folder: Path, kills: int) -> None:
    seconds = run.here(folder / "whole")
    for _ in range(kills):
        # Well within its share of the run, so that it hardly ever finds it finished; another moment every time.
        moment = random.uniform(0, seconds / (kills + 2))
        if run.killed_after(moment, folder / "killed"):
            print(f"{run.module}: killed {moment:.3f} s into {seconds:.3f} s")
    run.here(folder / "killed")
    assert_same(left_by(folder / "whole"), left_by(folder / "killed"))


@pytest.mark.parametrize(
    ("phase", "kills"),
    [
        ("reconstruction", 1),
        ("reconstruction distil", 1),
        ("transfer_learning", 2),
        pytest.param("transfer_learning unlabelled", 2, marks=pytest.mark.all),
    ],
)
def test_a_run_killed_anywhere_ends_with_the_same_bits(phase, kills, pets, tmp_path):
    killed_run_is_the_same(Run(phase, "off", pets, steps=42), tmp_path, kills)


@pytest.mark.soak
@pytest.mark.parametrize("amp", ["off", "bf16"])
@pytest.mark.parametrize("phase", PHASES)
def test_soak(phase, amp, pets, tmp_path):
    killed_run_is_the_same(Run(phase, amp, pets, steps=120), tmp_path, kills=6)
