"""Sides that halvings do not divide: features padded for decoders that double them, what comes out cut again."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from core.networks.layers import cut, resized


def rounded_up(side: int, multiple: int) -> int:
    """Return the smallest multiple that is no smaller than a side."""
    return (side + multiple - 1) // multiple * multiple  # ONNX rounds the quotient of a negative number otherwise


def padded(features: Sequence[Tensor], strides: Sequence[int], multiple: int) -> list[Tensor]:
    """Return features of a picture as if its sides were multiples: [N, C, side / stride], zeros below and to the right.

    Args:
        features: the first of them at the picture's own size.
        strides: of the features.
        multiple: what sides are brought to a multiple of; every stride divides it.
    """
    height, width = (rounded_up(side, multiple) for side in features[0].shape[-2:])
    return [
        F.pad(feature, (0, width // stride - feature.shape[-1], 0, height // stride - feature.shape[-2]))
        for feature, stride in zip(features, strides, strict=True)
    ]


def to_picture(scores: Tensor, size: Sequence[int], multiple: int = 1) -> Tensor:
    """Bring scores [N, C, *sides] to the picture's or volume's sides, linearly between positions.

    Args:
        multiple: of which the sides were that the scores are for (`padded`): what lies beyond the picture is cut.
    """
    whole = [rounded_up(side, multiple) for side in size]
    if list(scores.shape[2:]) != whole:
        scores = resized(scores, whole)
    return scores if whole == list(size) else cut(scores, size)


def nothing(like: Tensor, images: Tensor, stride: int) -> Tensor:
    """Return features of 0 channels at a stride of pictures: [N, 0, H / stride, W / stride], rounded up."""
    height, width = (-(-side // stride) for side in images.shape[-2:])
    return like.new_zeros(images.shape[0], 0, height, width)  # len() would fix the batch of an exported network
