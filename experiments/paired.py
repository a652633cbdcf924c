"""Paired differences between two runs over the same images, from the evaluations' `per_image.csv`.

Images are drawn with replacement, the same ones for both runs (paired bootstrap, Efron 1979), so that what makes an
image hard for both cancels out. The interval says how much the choice of images matters; seeds are another matter.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.errors import UserError
from core.statistics import mean_interval
from experiments.evaluations import same_classes
from experiments.per_image import image_counts, image_values
from experiments.runs import Run
from transfer_learning.scores.paired import paired_gain

# With more runs than this, only pairs with the first one.
ALL_PAIRS = 4
# Of single pictures in phase 1.
SCORES = ("psnr", "ssim")


@dataclass(frozen=True)
class Difference:
    """By how much the second run scored higher than the first.

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
    def is_clear(self) -> bool:
        """Whether the interval excludes 0: another choice of images would show the same sign."""
        return self.interval is not None and not self.interval[0] <= 0 <= self.interval[1]


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
    except UserError as reason:
        return [Difference(first.name, second.name, problem=str(reason))]


def _segmentation(first: Run, second: Run) -> list[Difference]:
    classes = first.class_set
    assert classes
    if not same_classes(classes, second.class_set):
        raise UserError("they tell other classes apart")
    tables = [image_counts(run) for run in (first, second)]
    names = _same_images(*tables)
    counts = np.stack([[table[name] for name in names] for table in tables], axis=1)  # [N, 2, C, 3]
    if (counts[:, 0, :, 1] != counts[:, 1, :, 1]).any():
        raise UserError("they were scored against other masks")
    value, between = paired_gain(counts[:, 0], counts[:, 1], classes)
    return [Difference(first.name, second.name, "mean_iou", len(names), value, between)]


def _reconstruction(first: Run, second: Run) -> list[Difference]:
    for run in (first, second):
        assert run.evaluation
        if run.evaluation.target:
            raise UserError(f"{run.name} predicts {run.evaluation.target}, not pictures")
    if first.provenance.resolution != second.provenance.resolution:
        raise UserError("they were scored at different resolutions")
    if first.provenance.data_sha256 != second.provenance.data_sha256:
        raise UserError("they were scored on differently prepared data")
    tables = [image_values(run, SCORES) for run in (first, second)]
    names = _same_images(*tables)
    found = []
    for column, score in enumerate(SCORES):
        gains = np.array([tables[1][name][column] - tables[0][name][column] for name in names])
        known = gains[~np.isnan(gains)]
        if len(known):
            drawn = mean_interval(known)
            found.append(Difference(first.name, second.name, score, len(known), float(known.mean()), drawn))
    if not found:
        raise UserError("no image has a score in both")
    return found


def _same_images(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> list[str]:
    if first.keys() != second.keys():
        common = len(first.keys() & second.keys())
        raise UserError(
            f"they were scored on different images ({len(first)} and {len(second)}, {common} of them common)"
        )
    if not first:
        raise UserError("no image was scored")
    return sorted(first)
