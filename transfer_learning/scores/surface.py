"""How far apart the surfaces of two masks lie, of any dimension."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import ndimage

from core.classes import IGNORED, ClassSet
from core.statistics import mean_interval
from transfer_learning.scores.cases import mean

PERCENTILE = 95
PIXELS = "pixels"
DISTANCES = ("hausdorff_95", "surface_distance")


def surface_distances(
    prediction: np.ndarray, truth: np.ndarray, spacing: Sequence[float] | None = None
) -> tuple[float, float]:
    """Return the 95 % Hausdorff distance and the average symmetric surface distance (Heimann et al. 2009).

    The surface of a mask are its pixels with a neighbour along an axis outside of it; beyond the array nothing is mask.
    The first is the larger of the two directions' 95th percentiles, the second the mean over both surfaces.

    Args:
        prediction, truth: bool, [H, W] or [D, H, W].
        spacing: of the pixels along each axis, in millimetres; None: distances are in pixels.

    Returns:
        NaN where a mask is empty: there is no surface to be far from.
    """
    if not prediction.any() or not truth.any():
        return float("nan"), float("nan")
    (part,) = ndimage.find_objects((prediction | truth).view(np.uint8))
    one, other = (_surface(mask[part]) for mask in (prediction, truth))
    there, back = _distance_to(other, spacing)[one], _distance_to(one, spacing)[other]
    farthest = max(np.percentile(there, PERCENTILE), np.percentile(back, PERCENTILE))
    return float(farthest), float(np.concatenate([there, back]).mean())


def class_distances(
    prediction: np.ndarray, truth: np.ndarray, classes: ClassSet, spacing: Sequence[float] | None = None
) -> np.ndarray:
    """Return the `surface_distances` [C, 2] of each class of labels of one shape; NaN for the background.

    What the truth leaves open (255) is in neither mask.
    """
    judged = truth != IGNORED
    found = np.full((len(classes), 2), np.nan)
    for number in judged_classes(classes):
        found[number] = surface_distances((prediction == number) & judged, truth == number, spacing)
    return found


def judged_classes(classes: ClassSet) -> Sequence[int]:
    """Return the classes whose surfaces are compared: the foreground, all where there is no background."""
    return classes.foreground or range(len(classes))


def distance_results(
    distances: np.ndarray, counts: np.ndarray, classes: ClassSet, unit: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what JSON says of distances, and their 95 % intervals over images under the same keys.

    Args:
        distances: [N, C, 2] of each image.
        counts: [N, C, 3] pixels of each class: hit, in the truth, in the prediction.
        classes: the C classes.
        unit: `pixels` or `mm`.

    Returns:
        class -> the means of both distances over the `num_scored` images whose truth and prediction hold the class; in
        how many the prediction alone lacks it (`missed`), and in how many it alone holds it (`invented`).
    """
    held = counts[..., 1:] > 0  # [N, C, 2] in the truth, in the prediction
    found, intervals = {}, {}
    for number in judged_classes(classes):
        (true, said), columns = held[:, number].T, distances[:, number].T
        means = {kind: mean(values) for kind, values in zip(DISTANCES, columns, strict=True)}
        numbers = {"num_scored": true & said, "missed": true & ~said, "invented": said & ~true}
        name = classes.names[number]
        found[name] = {**means, **{kind: int(np.count_nonzero(one)) for kind, one in numbers.items()}}
        intervals[name] = {kind: mean_interval(values) for kind, values in zip(DISTANCES, columns, strict=True)}
    return {"unit": unit, "classes": found}, {"classes": intervals}


def _surface(mask: np.ndarray) -> np.ndarray:
    return mask & ~ndimage.binary_erosion(mask)


def _distance_to(surface: np.ndarray, spacing: Sequence[float] | None) -> np.ndarray:
    return ndimage.distance_transform_edt(~surface, sampling=spacing)
