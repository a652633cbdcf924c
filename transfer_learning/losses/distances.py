"""Terms that read how far each pixel lies from others, from distance transforms of the truth on the CPU.

Labels on a GPU are fetched for that, which the step then waits for; so does a step of many objects anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.classes import IGNORED
from core.errors import UserError
from core.losses import ratio

if TYPE_CHECKING:
    from torch import Tensor

    from transfer_learning.losses.scored import Scored
    from transfer_learning.losses.terms import ClassWeighting


@dataclass(frozen=True)
class Boundary:
    """The mass of each class times its signed distance to the class's outline in the truth (Kervadec et al. 2019).

    "Boundary loss for highly unbalanced segmentation": in pixels, negative within, so below 0 where all is well. It
    wants another term beside it: the paper begins with 0.01 of it beside Dice.
    """

    reads: ClassVar = ()

    def sums(self, batch: "Scored") -> "tuple[Tensor, ...]":
        """Return the sum of p times the distance, and the number of classes times scored pixels."""
        classes = batch.log_probabilities.shape[1]
        distances = _of_labels(batch.label, lambda label: signed_distances(label, classes))
        return (batch.log_probabilities.exp() * distances).sum(), classes * batch.pixels.sum()

    def value(self, weigh: "ClassWeighting", mass: "Tensor", counted: "Tensor") -> "Tensor":
        """Return the mean over classes and scored pixels."""
        return ratio(mass, counted)


@dataclass(frozen=True)
class BorderWeight:
    """Cross-entropy with U-Net's weight map (Ronneberger et al. 2015): w_c + w0 exp(-(d1 + d2)^2 / (2 sigma^2)).

    d1 and d2 are a pixel's distances to the nearest and to the second nearest object: a connected part of a class that
    is no background. So the gaps between objects that nearly touch count most; w_c are the classes' weights.
    """

    w0: float = 10.0
    sigma: float = 5.0
    reads: ClassVar = ("cross_entropy",)

    def __post_init__(self) -> None:
        if not (self.w0 >= 0 and self.sigma > 0):
            raise UserError(
                f"border_weight(w0={self.w0:g}, sigma={self.sigma:g}): w0 is 0 or more, sigma (in pixels) above 0"
            )

    def sums(self, batch: "Scored") -> "tuple[Tensor, ...]":
        """Return the cross-entropy and the pixels of each class, and both at all pixels weighted by the map."""
        borders = _of_labels(batch.label, lambda label: border_map(label, batch.background, self.w0, self.sigma))
        return batch.cross_entropy, batch.pixels, -(batch.log_probability * borders).sum(), borders.sum()

    def value(
        self,
        weigh: "ClassWeighting",
        cross_entropy: "Tensor",
        pixels: "Tensor",
        at_borders: "Tensor",
        borders: "Tensor",
    ) -> "Tensor":
        """Return the mean, weighted by class and map."""
        weights = weigh(pixels)
        return ratio((weights * cross_entropy).sum() + at_borders, (weights * pixels).sum() + borders)


def signed_distances(label: np.ndarray, num_classes: int) -> np.ndarray:
    """Return how far each pixel lies from each class's outline, [C, *sides] fp32, in pixels.

    Outside a class: the distance to its nearest pixel. Within: 1 - that to the nearest pixel of another class, so 0 at
    the outline. 0 throughout for a class that is absent or alone, and where nothing is scored; such pixels are of no
    class, so that neither letterbox bars nor void borders make an outline.

    Args:
        label: [*sides] integers: a class, or 255 where nothing is scored.
        num_classes: number of classes C.
    """
    distances = np.zeros((num_classes, *label.shape), np.float32)
    scored = label != IGNORED
    for number in np.unique(label[scored]):
        within = label == number
        others = scored & ~within
        if others.any():
            distances[number] = np.where(within, 1 - distance_to(others), distance_to(within)) * scored
    return distances


def border_map(label: np.ndarray, background: int | None, w0: float, sigma: float) -> np.ndarray:
    """Return w0 exp(-(d1 + d2)^2 / (2 sigma^2)), [*sides] fp32: 0 where nothing is scored and below two objects."""
    nearest, second = (np.full(label.shape, np.inf, np.float32) for _ in range(2))
    for number in np.unique(label):
        if number in (background, IGNORED):
            continue
        count, parts = _objects(label == number)
        for part in range(1, count):
            distance = distance_to(parts == part)
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    return w0 * np.exp(-((nearest + second) ** 2) / (2 * sigma**2)) * (label != IGNORED)


def distance_to(pixels: np.ndarray) -> np.ndarray:
    """Return each pixel's Euclidean distance to the nearest of those that are True, [*sides] fp32.

    OpenCV's last bits vary with where an array lies in memory. Squares of distances are whole numbers: these are exact.
    """
    if pixels.ndim == 3:
        from scipy import ndimage

        return ndimage.distance_transform_edt(~pixels).astype(np.float32)
    import cv2

    distances = cv2.distanceTransform((~pixels).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.sqrt(np.rint(np.square(distances, dtype=np.float64))).astype(np.float32)


def _objects(pixels: np.ndarray) -> tuple[int, np.ndarray]:
    """Return one more than the number of connected parts, corners connect too, and each pixel's part, 0: none."""
    if pixels.ndim == 3:
        from scipy import ndimage

        parts, count = ndimage.label(pixels, np.ones((3, 3, 3)))
        return count + 1, parts
    import cv2

    return cv2.connectedComponents(pixels.view(np.uint8))


def _of_labels(labels: "Tensor", function: Callable[[np.ndarray], np.ndarray]) -> "Tensor":
    """Return a function of each picture's label [*sides], stacked, where the labels are."""
    import torch

    maps = np.stack([function(label) for label in labels.cpu().numpy()])
    return torch.from_numpy(maps).to(labels.device)
