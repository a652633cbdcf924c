"""How a volume's voxels lie in its file and as prepared, and the exact way back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from core.classes import IGNORED

Triple = tuple[int, int, int]
Spacing = tuple[float, float, float]
LEAST = 1e-3  # probability; without a bound one sure voxel would outweigh all its neighbours
SAME_SPACING = 1e-3  # a relative difference below it is rounding of a header, and nothing is resampled


@dataclass(frozen=True, slots=True)
class VolumeGeometry:
    """A volume's shapes and place; all but `affine`, `orientation` and `header` in the order [D, H, W].

    Attributes:
        shape, spacing: as prepared; mm.
        original_shape, original_spacing: before it was resampled.
        orientation: of the file's axes, as "LPS": where the first, second and third lead.
        affine: [4, 4], from the file's voxels (i, j, k) to mm in RAS+.
        file_shape: in the axes of the file.
        header: base64 of the NIfTI header that a prediction gets, without what could name a patient.
    """

    shape: Triple
    spacing: Spacing
    original_shape: Triple
    original_spacing: Spacing
    orientation: str
    affine: tuple[tuple[float, float, float, float], ...]
    header: str
    file_shape: Triple

    @property
    def is_resampled(self) -> bool:
        """Whether the voxels are others than the file's."""
        return self.shape != self.original_shape

    @property
    def is_possible(self) -> bool:
        """Whether all of this can be of one volume."""
        numbers = (*self.shape, *self.original_shape, *self.spacing, *self.original_spacing)
        return min(numbers) > 0 and len(self.affine) == 4 and len(self.orientation) == 3


def resampled_shape(shape: Sequence[int], spacing: Sequence[float], wanted: Sequence[float] | None) -> Triple:
    """Return the shape that a volume takes at another spacing; its own where that is the same, or None."""
    if wanted is None or all(abs(a - b) <= SAME_SPACING * b for a, b in zip(spacing, wanted, strict=True)):
        depth, height, width = shape
    else:
        sides = zip(shape, spacing, wanted, strict=True)
        depth, height, width = (max(1, round(side * own / other)) for side, own, other in sides)
    return depth, height, width


def resample_image(volume: np.ndarray, shape: Triple) -> np.ndarray:
    """Resample a volume [C, D, H, W] float32 by cubic splines, as nnU-Net does, within the values that it held."""
    if volume.shape[1:] == shape:
        return volume
    channels = (np.clip(_zoomed(channel, shape, 3), channel.min(), channel.max()) for channel in volume)
    return np.stack([channel.astype(np.float32) for channel in channels])


def resample_label(label: np.ndarray, shape: Triple) -> np.ndarray:
    """Resample a label [D, H, W] uint8: each class linearly and the largest wins, as in nnU-Net; 255 counts as one."""
    if label.shape == shape:
        return label
    best = np.full(shape, -1.0, np.float32)
    result = np.full(shape, IGNORED, np.uint8)
    for value in np.unique(label):
        share = _zoomed((label == value).astype(np.float32), shape, 1)
        larger = share > best
        best[larger], result[larger] = share[larger], value
    return result


def resample_linearly(volume: np.ndarray, shape: Triple) -> np.ndarray:
    """Resample a volume [C, D, H, W] linearly; float32."""
    if volume.shape[1:] == shape:
        return volume
    return np.stack([_zoomed(plane.astype(np.float32), shape, 1) for plane in volume])


def resample_probabilities(probabilities: np.ndarray, shape: Triple) -> np.ndarray:
    """Resample probabilities [K, D, H, W] float32 that sum to 1 by their logarithms, linearly.

    That is resampling the logits, as nnU-Net does: what logits have beside the logarithms is the same for all classes,
    and falls out again. A surface between two voxels then lies where the classes are as probable, however sure the
    network is of either voxel; probabilities themselves would draw it to the middle. Below `LEAST` they say nothing.
    """
    if probabilities.shape[1:] == shape:
        return probabilities
    scores = np.exp(resample_linearly(np.log(np.maximum(probabilities, LEAST)), shape))
    return scores / scores.sum(axis=0)


def _zoomed(array: np.ndarray, shape: Triple, order: int) -> np.ndarray:
    """Resample so that the outer edges of the outermost voxels stay where they are."""
    from scipy import ndimage  # which every reader of a manifest would import otherwise

    factors = [new / old for new, old in zip(shape, array.shape, strict=True)]
    zoomed: np.ndarray = ndimage.zoom(array, factors, order=order, mode="nearest", grid_mode=True)
    assert zoomed.shape == shape, "rounding of a product with a quotient gives the quotient's numerator"
    return zoomed
