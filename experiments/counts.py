"""Stands in for `counts_of` and `scores_of_counts` of `transfer_learning.scores.confusion` until they land there."""

from typing import Any

import numpy as np

from core.classes import ClassSet


def counts_of(matrices: np.ndarray) -> np.ndarray:
    """Return hit, truth and said [..., C, 3] of confusion matrices [..., C, C], rows truth, columns prediction."""
    hit = matrices.diagonal(axis1=-2, axis2=-1)
    return np.stack([hit, matrices.sum(axis=-1), matrices.sum(axis=-2)], axis=-1)


def scores_of_counts(counts: np.ndarray, class_set: ClassSet) -> dict[str, Any]:
    """Return the scores of counts [B, C, 3], arrays [B] each, NaN where there is nothing to score."""
    hit, true, said = np.moveaxis(counts, -1, 0)
    columns = {
        "dice": _ratio(2 * hit, said + true),
        "iou": _ratio(hit, said + true - hit),
        "precision": _ratio(hit, said),
        "recall": _ratio(hit, true),
    }
    whole, ground = true.sum(axis=1), class_set.background
    found = {
        "pixel_accuracy": _ratio(hit.sum(axis=1), whole),
        "mean_iou": _mean(columns["iou"]),
        "mean_foreground_dice": np.full(len(counts), np.nan),
        "foreground_iou": np.full(len(counts), np.nan),
        "classes": {name: {k: v[:, c] for k, v in columns.items()} for c, name in enumerate(class_set.names)},
    }
    if ground is not None:
        found["mean_foreground_dice"] = _mean(columns["dice"][:, list(class_set.foreground)])
        both = whole - true[:, ground] - said[:, ground] + hit[:, ground]
        found["foreground_iou"] = _ratio(both, whole - hit[:, ground])
    return found


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _mean(scores: np.ndarray) -> np.ndarray:
    return _ratio(np.nansum(scores, axis=1), (~np.isnan(scores)).sum(axis=1))
