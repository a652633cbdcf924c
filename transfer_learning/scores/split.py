"""From a network and a split to what its scores are made of: a few numbers an image, at the masks' original size."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from core.classes import IGNORED, ClassSet
from core.machine.threads import threaded
from core.statistics import interval, mean_interval, resampled_sums
from core.terminal.progress import track
from data.split import Split
from transfer_learning.inference.readout import Readout, Seen
from transfer_learning.inference.splits import seen_of_split
from transfer_learning.scores.boundary import boundary_distance, boundary_iou
from transfer_learning.scores.calibration import calibration_counts, expected_calibration_error, reliability
from transfer_learning.scores.confusion import (
    array_confusion_matrix,
    counts_of,
    known,
    score_intervals,
    segmentation_scores,
)


@dataclass(frozen=True)
class SplitScores:
    """What each of N labelled images adds to the scores.

    Attributes:
        indices: [N] places in the split.
        class_set: the C classes.
        matrix: [C, C] int64 confusion matrix of all images, rows truth, columns prediction; 255 is left out.
        counts: [N, C, 3] int64 pixels of each class: hit, in the truth, in the prediction.
        calibration: [N, 15, 3], see `calibration_counts`.
        boundaries: [N, 2] Boundary IoU and boundary distance in pixels of the foreground, NaN where there is none; None
            without a background.
        with_border: [N, 3] int64 hit, true and predicted pixels of the foreground, the border being foreground; None
            where what is ignored is no border.
    """

    indices: np.ndarray
    class_set: ClassSet
    matrix: np.ndarray
    counts: np.ndarray
    calibration: np.ndarray
    boundaries: np.ndarray | None = None
    with_border: np.ndarray | None = None


class _OfImage(NamedTuple):
    matrix: np.ndarray
    calibration: np.ndarray
    boundaries: tuple[float, float] | None
    with_border: list[int] | None


def scores_of_split(readout: Readout, split: Split) -> SplitScores:
    """Return what every labelled image of a split adds to the scores."""
    results = threaded(partial(_scored, split), seen_of_split(readout, split, split.labelled))
    classes = len(split.class_set)
    matrix = np.zeros((classes, classes), np.int64)
    counts, rest = [], []
    for one in track(results, f"segmenting {split.name}", len(split.labelled)):
        matrix += one.matrix
        counts.append(counts_of(one.matrix))
        rest.append(one[1:])
    columns = [None if column[0] is None else np.array(column) for column in zip(*rest, strict=True)]
    return SplitScores(split.labelled, split.class_set, matrix, np.array(counts), *columns)


def _scored(split: Split, item: tuple[int, Seen]) -> _OfImage:
    """Return what an image adds to the scores.

    Args:
        split: with the image and its truth.
        item: its index, and what the network put out for it.
    """
    index, seen = item
    truth = split.truth(index)
    prediction, confidence, _ = seen.read()
    matrix = array_confusion_matrix(prediction, truth, len(split.class_set))
    calibration = calibration_counts(prediction, confidence, truth)
    background, border = split.class_set.background, split.class_set.ignored_is == "border"
    if background is None:
        return _OfImage(matrix, calibration, None, None)
    # A border is foreground; what is not known is in neither outline.
    judged = True if border else truth != IGNORED
    found, true = (prediction != background) & judged, (truth != background) & judged
    outlines = boundary_iou(found, true), boundary_distance(found, true)
    overlap = [np.count_nonzero(mask) for mask in (found & true, true, found)] if border else None
    return _OfImage(matrix, calibration, outlines, overlap)


def results_of(scores: SplitScores) -> dict[str, Any]:
    """Return all scores of a split with their 95 % intervals over images, ready for JSON."""
    found = segmentation_scores(scores.matrix, scores.class_set)
    by_class, matrix = found.pop("classes"), found.pop("confusion_matrix")
    calibration = reliability(scores.calibration.sum(axis=0))
    more = {**_border_iou(scores.with_border), **_boundary(scores.boundaries)}
    more["expected_calibration_error"] = calibration["ece"], _calibration_interval(scores.calibration)
    intervals = score_intervals(scores.counts, scores.class_set)
    of_classes = intervals.pop("classes")
    return {
        **found,
        **{name: value for name, (value, _) in more.items()},
        "class_set": scores.class_set.content(),
        "classes": by_class,
        "confusion_matrix": matrix,
        "classes_without_truth": [
            name for name, row in zip(scores.class_set.names, scores.matrix, strict=True) if not row.any()
        ],
        "calibration": calibration,
        "intervals": {**intervals, **{name: between for name, (_, between) in more.items()}, "classes": of_classes},
    }


Scored = tuple[float | None, list[float] | None]  # a score and its interval


def _calibration_interval(calibration: np.ndarray) -> list[float] | None:
    resampled = resampled_sums(calibration.reshape(len(calibration), -1))
    return interval(expected_calibration_error(resampled.reshape(-1, *calibration.shape[1:])))


def _border_iou(counts: np.ndarray | None) -> dict[str, Scored]:
    """Return the IoU of the foreground with the border as part of it; nothing where there is no border."""
    if counts is None:
        return {}

    def iou(sums: np.ndarray) -> np.ndarray:
        union = sums[:, 1] + sums[:, 2] - sums[:, 0]
        return np.divide(sums[:, 0], union, out=np.full(len(sums), np.nan), where=union > 0)

    whole = known(iou(counts.sum(axis=0, keepdims=True))[0])
    return {"foreground_iou_border_as_object": (whole, interval(iou(resampled_sums(counts))))}


def _boundary(values: np.ndarray | None) -> dict[str, Scored]:
    """Return the means of both boundary scores over the images that have one, and their intervals."""
    columns = [np.array([np.nan])] * 2 if values is None else list(values.T)
    return {
        name: (None if np.isnan(column).all() else float(np.nanmean(column)), mean_interval(column))
        for name, column in zip(("boundary_iou", "boundary_distance_pixels"), columns, strict=True)
    }
