"""What a person sees while a grid runs: bars on a terminal, lines in a file or a pipe."""

import re
import sys
import time
from collections.abc import Sequence

from rich.progress import BarColumn, Progress, TaskID, TextColumn

from core.errors import UserError
from core.files import open_bytes
from core.terminal.screen import screen
from experiments.ablation.format import read
from experiments.grid.estimate import START_SECONDS, Speeds, left_in_words
from experiments.grid.jobs import PretrainingWork, Work
from experiments.grid.queue import Running, as_line
from experiments.grid.run_folder import log_rows

LOOK_SECONDS = 1.0
# Where no bar can be drawn, a line says so often what is under way.
HEARTBEAT_SECONDS = 60.0
TAIL = 4096


class Console:
    """Says what begins, ends and fails; shows what is under way, how many are finished, and the time left.

    Args:
        total, done: runs of the grid, and how many of them were finished before.
        speeds: what is known of the time that runs take; learns from those that finish.
        jobs: runs side by side.
        verbose: show commands.
    """

    def __init__(self, total: int, done: int, speeds: Speeds, jobs: int, verbose: bool) -> None:
        self.total, self.done, self.speeds, self.jobs, self.verbose = total, done, speeds, jobs, verbose
        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[said]}", markup=False),
            console=screen(),
            transient=True,
        )
        self._bars.disable = not self._bars.console.is_terminal
        self._whole = self._bars.add_task("grid", total=total, completed=done, said="")
        self._rows: dict[Work, TaskID] = {}
        self._first: dict[Work, float] = {}
        self._waiting: set[Work] = set()
        self._shares: dict[Work, float] = {}  # of runs that wait: they do not change
        self._looked = self._said = time.perf_counter()

    def __enter__(self) -> "Console":
        self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bars.stop()

    def started(self, work: Work) -> None:
        """Show a run as under way."""
        self._first[work] = share_done(work)
        self._rows[work] = self._bars.add_task(work.name, total=1.0, said="")
        again = "again: " if self._first[work] else ""
        self._say(f"begins    {again}{work.name}")
        if self.verbose:
            for command in work.commands():
                self._say(f"          {as_line(command)}")

    def finished(self, work: Work, outcome: str) -> None:
        """Say what came out of a run."""
        self.done += 1
        self.speeds.add(work, read(work.file, work.leaves).compute)
        self._gone(work)
        self._say(f"finished  {work.name}: {outcome}  ({self.done} of {self.total})")

    def failed(self, work: Work, problem: str) -> None:
        """Say why a run failed."""
        self._gone(work)
        self._say(f"FAILED    {work.name}: {problem}", error=True)

    def lost(self, work: Work, reason: str) -> None:
        """Say why a run begins again."""
        self._gone(work)
        self._say(f"LOST      {work.name}: {reason}; it begins again", error=True)

    def waits(self, work: Work) -> None:
        """Say once that a run folder is in use."""
        if work not in self._waiting:
            self._waiting.add(work)
            self._say(f"waits     {work.name}: another process still writes to {work.folder}")

    def no_room(self) -> None:
        """Say that the grid waits for a node."""
        self._say("waits     for a node: none with room is there (Ctrl-C stops, the same command goes on)", error=True)

    def look(self, running: Sequence[Running], left: Sequence[Work]) -> None:
        """Look at the runs under way, once a second."""
        now = time.perf_counter()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        seconds = [seconds_left(self.speeds, work, self._shares) for work in left]
        for entry in running:
            share = share_done(entry.work)
            gained = share - self._first[entry.work]
            if gained > 0:
                self.speeds.see(entry.work, now - entry.started, gained)
            whole = self.speeds.seconds(entry.work)
            seconds.append(None if whole is None else whole * (1 - share))
            self._bars.update(self._rows[entry.work], completed=share, said=last_score(entry.work))
        said = f"{self.done} of {self.total} finished, {left_in_words(seconds, self.jobs)} left"
        self._bars.update(self._whole, completed=self.done, said=said)
        if self._bars.disable and now - self._said > HEARTBEAT_SECONDS:
            under_way = "; ".join(f"{entry.work.name}: {last_score(entry.work) or 'starting'}" for entry in running)
            self._say(f"{said}; under way: {under_way}")

    def _gone(self, work: Work) -> None:
        if work in self._rows:
            self._bars.remove_task(self._rows.pop(work))

    def _say(self, line: str, error: bool = False) -> None:
        self._said = time.perf_counter()
        if not self._bars.disable:
            self._bars.console.print(line, highlight=False, soft_wrap=True, markup=False)
        else:
            print(line, file=sys.stderr if error else sys.stdout, flush=True)


def share_done(work: Work) -> float:
    """Return how much of a run's training is done, in [0, 1], from its log and its console output."""
    share = len(log_rows(work.folder)) / work.rows
    if work.console.exists():
        with open_bytes(work.console) as file:
            file.seek(max(0, work.console.stat().st_size - TAIL))
            steps = re.findall(rb"step (\d+)/(\d+)", file.read())
        share = max([share, *(int(step) / int(total) for step, total in steps[-1:])])
    return min(1.0, share)


def seconds_left(speeds: Speeds, work: Work, known: dict[Work, float]) -> float | None:
    """Return how long the rest of a run that waits will take, None while nothing like it has been seen.

    Args:
        speeds: of runs like it.
        work: the run.
        known: how much of a run is done, by run; filled here.
    """
    whole = speeds.seconds(work)
    if whole is None:
        return None
    if not work.can_begin:
        return START_SECONDS if work.trained_before else whole  # of a trained one, scoring is left
    if work not in known:
        try:
            known[work] = share_done(work)
        except UserError:  # training broke at every rate: it will fail at once
            known[work] = 1.0
    return whole * (1 - known[work])


def last_score(work: Work) -> str:
    """Return the last row of a run's log in words, empty before the first."""
    rows = log_rows(work.folder)
    if not rows:
        return ""
    score = "val_loss" if isinstance(work, PretrainingWork) else "mean_iou"
    value = getattr(rows[-1], score)
    return f"row {rows[-1].epoch}/{work.rows}, {score} {'–' if value is None else f'{value:.4f}'}"
