"""Counts of folds whose score is the mean of given numbers, so that what is said of them can be computed by hand."""

import numpy as np

from experiments.advice.evidence.estimates import Pooled


def hit_rate(counts: np.ndarray) -> float:
    """Return the pixels hit of those true in counts [C, 3], NaN without any."""
    true = counts[:, 1].sum()
    return float(counts[:, 0].sum() / true) if true else float("nan")


def counts_like(rates: list[float]) -> np.ndarray:
    """Return counts [K, 1, 3] of folds of one size with these rates; NaN makes an empty one."""
    return np.array([[[0, 0, 0] if np.isnan(rate) else [rate, 1, 1]] for rate in rates], dtype=float)


def pooled(rates: list[float]) -> Pooled:
    """Return what such folds say together."""
    return Pooled.of(counts_like(rates), hit_rate)
