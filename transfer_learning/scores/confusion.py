"""Segmentation scores, all from pixels counted over images.

A confusion matrix [C, C] says which classes are taken for which; scores need three counts a class alone, [C, 3], which
is what is kept of every image.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from core.classes import IGNORED, ClassSet
from core.statistics import interval, resampled_sums

if TYPE_CHECKING:
    from torch import Tensor


def confusion_matrix(prediction: "Tensor", label: "Tensor", num_classes: int) -> "Tensor":
    """Count how often each true class was given each predicted class; the matrices of several images add up.

    Args:
        prediction: integers below `num_classes`, any shape, a tensor or an array.
        label: as `prediction`, or 255 where nothing is scored.
        num_classes: number of classes C.

    Returns:
        [C, C] int64, rows truth, columns prediction.
    """
    import torch  # here alone: reports and listings read the counts of others, and need no seconds for it

    label, prediction = torch.as_tensor(label), torch.as_tensor(prediction)
    scored = label != IGNORED
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
    assert not rows[num_classes:IGNORED].any(), "a class outside the set"
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


def counts_of(matrices: np.ndarray) -> np.ndarray:
    """Return what is left of confusion matrices [..., C, C] for scores: hit, truth and said pixels, [..., C, 3]."""
    return np.stack([matrices.diagonal(axis1=-2, axis2=-1), matrices.sum(axis=-1), matrices.sum(axis=-2)], axis=-1)


def segmentation_scores(matrix: "Tensor | np.ndarray", class_set: ClassSet) -> dict[str, Any]:
    """Return the scores of one confusion matrix [C, C], ready for JSON: as `scores_of_counts`, and the matrix.

    None where there is nothing to score: a class that neither truth nor prediction hold has its specificity alone, one
    that was predicted without being there has IoU 0 and no recall.
    """
    matrix = np.asarray(matrix)
    scores = mapped(scores_of_counts(counts_of(matrix[None]), class_set), lambda values: known(values[0]))
    return {**scores, "confusion_matrix": matrix.tolist()}


def score_intervals(counts: np.ndarray, class_set: ClassSet) -> dict[str, Any]:
    """Return the 95 % interval [low, high] of each score over images, from their counts [N, C, 3], N >= 1.

    Bootstrap over images (`core.statistics`); None where there is nothing to score, or a single image has it all: a
    class that one image alone holds has the same IoU in every draw.
    """
    sums = resampled_sums(counts.reshape(len(counts), -1))
    found = mapped(scores_of_counts(sums.reshape(-1, *counts.shape[1:]), class_set), interval)
    for name, of_class in zip(class_set.names, np.moveaxis(counts, 1, 0), strict=True):
        found["classes"][name] |= _of_one_image(of_class)
    alone = _of_one_image(foreground_counts(counts, class_set.background))
    found["foreground"] |= alone
    return found | {
        key: None for key, of in (("foreground_iou", "iou"), ("mean_foreground_dice", "dice")) if of in alone
    }


def _of_one_image(counts: np.ndarray) -> dict[str, None]:
    """Return the scores of counts [N, 3] of a class to which fewer than two images add anything, as None."""
    _, true, said = np.count_nonzero(counts, axis=0)
    either = np.count_nonzero(counts[:, 1] + counts[:, 2])
    holding = {"dice": either, "iou": either, "precision": said, "recall": true}
    return {kind: None for kind, images in holding.items() if images < 2}


def scores_of_counts(counts: np.ndarray, class_set: ClassSet) -> dict[str, Any]:
    """Return the scores of each of B sets of counts, all in [0, 1].

    Args:
        counts: [B, C, 3] pixels of each class: hit, in the truth, in the prediction; of images or of sums over them.
        class_set: the C classes.

    Returns:
        Arrays [B], NaN where there is nothing to score: `pixel_accuracy`; `mean_accuracy`, the mean recall of the
        classes that the truth holds (SegNet's class average); `mean_iou`, over the classes that truth or prediction
        hold; `mean_foreground_dice`, likewise without the background, and `foreground_iou`, all but the background
        taken as one class: both NaN without a background; `foreground`, all scores of that one class; `classes`: name
        -> `dice`, `iou`, `precision`, `recall` (sensitivity), `specificity`, `balanced_accuracy`, the mean of the two
        before.
    """
    assert counts.shape[1:] == (len(class_set), 3), "three counts for each class"
    whole = counts[..., 1].sum(axis=1)
    columns = _class_scores(counts, whole[:, None])
    foreground = _class_scores(foreground_counts(counts, class_set.background), whole)
    return {
        "pixel_accuracy": _ratio(counts[..., 0].sum(axis=1), whole),
        "mean_accuracy": _mean(columns["recall"]),
        "mean_iou": _mean(columns["iou"]),
        "mean_foreground_dice": _mean(columns["dice"][:, list(class_set.foreground)]),
        "foreground_iou": foreground["iou"],
        "foreground": foreground,
        "classes": {
            name: {kind: values[:, c] for kind, values in columns.items()} for c, name in enumerate(class_set.names)
        },
    }


def _class_scores(counts: np.ndarray, whole: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores [...] of counts [..., 3] (hit, true, said) of a class, among so many pixels [...]."""
    hit, true, said = np.moveaxis(counts, -1, 0)
    other = whole - true
    recall, specificity = _ratio(hit, true), _ratio(other - said + hit, other)
    return {
        "dice": _ratio(2 * hit, said + true),
        "iou": _ratio(hit, said + true - hit),
        "precision": _ratio(hit, said),
        "recall": recall,
        "specificity": specificity,
        "balanced_accuracy": (recall + specificity) / 2,
    }


def foreground_iou(counts: np.ndarray, background: int | None) -> np.ndarray:
    """Return the IoU [B] of all classes but the background as one, of counts [B, C, 3]; NaN without a background."""
    return _class_scores(foreground_counts(counts, background), counts[..., 1].sum(axis=1))["iou"]


def foreground_counts(counts: np.ndarray, background: int | None) -> np.ndarray:
    """Return the counts [B, 3] of all classes but the background as one, of [B, C, 3]; NaN without a background."""
    if background is None:
        return np.full((len(counts), 3), np.nan)
    whole = counts[..., 1].sum(axis=1)
    hit, true, said = np.moveaxis(counts[:, background], -1, 0)
    return np.stack([whole - true - said + hit, whole - true, whole - said], axis=-1)


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


def known(value: float) -> float | None:
    """Return a score for JSON: None where there is none (NaN)."""
    return None if np.isnan(value) else float(value)
