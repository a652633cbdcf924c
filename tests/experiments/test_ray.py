"""A grid on a Ray cluster of three nodes: killed, its nodes killed, with one disk and with none in common."""

import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest
from ablation_grid import Here, run
from cluster_grid import Driver, grid_of_five, in_training, without_times

from experiments.grid import queue
from experiments.grid.runners import local

pytestmark = pytest.mark.all
NODE = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 80 << 20, "include_dashboard": False}
SAYINGS = ("begins", "finished", "waits", "LOST", "FAILED", "stopped: the same command again goes on")


@pytest.fixture(scope="module")
def head():
    """A cluster of one node on this machine, with room for one run."""
    pytest.importorskip("ray", reason="ray is not installed (extra `cluster`)")
    from ray.cluster_utils import Cluster

    folder = tempfile.mkdtemp(prefix="ray", dir="/tmp")  # sockets have short names
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        nodes = Cluster(initialize_head=True, head_node_args={**NODE, "temp_dir": folder})
        try:
            yield nodes
        finally:
            nodes.shutdown()
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def cluster(head):
    """That cluster with three nodes."""
    while len(head.worker_nodes) < 2:
        head.add_node(**NODE)
    return head


@pytest.fixture(scope="module")
def as_here(pets, tmp_path_factory) -> dict[str, bytes]:
    """What the grid leaves where it runs in one process."""
    folder = tmp_path_factory.mktemp("local")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "Worker", Here)
        patch.setattr(queue, "LOOK_SECONDS", 0.0)
        assert run(folder, pets, grid_of_five()) == 0
    return without_times(folder / "results", folder / "compared")


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def owner_of(console: Path) -> int | None:
    """The process whose output goes to a console."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "fd/1").readlink() == console:
                return int(process.name)
        except OSError:
            continue
    return None


def tell(what: str, said: str) -> None:
    """Print what a grid said of its runs, without what Ray says of a node that died."""
    print("", what, *(line for line in said.splitlines() if line.split("  ")[0] in SAYINGS), sep="\n")


def node_that_trains(cluster, folder: Path):
    """Wait until a run trains on a node that is not the head; returns that node and the run's console."""
    raylets = {node.all_processes["raylet"][0].process.pid: node for node in cluster.worker_nodes}
    end = time.monotonic() + 120
    while time.monotonic() < end:
        for console in in_training(folder):
            pid = owner_of(console)
            try:
                while pid and pid not in raylets:
                    pid = parent_of(pid)
            except OSError:
                continue
            if pid:
                return raylets[pid], console
        time.sleep(0.05)
    raise AssertionError("no run trains")


def test_a_grid_that_is_killed_and_loses_a_node_gives_the_same_bytes(cluster, pets, tmp_path, as_here):
    places = ["--data_dir", str(pets), "--output_dir", "runs", "--results_dir", "results"]
    flags = [*places, "--runner", "ray", "--ray_address", cluster.address]
    killed = Driver(tmp_path, flags, grid_of_five())
    killed.until(lambda: len(in_training(tmp_path / "runs")) >= 2, "two runs train")
    killed.process.kill()
    assert killed.end()[0] == -signal.SIGKILL
    again = Driver(tmp_path, flags, grid_of_five())  # at once, while runs may still be saving
    again.until(lambda: "begins    again: " in again.said.read_text(), "a run goes on")
    node, console = node_that_trains(cluster, tmp_path / "runs")
    cluster.remove_node(node, allow_graceful=False)
    code, said = again.end()
    tell(f"one disk: grid killed and begun again, then killed: the node that trains {console.parent.name}", said)
    assert code == 0, said
    assert said.count("LOST      ") == 1, said
    assert "its node or process died" in said
    assert without_times(tmp_path / "results", tmp_path / "compared") == as_here


def test_nodes_without_a_common_disk_get_what_they_need_and_send_runs_back(cluster, pets, tmp_path, as_here):
    shutil.copytree(pets, tmp_path / "data", ignore=shutil.ignore_patterns("arrays"))
    # Paths that mean another place to every process.
    here, node_dir = "/proc/self/cwd", tmp_path / "node"
    places = ["--data_dir", f"{here}/data", "--output_dir", f"{here}/runs", "--results_dir", f"{here}/results"]
    flags = [*places, "--runner", "ray", "--ray_address", cluster.address, "--node_dir", str(node_dir)]
    first = Driver(tmp_path, flags, grid_of_five())
    first.until(lambda: in_training(node_dir), "a run trains")
    node, console = node_that_trains(cluster, node_dir)
    cluster.remove_node(node, allow_graceful=False)
    first.until(lambda: "LOST      " in first.said.read_text(), "a node is lost")
    first.until(lambda: {*in_training(node_dir)} - {console}, "another run trains")
    first.process.send_signal(signal.SIGINT)
    code, said = first.end()
    tell(f"no common disk: killed: the node that trains {console.parent.parent.name}, then Ctrl-C", said)
    assert code == 130, said
    assert list((tmp_path / "runs").rglob("state.ckpt")), "what was saved came back"
    assert not in_training(tmp_path / "runs")
    again = Driver(tmp_path, flags, grid_of_five())
    code, said = again.end()
    tell("no common disk: begun again", said)
    assert code == 0, said
    consoles = [path.read_text() for path in (tmp_path / "runs").rglob("console.txt")]
    assert any("going on from epoch" in told for told in consoles), "from what came back"
    assert without_times(tmp_path / "results", tmp_path / "compared") == as_here
    assert list((node_dir / "runs").iterdir()) == []
    assert len([path for path in (node_dir / "kept").iterdir() if path.is_dir()]) == 2  # data and weights


def test_a_share_that_no_node_has_is_refused(cluster, pets, tmp_path, capsys):
    flags = ["--runner", "ray", "--ray_address", cluster.address, "--cpus_per_arm", "2"]
    assert run(tmp_path, pets, grid_of_five(), *flags) == 2
    assert "no node of the Ray cluster has 2 CPUs and 0 GPUs: lower --cpus_per_arm" in capsys.readouterr().err
