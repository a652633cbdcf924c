"""From a network and a split to what its scores are made of: a few numbers an image, at the masks' original size."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from rich.progress import track
from torch import nn

from core.machine.threads import threaded
from core.statistics import interval, mean_interval, resampled_sums
from data.loading import plain_batches
from data.split import Split
from transfer_learning.scores.boundary import boundary_distance, boundary_iou
from transfer_learning.scores.calibration import calibration_counts, expected_calibration_error, reliability
from transfer_learning.scores.confusion import (
    IGNORE_INDEX,
    array_confusion_matrix,
    likeliest,
    score_intervals,
    segmentation_scores,
)


@dataclass(frozen=True)
class SplitScores:
    """What each of N labelled images adds to the scores.

    Attributes:
        indices: [N] places in the split.
        matrices: [N, C, C] int64 confusion matrices, rows truth, columns prediction; the border is left out.
        with_border: [N, 3] int64 intersection, prediction and truth of the animal, the border being animal; None where
            the masks have no border (own pictures).
        boundaries: [N, 2] Boundary IoU and boundary distance in pixels, NaN where there is none; None likewise.
        calibration: [N, 15, 3], see `calibration_counts`.
    """

    indices: np.ndarray
    matrices: np.ndarray
    with_border: np.ndarray | None
    boundaries: np.ndarray | None
    calibration: np.ndarray


def restored_scores(
    model: nn.Module, split: Split, indices: np.ndarray, batch_size: int, device: torch.device
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index, class scores [C, H, W] float32 at the image's original size) for the given images, in order."""
    for batch in _logits(model, split, indices, batch_size, device):
        for index, logits in batch:
            yield index, split.geometries[index].restore_scores(logits)


def scores_of_split(model: nn.Module, split: Split, batch_size: int, device: torch.device) -> SplitScores:
    """Return what every labelled image of a split adds to the scores."""
    batches = _logits(model, split, split.labelled, batch_size, device)
    results = threaded(partial(_scored, split), batches)
    rows = list(track(results, f"segmenting {split.name}", len(split.labelled)))
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    with_border, boundaries = columns[2:] or (None, None)
    return SplitScores(split.labelled, columns[0], with_border, boundaries, columns[1])


def _logits(
    model: nn.Module, split: Split, indices: np.ndarray, batch_size: int, device: torch.device
) -> Iterator[list[tuple[int, np.ndarray]]]:
    """Yield a batch's indices and logits [C, S, S] float32 at the size that the network sees."""
    for chosen, batch in plain_batches(split, indices, batch_size, device):
        with torch.inference_mode():
            logits = model(batch.input, batch.content).float().cpu().numpy()
        yield list(zip(chosen.tolist(), logits, strict=True))


def _scored(split: Split, item: tuple[int, np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return what an image adds to matrices and calibration, and to the scores of its outline where borders are open.

    Args:
        split: with the image and its truth.
        item: its index, and its logits [C, S, S] at the size that the network sees.
    """
    index, logits = item
    scores = split.geometries[index].restore_scores(logits)
    prediction, truth = likeliest(scores)[0], split.truth(index)
    matrix = array_confusion_matrix(prediction, truth, len(scores))
    counts = calibration_counts(probabilities_of(scores), truth, IGNORE_INDEX)
    if split.dataset == "folder":
        return matrix, counts
    return matrix, counts, *_with_border(prediction != 0, truth != 0)


def probabilities_of(scores: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the softmax of scores, [C, H, W] or with the classes along another axis; float32 in [0, 1]."""
    return torch.from_numpy(scores).softmax(axis).numpy()


def results_of(scores: SplitScores, class_names: list[str]) -> dict[str, Any]:
    """Return all scores of a split with their 95 % intervals over images, ready for JSON."""
    matrix = scores.matrices.sum(axis=0)
    resampled = resampled_sums(scores.calibration.reshape(len(scores.indices), -1))
    errors = expected_calibration_error(resampled.reshape(-1, *scores.calibration.shape[1:]))
    calibration = reliability(scores.calibration.sum(axis=0))
    more = {
        "foreground_iou_border_as_animal": _border_iou(scores.with_border),
        **_boundary(scores.boundaries),
        "expected_calibration_error": (calibration["ece"], interval(errors)),
    }
    return {
        **segmentation_scores(matrix, class_names),
        **{name: value for name, (value, _) in more.items()},
        "classes_without_truth": [name for name, row in zip(class_names, matrix, strict=True) if not row.any()],
        "calibration": calibration,
        "intervals": {
            **score_intervals(scores.matrices, class_names),
            **{name: between for name, (_, between) in more.items()},
        },
    }


def _with_border(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    counts = np.array([np.count_nonzero(mask) for mask in (prediction & truth, prediction, truth)])
    return counts, np.array([boundary_iou(prediction, truth), boundary_distance(prediction, truth)])


def _border_iou(counts: np.ndarray | None) -> tuple[float | None, list[float] | None]:
    if counts is None:
        return None, None

    def iou(sums: np.ndarray) -> np.ndarray:
        union = sums[:, 1] + sums[:, 2] - sums[:, 0]
        return np.divide(sums[:, 0], union, out=np.full(len(sums), np.nan), where=union > 0)

    whole = float(iou(counts.sum(axis=0, keepdims=True))[0])
    return None if np.isnan(whole) else whole, interval(iou(resampled_sums(counts)))


def _boundary(values: np.ndarray | None) -> dict[str, tuple[float | None, list[float] | None]]:
    """Return the means of both boundary scores over the images that have one, and their intervals."""
    columns = [np.array([np.nan])] * 2 if values is None else list(values.T)
    return {
        name: (None if np.isnan(column).all() else float(np.nanmean(column)), mean_interval(column))
        for name, column in zip(("boundary_iou", "boundary_distance_pixels"), columns, strict=True)
    }
