"""How well the outline of the foreground is found, all its classes as one.

Where the ignored label is the border of things (the trimaps of Oxford-IIIT Pet leave a band along the outline open) the
band belongs to them, so that the outline is the band's outer edge; a network that ends them within the band is
therefore a little inside of it.
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
    one, other = (_rim(mask, width) for mask in _cropped(prediction, truth))
    union = (one | other).sum()
    return float((one & other).sum() / union) if union else float("nan")


def boundary_distance(prediction: np.ndarray, truth: np.ndarray) -> float:
    """Return the average symmetric surface distance in pixels (as in Heimann et al. 2009).

    The mean over all outline pixels of both masks [H, W] bool of the Euclidean distance to the other's outline. Where
    one of them alone is empty this is the image's diagonal, so that missing everything is worse than any outline; NaN
    where both are.
    """
    one, other = (_rim(mask, 1) for mask in _cropped(prediction, truth))
    if not one.any() and not other.any():
        return float("nan")
    if not one.any() or not other.any():
        return float(np.hypot(*truth.shape))
    there, back = _distance_to(other)[one], _distance_to(one)[other]
    return float(np.concatenate([there, back]).mean())


def _cropped(prediction: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of both masks around which there is nothing; what it does not hold has no outline."""
    left, top, width, height = cv2.boundingRect((prediction | truth).view(np.uint8))
    part = np.s_[top : top + max(1, height), left : left + max(1, width)]
    return prediction[part], truth[part]


def _rim(mask: np.ndarray, width: int) -> np.ndarray:
    """Return the pixels of a mask that lie within so many pixels of its outline; beyond the image nothing is mask."""
    pixels = mask.view(np.uint8)
    window = np.ones((2 * width + 1, 2 * width + 1), np.uint8)
    return (pixels - cv2.erode(pixels, window, borderType=cv2.BORDER_CONSTANT, borderValue=0)).view(bool)


def _distance_to(outline: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform((~outline).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
