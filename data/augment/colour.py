"""Brightness, contrast, saturation and hue as one affine map of the colours an image."""

import math

import numpy as np
import torch

from core.randomness import symmetric
from data.augment.settings import AugmentConfig

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, also the Y of YIQ
_TO_YIQ = torch.tensor((_LUMA, (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135)), dtype=torch.float64)
_QUARTER_TURN = torch.tensor(((0, 0, 0), (0, 0, 1), (0, -1, 0)), dtype=torch.float64)  # of the hue, in YIQ


def jitter(images: torch.Tensor, content: torch.Tensor, keys: np.ndarray, config: AugmentConfig) -> torch.Tensor:
    """Change brightness, then contrast, saturation and hue of images [N, C, H, W], with factors of each image's own.

    All four are linear, so that they are one 3 x 3 matrix and one offset. Brightness, contrast and saturation are those
    of torchvision's `adjust_brightness` and so on, with contrast about the mean grey of the content alone. Values are
    clamped to [0, 1] once, at the end; pixels outside the content hold 0. Grey images [N, 1, H, W] have no saturation
    and no hue to change.
    """
    coloured = images.shape[1] == 3
    if not (config.brightness or config.contrast or (coloured and (config.saturation or config.hue))):
        return images
    brightness = 1 + symmetric(keys, "brightness", config.brightness)
    contrast = 1 + symmetric(keys, "contrast", config.contrast)
    factor = (brightness * contrast)[:, None, None]
    # Contrast moves colours towards the mean grey, and a grey stays as it is under saturation and hue.
    grey_share = (brightness * (1 - contrast)).to(images.device, torch.float32)
    offset = grey_share * mean_grey(images, content)
    if not coloured:
        grey = images * factor[..., None].to(images.device, torch.float32) + offset[:, None, None, None]
        return grey.clamp_(0, 1).mul_(content)
    saturation = 1 + symmetric(keys, "saturation", config.saturation)
    matrix = colour_matrix(saturation, turn=symmetric(keys, "hue", config.hue)) * factor
    return _recolour(images, matrix.to(images.device, torch.float32), offset).mul_(content)


def colour_matrix(saturation: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Return float64 matrices [N, 3, 3] for colours (r, g, b) that scale the chroma and rotate the hue, both [N].

    `turn` is a share of the colour circle: 1/3 takes red towards green. The rotation is one in the chroma plane of YIQ,
    the well-known fast form of a hue change: it keeps the luma, and needs no way to HSV and back.
    """
    to_grey = _TO_YIQ[:1].expand(3, 3)
    to_chroma = torch.eye(3, dtype=torch.float64) - to_grey
    to_turned_chroma = torch.linalg.inv(_TO_YIQ) @ _QUARTER_TURN @ _TO_YIQ
    angle = 2 * math.pi * turn[:, None, None]
    turned = torch.cos(angle) * to_chroma + torch.sin(angle) * to_turned_chroma
    return to_grey + saturation[:, None, None] * turned


def to_grey(images: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
    """Return images [N, C, H, W], those that are `chosen` ([N] bool) with their luma in every channel."""
    if images.shape[1] == 1:
        return images
    return torch.where(chosen.to(images.device)[:, None, None, None], _luma(images)[:, None], images)


def mean_grey(images: torch.Tensor, content: torch.Tensor) -> torch.Tensor:
    """Return the mean luma of each image's content, float32 [N]. The images hold 0 outside their content."""
    grey = images[:, 0] if images.shape[1] == 1 else _luma(images)
    # Whole numbers have the same sum in every order, so that the mean's last bits do not depend on the batch.
    total = (grey * 65536).round().to(torch.int32).sum((1, 2))
    return (total / (65536 * content.sum((1, 2, 3)).clamp(min=1))).float()


def _luma(images: torch.Tensor) -> torch.Tensor:
    red, green, blue = images.unbind(1)
    return _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue


def _recolour(images: torch.Tensor, matrix: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Return matrix [N, 3, 3] @ colour + offset [N], clamped to [0, 1].

    Written out, since the last bits of a matrix product may depend on the size of the batch.
    """
    from_red, from_green, from_blue = matrix[:, :, :, None, None].unbind(2)  # [N, 3, 1, 1] each
    result = images[:, 0:1] * from_red + offset[:, None, None, None]
    result += images[:, 1:2] * from_green
    result += images[:, 2:3] * from_blue
    return result.clamp_(0, 1)
