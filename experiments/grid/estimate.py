"""How long the runs of a grid will take: from finished runs with like settings, else from a few steps."""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from core.files import write_json
from core.terminal.progress import duration
from experiments.ablation.format import KINDS, Compute, PretrainingRun, results_of
from experiments.evaluations import Resolution, is_number, read_json
from experiments.grid.arms import TestedArm
from experiments.grid.jobs import Work
from experiments.grid.run_folder import log_rows
from experiments.grid.workers import Worker
from experiments.page.command_lines import defaults

# What moves the time of a step much; other settings do not.
LIKE = ("width", "batch_size", "encoder", "decoder", "freeze", "perceptual_network", "perceptual_weight")
START_SECONDS = 2.0  # of a process, beside its training and scoring
SLOWEST = 3600.0  # seconds a picture: what says more was not measured
# Enough for the time of a step and that of a validation. Of three rows the first warms up, the second has so many steps
# and a validation, the third one step and one validation. Fewer steps would drown in what one validation takes more
# than the other.
STEPS = 20
MEASURED = {"max_steps": 2 * STEPS + 1, "val_every": STEPS, "save_every": 0, "save_every_steps": 0}


class Speeds:
    """Seconds a training picture, validation included, by kind of run.

    Args:
        results_dir: of the grid; the JSON of finished runs tell what they took.
        output_dir: keeps what was measured, in speeds.json.
        resolution: of the pictures of the results.
    """

    def __init__(self, results_dir: Path, output_dir: Path, resolution: Resolution) -> None:
        self._cache = output_dir / "speeds.json"
        kept = read_json(self._cache) if self._cache.exists() else {}
        known = {kind: speed for kind, speed in kept.items() if is_number(speed) and 0 < speed < SLOWEST}
        self.measured: dict[str, float] = known
        self._sums: dict[str, list[float]] = {}
        self._live: dict[str, float] = {}
        for kind in KINDS:
            phase = "reconstruction" if kind is PretrainingRun else "transfer_learning"
            for _, content in results_of(results_dir, kind):
                self._add(_kind(phase, content.settings, resolution), content.compute)

    def add(self, work: Work, compute: Compute | None) -> None:
        """Take a work into account that is finished."""
        self._add(kind_of(work), compute)

    def _add(self, kind: str, compute: Compute | None) -> None:
        if compute and compute.images:
            sums = self._sums.setdefault(kind, [0.0, 0.0])
            sums[0] += compute.seconds
            sums[1] += compute.images

    def see(self, work: Work, seconds: float, share: float) -> None:
        """Take a run under way into account: it took so long for a share of itself."""
        self._live[kind_of(work)] = seconds / (share * work.images)

    def see_rows(self, works: Iterable[Work]) -> None:
        """Take runs into account that left rows before they were stopped, or are under way in another process."""
        for work in works:
            if not work.can_begin or work.problem or self.seconds(work) is not None:
                continue
            if rows := log_rows(work.folder):
                self.see(work, sum(row.epoch_time for row in rows), min(1.0, len(rows) / work.rows))

    def seconds(self, work: Work) -> float | None:
        """Return how long a work will take from its start, None while nothing like it has been seen."""
        kind = kind_of(work)
        sums = self._sums.get(kind)
        per_image = sums[0] / sums[1] if sums else self.measured.get(kind) or self._live.get(kind)
        if per_image is None:
            return None
        # Scoring costs less than a training step a picture for the network, and more for the masks.
        scored = work.data.test_labels if isinstance(work, TestedArm) else 0
        return START_SECONDS + per_image * (work.images + scored)

    def measure(self, works: Sequence[Work], threads: int) -> None:
        """Take a few steps of each kind of work that nothing is known of, one process at a time."""
        unknown = {kind_of(work): work for work in reversed(works) if self.seconds(work) is None}
        for number, (kind, work) in enumerate(unknown.items(), start=1):
            print(f"measuring speed ({number} of {len(unknown)}): a few steps of {work.name.split(',')[0]}", flush=True)
            per_image = self._measured(work, threads)
            if per_image is not None:
                self.measured[kind] = per_image
                write_json(self._cache, self.measured)

    def _measured(self, work: Work, threads: int) -> float | None:
        folder = self._cache.parent / "speed" / sha256(kind_of(work).encode()).hexdigest()[:12]
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
        return (step * work.images / work.config.batch_size + validation * work.rows) / work.images


def left_in_words(each: Sequence[float | None], jobs: int) -> str:
    """Return in words how long runs will take, `jobs` side by side; at least how long where some are unknown (None)."""
    known = [seconds for seconds in each if seconds is not None]
    if each and not known:
        return duration(None)
    least = "more than " if len(known) < len(each) else "about "
    return least + duration(sum(known) / max(1, min(jobs, len(each))))


def kind_of(work: Work) -> str:
    """Return what runs of about the same speed have in common."""
    return _kind(work.phase, vars(work.config), work.data.resolution)


def _kind(phase: str, settings: Mapping[str, Any], resolution: Resolution) -> str:
    known = defaults(phase)
    values = {name: settings.get(name, known[name]) for name in LIKE if name in known}
    if "freeze" in values:
        values["freeze"] = values["freeze"] == "always"
    if not values.get("perceptual_weight"):
        values.pop("perceptual_network", None)
    return json.dumps([phase, values, resolution], default=str)
