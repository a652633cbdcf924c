"""What runs a grid's works: which it is, what travels to a node and back, and what happens where one dies."""

import json
import shutil
import socket
from pathlib import Path

import pytest
from ablation_grid import Here, read, run
from cluster_grid import one_arm

from core.files import file_sha256
from data.manifest import read_manifest
from experiments.grid.runners import local, node, runner
from experiments.grid.runners.node import Ended, Missing, Order, Read, carry_out, pack_read, packed_run, replace_run
from experiments.grid.runners.parcels import packed, unpack
from experiments.grid.workers import Worker


class Dies(Here):
    """A process whose node dies so many times."""

    times = 0

    def __init__(self, commands, console, threads):
        if Dies.times:
            Dies.times -= 1
            self.returncode, self.lost = -9, "its node died"
        else:
            super().__init__(commands, console, threads)


def test_what_a_node_took_with_it_begins_again(pets, tmp_path, here, monkeypatch, capsys):
    monkeypatch.setattr(local, "Worker", Dies)
    monkeypatch.setattr(Dies, "times", 3)
    assert run(tmp_path, pets, one_arm()) == 0
    lost = "LOST      scratch, 100 % of the labels, seed 1: its node died; it begins again"
    assert capsys.readouterr().err.splitlines().count(lost) == 3
    assert len(here) == 1
    assert set(read(tmp_path, "arms")) == {"scratch__1__seed_1"}


def test_what_is_the_death_of_every_node_fails(pets, tmp_path, here, monkeypatch, capsys):
    monkeypatch.setattr(local, "Worker", Dies)
    monkeypatch.setattr(Dies, "times", 9)
    assert run(tmp_path, pets, one_arm()) == 1
    assert "seed 1: lost 4 times, the last time because its node died" in capsys.readouterr().err
    assert Dies.times == 5


def test_a_grid_without_a_node_says_once_that_it_waits(pets, tmp_path, here, monkeypatch, capsys):
    looks = iter([0, 0, 0])  # then there is a node again
    monkeypatch.setattr(local.Local, "slots", property(lambda _: next(looks, 1), lambda *_: None), raising=False)
    assert run(tmp_path, pets, one_arm()) == 0
    assert capsys.readouterr().err.count("waits     for a node: none") == 1
    assert len(here) == 1


@pytest.mark.all
def test_each_process_sees_the_gpus_that_it_was_given(tmp_path, monkeypatch):
    for given in ("0", "1"):  # the processes' server keeps the environment of the first
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
        say = "import os; print('sees', os.environ['CUDA_VISIBLE_DEVICES'])"
        worker = Worker([["timeit", ["-n", "1", "-r", "1", say]]], tmp_path / given, threads=1)
        assert worker.wait() == 0
        assert f"sees {given}" in (tmp_path / given).read_text()


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_a_package_that_is_not_installed_is_named(pets, tmp_path, monkeypatch, capsys, name, package):
    monkeypatch.setattr(runner, "find_spec", lambda name: None)
    assert run(tmp_path, pets, one_arm(), "--runner", name) == 2
    assert f"{package} is not installed: pip install -e '.[cluster]' -c constraints.txt" in capsys.readouterr().err


def test_settings_of_another_runner_have_no_say(pets, tmp_path, here, capsys):
    assert run(tmp_path, pets, one_arm(), "--cpus_per_arm", "2", "--node_dir", "/tmp/nodes", "--list") == 0
    said = capsys.readouterr().err
    assert "--cpus_per_arm has no say with --runner local" in said
    assert "--node_dir has no say" in said
    assert run(tmp_path, pets, one_arm(), "--cpus_per_arm", "0") == 2
    assert run(tmp_path, pets, one_arm(), "--runner", "ray", "--node_dir", "nodes") == 2
    assert "node_dir nodes must begin with /" in capsys.readouterr().err


@pytest.mark.parametrize("block", [1, 700, 1 << 20])
def test_what_is_packed_is_unpacked(tmp_path, monkeypatch, block):
    monkeypatch.setattr("experiments.grid.runners.parcels.BLOCK", block)
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    content = {"state.ckpt": bytes(range(256)) * 9, "checkpoints/empty": b"", ".lock": b"", "checkpoints/.lock": b"1"}
    for name, value in content.items():
        (folder / name).write_bytes(value)
    unpack(packed(folder, "it", bytes, without=("it/.lock",)), tmp_path / "there")
    found = {path.relative_to(tmp_path / "there/it").as_posix(): path for path in tmp_path.rglob("there/it/**/*")}
    assert {name: path.read_bytes() for name, path in found.items() if path.is_file()} == {
        name: value for name, value in content.items() if name != ".lock"
    }


class Reads:
    """A process that says which of its words lead to a file, and writes into its run folder."""

    lost = None

    def __init__(self, commands, console, threads):
        ((_, words),) = commands
        self.returncode = 0
        given = dict(zip(words[::2], map(Path, words[1::2]), strict=True))
        assert given["--output_dir"] == Path(console).parent
        said = {name: content for name, path in given.items() if (content := node.content_of(path))}
        (given["--output_dir"] / "seen.json").write_text(json.dumps([said, str(given["--data_dir"])]))

    def poll(self):
        return self.returncode


@pytest.fixture
def order(pets, tmp_path, monkeypatch):
    """A work whose data and weights a node without a common disk does not have."""
    monkeypatch.setattr(node, "Worker", Reads)
    home = tmp_path / "home"
    shutil.copytree(pets, home / "data", ignore=shutil.ignore_patterns("arrays"))
    (home / "data/arrays").mkdir()
    (home / "encoder.safetensors").write_bytes(b"weights")
    (home / "runs/arm").mkdir(parents=True)
    (home / "runs/arm/state.ckpt").write_bytes(b"state")
    reads = (
        Read(Path("data"), read_manifest(pets).fingerprint),
        Read(Path("encoder.safetensors"), file_sha256(home / "encoder.safetensors")),
    )
    places = ["--data_dir", "data", "--pretrained_encoder", "encoder.safetensors", "--output_dir", "runs/arm"]
    commands = [["transfer_learning.train", places]]
    return Order(commands, tmp_path / "elsewhere", Path("runs/arm"), reads, 1, tmp_path / "node")


def test_a_node_asks_once_for_what_it_lacks(order, tmp_path, monkeypatch):
    home = tmp_path / "home"
    run = packed_run(home / "runs/arm")
    contents = tuple(read.content for read in order.reads)
    assert carry_out(order, run, {}) == Missing(contents)
    monkeypatch.chdir(home)
    parcels = {read.content: pack_read(read, bytes) for read in order.reads}
    monkeypatch.chdir("/")
    for brought in (parcels, {}):  # what came for another work is there
        ended = carry_out(order, run, brought)
        assert isinstance(ended, Ended), ended
        assert ended.code == 0, ended.said
        replace_run(ended.run, home / "runs/arm")
        assert (home / "runs/arm/state.ckpt").read_bytes() == b"state"
        said, data = json.loads((home / "runs/arm/seen.json").read_text())
        assert said == {"--data_dir": contents[0], "--pretrained_encoder": contents[1]}
        assert data.startswith(str(tmp_path / "node/kept"))
        assert not (Path(data) / "arrays").exists()
    assert list((tmp_path / "node/runs").iterdir()) == []
    assert {path.name for path in (home / "runs").iterdir()} == {"arm"}


def test_data_that_lie_at_the_same_place_are_not_brought(order, tmp_path):
    ended = carry_out(Order(**{**vars(order), "home": tmp_path / "home"}), packed_run(tmp_path / "home/runs/arm"), {})
    assert ended.code == 0
    replace_run(ended.run, tmp_path / "home/runs/arm")
    assert json.loads((tmp_path / "home/runs/arm/seen.json").read_text())[1] == str(tmp_path / "home/data")
    assert not (tmp_path / "node/kept").exists()


def test_a_node_that_does_not_share_the_disk_says_so(order, tmp_path):
    ended = carry_out(Order(**{**vars(order), "node_dir": None}), [], {})
    assert ended.code == 2
    assert f"{tmp_path}/elsewhere/runs/arm is not there: let the grid and its nodes share a disk" in ended.said


def test_data_that_changed_on_the_way_are_refused(order, tmp_path):
    other = Read(tmp_path / "home/encoder.safetensors", "")
    blocks = pack_read(other, bytes)
    ended = carry_out(order, packed_run(tmp_path / "home/runs/arm"), {read.content: blocks for read in order.reads})
    assert ended.code == 2
    assert "data is no longer what it was when the grid began" in ended.said


def test_a_node_says_which_setting_names_a_place_that_it_cannot_write(tmp_path):
    (tmp_path / "file").touch()
    ended = carry_out(Order((), tmp_path, tmp_path / "run", (), 1, tmp_path / "file/below"), [], {})
    assert isinstance(ended, Ended)
    assert ended.code == 2
    assert "choose another --node_dir" in (ended.said or "")


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_cluster_that_nobody_listens_for_is_told_at_once(scheme):
    tasks = pytest.importorskip("experiments.grid.runners.ray_tasks", exc_type=ImportError)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"{scheme}127.0.0.1:{server.getsockname()[1]}"
        tasks._knock(address)
    with pytest.raises(OSError, match="refused"):
        tasks._knock(address)
    tasks._knock("auto")
