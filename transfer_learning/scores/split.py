"""From a network and a split to what its scores are made of: a few numbers an image, at the masks' original size."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from core.classes import IGNORED, ClassSet
from core.evaluation import MANY_CLASSES
from core.machine.threads import threaded
from core.terminal.progress import track
from data.loading import AnySplit
from data.volumes.split import VolumeSplit
from transfer_learning.inference.postprocessing.pipeline import Reading
from transfer_learning.inference.readout import Readout, Seen
from transfer_learning.inference.splits import seen_of_split
from transfer_learning.inference.volumes import SeenVolume, VolumeReadout
from transfer_learning.scores.boundary import boundary_distance, boundary_iou
from transfer_learning.scores.calibration import calibration_counts
from transfer_learning.scores.cases import cases_of
from transfer_learning.scores.confusion import array_confusion_matrix, counts_of
from transfer_learning.scores.options import ScoreOptions
from transfer_learning.scores.rand import rand_sums
from transfer_learning.scores.roc import RocSums, area_under_roc, roc_counts
from transfer_learning.scores.surface import MILLIMETRES, PIXELS, class_distances


@dataclass(frozen=True)
class SplitScores:
    """What each of N labelled images, or volumes, adds to the scores.

    Attributes:
        indices: [N] places in the split.
        class_set: the C classes.
        matrix: [C, C] int64 confusion matrix of all images, rows truth, columns prediction; 255 is left out.
        counts: [N, C, 3] int64 pixels of each class: hit, in the truth, in the prediction.
        calibration: [N, 15, 3], see `calibration_counts`.
        boundaries: [N, 2] Boundary IoU and boundary distance in pixels of the foreground, NaN where there is none; None
            without a background, and of volumes.
        with_border: [N, 3] int64 hit, true and predicted pixels of the foreground, the border being foreground; None
            where what is ignored is no border.
        areas: [N, C] area under each class's ROC curve, NaN where there is none; None with more than 25 classes, as
            `roc`.
        distances: [N, C, 2], see `class_distances`; None where they were not asked for.
        separated: [N, 9, 3], see `rand_sums`; likewise.
        roc: the curves of all images together.
        cases: [N] the case of each image, counted from 0; None: each is one.
        options: what was asked for.
        unit: of the distances.
    """

    indices: np.ndarray
    class_set: ClassSet
    matrix: np.ndarray
    counts: np.ndarray
    calibration: np.ndarray
    boundaries: np.ndarray | None = None
    with_border: np.ndarray | None = None
    areas: np.ndarray | None = None
    distances: np.ndarray | None = None
    separated: np.ndarray | None = None
    roc: RocSums | None = None
    cases: np.ndarray | None = None
    options: ScoreOptions = field(default_factory=ScoreOptions)
    unit: str = PIXELS


class OfImage(NamedTuple):
    """What one image, or volume, adds: as the fields of `SplitScores`, and its `roc_counts`."""

    matrix: np.ndarray
    roc: np.ndarray | None
    calibration: np.ndarray
    boundaries: tuple[float, float] | None
    with_border: list[int] | None
    areas: np.ndarray | None
    distances: np.ndarray | None
    separated: np.ndarray | None


def scores_of_split(
    readout: Readout | VolumeReadout, split: AnySplit, options: ScoreOptions | None = None
) -> SplitScores:
    """Return what every labelled image of a split adds to the scores."""
    options = _with_cases(options or ScoreOptions(), split)
    results = threaded(partial(_scored, split, options), seen_of_split(readout, split, split.labelled))
    unit = MILLIMETRES if isinstance(split, VolumeSplit) else PIXELS
    return gathered(track(results, f"segmenting {split.name}", len(split.labelled)), split, options, unit)


def gathered(results: Iterable[OfImage], split: AnySplit, options: ScoreOptions, unit: str = PIXELS) -> SplitScores:
    """Return the scores of a split from what its labelled images add, in their order; `unit` is of the distances."""
    classes = len(split.class_set)
    matrix = np.zeros((classes, classes), np.int64)
    roc = RocSums(classes) if classes <= MANY_CLASSES else None
    counts, rest = [], []
    for one in results:
        matrix += one.matrix
        if roc and one.roc is not None:
            roc.add(one.roc)
        counts.append(counts_of(one.matrix))
        rest.append(one[2:])
    columns = (None if column[0] is None else np.array(column) for column in zip(*rest, strict=True))
    calibration, boundaries, with_border, areas, distances, separated = columns
    assert calibration is not None, "there is one of every image"
    cases = None
    if options.case_by is not None:
        cases = cases_of([split.tags[options.case_by][index] for index in split.labelled])
    return SplitScores(
        split.labelled,
        split.class_set,
        matrix,
        np.array(counts),
        calibration,
        *(boundaries, with_border, areas, distances, separated),
        roc=roc,
        cases=cases,
        options=options,
        unit=unit,
    )


def _with_cases(options: ScoreOptions, split: AnySplit) -> ScoreOptions:
    """Return the options with the tag by which own pictures were divided, where no other was named."""
    divided_by = split.manifest.source.get("group_by")
    return replace(options, case_by=divided_by) if options.case_by is None and divided_by in split.tags else options


def _scored(split: AnySplit, options: ScoreOptions, item: tuple[int, Seen | SeenVolume]) -> OfImage:
    """Return what an image adds to the scores.

    Args:
        split: with the image and its truth.
        options: what is scored.
        item: its index, and what the network put out for it.
    """
    index, seen = item
    truth = split.truth(index)
    spacing = split.geometries[index].original_spacing if isinstance(split, VolumeSplit) else None
    return scored_image(seen.read(), truth, split.class_set, options, spacing)


def scored_image(
    reading: Reading,
    truth: np.ndarray,
    classes: ClassSet,
    options: ScoreOptions,
    spacing: Sequence[float] | None = None,
) -> OfImage:
    """Return what an image or volume adds to the scores.

    Args:
        reading: labels, confidence [*sides] and probabilities [C, *sides], where sides are H, W or D, H, W.
        truth: [*sides] labels, 255 where nothing is scored.
        classes: the C classes.
        options: what is scored.
        spacing: of the pixels along each axis in millimetres; None: distances are in pixels.
    """
    prediction, confidence, probabilities = reading
    roc = roc_counts(probabilities, truth) if len(classes) <= MANY_CLASSES else None
    separator = None if options.v_rand is None else classes.names.index(options.v_rand)
    return OfImage(
        matrix=array_confusion_matrix(prediction, truth, len(classes)),
        roc=roc,
        calibration=calibration_counts(prediction, confidence, truth),
        **_of_foreground(prediction, truth, classes),
        areas=None if roc is None else area_under_roc(roc),
        distances=class_distances(prediction, truth, classes, spacing) if options.distances else None,
        separated=None if separator is None else rand_sums(probabilities[separator], truth, separator),
    )


def _of_foreground(prediction: np.ndarray, truth: np.ndarray, classes: ClassSet) -> dict[str, Any]:
    background, border = classes.background, classes.ignored_is == "border"
    if background is None:
        return {"boundaries": None, "with_border": None}
    # A border is foreground; what is not known is in neither outline.
    judged = True if border else truth != IGNORED
    found, true = (prediction != background) & judged, (truth != background) & judged
    outlines = (boundary_iou(found, true), boundary_distance(found, true)) if truth.ndim == 2 else None
    overlap = [np.count_nonzero(mask) for mask in (found & true, true, found)] if border else None
    return {"boundaries": outlines, "with_border": overlap}
