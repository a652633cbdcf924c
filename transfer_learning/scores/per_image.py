"""The scores of single images and of breeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data.split import Split
from transfer_learning.scores.confusion import scores_of_matrices, segmentation_scores
from transfer_learning.scores.split import SplitScores

TRUE_CLASSES = "mean_iou_true_classes"


def image_rows(split: Split, scores: SplitScores, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row an image: what it is, its scores (None: nothing to score), and the counts they come from.

    `mean_iou_true_classes` is the mean over the classes that the image's truth holds: over all classes, a few stray
    pixels of another class would cost a single image a third. The counts `count_<truth>_as_<prediction>` are pixels;
    summed over images they give the scores of the split.
    """
    of_images = scores_of_matrices(scores.matrices, class_names)
    columns = {f"iou_{name}": of_images[name]["iou"] for name in class_names}
    columns[TRUE_CLASSES] = _mean_over_true(scores.matrices, np.stack(list(columns.values()), axis=1))
    columns["foreground_iou"] = of_images["foreground_iou"]
    if scores.boundaries is not None:
        columns |= {"boundary_iou": scores.boundaries[:, 0], "boundary_distance_pixels": scores.boundaries[:, 1]}
    rows = []
    for place, index in enumerate(scores.indices):
        geometry = split.geometries[index]
        rows.append(
            {
                "name": split.names[index],
                "breed": split.breeds[index],
                "species": split.species[index],
                "height": geometry.height,
                "width": geometry.width,
                **{name: _known(values[place]) for name, values in columns.items()},
                **{
                    f"count_{true}_as_{predicted}": int(scores.matrices[place, t, p])
                    for t, true in enumerate(class_names)
                    for p, predicted in enumerate(class_names)
                },
            }
        )
    return rows


def breed_scores(split: Split, scores: SplitScores, class_names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return each breed's number of images, species and scores, from its summed matrices; see `image_rows`."""
    breeds = np.array([split.breeds[index] or "" for index in scores.indices])
    species = np.array([split.species[index] or "" for index in scores.indices])
    found = {}
    for breed in sorted(set(breeds) - {""}):
        of_breed = breeds == breed
        matrix = scores.matrices[of_breed].sum(axis=0, keepdims=True)
        result = segmentation_scores(matrix[0], class_names)
        of_classes = np.array([[result[name]["iou"] for name in class_names]], np.float64)
        found[str(breed)] = {
            "num_images": int(of_breed.sum()),
            "species": str(species[of_breed][0]) or None,
            TRUE_CLASSES: _known(_mean_over_true(matrix, of_classes)[0]),
            "foreground_iou": result["foreground_iou"],
            "iou": {name: result[name]["iou"] for name in class_names},
        }
    return found


def _mean_over_true(matrices: np.ndarray, iou: np.ndarray) -> np.ndarray:
    """Return the mean [N] of IoUs [N, C] over the classes that the truth of matrices [N, C, C] holds."""
    held = matrices.sum(axis=2) > 0
    return np.where(held, iou, 0).sum(axis=1) / np.where(held.any(axis=1), held.sum(axis=1), np.nan)


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
