"""Scores as medicine states them: one a case, then the mean over cases.

A case is a picture or volume, or all pictures that share a tag (a patient), whose pixels are counted together.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.classes import ClassSet
from core.statistics import mean_interval
from transfer_learning.scores.confusion import scores_of_counts


def cases_of(tag: Sequence[str | None]) -> np.ndarray:
    """Return the number of the case of each image [N], counted from 0 in the order in which they come.

    Args:
        tag: the value of each; "" or None where it is not known: such an image is a case of its own.
    """
    keys = [f"={value}" if value else str(place) for place, value in enumerate(tag)]
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return np.array([numbers[key] for key in keys], np.intp)


def case_counts(counts: np.ndarray, cases: np.ndarray) -> np.ndarray:
    """Return the counts [K, C, 3] of cases from those of their images [N, C, 3]."""
    sums = np.zeros((cases.max() + 1, *counts.shape[1:]), counts.dtype)
    np.add.at(sums, cases, counts)
    return sums


def case_results(counts: np.ndarray, class_set: ClassSet, by: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what JSON says of cases, and the 95 % intervals over cases under the same keys.

    Args:
        counts: [K, C, 3] pixels of each class: hit, in the truth, in the prediction.
        class_set: the C classes.
        by: the tag whose values are cases; None: images are.

    Returns:
        `mean_case_dice`, the mean over cases of the mean Dice of the foreground classes that a case's truth or
        prediction hold: cases with none are left out; None without a background. `cases`: how many there are
        (`num_cases`), how many have such a score (`num_scored`), and class -> `dice`, its mean over the `num_scored`
        cases that hold the class.
    """
    scores = scores_of_counts(counts, class_set)
    of_cases = scores["mean_foreground_dice"]
    by_class = {name: of_class["dice"] for name, of_class in scores["classes"].items()}
    found = {
        "by": by or "image",
        "num_cases": len(counts),
        "num_scored": _known(of_cases),
        "classes": {name: {"dice": mean(dice), "num_scored": _known(dice)} for name, dice in by_class.items()},
    }
    intervals = {"classes": {name: {"dice": mean_interval(dice)} for name, dice in by_class.items()}}
    return (
        {"mean_case_dice": mean(of_cases), "cases": found},
        {"mean_case_dice": mean_interval(of_cases), "cases": intervals},
    )


def mean(values: np.ndarray) -> float | None:
    """Return the mean of one value a case [N]; NaN marks cases without one. None without any."""
    return float(np.nanmean(values)) if _known(values) else None


def _known(values: np.ndarray) -> int:
    return int(np.count_nonzero(~np.isnan(values)))
