"""What a paired difference says in words, and what it cannot say."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.evaluation import counted
from core.files import open_text
from experiments.page.content import setting_label
from experiments.page.tables import label, score
from experiments.paired import Difference
from experiments.runs import Run

# Settings that are named; of more, how many.
MOST_NAMED = 6


def verdict(entry: Difference, first: Run, second: Run, differ: Sequence[str]) -> str:
    """Return what a difference says of two runs.

    Args:
        entry: the second run's score minus the first's.
        first: one run.
        second: the other.
        differ: the settings in which they differ.
    """
    parts = [
        _difference(entry, second.kind),
        _seeds(first, second),
        _settings([name for name in differ if name != "seed"]),
    ]
    return " ".join(part for part in (*parts, unequal_training([first, second])) if part)


def _difference(entry: Difference, kind: str) -> str:
    """Return the difference in words, `kind` being what was scored; its sign is that of the run named first."""
    assert entry.value is not None
    entry = _ahead(entry) if entry.is_clear and entry.value < 0 else entry
    cell = score(entry.value, entry.score, entry.interval, signed=True)
    found = f"{label(entry.score)} {cell.text}"
    if entry.interval is None:
        return f"{entry.second} against {entry.first}: {found}; too few {kind}s for an interval, so nothing is shown."
    inside = f"95 % interval over {kind}s {cell.note}"
    on = counted(entry.images, kind)
    if not entry.is_clear:
        return (
            f"No difference shown between {entry.second} and {entry.first} on {on}: {found} for {entry.second} "
            f"({inside}, which contains 0)."
        )
    return f"{entry.second} scored higher than {entry.first} on {on}: {found} ({inside}, which excludes 0)."


def _ahead(entry: Difference) -> Difference:
    """Return a difference the other way round."""
    assert entry.value is not None
    assert entry.interval is not None
    low, high = entry.interval
    return replace(entry, first=entry.second, second=entry.first, value=-entry.value, interval=[-high, -low])


def _seeds(first: Run, second: Run) -> str:
    seeds = [run.training.get("seed") for run in (first, second)]
    told = f"seed {seeds[0]}" if seeds[0] == seeds[1] else f"seeds {seeds[0]} and {seeds[1]}"
    runs = "one run each" + ("" if None in seeds else f" ({told})")
    return f"That is {runs}: another seed may turn it round, so it does not say which way of training is better."


def _settings(differ: Sequence[str]) -> str:
    if len(differ) < 2:
        return ""
    names = ", ".join(map(setting_label, differ[:MOST_NAMED])) + (", ..." if len(differ) > MOST_NAMED else "")
    return f"{len(differ)} settings differ ({names}), so it cannot be put down to one of them."


def unequal_training(runs: Sequence[Run]) -> str:
    """Return how long each of the runs was trained where that is not the same for all; else nothing."""
    lengths: Mapping[str, str | None] = {run.name: trained(run) for run in runs}
    known = [words for words in lengths.values() if words]
    if len(set(known)) < 2:
        return ""
    told = ", ".join(f"{name} {words or 'unknown'}" for name, words in lengths.items())
    return f"They were trained for unequal lengths: {told}."


def trained(run: Run) -> str | None:
    """Return for how long a run was trained, by its log, else by its settings; None where neither is known."""
    training, rows = run.training, _rows(run)
    wanted: Any = training.get("extend_to") or training.get("max_steps") or training.get("epochs")
    if not training.get("max_steps"):
        return f"{rows or wanted} epochs" if rows or wanted else None
    done = min(rows * (training.get("val_every") or 1), wanted) if rows else wanted
    pictures = training.get("batch_size")
    return f"{done} steps" + (f" of {pictures} pictures" if pictures else "")


def _rows(run: Run) -> int:
    if not run.log:
        return 0
    with open_text(run.log, errors="replace", newline="") as file:
        return sum(1 for row in csv.DictReader(file) if row.get("epoch"))
