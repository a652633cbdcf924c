"""V-Rand of electron microscopy: whether cells are kept apart and in one piece (Arganda-Carreras et al. 2015).

The score of the ISBI 2012 challenge. A prediction's objects are the connected parts of what is not separated: pixels
whose probability of the separating class (membrane) is at most a threshold. Borders are thinned: what separates goes to
the nearest object, so that a border's width costs nothing (the challenge's software leaves a line of one pixel). Then
pairs of pixels within the true objects are counted, and the best threshold for all pictures is taken.
"""

from typing import Any

import numpy as np
from scipy import ndimage, sparse

from core.classes import IGNORED
from core.statistics import interval, resampled_sums
from transfer_learning.scores.confusion import known

THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))


def rand_sums(separating: np.ndarray, truth: np.ndarray, number: int) -> np.ndarray:
    """Return the sums of a picture or volume that V-Rand is made of; those of several add up.

    Args:
        separating: [*sides] float32, probability of the class that separates.
        truth: [*sides] labels; pixels of 255 are in no object.
        number: the class that separates.

    Returns:
        [9, 3] float64, a row a threshold: pairs of pixels of the true objects that are together in both, in the truth,
        in the prediction.
    """
    true = objects((truth != number) & (truth != IGNORED))
    return np.array([pair_sums(thinned(objects(separating <= threshold)), true) for threshold in THRESHOLDS])


def objects(mask: np.ndarray) -> np.ndarray:
    """Return the number of the connected part (along axes, not across corners) of each pixel; 0 outside of the mask."""
    return ndimage.label(mask)[0]


def thinned(labels: np.ndarray) -> np.ndarray:
    """Return labels with the nearest one wherever there was none (0)."""
    if not labels.any():
        return labels
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    return labels[tuple(nearest)]


def pair_sums(found: np.ndarray, true: np.ndarray) -> tuple[float, float, float]:
    """Return how many ordered pairs of pixels are in one object in both, in the truth, in what was found.

    A pixel makes a pair with itself. Those of no true object (0) are left out; one of no object that was found is an
    object of its own.
    """
    inside = true > 0
    found, true = found[inside], true[inside]
    shape = (1 + found.max(initial=0), 1 + true.max(initial=0))
    table = sparse.coo_array((np.ones(found.size), (found, true)), shape).tocsr()
    alone, table = float(np.count_nonzero(found == 0)), table[1:]
    both = float(table.multiply(table).sum()) + alone
    of_found = float(np.square(table.sum(axis=1)).sum()) + alone
    return both, float(np.square(np.bincount(true).astype(np.float64)).sum()), of_found


def rand_results(sums: np.ndarray, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what JSON says of V-Rand, and its 95 % interval over pictures under the same keys.

    Args:
        sums: [N, 9, 3] of each picture.
        name: of the class that separates.

    Returns:
        `v_rand` at the best threshold, None where the truth holds no object; `v_rand_at` with that `threshold`, the
        shares of true pairs that stay together (`split`) and of pairs found that belong together (`merge`), whose
        harmonic mean it is, and V-Rand at every threshold. The draws of the interval choose anew.
    """
    whole = sums.sum(axis=0)
    scores, best = v_rand(whole), best_threshold(sums)
    value = known(scores[best])
    both, true, found = whole[best].tolist()
    at = {
        "class": name,
        "threshold": None if value is None else THRESHOLDS[best],
        "split": None if value is None else both / true,
        "merge": None if value is None else both / found,
        "thresholds": {str(threshold): known(score) for threshold, score in zip(THRESHOLDS, scores, strict=True)},
    }
    drawn = resampled_sums(sums.reshape(len(sums), -1)).reshape(-1, *sums.shape[1:])
    return {"v_rand": value, "v_rand_at": at}, {"v_rand": interval(v_rand(drawn).max(axis=-1))}


def best_threshold(sums: np.ndarray) -> int:
    """Return the place of the threshold that is best for all pictures together, of their sums [N, 9, 3]."""
    return int(v_rand(sums.sum(axis=0)).argmax())


def v_rand(sums: np.ndarray) -> np.ndarray:
    """Return V-Rand [...] in [0, 1] of sums [..., 3]; NaN where the truth holds no object."""
    both, true, found = np.moveaxis(sums, -1, 0)
    return np.divide(2 * both, true + found, out=np.full(np.shape(true), np.nan), where=true > 0)
