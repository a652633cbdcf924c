"""From files of volumes to batches on a device: patches for training, windows that cover a volume for scores."""

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
import torch

from core.classes import IGNORED
from core.errors import UserError
from data.augment.batch import Batch
from data.augment.settings import AugmentConfig
from data.volumes.augment import augment, reach
from data.volumes.patches import covering, draw_corners
from data.volumes.split import VolumeSplit


def in_patches(split: VolumeSplit, patch: Sequence[int]) -> VolumeSplit:
    """Return a split that is read in patches of these sides.

    Raises:
        UserError: there are none.
    """
    if not patch:
        raise UserError(f"{split.data_dir} holds volumes, which training reads in patches: give --patch 32x32x32, say")
    depth, height, width = patch
    return split.in_patches((depth, height, width))


def training_batch(
    split: VolumeSplit, indices: np.ndarray, keys: np.ndarray, config: AugmentConfig, device: torch.device
) -> Batch:
    """Return the augmented batch of one patch a volume, drawn by its key; labels where every volume has one.

    Args:
        split: with its patch set (`in_patches`).
        keys: [N] uint64, of each draw.
        config: how it is changed; a `PatchConfig` too.
    """
    assert split.patch is not None, "open_training sets it"
    corners = draw_corners(split, indices, keys, split.patch, getattr(config, "foreground_patches", 0.0))
    margin = reach(split.patch, config)  # what a rotation brings in comes from the volume, not from nothing
    sides = [side + 2 * more for side, more in zip(split.patch, margin, strict=True)]
    return augment(_read(split, indices, corners - np.array(margin), sides, device), keys, split.patch, config)


def plain_batches(
    split: VolumeSplit, indices: np.ndarray, batch_size: int, device: torch.device
) -> Iterator[tuple[np.ndarray, Batch]]:
    """Yield (indices, batch) over the windows that cover the given volumes in order, without augmentation.

    An index comes once for each of its windows. These do not overlap, and what lies outside the volume is not content,
    so that sums over them are sums over the volumes.
    """
    patch = split.patch
    assert patch is not None, "open_training sets it"
    windows = ((index, corner) for index in indices for corner in covering(split.shapes[index], patch))
    for _, group in groupby(enumerate(windows), key=lambda numbered: numbered[0] // batch_size):
        chosen, corners = zip(*(window for _, window in group), strict=True)
        yield np.array(chosen), _read(split, np.array(chosen), np.stack(corners), patch, device)


def _read(
    split: VolumeSplit, indices: np.ndarray, corners: np.ndarray, sides: Sequence[int], device: torch.device
) -> Batch:
    """Return the plain batch of boxes of these volumes."""
    read = [split.window(int(index), corner, sides) for index, corner in zip(indices, corners.tolist(), strict=True)]
    pictures, contents, labels = zip(*read, strict=True)
    clean = torch.from_numpy(np.stack(pictures)).to(device)
    content = torch.from_numpy(np.stack(contents)).to(device)
    label = None
    if all(each is not None for each in labels):
        label = torch.from_numpy(np.stack(labels)).to(device).long().masked_fill(~content[:, 0], IGNORED)
    return Batch(clean, clean, content, label)
