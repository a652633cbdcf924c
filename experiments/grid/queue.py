"""Running the works of a grid: so many side by side as there is room for, each with its console output in a file."""

import contextlib
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from core.errors import UserError
from core.files import open_bytes
from experiments.grid.jobs import Work
from experiments.grid.run_folder import is_free
from experiments.grid.runners.runner import Process, Runner
from experiments.grid.workers import Command

LOOK_SECONDS = 0.2
MAY_BE_LOST = 3  # times, in one call: a work that is the death of its nodes is to end some time


@dataclass
class Running:
    """A work under way.

    Args:
        said_before: bytes of its console output that earlier attempts left.
        started: moment of `time.perf_counter`.
    """

    work: Work
    process: Process
    said_before: int
    started: float


class Watcher(Protocol):
    """Who is told what happens."""

    def started(self, work: Work) -> None:
        """A process begins."""

    def finished(self, work: Work, outcome: str) -> None:
        """A work has left its JSON."""

    def failed(self, work: Work, problem: str) -> None:
        """A work has failed, for this call."""

    def lost(self, work: Work, reason: str) -> None:
        """A work ended with the node that it ran on, and will begin again."""

    def no_room(self) -> None:
        """Nothing is there any more that a work could run on; said once."""

    def waits(self, work: Work) -> None:
        """Another process, perhaps of an earlier call, still writes to its run folder."""

    def look(self, running: Sequence[Running], left: Sequence[Work]) -> None:
        """Time passes."""


class Queue:
    """Work off works, each after what it needs; those whose needs failed are left.

    Args:
        works: those that are not finished, in the order in which they are to begin.
        runner: runs them, and says how many side by side.
        watcher: is told what happens.

    Attributes:
        failed: work -> problem, of those that failed in this call.
    """

    def __init__(self, works: Sequence[Work], runner: Runner, watcher: Watcher) -> None:
        self.left, self.runner, self.watcher = list(works), runner, watcher
        self.running: list[Running] = []
        self.failed: dict[Work, str] = {}
        self._lost: Counter[Work] = Counter()
        self._told_no_room = False
        self.pending = set(works)

    def run(self) -> None:
        """Run until nothing is left that could; on Ctrl-C or SIGTERM the processes save and leave first."""
        try:
            while self._start_what_can() or self.running or self._waiting():
                time.sleep(LOOK_SECONDS)
                for entry in [entry for entry in self.running if entry.process.poll() is not None]:
                    self.running.remove(entry)
                    self._ended(entry)
                self.watcher.look(self.running, self.left)
        finally:
            self._stop()

    def blocked_by(self, work: Work) -> Work | None:
        """Return the failed work that a work waits for, directly or not."""
        for need in work.needs:
            found = need if need in self.failed else self.blocked_by(need)
            if found:
                return found
        return None

    def _ready(self, work: Work) -> bool:
        return not any(need in self.pending for need in work.needs)

    def _waiting(self) -> list[Work]:
        return [work for work in self.left if self._ready(work)]

    def _start_what_can(self) -> bool:
        begun = False
        busy = {entry.work.folder for entry in self.running}
        waiting = self._waiting()
        slots = self.runner.slots if waiting else 0
        if waiting and not slots and not self._told_no_room:
            self._told_no_room = True
            self.watcher.no_room()
        for work in waiting:
            if len(self.running) >= slots:
                break
            try:
                if work.folder in busy:
                    continue
                if not is_free(work.folder):
                    self.watcher.waits(work)
                    continue
                self.left.remove(work)
                self.running.append(self._started(work))
            except UserError as error:  # its rate cannot be chosen, or nothing takes it
                self._fail(work, str(error))
                continue
            busy.add(work.folder)
            begun = True
        return begun

    def _started(self, work: Work) -> Running:
        work.folder.mkdir(parents=True, exist_ok=True)
        (work.folder / "failed.txt").unlink(missing_ok=True)
        commands = work.commands()
        (work.folder / "command.txt").write_text(
            "".join(f"{line}\n" for line in map(as_line, commands)), encoding="utf-8"
        )
        said = work.console.stat().st_size if work.console.exists() else 0
        self.watcher.started(work)
        return Running(work, self.runner.start(work, commands), said, time.perf_counter())

    def _ended(self, entry: Running) -> None:
        work = entry.work
        if entry.process.lost:
            self._begins_again(work, entry.process.lost)
            return
        code = entry.process.returncode
        problem = None if code == 0 else last_words(entry)
        try:
            if problem and not work.excused(problem):
                self._fail(work, problem)
                return
            outcome = f"this rate lost: {problem}" if problem else work.finish()
        except UserError as error:
            self._fail(work, str(error))
            return
        except (OSError, KeyError, TypeError, ValueError) as error:
            self._fail(work, f"what it left in {work.folder} cannot be read ({type(error).__name__}: {error})")
            return
        self.pending.discard(work)
        self.watcher.finished(work, outcome)

    def _begins_again(self, work: Work, reason: str) -> None:
        self._lost[work] += 1
        if self._lost[work] > MAY_BE_LOST:
            self._fail(work, f"lost {self._lost[work]} times, the last time because {reason}")
            return
        self.left.insert(0, work)
        self.watcher.lost(work, reason)

    def _fail(self, work: Work, problem: str) -> None:
        self.failed[work] = problem
        if work in self.left:
            self.left.remove(work)
        with contextlib.suppress(UserError):
            work.folder.mkdir(parents=True, exist_ok=True)
            (work.folder / "failed.txt").write_text(f"{problem}\n", encoding="utf-8")
        self.watcher.failed(work, problem)

    def _stop(self) -> None:
        if not self.running:
            return
        print(
            f"stopping: {len(self.running)} under way save and leave (once more: at once)", file=sys.stderr, flush=True
        )
        for entry in self.running:
            entry.process.terminate()
        try:
            for entry in self.running:
                entry.process.wait()
        except BaseException:
            for entry in self.running:
                entry.process.kill()
            raise


def as_line(command: Command) -> str:
    """Return a command as one would type it."""
    module, words = command
    return shlex.join(["python", "-m", module, *words])


def last_words(entry: Running) -> str:
    """Return the line with which a process failed, and where all of its output is."""
    console = entry.work.console
    with open_bytes(console) as file:
        file.seek(entry.said_before)
        lines = [line.strip() for line in file.read().decode("utf-8", errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    code = entry.process.returncode
    assert code is not None, "it has ended"
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    said = (errors or lines or ["it said nothing"])[-1].removeprefix("error: ")
    return f"{said} ({ended}; {console})"
