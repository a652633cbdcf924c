"""How many times the labels the baseline needs for the score of another variant."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Savings:
    """The baseline needs `factor` times the labels; `more_than`: its longest training set does not reach the score."""

    factor: float
    more_than: bool = False

    def __str__(self) -> str:
        return f"{'more than ' if self.more_than else ''}{self.factor:.1f} times"


def label_savings(curve: Sequence[tuple[int, float]], num_labels: int, score: float) -> Savings | None:
    """Return how many times `num_labels` the baseline needs for `score`, read off its own curve.

    The curve is made to rise (isotonic regression: more labels do not hurt, what falls is the draw of a seed) and is
    straight between its points over the logarithm of the number of labels.

    Args:
        curve: (number of labels, score) of the baseline, at least two different numbers; any order.
        num_labels: of the variant, at least 1.
        score: of the variant.

    Returns:
        None where it is not defined: fewer than two points, or a score below the curve's first point.
    """
    from scipy.optimize import isotonic_regression

    points = sorted(curve)
    if len({labels for labels, _ in points}) < 2:
        return None
    logarithms = np.log([labels for labels, _ in points])
    scores = isotonic_regression([value for _, value in points]).x
    if score < scores[0]:
        return None
    if score > scores[-1]:
        return Savings(points[-1][0] / num_labels, more_than=True)
    reached = int(np.argmax(scores >= score))  # the first point: where the curve is flat, the fewest labels count
    if reached == 0:
        return Savings(points[0][0] / num_labels)
    share = (score - scores[reached - 1]) / (scores[reached] - scores[reached - 1])
    needed = logarithms[reached - 1] + share * (logarithms[reached] - logarithms[reached - 1])
    return Savings(float(np.exp(needed)) / num_labels)
