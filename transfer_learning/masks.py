"""The masks that phase 2 learns from, and those that it is judged by."""

from collections.abc import Iterable

import numpy as np

from core.classes import IGNORED
from core.errors import UserError
from data.loading import AnySplit
from data.subsets import label_subset, some_labels
from data.volumes.split import VolumeSplit
from transfer_learning.config import SegmentationConfig


def chosen_labels(train: AnySplit, config: SegmentationConfig) -> np.ndarray:
    """Return the indices of the labelled pictures to learn from; see `data.subsets`."""
    names, strata = _names_and_strata(train)
    groups = [train.groups[index] for index in train.labelled]
    chosen = set(label_subset(names, strata, config.label_fraction, config.seed, groups))
    return train.labelled[[name in chosen for name in names]]


def judging_labels(val: AnySplit, config: SegmentationConfig) -> np.ndarray:
    """Return the indices of the labelled pictures that a run is judged by; see `FittingConfig.val_labels`."""
    names, strata = _names_and_strata(val)
    if not config.val_labels or not names:
        return val.labelled
    config.require_val_labels(len(names), val.data_dir)
    chosen = set(some_labels(names, strata, config.val_labels, config.seed))
    return val.labelled[[name in chosen for name in names]]


def _names_and_strata(split: AnySplit) -> tuple[list[str], list[str]]:
    labelled = split.labelled
    return [split.names[index] for index in labelled], [split.strata[index] or "" for index in labelled]


def require_masks(split: AnySplit, masks: np.ndarray) -> None:
    """Raise UserError unless there are masks, and a pixel in them that is not left out; of Train two classes to tell.

    Args:
        split: Train or Val.
        masks: indices of the labelled pictures that count.
    """
    if not len(masks):
        raise UserError(f"{split.data_dir}: {split.lacking}")
    held = np.flatnonzero(class_pixels(split, masks))
    if not len(held):
        raise UserError(f"{split.data_dir}: the masks of {split.name} hold no pixel of any class, only {IGNORED}")
    if split.name == "Train" and len(held) < 2:
        only = split.class_set.names[held[0]]
        raise UserError(f"{split.data_dir}: the masks of Train hold {only!r} alone: learning needs two classes or more")


def class_pixels(split: AnySplit, chosen: np.ndarray) -> list[int]:
    """Count the pixels of each class in the chosen pictures' labels."""
    counts = np.zeros(256, dtype=np.int64)
    if isinstance(split, VolumeSplit):
        labels: Iterable[np.ndarray] = map(split.label, chosen.tolist())
    else:
        labels = (split.labels[row] for row in split.label_rows[chosen])
    for label in labels:
        counts += np.bincount(label.ravel(), minlength=256)
    return counts[: len(split.class_set)].tolist()
