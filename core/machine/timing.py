"""Timing things against each other on machines that are never quiet: in turns, many times.

By the clock, and by what the processor spent: that of workers counts too, wherever they run.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from core.files import read_text


class Spent(NamedTuple):
    """What a piece of work took, in seconds: by the clock, and of the processor, workers included."""

    wall: float
    processor: float


Times = dict[str, list[Spent]]
Summary = dict[str, float | int]


def processor_seconds() -> float:
    """Return what this process and all that it started took of the processor so far: those that go on, and the ended.

    Of its own in nanoseconds, of workers in hundredths of a second.
    """
    # Asked for first: it waits for those that have ended, which then count as ended.
    living = multiprocessing.active_children()
    ended = os.times()
    return time.process_time() + ended.children_user + ended.children_system + sum(_of_worker(p.pid) for p in living)


def _of_worker(pid: int | None) -> float:
    try:
        said = read_text(Path(f"/proc/{pid}/stat"))
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    user, system = said.rpartition(")")[2].split()[11:13]  # fields 14 and 15 of proc_pid_stat(5)
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def spent_on(work: Callable[[], Any], device: torch.device) -> Spent:
    """Return what a piece of work takes, on a GPU until it is done there."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    before, started = processor_seconds(), time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return Spent(time.perf_counter() - started, processor_seconds() - before)


def nothing() -> None:
    """Do nothing."""


def interleaved(
    arms: Mapping[str, Callable[[], Any]],
    repeats: int,
    device: torch.device,
    on_round: Callable[[], Any] = nothing,
) -> Times:
    """Time every arm once a round, `repeats` rounds after one that warms up and is thrown away.

    An arm may have methods `before` and `after`, which are called around its turn and not timed.
    The order turns round from one round to the next, so that no arm always follows the same neighbour.
    """
    times: Times = {name: [] for name in arms}
    for turn in range(repeats + 1):
        names = list(arms)[:: 1 if turn % 2 else -1]
        for name in names:
            getattr(arms[name], "before", nothing)()
            spent = spent_on(arms[name], device)
            getattr(arms[name], "after", nothing)()
            if turn:
                times[name].append(spent)
        on_round()
    return times


def summary(values: Sequence[float]) -> Summary:
    """Return median, smallest, largest and number of values."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "repeats": len(values)}


def rates(times: Times, images: int) -> dict[str, dict[str, Summary]]:
    """Return the speed of each arm from its rounds of so many images.

    `images_per_second` by the clock, and `processor_milliseconds` an image.
    """
    return {
        name: {
            "images_per_second": summary([images / spent.wall for spent in values]),
            "processor_milliseconds": summary([1000 * spent.processor / images for spent in values]),
        }
        for name, values in times.items()
    }
