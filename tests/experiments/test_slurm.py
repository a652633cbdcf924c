"""A grid's runs as jobs that submitit hands in, on this machine instead of SLURM."""

import json
import os
import signal
from pathlib import Path

import pytest
from ablation_grid import read, run
from cluster_grid import Driver, in_training, one_arm
from filelock import FileLock

pytest.importorskip("submitit", reason="submitit is not installed (extra `cluster`)")


HERE = {"cluster": "local"}


def handed_in(folder: Path) -> list[Path]:
    return list((folder / "runs/slurm").glob("*_submitted.pkl"))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, pets):
    """That grid, done by a job."""
    folder = tmp_path_factory.mktemp("slurm")
    assert run(folder, pets, one_arm(slurm=HERE), "--runner", "slurm") == 0
    return folder


def test_a_job_leaves_what_a_process_leaves(finished, pets, tmp_path, here):
    assert run(tmp_path, pets, one_arm(slurm=HERE)) == 0
    arms = [read(folder, "arms")["scratch__1__seed_1"] for folder in (finished, tmp_path)]
    for arm in arms:
        arm["compute"]["seconds"] = 0.0
    assert json.dumps(arms[0]) == json.dumps(arms[1])
    assert len(handed_in(finished)) == 1


def test_a_job_that_ended_while_nobody_looked_is_taken_up(finished, pets):
    (finished / "results/arms/scratch__1__seed_1.json").unlink()
    console = next((finished / "runs/runs").glob("*/console.txt"))
    said = console.read_bytes()
    assert run(finished, pets, one_arm(slurm=HERE), "--runner", "slurm") == 0
    assert set(read(finished, "arms")) == {"scratch__1__seed_1"}
    assert len(handed_in(finished)) == 1
    assert console.read_bytes() == said


def test_settings_that_submitit_does_not_know_are_named(pets, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))  # no SLURM there
    for slurm, message in (
        ({"cluster": "local", "slurm_partitoin": "gpu"}, "Unknown argument 'partitoin'"),
        ({"cluster": "moon"}, "cluster 'moon' is not known: use slurm or local"),
        ({}, 'Could not detect "srun"'),
    ):
        assert run(tmp_path, pets, one_arm(slurm=slurm), "--runner", "slurm") == 2
        assert message in capsys.readouterr().err


@pytest.mark.all
def test_a_job_outlives_a_grid_that_is_killed_and_leaves_with_one_that_is_stopped(pets, tmp_path):
    content = one_arm(slurm=HERE)
    content["common"] |= {"max_steps": 120, "val_every": 10}
    places = ["--data_dir", str(pets), "--output_dir", "runs", "--results_dir", "results"]
    flags = [*places, "--runner", "slurm"]
    stopped = Driver(tmp_path, flags, content)
    stopped.until(lambda: in_training(tmp_path / "runs"), "it trains")
    (console,) = in_training(tmp_path / "runs")
    stopped.process.send_signal(signal.SIGINT)
    assert stopped.end()[0] == 130
    with FileLock(console.parent / ".lock", timeout=0):  # the run had left when the command did
        assert (console.parent / "state.ckpt").exists()
    killed = Driver(tmp_path, flags, content)
    killed.until(lambda: in_training(tmp_path / "runs"), "it goes on")
    killed.process.kill()
    killed.end()
    code, said = Driver(tmp_path, flags, content).end()
    assert code == 0, said
    assert len(handed_in(tmp_path)) == 2
    assert console.read_text().count("finished: best") == 1
    assert set(read(tmp_path, "arms")) == {"scratch__1__seed_1"}


def job_processes(folder: Path) -> list[int]:
    """Return the processes of submitit that run a job of a grid's folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"submitit.core._submit" in words and str(folder / "runs/slurm").encode() in words:
            found.append(int(process.name))
    return found


@pytest.mark.all
def test_a_job_whose_time_is_up_saves_and_is_begun_again(pets, tmp_path):
    content = one_arm(slurm=HERE)
    content["common"] |= {"max_steps": 120, "val_every": 10}
    places = ["--data_dir", str(pets), "--output_dir", "runs", "--results_dir", "results"]
    driver = Driver(tmp_path, [*places, "--runner", "slurm"], content)
    driver.until(lambda: in_training(tmp_path / "runs"), "it trains")
    (console,) = in_training(tmp_path / "runs")
    (process,) = job_processes(tmp_path)
    os.kill(process, signal.SIGUSR2)  # as SLURM does before it ends a job
    code, said = driver.end()
    assert code == 0, said
    assert "LOST" not in said
    assert len(handed_in(tmp_path)) == 1
    told = console.read_text()
    assert "stopping when the work in hand is saved" in told
    assert told.count("training pictures") == 2
    assert told.count("finished: best") == 1
