"""How well the outline of the animal is found.

The trimaps of Oxford-IIIT Pet leave a band along the outline open. Here the band belongs to the animal, so that the
outline is the band's outer edge; a network that ends the animal within the band is therefore a little inside of it.
"""

import cv2
import numpy as np

# Share of the image's diagonal that the boundary region reaches inwards (Cheng et al. 2021).
DILATION_RATIO = 0.02


def boundary_iou(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the Boundary IoU (Cheng et al. 2021) of two masks: IoU of their regions close to the outline.

    Args:
        prediction, truth: [H, W] bool.

    Returns:
        In [0, 1]; NaN where neither mask holds a pixel. The regions reach 2 % of the diagonal inwards, at least 1 px.
    """
    width = max(1, round(DILATION_RATIO * float(np.hypot(*truth.shape))))
    one, other = _rim(prediction, width), _rim(truth, width)
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else float("nan")


def boundary_distance(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the average symmetric surface distance in pixels (as in Heimann et al. 2009).

    The mean over all outline pixels of both masks [H, W] bool of the Euclidean distance to the other's outline. Where
    one of them alone is empty this is the image's diagonal, so that missing an animal is worse than any outline; NaN
    where both are.
    """
    one, other = _rim(prediction, 1), _rim(truth, 1)
    if not one.any() and not other.any():
        return float("nan")
    if not one.any() or not other.any():
        return float(np.hypot(*truth.shape))
    there, back = _distance_to(other)[one], _distance_to(one)[other]
    return float(np.concatenate([there, back]).mean())


def _rim(mask: np.ndarray, width: int) -> np.ndarray:
    """Return the pixels of a mask that lie within so many pixels of its outline; beyond the image nothing is mask."""
    padded = np.pad(mask.astype(np.uint8), 1)
    eroded = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)
    return mask & ~eroded[1:-1, 1:-1].astype(bool)


def _distance_to(outline: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform((~outline).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
