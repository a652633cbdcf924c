"""What the folds say: a score each, as the evaluation of the fold left it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.classes import ClassSet
from experiments.advice.arms import Arm
from experiments.advice.choices import SHARES
from experiments.advice.estimates import Estimate, cross_fitted, estimate
from experiments.advice.forecast import Curves, Point, curves
from experiments.advice.places import Places
from experiments.fold_scores import content_of
from experiments.grid.planning.prepared import train_labels


@dataclass(frozen=True)
class Measure:
    """The score that an advice goes by."""

    name: str
    title: str

    @staticmethod
    def of(classes: ClassSet) -> "Measure":
        """Return Dice where there is a background to tell the classes from, mean IoU of all classes elsewhere."""
        if classes.background is None:
            return Measure("mean_iou", "mean IoU")
        return Measure("mean_foreground_dice", "Dice" if len(classes.foreground) == 1 else "mean Dice")


@dataclass(frozen=True)
class Compared:
    """An arm beside the one from scratch.

    Args:
        arm: which.
        folds: [K] its scores.
        score: their mean.
        difference: from scratch, in pairs; None for that arm itself.
    """

    arm: Arm
    folds: np.ndarray
    score: Estimate
    difference: Estimate | None


@dataclass(frozen=True)
class Found:
    """What all folds say.

    Args:
        measure: the score.
        compared: an entry an arm, from scratch first.
        best: the arm with the highest mean.
        expected: what whoever takes the best arm may expect, by folds that did not choose it.
        told_apart: whether the best is told apart from all others.
        labels: pictures with a mask that a fold's training learned from.
    """

    measure: Measure
    compared: tuple[Compared, ...]
    best: Compared
    expected: float
    told_apart: bool
    labels: float


def scores_of(folder: Path, folds: int, measure: Measure) -> np.ndarray:
    """Return the scores [K] of folds below a folder, NaN where a fold has nothing to score."""
    of_folds = content_of(folder, folds)["scores"][measure.name]["folds"]
    return np.array([np.nan if of_folds[str(fold)] is None else of_folds[str(fold)] for fold in range(folds)])


def found_of(places: Places, arms: Sequence[Arm], folds: int, masks: int, measure: Measure) -> Found:
    """Return what the folds of all arms say; every arm's are scored."""
    by_arm = {arm.name: scores_of(places.arm(arm.name), folds, measure) for arm in arms}
    test_to_train = 1 / (folds - 1)
    scratch = by_arm[arms[0].name]
    compared = []
    for arm in arms:
        score = estimate(by_arm[arm.name], test_to_train, len(arms))
        difference = estimate(by_arm[arm.name] - scratch, test_to_train, len(arms) - 1) if arm is not arms[0] else None
        assert score, "the evaluation of a fold has scores"
        compared.append(Compared(arm, by_arm[arm.name], score, difference))
    best = max(compared, key=lambda one: one.score.value)
    apart = [estimate(best.folds - one.folds, test_to_train, len(compared) - 1) for one in compared if one is not best]
    told = all(one is not None and one.tells > 0 for one in apart)
    return Found(measure, tuple(compared), best, cross_fitted(by_arm), told, masks * (folds - 1) / folds)


def curves_of(places: Places, found: Found, folds: int, seed: int) -> Curves | str:
    """Return the curves through the best arm's scores with shares of the labels and with all, or why there are none."""
    points = []
    tried = {share: places.share(found.best.arm.name, share) for share in SHARES}
    for share, folder in {**tried, 1.0: places.arm(found.best.arm.name)}.items():
        scores = scores_of(folder, folds, found.measure)
        known = scores[~np.isnan(scores)]
        if len(known) < 2:
            return "cannot forecast: too few folds have a score"
        error = float(np.sqrt((1 / len(known) + 1 / (folds - 1)) * known.var(ddof=1)))
        points.append(Point(labels_of(places, folds, share, seed), float(known.mean()), error))
    return curves(points)


def labels_of(places: Places, folds: int, share: float, seed: int) -> float:
    """Return how many masks a fold's training learned from with a share of them, the mean over the folds."""
    from data.opened import open_data

    counts = [train_labels(open_data(places.fold(fold))).count(share, seed) for fold in range(folds)]
    return float(np.mean(counts))
