"""What training itself counts and draws beside the loss."""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from core.classes import IGNORED
from core.errors import UserError
from core.networks.unet import MIN_SIDE
from core.randomness import keys, uniform
from data.augment.batch import Batch
from transfer_learning.losses.class_sums import class_counts
from transfer_learning.losses.scored import Scored

# Sizes that encoders of five halvings, and all decoders, take.
MULTIPLE = 32


def training_counts(logits: Tensor, label: Tensor) -> Tensor:
    """Count hit, true and said pixels of each class, [C, 3] int64, without waiting for a GPU.

    Args:
        logits: [N, C, *sides].
        label: [N, *sides] int64: a class, or 255 where nothing is scored.
    """
    classes, prediction = logits.shape[1], logits.detach().max(1).indices  # argmax takes ten times as long
    kinds = (label.where(prediction == label, IGNORED), label, prediction.where(label != IGNORED, IGNORED))
    return torch.stack([class_counts(kind, classes) for kind in kinds], dim=1)


def picture_losses(batch: Scored) -> Tensor:
    """Return the mean cross-entropy of each picture's scored pixels, [N] fp32; 0 where nothing is scored."""
    sides = tuple(range(1, batch.label.ndim))
    pixels = batch.scored.sum(sides).clamp(min=1)
    return -batch.log_probability.detach().sum(sides) / pixels


def among_all(own: Tensor, start: int, places: int) -> Tensor:
    """Return a process's values of its places of a batch from `start` on, with 0 for the others': these add up."""
    return F.pad(own, (start, places - start - len(own)))


class Scales:
    """Sizes of batches, one of them drawn for each step.

    Args:
        scales: of the size that batches come in; () leaves them as they are.
        size: height and width that batches come in; of volumes, which have no scales, depth too.
        seed: decides the draws.

    Raises:
        UserError: a scale makes pictures too small for a network.
    """

    def __init__(self, scales: Sequence[float], size: Sequence[int], seed: int) -> None:
        self.seed = seed
        self.sizes = [_scaled(size, scale) for scale in scales]
        smallest = math.ceil(1.5 * MULTIPLE / min(size) * 100) / 100  # from which on sides are rounded to 64
        for scale, (height, width) in zip(scales, self.sizes, strict=True):
            if min(height, width) < MIN_SIDE:
                raise UserError(
                    f"train_scales {scale:g} makes pictures of {height}x{width} px, every side needs at least "
                    f"{MIN_SIDE}: give scales of {smallest:g} or more"
                )

    def resized(self, batch: Batch, step: int) -> Batch:
        """Return a batch at the size of its step."""
        if not self.sizes:
            return batch
        place = int(uniform(keys(self.seed, step, np.zeros(1)), "train_scale") * len(self.sizes))
        return resized(batch, self.sizes[place])


def _scaled(size: Sequence[int], scale: float) -> tuple[int, int]:
    height, width = size if scale == 1 else [_rounded(side * scale) for side in size]
    return height, width


def _rounded(side: float) -> int:
    return max(1, round(side / MULTIPLE)) * MULTIPLE


def resized(batch: Batch, size: tuple[int, int]) -> Batch:
    """Return the batch with its pictures at another height and width: labels and content by their nearest pixel.

    Pictures are smoothed before they are made smaller, and hold 0 outside their content as before.
    """
    if tuple(batch.input.shape[-2:]) == size:
        return batch
    content = F.interpolate(batch.content.float(), size, mode="nearest-exact") > 0

    def of_pictures(pictures: Tensor) -> Tensor:
        return F.interpolate(pictures, size, mode="bilinear", antialias=True) * content

    clean = of_pictures(batch.clean)
    label = batch.label
    if label is not None:
        # float32 holds every label exactly.
        label = F.interpolate(label[:, None].float(), size, mode="nearest-exact")[:, 0].long()
    return Batch(clean, clean if batch.input is batch.clean else of_pictures(batch.input), content, label)
