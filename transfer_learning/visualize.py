"""Pictures of what the segmentation network says."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.figures import CLASS_COLOURS, UNSCORED_COLOUR, picture_rows
from data.manifest import CLASS_NAMES


def colour_label(label: np.ndarray) -> np.ndarray:
    """Return a label [H, W] (a class or 255) as a picture [H, W, 3] in [0, 1]."""
    palette = np.array([*CLASS_COLOURS[: len(CLASS_NAMES)], UNSCORED_COLOUR], dtype=np.float32)
    return palette[np.where(label == 255, len(CLASS_NAMES), label)]


def save_panels(
    path: Path,
    names: Sequence[str],
    pictures: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
) -> None:
    """Save rows of picture, truth, prediction and overlay as one PNG.

    Args:
        path: of the PNG.
        names: what each row shows.
        pictures: [H, W, 3] in [0, 1] each.
        truths: [H, W] each, 255 where nothing is scored (drawn grey).
        predictions: [H, W] each.
    """
    coloured = [colour_label(prediction) for prediction in predictions]
    columns = {
        "picture": pictures,
        "truth": [colour_label(truth) for truth in truths],
        "prediction": coloured,
        "overlay": [0.55 * picture + 0.45 * colour for picture, colour in zip(pictures, coloured, strict=True)],
    }
    legend = {**dict(zip(CLASS_NAMES, CLASS_COLOURS, strict=True)), "not scored": UNSCORED_COLOUR}
    picture_rows(path, names, columns, legend)
