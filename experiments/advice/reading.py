"""What the folds say: the pixels hit, true and said that the evaluation of each left, together and one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from experiments.advice.arms import Arm
from experiments.advice.choices import SHARES
from experiments.advice.estimates import Estimate, Pooled, cross_fitted, estimate
from experiments.advice.forecast import Curves, Point, curves
from experiments.advice.places import Places
from experiments.fold_scores import counts_below
from experiments.grid.planning.prepared import train_labels


@dataclass(frozen=True)
class Measure:
    """The score that an advice goes by."""

    name: str
    title: str
    classes: ClassSet

    @staticmethod
    def of(classes: ClassSet) -> "Measure":
        """Return Dice where there is a background to tell the classes from, mean IoU of all classes elsewhere."""
        if classes.background is None:
            return Measure("mean_iou", "mean IoU", classes)
        return Measure("mean_foreground_dice", "Dice" if len(classes.foreground) == 1 else "mean Dice", classes)

    def __call__(self, counts: np.ndarray) -> float:
        """Return the score of counts [C, 3], NaN where there is nothing to score."""
        from transfer_learning.scores.confusion import scores_of_counts

        return float(scores_of_counts(counts[None], self.classes)[self.name][0])


@dataclass(frozen=True)
class Compared:
    """An arm beside the one from scratch.

    Args:
        arm: which.
        folds: [K] its scores, NaN where a fold has nothing to score.
        score: of all folds together.
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
        best: the arm with the highest score.
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


def found_of(places: Places, arms: Sequence[Arm], folds: int, masks: int, measure: Measure) -> Found:
    """Return what the folds of all arms say; every arm's are scored.

    Raises:
        UserError: there is nothing to score.
    """
    counts = {arm.name: counts_below(places.arm(arm.name), folds)[0] for arm in arms}
    pooled = {name: Pooled.of(of_arm, measure) for name, of_arm in counts.items()}
    test_to_train = 1 / (folds - 1)
    scratch = pooled[arms[0].name]
    compared = []
    for arm in arms:
        score = estimate(pooled[arm.name], test_to_train, len(arms))
        difference = estimate(pooled[arm.name] - scratch, test_to_train, len(arms) - 1) if arm is not arms[0] else None
        if not score:
            raise UserError(
                "neither the masks that were held out nor predictions show anything but background, so that nothing "
                "tells the ways apart: give masks that show something"
            )
        compared.append(Compared(arm, np.array([measure(fold) for fold in counts[arm.name]]), score, difference))
    best = max(compared, key=lambda one: one.score.value)
    ahead = [pooled[best.arm.name] - pooled[one.arm.name] for one in compared if one is not best]
    apart = [estimate(difference, test_to_train, len(ahead)) for difference in ahead]
    told = all(one is not None and one.tells > 0 for one in apart)
    return Found(measure, tuple(compared), best, cross_fitted(counts, measure), told, masks * (folds - 1) / folds)


def curves_of(places: Places, found: Found, folds: int, seed: int) -> Curves | str:
    """Return the curves through the best arm's scores with shares of the labels and with all, or why there are none."""
    points = []
    tried = {share: places.share(found.best.arm.name, share) for share in SHARES}
    for share, folder in {**tried, 1.0: places.arm(found.best.arm.name)}.items():
        pooled = Pooled.of(counts_below(folder, folds)[0], found.measure)
        error = pooled.error(1 / (folds - 1) / share)
        if np.isnan(pooled.value) or np.isnan(error):
            return "cannot forecast: too few folds have a score"
        points.append(Point(labels_of(places, folds, share, seed), pooled.value, error))
    return curves(points)


def labels_of(places: Places, folds: int, share: float, seed: int) -> float:
    """Return how many masks a fold's training learned from with a share of them, the mean over the folds."""
    from data.opened import open_data

    counts = [train_labels(open_data(places.fold(fold))).count(share, seed) for fold in range(folds)]
    return float(np.mean(counts))
