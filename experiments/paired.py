"""Paired differences between two runs over the same images, from the evaluations' `per_image.csv`.

Images are drawn with replacement, the same ones for both runs (paired bootstrap, Efron 1979), so that what makes an
image hard for both cancels out. The interval says how much the choice of images matters; seeds are another matter.
"""

import csv
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.statistics import interval, mean_interval, resampled_sums
from experiments.runs import Run
from transfer_learning.scores.confusion import scores_of_matrices

# With more runs than this, only pairs with the first one.
ALL_PAIRS = 4


@dataclass(frozen=True)
class Difference:
    """How far the second run is ahead of the first.

    Args:
        score: key of the score, as in the JSON.
        images: number of images that both have.
        value: second minus first; None where `problem` says why there is none.
        interval: 95 % of the resampled differences lie in it.
    """

    first: str
    second: str
    score: str = ""
    images: int = 0
    value: float | None = None
    interval: list[float] | None = None
    problem: str = ""

    @property
    def verdict(self) -> str:
        """What the interval says, in words."""
        assert self.value is not None
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "no difference shown: the interval contains 0"
        ahead = self.second if self.value > 0 else self.first
        return f"{ahead} is ahead: the interval excludes 0"


class NotComparableError(Exception):
    """No paired difference can be given; the message says why."""


def all_differences(runs: Sequence[Run]) -> list[Difference]:
    """Return the differences of all pairs of runs of one phase; with more than four runs, of each with the first."""
    pairs = list(itertools.combinations(runs, 2))
    if len(runs) > ALL_PAIRS:
        pairs = pairs[: len(runs) - 1]
    return [difference for first, second in pairs for difference in differences(first, second)]


def differences(first: Run, second: Run) -> list[Difference]:
    """Return the paired differences of two evaluated runs of one phase, or one entry that says why there are none."""
    compare = _segmentation if first.phase == "transfer_learning" else _reconstruction
    try:
        return compare(first, second)
    except NotComparableError as reason:
        return [Difference(first.name, second.name, problem=str(reason))]


def _segmentation(first: Run, second: Run) -> list[Difference]:
    if first.class_names != second.class_names:
        raise NotComparableError("they tell other classes apart")
    classes = len(first.class_names)
    tables = [_counts(run) for run in (first, second)]
    names = _same_images(*tables)
    counts = np.stack([[table[name] for name in names] for table in tables], axis=1)  # [N, 2, C * C]
    matrices = counts.reshape(len(names), 2, classes, classes)
    if (matrices[:, 0].sum(axis=2) != matrices[:, 1].sum(axis=2)).any():
        raise NotComparableError("they were scored against other masks")
    sums = resampled_sums(counts.reshape(len(names), -1)).reshape(-1, 2, classes, classes)
    drawn = interval(_gain(sums, first.class_names))
    value = float(_gain(matrices.sum(axis=0, keepdims=True), first.class_names)[0])
    return [Difference(first.name, second.name, "mean_iou", len(names), value, drawn)]


def _gain(matrices: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Return by how much the mean IoU of the second of two runs is higher [B]; matrices [B, 2, C, C]."""
    first, second = (scores_of_matrices(matrices[:, run], class_names)["mean_iou"] for run in range(2))
    return second - first


def _reconstruction(first: Run, second: Run) -> list[Difference]:
    for run in (first, second):
        if "target" in run.result:
            raise NotComparableError(f"{run.name} predicts {run.result['target']}, not pictures")
    if first.provenance.get("resolution") != second.provenance.get("resolution"):
        raise NotComparableError("they were scored at different resolutions")
    if first.provenance.get("data_sha256") != second.provenance.get("data_sha256"):
        raise NotComparableError("they were scored on differently prepared data")
    tables = [_values(run) for run in (first, second)]
    names = _same_images(*tables)
    found = []
    for column, score in enumerate(("psnr", "ssim")):
        gains = np.array([tables[1][name][column] - tables[0][name][column] for name in names])
        known = gains[~np.isnan(gains)]
        if len(known):
            drawn = mean_interval(known)
            found.append(Difference(first.name, second.name, score, len(known), float(known.mean()), drawn))
    if not found:
        raise NotComparableError("no image has a score in both")
    return found


def _same_images(first: dict[str, list[float]], second: dict[str, list[float]]) -> list[str]:
    if first.keys() != second.keys():
        common = len(first.keys() & second.keys())
        raise NotComparableError(
            f"they were scored on different images ({len(first)} and {len(second)}, {common} of them common)"
        )
    if not first:
        raise NotComparableError("no image was scored")
    return sorted(first)


def _counts(run: Run) -> dict[str, list[float]]:
    columns = [f"count_{truth}_as_{said}" for truth in run.class_names for said in run.class_names]
    table = {name: row for name, row in _columns(run, columns).items() if not np.isnan(row).any()}
    total = np.sum(list(table.values()), axis=0).reshape(-1) if table else np.zeros(len(columns))
    if not np.array_equal(total, np.ravel(run.result.get("confusion_matrix") or [])):
        raise NotComparableError(f"{run.per_image} does not add up to the scores beside it: evaluate {run.name} again")
    return table


def _values(run: Run) -> dict[str, list[float]]:
    return _columns(run, ["psnr", "ssim"])


def _columns(run: Run, columns: Sequence[str]) -> dict[str, list[float]]:
    if not run.per_image.is_file():
        raise NotComparableError(f"{run.per_image} is missing: evaluate {run.name} again")
    with run.per_image.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    try:
        return {row["name"]: [float(row[column] or "nan") for column in columns] for row in rows}
    except (KeyError, TypeError, ValueError):  # a column is missing, a row is short, a cell is no number
        raise NotComparableError(
            f"{run.per_image} lacks columns or numbers that the comparison needs: evaluate {run.name} again"
        ) from None
