"""The scores of single images and of images that share a tag."""

from typing import Any

import numpy as np

from core.evaluation import MANY_CLASSES
from data.split import Split
from transfer_learning.scores.confusion import foreground_iou, known, scores_of_counts
from transfer_learning.scores.rand import best_threshold, v_rand
from transfer_learning.scores.split import SplitScores
from transfer_learning.scores.surface import DISTANCES, judged_classes

TRUE_CLASSES = "mean_iou_true_classes"
COUNTS = ("hit", "truth", "said")
# Of each class that is looked for, where there are not too many: what further columns say.
OF_CLASSES = ("dice", "precision", "recall", "specificity", "balanced_accuracy")
# A tag with more values than this tells pictures apart, and not kinds of them.
MOST_VALUES = 200


def image_rows(split: Split, scores: SplitScores) -> list[dict[str, Any]]:
    """Return a row an image: what it is, its scores (None: nothing to score), and the counts they come from.

    `mean_iou_true_classes` is the mean over the classes that the image's truth holds: over all classes, a few stray
    pixels of another class would cost a single image a third. The counts `hit_<class>`, `truth_<class>` and
    `said_<class>` are pixels; summed over images they give the scores of the split. Without a background there are no
    columns of the foreground. Up to 25 classes those that are looked for have all their scores.
    """
    names = scores.class_set.names
    iou = _iou(scores.counts, scores)
    columns = {TRUE_CLASSES: _mean_over_true(scores.counts, iou)}
    if scores.boundaries is not None:
        columns["foreground_iou"] = foreground_iou(scores.counts, scores.class_set.background)
        columns |= {"boundary_iou": scores.boundaries[:, 0], "boundary_distance_pixels": scores.boundaries[:, 1]}
    columns |= {f"iou_{name}": iou[:, c] for c, name in enumerate(names)} | _medical_columns(scores)
    counts = [f"{kind}_{name}" for kind in COUNTS for name in names]
    rows = []
    for place, index in enumerate(scores.indices):
        geometry = split.geometries[index]
        rows.append(
            {
                "name": split.names[index],
                "height": geometry.height,
                "width": geometry.width,
                **{f"tag_{tag}": values[index] for tag, values in split.tags.items()},
                **{name: known(values[place]) for name, values in columns.items()},
                **dict(zip(counts, scores.counts[place].T.ravel().tolist(), strict=True)),
            }
        )
    return rows


def _medical_columns(scores: SplitScores) -> dict[str, np.ndarray]:
    """Return columns [N] of the classes that are looked for, and of what was asked for."""
    classes, columns = scores.class_set, {}
    of_counts = scores_of_counts(scores.counts, classes)
    if classes.background is not None:
        columns["mean_foreground_dice"] = of_counts["mean_foreground_dice"]
    for c in judged_classes(classes) if len(classes) <= MANY_CLASSES else ():
        name = classes.names[c]
        columns |= {f"{kind}_{name}": of_counts["classes"][name][kind] for kind in OF_CLASSES}
        if scores.areas is not None:
            columns[f"auc_{name}"] = scores.areas[:, c]
    if scores.distances is not None:
        kinds = (f"{kind}_{scores.unit}" for kind in DISTANCES)
        for place, kind in enumerate(kinds):
            columns |= {f"{kind}_{classes.names[c]}": scores.distances[:, c, place] for c in judged_classes(classes)}
    if scores.separated is not None:
        columns["v_rand"] = v_rand(scores.separated[:, best_threshold(scores.separated)])
    return columns


def tag_scores(split: Split, scores: SplitScores) -> dict[str, dict[str, dict[str, Any]]]:
    """Return for each tag the number of images and the scores of each of its values, from their summed counts.

    Left out are tags that say nothing of kinds: with one value, with more than 200, or with one of its own for every
    image. `mean_iou_true_classes` is as in `image_rows`.
    """
    found = {}
    for tag, of_images in split.tags.items():
        values = np.array([of_images[index] or "" for index in scores.indices])
        kinds, images = np.unique(values[values != ""], return_counts=True)
        if 2 <= len(kinds) <= MOST_VALUES and images.max() > 1:
            found[tag] = {str(kind): _summed(scores, values == kind) for kind in kinds}
    return found


def _summed(scores: SplitScores, chosen: np.ndarray) -> dict[str, Any]:
    counts = scores.counts[chosen].sum(axis=0, keepdims=True)
    iou = _iou(counts, scores)
    return {
        "num_images": int(chosen.sum()),
        TRUE_CLASSES: known(_mean_over_true(counts, iou)[0]),
        "foreground_iou": known(foreground_iou(counts, scores.class_set.background)[0]),
        "iou": {name: known(value) for name, value in zip(scores.class_set.names, iou[0], strict=True)},
    }


def _iou(counts: np.ndarray, scores: SplitScores) -> np.ndarray:
    """Return the IoUs [N, C] of counts [N, C, 3]."""
    by_class = scores_of_counts(counts, scores.class_set)["classes"]
    return np.stack([by_class[name]["iou"] for name in scores.class_set.names], axis=1)


def _mean_over_true(counts: np.ndarray, iou: np.ndarray) -> np.ndarray:
    """Return the mean [N] of IoUs [N, C] over the classes that the truth of counts [N, C, 3] holds."""
    held = counts[..., 1] > 0
    return np.where(held, iou, 0).sum(axis=1) / np.where(held.any(axis=1), held.sum(axis=1), np.nan)
