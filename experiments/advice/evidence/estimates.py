"""What the held-out pictures of all folds say of an arm and of the difference between two.

An arm's score is that of all held-out pictures together, each by the network that never saw it: a fold of a few
pictures may lack a class, and the mean of such folds' scores weighs the classes otherwise in each. How much it varies
is told by leaving out one fold at a time (the jackknife; of a mean of folds it is their variance over K). Folds share
their training pictures, so that they are no independent ones: the variance is (1 + K n_test / n_train) times that
(Nadeau and Bengio, "Inference for the Generalization Error", 2003). Where several differences are looked at, each
interval is as much wider as keeps one false find among all as rare (Bonferroni).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.statistics import LEVEL

# What counts [C, 3] of pixels hit, true and said score, NaN where there is nothing to score.
Score = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Pooled:
    """A score over all folds together, or the difference of two.

    Args:
        value: of all folds.
        without: [K] of all folds but one.
    """

    value: float
    without: np.ndarray

    @staticmethod
    def of(counts: np.ndarray, score: Score) -> "Pooled":
        """Return the score of the counts [K, C, 3] of K folds."""
        total = counts.sum(axis=0)
        return Pooled(score(total), np.array([score(total - fold) for fold in counts]))

    @staticmethod
    def of_mean(values: np.ndarray) -> "Pooled":
        """Return the mean of values [S]; NaN marks those without one and is left out."""
        known = np.asarray(values, np.float64)
        known = known[~np.isnan(known)]
        if len(known) < 2:
            return Pooled(float(known.mean()) if len(known) else float("nan"), np.full(len(known), np.nan))
        return Pooled(float(known.mean()), (known.sum() - known) / (len(known) - 1))

    def __sub__(self, other: "Pooled") -> "Pooled":
        return Pooled(self.value - other.value, self.without - other.without)

    def error(self, test_to_train: float) -> float:
        """Return the standard error, corrected for folds that share their training pictures.

        NaN of one fold, and where without one of the folds there is nothing to score: that fold alone says something.

        Args:
            test_to_train: pictures held out in a fold over pictures learned from.
        """
        folds = len(self.without)
        if folds < 2:
            return float("nan")
        variance = (folds - 1) / folds * float(((self.without - self.without.mean()) ** 2).sum())
        return float(np.sqrt((1 + folds * test_to_train) * variance))


@dataclass(frozen=True)
class Estimate:
    """A score over folds, its interval and standard error; without them where too few folds say anything."""

    value: float
    low: float | None
    high: float | None
    error: float = float("nan")

    @property
    def tells(self) -> int:
        """1 where the whole interval is above 0, -1 where it is below, 0 where it says neither."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def estimate(pooled: Pooled, test_to_train: float, comparisons: int = 1, level: float = LEVEL) -> Estimate | None:
    """Return a score over folds, or the difference of two, with its corrected interval.

    Args:
        pooled: the score.
        test_to_train: pictures held out in a fold over pictures learned from.
        comparisons: how many such intervals are to hold at once.
        level: of all of them together.

    Returns:
        None where there was nothing to score; no limits where one fold alone says something.
    """
    from scipy import stats

    if np.isnan(pooled.value):
        return None
    error = pooled.error(test_to_train)
    if np.isnan(error):
        return Estimate(pooled.value, None, None)
    half = float(stats.t.ppf(1 - (1 - level) / (2 * comparisons), len(pooled.without) - 1)) * error
    return Estimate(pooled.value, pooled.value - half, pooled.value + half, error)
