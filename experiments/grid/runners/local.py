"""Works as processes of this machine."""

import os
from collections.abc import Sequence

from experiments.grid.jobs import Work
from experiments.grid.workers import Command, Worker


class Local:
    """So many processes side by side, each with its share of the cores; see `Runner`."""

    where = ""

    def __init__(self, jobs: int) -> None:
        self.slots, self.threads = jobs, threads_of(jobs)

    def start(self, work: Work, commands: Sequence[Command]) -> Worker:
        """Fork a process that runs commands one after the other."""
        return Worker(commands, work.console, self.threads)

    def close(self) -> None:
        """Do nothing: processes end by themselves."""


def side_by_side() -> int:
    """Return how many trainings go side by side where nothing is asked: one a core, or one where all share a GPU."""
    from core.machine.device import resolve_device  # torch, which a command line is spared

    return threads_of(1) if resolve_device("auto").type == "cpu" else 1


def threads_of(jobs: int) -> int:
    """Return the threads of each of so many trainings: their share of OMP_NUM_THREADS, else of the cores at hand."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    cores = (
        int(given) if given.isdigit() else len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    )
    return max(1, (cores or os.cpu_count() or 1) // jobs)
