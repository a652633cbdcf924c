"""Confidence intervals by the bootstrap over images (Efron 1979): images are drawn with replacement, again and again.

Scores are functions of sums over images, so resampling needs the sums alone: every draw is a number of times each
image counts. The same seed draws the same images, so that two runs over the same images can be compared in pairs.
"""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 2000
LEVEL = 0.95
# Draws are made in pieces, so that memory does not grow with the number of images times that of resamples.
PIECE = 2_000_000


def resampled_sums(counts: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Return sums over images that were drawn with replacement; NaN for one image, of which every draw is the same.

    Args:
        counts: [N, K] what each of N >= 1 images, or groups of them, adds.
        resamples: number of draws B of N images each.
        seed: decides the draws; the same for the same N.

    Returns:
        [B, K] float64.
    """
    images = len(counts)
    assert images, "no image to draw"
    if images == 1:
        return np.full((resamples, counts.shape[1]), np.nan)
    generator = np.random.default_rng(seed)
    shares = np.full(images, 1 / images)
    rows = max(1, PIECE // images)
    counts = np.asarray(counts, np.float64)
    sums = [
        generator.multinomial(images, shares, size=min(rows, resamples - done)) @ counts
        for done in range(0, resamples, rows)
    ]
    return np.concatenate(sums)


def interval(values: np.ndarray, level: float = LEVEL) -> list[float] | None:
    """Return [low, high], between which `level` of the resampled values [B] lie.

    NaN marks draws with nothing to score and is left out; None where all are.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    return np.quantile(known, [(1 - level) / 2, (1 + level) / 2]).tolist()


def two_sided_p(values: np.ndarray) -> float | None:
    """Return twice the smaller share of resampled differences [B] that lie beyond 0 on one side, at most 1.

    The observed data count as one more draw on either side, so that it is never 0 (Davison & Hinkley 1997). NaN is left
    out; None where all are.
    """
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    beyond = min((known <= 0).sum(), (known >= 0).sum())
    return min(1.0, 2 * (int(beyond) + 1) / (len(known) + 1))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p values of several comparisons, adjusted so that one false find among all stays as rare (Holm 1979)."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def mean_interval(values: np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> list[float] | None:
    """Return the interval of the mean of one value an image [N]; NaN marks images without one. None without two."""
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    if known.sum() < 2:
        return None
    sums = resampled_sums(np.stack([np.where(known, values, 0), known], axis=1), resamples, seed)
    with np.errstate(invalid="ignore"):
        return interval(sums[:, 0] / sums[:, 1])
