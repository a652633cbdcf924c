"""Which patch of a volume a draw reads: a function of the picture's key alone."""

import numpy as np

from core.randomness import uniform
from data.volumes.geometry import Triple
from data.volumes.split import VolumeSplit


def draw_corners(
    split: VolumeSplit, indices: np.ndarray, keys: np.ndarray, size: Triple, foreground: float
) -> np.ndarray:
    """Draw a patch of each volume: [N, 3] int64, its first voxel along each axis.

    A share `foreground` of them is centred on a voxel of a class that is looked for, the class drawn evenly of those
    that the volume holds, as nnU-Net does (Isensee et al., "nnU-Net", Nature Methods 2021); the others lie anywhere. A
    patch stays inside the volume; along an axis that is shorter it sticks out alike at both ends.
    """
    shapes, sides = split.shapes[indices], np.array(size)
    places = uniform(keys, "patch", 3).double().numpy()
    corners = np.floor(places * np.maximum(shapes - sides + 1, 1)).astype(np.int64)
    chosen, which, where = uniform(keys, "foreground patch", 3).double().numpy().T
    for row in np.flatnonzero(chosen < foreground):
        if (voxel := split.foreground_voxel(int(indices[row]), which[row], where[row])) is not None:
            corners[row] = np.clip(voxel - sides // 2, 0, np.maximum(shapes[row] - sides, 0))
    return np.where(shapes < sides, (shapes - sides) // 2, corners)


def covering(shape: np.ndarray, size: Triple) -> np.ndarray:
    """Return the corners [P, 3] of the windows that cover a volume, each voxel once; the last ones stick out."""
    axes = [np.arange(0, length, side) for length, side in zip(shape.tolist(), size, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
