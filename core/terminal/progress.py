"""How far a work is: a bar on a terminal, a line now and then in a file or a pipe."""

import math
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from core.terminal.screen import screen

Item = TypeVar("Item")

# Where no bar can be drawn, a line says so often that the work is alive.
HEARTBEAT_SECONDS = 30.0
# The first step warms up, and of a moment nothing can be told.
FEWEST_DONE, SHORTEST = 2, 1.0


def track(
    items: Iterable[Item], what: str, total: int, done: int = 0, unit: str = "", transient: bool = False
) -> Iterator[Item]:
    """Yield items and show how far they are.

    Args:
        items: those that are to do.
        what: is done with them, in words.
        total: how many there are, those that were done before included.
        done: how many were done before.
        unit: what they are, to show so many a second.
        transient: leave nothing on the screen, and no line at the end.
    """
    with bar(*([_Rate(unit)] if unit else []), Clock(), transient=transient) as progress:
        task = progress.add_task(what, total=total, completed=done)
        started = said = time.perf_counter()
        before = done
        for item in items:
            yield item
            done += 1
            progress.advance(task)
            now = time.perf_counter()
            if progress.disable and now - said >= HEARTBEAT_SECONDS and done < total:
                said = now
                left = time_left(now - started, done - before, total - done)
                print(f"{what}: {done} of {total}{f', about {duration(left)} left' if left else ''}", flush=True)
    if progress.disable and not transient:
        print(f"{what}: {done} of {total} in {duration(time.perf_counter() - started)}", flush=True)


def bar(*columns: ProgressColumn, transient: bool = False) -> Progress:
    """Return a bar with its description before and these columns behind it; nothing is drawn but on a terminal."""
    console = screen()
    text = TextColumn("{task.description}", markup=False)
    drawn = not console.is_terminal
    return Progress(
        text, BarColumn(), MofNCompleteColumn(), *columns, console=console, transient=transient, disable=drawn
    )


class Clock(ProgressColumn):
    """How long it has taken and how long it will take, each said to be what it is."""

    def render(self, task: Task) -> Text:
        """Return both in words; the time left once something is known of it."""
        elapsed, left = task.elapsed or 0.0, None if task.finished else task.time_remaining
        return Text(f"{duration(elapsed)} elapsed" + (f", about {duration(left)} left" if left else ""))


class _Rate(ProgressColumn):
    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} {self.unit}/s" if task.speed else "")


def time_left(elapsed: float, done: int, left: int) -> float | None:
    """Return how many seconds the rest will take, None while too little is done to say so."""
    return elapsed / done * left if done >= FEWEST_DONE and elapsed >= SHORTEST else None


def duration(seconds: float | None) -> str:
    """Return a length of time as one says it, "?" for an unknown one; a second at least unless it is none."""
    if seconds is None or not math.isfinite(seconds):
        return "?"
    if round(seconds) < 60:
        return f"{max(round(seconds), 1 if seconds > 0 else 0)} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min"
