"""Processes of their own that have torch already: loading it takes longer than all else that most of them do."""

import contextlib
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

# They are forked from a server that has loaded this and done nothing else.
_CONTEXT = get_context("forkserver")


def load(*modules: str) -> None:
    """Choose what the processes have loaded; holds where none was started yet."""
    _CONTEXT.set_forkserver_preload([*modules])


load("core.run.train", "data.loading", "reconstruction.task", "transfer_learning.task")


def start(
    module: str, arguments: Sequence[str], console: Path, environment: Mapping[str, str] | None = None
) -> BaseProcess:
    """Start a command on one thread, with more environment; what it says is added to the file `console`."""
    process = _CONTEXT.Process(target=_run, args=(module, [*arguments], console, dict(environment or {})))
    process.start()
    return process


def _run(module: str, arguments: list[str], console: Path, environment: dict[str, str]) -> None:
    import torch

    os.environ.update(environment)
    torch.set_num_threads(1)
    with console.open("a", buffering=1) as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        sys.exit(importlib.import_module(module).main(arguments))


def main(_: Sequence[str]) -> int:
    """Say what such a process has loaded."""
    print(*sys.modules)
    return 0
