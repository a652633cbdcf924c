"""The guided filter (He, Sun & Tang 2013): probabilities follow the edges of the picture."""

import cv2
import numpy as np

# Windows whose grey values, in [0, 1], vary by less than its root are smoothed as if there were no edge.
EPSILON = 1e-3


def guided_filter(probabilities: np.ndarray, picture: np.ndarray, radius: int) -> np.ndarray:
    """Return probabilities [C, H, W] that are, in every window, a linear function of the picture's grey values.

    Args:
        probabilities: [C, H, W] float32.
        picture: [H, W, 3] or [H, W] uint8; of colours the luma guides.
        radius: of the windows, which are squares of 2 radius + 1 px, cut at the picture's edge.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) if picture.ndim == 3 else picture
    guide = grey.astype(np.float64) / 255
    pixels = _sums(np.ones_like(guide), radius)

    def mean(plane: np.ndarray) -> np.ndarray:
        return _sums(plane, radius) / pixels

    middle = mean(guide)
    spread = mean(guide * guide) - middle**2
    found = []
    for plane in probabilities.astype(np.float64):
        level = mean(plane)
        slope = (mean(guide * plane) - middle * level) / (spread + EPSILON)
        found.append(mean(slope) * guide + mean(level - slope * middle))
    clipped = np.clip(found, 1e-7, 1)
    return (clipped / clipped.sum(axis=0)).astype(np.float32)


def _sums(plane: np.ndarray, radius: int) -> np.ndarray:
    side = 2 * radius + 1
    return cv2.boxFilter(plane, -1, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT)
