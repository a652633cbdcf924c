"""What the scores of folds say of an arm and of the difference between two.

Folds share their training pictures, so that their scores are no independent ones: the variance of their mean is
(1 / K + n_test / n_train) times that of the scores, and not 1 / K times it (Nadeau and Bengio, "Inference for the
Generalization Error", 2003). Where several differences are looked at, each interval is as much wider as keeps one false
find among all as rare (Bonferroni).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.statistics import LEVEL


@dataclass(frozen=True)
class Estimate:
    """A mean over folds and its interval; without limits where too few folds say anything."""

    value: float
    low: float | None
    high: float | None

    @property
    def tells(self) -> int:
        """1 where the whole interval is above 0, -1 where it is below, 0 where it says neither."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


def estimate(scores: np.ndarray, test_to_train: float, comparisons: int = 1, level: float = LEVEL) -> Estimate | None:
    """Return the mean of K folds' scores, or of their differences, with its corrected interval.

    Args:
        scores: [K]; NaN marks folds with nothing to score and is left out.
        test_to_train: pictures held out in a fold over pictures learned from.
        comparisons: how many such intervals are to hold at once.
        level: of all of them together.

    Returns:
        None where no fold has a score; no limits with one fold.
    """
    from scipy import stats

    known = np.asarray(scores, np.float64)
    known = known[~np.isnan(known)]
    folds = len(known)
    if not folds:
        return None
    mean = float(known.mean())
    if folds == 1:
        return Estimate(mean, None, None)
    deviation = float(np.sqrt((1 / folds + test_to_train) * known.var(ddof=1)))
    half = float(stats.t.ppf(1 - (1 - level) / (2 * comparisons), folds - 1)) * deviation
    return Estimate(mean, mean - half, mean + half)


def cross_fitted(scores: Mapping[str, np.ndarray]) -> float:
    """Return what whoever takes the best of several arms may expect.

    The best of several means is too high by what chose it. Here the best is chosen on all folds but one and scored on
    that one, each fold in turn.

    Args:
        scores: arm -> [K >= 2] its score in each fold, NaN where there is none.
    """
    arms = np.stack([np.asarray(values, np.float64) for values in scores.values()])
    folds = arms.shape[1]
    taken = []
    for fold in range(folds):
        rest = np.delete(arms, fold, axis=1)
        means = np.array([row[~np.isnan(row)].mean() if (~np.isnan(row)).any() else -np.inf for row in rest])
        taken.append(arms[int(means.argmax()), fold])
    return float(np.nanmean(taken))
