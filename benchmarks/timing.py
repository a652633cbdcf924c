"""What benchmarks time beside what `core.machine.timing` does: threads, the loops of others, ratios."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import torch

from core.errors import UserError
from core.machine.memory import give_back_freed_memory, keep_freed_memory
from core.machine.timing import Spent, Summary, Times, interleaved, nothing, summary


def require_proc() -> None:
    """Raise UserError on a system without /proc."""
    if not Path("/proc/self/stat").exists():
        raise UserError("time and memory of processes are read from /proc, which only Linux has: run this there")


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


class OfOthers:
    """An arm that is not ours: the process has its memory as a process of their own would, while it has its turn."""

    def __init__(self, arm: Callable[[], Any]) -> None:
        self.arm = arm

    def before(self) -> None:
        """Undo what our own commands change."""
        give_back_freed_memory()
        getattr(self.arm, "before", nothing)()

    def __call__(self) -> None:
        """Have a turn."""
        self.arm()

    def after(self) -> None:
        """Change it again."""
        getattr(self.arm, "after", nothing)()
        keep_freed_memory()


def timed(what: str, arms: Mapping[str, Callable[[], Any]], repeats: int, device: torch.device) -> Times:
    """Return what `interleaved` does, with a bar that is named after what is timed."""
    from rich.progress import Progress

    with Progress() as progress:
        task = progress.add_task(what, total=repeats + 1)
        return interleaved(arms, repeats, device, on_round=lambda: progress.advance(task))


def ratios(slow: Sequence[Spent], fast: Sequence[Spent]) -> dict[str, Summary]:
    """Return the summaries of slow / fast, by `wall` and by `processor`.

    Round by round: what both saw of the machine's other work cancels out.
    """
    pairs = list(zip(slow, fast, strict=True))
    return {
        kind: summary([getattr(one, kind) / getattr(other, kind) for one, other in pairs]) for kind in Spent._fields
    }
