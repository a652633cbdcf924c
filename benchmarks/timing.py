"""Timing things against each other on machines that are never quiet: in turns, many times, as ratios."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from core.machine.memory import give_back_freed_memory, keep_freed_memory

Times = dict[str, list[float]]


def seconds_of(work: Callable[[], Any], device: torch.device) -> float:
    """Return how long a piece of work takes, on a GPU until it is done there."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


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
            seconds = seconds_of(arms[name], device)
            getattr(arms[name], "after", _nothing)()
            if turn:
                times[name].append(seconds)
        on_round()
    return times


def summary(values: Sequence[float]) -> dict[str, float | int]:
    """Return median, smallest, largest and number of values."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values), "repeats": len(values)}


def ratios(slow: Sequence[float], fast: Sequence[float]) -> dict[str, float | int]:
    """Return the summary of slow / fast, round by round: what both saw of the machine's other work cancels out."""
    return summary([a / b for a, b in zip(slow, fast, strict=True)])


def rates(times: Times, images: int) -> dict[str, dict[str, float | int]]:
    """Return images a second of each arm, from its seconds a round of so many images."""
    return {name: summary([images / seconds for seconds in values]) for name, values in times.items()}
