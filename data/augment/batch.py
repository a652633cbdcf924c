"""Joint augmentation of pictures, labels and content, batched, on the device of the pictures.

Every parameter is a function of the image's key (`core.randomness.keys`) alone, and no operation mixes images: an
image's result has the same bits whatever batch it comes in.
"""

from dataclasses import dataclass

import numpy as np
import torch

from core.classes import IGNORED
from data.augment.colour import jitter
from data.augment.corruption import corrupt
from data.augment.geometry import draw_affine, inside, warp
from data.augment.settings import AugmentConfig


@dataclass
class Batch:
    """What a training step reads. Outside the content, `clean` and `input` hold 0 and `label` holds 255."""

    clean: torch.Tensor  # [N, C, H, W] float32 in [0, 1]: what a reconstruction should look like
    input: torch.Tensor  # the same with blur, noise and cut-out: what the network sees (`clean` itself without them)
    content: torch.Tensor  # [N, 1, H, W] bool: False on letterbox bars and outside the picture
    label: torch.Tensor | None  # [N, H, W] int64: the class, or 255 for ignored pixels


def augment(
    images: torch.Tensor,
    rectangles: torch.Tensor,
    labels: torch.Tensor | None,
    keys: np.ndarray,
    config: AugmentConfig,
) -> Batch:
    """Augment a batch: images [N, H, W, C] uint8, content rectangles [N, 4] (top, left, bottom, right) on the CPU.

    `labels` is [N, H, W] uint8 or None, `keys` [N] uint64. Geometry is one transform for picture, label and content;
    colour changes `clean` (and so `input`); blur, noise and cut-out change `input` alone. Labels under a cut-out square
    remain, as the network shall segment through it. With every setting off the result is that of `plain`. With
    `config.train_crop` pictures, labels and content are of that size.
    """
    assert len(images) == len(rectangles) == len(keys)  # a single key would spread over the batch without a word
    batch = plain(images, rectangles, labels)
    height, width = images.shape[1:3]
    affine = draw_affine(rectangles, (height, width), keys, config)
    if config.window:
        batch.clean, batch.label, batch.content = warp(batch.clean, batch.label, rectangles, affine, config.window)
        rectangles = torch.tensor((0, 0, *config.window)).expand(len(images), 4)
    else:
        # Images with nothing drawn are left as they are: resampling would cost time and the last bits.
        moved = (affine != torch.eye(2, 3, dtype=affine.dtype)).any(2).any(1).nonzero().flatten()
        if len(moved):
            _warp_rows(batch, rectangles, affine, moved)
    batch.clean = jitter(batch.clean, batch.content, keys, config)
    batch.input = corrupt(batch.clean, batch.content, rectangles, keys, config)
    return batch


def _warp_rows(batch: Batch, rectangles: torch.Tensor, affine: torch.Tensor, rows: torch.Tensor) -> None:
    """Warp the given images of the batch, in place."""
    there = rows.to(batch.clean.device)
    label = None if batch.label is None else batch.label[there]
    clean, label, content = warp(batch.clean[there], label, rectangles[rows], affine[rows])
    batch.clean[there], batch.content[there] = clean, content
    if batch.label is not None and label is not None:
        batch.label[there] = label


def plain(images: torch.Tensor, rectangles: torch.Tensor, labels: torch.Tensor | None) -> Batch:
    """Return the batch without augmentation, for validation and evaluation: arguments as those of `augment`."""
    height, width = images.shape[1:3]
    row = torch.arange(height, device=images.device)[:, None].expand(height, width)
    column = torch.arange(width, device=images.device).expand(height, width)
    content = inside(rectangles.to(images.device), column, row)
    clean = images.permute(0, 3, 1, 2).contiguous().float().div_(255).mul_(content[:, None])
    label = None if labels is None else labels.long().masked_fill(~content, IGNORED)
    return Batch(clean, clean, content[:, None], label)
