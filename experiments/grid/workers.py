"""Processes of a grid that have the libraries already: loading them takes longer than a few steps of training.

A server loads them once and forks itself for each work: its training, then its scoring. A work that crashes or leaks
costs that work alone.
"""

import importlib
import io
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

Command = list[Any]  # [module, [flag, value, ...]]

# What trainings and evaluations import, at once and when they are called.
LOADED = (
    "core.command",
    "reconstruction.train",
    "transfer_learning.train",
    "transfer_learning.evaluate",
    "core.run.train",
    "data.loading",
    "reconstruction.task",
    "transfer_learning.task",
    "transfer_learning.inference.splits",
    "transfer_learning.scores.per_image",
)
_CONTEXT = get_context("forkserver")
# Whoever runs works one after the other may give each another GPU; the server's environment is that of the first.
_OF_EACH = ("CUDA_VISIBLE_DEVICES",)


class Worker:
    """A process that runs commands one after the other; used like `subprocess.Popen`.

    Ctrl-C in the terminal does not reach it. When this process is gone, however it went, it gets SIGTERM: a training
    saves its state and leaves, instead of going on unseen.

    Args:
        commands: until one fails; its exit code is that of the process.
        console: gets what they say at its end.
        threads: of each.
    """

    lost: str | None = None

    def __init__(self, commands: Sequence[Command], console: os.PathLike, threads: int) -> None:
        _CONTEXT.set_forkserver_preload([*LOADED])  # holds where none was started yet
        own = {name: os.environ[name] for name in _OF_EACH if name in os.environ}
        self._process = _CONTEXT.Process(target=_run, args=([*commands], Path(console), threads, own))
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """The exit code, minus the signal that ended it, or None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return `returncode`."""
        return self.returncode

    def wait(self) -> int | None:
        """Wait until it is over; returns its exit code."""
        self._process.join()
        return self.returncode

    def terminate(self) -> None:
        """Ask it to save and leave."""
        self._process.terminate()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


def _run(commands: Sequence[Command], console: Path, threads: int, own: Mapping[str, str]) -> None:
    os.setsid()
    _say_into(console)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    os.environ.update(own)
    os.environ["OMP_NUM_THREADS"] = str(threads)  # of processes that it starts
    import torch

    torch.set_num_threads(threads)
    for module, arguments in commands:
        code = importlib.import_module(module).main(arguments)
        if code:
            sys.exit(code)


def _say_into(console: Path) -> None:
    """Let whatever is said, by libraries too, go to the end of a file at once."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    with open(console, "ab") as file:  # noqa: PTH123 - to write
        for number in (1, 2):
            os.dup2(file.fileno(), number)
    for stream in (sys.stdout, sys.stderr):
        assert isinstance(stream, io.TextIOWrapper), "the process has just begun"
        stream.reconfigure(write_through=True)


def _leave_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
