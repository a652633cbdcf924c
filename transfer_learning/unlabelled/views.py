"""What the teacher and the network see of an unlabelled picture: the same place of it, weakly and strongly changed."""

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor

from core.classes import IGNORED
from core.randomness import uniform
from data.augment.batch import Batch
from data.augment.colour import jitter, to_grey
from data.augment.corruption import corrupt
from data.augment.settings import AugmentConfig

# Of UniMatch (Yang et al. 2023): changes of colour, the share made grey, the share blurred.
STRONG = AugmentConfig(brightness=0.5, contrast=0.5, saturation=0.5, hue=0.25, blur=0.5, noise=0.0, cutout=0.0)
GREY = 0.2
# Of a pasted piece (likewise): its share of the picture, and its height over its width.
AREA, ASPECT = (0.02, 0.4), (0.3, 1 / 0.3)


def weak_settings(config: AugmentConfig) -> AugmentConfig:
    """Return the settings of the teacher's view: the run's own changes of place and size, none of colour."""
    off = dict.fromkeys(("brightness", "contrast", "saturation", "hue", "blur", "noise", "cutout"), 0.0)
    own = {field.name: getattr(config, field.name) for field in dataclasses.fields(AugmentConfig)}
    return AugmentConfig(**(own | off))


def strong_view(weak: Batch, keys: np.ndarray) -> Tensor:
    """Return the network's view of pictures [N, C, H, W] of which the teacher sees `weak`; the places are the same."""
    height, width = weak.clean.shape[2:]
    images = jitter(weak.clean, weak.content, keys, STRONG)
    images = to_grey(images, uniform(keys, "grey") < GREY)
    whole = torch.tensor((0, 0, height, width)).expand(len(images), 4)
    return corrupt(images, weak.content, whole, keys, STRONG)


def pieces(keys: np.ndarray, sides: tuple[int, int], share: float) -> Tensor:
    """Draw where a piece of another picture is pasted: [N, 1, H, W] bool, nowhere but in a `share` of the pictures.

    CutMix (Yun et al. 2019) as French et al. (2020) use it: one rectangle a picture, anywhere in it.
    """
    height, width = sides
    drawn, area, aspect, down, across = uniform(keys, "cutmix", 5).double().unbind(1)
    area = AREA[0] + (AREA[1] - AREA[0]) * area
    aspect = torch.exp(math.log(ASPECT[0]) + math.log(ASPECT[1] / ASPECT[0]) * aspect)
    tall, wide = torch.sqrt(area * aspect).clamp(max=1), torch.sqrt(area / aspect).clamp(max=1)
    rows = (torch.arange(height) + 0.5) / height - (down * (1 - tall))[:, None]
    columns = (torch.arange(width) + 0.5) / width - (across * (1 - wide))[:, None]
    inside = ((rows >= 0) & (rows < tall[:, None]))[:, :, None] & ((columns >= 0) & (columns < wide[:, None]))[:, None]
    return (inside & (drawn < share)[:, None, None])[:, None]


def pasted(own: Tensor, piece: Tensor) -> Tensor:
    """Return values [N, *, H, W] with those of the next picture of the batch where `piece` [N, 1, H, W] says so."""
    where = piece if own.ndim == piece.ndim else piece[:, 0]
    return torch.where(where, own.roll(-1, 0), own)


def believed(probabilities: Tensor, content: Tensor, thresholds: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a teacher says where it is sure, 255 elsewhere, and the content that it saw.

    Args:
        probabilities: [N, C, H, W] fp32.
        content: [N, 1, H, W] bool.
        thresholds: [C] of the classes.

    Returns:
        labels [N, H, W] int64; content [N, H, W] bool.
    """
    confidence, said = probabilities.max(dim=1)
    there = content[:, 0]
    return said.masked_fill(~there | (confidence < thresholds[said]), IGNORED), there
