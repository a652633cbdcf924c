"""What the folds say: the pixels hit, true and said that the evaluation of each left, together and one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.classes import ClassSet
from core.errors import UserError
from experiments.advice.arms import Arm
from experiments.advice.choices import SHARES
from experiments.advice.evidence.estimates import Estimate, Pooled, estimate
from experiments.advice.evidence.forecast import EXPONENT, UNKNOWN_EXPONENT, Curves, slope_of
from experiments.advice.evidence.weighing import Prior, Weighed, taken, weighed
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
        weighed: the difference, weighed with what the arm brought on other data sets; likewise.
    """

    arm: Arm
    folds: np.ndarray
    score: Estimate
    difference: Estimate | None = None
    weighed: Weighed | None = None

    @property
    def ahead(self) -> float:
        """How far ahead of scratch it is, as far as is known."""
        return self.weighed.value if self.weighed else 0.0


@dataclass(frozen=True)
class Found:
    """What all folds say.

    Args:
        measure: the score.
        compared: an entry an arm, from scratch first.
        best: the arm that is taken (`experiments.advice.evidence.weighing.taken`).
        told_apart: whether the best is told apart from all others.
        labels: pictures with a mask that a fold's training learned from.
    """

    measure: Measure
    compared: tuple[Compared, ...]
    best: Compared
    told_apart: bool
    labels: float

    @property
    def expected(self) -> float:
        """What the best arm may score: weighing has taken from it what its being the best of several flatters."""
        return min(1.0, self.compared[0].score.value + self.best.ahead)


def found_of(
    places: Places, arms: Sequence[Arm], folds: int, masks: int, measure: Measure, priors: Mapping[str, Prior]
) -> Found:
    """Return what the folds of all arms say; every arm's are scored. The rest as `found_in`.

    Raises:
        UserError: there is nothing to score.
    """
    counts = {arm.name: counts_below(places.arm(arm.name), folds)[0] for arm in arms}
    return found_in(counts, arms, masks * (folds - 1) / folds, measure, priors)


def found_in(
    counts: Mapping[str, np.ndarray], arms: Sequence[Arm], labels: float, measure: Measure, priors: Mapping[str, Prior]
) -> Found:
    """Return what counts say.

    Args:
        counts: arm -> [K, C, 3] of its folds.
        arms: from scratch first.
        labels: pictures with a mask that a fold's training learned from.
        measure: the score.
        priors: arm -> what it brought on other data sets, of those that are known.

    Raises:
        UserError: there is nothing to score.
    """
    pooled = {arm: Pooled.of(of_arm, measure) for arm, of_arm in counts.items()}
    if any(np.isnan(one.value) for one in pooled.values()):
        raise UserError(
            "neither the masks that were held out nor predictions show anything but background, so that nothing tells "
            "the ways apart: give masks that show something"
        )
    scratch, folds = pooled[arms[0].name], len(counts[arms[0].name])
    beside = {arm.name: _estimate(pooled[arm.name] - scratch, folds, len(arms) - 1) for arm in arms[1:]}
    values = {arm: difference.value for arm, difference in beside.items()}
    weights = weighed(values, [difference.error for difference in beside.values()], folds, priors)
    compared = []
    for name, arm in ((arm.name, arm) for arm in arms):
        score, of_folds = _estimate(pooled[name], folds, len(arms)), np.array([measure(fold) for fold in counts[name]])
        compared.append(Compared(arm, of_folds, score, beside.get(name), weights.get(name)))
    name_of_best = taken(weights, [arm for arm, difference in beside.items() if difference.tells > 0])
    best = next((one for one in compared if one.arm.name == name_of_best), compared[0])
    ahead = [pooled[best.arm.name] - pooled[one.arm.name] for one in compared if one is not best]
    told = all(_estimate(difference, folds, len(ahead)).tells > 0 for difference in ahead)
    return Found(measure, tuple(compared), best, told, labels)


def _estimate(pooled: Pooled, folds: int, comparisons: int) -> Estimate:
    found = estimate(pooled, 1 / (folds - 1), comparisons)
    assert found, "of scores that there are"
    return found


def curves_of(places: Places, found: Found, folds: int, seed: int, priors: Mapping[str, Prior]) -> Curves | str:
    """Return the curves of the best arm, or why there are none.

    Their slope is that through its scores with shares of the labels and with all; they begin where it is expected.
    """
    tried = {share: places.share(found.best.arm.name, share) for share in SHARES}
    points = []
    for share, folder in {**tried, 1.0: places.arm(found.best.arm.name)}.items():
        pooled = Pooled.of(counts_below(folder, folds)[0], found.measure)
        points.append((labels_of(places, folds, share, seed), pooled))
    slope = slope_of(points, folds)
    if isinstance(slope, str):
        return slope
    return Curves(replace(slope, score=found.expected), priors.get(EXPONENT, UNKNOWN_EXPONENT), seed)


def labels_of(places: Places, folds: int, share: float, seed: int) -> float:
    """Return how many masks a fold's training learned from with a share of them, the mean over the folds."""
    from data.opened import open_data

    counts = [train_labels(open_data(places.fold(fold))).count(share, seed) for fold in range(folds)]
    return float(np.mean(counts))
