"""The area under the ROC curve: how well a class's probability tells its pixels from the rest, at no threshold.

It is the share of pairs (a pixel of the class, another one) in which the former has the higher probability, ties half.
Counting needs no pixel twice: probabilities are sorted into 4096 bins, 64 to every halving of the odds' nearer side,
from 2^-33 to 1 - 2^-33. What lies in one bin counts as tied, which is off by half the share of such pairs at most
(`auc_error`); float32 holds nothing closer to 1 than 2^-24.
"""

import numpy as np

from core.classes import IGNORED

BINS = 4096
# A halving of the distance to 0 or 1 has 2^6 bins: so many bits of a float32's fraction are left.
SHIFT = 23 - 6
NEAREST = np.float32(2.0**-33)
LOWEST = int(NEAREST.view(np.int32)) >> SHIFT
# For intervals: draws, bins of the curves that are drawn.
RESAMPLES = 400
COARSE = 256


def bins_of(probability: np.ndarray) -> np.ndarray:
    """Return the bin, 0 to 4095 and rising, of probabilities float32 in [0, 1] of any shape, int32."""
    nearer = np.clip(np.minimum(probability, 1 - probability), NEAREST, 0.5)
    place = (nearer.view(np.int32) >> SHIFT) - LOWEST
    return np.where(probability < 0.5, place, BINS - 1 - place)


def roc_counts(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count an image's pixels by the probability of each class.

    Args:
        probabilities: [C, *sides] float32.
        truth: [*sides]; pixels of 255 are left out.

    Returns:
        [C, 2, 4096] int64: pixels of other classes, pixels of the class. Counts of several images add up.
    """
    found = np.empty((len(probabilities), 2, BINS), np.int64)
    for number, plane in enumerate(probabilities):
        part = np.zeros(256, np.int32)
        part[number], part[IGNORED] = BINS, 2 * BINS  # the last is cut off
        places = bins_of(plane) + part[truth]
        found[number] = np.bincount(places.ravel(), minlength=3 * BINS)[: 2 * BINS].reshape(2, BINS)
    return found


def area_under_roc(counts: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of counts [..., 2, B]; NaN where one of the two has no pixel."""
    others, own = np.moveaxis(np.asarray(counts, np.float64), -2, 0)
    below = np.cumsum(others, axis=-1) - others / 2
    return _share((own * below).sum(axis=-1), counts)


def auc_error(counts: np.ndarray) -> np.ndarray:
    """Return by how much `area_under_roc` of counts [..., 2, B] can be off for its bins; NaN as there."""
    others, own = np.moveaxis(np.asarray(counts, np.float64), -2, 0)
    return _share((own * others).sum(axis=-1) / 2, counts)


def _share(pairs: np.ndarray, counts: np.ndarray) -> np.ndarray:
    whole = np.prod(counts.sum(axis=-1, dtype=np.float64), axis=-1)
    return np.divide(pairs, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


class RocSums:
    """The counts of all images, and of 400 draws of them, in memory that does not grow with their number.

    Every image counts as often in a draw as a Poisson variable of mean 1 says, which for many images is the bootstrap
    (Chamandy et al. 2012); it depends on the image's place alone, so that two networks are drawn alike. The curves of
    draws have 256 bins.

    Args:
        classes: C.
    """

    def __init__(self, classes: int) -> None:
        self.counts = np.zeros((classes, 2, BINS), np.int64)
        self.drawn = np.zeros((RESAMPLES, classes, 2, COARSE))
        self.images = 0

    def add(self, counts: np.ndarray) -> None:
        """Add the counts [C, 2, 4096] of an image."""
        self.counts += counts
        coarse = counts.reshape(*counts.shape[:2], COARSE, -1).sum(axis=-1)
        times = np.random.default_rng([0, self.images]).poisson(1.0, RESAMPLES)
        for number in range(times.max() + 1):
            if number:
                self.drawn[times == number] += number * coarse
        self.images += 1

    def areas(self) -> np.ndarray:
        """Return the area [C] under each class's curve."""
        return area_under_roc(self.counts)

    def areas_of_draws(self) -> np.ndarray:
        """Return the areas [400, C] of the draws; NaN for one image, of which every draw is the same."""
        if self.images < 2:
            return np.full(self.drawn.shape[:2], np.nan)
        return area_under_roc(self.drawn)
