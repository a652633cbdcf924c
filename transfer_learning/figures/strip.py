"""A few pictures, their truth and what was predicted, as tiles that a report puts beside those of other runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.classes import IGNORED, ClassSet
from core.evaluation import spread
from core.files import atomic_path
from transfer_learning.figures.pictures import colour_label

STRIP = "figures/strip.png"
TILE, MOST = 240, 4  # pixels, pictures
COLUMNS = ("picture", "truth", "prediction")


def save_strip(
    path: Path,
    pictures: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    class_set: ClassSet,
) -> None:
    """Save tiles without gaps or words as one PNG: a row a picture, four at most, with the columns `COLUMNS`.

    Args:
        path: of the PNG.
        pictures: [H, W, 3] in [0, 1] each.
        truths: [H, W] each, 255 where nothing is scored (drawn grey).
        predictions: [H, W] each.
        class_set: the classes.
    """
    rows = []
    for place in spread(len(pictures), MOST):
        masks = (colour_label(label[place], class_set) for label in (truths, predictions))
        rows.append(np.hstack([_tile(pictures[place], cv2.INTER_AREA), *(_tile(m, cv2.INTER_NEAREST) for m in masks)]))
    ok, encoded = cv2.imencode(".png", cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
    assert ok
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def strip_content(
    names: Sequence[str], truths: Sequence[np.ndarray], predictions: Sequence[np.ndarray], class_set: ClassSet
) -> dict[str, Any]:
    """Return what a result says of its strip: where it lies, the pictures' names, and which classes are to be seen."""
    shown = spread(len(names), MOST)
    held = {int(value) for labels in (truths, predictions) for place in shown for value in np.unique(labels[place])}
    return {
        "file": STRIP,
        "tile": TILE,
        "names": [names[place] for place in shown],
        "classes": [name for number, name in enumerate(class_set.names) if number in held],
        "unscored": IGNORED in held,
    }


def _tile(picture: np.ndarray, interpolation: int) -> np.ndarray:
    """Return a picture in [0, 1] as [TILE, TILE, 3] uint8, whole, with white beside it."""
    height, width = picture.shape[:2]
    scale = TILE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    # Averages are for shrinking: enlarged, pixels stay what they are.
    how = interpolation if scale < 1 else cv2.INTER_NEAREST
    fitted = cv2.resize(np.asarray(picture, np.float32), size, interpolation=how)
    tile = np.full((TILE, TILE, 3), 255, np.uint8)
    top, left = (TILE - size[1]) // 2, (TILE - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = np.round(255 * fitted.clip(0, 1)).astype(np.uint8)
    return tile
