"""The scores of single images and of breeds."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data.dataset import Split
from transfer_learning.metrics import scores_of_matrices, segmentation_scores
from transfer_learning.scoring import SplitScores


def image_rows(split: Split, scores: SplitScores, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return a row an image: what it is, its scores (None: nothing to score), and the counts they come from.

    The counts `count_<truth>_as_<prediction>` are pixels; summed over images they give the scores of the split.
    """
    of_images = scores_of_matrices(scores.matrices, class_names)
    columns = {f"iou_{name}": of_images[name]["iou"] for name in class_names}
    columns |= {name: of_images[name] for name in ("mean_iou", "foreground_iou")}
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
    """Return each breed's number of images, species, mean IoU and IoU a class, from its summed matrices."""
    breeds = np.array([split.breeds[index] or "" for index in scores.indices])
    species = np.array([split.species[index] or "" for index in scores.indices])
    found = {}
    for breed in sorted(set(breeds) - {""}):
        of_breed = breeds == breed
        result = segmentation_scores(scores.matrices[of_breed].sum(axis=0), class_names)
        found[str(breed)] = {
            "num_images": int(of_breed.sum()),
            "species": str(species[of_breed][0]) or None,
            "mean_iou": result["mean_iou"],
            "foreground_iou": result["foreground_iou"],
            "iou": {name: result[name]["iou"] for name in class_names},
        }
    return found


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
