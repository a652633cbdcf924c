"""Scores of pictures that hold one foreground class each: whether it was told from the others, and its outline alone.

A low mean IoU may come from outlines or from taking a cat for a dog. Both scores need the counts of pixels alone.
"""

from typing import Any, NamedTuple

import numpy as np

from core.classes import ClassSet
from core.statistics import interval, mean_interval, resampled_sums
from transfer_learning.scores.confusion import foreground_counts, known, scores_of_counts


class OneObject(NamedTuple):
    """Counts of N pictures, read as of one object each.

    Attributes:
        right: [N] 1 where more was said to be the true class than any other foreground class, else 0 (so too where no
            foreground was said); NaN where a picture holds none, and with a single foreground class, which is always
            right.
        painted: [N, C, 3] int64, the counts with all that was said to be foreground given to the true class. A picture
            without foreground has no class to paint: its counts stay.
    """

    right: np.ndarray
    painted: np.ndarray


def one_object(counts: np.ndarray, class_set: ClassSet) -> OneObject | None:
    """Read counts [N, C, 3] (hit, truth, said) as of pictures with one foreground class each.

    None where a picture holds two foreground classes, where none holds any, or without a background.
    """
    background, foreground = class_set.background, list(class_set.foreground)
    if background is None:
        return None
    held = counts[:, foreground, 1] > 0  # [N, F]
    if (held.sum(axis=1) > 1).any() or not held.any():
        return None
    said = np.where(held, -1, counts[:, foreground, 2]).max(axis=1, initial=-1)  # of the likeliest other class
    of_true = np.where(held, counts[:, foreground, 2], 0).sum(axis=1)
    right = np.where(held.any(axis=1) & (len(foreground) > 1), of_true > said, np.nan)
    painted = counts.copy()
    as_one = foreground_counts(counts, background)[:, None]  # all of it is of the one true class
    painted[:, foreground] = np.where(held[..., None], as_one, 0)
    return OneObject(right, np.where(np.any(held, axis=1)[:, None, None], painted, counts))


def one_object_scores(counts: np.ndarray, class_set: ClassSet) -> dict[str, float | None]:
    """Return the scores of one-object pictures from their counts [N, C, 3].

    `class_accuracy`: share of the pictures with an object whose class was told, None with a single foreground class.
    `outline_mean_iou`: the mean IoU as it were with the true class painted into all that was said to be foreground.
    Both None where `one_object` is.
    """
    found = one_object(counts, class_set)
    if found is None:
        return {"class_accuracy": None, "outline_mean_iou": None}
    told = None if np.isnan(found.right).all() else float(np.nanmean(found.right))
    return {"class_accuracy": told, "outline_mean_iou": known(_mean_iou(found.painted.sum(axis=0)[None], class_set)[0])}


def one_object_intervals(counts: np.ndarray, class_set: ClassSet) -> dict[str, Any]:
    """Return the 95 % intervals over pictures of `one_object_scores`, under the same keys."""
    found = one_object(counts, class_set)
    if found is None:
        return {"class_accuracy": None, "outline_mean_iou": None}
    sums = resampled_sums(found.painted.reshape(len(counts), -1)).reshape(-1, *counts.shape[1:])
    return {"class_accuracy": mean_interval(found.right), "outline_mean_iou": interval(_mean_iou(sums, class_set))}


def _mean_iou(sums: np.ndarray, class_set: ClassSet) -> np.ndarray:
    return scores_of_counts(sums, class_set)["mean_iou"]
