"""Timing things against each other on machines that are never quiet: in turns, many times, as ratios.

By the clock, and by what the processor spent: that of workers counts too, wherever they run.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import torch

from core.errors import UserError
from core.machine.memory import give_back_freed_memory, keep_freed_memory


class Spent(NamedTuple):
    """What a piece of work took, in seconds: by the clock, and of the processor, workers included."""

    wall: float
    processor: float


Times = dict[str, list[Spent]]
Summary = dict[str, float | int]


def require_proc() -> None:
    """Raise UserError on a system without /proc."""
    if not Path("/proc/self/stat").exists():
        raise UserError("time and memory of processes are read from /proc, which only Linux has: run this there")


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
        said = Path(f"/proc/{pid}/stat").read_text()
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


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch and OpenCV compute with so many threads; workers, and threads that read or score, are as they are."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(count)
    cv2.setNumThreads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def thread_counts(given: Sequence[int]) -> list[int]:
    """Return the numbers of threads to measure with, each once: those that were given, or all cores, and one."""
    return list(dict.fromkeys(given or (torch.get_num_threads(), 1)))


def _nothing() -> None:
    pass


class OfOthers:
    """An arm that is not ours: the process has its memory as a process of their own would, while it has its turn."""

    def __init__(self, arm: Callable[[], Any]) -> None:
        self.arm = arm

    def before(self) -> None:
        """Undo what our own commands change."""
        give_back_freed_memory()
        getattr(self.arm, "before", _nothing)()

    def __call__(self) -> None:
        """Have a turn."""
        self.arm()

    def after(self) -> None:
        """Change it again."""
        getattr(self.arm, "after", _nothing)()
        keep_freed_memory()


def interleaved(
    arms: Mapping[str, Callable[[], Any]],
    repeats: int,
    device: torch.device,
    on_round: Callable[[], Any] = _nothing,
) -> Times:
    """Time every arm once a round, `repeats` rounds after one that warms up and is thrown away.

    An arm may have methods `before` and `after`, which are called around its turn and not timed.
    The order turns round from one round to the next, so that no arm always follows the same neighbour.
    """
    times: Times = {name: [] for name in arms}
    for turn in range(repeats + 1):
        names = list(arms)[:: 1 if turn % 2 else -1]
        for name in names:
            getattr(arms[name], "before", _nothing)()
            spent = spent_on(arms[name], device)
            getattr(arms[name], "after", _nothing)()
            if turn:
                times[name].append(spent)
        on_round()
    return times


def timed(what: str, arms: Mapping[str, Callable[[], Any]], repeats: int, device: torch.device) -> Times:
    """Return what `interleaved` does, with a bar that is named after what is timed."""
    from rich.progress import Progress

    with Progress() as progress:
        task = progress.add_task(what, total=repeats + 1)
        return interleaved(arms, repeats, device, on_round=lambda: progress.advance(task))


def summary(values: Sequence[float]) -> Summary:
    """Return median, smallest, largest and number of values."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "repeats": len(values)}


def ratios(slow: Sequence[Spent], fast: Sequence[Spent]) -> dict[str, Summary]:
    """Return the summaries of slow / fast, by `wall` and by `processor`.

    Round by round: what both saw of the machine's other work cancels out.
    """
    pairs = list(zip(slow, fast, strict=True))
    return {
        kind: summary([getattr(one, kind) / getattr(other, kind) for one, other in pairs]) for kind in Spent._fields
    }


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
