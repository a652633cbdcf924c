"""Several processes compute what one does: shares of a batch, sums over all, the same losses and scores."""

import csv
import importlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import ready_processes
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.machine.processes import Processes, started
from core.networks.dropout import share_of_batch, spatial_dropout

# Five a step: shares of two and three; and the last step of a pass over 26 pictures has one for two processes.
COMMON = ["--width", "2", "--batch_size", "5", "--device", "cpu", "--amp", "off", "--epochs", "2"]
PHASES = {
    "reconstruction": ["--perceptual_weight", "0", "--lr", "0.001"],
    # Plain descent without clipping, since a factor in the gradient would not show with Adam or clipping.
    "transfer_learning": ["--lr", "0.01", "--momentum", "0", "--clip", "0", "--freeze", "1", "--weighted_ce", "batch"],
}


@given(st.integers(0, 40), st.integers(1, 9))
def test_shares_cover_everything_once(length, count):
    shares = [list(range(length))[Processes(rank, count).share(length)] for rank in range(count)]
    assert [place for share in shares for place in share] == list(range(length))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.integers(1, 9), st.integers(1, 4))
def test_dropout_of_shares_is_that_of_the_batch(length, count):
    features = torch.rand(length, 8, 3, 2) + 1
    torch.manual_seed(5)
    whole = spatial_dropout(features, 0.4, training=True)
    for rank in range(count):
        share = Processes(rank, count).share(length)
        torch.manual_seed(5)
        with share_of_batch(share.start, length):
            assert torch.equal(spatial_dropout(features[share], 0.4, training=True), whole[share])


def test_dropout_drops_whole_channels_and_keeps_the_mean():
    features = torch.ones(200, 50, 2, 2)
    dropped = spatial_dropout(features, 0.3, training=True)
    assert dropped.unique().tolist() == pytest.approx([0, 1 / 0.7])
    assert torch.equal(dropped, dropped[..., :1, :1].expand_as(dropped))
    assert dropped.mean().item() == pytest.approx(1, abs=0.02)
    assert spatial_dropout(features, 0.3, training=False) is features


def test_what_slurm_says_is_checked(monkeypatch):
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
    monkeypatch.setenv("SLURM_NTASKS", "6")  # of the job; what runs in its script is a single process
    assert started() == (1, 1)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "6")
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "3")
    assert started() == (2, 3)
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "4")
    with pytest.raises(UserError, match="6 processes on 4 machines"):
        started()


def flags_of(phase: str, data: Path, folder: Path, *more: str) -> list[str]:
    return [*COMMON, *PHASES[phase], "--data_dir", str(data), "--output_dir", str(folder), *more]


def run_two(phase: str, flags: list[str], console: Path) -> tuple[int, str]:
    """Start two processes with what `torchrun` tells its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    common = {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_RANK": "0", **address}
    processes = [
        ready_processes.start(f"{phase}.train", flags, console, {**common, "RANK": rank, "LOCAL_RANK": rank})
        for rank in ("0", "1")
    ]
    for process in processes:
        process.join(120)
        process.kill()
        process.join()
    return int(any(process.exitcode for process in processes)), console.read_text()


def run_torchrun(phase: str, flags: list[str], _: Path | None = None) -> tuple[int, str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    command = [*launcher, "-m", f"{phase}.train", *flags]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    return done.returncode, done.stdout + done.stderr


def rows_of(folder: Path) -> list[dict[str, float]]:
    with (folder / "training_log.csv").open() as file:
        rows = list(csv.DictReader(file))
    return [{key: float(value or 0) for key, value in row.items() if key != "epoch_time"} for row in rows]


@pytest.mark.parametrize("launch", [run_two, pytest.param(run_torchrun, marks=pytest.mark.all)])
@pytest.mark.parametrize("phase", PHASES)
def test_two_processes_train_as_one_does(phase, launch, pets, tmp_path):
    assert importlib.import_module(f"{phase}.train").main(flags_of(phase, pets, tmp_path / "1")) == 0
    code, said = launch(phase, flags_of(phase, pets, tmp_path / "2"), tmp_path / "2.txt")
    assert code == 0, said
    assert said.count("training pictures") == said.count("finished:") == 1
    one, two = rows_of(tmp_path / "1"), rows_of(tmp_path / "2")
    # Two sum in another order; how far that goes, with Adam between, is the processor's: PSNR by 8e-4 on a Zen 4.
    assert one[0] == pytest.approx(two[0], rel=1e-3, abs=1e-3)
    assert one[1]["train_loss"] == pytest.approx(two[1]["train_loss"], abs=1e-3)
    assert abs(one[1]["train_loss"] - one[0]["train_loss"]) > 1e-3  # something was learned


@pytest.mark.all
def test_two_processes_draw_the_same_hard_pictures(pets, tmp_path):
    more = ["--hard_examples", "0.4", "--ema", "0.5", "--train_scales", "1,1.5", "--epochs", "1"]
    more += ["--loss", "dice + focal + lovasz + ohem + 0.01*boundary + border_weight"]
    assert (
        importlib.import_module("transfer_learning.train").main(
            flags_of("transfer_learning", pets, tmp_path / "1", *more)
        )
        == 0
    )
    code, said = run_two(
        "transfer_learning", flags_of("transfer_learning", pets, tmp_path / "2", *more), tmp_path / "2.txt"
    )
    assert code == 0, said
    assert rows_of(tmp_path / "1")[0] == pytest.approx(rows_of(tmp_path / "2")[0], abs=2e-3)
    one, two = (torch.load(tmp_path / name / "state.ckpt", weights_only=True) for name in "12")
    torch.testing.assert_close(one["carried"]["last"], two["carried"]["last"], equal_nan=True, rtol=1e-3, atol=1e-3)
    for name, tensor in one["average"].items():
        torch.testing.assert_close(tensor, two["average"][name], rtol=1e-2, atol=1e-3)


def test_more_processes_than_pictures_are_refused():
    Processes(1, 2).require_enough(2, "the pictures of a step")
    with pytest.raises(UserError, match="2 processes cannot share the pictures of a step, of which there are 1: start"):
        Processes(1, 2).require_enough(1, "the pictures of a step")


@pytest.mark.all
def test_training_refuses_them(pets, tmp_path):
    flags = flags_of("reconstruction", pets, tmp_path, "--batch_size", "1")
    code, said = run_torchrun("reconstruction", flags)
    assert code != 0
    assert "error: 2 processes cannot share the pictures of a step, of which there are 1: start fewer" in said


def test_training_does_not_bring_torchmetrics(tmp_path):
    process = ready_processes.start("ready_processes", [], tmp_path / "loaded.txt")
    process.join()
    loaded = (tmp_path / "loaded.txt").read_text().split()
    assert {"lightning_fabric", "core.run.loop", "transfer_learning.task", "reconstruction.task"} <= set(loaded)
    assert "torchmetrics" not in loaded
