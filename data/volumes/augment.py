"""Augmentation of patches of volumes, batched, on their device, by each patch's key alone."""

import numpy as np

from data.augment.batch import Batch
from data.augment.settings import AugmentConfig
from data.volumes.geometry import Triple


def reach(patch: Triple, config: AugmentConfig) -> Triple:
    """Return how many voxels more are read at either end of a patch, so that rotated ones show the volume."""
    return 0, 0, 0


def augment(batch: Batch, keys: np.ndarray, patch: Triple, config: AugmentConfig) -> Batch:
    """Change a plain batch."""
    return batch
