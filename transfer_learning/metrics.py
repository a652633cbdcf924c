"""Segmentation scores, all from one global confusion matrix."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

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


def segmentation_scores(matrix: Tensor, class_names: Sequence[str]) -> dict[str, Any]:
    """Return the scores of a confusion matrix, ready for JSON, all in [0, 1].

    Args:
        matrix: [C, C] int64, rows truth, columns prediction; class 0 is the background.
        class_names: the C names, each the key of its own scores.

    Returns:
        `pixel_accuracy`; `mean_iou`, over the classes that truth or prediction hold; `mean_foreground_dice`, likewise
        without the background; each class's `dice`, `iou`, `precision` and `recall`; `foreground_iou`, all other
        classes taken as one; `confusion_matrix`. None where there is nothing to score: a class that neither truth nor
        prediction hold has no score at all, one that was predicted without being there has IoU 0 and no recall.
    """
    assert matrix.shape == (len(class_names), len(class_names)), "one name for each class"
    rows = matrix.tolist()
    classes = range(len(rows))
    counts = [(rows[c][c], sum(row[c] for row in rows), sum(rows[c])) for c in classes]
    by_class = {name: _class_scores(*count) for name, count in zip(class_names, counts, strict=True)}
    foreground = matrix[1:, 1:].sum(), matrix[:, 1:].sum(), matrix[1:, :].sum()
    return {
        "pixel_accuracy": _ratio(sum(rows[c][c] for c in classes), sum(map(sum, rows))),
        "mean_iou": _mean(scores["iou"] for scores in by_class.values()),
        "mean_foreground_dice": _mean(by_class[name]["dice"] for name in class_names[1:]),
        **by_class,
        "foreground_iou": _class_scores(*map(int, foreground))["iou"],
        "confusion_matrix": rows,
    }


def _class_scores(correct: int, predicted: int, true: int) -> dict[str, float | None]:
    return {
        "dice": _ratio(2 * correct, predicted + true),
        "iou": _ratio(correct, predicted + true - correct),
        "precision": _ratio(correct, predicted),
        "recall": _ratio(correct, true),
    }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(scores: Iterable[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known else None
