"""What more labels would bring: a power law through the scores of nested shares of the labels, and what it leaves open.

score(n) = a - b n^-c: an asymptote a, and a gap that falls by a power of the number of labels (Hestness et al., "Deep
Learning Scaling is Predictable, Empirically", 2017). A few points say little of three numbers, so that a and c have
priors, and what is forecast is an interval over all curves that pass by the points, each weighed by how well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FARTHEST = 4.0  # times the labels there are
FEWEST_POINTS = 3
# The exponent's prior: log-normal around a half, a factor of 1.7 to either side one deviation.
EXPONENT, EXPONENT_SPREAD = 0.5, 0.55
# How far a curve may pass by a point beyond what its folds say: curves are no power laws.
MISFIT = 0.01
# What is measured before and after is itself of a few trainings: so much does one training's score vary with its seed
# alone (benchmarks.advise_replay, 21 pairs), and as much the difference between two means of two.
WOBBLE = 0.02
_DRAWS = 4000
_QUANTILES = (0.025, 0.5, 0.975)


@dataclass(frozen=True)
class Point:
    """The mean score with a number of labels, and its standard error."""

    labels: float
    score: float
    error: float


@dataclass(frozen=True)
class Curves:
    """Curves that pass by the points, each as likely as the others.

    Args:
        asymptotes, gaps, exponents: [S] a, b and c of each.
        wobbles: [S] by what trainings before and after may differ besides.
        most: labels to which a forecast may go.
    """

    asymptotes: np.ndarray
    gaps: np.ndarray
    exponents: np.ndarray
    wobbles: np.ndarray
    most: float

    def at(self, labels: float) -> np.ndarray:
        """Return the curves' scores [S] in [0, 1] with a number of labels."""
        return np.clip(self.asymptotes - self.gaps * labels**-self.exponents, 0.0, 1.0)

    def gain(self, labels: float, more: float) -> tuple[float, float, float]:
        """Return median, low and high (95 %) of what `more` labels bring beyond `labels`.

        Raises:
            ValueError: that is farther than a forecast may go.
        """
        if labels + more > self.most * (1 + 1e-9):
            raise ValueError(f"{labels + more:g} labels are more than {self.most:g}")
        brought = self.at(labels + more) - self.at(labels) + self.wobbles
        low, median, high = np.quantile(brought, _QUANTILES)
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


def curves(points: Sequence[Point], seed: int = 0) -> Curves | str:
    """Return the curves through some points, or why there can be none, in words.

    Args:
        points: at least three numbers of labels; scores in [0, 1].
        seed: decides the draws.
    """
    known = sorted({point.labels: point for point in points}.values(), key=lambda point: point.labels)
    if len(known) < FEWEST_POINTS:
        return f"cannot forecast: {len(known)} numbers of labels were tried, a curve needs {FEWEST_POINTS}"
    labels = np.array([point.labels for point in known])
    scores = np.array([point.score for point in known])
    errors = np.hypot([point.error for point in known], MISFIT)
    random = np.random.default_rng(seed)
    asymptotes, exponents, gaps, gap_errors, weights = _tried(labels, scores, errors)
    chosen = random.choice(len(weights), _DRAWS, p=weights)
    drawn = np.maximum(random.normal(gaps[chosen], gap_errors[chosen]), 0.0)
    wobbles = random.normal(0.0, WOBBLE, _DRAWS)
    return Curves(asymptotes[chosen], drawn, exponents[chosen], wobbles, FARTHEST * float(labels[-1]))


def _tried(labels: np.ndarray, scores: np.ndarray, errors: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return a grid [G] of asymptotes and exponents, the gap that suits each with its error, and their weights."""
    asymptotes, exponents = (
        values.ravel()
        for values in np.meshgrid(np.linspace(max(scores.min(), 0.0), 1.0, 81), np.geomspace(0.05, 3.0, 61))
    )
    falling = labels[None] ** -exponents[:, None]
    precision = (falling**2 / errors**2).sum(1)
    gaps = ((asymptotes[:, None] - scores[None]) * falling / errors**2).sum(1) / precision
    left = asymptotes[:, None] - gaps[:, None] * falling - scores[None]
    # The gap is integrated over, a broad normal: its width is part of how likely a pair is.
    likely = -0.5 * ((left / errors) ** 2).sum(1) - 0.5 * np.log(precision)
    likely += -0.5 * (np.log(exponents / EXPONENT) / EXPONENT_SPREAD) ** 2
    likely[gaps < 0] = -np.inf  # more labels do not harm
    weights = np.exp(likely - likely.max())
    return asymptotes, exponents, gaps, precision**-0.5, weights / weights.sum()
