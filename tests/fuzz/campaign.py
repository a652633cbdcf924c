"""Many cases side by side, each with a time of its own: what hangs or crashes costs one case."""

import json
import math
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

import ready_processes

from fuzz.case import AGAIN
from fuzz.judge import BAD, GOOD, Verdict, summary

SECONDS = 20.0


@dataclass
class Result:
    """A case that is over."""

    name: str
    how: str
    verdict: Verdict

    @property
    def target(self) -> str:
        """What was damaged."""
        return self.name.split(":")[0]


@dataclass
class Running:
    """A case that is not."""

    name: str
    folder: Path
    process: BaseProcess
    seconds: float
    worked: float = -1.0
    idle_since: float = 0.0

    def hangs(self) -> bool:
        """Say whether it has waited for so many seconds without working, however busy the machine is.

        (What works for too long is ended by its own limit; see `case.main`.)
        """
        now, worked = time.monotonic(), _seconds_worked(self.process.pid)
        if worked != self.worked:
            self.worked, self.idle_since = worked, now
        return now - self.idle_since > self.seconds


def _seconds_worked(pid: int | None) -> float | None:
    """Return what a process has had of processors; None where the system doesn't say, NaN while it waits for one."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return math.nan if state == "R" else float(fields[10]) + float(fields[11])


def make_corpus(folder: Path) -> Path:
    """Make what is damaged; returns where it lies."""
    corpus = folder / "corpus"
    folder.mkdir(parents=True, exist_ok=True)
    console = folder / "corpus.txt"
    console.write_text("")
    ready_processes.load("fuzz.everything", "fuzz.case")
    process = ready_processes.start("fuzz.corpus", [str(corpus)], console)
    process.join()
    if process.exitcode:
        sys.exit(f"the whole inputs could not be made: {console.read_text()[-2000:]}")
    return corpus


def run_cases(
    names: Sequence[str], folder: Path, corpus: Path, jobs: int, seconds: float = SECONDS, until: float | None = None
) -> Iterator[Result]:
    """Yield the cases as they end; none begins after `until` (time.monotonic)."""
    todo, running = list(reversed(names)), []
    while todo or running:
        if until and time.monotonic() > until:
            todo.clear()
        while todo and len(running) < jobs:
            running.append(_start(todo.pop(), folder, corpus, seconds))
        if not running:
            return
        wait([case.process.sentinel for case in running], timeout=0.2)
        for case in [case for case in running if not case.process.is_alive() or case.hangs()]:
            running.remove(case)
            verdict = _end(case)
            if verdict.outcome == AGAIN:
                todo.append(case.name)
            else:
                yield Result(case.name, _read(case.folder / "how.txt"), verdict)
            if not verdict.is_bad:
                shutil.rmtree(case.folder, ignore_errors=True)


def _start(name: str, folder: Path, corpus: Path, seconds: float) -> Running:
    own = folder / name.replace(":", "_")
    shutil.rmtree(own, ignore_errors=True)
    process = ready_processes.start("fuzz.case", [name, str(own), str(corpus)], folder / "cases.txt")
    return Running(name, own, process, seconds)


def _end(case: Running) -> Verdict:
    if case.process.is_alive():
        case.process.kill()
        case.process.join()
        return Verdict("hang", _read(case.folder / "console.txt")[-200:])
    case.process.join()
    if case.process.exitcode == -signal.SIGXCPU:
        return Verdict("hang", f"works without end: {_read(case.folder / 'console.txt')[-200:]}")
    with suppress(OSError, ValueError):
        return Verdict(**json.loads((case.folder / "verdict.json").read_text()))
    return Verdict("crash", f"exit code {case.process.exitcode}: {_read(case.folder / 'console.txt')[-300:]}")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def table(results: Sequence[Result]) -> str:
    """Return the outcomes by target as text, and what a case takes of a processor."""
    targets = sorted({result.target for result in results})
    shown = [
        name for name in (*GOOD, *BAD) if name in GOOD or any(result.verdict.outcome == name for result in results)
    ]
    rows = [["target", "cases", "s each", *shown]]
    for target in (*targets, "all"):
        of_target = [result for result in results if target in (result.target, "all")]
        counts = summary(result.verdict for result in of_target)
        seconds = sum(result.verdict.seconds for result in of_target) / max(1, len(of_target))
        rows.append([target, str(len(of_target)), f"{seconds:.2f}", *(str(counts[name] or "") for name in shown)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


def content(results: Sequence[Result]) -> dict[str, object]:
    """Return the outcomes as JSON values: counts by target, and every case that ended badly."""
    targets = sorted({result.target for result in results})
    return {
        "cases": len(results),
        "targets": {name: summary(r.verdict for r in results if r.target == name) for name in targets},
        "all": summary(result.verdict for result in results),
        "bad": [
            {"case": r.name, "outcome": r.verdict.outcome, "how": r.how, "why": r.verdict.why}
            for r in results
            if r.verdict.is_bad
        ],
    }
