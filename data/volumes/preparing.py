"""One volume through spacing and intensity to the files that training reads."""

from collections.abc import Iterable

import numpy as np

_KEPT = 1000  # voxels of a class, from which patches are drawn


def foreground_voxels(label: np.ndarray, classes: Iterable[int]) -> np.ndarray:
    """Return up to 1,000 voxels of each of these classes, evenly spaced: [P, 4] int32, class and place, by class."""
    rows = [np.zeros((0, 4), np.int32)]
    for number in classes:
        found = np.flatnonzero(label == number)
        if len(found) > _KEPT:
            found = found[np.linspace(0, len(found) - 1, _KEPT).round().astype(np.int64)]
        places = np.stack(np.unravel_index(found, label.shape), axis=1)
        rows.append(np.column_stack([np.full(len(found), number), places]).astype(np.int32))
    return np.concatenate(rows)
