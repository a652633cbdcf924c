"""By how much one way of reading scores higher than another over the same images.

Images are drawn with replacement, the same ones for both (paired bootstrap, Efron 1979), so that what makes an image
hard for both cancels out.
"""

import numpy as np

from core.classes import ClassSet
from core.statistics import interval, resampled_sums
from transfer_learning.scores.confusion import known, scores_of_counts


def paired_gain(
    first: np.ndarray, second: np.ndarray, classes: ClassSet, score: str = "mean_iou"
) -> tuple[float | None, list[float] | None]:
    """Return by how much the second is higher in a score of the summed counts, and the 95 % interval over images.

    Args:
        first, second: [N, C, 3] counts of the same N >= 1 images.
        classes: the C classes.
        score: a key of `scores_of_counts`.
    """
    counts = np.stack([first, second], axis=1)  # [N, 2, C, 3]

    def gain(sums: np.ndarray) -> np.ndarray:
        lower, higher = (scores_of_counts(sums[:, side], classes)[score] for side in range(2))
        return higher - lower

    sums = resampled_sums(counts.reshape(len(counts), -1)).reshape(-1, *counts.shape[1:])
    return known(gain(counts.sum(axis=0, keepdims=True))[0]), interval(gain(sums))
