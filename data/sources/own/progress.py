"""Going through many files with threads, and showing how far it is."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from core.terminal.progress import track
from data.preparing.processing import bounded_map
from data.sources.own.config import ReadingConfig

Item = TypeVar("Item")
Result = TypeVar("Result")


def with_progress(
    title: str, total: int, config: ReadingConfig, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Map over threads, in order, and show how far it is."""
    return track(bounded_map(function, items, config.workers or processors()), title, total, transient=True)


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
