"""What the JSON of an evaluation says: scores of all images together, and their intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.statistics import interval, mean_interval, resampled_sums
from transfer_learning.scores.calibration import expected_calibration_error, reliability
from transfer_learning.scores.cases import case_counts, case_results
from transfer_learning.scores.confusion import known, score_intervals, segmentation_scores
from transfer_learning.scores.one_object import one_object_intervals, one_object_scores
from transfer_learning.scores.rand import rand_results
from transfer_learning.scores.roc import BINS, auc_error
from transfer_learning.scores.split import SplitScores
from transfer_learning.scores.surface import distance_results


def results_of(scores: SplitScores) -> dict[str, Any]:
    """Return all scores of a split with their 95 % intervals over images, ready for JSON."""
    found = segmentation_scores(scores.matrix, scores.class_set)
    by_class, matrix = found.pop("classes"), found.pop("confusion_matrix")
    calibration = reliability(scores.calibration.sum(axis=0))
    more = {**_border_iou(scores.with_border), **_boundary(scores.boundaries)}
    more["expected_calibration_error"] = calibration["ece"], _calibration_interval(scores.calibration)
    intervals = score_intervals(scores.counts, scores.class_set)
    of_classes = intervals.pop("classes")
    _add_areas(scores, (by_class, found["foreground"]), (of_classes, intervals["foreground"]))
    medical, medical_intervals = _of_medicine(scores)
    return {
        **found,
        **{name: value for name, (value, _) in more.items()},
        **medical,
        "one_object": one_object_scores(scores.counts, scores.class_set),
        "class_set": scores.class_set.content(),
        "classes": by_class,
        "confusion_matrix": matrix,
        "classes_without_truth": [
            name for name, row in zip(scores.class_set.names, scores.matrix, strict=True) if not row.any()
        ],
        "calibration": calibration,
        "intervals": {
            **intervals,
            **{name: between for name, (_, between) in more.items()},
            **medical_intervals,
            "one_object": one_object_intervals(scores.counts, scores.class_set),
            "classes": of_classes,
        },
    }


def _add_areas(scores: SplitScores, found: Sequence[dict[str, Any]], intervals: Sequence[dict[str, Any]]) -> None:
    """Add the area under the ROC curve, `auc`, to the scores of classes and of the foreground, and their intervals.

    That of the foreground is the background's: what tells either from the rest tells the other.
    """
    classes = scores.class_set
    areas, drawn = np.full(len(classes), np.nan), np.full((1, len(classes)), np.nan)
    if scores.roc:
        areas, drawn = scores.roc.areas(), scores.roc.areas_of_draws()
    for (by_class, foreground), of in (
        (found, lambda c: known(float(areas[c]))),
        (intervals, lambda c: interval(drawn[:, c])),
    ):
        for number, name in enumerate(classes.names):
            by_class[name]["auc"] = of(number)
        foreground["auc"] = None if classes.background is None else of(classes.background)


def _of_medicine(scores: SplitScores) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the scores of cases, and those that were asked for, and their intervals under the same keys."""
    classes, options = scores.class_set, scores.options
    counts = scores.counts if scores.cases is None else case_counts(scores.counts, scores.cases)
    found, intervals = case_results(counts, classes, options.case_by)
    if scores.roc:
        found["roc"] = {"bins": BINS, "largest_auc_error": known(np.fmax.reduce(auc_error(scores.roc.counts)))}
    if scores.distances is not None:
        of_distances = distance_results(scores.distances, scores.counts, classes, scores.unit)
        found["distances"], intervals["distances"] = of_distances
    if scores.separated is not None:
        assert options.v_rand is not None
        for whole, more in zip((found, intervals), rand_results(scores.separated, options.v_rand), strict=True):
            whole |= more
    return found, intervals


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
