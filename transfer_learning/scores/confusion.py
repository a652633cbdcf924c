"""Segmentation scores, all from confusion matrices summed over images."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.statistics import interval, resampled_sums

IGNORE_INDEX = 255


def confusion_matrix(prediction: Tensor, label: Tensor, num_classes: int) -> Tensor:
    """Count how often each true class was given each predicted class; the matrices of several images add up.

    Args:
        prediction: integers below `num_classes`, any shape, a tensor or an array.
        label: as `prediction`, or 255 where nothing is scored.
        num_classes: number of classes C.

    Returns:
        [C, C] int64, rows truth, columns prediction.
    """
    label, prediction = torch.as_tensor(label), torch.as_tensor(prediction)
    scored = label != IGNORE_INDEX
    label, prediction = label[scored].long(), prediction[scored].long()
    # Left unchecked, a value outside the set would be counted under another pair of classes.
    for values in (label, prediction):
        assert not len(values) or (values.min() >= 0 and values.max() < num_classes), "a class outside the set"
    pairs = torch.bincount(label * num_classes + prediction, minlength=num_classes**2)
    return pairs.view(num_classes, num_classes)


def array_confusion_matrix(prediction: np.ndarray, label: np.ndarray, num_classes: int) -> np.ndarray:
    """Return what `confusion_matrix` does of arrays [H, W] uint8: one pass, and no threads of torch's own."""
    assert prediction.max() < num_classes, "a class outside the set"
    pairs = label.astype(np.intp) * num_classes + prediction
    rows = np.bincount(pairs.ravel(), minlength=256 * num_classes).reshape(256, num_classes)
    assert not rows[num_classes:IGNORE_INDEX].any(), "a class outside the set"
    return rows[:num_classes]


def likeliest(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first class with the highest score, [H, W] uint8, and that score, of [C, H, W].

    As argmax and max, plane by plane: along the first axis NumPy's argmax takes many times as long.
    """
    classes, highest = np.zeros(scores.shape[1:], np.uint8), scores[0].copy()
    for number, plane in enumerate(scores[1:], 1):
        np.maximum(classes, (plane > highest) * np.uint8(number), out=classes)
        np.maximum(highest, plane, out=highest)
    return classes, highest


def segmentation_scores(matrix: Tensor | np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Return the scores of one confusion matrix [C, C], ready for JSON: as `scores_of_matrices`, and the matrix.

    None where there is nothing to score: a class that neither truth nor prediction hold has no score at all, one that
    was predicted without being there has IoU 0 and no recall.
    """
    matrix = np.asarray(matrix)
    scores = mapped(scores_of_matrices(matrix[None], class_names), lambda values: _known(values[0]))
    return {**scores, "confusion_matrix": matrix.tolist()}


def score_intervals(matrices: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Return the 95 % interval [low, high] of each score over images, from their matrices [N, C, C], N >= 1.

    Bootstrap over images (`core.statistics`); None where there is nothing to score.
    """
    sums = resampled_sums(matrices.reshape(len(matrices), -1))
    return mapped(scores_of_matrices(sums.reshape(-1, *matrices.shape[1:]), class_names), interval)


def scores_of_matrices(matrices: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    """Return the scores of each of B confusion matrices, all in [0, 1].

    Args:
        matrices: [B, C, C] counts, rows truth, columns prediction; class 0 is the background.
        class_names: the C names, each the key of its own scores.

    Returns:
        Arrays [B], NaN where there is nothing to score: `pixel_accuracy`; `mean_iou`, over the classes that truth or
        prediction hold; `mean_foreground_dice`, likewise without the background; each class's `dice`, `iou`,
        `precision` and `recall`; `foreground_iou`, all other classes taken as one.
    """
    assert matrices.shape[1:] == (len(class_names), len(class_names)), "one name for each class"
    correct = matrices.diagonal(axis1=1, axis2=2)  # [B, C]
    predicted, true = matrices.sum(axis=1), matrices.sum(axis=2)
    columns = {
        "dice": _ratio(2 * correct, predicted + true),
        "iou": _ratio(correct, predicted + true - correct),
        "precision": _ratio(correct, predicted),
        "recall": _ratio(correct, true),
    }
    by_class = {name: {kind: values[:, c] for kind, values in columns.items()} for c, name in enumerate(class_names)}
    whole = matrices.sum(axis=(1, 2))
    return {
        "pixel_accuracy": _ratio(correct.sum(axis=1), whole),
        "mean_iou": _mean(columns["iou"]),
        "mean_foreground_dice": _mean(columns["dice"][:, 1:]),
        **by_class,
        "foreground_iou": _ratio(matrices[:, 1:, 1:].sum(axis=(1, 2)), whole - matrices[:, 0, 0]),
    }


def mapped(scores: Mapping[str, Any], function: Callable[[np.ndarray], Any]) -> dict[str, Any]:
    """Return nested scores with `function` applied to each."""
    return {
        name: mapped(value, function) if isinstance(value, Mapping) else function(value)
        for name, value in scores.items()
    }


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)


def _mean(scores: np.ndarray) -> np.ndarray:
    """Return the mean [B] over the known of [B, C]."""
    return _ratio(np.nansum(scores, axis=1), (~np.isnan(scores)).sum(axis=1))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
