"""Trimaps: one object, its background and the border between them (Oxford-IIIT Pet)."""

import numpy as np

from core.classes import IGNORED

TRIMAP_VALUES = OBJECT, BACKGROUND, BORDER = 1, 2, 3
_OUTSIDE = 254


def trimap_to_label(trimap: np.ndarray, number: int | None) -> np.ndarray:
    """Turn a trimap [H, W] uint8 (1 object, 2 background, 3 border) into a label: the object's class, 0, 255.

    Values outside the set, and the object where its class is not known (None), become 254, so that checks of labels
    find them.
    """
    table = np.full(256, _OUTSIDE, np.uint8)
    table[[OBJECT, BACKGROUND, BORDER]] = _OUTSIDE if number is None else number, 0, IGNORED
    return table[trimap]
