"""Going through many files with threads, and showing how far it is."""

import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.progress import Progress

from data.preparing.processing import bounded_map
from data.sources.own.config import ReadingConfig

Item = TypeVar("Item")
Result = TypeVar("Result")


def with_progress(
    title: str, total: int, config: ReadingConfig, function: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """Map over threads, in order; a bar shows it on a terminal."""
    with Progress(transient=True) as bar:
        bar.disable = not bar.console.is_terminal
        task = bar.add_task(title, total=total)
        for result in bounded_map(function, items, config.workers or processors()):
            yield result
            bar.advance(task)


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
