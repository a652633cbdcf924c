"""Works as tasks of a Ray cluster, each with its share of a node; the only file that needs Ray."""

import logging
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from core.errors import UserError
from core.files import file_sha256
from core.run.signals import raise_on_sigterm
from experiments.grid.config import AblationConfig
from experiments.grid.jobs import Work
from experiments.grid.run_folder import add_error
from experiments.grid.runners.node import (
    Ended,
    Missing,
    Order,
    Read,
    carry_out,
    pack_read,
    packed_run,
    replace_run,
)
from experiments.grid.to_do import BEGUN_WITH
from experiments.grid.workers import Command

LOOK_SECONDS = 0.1
KNOCK_SECONDS = 10


class RayRunner:
    """As many works side by side as the nodes have room for; see `Runner`.

    Args:
        config: where the cluster is, and what a work gets of a node.

    Raises:
        UserError: no cluster answers, or no node of it has as much as a work gets.
    """

    where = " on Ray"

    def __init__(self, config: AblationConfig) -> None:
        self.threads, self.gpus, self.node_dir = config.cpus_per_arm, config.gpus_per_arm, config.node_dir
        self._packed: dict[str, list[Any]] = {}
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            _knock(config.ray_address or os.environ.get("RAY_ADDRESS") or "")
            ray.init(config.ray_address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, OverflowError, RuntimeError, ValueError) as error:
            where = config.ray_address or os.environ.get("RAY_ADDRESS") or "this machine"
            raise UserError(f"Ray: {where} does not answer ({str(error).splitlines()[0]}): see --ray_address") from None
        raise_on_sigterm()  # for which Ray has a handler of its own
        self._task = ray.remote(num_cpus=self.threads, num_gpus=self.gpus, max_retries=0)(_task)
        if not self.slots:
            self.close()
            raise UserError(
                f"no node of the Ray cluster has {self.threads} CPUs and {self.gpus} GPUs: lower --cpus_per_arm or "
                "--gpus_per_arm"
            )

    @property
    def slots(self) -> int:
        """How many works the nodes that are there now have room for."""
        return sum(self._room(node["Resources"]) for node in ray.nodes() if node["Alive"])

    def _room(self, resources: Mapping[str, float]) -> int:
        wanted = {"CPU": self.threads, "GPU": self.gpus}
        return min(int(resources.get(kind, 0) // count) for kind, count in wanted.items() if count)

    def start(self, work: Work, commands: Sequence[Command]) -> "RayProcess":
        """Send a work to the node that has room for it.

        Raises:
            UserError: the weights that it begins with are gone.
        """
        weights = [need.weights for need in work.needs if isinstance(need, BEGUN_WITH)]
        try:
            digests = [file_sha256(path) for path in weights]
        except OSError as error:
            raise UserError(
                f"{error.filename} cannot be read ({error.strerror}): the same command makes it again"
            ) from None
        reads = [Read(work.data.folder, work.data.sha256), *map(Read, weights, digests)]
        order = Order(commands, Path.cwd(), work.folder, tuple(reads), self.threads, self.node_dir)
        return RayProcess(self, order, work.console)

    def send(self, order: Order, run: Any, missing: Sequence[str] = ()) -> Any:
        """Begin a task; returns what its outcome will be known by.

        Args:
            order: what it does.
            run: the run folder, packed and kept by Ray.
            missing: contents that come along.
        """
        for read in order.reads:
            if read.content in missing and read.content not in self._packed:
                self._packed[read.content] = pack_read(read, ray.put)
        return self._task.remote(order, run, {content: self._packed[content] for content in missing})

    def close(self) -> None:
        """Leave the cluster; one that was begun here ends."""
        ray.shutdown()


class RayProcess:
    """A task; see `Process`."""

    def __init__(self, runner: RayRunner, order: Order, console: Path) -> None:
        self.returncode: int | None = None
        self.lost: str | None = None
        self._told = False
        self._runner, self._order, self._console = runner, order, console
        self._run = ray.put(packed_run(order.folder) if order.node_dir else [])
        self._sent = runner.send(order, self._run)

    def poll(self) -> int | None:
        """Take what the task left, where it is over; returns `returncode`."""
        if self.returncode is None and ray.wait([self._sent], timeout=0)[0]:
            try:
                self._take(ray.get(self._sent))
            except TaskCancelledError:
                self.returncode = -signal.SIGTERM
            except RayTaskError as error:  # of the project itself: a node with another version of it, say
                self._take(Ended(1, said=str(error).strip().splitlines()[-1]))
            except RayError as error:
                self.lost = f"its node or process died ({type(error).__name__})"
                self.returncode = -signal.SIGKILL
        return self.returncode

    def _take(self, left: Ended | Missing) -> None:
        if isinstance(left, Missing) and self._told:
            self.returncode = -signal.SIGTERM
            return
        if isinstance(left, Missing):
            self._sent = self._runner.send(self._order, self._run, left.contents)
            return
        if left.run is not None:
            replace_run(left.run, self._order.folder)
        if left.said:
            add_error(self._console, left.said)
        self.returncode = left.code

    def wait(self) -> int | None:
        """Wait until it is over; returns its exit code."""
        while self.poll() is None:
            time.sleep(LOOK_SECONDS)
        return self.returncode

    def terminate(self) -> None:
        """Ask it to save and leave."""
        self._told = True
        ray.cancel(self._sent)

    def kill(self) -> None:
        """End it at once."""
        ray.cancel(self._sent, force=True)


def _knock(address: str) -> None:
    """See that something listens at host:port, for which Ray itself would look for minutes. Raises OSError if not."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_SECONDS).close()


def _task(order: Order, run: list[bytes], parcels: Mapping[str, Sequence[Any]]) -> Ended | Missing:
    return carry_out(order, run, {content: _fetched(blocks) for content, blocks in parcels.items()})


def _fetched(blocks: Sequence[Any]) -> Iterator[bytes]:
    for block in blocks:
        yield ray.get(block)
