"""What more labels would bring: what a score lacks falls by a power of the number of labels.

1 - score(n) = (1 - score(labels)) (n / labels)^-c (Hestness et al., "Deep Learning Scaling is Predictable,
Empirically", 2017), without an asymptote: a few masks say nothing of one, and a forecast goes no farther than four
times the labels. The exponent is the slope through nested shares of the labels, its error that of leaving out a fold at
a time. Few masks tell it badly, so that it is weighed with those of the replay study
(`experiments.advice.evidence.weighing`). What is measured before and after is itself of a few trainings, which differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from experiments.advice.evidence.estimates import Pooled
from experiments.advice.evidence.weighing import Prior, weighed

FARTHEST = 4.0  # times the labels there are
FEWEST_POINTS = 3
EXPONENT = "exponent"  # in the table of priors
# Where there are no replays: 0.15 closes a tenth of the gap with twice the labels.
UNKNOWN_EXPONENT = Prior(0.15, 0.15)
SMALLEST_GAP = 1e-3
# By so much a training's score varies with its seed alone (standard deviation over pairs in the replays, without the
# teacher's), and as much the difference between two means of two.
WOBBLE = 0.015
_DRAWS = 4000
_QUANTILES = (0.025, 0.5, 0.975)


@dataclass(frozen=True)
class Slope:
    """What folds with shares of their labels say.

    Args:
        labels: of a fold's training with all of them.
        score: with those.
        score_error: its standard error.
        exponent: by which the gap falls.
        error: its standard error.
        folds: of which the errors are.
    """

    labels: float
    score: float
    score_error: float
    exponent: float
    error: float
    folds: int


def slope_of(points: Sequence[tuple[float, Pooled]], folds: int) -> Slope | str:
    """Return the slope through scores with shares of the labels, or why there is none, in words.

    Args:
        points: number of labels, and the score of all folds with so many; the most of them are all labels.
        folds: how many.
    """
    known = sorted(dict(points).items(), key=lambda point: point[0])
    labels, pooled = np.array([count for count, _ in known]), [score for _, score in known]
    if any(np.isnan(one.value) or np.isnan(one.error(0.0)) for one in pooled):
        return "cannot forecast: too few folds have a score"
    if len(known) < FEWEST_POINTS:
        return f"cannot forecast: {len(known)} numbers of labels were tried, a curve needs {FEWEST_POINTS}"
    scores = np.array([[one.value, *one.without] for one in pooled])
    value, *without = -np.polyfit(np.log(labels), np.log(np.maximum(1 - scores, SMALLEST_GAP)), 1)[0]
    # Of a share fewer pictures are learned from while as many are held out: the smallest share counts.
    error = Pooled(float(value), np.array(without)).error(float(labels[-1] / labels[0]) / (folds - 1))
    last = pooled[-1]
    return Slope(float(labels[-1]), last.value, last.error(1 / (folds - 1)), float(value), error, folds)


def exponent_of(gain: float, score: float) -> float:
    """Return the exponent with which twice the labels bring a gain beyond a score."""
    gap = max(1 - score, SMALLEST_GAP)
    return float(-np.log2(max(1 - gain / gap, SMALLEST_GAP)))


def exponent_error(gain: float, score: float) -> float:
    """Return the standard error of `exponent_of` where the gain is the difference of two means of two trainings."""
    gap = max(1 - score, SMALLEST_GAP)
    return WOBBLE / (np.log(2) * max(gap - gain, SMALLEST_GAP))


@dataclass(frozen=True)
class Curves:
    """Curves of one slope, as likely as each other, under a prior on the exponent.

    Args:
        slope: what the folds say.
        prior: what other data sets say of the exponent.
        seed: decides the draws.
    """

    slope: Slope
    prior: Prior = UNKNOWN_EXPONENT
    seed: int = 0

    @property
    def most(self) -> float:
        """Labels to which a forecast may go."""
        return FARTHEST * self.slope.labels

    @cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the gaps [S] with all labels, the exponents [S], and what trainings differ by [S]."""
        slope, random = self.slope, np.random.default_rng(self.seed)
        told = weighed({EXPONENT: slope.exponent}, [slope.error], slope.folds, {EXPONENT: self.prior})[EXPONENT]
        exponents, wobbles = random.normal(told.value, told.spread, _DRAWS), random.normal(0.0, WOBBLE, _DRAWS)
        return 1 - np.clip(random.normal(slope.score, slope.score_error, _DRAWS), 0.0, 1.0), exponents, wobbles

    def at(self, labels: float) -> np.ndarray:
        """Return the curves' scores [S] in [0, 1] with a number of labels."""
        gaps, exponents, _ = self._drawn
        return np.clip(1 - gaps * (labels / self.slope.labels) ** -exponents, 0.0, 1.0)

    def gain(self, labels: float, more: float) -> tuple[float, float, float]:
        """Return median, low and high (95 %) of what `more` labels bring beyond `labels`, means of two trainings.

        Raises:
            ValueError: that is farther than a forecast may go.
        """
        if labels + more > self.most * (1 + 1e-9):
            raise ValueError(f"{labels + more:g} labels are more than {self.most:g}")
        brought = self.at(labels + more) - self.at(labels) + self._drawn[2]
        low, median, high = np.quantile(np.clip(brought, -1.0, 1.0), _QUANTILES)
        return float(median), float(low), float(high)

    def labels_for(self, goal: float, start: float) -> tuple[int | None, int | None, int | None]:
        """Return how many labels in all the middle curve, the hopeful and the cautious need for a score.

        None where that many are farther than a forecast may go; at least `start`.
        """
        counts = np.unique(np.round(np.geomspace(start, self.most, 200)).astype(int))
        scores = np.stack([np.quantile(self.at(float(count)), _QUANTILES) for count in counts])

        def first(column: int) -> int | None:
            enough = np.flatnonzero(scores[:, column] >= goal)
            return int(counts[enough[0]]) if len(enough) else None

        return first(1), first(2), first(0)
