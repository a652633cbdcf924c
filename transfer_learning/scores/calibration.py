"""Whether a confidence of 0.8 is right in 80 % of the pixels."""

from typing import Any

import numpy as np

from core.classes import IGNORED

BINS = 15


def calibration_counts(prediction: np.ndarray, confidence: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Count an image's pixels by the confidence of their predicted class.

    Args:
        prediction: [H, W], the likeliest class of each pixel.
        confidence: [H, W], its probability in (0, 1].
        truth: [H, W]; pixels of 255 are left out.

    Returns:
        [15, 3] float64, a row a bin of equal width in (0, 1]: pixels, sum of confidences, pixels that were right.
        Counts of several images add up.
    """
    confidence = confidence.ravel().astype(np.float64)
    bins = np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)
    bins[truth.ravel() == IGNORED] = BINS  # one more, that is cut off
    columns = (None, confidence, (prediction == truth).ravel())
    return np.stack([np.bincount(bins, weights=column, minlength=BINS + 1)[:BINS] for column in columns], axis=1)


def expected_calibration_error(counts: np.ndarray) -> np.ndarray:
    """Return the expected calibration error (Naeini et al. 2015, Guo et al. 2017) of counts [..., 15, 3].

    The mean distance between confidence and accuracy over bins, weighted by pixels; NaN without any pixel.
    """
    gaps = np.abs(counts[..., 1] - counts[..., 2]).sum(axis=-1)
    pixels = counts[..., 0].sum(axis=-1)
    return np.divide(gaps, pixels, out=np.full(np.shape(pixels), np.nan), where=pixels > 0)


def reliability(counts: np.ndarray) -> dict[str, Any]:
    """Return summed counts [15, 3] ready for JSON: `ece`, and per bin `count`, `confidence`, `accuracy` (or None)."""
    pixels, confidence, right = counts.T
    error = float(expected_calibration_error(counts))
    return {
        "ece": None if np.isnan(error) else error,
        "count": [int(count) for count in pixels],
        "confidence": [float(part / whole) if whole else None for part, whole in zip(confidence, pixels, strict=True)],
        "accuracy": [float(part / whole) if whole else None for part, whole in zip(right, pixels, strict=True)],
    }
