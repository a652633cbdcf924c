"""How long the runs of a grid will take: from runs with like settings, else from a few steps, else by a guess."""

import shutil
import sys
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path

from core.machine.processor import cpu_name, words_of
from core.terminal.progress import duration
from experiments.ablation.costs import Compute
from experiments.ablation.format import PretrainingRun, Result
from experiments.evaluations import Resolution
from experiments.grid.arms import TestedArm
from experiments.grid.jobs import Work
from experiments.grid.run_folder import log_rows
from experiments.grid.speed_model import keep, kept, kind_of, scaled
from experiments.grid.workers import Worker

KEPT_FROM = 500  # pictures: the time of a shorter run is mostly that of its validation
START_SECONDS = 2.0  # of a process, beside its training and scoring
# Enough for the time of a step and that of a validation. Of three rows the first warms up, the second has so many steps
# and a validation, the third one step and one validation. Fewer steps would drown in what one validation takes more
# than the other.
STEPS = 20
MEASURED = {"max_steps": 2 * STEPS + 1, "val_every": STEPS, "save_every": 0, "save_every_steps": 0, "tracker": []}


class Speeds:
    """Seconds a training picture, validation included, by kind of run; other passes count as shares of a picture.

    What ran on this processor counts first: in this grid, or before (`speed_model.kept`). Of another kind of run, and
    of runs on another processor, the time is a guess.

    Args:
        results: of finished runs of the grid, which tell what they took.
        output_dir: where a few steps are taken to measure.
        resolution: of the pictures of the results.
        threads: of each training.
    """

    def __init__(self, results: Iterable[Result], output_dir: Path, resolution: Resolution, threads: int = 1) -> None:
        self._output_dir = output_dir
        self._here = f"cpu ({cpu_name()}, {threads} threads)"
        self.measured = kept(self._is_here)
        self._sums: dict[bool, dict[str, list[float]]] = {True: {}, False: {}}  # by whether it was here
        self._live: dict[str, float] = {}
        for content in results:
            phase = "reconstruction" if isinstance(content, PretrainingRun) else "transfer_learning"
            self._add(kind_of(phase, content.settings, resolution), content.compute)

    def _is_here(self, device: str) -> bool:
        """Say whether a device is one that runs of this grid compute on; which GPU it would be takes torch to say."""
        called = self._as_called_here(device)
        return called == self._here if device.startswith("cpu (") else Path("/dev/nvidia0").exists()

    def _as_called_here(self, device: str) -> str:
        return self._here if words_of(device) == words_of(self._here) else device

    def add(self, work: Work, compute: Compute | None) -> None:
        """Take a work into account that is finished, and keep its speed for other grids."""
        kind = _kind(work)
        self._add(kind, compute)
        if compute and compute.images >= KEPT_FROM and compute.seconds and compute.device:
            keep(self._as_called_here(compute.device), kind, compute.seconds / _learned(compute.picture_passes))

    def _add(self, kind: str, compute: Compute | None) -> None:
        if compute and compute.images:
            sums = self._sums[self._is_here(compute.device)].setdefault(kind, [0.0, 0.0])
            sums[0] += compute.seconds
            sums[1] += _learned(compute.picture_passes)

    def see(self, work: Work, seconds: float, share: float) -> None:
        """Take a run under way into account: it took so long for a share of itself."""
        self._live[_kind(work)] = seconds / (share * _learned(work.passes))

    def see_rows(self, works: Iterable[Work]) -> None:
        """Take runs into account that left rows before they were stopped, or are under way in another process."""
        for work in works:
            if not work.can_begin or work.problem or self._known(work) is not None:
                continue
            if rows := log_rows(work.folder):
                self.see(work, sum(row.epoch_time for row in rows), min(1.0, len(rows) / work.rows))

    def seconds(self, work: Work) -> float | None:
        """Return how long a work will take from its start, None while nothing that tells has been seen."""
        per_image = self._known(work) or self._guessed(work)
        if per_image is None:
            return None
        # Scoring costs less than a training step a picture for the network, and more for the masks.
        scored = work.data.test_labels if isinstance(work, TestedArm) else 0
        return START_SECONDS + per_image * (_learned(work.passes) + scored)

    def is_guess(self, work: Work) -> bool:
        """Say whether a work is judged by runs of another kind, or on another processor."""
        return self._known(work) is None

    def _known(self, work: Work) -> float | None:
        kind = _kind(work)
        sums = self._sums[True].get(kind)
        return sums[0] / sums[1] if sums else self.measured.get(kind) or self._live.get(kind)

    def _guessed(self, work: Work) -> float | None:
        kind = _kind(work)
        here, elsewhere = ({name: s / i for name, (s, i) in self._sums[place].items()} for place in (True, False))
        return elsewhere.get(kind) or scaled({**self.measured, **here}, kind) or scaled(elsewhere, kind)

    def measure(self, works: Sequence[Work], threads: int) -> None:
        """Take a few steps of each kind of work that nothing is known of, one process at a time."""
        unknown = {_kind(work): work for work in reversed(works) if self._known(work) is None}
        for number, (kind, work) in enumerate(unknown.items(), start=1):
            print(f"measuring speed ({number} of {len(unknown)}): a few steps of {work.name.split(',')[0]}", flush=True)
            per_image = self._measured(work, threads)
            if per_image is not None:
                self.measured[kind] = per_image
                keep(self._here, kind, per_image)

    def _measured(self, work: Work, threads: int) -> float | None:
        folder = self._output_dir / "speed" / sha256(_kind(work).encode()).hexdigest()[:12]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        process = Worker([work.command_at(folder, **MEASURED | work.untransferred)], folder / "console.txt", threads)
        try:
            if process.wait():
                said = (folder / "console.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
                print(f"note: not measured: {said[-1] if said else 'it said nothing'}", file=sys.stderr)
                return None
            _, many, single = (row.epoch_time for row in log_rows(folder))
        finally:
            process.kill()
            process.wait()
            shutil.rmtree(folder, ignore_errors=True)
        step = (many - single) / (STEPS - 1)
        if step <= 0:  # the machine was busy with other things
            return None
        validation = max(single - step, 0.0)
        steps = work.images / work.config.batch_size
        return (step * steps + validation * work.rows) / _learned(work.passes)


def _learned(passes: int) -> float:
    """Return to how many learned pictures so many passes come: each takes 3, a teacher's look at one 1."""
    return passes / 3


def left_in_words(each: Sequence[float | None], jobs: int) -> str:
    """Return in words how long runs will take, `jobs` side by side; at least how long where some are unknown (None)."""
    known = [seconds for seconds in each if seconds is not None]
    if each and not known:
        return duration(None)
    least = "more than " if len(known) < len(each) else "about "
    return least + duration(sum(known) / max(1, min(jobs, len(each))))


def _kind(work: Work) -> str:
    return kind_of(work.phase, vars(work.config), work.data.resolution)
